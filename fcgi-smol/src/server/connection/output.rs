//! A connection's output: the records of its requests' answers, whole, in turns, batched.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use fcgi_proto::record::Record;
use fcgi_proto::server::{Refusal, SendError};
use smol::io::AsyncWrite;

use super::{Common, OUT_ROOM, State};
use crate::AppStatus;
use crate::net::transport::write_some;
use crate::server::active::Active;
use crate::server::stop::{Stop, cut_off, invalid};

/// Bytes of STDERR that wait for what is written before.
const STDERR_ROOM: usize = 16 * 1024;

impl State {
    /// Whether more may wait to be written.
    pub(super) fn has_room(&self) -> bool {
        self.out.len() - self.sent < OUT_ROOM
    }

    /// Appends bytes of whole records to what is to be written.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        if !self.write_failed {
            self.out.extend_from_slice(bytes);
        }
    }

    /// Writes what is to be written, as far as the stream takes it.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>, common: &Common) {
        if self.sent < self.out.len() && !self.write_failed {
            let result = write_some(&mut *self.transport, cx, &mut [IoSlice::new(&self.out[self.sent..])]);
            self.wrote(result, common);
        }
        if self.unflushed && !self.write_failed && self.out.is_empty() {
            match Pin::new(&mut self.transport).poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    (self.unflushed, self.write_since) = (false, None);
                    self.wake_writers();
                }
                Poll::Ready(Err(error)) => self.fail_writes(error),
                Poll::Pending => {
                    self.write_since.get_or_insert_with(Instant::now);
                }
            }
        }
    }

    /// The same, for a request.
    fn flush_out(&mut self, common: &Common) {
        let task = self.task.clone();
        let full = !self.has_room();
        self.flush(&mut Context::from_waker(&task), common);
        if full && self.has_room() {
            self.call(); // What found no room has it now.
        }
    }

    /// They come in the order in which they are woken: who has waited for longest is first.
    fn wake_writers(&mut self) {
        let waiting = self.requests.iter_mut().filter(|request| !request.writer.is_empty());
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort_by_key(|request| request.turn);
        for request in waiting {
            request.called = true;
            request.writer.wake();
        }
    }

    /// Counts what was written of `out`.
    fn wrote(&mut self, result: io::Result<usize>, common: &Common) {
        match result {
            Ok(count) => {
                self.sent += count;
                self.unflushed |= count > 0;
                if self.sent == self.out.len() {
                    (self.sent, self.write_since) = (0, None);
                    common.spares.put_out(std::mem::take(&mut self.out));
                    self.wake_writers();
                } else if count > 0 || self.write_since.is_none() {
                    self.write_since = Some(Instant::now());
                }
            }
            Err(error) => self.fail_writes(error),
        }
    }

    /// A write failed: nothing may be written any more, it would be taken for the rest of a record.
    pub(super) fn fail_writes(&mut self, error: io::Error) {
        self.write_failed = true;
        (self.out, self.sent, self.write_since) = (Vec::new(), 0, None);
        self.failure.get_or_insert(error);
        for request in &mut self.requests {
            request.wake_all();
        }
    }

    /// Writes what the request's answer holds back, then the first record of `direct`, of which it returns the
    /// length, then STDERR. Pending until what others have begun to write is out.
    fn send(&mut self, i: usize, direct: &[u8]) -> Poll<io::Result<usize>> {
        if self.write_failed {
            return Poll::Ready(Err(cut_off()));
        }
        if !self.out.is_empty() {
            return Poll::Pending;
        }
        let Self { protocol, requests, transport, out, task, .. } = self;
        let Active { begin, answer, .. } = &mut *requests[i];
        // What is held back is less than a record, and STDERR is sent before it is more than one.
        let mut records = || {
            let (held, _) = protocol.stdout(begin.id, answer.stdout())?;
            let (record, rest) = protocol.stdout(begin.id, direct)?;
            let (stderr, _) = protocol.stderr(begin.id, answer.stderr())?;
            Ok::<_, SendError>(([held, record, stderr], direct.len() - rest.len()))
        };
        let (records, taken) = match records() {
            Ok(records) => records,
            Err(error) => return Poll::Ready(Err(io::Error::other(error))),
        };
        let parts = records.iter().flat_map(Record::slices).filter(|part| !part.is_empty());
        let mut slices: [IoSlice<'_>; 9] = std::array::from_fn(|_| IoSlice::new(&[]));
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(parts.clone()) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        let written = write_some(&mut **transport, &mut Context::from_waker(task), &mut slices[..count]);
        let mut skip = *written.as_ref().unwrap_or(&0);
        for part in parts {
            // A record that has begun is finished, whatever becomes of its handler.
            let (_, rest) = part.split_at(skip.min(part.len()));
            skip = skip.saturating_sub(part.len());
            out.extend_from_slice(rest);
        }
        answer.sent();
        if let Err(error) = written {
            self.fail_writes(error);
            return Poll::Ready(Err(cut_off()));
        }
        self.unflushed = true;
        if !self.out.is_empty() {
            self.write_since = Some(Instant::now());
        }
        Poll::Ready(Ok(taken))
    }

    /// Ends the requests whose handlers are done, as far as there is room.
    pub(super) fn settle(&mut self, common: &Common) {
        let mut i = 0;
        while self.has_room() && i < self.requests.len() {
            if self.requests[i].outcome.is_none() || !self.end(i, common) {
                i += 1;
            }
        }
    }

    /// Ends a request whose handler is done; `false` while its input is still to be read.
    fn end(&mut self, i: usize, common: &Common) -> bool {
        let Self { requests, protocol, out, input_stop, write_failed, .. } = self;
        let Some(request) = requests.get_mut(i) else { return false };
        let id = request.begin.id;
        if *write_failed || request.is_refused() {
            if let Some(Err(text)) = &request.outcome {
                log::warn!("request {id}: {text}");
            }
            self.remove(i, common);
            return true;
        }
        let aborted = matches!(request.stop, Some(Stop::Aborted));
        if !aborted && (protocol.drains_before_end(id) || !protocol.may_finish(id)) {
            let limits = &common.settings;
            let until = *request.drain_until.get_or_insert_with(|| Instant::now() + limits.drain_timeout);
            let over = request.stop.is_some()
                || input_stop.is_some()
                || request.drained > limits.drain_limit
                || Instant::now() >= until;
            if !over {
                return false;
            }
        }
        let outcome = match request.outcome.take() {
            Some(Ok(status)) if !aborted => {
                request.answer.end().map(|()| status).map_err(|error| error.to_string())
            }
            outcome => outcome.unwrap_or(Ok(AppStatus(0))),
        };
        let AppStatus(app_status) = outcome.unwrap_or_else(|text| {
            log::warn!("request {id}: {text}");
            // It has room for the head of a 500.
            let _ = request.answer.fail(&text);
            AppStatus(0)
        });
        if out.capacity() == 0 {
            *out = common.spares.out();
        }
        if protocol.may_finish(id) {
            if aborted {
                if let Ok(end) = protocol.finish(id, app_status) {
                    out.extend_from_slice(&end);
                }
            } else if let Ok(records) = request.answer.finish(protocol, id, app_status) {
                out.extend_from_slice(records);
            }
        } else if let Ok(end) = protocol.reject(id, Refusal::Malformed) {
            // Nothing may be answered before its input has come that far, but for the end itself.
            out.extend_from_slice(&end);
        }
        self.answered = true;
        self.remove(i, common);
        true
    }

    /// Writes to the request's STDOUT; how many bytes were taken.
    pub(super) fn write(
        &mut self,
        key: u64,
        data: &[u8],
        cx: &mut Context<'_>,
        common: &Common,
    ) -> Poll<io::Result<usize>> {
        let i = self.find_answerable(key)?;
        let alone = self.requests.len() == 1;
        let request = &mut self.requests[i];
        let rest = request.answer.write(data).map_err(invalid)?;
        if rest.len() < data.len() || data.is_empty() {
            return Poll::Ready(Ok(data.len() - rest.len()));
        }
        request.called = false;
        let fresh = request.turn.is_none();
        let turn = *request.turn.get_or_insert(self.next_turn);
        self.next_turn += u64::from(fresh);
        self.flush_out(common);
        // Others write between two large records, and those first that were called and have waited for longer.
        // Such a one may have given up: it is let go before once.
        let later =
            self.requests.iter().any(|other| other.called && other.turn.is_some_and(|other| other < turn));
        let request = &mut self.requests[i];
        if !alone && (fresh || (later && !request.gave_way)) {
            request.gave_way = !fresh;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        request.gave_way = false;
        let sent = self.send(i, rest);
        let request = &mut self.requests[i];
        if sent.is_pending() {
            request.writer.register(cx.waker());
        } else {
            request.turn = None;
        }
        sent
    }

    pub(super) fn write_stderr(
        &mut self,
        key: u64,
        data: &[u8],
        cx: &mut Context<'_>,
        common: &Common,
    ) -> Poll<io::Result<usize>> {
        let i = self.find_answerable(key)?;
        if self.requests[i].answer.stderr().len() > STDERR_ROOM {
            ready!(self.send_held(i, cx, common))?;
        }
        let (now, _) = data.split_at(data.len().min(STDERR_ROOM));
        if self.requests[i].answer.write_stderr(now) {
            // What cannot go now goes with what is written next.
            if let Poll::Ready(Err(error)) = self.send_held(i, cx, common) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(now.len()))
    }

    pub(super) fn flush_request(
        &mut self,
        key: u64,
        cx: &mut Context<'_>,
        common: &Common,
    ) -> Poll<io::Result<()>> {
        let i = self.find_answerable(key)?;
        let answer = &mut self.requests[i].answer;
        answer.end_fields().map_err(invalid)?;
        if answer.head_is_whole() && !(answer.stdout().is_empty() && answer.stderr().is_empty()) {
            ready!(self.send_held(i, cx, common))?;
        }
        self.flush_out(common);
        if self.write_failed {
            return Poll::Ready(Err(cut_off()));
        }
        if self.out.is_empty() && !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        self.requests[i].writer.register(cx.waker());
        Poll::Pending
    }

    /// Writes what the request's answer holds back.
    fn send_held(&mut self, i: usize, cx: &mut Context<'_>, common: &Common) -> Poll<io::Result<usize>> {
        self.flush_out(common);
        let sent = self.send(i, &[]);
        if sent.is_pending() {
            self.requests[i].writer.register(cx.waker());
        }
        sent
    }
}
