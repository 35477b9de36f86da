//! Sockets that wait without blocking, and what a connection runs over.

pub(crate) mod clock;
pub(crate) mod listener;
pub(crate) mod socket;
pub(crate) mod transport;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Nothing that is locked here is left half done by a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
