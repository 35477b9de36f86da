//! A connection's input: read, taken in, and handed to the requests that it is for.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use fcgi_proto::record::RequestId;
use fcgi_proto::server::{Event, Refusal};
use smol::io::AsyncRead;

use super::{Common, State};
use crate::server::active::{Begin, Body};
use crate::server::stop::Stop;

/// Reads in a row before other tasks have their turn.
const READS: usize = 8;

/// A part of a request's input, in the read buffer.
pub(super) struct Chunk {
    key: u64,
    body: Body,
    range: Range<usize>,
    /// Its reader was woken: what it does not take now is kept for it.
    offered: bool,
}

/// How far input was taken in.
enum Step {
    Progress,
    /// Everything read is used up.
    NeedsInput,
    /// A handler that waits for it may take the chunk without a copy.
    Offered,
    /// A handler's share or the output is full.
    Blocked,
}

impl State {
    /// Takes in what was read, and reads. Whether there may be more at once.
    pub(super) fn take_in(&mut self, cx: &mut Context<'_>, common: &Common) -> bool {
        let mut reads = 0;
        loop {
            match self.step(common) {
                Step::Progress => {}
                Step::Offered => return true,
                Step::Blocked => return false,
                Step::NeedsInput => {
                    let over = self.input_stop.is_some() || self.protocol.is_finished();
                    if !self.readable || over || self.has_ready() {
                        return false;
                    }
                    // What follows an answer comes soon: when other tasks have had their turn, it may be there.
                    if reads == READS || std::mem::take(&mut self.answered) {
                        return true;
                    }
                    reads += 1;
                    if self.fill(cx, common).is_pending() {
                        return false;
                    }
                }
            }
        }
    }

    /// Takes in one event, or one chunk.
    fn step(&mut self, common: &Common) -> Step {
        if self.chunk.is_some() {
            return self.keep_chunk(common);
        }
        if !self.has_room() {
            return Step::Blocked;
        }
        if self.unread.is_empty() || self.input_stop.is_some() {
            if let Some(input) = self.input.take() {
                common.spares.put_input(input);
            }
            return Step::NeedsInput;
        }
        let Some(input) = self.input.take() else { return Step::NeedsInput };
        let mut rest = &input[self.unread.clone()];
        let event = self.protocol.next_event(&mut rest);
        let at = self.unread.end - rest.len();
        self.unread.start = at;
        match event {
            Ok(Some(event)) => self.event(event, at, common),
            Ok(None) => {}
            Err(error) => self.stop_input(Stop::Protocol(error), common),
        }
        while self.protocol.has_reply() {
            self.reply();
        }
        self.input = Some(input);
        Step::Progress
    }

    fn event(&mut self, event: Event<'_>, at: usize, common: &Common) {
        match event {
            Event::Begin { id, role, keep_conn } => {
                if common.requests.fetch_add(1, Ordering::Relaxed) >= common.settings.max_requests {
                    common.requests.fetch_sub(1, Ordering::Relaxed);
                    return self.reject(id, Refusal::Overloaded);
                }
                let begin = Begin { key: self.next_key, id, role, keep_conn };
                self.next_key += 1;
                self.requests.push(common.spares.request(begin, &common.settings));
            }
            Event::Params { id, data } => {
                let Some(i) = self.find_id(id) else { return };
                if self.requests[i].params.push(data).is_err() {
                    self.refuse(i, Refusal::Overloaded, common);
                }
            }
            Event::ParamsEnd { id } => {
                let Some(i) = self.find_id(id) else { return };
                let request = &mut self.requests[i];
                if request.params.finish().is_err() {
                    return self.refuse(i, Refusal::Malformed, common);
                }
                request.answer.reset(request.params.get(b"REQUEST_METHOD"));
                request.ready = true;
            }
            Event::Stdin { id, data } => self.chunk(id, Body::Stdin, at - data.len()..at),
            Event::Data { id, data } => self.chunk(id, Body::Data, at - data.len()..at),
            Event::StdinEnd { id } => self.body_end(id, Body::Stdin),
            Event::DataEnd { id } => self.body_end(id, Body::Data),
            Event::Abort { id } => {
                let Some(i) = self.find_id(id) else { return };
                if self.requests[i].started {
                    self.requests[i].stop(Stop::Aborted);
                } else {
                    // Before it ran: there is nothing for a handler to decide.
                    if let Ok(end) = self.protocol.finish(id, 0) {
                        self.queue(&end);
                    }
                    self.remove(i, common);
                }
            }
            Event::Rejected { id, why } => {
                let Some(i) = self.find_id(id) else { return };
                if self.requests[i].started {
                    self.requests[i].stop(Stop::Refused(why));
                } else {
                    self.remove(i, common);
                }
            }
            // Replies are taken after every event.
            _ => {}
        }
    }

    /// Appends what the protocol owes.
    #[cold]
    fn reply(&mut self) {
        if let Some((id, why)) = self.protocol.refusal() {
            self.log_refusal(id, why);
        }
        if let Some(reply) = self.protocol.poll_reply() {
            self.queue(&reply);
        }
    }

    fn refuse(&mut self, i: usize, why: Refusal, common: &Common) {
        self.reject(self.requests[i].begin.id, why);
        self.remove(i, common);
    }

    pub(super) fn reject(&mut self, id: RequestId, why: Refusal) {
        self.log_refusal(id, why);
        if let Ok(answer) = self.protocol.reject(id, why) {
            self.queue(&answer);
        }
    }

    /// Only a connection's first refusal is a warning: no client can fill a log with them.
    fn log_refusal(&mut self, id: RequestId, why: Refusal) {
        let level =
            if std::mem::replace(&mut self.refused, true) { log::Level::Debug } else { log::Level::Warn };
        log::log!(level, "request {id}: refused: {why}");
    }

    fn chunk(&mut self, id: RequestId, body: Body, range: Range<usize>) {
        if let Some(i) = self.find_id(id) {
            self.chunk = Some(Chunk { key: self.requests[i].begin.key, body, range, offered: false });
        }
    }

    fn body_end(&mut self, id: RequestId, body: Body) {
        if let Some(i) = self.find_id(id) {
            self.requests[i].end_body(body);
        }
    }

    /// Puts the chunk where its handler will find it, or drops what no handler wants.
    fn keep_chunk(&mut self, common: &Common) -> Step {
        let (Some(chunk), Some(input)) = (&mut self.chunk, &self.input) else { return Step::Progress };
        let request = self.requests.iter_mut().find(|request| request.begin.key == chunk.key);
        if let Some(request) = request {
            if !request.wants(chunk.body) {
                request.drained += chunk.range.len() as u64;
            } else {
                if !chunk.offered && request.is_reading(chunk.body) {
                    chunk.offered = true;
                    request.wake_reader();
                    return Step::Offered;
                }
                let room = common.settings.body_room.max(1).saturating_sub(request.queued());
                let count = room.min(chunk.range.len());
                request.keep(chunk.body, &input[chunk.range.start..chunk.range.start + count]);
                chunk.range.start += count;
                if !chunk.range.is_empty() {
                    return Step::Blocked;
                }
            }
        }
        self.chunk = None;
        Step::Progress
    }

    /// Reads into a buffer that is only held while there is something in it.
    fn fill(&mut self, cx: &mut Context<'_>, common: &Common) -> Poll<()> {
        let mut input = common.spares.input();
        let result = loop {
            match Pin::new(&mut self.transport).poll_read(cx, &mut input) {
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        let Poll::Ready(result) = result else {
            common.spares.put_input(input);
            self.readable = false;
            return Poll::Pending;
        };
        match result {
            Ok(count @ 1..) => {
                self.unread = 0..count;
                self.input = Some(input);
                (self.fresh, self.idle_since) = (false, None);
                return Poll::Ready(());
            }
            Ok(0) => {
                let stop = self.protocol.eof().map_or_else(Stop::Protocol, |()| Stop::Eof);
                self.stop_input(stop, common);
            }
            Err(error) => self.stop_input(Stop::from(error), common),
        }
        common.spares.put_input(input);
        Poll::Ready(())
    }

    /// No more input comes: who waits for it is told, what did not begin never will.
    pub(super) fn stop_input(&mut self, stop: Stop, common: &Common) {
        let mut i = 0;
        let mut cut = !matches!(stop, Stop::Eof);
        while let Some(request) = self.requests.get_mut(i) {
            if request.ready {
                request.wake_all();
                i += 1;
            } else {
                cut = true;
                self.remove(i, common);
            }
        }
        if cut {
            self.failure.get_or_insert_with(|| stop.clone().into());
        }
        self.input_stop = Some(stop);
        self.unread = 0..0;
    }

    /// Reads the next bytes of one of the request's bodies; 0 at its end.
    pub(super) fn read(
        &mut self,
        key: u64,
        body: Body,
        into: &mut [u8],
        cx: &mut Context<'_>,
        common: &Common,
    ) -> Poll<io::Result<usize>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let task = self.task.clone();
        let mut reads = 0;
        loop {
            let i = self.find(key)?;
            let request = &mut self.requests[i];
            request.turn_to(body);
            let count = request.take(body, into);
            if count > 0 {
                if self.chunk.is_some() {
                    self.call(); // There is room again.
                }
                return Poll::Ready(Ok(count));
            }
            if let (Some(chunk), Some(input)) = (&mut self.chunk, &self.input) {
                if chunk.key == key && chunk.body == body {
                    let count = chunk.range.len().min(into.len());
                    into[..count].copy_from_slice(&input[chunk.range.start..chunk.range.start + count]);
                    chunk.range.start += count;
                    if chunk.range.is_empty() {
                        self.chunk = None;
                        self.call(); // Others may wait for what follows.
                    }
                    return Poll::Ready(Ok(count));
                }
            }
            if request.has_ended(body) {
                return Poll::Ready(Ok(0));
            }
            if let Some(stop) = request.stop.as_ref().or(self.input_stop.as_ref()) {
                return Poll::Ready(Err(stop.clone().into()));
            }
            match self.step(common) {
                Step::Progress => {}
                // Else the task is woken when there is something, and wakes this reader.
                Step::NeedsInput if !self.readable => break,
                Step::NeedsInput if reads < READS => {
                    reads += 1;
                    if self.fill(&mut Context::from_waker(&task), common).is_pending() {
                        break;
                    }
                }
                Step::NeedsInput | Step::Offered => {
                    self.call();
                    break;
                }
                // Who makes room has the task go on.
                Step::Blocked => break,
            }
        }
        if self.has_ready() {
            self.call();
        }
        let i = self.find(key)?;
        self.requests[i].wait_for(body, cx.waker());
        Poll::Pending
    }
}
