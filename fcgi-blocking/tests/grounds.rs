//! The servers among the examples of `fcgi-proto` behind real web servers: each on a ground of its own.
//!
//! A web server that is not installed is skipped with a line on stderr, or fails the test if
//! `FCGI_REQUIRE_INTEROP=1`.
#![cfg(unix)]

#[path = "interop/mod.rs"]
#[allow(dead_code, reason = "it has more than these need")]
mod interop;

use interop::setups::{
    HAPROXY_MPXS, NGINX_KEEPALIVE, NGINX_KEEPALIVE_UNBUFFERED, NGINX_TCP, NGINX_TCP_UNBUFFERED, NGINX_UNIX,
};
use interop::{Subject, cases};

const fn example(example: &'static str) -> Subject {
    Subject { package: "fcgi-proto", example }
}

const IO_URING: Subject = example("io_uring_server");
const MIO: Subject = example("mio_server");
const TOKIO: Subject = example("tokio_server");

#[test]
fn tokio_serves_connections_that_close() {
    interop::run(&TOKIO, &NGINX_UNIX, cases::GROUND);
    interop::run(&TOKIO, &NGINX_TCP_UNBUFFERED, cases::GROUND);
}

#[test]
fn tokio_serves_connections_that_are_kept() {
    interop::run(&TOKIO, &NGINX_KEEPALIVE, cases::GROUND);
    interop::run(&TOKIO, &NGINX_KEEPALIVE_UNBUFFERED, cases::GROUND);
}

#[test]
fn tokio_serves_connections_of_many_requests() {
    interop::run(&TOKIO, &HAPROXY_MPXS, cases::GROUND);
}

#[test]
fn a_handler_on_tokio_that_panics_costs_its_request_alone() {
    interop::run(&TOKIO, &NGINX_KEEPALIVE, cases::PANICS);
}

#[test]
fn mio_serves_connections_that_close() {
    interop::run(&MIO, &NGINX_TCP, cases::GROUND);
    interop::run(&MIO, &NGINX_TCP_UNBUFFERED, cases::GROUND);
}

#[test]
fn mio_serves_connections_that_are_kept() {
    interop::run(&MIO, &NGINX_KEEPALIVE, cases::GROUND);
    interop::run(&MIO, &NGINX_KEEPALIVE_UNBUFFERED, cases::GROUND);
}

#[test]
#[cfg(target_os = "linux")]
fn io_uring_serves_connections_that_close() {
    interop::run(&IO_URING, &NGINX_TCP, cases::GROUND);
    interop::run(&IO_URING, &NGINX_TCP_UNBUFFERED, cases::GROUND);
}

#[test]
#[cfg(target_os = "linux")]
fn io_uring_serves_connections_that_are_kept() {
    interop::run(&IO_URING, &NGINX_KEEPALIVE, cases::GROUND);
    interop::run(&IO_URING, &NGINX_KEEPALIVE_UNBUFFERED, cases::GROUND);
}
