//! What a connection tells its caller: what the server did, what was odd about it, and calls that do not fit.

use core::fmt;

use crate::pair;
use crate::record::{HEADER_LEN, MAX_LENGTH, RecordType, RequestId};

/// Something the server did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// The next bytes of the answer: a CGI head, then a body (see [`crate::cgi`]).
    Stdout {
        /// The request.
        id: RequestId,
        /// The bytes, at least one.
        data: &'i [u8],
    },
    /// An empty STDOUT record. The answer ends with [`End`](Self::End) only.
    StdoutEnd {
        /// The request.
        id: RequestId,
    },
    /// The next bytes for the error log.
    Stderr {
        /// The request.
        id: RequestId,
        /// The bytes, at least one.
        data: &'i [u8],
    },
    /// An empty STDERR record.
    StderrEnd {
        /// The request.
        id: RequestId,
    },
    /// The request is over and its id free again.
    End {
        /// The request.
        id: RequestId,
        /// What the application passed to `exit`; it means little with real applications.
        app_status: u32,
        /// The protocol status's number on the wire; see
        /// [`ProtocolStatus::from_wire`](crate::record::ProtocolStatus::from_wire). Other than 0 it says that
        /// the request was not executed (section 5.5).
        protocol_status: u8,
        /// Whether anything came on STDOUT. A request that was refused with an answer, or by an application
        /// that counts its statuses from 1, has one.
        answered: bool,
    },
    /// The next bytes of the answer to GET_VALUES: pairs, see [`crate::pair`].
    Values {
        /// The bytes; none if the answer is empty.
        data: &'i [u8],
        /// Whether they are its last.
        last: bool,
    },
    /// The server does not know this type of management record (section 4.2).
    UnknownType {
        /// The type.
        record_type: u8,
    },
}

/// A call that does not fit the state of the request or the connection. Nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError {
    /// All ids are active.
    Full {
        /// How many requests the connection carries.
        capacity: usize,
    },
    /// The connection takes no further request: see [`super::Connection::is_reusable`].
    NotReusable,
    /// No request with this id is active.
    Inactive {
        /// The id.
        id: RequestId,
    },
    /// The stream has ended, or is not the request's turn or role (section 6.1).
    OutOfOrder {
        /// The request.
        id: RequestId,
        /// The stream, or ABORT_REQUEST.
        stream: RecordType,
    },
    /// Parameters that do not fit one record.
    TooLong {
        /// Bytes of the encoded pair or pairs; [`MAX_LENGTH`] fit.
        needed: usize,
    },
    /// Parameters that end inside a pair, which must not be split over two records.
    HalfPair(pair::TruncatedPair),
    /// Of a [`Session`](super::Session): the request is over, and its handle with it.
    Over,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Full { capacity } => write!(f, "{capacity} requests are active, the connection is full"),
            Self::NotReusable => f.write_str("the connection takes no further request"),
            Self::Inactive { id } => write!(f, "request {id} is not active"),
            Self::OutOfOrder { id, stream } => {
                write!(f, "request {id} does not take {stream:?} now")
            }
            Self::TooLong { needed } => {
                write!(f, "{needed} bytes of parameters do not fit one record of {MAX_LENGTH}")
            }
            Self::HalfPair(ref error) => error.fmt(f),
            Self::Over => f.write_str("the request is over"),
        }
    }
}

impl core::error::Error for SendError {}

/// Something that no application should send. The connection is not used again because of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Odd {
    /// What it is.
    pub what: Oddity,
    /// The header of the record, as it came.
    pub header: [u8; HEADER_LEN],
}

/// What is [odd](Odd) about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Oddity {
    /// It is for a request that is over, or never was: perhaps the rest of an answer that had ended.
    Late,
    /// It came while nothing was asked.
    Unasked,
    /// It is an END_REQUEST behind an answer, and not of 8 bytes. The answer stands.
    EndLength,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.what {
            Oddity::Late => "a record for a request that is over",
            Oddity::Unasked => "a record while nothing was asked",
            Oddity::EndLength => "an END_REQUEST that is not of 8 bytes",
        })?;
        write!(f, ", {:02x?}: the connection is not used again", self.header)
    }
}
