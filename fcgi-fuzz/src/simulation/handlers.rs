//! Handlers: they read, skip, write, flush, wait, watch, fail and leave work behind, in any order.

mod end;
mod input;
mod output;

use std::collections::VecDeque;
use std::time::Duration;

use fcgi_proto::cgi::{Answer, HEAD_LIMIT};
use fcgi_proto::pair::ParamsBuf;
use fcgi_proto::record::Role;
use fcgi_proto::server::session::{End, Read, Request, Stopped, Stream, Wait, Write, WriteError};

use super::coverage::Decision;
use super::limits::Spent;
use super::model::{Done, ServerModel, Taken, hold};
use super::plan::Mode;
use super::server::World;
use super::sides::ServerSession;
use super::wire;

/// What a handler is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Read(Stream),
    /// So many bytes of its answer are left to be written.
    Write(usize),
    Stderr(usize),
    Flush,
    /// Until somebody says that the client is gone, or until then.
    Watch(Duration),
    Sleep(Duration),
    End,
}

/// How it goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    ReadsThenWrites,
    WritesThenReads,
    Writes,
    Mixes,
}

/// A request's handler.
pub(super) struct Handler {
    pub(super) request: Request,
    /// Its request in the model.
    pub(super) taken: usize,
    role: Role,
    pub(super) params: Vec<u8>,
    pub(super) started: bool,
    /// It is over.
    pub(super) is_gone: bool,
    /// It was called since it began to wait.
    pub(super) is_called: bool,
    waits: bool,
    at: Option<At>,
    manner: Manner,
    steps: usize,
    /// What was kept of STDIN and DATA: bytes, of which on disk; how many were read; whether no more are.
    kept: [VecDeque<u8>; 2],
    on_disk: [usize; 2],
    read: [usize; 2],
    stopped: [bool; 2],
    skips: bool,
    stdin_ended: bool,
    patience: Option<Spent>,
    /// It has waited to write too, perhaps for input: that cannot be told from outside.
    held: bool,
    held_since: Option<Duration>,
    /// Its answer leaves as it is made, or there is no more room for its input.
    let_go: bool,
    answer: Answer,
    is_plain: bool,
    is_head: bool,
    left: usize,
    tag: Option<u8>,
    lengths: [usize; 2],
    finished_at: Duration,
}

/// The number of a stream among those of the model, less that of PARAMS.
fn number(stream: Stream) -> usize {
    match stream {
        Stream::Stdin => 0,
        Stream::Data => 1,
    }
}

impl Handler {
    pub(super) fn new(request: Request, taken: usize, role: Role) -> Self {
        Self {
            request,
            taken,
            role,
            params: Vec::new(),
            started: false,
            is_gone: false,
            is_called: false,
            waits: false,
            at: None,
            manner: Manner::Writes,
            steps: 0,
            kept: Default::default(),
            on_disk: [0; 2],
            read: [0; 2],
            stopped: [false; 2],
            skips: false,
            stdin_ended: false,
            patience: None,
            held: false,
            held_since: None,
            let_go: false,
            answer: Answer::new(HEAD_LIMIT),
            is_plain: false,
            is_head: false,
            left: 0,
            tag: None,
            lengths: [0; 2],
            finished_at: Duration::ZERO,
        }
    }

    pub(super) fn runs(&self) -> bool {
        self.started && !self.is_gone
    }

    /// Its parameters are in; `false` if they are not pairs.
    pub(super) fn starts(&mut self, world: &mut World) -> bool {
        let mut pairs = ParamsBuf::new(usize::MAX);
        if pairs.push(&self.params).is_err() || pairs.finish().is_err() {
            return false;
        }
        let text = |name: &[u8]| std::str::from_utf8(pairs.get(name)?).ok()?.parse::<usize>().ok();
        self.tag = text(b"TAG").map(|tag| tag as u8);
        self.lengths = [text(b"CONTENT_LENGTH").unwrap_or(0), text(b"FCGI_DATA_LENGTH").unwrap_or(0)];
        let method = pairs.get(b"REQUEST_METHOD");
        self.is_head = method == Some(b"HEAD");
        self.answer.reset(method);
        self.started = true;
        self.steps = 1 + world.choices.below(8);
        self.left = wire::HEAD + world.plan.size(&mut world.choices);
        if world.choices.once_in(3) {
            // More than an answer holds back: it leaves piece by piece, between others'.
            self.left += 20_000;
        }
        self.is_plain = world.choices.once_in(4);
        use Manner::*;
        let manners = [ReadsThenWrites, WritesThenReads, Writes, Mixes];
        // A Filter that writes before it has read waits for its limit: that is not in order.
        self.manner = world
            .choices
            .one_of(&manners[..if world.plan.fair && self.role == Role::Filter { 1 } else { 4 }]);
        true
    }

    /// How many of these bytes it has room for.
    pub(super) fn keeps(&mut self, stream: Stream, data: &[u8], spool: bool, world: &World) -> usize {
        let number = number(stream);
        let in_memory = self.kept[number].len() - self.on_disk[number];
        let count = data.len().min(world.plan.room.saturating_sub(in_memory));
        if !spool {
            return count;
        }
        let more = (data.len() - count).min(world.plan.disk.saturating_sub(self.on_disk[number]));
        self.on_disk[number] += more;
        self.let_go |= count + more < data.len();
        count + more
    }

    /// It got these bytes, of so many that came.
    pub(super) fn got(
        &mut self,
        stream: Stream,
        bytes: &[u8],
        came: usize,
        model: &ServerModel,
        world: &World,
    ) {
        let number = number(stream);
        hold(self.started && came > 0, "whole bodies", || "a body before its handler runs".to_owned());
        hold(self.at != Some(At::End), "whole bodies", || "a body that nobody wants".to_owned());
        if let Some(patience) = &mut self.patience {
            patience.moved(came, world.plan.patience.least_rate, world.now);
        }
        self.kept[number].extend(bytes);
        self.is_called |= !bytes.is_empty();
        let sent = &model.requests[self.taken].input[1 + number];
        let all = self.read[number] + self.kept[number].len();
        hold(sent.len() == all || self.skips, "whole bodies", || {
            format!("{all} bytes of {stream:?} are handed on, {} came", sent.len())
        });
        let last: Vec<u8> = self.kept[number].iter().rev().take(bytes.len()).rev().copied().collect();
        hold(sent.ends_with(&last), "whole bodies", || format!("{stream:?} that nobody sent"));
    }

    /// Whether it has something to do.
    pub(super) fn is_ready(&self, now: Duration) -> bool {
        self.runs()
            && match self.at {
                Some(At::Sleep(until)) => now >= until,
                Some(At::Watch(until)) if now >= until => true,
                _ => !self.waits || self.is_called,
            }
    }

    /// When it goes on by itself.
    pub(super) fn wakes_at(&self, now: Duration) -> Option<Duration> {
        match self.at {
            Some(At::Sleep(until) | At::Watch(until)) if self.runs() && until > now => Some(until),
            _ => None,
        }
    }

    /// What it waits for, for a person.
    pub(super) fn state(&self) -> String {
        format!(
            "handler of {:?}: at {:?}, waits {}, called {}, read {:?}, kept {:?}",
            self.request,
            self.at,
            self.waits,
            self.is_called,
            self.read,
            [self.kept[0].len(), self.kept[1].len()]
        )
    }

    /// Checks that a reader did not wait longer than it may.
    pub(super) fn check_patience(&self, model: &ServerModel, world: &World) {
        let taken = &model.requests[self.taken];
        let reads = matches!(self.at, Some(At::Read(_))) && self.waits && !self.is_called;
        if let (true, true, Some(patience)) =
            (reads && self.runs() && !self.held, world.plan.punctual, &self.patience)
        {
            hold(!patience.is_overdue(taken.stdin_ended, world.now), "limits", || {
                format!("longer than it may: {}", self.state())
            });
        }
    }

    pub(super) fn act(
        &mut self,
        session: &mut dyn ServerSession,
        model: &mut ServerModel,
        out: &mut VecDeque<u8>,
        world: &mut World,
    ) {
        let closes = model.requests.iter().any(|request| !request.keeps);
        let taken = &mut model.requests[self.taken];
        let was_called = std::mem::take(&mut self.is_called);
        self.waits = false;
        // Now and then it gives a wait up, and does something else.
        if was_called
            && matches!(self.at, Some(At::Write(_) | At::Read(_) | At::Flush | At::Stderr(_)))
            && world.choices.once_in(12)
        {
            self.at = None;
        }
        let at = self.at.unwrap_or_else(|| self.chooses(world));
        self.at = Some(at);
        let goes_on = match at {
            At::Read(stream) => self.reads(stream, session, taken, world),
            At::Write(0) | At::Stderr(0) => false,
            At::Write(left) => self.writes(At::Write, left, session, taken, out, world),
            At::Stderr(left) => self.writes(At::Stderr, left, session, taken, out, world),
            At::Flush => self.flushes(session, out, world),
            At::Watch(until) => {
                let is_gone = session.is_gone(self.request);
                world.note(if is_gone { Decision::IsGone } else { Decision::IsThere });
                if is_gone && world.choices.below(2) == 0 {
                    self.steps = 0;
                }
                self.waits = true;
                !is_gone && world.now < until
            }
            At::Sleep(until) => world.now < until,
            At::End => self.ends(session, taken, out, closes, world),
        };
        if !goes_on {
            (self.at, self.waits) = (None, false);
        }
    }

    fn chooses(&mut self, world: &mut World) -> At {
        let stream = match self.role {
            Role::Filter if self.stopped[0] || !world.plan.fair && world.choices.once_in(3) => Stream::Data,
            _ => Stream::Stdin,
        };
        let is_read = self.stopped[number(stream)];
        let over = self.steps == 0 || world.ending && self.steps > 3 && !world.plan.fair;
        let plain = match self.manner {
            Manner::ReadsThenWrites if !is_read => At::Read(stream),
            Manner::WritesThenReads if self.left == 0 && !is_read => At::Read(stream),
            Manner::ReadsThenWrites | Manner::WritesThenReads | Manner::Writes if self.left > 0 => {
                At::Write(self.left)
            }
            Manner::Mixes if !over => match world.choices.below(3) {
                0 if !is_read => At::Read(stream),
                1 => At::Flush,
                _ => At::Write(self.left.min(1 + world.plan.size(&mut world.choices))),
            },
            _ => return At::End,
        };
        if over && self.left == 0 {
            return At::End;
        }
        match world.choices.below(16) {
            11 | 12 if world.plan.fair && self.role == Role::Filter && !self.stdin_ended => plain,
            11 => At::Stderr(1 + world.plan.size(&mut world.choices)),
            12 if !self.is_plain => At::Flush,
            13 => At::Sleep(world.now + world.plan.nap(&mut world.choices)),
            14 => At::Watch(world.now + world.plan.nap(&mut world.choices)),
            15 if world.choices.below(2) == 1 => At::End,
            _ => {
                self.steps = self.steps.saturating_sub(usize::from(self.manner == Manner::Mixes));
                plain
            }
        }
    }
}
