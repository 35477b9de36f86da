//! Outgoing records that are small and owned (sections 3.3, 4 and 5.5).

use super::header::{HEADER_LEN, Header, PADDING};
use super::names::RecordType;
use crate::bytes::{append, copy, copy_all};

/// Whole records without borrowed content, to be sent as they are: ends of streams, END_REQUEST, refusals,
/// answers to management records.
///
/// It derefs to the bytes that are still to be sent, and is its own cursor like [`Record`](super::Record).
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "a control record is only on the wire once its bytes are written"]
pub struct Control {
    bytes: [u8; Control::CAPACITY],
    len: u8,
    sent: u8,
}

impl Control {
    /// Room for the largest: a refusal's answer, the ends of STDERR and STDOUT, END_REQUEST.
    pub(crate) const CAPACITY: usize = 128;

    pub(crate) const fn new() -> Self {
        Self { bytes: [0; Self::CAPACITY], len: 0, sent: 0 }
    }

    /// Of the records in these bytes, from the record on that begins at the byte `first`.
    #[inline]
    pub(crate) fn of(records: [[u8; HEADER_LEN]; 4], first: usize) -> Self {
        let mut control = Self::new();
        if let Some(bytes) = control.bytes.first_chunk_mut::<{ 4 * HEADER_LEN }>() {
            copy(bytes, records.as_flattened());
        }
        Self { len: size_of_val(&records) as u8, sent: first as u8, ..control }
    }

    /// Appends one record, padded to 8 bytes.
    pub(crate) fn push(&mut self, record_type: RecordType, request_id: u16, content: &[u8]) {
        self.push_with(Header::new(record_type, request_id, content.len() as u16), content);
    }

    /// Appends one record, padded in any case.
    pub(crate) fn push_padded(&mut self, record_type: RecordType, request_id: u16, content: &[u8]) {
        self.push_with(Header::new(record_type, request_id, content.len() as u16).padded(), content);
    }

    fn push_with(&mut self, header: Header, content: &[u8]) {
        let padding = PADDING.get(..usize::from(header.padding_length)).unwrap_or(&[]);
        for part in [&header.encode(), content, padding] {
            self.push_bytes(part);
        }
    }

    /// Appends bytes of records. Every caller's fit [`Self::CAPACITY`]; the tests of all of them say so.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        let mut len = usize::from(self.len);
        let fits = append(&mut self.bytes, &mut len, bytes);
        debug_assert!(fits, "control records of more than {} bytes", Self::CAPACITY);
        // At most CAPACITY, which fits 8 bits.
        self.len = len as u8;
    }

    /// Bytes that are still to be sent.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.len()
    }

    /// Notes that the next `count` bytes were sent; more than [`remaining`](Self::remaining) counts as all.
    pub fn advance(&mut self, count: usize) {
        // At most len, which is of 8 bits.
        self.sent += count.min(self.len()) as u8;
    }

    /// Copies what fits into `buffer`, advances by it, and returns how many bytes that were.
    pub fn copy_to(&mut self, buffer: &mut [u8]) -> usize {
        let copied = copy_all(&[self], buffer);
        self.advance(copied);
        copied
    }
}

impl core::ops::Deref for Control {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(usize::from(self.sent)..usize::from(self.len)).unwrap_or(&[])
    }
}
