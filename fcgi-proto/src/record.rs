//! The wire: record headers, types, ids, roles, flags, the fixed bodies, and every constant of section 8.
//!
//! Everything on a connection is records (FastCGI 1.0, section 3.3): an 8-byte [`Header`], 0 to 65535 bytes
//! of content, 0 to 255 bytes of padding. Numbers are big-endian. What arrives is cut into records by
//! [`crate::decoder`]; what is sent is a [`Record`] that borrows its content or an owned [`Control`].

use core::fmt;
use core::num::NonZeroU16;

use crate::bytes::{append, copy};
use crate::decoder::take;
use crate::pair;

/// `FCGI_LISTENSOCK_FILENO`: the descriptor of the listening socket in a started application (section 2.2).
pub const LISTENSOCK_FILENO: i32 = 0;
/// `FCGI_MAX_LENGTH`: the most content bytes that a record can hold.
pub const MAX_LENGTH: usize = 0xffff;
/// `FCGI_HEADER_LEN`: bytes in a record header, in this and all later versions of the protocol.
pub const HEADER_LEN: usize = 8;
/// `FCGI_VERSION_1`: the one value of a header's version byte.
pub const VERSION_1: u8 = 1;
/// `FCGI_MAXTYPE`: the largest record type that version 1 defines.
pub const MAXTYPE: u8 = RecordType::UnknownType as u8;
/// `FCGI_NULL_REQUEST_ID`: the request id of management records.
pub const NULL_REQUEST_ID: u16 = 0;
/// `FCGI_KEEP_CONN`: the bit of [`Flags`] that leaves closing the connection to the client.
pub const KEEP_CONN: u8 = 1;
/// `FCGI_MAX_CONNS`: asks how many connections the application takes at once (section 4.1).
pub const MAX_CONNS: &[u8] = b"FCGI_MAX_CONNS";
/// `FCGI_MAX_REQS`: asks how many requests the application takes at once (section 4.1).
pub const MAX_REQS: &[u8] = b"FCGI_MAX_REQS";
/// `FCGI_MPXS_CONNS`: asks whether connections are multiplexed, `0` or `1` (section 4.1).
pub const MPXS_CONNS: &[u8] = b"FCGI_MPXS_CONNS";

/// The most content bytes of a record that this crate emits: a multiple of 8, so that a full record needs no
/// padding and content + padding stay within 65535, which PHP and others require.
pub const MAX_CONTENT: usize = MAX_LENGTH & !7;

/// Zero bytes to pad with: a record ends on a multiple of 8 bytes (section 3.3).
const PADDING: &[u8; 8] = &[0; 8];

/// The eleven record types of version 1 (section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum RecordType {
    /// `FCGI_BEGIN_REQUEST`, client to server: a request starts.
    BeginRequest = 1,
    /// `FCGI_ABORT_REQUEST`, client to server: the answer is no longer wanted.
    AbortRequest = 2,
    /// `FCGI_END_REQUEST`, server to client: a request is over, or refused.
    EndRequest = 3,
    /// `FCGI_PARAMS`, client to server: a stream of name-value pairs.
    Params = 4,
    /// `FCGI_STDIN`, client to server: the request body.
    Stdin = 5,
    /// `FCGI_STDOUT`, server to client: the response, head and body.
    Stdout = 6,
    /// `FCGI_STDERR`, server to client: text for the client's error log.
    Stderr = 7,
    /// `FCGI_DATA`, client to server: the file of a Filter.
    Data = 8,
    /// `FCGI_GET_VALUES`, client to server: asks for the application's capacities.
    GetValues = 9,
    /// `FCGI_GET_VALUES_RESULT`, server to client: the answer to it.
    GetValuesResult = 10,
    /// `FCGI_UNKNOWN_TYPE`, server to client: a management record was not understood.
    UnknownType = 11,
}

impl RecordType {
    /// The type with this number on the wire, if version 1 defines one.
    #[must_use]
    pub const fn from_wire(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::BeginRequest,
            2 => Self::AbortRequest,
            3 => Self::EndRequest,
            4 => Self::Params,
            5 => Self::Stdin,
            6 => Self::Stdout,
            7 => Self::Stderr,
            8 => Self::Data,
            9 => Self::GetValues,
            10 => Self::GetValuesResult,
            11 => Self::UnknownType,
            _ => return None,
        })
    }
}

/// A nonzero request id, unique among the active requests of one connection (section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RequestId(NonZeroU16);

impl RequestId {
    /// Id 1, which is all that a connection without multiplexing needs.
    pub const ONE: Self = Self(NonZeroU16::MIN);

    /// The id with this number, or `None` for 0, which belongs to management records.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an application is asked to be for one request (sections 5.1 and 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u16)]
pub enum Role {
    /// `FCGI_RESPONDER`: parameters and STDIN in, a response out; what CGI programs do (section 6.2).
    Responder = 1,
    /// `FCGI_AUTHORIZER`: parameters in, a decision out (section 6.3).
    Authorizer = 2,
    /// `FCGI_FILTER`: parameters, STDIN and a file's DATA in, a response out (section 6.4).
    Filter = 3,
}

impl Role {
    /// The role with this number on the wire, if there is one.
    #[must_use]
    pub const fn from_wire(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Responder,
            2 => Self::Authorizer,
            3 => Self::Filter,
            _ => return None,
        })
    }

    /// Whether the role has a STDIN stream: a Responder and a Filter do (sections 6.2 to 6.4).
    #[must_use]
    pub const fn has_stdin(self) -> bool {
        matches!(self, Self::Responder | Self::Filter)
    }

    /// Whether the role has a DATA stream: a Filter does (section 6.4).
    #[must_use]
    pub const fn has_data(self) -> bool {
        matches!(self, Self::Filter)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Responder => "Responder",
            Self::Authorizer => "Authorizer",
            Self::Filter => "Filter",
        })
    }
}

/// The flags byte of BEGIN_REQUEST (section 5.1).
///
/// Only bit 0 means something. The others are ignored when they arrive and zero when they are sent
/// (open point Z12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Flags(pub u8);

impl Flags {
    /// Whether the client keeps the connection after this request.
    #[must_use]
    pub const fn keep_conn(self) -> bool {
        self.0 & KEEP_CONN != 0
    }
}

/// How a request ended, as END_REQUEST tells it (section 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum ProtocolStatus {
    /// `FCGI_REQUEST_COMPLETE`: the request was executed.
    RequestComplete = 0,
    /// `FCGI_CANT_MPX_CONN`: refused, since this connection carries one request at a time.
    CantMpxConn = 1,
    /// `FCGI_OVERLOADED`: refused for lack of some resource.
    Overloaded = 2,
    /// `FCGI_UNKNOWN_ROLE`: refused, since the application does not have this role.
    UnknownRole = 3,
}

impl ProtocolStatus {
    /// The status with this number on the wire, if there is one.
    #[must_use]
    pub const fn from_wire(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::RequestComplete,
            1 => Self::CantMpxConn,
            2 => Self::Overloaded,
            3 => Self::UnknownRole,
            _ => return None,
        })
    }
}

impl fmt::Display for ProtocolStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RequestComplete => "request complete",
            Self::CantMpxConn => "cannot multiplex connections",
            Self::Overloaded => "overloaded",
            Self::UnknownRole => "unknown role",
        })
    }
}

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
    const fn padded(mut self) -> Self {
        if self.padding_length == 0 {
            self.padding_length = 8;
        }
        self
    }

    /// Without padding, if content and padding would be more than 65535 bytes, which PHP and others refuse.
    const fn within_max_length(mut self) -> Self {
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

/// The content of BEGIN_REQUEST (section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BeginRequest {
    /// The role's number on the wire; [`Role::from_wire`] tells which it is.
    pub role: u16,
    /// Whether the connection is kept.
    pub flags: Flags,
}

impl BeginRequest {
    /// Bytes of content in every BEGIN_REQUEST.
    pub const LEN: usize = 8;

    /// Reads the content; the reserved bytes are ignored.
    #[must_use]
    pub fn parse(content: &[u8; Self::LEN]) -> Self {
        let [role1, role0, flags, ..] = *content;
        Self { role: u16::from_be_bytes([role1, role0]), flags: Flags(flags) }
    }

    /// The content's bytes.
    #[must_use]
    pub const fn encode(self) -> [u8; Self::LEN] {
        let [role1, role0] = self.role.to_be_bytes();
        [role1, role0, self.flags.0, 0, 0, 0, 0, 0]
    }
}

/// The content of END_REQUEST (section 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EndRequest {
    /// The application status: what a CGI program would have passed to `exit`.
    pub app_status: u32,
    /// The protocol status's number on the wire; [`ProtocolStatus::from_wire`] tells which it is.
    pub protocol_status: u8,
}

impl EndRequest {
    /// Bytes of content in every END_REQUEST.
    pub const LEN: usize = 8;

    /// Reads the content; the reserved bytes are ignored.
    #[must_use]
    pub const fn parse(content: &[u8; Self::LEN]) -> Self {
        let [status3, status2, status1, status0, protocol_status, ..] = *content;
        let app_status = u32::from_be_bytes([status3, status2, status1, status0]);
        Self { app_status, protocol_status }
    }

    /// The content's bytes.
    #[must_use]
    pub const fn encode(self) -> [u8; Self::LEN] {
        let [status3, status2, status1, status0] = self.app_status.to_be_bytes();
        [status3, status2, status1, status0, self.protocol_status, 0, 0, 0]
    }
}

/// The content of UNKNOWN_TYPE (section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownType {
    /// The management record type that was not understood.
    pub record_type: u8,
}

impl UnknownType {
    /// Bytes of content in every UNKNOWN_TYPE.
    pub const LEN: usize = 8;

    /// Reads the content; the reserved bytes are ignored.
    #[must_use]
    pub const fn parse(content: &[u8; Self::LEN]) -> Self {
        let [record_type, ..] = *content;
        Self { record_type }
    }

    /// The content's bytes.
    #[must_use]
    pub const fn encode(self) -> [u8; Self::LEN] {
        [self.record_type, 0, 0, 0, 0, 0, 0, 0]
    }
}

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
    /// Of empty `data` nothing is sent: an empty record would end the stream (section 3.3).
    ///
    /// A STDERR record is always padded, by 8 bytes where it need not be: HAProxy 2.6 crashes on one without
    /// padding that ends a write.
    pub fn stream(record_type: RecordType, id: RequestId, data: &'a [u8]) -> (Self, &'a [u8]) {
        let stderr = matches!(record_type, RecordType::Stderr);
        let max = if stderr { MAX_CONTENT - PADDING.len() } else { MAX_CONTENT };
        let mut rest = data;
        let content = take(&mut rest, max);
        // At most MAX_CONTENT bytes: the length fits 16 bits.
        let mut header = Header::new(record_type, id.get(), content.len() as u16);
        if stderr && !content.is_empty() {
            header = header.padded();
        }
        let header_sent = if content.is_empty() { HEADER_LEN as u8 } else { 0 };
        (Self { header: header.encode(), header_sent, padding_left: header.padding_length, content }, rest)
    }

    /// A record of which nothing is sent.
    pub(crate) const fn nothing() -> Self {
        Self { header: [0; HEADER_LEN], header_sent: HEADER_LEN as u8, padding_left: 0, content: &[] }
    }

    /// A record with all of `content`; `None` if that is more than [`MAX_LENGTH`] bytes. Of no content nothing
    /// is sent. Padding is left out where content and padding would pass 65535 bytes.
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
    #[cfg(feature = "alloc")]
    pub(crate) fn frame(&self) -> ([u8; HEADER_LEN], &'static [u8]) {
        (self.header, PADDING.get(..usize::from(self.padding_left)).unwrap_or(&[]))
    }

    /// Bytes that are still to be sent, header and padding included.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.slices().iter().map(|slice| slice.len()).sum()
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
        let copied = copy_front(&self.slices(), buffer);
        self.advance(copied);
        copied
    }
}

/// One PARAMS record of one pair: header and lengths, borrowed name and value, padding.
///
/// A cursor like [`Record`].
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "a record is only on the wire once its bytes are written"]
pub struct PairRecord<'a> {
    head: heapless::Vec<u8, { HEADER_LEN + 8 }>,
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
        let mut head = heapless::Vec::new();
        head.extend_from_slice(&header.encode()).ok()?;
        head.extend_from_slice(&pair::encode_length(name.len())?).ok()?;
        head.extend_from_slice(&pair::encode_length(value.len())?).ok()?;
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
        self.slices().iter().map(|slice| slice.len()).sum()
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
        let copied = copy_front(&self.slices(), buffer);
        self.advance(copied);
        copied
    }
}

/// Copies what fits of `slices`, one after the other, and returns how many bytes that were.
fn copy_front(slices: &[&[u8]], buffer: &mut [u8]) -> usize {
    let mut copied = 0;
    for slice in slices {
        let free = buffer.get_mut(copied..).unwrap_or_default();
        copied += copy(free, slice);
    }
    copied
}

/// Whole records without borrowed content, to be sent as they are: ends of streams, END_REQUEST, refusals,
/// answers to management records.
///
/// It derefs to the bytes that are still to be sent, and is its own cursor like [`Record`].
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
        let copied = copy_front(&[self], buffer);
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

#[cfg(test)]
mod tests {
    use super::*;

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
