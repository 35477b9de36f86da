//! The clock: what time it is, as everything that decides is told it, and a timer for a moment.

use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::net::sync::{Instant, Timer};

/// The time since it was first asked for.
pub(crate) fn now() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Waits until a moment, again and again: its timer is set when one is near, not at every wait.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: Timer,
    /// When the timer goes off: at what is waited for or before.
    set: Option<Duration>,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self { timer: Timer::never(), set: None }
    }

    /// Ready once `at` is past.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, at: Duration) -> Poll<()> {
        if at < self.set.unwrap_or(Duration::MAX) {
            self.set(at);
        }
        while Pin::new(&mut self.timer).poll(cx).is_ready() {
            self.set = None;
            if now() >= at {
                return Poll::Ready(());
            }
            self.set(at);
        }
        Poll::Pending
    }

    /// Whether it goes off between `now` and `at` by itself, as long as its task is woken as before.
    pub(crate) fn is_set(&self, now: Duration, at: Duration) -> bool {
        self.set.is_some_and(|set| now < set && set <= at)
    }

    fn set(&mut self, at: Duration) {
        self.timer.set_after(at.saturating_sub(now()));
        self.set = Some(at);
    }
}
