//! What no connection needs at the moment, so that none is made for each request and idle connections hold none.

use crate::net::sync::{Mutex, lock};

/// How many are kept.
const KEPT: usize = 64;

/// Buffers, or what else is worth keeping.
pub(crate) struct Spares<T>(Mutex<Vec<T>>);

impl<T> Default for Spares<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Spares<T> {
    pub(crate) fn get(&self, make: impl FnOnce() -> T) -> T {
        let spare = lock(&self.0).pop();
        spare.unwrap_or_else(make)
    }

    pub(crate) fn put(&self, spare: T) {
        let mut spares = lock(&self.0);
        if spares.len() < KEPT {
            spares.push(spare);
        }
    }
}
