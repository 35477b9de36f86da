//! A request's parameters, kept as they came: all of them, in memory that is fixed or grows.

#[cfg(feature = "alloc")]
use alloc::boxed::Box;
#[cfg(feature = "alloc")]
use alloc::vec::Vec;
#[cfg(feature = "alloc")]
use core::ops::Range;

use super::{CapacityError, Pairs, TruncatedPair};
use crate::bytes::Bytes;

/// One request's parameters in `N` bytes: append the raw content of PARAMS records, then look names up.
///
/// ```
/// let mut params = fcgi_proto::pair::Params::<1024>::new();
/// params.push(b"\x0b\x01REQUEST_URI/\x0c")?;          // cut anywhere
/// params.push(b"\x00QUERY_STRING")?;
/// params.finish()?;                                   // at Event::ParamsEnd: all pairs are whole
/// assert_eq!(params.get(b"REQUEST_URI"), Some(&b"/"[..]));
/// assert_eq!(params.get(b"QUERY_STRING"), Some(&b""[..]));
/// assert_eq!(params.get(b"CONTENT_LENGTH"), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Params<const N: usize> {
    bytes: Bytes<N>,
}

impl<const N: usize> Default for Params<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Params<N> {
    /// No parameters yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Bytes::new() }
    }

    /// Appends the next bytes of the stream, cut anywhere.
    ///
    /// # Errors
    /// [`CapacityError`] if they do not fit; nothing is appended then.
    pub fn push(&mut self, data: &[u8]) -> Result<(), CapacityError> {
        if self.bytes.push(data) {
            return Ok(());
        }
        Err(CapacityError { capacity: N, needed: self.bytes.len().saturating_add(data.len()) })
    }

    /// Forgets everything, for the next request.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Checks, at the end of the stream, that all pairs are whole.
    ///
    /// # Errors
    /// [`TruncatedPair`]: the request must not be run (open point Z7).
    pub fn finish(&self) -> Result<(), TruncatedPair> {
        self.iter().check()
    }

    /// The value of the last parameter with this name.
    #[must_use]
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().get(name)
    }

    /// The parameters `(name, value)` in the order received.
    #[must_use]
    pub fn iter(&self) -> Pairs<'_> {
        Pairs::new(&self.bytes)
    }
}

impl<'a, const N: usize> IntoIterator for &'a Params<N> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Pairs<'a>;

    fn into_iter(self) -> Pairs<'a> {
        self.iter()
    }
}

/// One request's parameters in a buffer that grows with what came, up to a limit (feature `alloc`).
///
/// What a length claims reserves nothing. [`clear`](Self::clear) keeps the buffer for the next request.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ParamsBuf {
    bytes: Vec<u8>,
    /// Where they are in `bytes`: they are all of it, or lie in the memory into which they were read.
    place: Range<usize>,
    limit: usize,
}

#[cfg(feature = "alloc")]
impl ParamsBuf {
    /// No parameters yet, and at most `limit` bytes of them.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), place: 0..0, limit }
    }

    /// Whether so many bytes of them are within the limit.
    pub(crate) const fn takes(&self, len: usize) -> bool {
        len <= self.limit
    }

    /// Those at this place of the memory into which they were read, which does not begin with them.
    pub(crate) fn within(&self, memory: Box<[u8]>, place: Range<usize>) -> Self {
        Self { bytes: memory.into_vec(), place, limit: self.limit }
    }

    /// The memory [within](Self::within) which they are, if they are.
    pub(crate) fn into_memory(self) -> Result<Box<[u8]>, Self> {
        if self.place.start > 0 { Ok(self.bytes.into_boxed_slice()) } else { Err(self) }
    }

    /// Appends the next bytes of the stream, cut anywhere.
    ///
    /// # Errors
    /// [`CapacityError`] if they pass the limit; nothing is appended then.
    #[inline]
    pub fn push(&mut self, data: &[u8]) -> Result<(), CapacityError> {
        let needed = self.place.len().saturating_add(data.len());
        if needed > self.limit {
            return Err(CapacityError { capacity: self.limit, needed });
        }
        if self.place.start > 0 {
            self.bytes = self.iter().rest().to_vec();
        }
        self.bytes.extend_from_slice(data);
        self.place = 0..self.bytes.len();
        Ok(())
    }

    /// All of them, and none are left; the limit stays.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::new(self.limit))
    }

    /// Forgets everything, for the next request, and gives back what is more than `keep` bytes of memory.
    #[inline]
    pub fn clear(&mut self, keep: usize) {
        self.bytes.clear();
        self.place = 0..0;
        self.bytes.shrink_to(keep);
    }

    /// Checks, at the end of the stream, that all pairs are whole.
    ///
    /// # Errors
    /// [`TruncatedPair`]: the request must not be run (open point Z7).
    pub fn finish(&self) -> Result<(), TruncatedPair> {
        self.iter().check()
    }

    /// The value of the last parameter with this name.
    #[must_use]
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().get(name)
    }

    /// The parameters `(name, value)` in the order received.
    #[must_use]
    pub fn iter(&self) -> Pairs<'_> {
        Pairs::new(self.bytes.get(self.place.clone()).unwrap_or_default())
    }
}

#[cfg(feature = "alloc")]
impl<'a> IntoIterator for &'a ParamsBuf {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Pairs<'a>;

    fn into_iter(self) -> Pairs<'a> {
        self.iter()
    }
}
