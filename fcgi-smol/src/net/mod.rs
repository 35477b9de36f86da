//! Sockets that wait without blocking, and what a connection runs over.

pub(crate) mod clock;
#[cfg(not(shuttle))]
pub(crate) mod listener;
#[cfg(not(shuttle))]
pub(crate) mod socket;
pub(crate) mod sync;
pub(crate) mod transport;

// What stands in for sockets and time where shuttle runs the threads.
#[cfg(shuttle)]
#[path = "../../tests/shuttle/memory/mod.rs"]
pub mod memory;
#[cfg(shuttle)]
pub(crate) use memory::{listener, socket};
