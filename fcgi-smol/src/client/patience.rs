//! How long a request waits for its application: one timer, set when a limit begins to be near, not at every
//! wait.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_io::Timer;

use super::ClientError;

#[derive(Debug)]
pub(crate) struct Patience {
    /// What is waited for, and how far it had come when the waiting began.
    waiting: Option<(&'static str, u64)>,
    /// When that ends; `None` without limit.
    deadline: Option<Instant>,
    timer: Timer,
    /// When the timer goes off: at the deadline or before.
    set: Option<Instant>,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self { waiting: None, deadline: None, timer: Timer::never(), set: None }
    }

    /// Nothing is waited for that has a limit.
    pub(crate) fn rest(&mut self) {
        self.waiting = None;
    }

    /// Waits until the application does `what`, which has come as far as `mark` says; it is an error when
    /// nothing changes for longer than `limit`.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        what: &'static str,
        mark: u64,
        limit: Duration,
    ) -> Poll<ClientError> {
        if self.waiting != Some((what, mark)) {
            self.waiting = Some((what, mark));
            self.deadline = Instant::now().checked_add(limit);
        }
        let Some(deadline) = self.deadline else { return Poll::Pending };
        if self.set.is_none_or(|set| set > deadline) {
            self.set(deadline);
        }
        while Pin::new(&mut self.timer).poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(ClientError::TimedOut { what, limit });
            }
            self.set(deadline);
        }
        Poll::Pending
    }

    fn set(&mut self, at: Instant) {
        self.timer.set_at(at);
        self.set = Some(at);
    }
}
