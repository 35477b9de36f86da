//! Applications and the connections to them: which one a request gets, which are kept, who waits.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use async_io::Timer;
use fcgi_blocking::Endpoint;
use smol::future::FutureExt;

use super::PoolSettings;
use super::lease::{Lease, Wanted};
use crate::ClientError;
use crate::client::link::{CAPACITY, Link};
use crate::client::socket::Socket;

/// Bytes of STDERR of requests without a response that are kept until someone takes them.
const STDERR_LIMIT: usize = 64 * 1024;

/// How often applications that fail are looked for, at most.
const SHORTEST_PROBE: Duration = Duration::from_millis(10);

pub(crate) struct Applications {
    pub(crate) settings: PoolSettings,
    state: Mutex<State>,
    /// Goes off when a connection was idle for too long; `None` while none is idle.
    idle: Mutex<Option<Timer>>,
}

struct State {
    applications: Vec<Application>,
    /// Where the search for the least loaded one begins.
    next: usize,
    waiting: VecDeque<Waiter>,
    /// Of the next one that waits.
    number: u64,
    stderr: Vec<u8>,
}

struct Application {
    /// None: its one connection was given.
    endpoint: Option<Endpoint>,
    connections: Vec<Held>,
    /// Connections that are being made.
    connecting: usize,
    failed: Option<Failed>,
}

struct Held {
    link: Arc<Link>,
    /// Requests that it is lent to.
    requests: usize,
    /// Since when it has none.
    idle_since: Instant,
}

/// An application that could not be connected to.
struct Failed {
    /// When it may be tried again, by one request.
    again: Instant,
    pause: Duration,
    trying: bool,
}

struct Waiter {
    number: u64,
    waker: Waker,
}

/// What a request gets.
enum Choice {
    Lent(usize, Arc<Link>),
    Connect(usize, Endpoint),
    Nobody,
    Wait,
}

impl Applications {
    pub(crate) fn new(
        endpoints: impl IntoIterator<Item = Endpoint>,
        mut settings: PoolSettings,
    ) -> Arc<Self> {
        settings.max_connections = settings.max_connections.max(1);
        settings.max_requests_per_connection = settings.max_requests_per_connection.clamp(1, CAPACITY);
        let application = |endpoint| Application {
            endpoint: Some(endpoint),
            connections: Vec::new(),
            connecting: 0,
            failed: None,
        };
        let state = State {
            applications: endpoints.into_iter().map(application).collect(),
            next: 0,
            waiting: VecDeque::new(),
            number: 0,
            stderr: Vec::new(),
        };
        Arc::new(Self { settings, state: Mutex::new(state), idle: Mutex::default() })
    }

    /// One application that is reached over this connection and no other.
    pub(crate) fn over(socket: Socket, settings: PoolSettings) -> Arc<Self> {
        let applications = Self::new([], settings);
        let link = Arc::new(Link::new(socket, settings.max_requests_per_connection > 1));
        let held = Held { link, requests: 0, idle_since: Instant::now() };
        applications.lock().applications.push(Application {
            endpoint: None,
            connections: vec![held],
            connecting: 0,
            failed: None,
        });
        applications
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().applications.len()
    }

    /// A connection for a request; waits for one, in turn, when all are taken.
    ///
    /// An application that cannot be connected to is noted in `wanted`, and another one tried.
    pub(crate) async fn lend(self: &Arc<Self>, wanted: &mut Wanted) -> Result<Lease, ClientError> {
        loop {
            let mut turn = Turn { applications: self, number: None };
            let late = async {
                Timer::after(self.settings.wait_timeout).await;
                Err(ClientError::PoolTimedOut { limit: self.settings.wait_timeout })
            };
            let choice = poll_fn(|cx| turn.poll(cx, wanted)).or(late).await?;
            drop(turn);
            let (application, endpoint) = match choice {
                Choice::Lent(application, link) => return Ok(Lease::new(self, application, link, true)),
                Choice::Connect(application, endpoint) => (application, endpoint),
                Choice::Nobody | Choice::Wait => {
                    return Err(wanted.error.take().unwrap_or(ClientError::Unavailable));
                }
            };
            match self.connect(application, &endpoint).await {
                Ok(lease) => return Ok(lease),
                Err(error) => {
                    wanted.error = Some(error);
                    wanted.tried.push(application);
                }
            }
        }
    }

    /// Makes a connection that was [chosen](Choice::Connect).
    async fn connect(
        self: &Arc<Self>,
        application: usize,
        endpoint: &Endpoint,
    ) -> Result<Lease, ClientError> {
        let connecting = Connecting { applications: self, application };
        match Socket::connect(endpoint, self.settings.client.connect_timeout).await {
            Ok(socket) => Ok(connecting.succeeded(socket)),
            Err(error) => {
                connecting.failed();
                Err(ClientError::Connect(error))
            }
        }
    }

    /// Connects to applications that failed, when it is time to, for ever.
    pub(super) async fn probe(self: &Arc<Self>) {
        loop {
            let now = Instant::now();
            let mut due = Vec::new();
            let mut next = now.checked_add(self.settings.retry_after.max(SHORTEST_PROBE));
            for (index, application) in self.lock().applications.iter_mut().enumerate() {
                let is_due = application.may_be_asked(now);
                match (&mut application.failed, &application.endpoint) {
                    (Some(failed), Some(endpoint)) if is_due => {
                        failed.trying = true;
                        application.connecting += 1;
                        due.push((index, endpoint.clone()));
                    }
                    (Some(failed), _) if !failed.trying => next = next.min(Some(failed.again)),
                    _ => {}
                }
            }
            if due.is_empty() {
                next.map_or_else(Timer::never, Timer::at).await;
            }
            for (application, endpoint) in due {
                // A connection that comes about is kept for the next request, and a failure is noted.
                drop(self.connect(application, &endpoint).await);
            }
        }
    }

    /// A request is done with its connection.
    pub(super) fn take_back(self: &Arc<Self>, application: usize, link: &Arc<Link>) {
        let mut state = self.lock();
        let waits = !state.waiting.is_empty();
        let application = &mut state.applications[application];
        let idle = application.take_back(link, waits, &self.settings);
        let woken = state.front();
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        if idle {
            let mut timer = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if timer.is_none() {
                *timer = self.close_idle();
            }
        }
    }

    /// Closes connections that were idle for too long; returns a timer for the next one.
    ///
    /// Its waker is this again: a connection that nobody uses is closed by whoever runs the timers.
    fn close_idle(self: &Arc<Self>) -> Option<Timer> {
        loop {
            let mut state = self.lock();
            let now = Instant::now();
            let mut next: Option<Instant> = None;
            for application in &mut state.applications {
                let ends = |held: &Held| held.idle_since.checked_add(self.settings.idle_timeout);
                let connections = &mut application.connections;
                connections.retain(|held| held.requests > 0 || ends(held).is_none_or(|end| end > now));
                let idle = connections.iter().filter(|held| held.requests == 0);
                next = idle.filter_map(ends).chain(next).min();
            }
            drop(state);
            let mut timer = Timer::at(next?);
            let waker = Waker::from(Arc::new(CloseIdle(Arc::downgrade(self))));
            if Pin::new(&mut timer).poll(&mut Context::from_waker(&waker)).is_pending() {
                return Some(timer);
            }
        }
    }

    /// Closes all that are idle.
    pub(crate) fn close_all_idle(&self) {
        for application in &mut self.lock().applications {
            application.connections.retain(|held| held.requests > 0);
        }
    }

    pub(crate) fn keep_stderr(&self, bytes: &[u8]) {
        let mut state = self.lock();
        let room = STDERR_LIMIT.saturating_sub(state.stderr.len());
        state.stderr.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    pub(crate) fn take_stderr(&self) -> Vec<u8> {
        mem::take(&mut self.lock().stderr)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes by closing what was idle for too long.
struct CloseIdle(Weak<Applications>);

impl Wake for CloseIdle {
    fn wake(self: Arc<Self>) {
        if let Some(applications) = self.0.upgrade() {
            let mut timer = applications.idle.lock().unwrap_or_else(PoisonError::into_inner);
            *timer = applications.close_idle();
        }
    }
}

impl State {
    /// Whom to wake when a connection may be free.
    fn front(&self) -> Option<Waker> {
        self.waiting.front().map(|waiter| waiter.waker.clone())
    }

    /// The least loaded application that has room, and a connection to it.
    fn choose(&mut self, wanted: &Wanted, settings: &PoolSettings) -> Choice {
        let now = Instant::now();
        let count = self.applications.len();
        let mut least: Option<(usize, usize)> = None;
        let mut choice = Choice::Nobody;
        for index in (0..count).map(|offset| (self.next + offset) % count) {
            let application = &self.applications[index];
            if wanted.tried.contains(&index) || !application.may_be_asked(now) {
                continue;
            }
            choice = Choice::Wait;
            if application.has_room(wanted, settings) {
                let load = application.load();
                if least.is_none_or(|(lowest, _)| load < lowest) {
                    least = Some((load, index));
                }
            }
        }
        let Some((_, index)) = least else { return choice };
        self.next = index + 1;
        let application = &mut self.applications[index];
        if let Some(link) = application.lend(wanted, settings) {
            return Choice::Lent(index, link);
        }
        if !application.may_connect(wanted, settings) {
            return choice;
        }
        match &application.endpoint {
            Some(endpoint) => {
                application.connecting += 1;
                if let Some(failed) = &mut application.failed {
                    failed.trying = true;
                }
                Choice::Connect(index, endpoint.clone())
            }
            None => Choice::Nobody,
        }
    }
}

impl Application {
    fn may_be_asked(&self, now: Instant) -> bool {
        self.failed.as_ref().is_none_or(|failed| failed.again <= now && !failed.trying)
    }

    /// Requests that it has or is about to have.
    fn load(&self) -> usize {
        self.connecting + self.connections.iter().map(|held| held.requests).sum::<usize>()
    }

    fn has_room(&self, wanted: &Wanted, settings: &PoolSettings) -> bool {
        self.connections.iter().any(|held| held.has_room(wanted, settings))
            || self.may_connect(wanted, settings)
    }

    /// Whether a further connection may be made, perhaps in the place of an idle one. Those that carry many
    /// requests are made one at a time: who comes meanwhile waits for a place on that.
    fn may_connect(&self, wanted: &Wanted, settings: &PoolSettings) -> bool {
        let alive = |held: &&Held| !(wanted.fresh && held.requests == 0);
        let count = self.connecting + self.connections.iter().filter(alive).count();
        let one_is_coming = settings.max_requests_per_connection > 1 && self.connecting > 0;
        count < settings.max_connections && (!one_is_coming || wanted.alone)
    }

    /// A connection that is there, if one has room and is alive; those that are not are dropped.
    fn lend(&mut self, wanted: &Wanted, settings: &PoolSettings) -> Option<Arc<Link>> {
        if wanted.fresh {
            // As dead as the one that brought the request here.
            self.connections.retain(|held| held.requests > 0);
            return None;
        }
        while let Some(index) = self.connections.iter().position(|held| held.has_room(wanted, settings)) {
            let held = &mut self.connections[index];
            if held.requests > 0 || held.link.is_usable() {
                held.requests += 1;
                return Some(Arc::clone(&held.link));
            }
            self.connections.swap_remove(index);
        }
        None
    }

    /// Closes the connection, unless it has other requests or can be kept; returns whether it is idle.
    fn take_back(&mut self, link: &Arc<Link>, waits: bool, settings: &PoolSettings) -> bool {
        let Some(index) = self.connections.iter().position(|held| Arc::ptr_eq(&held.link, link)) else {
            return false;
        };
        let idle = self.connections.iter().filter(|held| held.requests == 0).count();
        // A connection without any answer so far may wait for the worker that this one would hold.
        let others_wait = self
            .connections
            .iter()
            .any(|held| held.requests > 0 && !Arc::ptr_eq(&held.link, link) && !held.link.is_answered());
        let held = &mut self.connections[index];
        held.requests -= 1;
        if held.requests > 0 {
            return false;
        }
        let keeps = link.is_settled() && !others_wait && (waits || idle < settings.max_idle);
        held.idle_since = Instant::now();
        if !keeps {
            self.connections.swap_remove(index);
        }
        keeps
    }
}

impl Held {
    fn has_room(&self, wanted: &Wanted, settings: &PoolSettings) -> bool {
        match self.requests {
            _ if wanted.fresh => false,
            0 => true,
            requests => {
                requests < settings.max_requests_per_connection && !wanted.alone && self.link.is_reusable()
            }
        }
    }
}

/// A request's turn for a connection; given up when dropped.
struct Turn<'a> {
    applications: &'a Applications,
    /// Once it waits.
    number: Option<u64>,
}

impl Turn<'_> {
    fn poll(&mut self, cx: &mut Context<'_>, wanted: &Wanted) -> Poll<Result<Choice, ClientError>> {
        let settings = &self.applications.settings;
        let mut state = self.applications.lock();
        let is_first = state.waiting.front().is_none_or(|first| Some(first.number) == self.number);
        if is_first {
            match state.choose(wanted, settings) {
                Choice::Wait => {}
                choice => return Poll::Ready(Ok(choice)),
            }
        }
        let waker = cx.waker().clone();
        match self.number {
            Some(number) => {
                let waiter = state.waiting.iter_mut().find(|waiter| waiter.number == number);
                waiter.into_iter().for_each(|waiter| waiter.waker.clone_from(&waker));
            }
            None if state.waiting.len() >= settings.max_waiting => {
                return Poll::Ready(Err(ClientError::PoolFull { waiting: state.waiting.len() }));
            }
            None => {
                state.number += 1;
                let number = state.number;
                state.waiting.push_back(Waiter { number, waker });
                self.number = Some(number);
            }
        }
        Poll::Pending
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.applications.lock();
        state.waiting.retain(|waiter| waiter.number != number);
        let woken = state.front();
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }
}

/// A connection in the making; given up when dropped.
struct Connecting<'a> {
    applications: &'a Arc<Applications>,
    application: usize,
}

impl Connecting<'_> {
    fn succeeded(self, socket: Socket) -> Lease {
        let link = Arc::new(Link::new(socket, self.applications.settings.max_requests_per_connection > 1));
        let held = Held { link: Arc::clone(&link), requests: 1, idle_since: Instant::now() };
        let mut state = self.applications.lock();
        let application = &mut state.applications[self.application];
        application.failed = None;
        application.connections.push(held);
        drop(state);
        Lease::new(self.applications, self.application, link, false)
    }

    fn failed(self) {
        let settings = &self.applications.settings;
        let mut state = self.applications.lock();
        let application = &mut state.applications[self.application];
        let pause = application.failed.as_ref().map_or(settings.retry_after, |failed| failed.pause * 2);
        let pause = pause.min(settings.max_retry_after);
        if !pause.is_zero() {
            application.failed = Some(Failed { again: Instant::now() + pause, pause, trying: false });
        }
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        let mut state = self.applications.lock();
        let application = &mut state.applications[self.application];
        application.connecting -= 1;
        if let Some(failed) = &mut application.failed {
            failed.trying = false;
        }
        let woken = state.front();
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }
}
