//! The stream as an async one: reads, writes and flushes that have to wait, and a client that waits for
//! answers. Only the last waker of each direction is woken, and before that nothing moves.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use arbitrary::{Result, Unstructured};
use smol::io::{AsyncRead, AsyncWrite};

use super::case::record_len;
use super::stream::Stream;
use crate::support::END;

/// One direction's waits.
struct Waits {
    /// Every so many calls have to wait; 0 for none.
    period: u8,
    calls: u8,
    waker: Option<Waker>,
}

impl Waits {
    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let period = match u.arbitrary::<u8>()? % 8 {
            0 => 0,
            period => period + 1,
        };
        Ok(Self { period, calls: 0, waker: None })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waker.is_none() {
            self.calls = self.calls.wrapping_add(1);
            if self.period == 0 || self.calls % self.period != 0 {
                return Poll::Ready(());
            }
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

pub(super) struct Polled {
    pub(super) stream: Stream,
    reads: Waits,
    writes: Waits,
    /// Where the client waits, and for how many END_REQUEST in all; the last is the next.
    client: Vec<(usize, usize)>,
    /// Who reads meanwhile.
    reader: Option<Waker>,
    /// Bytes of whole records that the client got, and END_REQUEST among them.
    got: usize,
    ends: usize,
    closed: bool,
}

impl Polled {
    /// Reads how it waits.
    pub(super) fn new(u: &mut Unstructured<'_>, stream: Stream) -> Result<Self> {
        let (reads, writes) = (Waits::new(u)?, Waits::new(u)?);
        Ok(Self { stream, reads, writes, client: Vec::new(), reader: None, got: 0, ends: 0, closed: false })
    }

    /// Where the client waits.
    pub(super) fn waits(&mut self, mut waits: Vec<(usize, usize)>) {
        waits.reverse();
        self.client = waits;
    }

    /// Lets a call that had to wait go on: the reader's first, or the writer's. Whether there was one.
    pub(super) fn go_on(&mut self, reader_first: bool) -> bool {
        let (first, second) = (&mut self.reads.waker, &mut self.writes.waker);
        let (first, second) = if reader_first { (first, second) } else { (second, first) };
        first.take().or_else(|| second.take()).map(Waker::wake).is_some()
    }

    /// The client gets what was written, and may have waited for it.
    fn answered(&mut self) {
        while let Some(rest) =
            self.stream.written.get(self.got..).filter(|rest| rest.len() >= record_len(rest))
        {
            let [_, kind, _, _, _, _, _, _, ..] = rest else { break };
            self.ends += usize::from(*kind == END);
            self.got += record_len(rest);
        }
        let waits = self.client.last().is_some_and(|(_, ends)| *ends > self.ends);
        if !waits || self.is_left() {
            // It takes a while to read on.
            self.reads.waker = self.reader.take().or(self.reads.waker.take());
        }
    }

    /// Bytes that the client has sent, and what it got for them: END_REQUEST. `None` if it got no more.
    pub(super) fn so_far(&self) -> Option<(usize, usize)> {
        let next = self.client.iter().rev().find(|(_, ends)| *ends > self.ends);
        let len = next.map_or(usize::MAX, |(at, _)| *at).min(self.stream.input_len());
        (!self.is_left()).then_some((len, self.ends))
    }

    /// The client is told no more, and sends no more.
    fn is_left(&self) -> bool {
        self.closed || self.stream.output_failed
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.reads.poll(cx).is_pending() {
            return Poll::Pending;
        }
        while self.client.last().is_some_and(|(_, ends)| *ends <= self.ends) {
            self.client.pop();
        }
        let mut room = buffer.len();
        if let Some((at, _)) = self.client.last() {
            room = room.min(at.saturating_sub(self.stream.read_len()));
            if room == 0 && !self.is_left() {
                self.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            if room == 0 {
                self.stream.end_input();
                room = buffer.len();
            }
        }
        Poll::Ready(io::Read::read(&mut self.stream, &mut buffer[..room]))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        assert!(!self.closed, "a write after the end");
        if self.writes.poll(cx).is_pending() {
            return Poll::Pending;
        }
        let result = io::Write::write_vectored(&mut self.stream, slices);
        self.answered();
        Poll::Ready(result)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.writes.poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.closed = true;
        self.answered();
        Poll::Ready(Ok(()))
    }
}

/// The server's end of it.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Polled>>);

impl Shared {
    pub(super) fn new(polled: Polled) -> Self {
        Self(Arc::new(Mutex::new(polled)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Polled> {
        self.0.lock().expect("no panic")
    }
}

impl AsyncRead for Shared {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.lock().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Shared {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.lock().poll_write(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.lock().poll_write(cx, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().writes.poll(cx).map(Ok)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_close(cx)
    }
}
