//! An outgoing PARAMS record of one pair that needs no buffer to be packed in (sections 3.4 and 5.2).

use super::header::{HEADER_LEN, Header, PADDING};
use super::names::{RecordType, RequestId};
use crate::bytes::{Bytes, copy_all, total};
use crate::pair;

/// One PARAMS record of one pair: header and lengths, borrowed name and value, padding.
///
/// A cursor like [`Record`](super::Record).
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "a record is only on the wire once its bytes are written"]
pub struct PairRecord<'a> {
    head: Bytes<{ HEADER_LEN + 8 }>,
    head_sent: u8,
    padding_left: u8,
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> PairRecord<'a> {
    /// `None` if the pair does not fit one record.
    pub(crate) fn new(id: RequestId, name: &'a [u8], value: &'a [u8]) -> Option<Self> {
        let length = u16::try_from(pair::encoded_len(name, value)?).ok()?;
        let header = Header::new(RecordType::Params, id.get(), length).within_max_length();
        let mut head = Bytes::new();
        head.push(&header.encode());
        head.push(&pair::encode_length(name.len())?);
        head.push(&pair::encode_length(value.len())?);
        Some(Self { head, head_sent: 0, padding_left: header.padding_length, name, value })
    }

    /// What is still to be sent: of the header and the lengths, the name, the value, the padding.
    #[must_use]
    pub fn slices(&self) -> [&[u8]; 4] {
        [
            self.head.get(usize::from(self.head_sent)..).unwrap_or(&[]),
            self.name,
            self.value,
            PADDING.get(..usize::from(self.padding_left)).unwrap_or(&[]),
        ]
    }

    /// Bytes that are still to be sent.
    #[must_use]
    pub fn remaining(&self) -> usize {
        total(self.slices())
    }

    /// Notes that the next `count` bytes were sent; more than [`remaining`](Self::remaining) counts as all.
    pub fn advance(&mut self, count: usize) {
        let [head, name, value, padding] = self.slices().map(<[u8]>::len);
        let of_head = count.min(head);
        let of_name = (count - of_head).min(name);
        let of_value = (count - of_head - of_name).min(value);
        let of_padding = (count - of_head - of_name - of_value).min(padding);
        // The first and the last are at most 16.
        self.head_sent += of_head as u8;
        self.name = self.name.get(of_name..).unwrap_or(&[]);
        self.value = self.value.get(of_value..).unwrap_or(&[]);
        self.padding_left -= of_padding as u8;
    }

    /// Copies what fits into `buffer`, advances by it, and returns how many bytes that were.
    pub fn copy_to(&mut self, buffer: &mut [u8]) -> usize {
        let copied = copy_all(&self.slices(), buffer);
        self.advance(copied);
        copied
    }
}
