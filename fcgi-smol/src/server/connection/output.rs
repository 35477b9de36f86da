//! A connection's output: the records of its requests' answers, whole, in turns, batched.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use fcgi_proto::Level;
use fcgi_proto::server::session::{End, Output, Request, Stopped, Write, WriteError};
use smol::io::AsyncWrite;

use super::State;
use crate::net::clock;
use crate::net::transport::write_some;
use crate::server::requests::find;

impl State {
    /// Writes what waits to be written, as far as the stream takes it, what is owed by protocol too; whether all of
    /// it has left.
    pub(super) fn flush(&mut self) -> bool {
        while let Some(control) = self.session.poll_output() {
            self.out.extend(control.iter());
        }
        let slices = &mut [IoSlice::new(self.out.make_contiguous())];
        let result = write_some(&mut *self.transport, &mut Context::from_waker(&self.task), slices);
        let result = result.inspect(|count| drop(self.out.drain(..*count)));
        self.wrote(result)
    }

    /// Counts what was written, and flushes the stream if nothing else waits; whether all has left.
    fn wrote(&mut self, result: io::Result<usize>) -> bool {
        let left = result.and_then(|count| {
            self.unflushed += count;
            let cx = &mut Context::from_waker(&self.task);
            if self.out.is_empty() && Pin::new(&mut self.transport).poll_flush(cx)?.is_pending() {
                return Ok(false);
            }
            self.session.sent(std::mem::take(&mut self.unflushed), self.now);
            Ok(self.out.is_empty())
        });
        let left = left.unwrap_or_else(|error| {
            self.unflushed = 0;
            self.failure.get_or_insert((Level::Debug, error));
            self.session.unwritable();
            true
        });
        if left {
            self.requests.common.put_out(std::mem::take(&mut self.out));
        } else {
            // The client is waited for from now on.
            self.session.next(self.now);
        }
        left
    }

    /// Ends the request, if its handler is done, as far as that goes now.
    pub(super) fn end(&mut self, request: Request) {
        loop {
            let Some(active) = find(&mut self.requests.slots, request) else { return };
            let (bytes, last) = match self.session.end_exchange(request, &mut active.exchange) {
                End::Wait => return,
                End::Over => return self.requests.remove(request, &self.session, self.now),
                End::Part(bytes) => (bytes, false),
                End::Last(bytes) => (bytes, true),
            };
            if self.out.capacity() == 0 {
                self.out = self.requests.common.outs.get(VecDeque::new);
            }
            self.out.extend(bytes);
            active.exchange.answer.sent();
            if last {
                self.answered = true;
                return self.requests.remove(request, &self.session, self.now);
            }
        }
    }

    /// Writes, or flushes: how many bytes were taken.
    pub(crate) fn write(
        &mut self,
        request: Request,
        what: Output<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.requests.get(request).is_some_and(|active| !active.exchange.keeps(what)) {
            self.now = clock::now();
            // Whose requests were read have their turns as well.
            self.take_in(true);
        }
        loop {
            let Self { session, now, requests, transport, out, unflushed, task, .. } = self;
            let Some(active) = requests.get(request) else {
                return Poll::Ready(Err(Stopped::Over.into()));
            };
            let answer = &mut active.exchange.answer;
            let sent = match session.output(request, answer, what, *now) {
                Ok(Write::Taken(count)) => return Poll::Ready(Ok(count)),
                Ok(Write::Send(batch)) => {
                    let parts = batch.slices();
                    let mut slices = parts.map(IoSlice::new);
                    let result = write_some(&mut **transport, &mut Context::from_waker(task), &mut slices);
                    let mut skip = *result.as_ref().unwrap_or(&0);
                    *unflushed += skip;
                    for part in parts {
                        // A record that has begun is finished, whatever becomes of its handler.
                        let (_, rest) = part.split_at(skip.min(part.len()));
                        skip = skip.saturating_sub(part.len());
                        out.extend(rest);
                    }
                    let taken = batch.taken;
                    answer.sent();
                    Some((result.map(|_| 0), taken))
                }
                Ok(Write::Wait) => None,
                Err(WriteError::Stopped(stopped)) => return Poll::Ready(Err(self.error(stopped))),
                Err(error) => return Poll::Ready(Err(error.into())),
            };
            let Some((result, taken)) = sent else {
                if !self.out.is_empty() && self.flush() {
                    continue;
                }
                self.requests.register(request, |active| &mut active.writer, cx);
                if self.out.is_empty() {
                    self.call(); // Its input is to be read first, or others are to have their turn.
                }
                return Poll::Pending;
            };
            self.wrote(result);
            if taken > 0 {
                return Poll::Ready(Ok(taken));
            }
        }
    }
}
