//! A variable's value.

use core::iter;

use super::names::same;
use crate::bytes::total;

/// A variable's value: one piece, or those of repeated header fields with what joins them.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Value<'v> {
    pub(super) first: &'v [u8],
    /// Header fields, among them further ones of `name`.
    pub(super) more: &'v [(&'v [u8], &'v [u8])],
    pub(super) name: &'v [u8],
    pub(super) separator: &'v [u8],
}

impl<'v> Value<'v> {
    pub(super) const fn one(value: &'v [u8]) -> Self {
        Self { first: value, more: &[], name: b"", separator: b"" }
    }

    /// The pieces, which follow each other without anything between: for a vectored write, or a copy.
    pub fn parts(&self) -> impl Iterator<Item = &'v [u8]> + Clone + use<'v> {
        let Self { first, more, name, separator } = *self;
        let more = more.iter().filter(move |(other, _)| same(other, name));
        iter::once(first).chain(more.flat_map(move |&(_, value)| [separator, value]))
    }

    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        total(self.parts())
    }

    /// Whether there is no byte in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value in one piece: itself, or joined in `scratch`; `None` if it does not fit that.
    #[must_use]
    pub fn whole<'s>(&self, scratch: &'s mut [u8]) -> Option<&'s [u8]>
    where
        'v: 's,
    {
        if self.parts().nth(1).is_none() {
            return Some(self.first);
        }
        let (to, _) = scratch.split_at_mut_checked(self.len())?;
        let mut free = &mut *to;
        for part in self.parts() {
            let (here, rest) = free.split_at_mut_checked(part.len())?;
            here.copy_from_slice(part);
            free = rest;
        }
        Some(to)
    }
}
