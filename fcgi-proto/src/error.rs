//! What is fatal to a connection: after it the bytes that arrive can no longer be trusted.

use core::fmt;

use crate::record::RequestId;

/// The peer broke the framing or an invariant that the rest of the connection hangs on.
///
/// It is sticky: every later call that takes input returns it again. It is the input's only: what is already
/// being answered may still be sent before the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConnectionError {
    /// A header whose version is not 1 (section 3.3; open point Z1).
    Version {
        /// The version byte.
        found: u8,
    },
    /// An application record with request id 0, which is for management records (section 3.3; open point Z3).
    NullRequestId {
        /// The record's type.
        record_type: u8,
    },
    /// A BEGIN_REQUEST or END_REQUEST whose content is not 8 bytes (sections 5.1 and 5.5).
    BodyLength {
        /// The record's type.
        record_type: u8,
        /// Its content's length in bytes.
        found: u16,
    },
    /// A BEGIN_REQUEST with the id of a request that has not ended (section 3.3; open point Z2).
    RequestActive {
        /// The id.
        id: RequestId,
    },
    /// The input ended inside a record.
    UnexpectedEof {
        /// Bytes of the record, or of its header, that did not come.
        missing: u32,
    },
    /// More bytes came for requests that do not exist, or of types that nobody knows, than
    /// [`Limits::ignored`](crate::Limits::ignored).
    IgnoredTooMuch {
        /// The limit, in bytes.
        limit: u32,
    },
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Version { found } => write!(f, "record of protocol version {found}, not 1"),
            Self::NullRequestId { record_type } => {
                write!(f, "application record of type {record_type} with request id 0")
            }
            Self::BodyLength { record_type, found } => {
                write!(f, "record of type {record_type} with {found} bytes of content, not 8")
            }
            Self::RequestActive { id } => write!(f, "request {id} begins while it is active"),
            Self::UnexpectedEof { missing } => {
                write!(f, "end of input inside a record, {missing} bytes before its end")
            }
            Self::IgnoredTooMuch { limit } => {
                write!(
                    f,
                    "more than {limit} bytes of records that are empty, unknown or for no active request"
                )
            }
        }
    }
}

impl core::error::Error for ConnectionError {}
