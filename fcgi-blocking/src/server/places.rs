//! The places for connections: at most so many at once; who waits for one has the longest idle closed.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::net::stream::Stream;

/// How long a connection on which nothing came yet may take to its first request when the server stops: the
/// request may be under way.
const LAST_CALL: Duration = Duration::from_secs(1);

/// The same, when others wait for its place.
const CROWDED_CALL: Duration = Duration::from_millis(250);

pub(crate) struct Places {
    limit: usize,
    /// What the times in [`Presence::idle_since`] count from.
    epoch: Instant,
    /// Whether someone waits for connections to fall idle, be busy or end; else they tell nobody and take no
    /// lock. It is set before presences are looked at, and looked at after a presence is set, so that one of
    /// the two sees the other.
    watched: AtomicBool,
    state: Mutex<State>,
    /// Some connection ended or fell idle, or the server stops.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    taken: BTreeMap<u64, Taken>,
    next: u64,
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
    presence: Arc<Presence>,
    /// Its reading half was shut down: it ends once it has answered what it had already got.
    closing: bool,
}

/// What a connection says of itself.
struct Presence {
    /// When it began to wait for a request, in nanoseconds; 0 while it does not.
    idle_since: AtomicU64,
    /// Nothing came on it yet.
    fresh: AtomicBool,
}

impl Places {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            epoch: Instant::now(),
            watched: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
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
        let presence = Arc::new(Presence { idle_since: AtomicU64::new(0), fresh: AtomicBool::new(true) });
        state.taken.insert(number, Taken { stream, presence: Arc::clone(&presence), closing: false });
        Some(Place { places: self, number, presence })
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
        self.changed.notify_all();
        self.watched.store(true, Ordering::SeqCst);
        for taken in state.taken.values_mut().filter(|taken| !taken.is_fresh()) {
            taken.close_if_idle();
        }
        while state.taken.values().any(Taken::is_fresh) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.phase = Phase::Stopped;
        for taken in state.taken.values_mut() {
            taken.close_if_idle();
        }
    }

    /// Closes connections that are idle for `limit`, until the server stops. So no connection needs a timer of
    /// its own for the wait that almost all are in.
    pub(crate) fn close_idle(&self, limit: Duration) {
        let limit = limit.max(Duration::from_millis(1));
        let mut state = self.lock();
        while state.phase == Phase::Serving {
            let now = self.epoch.elapsed();
            let mut wait = limit;
            for taken in state.taken.values_mut() {
                let Some(since) = taken.idle_since() else { continue };
                match limit.saturating_add(Duration::from_nanos(since)).checked_sub(now) {
                    Some(left) if !left.is_zero() => wait = wait.min(left),
                    _ => taken.close_if_idle(),
                }
            }
            // Who falls idle meanwhile is closed no sooner than that.
            state = self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Has the longest idle connection closed, if no idle one is closing yet, and waits for a change. If
    /// nothing came on it yet, it has until [`CROWDED_CALL`] is over.
    fn wait_for_one<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        mut limit: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        self.watched.store(true, Ordering::SeqCst);
        let idle = state.taken.values_mut().filter_map(|taken| Some((taken.idle_since()?, taken)));
        let longest = idle.min_by_key(|(since, taken)| (!taken.closing, *since));
        if let Some((since, longest)) = longest {
            let idle = self.epoch.elapsed().saturating_sub(Duration::from_nanos(since));
            match CROWDED_CALL.checked_sub(idle).filter(|_| longest.is_fresh()) {
                Some(left) => limit = Some(limit.unwrap_or(left).min(left)),
                None => longest.close_if_idle(),
            }
        }
        let state = match limit {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0,
        };
        self.watched.store(state.phase != Phase::Serving, Ordering::SeqCst);
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and the state is whole at every point.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn is_fresh(&self) -> bool {
        self.presence.fresh.load(Ordering::SeqCst)
    }

    fn idle_since(&self) -> Option<u64> {
        Some(self.presence.idle_since.load(Ordering::SeqCst)).filter(|&since| since != 0)
    }

    fn close_if_idle(&mut self) {
        if !self.closing && self.idle_since().is_some() {
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
    presence: Arc<Presence>,
}

impl Place<'_> {
    /// The connection waits for a request; `false` if it is to close instead. When the server stops, what
    /// the client has sent already is still read.
    pub(crate) fn idle(&self) -> bool {
        let now = u64::try_from(self.places.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.presence.idle_since.store(now.max(1), Ordering::SeqCst);
        if !self.places.watched.load(Ordering::SeqCst) {
            return true;
        }
        let mut state = self.places.lock();
        let (all_wait, fresh_wait) = (state.phase == Phase::Serving, state.phase == Phase::LastCall);
        let Some(taken) = state.taken.get_mut(&self.number) else { return false };
        if taken.closing {
            return false;
        }
        let waits = all_wait || (fresh_wait && taken.is_fresh());
        if !waits {
            taken.close_if_idle();
        }
        self.places.changed.notify_all();
        true
    }

    /// Something came.
    pub(crate) fn busy(&self) {
        self.presence.idle_since.store(0, Ordering::SeqCst);
        if self.presence.fresh.load(Ordering::Relaxed) {
            self.presence.fresh.store(false, Ordering::SeqCst);
        }
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
