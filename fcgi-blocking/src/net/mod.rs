//! What both sides stand on: addresses, listeners, streams, what a connection runs over, lines for the log.

pub(crate) mod clock;
pub(crate) mod endpoint;
pub(crate) mod ends;
pub(crate) mod exhaustion;
pub(crate) mod listener;
pub(crate) mod log;
pub(crate) mod peer;
pub(crate) mod signals;
#[cfg_attr(not(feature = "tracing"), path = "no_span.rs")]
pub(crate) mod span;
pub(crate) mod spool;
pub(crate) mod stream;
pub(crate) mod transport;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Nothing that is locked here is left half done by a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
