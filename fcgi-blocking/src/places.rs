//! The places for connections: at most so many at once; who waits for one has the longest idle closed.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::stream::Stream;

/// How long a connection on which nothing came yet may take to its first request when the server stops: the
/// request may be under way.
const LAST_CALL: Duration = Duration::from_secs(1);

pub(crate) struct Places {
    limit: usize,
    state: Mutex<State>,
    /// Some connection ended or fell idle, or the server stops.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    taken: BTreeMap<u64, Taken>,
    next: u64,
    /// Counts how often connections fell idle, to tell which did first.
    idle_count: u64,
    waiting: bool,
    phase: Phase,
}

#[derive(Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Serving,
    /// Only connections on which nothing came yet may wait for a request.
    LastCall,
    Stopped,
}

struct Taken {
    stream: Arc<Stream>,
    /// Nothing came on it yet.
    fresh: bool,
    idle_since: Option<u64>,
    /// Its reading half was shut down: it ends once it has answered what it had already got.
    closing: bool,
}

impl Places {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits for a place; `None` once the server stops.
    pub(crate) fn take(&self, stream: Arc<Stream>) -> Option<Place<'_>> {
        let mut state = self.lock();
        while state.taken.len() >= self.limit && state.phase == Phase::Serving {
            state = self.wait_for_one(state, None);
        }
        if state.phase != Phase::Serving {
            return None;
        }
        let number = state.next;
        state.next += 1;
        state.taken.insert(number, Taken { stream, fresh: true, idle_since: None, closing: false });
        Some(Place { places: self, number })
    }

    /// Waits, when descriptors or memory have run out, until a connection has ended, at most `limit`.
    pub(crate) fn wait_for_release(&self, limit: Duration) {
        drop(self.wait_for_one(self.lock(), Some(limit)));
    }

    /// Closes idle connections now and each other one when it falls idle.
    pub(crate) fn stop(&self) {
        let until = Instant::now() + LAST_CALL;
        let mut state = self.lock();
        state.phase = Phase::LastCall;
        state.waiting = true;
        for taken in state.taken.values_mut().filter(|taken| !taken.fresh && taken.idle_since.is_some()) {
            taken.close();
        }
        while state.taken.values().any(|taken| taken.fresh) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.phase = Phase::Stopped;
        for taken in state.taken.values_mut().filter(|taken| taken.idle_since.is_some()) {
            taken.close();
        }
    }

    /// Has the longest idle connection closed, if no idle one is closing yet, and waits for a change.
    fn wait_for_one<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        limit: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        let idle = state.taken.values_mut().filter(|taken| taken.idle_since.is_some());
        if let Some(longest) = idle.min_by_key(|taken| (!taken.closing, taken.idle_since)) {
            longest.close();
        }
        state.waiting = true;
        let mut state = match limit {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0,
        };
        state.waiting = false;
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and the state is whole at every point.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn close(&mut self) {
        if !self.closing {
            self.closing = true;
            // A peer that is gone already is read as the end just the same.
            let _ = self.stream.shutdown(Shutdown::Read);
        }
    }
}

/// One connection's place; given back when dropped.
pub(crate) struct Place<'p> {
    places: &'p Places,
    number: u64,
}

impl Place<'_> {
    /// The connection waits for a request; `false` if it is to close instead. When the server stops, what
    /// the client has sent already is still read.
    pub(crate) fn idle(&self) -> bool {
        let mut state = self.places.lock();
        state.idle_count += 1;
        let now = state.idle_count;
        let (all_wait, fresh_wait) = (state.phase == Phase::Serving, state.phase == Phase::LastCall);
        let Some(taken) = state.taken.get_mut(&self.number) else { return false };
        if taken.closing {
            return false;
        }
        let waits = all_wait || (fresh_wait && taken.fresh);
        if !waits {
            taken.close();
        }
        taken.idle_since = Some(now);
        if state.waiting {
            self.places.changed.notify_all();
        }
        true
    }

    /// Something came.
    pub(crate) fn busy(&self) {
        let mut state = self.places.lock();
        let Some(taken) = state.taken.get_mut(&self.number) else { return };
        taken.idle_since = None;
        // If it was about to close, who waits for its place has to look for another.
        if (std::mem::take(&mut taken.fresh) || taken.closing) && state.waiting {
            self.places.changed.notify_all();
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.places.lock();
        state.taken.remove(&self.number);
        if state.waiting {
            self.places.changed.notify_all();
        }
    }
}
