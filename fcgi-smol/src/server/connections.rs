//! The connections of a server: at most so many at once; who is given up when room is needed or the server stops.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fcgi_blocking::{Ends, Peer};
use fcgi_proto::server::session::{Leave, Waiting};
use smol::channel::{self, Receiver, Sender};
use smol::future::FutureExt;

use crate::net::clock;
use crate::net::sync::{Arc, AtomicBool, AtomicUsize, Mutex, Ordering, Timer, lock};
use crate::net::transport::Transport;
use crate::server::connection::Connection;
use crate::server::requests::Active;
use crate::server::settings::Settings;
use crate::server::spares::Spares;

/// Requests at once on one connection, as GET_VALUES tells.
const REQUESTS: usize = 64;

/// As many as are taken. HAProxy counts a request as done at its Content-Length, before its END_REQUEST, begins
/// another, and drops a connection that refuses it.
pub(crate) const SLOTS: usize = REQUESTS + 32;

/// Bytes of a buffer for output that is kept.
const KEPT_OUT: usize = 128 * 1024;

/// What all connections of a server share.
pub(crate) struct Common {
    pub(crate) settings: Settings,
    pub(crate) ends: Ends,
    pub(crate) inputs: Spares<Box<[u8]>>,
    pub(crate) outs: Spares<VecDeque<u8>>,
    pub(crate) requests: Spares<Box<Active>>,
    /// Requests that wait for a handler, or have one.
    running: AtomicUsize,
    /// Bytes of memory that came from clients.
    memory: AtomicUsize,
    /// A connection waits for room: others tell when they wait for a request.
    crowded: AtomicBool,
    /// Some connection ended, or waits for a request. One such note is enough.
    changed: (Sender<()>, Receiver<()>),
}

impl Common {
    pub(crate) fn new(settings: Settings, stop: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            ends: Ends::new(settings.watcher, settings.max_requests_per_process, stop),
            settings: settings.checked(REQUESTS),
            inputs: Spares::default(),
            outs: Spares::default(),
            requests: Spares::default(),
            running: AtomicUsize::new(0),
            memory: AtomicUsize::new(0),
            crowded: AtomicBool::new(false),
            changed: channel::bounded(1),
        })
    }

    /// A buffer was written from.
    pub(crate) fn put_out(&self, mut out: VecDeque<u8>) {
        if (1..=KEPT_OUT).contains(&out.capacity()) {
            out.clear();
            self.outs.put(out);
        }
    }

    /// Whether one more request may begin; it does then.
    pub(crate) fn begin(&self) -> bool {
        add(&self.running, 1, self.settings.max_requests)
    }

    /// A request is over: its handler is, if it was started.
    pub(crate) fn end(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether there is memory for so many bytes; it is taken then.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        bytes == 0 || add(&self.memory, bytes, self.settings.memory)
    }

    pub(crate) fn release(&self, bytes: usize) {
        if bytes > 0 {
            self.memory.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// A connection waits for a request.
    pub(crate) fn tell_waiting(&self) {
        if self.crowded.load(Ordering::Relaxed) {
            self.tell_changed();
        }
    }

    fn tell_changed(&self) {
        let _ = self.changed.0.try_send(());
    }

    /// Waits until something has changed, perhaps before this call.
    async fn change(&self) {
        // It is never closed.
        let _ = self.changed.1.recv().await;
    }
}

/// Adds to the count what keeps it within its limit.
fn add(count: &AtomicUsize, more: usize, limit: usize) -> bool {
    let added = |count: usize| count.checked_add(more).filter(|count| *count <= limit);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added).is_ok()
}

pub(crate) struct Connections {
    common: Arc<Common>,
    /// By their addresses in memory.
    table: Mutex<BTreeMap<usize, Arc<Connection>>>,
}

impl Connections {
    pub(crate) fn new(common: Arc<Common>) -> Arc<Self> {
        Arc::new(Self { common, table: Mutex::default() })
    }

    /// A connection that begins.
    pub(crate) fn add(&self, transport: Box<dyn Transport>, peer: Peer) -> Arc<Connection> {
        let connection = Connection::new(transport, peer, Arc::clone(&self.common));
        lock(&self.table).insert(Arc::as_ptr(&connection).addr(), Arc::clone(&connection));
        connection
    }

    /// A connection has ended.
    pub(crate) fn remove(&self, connection: &Arc<Connection>) {
        lock(&self.table).remove(&Arc::as_ptr(connection).addr());
        self.common.tell_changed();
    }

    pub(crate) fn is_full(&self) -> bool {
        lock(&self.table).len() >= self.common.settings.max_connections.max(1)
    }

    fn list(&self) -> Vec<Arc<Connection>> {
        lock(&self.table).values().cloned().collect()
    }

    /// Gives up the longest waiting connection, unless one is leaving already, and waits for a change, at most
    /// for `limit`.
    pub(crate) async fn give_up_longest_waiting(&self, limit: Duration) {
        self.common.crowded.store(true, Ordering::Relaxed);
        let list = self.list();
        let waiting = list
            .iter()
            .filter_map(|connection| Some((connection.with(|state| state.session.waiting())?, connection)));
        let longest = waiting.min_by_key(|(Waiting { leaving, since, .. }, _)| (!leaving, *since));
        if let Some((Waiting { leaving: false, .. }, connection)) = longest {
            connection.leave(Leave::Crowded, clock::now());
        }
        let pause = async { _ = Timer::after(limit).await };
        self.common.change().or(pause).await;
        self.common.crowded.store(false, Ordering::Relaxed);
    }

    /// Gives all connections up, and waits until they have ended.
    pub(crate) async fn leave(&self) {
        let now = clock::now();
        self.list().iter().for_each(|connection| connection.leave(Leave::Shutdown, now));
        while !lock(&self.table).is_empty() {
            self.common.change().await;
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
