//! Handlers: they read, skip, write, flush, wait, watch, fail and leave work behind, in any order.

use std::collections::VecDeque;
use std::time::Duration;

use fcgi_proto::cgi::{Answer, HEAD_LIMIT};
use fcgi_proto::pair::ParamsBuf;
use fcgi_proto::record::Role;
use fcgi_proto::server::session::{End, Read, Request, Stopped, Stream, Wait, Write, WriteError};

use super::coverage::Decision;
use super::limits::Spent;
use super::model::{Done, ServerModel, Taken, hold};
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
            hold(!patience.is_overdue(taken.last_input, world.now), "limits", || {
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
            At::Write(left) => self.writes(left, session, taken, out, world),
            At::Stderr(left) => self.writes_stderr(left, session, taken, out, world),
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

    /// Whether it is still at it.
    fn reads(
        &mut self,
        stream: Stream,
        session: &mut dyn ServerSession,
        taken: &Taken,
        world: &mut World,
    ) -> bool {
        let number = number(stream);
        if !self.kept[number].is_empty() {
            let most = if world.choices.below(2) == 0 {
                usize::MAX
            } else {
                1 + world.plan.size(&mut world.choices)
            };
            let count = self.kept[number].len().min(most);
            let bytes: Vec<u8> = self.kept[number].drain(..count).collect();
            self.on_disk[number] = self.on_disk[number].min(self.kept[number].len());
            if let (Some(tag), false) = (self.tag, self.skips || world.plan.mode != super::plan::Mode::Pair) {
                let pattern = if number == 0 { wire::stdin_of(tag) } else { wire::data_of(tag) };
                hold(wire::is_pattern(pattern, self.read[number], &bytes), "no mixing", || {
                    format!("{stream:?} of another")
                });
            }
            self.read[number] += count;
            if session.room(self.request) {
                world.note(Decision::Room);
            }
            return self.manner != Manner::Mixes;
        }
        if stream == Stream::Data {
            self.skips |= !self.stdin_ended;
            self.kept[0].clear();
            self.on_disk[0] = 0;
        }
        let came = &taken.input[1 + number];
        match session.read(self.request, stream, world.now) {
            Ok(Read::Wait) => {
                world.note(Decision::ReadWaits);
                self.patience.get_or_insert_with(|| Spent::new(world.plan.patience.read)).waits(world.now);
                self.waits = true;
                true
            }
            Ok(Read::End) => {
                world.note(Decision::ReadEnds);
                self.stopped[number] = true;
                self.stdin_ended |= number == 0;
                if let Some(patience) = self.patience.as_mut().filter(|_| taken.is_complete()) {
                    patience.stops();
                }
                let has = matches!(
                    (self.role, stream),
                    (Role::Responder | Role::Filter, Stream::Stdin) | (Role::Filter, Stream::Data)
                );
                let whole = !has || taken.ended[1 + number] && self.read[number] == came.len();
                hold(whole || self.skips && number == 0, "whole bodies", || {
                    format!(
                        "{stream:?} ends after {} bytes of {}, ended {:?}",
                        self.read[number],
                        came.len(),
                        taken.ended
                    )
                });
                if world.plan.mode == super::plan::Mode::Pair && has && !self.skips {
                    hold(self.read[number] == self.lengths[number], "whole bodies", || {
                        format!("{stream:?} ends after {} bytes of {:?}", self.read[number], self.lengths)
                    });
                }
                false
            }
            Err(stopped) => {
                self.stopped = [true; 2];
                let fits = match stopped {
                    Stopped::Closed => !world.plan.fair,
                    Stopped::Aborted => taken.aborted,
                    Stopped::Protocol(_) => !world.plan.fair,
                    Stopped::TimedOut { wait: Wait::Body, .. } => {
                        if let Some(patience) = self.patience.filter(|_| !self.held) {
                            patience.passes(false, world.now, "a body");
                        }
                        !world.plan.fair
                    }
                    Stopped::TimedOut { .. } | Stopped::Broken => !world.plan.fair,
                    Stopped::Refused(_) => taken.disorder || world.plan.limits != fcgi_proto::Limits::new(),
                    _ => false,
                };
                hold(fits, "whole bodies", || {
                    format!("a reader hears {stopped:?}: {stopped}, aborted {}", taken.aborted)
                });
                world.note(match stopped {
                    Stopped::Closed => Decision::ReadClosed,
                    Stopped::Aborted => Decision::ReadAborted,
                    Stopped::Refused(_) => Decision::ReadRefused,
                    Stopped::Protocol(_) => Decision::ReadProtocol,
                    Stopped::TimedOut { .. } => Decision::ReadLate,
                    _ => Decision::ReadBroken,
                });
                false
            }
        }
    }

    /// Bytes of its answer from where it is on.
    fn next_bytes(&self, taken: &Taken, count: usize) -> Vec<u8> {
        wire::answer(self.tag.unwrap_or(0), self.written(taken), count)
    }

    fn written(&self, taken: &Taken) -> usize {
        if self.is_head && !self.is_plain { taken.wrote_of_head } else { taken.wrote.len() }
    }

    fn wrote(&mut self, taken: &mut Taken, bytes: &[u8]) {
        if self.is_head && !self.is_plain {
            // No body follows the head.
            taken.wrote_of_head += bytes.len();
            let head = wire::HEAD.saturating_sub(taken.wrote.len()).min(bytes.len());
            taken.wrote.extend(&bytes[..head]);
        } else {
            taken.wrote.extend(bytes);
        }
        self.left = self.left.saturating_sub(bytes.len());
    }

    fn writes(
        &mut self,
        left: usize,
        session: &mut dyn ServerSession,
        taken: &mut Taken,
        out: &mut VecDeque<u8>,
        world: &mut World,
    ) -> bool {
        let bytes = self.next_bytes(taken, left);
        let count = if self.is_plain {
            match session.stdout(self.request, &bytes) {
                Ok(None) => {
                    world.note(Decision::PlainWaits);
                    return self.must_wait();
                }
                Ok(Some((record, rest))) => {
                    world.note(Decision::Plain);
                    record.slices().iter().for_each(|slice| out.extend(*slice));
                    bytes.len() - rest.len()
                }
                Err(stopped) => return self.is_stopped(stopped, world),
            }
        } else {
            match session.write(self.request, &mut self.answer, &bytes, world.now) {
                Ok(Write::Wait) => {
                    world.note(Decision::WriteWaits);
                    return self.must_wait();
                }
                Ok(Write::Taken(count)) => {
                    world.note(Decision::Taken);
                    count
                }
                Ok(Write::Send(batch)) => {
                    world.note(Decision::Sent);
                    batch.slices().iter().for_each(|slice| out.extend(*slice));
                    let count = batch.taken;
                    self.answer.sent();
                    count
                }
                Err(WriteError::Stopped(stopped)) => return self.is_stopped(stopped, world),
                Err(error) => panic!("[whole bodies] {error:?}"),
            }
        };
        self.wrote(taken, &bytes[..count]);
        self.at = Some(At::Write(left - count));
        left > count
    }

    fn writes_stderr(
        &mut self,
        left: usize,
        session: &mut dyn ServerSession,
        taken: &mut Taken,
        out: &mut VecDeque<u8>,
        world: &mut World,
    ) -> bool {
        let bytes = vec![b'e'; left];
        let count = if self.is_plain {
            if taken.wrote.len() < wire::HEAD {
                return false;
            }
            match session.stderr(self.request, &bytes) {
                Ok(None) => return self.must_wait(),
                Ok(Some((record, rest))) => {
                    record.slices().iter().for_each(|slice| out.extend(*slice));
                    bytes.len() - rest.len()
                }
                Err(stopped) => return self.is_stopped(stopped, world),
            }
        } else {
            match session.write_stderr(self.request, &mut self.answer, &bytes, world.now) {
                Ok(Write::Wait) => return self.must_wait(),
                Ok(Write::Taken(count)) => count,
                Ok(Write::Send(batch)) => {
                    batch.slices().iter().for_each(|slice| out.extend(*slice));
                    let count = batch.taken;
                    self.answer.sent();
                    count
                }
                Err(WriteError::Stopped(stopped)) => return self.is_stopped(stopped, world),
                Err(error) => panic!("[whole bodies] {error:?}"),
            }
        };
        taken.wrote_stderr.extend(&bytes[..count]);
        self.at = Some(At::Stderr(left - count));
        left > count
    }

    fn flushes(
        &mut self,
        session: &mut dyn ServerSession,
        out: &mut VecDeque<u8>,
        world: &mut World,
    ) -> bool {
        if self.is_plain {
            return false;
        }
        match session.flush(self.request, &mut self.answer, world.now) {
            Ok(Write::Wait) => {
                world.note(Decision::WriteWaits);
                self.must_wait()
            }
            Ok(Write::Taken(_)) => {
                world.note(Decision::Flushed);
                false
            }
            Ok(Write::Send(batch)) => {
                world.note(Decision::Sent);
                batch.slices().iter().for_each(|slice| out.extend(*slice));
                self.answer.sent();
                true
            }
            Err(WriteError::Stopped(stopped)) => self.is_stopped(stopped, world),
            Err(error) => panic!("[whole bodies] {error:?}"),
        }
    }

    fn must_wait(&mut self) -> bool {
        (self.waits, self.held) = (true, true);
        true
    }

    fn is_stopped(&mut self, stopped: Stopped, world: &mut World) -> bool {
        world.note(Decision::WriteStopped);
        let known = world.plan.limits == fcgi_proto::Limits::new() && world.plan.fair;
        hold(!known, "whole bodies", || format!("both sides are in order, and a writer hears {stopped:?}"));
        (self.left, self.steps) = (0, 0);
        self.manner = Manner::Writes;
        false
    }

    fn ends(
        &mut self,
        session: &mut dyn ServerSession,
        taken: &mut Taken,
        out: &mut VecDeque<u8>,
        closes: bool,
        world: &mut World,
    ) -> bool {
        let status = match taken.done {
            Some(Done::With(status)) => status,
            Some(Done::Failed) => 0,
            None => {
                let fails = world.choices.once_in(6) || !self.is_plain && taken.wrote.len() < wire::HEAD;
                let status = if fails { 0 } else { world.choices.one_of(&[0, 1, 7, u32::MAX]) };
                if self.is_plain {
                    session.finish(self.request, world.now);
                    taken.done = Some(Done::With(status));
                } else {
                    let failed = fails.then_some("it failed");
                    let result = session.finish_answer(self.request, &mut self.answer, failed, world.now);
                    hold(result.is_ok(), "one end", || format!("{result:?}"));
                    taken.done = Some(if fails { Done::Failed } else { Done::With(status) });
                    if fails {
                        world.note(if taken.stdout.is_empty() {
                            Decision::Fails
                        } else {
                            Decision::FailsCut
                        });
                        // It may be cut by the end of the connection, which others on it share.
                        world.left = true;
                    }
                }
                self.finished_at = world.now;
                if !taken.is_complete() && !closes && !taken.aborted {
                    world.note(Decision::Drained);
                }
                status
            }
        };
        loop {
            let (bytes, last) = if self.is_plain {
                match session.end(self.request, status) {
                    End::Wait => break,
                    End::Last(control) => (control.to_vec(), true),
                    End::Over => return self.is_over(world),
                    End::Part(_) => panic!("[one end] a part of no answer"),
                }
            } else {
                match session.end_answer(self.request, &mut self.answer, status) {
                    End::Wait => break,
                    End::Last(bytes) => (bytes.to_vec(), true),
                    End::Over => return self.is_over(world),
                    End::Part(bytes) => (bytes.to_vec(), false),
                }
            };
            let failed = taken.done == Some(Done::Failed);
            hold(failed || !bytes.is_empty(), "one end", || "an end of no bytes".to_owned());
            out.extend(bytes);
            if last {
                taken.cut_short = !taken.is_complete();
                world.note(if taken.aborted { Decision::EndAborted } else { Decision::EndLast });
                if !closes {
                    self.check_end(taken, world);
                }
                self.is_gone = true;
                return false;
            }
            world.note(Decision::EndPart);
            self.answer.sent();
        }
        world.note(Decision::EndWaits);
        self.must_wait()
    }

    fn is_over(&mut self, world: &mut World) -> bool {
        world.note(Decision::EndNothing);
        hold(!world.plan.fair || world.left, "one end", || {
            "both sides are in order, and a request has no end".to_owned()
        });
        self.is_gone = true;
        false
    }

    /// A request whose input is not in ends on a kept connection after it was read within bounds.
    fn check_end(&self, taken: &Taken, world: &mut World) {
        let waited = world.now - self.finished_at;
        let drain = world.plan.patience.drain;
        let is_open = !taken.is_complete() && !taken.aborted;
        if is_open && waited < drain && world.plan.fair {
            world.note(Decision::Pause);
            let paused = world.now - taken.last_input.max(self.finished_at);
            hold(paused >= Duration::from_millis(150), "limits", || {
                format!("its input was read for {waited:?} only, and paused for {paused:?}")
            });
        }
    }
}
