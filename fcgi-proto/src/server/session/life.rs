//! One request's life on its connection, and the lists of those that have something to do.

use crate::life::Time;
use crate::record::RequestId;
use crate::server::Refusal;
use crate::server::slots::{Entry, Slot};

use super::patience::Span;

/// A request of a session: tells it from every other one of the session, also of the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Request {
    pub(super) id: RequestId,
    pub(super) slot: u16,
    pub(super) number: u32,
}

impl Request {
    /// Its id on the connection (section 3.3).
    #[must_use]
    pub const fn id(self) -> RequestId {
        self.id
    }

    /// The number of its slot, from 0: no other request that is not over has it. For a table of the caller's.
    #[must_use]
    pub const fn slot(self) -> usize {
        self.slot as usize
    }
}

/// The bodies that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Stream {
    /// The request's body (section 6.2).
    Stdin,
    /// A Filter's file (section 6.4).
    Data,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Phase {
    Free,
    /// Its parameters come.
    Params,
    /// It is to be refused.
    Refusing(Refusal),
    /// Its handler runs.
    Running,
    /// Its handler is done, and its input is still to be read.
    Draining,
    /// Its handler is done, and its end may leave.
    Ending,
    /// Its caller is to forget it.
    Over,
}

/// Why a request alone gets no more input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Stop {
    Aborted,
    Refused(Refusal),
    /// The client was too slow.
    Late,
}

/// One request of a session, in memory of the caller's.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Life {
    pub(super) wire: Slot,
    pub(super) number: u32,
    /// Its id, also after it is not active on the connection any more.
    pub(super) id: u16,
    pub(super) phase: Phase,
    pub(super) stop: Option<Stop>,
    /// Of the bits below.
    pub(super) flags: u16,
    /// When what it waits for will have taken too long.
    pub(super) due: Time,
    /// Since when it waits for input.
    pub(super) since: Time,
    /// How much longer it may wait for input.
    pub(super) patience: Span,
    /// Bytes of its input that nobody wanted.
    pub(super) drained: u32,
    pub(super) looks: Link,
    pub(super) writers: Link,
}

impl Life {
    /// Its handler waits for input.
    pub(super) const READING: u16 = 1;
    /// Its caller has no room for more of its input.
    pub(super) const FULL: u16 = 1 << 1;
    /// Nor on disk.
    pub(super) const SPOOL_FULL: u16 = 1 << 2;
    /// Its handler has passed STDIN by.
    pub(super) const SKIPS_STDIN: u16 = 1 << 3;
    /// Its handler waits to hear that nobody waits for the answer.
    pub(super) const WATCHING: u16 = 1 << 4;
    /// Its answer waits for its input to end.
    pub(super) const HOLDING: u16 = 1 << 5;
    /// Its answer leaves as it is made.
    pub(super) const FLUSHED: u16 = 1 << 6;
    /// It waits for others to write, or for the transport.
    pub(super) const WAITS_TO_WRITE: u16 = 1 << 7;
    /// It let another write that has waited for longer.
    pub(super) const GAVE_WAY: u16 = 1 << 8;
    /// Its handler has read some of its input.
    pub(super) const HAS_READ: u16 = 1 << 9;
    /// Its handler failed, and what left of its answer is not to pass for the whole.
    pub(super) const FAILED: u16 = 1 << 10;
    /// Some of its input was thrown away since its handler was told that no more comes.
    pub(super) const LOST: u16 = 1 << 11;

    /// A free slot, to fill an array with.
    pub const FREE: Self = Self {
        wire: Slot::FREE,
        number: 0,
        id: 0,
        phase: Phase::Free,
        stop: None,
        flags: 0,
        due: Time::NEVER,
        since: Time::NEVER,
        patience: Span::NONE,
        drained: 0,
        looks: Link::OUT,
        writers: Link::OUT,
    };

    pub(super) const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    pub(super) const fn set(&mut self, flag: u16) {
        self.flags |= flag;
    }

    pub(super) const fn clear(&mut self, flag: u16) {
        self.flags &= !flag;
    }

    /// Whether it is over for its caller.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Free | Phase::Over | Phase::Refusing(_))
    }

    /// Whether its handler may still want input of this stream.
    pub(super) const fn wants(&self, stream: Stream) -> bool {
        let skips = matches!(stream, Stream::Stdin) && self.has(Self::SKIPS_STDIN);
        matches!(self.phase, Phase::Running) && self.stop.is_none() && !skips
    }

    /// Whether its handler waits for others to write, or for the transport.
    pub(super) const fn waits_to_write(&self) -> bool {
        matches!(self.phase, Phase::Running) && self.has(Self::WAITS_TO_WRITE)
    }

    /// Whether a request that begins with its id before its end waits for that, rather than being an error: its handler
    /// waits for nothing that the client may do.
    pub(super) fn ends_by_itself(&self) -> bool {
        !self.has(Self::WATCHING)
    }

    pub(super) fn request(&self, slot: usize) -> Option<Request> {
        let slot = u16::try_from(slot).ok()?;
        Some(Request { id: RequestId::new(self.id)?, slot, number: self.number })
    }
}

impl Entry for Life {
    const FREE: Self = Self::FREE;

    fn slot(&self) -> &Slot {
        &self.wire
    }

    fn slot_mut(&mut self) -> &mut Slot {
        &mut self.wire
    }

    fn is_free(&self) -> bool {
        matches!(self.phase, Phase::Free)
    }
}

/// Where a request is in a list: the slot behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Link(u16);

impl Link {
    /// In no list.
    const OUT: Self = Self(u16::MAX);
    /// The last of its list.
    const LAST: Self = Self(u16::MAX - 1);

    pub(super) fn is_out(self) -> bool {
        self == Self::OUT
    }
}

/// Requests in a row, first come first served; each at most once.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct List {
    first: Link,
    last: Link,
}

impl List {
    pub(super) const EMPTY: Self = Self { first: Link::OUT, last: Link::OUT };

    pub(super) fn is_empty(&self) -> bool {
        self.first == Link::OUT
    }

    pub(super) fn first(&self) -> Option<usize> {
        (!self.is_empty()).then_some(usize::from(self.first.0))
    }

    /// Appends a slot that is not in the list yet.
    pub(super) fn push(&mut self, lives: &mut [Life], slot: usize, link: fn(&mut Life) -> &mut Link) {
        let Ok(number) = u16::try_from(slot) else { return };
        match lives.get_mut(slot).map(link) {
            Some(own) if own.is_out() => *own = Link::LAST,
            _ => return,
        }
        match lives.get_mut(usize::from(self.last.0)).map(link) {
            Some(before) if !self.is_empty() => *before = Link(number),
            _ => self.first = Link(number),
        }
        self.last = Link(number);
    }

    pub(super) fn pop(&mut self, lives: &mut [Life], link: fn(&mut Life) -> &mut Link) -> Option<usize> {
        let slot = self.first()?;
        let own = lives.get_mut(slot).map(link)?;
        let next = core::mem::replace(own, Link::OUT);
        self.first = if next == Link::LAST { Link::OUT } else { next };
        Some(slot)
    }
}
