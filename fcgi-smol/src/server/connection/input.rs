//! A connection's input: read, taken in, and handed to the requests that it is for.

use std::io;
use std::task::{Context, Poll};

use fcgi_proto::Level;
use fcgi_proto::server::session::{Input, Read, Request, Stream};

use super::State;
use crate::net::clock;
use crate::net::transport::poll_read;
use crate::server::requests::find;

/// Reads in a row before other tasks have their turn.
pub(super) const READS: usize = 8;

/// Room for one read: a whole request as web servers send it, and a whole record of a large body.
const READ_ROOM: usize = 64 * 1024 + 512;

/// What was taken in.
enum Taken {
    /// Nothing more, for the moment.
    Nothing,
    Something,
    /// Nothing of a body that its reader may take without a copy.
    Offered,
    /// So many bytes by the reader of a body.
    Read(usize),
}

impl State {
    /// Takes in what was read: all of it, or up to the start of a handler, whose memory is the next request's if it is
    /// done at once. Whether a handler may take the rest of it without a copy.
    pub(super) fn take_in(&mut self, all: bool) -> bool {
        while all || self.starts.is_empty() {
            match self.take_next(None) {
                Taken::Nothing => break,
                Taken::Offered => return true,
                Taken::Something | Taken::Read(_) => {}
            }
        }
        if let Some(input) = self.input.take_if(|_| self.unread.is_empty()) {
            self.requests.common.inputs.put(input);
        }
        false
    }

    /// Takes in what comes next, for the reader of a body that is there or that is to be woken for it.
    fn take_next(&mut self, reader: Option<(Request, Stream, &mut [u8])>) -> Taken {
        let Self { session, input, unread, requests, starts, .. } = self;
        let mut rest = input.as_ref().map_or(&[][..], |input| &input[unread.clone()]);
        let event = session.take_in(requests, &mut rest, self.now);
        unread.start = unread.end - rest.len();
        match event {
            None => return Taken::Nothing,
            Some(Input::Start { request }) => starts.push(request),
            Some(Input::Body { request, stream, data, spool }) => {
                let (count, taken) = match reader {
                    Some((by, of, into)) if (by, of) == (request, stream) => {
                        let count = data.len().min(into.len());
                        into[..count].copy_from_slice(&data[..count]);
                        (count, Taken::Read(count))
                    }
                    None if requests.offer(request) => (0, Taken::Offered),
                    _ => (requests.keep(request, stream, data, spool), Taken::Something),
                };
                session.took(count);
                find(&mut requests.slots, request).into_iter().for_each(|active| active.exchange.took(count));
                unread.start -= data.len() - count;
                if matches!(taken, Taken::Offered) {
                    session.room(request);
                }
                return taken;
            }
            Some(Input::Look { request }) => {
                requests.wake(request);
                self.end(request);
            }
            Some(Input::Over { request }) => {
                self.report(Some(request));
                self.requests.remove(request, &self.session, self.now);
            }
            Some(_) => {}
        }
        Taken::Something
    }

    /// Reads into a buffer that is only held while there is something in it.
    pub(super) fn fill(&mut self) -> Poll<()> {
        let mut input = self.input.take().unwrap_or_else(|| {
            let room = || vec![0; READ_ROOM].into_boxed_slice();
            self.requests.common.inputs.get(room)
        });
        match poll_read(&mut *self.transport, &mut Context::from_waker(&self.task), &mut input) {
            Poll::Ready(Ok(count @ 1..)) => {
                self.unread = 0..count;
                self.input = Some(input);
                return Poll::Ready(());
            }
            Poll::Ready(Ok(0)) => self.session.end_of_input(),
            Poll::Ready(Err(error)) => {
                self.failure.get_or_insert((Level::Debug, error));
                self.session.broken();
            }
            Poll::Pending => self.readable = false,
        }
        self.requests.common.inputs.put(input);
        if self.readable { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Reads the next bytes of one of the request's bodies; 0 at its end.
    pub(crate) fn read(
        &mut self,
        request: Request,
        stream: Stream,
        into: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.now = clock::now();
        let mut reads = 0;
        loop {
            let count = self.requests.take(request, stream, into)?;
            if count > 0 {
                if self.session.room(request) {
                    self.call();
                }
                return Poll::Ready(Ok(count));
            }
            match self.session.read(request, stream, self.now) {
                Ok(Read::Wait) => {}
                Ok(Read::End) => return Poll::Ready(Ok(0)),
                Err(stopped) => return Poll::Ready(Err(self.error(stopped))),
            }
            match self.take_next(Some((request, stream, into))) {
                Taken::Read(count) => {
                    // What it left may be kept for it: others may wait for what follows.
                    self.session.room(request);
                    self.call();
                    return Poll::Ready(Ok(count));
                }
                Taken::Something | Taken::Offered => {}
                Taken::Nothing => {
                    let wants = self.unread.is_empty() && self.session.next(self.now).read;
                    if !wants || !self.readable || reads == READS {
                        break;
                    }
                    reads += 1;
                    if self.fill().is_pending() {
                        break;
                    }
                }
            }
        }
        self.requests.register(request, |active| &mut active.reader, cx);
        if self.readable || !self.starts.is_empty() {
            self.call(); // The task goes on, and wakes this reader.
        }
        Poll::Pending
    }
}
