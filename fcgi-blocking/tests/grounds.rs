//! The servers among the examples of `fcgi-proto` behind real web servers: each on a ground of its own.
//!
//! A web server that is not installed is skipped with a line on stderr, or fails the test if
//! `FCGI_REQUIRE_INTEROP=1`.
#![cfg(unix)]

#[path = "interop/mod.rs"]
#[allow(dead_code, reason = "it has more than these need")]
mod interop;

#[path = "interop/ground.rs"]
mod ground;

use interop::Subject;
use interop::setups::{
    HAPROXY_MPXS, NGINX_KEEPALIVE, NGINX_KEEPALIVE_UNBUFFERED, NGINX_TCP, NGINX_TCP_UNBUFFERED, NGINX_UNIX,
};

const fn example(example: &'static str) -> Subject {
    Subject { package: "fcgi-proto", example }
}

const EMBEDDED: Subject = example("embedded_server");
const IO_URING: Subject = example("io_uring_server");
const MIO: Subject = example("mio_server");
const TOKIO: Subject = example("tokio_server");

#[test]
fn tokio_serves_connections_that_close() {
    interop::run(&TOKIO, &NGINX_UNIX, ground::GROUND);
    interop::run(&TOKIO, &NGINX_TCP_UNBUFFERED, ground::GROUND);
}

#[test]
fn tokio_serves_connections_that_are_kept() {
    interop::run(&TOKIO, &NGINX_KEEPALIVE, ground::GROUND);
    interop::run(&TOKIO, &NGINX_KEEPALIVE_UNBUFFERED, ground::GROUND);
}

#[test]
fn tokio_serves_connections_of_many_requests() {
    interop::run(&TOKIO, &HAPROXY_MPXS, ground::GROUND);
}

#[test]
fn a_handler_on_tokio_that_panics_costs_its_request_alone() {
    interop::run(&TOKIO, &NGINX_KEEPALIVE, ground::PANICS);
}

#[test]
fn mio_serves_connections_that_close() {
    interop::run(&MIO, &NGINX_TCP, ground::GROUND);
    interop::run(&MIO, &NGINX_TCP_UNBUFFERED, ground::GROUND);
}

#[test]
fn mio_serves_connections_that_are_kept() {
    interop::run(&MIO, &NGINX_KEEPALIVE, ground::GROUND);
    interop::run(&MIO, &NGINX_KEEPALIVE_UNBUFFERED, ground::GROUND);
}

#[test]
#[cfg(target_os = "linux")]
fn io_uring_serves_connections_that_close() {
    interop::run(&IO_URING, &NGINX_TCP, ground::GROUND);
    interop::run(&IO_URING, &NGINX_TCP_UNBUFFERED, ground::GROUND);
}

#[test]
#[cfg(target_os = "linux")]
fn io_uring_serves_connections_that_are_kept() {
    interop::run(&IO_URING, &NGINX_KEEPALIVE, ground::GROUND);
    interop::run(&IO_URING, &NGINX_KEEPALIVE_UNBUFFERED, ground::GROUND);
}

#[test]
fn embedded_io_serves_connections_that_close_or_are_kept() {
    for setup in [&NGINX_TCP, &NGINX_TCP_UNBUFFERED, &NGINX_KEEPALIVE, &NGINX_KEEPALIVE_UNBUFFERED] {
        interop::run(&EMBEDDED, setup, ground::EMBEDDED);
    }
}
