//! Who is connected: so many at a time, and of those that ask for nothing the oldest makes room.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use smol::channel::{self, Receiver, Sender};
use smol::lock::{Semaphore, SemaphoreGuardArc};

/// How long there has to be room until the log says that there is.
const CALM: Duration = Duration::from_secs(10);

/// Nothing is ever sent on these channels: they close.
#[derive(Clone)]
pub(crate) enum Never {}

pub(crate) struct Places {
    count: usize,
    free: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those that ask for nothing, in the order in which they began to.
    idle: BTreeMap<u64, Sender<Never>>,
    next: u64,
    /// Whether someone waits for a place.
    wanted: bool,
    crowd: Crowd,
}

impl Places {
    pub(crate) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { count, free: Arc::new(Semaphore::new(count)), state: Mutex::default() })
    }

    /// A place for a connection, and what closes when it is to go.
    pub(crate) async fn take(self: &Arc<Self>) -> (Arc<Place>, Receiver<Never>) {
        let free = match self.free.try_acquire_arc() {
            Some(free) => {
                if let Some(count) = self.lock().crowd.end(Instant::now()) {
                    log::warn!("there is room again; {count} connections were closed for others");
                }
                free
            }
            None => {
                self.make_room(format_args!("all {} connections are taken", self.count));
                let free = self.free.acquire_arc().await;
                self.lock().wanted = false;
                free
            }
        };
        let (leave, left) = channel::bounded(1);
        let place = Place {
            places: Arc::clone(self),
            leave,
            idle: Mutex::default(),
            asked: false.into(),
            cut: false.into(),
            _free: free,
        };
        place.set_idle(true);
        (Arc::new(place), left)
    }

    /// Has the oldest connection that asks for nothing go, now or once there is one.
    pub(crate) fn make_room(&self, why: impl Display) {
        let mut state = self.lock();
        state.wanted = true;
        if state.crowd.begin(Instant::now()) {
            log::warn!("{why}; for each further one the oldest that asks for nothing is closed");
        }
        state.make_room();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The oldest idle one goes, if someone waits.
    fn make_room(&mut self) {
        if self.wanted {
            let oldest = self.idle.pop_first();
            self.wanted = oldest.is_none();
            if let Some((_, leave)) = oldest {
                self.crowd.turn_away();
                leave.close();
            }
        }
    }
}

/// More connections than there is room for, as the log has it: a line when it begins, and one when it is over.
#[derive(Default)]
pub(crate) struct Crowd {
    /// When there was no room last.
    last: Option<Instant>,
    /// How many went for others since it began.
    turned_away: u64,
}

impl Crowd {
    /// There is no room: whether that is new.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        self.last.replace(now).is_none()
    }

    pub(crate) fn turn_away(&mut self) {
        self.turned_away += 1;
    }

    /// There is room: how many were turned away, if it is over now.
    pub(crate) fn end(&mut self, now: Instant) -> Option<u64> {
        self.last.take_if(|last| now.duration_since(*last) >= CALM)?;
        Some(mem::take(&mut self.turned_away))
    }
}

/// A connection's.
pub(crate) struct Place {
    places: Arc<Places>,
    leave: Sender<Never>,
    /// Its number among those that ask for nothing.
    idle: Mutex<Option<u64>>,
    asked: AtomicBool,
    cut: AtomicBool,
    _free: SemaphoreGuardArc,
}

impl Place {
    /// From now on it asks for something, until this is dropped.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.asked.store(true, Ordering::SeqCst);
        self.set_idle(false);
        Busy(Arc::clone(self))
    }

    /// Whether it ever asked for something.
    pub(crate) fn has_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Whether its last answer was cut, which only the way in which it is closed tells.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    fn set_idle(&self, is_idle: bool) {
        let mut number = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.places.lock();
        number.take().and_then(|number| state.idle.remove(&number));
        if is_idle {
            state.next += 1;
            let next = *number.insert(state.next);
            state.idle.insert(next, self.leave.clone());
            state.make_room();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.set_idle(false);
    }
}

/// While a request is answered.
pub(crate) struct Busy(Arc<Place>);

impl Busy {
    /// The answer is cut, and its end is to be told by a reset.
    pub(crate) fn cut(&self) {
        self.0.cut.store(true, Ordering::SeqCst);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set_idle(true);
    }
}
