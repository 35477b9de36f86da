//! A variable's value.

use super::names::same;
use crate::bytes::{append, total};
use crate::cgi::field::Field;

/// A variable's value: one piece, or those of repeated header fields with what joins them.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Value<'v> {
    /// The first field with the value, the last one, and what lies between.
    pub(super) fields: &'v [Field<'v>],
}

impl<'v> Value<'v> {
    /// The pieces, which follow each other without anything between: for a vectored write, or a copy.
    pub fn parts(&self) -> impl Iterator<Item = &'v [u8]> + Clone + use<'v> {
        match self.fields {
            [(name, value), more @ ..] => Parts { name, value: Some(value), more },
            [] => Parts { name: b"", value: None, more: &[] },
        }
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
        if let [(_, value)] = self.fields {
            return Some(value);
        }
        let mut len = 0;
        for part in self.parts() {
            append(scratch, &mut len, part).then_some(())?;
        }
        scratch.get(..len)
    }
}

/// The values of the fields of one name, and what joins them.
#[derive(Clone)]
struct Parts<'v> {
    name: &'v [u8],
    /// What comes next.
    value: Option<&'v [u8]>,
    more: &'v [Field<'v>],
}

impl<'v> Iterator for Parts<'v> {
    type Item = &'v [u8];

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(value) = self.value.take() {
            return Some(value);
        }
        while let [(name, value), more @ ..] = self.more {
            self.more = more;
            if same(name, self.name) {
                self.value = Some(value);
                return Some(if same(name, b"Cookie") { b"; " } else { b", " });
            }
        }
        None
    }
}
