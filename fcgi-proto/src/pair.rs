//! Name-value pairs: what the streams of PARAMS and the management records GET_VALUES and GET_VALUES_RESULT
//! are made of (FastCGI 1.0, section 3.4).
//!
//! A pair is two lengths, then the name, then the value, all binary. A length up to 127 takes one byte, or
//! four with the top bit set; a longer one always four.
//!
//! There are three ways to turn a request's PARAMS into parameters. [`Params`] (fixed capacity) or
//! [`ParamsBuf`] (feature `alloc`, growing up to a limit) keep the raw bytes and look names up by a scan: one
//! copy, no hashing. [`Selected`] keeps those of a few names, in little memory. [`Decoder`] keeps nothing and hands out
//! whole pairs, or fragments of those that are cut.

mod params;
mod selected;

use core::fmt;

pub use self::params::Params;
#[cfg(feature = "alloc")]
pub use self::params::ParamsBuf;
pub use self::selected::Selected;
use crate::bytes::{Bytes, append, take};

/// The longest name or value, in bytes: lengths have 31 bits. Where `usize` is narrower, it is `usize::MAX`.
pub const MAX_LEN: usize = (u32::MAX >> 1) as usize;

/// A stream of pairs that ends inside one, or lies about a length.
///
/// What to do with such PARAMS is open point Z7. Here a request whose parameters are not whole is never run:
/// answer it with [`Refusal::Malformed`](crate::server::Refusal::Malformed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TruncatedPair {
    /// Bytes of whole pairs before the one that is not.
    pub whole: usize,
    /// Bytes that came after them.
    pub left: usize,
}

impl fmt::Display for TruncatedPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pairs end inside one: {} bytes after {} bytes of whole pairs", self.left, self.whole)
    }
}

impl core::error::Error for TruncatedPair {}

/// More bytes than there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct CapacityError {
    /// The capacity or limit, in bytes.
    pub capacity: usize,
    /// Bytes that were to be kept in all.
    pub needed: usize,
}

impl fmt::Display for CapacityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes do not fit {}", self.needed, self.capacity)
    }
}

impl core::error::Error for CapacityError {}

/// The lengths of a pair's name and value, and the bytes after them.
#[inline]
fn lengths(pairs: &[u8]) -> Option<(usize, usize, &[u8])> {
    let (name_len, rest) = length(pairs)?;
    let (value_len, content) = length(rest)?;
    Some((name_len, value_len, content))
}

/// A length, and the bytes after it. Cold, since few pairs come here, and in line all the same: a loop over
/// short ones then needs nothing of it.
#[cold]
#[inline(always)]
fn length(input: &[u8]) -> Option<(usize, &[u8])> {
    match *input {
        [length @ ..0x80, ref rest @ ..] => Some((length.into(), rest)),
        [first, b2, b1, b0, ref rest @ ..] => {
            // 31 bits: where usize is narrower no slice is that long, and any length above it says so.
            let length = u32::from_be_bytes([first & 0x7f, b2, b1, b0]);
            Some((usize::try_from(length).unwrap_or(usize::MAX), rest))
        }
        _ => None,
    }
}

/// Iterates over the pairs `(name, value)` in a slice, in their order, without copying.
///
/// It ends at the end or before a pair that is not whole; [`rest`](Self::rest) tells which.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pairs<'a> {
    rest: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// Of the pairs in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes not yet iterated over: none when the slice ended with a whole pair.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The value of the last of the remaining pairs that has this name: web servers send a parameter again to
    /// override it, and PHP, Perl, Python and Go take the last too.
    #[must_use]
    #[inline]
    pub fn get(mut self, name: &[u8]) -> Option<&'a [u8]> {
        let mut last = None;
        while let Some((found, value)) = self.next_of(|len| len == name.len()) {
            if found == name {
                last = Some(value);
            }
        }
        last
    }

    /// The values of a few names, each as [`get`](Self::get) finds it, in one walk that [checks](Self::check) all pairs
    /// as well.
    ///
    /// ```
    /// let pairs = fcgi_proto::pair::Pairs::new(b"\x0b\x01REQUEST_URI/\x0c\x00QUERY_STRING");
    /// let [uri, method] = pairs.values([b"REQUEST_URI", b"REQUEST_METHOD"])?;
    /// assert_eq!((uri, method), (Some(&b"/"[..]), None));
    /// # Ok::<(), fcgi_proto::pair::TruncatedPair>(())
    /// ```
    ///
    /// # Errors
    /// [`TruncatedPair`] with the place of the first that is not whole.
    #[inline]
    pub fn values<const N: usize>(
        mut self,
        names: [&[u8]; N],
    ) -> Result<[Option<&'a [u8]>; N], TruncatedPair> {
        let all = self.rest.len();
        let mut values = [None; N];
        while let Some((found, value)) = self.next_of(|len| names.iter().any(|name| name.len() == len)) {
            if !names.contains(&found) {
                continue;
            }
            for (name, last) in names.iter().zip(&mut values) {
                if found == *name {
                    *last = Some(value);
                }
            }
        }
        match self.rest.len() {
            0 => Ok(values),
            left => Err(TruncatedPair { whole: all - left, left }),
        }
    }

    /// Whether all pairs are whole.
    ///
    /// # Errors
    /// [`TruncatedPair`] with the place of the first that is not.
    #[inline]
    pub fn check(self) -> Result<(), TruncatedPair> {
        self.values([]).map(|[]| ())
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.next_of(|_| true)
    }
}

impl<'a> Pairs<'a> {
    /// The next one whose name has such a length: the others are passed by without a look.
    #[inline]
    fn next_of(&mut self, wanted: impl Fn(usize) -> bool) -> Option<(&'a [u8], &'a [u8])> {
        loop {
            let (short, content) = self.rest.split_first_chunk()?;
            let short = u32::from(u16::from_le_bytes(*short));
            let (name_len, value_len) = ((short & 0xff) as usize, (short >> 8) as usize);
            // A byte for each length: most of what web servers send.
            let is_short = short & 0x8080 == 0;
            if is_short && !wanted(name_len) {
                self.rest = self.rest.get(2 + name_len + value_len..)?;
                continue;
            }
            let (name_len, value_len, content) =
                if is_short { (name_len, value_len, content) } else { lengths(self.rest)? };
            let (pair, rest) = content.split_at_checked(name_len.saturating_add(value_len))?;
            self.rest = rest;
            // A short one that is not wanted was passed by above.
            if is_short || wanted(name_len) {
                return pair.split_at_checked(name_len);
            }
        }
    }
}

/// Bytes that the pair takes when encoded; `None` if the name or the value is longer than [`MAX_LEN`].
#[must_use]
pub fn encoded_len(name: &[u8], value: &[u8]) -> Option<usize> {
    let lengths = encode_length(name.len())?.len() + encode_length(value.len())?.len();
    lengths.checked_add(name.len())?.checked_add(value.len())
}

/// Appends the pair's encoding to what `buffer` holds up to `*len`, and moves `len` behind it.
///
/// # Errors
/// [`CapacityError`] if it does not fit; `buffer` and `len` are then as they were.
pub fn encode(name: &[u8], value: &[u8], buffer: &mut [u8], len: &mut usize) -> Result<(), CapacityError> {
    let capacity = buffer.len();
    let too_long = |needed| CapacityError { capacity, needed };
    let size = encoded_len(name, value).ok_or(too_long(usize::MAX))?;
    let needed = len.saturating_add(size);
    let room = buffer.get_mut(..needed).ok_or(too_long(needed))?;
    let (Some(name_len), Some(value_len)) = (encode_length(name.len()), encode_length(value.len())) else {
        return Err(too_long(needed));
    };
    let fits = [&*name_len, &value_len, name, value].iter().all(|part| append(room, len, part));
    if fits { Ok(()) } else { Err(too_long(needed)) }
}

/// Packs pairs into the caller's memory, `B`, one PARAMS record's worth at a time.
///
/// A pair must not be split over two records, so when one does not fit any more, the record is sent, the packer
/// [cleared](Self::clear), and the pair pushed again. See [`crate::client::Connection::params`].
///
/// ```
/// let mut pairs = fcgi_proto::pair::Packer::new([0; 16]);
/// pairs.push(b"A", b"1")?;
/// assert!(pairs.push(b"LONG_NAME", b"LONG VALUE").is_err());
/// assert_eq!(pairs.bytes(), b"\x01\x01A1");
/// # Ok::<(), fcgi_proto::pair::CapacityError>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Packer<B> {
    buffer: B,
    len: usize,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Packer<B> {
    /// Empty; of `buffer`, at most the 65535 bytes of a record are used.
    pub const fn new(buffer: B) -> Self {
        Self { buffer, len: 0 }
    }

    /// Packs a pair.
    ///
    /// # Errors
    /// [`CapacityError`] if it does not fit; nothing is packed then. If it does not fit an empty packer of
    /// 65535 bytes, it fits no record.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), CapacityError> {
        let buffer = self.buffer.as_mut();
        let capacity = buffer.len().min(usize::from(u16::MAX));
        let free = buffer.get_mut(..capacity).unwrap_or_default();
        encode(name, value, free, &mut self.len)
    }

    /// The packed pairs.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.as_ref().get(..self.len).unwrap_or(&[])
    }

    /// Forgets them, once they are sent.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

/// A length's one or four bytes; `None` above 31 bits.
#[inline]
pub(crate) fn encode_length(length: usize) -> Option<Bytes<4>> {
    let wide = u32::try_from(length).ok().filter(|length| length >> 31 == 0)?;
    let (short, long) = ([wide as u8], (wide | 0x8000_0000).to_be_bytes());
    let mut bytes = Bytes::new();
    bytes.push(if wide < 0x80 { &short } else { &long });
    Some(bytes)
}

/// A piece of a stream of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Part<'i> {
    /// A pair whose name and value lie whole in the chunk.
    Pair {
        /// The name.
        name: &'i [u8],
        /// The value.
        value: &'i [u8],
    },
    /// A pair that is cut begins. That many bytes of name and value follow in fragments; of an empty name or
    /// an empty value there is none.
    Sizes {
        /// Bytes of the name, as claimed.
        name_len: u32,
        /// Bytes of the value, as claimed.
        value_len: u32,
    },
    /// The next bytes, at least one, of the name.
    Name {
        /// The bytes.
        data: &'i [u8],
        /// Whether they are the name's last.
        last: bool,
    },
    /// The next bytes, at least one, of the value.
    Value {
        /// The bytes.
        data: &'i [u8],
        /// Whether they are the value's, and so the pair's, last.
        last: bool,
    },
}

/// Decodes a stream of pairs in any chunks without storing names or values.
///
/// ```
/// use fcgi_proto::pair::{Decoder, Part};
///
/// let mut decoder = Decoder::new();
/// let mut chunk: &[u8] = b"\x01\x01ab\x01\x03xy";
/// assert_eq!(decoder.next(&mut chunk), Some(Part::Pair { name: b"a", value: b"b" }));
/// assert_eq!(decoder.next(&mut chunk), Some(Part::Sizes { name_len: 1, value_len: 3 }));
/// assert_eq!(decoder.next(&mut chunk), Some(Part::Name { data: b"x", last: true }));
/// assert_eq!(decoder.next(&mut chunk), Some(Part::Value { data: b"y", last: false }));
/// assert_eq!(decoder.next(&mut chunk), None);
/// assert!(!decoder.at_boundary());
/// ```
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decoder {
    name: u32,
    value: u32,
    stage: Stage,
    /// Bytes that are missing of a length of four.
    missing: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Stage {
    /// Before or in the length of the name.
    #[default]
    NameLength,
    /// Before or in the length of the value.
    ValueLength,
    /// In the name or the value.
    Content,
}

impl Decoder {
    /// At the start of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self { name: 0, value: 0, stage: Stage::NameLength, missing: 0 }
    }

    /// Eats from the front of `chunk` and returns the next part; `None` when the chunk is used up.
    ///
    /// Every part takes at least one byte of this call's chunk.
    pub fn next<'i>(&mut self, chunk: &mut &'i [u8]) -> Option<Part<'i>> {
        loop {
            let length = match self.stage {
                Stage::NameLength => &mut self.name,
                Stage::ValueLength => &mut self.value,
                Stage::Content => return self.fragment(chunk),
            };
            let (byte, rest) = chunk.split_first()?;
            *chunk = rest;
            if self.missing > 0 {
                *length = (*length << 8) | u32::from(*byte);
                self.missing -= 1;
            } else {
                *length = u32::from(*byte & 0x7f);
                self.missing = if *byte < 0x80 { 0 } else { 3 };
            }
            if self.missing == 0 {
                if self.stage == Stage::ValueLength {
                    self.stage = Stage::Content;
                    return Some(self.content(chunk));
                }
                self.stage = Stage::ValueLength;
            }
        }
    }

    /// Whether the bytes so far end with a whole pair, as a stream must (open point Z7).
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.stage == Stage::NameLength && self.missing == 0
    }

    /// Both lengths are known: the whole pair, if it lies in the chunk, or its sizes.
    fn content<'i>(&mut self, chunk: &mut &'i [u8]) -> Part<'i> {
        let (name_len, value_len) = (self.name, self.value);
        let whole = u64::from(name_len) + u64::from(value_len);
        if whole > chunk.len() as u64 {
            return Part::Sizes { name_len, value_len };
        }
        // Both are within the chunk, so they fit its usize.
        let name = take(chunk, name_len as usize);
        let value = take(chunk, value_len as usize);
        self.stage = Stage::NameLength;
        Part::Pair { name, value }
    }

    /// The next bytes of the name or the value, and whether they are its last.
    fn fragment<'i>(&mut self, chunk: &mut &'i [u8]) -> Option<Part<'i>> {
        let of_name = self.name > 0;
        let left = if of_name { &mut self.name } else { &mut self.value };
        let data = take(chunk, usize::try_from(*left).unwrap_or(usize::MAX));
        if data.is_empty() {
            return None;
        }
        // At most left.
        *left -= data.len() as u32;
        let last = *left == 0;
        if self.name == 0 && self.value == 0 {
            self.stage = Stage::NameLength;
        }
        Some(if of_name { Part::Name { data, last } } else { Part::Value { data, last } })
    }
}
