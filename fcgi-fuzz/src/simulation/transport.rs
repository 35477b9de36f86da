//! One direction of a connection: it cuts, delays, stops taking bytes, ends and is reset.

use std::collections::VecDeque;
use std::time::Duration;

/// How a direction ends for its reader, behind what is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Closed,
    Reset,
}

#[derive(Debug)]
pub(super) struct Pipe {
    flight: VecDeque<u8>,
    /// Bytes that are under way at most.
    pub(super) room: usize,
    /// When its reader gets something again, and when its writer gets rid of something.
    pub(super) arrives_at: Duration,
    pub(super) takes_at: Duration,
    pub(super) ends: Option<Ends>,
    /// Nobody reads any more: writing fails.
    pub(super) unread: bool,
}

impl Pipe {
    pub(super) fn new(room: usize) -> Self {
        Self {
            flight: VecDeque::new(),
            room,
            arrives_at: Duration::ZERO,
            takes_at: Duration::ZERO,
            ends: None,
            unread: false,
        }
    }

    /// Bytes that can be written now.
    pub(super) fn takes(&self, now: Duration) -> usize {
        if now < self.takes_at { 0 } else { self.room.saturating_sub(self.flight.len()) }
    }

    /// Whether a write would fail, or take something.
    pub(super) fn is_writable(&self, now: Duration) -> bool {
        self.unread || self.ends.is_some() || self.takes(now) > 0
    }

    pub(super) fn write(&mut self, bytes: impl IntoIterator<Item = u8>) {
        self.flight.extend(bytes);
    }

    pub(super) fn is_readable(&self, now: Duration) -> bool {
        now >= self.arrives_at && (!self.flight.is_empty() || self.ends.is_some())
    }

    /// Some of what came, or how it ends.
    pub(super) fn read(&mut self, most: usize) -> Result<Vec<u8>, Ends> {
        match self.flight.len().min(most.max(1)) {
            0 => Err(self.ends.unwrap_or(Ends::Closed)),
            count => Ok(self.flight.drain(..count).collect()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flight.is_empty()
    }

    /// What is under way is lost.
    pub(super) fn reset(&mut self) {
        self.flight.clear();
        self.ends = Some(Ends::Reset);
    }

    /// Nothing more is written.
    pub(super) fn end(&mut self) {
        self.ends.get_or_insert(Ends::Closed);
    }

    /// When it goes on by itself.
    pub(super) fn wakes_at(&self, now: Duration) -> Option<Duration> {
        let arrives = (self.arrives_at > now && !(self.flight.is_empty() && self.ends.is_none()))
            .then_some(self.arrives_at);
        let takes = (self.takes_at > now).then_some(self.takes_at);
        [arrives, takes].into_iter().flatten().filter(|at| *at != Duration::MAX).min()
    }
}
