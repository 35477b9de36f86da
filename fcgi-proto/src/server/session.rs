//! The life of a connection from the server's side: what to do next, for whom, until when.
//!
//! A [`Session`] stands on a [`Connection`], which decides what records mean, and decides
//! everything else: when a request starts, whose input is read, skipped or drained, what waits for room, when an
//! answer may leave and whose turn it is, what an abort, a refusal, an end of input, an error or a failed write
//! means for each request, when the connection is shut down, drained and closed, and how long each of these may
//! take. It does no I/O, has no clock, no waker and no thread, and no memory but its requests' slots.
//!
//! # The loop
//!
//! Whoever has a runtime of their own drives it like this. `now` is the time since any fixed moment; it is handed
//! in, so that the same calls have the same results.
//!
//! 1. Ask [`Session::next`] what the transport is to do: close it; or write, which is to send what waits,
//!    [`poll_output`](Session::poll_output) first, and to say [`sent`](Session::sent); or shut down writing and say
//!    [`shut`](Session::shut); or read, and hand what came to [`receive`](Session::receive), or say
//!    [`end_of_input`](Session::end_of_input). A read that fails is [`broken`](Session::broken), a write that does
//!    [`unwritable`](Session::unwritable). Wait for what
//!    is wanted, and no longer than until [`Next::at`](crate::Next::at).
//! 2. Call `receive` until there is `None`. Each [`Input`] is for one request, and says what it is to be told. Then call
//!    [`expire`](Session::expire), and if the time had come, `receive` again.
//! 3. A handler calls [`read`](Session::read), [`stdout`](Session::stdout) or, with an
//!    [`Answer`](crate::cgi::Answer), [`write`](Session::write) and [`flush`](Session::flush). When one of these
//!    says that it has to wait, it waits until there is a [`Look`](Input::Look) for it, or bytes of a body.
//! 4. A handler that is done is [`finish`](Session::finish)ed; [`end`](Session::end) gives what ends the request, at
//!    once or after a `Look`.
//!
//! Every call is right at any time: one for a request that is over says so. After any of them `next` may want
//! something else than before.
//!
//! The [front page](crate#driving-it) of the crate has this loop as a program.

#[cfg(feature = "alloc")]
mod account;
mod end;
#[cfg(feature = "alloc")]
mod exchange;
mod input;
mod life;
mod output;
mod patience;
mod report;
mod told;
mod waits;
#[cfg(feature = "alloc")]
mod write;

#[cfg(feature = "alloc")]
pub use self::account::{Account, Name, Outcome};
pub use self::end::End;
#[cfg(feature = "alloc")]
pub use self::exchange::{Begin, Exchange, Exchanges};
pub use self::life::{Life, Request, Stream};
use self::life::{List, Phase, Stop};
pub use self::patience::{Patience, Wait};
use self::patience::{Span, Spans};
pub use self::report::{Report, Stopped};
pub use self::told::{Input, Read, Started};
use self::waits::Linger;
pub use self::waits::{Leave, Waiting};
#[cfg(feature = "alloc")]
pub use self::write::{Batch, Output, Write, WriteError};
use super::connection::Connection;
use super::slots::Slots;
use crate::life::Time;
use crate::limits::Limits;

/// Bytes that wait to be sent; while there are so many, nothing is taken in and no request ends.
const OUT_ROOM: u32 = 64 * 1024;

/// The life of one connection from the server's side, with up to `N` requests at a time: see the
/// [module](self). Its requests' slots are an array, or a `Vec` that [grows](Self::growing).
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Session<const N: usize, S = [Life; N]> {
    connection: Connection<N, S>,
    spans: Spans,
    /// Requests that are not over.
    lives: u16,
    /// The next request's.
    number: u32,
    /// Content that is for a request, and not taken yet.
    pending: Pending,
    /// Whose caller is to look.
    looks: List,
    /// Who waits to write.
    writers: List,
    /// How many are to be refused.
    refusing: u16,
    /// How many have handlers that wait for input.
    readers: u16,
    /// Bytes that were handed out and have not left.
    unsent: u32,
    /// How much longer the client may take nothing of them, since when, and until when that is.
    write_patience: Span,
    write_since: Time,
    write_due: Time,
    /// Why no more input comes.
    input: Option<Ended>,
    /// Why nothing may be sent any more: part of a record may have left.
    cut: Option<Ended>,
    /// The time as it was told last.
    now: Time,
    /// The earliest time at which anything may be due.
    earliest: Time,
    /// What the connection waits for without a request, and since when.
    state: State,
    since: Time,
    due: Time,
    /// Since when there is no request.
    idle_since: Time,
    /// Nothing came yet.
    fresh: bool,
    /// Something was handed out since there was last no request.
    answered: bool,
    /// It closes once it is idle.
    leaving: bool,
    /// That was asked of it: what comes meanwhile has but a moment.
    given_up: bool,
    /// When a graceful end is to be over.
    leave_due: Time,
    linger: Linger,
    over: bool,
    report: Option<Report>,
    /// That the next reply refuses a request was told, while its caller could name it.
    refusal_told: bool,
    /// A warning was told.
    warned: bool,
}

/// What a connection without a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    /// There are requests, or something is to be sent.
    Busy,
    /// For its next request.
    Idle,
    /// For the rest of a record.
    Cut,
}

/// Why a direction of the connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Ended {
    Closed,
    Protocol(crate::ConnectionError),
    Late(Wait),
    Broken,
}

/// Content that is at the front of the input: whose, and how much.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Pending {
    slot: u16,
    stream: Stream,
    left: u32,
    /// Bytes that were handed out last.
    lent: u32,
}

impl<const N: usize> Session<N> {
    /// A connection that begins, with room for `N` requests at a time.
    #[must_use]
    pub const fn new(limits: Limits, patience: &Patience) -> Self {
        Self::over(limits, patience, [Life::FREE; N])
    }
}

#[cfg(feature = "alloc")]
impl<const N: usize> Session<N, alloc::vec::Vec<Life>> {
    /// A connection that begins, with up to `N` requests at a time, in memory that grows with them.
    #[must_use]
    pub const fn growing(limits: Limits, patience: &Patience) -> Self {
        Self::over(limits, patience, alloc::vec::Vec::new())
    }

    /// Gives back the memory of requests that are over, if there are no others.
    pub fn shrink(&mut self) {
        if self.lives == 0 {
            self.connection.table.slots = alloc::vec::Vec::new();
            (self.looks, self.writers) = (List::EMPTY, List::EMPTY);
        }
    }
}

impl<const N: usize, S> Session<N, S> {
    const fn over(limits: Limits, patience: &Patience, slots: S) -> Self {
        let spans = Spans::new(patience);
        Self {
            connection: Connection::with_slots(limits, slots),
            spans,
            lives: 0,
            number: 0,
            pending: Pending { slot: 0, stream: Stream::Stdin, left: 0, lent: 0 },
            looks: List::EMPTY,
            writers: List::EMPTY,
            refusing: 0,
            readers: 0,
            unsent: 0,
            write_patience: spans.write,
            write_since: Time::NEVER,
            write_due: Time::NEVER,
            input: None,
            cut: None,
            now: Time::NEVER,
            earliest: Time::NEVER,
            state: State::Busy,
            since: Time::NEVER,
            due: Time::NEVER,
            idle_since: Time::NEVER,
            fresh: true,
            answered: false,
            leaving: false,
            given_up: false,
            leave_due: Time::NEVER,
            linger: Linger::No,
            over: false,
            report: None,
            refusal_told: false,
            warned: false,
        }
    }
}

impl<const N: usize, S: Slots<Entry = Life>> Session<N, S> {
    /// Whether the request is not over: its handler runs, or its end has not left yet.
    #[must_use]
    pub fn is_alive(&self, request: Request) -> bool {
        self.life(request).is_some()
    }

    /// Requests that are not over.
    #[must_use]
    pub const fn requests(&self) -> usize {
        self.lives as usize
    }

    /// The requests that are not over for their handlers.
    pub fn alive(&self) -> impl Iterator<Item = Request> {
        let lives = self.lives().iter().enumerate();
        lives.filter_map(|(slot, life)| if life.is_over() { None } else { life.request(slot) })
    }

    fn lives(&self) -> &[Life] {
        self.connection.table.slots.entries()
    }

    fn lives_mut(&mut self) -> &mut [Life] {
        self.connection.table.slots.entries_mut()
    }

    fn life(&self, request: Request) -> Option<&Life> {
        let life = self.lives().get(request.slot())?;
        (life.number == request.number && !life.is_over()).then_some(life)
    }

    fn life_mut(&mut self, request: Request) -> Option<&mut Life> {
        let life = self.lives_mut().get_mut(request.slot())?;
        (life.number == request.number && !life.is_over()).then_some(life)
    }

    /// Has the request's caller look whether its wait is over.
    fn look(&mut self, slot: usize) {
        let Self { connection, looks, .. } = self;
        looks.push(connection.table.slots.entries_mut(), slot, |life| &mut life.looks);
    }

    /// Has the callers of all requests look.
    fn look_at_all(&mut self) {
        for slot in 0..self.lives().len() {
            if self.lives().get(slot).is_some_and(|life| !matches!(life.phase, Phase::Free)) {
                self.look(slot);
            }
        }
    }

    /// The request is over: its slot is free. It stays in the lists: who has the slot next may look once more.
    fn free(&mut self, slot: usize) {
        if let Some(life) = self.lives_mut().get_mut(slot) {
            let reads = life.has(Life::READING);
            (life.phase, life.due) = (Phase::Free, Time::NEVER);
            self.lives -= 1;
            self.readers -= u16::from(reads);
        }
    }

    /// Something may be due then.
    #[inline(never)]
    fn is_due(&mut self, at: Time) {
        self.earliest = self.earliest.min(at);
    }

    /// Why nothing more comes, to be told.
    fn told(&self, ended: Ended) -> Stopped {
        match ended {
            Ended::Closed => Stopped::Closed,
            Ended::Protocol(error) => Stopped::Protocol(error),
            Ended::Late(wait) => Stopped::TimedOut { wait, limit: self.spans.limit(wait) },
            Ended::Broken => Stopped::Broken,
        }
    }

    /// Why no more of the request's input comes, if so.
    fn stopped(&self, life: &Life) -> Option<Stopped> {
        match life.stop {
            Some(Stop::Aborted) => Some(Stopped::Aborted),
            Some(Stop::Refused(why)) => Some(Stopped::Refused(why)),
            Some(Stop::Late) => Some(self.told(Ended::Late(Wait::Body))),
            None => self.input.map(|ended| self.told(ended)),
        }
    }
}
