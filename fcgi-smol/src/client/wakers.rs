//! Who waits for a connection: the tasks of its requests. A socket wakes one task only, so what it wakes is
//! this, which wakes them all; the first that is polled reads and writes for all.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// No waker is run or dropped while this, or the connection, is locked: what it wakes may come back here.
#[derive(Debug)]
pub(crate) struct Wakers(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Whether reading or writing may get further.
    ready: bool,
    /// How many have the connection locked or wait for it, and whether all are to be woken once nobody does.
    held: usize,
    all: bool,
    /// A place for each request.
    waiting: Vec<Option<Waker>>,
}

impl Wakers {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { ready: true, held: 0, all: false, waiting: Vec::new() })))
    }

    /// Remembers whom to wake. To be called before looking at what is waited for, lest it come in between.
    pub(crate) fn register(&self, place: usize, waker: &Waker) {
        let waker = waker.clone();
        let mut state = self.lock();
        if state.waiting.len() <= place {
            state.waiting.resize(place + 1, None);
        }
        let before = state.waiting[place].replace(waker);
        drop(state);
        drop(before);
    }

    /// The one at a place, to be woken or forgotten.
    pub(crate) fn take(&self, place: usize) -> Option<Waker> {
        self.lock().waiting.get_mut(place)?.take()
    }

    /// Whether the socket is to be tried, which is so again once it wakes.
    pub(crate) fn take_ready(&self) -> bool {
        mem::take(&mut self.lock().ready)
    }

    pub(crate) fn set_ready(&self) {
        self.lock().ready = true;
    }

    /// Everyone is to be woken once the connection is not locked.
    pub(crate) fn wake_all(&self) {
        let mut state = self.lock();
        (state.ready, state.all) = (true, true);
    }

    /// The connection is locked from now on.
    pub(crate) fn hold(&self) {
        self.lock().held += 1;
    }

    /// It is not any more.
    pub(crate) fn release(&self) {
        self.lock().held -= 1;
        self.wake_if_free();
    }

    fn wake_if_free(&self) {
        let mut state = self.lock();
        if state.held > 0 || !mem::take(&mut state.all) {
            return;
        }
        let woken = mem::take(&mut state.waiting);
        drop(state);
        woken.into_iter().flatten().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
        self.wake_if_free();
    }
}
