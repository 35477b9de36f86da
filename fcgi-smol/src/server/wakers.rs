//! Who is to be woken, and when: never under a lock, for a waker may own what the lock guards.

use std::mem;
use std::task::Waker;

/// How many wait at first without any being woken.
const FEW: usize = 8;

/// As many at the most.
const MANY: usize = 1024;

/// Tasks that wait for something. Those of futures that were dropped are not known: when there are many, all are
/// woken, and those that still wait come back.
pub(crate) struct Wakers {
    waiting: Vec<Waker>,
    limit: usize,
}

impl Default for Wakers {
    fn default() -> Self {
        Self { waiting: Vec::new(), limit: FEW }
    }
}

impl Wakers {
    pub(crate) fn register(&mut self, waker: &Waker, wakes: &mut Wakes) {
        if self.waiting.iter().any(|known| known.will_wake(waker)) {
            return;
        }
        if self.waiting.len() == self.limit {
            self.limit = (2 * self.limit).min(MANY);
            self.wake(wakes);
        }
        self.waiting.push(waker.clone());
    }

    /// Has all of them woken.
    pub(crate) fn wake(&mut self, wakes: &mut Wakes) {
        while let Some(waker) = self.waiting.pop() {
            wakes.push(waker);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Wakers that are to be called once the lock is released.
#[derive(Default)]
pub(crate) struct Wakes {
    first: Option<Waker>,
    more: Vec<Waker>,
}

impl Wakes {
    pub(crate) fn push(&mut self, waker: Waker) {
        match &self.first {
            None => self.first = Some(waker),
            Some(_) => self.more.push(waker),
        }
    }

    /// All of them, if there are any.
    pub(crate) fn take(&mut self) -> Option<Self> {
        self.first.is_some().then(|| mem::take(self))
    }

    pub(crate) fn wake(self) {
        self.first.into_iter().chain(self.more).for_each(Waker::wake);
    }
}
