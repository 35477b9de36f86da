//! Applications and the connections to them: what was [decided](super::choice) is done here.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use std::{io, mem};

use fcgi_blocking::Endpoint;
use fcgi_proto::client::{Ask, Manners, Stderr};

use super::PoolSettings;
use super::choice::{Attempt, Choice, Choices, Place, Wanted};
use super::lease::Lease;
use crate::client::link::{CAPACITY, Link};
use crate::net::clock::{self, Alarm};
use crate::net::socket::Socket;
use crate::net::sync::{Arc, Mutex, Weak, lock};
use crate::{ClientError, Params, Value};

pub(crate) struct Applications {
    pub(crate) settings: PoolSettings,
    /// None where the one connection was given.
    endpoints: Vec<Endpoint>,
    /// What was learned of each one's kept connections.
    pub(super) manners: Vec<Mutex<Manners>>,
    state: Mutex<State>,
    stderr: Mutex<Stderr>,
    /// Who runs the timers lets be decided what the time brings: no task of ours is needed.
    expire: Waker,
}

struct State {
    choices: Choices<Arc<Link>>,
    /// Of those who wait, by their numbers.
    wakers: BTreeMap<u64, Waker>,
    /// Goes off when time alone changes something.
    alarm: Alarm,
}

impl fmt::Debug for Applications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applications").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Applications {
    pub(crate) fn new(endpoints: impl IntoIterator<Item = Endpoint>, settings: PoolSettings) -> Arc<Self> {
        let endpoints: Vec<_> = endpoints.into_iter().collect();
        let settings = settings.clamped();
        let choices = Choices::new(endpoints.len(), settings);
        Self::with(endpoints, choices, settings)
    }

    /// One application that is reached over this connection and no other.
    pub(crate) fn over(socket: Socket, settings: PoolSettings) -> Arc<Self> {
        let mut settings = settings.clamped();
        // There is no other to leave a silent one for.
        settings.client.kept_first_byte_timeout = Duration::MAX;
        let link = Link::new(socket, settings.client);
        Self::with(Vec::new(), Choices::over(link, settings, clock::now()), settings)
    }

    fn with(endpoints: Vec<Endpoint>, choices: Choices<Arc<Link>>, settings: PoolSettings) -> Arc<Self> {
        let state = State { choices, wakers: BTreeMap::new(), alarm: Alarm::new() };
        Arc::new_cyclic(|weak| Self {
            settings,
            manners: std::iter::repeat_with(Mutex::default).take(endpoints.len().max(1)).collect(),
            endpoints,
            state: Mutex::new(state),
            stderr: Mutex::default(),
            expire: Waker::from(Arc::new(Expire(Weak::clone(weak)))),
        })
    }

    pub(super) fn count(&self) -> usize {
        self.manners.len()
    }

    /// A connection on which a question began; waits for one when all are taken.
    ///
    /// An application that cannot be connected to is noted in `wanted`, and another one tried.
    pub(crate) async fn lend(
        self: &Arc<Self>,
        wanted: &mut Wanted,
        ask: Ask<'_>,
        variables: &[Value],
        params: &Params,
    ) -> Result<Lease, ClientError> {
        let mut reason = ClientError::Unavailable;
        let mut choice = self.decide(|choices, now| choices.ask(wanted.clone(), now));
        loop {
            let (place, link) = match choice {
                Choice::Lent(place, link) => (place, link),
                Choice::Waits(number) => {
                    let mut claim = Claim { applications: self, choice };
                    choice = poll_fn(|cx| self.poll_turn(number, cx)).await;
                    claim.choice = Choice::Nobody;
                    continue;
                }
                Choice::Connect(attempt) => match self.connect(attempt).await {
                    Ok(connected) => connected,
                    Err(error) => {
                        // Of several, those that were left out are known to be away.
                        if !attempt.tries || self.count() == 1 {
                            reason = ClientError::Connect(error);
                        }
                        wanted.tried.push(attempt.application);
                        choice = self.decide(|choices, now| choices.ask(wanted.clone(), now));
                        continue;
                    }
                },
                Choice::Full(waiting) => return Err(ClientError::PoolFull { waiting }),
                Choice::Late => {
                    return Err(ClientError::PoolTimedOut { limit: self.settings.wait_timeout });
                }
                Choice::Nobody => return Err(reason),
            };
            // Where there is no other choice, its manners do not matter.
            let manners = self.manners.get(place.application).filter(|_| !self.endpoints.is_empty());
            let endpoint = self.endpoints.get(place.application);
            let name = endpoint.map_or("a stream".into(), Endpoint::to_string) + &format!(", {params}");
            match link.begin(ask, variables, &name, place.idle, manners) {
                Ok(Some(request)) => {
                    return Ok(Lease { applications: Arc::clone(self), place, link, request, name });
                }
                Ok(None) => {
                    let again = wanted.clone();
                    choice = self.decide(|choices, now| choices.replace(place, again, now));
                }
                Err(error) => {
                    self.decide(|choices, now| choices.give_back(place, true, now));
                    return Err(error);
                }
            }
        }
    }

    /// Connects to the first application, so that the next request has a connection.
    pub(crate) async fn reach(&self) -> Result<(), ClientError> {
        let attempt = self.decide(|choices, now| choices.attempt(0, now));
        self.connect(attempt).await.map(drop).map_err(ClientError::Connect)
    }

    /// The first application's values, asked on a connection of its own, after closing those that are kept: one
    /// with one worker serves no second connection.
    pub(crate) async fn values(&self) -> Result<Vec<u8>, ClientError> {
        self.decide(|choices, _| choices.close_idle());
        let endpoint = self.endpoints.first().ok_or(ClientError::Unavailable)?;
        let socket = Socket::connect(endpoint, self.settings.client.connect_timeout).await;
        let link = Link::new(socket.map_err(ClientError::Connect)?, self.settings.client);
        let request = link.get_values(&endpoint.to_string())?;
        let (mut pairs, mut chunk) = (Vec::new(), Vec::new());
        while poll_fn(|cx| link.poll(request, cx, &mut chunk)).await?.is_none() {
            pairs.extend_from_slice(&chunk);
        }
        Ok(pairs)
    }

    /// What one who waits got.
    fn poll_turn(&self, number: u64, cx: &mut Context<'_>) -> Poll<Choice<Arc<Link>>> {
        // Dropped without the lock.
        let (waker, mut _before) = (cx.waker().clone(), None);
        let mut state = lock(&self.state);
        if let Some(choice) = state.choices.collect(number) {
            return Poll::Ready(choice);
        }
        _before = state.wakers.insert(number, waker);
        Poll::Pending
    }

    /// Makes a connection that was [chosen](Choice::Connect).
    async fn connect(&self, attempt: Attempt) -> io::Result<(Place, Arc<Link>)> {
        let mut claim = Claim { applications: self, choice: Choice::Connect(attempt) };
        let endpoint = &self.endpoints[attempt.application];
        let connected = Socket::connect(endpoint, self.settings.client.connect_timeout).await;
        claim.choice = Choice::Nobody;
        if connected.is_err() {
            self.decide(|choices, now| choices.failed(attempt, now));
        }
        let link = Link::new(connected?, self.settings.client);
        let place = self.decide(|choices, now| choices.connected(attempt, Arc::clone(&link), now));
        Ok((place, link))
    }

    /// Connects to applications that failed, when it is time to, for ever.
    pub(super) async fn probe(&self) {
        let mut alarm = Alarm::new();
        loop {
            match self.decide(Choices::probe) {
                // A connection that comes about is there for the next request, and a failure is noted.
                Ok(attempt) => drop(self.connect(attempt).await),
                Err(at) => poll_fn(|cx| alarm.poll(cx, at)).await,
            }
        }
    }

    /// Lets something be decided, and does what follows from it: wakers run and connections are closed without
    /// the lock.
    pub(super) fn decide<T>(&self, work: impl FnOnce(&mut Choices<Arc<Link>>, Duration) -> T) -> T {
        let mut state = lock(&self.state);
        let State { choices, wakers, alarm } = &mut *state;
        let mut now = clock::now();
        let result = work(choices, now);
        loop {
            choices.expire(now);
            let Some(next) = choices.next(now) else { break };
            if alarm.poll(&mut Context::from_waker(&self.expire), next).is_pending() {
                break;
            }
            now = clock::now();
        }
        let (served, closed) = choices.take_news();
        let woken: Vec<_> = served.iter().filter_map(|number| wakers.remove(number)).collect();
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        drop(closed);
        result
    }

    pub(crate) fn keep_stderr(&self, stderr: Stderr) {
        lock(&self.stderr).append(stderr);
    }

    pub(crate) fn take_stderr(&self) -> Vec<u8> {
        lock(&self.stderr).take()
    }
}

impl PoolSettings {
    /// Whether connections are to outlive a request.
    pub(crate) fn keeps(&self) -> bool {
        self.max_idle > 0 || self.max_requests_per_connection > 1
    }

    fn clamped(mut self) -> Self {
        self.max_connections = self.max_connections.max(1);
        self.max_requests_per_connection = self.max_requests_per_connection.clamp(1, CAPACITY);
        if self.max_requests_per_connection > 1 {
            // Who multiplexes answers beside what it is at work on.
            self.client.kept_first_byte_timeout = Duration::MAX;
        }
        self
    }
}

/// Wakes by letting what the time brings be decided.
struct Expire(Weak<Applications>);

impl Wake for Expire {
    fn wake(self: Arc<Self>) {
        if let Some(applications) = self.0.upgrade() {
            applications.decide(|_, _| ());
        }
    }
}

/// What a request waits for; given up when dropped.
struct Claim<'a> {
    applications: &'a Applications,
    choice: Choice<Arc<Link>>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let choice = mem::replace(&mut self.choice, Choice::Nobody);
        self.applications.decide(|choices, now| choices.abandon(choice, now));
    }
}
