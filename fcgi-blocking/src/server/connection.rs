//! Moves bytes between one connection's transport, its protocol state and the handler of its request. One
//! request at a time: while a handler runs, input is read only as the handler reads it.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::time::{Duration, Instant};

use fcgi_proto::ConnectionError;
use fcgi_proto::cgi::Answer;
use fcgi_proto::pair::{Pairs, ParamsBuf};
use fcgi_proto::record::{RequestId, Role};
use fcgi_proto::server::{self, Event, Refusal, SendError, Whole};

use crate::net::transport::Transport;
use crate::server::places::Place;
use crate::server::request::AppStatus;
use crate::server::settings::Settings;

/// Room for one read: a whole request as web servers send it, and a whole record of a large body.
const READ_ROOM: usize = 64 * 1024 + 512;

/// Memory for parameters that is kept from request to request.
const KEPT_PARAMS: usize = 16 * 1024;

/// Why no more of a request's input comes.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// The client closed the connection or its sending half.
    Eof,
    /// The client sent ABORT_REQUEST.
    Aborted,
    Refused(Refusal),
    Protocol(ConnectionError),
    TimedOut(&'static str, Duration),
    Io(io::ErrorKind, String),
}

impl From<Stop> for io::Error {
    fn from(stop: Stop) -> Self {
        use io::ErrorKind::{ConnectionAborted, InvalidData, Other, TimedOut, UnexpectedEof};
        match stop {
            Stop::Eof => Self::new(UnexpectedEof, "the client closed before the end of the request's input"),
            Stop::Aborted => Self::new(ConnectionAborted, "the client aborted the request"),
            Stop::Refused(why) => Self::new(Other, format!("request refused: {why}")),
            Stop::Protocol(error @ ConnectionError::UnexpectedEof { .. }) => Self::new(UnexpectedEof, error),
            Stop::Protocol(error) => Self::new(InvalidData, error),
            Stop::TimedOut(what, limit) => {
                Self::new(TimedOut, format!("the client sent no {what} within {} s", limit.as_secs_f32()))
            }
            Stop::Io(kind, text) => Self::new(kind, text),
        }
    }
}

/// What a read waits for, and so how long.
#[derive(Clone, Copy)]
enum Wait {
    /// The next request, or the rest of its parameters.
    Request,
    /// What a handler reads.
    Body,
    /// Input that nobody wants.
    Drain,
}

/// The streams that a handler reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    Stdin,
    Data,
}

/// A request whose parameters are there.
pub(crate) struct Started {
    pub(crate) id: RequestId,
    pub(crate) role: Role,
    pub(crate) keep_conn: bool,
    pub(crate) params: Params,
}

/// A request's parameters.
pub(crate) enum Params {
    /// Gathered from its records.
    Gathered(ParamsBuf),
    /// In the buffer that they were read into, which the connection does not need until the request is over.
    InPlace { buffer: Box<[u8]>, range: Range<usize> },
}

impl Params {
    pub(crate) fn pairs(&self) -> Pairs<'_> {
        match self {
            Self::Gathered(params) => params.iter(),
            Self::InPlace { buffer, range } => Pairs::new(&buffer[range.clone()]),
        }
    }
}

/// The request that is being read or answered.
struct Current {
    id: RequestId,
    role: Role,
    keep_conn: bool,
    /// All parameters are there.
    ready: bool,
    /// Where they are in the read buffer, if they were not gathered: no more input comes then.
    in_place: Option<Range<usize>>,
    stdin_ended: bool,
    data_ended: bool,
    /// Bytes of a body in the read buffer that the handler has not read, and of which.
    chunk: Range<usize>,
    chunk_of: Body,
    stop: Option<Stop>,
}

impl Current {
    fn new(id: RequestId, role: Role, keep_conn: bool) -> Self {
        Self {
            id,
            role,
            keep_conn,
            ready: false,
            in_place: None,
            stdin_ended: !role.has_stdin(),
            data_ended: !role.has_data(),
            chunk: 0..0,
            chunk_of: Body::Stdin,
            stop: None,
        }
    }

    fn ended(&self, body: Body) -> bool {
        match body {
            Body::Stdin => self.stdin_ended,
            Body::Data => self.data_ended,
        }
    }
}

pub(crate) struct Connection<'t> {
    transport: &'t mut dyn Transport,
    place: Option<&'t Place<'t>>,
    settings: &'t Settings,
    protocol: server::Connection<1>,
    buffer: Box<[u8]>,
    /// What of `buffer` the protocol has not seen.
    unread: Range<usize>,
    current: Option<Current>,
    params: ParamsBuf,
    pub(crate) answer: Answer,
    /// When the parameters that are being read must be whole.
    params_deadline: Option<Instant>,
    /// When reading what nobody wants ends.
    drain_deadline: Option<Instant>,
    /// As last set on the transport, which has none at first.
    read_timeout: Option<Duration>,
    input_ended: bool,
    /// A write failed: part of a record may be out.
    write_failed: bool,
    /// A request was refused.
    refused: bool,
}

impl<'t> Connection<'t> {
    pub(crate) fn new(
        transport: &'t mut dyn Transport,
        place: Option<&'t Place<'t>>,
        settings: &'t Settings,
    ) -> io::Result<Self> {
        let mut limits = settings.limits;
        limits.max_conns = u32::try_from(settings.max_connections).unwrap_or(u32::MAX);
        transport.set_write_timeout(settings.write_timeout)?;
        Ok(Self {
            transport,
            place,
            settings,
            protocol: server::Connection::new(limits),
            buffer: vec![0; READ_ROOM].into_boxed_slice(),
            unread: 0..0,
            current: None,
            params: ParamsBuf::new(usize::try_from(limits.params).unwrap_or(usize::MAX)),
            answer: Answer::new(settings.head_limit),
            params_deadline: None,
            drain_deadline: None,
            read_timeout: None,
            input_ended: false,
            write_failed: false,
            refused: false,
        })
    }

    /// Reads up to the end of the next request's parameters; `None` when the connection is over in good
    /// order.
    pub(crate) fn next_request(&mut self) -> io::Result<Option<Started>> {
        self.params_deadline = None;
        loop {
            if self.unread.is_empty() {
                if self.protocol.is_finished() {
                    return Ok(None);
                }
                match self.refill(Wait::Request) {
                    Ok(()) => {}
                    Err(Stop::Eof | Stop::TimedOut(..)) if self.protocol.is_idle() => return Ok(None),
                    Err(stop) => return Err(stop.into()),
                }
            }
            if self.current.is_some() || !self.take_whole()? {
                self.take_event()?;
            }
            let Some(current) = &mut self.current else { continue };
            match &current.stop {
                // Before it ran: there is nothing for a handler to decide.
                Some(Stop::Aborted) => self.end_aborted(0)?,
                Some(_) => self.current = None,
                None if current.ready => {
                    let Current { id, role, keep_conn, .. } = *current;
                    let params = match current.in_place.take() {
                        Some(range) => Params::InPlace { buffer: std::mem::take(&mut self.buffer), range },
                        None => Params::Gathered(std::mem::replace(&mut self.params, ParamsBuf::new(0))),
                    };
                    self.answer.reset(params.pairs().get(b"REQUEST_METHOD"));
                    return Ok(Some(Started { id, role, keep_conn, params }));
                }
                None => {}
            }
        }
    }

    /// Ends the request: what its answer still holds back, and END_REQUEST, in one write if it is small.
    /// `outcome` is the handler's, or what it failed with.
    pub(crate) fn end_request(
        &mut self,
        params: Params,
        outcome: Result<AppStatus, String>,
    ) -> io::Result<()> {
        match params {
            Params::Gathered(params) => self.params = params,
            Params::InPlace { buffer, .. } => self.buffer = buffer,
        }
        let Some(Current { id, ref stop, .. }) = self.current else { return Ok(()) };
        match (stop, outcome) {
            (_, outcome) if self.write_failed => {
                if let Err(text) = outcome {
                    log::warn!("request {id}: {text}");
                }
                Err(cut_off())
            }
            // It is over, and was answered.
            (Some(Stop::Refused(_)), _) => {
                self.current = None;
                Ok(())
            }
            (Some(Stop::Aborted), outcome) => self.end_aborted(outcome.unwrap_or_default().0),
            (_, Ok(AppStatus(app_status))) => match self.answer.end() {
                Ok(()) => self.end_answered(id, app_status),
                Err(error) => self.end_failed(id, &error.to_string()),
            },
            (_, Err(text)) => self.end_failed(id, &text),
        }
    }

    fn end_failed(&mut self, id: RequestId, why: &str) -> io::Result<()> {
        log::warn!("request {id}: {why}");
        self.answer.fail(why).map_err(invalid)?;
        self.end_answered(id, 0)
    }

    fn end_aborted(&mut self, app_status: u32) -> io::Result<()> {
        let Some(Current { id, .. }) = self.current.take() else { return Ok(()) };
        let end = self.protocol.finish(id, app_status).map_err(misuse)?;
        self.write_all(&mut [IoSlice::new(&end)])
    }

    fn end_answered(&mut self, id: RequestId, app_status: u32) -> io::Result<()> {
        if self.protocol.drains_before_end(id) || !self.protocol.may_finish(id) {
            return self.end_drained(id, app_status);
        }
        self.finish(id, app_status)
    }

    /// Ends a request of whose input something is left.
    #[cold]
    fn end_drained(&mut self, id: RequestId, app_status: u32) -> io::Result<()> {
        self.drain_request(|connection| !connection.protocol.drains_before_end(id));
        if !self.protocol.may_finish(id) {
            // A Filter whose handler has not read its STDIN.
            self.drain_request(|connection| {
                connection.protocol.may_finish(id) || !connection.protocol.is_active(id)
            });
        }
        match self.current {
            // It came behind what the handler read.
            Some(Current { stop: Some(Stop::Aborted), .. }) => return self.end_aborted(app_status),
            // It is over, and was answered.
            Some(Current { stop: Some(Stop::Refused(_)), .. }) => {
                self.current = None;
                return Ok(());
            }
            _ => {}
        }
        if self.protocol.is_active(id) && !self.protocol.may_finish(id) {
            // Nothing may be answered before that stream ends, but for the end itself.
            self.current = None;
            let refusal = self.protocol.reject(id, Refusal::Malformed).map_err(misuse)?;
            return self.write_all(&mut [IoSlice::new(&refusal)]);
        }
        self.finish(id, app_status)
    }

    /// Closes in the order that loses no answer: shut down writing, drain input within a bound, close. To
    /// close with input unread would reset the connection, with what was just sent on it.
    pub(crate) fn close(&mut self) {
        if self.write_failed || self.input_ended || self.transport.shutdown_write().is_err() {
            return;
        }
        self.drain_deadline = None;
        let mut drained = 0;
        while drained < self.settings.drain_limit {
            self.unread = 0..0;
            if self.fill(Wait::Drain).is_err() {
                break;
            }
            drained += self.unread.len() as u64;
        }
    }

    /// Reads the next bytes of one of the request's bodies; 0 at its end.
    pub(crate) fn read_body(&mut self, body: Body, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            let current = self.current.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            if current.chunk_of == body && !current.chunk.is_empty() {
                let count = current.chunk.len().min(into.len());
                let start = current.chunk.start;
                into[..count].copy_from_slice(&self.buffer[start..start + count]);
                current.chunk.start += count;
                return Ok(count);
            }
            if current.ended(body) {
                return Ok(0);
            }
            if let Some(stop) = &current.stop {
                return Err(stop.clone().into());
            }
            // What is left of the other body is not wanted: the streams come one after the other.
            if let Err(stop) = self.pull(Wait::Body) {
                if let Some(current) = &mut self.current {
                    current.stop = Some(stop);
                }
            }
        }
    }

    pub(crate) fn write_stdout(&mut self, data: &[u8]) -> io::Result<usize> {
        let rest = self.answer.write(data).map_err(invalid)?;
        if rest.is_empty() {
            return Ok(data.len());
        }
        let sent = self.send(rest)?;
        Ok(data.len() - rest.len() + sent)
    }

    pub(crate) fn write_stderr(&mut self, data: &[u8]) -> io::Result<usize> {
        let (now, _) = data.split_at(data.len().min(16 * 1024));
        if self.answer.write_stderr(now) {
            self.send(&[])?;
        }
        Ok(now.len())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.answer.end_fields().map_err(invalid)?;
        if self.answer.head_is_whole() { self.send(&[]).map(drop) } else { Ok(()) }
    }

    /// Reads input that nobody wants until `done`, within the bounds.
    fn drain_request(&mut self, done: impl Fn(&Self) -> bool) {
        self.drain_deadline = None;
        let mut drained = 0;
        while !done(self) && drained <= self.settings.drain_limit {
            if self.current.as_ref().is_none_or(|current| current.stop.is_some()) {
                break;
            }
            let result = self.pull(Wait::Drain);
            let Some(current) = &mut self.current else { break };
            if let Err(stop) = result {
                current.stop = Some(stop);
            }
            drained += std::mem::take(&mut current.chunk).len() as u64;
        }
    }

    /// Takes in the next event, or uses up what was read; reads first if that is used up already.
    fn pull(&mut self, wait: Wait) -> Result<(), Stop> {
        if self.unread.is_empty() {
            self.refill(wait)?;
        }
        self.take_event()
    }

    /// Reads more to be taken in.
    fn refill(&mut self, wait: Wait) -> Result<(), Stop> {
        // After an error there is nothing to wait for.
        self.protocol.next_event(&mut &[][..]).map_err(Stop::Protocol)?;
        self.fill(wait)
    }

    /// Takes in a request that is all there, if one comes next.
    fn take_whole(&mut self) -> Result<bool, Stop> {
        let mut input = &self.buffer[self.unread.clone()];
        let Some(Whole { id, keep_conn, params }) = self.protocol.whole_request(&mut input) else {
            return Ok(false);
        };
        let refusal = Pairs::new(params).check().err().map(|_| Refusal::Malformed);
        let mut current = Current::new(id, Role::Responder, keep_conn);
        (current.ready, current.stdin_ended) = (true, true);
        // They are a part of the buffer.
        let start = params.as_ptr().addr() - self.buffer.as_ptr().addr();
        current.in_place = Some(start..start + params.len());
        self.current = Some(current);
        self.unread.start = self.unread.end - input.len();
        refusal.map_or(Ok(()), |why| self.reject(id, why)).and(Ok(true))
    }

    /// Takes in the next event, or uses up what was read.
    fn take_event(&mut self) -> Result<(), Stop> {
        let mut input = &self.buffer[self.unread.clone()];
        let result = self.protocol.next_event(&mut input);
        let at = self.unread.end - input.len();
        let mut rejection = None;
        match result {
            Ok(None | Some(Event::Paused)) => {}
            Ok(Some(Event::Begin { id, role, keep_conn })) => {
                self.params.clear(KEPT_PARAMS);
                self.current = Some(Current::new(id, role, keep_conn));
            }
            Ok(Some(Event::Params { id, data })) => {
                if self.params.push(data).is_err() {
                    rejection = Some((id, Refusal::Overloaded));
                }
            }
            Ok(Some(Event::ParamsEnd { id })) => match (self.params.finish(), &mut self.current) {
                (Ok(()), Some(current)) => current.ready = true,
                _ => rejection = Some((id, Refusal::Malformed)),
            },
            Ok(Some(event)) => {
                if let Some(current) = &mut self.current {
                    match event {
                        Event::Stdin { data, .. } => {
                            (current.chunk, current.chunk_of) = (at - data.len()..at, Body::Stdin);
                        }
                        Event::Data { data, .. } => {
                            (current.chunk, current.chunk_of) = (at - data.len()..at, Body::Data);
                        }
                        Event::StdinEnd { .. } => current.stdin_ended = true,
                        Event::DataEnd { .. } => current.data_ended = true,
                        Event::Abort { .. } => current.stop = Some(Stop::Aborted),
                        Event::Rejected { why, .. } => current.stop = Some(Stop::Refused(why)),
                        _ => {}
                    }
                }
            }
            Err(error) => {
                self.unread.start = at;
                self.reply()?;
                return Err(Stop::Protocol(error));
            }
        }
        self.unread.start = at;
        if let Some((id, why)) = rejection {
            self.reject(id, why)?;
        }
        if self.protocol.has_reply() { self.reply() } else { Ok(()) }
    }

    /// Refuses the request that is being read.
    fn reject(&mut self, id: RequestId, why: Refusal) -> Result<(), Stop> {
        self.log_refusal(id, why);
        if let Some(current) = &mut self.current {
            current.stop = Some(Stop::Refused(why));
        }
        match self.protocol.reject(id, why) {
            Ok(control) => self.write_all(&mut [IoSlice::new(&control)]).map_err(stop),
            Err(error) => Err(Stop::Io(io::ErrorKind::Other, error.to_string())),
        }
    }

    /// Only a connection's first refusal is a warning: no client can fill a log with them.
    fn log_refusal(&mut self, id: RequestId, why: Refusal) {
        let level =
            if std::mem::replace(&mut self.refused, true) { log::Level::Debug } else { log::Level::Warn };
        log::log!(level, "request {id}: refused: {why}");
    }

    /// Sends what the protocol owes.
    #[cold]
    fn reply(&mut self) -> Result<(), Stop> {
        loop {
            if let Some((id, why)) = self.protocol.refusal() {
                self.log_refusal(id, why);
            }
            let Some(reply) = self.protocol.poll_reply() else { return Ok(()) };
            self.write_all(&mut [IoSlice::new(&reply)]).map_err(stop)?;
        }
    }

    /// Reads into the buffer, which is used up.
    fn fill(&mut self, wait: Wait) -> Result<(), Stop> {
        let idle = matches!(wait, Wait::Request) && self.protocol.is_idle();
        let (what, limit, until) = match wait {
            Wait::Request if idle => {
                self.params_deadline = None;
                ("request", self.settings.idle_timeout, None)
            }
            Wait::Request => {
                let limit = self.settings.params_timeout;
                let until = *self.params_deadline.get_or_insert_with(|| deadline(limit));
                ("whole parameters", limit, Some(until))
            }
            Wait::Body => ("body", self.settings.read_timeout, None),
            Wait::Drain => {
                let limit = self.settings.drain_timeout;
                let until = *self.drain_deadline.get_or_insert_with(|| deadline(limit));
                ("end of input", limit, Some(until))
            }
        };
        let left = until.map_or(limit, |until| until.saturating_duration_since(Instant::now()));
        if until.is_some() && left.is_zero() {
            return Err(Stop::TimedOut(what, limit));
        }
        let place = self.place.filter(|_| idle);
        // A place closes what is idle for too long.
        let timeout = if place.is_some() { None } else { Some(left) };
        if self.read_timeout != timeout {
            self.transport.set_read_timeout(timeout).map_err(stop)?;
            self.read_timeout = timeout;
        }
        if place.is_some_and(|place| !place.idle()) {
            return Err(Stop::Eof);
        }
        let result = loop {
            match self.transport.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        // One that has ended stays idle until it is gone: no other needs to make room in its stead.
        if let (Some(place), Ok(1..)) = (place, &result) {
            place.busy();
        }
        match result {
            Ok(0) => {
                self.input_ended = true;
                self.protocol.eof().map_err(Stop::Protocol)?;
                Err(Stop::Eof)
            }
            Ok(count) => {
                self.unread = 0..count;
                Ok(())
            }
            Err(error) if is_timeout(&error) => Err(Stop::TimedOut(what, limit)),
            Err(error) => {
                self.input_ended = true;
                Err(stop(error))
            }
        }
    }

    /// Sends what the answer holds back and the end of the request, in one write.
    fn finish(&mut self, id: RequestId, app_status: u32) -> io::Result<()> {
        self.current = None;
        if self.write_failed {
            return Err(cut_off());
        }
        let records = self.answer.finish(&mut self.protocol, id, app_status).map_err(misuse)?;
        write_all(self.transport, &mut [IoSlice::new(records)], self.settings.write_timeout)
            .inspect_err(|_| self.write_failed = true)
    }

    /// Sends what the answer holds back, then the first record of `direct`, of which it returns the length,
    /// then STDERR: all in one write.
    fn send(&mut self, direct: &[u8]) -> io::Result<usize> {
        let Some(current) = &self.current else { return Err(io::ErrorKind::NotConnected.into()) };
        if self.write_failed {
            return Err(cut_off());
        }
        let id = current.id;
        // The buffer holds less than a record, and STDERR is sent before it is more than one.
        let (held, _) = self.protocol.stdout(id, self.answer.stdout()).map_err(misuse)?;
        let (record, rest) = self.protocol.stdout(id, direct).map_err(misuse)?;
        let (stderr, _) = self.protocol.stderr(id, self.answer.stderr()).map_err(misuse)?;
        let mut slices: [IoSlice<'_>; 9] = std::array::from_fn(|_| IoSlice::new(&[]));
        let parts = [held.slices(), record.slices(), stderr.slices()];
        let parts = parts.iter().flatten().copied().filter(|part| !part.is_empty());
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        write_all(self.transport, &mut slices[..count], self.settings.write_timeout).inspect_err(|_| {
            self.write_failed = true;
        })?;
        self.answer.sent();
        Ok(direct.len() - rest.len())
    }

    fn write_all(&mut self, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        if self.write_failed {
            return Err(cut_off());
        }
        write_all(self.transport, slices, self.settings.write_timeout)
            .inspect_err(|_| self.write_failed = true)
    }
}

fn write_all(
    transport: &mut dyn Transport,
    mut slices: &mut [IoSlice<'_>],
    limit: Duration,
) -> io::Result<()> {
    while !slices.is_empty() {
        match transport.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut slices, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_timeout(&error) => {
                let text = format!("the client took no byte of the answer for {} s", limit.as_secs_f32());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            Err(error) => return Err(error),
        }
    }
    transport.flush()
}

/// Nothing may be sent any more: it would be taken for the rest of a record.
fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "a write failed: the answer is cut off")
}

/// When `limit`, from now on, is over; in a century if it is too long to tell.
fn deadline(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit).unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 24 * 3600))
}

/// A socket's time limit shows as either.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn stop(error: io::Error) -> Stop {
    Stop::Io(error.kind(), error.to_string())
}

fn misuse(error: SendError) -> io::Error {
    io::Error::other(error)
}

pub(crate) fn invalid(error: fcgi_proto::cgi::HeadError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
