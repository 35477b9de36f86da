//! One connection to an application, and the requests on it. Nothing runs by itself: whoever polls a request
//! reads and writes for all of them. What is to be done is for the [`Session`] to say.

use std::ops::Range;
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;
use std::{io, mem};

use fcgi_proto::client::{Ask, Failure, Input, Manners, Request, Session, Stderr};

use super::{ClientError, ClientSettings, End, Value};
use crate::net::clock::{self, Alarm};
use crate::net::socket::Socket;
use crate::net::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering, TryLockError, Weak, lock};

/// Requests that one connection can carry at a time.
pub(crate) const CAPACITY: usize = 128;

/// Bytes read at a time.
const READ_ROOM: usize = 64 * 1024;

/// Reads in one poll, so that a task that serves all others gets back to its own.
const ROUNDS: usize = 16;

pub(crate) struct Link {
    state: Mutex<State>,
    bell: Arc<Bell>,
}

/// What a socket wakes: it wakes one task only, and this wakes those of all requests. The first that is polled
/// reads and writes for all. No waker is run or dropped while the connection is locked: it may come back here.
struct Bell {
    rung: AtomicBool,
    link: Weak<Link>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        if let Some(link) = self.link.upgrade() {
            link.answer_bell();
        }
    }
}

pub(crate) struct State {
    /// None: it is closed.
    socket: Option<Socket>,
    pub(crate) session: Session<CAPACITY>,
    /// The application and the request that began last, for the log.
    name: String,
    buffer: Box<[u8]>,
    /// What of `buffer` the session has not taken.
    unread: Range<usize>,
    /// Records to be sent.
    out: Vec<u8>,
    unflushed: bool,
    /// Why reading failed.
    error: Option<Arc<io::Error>>,
    /// What is kept of requests, by their places.
    kept: Vec<Kept>,
    /// Whether reading or writing may get further.
    ready: bool,
    waker: Waker,
    alarm: Alarm,
    /// Whom to wake when the lock is free.
    woken: Vec<Waker>,
}

#[derive(Default)]
struct Kept {
    waker: Option<Waker>,
    stdout: Vec<u8>,
    stderr: Stderr,
    /// Whether something came since it was last looked.
    came: bool,
}

impl Link {
    pub(crate) fn new(socket: Socket, settings: ClientSettings) -> Arc<Self> {
        Arc::new_cyclic(|link| {
            let bell = Arc::new(Bell { rung: AtomicBool::new(false), link: Weak::clone(link) });
            let state = State {
                socket: Some(socket),
                session: Session::new(settings.into()),
                name: String::new(),
                buffer: vec![0; READ_ROOM].into_boxed_slice(),
                unread: 0..0,
                out: Vec::new(),
                unflushed: false,
                error: None,
                kept: Vec::new(),
                ready: false,
                waker: Waker::from(Arc::clone(&bell)),
                alarm: Alarm::new(),
                woken: Vec::new(),
            };
            Self { state: Mutex::new(state), bell }
        })
    }

    /// Works on the connection, which may be over then.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State, Duration) -> T) -> T {
        let mut state = lock(&self.state);
        let result = work(&mut state, clock::now());
        self.unlock(state);
        result
    }

    /// Wakes who is to be woken.
    fn unlock(&self, mut state: MutexGuard<'_, State>) {
        let is_over = state.socket.is_some() && state.session.next().close;
        let socket = state.socket.take_if(|_| is_over);
        if self.bell.rung.swap(false, Ordering::SeqCst) || is_over {
            state.wake_all();
        }
        let woken = mem::take(&mut state.woken);
        drop(state);
        drop(socket);
        woken.into_iter().for_each(Waker::wake);
        if self.bell.rung.load(Ordering::SeqCst) {
            self.answer_bell();
        }
    }

    /// Wakes everyone, unless someone has it locked, who does so then.
    fn answer_bell(&self) {
        match self.state.try_lock() {
            Ok(state) => self.unlock(state),
            Err(TryLockError::Poisoned(poisoned)) => self.unlock(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// Makes the records of a request that are known before its body; `None` if the connection takes none. It is
    /// called `name` in the log.
    ///
    /// A connection that has waited for so long is looked at: what came on it since is taken in first, and whether
    /// it is used depends on the application's manners, if there is another choice.
    pub(crate) fn begin(
        &self,
        ask: Ask<'_>,
        variables: &[Value],
        name: &str,
        waited: Option<Duration>,
        manners: Option<&Mutex<Manners>>,
    ) -> Result<Option<Request>, ClientError> {
        self.with(|state, now| {
            // Another one may have begun since.
            let waited = waited.filter(|_| state.session.open() == 0);
            if waited.is_some() {
                state.session.waited();
                state.look();
            }
            let is_usable = match (waited, manners) {
                (Some(idle), Some(manners)) => lock(manners).may_use(&state.session, &ask, idle, now),
                _ => state.session.is_reusable(),
            };
            if !is_usable {
                return Ok(None);
            }
            let pairs = variables.iter().map(|(name, value)| (&name[..], &value[..]));
            let begun = state.session.begin_with(ask, pairs, &mut state.out, now);
            Ok(Some(state.place(begun.map_err(Failure::from)?, name)))
        })
    }

    /// Asks for the application's values.
    pub(crate) fn get_values(&self, name: &str) -> Result<Request, ClientError> {
        self.with(|state, now| {
            let (request, record) = state.session.get_values(now).map_err(Failure::from)?;
            state.out.extend_from_slice(&record);
            Ok(state.place(request, name))
        })
    }

    /// Bytes of its input that a request takes now, of which there is more.
    pub(crate) fn wants(&self, request: Request) -> usize {
        self.with(|state, _| usize::try_from(state.session.wants(request)).unwrap_or(usize::MAX))
    }

    /// Makes records of the next bytes of a request's input, and takes them off `piece`; whether of all: others
    /// may have taken the room meanwhile.
    pub(crate) fn send(&self, request: Request, piece: &mut Vec<u8>) -> Result<bool, ClientError> {
        self.with(|state, now| {
            while !piece.is_empty() && state.session.wants(request) > 0 {
                let (record, rest) = state.session.write(request, piece, now).map_err(Failure::from)?;
                let taken = piece.len() - rest.len();
                record.slices().iter().for_each(|slice| state.out.extend_from_slice(slice));
                piece.drain(..taken);
            }
            state.ready = true;
            Ok(piece.is_empty())
        })
    }

    /// Sends and receives, for all requests, until something came for this one: bytes, in `chunk` in place of
    /// what was there, or its end.
    pub(crate) fn poll(
        &self,
        request: Request,
        cx: &mut Context<'_>,
        chunk: &mut Vec<u8>,
    ) -> Poll<Result<Option<End>, ClientError>> {
        let waker = cx.waker().clone();
        let mut before = None;
        self.with(|state, _| {
            before = state.kept[request.place()].waker.replace(waker);
            if mem::take(&mut state.ready) {
                state.drive(request.place());
            }
            loop {
                if let Some(got) = state.take(request, chunk) {
                    return Poll::Ready(got);
                }
                if !state.expire() {
                    return Poll::Pending;
                }
            }
        })
    }

    /// What came on a request's STDERR since this was last asked.
    pub(crate) fn take_stderr(&self, request: Request) -> Stderr {
        self.with(|state, _| mem::take(&mut state.kept[request.place()].stderr))
    }

    /// Nobody waits for a request any more; whether the connection may carry a further one.
    pub(crate) fn leave(&self, request: Request, manners: &Mutex<Manners>) -> bool {
        let (is_reusable, _kept) = self.with(|state, now| {
            lock(manners).learn(&state.session, request, now);
            let abort = state.session.leave(request, now);
            state.out.extend_from_slice(&abort);
            let kept = mem::take(&mut state.kept[request.place()]);
            state.dispatch(now);
            // What it did not take may have held up the others, and there may be an abort to send.
            state.wake_all();
            (state.session.is_reusable(), kept)
        });
        is_reusable
    }
}

impl State {
    /// What is kept of a request has a place.
    fn place(&mut self, request: Request, name: &str) -> Request {
        let places = self.kept.len().max(request.place() + 1);
        self.kept.resize_with(places, Kept::default);
        name.clone_into(&mut self.name);
        self.ready = true;
        request
    }

    /// Whoever is polled first tries the socket.
    fn wake_all(&mut self) {
        self.ready = true;
        self.woken.extend(self.kept.iter_mut().filter_map(|kept| kept.waker.take()));
    }

    /// Takes in what came while there was no request.
    fn look(&mut self) {
        while self.session.is_reusable() && self.receive(&mut Context::from_waker(Waker::noop())).is_ready() {
            self.dispatch(clock::now());
        }
    }

    /// What came for a request, if something did.
    fn take(&mut self, request: Request, chunk: &mut Vec<u8>) -> Option<Result<Option<End>, ClientError>> {
        let now = clock::now();
        let kept = &mut self.kept[request.place()];
        kept.came = false;
        if !kept.stdout.is_empty() {
            chunk.clear();
            mem::swap(chunk, &mut kept.stdout);
            let was_full = !self.session.next().read;
            self.session.took(request, chunk.len(), now);
            if was_full && self.session.next().read {
                self.wake_all();
            }
            return Some(Ok(None));
        }
        let polled = self.session.poll(request, now).map_err(|failure| match (failure, &self.error) {
            (Failure::Broken, Some(error)) => {
                ClientError::Io(io::Error::new(error.kind(), Arc::clone(error)))
            }
            (failure, _) => failure.into(),
        });
        polled.map(|end| end.map(Some)).transpose()
    }

    /// Sends and receives until the socket has no more, or something came for the request at `place` and no
    /// other waits.
    fn drive(&mut self, place: usize) {
        let bell = self.waker.clone();
        let mut cx = Context::from_waker(&bell);
        for _ in 0..ROUNDS {
            let now = clock::now();
            self.dispatch(now);
            self.write(&mut cx, now);
            if !self.unread.is_empty() || !self.session.next().read {
                return; // It goes on when a request takes what it has.
            }
            if self.kept[place].came && self.session.open() <= 1 {
                self.ready = true;
                return;
            }
            if self.receive(&mut cx).is_pending() {
                return;
            }
        }
        self.wake_all();
    }

    /// Gives what was received to those whom it is for.
    fn dispatch(&mut self, now: Duration) {
        let mut input = &self.buffer[self.unread.clone()];
        while let Some(came) = self.session.receive(&mut input, now) {
            let place = match came {
                Input::Stdout { request, data } => {
                    self.kept[request.place()].stdout.extend_from_slice(data);
                    request.place()
                }
                Input::Stderr { request, data } => {
                    self.kept[request.place()].stderr.push(data);
                    request.place()
                }
                Input::Look { request } => request.place(),
                _ => continue,
            };
            self.kept[place].came = true;
            self.woken.extend(self.kept[place].waker.take());
        }
        self.unread.start = self.unread.end - input.len();
        if let Some(odd) = self.session.take_odd() {
            log::warn!("{}: {odd}", self.name);
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, now: Duration) {
        let Some(socket) = &mut self.socket else { return };
        let mut sent = 0;
        while self.session.next().write {
            match socket.stream().poll_write(cx, &self.out[sent..]) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    sent += count;
                    self.session.sent(count, now);
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(_) => self.session.unwritable(now),
                Poll::Pending => break,
            }
        }
        self.out.drain(..sent);
        self.unflushed |= sent > 0;
        // Not while a write waits: smol's own sockets forget that one then.
        if self.unflushed && self.out.is_empty() {
            self.unflushed = socket.stream().poll_flush(cx).is_pending();
        }
    }

    /// Receives what is there.
    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(socket) = &mut self.socket else { return Poll::Pending };
        match ready!(socket.stream().poll_read(cx, &mut self.buffer)) {
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
    fn expire(&mut self) -> bool {
        let bell = self.waker.clone();
        while let Some(at) = self.session.next().at {
            if self.alarm.poll(&mut Context::from_waker(&bell), at).is_pending() {
                return false;
            }
            if self.session.expire(clock::now()) {
                self.wake_all();
                return true;
            }
        }
        false
    }
}
