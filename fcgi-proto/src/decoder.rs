//! Bytes in any chunks to record parts; shared by both sides of a connection.
//!
//! Nothing is stored but one partial header, or one partial 8-byte body: content passes through as it comes,
//! padding is skipped whatever its bytes (section 3.3). Content and padding are counted apart, so that
//! 65535 + 255 is nothing special.

use crate::bytes::take;
use crate::error::ConnectionError;
use crate::record::{HEADER_LEN, Header, RecordType, WrongVersion};

/// A piece of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Part<'i> {
    /// A record begins.
    Header(Header),
    /// The whole content of a record with a fixed body: BEGIN_REQUEST, END_REQUEST, UNKNOWN_TYPE.
    Body {
        /// The record's type.
        record_type: u8,
        /// The record's request id.
        request_id: u16,
        /// The content.
        body: [u8; 8],
    },
    /// Some content, never empty, of any other record.
    Content {
        /// The record's type.
        record_type: u8,
        /// The record's request id.
        request_id: u16,
        /// The next bytes of its content.
        data: &'i [u8],
        /// Whether they are its last.
        last: bool,
    },
}

/// What is gathered before it is handed out.
pub(crate) enum Gathered {
    /// It is [`Decoder::record`] now.
    Header,
    Body([u8; HEADER_LEN]),
}

/// Cuts a byte stream into record parts.
///
/// ```
/// use fcgi_proto::decoder::{Decoder, Part};
///
/// let mut input: &[u8] = b"\x01\x05\0\x01\0\x03\x05\0abc\0\0\0\0\0";
/// let mut decoder = Decoder::default();
/// assert!(matches!(decoder.next(&mut input)?, Some(Part::Header(header)) if header.content_length == 3));
/// assert!(matches!(decoder.next(&mut input)?, Some(Part::Content { data: b"abc", last: true, .. })));
/// assert_eq!(decoder.next(&mut input)?, None);
/// assert!(decoder.at_boundary());
/// # Ok::<(), fcgi_proto::ConnectionError>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decoder {
    /// Of a header, or of a fixed body.
    partial: [u8; HEADER_LEN],
    partial_len: u8,
    /// The record that is being read, `content_length` and `padding_length` counting down; that of a fixed body
    /// as a whole.
    left: Header,
    /// Whether the content is a fixed body, to be gathered in `partial`.
    fixed: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// At the start of a connection.
    #[must_use]
    pub const fn new() -> Self {
        let left = Header { record_type: 0, padding_length: 0, request_id: 0, content_length: 0 };
        Self { partial: [0; HEADER_LEN], partial_len: 0, left, fixed: false }
    }

    /// Eats from the front of `input` and returns the next part; `None` when all input is used up.
    ///
    /// Every part takes at least one byte of this call's input.
    ///
    /// # Errors
    /// [`ConnectionError::Version`] for a header that is not of version 1, at this and every later call.
    #[inline]
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Part<'i>>, ConnectionError> {
        let Header { record_type, request_id, .. } = self.left;
        if self.in_content() {
            let content = self.content(input);
            return Ok(content.map(|(data, last)| Part::Content { record_type, request_id, data, last }));
        }
        Ok(self.gathered(input)?.map(|gathered| match gathered {
            Gathered::Header => Part::Header(self.left),
            Gathered::Body(body) => Part::Body { record_type, request_id, body },
        }))
    }

    /// Whether [`content`](Self::content) comes next; else it is something [gathered](Self::gathered).
    #[inline]
    pub(crate) const fn in_content(&self) -> bool {
        self.left.content_length > 0 && !self.fixed
    }

    /// The next header or fixed body.
    #[inline]
    pub(crate) fn gathered(&mut self, input: &mut &[u8]) -> Result<Option<Gathered>, ConnectionError> {
        let in_body = self.left.content_length > 0;
        if !in_body && self.left.padding_length > 0 {
            let skipped = take(input, usize::from(self.left.padding_length));
            // At most padding_length.
            self.left.padding_length -= skipped.len() as u8;
        }
        let Some(bytes) = self.gather(input) else { return Ok(None) };
        if in_body {
            self.left.content_length = 0;
            return Ok(Some(Gathered::Body(bytes)));
        }
        let header = Header::parse(&bytes).map_err(|WrongVersion(found)| {
            // It stays, to be found again.
            (self.partial, self.partial_len) = (bytes, HEADER_LEN as u8);
            ConnectionError::Version { found }
        })?;
        self.left = header;
        self.fixed = usize::from(header.content_length) == self.partial.len()
            && matches!(
                RecordType::from_wire(header.record_type),
                Some(RecordType::BeginRequest | RecordType::EndRequest | RecordType::UnknownType)
            );
        Ok(Some(Gathered::Header))
    }

    /// The next bytes of content that is no fixed body, and whether they are its last.
    #[inline]
    pub(crate) fn content<'i>(&mut self, input: &mut &'i [u8]) -> Option<(&'i [u8], bool)> {
        let data = take(input, usize::from(self.left.content_length));
        if data.is_empty() {
            return None;
        }
        // At most content_length.
        self.left.content_length -= data.len() as u16;
        Some((data, self.left.content_length == 0))
    }

    /// Whether the bytes so far end where a record ends.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.missing() == 0
    }

    /// Whether the bytes so far end inside a header.
    pub(crate) fn in_header(&self) -> bool {
        self.partial_len > 0 && self.left.content_length == 0
    }

    /// The record that is being read, the lengths of its content and padding counting down.
    pub(crate) const fn record(&self) -> &Header {
        &self.left
    }

    /// Bytes that the record being read still lacks, as far as it is known: 0 at a boundary.
    #[must_use]
    pub fn missing(&self) -> u32 {
        let body = u32::from(self.left.content_length) + u32::from(self.left.padding_length);
        let partial = u32::from(self.partial_len);
        // A header's bytes that came are no part of the body, a fixed body's are.
        let header = if self.in_header() { HEADER_LEN as u32 } else { 0 };
        header + body - partial
    }

    /// Gathers the next 8 bytes; `None` until they are all there. Those of another version are there for ever.
    #[inline]
    fn gather(&mut self, input: &mut &[u8]) -> Option<[u8; HEADER_LEN]> {
        if self.partial_len == 0 {
            if let Some((whole, rest)) = input.split_first_chunk() {
                *input = rest;
                return Some(*whole);
            }
        }
        while usize::from(self.partial_len) < HEADER_LEN {
            let (byte, rest) = input.split_first()?;
            *self.partial.get_mut(usize::from(self.partial_len))? = *byte;
            *input = rest;
            self.partial_len += 1;
        }
        self.partial_len = 0;
        Some(self.partial)
    }
}
