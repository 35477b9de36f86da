//! The clock of embassy-time: the ticks of [`clock`], and who waits for one of them.

use core::cell::RefCell;
use core::task::Waker;

use critical_section::{Mutex, with};
use embassy_time_driver::{Driver, time_driver_impl};
use embassy_time_queue_utils::Queue;

use crate::clock;

struct Ticks(Mutex<RefCell<State>>);

struct State {
    /// Milliseconds since the start.
    now: u64,
    waiting: Queue,
}

time_driver_impl!(static TICKS: Ticks = Ticks(Mutex::new(RefCell::new(State { now: 0, waiting: Queue::new() }))));

impl Driver for Ticks {
    fn now(&self) -> u64 {
        with(|cs| self.0.borrow_ref(cs).now)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // The next tick looks who is due.
        with(|cs| self.0.borrow_ref_mut(cs).waiting.schedule_wake(at, waker));
    }
}

/// Counts a millisecond, and wakes who is due: what the exception `SysTick` of a program with embassy is to do.
pub fn tick() {
    clock::tick();
    with(|cs| {
        let mut state = TICKS.0.borrow_ref_mut(cs);
        state.now += 1;
        let now = state.now;
        state.waiting.next_expiration(now);
    });
}
