//! One connection: its stream, its protocol state, what was read and is to be written, its requests. Its task
//! and the handles of its requests share it; whoever needs bytes moved moves them, the task does the rest.

mod closing;
mod input;
mod output;

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use fcgi_proto::pair::ParamsBuf;
use fcgi_proto::record::RequestId;
use fcgi_proto::server;
use smol::channel::{self, Receiver, Sender};
use smol::io::Cursor;

use self::closing::Linger;
use self::input::Chunk;
use crate::AppStatus;
use crate::net::transport::{Plain, Transport};
use crate::server::active::{self, Active, Begin, Body};
use crate::server::settings::Settings;
use crate::server::spares::Spares;
use crate::server::stop::Stop;

/// Requests at once on one connection, as GET_VALUES tells.
const REQUESTS: usize = 64;

/// As many as are taken. HAProxy counts a request as done at its Content-Length, before its END_REQUEST, begins
/// another, and drops a connection that refuses it.
const SLOTS: usize = REQUESTS + 32;

/// Bytes of records that wait to be written; while there are so many, neither input nor ended answers are
/// taken.
const OUT_ROOM: usize = 64 * 1024;

/// What all connections of a server share.
pub(crate) struct Common {
    pub(crate) settings: Settings,
    pub(crate) spares: Spares,
    /// Requests that are active.
    requests: AtomicUsize,
    /// A connection waits for room: others tell when they fall idle.
    pub(crate) crowded: AtomicBool,
    /// Some connection ended, or fell idle.
    pub(crate) change: (Sender<()>, Receiver<()>),
}

impl Common {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        let settings = settings.checked(REQUESTS);
        Arc::new(Self {
            settings,
            spares: Spares::default(),
            requests: AtomicUsize::new(0),
            crowded: AtomicBool::new(false),
            change: channel::bounded(1),
        })
    }

    pub(crate) fn tell_change(&self) {
        // If one change waits to be seen, that is enough.
        let _ = self.change.0.try_send(());
    }
}

/// What a connection's task has to do next.
pub(crate) enum Turn {
    /// Start this request's handler, then see again.
    Start(Started),
    /// Nothing, but to [rest](Connection::rest).
    Rest,
    /// The connection is over.
    Over(io::Result<()>),
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
    state: Mutex<State>,
}

pub(crate) struct State {
    transport: Box<dyn Transport>,
    protocol: server::Connection<SLOTS>,
    #[expect(clippy::vec_box, reason = "they move from connection to connection, and are large")]
    requests: Vec<Box<Active>>,
    next_key: u64,
    /// The next one's turn to write.
    next_turn: u64,
    /// Several requests were active at once.
    multiplexed: bool,
    /// What was read; `None` while all of it is used up.
    input: Option<Box<[u8]>>,
    /// What of `input` the protocol has not seen.
    unread: Range<usize>,
    chunk: Option<Chunk>,
    /// Records to be written, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    unflushed: bool,
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
    /// No more input comes.
    input_stop: Option<Stop>,
    /// A write failed: part of a record may be out.
    write_failed: bool,
    /// A request was refused.
    refused: bool,
    /// What is to be told of this connection in the end.
    failure: Option<io::Error>,
    /// Since when it waits for a request.
    idle_since: Option<Instant>,
    /// Since when it waits for the rest of a record, without a request.
    cut_since: Option<Instant>,
    /// Since when the client has taken nothing.
    write_since: Option<Instant>,
    /// It closes once it is idle.
    leaving: bool,
    /// Until when it may wait for its first request nevertheless.
    last_call: Option<Instant>,
    /// Nothing came on it yet.
    fresh: bool,
    killed: bool,
    linger: Option<Linger>,
}

impl Connection {
    pub(crate) fn new(transport: Box<dyn Transport>, common: Arc<Common>) -> Arc<Self> {
        let state = Mutex::new(State {
            transport,
            protocol: server::Connection::new(common.settings.limits),
            requests: Vec::new(),
            next_key: 0,
            next_turn: 0,
            multiplexed: false,
            input: None,
            unread: 0..0,
            chunk: None,
            out: Vec::new(),
            sent: 0,
            unflushed: false,
            task: Waker::noop().clone(),
            running: false,
            attention: false,
            readable: true,
            answered: false,
            again: false,
            input_stop: None,
            write_failed: false,
            refused: false,
            failure: None,
            idle_since: Some(Instant::now()),
            cut_since: None,
            write_since: None,
            leaving: false,
            last_call: None,
            fresh: true,
            killed: false,
            linger: None,
        });
        Arc::new(Self { common, state })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection's task begins to run: there may be something to read.
    pub(crate) fn begin(&self, cx: &mut Context<'_>) {
        let mut state = self.lock();
        state.task.clone_from(cx.waker());
        (state.running, state.readable) = (true, true);
    }

    /// Moves what can be moved, for the connection's task.
    pub(crate) fn turn(&self, cx: &mut Context<'_>) -> Turn {
        let mut state = self.lock();
        state.attention = false;
        state.settle(&self.common);
        state.again = state.take_in(cx, &self.common);
        state.settle(&self.common);
        let full = !state.has_room();
        state.flush(cx, &self.common);
        // What found no room has it now.
        state.again |= full && state.has_room();
        if let Some(started) = state.start(&self.common.settings) {
            return Turn::Start(started);
        }
        state.over(cx, &self.common).map_or(Turn::Rest, Turn::Over)
    }

    /// The task has nothing to do until it is woken; `false` if it has.
    pub(crate) fn rest(&self, cx: &mut Context<'_>) -> bool {
        let mut state = self.lock();
        if state.attention {
            return false;
        }
        if state.again {
            cx.waker().wake_by_ref();
        }
        state.rest();
        if state.idle_since.is_some() && self.common.crowded.load(Ordering::Relaxed) {
            self.common.tell_change();
        }
        true
    }

    /// Ends the waits whose limits have passed; when the next one will have, if nothing happens until then.
    pub(crate) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        state.expire(now, &self.common);
        state.deadlines(&self.common.settings).min()
    }

    /// Since when the connection waits for a request, and whether it closes already.
    pub(crate) fn idle_since(&self) -> Option<(bool, Instant)> {
        let state = self.lock();
        state.idle_since.map(|since| (state.leaving, since))
    }

    /// Closes the connection, at once if it is idle, else when it is. Of one on which nothing came yet, the
    /// first request may be under way: it has until `last_call`.
    pub(crate) fn leave(&self, last_call: Option<Instant>) {
        let mut state = self.lock();
        state.leaving = true;
        state.last_call = last_call;
        state.call();
    }

    /// Ends the connection without a word; what its handlers still do fails.
    pub(crate) fn kill(&self) {
        let mut state = self.lock();
        // Parts of requests may be kept for long: they are not to keep the stream open.
        state.transport = Box::new(Plain(Cursor::new(Vec::new())));
        (state.killed, state.write_failed) = (true, true);
        state.input_stop.get_or_insert(Stop::Eof);
        state.requests.iter_mut().for_each(|request| request.wake_all());
        state.call();
    }

    /// Runs `action` with the request's state; fails if the request is over.
    pub(crate) fn with<T>(&self, key: u64, action: impl FnOnce(&mut Active) -> T) -> io::Result<T> {
        let mut state = self.lock();
        let i = state.find(key)?;
        Ok(action(&mut state.requests[i]))
    }

    pub(crate) fn read(
        &self,
        key: u64,
        body: Body,
        into: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.lock().read(key, body, into, cx, &self.common)
    }

    pub(crate) fn write(&self, key: u64, data: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.lock().write(key, data, cx, &self.common)
    }

    pub(crate) fn write_stderr(
        &self,
        key: u64,
        data: &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.lock().write_stderr(key, data, cx, &self.common)
    }

    pub(crate) fn flush(&self, key: u64, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().flush_request(key, cx, &self.common)
    }

    /// Whether nobody is known to wait for the request's answer any more; else wakes when that is so.
    pub(crate) fn poll_aborted(&self, key: u64, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        let gone = state.write_failed || state.input_stop.as_ref().is_some_and(Stop::is_gone);
        let Ok(i) = state.find(key) else { return Poll::Ready(()) };
        let request = &mut state.requests[i];
        if gone || matches!(request.stop, Some(Stop::Aborted | Stop::Refused(_))) {
            return Poll::Ready(());
        }
        request.aborted.register(cx.waker());
        Poll::Pending
    }

    /// The handler is done.
    pub(crate) fn complete(&self, key: u64, outcome: Result<AppStatus, String>) {
        let mut state = self.lock();
        if let Ok(i) = state.find(key) {
            state.requests[i].outcome = Some(outcome);
            state.call();
        }
    }
}

impl State {
    /// Has the task look again.
    fn call(&mut self) {
        self.attention = true;
        if !self.running {
            self.task.wake_by_ref();
        }
    }

    fn find(&self, key: u64) -> io::Result<usize> {
        let found = self.requests.iter().position(|request| request.begin.key == key);
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the request is over"))
    }

    /// The request that this id stands for: one that was refused while its handler runs has lost it.
    fn find_id(&self, id: RequestId) -> Option<usize> {
        self.requests.iter().position(|request| request.begin.id == id && !request.is_refused())
    }

    /// The request, if it may still be answered.
    fn find_answerable(&self, key: u64) -> io::Result<usize> {
        let i = self.find(key)?;
        match &self.requests[i].stop {
            Some(stop @ Stop::Refused(_)) => Err(stop.clone().into()),
            _ => Ok(i),
        }
    }

    fn remove(&mut self, i: usize, common: &Common) {
        let request = self.requests.remove(i);
        common.requests.fetch_sub(1, Ordering::Relaxed);
        common.spares.put_request(request);
    }

    fn has_ready(&self) -> bool {
        self.requests.iter().any(|request| request.ready && !request.started)
    }

    /// The next request whose handler is to be started.
    fn start(&mut self, settings: &Settings) -> Option<Started> {
        self.multiplexed |= self.requests.len() > 1;
        let alone = !self.multiplexed;
        let request = self.requests.iter_mut().find(|request| request.ready && !request.started)?;
        request.started = true;
        // Its memory comes back, unless the request outlives its handler.
        let params = std::mem::replace(&mut request.params, active::params(settings));
        Some(Started { begin: request.begin, params, alone })
    }
}
