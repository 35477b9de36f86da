//! A connection's output: the records of its requests' answers, whole, in turns, batched.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fcgi_proto::Level;
use fcgi_proto::server::session::{End, Request, Write, WriteError};
use smol::io::AsyncWrite;

use super::{Connection, State};
use crate::net::clock;
use crate::net::transport::write_some;
use crate::server::connections::Common;

/// Bytes of output that are kept after they were sent, to move what is behind them seldom.
const SENT_FRONT: usize = 64 * 1024;

/// What a handler writes.
#[derive(Clone, Copy)]
pub(crate) enum Output<'d> {
    Stdout(&'d [u8]),
    Stderr(&'d [u8]),
    Flush,
}

impl State {
    /// Writes what waits to be written, as far as the stream takes it, what is owed by protocol too.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>, now: Duration, common: &Common) {
        while let Some(control) = self.session.poll_output() {
            self.out.extend_from_slice(&control);
        }
        let result = match &self.out[self.sent..] {
            [] => Ok(0),
            waiting => write_some(&mut *self.transport, cx, &mut [IoSlice::new(waiting)]),
        };
        self.wrote(result, cx, now, common);
    }

    /// Counts what was written of `out`, and flushes the stream once that is all.
    fn wrote(&mut self, result: io::Result<usize>, cx: &mut Context<'_>, now: Duration, common: &Common) {
        let flushed = result.and_then(|count| {
            self.sent += count;
            self.unflushed += count;
            if self.sent < self.out.len() {
                if self.sent > SENT_FRONT {
                    self.out.drain(..std::mem::take(&mut self.sent));
                }
                return Ok(true);
            }
            self.sent = 0;
            common.spares.put_out(std::mem::take(&mut self.out));
            match Pin::new(&mut self.transport).poll_flush(cx) {
                Poll::Ready(result) => result.map(|()| true),
                Poll::Pending => Ok(false),
            }
        });
        match flushed {
            Ok(all) => {
                if all {
                    self.session.sent(std::mem::take(&mut self.unflushed), now);
                }
                if !all || !self.out.is_empty() {
                    // The client is waited for from now on.
                    self.session.next(now);
                }
            }
            Err(error) => {
                (self.out, self.sent, self.unflushed) = (Vec::new(), 0, 0);
                self.failure.get_or_insert((Level::Debug, error));
                self.session.unwritable();
            }
        }
    }

    /// Ends the request, if its handler is done, as far as that goes now.
    pub(super) fn end(&mut self, request: Request, common: &Common) {
        loop {
            let Some(Some(active)) = self.requests.get_mut(request.slot()) else { return };
            let Some(status) = active.status.filter(|_| active.begin.request == request) else { return };
            if self.out.capacity() == 0 {
                self.out = common.spares.out();
            }
            match self.session.end_answer(request, &mut active.answer, status) {
                End::Wait => return,
                End::Part(bytes) => {
                    self.out.extend_from_slice(bytes);
                    active.answer.sent();
                    continue;
                }
                End::Last(bytes) => {
                    self.out.extend_from_slice(bytes);
                    self.answered = true;
                }
                End::Over => {}
            }
            return self.remove(request, common);
        }
    }

    /// Writes, or flushes: how many bytes were taken.
    fn write(
        &mut self,
        request: Request,
        what: Output<'_>,
        cx: &mut Context<'_>,
        common: &Common,
    ) -> Poll<io::Result<usize>> {
        let task = self.task.clone();
        let task = &mut Context::from_waker(&task);
        let now = clock::now();
        loop {
            self.active(request)?;
            let Self { session, requests, transport, out, unflushed, .. } = self;
            let Some(Some(active)) = requests.get_mut(request.slot()) else { continue };
            let answer = &mut active.answer;
            let written = match what {
                Output::Stdout(data) => session.write(request, answer, data, now),
                Output::Stderr(data) => session.write_stderr(request, answer, data, now),
                Output::Flush => session.flush(request, answer, now),
            };
            let sent = match written {
                Ok(Write::Taken(count)) => return Poll::Ready(Ok(count)),
                Ok(Write::Send(batch)) => {
                    let parts = batch.slices();
                    let mut slices = parts.map(IoSlice::new);
                    let result = write_some(&mut **transport, task, &mut slices);
                    let mut skip = *result.as_ref().unwrap_or(&0);
                    *unflushed += skip;
                    for part in parts {
                        // A record that has begun is finished, whatever becomes of its handler.
                        let (_, rest) = part.split_at(skip.min(part.len()));
                        skip = skip.saturating_sub(part.len());
                        out.extend_from_slice(rest);
                    }
                    let taken = batch.taken;
                    active.answer.sent();
                    Some((result.map(|_| 0), taken))
                }
                Ok(Write::Wait) => None,
                Err(WriteError::Stopped(stopped)) => return Poll::Ready(Err(self.error(stopped))),
                Err(error) => return Poll::Ready(Err(error.into())),
            };
            let Some((result, taken)) = sent else {
                if !self.out.is_empty() && self.flushes(task, now, common) {
                    continue;
                }
                let Self { requests, wakes, .. } = self;
                if let Some(Some(active)) = requests.get_mut(request.slot()) {
                    active.writer.register(cx.waker(), wakes);
                }
                if self.out.is_empty() {
                    self.call(); // Its input is to be read first, or others are to have their turn.
                }
                return Poll::Pending;
            };
            self.wrote(result, task, now, common);
            if taken > 0 {
                return Poll::Ready(Ok(taken));
            }
        }
    }

    /// Writes what waits; whether all of it has left.
    fn flushes(&mut self, task: &mut Context<'_>, now: Duration, common: &Common) -> bool {
        self.flush(task, now, common);
        self.out.is_empty() && self.unflushed == 0
    }
}

impl Connection {
    pub(crate) fn write(
        self: &Arc<Self>,
        request: Request,
        what: Output<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.with(|state| state.write(request, what, cx, &self.common))
    }
}
