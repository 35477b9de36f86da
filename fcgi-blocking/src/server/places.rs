//! The places for connections: at most so many at once; who waits for one has the longest waiting closed.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fcgi_proto::server::session::{Leave, Waiting};

use crate::net::exhaustion::Exhaustion;
use crate::net::stream::Stream;
use crate::net::{clock, lock};

pub(crate) struct Places {
    limit: usize,
    /// Whether someone looks for connections that wait; else they tell nobody. It is set before a presence is looked
    /// at, and looked at after a presence was set, so that one of the two sees the other.
    watched: AtomicBool,
    state: Mutex<State>,
    /// Some connection ended or began to wait.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    taken: BTreeMap<u64, Arc<Taken>>,
    next: u64,
}

struct Taken {
    stream: Arc<Stream>,
    presence: Mutex<Presence>,
}

#[derive(Default)]
struct Presence {
    /// Whether the connection waits for a request.
    waiting: Option<Waiting>,
    /// Its reading half was shut down: it ends once it has answered what it had already got.
    leaves: Option<Leave>,
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

    /// Waits for a place; `None` if the server is to stop meanwhile, which is asked now and then.
    pub(crate) fn take(&self, stream: Arc<Stream>, stops: impl Fn() -> bool) -> Option<Place<'_>> {
        let mut state = lock(&self.state);
        while state.taken.len() >= self.limit {
            if stops() {
                return None;
            }
            state = self.wait_for_one(state, Exhaustion::PAUSE);
        }
        let number = state.next;
        state.next += 1;
        let taken = Arc::new(Taken { stream, presence: Mutex::default() });
        state.taken.insert(number, Arc::clone(&taken));
        Some(Place { places: self, number, taken })
    }

    /// Waits, when descriptors or memory have run out, until a connection has ended, at most `limit`.
    pub(crate) fn wait_for_release(&self, limit: Duration) {
        drop(self.wait_for_one(lock(&self.state), limit));
    }

    /// Closes all connections, each when it may be, and waits until that is done; what has not ended after `limit`
    /// is cut off. Those that answer meanwhile are told when they wait next.
    pub(crate) fn stop(&self, limit: Duration) {
        let mut state = lock(&self.state);
        let now = clock::now();
        let until = now.saturating_add(limit);
        self.watched.store(true, Ordering::SeqCst);
        while !state.taken.is_empty() {
            let left = until.saturating_sub(clock::now());
            if left.is_zero() {
                // Who is gone already needs nothing. A handler that waits for something else ends when it does.
                state.taken.values().for_each(|taken| drop(taken.stream.shutdown(Shutdown::Both)));
                break;
            }
            let next = Self::close_waiting(&state, Leave::Shutdown, now);
            state = self.wait(state, next.unwrap_or(left).min(left));
        }
    }

    /// Closes those that have waited for a request for as long as they may; how long to wait until the next look, at
    /// most `limit`: none that begins to wait after this has to be closed earlier.
    pub(crate) fn close_idle(&self, limit: Duration) -> Duration {
        let left = Self::close_waiting(&lock(&self.state), Leave::Idle, clock::now());
        left.unwrap_or(limit).min(limit)
    }

    /// Closes those that may be closed for this reason, since then; how long until the next one may be.
    fn close_waiting(state: &State, why: Leave, since: Duration) -> Option<Duration> {
        state.taken.values().filter_map(|taken| taken.close(why, since)).min()
    }

    /// Has the longest waiting connection closed, if none is closing yet, and waits for a change, at most `limit`.
    fn wait_for_one<'a>(&self, state: MutexGuard<'a, State>, limit: Duration) -> MutexGuard<'a, State> {
        self.watched.store(true, Ordering::SeqCst);
        let waiting = state.taken.values().filter_map(|taken| {
            let presence = lock(&taken.presence);
            Some((presence.leaves.is_none(), presence.waiting?.since, taken))
        });
        let longest = waiting.min_by_key(|(stays, since, _)| (*stays, *since));
        let left = longest.and_then(|(.., taken)| taken.close(Leave::Crowded, clock::now()));
        let state = self.wait(state, left.unwrap_or(limit).min(limit));
        self.watched.store(false, Ordering::SeqCst);
        state
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, limit: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Taken {
    /// Closes the connection, for a reason that holds since then, if it waits and is not closing; or how long until
    /// it may be closed.
    fn close(&self, why: Leave, since: Duration) -> Option<Duration> {
        let mut presence = lock(&self.presence);
        let waiting = presence.waiting.filter(|_| presence.leaves.is_none())?;
        let left = waiting.may_close_at(why, since).saturating_sub(clock::now());
        if left.is_zero() {
            // One that has something to read waits no longer; that the server is shut down it is told when it does.
            presence.leaves = Some(why).filter(|why| self.stream.end_input() || *why == Leave::Shutdown);
        }
        Some(left).filter(|left| !left.is_zero())
    }
}

/// One connection's place; given back when dropped.
pub(crate) struct Place<'p> {
    places: &'p Places,
    number: u64,
    taken: Arc<Taken>,
}

impl Place<'_> {
    /// Whether the connection waits for a request; if it is to leave and does not know, why.
    pub(crate) fn waits(&self, waiting: Option<Waiting>) -> Option<Leave> {
        let mut presence = lock(&self.taken.presence);
        presence.waiting = waiting;
        let leaves = presence.leaves.filter(|_| waiting.is_none_or(|waiting| !waiting.leaving));
        drop(presence);
        if self.places.watched.load(Ordering::SeqCst) {
            let _state = lock(&self.places.state);
            self.places.changed.notify_all();
        }
        leaves
    }

    /// Why the connection is to leave, if so.
    pub(crate) fn leaves(&self) -> Option<Leave> {
        lock(&self.taken.presence).leaves
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.places.state);
        state.taken.remove(&self.number);
        self.places.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::{self, Receiver};
    use std::thread;
    use std::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    /// Somebody who waits for a place, without a limit of his own: when he looks again.
    fn waits_for_a_place(places: &'static Places) -> Receiver<()> {
        let (looks, looked) = mpsc::channel();
        thread::spawn(move || {
            places.wait_for_release(Duration::MAX);
            looks.send(()).unwrap();
        });
        looked
    }

    /// With its peer.
    fn taken() -> (&'static Places, Place<'static>, UnixStream) {
        let places: &Places = Box::leak(Box::new(Places::new(1)));
        let (stream, peer) = UnixStream::pair().unwrap();
        (places, places.take(Arc::new(stream.into()), || false).unwrap(), peer)
    }

    fn fresh(until: Option<Duration>) -> Waiting {
        Waiting { since: clock::now(), comes: true, begun: false, leaving: false, until }
    }

    #[test]
    fn who_looks_after_idle_connections_looks_again_when_the_next_one_may_be_closed() {
        let (places, place, _peer) = taken();
        assert_eq!(places.close_idle(2 * HOUR), 2 * HOUR, "none waits");
        place.waits(Some(fresh(None)));
        assert_eq!(places.close_idle(2 * HOUR), 2 * HOUR, "it has a limit of its own");
        place.waits(Some(fresh(Some(clock::now() + HOUR))));
        assert!(places.close_idle(2 * HOUR) <= HOUR);
        assert_eq!(place.leaves(), None);
        place.waits(Some(fresh(Some(clock::now()))));
        assert_eq!((places.close_idle(2 * HOUR), place.leaves()), (2 * HOUR, Some(Leave::Idle)));
    }

    #[test]
    fn a_connection_to_which_something_came_stays_and_is_told_of_a_shutdown_when_it_waits_next() {
        for why in [Leave::Idle, Leave::Crowded, Leave::Shutdown] {
            let (_, place, mut peer) = taken();
            let mut stream = &*place.taken.stream;
            stream.set_nonblocking(true).unwrap();
            let since = clock::now();
            let waiting = Some(Waiting { comes: false, ..fresh(Some(since)) });
            place.waits(waiting);
            peer.write_all(b"a request").unwrap();
            assert_eq!(place.taken.close(why, since), None);
            assert_eq!(stream.read(&mut [0; 100]).unwrap(), 9);
            assert_eq!(
                stream.read(&mut [0]).unwrap_err().kind(),
                ErrorKind::WouldBlock,
                "what follows comes too"
            );
            assert_eq!(place.waits(waiting), Some(why).filter(|why| *why == Leave::Shutdown));
            assert_eq!(
                (place.taken.close(Leave::Idle, since), stream.read(&mut [0]).ok()),
                (None, (why != Leave::Shutdown).then_some(0))
            );
        }
    }

    #[test]
    fn who_waits_for_a_place_looks_again_when_one_may_be_closed() {
        let (places, place, _peer) = taken();
        place.waits(Some(fresh(None)));
        waits_for_a_place(places).recv_timeout(PATIENCE).unwrap();
    }

    #[test]
    fn who_waits_for_a_place_looks_again_when_a_connection_begins_to_wait() {
        let (places, place, _peer) = taken();
        let looked = waits_for_a_place(places);
        let since = Instant::now();
        while looked.try_recv().is_err() {
            assert!(since.elapsed() < PATIENCE, "nobody looks");
            place.waits(None);
            thread::yield_now();
        }
    }
}
