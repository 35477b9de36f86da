//! Bytes taken off the front of a slice, copied without a panic, and kept in place.

use core::fmt;
use core::mem;
use core::ops::Deref;

/// Up to `N` bytes in place. A `heapless::Vec` appends them one by one, which was two thirds of the instructions
/// that a request took.
#[derive(Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Bytes<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Bytes<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    /// Appends all of `data`, or nothing: whether there was room.
    pub(crate) fn push(&mut self, data: &[u8]) -> bool {
        append(&mut self.bytes, &mut self.len, data)
    }

    pub(crate) const fn clear(&mut self) {
        self.len = 0;
    }
}

impl<const N: usize> Deref for Bytes<N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len.min(N)).unwrap_or(&[])
    }
}

impl<const N: usize> fmt::Debug for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.deref().fmt(f)
    }
}

/// Appends to the first `len` of `bytes`, once for every capacity.
#[inline]
pub(crate) fn append(bytes: &mut [u8], len: &mut usize, data: &[u8]) -> bool {
    let Some((free, _)) = bytes.get_mut(*len..).and_then(|free| free.split_at_mut_checked(data.len())) else {
        return false;
    };
    copy(free, data);
    *len += data.len();
    true
}

/// Copies `from` to the front of `to`, as far as it has room: how many bytes. Other than `copy_from_slice` it
/// cannot panic, which a compiler for size does not see of that.
#[inline]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) -> usize {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
    to.len().min(from.len())
}

/// Copies what fits of `slices`, one after the other, and returns how many bytes that were.
pub(crate) fn copy_all(slices: &[&[u8]], buffer: &mut [u8]) -> usize {
    let mut copied = 0;
    for slice in slices {
        let free = buffer.get_mut(copied..).unwrap_or_default();
        copied += copy(free, slice);
    }
    copied
}

/// Moves the bytes from `from` on before the others. It is a rotation, of which a compiler for size sees that it
/// cannot panic.
pub(crate) fn move_to_front(bytes: &mut [u8], from: usize) {
    reverse(bytes);
    if let Some((front, back)) = bytes.split_at_mut_checked(bytes.len().saturating_sub(from)) {
        reverse(front);
        reverse(back);
    }
}

fn reverse(bytes: &mut [u8]) {
    if let Some((front, back)) = bytes.split_at_mut_checked(bytes.len() / 2) {
        front.iter_mut().zip(back.iter_mut().rev()).for_each(|(front, back)| mem::swap(front, back));
    }
}

/// Bytes of all `slices`. Where usize has 16 bits, a record with its header and padding may have more than it can
/// count.
pub(crate) fn total<'a>(slices: impl IntoIterator<Item = &'a [u8]>) -> usize {
    slices.into_iter().fold(0, |total: usize, slice| total.saturating_add(slice.len()))
}

/// Takes at most `count` bytes off the front of `input`.
#[inline]
pub(crate) fn take<'i>(input: &mut &'i [u8], count: usize) -> &'i [u8] {
    let (taken, rest) = input.split_at_checked(count.min(input.len())).unwrap_or_default();
    *input = rest;
    taken
}
