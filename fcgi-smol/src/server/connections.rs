//! The connections of a server: at most so many at once; who waits too long, or is idle when room is needed,
//! is closed.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_io::Timer;
use smol::future::{self, FutureExt};

use crate::server::connection::{Common, Connection};

/// How long a connection on which nothing came yet may take to its first request when the server stops: the
/// request may be under way.
const LAST_CALL: Duration = Duration::from_secs(1);

/// The same, when others wait for its place.
const CROWDED_CALL: Duration = Duration::from_millis(250);

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

    pub(crate) fn take(self: &Arc<Self>, connection: Arc<Connection>) -> Place {
        let mut table = self.lock();
        let number = table.next;
        table.next += 1;
        table.connections.insert(number, connection);
        Place { connections: Arc::clone(self), number }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.lock().connections.len() >= self.common.settings.max_connections.max(1)
    }

    /// Waits until there is room for one more, for which the longest idle connection is closed.
    pub(crate) async fn room(&self) {
        while self.is_full() {
            self.common.crowded.store(true, Ordering::Relaxed);
            self.close_longest_idle();
            self.change_within(CROWDED_CALL).await;
        }
        self.common.crowded.store(false, Ordering::Relaxed);
    }

    /// Waits until a connection has ended, or has fallen idle for one that waits for room; perhaps before this
    /// call.
    pub(crate) async fn change(&self) {
        // It is never closed.
        let _ = self.common.change.1.recv().await;
    }

    /// The same, but for at most that long.
    pub(crate) async fn change_within(&self, limit: Duration) {
        let pause = async {
            Timer::after(limit).await;
        };
        self.change().or(pause).await;
    }

    fn list(&self) -> Vec<Arc<Connection>> {
        self.lock().connections.values().cloned().collect()
    }

    /// Has the longest idle connection closed, unless an idle one is closing already.
    pub(crate) fn close_longest_idle(&self) {
        let list = self.list();
        let idle = list.iter().filter_map(|connection| Some((connection.idle_since()?, connection)));
        if let Some(((_, since), longest)) = idle.min_by_key(|((leaving, since), _)| (!leaving, *since)) {
            longest.leave(Some(since + CROWDED_CALL));
        }
    }

    /// Closes idle connections now and each other one when it falls idle, until all have ended.
    pub(crate) async fn leave(&self) {
        let last_call = Instant::now() + LAST_CALL;
        let leave = |last_call| self.list().iter().for_each(|connection| connection.leave(last_call));
        leave(Some(last_call));
        let ends = async {
            while !self.lock().connections.is_empty() {
                self.change().await;
            }
        };
        let last_call = async {
            Timer::at(last_call).await;
            leave(None);
            future::pending().await
        };
        ends.or(last_call).await;
    }

    /// Ends the waits whose limits have passed, for ever. So no connection needs a timer of its own.
    pub(crate) async fn expire<O>(&self) -> O {
        loop {
            let now = Instant::now();
            // Who begins to wait meanwhile is late no sooner than that.
            let mut next = now + self.common.settings.shortest_wait();
            for connection in self.list() {
                if let Some(deadline) = connection.expire(now) {
                    next = next.min(deadline);
                }
            }
            Timer::at(next.max(now + Duration::from_millis(1))).await;
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
        self.connections.common.tell_change();
    }
}
