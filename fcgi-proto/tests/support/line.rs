//! A connection's other end, in memory, on which time passes only while nothing comes or goes: for loops of all kinds.

#![allow(dead_code, reason = "every file of tests uses a part of it")]

use core::cell::Cell;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use embedded_io_07 as blocking_io;
use embedded_io_async_07 as async_io;
use fcgi_proto::server::session::Waiting;
use fcgi_proto::{embedded_io_07 as blocking, embedded_io_async_07 as asynchronous};

/// How the client goes on when all of its bytes are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Then {
    /// It closes its direction.
    Closes,
    /// It waits for this side to close, and closes then.
    Waits,
    /// It says and does no more.
    IsSilent,
}

/// The client, as it is when nothing was read or written yet.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) unread: &'a [u8],
    /// How many bytes a read brings, at most.
    pub(crate) step: usize,
    pub(crate) then: Then,
    /// How many bytes the client takes.
    pub(crate) room: usize,
    pub(crate) sent: Vec<u8>,
    /// How many of these have not been flushed.
    pub(crate) unflushed: usize,
    /// A flush waits for the client, which does not acknowledge what it takes.
    pub(crate) holds: bool,
    /// How many bytes were sent when this side ended its direction.
    pub(crate) shut_at: Option<usize>,
}

impl<'a> Line<'a> {
    pub(crate) fn new(unread: &'a [u8], then: Then) -> Self {
        Self {
            unread,
            step: usize::MAX,
            then,
            room: usize::MAX,
            sent: vec![],
            unflushed: 0,
            holds: false,
            shut_at: None,
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        let ends = self.then == Then::Closes || self.then == Then::Waits && self.shut_at.is_some();
        !self.unread.is_empty() || ends
    }

    pub(crate) fn take(&mut self, buffer: &mut [u8]) -> usize {
        assert!(self.is_ready(), "a read would wait");
        assert_eq!(self.unflushed, 0, "it waits for an answer to what has not left");
        let count = self.unread.len().min(self.step).min(buffer.len());
        let (now, rest) = self.unread.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.unread = rest;
        count
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> usize {
        assert_eq!(self.shut_at, None, "written after the end");
        let count = self.step.min(bytes.len()).min(self.room - self.sent.len());
        self.sent.extend(&bytes[..count]);
        self.unflushed += count;
        count
    }

    pub(crate) fn shut(&mut self) {
        assert_eq!(self.unflushed, 0, "ended before all has left");
        assert_eq!(self.shut_at.replace(self.sent.len()), None, "ended twice");
    }
}

impl blocking_io::ErrorType for Line<'_> {
    type Error = Infallible;
}

impl blocking_io::Read for Line<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        Ok(self.take(buffer))
    }
}

impl blocking_io::ReadReady for Line<'_> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.is_ready())
    }
}

impl blocking_io::Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(self.put(bytes))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        self.unflushed = 0;
        Ok(())
    }
}

impl blocking_io::WriteReady for Line<'_> {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.room > self.sent.len())
    }
}

impl async_io::Read for Line<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        poll_fn(|_| if self.is_ready() { Poll::Ready(Ok(self.take(buffer))) } else { Poll::Pending }).await
    }
}

impl async_io::Write for Line<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let there_is_room = self.room > self.sent.len();
        poll_fn(|_| if there_is_room { Poll::Ready(Ok(self.put(bytes))) } else { Poll::Pending }).await
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        if self.holds {
            core::future::pending::<()>().await;
        }
        self.unflushed = 0;
        Ok(())
    }
}

/// A clock that a wait sets, and whether the line can be half closed.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Cell<Duration>,
    pub(crate) half_closes: bool,
    pub(crate) is_crowded: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { now: Cell::new(Duration::ZERO), half_closes: true, is_crowded: false }
    }

    fn pass(&self, until: Option<Duration>) {
        let until = until.expect("a limit: it would wait for ever");
        assert!(until > self.now.get() || until == Duration::ZERO, "it waits for what has passed");
        self.now.set(until);
    }
}

impl<'a> blocking::Platform<Line<'a>> for World {
    fn now(&self) -> Duration {
        self.now.get()
    }

    fn wait(&self, until: Option<Duration>) {
        self.pass(until);
    }

    fn shut_down(&self, line: &mut Line<'a>) -> Result<bool, Infallible> {
        line.shut();
        Ok(self.half_closes)
    }

    fn gives_way(&self, _: Waiting) -> bool {
        self.is_crowded
    }
}

impl<'a> asynchronous::Platform<Line<'a>> for World {
    fn now(&self) -> Duration {
        self.now.get()
    }

    async fn wait(&self, until: Option<Duration>) {
        self.pass(until);
    }

    async fn shut_down(&self, line: &mut Line<'a>) -> Result<bool, Infallible> {
        line.shut();
        Ok(self.half_closes)
    }

    fn gives_way(&self, _: Waiting) -> bool {
        self.is_crowded
    }
}

/// What a future ends with that waits for nothing but the [`World`].
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits for nothing"),
    }
}
