//! One connection: its stream, its session, what was read and is to be written, its requests. Its task and the
//! handles of its requests share it; whoever needs bytes moved moves them, the task does the rest.

mod input;
mod output;

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fcgi_blocking::{Name, Peer, log_level};
use fcgi_proto::Level;
use fcgi_proto::pair::ParamsBuf;
use fcgi_proto::server::Session;
use fcgi_proto::server::session::{Leave, Life, Request, Stopped, Waiting};
use smol::io::Cursor;

pub(crate) use self::output::Output;
use crate::AppStatus;
use crate::net::clock;
use crate::net::transport::{Plain, Transport};
use crate::server::active::{self, Active, Begin};
use crate::server::connections::{Common, SLOTS};
use crate::server::wakers::Wakes;

/// What a connection's task has to do next.
pub(crate) enum Turn {
    /// Start this request's handler, then see again.
    Start(Started),
    /// Nothing, but to [rest](Connection::rest).
    Rest,
    /// The connection is over; what is to be told of it, and what that is worth.
    Over(Option<(Level, io::Error)>),
}

/// A request whose parameters are there.
pub(crate) struct Started {
    pub(crate) begin: Begin,
    pub(crate) params: ParamsBuf,
    /// No other is active on the connection, and none ever was beside another.
    pub(crate) alone: bool,
}

pub(crate) struct Connection {
    pub(crate) common: Arc<Common>,
    /// Tells it from every other connection.
    number: u64,
    peer: Peer,
    state: Mutex<State>,
}

pub(crate) struct State {
    transport: Box<dyn Transport>,
    session: Session<SLOTS, Vec<Life>>,
    /// By the slots that the session gave them.
    requests: Vec<Option<Box<Active>>>,
    /// Those whose handlers are to be started.
    starts: VecDeque<Request>,
    /// Several requests were active at once.
    multiplexed: bool,
    /// What was read; `None` while all of it is used up.
    input: Option<Box<[u8]>>,
    /// What of `input` the session has not taken.
    unread: Range<usize>,
    /// Records to be written, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    /// Bytes that were written and of which the session was not told.
    unflushed: usize,
    task: Waker,
    /// The task runs, and looks at `attention` before it rests.
    running: bool,
    attention: bool,
    /// A read may find something: nothing has since the task was last woken.
    readable: bool,
    /// A request was answered, so that the next may be there soon.
    answered: bool,
    /// There may be more to do, when other tasks had their turn.
    again: bool,
    leaving: bool,
    killed: bool,
    /// What the stream failed with, or the connection ended with.
    failure: Option<(Level, io::Error)>,
    /// When it is looked at at the latest, if nothing happens.
    timer: Option<Duration>,
    wakes: Wakes,
}

impl Connection {
    pub(crate) fn new(
        transport: Box<dyn Transport>,
        peer: Peer,
        number: u64,
        common: Arc<Common>,
    ) -> Arc<Self> {
        let settings = &common.settings;
        let state = Mutex::new(State {
            transport,
            session: Session::growing(settings.limits, &settings.patience()),
            requests: Vec::new(),
            starts: VecDeque::new(),
            multiplexed: false,
            input: None,
            unread: 0..0,
            out: Vec::new(),
            sent: 0,
            unflushed: 0,
            task: Waker::noop().clone(),
            running: false,
            attention: false,
            readable: true,
            answered: false,
            again: false,
            leaving: false,
            killed: false,
            failure: None,
            timer: None,
            wakes: Wakes::default(),
        });
        Arc::new(Self { common, number, peer, state })
    }

    /// Runs `action` with the state, then wakes whom that concerns.
    fn with<T>(self: &Arc<Self>, action: impl FnOnce(&mut State) -> T) -> T {
        // No code panics while it holds the lock.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = action(&mut state);
        let deadline = state.session.deadline().filter(|_| !state.killed);
        let sooner = deadline.filter(|at| state.timer.is_none_or(|timer| *at < timer));
        if let Some(at) = sooner {
            let before = state.timer.replace(at);
            self.common.timers.set(self.number, before, at, self);
        }
        let wakes = state.wakes.take();
        drop(state);
        wakes.into_iter().for_each(Wakes::wake);
        result
    }

    /// The connection's task begins to run: there may be something to read.
    pub(crate) fn begin(self: &Arc<Self>, cx: &mut Context<'_>) {
        self.with(|state| {
            state.task.clone_from(cx.waker());
            (state.running, state.readable) = (true, true);
        });
    }

    /// Does what the session wants, for the connection's task.
    pub(crate) fn turn(self: &Arc<Self>, cx: &mut Context<'_>) -> Turn {
        self.with(|state| {
            state.attention = false;
            let over = state.killed || !state.go_on(cx, &self.common);
            state.report(self.peer);
            if over {
                return Turn::Over(state.failure.take());
            }
            state.start(&self.common).map_or(Turn::Rest, Turn::Start)
        })
    }

    /// The task has nothing to do until it is woken; `false` if it has.
    pub(crate) fn rest(self: &Arc<Self>, cx: &mut Context<'_>) -> bool {
        let rests = self.with(|state| {
            if state.attention {
                return None;
            }
            if state.again {
                cx.waker().wake_by_ref();
            }
            state.running = false;
            // The memory of one request is kept for the next.
            if state.session.requests() == 0 && state.requests.len() > 1 {
                state.session.shrink();
                (state.requests, state.starts) = (Vec::new(), VecDeque::new());
            }
            Some(state.session.waiting().is_some())
        });
        if rests == Some(true) {
            self.common.tell_waiting();
        }
        rests.is_some()
    }

    /// Ends the waits whose limits have passed.
    pub(crate) fn expire(self: &Arc<Self>, now: Duration) {
        self.with(|state| {
            state.timer = None;
            state.session.expire(now);
            state.call();
        });
    }

    /// Since when the connection waits for a request, and whether it is to close already.
    pub(crate) fn waiting(self: &Arc<Self>) -> Option<(bool, Waiting)> {
        self.with(|state| state.session.waiting().map(|waiting| (state.leaving, waiting)))
    }

    /// Gives the connection up: it closes once it may.
    pub(crate) fn leave(self: &Arc<Self>, why: Leave, now: Duration) {
        self.with(|state| {
            state.leaving = true;
            state.session.leave(why, now);
            state.call();
        });
    }

    /// Ends the connection without a word; what its handlers still do fails.
    pub(crate) fn kill(self: &Arc<Self>) {
        self.with(|state| {
            // Parts of requests may be kept for long: they are not to keep the stream open.
            state.transport = Box::new(Plain(Cursor::new(Vec::new())));
            state.killed = true;
            state.session.broken();
            state.session.unwritable();
            self.common.timers.forget(self.number, state.timer.take());
            let State { requests, wakes, .. } = state;
            requests.iter_mut().flatten().for_each(|active| active.wake(wakes));
            state.call();
        });
    }

    /// Runs `action` with what is kept of the request; fails if the request is over.
    pub(crate) fn with_request<T>(
        self: &Arc<Self>,
        request: Request,
        action: impl FnOnce(&mut Active) -> T,
    ) -> io::Result<T> {
        self.with(|state| state.active(request).map(action))
    }

    /// Whether nobody is known to wait for the request's answer any more; else wakes when that is so.
    pub(crate) fn poll_aborted(self: &Arc<Self>, request: Request, cx: &mut Context<'_>) -> Poll<()> {
        self.with(|state| {
            if state.session.is_gone(request) {
                return Poll::Ready(());
            }
            let State { requests, wakes, .. } = state;
            if let Some(Some(active)) = requests.get_mut(request.slot()) {
                active.aborted.register(cx.waker(), wakes);
            }
            // What the handler does not read may have to be taken out of the way.
            state.call();
            Poll::Pending
        })
    }

    /// The handler is done.
    pub(crate) fn complete(self: &Arc<Self>, request: Request, outcome: Result<AppStatus, String>) {
        self.with(|state| {
            let now = clock::now();
            let Ok(active) = state.active(request) else { return };
            let status = outcome.as_ref().map_or(0, |AppStatus(status)| *status);
            active.status = Some(status);
            let level = state.session.failure_level(request);
            let State { session, requests, .. } = state;
            let Some(Some(active)) = requests.get_mut(request.slot()) else { return };
            let failed = outcome.err();
            let finished = session.finish_answer(request, &mut active.answer, failed.as_deref(), now);
            if let Some(why) = failed.or_else(|| finished.err().map(|error| error.to_string())) {
                let (peer, name) = (self.peer, Name(active.params.iter()));
                log::log!(log_level(level), "{peer}: {name}: request {}: {why}", request.id());
            }
            state.end(request, &self.common);
            state.call();
        });
    }
}

impl State {
    /// Has the task look again.
    fn call(&mut self) {
        self.attention = true;
        if !self.running {
            self.wakes.push(self.task.clone());
        }
    }

    /// Does what the session wants of the stream, as far as that can be done at once; `false` once the connection
    /// is over.
    fn go_on(&mut self, cx: &mut Context<'_>, common: &Common) -> bool {
        self.again = false;
        let mut reads = 0;
        let now = clock::now();
        self.session.expire(now);
        loop {
            let offered = self.take_in(now, common);
            if !self.starts.is_empty() {
                self.again |= offered;
                return true;
            }
            let next = self.session.next(now);
            if next.close {
                return false;
            }
            if next.write {
                self.flush(cx, now, common);
                if self.out.is_empty() && self.unflushed == 0 {
                    continue;
                }
            }
            if next.shutdown {
                match self.transport.poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => self.session.shut(now),
                    Poll::Ready(Err(_)) => {
                        self.session.shut(now);
                        self.session.end_of_input();
                    }
                    Poll::Pending => return true,
                }
                continue;
            }
            if !next.read || !self.readable || !self.unread.is_empty() {
                self.again |= offered;
                return true;
            }
            // What follows an answer comes soon: when other tasks have had their turn, it may be there.
            if reads == input::READS || std::mem::take(&mut self.answered) {
                self.again = true;
                return true;
            }
            reads += 1;
            if self.fill(cx, common).is_pending() {
                return true;
            }
        }
    }

    /// What is kept of the request.
    fn active(&mut self, request: Request) -> io::Result<&mut Active> {
        let active = self.requests.get_mut(request.slot()).and_then(Option::as_mut);
        let active = active.filter(|active| active.begin.request == request);
        active.map(|active| &mut **active).ok_or_else(|| Stopped::Over.into())
    }

    fn remove(&mut self, request: Request, common: &Common) {
        if self.active(request).is_err() {
            return;
        }
        if let Some(mut active) = self.requests.get_mut(request.slot()).and_then(Option::take) {
            common.end(active.memory());
            // Whoever still waits finds the request over.
            active.wake(&mut self.wakes);
            common.spares.put_request(active);
        }
    }

    /// The next request whose handler is to be started.
    fn start(&mut self, common: &Common) -> Option<Started> {
        self.multiplexed |= self.session.requests() > 1;
        let alone = !self.multiplexed;
        loop {
            let request = self.starts.pop_front()?;
            let Ok(active) = self.active(request) else { continue };
            // Its memory comes back, unless the request outlives its handler.
            let params = std::mem::replace(&mut active.params, active::params(&common.settings));
            return Some(Started { begin: active.begin, params, alone });
        }
    }

    /// Tells a log what the session has to say; what ends the connection is told at its end.
    fn report(&mut self, peer: Peer) {
        let Some(report) = self.session.poll_report() else { return };
        if report.id.is_some() {
            log::log!(log_level(report.level), "{peer}: {report}");
        } else {
            self.failure.get_or_insert((report.level, report.what.into()));
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
