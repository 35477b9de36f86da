//! What the transport is to do, and how a connection waits and closes.

use core::time::Duration;

use super::life::{Life, Phase, Stop};
use super::patience::{CROWDED_CALL, LAST_CALL, PAUSE, Span};
use super::report::{Report, Stopped};
use super::{Ended, Session, State, Wait};
use crate::life::{Level, Next, Time};
use crate::record::RequestId;
use crate::server::Refusal;
use crate::server::slots::Slots;

/// Why connections are to be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Leave {
    /// The server is shut down.
    Shutdown,
    /// Another connection needs the place.
    Crowded,
    /// It has waited for a request for as long as it may: see [`Waiting::until`].
    Idle,
}

/// A connection that waits for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Waiting {
    /// Since when.
    pub since: Duration,
    /// Whether a request may be under way: nothing came yet, or a part of one did.
    pub comes: bool,
    /// Whether a part of it came.
    pub begun: bool,
    /// Whether it was [given up](Session::leave) already, and closes when it may.
    pub leaving: bool,
    /// Until when it may wait, if it is idle and its wait began at the time that was told last. Whoever looks after
    /// all connections may [give it up](Leave::Idle) then, so that no timer needs to be set for each wait.
    pub until: Option<Duration>,
}

impl Waiting {
    /// When such a connection may be closed that is given up at `now`.
    #[must_use]
    pub fn may_close_at(self, why: Leave, now: Duration) -> Duration {
        let (from, call) = match why {
            Leave::Idle => return self.until.unwrap_or(Duration::MAX),
            _ if !self.comes => return now,
            Leave::Crowded => (self.since, CROWDED_CALL),
            Leave::Shutdown => (now, if self.begun { CROWDED_CALL } else { LAST_CALL }),
        };
        call.from(Time::new(from)).told().unwrap_or(Duration::MAX)
    }
}

/// What still comes after the last answer is read, within a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Linger {
    No,
    /// Writing is to be shut down.
    Shutting,
    /// Writing was shut down. So many bytes more are read.
    Shut {
        left: u32,
    },
}

impl Linger {
    pub(super) const fn is_shut(self) -> bool {
        matches!(self, Self::Shut { .. })
    }
}

impl<const N: usize, S: Slots<Entry = Life>> Session<N, S> {
    /// What the transport is to do now, and when to [`expire`](Self::expire).
    pub fn next(&mut self, now: Duration) -> Next {
        let now = Time::new(now);
        self.now = now;
        let mut next = Next::default();
        self.settle(now);
        if self.is_over(now) {
            self.over = true;
            next.close = true;
            return next;
        }
        next.write = self.unsent > 0 || self.owes();
        if next.write && self.write_due == Time::NEVER {
            self.wait_to_write(now);
        }
        let ending = self.connection.is_finished() || self.input.is_some();
        if ending && self.lives == 0 && !next.write && matches!(self.linger, Linger::No) {
            self.linger = Linger::Shutting;
            self.due = self.linger_for().from(now);
            self.is_due(self.due);
        }
        next.shutdown = matches!(self.linger, Linger::Shutting);
        next.read = match self.linger {
            Linger::Shut { .. } => true,
            Linger::Shutting => false,
            Linger::No => self.input.is_none() && !ending && !self.is_full() && !self.is_blocked(),
        };
        if self.lives == 0 {
            // What was due of requests that are over is not any more.
            self.earliest = self.due.min(self.write_due).min(self.leave_due);
        }
        next.at = self.earliest.told();
        next
    }

    /// Until when a write that begins now may wait for the client.
    #[cfg(feature = "embedded-io-07")]
    pub(crate) fn write_limit(&self, now: Duration) -> Time {
        self.spans.write.from(Time::new(now))
    }

    /// When to call [`expire`](Self::expire), if nothing else happens before: what [`next`](Self::next) tells too.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        if self.over { None } else { self.earliest.told() }
    }

    /// Writing was shut down, as [`Next::shutdown`] asked: what still comes is read for a while, or the answer
    /// may be lost with it.
    pub fn shut(&mut self, now: Duration) {
        if !matches!(self.linger, Linger::Shutting) {
            return;
        }
        self.linger = Linger::Shut { left: self.spans.drain_limit.max(1) };
        self.due = self.linger_for().from(Time::new(now));
        self.is_due(self.due);
    }

    /// The time has come that [`Next::at`] told; whether it has, so that [`receive`](Self::receive) and
    /// [`next`](Self::next) may tell something else than before. Hand in first what came in time.
    pub fn expire(&mut self, now: Duration) -> bool {
        let now = Time::new(now);
        self.now = now;
        if now < self.earliest || self.earliest == Time::NEVER {
            return false;
        }
        // What was handed in since `next` was asked may have ended a wait.
        self.settle(now);
        self.earliest = Time::NEVER;
        if self.write_due <= now {
            self.cut_off(Ended::Late(Wait::Write));
        }
        if self.leave_due <= now {
            self.leave_due = Time::NEVER;
            self.cut_off(Ended::Late(Wait::Shutdown));
            self.over = true;
        }
        for slot in 0..self.lives().len() {
            self.expire_request(slot, now);
        }
        if self.due <= now {
            self.due = Time::NEVER;
            match (self.linger, self.state) {
                (Linger::Shut { .. } | Linger::Shutting, _) => self.over = true,
                (Linger::No, State::Idle) => (self.leaving, self.fresh) = (true, false),
                (Linger::No, State::Cut) if self.leaving => self.stop_input(Ended::Closed),
                (Linger::No, State::Cut) => self.stop_input(Ended::Late(Wait::Params)),
                (Linger::No, State::Busy) => {}
            }
        }
        self.is_due(self.due);
        self.is_due(self.write_due);
        self.is_due(self.leave_due);
        true
    }

    /// Gives the connection up: it closes once nothing is asked and all is answered; a request that may be under
    /// way has a moment. When the server is shut down, [`Patience::shutdown`](super::Patience::shutdown) bounds
    /// all of it.
    pub fn leave(&mut self, why: Leave, now: Duration) {
        let at = Time::new(now);
        self.settle(at);
        if why == Leave::Shutdown && self.leave_due == Time::NEVER {
            self.leave_due = self.spans.shutdown.from(at);
            self.is_due(self.leave_due);
        }
        (self.leaving, self.given_up) = (true, true);
        if let Some(waiting) = self.waiting() {
            // A request may have begun just as its connection had been idle for long enough.
            let why = if why == Leave::Idle { Leave::Crowded } else { why };
            self.due = self.due.min(Time::new(waiting.may_close_at(why, now)));
            self.is_due(self.due);
        }
        for slot in 0..self.lives().len() {
            let Some(life) = self.lives_mut().get_mut(slot) else { continue };
            if matches!(life.phase, Phase::Params) {
                life.due = life.due.min(CROWDED_CALL.from(at));
                let due = life.due;
                self.is_due(due);
            }
        }
    }

    /// Since when the connection waits for a request, if it does, all being answered.
    #[must_use]
    pub fn waiting(&self) -> Option<Waiting> {
        let begun = match self.state {
            _ if self.over || self.input.is_some() || self.connection.is_finished() => return None,
            State::Busy => {
                let starts =
                    self.lives().iter().all(|life| matches!(life.phase, Phase::Free | Phase::Params));
                if self.lives == 0 || !starts {
                    return None;
                }
                true
            }
            State::Idle => false,
            State::Cut => true,
        };
        let since = self.since.told()?;
        let until = if !begun && self.since == self.now { self.due.told() } else { None };
        Some(Waiting { since, comes: self.fresh || begun, begun, leaving: self.given_up, until })
    }

    /// What is worth a line in the log.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.report.take()
    }

    /// Has a line written, unless one of more weight waits.
    pub(super) fn tell(&mut self, id: Option<RequestId>, what: Stopped) {
        let mut level = what.level();
        if level == Level::Warn && core::mem::replace(&mut self.warned, true) {
            level = Level::Debug;
        }
        if self.report.is_none_or(|report| report.level < level) {
            let is_too_long = matches!(what, Stopped::Refused(Refusal::ParamsTooLong));
            let limit = is_too_long.then_some(self.connection.limits.params);
            self.report = Some(Report { level, id, what, limit });
        }
    }

    /// Notes what the connection waits for.
    fn settle(&mut self, now: Time) {
        let waits = self.lives == 0 && self.unsent == 0 && !self.owes() && !self.linger.is_shut();
        let state = match waits && self.input.is_none() {
            false => State::Busy,
            true if self.connection.is_idle() => State::Idle,
            true => State::Cut,
        };
        if self.lives > 0 {
            self.idle_since = Time::NEVER;
        } else if self.idle_since == Time::NEVER && self.unsent == 0 {
            self.idle_since = now;
        }
        if state == self.state {
            return;
        }
        self.state = state;
        match state {
            // A management record between requests does not renew the wait.
            State::Idle => {
                self.since = self.idle_since;
                self.due = self.spans.idle.from(self.since);
            }
            State::Cut => {
                self.since = now;
                self.due = self.begin_within().from(now.min(self.spans.idle.from(self.idle_since)));
            }
            State::Busy => {
                self.since = now;
                if matches!(self.linger, Linger::No) {
                    self.due = Time::NEVER;
                }
            }
        }
        self.is_due(self.due);
    }

    /// How long what still comes after the last answer is read: but a moment when the server is shut down, or when a
    /// late client was not answered, so that nothing can be lost.
    fn linger_for(&self) -> Span {
        let most = match self.input {
            Some(Ended::Late(_)) if !self.answered => PAUSE,
            _ if self.leave_due != Time::NEVER => LAST_CALL,
            _ => self.spans.drain,
        };
        most.min(self.spans.drain)
    }

    /// How long a request may take to begin: but a moment on a connection that was given up.
    pub(super) fn begin_within(&self) -> Span {
        if self.given_up { CROWDED_CALL.min(self.spans.params) } else { self.spans.params }
    }

    /// Whether the connection is to be dropped now.
    fn is_over(&self, now: Time) -> bool {
        if self.over {
            return true;
        }
        if self.lives > 0 || self.unsent > 0 || (self.owes() && self.cut.is_none()) {
            return false;
        }
        let gone = self.cut.is_some() || matches!(self.input, Some(Ended::Closed | Ended::Broken));
        let idle = self.state == State::Idle && !self.connection.is_finished();
        let leaves = self.leaving && idle && !(self.fresh && now < self.due);
        gone || leaves
    }

    fn expire_request(&mut self, slot: usize, now: Time) {
        let blocked = self.is_blocked();
        let leaving = self.leave_due != Time::NEVER;
        let Some(life) = self.lives_mut().get_mut(slot) else { return };
        let passed = life.due <= now;
        let due = match life.phase {
            Phase::Params if passed && leaving => return self.refuse_unstarted(),
            // Nothing of this client is waited for any more.
            Phase::Params if passed => return self.stop_input(Ended::Late(Wait::Params)),
            // It has waited for long enough, and goes on without.
            Phase::Running if passed && life.has(Life::HOLDING) && life.wire.stage.may_write() => {
                life.clear(Life::HOLDING);
                life.set(Life::FLUSHED);
                life.due = Time::NEVER;
                return self.look(slot);
            }
            Phase::Running if passed => return self.stop(slot, Stop::Late),
            Phase::Draining => {
                if blocked {
                    // The client is not to blame.
                    life.since = now;
                }
                // No pause is the end of what has to come before the answer.
                let pause = if life.wire.stage.may_write() { PAUSE.from(life.since) } else { Time::NEVER };
                let due = pause.min(life.due);
                if due <= now {
                    (life.phase, life.due) = (Phase::Ending, Time::NEVER);
                    return self.look(slot);
                }
                due
            }
            Phase::Free
            | Phase::Params
            | Phase::Refusing(_)
            | Phase::Running
            | Phase::Ending
            | Phase::Over => life.due,
        };
        self.is_due(due);
    }
}
