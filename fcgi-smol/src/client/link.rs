//! One connection to an application, and the requests on it. Nothing runs by itself: whoever polls a request
//! reads and writes for all of them.
//!
//! What comes for a request is kept with it until it is taken. FastCGI has no flow control for one request,
//! so when one has much that nobody takes, nothing more is read for any of them.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use fcgi_proto::client::{Connection, Event, SendError};
use fcgi_proto::record::{MAX_CONTENT, RequestId, Role};
use fcgi_proto::{ConnectionError, Limits};

use super::body::Stream;
use super::socket::Socket;
use super::wakers::Wakers;
use super::{ClientError, End, Value};

/// Requests that one connection can carry at a time.
pub(crate) const CAPACITY: usize = 128;

/// Bytes read at a time.
const READ_ROOM: usize = 64 * 1024;

/// Bytes of STDOUT of one request that are kept before nothing more is read.
const STDOUT_LIMIT: usize = 256 * 1024;

/// Bytes of STDERR that are kept until someone takes them; what comes then is dropped.
const STDERR_LIMIT: usize = 64 * 1024;

/// Reads in one poll, so that a task that serves all others gets back to its own.
const ROUNDS: usize = 16;

/// A request on a connection.
struct Request {
    /// None: it is GET_VALUES, which has none.
    id: Option<RequestId>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    end: Option<End>,
    /// Whether nobody waits for it any more: what comes for it is dropped.
    left: bool,
    /// Goes up whenever something comes for it.
    came: u64,
    /// Its first and its last byte so far, of all that are sent on the connection.
    sent: Range<u64>,
}

impl Request {
    fn is_waited_for(&self) -> bool {
        !self.left && self.end.is_none()
    }
}

/// Why a connection carries nothing any more.
enum Failure {
    Io(Arc<io::Error>),
    Protocol(ConnectionError),
    Truncated,
}

/// What a request waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Whether something of it is still to be sent.
    pub(crate) sending: bool,
    /// Whether something came for it.
    pub(crate) answered: bool,
    /// Changes whenever it gets further.
    pub(crate) mark: u64,
}

pub(crate) struct Link {
    state: Mutex<State>,
    wakers: Arc<Wakers>,
}

struct State {
    /// None: it is closed.
    socket: Option<Socket>,
    protocol: Connection<CAPACITY>,
    /// Whether it may carry several requests at a time.
    multiplexed: bool,
    buffer: Box<[u8]>,
    /// What of `buffer` the protocol has not seen.
    unread: Range<usize>,
    /// Records to be sent, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    flushed: bool,
    /// Bytes that were ever put into `out`, and written.
    queued: u64,
    written: u64,
    /// Whether the application stopped taking what is sent.
    refuses_input: bool,
    failure: Option<Failure>,
    requests: Vec<Option<Request>>,
    /// Whether any byte ever came.
    answered: bool,
    /// Whom to wake when the lock is free.
    woken: Vec<Waker>,
}

impl Link {
    pub(crate) fn new(socket: Socket, multiplexed: bool) -> Self {
        let state = State {
            socket: Some(socket),
            protocol: Connection::new(Limits::default()),
            multiplexed,
            buffer: vec![0; READ_ROOM].into_boxed_slice(),
            unread: 0..0,
            out: Vec::new(),
            sent: 0,
            flushed: true,
            queued: 0,
            written: 0,
            refuses_input: false,
            failure: None,
            requests: Vec::new(),
            answered: false,
            woken: Vec::new(),
        };
        Self { state: Mutex::new(state), wakers: Wakers::new() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut state);
        let woken = std::mem::take(&mut state.woken);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        result
    }

    /// Whether it takes a further request: the last one has left nothing behind.
    pub(crate) fn is_settled(&self) -> bool {
        self.with(|state| {
            let has_others = state.requests.iter().any(Option::is_some);
            state.is_reusable() && (has_others || state.unread.is_empty() && state.out.is_empty())
        })
    }

    /// Makes the records of a request up to the end of its parameters; returns its place. Where there is no other,
    /// the connection has waited: it takes none if anything came on it since, bytes or an end.
    pub(crate) fn begin(&self, role: Role, keep_conn: bool, variables: &[Value]) -> Result<usize, SendError> {
        self.with(|state| {
            let is_idle = state.requests.iter().all(Option::is_none);
            if !state.is_reusable() || is_idle && !state.is_silent() {
                return Err(SendError::NotReusable);
            }
            let pairs = variables.iter().map(|(name, value)| (&name[..], &value[..]));
            let began = state.queued;
            let id = state.queue(|protocol, out| protocol.begin_with(role, keep_conn, pairs, out))?;
            self.wakers.set_ready(true);
            Ok(state.place(Some(id), began))
        })
    }

    /// Makes the GET_VALUES record; returns its place.
    pub(crate) fn get_values(&self) -> usize {
        self.with(|state| {
            let began = state.queued;
            state.queue(|protocol, out| out.extend_from_slice(&protocol.get_values()));
            self.wakers.set_ready(true);
            state.place(None, began)
        })
    }

    /// Whether the next piece of a request's body can be sent.
    pub(crate) fn has_room(&self, place: usize) -> bool {
        self.with(|state| {
            let request = state.requests[place].as_ref().is_some_and(Request::is_waited_for);
            request && state.failure.is_none() && state.has_room()
        })
    }

    /// Makes the next record of a request's input; of no bytes, the stream's end.
    pub(crate) fn send(&self, place: usize, stream: Stream, data: &[u8]) -> Result<(), SendError> {
        self.with(|state| {
            let Some(Request { id: Some(id), end: None, .. }) = state.requests[place] else { return Ok(()) };
            state.queue(|protocol, out| {
                let record = match stream {
                    Stream::Stdin if data.is_empty() => {
                        out.extend_from_slice(&protocol.stdin_end(id)?);
                        return Ok(());
                    }
                    Stream::Data if data.is_empty() => {
                        out.extend_from_slice(&protocol.data_end(id)?);
                        return Ok(());
                    }
                    Stream::Stdin => protocol.stdin(id, data)?.0,
                    Stream::Data => protocol.data(id, data)?.0,
                };
                record.slices().iter().for_each(|slice| out.extend_from_slice(slice));
                Ok(())
            })?;
            let queued = state.queued;
            if let Some(request) = &mut state.requests[place] {
                request.sent.end = queued;
            }
            self.wakers.set_ready(true);
            Ok(())
        })
    }

    /// What came for a request, if something did: bytes, in `chunk` in place of what was there, or its end.
    pub(crate) fn take(&self, place: usize, chunk: &mut Vec<u8>) -> Option<Result<Option<End>, ClientError>> {
        self.with(|state| state.take(place, chunk, &self.wakers))
    }

    /// Sends and receives, for all requests, until something came for this one.
    pub(crate) fn poll(
        &self,
        place: usize,
        cx: &mut Context<'_>,
        chunk: &mut Vec<u8>,
    ) -> Poll<Result<Option<End>, ClientError>> {
        self.wakers.register(place, cx.waker());
        self.with(|state| {
            if self.wakers.is_ready() {
                state.drive(place, &self.wakers);
            }
            state.take(place, chunk, &self.wakers).map_or(Poll::Pending, Poll::Ready)
        })
    }

    pub(crate) fn progress(&self, place: usize) -> Progress {
        self.with(|state| match &state.requests[place] {
            Some(Request { came, sent, .. }) => {
                let sending = !state.refuses_input && state.written < sent.end;
                let written = if sending { state.written } else { 0 };
                Progress { sending, answered: *came > 0, mark: came.wrapping_add(written) }
            }
            None => Progress { sending: false, answered: false, mark: 0 },
        })
    }

    /// Whether not one byte of a request was sent.
    pub(crate) fn is_unsent(&self, place: usize) -> bool {
        self.with(|state| {
            state.requests[place].as_ref().is_some_and(|request| state.written <= request.sent.start)
        })
    }

    /// What came on a request's STDERR since this was last asked.
    pub(crate) fn take_stderr(&self, place: usize) -> Vec<u8> {
        self.with(|state| {
            state.requests[place]
                .as_mut()
                .map_or_else(Vec::new, |request| std::mem::take(&mut request.stderr))
        })
    }

    /// Nobody waits for a request any more. Before its end, it is aborted where there are others, and else the
    /// connection is closed.
    pub(crate) fn leave(&self, place: usize) {
        self.with(|state| {
            drop(self.wakers.take(place));
            let Some(request) = &mut state.requests[place] else { return };
            // What it did not take may have held up the others.
            state.woken.extend(self.wakers.take_all());
            self.wakers.set_ready(true);
            if request.end.is_some() {
                state.requests[place] = None;
                return;
            }
            request.left = true;
            (request.stdout, request.stderr) = (Vec::new(), Vec::new());
            let id = request.id;
            let has_others = state.requests.iter().flatten().any(Request::is_waited_for);
            state.queue(|protocol, out| {
                if let Some(Ok(abort)) = id.map(|id| protocol.abort(id)) {
                    out.extend_from_slice(&abort);
                }
            });
            if !state.multiplexed || !has_others {
                state.fail(Failure::Truncated, &self.wakers);
            }
        });
    }

    pub(crate) fn close(&self) {
        self.with(|state| state.fail(Failure::Truncated, &self.wakers));
    }
}

impl State {
    fn is_reusable(&self) -> bool {
        self.failure.is_none() && !self.refuses_input && self.protocol.is_reusable()
    }

    /// Whether nothing is there to be read, neither bytes nor an end.
    fn is_silent(&mut self) -> bool {
        self.unread.is_empty() && self.socket.as_mut().is_some_and(|socket| !socket.has_input())
    }

    /// Takes in a new request, which began at this byte.
    fn place(&mut self, id: Option<RequestId>, began: u64) -> usize {
        let request = Request {
            id,
            stdout: Vec::new(),
            stderr: Vec::new(),
            end: None,
            left: false,
            came: 0,
            sent: began..self.queued,
        };
        let free = self.requests.iter().position(Option::is_none).unwrap_or(self.requests.len());
        if free == self.requests.len() {
            self.requests.push(None);
        }
        self.requests[free] = Some(request);
        free
    }

    /// Lets `make` append records to what is to be sent.
    fn queue<T>(&mut self, make: impl FnOnce(&mut Connection<CAPACITY>, &mut Vec<u8>) -> T) -> T {
        self.out.drain(..self.sent);
        self.sent = 0;
        let before = self.out.len();
        let result = make(&mut self.protocol, &mut self.out);
        self.queued += (self.out.len() - before) as u64;
        result
    }

    fn has_room(&self) -> bool {
        !self.refuses_input && self.out.len() - self.sent < MAX_CONTENT
    }

    /// Whether a request has so much that nobody took that nothing is read.
    fn is_full(&self) -> bool {
        self.requests.iter().flatten().any(|request| request.stdout.len() >= STDOUT_LIMIT)
    }

    fn wake_all(&mut self, wakers: &Wakers) {
        self.woken.extend(wakers.take_all());
    }

    fn take(
        &mut self,
        place: usize,
        chunk: &mut Vec<u8>,
        wakers: &Wakers,
    ) -> Option<Result<Option<End>, ClientError>> {
        let was_full = self.is_full();
        if let Some(request) = &mut self.requests[place] {
            if !request.stdout.is_empty() {
                chunk.clear();
                std::mem::swap(chunk, &mut request.stdout);
                if was_full {
                    wakers.set_ready(true);
                    self.wake_all(wakers);
                }
                return Some(Ok(None));
            }
            if let Some(end) = request.end {
                return Some(Ok(Some(end)));
            }
        }
        match self.failure.as_ref()? {
            Failure::Io(error) => Some(Err(ClientError::Io(io::Error::new(error.kind(), Arc::clone(error))))),
            Failure::Protocol(error) => Some(Err(ClientError::Protocol(*error))),
            Failure::Truncated => Some(Err(ClientError::Truncated)),
        }
    }

    /// Sends and receives until the socket has no more, or something came for the request at `place` and no
    /// other waits.
    fn drive(&mut self, place: usize, wakers: &Arc<Wakers>) {
        let waker = Waker::from(Arc::clone(wakers));
        let mut cx = Context::from_waker(&waker);
        wakers.set_ready(false);
        for _ in 0..ROUNDS {
            self.dispatch(wakers);
            self.write(&mut cx, wakers);
            if self.failure.is_some() || !self.unread.is_empty() {
                return; // If there is something unread, it goes on when a request takes what it has.
            }
            let mut waiting = self
                .requests
                .iter()
                .enumerate()
                .filter(|(_, request)| request.as_ref().is_some_and(Request::is_waited_for));
            let alone = waiting.all(|(other, _)| other == place);
            let mine = self.requests[place].as_ref();
            if alone && mine.is_some_and(|mine| !mine.stdout.is_empty() || mine.end.is_some()) {
                wakers.set_ready(true);
                return;
            }
            if self.receive(&mut cx, wakers).is_pending() {
                return;
            }
        }
        wakers.set_ready(true);
        self.wake_all(wakers);
    }

    /// Gives what was received to those whom it is for.
    fn dispatch(&mut self, wakers: &Wakers) {
        while !self.unread.is_empty() && !self.is_full() {
            let mut input = &self.buffer[self.unread.clone()];
            let event = match self.protocol.next_event(&mut input) {
                Ok(event) => event,
                Err(error) => return self.fail(Failure::Protocol(error), wakers),
            };
            self.unread.start = self.unread.end - input.len();
            let id = match event {
                Some(
                    Event::Stdout { id, .. }
                    | Event::StdoutEnd { id }
                    | Event::Stderr { id, .. }
                    | Event::StderrEnd { id }
                    | Event::End { id, .. },
                ) => Some(id),
                Some(Event::Values { .. } | Event::UnknownType { .. }) => None,
                Some(_) => continue,
                None => return,
            };
            let concerned = |request: &Option<Request>| {
                request.as_ref().is_some_and(|request| request.id == id && request.end.is_none())
            };
            let Some(place) = self.requests.iter().position(concerned) else { continue };
            let Some(request) = &mut self.requests[place] else { continue };
            request.came += 1;
            match event {
                Some(Event::Stdout { data, .. }) if !request.left => request.stdout.extend_from_slice(data),
                Some(Event::Stderr { data, .. }) if !request.left => {
                    let room = STDERR_LIMIT.saturating_sub(request.stderr.len());
                    request.stderr.extend_from_slice(&data[..data.len().min(room)]);
                }
                Some(Event::End { app_status, protocol_status, answered, .. }) => {
                    request.end = Some(End { app_status, protocol_status, answered });
                }
                Some(Event::Values { data, last }) => {
                    request.stdout.extend_from_slice(data);
                    request.end = last.then_some(OVER);
                }
                Some(Event::UnknownType { .. }) => request.end = Some(OVER),
                _ => {}
            }
            if request.left && request.end.is_some() {
                self.requests[place] = None;
            } else {
                self.woken.extend(wakers.take(place));
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, wakers: &Wakers) {
        let Some(socket) = &mut self.socket else { return };
        let had_room = self.out.len() - self.sent < MAX_CONTENT;
        while !self.refuses_input && self.sent < self.out.len() {
            match socket.poll_write(cx, &self.out[self.sent..]) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.sent += count;
                    self.written += count as u64;
                    self.flushed = false;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                // An answer may have come before the application closed: it is read first.
                Poll::Ready(_) => self.refuses_input = true,
                Poll::Pending => break,
            }
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
            self.flushed = self.flushed || self.refuses_input || socket.poll_flush(cx).is_ready();
        }
        if !had_room && self.has_room() {
            self.wake_all(wakers);
        }
    }

    /// Receives what is there.
    fn receive(&mut self, cx: &mut Context<'_>, wakers: &Wakers) -> Poll<()> {
        let Some(socket) = &mut self.socket else { return Poll::Pending };
        match ready!(socket.poll_read(cx, &mut self.buffer)) {
            Ok(0) => match self.protocol.eof() {
                Ok(()) => self.fail(Failure::Truncated, wakers),
                Err(error) => self.fail(Failure::Protocol(error), wakers),
            },
            Ok(count) => {
                self.unread = 0..count;
                self.answered = true;
                // Where there is one request only, whatever comes is for it.
                let mut open = self.requests.iter_mut().flatten().filter(|request| request.end.is_none());
                if let (Some(only), None) = (open.next(), open.next()) {
                    only.came += 1;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.fail(Failure::Io(Arc::new(error)), wakers),
        }
        Poll::Ready(())
    }

    /// Closes.
    fn fail(&mut self, failure: Failure, wakers: &Wakers) {
        self.failure.get_or_insert(failure);
        self.socket = None;
        self.wake_all(wakers);
    }
}

/// The end of what has no END_REQUEST.
const OVER: End = End { app_status: 0, protocol_status: 0, answered: true };
