//! What leaves: whose turn it is, and when an answer may.

#[cfg(feature = "alloc")]
use core::task::Poll;
use core::time::Duration;

use super::life::{Life, List, Phase, Request, Stop};
use super::patience::GLANCE;
use super::report::Stopped;
#[cfg(feature = "alloc")]
use super::write::{Batch, Output, Write, WriteError};
use super::{Ended, OUT_ROOM, Session};
#[cfg(feature = "alloc")]
use crate::cgi::Answer;
use crate::life::Time;
use crate::record::{Control, Record, RequestId};
use crate::server::SendError;
use crate::server::order::Stage;
use crate::server::slots::Slots;

/// Bytes of STDERR that are taken at once.
#[cfg(feature = "alloc")]
const STDERR_ROOM: usize = 16 * 1024;

/// Whether a request may write a record.
enum Turn {
    /// Now.
    Own(RequestId),
    /// Not yet.
    Wait,
    /// Nobody wants it: it is thrown away.
    Nobody,
}

impl<const N: usize, S: Slots<Entry = Life>> Session<N, S> {
    /// What this side owes by protocol alone: answers to management records, refusals. Send it before anything that is
    /// handed out later.
    pub fn poll_output(&mut self) -> Option<Control> {
        if self.cut.is_some() {
            return None;
        }
        if let Some((id, why)) = self.connection.refusal() {
            if !core::mem::take(&mut self.refusal_told) {
                self.tell(Some(id), Stopped::Refused(why));
            }
        }
        let control = match self.connection.poll_reply() {
            Some(reply) => reply,
            None => self.refusal()?,
        };
        self.hand_out(control.len());
        Some(control)
    }

    /// Puts what this side owes by protocol alone behind the records in `out`, which the caller sends: all that
    /// [`poll_output`](Self::poll_output) tells.
    #[cfg(feature = "alloc")]
    pub fn output_into(&mut self, out: &mut alloc::vec::Vec<u8>) {
        while let Some(control) = self.poll_output() {
            out.extend_from_slice(&control);
        }
    }

    /// So many of the bytes that were handed out have left.
    pub fn sent(&mut self, count: usize, now: Duration) {
        let now = Time::new(now);
        let was_full = self.is_full();
        self.unsent = self.unsent.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        let waited = self.write_due != Time::NEVER;
        if count > 0 && (waited || self.write_patience != self.spans.write) {
            self.wrote(count, if waited { self.write_since } else { now }, now);
        }
        if self.unsent == 0 {
            self.write_due = Time::NEVER;
            if self.lives == 0 {
                self.write_patience = self.spans.write;
            }
            self.look_at_writers();
        } else if waited && count > 0 {
            self.wait_to_write(now);
        }
        if was_full && !self.is_full() {
            self.look_at_ends();
        }
    }

    /// So many bytes left that were waited for since then.
    #[cold]
    fn wrote(&mut self, count: usize, since: Time, now: Time) {
        let spans = self.spans;
        self.write_patience = self.write_patience.left(since, now, count, &spans, spans.write);
    }

    /// As [`sent`](Self::sent), of a write that blocked from `since` to `now`. That time was a wait for the client,
    /// unless it was only a moment and all has left.
    pub fn sent_since(&mut self, since: Duration, count: usize, now: Duration) {
        let left = u32::try_from(count).is_ok_and(|count| count < self.unsent);
        if left || Time::new(now) > Time::new(since).after(GLANCE) {
            self.waited_to_write(since, now);
        }
        self.sent(count, now);
    }

    #[cold]
    fn waited_to_write(&mut self, since: Duration, now: Duration) {
        self.next(since);
        self.expire(now);
    }

    /// A write failed: nothing may be sent any more, it would be taken for the rest of a record.
    pub fn unwritable(&mut self) {
        self.cut_off(Ended::Broken);
    }

    /// Why nothing of the request's answer may leave any more, if so.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn may_answer(&self, request: Request) -> Result<(), Stopped> {
        let life = self.life(request).ok_or(Stopped::Over)?;
        match (life.stop, self.cut) {
            (Some(Stop::Refused(why)), _) => Err(Stopped::Refused(why)),
            (_, Some(ended)) => Err(self.told(ended)),
            _ => Ok(()),
        }
    }

    /// Makes a STDOUT record of the front of `data`, and returns it with the rest of `data`; `None` while the
    /// request has to wait, for its input, for others or for the transport.
    ///
    /// What is written after an abort is thrown away.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn stdout<'a>(
        &mut self,
        request: Request,
        data: &'a [u8],
    ) -> Result<Option<(Record<'a>, &'a [u8])>, Stopped> {
        self.record(request, data, |session, id, data| session.connection.stdout(id, data))
    }

    /// Makes a STDERR record of the front of `data`, and returns it with the rest of `data`: as
    /// [`stdout`](Self::stdout). Write none before the head of the answer is out whole.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn stderr<'a>(
        &mut self,
        request: Request,
        data: &'a [u8],
    ) -> Result<Option<(Record<'a>, &'a [u8])>, Stopped> {
        self.record(request, data, |session, id, data| session.connection.stderr(id, data))
    }

    /// [Writes](Self::write), [writes STDERR](Self::write_stderr) or [flushes](Self::flush).
    ///
    /// # Errors
    /// As these.
    #[cfg(feature = "alloc")]
    pub fn output<'a>(
        &mut self,
        request: Request,
        answer: &'a mut Answer,
        what: Output<'a>,
        now: Duration,
    ) -> Result<Write<'a>, WriteError> {
        match what {
            Output::Stdout(data) => self.write(request, answer, data, now),
            Output::Stderr(data) => self.write_stderr(request, answer, data, now),
            Output::Flush => self.flush(request, answer, now),
        }
    }

    /// Takes what a handler writes to STDOUT: into the answer while that has room and the request's input is to
    /// be read first; else some of it leaves, with what the answer holds.
    ///
    /// # Errors
    /// [`WriteError`].
    #[cfg(feature = "alloc")]
    pub fn write<'a>(
        &mut self,
        request: Request,
        answer: &'a mut Answer,
        data: &'a [u8],
        now: Duration,
    ) -> Result<Write<'a>, WriteError> {
        self.may_answer(request)?;
        let rest = answer.write(data)?;
        if rest.len() < data.len() || data.is_empty() {
            return Ok(Write::Taken(data.len() - rest.len()));
        }
        self.send(request, answer, rest, now)
    }

    /// Takes all that a handler writes to STDOUT, and puts the records of what is to leave behind those in `out`,
    /// which the caller sends: as [`write`](Self::write), for those who write from a buffer of their own. `Pending`:
    /// hand in the rest of `data` again after [`Look`](super::Input::Look).
    ///
    /// # Errors
    /// [`WriteError`].
    #[cfg(feature = "alloc")]
    pub fn write_into(
        &mut self,
        request: Request,
        answer: &mut Answer,
        data: &mut &[u8],
        out: &mut alloc::vec::Vec<u8>,
        now: Duration,
    ) -> Poll<Result<(), WriteError>> {
        while !data.is_empty() {
            let taken = match self.write(request, answer, data, now)? {
                Write::Taken(count) => count,
                Write::Send(batch) => {
                    batch.slices().iter().for_each(|slice| out.extend_from_slice(slice));
                    let taken = batch.taken;
                    answer.sent();
                    taken
                }
                Write::Wait => return Poll::Pending,
            };
            *data = data.get(taken..).unwrap_or_default();
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what a handler writes to STDERR; some of it leaves, with what the answer holds.
    ///
    /// # Errors
    /// [`WriteError::Stopped`].
    #[cfg(feature = "alloc")]
    pub fn write_stderr<'a>(
        &mut self,
        request: Request,
        answer: &'a mut Answer,
        data: &'a [u8],
        now: Duration,
    ) -> Result<Write<'a>, WriteError> {
        self.may_answer(request)?;
        if answer.stderr().len() > STDERR_ROOM {
            return match self.send(request, answer, &[], now)? {
                // Nobody wants it.
                Write::Taken(_) => Ok(Write::Taken(data.len())),
                sent => Ok(sent),
            };
        }
        let (data, _) = data.split_at_checked(STDERR_ROOM).unwrap_or((data, &[]));
        let goes = answer.write_stderr(data) && self.unsent == 0;
        if goes && self.life(request).is_some_and(|life| !self.holds(life)) {
            if let Write::Send(batch) = self.send(request, answer, &[], now)? {
                return Ok(Write::Send(Batch { taken: data.len(), ..batch }));
            }
        }
        // What cannot go now goes with what is written next.
        Ok(Write::Taken(data.len()))
    }

    /// The answer is to leave as far as it was written, and from now on as it is written, before the request's
    /// input was read too. [`Write::Taken`] says that all has left.
    ///
    /// # Errors
    /// [`WriteError`].
    #[cfg(feature = "alloc")]
    pub fn flush<'a>(
        &mut self,
        request: Request,
        answer: &'a mut Answer,
        now: Duration,
    ) -> Result<Write<'a>, WriteError> {
        self.may_answer(request)?;
        answer.end_fields()?;
        if let Some(life) = self.life_mut(request) {
            life.set(Life::FLUSHED);
        }
        if answer.head_is_whole() && !(answer.stdout().is_empty() && answer.stderr().is_empty()) {
            return self.send(request, answer, &[], now);
        }
        if self.unsent == 0 {
            self.had_turn(request.slot());
            return Ok(Write::Taken(0));
        }
        self.queue_to_write(request.slot());
        Ok(Write::Wait)
    }

    /// Makes records of what the answer holds and of the front of `data`, if they may leave now.
    #[cfg(feature = "alloc")]
    fn send<'a>(
        &mut self,
        request: Request,
        answer: &'a mut Answer,
        data: &'a [u8],
        now: Duration,
    ) -> Result<Write<'a>, WriteError> {
        let id = match self.turn(request, !data.is_empty(), Some(now))? {
            Turn::Own(id) => id,
            Turn::Wait => return Ok(Write::Wait),
            Turn::Nobody => {
                answer.forget();
                return Ok(Write::Taken(data.len()));
            }
        };
        // What is held back is less than a record, and STDERR is sent before it is more than one.
        let Ok((record, rest)) = self.connection.stdout(id, data) else { return Ok(Write::Wait) };
        let taken = data.len() - rest.len();
        answer.count(taken);
        let records = (|| {
            let (held, _) = self.connection.stdout(id, answer.stdout())?;
            let (stderr, _) = self.connection.stderr(id, answer.stderr())?;
            Ok::<_, SendError>(if answer.errors_first() {
                [stderr, held, record]
            } else {
                [held, record, stderr]
            })
        })();
        let Ok(records) = records else { return Ok(Write::Wait) };
        self.hand_out(records.iter().map(Record::remaining).sum());
        self.had_turn(request.slot());
        Ok(Write::Send(Batch { records, taken }))
    }

    fn record<'a>(
        &mut self,
        request: Request,
        data: &'a [u8],
        make: impl FnOnce(&mut Self, RequestId, &'a [u8]) -> Result<(Record<'a>, &'a [u8]), SendError>,
    ) -> Result<Option<(Record<'a>, &'a [u8])>, Stopped> {
        let id = match self.turn(request, !data.is_empty(), None)? {
            Turn::Own(id) => id,
            Turn::Wait => return Ok(None),
            // A record of nothing.
            Turn::Nobody => return Ok(Some((Record::nothing(), &[]))),
        };
        let Ok((record, rest)) = make(self, id, data) else { return Ok(None) };
        self.hand_out(record.remaining());
        self.had_turn(request.slot());
        Ok(Some((record, rest)))
    }

    /// Whether a record of the request may be made now: its input allows it, all that was handed out has left,
    /// and nobody has waited for longer. With a time, its answer is held back until its input was read.
    fn turn(&mut self, request: Request, large: bool, holds: Option<Duration>) -> Result<Turn, Stopped> {
        self.may_answer(request)?;
        let (slot, unsent) = (request.slot(), self.unsent);
        let Some(&life) = self.life(request) else { return Err(Stopped::Over) };
        if matches!(life.stop, Some(Stop::Aborted)) {
            return Ok(Turn::Nobody);
        }
        let may_write = life.wire.stage.may_write();
        match self.stopped(&life) {
            // It never may.
            Some(stopped) if !may_write => return Err(stopped),
            None if !may_write || holds.is_some() && self.holds(&life) => {
                self.wait_for_input(slot, Life::HOLDING, holds.map_or(self.now, Time::new));
                return Ok(Turn::Wait);
            }
            _ => {}
        }
        self.stop_holding(slot);
        if unsent > 0 {
            self.queue_to_write(slot);
            return Ok(Turn::Wait);
        }
        let (first, shared) = (self.first_writer(), self.lives > 1);
        let Some(life) = self.life_mut(request) else { return Err(Stopped::Over) };
        let gives_way = match first {
            Some(first) if first == slot => false,
            // Who is first was called, and may have given up: it is let go before once.
            Some(_) => !life.has(Life::GAVE_WAY),
            // Others write between two large records.
            None => large && shared,
        };
        if gives_way {
            life.set(Life::GAVE_WAY);
            self.queue_to_write(slot);
            self.look(slot);
            return Ok(Turn::Wait);
        }
        Ok(Turn::Own(request.id()))
    }

    /// The request wrote: others that wait are before it again.
    fn had_turn(&mut self, slot: usize) {
        if self.first_writer() == Some(slot) {
            let Self { connection, writers, .. } = self;
            writers.pop(connection.table.slots.entries_mut(), |life| &mut life.writers);
        }
        if let Some(life) = self.lives_mut().get_mut(slot) {
            life.clear(Life::WAITS_TO_WRITE | Life::GAVE_WAY);
        }
    }

    /// Whether the request's answer is held back: some of its input is still to be taken in, and a web server may
    /// stop sending that at the first byte of the answer.
    fn holds(&self, life: &Life) -> bool {
        let open = life.wire.stage != Stage::Complete && self.input.is_none() && life.stop.is_none();
        open && !life.has(Life::FLUSHED | Life::SPOOL_FULL) || !life.wire.stage.may_write()
    }

    /// Its answer goes on, whether its input is in or not: that is not waited for any more, but to be read.
    fn stop_holding(&mut self, slot: usize) {
        let life = self.lives_mut().get_mut(slot);
        if let Some(life) = life.filter(|life| life.has(Life::HOLDING)) {
            life.clear(Life::HOLDING);
            if !life.has(Life::READING) {
                life.due = Time::NEVER;
            }
        }
    }

    /// All that was handed out has left: those that wait to write come in the order in which they began to. Each
    /// is called, since one may have given up. One alone has no order.
    fn look_at_writers(&mut self) {
        if N == 1 {
            if self.lives().first().is_some_and(Life::waits_to_write) {
                self.look(0);
            }
            return;
        }
        let mut rest = List::EMPTY;
        loop {
            let Self { connection, writers, looks, .. } = self;
            let lives = connection.table.slots.entries_mut();
            let Some(slot) = writers.pop(lives, |life| &mut life.writers) else { break };
            if lives.get(slot).is_some_and(Life::waits_to_write) {
                looks.push(lives, slot, |life| &mut life.looks);
                rest.push(lives, slot, |life| &mut life.writers);
            }
        }
        self.writers = rest;
    }

    /// Who has waited for longest to write; those that do not any more are left out.
    fn first_writer(&mut self) -> Option<usize> {
        if N == 1 {
            return None;
        }
        loop {
            let slot = self.writers.first()?;
            if self.lives().get(slot).is_some_and(Life::waits_to_write) {
                return Some(slot);
            }
            let Self { connection, writers, .. } = self;
            writers.pop(connection.table.slots.entries_mut(), |life| &mut life.writers);
        }
    }

    fn queue_to_write(&mut self, slot: usize) {
        if let Some(life) = self.lives_mut().get_mut(slot) {
            life.set(Life::WAITS_TO_WRITE);
        }
        if N > 1 {
            let Self { connection, writers, .. } = self;
            writers.push(connection.table.slots.entries_mut(), slot, |life| &mut life.writers);
        }
    }

    /// The answer to a request that was refused by its caller.
    fn refusal(&mut self) -> Option<Control> {
        if self.refusing == 0 {
            return None;
        }
        let refused = |life: &Life| match life.phase {
            Phase::Refusing(why) => Some(why),
            _ => None,
        };
        let (slot, life, why) = self
            .lives()
            .iter()
            .enumerate()
            .find_map(|(slot, life)| refused(life).map(|why| (slot, *life, why)))?;
        self.refused(slot, why);
        self.connection.reject(life.request(slot)?.id(), why).ok()
    }

    /// Whether something is owed by protocol alone.
    pub(super) fn owes(&self) -> bool {
        self.cut.is_none() && (self.connection.has_reply() || self.refusing > 0)
    }

    pub(super) fn hand_out(&mut self, count: usize) {
        self.answered = true;
        self.unsent = self.unsent.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Limits the wait for the client to take what was handed out.
    pub(super) fn wait_to_write(&mut self, now: Time) {
        self.write_since = now;
        self.write_due = self.write_patience.from(now);
        self.is_due(self.write_due);
    }

    /// Nothing may be sent any more.
    pub(super) fn cut_off(&mut self, ended: Ended) {
        if self.cut.is_none() {
            self.cut = Some(ended);
            self.tell(None, self.told(ended));
        }
        (self.unsent, self.write_due) = (0, Time::NEVER);
        if self.input.is_none() {
            self.stop_input(ended);
        }
        for slot in 0..self.lives().len() {
            if let Some(Phase::Refusing(why)) = self.lives().get(slot).map(|life| life.phase) {
                self.refused(slot, why);
            }
        }
        self.look_at_all();
    }

    fn look_at_ends(&mut self) {
        debug_assert!(self.unsent < OUT_ROOM, "there is room");
        for slot in 0..self.lives().len() {
            if self.lives().get(slot).is_some_and(|life| matches!(life.phase, Phase::Ending)) {
                self.look(slot);
            }
        }
    }
}
