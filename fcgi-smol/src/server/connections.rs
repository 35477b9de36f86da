//! The connections of a server: at most so many at once; who is given up when room is needed or the server stops;
//! one timer for the waits of all.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_io::Timer;
use fcgi_blocking::Peer;
use fcgi_proto::server::session::{Leave, Waiting};
use smol::channel::{self, Receiver, Sender};
use smol::future::{self, FutureExt};

use crate::net::clock;
use crate::net::transport::Transport;
use crate::server::connection::Connection;
use crate::server::settings::Settings;
use crate::server::spares::Spares;

/// Requests at once on one connection, as GET_VALUES tells.
const REQUESTS: usize = 64;

/// As many as are taken. HAProxy counts a request as done at its Content-Length, before its END_REQUEST, begins
/// another, and drops a connection that refuses it.
pub(crate) const SLOTS: usize = REQUESTS + 32;

/// What all connections of a server share.
pub(crate) struct Common {
    pub(crate) settings: Settings,
    pub(crate) spares: Spares,
    pub(crate) timers: Timers,
    /// Requests that are not over.
    requests: AtomicUsize,
    /// Bytes of memory that came from clients.
    memory: AtomicUsize,
    /// A connection waits for room: others tell when they wait for a request.
    crowded: AtomicBool,
    /// Some connection ended, or waits for a request.
    change: Signal,
}

impl Common {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            settings: settings.checked(REQUESTS),
            spares: Spares::default(),
            timers: Timers::default(),
            requests: AtomicUsize::new(0),
            memory: AtomicUsize::new(0),
            crowded: AtomicBool::new(false),
            change: Signal::default(),
        })
    }

    /// Whether one more request may begin; it does then.
    pub(crate) fn begin(&self) -> bool {
        add(&self.requests, 1, self.settings.max_requests)
    }

    /// A request is over, with this much memory.
    pub(crate) fn end(&self, memory: usize) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
        self.release(memory);
    }

    /// Whether there is memory for so many bytes; it is taken then.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        add(&self.memory, bytes, self.settings.memory)
    }

    pub(crate) fn release(&self, bytes: usize) {
        self.memory.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// A connection waits for a request.
    pub(crate) fn tell_waiting(&self) {
        if self.crowded.load(Ordering::Relaxed) {
            self.change.tell();
        }
    }
}

/// Adds to the count what keeps it within its limit.
fn add(count: &AtomicUsize, more: usize, limit: usize) -> bool {
    if count.fetch_add(more, Ordering::Relaxed).saturating_add(more) <= limit {
        return true;
    }
    count.fetch_sub(more, Ordering::Relaxed);
    false
}

/// Something changed, once or more often.
struct Signal(Sender<()>, Receiver<()>);

impl Default for Signal {
    fn default() -> Self {
        let (sender, receiver) = channel::bounded(1);
        Self(sender, receiver)
    }
}

impl Signal {
    fn tell(&self) {
        // If one change waits to be seen, that is enough.
        let _ = self.0.try_send(());
    }

    /// Waits until something has changed, perhaps before this call.
    async fn wait(&self) {
        // It is never closed.
        let _ = self.1.recv().await;
    }
}

/// When connections are to be looked at.
#[derive(Default)]
pub(crate) struct Timers {
    due: Mutex<BTreeMap<(Duration, u64), Arc<Connection>>>,
    /// One is due sooner than was known.
    sooner: Signal,
}

impl Timers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Duration, u64), Arc<Connection>>> {
        // No code panics while it holds the lock.
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the connection looked at at this time, and not as was said before.
    pub(crate) fn set(
        &self,
        number: u64,
        before: Option<Duration>,
        at: Duration,
        connection: &Arc<Connection>,
    ) {
        let mut due = self.lock();
        if let Some(before) = before {
            due.remove(&(before, number));
        }
        due.insert((at, number), Arc::clone(connection));
        let first = due.first_key_value().is_some_and(|(key, _)| *key == (at, number));
        drop(due);
        if first {
            self.sooner.tell();
        }
    }

    pub(crate) fn forget(&self, number: u64, at: Option<Duration>) {
        let connection = at.and_then(|at| self.lock().remove(&(at, number)));
        drop(connection);
    }

    /// The next that is due by now, or when it will be.
    fn next(&self, now: Duration) -> Result<Arc<Connection>, Option<Duration>> {
        let mut due = self.lock();
        let first = due.first_entry().ok_or(None)?;
        if first.key().0 > now { Err(Some(first.key().0)) } else { Ok(first.remove()) }
    }
}

pub(crate) struct Connections {
    common: Arc<Common>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    connections: BTreeMap<u64, Arc<Connection>>,
    next: u64,
}

impl Connections {
    pub(crate) fn new(common: Arc<Common>) -> Arc<Self> {
        Arc::new(Self { common, table: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // No code panics while it holds the lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that begins, and its place.
    pub(crate) fn take(
        self: &Arc<Self>,
        transport: Box<dyn Transport>,
        peer: Peer,
    ) -> (Arc<Connection>, Place) {
        let mut table = self.lock();
        let number = table.next;
        table.next += 1;
        let connection = Connection::new(transport, peer, number, Arc::clone(&self.common));
        table.connections.insert(number, Arc::clone(&connection));
        (connection, Place { connections: Arc::clone(self), number })
    }

    pub(crate) fn is_full(&self) -> bool {
        self.lock().connections.len() >= self.common.settings.max_connections.max(1)
    }

    /// Waits until there is room for one more, for which the longest waiting connection is given up.
    pub(crate) async fn room(&self) {
        while self.is_full() {
            self.give_up_longest_waiting(None).await;
        }
    }

    fn list(&self) -> Vec<Arc<Connection>> {
        self.lock().connections.values().cloned().collect()
    }

    /// Gives up the longest waiting connection, unless one is leaving already, and waits for a change, at most
    /// for `limit`.
    pub(crate) async fn give_up_longest_waiting(&self, limit: Option<Duration>) {
        let Common { crowded, change, .. } = &*self.common;
        crowded.store(true, Ordering::Relaxed);
        let list = self.list();
        let waiting = list.iter().filter_map(|connection| Some((connection.waiting()?, connection)));
        let longest = waiting.min_by_key(|((leaving, Waiting { since, .. }), _)| (!leaving, *since));
        if let Some(((false, _), connection)) = longest {
            connection.leave(Leave::Crowded, clock::now());
        }
        let pause = async {
            match limit {
                Some(limit) => drop(Timer::after(limit).await),
                None => future::pending().await,
            }
        };
        change.wait().or(pause).await;
        crowded.store(false, Ordering::Relaxed);
    }

    /// Gives all connections up, and waits until they have ended.
    pub(crate) async fn leave(&self) {
        let now = clock::now();
        self.list().iter().for_each(|connection| connection.leave(Leave::Shutdown, now));
        while !self.lock().connections.is_empty() {
            self.common.change.wait().await;
        }
    }

    /// Ends the waits whose limits have passed, for ever. So no connection needs a timer of its own.
    pub(crate) async fn expire<O>(&self) -> O {
        let Common { timers, .. } = &*self.common;
        loop {
            let now = clock::now();
            match timers.next(now) {
                Ok(connection) => connection.expire(now),
                Err(at) => {
                    let due = async {
                        match at {
                            Some(at) => drop(Timer::after(at.saturating_sub(now)).await),
                            None => future::pending().await,
                        }
                    };
                    timers.sooner.wait().or(due).await;
                }
            }
        }
    }
}

/// Ends all connections when it is dropped.
pub(crate) struct CloseAll<'c>(pub(crate) &'c Connections);

impl Drop for CloseAll<'_> {
    fn drop(&mut self) {
        self.0.list().iter().for_each(|connection| connection.kill());
    }
}

/// One connection's place; given back when dropped.
pub(crate) struct Place {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().connections.remove(&self.number);
        self.connections.common.change.tell();
    }
}
