//! The places for connections: at most so many at once; who waits for one has the longest waiting closed.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fcgi_proto::server::session::{Leave, Waiting};

use crate::net::clock;
use crate::net::stream::Stream;

pub(crate) struct Places {
    limit: usize,
    /// Whether someone looks for connections that wait; else they tell nobody and take no lock. It is set before
    /// presences are looked at, and looked at after a presence is set, so that one of the two sees the other.
    watched: AtomicBool,
    state: Mutex<State>,
    /// Some connection ended or began to wait, or the server stops.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    taken: BTreeMap<u64, Taken>,
    next: u64,
    /// Since when the server is shut down.
    stopping: Option<Duration>,
}

struct Taken {
    stream: Arc<Stream>,
    presence: Arc<Presence>,
    /// Its reading half was shut down: it ends once it has answered what it had already got.
    leaves: Option<Leave>,
}

/// Since when a connection waits for a request, in nanoseconds without the lowest three bits, which say that it
/// waits and of what kind that is; 0 while it does not.
#[derive(Default)]
struct Presence(AtomicU64);

impl Presence {
    fn set(&self, waiting: Option<Waiting>) {
        let packed = waiting.map_or(0, |Waiting { since, comes, begun }| {
            let since = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX) & !7;
            since | u64::from(begun) << 2 | u64::from(comes) << 1 | 1
        });
        self.0.store(packed, Ordering::SeqCst);
    }

    fn get(&self) -> Option<Waiting> {
        let packed = Some(self.0.load(Ordering::SeqCst)).filter(|&packed| packed != 0)?;
        let since = Duration::from_nanos(packed & !7);
        Some(Waiting { since, comes: packed & 2 != 0, begun: packed & 4 != 0 })
    }
}

impl Places {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            watched: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Waits for a place; `None` once the server stops.
    pub(crate) fn take(&self, stream: Arc<Stream>) -> Option<Place<'_>> {
        let mut state = self.lock();
        while state.taken.len() >= self.limit && state.stopping.is_none() {
            state = self.wait_for_one(state, None);
        }
        if state.stopping.is_some() {
            return None;
        }
        let number = state.next;
        state.next += 1;
        let presence = Arc::<Presence>::default();
        state.taken.insert(number, Taken { stream, presence: Arc::clone(&presence), leaves: None });
        Some(Place { places: self, number, presence })
    }

    /// Waits, when descriptors or memory have run out, until a connection has ended, at most `limit`.
    pub(crate) fn wait_for_release(&self, limit: Duration) {
        drop(self.wait_for_one(self.lock(), Some(limit)));
    }

    /// Closes all connections, each when it may be, and waits until that is done; what has not ended after `limit`
    /// is cut off. Those that answer meanwhile are told when they wait next.
    pub(crate) fn stop(&self, limit: Duration) {
        let mut state = self.lock();
        let now = clock::now();
        let until = now.saturating_add(limit);
        state.stopping = Some(now);
        self.watched.store(true, Ordering::SeqCst);
        self.changed.notify_all();
        while !state.taken.is_empty() {
            let left = until.saturating_sub(clock::now());
            if left.is_zero() {
                // Who is gone already needs nothing. A handler that waits for something else ends when it does.
                state.taken.values().for_each(|taken| drop(taken.stream.shutdown(Shutdown::Both)));
                break;
            }
            let next = self.close_waiting(&mut state);
            state = self.wait(state, Some(next.unwrap_or(left).min(left)));
        }
    }

    /// Closes those that may be closed now that the server stops; when the next one may be.
    fn close_waiting(&self, state: &mut State) -> Option<Duration> {
        let (since, now) = (state.stopping?, clock::now());
        let mut next: Option<Duration> = None;
        for taken in state.taken.values_mut().filter(|taken| taken.leaves.is_none()) {
            let Some(waiting) = taken.presence.get() else { continue };
            match waiting.may_close_at(Leave::Shutdown, since).checked_sub(now).filter(|left| !left.is_zero())
            {
                Some(left) => next = Some(next.unwrap_or(left).min(left)),
                None => taken.close(Leave::Shutdown),
            }
        }
        next
    }

    /// Has the longest waiting connection closed, if none is closing yet, and waits for a change.
    fn wait_for_one<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        mut limit: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        self.watched.store(true, Ordering::SeqCst);
        let now = clock::now();
        let waiting = state.taken.values_mut().filter_map(|taken| Some((taken.presence.get()?, taken)));
        let longest = waiting.min_by_key(|(waiting, taken)| (taken.leaves.is_none(), waiting.since));
        if let Some((waiting, longest)) = longest {
            let left = waiting.may_close_at(Leave::Crowded, now).saturating_sub(now);
            if left.is_zero() {
                longest.close(Leave::Crowded);
            } else {
                limit = Some(limit.unwrap_or(left).min(left));
            }
        }
        let state = self.wait(state, limit);
        self.watched.store(state.stopping.is_some(), Ordering::SeqCst);
        state
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, limit: Option<Duration>) -> MutexGuard<'a, State> {
        match limit {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and the state is whole at every point.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn close(&mut self, why: Leave) {
        if self.leaves.is_none() {
            self.leaves = Some(why);
            // A peer that is gone already is read as the end just the same.
            let _ = self.stream.shutdown(Shutdown::Read);
        }
    }
}

/// One connection's place; given back when dropped.
pub(crate) struct Place<'p> {
    places: &'p Places,
    number: u64,
    presence: Arc<Presence>,
}

impl Place<'_> {
    /// The connection waits for a request, unless it is to leave: why.
    pub(crate) fn wait(&self, waiting: Waiting) -> Option<Leave> {
        self.presence.set(Some(waiting));
        if !self.places.watched.load(Ordering::SeqCst) {
            return None;
        }
        let mut state = self.places.lock();
        let leaves = state.taken.get(&self.number)?.leaves;
        if leaves.is_none() {
            // What the client has sent already is still read.
            self.places.close_waiting(&mut state);
        }
        self.places.changed.notify_all();
        leaves
    }

    /// Why the connection is to leave, if so.
    pub(crate) fn leaves(&self) -> Option<Leave> {
        self.places.lock().taken.get(&self.number)?.leaves
    }

    /// Something came.
    pub(crate) fn busy(&self) {
        self.presence.set(None);
        if self.places.watched.load(Ordering::SeqCst) {
            // If it was about to close, who waits for its place has to look for another.
            let _state = self.places.lock();
            self.places.changed.notify_all();
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.places.lock();
        state.taken.remove(&self.number);
        self.places.changed.notify_all();
    }
}
