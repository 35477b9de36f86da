//! A clock, and timers for its moments.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

shuttle::lazy_static! {
    static ref CLOCK: Mutex<Clock> = Default::default();
}

#[derive(Default)]
struct Clock {
    now: Duration,
    timers: u64,
    /// Who waits, and for when, by the numbers of their timers.
    waiting: BTreeMap<u64, (Duration, Waker)>,
}

fn clock<T>(action: impl FnOnce(&mut Clock) -> T) -> T {
    action(&mut CLOCK.lock().expect("it is not poisoned"))
}

/// Lets so much time go by, and calls whom that concerns.
pub fn pass(time: Duration) {
    go_on(time);
    call();
}

/// Lets so much time go by: who looks finds that it is later, before anybody is called for it.
pub fn go_on(time: Duration) {
    clock(|clock| clock.now += time);
}

/// Calls those whose time has come.
pub fn call() {
    let due: Vec<_> = clock(|clock| {
        let numbers = clock.waiting.iter().filter(|(_, (at, _))| *at <= clock.now).map(|(number, _)| *number);
        let numbers: Vec<_> = numbers.collect();
        numbers.iter().filter_map(|number| clock.waiting.remove(number)).map(|(_, waker)| waker).collect()
    });
    due.into_iter().for_each(Waker::wake);
}

#[derive(Debug)]
pub(crate) struct Instant;

impl Instant {
    pub(crate) fn now() -> Self {
        Self
    }

    /// Since the clock's beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        clock(|clock| clock.now)
    }
}

#[derive(Debug)]
pub(crate) struct Timer {
    number: u64,
    at: Option<Duration>,
}

impl Timer {
    pub(crate) fn never() -> Self {
        let number = clock(|clock| {
            clock.timers += 1;
            clock.timers
        });
        Self { number, at: None }
    }

    pub(crate) fn after(time: Duration) -> Self {
        let mut timer = Self::never();
        timer.set_after(time);
        timer
    }

    /// Who waited for it before is not called any more, until it is polled.
    pub(crate) fn set_after(&mut self, time: Duration) {
        self.at = clock(|clock| {
            clock.waiting.remove(&self.number);
            clock.now.checked_add(time)
        });
    }
}

impl Future for Timer {
    type Output = Instant;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Instant> {
        let Some(at) = self.at else { return Poll::Pending };
        let is_due = clock(|clock| {
            if at > clock.now {
                clock.waiting.insert(self.number, (at, cx.waker().clone()));
            } else {
                // Who finds that it is late is not called for it any more.
                clock.waiting.remove(&self.number);
            }
            at <= clock.now
        });
        if !is_due {
            return Poll::Pending;
        }
        self.at = None;
        Poll::Ready(Instant)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        clock(|clock| drop(clock.waiting.remove(&self.number)));
    }
}
