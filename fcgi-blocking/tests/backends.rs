//! The client against real back ends: one table of cases, run on every set-up.
//!
//! A back end that is not installed is skipped with a line on stderr, or fails the test if
//! `FCGI_REQUIRE_INTEROP=1`.
#![cfg(unix)]

mod adapter {
    pub(crate) use fcgi_blocking::{Client, Outgoing};
}

#[path = "backends/mod.rs"]
mod backends;
