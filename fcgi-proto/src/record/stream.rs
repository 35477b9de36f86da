//! An outgoing record of a stream: a cursor over its header, the caller's data and its padding (section 3.3).

use super::header::{HEADER_LEN, Header, MAX_CONTENT, PADDING};
use super::names::{RecordType, RequestId};
use crate::bytes::{copy_all, take, total};

/// One record of a stream to be sent: header, borrowed content, padding to a multiple of 8 bytes.
///
/// It is its own cursor: write [`slices`](Self::slices) with one vectored write, tell
/// [`advance`](Self::advance) how many bytes left, go on until [`remaining`](Self::remaining) is 0. Those who
/// gather records in a buffer use [`copy_to`](Self::copy_to).
///
/// ```
/// use fcgi_proto::record::{Record, RecordType, RequestId};
///
/// let (mut record, rest) = Record::stream(RecordType::Stdout, RequestId::ONE, b"hello");
/// assert_eq!(record.slices().concat(), b"\x01\x06\0\x01\0\x05\x03\0hello\0\0\0");
/// assert!(rest.is_empty());
/// record.advance(9);
/// assert_eq!(record.slices().concat(), b"ello\0\0\0");
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "a record is only on the wire once its bytes are written"]
pub struct Record<'a> {
    header: [u8; HEADER_LEN],
    header_sent: u8,
    padding_left: u8,
    content: &'a [u8],
}

impl<'a> Record<'a> {
    /// A record with as much of `data` as fits one, at most [`MAX_CONTENT`] bytes, and the rest of `data`.
    ///
    /// Of empty `data` nothing is sent: an empty record would end the stream (section 3.3). Nor is anything with
    /// the type of a record that is no stream's, and all of `data` is the rest: a record with an END_REQUEST's type
    /// and any content would be a lie.
    ///
    /// A STDERR record is always padded, by 8 bytes where it need not be: HAProxy 2.6 crashes on one without
    /// padding that ends a write.
    pub fn stream(record_type: RecordType, id: RequestId, data: &'a [u8]) -> (Self, &'a [u8]) {
        use RecordType::{
            AbortRequest, BeginRequest, Data, EndRequest, GetValues, GetValuesResult, Params, Stderr, Stdin,
            Stdout, UnknownType,
        };
        let max = match record_type {
            Params | Stdin | Stdout | Data => MAX_CONTENT,
            Stderr => MAX_CONTENT - PADDING.len(),
            BeginRequest | AbortRequest | EndRequest | GetValues | GetValuesResult | UnknownType => 0,
        };
        let mut rest = data;
        let content = take(&mut rest, max);
        // At most MAX_CONTENT bytes: the length fits 16 bits.
        let mut header = Header::new(record_type, id.get(), content.len() as u16);
        if record_type == Stderr && !content.is_empty() {
            header = header.padded();
        }
        let header_sent = if content.is_empty() { HEADER_LEN as u8 } else { 0 };
        (Self { header: header.encode(), header_sent, padding_left: header.padding_length, content }, rest)
    }

    /// A record of which nothing is sent.
    pub(crate) const fn nothing() -> Self {
        Self { header: [0; HEADER_LEN], header_sent: HEADER_LEN as u8, padding_left: 0, content: &[] }
    }

    /// A record with all of `content`; `None` if that is more than 65535 bytes. Of no content nothing is sent.
    /// Padding is left out where content and padding would pass 65535 bytes.
    pub(crate) fn whole(record_type: RecordType, id: RequestId, content: &'a [u8]) -> Option<Self> {
        let length = u16::try_from(content.len()).ok()?;
        let header = Header::new(record_type, id.get(), length).within_max_length();
        let header_sent = if content.is_empty() { HEADER_LEN as u8 } else { 0 };
        Some(Self { header: header.encode(), header_sent, padding_left: header.padding_length, content })
    }

    /// What is still to be sent: of the header, of the content, of the padding.
    #[must_use]
    pub fn slices(&self) -> [&[u8]; 3] {
        [
            self.header.get(usize::from(self.header_sent)..).unwrap_or(&[]),
            self.content,
            PADDING.get(..usize::from(self.padding_left)).unwrap_or(&[]),
        ]
    }

    /// Its header and its padding, for content that lies between.
    #[cfg(any(feature = "alloc", feature = "embedded-io-07"))]
    pub(crate) fn frame(&self) -> ([u8; HEADER_LEN], &'static [u8]) {
        (self.header, PADDING.get(..usize::from(self.padding_left)).unwrap_or(&[]))
    }

    /// Bytes that are still to be sent, header and padding included.
    #[must_use]
    pub fn remaining(&self) -> usize {
        total(self.slices())
    }

    /// Notes that the next `count` bytes were sent; more than [`remaining`](Self::remaining) counts as all.
    pub fn advance(&mut self, count: usize) {
        let of_header = count.min(HEADER_LEN - usize::from(self.header_sent));
        let of_content = take(&mut self.content, count - of_header).len();
        let of_padding = (count - of_header - of_content).min(usize::from(self.padding_left));
        // The first and the last are at most 8.
        self.header_sent += of_header as u8;
        self.padding_left -= of_padding as u8;
    }

    /// Copies what fits into `buffer`, advances by it, and returns how many bytes that were.
    #[inline]
    pub fn copy_to(&mut self, buffer: &mut [u8]) -> usize {
        let copied = copy_all(&self.slices(), buffer);
        self.advance(copied);
        copied
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::MAX_LENGTH;

    #[test]
    fn only_the_types_of_streams_make_a_record_of_data() {
        use RecordType::{Data, Params, Stderr, Stdin, Stdout};
        for record_type in (0..=u8::MAX).filter_map(RecordType::from_wire) {
            let (record, rest) = Record::stream(record_type, RequestId::ONE, b"abc");
            if matches!(record_type, Params | Stdin | Stdout | Stderr | Data) {
                assert_eq!((record.slices()[1], rest), (&b"abc"[..], &b""[..]));
            } else {
                assert_eq!((record.remaining(), rest), (0, &b"abc"[..]), "{record_type:?}");
            }
        }
    }

    #[test]
    fn w16_a_stderr_record_is_padded_whatever_its_length() {
        let data = [b'e'; MAX_LENGTH];
        for length in [1, 7, 8, 16, 65519, 65520, 65521, 65535] {
            let (record, rest) = Record::stream(RecordType::Stderr, RequestId::ONE, &data[..length]);
            let [header, content, padding] = record.slices();
            assert!((1..=8).contains(&padding.len()), "{length}: {}", padding.len());
            assert_eq!((content.len() + padding.len()) % 8, 0);
            assert!(content.len() + padding.len() <= MAX_LENGTH);
            assert_eq!(usize::from(header[6]), padding.len());
            assert_eq!(content.len(), length.min(MAX_CONTENT - 8));
            assert_eq!(content.len() + rest.len(), length);
        }
        let (empty, _) = Record::stream(RecordType::Stderr, RequestId::ONE, &[]);
        assert_eq!(empty.remaining(), 0);
    }
}
