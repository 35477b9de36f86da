//! One life of a connection: who acts next, when time passes, and what must hold at every moment.

use std::time::Duration;

use fcgi_proto::server::session::Leave;

use super::choices::Choices;
use super::client::Client;
use super::coverage::{Coverage, Decision};
use super::model::hold;
use super::peer;
use super::plan::{Mode, Plan};
use super::server::{Server, World};
use super::transport::Pipe;

/// Turns that a life takes at most: who takes more gets nowhere.
const TURNS: usize = 200_000;

/// A life that went well.
pub(super) struct Lived {
    pub(super) coverage: Coverage,
    /// What was sent and decided, in a number.
    pub(super) trace: u64,
    pub(super) choices: Choices,
}

/// Those who may act.
#[derive(Clone, Copy, Debug)]
enum Actor {
    Server,
    Handler(usize),
    Client,
    Caller(usize),
    Asks,
    /// A hostile peer sends, or takes what came.
    Peer,
}

struct Life {
    world: World,
    server: Option<Server>,
    client: Option<Client>,
    up: Pipe,
    down: Pipe,
    /// When it is to be over, and turns so far.
    bound: Option<Duration>,
    turns: usize,
    started: Duration,
    peer_closed: bool,
}

/// Lives it.
///
/// # Panics
/// Where an oracle is contradicted.
pub(super) fn live(mut choices: Choices) -> Lived {
    let plan = Plan::new(&mut choices);
    let now = Duration::from_secs(1_000_000);
    let (mode, pipe) = (plan.mode, plan.pipe);
    let world =
        World { plan, choices, now, coverage: Coverage::default(), ending: false, left: false, trace: 0 };
    let mut life = Life {
        server: (mode != Mode::HostileServer).then(|| Server::new(&world)),
        client: (mode != Mode::HostileClient).then(|| Client::new(&world)),
        up: Pipe::new(pipe),
        down: Pipe::new(pipe),
        world,
        bound: None,
        turns: 0,
        started: now,
        peer_closed: false,
    };
    while life.turn() {}
    let World { coverage, trace, choices, .. } = life.world;
    Lived { coverage, trace, choices }
}

impl Life {
    /// Whether it goes on.
    fn turn(&mut self) -> bool {
        self.turns += 1;
        hold(self.turns < TURNS, "gets on", || format!("it spins: {}", self.state()));
        if !self.world.ending && (self.turns > self.world.plan.steps || self.world.choices.are_over()) {
            self.ends();
        }
        self.look();
        if self.is_over() {
            return false;
        }
        if !self.world.ending {
            self.fault();
        }
        let actors = self.actors();
        if actors.is_empty() {
            return self.waits();
        }
        let actor = actors[self.world.choices.below(actors.len())];
        self.act(actor);
        if self.world.choices.once_in(32) && !self.world.ending {
            self.pass_some();
        }
        true
    }

    /// Asks the sessions what they want.
    fn look(&mut self) {
        let Self { world, server, client, .. } = self;
        if let Some(server) = server {
            server.look(world);
        }
        if let Some(client) = client {
            client.look(world);
        }
    }

    /// Nothing more is asked: all of it comes to its end.
    fn ends(&mut self) {
        self.world.ending = true;
        self.bound = Some(self.world.now + self.world.plan.bound());
        (self.up.room, self.down.room) = (1 << 20, 1 << 20);
    }

    fn is_over(&self) -> bool {
        let server = self.server.as_ref().is_none_or(|server| server.closed);
        let client = self.client.as_ref().is_none_or(|client| client.closed);
        server && client
    }

    fn actors(&self) -> Vec<Actor> {
        let Self { world, server, client, up, down, .. } = self;
        let mut actors = Vec::new();
        if let Some(server) = server {
            if server.is_ready(world, up, down) {
                actors.push(Actor::Server);
            }
            let handlers = server.handlers.iter().enumerate();
            actors.extend(
                handlers
                    .filter(|(_, handler)| handler.is_ready(world.now))
                    .map(|(place, _)| Actor::Handler(place)),
            );
        }
        if let Some(client) = client {
            if client.is_ready(world, up, down) {
                actors.push(Actor::Client);
            }
            actors.extend(client.ready(world).map(Actor::Caller));
            if !world.ending && client.may_ask(world, down) {
                actors.push(Actor::Asks);
            }
        }
        if (server.is_none() || client.is_none()) && self.peer_acts() {
            actors.push(Actor::Peer);
        }
        actors
    }

    /// Whether a hostile peer does something: it sends until the end, takes what comes, and sees a close.
    fn peer_acts(&self) -> bool {
        let (to, from) = if self.server.is_none() { (&self.down, &self.up) } else { (&self.up, &self.down) };
        let reads = from.is_readable(self.world.now) && !self.peer_closed;
        let sends = !self.world.ending && to.ends.is_none() && !to.unread && to.takes(self.world.now) > 0;
        reads || sends
    }

    fn act(&mut self, actor: Actor) {
        let Self { world, server, client, up, down, .. } = self;
        match (actor, server, client) {
            (Actor::Server, Some(server), _) => server.act(world, up, down),
            (Actor::Handler(place), Some(server), _) => server.handle(place, world),
            (Actor::Client, _, Some(client)) => client.act(world, up, down),
            (Actor::Caller(place), _, Some(client)) => client.ask_on(place, world),
            (Actor::Asks, _, Some(client)) => client.asks(world),
            (Actor::Peer, server, _) => {
                let is_server = server.is_none();
                let (to, from) = if is_server { (down, up) } else { (up, down) };
                if from.is_readable(world.now) && (world.ending || world.choices.below(2) == 0) {
                    if from.is_empty() {
                        // The other side has ended.
                        self.peer_closed = true;
                        to.end();
                    } else {
                        let _ = from.read(usize::MAX);
                    }
                } else if !world.ending && to.ends.is_none() {
                    let bytes = if is_server {
                        peer::answer(&world.plan, &mut world.choices)
                    } else {
                        peer::request(&world.plan, &mut world.choices)
                    };
                    to.write(bytes);
                }
            }
            _ => {}
        }
    }

    /// Something happens that nobody asked for.
    fn fault(&mut self) {
        let Self { world, server, client, up, down, .. } = self;
        if !world.choices.once_in(64) {
            return;
        }
        let nap = world.plan.nap(&mut world.choices);
        let kind = world.choices.below(if world.plan.fair { 4 } else { 14 });
        let pipe = if world.choices.below(2) == 0 { &mut *up } else { &mut *down };
        match (kind, server) {
            (0, _) => pipe.arrives_at = world.now + nap,
            (1, _) => pipe.takes_at = world.now + nap,
            (2, Some(server))
                if server.session.requests() == 0 && !server.closed && world.choices.below(4) == 0 =>
            {
                server.leave(Leave::Crowded, world);
            }
            (3, Some(server)) if !world.plan.fair && !server.closed => server.leave(Leave::Idle, world),
            (4 | 5, Some(server)) if !server.closed => {
                let why = if world.choices.below(2) == 0 { Leave::Shutdown } else { Leave::Crowded };
                server.leave(why, world);
            }
            (6, _) => pipe.takes_at = Duration::MAX,
            (7, _) => pipe.arrives_at = Duration::MAX,
            (8, _) => pipe.end(),
            (9, _) => pipe.reset(),
            (10, _) => pipe.unread = true,
            (11, _) if world.choices.below(3) == 0 => {
                if let Some(client) = client.as_mut().filter(|client| !client.closed && client.open() == 0) {
                    client.close(world, up, down);
                }
            }
            (12 | 13, _) => self.jump(nap),
            _ => {}
        }
    }

    /// A little time passes, or the clock jumps.
    fn pass_some(&mut self) {
        let some = Duration::from_micros(self.world.choices.one_of(&[1_u64, 999, 1000, 3777]));
        self.jump(some);
    }

    fn jump(&mut self, time: Duration) {
        let mut until = self.world.now + time;
        if self.world.plan.punctual {
            self.look();
            until = self.deadlines().fold(until, Duration::min);
        }
        self.pass_to(until);
    }

    fn pass_to(&mut self, until: Duration) {
        let Self { world, server, client, .. } = self;
        world.now = world.now.max(until);
        if let Some(server) = server {
            if !server.told {
                server.handlers.iter().for_each(|handler| handler.check_patience(&server.model, world));
            }
            server.expire(world);
        }
        if let Some(client) = client {
            client.expire(world);
        }
    }

    /// What the sessions wait for.
    fn deadlines(&self) -> impl Iterator<Item = Duration> {
        let server = self.server.as_ref().filter(|server| !server.closed).and_then(|server| server.next.at);
        let client = self.client.as_ref().filter(|client| !client.closed).and_then(|client| client.next.at);
        server.into_iter().chain(client)
    }

    /// What others wait for: handlers, callers and the transport.
    fn others(&self) -> impl Iterator<Item = Duration> {
        let now = self.world.now;
        let handlers = self
            .server
            .iter()
            .flat_map(|server| &server.handlers)
            .filter_map(|handler| handler.wakes_at(now));
        let callers =
            self.client.iter().filter(|client| !client.closed).filter_map(|client| client.wakes_at(now));
        let pipes = [&self.up, &self.down].into_iter().filter_map(|pipe| pipe.wakes_at(now));
        handlers.chain(callers).chain(pipes).collect::<Vec<_>>().into_iter()
    }

    /// Nobody can act: time passes to the next moment at which somebody can.
    fn waits(&mut self) -> bool {
        let others = self.others().min();
        let open = self.client.as_ref().is_some_and(|client| !client.closed && client.open() > 0);
        if let Some(client) = &self.client {
            client.check_patience(&self.world);
        }
        if open && self.world.plan.fair && others.is_none() {
            let input_waits = self.server.as_ref().is_some_and(|server| server.is_draining(&self.world));
            hold(input_waits, "gets on", || {
                format!("both sides are in order, and wait for a limit: {}", self.state())
            });
        }
        if self
            .server
            .as_ref()
            .is_some_and(|server| !server.closed && !server.next.read && !server.next.write)
        {
            self.world.note(Decision::NotRead);
        }
        let next = self.deadlines().chain(others).min();
        let Some(next) = next else {
            return self.rests();
        };
        if let Some(bound) = self.bound {
            hold(self.world.now <= bound, "time", || {
                format!("it goes on for {:?}: {}", self.world.now - self.started, self.state())
            });
        }
        let late = !self.world.plan.punctual && self.world.choices.below(3) == 2;
        let more = if late { self.world.plan.nap(&mut self.world.choices) } else { Duration::ZERO };
        self.pass_to(next + more);
        true
    }

    /// Nobody can act, and no moment comes at which somebody can.
    fn rests(&mut self) -> bool {
        let open = self.client.as_ref().is_some_and(|client| client.waits());
        let runs = self.server.as_ref().is_some_and(|server| !server.closed);
        hold(!open && !runs, "gets on", || format!("nobody acts, and no deadline is set: {}", self.state()));
        if !self.world.ending {
            self.ends();
            return true;
        }
        // A client's connection without a request waits for as long as it is let.
        let Self { world, client, up, down, .. } = self;
        match client {
            Some(client) if !client.closed => {
                client.close(world, up, down);
                true
            }
            _ => false,
        }
    }

    fn state(&self) -> String {
        let server = self.server.as_ref().map(|server| {
            let handlers =
                server.handlers.iter().filter(|handler| handler.runs()).map(|handler| handler.state());
            format!(
                "server {:?}, closed {}, {} bytes to send, {:?}",
                server.next,
                server.closed,
                server.out.len(),
                handlers.collect::<Vec<_>>()
            )
        });
        let client = self.client.as_ref().map(Client::state);
        format!("{server:?}; {client:?}; up {:?}, down {:?}, {:?}", self.up, self.down, self.world.plan)
    }
}
