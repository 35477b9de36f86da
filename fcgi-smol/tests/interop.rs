//! The example `inspect` behind real web servers: the table of `fcgi-blocking`, and what only a server of
//! many requests on one connection can show.
//!
//! A web server that is not installed is skipped with a line on stderr, or fails the test if
//! `FCGI_REQUIRE_INTEROP=1`. `FCGI_INSPECT=/path` puts another application under test.
#![cfg(unix)]

#[path = "../../fcgi-blocking/tests/interop/mod.rs"]
mod interop;
#[path = "interop/one_connection.rs"]
mod one_connection;
#[path = "../../fcgi-blocking/tests/interop/table.rs"]
mod table;
#[path = "interop/wire.rs"]
mod wire;

use interop::Subject;

const SUBJECT: Subject = Subject { package: env!("CARGO_PKG_NAME"), example: "inspect" };
