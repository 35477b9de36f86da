//! What comes: taken in, and handed to whom it is for.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;
#[cfg(feature = "alloc")]
use core::task::Poll;
use core::time::Duration;

use super::life::{Life, Phase, Request, Stop, Stream};
use super::patience::PAUSE;
use super::report::Stopped;
use super::told::{Input, Read, Started};
use super::waits::Linger;
use super::{Ended, OUT_ROOM, Pending, Session, State};
use crate::life::Time;
use crate::record::RequestId;
use crate::server::order::Stage;
use crate::server::slots::{Entry, Slots};
use crate::server::{Event, Refusal};

impl<const N: usize, S: Slots<Entry = Life>> Session<N, S> {
    /// Takes from the front of `input` up to the next thing that concerns a request. `None`: all that can be is
    /// taken in. What is left then waits, for room or for a handler; hand it in again.
    ///
    /// Call it until there is `None`: after each read, and after every other call, with what is left of the input or
    /// with none. Other calls may have caused a [`Look`](Input::Look).
    pub fn receive<'i>(&mut self, input: &mut &'i [u8], now: Duration) -> Option<Input<'i>> {
        let now = Time::new(now);
        self.now = now;
        // What was handed out before is taken.
        self.pending.lent = 0;
        loop {
            if let Some(look) = self.next_look() {
                return Some(look);
            }
            if input.is_empty() {
                return None;
            }
            self.fresh = false;
            if self.input.is_some() || self.connection.is_finished() {
                self.discard(input);
                return None;
            }
            if self.pending.left > 0 {
                if let Some(body) = self.deliver(input, now) {
                    return Some(body);
                }
                if self.pending.left > 0 {
                    return None;
                }
                continue;
            }
            if self.is_full() || self.owes() {
                return None;
            }
            let before = *input;
            match self.connection.next_unless(input, Life::ends_by_itself) {
                // All is used up.
                Ok(None | Some(Event::Paused)) => return self.next_look(),
                Ok(Some(Event::Stdin { id, data })) => self.content(id, Stream::Stdin, data, before, input),
                Ok(Some(Event::Data { id, data })) => self.content(id, Stream::Data, data, before, input),
                Ok(Some(event)) => {
                    if let Some(event) = self.event(event, now) {
                        return Some(event);
                    }
                }
                Err(error) => self.stop_input(Ended::Protocol(error)),
            }
        }
    }

    /// Takes a Responder's request without a body off the front of `input`, if it is all there and nothing else
    /// comes first. It is as if [`receive`](Self::receive) had told of its beginning, its parameters and its
    /// start, with fewer instructions and without a copy; who never calls this misses nothing.
    pub fn receive_whole<'i>(&mut self, input: &mut &'i [u8]) -> Option<Started<'i>> {
        let waits = self.pending.left > 0 || !self.looks.is_empty() || self.owes() || self.is_full();
        if waits || self.input.is_some() {
            return None;
        }
        let whole = self.connection.whole_request(input)?;
        (self.pending.lent, self.fresh) = (0, false);
        let request = self.begin(whole.id, Phase::Running, Time::NEVER)?;
        Some(Started { request, keep_conn: whole.keep_conn, params: whole.params })
    }

    /// Of the bytes that the last [`receive`](Self::receive) handed out, the caller took only the first `count`. The
    /// rest is to stay at the front of the input; it comes again after the next [`read`](Self::read) or
    /// [`room`](Self::room).
    pub fn took(&mut self, count: usize) {
        let Pending { slot, lent, left, .. } = &mut self.pending;
        let rest = lent.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        if rest == 0 {
            return;
        }
        *left += rest;
        *lent = 0;
        let slot = usize::from(*slot);
        let spools = self.spools(slot);
        if let Some(life) = self.lives_mut().get_mut(slot) {
            life.set(if spools { Life::FULL | Life::SPOOL_FULL } else { Life::FULL });
            if spools && life.has(Life::HOLDING) {
                self.look(slot);
            }
        }
    }

    /// There is room for more of the request's input; whether some waited for that.
    pub fn room(&mut self, request: Request) -> bool {
        let Some(life) = self.life_mut(request) else { return false };
        let waited = life.has(Life::FULL);
        life.clear(Life::FULL | Life::SPOOL_FULL);
        waited
    }

    /// The request's parameters, or the request, have no room: it is answered with 503 and `FCGI_OVERLOADED`, and
    /// is over for the caller. Only before its handler runs.
    pub fn refuse_full(&mut self, request: Request) {
        self.refuse(request, Refusal::Overloaded);
    }

    /// The request's parameters are not whole pairs: it is answered with 400, and is over for the caller. Only
    /// before its handler runs.
    pub fn refuse_malformed(&mut self, request: Request) {
        self.refuse(request, Refusal::Malformed);
    }

    /// There is no handler for the request's role: it is answered with 503 and `FCGI_UNKNOWN_ROLE`, and is over for
    /// the caller. Only before its handler runs.
    pub fn refuse_role(&mut self, request: Request) {
        self.refuse(request, Refusal::UnknownRole);
    }

    /// The handler wants to read this body and has used up what was handed out. A Filter that reads DATA passes by what
    /// is left of its STDIN.
    ///
    /// # Errors
    /// [`Stopped`], if no more of it comes.
    pub fn read(&mut self, request: Request, stream: Stream, now: Duration) -> Result<Read, Stopped> {
        let now = Time::new(now);
        let stopped_input = self.input;
        let Some(life) = self.life_mut(request) else { return Err(Stopped::Over) };
        life.clear(Life::FULL | Life::SPOOL_FULL);
        life.set(if stream == Stream::Data { Life::HAS_READ | Life::SKIPS_STDIN } else { Life::HAS_READ });
        let ended = match stream {
            Stream::Stdin => !life.wire.stage.awaits_stdin(),
            Stream::Data => life.wire.stage == Stage::Complete,
        };
        let refused = matches!(life.stop, Some(Stop::Refused(_)));
        if ended && !refused && !life.has(Life::LOST) {
            return Ok(Read::End);
        }
        if life.stop.is_some() || stopped_input.is_some() {
            let life = *life;
            return Err(self.stopped(&life).unwrap_or(Stopped::Over));
        }
        let slot = request.slot();
        self.wait_for_input(slot, Life::READING, now);
        Ok(Read::Wait)
    }

    /// Takes all that is in `kept`, where the caller keeps what came of a body: none of it at the end of the body.
    /// `Pending`: [`read`](Self::read) says to wait.
    ///
    /// # Errors
    /// [`Stopped`], if no more of it comes.
    #[cfg(feature = "alloc")]
    pub fn read_from(
        &mut self,
        request: Request,
        stream: Stream,
        kept: &mut Vec<u8>,
        now: Duration,
    ) -> Poll<Result<Vec<u8>, Stopped>> {
        if !kept.is_empty() {
            self.room(request);
        } else if self.read(request, stream, now)? == Read::Wait {
            return Poll::Pending;
        }
        Poll::Ready(Ok(core::mem::take(kept)))
    }

    /// Keeps what has room of a body's bytes, [`Input::Body`], behind what is in `kept`, up to `room` bytes in all,
    /// and says so with [`took`](Self::took). How many bytes have none: they stay at the front of the input.
    #[cfg(feature = "alloc")]
    #[must_use = "these bytes stay at the front of the input"]
    pub fn keep_into(&mut self, data: &[u8], kept: &mut Vec<u8>, room: usize) -> usize {
        let (fits, rest) = data.split_at_checked(room.saturating_sub(kept.len())).unwrap_or((data, &[]));
        kept.extend_from_slice(fits);
        self.took(fits.len());
        rest.len()
    }

    /// Whether nobody is known to wait for the request's answer any more. If somebody does, the caller is to
    /// look when that changes.
    pub fn is_gone(&mut self, request: Request) -> bool {
        let gone = self.cut.is_some() || self.input.is_some_and(|ended| self.told(ended).is_gone());
        let Some(life) = self.life_mut(request) else { return true };
        if gone || matches!(life.stop, Some(Stop::Aborted | Stop::Refused(_))) {
            return true;
        }
        life.set(Life::WATCHING);
        false
    }

    /// The client sends nothing more.
    pub fn end_of_input(&mut self) {
        if self.leave_due != Time::NEVER {
            self.refuse_unstarted();
        }
        let ended = self.connection.eof().map_or_else(Ended::Protocol, |()| Ended::Closed);
        self.no_input(ended);
    }

    /// A read failed: no more comes. What is answered may still be sent.
    pub fn broken(&mut self) {
        self.no_input(Ended::Broken);
    }

    fn no_input(&mut self, ended: Ended) {
        // All has left: nothing more is waited for.
        self.over |= self.linger != Linger::No;
        if !self.over && self.input.is_none() {
            self.stop_input(ended);
        }
    }

    /// Whether so much waits to be sent that nothing is taken in.
    pub(super) fn is_full(&self) -> bool {
        self.unsent >= OUT_ROOM
    }

    /// Whether nothing of the input can be taken until a handler takes what is for it, or ends.
    pub(super) fn is_blocked(&self) -> bool {
        if self.connection.begins_again(Life::ends_by_itself) {
            return true;
        }
        let slot = usize::from(self.pending.slot);
        let Some(life) = self.lives().get(slot).filter(|_| self.pending.left > 0) else { return false };
        life.wants(self.pending.stream)
            && life.has(Life::FULL)
            && (life.has(Life::SPOOL_FULL) || !self.spools(slot))
    }

    /// Whether the request's input is worth more than memory: its handler waits for something else than it, or
    /// another one for what comes behind it.
    fn spools(&self, slot: usize) -> bool {
        self.lives().get(slot).is_some_and(|life| {
            life.has(Life::HOLDING | Life::WATCHING) || self.readers > u16::from(life.has(Life::READING))
        })
    }

    /// No more input comes: who waits for it is told, what did not begin never will.
    pub(super) fn stop_input(&mut self, ended: Ended) {
        let mut cut = !matches!(ended, Ended::Closed);
        for slot in 0..self.lives().len() {
            let Some(life) = self.lives_mut().get_mut(slot) else { continue };
            match life.phase {
                Phase::Free | Phase::Over | Phase::Refusing(_) => continue,
                Phase::Params => {
                    life.phase = Phase::Over;
                    cut = true;
                }
                Phase::Draining => life.phase = Phase::Ending,
                Phase::Running | Phase::Ending => {}
            }
            life.due = Time::NEVER;
            self.look(slot);
        }
        self.pending.left = 0;
        self.input = Some(ended);
        if cut {
            self.tell(None, self.told(ended));
        }
    }

    /// The request has no more patience for input, and its handler is told.
    pub(super) fn stop(&mut self, slot: usize, stop: Stop) {
        if let Some(life) = self.lives_mut().get_mut(slot) {
            // Who was too slow may abort still: nothing is answered then.
            life.stop = Some(stop);
            life.due = Time::NEVER;
            if matches!(life.phase, Phase::Draining) {
                life.phase = Phase::Ending;
            }
            self.stop_reading(slot);
            self.look(slot);
        }
    }

    /// Its handler waits for input from now on, if it does not already.
    pub(super) fn wait_for_input(&mut self, slot: usize, why: u16, now: Time) {
        let life = self.lives_mut().get_mut(slot);
        let Some(life) = life.filter(|life| matches!(life.phase, Phase::Running)) else { return };
        let reads = why == Life::READING && !life.has(why);
        life.set(why);
        if life.due == Time::NEVER {
            life.since = now;
            life.due = life.patience.from(now);
            if why == Life::HOLDING && !life.has(Life::HAS_READ) && life.wire.stage.may_write() {
                // Its handler wants none of it, as far as one can tell.
                life.due = life.due.min(PAUSE.from(now));
            }
            let due = life.due;
            self.is_due(due);
        }
        self.readers += u16::from(reads);
    }

    /// Its handler does not wait for input any more.
    fn stop_reading(&mut self, slot: usize) {
        if let Some(life) = self.lives_mut().get_mut(slot).filter(|life| life.has(Life::READING)) {
            life.clear(Life::READING);
            self.readers -= 1;
        }
    }

    fn begin(&mut self, id: RequestId, phase: Phase, due: Time) -> Option<Request> {
        let slot = self.connection.table.index(id)?;
        let (number, patience) = (self.number, self.spans.read);
        self.number = self.number.wrapping_add(1);
        self.answered &= self.lives > 0;
        self.lives += 1;
        (self.state, self.due, self.idle_since) = (State::Busy, Time::NEVER, Time::NEVER);
        self.is_due(due);
        let life = self.lives_mut().get_mut(slot)?;
        // It is perhaps in a list still.
        let Life { wire, looks, writers, .. } = *life;
        *life = Life { wire, number, id: id.get(), phase, due, patience, looks, writers, ..Life::FREE };
        life.request(slot)
    }

    fn event<'i>(&mut self, event: Event<'i>, now: Time) -> Option<Input<'i>> {
        match event {
            Event::Begin { id, role, keep_conn } => {
                let due = self.begin_within().from(now);
                let request = self.begin(id, Phase::Params, due)?;
                self.since = now;
                Some(Input::Begin { request, role, keep_conn })
            }
            Event::Params { id, data } => {
                let (_, request) = self.find(id, Phase::Params)?;
                Some(Input::Params { request, data })
            }
            Event::ParamsEnd { id } => {
                let (slot, request) = self.find(id, Phase::Params)?;
                let life = self.lives_mut().get_mut(slot)?;
                (life.phase, life.due) = (Phase::Running, Time::NEVER);
                Some(Input::Start { request })
            }
            Event::StdinEnd { id } | Event::DataEnd { id } => {
                self.input_ended(id);
                None
            }
            Event::Abort { id } => {
                let slot = self.connection.table.index(id)?;
                let life = self.lives_mut().get_mut(slot)?;
                if matches!(life.phase, Phase::Params) {
                    // Before it ran: there is nothing for a handler to decide.
                    (life.phase, life.stop) = (Phase::Over, Some(Stop::Aborted));
                    self.look(slot);
                    self.connection.end_aborted(id);
                } else {
                    self.stop(slot, Stop::Aborted);
                }
                None
            }
            Event::Rejected { id, why } => {
                self.tell(Some(id), Stopped::Refused(why));
                self.refusal_told = self.connection.refusal() == Some((id, why));
                self.rejected(id, why);
                None
            }
            Event::Stdin { .. } | Event::Data { .. } | Event::Paused => None,
        }
    }

    /// The request with this id in this phase.
    fn find(&self, id: RequestId, phase: Phase) -> Option<(usize, Request)> {
        let slot = self.connection.table.index(id)?;
        let life = self.lives().get(slot).filter(|life| life.phase == phase)?;
        Some((slot, life.request(slot)?))
    }

    fn input_ended(&mut self, id: RequestId) {
        let Some(slot) = self.connection.table.index(id) else { return };
        let now = self.now;
        let Some(life) = self.lives_mut().get_mut(slot) else { return };
        match life.phase {
            Phase::Params => return,
            // A Filter's file is still to come.
            Phase::Draining if life.wire.stage != Stage::Complete => {
                life.since = now;
                let pause = PAUSE.from(now);
                self.is_due(pause);
                return;
            }
            Phase::Draining => life.phase = Phase::Ending,
            _ => {}
        }
        life.due = Time::NEVER;
        self.stop_reading(slot);
        self.look(slot);
    }

    /// The protocol refused a request that had begun, and has ended it.
    fn rejected(&mut self, id: RequestId, why: Refusal) {
        let refused = |life: &Life| {
            life.id == id.get()
                && life.wire.is_free()
                && !matches!(life.phase, Phase::Free | Phase::Over)
                && !matches!(life.stop, Some(Stop::Refused(_)))
        };
        let Some(slot) = self.lives().iter().position(refused) else { return };
        let Some(life) = self.lives_mut().get_mut(slot) else { return };
        let was_refused = matches!(life.phase, Phase::Refusing(_));
        if was_refused || matches!(life.phase, Phase::Params) {
            (life.phase, life.stop) = (Phase::Over, Some(Stop::Refused(why)));
            self.refusing -= u16::from(was_refused);
            self.look(slot);
        } else {
            self.stop(slot, Stop::Refused(why));
        }
    }

    pub(super) fn refuse(&mut self, request: Request, why: Refusal) {
        if let Some(life) = self.life_mut(request) {
            let unanswered = life.stop.is_none() && !life.has(Life::WAITS_TO_WRITE);
            if matches!(life.phase, Phase::Params | Phase::Running) && unanswered {
                (life.phase, life.due) = (Phase::Refusing(why), Time::NEVER);
                self.refusing += 1;
                self.tell(Some(request.id()), Stopped::Refused(why));
                if self.cut.is_some() {
                    self.refused(request.slot(), why);
                }
            }
        }
    }

    /// A request that was to be refused is over.
    pub(super) fn refused(&mut self, slot: usize, why: Refusal) {
        self.refusing -= 1;
        match self.lives_mut().get_mut(slot) {
            // Its caller is still to be told.
            Some(life) if !life.looks.is_out() => {
                (life.phase, life.stop) = (Phase::Over, Some(Stop::Refused(why)));
            }
            _ => self.free(slot),
        }
    }

    /// Requests whose parameters did not all come are not waited for any more: the client may ask another.
    pub(super) fn refuse_unstarted(&mut self) {
        for slot in 0..self.lives().len() {
            let life = self.lives_mut().get_mut(slot).filter(|life| matches!(life.phase, Phase::Params));
            let Some(request) = life.and_then(|life| life.request(slot)) else { continue };
            self.refuse(request, Refusal::Overloaded);
            self.look(slot);
            // What of it still comes is not to cost its answer: the connection closes like one that is not kept.
            self.connection.table.closing = true;
        }
    }

    /// Content comes for this request: it is pending, and `input` begins with it again.
    fn content<'i>(
        &mut self,
        id: RequestId,
        stream: Stream,
        data: &[u8],
        before: &'i [u8],
        input: &mut &'i [u8],
    ) {
        let at = before.len() - input.len() - data.len();
        *input = before.get(at..).unwrap_or(&[]);
        let slot = self.connection.table.index(id).and_then(|slot| u16::try_from(slot).ok());
        // Content is less than 65,536 bytes.
        self.pending = Pending { slot: slot.unwrap_or(u16::MAX), stream, left: data.len() as u32, lent: 0 };
    }

    /// Hands pending content to whom it is for, or drops what nobody wants.
    fn deliver<'i>(&mut self, input: &mut &'i [u8], now: Time) -> Option<Input<'i>> {
        if self.is_blocked() {
            return None;
        }
        let Pending { slot, stream, left, .. } = self.pending;
        let slot = usize::from(slot);
        let count = input.len().min(left as usize);
        let (data, rest) = input.split_at_checked(count)?;
        *input = rest;
        // At most what is left.
        self.pending.left -= count as u32;
        let spool = self.spools(slot);
        let (spans, limit) = (self.spans, self.spans.drain_limit);
        let life = self.lives_mut().get_mut(slot)?;
        if !life.wants(stream) {
            life.drained = life.drained.saturating_add(count as u32);
            if life.stop.is_some() {
                life.set(Life::LOST);
            }
            if matches!(life.phase, Phase::Draining) {
                if life.drained > limit {
                    (life.phase, life.due) = (Phase::Ending, Time::NEVER);
                    self.look(slot);
                } else {
                    life.since = now;
                }
            }
            return None;
        }
        // What comes while nobody waits gives time back too: how a body is cut has no meaning.
        let since = if life.due == Time::NEVER { now } else { life.since };
        life.patience = life.patience.left(since, now, count, &spans, spans.read);
        life.due = Time::NEVER;
        if life.has(Life::HOLDING) {
            self.wait_for_input(slot, Life::HOLDING, now);
        }
        self.stop_reading(slot);
        let request = self.lives().get(slot)?.request(slot)?;
        self.pending.lent = count as u32;
        Some(Input::Body { request, stream, data, spool })
    }

    /// Throws input away that means nothing any more.
    fn discard(&mut self, input: &mut &[u8]) {
        if let Linger::Shut { left, .. } = &mut self.linger {
            *left = left.saturating_sub(u32::try_from(input.len()).unwrap_or(u32::MAX));
            self.over |= *left == 0;
        }
        *input = &[];
    }

    /// The next request whose caller is to look, or to forget it.
    fn next_look<'i>(&mut self) -> Option<Input<'i>> {
        loop {
            let Self { connection, looks, .. } = self;
            let slot = looks.pop(connection.table.slots.entries_mut(), |life| &mut life.looks)?;
            let Some(life) = self.lives().get(slot) else { continue };
            let Some(request) = life.request(slot) else { continue };
            match life.phase {
                Phase::Free => {}
                Phase::Over => {
                    self.free(slot);
                    return Some(Input::Over { request });
                }
                Phase::Refusing(_) => return Some(Input::Over { request }),
                Phase::Params | Phase::Running | Phase::Draining | Phase::Ending => {
                    return Some(Input::Look { request });
                }
            }
        }
    }
}
