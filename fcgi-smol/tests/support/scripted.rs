//! A stream in memory of which a test decides every read and write: how many bytes, when nothing, when an
//! error. It counts what is done with it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use smol::io::{AsyncRead, AsyncWrite};

/// What a read finds.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Bytes(Vec<u8>),
    /// Nothing, until the next poll.
    Pending,
    Error(io::ErrorKind),
    /// Nothing, until more is [given](Script::give).
    Silence,
}

/// What a write may do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Room {
    /// Take so many bytes of the first slices.
    Bytes(usize),
    /// Nothing, until the next poll.
    Pending,
    Error(io::ErrorKind),
    /// Nothing, until the script [goes on](Script::allow).
    Shut,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    inputs: VecDeque<Input>,
    /// What the next writes do; those after them take everything.
    rooms: VecDeque<Room>,
    /// What is written reaches `written` only when it is flushed.
    pub(crate) buffers: bool,
    buffered: Vec<u8>,
    /// So many polls of a flush find it pending.
    pub(crate) slow_flushes: usize,
    pub(crate) written: Vec<u8>,
    /// The bytes of every write.
    pub(crate) writes: Vec<usize>,
    pub(crate) reads: usize,
    pub(crate) closed: bool,
    pub(crate) dropped: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What the test holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

/// What the server holds.
#[derive(Debug)]
pub(crate) struct Scripted(Script);

impl Script {
    pub(crate) fn new(inputs: impl IntoIterator<Item = Input>) -> Self {
        let script = Self::default();
        script.state().inputs.extend(inputs);
        script
    }

    /// One read each, then the end of input.
    pub(crate) fn chunks(chunks: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self::new(chunks.into_iter().map(Input::Bytes))
    }

    pub(crate) fn stream(&self) -> Scripted {
        Scripted(self.clone())
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics with it locked")
    }

    /// What the client sends from now on.
    pub(crate) fn give(&self, inputs: impl IntoIterator<Item = Input>) {
        let mut state = self.state();
        if matches!(state.inputs.front(), Some(Input::Silence)) {
            state.inputs.pop_front();
        }
        state.inputs.extend(inputs);
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// How the next writes go.
    pub(crate) fn allow(&self, rooms: impl IntoIterator<Item = Room>) {
        let mut state = self.state();
        if matches!(state.rooms.front(), Some(Room::Shut)) {
            state.rooms.pop_front();
        }
        state.rooms.extend(rooms);
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
    }

    pub(crate) fn written(&self) -> Vec<u8> {
        self.state().written.clone()
    }
}

impl AsyncRead for Scripted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.state();
        state.reads += 1;
        match state.inputs.pop_front() {
            None => Poll::Ready(Ok(0)),
            Some(Input::Bytes(mut bytes)) => {
                let count = bytes.len().min(buffer.len());
                buffer[..count].copy_from_slice(&bytes[..count]);
                bytes.drain(..count);
                if !bytes.is_empty() {
                    state.inputs.push_front(Input::Bytes(bytes));
                }
                Poll::Ready(Ok(count))
            }
            Some(Input::Pending) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Input::Error(kind)) => Poll::Ready(Err(kind.into())),
            Some(Input::Silence) => {
                state.inputs.push_front(Input::Silence);
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.state();
        let most = match state.rooms.pop_front() {
            None => usize::MAX,
            Some(Room::Bytes(most)) => most,
            Some(Room::Pending) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Room::Error(kind)) => return Poll::Ready(Err(kind.into())),
            Some(Room::Shut) => {
                state.rooms.push_front(Room::Shut);
                state.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
        };
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(most).collect();
        let state = &mut *state;
        if state.buffers { &mut state.buffered } else { &mut state.written }.extend(&bytes);
        state.writes.push(bytes.len());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.state();
        if state.slow_flushes > 0 {
            state.slow_flushes -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let buffered = std::mem::take(&mut state.buffered);
        state.written.extend(buffered);
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.state().closed = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.0.state().dropped = true;
    }
}
