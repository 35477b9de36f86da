//! What a connection tells of its client, why it refuses, and what its caller may not do.

use core::fmt;

use crate::cgi::Status;
use crate::record::{ProtocolStatus, RequestId, Role};

/// Something the client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// A request begins; its parameters follow.
    Begin {
        /// Its id, active until it is ended, rejected or refused.
        id: RequestId,
        /// What this side is asked to be.
        role: Role,
        /// Whether the client keeps the connection after it.
        keep_conn: bool,
    },
    /// The next bytes of the request's PARAMS stream, cut anywhere; see [`crate::pair`].
    Params {
        /// The request.
        id: RequestId,
        /// The bytes.
        data: &'i [u8],
    },
    /// The PARAMS stream ended. An Authorizer has all its input now (section 6.3).
    ParamsEnd {
        /// The request.
        id: RequestId,
    },
    /// The next bytes of the request's body.
    Stdin {
        /// The request.
        id: RequestId,
        /// The bytes.
        data: &'i [u8],
    },
    /// The body ended. Compare its length with CONTENT_LENGTH before an update (section 6.2). A Responder
    /// has all its input now; a Filter may write from now on.
    StdinEnd {
        /// The request.
        id: RequestId,
    },
    /// The next bytes of a Filter's file.
    Data {
        /// The request.
        id: RequestId,
        /// The bytes.
        data: &'i [u8],
    },
    /// The file ended: a Filter has all its input now (section 6.4).
    DataEnd {
        /// The request.
        id: RequestId,
    },
    /// The client wants no answer any more. The request is active until
    /// [`Connection::finish`](super::Connection::finish), which is to be called as soon as possible, with a status
    /// of the application's choice (section 5.4).
    Abort {
        /// The request.
        id: RequestId,
    },
    /// The request was refused after it began: a limit passed, or input out of order. It is over, its answer
    /// waits in [`Connection::poll_reply`](super::Connection::poll_reply).
    Rejected {
        /// The request.
        id: RequestId,
        /// Why.
        why: Refusal,
    },
    /// Replies wait that must be taken with [`Connection::poll_reply`](super::Connection::poll_reply) before more
    /// input is. This event alone uses up no input.
    Paused,
}

/// Why a request is refused.
///
/// A refusal is a small whole answer on STDOUT and then END_REQUEST with the true protocol status: web
/// servers turn a bare END_REQUEST into an empty 200 or a long wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Refusal {
    /// 503 and `FCGI_CANT_MPX_CONN`: the connection carries one request at a time.
    CantMpxConn,
    /// 503 and `FCGI_OVERLOADED`: no slot, no storage, or a limit passed.
    Overloaded,
    /// 503 and `FCGI_UNKNOWN_ROLE`: not a role of this application.
    UnknownRole,
    /// 431 and `FCGI_REQUEST_COMPLETE`: more parameters than [`Limits::params`](crate::Limits::params), such as a
    /// cookie of a megabyte. Another application would not take it either, and no balancer is to blame this one.
    ParamsTooLong,
    /// 400 and `FCGI_REQUEST_COMPLETE`: parameters that are not whole pairs, input streams out of order. To
    /// send it to another application would not help, so the status does not ask for that.
    Malformed,
}

impl Refusal {
    /// The protocol status that END_REQUEST carries.
    #[must_use]
    pub const fn protocol_status(self) -> ProtocolStatus {
        match self {
            Self::CantMpxConn => ProtocolStatus::CantMpxConn,
            Self::Overloaded => ProtocolStatus::Overloaded,
            Self::UnknownRole => ProtocolStatus::UnknownRole,
            Self::ParamsTooLong | Self::Malformed => ProtocolStatus::RequestComplete,
        }
    }

    /// The HTTP status that it is answered with.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::CantMpxConn | Self::Overloaded | Self::UnknownRole => Status::SERVICE_UNAVAILABLE,
            Self::ParamsTooLong => Status::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Malformed => Status::BAD_REQUEST,
        }
    }

    pub(super) const fn answer(self) -> &'static [u8] {
        match self {
            Self::CantMpxConn | Self::Overloaded | Self::UnknownRole => {
                b"Status: 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\nService Unavailable\n"
            }
            Self::ParamsTooLong => {
                b"Status: 431 Request Header Fields Too Large\r\nContent-Type: text/plain\r\n\r\nToo large\n"
            }
            Self::Malformed => b"Status: 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nBad Request\n",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CantMpxConn => "one request at a time on this connection",
            Self::Overloaded => "overloaded",
            Self::UnknownRole => "unknown role",
            Self::ParamsTooLong => "more parameters than Limits::params",
            Self::Malformed => "malformed request",
        })
    }
}

/// A call that does not fit the request's state. Nothing is sent and the connection is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError {
    /// No request with this id is active: it never began, has ended, or was rejected.
    Inactive {
        /// The id.
        id: RequestId,
    },
    /// An answer before all input streams but the last have ended (section 6.1): PARAMS, and for a Filter
    /// STDIN too.
    TooEarly {
        /// The request.
        id: RequestId,
    },
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inactive { id } => write!(f, "request {id} is not active"),
            Self::TooEarly { id } => write!(f, "request {id} is answered before its input allows it"),
        }
    }
}

impl core::error::Error for SendError {}
