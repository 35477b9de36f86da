//! The server's side: a session, what it reads and sends, and its handlers.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use fcgi_proto::record::Role;
use fcgi_proto::server::Session;
use fcgi_proto::server::session::{Input, Leave, Request, Started, Stopped, Stream, Wait};
use fcgi_proto::{ConnectionError, Level, Next};

use super::choices::Choices;
use super::coverage::{Coverage, Decision};
use super::handlers::Handler;
use super::limits::Waits;
use super::model::{ServerModel, hold};
use super::plan::{Mode, Plan};
use super::sides::ServerSession;
use super::transport::{Ends, Pipe};

/// Bytes that may wait to be sent: what the session lets wait before it takes nothing more in and ends no request, and
/// what one call hands out then.
const MOST_OUT: usize = 64 * 1024 + 160 * 1024;

/// How long a connection that was given up may wait for anything, at most.
const LAST_CALL: Duration = Duration::from_secs(1);

/// What all of a life share.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) choices: Choices,
    pub(super) now: Duration,
    pub(super) coverage: Coverage,
    /// Nothing is asked any more, and no fault comes.
    pub(super) ending: bool,
    /// The server gives the connection up, or may have to.
    pub(super) left: bool,
    /// How it went, to be compared.
    pub(super) trace: u64,
}

impl World {
    pub(super) fn note(&mut self, decision: Decision) {
        self.coverage.note(decision);
        self.mix(decision as u64);
    }

    pub(super) fn mix(&mut self, word: u64) {
        self.trace = (self.trace ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(5);
    }

    /// Writes some of what is to leave, and returns it: nothing if nothing more is taken.
    pub(super) fn send(&mut self, out: &mut VecDeque<u8>, pipe: &mut Pipe) -> Vec<u8> {
        let mut count = pipe.takes(self.now).min(out.len());
        if self.choices.below(3) == 2 {
            count = count.min(1 + self.plan.size(&mut self.choices));
        }
        let bytes: Vec<u8> = out.drain(..count).collect();
        bytes.iter().for_each(|byte| self.mix(u64::from(*byte)));
        pipe.write(bytes.iter().copied());
        bytes
    }

    /// Reads some of what came, or learns how it ends.
    pub(super) fn receive(&mut self, pipe: &mut Pipe) -> Result<Vec<u8>, Ends> {
        let rough = self.choices.below(3) == 2;
        pipe.read(if rough { self.plan.size(&mut self.choices) } else { 64 * 1024 })
    }
}

/// A server's session and what it is bound to.
pub(super) struct Server {
    pub(super) session: Box<dyn ServerSession>,
    pub(super) model: ServerModel,
    pub(super) handlers: Vec<Handler>,
    pub(super) waits: Waits,
    capacity: usize,
    /// What was read and not taken in.
    unread: Vec<u8>,
    /// What is to leave.
    pub(super) out: VecDeque<u8>,
    /// Something was called: `receive` may have something to tell.
    pub(super) told: bool,
    pub(super) next: Next,
    shut: bool,
    pub(super) closed: bool,
    /// Why it may close: input ended, a write failed, it was left, and when for a shutdown.
    pub(super) ended: bool,
    pub(super) cut: bool,
    pub(super) left: bool,
    was_idle: bool,
    pub(super) shutdown: Option<Duration>,
}

impl Server {
    pub(super) fn new(world: &World) -> Self {
        let Plan { limits, patience, server, .. } = &world.plan;
        let session: Box<dyn ServerSession> = match server {
            0 => Box::new(Session::<1>::new(*limits, patience)),
            1 => Box::new(Session::<3>::new(*limits, patience)),
            2 => Box::new(Session::<1, _>::growing(*limits, patience)),
            _ => Box::new(Session::<3, _>::growing(*limits, patience)),
        };
        let mut model = ServerModel::default();
        model.refuses = world.plan.mode != Mode::Pair || limits.params != fcgi_proto::Limits::new().params;
        Self {
            session,
            model,
            handlers: Vec::new(),
            waits: Waits::new(&world.plan, world.now),
            capacity: if server % 2 == 0 { 1 } else { 3 },
            unread: Vec::new(),
            out: VecDeque::new(),
            told: false,
            next: Next::default(),
            shut: false,
            closed: false,
            ended: false,
            cut: false,
            left: false,
            was_idle: false,
            shutdown: None,
        }
    }

    /// Asks the session what it wants, at this moment.
    pub(super) fn look(&mut self, world: &mut World) {
        if self.closed {
            return;
        }
        self.next = self.session.next(world.now);
        // Its last answer has left: it ends, whether writing is shut down in time or not.
        self.ended |= self.next.shutdown;
        let Self { next, out, .. } = self;
        if !next.write && !out.is_empty() {
            // Part of a record may have left: nothing more does.
            out.clear();
        }
        self.waits.write(self.next.write, world.now);
        self.waits.idle(self.session.requests() == 0, self.out.is_empty(), world.now);
        if let Some(waiting) = self.session.waiting() {
            world.note(if waiting.begun { Decision::WaitingBegun } else { Decision::Waiting });
            let soon = world.now + LAST_CALL;
            let ends = self.next.close || self.next.at.is_some_and(|at| at <= soon);
            hold(ends || !waiting.leaving, "limits", || {
                format!("a connection that was given up waits until {:?}", self.next.at)
            });
        }
        while let Some(report) = self.session.poll_report() {
            self.report(report.level, report.what, world);
        }
        hold(
            self.session.requests()
                <= self.handlers.iter().filter(|handler| !handler.is_gone).count() + self.capacity,
            "memory",
            || "more requests than began".to_owned(),
        );
        hold(self.out.len() <= MOST_OUT, "memory", || format!("{} bytes wait to be sent", self.out.len()));
        let rest = !self.told && !self.unread.is_empty() && self.next.read && !self.next.write;
        hold(!rest, "gets on", || {
            format!("input of {} bytes is left, and more is to be read", self.unread.len())
        });
    }

    fn report(&mut self, level: Level, what: Stopped, world: &mut World) {
        world.note(if level == Level::Warn { Decision::Warns } else { Decision::Notes });
        match what {
            Stopped::TimedOut { wait: Wait::Params, .. } => {
                world.note(Decision::LateParams);
                self.waits.params_are_late(&world.plan, world.now, self.left);
            }
            Stopped::TimedOut { wait: Wait::Write, .. } => {
                world.note(Decision::LateWrite);
                self.waits.write_is_late(&world.plan, world.now);
                self.cut = true;
            }
            Stopped::TimedOut { wait: Wait::Shutdown, .. } => {
                world.note(Decision::LateShutdown);
                let due = self.shutdown.map(|at| at + world.plan.patience.shutdown);
                hold(due.is_some_and(|due| due <= world.now), "limits", || {
                    "a shutdown ends too early".to_owned()
                });
                self.cut = true;
            }
            Stopped::Refused(_) => world.note(Decision::RefusedByProtocol),
            _ => {}
        }
        if world.plan.fair {
            // A client that was answered early closes in the middle of its request.
            let cut = ConnectionError::UnexpectedEof { missing: 0 };
            let is_cut = matches!(what, Stopped::Protocol(error) if mem::discriminant(&error) == mem::discriminant(&cut));
            let fine = is_cut || matches!(what, Stopped::Closed | Stopped::Refused(_));
            hold(fine, "gets on", || format!("both sides are in order, and {what:?}"));
        }
    }

    /// Whether there is something to do for the transport, or to take in.
    pub(super) fn is_ready(&self, world: &World, up: &Pipe, down: &Pipe) -> bool {
        let Next { close, write, shutdown, read, .. } = self.next;
        let reads = read && self.unread.is_empty() && up.is_readable(world.now);
        let writes = write && (self.out.is_empty() || down.is_writable(world.now));
        !self.closed && (self.told || close || writes || shutdown || reads)
    }

    /// Does one of the things that the session wants.
    pub(super) fn act(&mut self, world: &mut World, up: &mut Pipe, down: &mut Pipe) {
        let Next { close, write, shutdown, read, .. } = self.next;
        if self.told && !close {
            return self.take_in(world);
        }
        let reads = read && self.unread.is_empty() && up.is_readable(world.now);
        let writes = write && (self.out.is_empty() || down.is_writable(world.now));
        if close {
            self.close(world, up, down);
        } else if writes && !(reads && world.choices.below(2) == 1) {
            self.write(world, down);
        } else if shutdown {
            world.note(Decision::Shuts);
            self.session.shut(world.now);
            (self.shut, self.told) = (true, true);
            self.waits.shut_at = Some(world.now);
            down.end();
        } else if reads {
            self.read(world, up);
        }
    }

    fn close(&mut self, world: &mut World, up: &mut Pipe, down: &mut Pipe) {
        let idle = !self.ended && !self.cut && !self.left && !self.shut;
        world.note(match () {
            () if self.cut => Decision::ClosesCut,
            () if self.shut => Decision::ClosesAnswered,
            () if self.ended => Decision::ClosesGone,
            () if self.left => Decision::ClosesLeft,
            () => Decision::ClosesIdle,
        });
        hold(!idle || self.was_idle, "limits", || "an idle connection is closed too early".to_owned());
        let runs = self.handlers.iter().any(|handler| handler.runs());
        hold(!runs || self.cut, "one end", || "the connection is closed under a handler".to_owned());
        hold(self.cut || self.out.is_empty(), "one end", || "closed with bytes to send".to_owned());
        self.closed = true;
        up.unread = true;
        // What a socket does that is closed with input unread, and for what comes then.
        if !up.is_empty() && world.plan.fair {
            down.reset();
        }
        down.end();
        self.handlers.iter_mut().for_each(|handler| handler.is_gone = true);
    }

    fn write(&mut self, world: &mut World, down: &mut Pipe) {
        self.told = true;
        while let Some(control) = self.session.poll_output() {
            world.note(Decision::Replies);
            self.out.extend(&control[..]);
        }
        if self.out.is_empty() {
            return;
        }
        hold(!self.shut, "nothing after the end", || "written after writing was shut down".to_owned());
        if down.unread || down.ends.is_some() {
            self.session.unwritable();
            self.out.clear();
            self.cut = true;
            return;
        }
        let bytes = world.send(&mut self.out, down);
        if bytes.is_empty() {
            return;
        }
        self.model.sends(&bytes);
        self.session.sent(bytes.len(), world.now);
        self.waits.sent(
            &world.plan,
            bytes.len(),
            self.out.is_empty(),
            self.session.requests() == 0,
            world.now,
        );
    }

    fn read(&mut self, world: &mut World, up: &mut Pipe) {
        self.told = true;
        match world.receive(up) {
            Ok(bytes) => return self.unread.extend(bytes),
            Err(Ends::Closed) => self.session.end_of_input(),
            Err(Ends::Reset) => self.session.broken(),
        }
        self.ended = true;
    }

    /// Hands the session what was read, up to one event.
    fn take_in(&mut self, world: &mut World) {
        let unread = mem::take(&mut self.unread);
        let mut input = &unread[..];
        let handler = self.handlers.len();
        if world.plan.whole {
            if let Some(Started { request, keep_conn, params, .. }) = self.session.receive_whole(&mut input) {
                world.note(Decision::Whole);
                self.model.came(&unread[..unread.len() - input.len()], world.now);
                self.begins(request, Role::Responder, keep_conn, world);
                if !self.handlers[handler].is_gone {
                    self.params(request, params, world);
                }
                if !self.handlers[handler].is_gone {
                    self.starts(request, world);
                }
                self.unread = input.to_vec();
                return;
            }
            hold(input.len() == unread.len(), "protocol", || "no request, and input was taken".to_owned());
        }
        let event = self.session.receive(&mut input, world.now);
        let mut left = input.len();
        let mut count = 0;
        if let Some(Input::Body { request, stream, data, spool }) = event {
            let place = self.place(request);
            count = self.handlers[place].keeps(stream, data, spool, world);
            self.session.took(count);
            left += data.len() - count;
            if count < data.len() {
                world.note(Decision::Full);
            }
        }
        let consumed = &unread[..unread.len() - left];
        if self.shut {
            if !consumed.is_empty() {
                world.note(Decision::Lingers);
            }
        } else {
            self.model.came(consumed, world.now);
        }
        self.unread = unread[unread.len() - left..].to_vec();
        match event {
            None => self.told = false,
            Some(Input::Begin { request, role, keep_conn }) => {
                world.note(Decision::Begins);
                self.begins(request, role, keep_conn, world);
            }
            Some(Input::Params { request, data }) => {
                world.note(Decision::Params);
                hold(!data.is_empty(), "protocol", || "no parameters".to_owned());
                self.params(request, data, world);
            }
            Some(Input::Start { request }) => {
                world.note(Decision::Starts);
                self.starts(request, world);
            }
            Some(Input::Body { request, stream, data, spool }) => {
                world.note(if stream == Stream::Stdin { Decision::Body } else { Decision::DataBody });
                if spool {
                    world.note(Decision::Spool);
                }
                let place = self.place(request);
                let Self { handlers, model, .. } = self;
                handlers[place].got(stream, &data[..count], data.len(), model, world);
            }
            Some(Input::Look { request }) => {
                let place = self.place(request);
                self.handlers[place].is_called = true;
            }
            Some(Input::Over { request }) => {
                world.note(Decision::OverBeforeStart);
                let place = self.place(request);
                let handler = &mut self.handlers[place];
                hold(!handler.started && !handler.is_gone, "one end", || {
                    "over, and its handler runs".to_owned()
                });
                handler.is_gone = true;
                self.model.requests[handler.taken].done = None;
            }
            Some(other) => panic!("[protocol] {other:?}"),
        }
    }

    fn place(&self, request: Request) -> usize {
        let place = self.handlers.iter().rposition(|handler| handler.request == request);
        let Some(place) = place else { panic!("[no mixing] an event for a request that never began") };
        hold(!self.handlers[place].is_gone, "nothing after the end", || {
            "an event for a request that is over".to_owned()
        });
        place
    }

    fn begins(&mut self, request: Request, role: Role, keeps: bool, world: &mut World) {
        let known = self.handlers.iter().any(|handler| handler.request == request);
        hold(!known, "no mixing", || "a handle is used twice".to_owned());
        let alive = self
            .handlers
            .iter()
            .filter(|handler| !handler.is_gone && handler.request.slot() == request.slot());
        hold(alive.count() == 0, "no mixing", || "a slot has two requests".to_owned());
        let Some(taken) = self.model.newest(request.id().get()) else {
            panic!("[no mixing] nobody began it")
        };
        let came = &self.model.requests[taken];
        hold((came.role, came.keeps) == (role as u16, keeps), "protocol", || {
            format!("{came:?} begins as {role:?}")
        });
        self.waits.begins(request, world.now);
        self.handlers.push(Handler::new(request, taken, role));
        if !world.plan.fair && world.choices.once_in(24) {
            world.note(Decision::RefusesFull);
            self.session.refuse_full(request);
            self.forget(request);
        } else if !world.plan.fair && role != Role::Responder && world.choices.once_in(24) {
            world.note(Decision::RefusesRole);
            self.session.refuse_role(request);
            self.forget(request);
        }
    }

    fn forget(&mut self, request: Request) {
        let place = self.place(request);
        self.handlers[place].is_gone = true;
        self.told = true;
    }

    fn params(&mut self, request: Request, data: &[u8], world: &mut World) {
        let place = self.place(request);
        let handler = &mut self.handlers[place];
        hold(!handler.started, "protocol", || "parameters of a request that runs".to_owned());
        handler.params.extend(data);
        let came = &self.model.requests[handler.taken].input[0];
        hold(came.starts_with(&handler.params), "whole bodies", || "parameters that nobody sent".to_owned());
        if handler.params.len() > world.plan.params {
            world.note(Decision::RefusesFull);
            self.session.refuse_full(request);
            self.forget(request);
        }
    }

    fn starts(&mut self, request: Request, world: &mut World) {
        let place = self.place(request);
        let Self { handlers, model, session, .. } = self;
        let handler = &mut handlers[place];
        let came = &model.requests[handler.taken];
        let whole = came.ended[0] && came.input[0] == handler.params;
        hold(whole && !handler.started, "whole bodies", || {
            "a handler runs without its parameters".to_owned()
        });
        self.waits.starts(request);
        if handler.starts(world) {
            model.requests[handler.taken].started = true;
        } else {
            world.note(Decision::RefusesMalformed);
            session.refuse_malformed(request);
            self.forget(request);
        }
    }

    /// Lets a handler do one thing.
    pub(super) fn handle(&mut self, place: usize, world: &mut World) {
        let Self { session, model, handlers, out, .. } = self;
        let handler = &mut handlers[place];
        let before = out.len();
        handler.act(&mut **session, model, out, world);
        let ghost = world.choices.below(handlers.len().min(256));
        if handlers[ghost].is_gone {
            world.note(Decision::Ghost);
            let request = handlers[ghost].request;
            let refused = !session.is_alive(request)
                && session.read(request, Stream::Stdin, world.now) == Err(Stopped::Over)
                && session.stdout(request, b"ghost").is_err_and(|stopped| stopped == Stopped::Over)
                && !session.room(request);
            hold(refused, "no mixing", || "a request that is over can be called".to_owned());
            session.finish(request, world.now);
        }
        let cut = self.cut;
        hold(!cut || out.len() == before, "nothing after the end", || {
            "something is to leave after a failed write".to_owned()
        });
        self.told = true;
    }

    pub(super) fn expire(&mut self, world: &World) {
        if !self.closed && self.next.at.is_some_and(|at| at <= world.now) {
            self.session.expire(world.now);
            let next = self.session.deadline();
            hold(next.is_none_or(|at| at > world.now), "time", || {
                format!("due is what has passed: {next:?}")
            });
            // A request that still comes is answered, and then it closes.
            self.was_idle |= self.waits.is_idle(&world.plan, world.now);
            self.told = true;
            let shutdown = self.shutdown.map(|at| at + world.plan.patience.shutdown);
            let late = world.plan.punctual && shutdown.is_some_and(|due| due < world.now);
            hold(!late, "shutdown", || "a shutdown did not end".to_owned());
        }
    }

    pub(super) fn leave(&mut self, why: Leave, world: &mut World) {
        self.session.leave(why, world.now);
        (self.left, self.told, world.left) = (true, true, true);
        if why == Leave::Shutdown {
            self.shutdown.get_or_insert(world.now);
        }
    }
}

impl Server {
    /// Whether what it waits for in order is that input that nobody wants pauses: its handler is done, or writes
    /// before it has read.
    pub(super) fn is_draining(&self, world: &World) -> bool {
        let soon = self.next.at.is_some_and(|at| at <= world.now + Duration::from_millis(150));
        soon && self
            .handlers
            .iter()
            .any(|handler| handler.runs() && !self.model.requests[handler.taken].is_complete())
    }
}
