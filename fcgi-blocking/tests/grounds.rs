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
    HAPROXY, HAPROXY_MPXS, LIGHTTPD_AUTHORIZER, NGINX_KEEPALIVE, NGINX_KEEPALIVE_UNBUFFERED, NGINX_TCP,
    NGINX_TCP_UNBUFFERED, NGINX_UNIX, Setup,
};

const fn example(example: &'static str) -> Subject {
    Subject { package: "fcgi-proto", example }
}

const EMBEDDED: Subject = example("embedded_server");
const GUIDE: Subject = example("guide");
const LOOP: Subject = example("loop");
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

/// The first record of each connection is GET_VALUES, and no request goes before its answer.
const HAPROXY_GET_VALUES: Setup = Setup {
    name: "HAProxy, get-values",
    edits: &[("127.0.0.1:9000", "{tcp}"), ("# option get-values", "option get-values")],
    ..HAPROXY
};

const CLOSED_AND_KEPT: [&Setup; 4] =
    [&NGINX_TCP, &NGINX_TCP_UNBUFFERED, &NGINX_KEEPALIVE, &NGINX_KEEPALIVE_UNBUFFERED];

#[test]
fn embedded_io_serves_connections_that_close_or_are_kept() {
    for setup in CLOSED_AND_KEPT {
        interop::run(&EMBEDDED, setup, ground::EMBEDDED);
    }
}

#[test]
fn the_front_pages_loop_serves_connections_that_close_or_are_kept() {
    for setup in CLOSED_AND_KEPT {
        interop::run(&LOOP, setup, ground::EMBEDDED);
    }
}

#[test]
fn the_guides_loop_serves_connections_that_close_or_are_kept() {
    for setup in CLOSED_AND_KEPT {
        interop::run(&GUIDE, setup, ground::LENGTHS);
    }
}

#[test]
fn loops_answer_what_they_are_asked_before_a_request() {
    interop::run(&EMBEDDED, &HAPROXY_GET_VALUES, ground::PAGES);
    interop::run(&LOOP, &HAPROXY_GET_VALUES, ground::PAGES);
    interop::run(&GUIDE, &HAPROXY_GET_VALUES, ground::LENGTHS);
}

#[test]
fn embedded_io_guards_files() {
    interop::run(&EMBEDDED, &LIGHTTPD_AUTHORIZER, interop::cases::AUTHORIZER);
}

#[test]
fn loops_that_are_no_authorizer_refuse_at_once() {
    for subject in [&LOOP, &GUIDE] {
        interop::run(subject, &LIGHTTPD_AUTHORIZER, ground::NO_AUTHORIZER);
    }
}
