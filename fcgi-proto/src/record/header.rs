//! A record's first 8 bytes, and how long a record may be (section 3.3).

use core::fmt;

use super::names::RecordType;

/// `FCGI_MAX_LENGTH`: the most content bytes that a record can hold.
pub const MAX_LENGTH: usize = 0xffff;
/// `FCGI_HEADER_LEN`: bytes in a record header, in this and all later versions of the protocol.
pub const HEADER_LEN: usize = 8;
/// `FCGI_VERSION_1`: the one value of a header's version byte.
pub const VERSION_1: u8 = 1;

/// The most content bytes of a record that this crate emits: a multiple of 8, so that a full record needs no
/// padding and content + padding stay within 65535, which PHP and others require.
pub const MAX_CONTENT: usize = MAX_LENGTH & !7;

/// Zero bytes to pad with: a record ends on a multiple of 8 bytes (section 3.3).
pub(super) const PADDING: &[u8; 8] = &[0; 8];

/// A record's first 8 bytes (section 3.3).
///
/// The version byte is checked when it is parsed and 1 when it is emitted; the reserved byte is ignored and 0
/// (open point Z12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header {
    /// The type's number on the wire; [`RecordType::from_wire`] tells which it is.
    pub record_type: u8,
    /// Bytes of padding after the content, 0 to 255.
    pub padding_length: u8,
    /// The request id, 0 in a management record.
    pub request_id: u16,
    /// Bytes of content, 0 to 65535.
    pub content_length: u16,
}

/// A header's version byte that is not 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WrongVersion(pub u8);

impl fmt::Display for WrongVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record of protocol version {}, not 1", self.0)
    }
}

impl core::error::Error for WrongVersion {}

impl Header {
    /// A header of a record with content that this crate emits: padded to a multiple of 8 bytes.
    #[must_use]
    pub const fn new(record_type: RecordType, request_id: u16, content_length: u16) -> Self {
        let padding_length = content_length.wrapping_neg() as u8 & 7;
        Self { record_type: record_type as u8, padding_length, request_id, content_length }
    }

    /// With 8 bytes of padding, if it had none.
    pub(super) const fn padded(mut self) -> Self {
        if self.padding_length == 0 {
            self.padding_length = 8;
        }
        self
    }

    /// Without padding, if content and padding would be more than 65535 bytes, which PHP and others refuse.
    pub(super) const fn within_max_length(mut self) -> Self {
        if self.content_length as usize > MAX_CONTENT {
            self.padding_length = 0;
        }
        self
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`WrongVersion`] with the version byte, if it is not 1.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, WrongVersion> {
        let [version, record_type, id1, id0, length1, length0, padding_length, _reserved] = *bytes;
        if version != VERSION_1 {
            return Err(WrongVersion(version));
        }
        let request_id = u16::from_be_bytes([id1, id0]);
        let content_length = u16::from_be_bytes([length1, length0]);
        Ok(Self { record_type, padding_length, request_id, content_length })
    }

    /// The header's bytes.
    #[must_use]
    pub const fn encode(self) -> [u8; HEADER_LEN] {
        let [id1, id0] = self.request_id.to_be_bytes();
        let [length1, length0] = self.content_length.to_be_bytes();
        [VERSION_1, self.record_type, id1, id0, length1, length0, self.padding_length, 0]
    }
}
