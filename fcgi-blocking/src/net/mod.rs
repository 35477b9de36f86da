//! Sockets: addresses, listeners, streams, and what a connection runs over.

pub(crate) mod clock;
pub(crate) mod endpoint;
pub(crate) mod exhaustion;
pub(crate) mod listener;
pub(crate) mod peer;
pub(crate) mod signals;
pub(crate) mod spool;
pub(crate) mod stream;
pub(crate) mod transport;
