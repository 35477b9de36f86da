//! A connection's input: read, taken in, and handed to the requests that it is for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fcgi_proto::Level;
use fcgi_proto::record::Role;
use fcgi_proto::server::session::{Input, Read, Request, Started, Stream};
use smol::io::AsyncRead;

use super::{Connection, State};
use crate::net::clock;
use crate::server::active::{Active, Begin};
use crate::server::connections::Common;

/// Reads in a row before other tasks have their turn.
pub(super) const READS: usize = 8;

/// A part of a request's input, in the read buffer.
struct Chunk {
    request: Request,
    stream: Stream,
    len: usize,
    spool: bool,
}

/// What was taken in.
enum Taken {
    /// Nothing more, for the moment.
    Nothing,
    Something,
    Chunk(Chunk),
}

impl State {
    /// Takes in what was read; whether a handler may take the rest of it without a copy.
    pub(super) fn take_in(&mut self, now: Duration, common: &Common) -> bool {
        loop {
            match self.take_next(now, common) {
                Taken::Nothing => {
                    if let Some(input) = self.input.take_if(|_| self.unread.is_empty()) {
                        common.spares.put_input(input);
                    }
                    return false;
                }
                Taken::Something => {}
                Taken::Chunk(chunk) if self.offer(&chunk) => return true,
                Taken::Chunk(chunk) => self.keep(&chunk, common),
            }
        }
    }

    /// Takes in what comes next.
    fn take_next(&mut self, now: Duration, common: &Common) -> Taken {
        let Self { session, input, unread, requests, wakes, .. } = self;
        let mut rest = input.as_ref().map_or(&[][..], |input| &input[unread.clone()]);
        if let Some(Started { request, keep_conn, params, .. }) = session.receive_whole(&mut rest) {
            unread.start = unread.end - rest.len();
            let begun = begin(requests, Begin { request, role: Role::Responder, keep_conn }, common);
            let fits = begun && gather(requests, request, params, common);
            self.start_or_refuse(request, fits, common);
            return Taken::Something;
        }
        let event = session.receive(&mut rest, now);
        unread.start = unread.end - rest.len();
        match event {
            None => return Taken::Nothing,
            Some(Input::Begin { request, role, keep_conn }) => {
                if !begin(requests, Begin { request, role, keep_conn }, common) {
                    session.refuse_full(request);
                }
            }
            Some(Input::Params { request, data }) => {
                if !gather(requests, request, data, common) {
                    session.refuse_full(request);
                    self.remove(request, common);
                }
            }
            Some(Input::Start { request }) => self.start_or_refuse(request, true, common),
            Some(Input::Body { request, stream, data, spool }) => {
                return Taken::Chunk(Chunk { request, stream, len: data.len(), spool });
            }
            Some(Input::Look { request }) => {
                if let Some(Some(active)) = requests.get_mut(request.slot()) {
                    active.wake(wakes);
                    self.end(request, common);
                }
            }
            Some(Input::Over { request }) => self.remove(request, common),
            Some(_) => {}
        }
        Taken::Something
    }

    /// The parameters are all there: has the handler started, unless they have no room or are not whole.
    fn start_or_refuse(&mut self, request: Request, fits: bool, common: &Common) {
        let Self { session, requests, starts, .. } = self;
        match requests.get_mut(request.slot()) {
            Some(Some(active)) if fits && active.params.finish().is_ok() => {
                active.answer.reset_for(active.params.iter(), common.settings.front);
                return starts.push_back(request);
            }
            _ if fits => session.refuse_malformed(request),
            _ => session.refuse_full(request),
        }
        self.remove(request, common);
    }

    /// The bytes of the chunk, right before what is unread.
    fn chunk(&self, chunk: &Chunk) -> &[u8] {
        let start = self.unread.start - chunk.len;
        self.input.as_ref().map_or(&[], |input| &input[start..self.unread.start])
    }

    /// The first `count` bytes of the chunk were taken.
    fn took(&mut self, chunk: &Chunk, count: usize) {
        self.session.took(count);
        self.unread.start -= chunk.len - count;
    }

    /// Leaves the chunk to a reader that waits for it, once.
    fn offer(&mut self, chunk: &Chunk) -> bool {
        let wakes = &mut self.wakes;
        let Some(Some(active)) = self.requests.get_mut(chunk.request.slot()) else { return false };
        if active.offered || active.reader.is_empty() {
            return false;
        }
        active.offered = true;
        active.reader.wake(wakes);
        self.took(chunk, 0);
        self.session.room(chunk.request);
        true
    }

    /// Puts what has room of the chunk where its handler will find it.
    fn keep(&mut self, chunk: &Chunk, common: &Common) {
        let Some(input) = &self.input else { return };
        let data = &input[self.unread.start - chunk.len..self.unread.start];
        let Some(Some(active)) = self.requests.get_mut(chunk.request.slot()) else { return };
        let before = active.memory();
        let memory = common.take(data.len());
        let room = if memory { common.settings.body_room.max(1) } else { 0 };
        let on_disk = if chunk.spool { common.settings.spool } else { 0 };
        let count = active.kept(chunk.stream).keep(data, room, on_disk);
        if memory {
            common.release(before + data.len() - active.memory());
        }
        active.reader.wake(&mut self.wakes);
        self.took(chunk, count);
    }

    /// Reads into a buffer that is only held while there is something in it.
    pub(super) fn fill(&mut self, cx: &mut Context<'_>, common: &Common) -> Poll<()> {
        let mut input = self.input.take().unwrap_or_else(|| common.spares.input());
        let result = loop {
            match Pin::new(&mut self.transport).poll_read(cx, &mut input) {
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        match result {
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
        common.spares.put_input(input);
        if self.readable { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Reads the next bytes of one of the request's bodies; 0 at its end.
    fn read(
        &mut self,
        request: Request,
        stream: Stream,
        into: &mut [u8],
        cx: &mut Context<'_>,
        common: &Common,
    ) -> Poll<io::Result<usize>> {
        let now = clock::now();
        let task = self.task.clone();
        let mut reads = 0;
        loop {
            let active = self.active(request)?;
            active.offered = false;
            let before = active.memory();
            let count = active.kept(stream).take(into)?;
            if count > 0 {
                common.release(before - active.memory());
                if self.session.room(request) {
                    self.call();
                }
                return Poll::Ready(Ok(count));
            }
            match self.session.read(request, stream, now) {
                Ok(Read::Wait) => {}
                Ok(Read::End) => return Poll::Ready(Ok(0)),
                Err(stopped) => return Poll::Ready(Err(self.error(stopped))),
            }
            match self.take_next(now, common) {
                Taken::Chunk(chunk) if chunk.request == request && chunk.stream == stream => {
                    let count = chunk.len.min(into.len());
                    into[..count].copy_from_slice(&self.chunk(&chunk)[..count]);
                    self.took(&chunk, count);
                    if self.session.requests() > 1 {
                        self.call(); // Others may wait for what follows.
                    }
                    return Poll::Ready(Ok(count));
                }
                Taken::Chunk(chunk) => self.keep(&chunk, common),
                Taken::Something => {}
                Taken::Nothing => {
                    let wants = self.unread.is_empty() && self.session.next(now).read;
                    if !wants || !self.readable || reads == READS {
                        break;
                    }
                    reads += 1;
                    if self.fill(&mut Context::from_waker(&task), common).is_pending() {
                        break;
                    }
                }
            }
        }
        let Self { requests, wakes, .. } = self;
        if let Some(Some(active)) = requests.get_mut(request.slot()) {
            active.reader.register(cx.waker(), wakes);
        }
        if self.readable || !self.starts.is_empty() {
            self.call(); // The task goes on, and wakes this reader.
        }
        Poll::Pending
    }
}

/// A request begins, if there is room for it.
fn begin(requests: &mut Vec<Option<Box<Active>>>, begin: Begin, common: &Common) -> bool {
    let slot = begin.request.slot();
    if !common.begin() {
        return false;
    }
    if requests.len() <= slot {
        requests.resize_with(slot + 1, || None);
    }
    requests[slot] = Some(common.spares.request(begin, &common.settings));
    true
}

/// Keeps parameters, if there is room for them.
fn gather(requests: &mut [Option<Box<Active>>], request: Request, data: &[u8], common: &Common) -> bool {
    let Some(Some(active)) = requests.get_mut(request.slot()) else { return false };
    if !common.take(data.len()) {
        return false;
    }
    active.params_len += data.len();
    active.params.push(data).is_ok()
}

impl Connection {
    /// Reads the next bytes of one of the request's bodies; 0 at its end.
    pub(crate) fn read(
        self: &Arc<Self>,
        request: Request,
        stream: Stream,
        into: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.with(|state| state.read(request, stream, into, cx, &self.common))
    }
}
