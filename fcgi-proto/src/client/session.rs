//! A connection's life from the client's side: what to do next, for which request, until when.
//!
//! A [`Session`] stands on a [`Connection`] and decides what that leaves open: the order in which a request is
//! sent and when; what an early answer changes; whether a request may be sent again; what is kept for one that
//! nobody reads, and what that holds up; how long anything may take; whether the connection carries the next.
//! It does no I/O and has no clock: bytes, what became of them, and the time are handed in, as a duration since
//! any fixed moment. The order of calls is free.
//!
//! # A loop of one's own
//!
//! `Port` is whatever waits for a transport: an executor, a microcontroller's UART, `poll(2)`.
//!
//! ```
//! use core::time::Duration;
//! use fcgi_proto::client::{Ask, Failure, Input, Session, Settings};
//!
//! trait Port {
//!     fn now(&self) -> Duration;
//!     /// Waits until it can read or write, of what is wanted, or until the time has come.
//!     fn wait(&mut self, read: bool, write: bool, until: Option<Duration>);
//!     /// At once: bytes, none at the end, or `None` when there is nothing yet.
//!     fn read(&mut self, buffer: &mut [u8]) -> Option<Result<usize, ()>>;
//!     fn write(&mut self, bytes: &[u8]) -> Option<Result<usize, ()>>;
//! }
//!
//! fn post(port: &mut impl Port, mut body: &[u8], page: &mut Vec<u8>) -> Result<(), Failure> {
//!     let mut session = Session::<1>::new(Settings::default());
//!     let (mut out, mut buffer, mut unread) = (Vec::new(), [0; 1024], 0..0);
//!     let mut ask = Ask::new(b"POST");
//!     ask.stdin = body.len() as u64;
//!     let pairs = [(&b"REQUEST_METHOD"[..], &b"POST"[..]), (b"SCRIPT_NAME", b"/")];
//!     let request = session.begin_with(ask, pairs.into_iter(), &mut out, port.now());
//!     let request = request.expect("a new session, and short pairs");
//!     loop {
//!         // What came.
//!         let mut input = &buffer[unread.clone()];
//!         while let Some(came) = session.receive(&mut input, port.now()) {
//!             if let Input::Stdout { request, data } = came {
//!                 page.extend_from_slice(data); // a CGI head, then a body: see `fcgi_proto::cgi`
//!                 session.took(request, data.len(), port.now());
//!             }
//!         }
//!         unread.start = unread.end - input.len();
//!         if session.poll(request, port.now())?.is_some() {
//!             return Ok(());
//!         }
//!         // What goes out.
//!         while session.wants(request) > 0 {
//!             let (piece, rest) = session.write(request, body, port.now()).expect("it is not over");
//!             piece.slices().iter().for_each(|slice| out.extend_from_slice(slice));
//!             body = rest;
//!         }
//!         let next = session.next();
//!         port.wait(next.read, next.write, next.at);
//!         match next.write.then(|| port.write(&out)).flatten() {
//!             Some(Ok(count)) => {
//!                 out.drain(..count);
//!                 session.sent(count, port.now());
//!             }
//!             Some(Err(())) => session.unwritable(port.now()),
//!             None => {}
//!         }
//!         match next.read.then(|| port.read(&mut buffer)).flatten() {
//!             Some(Ok(0)) => session.end_of_input(),
//!             Some(Ok(count)) => unread = 0..count,
//!             Some(Err(())) => session.broken(),
//!             None => _ = session.expire(port.now()),
//!         }
//!     }
//! }
//! # struct Script(Duration, Vec<u8>);
//! # impl Port for Script {
//! #     fn now(&self) -> Duration { self.0 }
//! #     fn wait(&mut self, _: bool, _: bool, _: Option<Duration>) { self.0 += Duration::from_secs(1); }
//! #     fn read(&mut self, buffer: &mut [u8]) -> Option<Result<usize, ()>> {
//! #         if self.1.len() < 16 + 8 + 24 + 16 + 8 { return None }
//! #         let answer = b"\x01\x06\0\x01\0\x04\0\0\n\nok\x01\x03\0\x01\0\x08\0\0\0\0\0\0\0\0\0\0";
//! #         buffer[..answer.len()].copy_from_slice(answer);
//! #         Some(Ok(answer.len()))
//! #     }
//! #     fn write(&mut self, bytes: &[u8]) -> Option<Result<usize, ()>> {
//! #         self.1.extend_from_slice(&bytes[..bytes.len().min(7)]);
//! #         Some(Ok(bytes.len().min(7)))
//! #     }
//! # }
//! # let mut page = Vec::new();
//! # post(&mut Script(Duration::ZERO, Vec::new()), b"body", &mut page).unwrap();
//! # assert_eq!(page, b"\n\nok");
//! ```
//!
//! Without an allocator the records of a request are made one by one, and written as they are:
//! [`Session::begin`], [`param`](Session::param), [`params_end`](Session::params_end). The repository's
//! `fcgi-proto/firmware/src/bin/sensor.rs` does so on a microcontroller.

mod patience;
mod request;
mod resend;
mod sending;
mod settings;
#[cfg(feature = "alloc")]
mod stderr;

use core::time::Duration;

use super::connection::Connection;
use super::event::{Event, Odd, SendError};
use crate::life::{Next, Time};
use crate::limits::Limits;
use crate::record::{Control, RequestId};
pub use request::{Ask, End, Failure, Request, Wait};
use request::{Phase, RawEnd, Slot};
pub use resend::{Again, Manners, Resend};
pub use sending::Piece;
pub use settings::Settings;
#[cfg(feature = "alloc")]
pub use stderr::Stderr;

/// Something that concerns a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Input<'i> {
    /// The next bytes of its answer, at least one; or of the answer to GET_VALUES. They count as kept until
    /// they are [taken](Session::took).
    Stdout {
        /// The request.
        request: Request,
        /// The bytes.
        data: &'i [u8],
    },
    /// The next bytes for the error log, at least one.
    Stderr {
        /// The request.
        request: Request,
        /// The bytes.
        data: &'i [u8],
    },
    /// Its wait may be over: [poll](Session::poll) it.
    Look {
        /// The request.
        request: Request,
    },
}

/// The life of a connection that carries up to `N` requests at a time; see the [module](self).
///
/// More than one is for applications that are known to multiplex.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Session<const N: usize> {
    connection: Connection<N>,
    slots: [Slot; N],
    settings: Settings,
    /// Why nothing more comes.
    dead: Option<Failure>,
    /// Whether nothing more can be written.
    deaf: bool,
    /// Bytes that were ever made into records, and that were written.
    queued: u64,
    written: u64,
    /// Bytes that ever came.
    received: u64,
    /// When a byte was last written, and when one last came.
    wrote: Time,
    heard: Time,
    /// When it began to listen again, after what was kept had held it up.
    listening: Time,
    /// No wait ends before: what may end one earlier than it was reckoned to end lowers it.
    earliest: Time,
    /// Requests that are active; that were left before their end; that hold everything up.
    open: u16,
    left: u16,
    full: u16,
    /// Whether any request ever began, or could have.
    used: bool,
    /// Whether requests were active at the same time since none was.
    shared: bool,
    /// The place of GET_VALUES.
    values: Option<u16>,
}

impl<const N: usize> Session<N> {
    /// Of a connection that was just made.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let mut limits = Limits::new();
        limits.ignored = settings.ignored;
        let start = Time::new(Duration::ZERO);
        Self {
            connection: Connection::new(limits),
            slots: [const { Slot::FREE }; N],
            settings,
            dead: None,
            deaf: false,
            queued: 0,
            written: 0,
            received: 0,
            wrote: start,
            heard: start,
            listening: start,
            earliest: Time::NEVER,
            open: 0,
            left: 0,
            full: 0,
            used: false,
            shared: false,
            values: None,
        }
    }

    // What goes out.

    /// The next `count` bytes of the records left.
    pub fn sent(&mut self, count: usize, now: Duration) {
        self.wrote = Time::new(now);
        self.written = self.written.saturating_add(count as u64).min(self.queued);
        // Somebody may wait for a first byte from here on.
        self.come_back(self.wrote.after(self.settings.first_byte.min(self.settings.kept_first_byte)));
    }

    /// A write failed: nothing more is written. What the application sent before it closed is still read.
    pub fn unwritable(&mut self, now: Duration) {
        self.deaf = true;
        self.wrote = Time::new(now);
        self.come_back(self.wrote);
    }

    /// The application sends nothing more.
    pub fn end_of_input(&mut self) {
        let failure = match self.connection.eof() {
            Ok(()) => Failure::Closed,
            Err(error) => Failure::Protocol { error, header: self.connection.header_bytes() },
        };
        self.dead.get_or_insert(failure);
    }

    /// A read failed.
    pub fn broken(&mut self) {
        self.connection.retire();
        self.dead.get_or_insert(Failure::Broken);
    }

    // What comes in.

    /// Eats from the front of `input` and returns what concerns a request; `None` when all of it is used up, or
    /// when nothing is read because of what [nobody took](Self::took): the rest waits then.
    ///
    /// When [`next`](Self::next) then says that the connection is over, all waits are.
    pub fn receive<'i>(&mut self, input: &mut &'i [u8], now: Duration) -> Option<Input<'i>> {
        let now = Time::new(now);
        if !input.is_empty() {
            self.come_back(now.after(self.settings.read));
        }
        while !input.is_empty() && self.full == 0 {
            if self.dead.is_some() {
                *input = &[];
                break;
            }
            let before = input.len();
            let event = self.connection.next_event(input);
            self.received += (before - input.len()) as u64;
            self.heard = now;
            match event {
                Ok(Some(event)) => {
                    if let Some(came) = self.event(event, now) {
                        return Some(came);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    self.dead = Some(Failure::Protocol { error, header: self.connection.header_bytes() });
                }
            }
        }
        None
    }

    fn event<'i>(&mut self, event: Event<'i>, now: Time) -> Option<Input<'i>> {
        match event {
            Event::Stdout { id, data } => self.stdout(Connection::<N>::place(id), data, now),
            Event::Stderr { id, data } => {
                let place = Connection::<N>::place(id);
                // It is no part of the answer.
                let request = self.heard_of(place, 0, now)?;
                Some(Input::Stderr { request, data })
            }
            Event::StdoutEnd { id } | Event::StderrEnd { id } => {
                self.heard_of(Connection::<N>::place(id), 0, now)?;
                None
            }
            Event::End { id, app_status, protocol_status, answered } => {
                let end = RawEnd { app_status, protocol_status, answered, shared: self.shared };
                self.ended(Connection::<N>::place(id), end, now)
            }
            Event::Values { data, last } => {
                let place = usize::from(self.values?);
                let came = if data.is_empty() { None } else { self.stdout(place, data, now) };
                let over = if last { self.ended(place, RawEnd::VALUES, now) } else { None };
                came.or(over)
            }
            Event::UnknownType { .. } => self.ended(usize::from(self.values?), RawEnd::VALUES, now),
        }
    }

    fn stdout<'i>(&mut self, place: usize, data: &'i [u8], now: Time) -> Option<Input<'i>> {
        let request = self.heard_of(place, data.len(), now)?;
        let share = self.share();
        let slot = self.slots.get_mut(place)?;
        let was_full = slot.kept >= share;
        slot.kept = slot.kept.saturating_add(data.len());
        slot.stdout = slot.stdout.saturating_add(data.len() as u16);
        // It has something to take: it does not wait.
        slot.waiting = Time::NEVER;
        if slot.kept >= share && !was_full {
            slot.kept_since = now;
            self.full += 1;
        }
        Some(Input::Stdout { request, data })
    }

    /// Something came for a request; `None` if nobody waits for it.
    fn heard_of(&mut self, place: usize, bytes: usize, now: Time) -> Option<Request> {
        self.pay(place, bytes, now);
        let slot = self.slots.get_mut(place).filter(|slot| slot.is_active())?;
        slot.came = true;
        Some(Request { place: place as u16, generation: slot.generation })
    }

    fn ended<'i>(&mut self, place: usize, end: RawEnd, now: Time) -> Option<Input<'i>> {
        if self.values == Some(place as u16) {
            self.values = None;
        }
        let slot = self.slots.get_mut(place)?;
        if self.written < slot.last {
            // The rest of its input would meet the next request's.
            self.connection.retire();
        }
        match slot.phase {
            Phase::Active => {}
            Phase::Left => {
                self.free(place);
                self.left = self.left.saturating_sub(1);
                return None;
            }
            Phase::Free | Phase::Ended(_) | Phase::Failed(_) => return None,
        }
        slot.phase = Phase::Ended(end);
        let request = Request { place: place as u16, generation: slot.generation };
        self.close(place, now);
        Some(Input::Look { request })
    }

    /// The caller took bytes of the request's STDOUT.
    pub fn took(&mut self, request: Request, count: usize, now: Duration) {
        let share = self.share();
        let Some(slot) = self.slot_mut(request) else { return };
        let was_full = slot.is_active() && slot.kept >= share;
        slot.kept = slot.kept.saturating_sub(count);
        slot.kept_since = Time::new(now);
        if was_full && slot.kept < share {
            self.unhold(Time::new(now));
        }
    }

    // A request's caller.

    /// How the request ended; `None` while the application is waited for. Take what came before its end first. The
    /// request's limits run from this call until something comes.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::Over`] for a request that was left.
    pub fn poll(&mut self, request: Request, now: Duration) -> Result<Option<End>, Failure> {
        let place = request.place();
        let Some(slot) = self.slot(request) else { return Err(Failure::Over) };
        match (slot.phase, self.dead) {
            (Phase::Ended(raw), _) => match End::new(raw, slot.status) {
                Some(end) => Ok(Some(end)),
                None => Err(Failure::Cut { protocol_status: raw.protocol_status }),
            },
            (Phase::Failed(failure), _) | (Phase::Active, Some(failure)) => Err(failure),
            (Phase::Free | Phase::Left, _) => Err(Failure::Over),
            (Phase::Active, None) => {
                if slot.waiting == Time::NEVER && slot.kept == 0 {
                    if let Some(slot) = self.slots.get_mut(place) {
                        slot.waiting = Time::new(now);
                    }
                }
                self.rearm(place);
                Ok(None)
            }
        }
    }

    /// Tells the session the status of the answer's head, once that is whole. A refusal has a 503.
    pub fn head(&mut self, request: Request, status: u16) {
        if let Some(slot) = self.slot_mut(request) {
            slot.status = status;
        }
    }

    /// Whether an answer may turn out to be a refusal: it is a 503 that has not ended, of which at most 8 KiB
    /// came. Whoever can ask elsewhere waits with it until then.
    #[must_use]
    pub fn may_be_refused(&self, request: Request) -> bool {
        const REFUSAL: u16 = 8 * 1024;
        let slot = self.slot(request);
        slot.is_some_and(|slot| {
            slot.is_active() && !self.is_dead() && slot.status == 503 && slot.stdout <= REFUSAL
        })
    }

    /// The caller is done with the request, and its handle is over. If the request has not ended, it is aborted. Where
    /// others share the connection, the record that is returned does that: send it. Else the connection is closed,
    /// which is the abort that works (section 5.4).
    pub fn leave(&mut self, request: Request, now: Duration) -> Control {
        let Ok(place) = self.find_place(request) else { return Control::new() };
        let Some(slot) = self.slots.get_mut(place) else { return Control::new() };
        let id = slot.id;
        if slot.is_active() {
            slot.phase = Phase::Left;
            self.close(place, Time::new(now));
        }
        let Some(id) = id.filter(|id| self.connection.is_active(*id)) else {
            if self.values == Some(request.place) {
                // Its answer would be taken for that of the next one.
                self.values = None;
                self.connection.retire();
            }
            self.free(place);
            return Control::new();
        };
        if let Some(slot) = self.slots.get_mut(place) {
            slot.phase = Phase::Left;
            slot.generation = slot.generation.wrapping_add(1);
        }
        self.left += 1;
        self.connection.retire();
        if self.open == 0 || self.deaf || self.is_dead() {
            return Control::new();
        }
        let abort = self.connection.abort(id).unwrap_or(Control::new());
        self.queued += abort.remaining() as u64;
        abort
    }

    // Time, and what to do next.

    /// What is wanted of the transport now. There is nothing to shut down: applications take a connection whose sending
    /// side has ended for one that is gone. Unlike the server's it takes no time: [`expire`](Self::expire) alone does
    /// what the passing of time causes.
    #[must_use]
    pub fn next(&self) -> Next {
        if self.is_dead() || (self.open == 0 && self.is_over()) {
            return Next { close: true, ..Next::default() };
        }
        Next {
            write: !self.deaf && self.written < self.queued,
            read: self.full == 0,
            at: self.earliest.told().filter(|_| self.open > 0),
            ..Next::default()
        }
    }

    /// The connection waited before its first request: it is not fresh any more, and may have ended meanwhile.
    pub fn waited(&mut self) {
        self.used = true;
    }

    /// Whether a further request may begin, beside those that are active or when they are over.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        !self.is_over()
    }

    /// Requests that are active and were not left.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.into()
    }

    /// The first thing that came which no application should send. It is told once, and is worth a warning in the log
    /// that names the application.
    pub fn take_odd(&mut self) -> Option<Odd> {
        self.connection.take_odd()
    }

    fn is_dead(&self) -> bool {
        self.dead.is_some()
    }

    /// Whether no further request may begin.
    fn is_over(&self) -> bool {
        self.is_dead() || self.deaf || self.left > 0 || !self.connection.is_reusable()
    }

    fn has_room(&self) -> bool {
        !self.deaf && self.queued - self.written < self.settings.room as u64
    }

    fn slot(&self, request: Request) -> Option<&Slot> {
        let slot = self.slots.get(request.place())?;
        (slot.generation == request.generation && !slot.is_free()).then_some(slot)
    }

    fn slot_mut(&mut self, request: Request) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(request.place())?;
        (slot.generation == request.generation && !slot.is_free()).then_some(slot)
    }

    fn find_place(&self, request: Request) -> Result<usize, SendError> {
        self.slot(request).map(|_| request.place()).ok_or(SendError::Over)
    }

    fn find(&self, request: Request) -> Result<(usize, RequestId), SendError> {
        let slot = self.slot(request).ok_or(SendError::Over)?;
        Ok((request.place(), slot.id.ok_or(SendError::Over)?))
    }

    /// Whether any byte of the request's answer came. Where it is alone, whatever comes is for it.
    fn came(&self, slot: &Slot) -> bool {
        slot.came || (!self.shared && self.received > slot.received)
    }

    fn come_back(&mut self, at: Time) {
        self.earliest = self.earliest.min(at);
    }

    /// Bytes that are kept of a request before nothing more is read.
    fn share(&self) -> usize {
        usize::try_from(self.settings.kept).unwrap_or(usize::MAX).max(1)
    }

    /// A request is not active any more, and so holds nothing up.
    fn close(&mut self, place: usize, now: Time) {
        self.open = self.open.saturating_sub(1);
        let share = self.share();
        if self.slots.get(place).is_some_and(|slot| slot.kept >= share) {
            self.unhold(now);
        }
    }

    /// A request holds nothing up any more.
    fn unhold(&mut self, now: Time) {
        self.full = self.full.saturating_sub(1);
        if self.full == 0 {
            // Nobody was listened to meanwhile: all waits begin again.
            self.listening = now;
            self.come_back(now);
        }
    }

    fn free(&mut self, place: usize) {
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = Slot { generation: slot.generation.wrapping_add(1), ..Slot::FREE };
        }
    }
}
