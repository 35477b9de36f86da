//! The example `inspect` behind real web servers: one table of cases, run on every set-up.
//!
//! A web server that is not installed is skipped with a line on stderr, or fails the test if
//! `FCGI_REQUIRE_INTEROP=1`. `FCGI_INSPECT=/path` puts another application under test.
#![cfg(unix)]

#[path = "interop/mod.rs"]
mod interop;
#[path = "interop/table.rs"]
mod table;

use interop::Subject;

const SUBJECT: Subject = Subject { package: env!("CARGO_PKG_NAME"), example: "inspect" };
