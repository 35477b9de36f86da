//! What section 8 gives numbers or names: record types, request ids, roles, flags, protocol statuses, the values
//! that a client asks for.

use core::fmt;
use core::num::NonZeroU16;

/// `FCGI_LISTENSOCK_FILENO`: the descriptor of the listening socket in a started application (section 2.2).
pub const LISTENSOCK_FILENO: i32 = 0;
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

/// A number that means nothing where it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownNumber(pub u16);

impl fmt::Display for UnknownNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the number {} is not defined", self.0)
    }
}

impl core::error::Error for UnknownNumber {}

/// From and to numbers on the wire.
macro_rules! numbers {
    ($($of:ident, $number:ty, $from:expr, $to:expr;)*) => {
        $(impl TryFrom<$number> for $of {
            type Error = UnknownNumber;

            fn try_from(number: $number) -> Result<Self, UnknownNumber> {
                $from(number).ok_or(UnknownNumber(number.into()))
            }
        }

        impl From<$of> for $number {
            fn from(named: $of) -> Self {
                $to(named)
            }
        })*
    };
}

numbers! {
    RecordType, u8, RecordType::from_wire, |named| named as u8;
    RequestId, u16, RequestId::new, RequestId::get;
    Role, u16, Role::from_wire, |named| named as u16;
    ProtocolStatus, u8, ProtocolStatus::from_wire, |named| named as u8;
}

impl From<NonZeroU16> for RequestId {
    fn from(number: NonZeroU16) -> Self {
        Self(number)
    }
}
