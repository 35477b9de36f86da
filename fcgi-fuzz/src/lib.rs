//! The fuzz targets' bodies. The binaries in `fuzz_targets` call them under libFuzzer, `tests/replay.rs` calls
//! them on stable with the corpus and with every input that once failed.
//!
//! A target reads its input as a plan of a fixed length (which connection, which limits, where to cut, what the
//! application does), and then the bytes or operations themselves. It panics if something does not hold.
#![forbid(unsafe_code)]

#[cfg(feature = "adapters")]
mod adapters;
mod cgi_head;
mod cgi_request;
mod client_bytes;
mod glue;
mod pairs;
mod plan;
mod server_bytes;
mod session;
pub mod simulation;

/// The reader of records, which knows nothing of the crate, and the rules that records keep.
#[path = "../../fcgi-proto/tests/support/mod.rs"]
mod support;
#[path = "../../fcgi-proto/tests/support/client.rs"]
mod web_server;

#[cfg(feature = "adapters")]
pub use adapters::adapters;
pub use cgi_head::cgi_head;
pub use cgi_request::cgi_request;
pub use client_bytes::client_bytes;
pub use pairs::pairs;
pub use server_bytes::server_bytes;
pub use session::session;
pub use simulation::simulation;

/// What is run with one input.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: &[(&str, Target)] = &[
    #[cfg(feature = "adapters")]
    ("adapters", adapters),
    ("cgi_head", cgi_head),
    ("cgi_request", cgi_request),
    ("client_bytes", client_bytes),
    ("pairs", pairs),
    ("server_bytes", server_bytes),
    ("session", session),
    ("simulation", simulation),
];

/// Runs a target once with each of the files that are this process's arguments.
///
/// # Errors
/// Those of reading a file.
pub fn replay(target: Target) -> std::io::Result<()> {
    for path in std::env::args_os().skip(1) {
        target(&std::fs::read(path)?);
    }
    Ok(())
}
