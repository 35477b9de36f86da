//! What the benches that start servers share.
#![allow(dead_code)] // Each bench uses a part.

#[path = "../../../fcgi-blocking/tests/support/executable.rs"]
mod executable;
pub(crate) mod results;
pub(crate) mod server;

/// Whether this run is only to show that the bench works: `cargo bench -- --test`.
pub(crate) fn is_test() -> bool {
    std::env::args().any(|argument| argument == "--test")
}
