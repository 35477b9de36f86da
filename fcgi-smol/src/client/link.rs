//! One connection to an application, and the requests on it. Nothing runs by itself: whoever polls a request
//! reads and writes for all of them. What is to be done is for the [`Session`] to say.

use std::fmt;
use std::io;
use std::mem;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use fcgi_proto::Level;
use fcgi_proto::client::{Again, Ask, Failure, Input, Manners, Request, Session, Stderr};

use super::socket::Socket;
use super::wakers::Wakers;
use super::{ClientError, ClientSettings, End, Params, Value};
use crate::net::clock::{self, Alarm};

/// Requests that one connection can carry at a time.
pub(crate) const CAPACITY: usize = 128;

/// Bytes read at a time.
const READ_ROOM: usize = 64 * 1024;

/// Reads in one poll, so that a task that serves all others gets back to its own.
const ROUNDS: usize = 16;

pub(crate) struct Link {
    state: Mutex<State>,
    wakers: Arc<Wakers>,
}

struct State {
    /// None: it is closed.
    socket: Option<Socket>,
    session: Session<CAPACITY>,
    /// The application and the request that began last, for the log.
    name: String,
    buffer: Box<[u8]>,
    /// What of `buffer` the session has not taken.
    unread: Range<usize>,
    /// Records to be sent, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    flushed: bool,
    /// Why reading failed.
    error: Option<Arc<io::Error>>,
    /// What came for requests, by their places.
    kept: Vec<Kept>,
    alarm: Alarm,
    /// Whether a request waits for room to send more.
    starved: bool,
    /// Whom to wake when the lock is free.
    woken: Vec<Waker>,
}

/// What is asked over a connection.
pub(crate) enum Question<'q> {
    /// A request with these variables, made of these parameters.
    Request(Ask<'q>, &'q [Value], &'q Params),
    /// The application's values.
    Values,
}

#[derive(Default)]
struct Kept {
    /// Application and request.
    name: String,
    stdout: Vec<u8>,
    stderr: Stderr,
    /// Whether something came since it was last looked.
    came: bool,
}

impl Link {
    pub(crate) fn new(socket: Socket, settings: ClientSettings) -> Self {
        let state = State {
            socket: Some(socket),
            session: Session::new(settings.into()),
            name: String::new(),
            buffer: vec![0; READ_ROOM].into_boxed_slice(),
            unread: 0..0,
            out: Vec::new(),
            sent: 0,
            flushed: true,
            error: None,
            kept: Vec::new(),
            alarm: Alarm::new(),
            starved: false,
            woken: Vec::new(),
        };
        Self { state: Mutex::new(state), wakers: Wakers::new() }
    }

    /// Works on the connection, which may be over then; wakes who is to be woken when it is not locked any more.
    fn with<T>(&self, work: impl FnOnce(&mut State, Duration) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.wakers.hold();
        let result = work(&mut state, clock::now());
        if state.socket.is_some() && state.session.next().close {
            state.socket = None;
            self.wakers.wake_all();
        }
        let woken = mem::take(&mut state.woken);
        drop(state);
        self.wakers.release();
        woken.into_iter().for_each(Waker::wake);
        result
    }

    /// Makes the records of a request that are known before its body; `None` if the connection takes none.
    ///
    /// One that has waited for so long is looked at: what came on it since is taken in first, and whether it is
    /// used depends on the application's manners, if there is another choice.
    pub(crate) fn begin(
        &self,
        application: &dyn fmt::Display,
        question: &Question<'_>,
        waited: Option<Duration>,
        manners: Option<&Mutex<Manners>>,
    ) -> Result<Option<Request>, ClientError> {
        self.with(|state, now| {
            if let (Some(idle), 0) = (waited, state.session.open()) {
                state.session.waited();
                state.look(&self.wakers);
                if let (Some(manners), Question::Request(ask, ..)) = (manners, question) {
                    let mut manners = manners.lock().unwrap_or_else(PoisonError::into_inner);
                    if !manners.may_use(&state.session, ask, idle, now) {
                        return Ok(None);
                    }
                }
            }
            if !state.session.is_reusable() {
                return Ok(None);
            }
            let (request, name) = match question {
                Question::Request(ask, variables, name) => {
                    let pairs = variables.iter().map(|(name, value)| (&name[..], &value[..]));
                    let begun = state.queue(|session, out| session.begin_with(*ask, pairs, out, now));
                    (begun.map_err(Failure::from)?, format!("{application}, {name}"))
                }
                Question::Values => {
                    let (request, record) = state.session.get_values(now).map_err(Failure::from)?;
                    state.queue(|_, out| out.extend_from_slice(&record));
                    (request, application.to_string())
                }
            };
            if state.kept.len() <= request.place() {
                state.kept.resize_with(request.place() + 1, Kept::default);
            }
            state.name.clone_from(&name);
            state.kept[request.place()].name = name;
            self.wakers.set_ready();
            Ok(Some(request))
        })
    }

    /// Whether a further request may begin.
    pub(crate) fn is_reusable(&self) -> bool {
        self.with(|state, _| state.session.is_reusable())
    }

    /// Bytes of its input that a request takes now, of which there is more.
    pub(crate) fn wants(&self, request: Request) -> usize {
        self.with(|state, _| {
            let wanted = usize::try_from(state.session.wants(request)).unwrap_or(usize::MAX);
            state.starved |= wanted == 0;
            wanted
        })
    }

    /// Makes records of the next bytes of a request's input, as many as it [wants](Self::wants) or fewer.
    pub(crate) fn send(&self, request: Request, mut data: &[u8]) -> Result<(), ClientError> {
        self.with(|state, now| {
            while !data.is_empty() && state.session.wants(request) > 0 {
                let (piece, rest) = state.session.write(request, data, now).map_err(Failure::from)?;
                data = rest;
                state.queue(|_, out| piece.slices().iter().for_each(|slice| out.extend_from_slice(slice)));
            }
            self.wakers.set_ready();
            Ok(())
        })
    }

    /// Sends and receives, for all requests, until something came for this one.
    pub(crate) fn poll(
        &self,
        request: Request,
        cx: &mut Context<'_>,
        chunk: &mut Vec<u8>,
    ) -> Poll<Result<Option<End>, ClientError>> {
        self.wakers.register(request.place(), cx.waker());
        self.with(|state, _| {
            if self.wakers.take_ready() {
                state.drive(request.place(), &self.wakers);
            }
            loop {
                if let Some(got) = state.take(request, chunk, &self.wakers, clock::now()) {
                    return Poll::Ready(got);
                }
                if !state.expire(&self.wakers) {
                    return Poll::Pending;
                }
            }
        })
    }

    /// The head of a request's answer is whole.
    pub(crate) fn head(&self, request: Request, status: u16) {
        self.with(|state, _| state.session.head(request, status));
    }

    pub(crate) fn may_be_refused(&self, request: Request) -> bool {
        self.with(|state, _| state.session.may_be_refused(request))
    }

    /// Whether and where a request that failed is to be sent again.
    pub(crate) fn again(&self, request: Request) -> Again {
        self.with(|state, _| state.session.again(request))
    }

    /// A line in the log for a request that failed.
    pub(crate) fn log_failure(&self, request: Request) {
        let failed = self.with(|state, now| {
            let name = state.kept.get(request.place()).map(|kept| kept.name.clone());
            name.zip(state.session.poll(request, now).err())
        });
        if let Some((name, failure)) = failed {
            let level = if failure.level() == Level::Warn { log::Level::Warn } else { log::Level::Debug };
            log::log!(level, "{name}: {failure}");
        }
    }

    /// What came on a request's STDERR since this was last asked.
    pub(crate) fn take_stderr(&self, request: Request) -> Stderr {
        self.with(|state, _| {
            state
                .kept
                .get_mut(request.place())
                .map_or_else(Stderr::default, |kept| mem::take(&mut kept.stderr))
        })
    }

    /// Nobody waits for a request any more; whether the connection may carry a further one.
    pub(crate) fn leave(&self, request: Request, manners: &Mutex<Manners>) -> bool {
        let own = self.wakers.take(request.place());
        let is_reusable = self.with(|state, now| {
            let mut manners = manners.lock().unwrap_or_else(PoisonError::into_inner);
            manners.learn(&state.session, request, now);
            drop(manners);
            let abort = state.session.leave(request, now);
            state.queue(|_, out| out.extend_from_slice(&abort));
            mem::take(&mut state.kept[request.place()]);
            state.dispatch(&self.wakers, now);
            // What it did not take may have held up the others, and there may be an abort to send.
            self.wakers.wake_all();
            state.session.is_reusable()
        });
        drop(own);
        is_reusable
    }
}

impl State {
    /// Lets `make` append records to what is to be sent.
    fn queue<T>(&mut self, make: impl FnOnce(&mut Session<CAPACITY>, &mut Vec<u8>) -> T) -> T {
        self.out.drain(..self.sent);
        self.sent = 0;
        make(&mut self.session, &mut self.out)
    }

    /// Takes in what came while there was no request.
    fn look(&mut self, wakers: &Arc<Wakers>) {
        let waker = Waker::from(Arc::clone(wakers));
        let idle = |state: &Self| state.session.open() == 0 && state.session.is_reusable();
        while idle(self) && self.receive(&mut Context::from_waker(&waker)).is_ready() {
            self.dispatch(wakers, clock::now());
        }
    }

    fn take(
        &mut self,
        request: Request,
        chunk: &mut Vec<u8>,
        wakers: &Wakers,
        now: Duration,
    ) -> Option<Result<Option<End>, ClientError>> {
        let kept = self.kept.get_mut(request.place())?;
        kept.came = false;
        if !kept.stdout.is_empty() {
            chunk.clear();
            mem::swap(chunk, &mut kept.stdout);
            let was_full = !self.session.next().read;
            self.session.took(request, chunk.len(), now);
            if was_full && self.session.next().read {
                wakers.wake_all();
            }
            return Some(Ok(None));
        }
        match self.session.poll(request, now) {
            Ok(end) => end.map(|end| Ok(Some(end))),
            Err(failure) => Some(Err(self.error(failure))),
        }
    }

    fn error(&self, failure: Failure) -> ClientError {
        match (failure, &self.error) {
            (Failure::Broken, Some(error)) => {
                ClientError::Io(io::Error::new(error.kind(), Arc::clone(error)))
            }
            (failure, _) => failure.into(),
        }
    }

    /// Sends and receives until the socket has no more, or something came for the request at `place` and no
    /// other waits.
    fn drive(&mut self, place: usize, wakers: &Arc<Wakers>) {
        let waker = Waker::from(Arc::clone(wakers));
        let mut cx = Context::from_waker(&waker);
        for _ in 0..ROUNDS {
            let now = clock::now();
            self.dispatch(wakers, now);
            self.write(&mut cx, wakers, now);
            if !self.unread.is_empty() || !self.session.next().read {
                return; // It goes on when a request takes what it has.
            }
            let alone = self.session.open() <= 1;
            if alone && self.kept.get(place).is_some_and(|kept| kept.came) {
                wakers.set_ready();
                return;
            }
            if self.receive(&mut cx).is_pending() {
                return;
            }
        }
        wakers.wake_all();
    }

    /// Gives what was received to those whom it is for.
    fn dispatch(&mut self, wakers: &Wakers, now: Duration) {
        let mut input = &self.buffer[self.unread.clone()];
        while let Some(came) = self.session.receive(&mut input, now) {
            let (Input::Stdout { request, .. } | Input::Stderr { request, .. } | Input::Look { request }) =
                came
            else {
                continue;
            };
            let Some(kept) = self.kept.get_mut(request.place()) else { continue };
            kept.came = true;
            match came {
                Input::Stdout { data, .. } => kept.stdout.extend_from_slice(data),
                Input::Stderr { data, .. } => kept.stderr.push(data),
                _ => {}
            }
            self.woken.extend(wakers.take(request.place()));
        }
        self.unread.start = self.unread.end - input.len();
        if let Some(odd) = self.session.take_odd() {
            log::warn!("{}: {odd}", self.name);
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, wakers: &Wakers, now: Duration) {
        let Some(socket) = &mut self.socket else { return };
        while self.session.next().write {
            match socket.poll_write(cx, &self.out[self.sent..]) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.sent += count;
                    self.flushed = false;
                    self.session.sent(count, now);
                    if mem::take(&mut self.starved) {
                        wakers.wake_all();
                    }
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(_) => self.session.unwritable(now),
                Poll::Pending => break,
            }
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
            self.flushed = self.flushed || socket.poll_flush(cx).is_ready();
        }
    }

    /// Receives what is there.
    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(socket) = &mut self.socket else { return Poll::Pending };
        match ready!(socket.poll_read(cx, &mut self.buffer)) {
            Ok(0) => self.session.end_of_input(),
            Ok(count) => self.unread = 0..count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                self.error = Some(Arc::new(error));
                self.session.broken();
            }
        }
        Poll::Ready(())
    }

    /// Whether a wait has ended; else the timer is set for the next one that may.
    fn expire(&mut self, wakers: &Arc<Wakers>) -> bool {
        let waker = Waker::from(Arc::clone(wakers));
        let mut cx = Context::from_waker(&waker);
        while let Some(at) = self.session.next().at {
            if self.alarm.poll(&mut cx, at).is_pending() {
                return false;
            }
            if self.session.expire(clock::now()) {
                wakers.wake_all();
                return true;
            }
        }
        false
    }
}
