//! Two streams, one to each side, that take and give as much as chance says.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};
use smol::io::{AsyncRead, AsyncWrite};

use crate::net::sync::{Arc, Mutex, lock};

#[derive(Debug)]
struct Direction {
    room: usize,
    /// To flush what was written, and to close, takes a while.
    slow: bool,
    behind: bool,
    closing: bool,
    bytes: VecDeque<u8>,
    /// Nothing more comes.
    ended: bool,
    /// Nobody reads any more.
    unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// One end: it may be read and written by one task each at a time, as a socket.
#[derive(Debug)]
pub struct End {
    from: Arc<Mutex<Direction>>,
    to: Arc<Mutex<Direction>>,
}

/// A connection of which each direction holds so many bytes.
pub fn pipe(room: usize) -> (End, End) {
    pair(room, false)
}

/// One that takes a while to be flushed and closed, as those do that have work of their own with what is written.
pub fn slow_pipe(room: usize) -> (End, End) {
    pair(room, true)
}

fn pair(room: usize, slow: bool) -> (End, End) {
    let direction = || {
        let (behind, closing, bytes, ended, unread, reader, writer) = Default::default();
        Arc::new(Mutex::new(Direction { room, slow, behind, closing, bytes, ended, unread, reader, writer }))
    };
    let (there, back) = (direction(), direction());
    (End { from: Arc::clone(&back), to: Arc::clone(&there) }, End { from: there, to: back })
}

/// Does something with a direction, and wakes whom that concerns when it is not locked.
fn with<T>(direction: &Mutex<Direction>, action: impl FnOnce(&mut Direction) -> (T, Option<Waker>)) -> T {
    let mut direction = lock(direction);
    let (result, waker) = action(&mut direction);
    drop(direction);
    waker.into_iter().for_each(Waker::wake);
    result
}

/// As many of them as chance says, most often all.
fn some(most: usize) -> usize {
    let mut chance = thread_rng();
    if most > 1 && chance.gen_range(0..4) == 0 { chance.gen_range(1..most) } else { most }
}

/// Who is to be called for what was done: now, or when somebody looks whether it still is so, as with sockets.
fn called(
    direction: &Arc<Mutex<Direction>>,
    waits: &mut Option<Waker>,
    looks: fn(&mut Direction) -> Option<Waker>,
) -> Option<Waker> {
    if waits.is_none() || thread_rng().gen_range(0..4) > 0 {
        return waits.take();
    }
    let direction = Arc::clone(direction);
    drop(spawn(async move {
        yield_now().await;
        with(&direction, |direction| ((), looks(direction)));
    }));
    None
}

impl End {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        with(&self.from, |from| {
            if from.bytes.is_empty() && !from.ended {
                from.reader = Some(cx.waker().clone());
                return (Poll::Pending, None);
            }
            let count = some(from.bytes.len().min(buffer.len()));
            buffer.iter_mut().zip(from.bytes.drain(..count)).for_each(|(to, byte)| *to = byte);
            (
                Poll::Ready(Ok(count)),
                called(&self.from, &mut from.writer, |from| {
                    from.writer.take_if(|_| from.unread || from.bytes.len() < from.room)
                }),
            )
        })
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        with(&self.to, |to| {
            if to.unread {
                return (Poll::Ready(Err(ErrorKind::BrokenPipe.into())), None);
            }
            let room = to.room - to.bytes.len();
            if room == 0 {
                to.writer = Some(cx.waker().clone());
                return (Poll::Pending, None);
            }
            let count = some(room.min(bytes.len()));
            to.bytes.extend(&bytes[..count]);
            to.behind = to.slow;
            (
                Poll::Ready(Ok(count)),
                called(&self.to, &mut to.reader, |to| {
                    to.reader.take_if(|_| to.ended || !to.bytes.is_empty())
                }),
            )
        })
    }

    /// Waits until what is behind is done, by a task of its own.
    fn poll_done(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let behind = with(&self.to, |to| (std::mem::take(&mut to.behind), None));
        if behind {
            let waker = cx.waker().clone();
            drop(spawn(async move {
                yield_now().await;
                waker.wake();
            }));
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Ends what is sent.
    pub fn end_sending(&self) {
        with(&self.to, |to| {
            to.ended = true;
            ((), to.reader.take())
        });
    }
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Self::poll_read(&self, cx, buffer)
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Self::poll_write(&self, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_done(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with(&self.to, |to| {
            to.behind |= to.slow && !to.closing;
            to.closing = true;
            ((), None)
        });
        let done = self.poll_done(cx);
        if done.is_ready() {
            self.end_sending();
        }
        done
    }
}

/// For the test's own side: threads, of which one reads and one writes.
impl io::Read for &End {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        block_on(poll_fn(|cx| End::poll_read(self, cx, buffer)))
    }
}

impl io::Write for &End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        block_on(poll_fn(|cx| End::poll_write(self, cx, bytes)))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.end_sending();
        // Whoever waited for this end is not called any more.
        with(&self.to, |to| (to.writer = None, None));
        with(&self.from, |from| {
            (from.unread, from.reader) = (true, None);
            ((), from.writer.take())
        });
    }
}
