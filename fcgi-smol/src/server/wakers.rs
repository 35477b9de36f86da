//! Who is to be woken, and when: never under a lock, for a waker may own what the lock guards.

use std::task::Waker;

use smallvec::SmallVec;

/// How many wait at first without any being woken.
const FEW: usize = 8;

/// As many at the most.
const MANY: usize = 1024;

/// Tasks that wait for something. Those of futures that were dropped are not known: when there are many, all are
/// woken, and those that still wait come back.
pub(crate) struct Wakers {
    waiting: SmallVec<[Waker; 1]>,
    limit: usize,
}

impl Default for Wakers {
    fn default() -> Self {
        Self { waiting: SmallVec::new(), limit: FEW }
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
        if !self.waiting.is_empty() {
            wakes.extend(self.waiting.drain(..));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Wakers that are to be called once the lock is released.
pub(crate) type Wakes = SmallVec<[Waker; 2]>;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn of_many_who_wait_all_are_woken() {
        let (mut wakers, mut wakes) = (Wakers::default(), Wakes::new());
        for count in 1..=10 * MANY {
            wakers.register(&Waker::from(Arc::new(Task)), &mut wakes);
            assert!(wakers.waiting.len() <= MANY);
            assert_eq!(wakers.waiting.len() + wakes.len(), count);
        }
    }
}
