//! Where the states of a connection's requests are: found by their id without a search.

use super::order::Stage;
use crate::record::RequestId;

/// One request's records on its connection.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Slot {
    /// 0 in a free slot.
    pub(super) id: u16,
    pub(super) stage: Stage,
    /// Of the bits below.
    pub(super) flags: u8,
    /// Content bytes of the current input stream.
    pub(super) received: u32,
}

impl Slot {
    pub(super) const FREE: Self = Self { id: 0, stage: Stage::Complete, flags: 0, received: 0 };
    /// ABORT_REQUEST came.
    pub(super) const ABORTED: u8 = 1;
    /// Something was written to STDOUT.
    pub(super) const STDOUT: u8 = 2;
    /// Something was written to STDERR.
    pub(super) const STDERR: u8 = 4;

    pub(super) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn may_finish(&self) -> bool {
        self.stage.may_write() || self.has(Self::ABORTED)
    }
}

/// What a table holds of each request.
pub trait Entry: Copy {
    #[doc(hidden)]
    const FREE: Self;
    #[doc(hidden)]
    fn slot(&self) -> &Slot;
    #[doc(hidden)]
    fn slot_mut(&mut self) -> &mut Slot;
    /// Whether another request may have it.
    #[doc(hidden)]
    fn is_free(&self) -> bool;
}

impl Entry for Slot {
    const FREE: Self = Self::FREE;

    fn slot(&self) -> &Slot {
        self
    }

    fn slot_mut(&mut self) -> &mut Slot {
        self
    }

    fn is_free(&self) -> bool {
        self.id == 0
    }
}

/// Memory for the states of a connection's requests: an array, or with the feature `alloc` a `Vec` that grows
/// with the requests that are active at once.
pub trait Slots {
    /// One request's state.
    type Entry: Entry;
    #[doc(hidden)]
    fn entries(&self) -> &[Self::Entry];
    #[doc(hidden)]
    fn entries_mut(&mut self) -> &mut [Self::Entry];
    /// Makes room for this many, where that can be done.
    #[doc(hidden)]
    fn grow(&mut self, len: usize);
}

impl<E: Entry, const N: usize> Slots for [E; N] {
    type Entry = E;

    fn entries(&self) -> &[E] {
        self
    }

    fn entries_mut(&mut self) -> &mut [E] {
        self
    }

    fn grow(&mut self, _len: usize) {}
}

#[cfg(feature = "alloc")]
impl<E: Entry> Slots for alloc::vec::Vec<E> {
    type Entry = E;

    fn entries(&self) -> &[E] {
        self
    }

    fn entries_mut(&mut self) -> &mut [E] {
        self
    }

    fn grow(&mut self, len: usize) {
        // Most connections have one request at a time.
        if self.capacity() == 0 {
            self.reserve_exact(len);
        }
        self.resize(len.max(self.len()), E::FREE);
    }
}

/// A connection's requests. Each has the place that its id stands for, as long as that is free.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Table<const N: usize, S> {
    pub(super) slots: S,
    /// Active requests that are not at their place: if there are none, an id is there or nowhere.
    displaced: u16,
    /// One came with KEEP_CONN clear: no other begins once the input of all is complete.
    pub(super) closing: bool,
    /// What still comes then is not FastCGI.
    pub(super) garbled: bool,
}

impl<const N: usize, S> Table<N, S> {
    pub(super) const fn new(slots: S) -> Self {
        Self { slots, displaced: 0, closing: false, garbled: false }
    }
}

impl<const N: usize, S: Slots> Table<N, S> {
    pub(super) fn any_active(&self) -> bool {
        self.slots.entries().iter().any(|entry| entry.slot().id != 0)
    }

    /// Whether all input of all active requests came.
    pub(super) fn all_complete(&self) -> bool {
        self.slots.entries().iter().all(|entry| entry.slot().stage == Stage::Complete)
    }

    fn place(id: RequestId) -> usize {
        usize::from(id.get() - 1).checked_rem(N).unwrap_or(0)
    }

    fn is_at(&self, index: usize, id: RequestId) -> bool {
        self.slots.entries().get(index).is_some_and(|entry| entry.slot().id == id.get())
    }

    #[inline]
    pub(super) fn index(&self, id: RequestId) -> Option<usize> {
        let place = Self::place(id);
        if self.is_at(place, id) {
            return Some(place);
        }
        if N == 1 || self.displaced == 0 {
            return None;
        }
        self.slots.entries().iter().position(|entry| entry.slot().id == id.get())
    }

    #[inline]
    pub(super) fn get(&self, id: RequestId) -> Option<&Slot> {
        self.slots.entries().get(self.index(id)?).map(Entry::slot)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: RequestId) -> Option<&mut Slot> {
        let index = self.index(id)?;
        self.slots.entries_mut().get_mut(index).map(Entry::slot_mut)
    }

    /// Takes a free place for a request that begins; `None` if there is none.
    pub(super) fn begin(&mut self, id: RequestId, stage: Stage) -> Option<usize> {
        let place = Self::place(id);
        let len = self.slots.entries().len();
        // A table grows with the requests, not with the ids that a client chooses.
        if place >= len && place <= 2 * len + 1 {
            self.slots.grow(place + 1);
        }
        let is_free = |entry: &S::Entry| entry.is_free();
        let index = if self.slots.entries().get(place).is_some_and(is_free) {
            place
        } else {
            let index = self.slots.entries().iter().position(is_free);
            index.or_else(|| {
                let len = self.slots.entries().len();
                self.slots.grow((len + 1).min(N));
                (self.slots.entries().len() > len).then_some(len)
            })?
        };
        let entry = self.slots.entries_mut().get_mut(index)?;
        *entry.slot_mut() = Slot { id: id.get(), stage, flags: 0, received: 0 };
        self.displaced += u16::from(index != place);
        Some(index)
    }

    /// Ends an active request, and returns what it was.
    pub(super) fn end(&mut self, id: RequestId) -> Option<Slot> {
        let index = self.index(id)?;
        let slot = self.slots.entries_mut().get_mut(index)?.slot_mut();
        let ended = core::mem::replace(slot, Slot::FREE);
        self.displaced -= u16::from(index != Self::place(id));
        Some(ended)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::cell::Cell;
    use std::vec::Vec;

    use super::*;
    use crate::limits::Limits;
    use crate::server::Connection;

    std::thread_local! {
        /// How many requests were looked at.
        static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    #[derive(Clone, Copy)]
    struct Counted(Slot);

    impl Entry for Counted {
        const FREE: Self = Self(Slot::FREE);

        fn slot(&self) -> &Slot {
            LOOKS.set(LOOKS.get() + 1);
            &self.0
        }

        fn slot_mut(&mut self) -> &mut Slot {
            LOOKS.set(LOOKS.get() + 1);
            &mut self.0
        }

        fn is_free(&self) -> bool {
            self.0.is_free()
        }
    }

    /// How many requests are looked at for a byte of the body of the last of `N`.
    fn looks_for_a_byte<const N: usize>() -> usize {
        let mut connection = Connection::<N, _>::with_slots(Limits::new(), Vec::<Counted>::new());
        let begin = |id: u16| {
            let [id1, id0] = id.to_be_bytes();
            [[1, 1, id1, id0, 0, 8, 0, 0], [0, 1, 1, 0, 0, 0, 0, 0], [1, 4, id1, id0, 0, 0, 0, 0]].concat()
        };
        let last = N as u16;
        for id in 1..=last {
            let bytes = begin(id);
            let mut input = &bytes[..];
            while connection.next_event(&mut input).expect("it is FastCGI").is_some() {}
        }
        let [id1, id0] = last.to_be_bytes();
        let mut input = &[1, 5, id1, id0, 0, 1, 0, 0, b'x'][..];
        LOOKS.set(0);
        assert!(connection.next_event(&mut input).expect("it is FastCGI").is_some());
        LOOKS.get()
    }

    #[test]
    fn a_byte_for_the_last_of_many_requests_is_no_search() {
        let looks = looks_for_a_byte::<1>();
        assert!(looks > 0);
        let of_more = [looks_for_a_byte::<64>(), looks_for_a_byte::<1024>(), looks_for_a_byte::<4096>()];
        assert_eq!(of_more, [looks; 3]);
    }
}
