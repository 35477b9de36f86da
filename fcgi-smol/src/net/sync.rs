//! Locks, time and work that blocks: std's, async-io's and smol's, or those of the tests in `tests/shuttle`, which run
//! the threads in orders of their choice.

pub(crate) use std::sync::{Arc, PoisonError, TryLockError, Weak};

#[cfg(shuttle)]
pub(crate) use super::memory::time::{Instant, Timer};
#[cfg(shuttle)]
pub(crate) use super::memory::unblock;
#[cfg(not(shuttle))]
pub(crate) use async_io::Timer;
#[cfg(shuttle)]
pub(crate) use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
#[cfg(not(shuttle))]
pub(crate) use smol::unblock;
#[cfg(not(shuttle))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
#[cfg(not(shuttle))]
pub(crate) use std::time::Instant;

/// Nothing that is locked here is left half done by a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
