//! The client against real back ends: the cases of the blocking one.
//!
//! A back end that is not installed is skipped with a line on stderr, or fails the test if
//! `FCGI_REQUIRE_INTEROP=1`.
#![cfg(unix)]

#[path = "adapter/client.rs"]
mod adapter;

#[path = "../../fcgi-blocking/tests/backends/mod.rs"]
mod backends;
