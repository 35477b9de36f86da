//! Does for one connection what its session asks: moves bytes between the transport, the session and the handler
//! of its request. One request at a time: while a handler runs, input is read only as it is needed.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::time::{Duration, Instant};
use std::{array, mem, thread};

use fcgi_proto::Level;
use fcgi_proto::cgi::Answer;
use fcgi_proto::pair::{Pairs, ParamsBuf};
use fcgi_proto::record::Role;
use fcgi_proto::server::Session;
use fcgi_proto::server::session::{Batch, End, Input, Read, Request, Stopped, Stream, Write, WriteError};

use super::log::{Name, Peer, log_level};
use super::places::Place;
use super::request::AppStatus;
use super::settings::Settings;
use crate::net::spool::Spool;
use crate::net::transport::Transport;

/// Room for one read: a whole request as web servers send it, and a whole record of a large body.
const READ_ROOM: usize = 64 * 1024 + 512;

/// Memory for parameters that is kept from request to request.
const KEPT_PARAMS: usize = 16 * 1024;

/// Memory for input that waits for a handler.
const BODY_ROOM: usize = 64 * 1024;

/// The time since the server began, which is all that a session knows of it.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Of a server that begins.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since then.
    #[must_use]
    pub fn now(self) -> Duration {
        self.0.elapsed()
    }

    /// The system's time for this one; in a century if it is too late to be told.
    #[must_use]
    pub fn at(self, time: Duration) -> Instant {
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        self.0.checked_add(time).unwrap_or_else(|| self.0 + century)
    }
}

/// A request whose parameters are there.
pub(crate) struct Started {
    pub(crate) request: Request,
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

/// What a connection is served for.
#[derive(Clone, Copy)]
pub(crate) struct Context<'t> {
    pub(crate) settings: &'t Settings,
    pub(crate) clock: Clock,
    pub(crate) place: Option<&'t Place<'t>>,
    pub(crate) peer: Peer,
}

pub(crate) struct Connection<'t> {
    transport: &'t mut dyn Transport,
    context: Context<'t>,
    session: Session<1>,
    buffer: Box<[u8]>,
    /// What of `buffer` the session has not taken.
    unread: Range<usize>,
    /// The role of the request that begins, and whether the connection is kept after it.
    begun: (Role, bool),
    params: ParamsBuf,
    pub(crate) answer: Answer,
    /// Input that waits for the handler.
    stdin: Spool,
    data: Spool,
    /// As last set on the transport, which has none at first.
    read_limit: Option<Duration>,
    /// What the transport failed with, or the connection ended with.
    failure: Option<(Level, io::Error)>,
}

impl<'t> Connection<'t> {
    pub(crate) fn new(transport: &'t mut dyn Transport, context: Context<'t>) -> io::Result<Self> {
        let settings = context.settings;
        let mut limits = settings.limits;
        limits.max_conns = u32::try_from(settings.max_connections).unwrap_or(u32::MAX);
        transport.set_write_timeout(settings.write_timeout)?;
        Ok(Self {
            transport,
            context,
            session: Session::new(limits, &settings.patience()),
            buffer: vec![0; READ_ROOM].into_boxed_slice(),
            unread: 0..0,
            begun: (Role::Responder, false),
            params: ParamsBuf::new(usize::try_from(limits.params).unwrap_or(usize::MAX)),
            answer: Answer::new(settings.head_limit),
            stdin: Spool::default(),
            data: Spool::default(),
            read_limit: None,
            failure: None,
        })
    }

    /// Goes on up to the end of the next request's parameters; `None` once the connection is over.
    pub(crate) fn next_request(&mut self) -> Option<Started> {
        loop {
            if let Some((request, keep_conn, range)) = self.take_whole() {
                let params = Params::InPlace { buffer: mem::take(&mut self.buffer), range };
                if params.pairs().check().is_ok() {
                    return Some(self.start(request, (Role::Responder, keep_conn), params));
                }
                self.put_back(params);
                self.session.refuse_malformed(request);
            }
            match self.take_event() {
                Some(Some(request)) => {
                    let params = Params::Gathered(mem::replace(&mut self.params, ParamsBuf::new(0)));
                    return Some(self.start(request, self.begun, params));
                }
                Some(None) => {}
                None if self.turn() => {}
                None => return None,
            }
        }
    }

    /// Takes in a request that is all there, if one comes next: it, whether the connection is kept after it, and
    /// where its parameters are in the buffer.
    fn take_whole(&mut self) -> Option<(Request, bool, Range<usize>)> {
        let mut input = &self.buffer[self.unread.clone()];
        let whole = self.session.receive_whole(&mut input)?;
        self.unread.start = self.unread.end - input.len();
        let start = whole.params.as_ptr().addr() - self.buffer.as_ptr().addr();
        Some((whole.request, whole.keep_conn, start..start + whole.params.len()))
    }

    /// Takes in what comes before a handler runs, if there is something: the request whose handler is to run.
    fn take_event(&mut self) -> Option<Option<Request>> {
        let mut input = &self.buffer[self.unread.clone()];
        let event = self.session.receive(&mut input, self.context.clock.now());
        self.unread.start = self.unread.end - input.len();
        match event? {
            Input::Begin { role, keep_conn, .. } => {
                self.params.clear(KEPT_PARAMS);
                self.begun = (role, keep_conn);
            }
            Input::Params { request, data } if self.params.push(data).is_err() => {
                self.session.refuse_full(request);
            }
            Input::Start { request } if self.params.finish().is_ok() => return Some(Some(request)),
            Input::Start { request } => self.session.refuse_malformed(request),
            _ => {}
        }
        Some(None)
    }

    fn put_back(&mut self, params: Params) {
        match params {
            Params::Gathered(params) => self.params = params,
            Params::InPlace { buffer, .. } => self.buffer = buffer,
        }
    }

    fn start(&mut self, request: Request, (role, keep_conn): (Role, bool), params: Params) -> Started {
        self.answer.reset(params.pairs().get(b"REQUEST_METHOD"));
        Started { request, role, keep_conn, params }
    }

    /// Ends the request with what its handler ended or failed with.
    pub(crate) fn end_request(&mut self, started: Started, outcome: Result<AppStatus, String>) {
        let (request, now) = (started.request, self.context.clock.now());
        let level = self.session.failure_level(request);
        let (status, failed) = match outcome {
            Ok(AppStatus(status)) => (status, None),
            Err(why) => (0, Some(why)),
        };
        let finished = self.session.finish_answer(request, &mut self.answer, failed.as_deref(), now);
        if let Some(why) = failed.or_else(|| finished.err().map(|error| error.to_string())) {
            log::log!(log_level(level), "{}: {}: {why}", self.context.peer, Name(started.params.pairs()));
        }
        self.put_back(started.params);
        while self.end(request, status) || self.go_on_ending(request) {}
        self.stdin.clear();
        self.data.clear();
    }

    /// Sends what there is of the request's end; whether there may be more at once.
    fn end(&mut self, request: Request, status: u32) -> bool {
        let Self { session, transport, answer, context, .. } = self;
        let (bytes, more) = match session.end_answer(request, answer, status) {
            End::Part(bytes) => (bytes, true),
            End::Last(bytes) => (bytes, false),
            End::Wait | End::Over => return false,
        };
        let result = send(*transport, session, context.clock, &mut [IoSlice::new(bytes)]);
        self.answer.sent();
        self.note(result);
        more
    }

    fn go_on_ending(&mut self, request: Request) -> bool {
        self.session.is_alive(request) && self.go_on()
    }

    /// What is to be told of the connection.
    pub(crate) fn into_failure(self) -> Option<(Level, io::Error)> {
        self.failure
    }

    /// Reads the next bytes of one of the request's bodies; 0 at its end.
    pub(crate) fn read_body(
        &mut self,
        request: Request,
        stream: Stream,
        into: &mut [u8],
    ) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            let count = self.kept(stream).take(into)?;
            if count > 0 {
                return Ok(count);
            }
            let now = self.context.clock.now();
            match self.session.read(request, stream, now).map_err(|stopped| self.error(stopped))? {
                Read::End => return Ok(0),
                Read::Wait => {}
            }
            let mut input = &self.buffer[self.unread.clone()];
            match self.session.receive(&mut input, now) {
                Some(Input::Body { stream: of, data, .. }) if of == stream => {
                    let count = data.len().min(into.len());
                    into[..count].copy_from_slice(&data[..count]);
                    self.session.took(count);
                    self.unread.start = self.unread.end - input.len() - (data.len() - count);
                    return Ok(count);
                }
                Some(Input::Body { stream: of, data, spool, .. }) => {
                    let left = input.len() + data.len();
                    self.keep(of, left, data.len(), spool);
                }
                Some(_) => self.unread.start = self.unread.end - input.len(),
                None => {
                    self.unread.start = self.unread.end - input.len();
                    if !self.turn() {
                        return Err(self.error(Stopped::Broken));
                    }
                }
            }
        }
    }

    /// Writes, or flushes, until something was taken or all has left.
    pub(crate) fn write(&mut self, request: Request, what: Output<'_>) -> io::Result<usize> {
        loop {
            let Self { session, transport, answer, context, .. } = self;
            let now = context.clock.now();
            let written = match what {
                Output::Stdout(data) => session.write(request, answer, data, now),
                Output::Stderr(data) => session.write_stderr(request, answer, data, now),
                Output::Flush => session.flush(request, answer, now),
            };
            let taken = match written {
                Ok(Write::Taken(count)) => return Ok(count),
                Ok(Write::Send(batch)) => {
                    let result = send_batch(*transport, session, context.clock, &batch);
                    let taken = batch.taken;
                    self.answer.sent();
                    self.note(result);
                    taken
                }
                Ok(Write::Wait) => {
                    if !self.go_on() {
                        return Err(self.error(Stopped::Broken));
                    }
                    0
                }
                Err(WriteError::Stopped(stopped)) => return Err(self.error(stopped)),
                Err(error) => return Err(error.into()),
            };
            if taken > 0 {
                return Ok(taken);
            }
        }
    }

    /// Goes on while the request waits for something else than to read.
    fn go_on(&mut self) -> bool {
        let mut input = &self.buffer[self.unread.clone()];
        let event = self.session.receive(&mut input, self.context.clock.now());
        let left = input.len();
        if let Some(Input::Body { stream, data, spool, .. }) = event {
            self.keep(stream, left + data.len(), data.len(), spool);
            return true;
        }
        let came = event.is_some();
        self.unread.start = self.unread.end - left;
        came || self.turn()
    }

    fn kept(&mut self, stream: Stream) -> &mut Spool {
        match stream {
            Stream::Stdin => &mut self.stdin,
            Stream::Data => &mut self.data,
        }
    }

    /// Keeps what has room of the next `len` bytes, of `left` that were read, for the handler.
    fn keep(&mut self, stream: Stream, left: usize, len: usize, on_disk: bool) {
        let start = self.unread.end - left;
        let data = &self.buffer[start..start + len];
        let kept = match stream {
            Stream::Stdin => &mut self.stdin,
            Stream::Data => &mut self.data,
        };
        let mut count = kept.keep(data, BODY_ROOM);
        if on_disk {
            match kept.keep_on_disk(&data[count..], self.context.settings.spool) {
                Ok(more) => count += more,
                Err(error) => log::warn!("{}: a body is not kept on disk: {error}", self.context.peer),
            }
        }
        self.session.took(count);
        self.unread.start = start + count;
    }

    /// Does what the session wants of the transport first; `false` once the connection is over.
    fn turn(&mut self) -> bool {
        self.report();
        let now = self.context.clock.now();
        let next = self.session.next(now);
        if next.close {
            return false;
        }
        if next.write {
            while let Some(control) = self.session.poll_output() {
                let slices = &mut [IoSlice::new(&control)];
                let result = send(self.transport, &mut self.session, self.context.clock, slices);
                self.note(result);
            }
        } else if next.shutdown {
            let result = self.transport.shutdown_write();
            self.session.shut(now);
            if result.is_err() {
                self.session.end_of_input(now);
            }
        } else if next.read && !self.buffer.is_empty() {
            self.fill(now, next.at.map(|at| at.saturating_sub(now)));
        } else {
            let Some(at) = next.at else { return false };
            thread::sleep(at.saturating_sub(now));
        }
        self.session.expire(self.context.clock.now());
        true
    }

    /// Reads into the buffer, which is used up.
    fn fill(&mut self, now: Duration, limit: Option<Duration>) {
        let waiting = self.session.waiting();
        let place = self.context.place.zip(waiting);
        if let Some(why) = place.and_then(|(place, waiting)| place.wait(waiting)) {
            return self.session.leave(why, now);
        }
        // A longer limit than is needed is set anew when it has passed: so most requests set none.
        let longer = self.read_limit.is_none_or(|set| limit.is_some_and(|limit| limit < set));
        if longer && self.transport.set_read_timeout(limit).is_ok() {
            self.read_limit = limit;
        }
        let result = loop {
            match self.transport.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        // One that has ended waits until it is gone: no other needs to make room in its stead.
        if let (Some((place, _)), Ok(1..)) = (place, &result) {
            place.busy();
        }
        match result {
            Ok(0) => {
                if let Some(why) = place.and_then(|(place, _)| place.leaves()) {
                    self.session.leave(why, now);
                }
                self.session.end_of_input(now);
            }
            Ok(count) => self.unread = 0..count,
            Err(error) if is_timeout(&error) => self.read_limit = None,
            result => self.note(result.map(drop)),
        }
    }

    /// The transport has failed, perhaps.
    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.failure.get_or_insert((Level::Debug, error));
            self.session.broken(self.context.clock.now());
        }
    }

    /// Tells a log what the session has to say; what ends the connection is told at its end.
    fn report(&mut self) {
        let Some(report) = self.session.poll_report() else { return };
        if report.id.is_some() {
            let (peer, name) = (self.context.peer, Name(self.params.iter()));
            log::log!(log_level(report.level), "{peer}: {name}: {report}");
        } else {
            self.failure.get_or_insert((report.level, report.what.into()));
        }
    }

    /// Why the request goes on no further, to its handler.
    fn error(&self, stopped: Stopped) -> io::Error {
        match (stopped, &self.failure) {
            (Stopped::Broken, Some((_, error))) => io::Error::new(error.kind(), error.to_string()),
            _ => stopped.into(),
        }
    }
}

/// What a handler writes.
#[derive(Clone, Copy)]
pub(crate) enum Output<'d> {
    Stdout(&'d [u8]),
    Stderr(&'d [u8]),
    Flush,
}

fn send_batch(
    transport: &mut dyn Transport,
    session: &mut Session<1>,
    clock: Clock,
    batch: &Batch<'_>,
) -> io::Result<()> {
    let mut slices: [IoSlice<'_>; 9] = array::from_fn(|_| IoSlice::new(&[]));
    let mut count = 0;
    for part in batch.slices().into_iter().filter(|part| !part.is_empty()) {
        slices[count] = IoSlice::new(part);
        count += 1;
    }
    send(transport, session, clock, &mut slices[..count])
}

/// Sends bytes that the session handed out, as long as it lets the client take.
fn send(
    transport: &mut dyn Transport,
    session: &mut Session<1>,
    clock: Clock,
    mut slices: &mut [IoSlice<'_>],
) -> io::Result<()> {
    session.next(clock.now());
    while !slices.is_empty() {
        let count = match transport.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted || is_timeout(&error) => 0,
            Err(error) => return Err(error),
        };
        IoSlice::advance_slices(&mut slices, count);
        let now = clock.now();
        if slices.is_empty() {
            session.expire(now);
            session.sent(count, now);
            break;
        }
        session.sent(count, now);
        session.expire(now);
        let next = session.next(now);
        if !next.write {
            return Ok(());
        }
        if let Some(at) = next.at {
            transport.set_write_timeout(at.saturating_sub(now))?;
        }
    }
    transport.flush()
}

/// A socket's time limit shows as either.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
