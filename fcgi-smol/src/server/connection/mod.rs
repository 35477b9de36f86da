//! One connection: its stream, its session, what was read and is to be written, its requests. Its task and the
//! handles of its requests share it; whoever needs bytes moved moves them, the task does the rest.

mod input;
mod output;

use std::collections::VecDeque;
use std::ops::Range;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{fmt, io};

use fcgi_blocking::{Peer, Span, log_level};
use fcgi_proto::Level;
use fcgi_proto::pair::ParamsBuf;
use fcgi_proto::server::session::{Begin, Leave, Name, Request, Stopped};
use smallvec::SmallVec;
use smol::io::Cursor;

use crate::AppStatus;
use crate::net::clock;
use crate::net::sync::{Arc, Mutex, lock};
use crate::net::transport::{Plain, Transport};
use crate::server::connections::Common;
use crate::server::requests::{Active, Requests, Session};

/// How long the connection's task may poll handlers that share it with others; further ones are tasks at once.
const HERE: Duration = Duration::from_micros(200);

/// What a handler is started with, and in which span.
pub(crate) type Begun = (Begin, ParamsBuf, Span);

/// What a connection's task has to do next.
pub(crate) enum Turn {
    /// Start the handler of a request, then see again; whether there is time to poll it on the connection's task.
    Start(Begun, bool),
    /// Nothing, until it is woken or the first of these times has come. The second is now; and whether others are to
    /// have their turn, and then it again.
    Rest(Duration, Duration, bool),
    /// The connection is over; what is to be told of it, and what that is worth.
    Over(Option<(Level, io::Error)>),
}

pub(crate) struct Connection {
    pub(crate) common: Arc<Common>,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) peer: Peer,
    transport: Box<dyn Transport>,
    pub(crate) session: Session,
    pub(crate) requests: Requests,
    /// Those whose handlers are to be started.
    starts: SmallVec<[Request; 2]>,
    /// What was read; `None` while all of it is used up.
    input: Option<Box<[u8]>>,
    /// What of `input` the session has not taken.
    unread: Range<usize>,
    /// Records to be written.
    out: VecDeque<u8>,
    /// Bytes that were written and of which the session was not told.
    unflushed: usize,
    task: Waker,
    /// The task runs, and looks at everything before it rests.
    running: bool,
    /// A read may find something: nothing has since the task was last woken.
    readable: bool,
    /// A request was answered, so that the next may be there soon.
    answered: bool,
    /// There may be more to do, when other tasks had their turn.
    again: bool,
    killed: bool,
    /// What the stream failed with, or the connection ended with.
    failure: Option<(Level, io::Error)>,
    /// The time when it was last looked at.
    now: Duration,
    /// When the task was woken.
    woken: Duration,
    /// When the task looks again at the latest, if it rests.
    due: Option<Duration>,
}

impl Connection {
    pub(crate) fn new(transport: Box<dyn Transport>, peer: Peer, common: Arc<Common>) -> Arc<Self> {
        let settings = &common.settings;
        let state = Mutex::new(State {
            peer,
            transport,
            session: Session::growing(settings.limits, &settings.patience()),
            requests: Requests::new(Arc::clone(&common)),
            starts: SmallVec::new(),
            input: None,
            unread: 0..0,
            out: VecDeque::new(),
            unflushed: 0,
            task: Waker::noop().clone(),
            running: false,
            readable: true,
            answered: false,
            again: false,
            killed: false,
            failure: None,
            now: clock::now(),
            woken: Duration::ZERO,
            due: None,
        });
        Arc::new(Self { common, state })
    }

    /// Runs `action` with the state, then wakes whom that concerns.
    pub(crate) fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        let result = action(&mut state);
        let sooner = |at| state.due.is_none_or(|due| at < due);
        if !state.running && state.session.deadline().is_some_and(sooner) {
            state.call();
        }
        let wakes = std::mem::take(&mut state.requests.wakes);
        drop(state);
        wakes.into_iter().for_each(Waker::wake);
        result
    }

    /// The connection's task begins to run: there may be something to read. Whether it is woken as before.
    pub(crate) fn begin(&self, cx: &mut Context<'_>) -> bool {
        self.with(|state| {
            let same = state.task.will_wake(cx.waker());
            state.task.clone_from(cx.waker());
            (state.running, state.readable, state.now) = (true, true, clock::now());
            state.woken = state.now;
            same
        })
    }

    /// Does what the session wants, for the connection's task.
    pub(crate) fn turn(&self) -> Turn {
        let (turn, waits) = self.with(|state| {
            let over = state.killed || !state.go_on();
            state.report(None);
            if over {
                return (Turn::Over(state.failure.take()), false);
            }
            if let Some(start) = state.start() {
                return (start, false);
            }
            state.running = false;
            state.requests.rest();
            // The memory of one request is kept for the next.
            if state.session.requests() == 0 && state.requests.slots.len() > 1 {
                state.session.shrink();
                (state.requests.slots, state.starts) = (Vec::new(), SmallVec::new());
            }
            state.due = state.session.deadline();
            let rest = Turn::Rest(state.due.unwrap_or(Duration::MAX), state.now, state.again);
            (rest, state.session.waiting().is_some())
        });
        if waits {
            self.common.tell_waiting();
        }
        turn
    }

    /// Whether no request is active beside another, of all that was read.
    pub(crate) fn is_alone(&self) -> bool {
        self.with(|state| {
            state.take_in(true);
            state.session.requests() == 1
        })
    }

    /// Gives the connection up: it closes once it may.
    pub(crate) fn leave(&self, why: Leave, now: Duration) {
        self.with(|state| state.session.leave(why, now));
    }

    /// Ends the connection without a word; what its handlers still do fails.
    pub(crate) fn kill(&self) {
        self.with(|state| {
            // Parts of requests may be kept for long: they are not to keep the stream open.
            state.transport = Box::new(Plain(Cursor::new(Vec::new())));
            state.killed = true;
            state.session.broken();
            state.session.unwritable();
            state.requests.wake_all();
            state.call();
        });
    }

    /// The handler is done, or goes on when its request has ended.
    pub(crate) fn complete(&self, request: Request, outcome: Result<AppStatus, String>) {
        self.with(|state| {
            let State { session, requests, now, .. } = state;
            let Some(active) = requests.get(request).filter(|active| !active.exchange.has_ended()) else {
                if let Err(why) = outcome {
                    log::warn!("{}: request {}, after its answer: {why}", state.peer, request.id());
                }
                return;
            };
            *now = clock::now();
            let (exchange, outcome) = (&mut active.exchange, outcome.map(|AppStatus(status)| status));
            if let Some((level, why)) = session.complete(request, exchange, outcome, *now) {
                log::log!(log_level(level), "{}: {}: {why}", state.peer, Name(exchange.params.iter()));
            }
            state.end(request);
            state.call();
        });
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl State {
    /// Has the task look again.
    fn call(&mut self) {
        if !self.running {
            self.requests.wakes.push(self.task.clone());
        }
    }

    /// Does what the session wants of the stream, as far as that can be done at once; `false` once the connection
    /// is over.
    fn go_on(&mut self) -> bool {
        self.again = false;
        let mut reads = 0;
        let now = self.now;
        while !self.again {
            // What is offered is kept when its reader had its turn and did not take it.
            self.again = self.take_in(false);
            if !self.starts.is_empty() {
                _ = self.unread.is_empty() && self.session.expire(now);
                return true;
            }
            let next = self.session.next(now);
            if next.close {
                return false;
            }
            if next.write && self.flush() {
                // What follows an answer comes soon: when other tasks have had their turn, it may be there.
                self.again = std::mem::take(&mut self.answered);
                continue;
            }
            if next.shutdown {
                let cx = &mut Context::from_waker(&self.task);
                if let Poll::Ready(result) = self.transport.poll_shutdown(cx) {
                    self.session.shut(now);
                    if result.is_err() {
                        self.session.end_of_input();
                    }
                    continue;
                }
            }
            let reads_on = next.read && self.readable && self.unread.is_empty();
            self.again |= reads_on && reads >= input::READS;
            reads += 1;
            if reads_on && !self.again && self.fill().is_ready() {
                continue;
            }
            // What came in time is taken in by now.
            if !self.session.expire(now) {
                return true;
            }
        }
        true
    }

    /// Whether nobody is known to wait for the request's answer any more; else wakes when that is so.
    pub(crate) fn poll_aborted(&mut self, request: Request, cx: &mut Context<'_>) -> Poll<()> {
        if self.requests.get(request).is_none() || self.session.is_gone(request) {
            return Poll::Ready(());
        }
        self.requests.register(request, |active| &mut active.aborted, cx);
        // What the handler does not read may have to be taken out of the way.
        self.call();
        Poll::Pending
    }

    /// The next request whose handler is to be started.
    fn start(&mut self) -> Option<Turn> {
        loop {
            let request = (!self.starts.is_empty()).then(|| self.starts.remove(0))?;
            let Some(Active { exchange, started, span, .. }) = self.requests.get(request) else { continue };
            let begin = exchange.begin?;
            (*started, *span) = (true, Span::new(self.peer, begin, &exchange.params));
            let quick = self.now.saturating_sub(self.woken) < HERE;
            return Some(Turn::Start((begin, exchange.take_params(), span.clone()), quick));
        }
    }

    /// Tells a log what the session has to say, perhaps of this request; what ends the connection is told at its end.
    fn report(&mut self, of: Option<Request>) {
        let Some(report) = self.session.poll_report() else { return };
        let (peer, level) = (self.peer, log_level(report.level));
        match of.and_then(|request| self.requests.get(request)) {
            _ if report.id.is_none() => _ = self.failure.get_or_insert((report.level, report.what.into())),
            Some(active) => log::log!(level, "{peer}: {}: {report}", Name(active.exchange.params.iter())),
            None => log::log!(level, "{peer}: {report}"),
        }
    }

    /// Why a request goes on no further, to its handler.
    fn error(&self, stopped: Stopped) -> io::Error {
        match (stopped, &self.failure) {
            (Stopped::Broken, Some((_, error))) => io::Error::new(error.kind(), error.to_string()),
            _ => stopped.into(),
        }
    }
}
