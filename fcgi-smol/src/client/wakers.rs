//! Who waits for a connection: the tasks of its requests. A socket wakes one task only, so what it wakes is
//! this, which wakes them all; the first that is polled reads and writes for all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

#[derive(Debug)]
pub(crate) struct Wakers {
    /// Whether reading or writing may get further.
    ready: AtomicBool,
    /// A place for each request.
    waiting: Mutex<Vec<Option<Waker>>>,
}

impl Wakers {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { ready: AtomicBool::new(true), waiting: Mutex::default() })
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    /// To be cleared before the socket is tried, which may set it again at once.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::SeqCst);
    }

    /// Remembers whom to wake. To be called before looking at what is waited for, lest it come in between.
    pub(crate) fn register(&self, place: usize, waker: &Waker) {
        let mut waiting = self.waiting();
        if waiting.len() <= place {
            waiting.resize(place + 1, None);
        }
        match &mut waiting[place] {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// The one at a place, to be woken or forgotten.
    pub(crate) fn take(&self, place: usize) -> Option<Waker> {
        self.waiting().get_mut(place)?.take()
    }

    /// Everyone, to be woken.
    pub(crate) fn take_all(&self) -> Vec<Waker> {
        self.waiting().iter_mut().filter_map(Option::take).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Option<Waker>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set_ready(true);
        self.take_all().into_iter().for_each(Waker::wake);
    }
}
