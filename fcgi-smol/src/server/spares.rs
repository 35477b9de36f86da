//! Buffers that no connection needs at the moment, so that none is made for each request and idle connections
//! hold none.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::server::active::{Active, Begin};
use crate::server::settings::Settings;

/// Room for one read: a whole request as web servers send it, and a whole record of a large body.
const READ_ROOM: usize = 64 * 1024 + 512;

/// How many of each are kept.
const KEPT: usize = 64;

/// Bytes of a buffer for output that is kept.
const KEPT_OUT: usize = 128 * 1024;

#[derive(Default)]
pub(crate) struct Spares {
    inputs: Mutex<Vec<Box<[u8]>>>,
    outs: Mutex<Vec<Vec<u8>>>,
    #[expect(clippy::vec_box, reason = "they move from connection to connection, and are large")]
    requests: Mutex<Vec<Box<Active>>>,
}

impl Spares {
    /// A buffer to read into.
    pub(crate) fn input(&self) -> Box<[u8]> {
        lock(&self.inputs).pop().unwrap_or_else(|| vec![0; READ_ROOM].into_boxed_slice())
    }

    pub(crate) fn put_input(&self, input: Box<[u8]>) {
        put(&self.inputs, input);
    }

    /// An empty buffer to write from.
    pub(crate) fn out(&self) -> Vec<u8> {
        lock(&self.outs).pop().unwrap_or_default()
    }

    pub(crate) fn put_out(&self, mut out: Vec<u8>) {
        if out.capacity() <= KEPT_OUT {
            out.clear();
            put(&self.outs, out);
        }
    }

    pub(crate) fn request(&self, begin: Begin, settings: &Settings) -> Box<Active> {
        match lock(&self.requests).pop() {
            Some(mut request) => {
                request.begin = begin;
                request
            }
            None => Box::new(Active::new(begin, settings)),
        }
    }

    pub(crate) fn put_request(&self, mut request: Box<Active>) {
        request.clear();
        put(&self.requests, request);
    }
}

fn lock<T>(spares: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    // No code panics while it holds the lock.
    spares.lock().unwrap_or_else(PoisonError::into_inner)
}

fn put<T>(spares: &Mutex<Vec<T>>, spare: T) {
    let mut spares = lock(spares);
    if spares.len() < KEPT {
        spares.push(spare);
    }
}
