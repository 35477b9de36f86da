//! The client's side: a session, what it sends and reads, and those who ask, abort, leave, trickle and ask again.

mod ends;

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use fcgi_proto::Next;
use fcgi_proto::client::{self, Again, Ask, End, Failure, Input, Manners, Request, Resend, SendError, Wait};
use fcgi_proto::record::Role;

use super::coverage::Decision;
use super::model::{Asked, ClientModel, hold};
use super::plan::{Mode, Plan};
use super::server::World;
use super::sides::ClientSession;
use super::transport::{Ends, Pipe};
use super::wire;

const METHODS: [&[u8]; 6] = [b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"PATCH"];

/// Bytes of records that may wait beyond the session's room: a request's beginning, one record, and ends.
const MORE_OUT: usize = 64 * 1024 + 4 * 1024;

/// A request's caller.
struct Caller {
    request: Request,
    asked: usize,
    method: &'static [u8],
    /// Bytes of STDIN and of DATA that were given, of STDOUT that were handed on and taken.
    given: usize,
    got: Vec<u8>,
    taken: usize,
    is_called: bool,
    sleeps_until: Duration,
    /// It gives no more of its input, and takes no more of the answer.
    stops: bool,
    is_slow: bool,
    /// It has left.
    is_gone: bool,
    is_values: bool,
    /// Bytes that had left when it began.
    sent_before: u64,
    /// When its limit passed, and when something had last left and come then.
    expired: (Duration, Duration, Duration),
    is_kept: bool,
}

/// A client's session and what it is bound to.
pub(super) struct Client {
    session: Box<dyn ClientSession>,
    pub(super) model: ClientModel,
    callers: Vec<Caller>,
    capacity: usize,
    asked: usize,
    unread: Vec<u8>,
    out: VecDeque<u8>,
    told: bool,
    pub(super) next: Next,
    pub(super) closed: bool,
    manners: Manners,
    idle_since: Duration,
    /// Bytes that have left.
    sent: u64,
    /// When anything last came, or left, or was done for a request; and began to be waited for.
    last: Duration,
    last_sent: Duration,
    last_came: Duration,
    broken: bool,
    deaf: bool,
}

impl Client {
    pub(super) fn new(world: &World) -> Self {
        let Plan { settings, client, .. } = world.plan;
        let session: Box<dyn ClientSession> = match client {
            0 => Box::new(client::Session::<1>::new(settings)),
            _ => Box::new(client::Session::<3>::new(settings)),
        };
        Self {
            session,
            model: ClientModel::default(),
            callers: Vec::new(),
            capacity: if client == 0 { 1 } else { 3 },
            asked: 0,
            unread: Vec::new(),
            out: VecDeque::new(),
            told: false,
            next: Next::default(),
            closed: false,
            manners: Manners::default(),
            idle_since: world.now,
            sent: 0,
            last: world.now,
            last_sent: world.now,
            last_came: world.now,
            broken: false,
            deaf: false,
        }
    }

    /// Requests that are waited for.
    pub(super) fn open(&self) -> usize {
        self.callers.iter().filter(|caller| !caller.is_gone).count()
    }

    pub(super) fn look(&mut self, world: &mut World) {
        if self.closed {
            return;
        }
        self.next = self.session.next();
        if self.next.close {
            self.callers.iter_mut().for_each(|caller| caller.is_called = true);
        }
        if let Some(odd) = self.session.take_odd() {
            world.note(Decision::Odd);
            hold(!world.plan.fair, "protocol", || format!("both sides are in order, and {odd}"));
        }
        let most = world.plan.settings.room + MORE_OUT * self.capacity;
        hold(self.out.len() <= most, "memory", || format!("{} bytes wait to be sent", self.out.len()));
        let kept: usize = self
            .callers
            .iter()
            .filter(|caller| !caller.is_gone)
            .map(|caller| caller.got.len() - caller.taken)
            .sum();
        let most = (world.plan.settings.kept as usize + 64 * 1024) * self.capacity;
        hold(kept <= most, "memory", || format!("{kept} bytes of answers are kept"));
        hold(self.session.open() <= self.open(), "memory", || "more requests than were asked".to_owned());
    }

    pub(super) fn is_ready(&self, world: &World, up: &Pipe, down: &Pipe) -> bool {
        let Next { close, write, read, .. } = self.next;
        let reads = read && self.unread.is_empty() && down.is_readable(world.now);
        let writes = write && up.is_writable(world.now) && !self.out.is_empty();
        !self.closed && (self.told || (close && self.open() == 0) || writes || reads)
    }

    pub(super) fn act(&mut self, world: &mut World, up: &mut Pipe, down: &mut Pipe) {
        let Next { close, write, read, .. } = self.next;
        if self.told && !close {
            return self.take_in(world);
        }
        let reads = read && self.unread.is_empty() && down.is_readable(world.now);
        let writes = write && up.is_writable(world.now);
        if close {
            self.told = false;
            if self.open() == 0 {
                self.close(world, up, down);
            }
        } else if writes && !(reads && world.choices.below(2) == 1) {
            self.write(world, up);
        } else if reads {
            self.told = true;
            match world.receive(down) {
                Ok(bytes) => return self.unread.extend(bytes),
                Err(Ends::Closed) => self.session.end_of_input(),
                Err(Ends::Reset) => self.session.broken(),
            }
            self.broken = true;
        }
    }

    /// It drops the transport.
    pub(super) fn close(&mut self, world: &mut World, up: &mut Pipe, down: &mut Pipe) {
        world.note(Decision::ClosesClient);
        self.closed = true;
        up.end();
        down.unread = true;
    }

    fn write(&mut self, world: &mut World, up: &mut Pipe) {
        if up.unread || up.ends.is_some() {
            self.session.unwritable(world.now);
            (self.deaf, self.last, self.last_sent) = (true, world.now, world.now);
            self.out.clear();
            self.told = true;
            return;
        }
        let bytes = world.send(&mut self.out, up);
        if bytes.is_empty() {
            return;
        }
        self.model.sends(&bytes);
        self.session.sent(bytes.len(), world.now);
        self.sent += bytes.len() as u64;
        (self.last, self.last_sent) = (world.now, world.now);
        self.told = true;
    }

    fn take_in(&mut self, world: &mut World) {
        let unread = mem::take(&mut self.unread);
        let mut input = &unread[..];
        let event = self.session.receive(&mut input, world.now);
        let consumed = &unread[..unread.len() - input.len()];
        self.model.came(consumed);
        if !consumed.is_empty() {
            (self.last, self.last_came) = (world.now, world.now);
        }
        self.unread = input.to_vec();
        let strict = world.plan.mode == Mode::Pair;
        match event {
            None => {
                self.told = false;
                if !self.unread.is_empty() {
                    world.note(Decision::Kept);
                }
            }
            Some(Input::Stdout { request, data }) => {
                let Self { callers, model, session, .. } = self;
                let caller = Self::caller(callers, request);
                caller.is_called = true;
                caller.got.extend(data);
                if caller.is_values {
                    world.note(Decision::Values);
                } else {
                    world.note(Decision::Stdout);
                    let came = &model.asked[caller.asked].stdout;
                    let own = came.ends_with(data) && (!strict || came.len() == caller.got.len());
                    hold(own, "no mixing", || {
                        format!("{} bytes are handed on, {} came", caller.got.len(), came.len())
                    });
                }
                if let Some(status) = status_of(&caller.got) {
                    session.head(request, status);
                }
                if !caller.stops && !caller.is_slow {
                    caller.take(usize::MAX, &mut **session, world);
                }
            }
            Some(Input::Stderr { request, data }) => {
                world.note(Decision::Stderr);
                hold(!data.is_empty(), "protocol", || "STDERR without bytes".to_owned());
                Self::caller(&mut self.callers, request).is_called = true;
            }
            Some(Input::Look { request }) => Self::caller(&mut self.callers, request).is_called = true,
            Some(other) => panic!("[protocol] {other:?}"),
        }
    }

    fn caller(callers: &mut [Caller], request: Request) -> &mut Caller {
        let caller = callers.iter_mut().find(|caller| caller.request == request);
        let Some(caller) = caller else { panic!("[no mixing] something for a request that was never asked") };
        hold(!caller.is_gone, "nothing after the end", || "something for a request that was left".to_owned());
        caller
    }

    /// Whether another request may be asked.
    pub(super) fn may_ask(&self, world: &World, down: &Pipe) -> bool {
        // Now and then one more than there are places.
        let most = self.capacity + usize::from(self.asked % 4 == 3);
        let quiet = self.unread.is_empty() && !down.is_readable(world.now);
        !self.closed && !self.next.close && quiet && self.asked < world.plan.requests && self.open() < most
    }

    pub(super) fn asks(&mut self, world: &mut World) {
        self.asked += 1;
        if !world.plan.fair && world.choices.once_in(12) {
            return self.asks_for_values(world);
        }
        let method = world.choices.one_of(&METHODS);
        let mut ask = Ask::new(method);
        ask.role = world.choices.one_of(&[Role::Responder, Role::Responder, Role::Authorizer, Role::Filter]);
        ask.keep_conn = !world.choices.once_in(4);
        ask.repeatable = !world.choices.once_in(6);
        ask.stdin = if ask.role == Role::Authorizer { 0 } else { world.plan.size(&mut world.choices) as u64 };
        ask.data = if ask.role == Role::Filter { world.plan.size(&mut world.choices) as u64 } else { 0 };
        let idle = world.now - self.idle_since;
        if self.asked > 1 && self.open() == 0 {
            let used = self.session.may_be_used(&mut self.manners, &ask, idle, world.now);
            world.note(if used { Decision::UsesKept } else { Decision::AvoidsKept });
        }
        let tag = self.asked as u8;
        let (tag_text, stdin, data) = (tag.to_string(), ask.stdin.to_string(), ask.data.to_string());
        let pairs = [
            (&b"REQUEST_METHOD"[..], method),
            (b"TAG", tag_text.as_bytes()),
            (b"CONTENT_LENGTH", stdin.as_bytes()),
            (b"FCGI_DATA_LENGTH", data.as_bytes()),
        ];
        let mut out = Vec::new();
        match self.session.begin(ask, &pairs, &mut out, world.now) {
            Ok(request) => {
                world.note(Decision::Asks);
                let known = self.callers.iter().any(|caller| caller.request == request);
                hold(!known, "no mixing", || "a handle is used twice".to_owned());
                let id = u16::from_be_bytes([out[2], out[3]]);
                self.out.extend(out);
                self.model.to_begin.push_back(self.model.asked.len());
                self.model.asked.push(Asked {
                    id,
                    tag,
                    stdin: ask.stdin as usize,
                    data: ask.data as usize,
                    is_filter: ask.role == Role::Filter,
                    ..Asked::default()
                });
                self.joins(request, method, world);
            }
            Err(error) => {
                hold(out.is_empty(), "protocol", || "nothing began, and something is to be sent".to_owned());
                self.may_not_ask(error, world);
            }
        }
    }

    fn may_not_ask(&mut self, error: SendError, world: &mut World) {
        world.note(match error {
            SendError::Full { .. } => Decision::AsksFull,
            SendError::NotReusable => Decision::AsksNoMore,
            error => panic!("[protocol] {error}"),
        });
        let full = matches!(error, SendError::Full { .. });
        hold(!full || self.open() > 0, "gets on", || "all places are taken, and nobody has one".to_owned());
    }

    fn joins(&mut self, request: Request, method: &'static [u8], world: &mut World) {
        self.callers.push(Caller {
            request,
            asked: self.model.asked.len() - 1,
            method,
            given: 0,
            got: Vec::new(),
            taken: 0,
            is_called: true,
            sleeps_until: Duration::ZERO,
            stops: !world.plan.fair && world.choices.once_in(16),
            is_slow: world.choices.once_in(4),
            is_gone: false,
            is_values: method.is_empty(),
            sent_before: self.sent + self.out.len() as u64,
            expired: Default::default(),
            is_kept: self.asked > 1,
        });
        self.told = true;
        self.last = world.now;
    }

    fn asks_for_values(&mut self, world: &mut World) {
        match self.session.get_values(world.now) {
            Ok((request, control)) => {
                self.out.extend(&control[..]);
                self.model.asked.push(Asked::default());
                self.joins(request, b"", world);
            }
            Err(error) => self.may_not_ask(error, world),
        }
    }

    /// Those whose turn it may be.
    pub(super) fn ready(&self, world: &World) -> impl Iterator<Item = usize> + '_ {
        let (now, ending) = (world.now, world.ending);
        let is_ready = move |caller: &Caller| {
            let wants = !caller.stops && self.session.wants(caller.request) > 0;
            let takes = !caller.stops && caller.taken < caller.got.len();
            // Who takes nothing is not waited for by the session: it gives up some time.
            let gives_up = ending && caller.stops && caller.got.len() > caller.taken;
            !caller.is_gone
                && (gives_up || caller.is_called || now >= caller.sleeps_until && (wants || takes))
        };
        let ready = self.callers.iter().enumerate().filter(move |(_, caller)| is_ready(caller));
        ready.filter(|_| !self.closed).map(|(place, _)| place)
    }

    pub(super) fn wakes_at(&self, now: Duration) -> Option<Duration> {
        let asleep = self.callers.iter().filter(|caller| !caller.is_gone && caller.sleeps_until > now);
        asleep.map(|caller| caller.sleeps_until).min()
    }

    /// Whether somebody waits for the session, and not the session for somebody to take an answer.
    pub(super) fn waits(&self) -> bool {
        let stops = |caller: &Caller| caller.stops && caller.taken < caller.got.len();
        let mut open = self.callers.iter().filter(|caller| !caller.is_gone).peekable();
        !self.closed && open.peek().is_some() && !open.any(stops)
    }

    /// What its callers wait for, for a person.
    pub(super) fn state(&self) -> String {
        let open = self.callers.iter().filter(|caller| !caller.is_gone);
        let each = open.map(|caller| {
            format!(
                "caller of {:?}: given {}, wants {}, got {}, took {}",
                caller.request,
                caller.given,
                self.session.wants(caller.request),
                caller.got.len(),
                caller.taken
            )
        });
        format!(
            "client {:?}, {} bytes to send, {} unread; {:?}",
            self.next,
            self.out.len(),
            self.unread.len(),
            each.collect::<Vec<_>>()
        )
    }

    /// Lets a caller do one thing.
    pub(super) fn ask_on(&mut self, place: usize, world: &mut World) {
        self.told = true;
        let Self { callers, session, model, out, .. } = self;
        let caller = &mut callers[place];
        let gives_up = world.ending && caller.stops && caller.got.len() > caller.taken;
        if gives_up || !world.plan.fair && world.choices.once_in(64) {
            return self.leave(place, world);
        }
        let wants = session.wants(caller.request) as usize;
        let awake = world.now >= caller.sleeps_until && !caller.stops;
        if awake && caller.taken < caller.got.len() {
            let most = if world.choices.below(2) == 0 {
                usize::MAX
            } else {
                1 + world.plan.size(&mut world.choices)
            };
            caller.take(most, &mut **session, world);
            caller.may_nap(world);
            self.last = world.now;
        } else if awake && wants > 0 {
            world.note(Decision::Wants);
            let asked = &model.asked[caller.asked];
            let most =
                if world.choices.below(2) == 0 { 32 * 1024 } else { 1 + world.plan.size(&mut world.choices) };
            let count = wants.min(most);
            let bytes = match caller.given.checked_sub(asked.stdin) {
                None => wire::pattern(wire::stdin_of(asked.tag), caller.given, count),
                Some(given) => wire::pattern(wire::data_of(asked.tag), given, count),
            };
            let Ok((piece, rest)) = session.write(caller.request, &bytes, world.now) else {
                panic!("[whole bodies] what was wanted is not taken")
            };
            let all = rest.len() == count.saturating_sub(65_528);
            hold(all, "whole bodies", || {
                format!("{} of {count} bytes were wanted and not taken", rest.len())
            });
            piece.slices().iter().for_each(|slice| out.extend(*slice));
            caller.given += count - rest.len();
            caller.may_nap(world);
            self.last = world.now;
        } else if caller.is_called {
            caller.is_called = false;
            let open = caller.given < model.asked[caller.asked].stdin + model.asked[caller.asked].data;
            if open && wants == 0 {
                world.note(Decision::NoRoom);
            }
            if session.may_be_refused(caller.request) {
                world.note(Decision::MayBeRefused);
            }
            match session.poll(caller.request, world.now) {
                Ok(None) => {}
                Ok(Some(end)) => self.ended(place, end, world),
                Err(failure) => self.failed(place, failure, world),
            }
        }
    }

    pub(super) fn expire(&mut self, world: &World) {
        if self.closed || self.next.at.is_none_or(|at| at > world.now) {
            return;
        }
        if self.session.expire(world.now) {
            for caller in &mut self.callers {
                caller.is_called = true;
                if caller.expired.0.is_zero() && self.session.poll(caller.request, world.now).is_err() {
                    caller.expired = (world.now, self.last_sent, self.last_came);
                }
            }
        }
        self.told = true;
    }

    /// Nobody is waited for longer than all limits together.
    pub(super) fn check_patience(&self, world: &World) {
        let settings = world.plan.settings;
        let waits = self
            .callers
            .iter()
            .any(|caller| !caller.is_gone && !caller.is_called && caller.taken == caller.got.len());
        let most = settings
            .write
            .max(settings.first_byte)
            .max(settings.read)
            .max(settings.input)
            .max(settings.kept_first_byte);
        let waited = world.now.saturating_sub(self.last.max(self.wakes_at(world.now).unwrap_or_default()));
        let late = waits
            && world.plan.punctual
            && waited > most * 2 + Duration::from_secs(1)
            && !self.closed
            && self.open() == 1;
        hold(!late, "limits", || format!("nothing happened for {waited:?}, and a request is waited for"));
    }
}

impl Caller {
    fn take(&mut self, most: usize, session: &mut dyn ClientSession, world: &World) {
        let count = (self.got.len() - self.taken).min(most);
        session.took(self.request, count, world.now);
        self.taken += count;
    }

    fn may_nap(&mut self, world: &mut World) {
        if self.is_slow || world.choices.once_in(16) {
            self.sleeps_until = world.now + world.plan.nap(&mut world.choices);
        }
        // It polls again, now that it has given or taken something.
        self.is_called = true;
    }
}

/// The status of a head that is whole.
fn status_of(bytes: &[u8]) -> Option<u16> {
    let end = bytes.windows(4).take(512).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = head.split("\r\n").find_map(|line| line.strip_prefix("Status: "));
    status.map_or(Some(200), |status| status.get(..3)?.parse().ok())
}
