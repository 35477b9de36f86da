//! Sockets that wait without blocking, and what a connection runs over.

pub(crate) mod clock;
pub(crate) mod listener;
pub(crate) mod socket;
pub(crate) mod transport;
