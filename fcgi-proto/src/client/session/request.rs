//! A request from the client's side: what is asked, how it ends, and what a session knows of it meanwhile.

use core::fmt;
use core::time::Duration;

use crate::client::SendError;
use crate::error::ConnectionError;
use crate::life::{Level, Seconds, Time};
use crate::record::{HEADER_LEN, ProtocolStatus, RequestId, Role};

use super::resend::Kind;

/// A request on a [`Session`](super::Session). It is valid until it is [left](super::Session::leave); after that
/// every call with it is refused, and never meets another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Request {
    pub(super) place: u16,
    pub(super) generation: u32,
}

impl Request {
    /// Its place in the session, below the number of requests that this carries: for a table beside it.
    #[must_use]
    pub fn place(&self) -> usize {
        self.place.into()
    }
}

/// What a request begins with, other than its parameters.
///
/// ```
/// use fcgi_proto::client::Ask;
///
/// let mut ask = Ask::new(b"POST");
/// ask.stdin = 5; // as its CONTENT_LENGTH says
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Ask<'a> {
    /// REQUEST_METHOD, which tells whether the request may be sent again.
    pub method: &'a [u8],
    /// What the application is asked to be. Default: a Responder.
    pub role: Role,
    /// Whether the connection is kept after it. Default: yes.
    pub keep_conn: bool,
    /// Bytes of its STDIN, as CONTENT_LENGTH says; an Authorizer has none. Default: 0.
    pub stdin: u64,
    /// Bytes of a Filter's DATA. Default: 0.
    pub data: u64,
    /// Whether its input can be had a second time, if it is to be sent again. Default: yes.
    pub repeatable: bool,
}

impl<'a> Ask<'a> {
    /// A Responder without a body, on a connection that is kept.
    #[must_use]
    pub const fn new(method: &'a [u8]) -> Self {
        Self { method, role: Role::Responder, keep_conn: true, stdin: 0, data: 0, repeatable: true }
    }

    /// The same with this method and this input: bytes of STDIN and DATA, if it has them, and whether they can be had
    /// a second time.
    #[must_use]
    pub const fn with<'m>(
        self,
        method: &'m [u8],
        [stdin, data]: [Option<u64>; 2],
        repeatable: bool,
    ) -> Ask<'m>
    where
        'a: 'm,
    {
        let stdin = if let Some(stdin) = stdin { stdin } else { 0 };
        let data = if let Some(data) = data { data } else { 0 };
        Ask { method, stdin, data, repeatable, ..self }
    }
}

/// How an application ended a request (section 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct End {
    /// What it passed to `exit`; it means little with real applications.
    pub app_status: u32,
    /// The protocol status's number; see [`ProtocolStatus::from_wire`].
    pub protocol_status: u8,
    /// Whether anything came on STDOUT.
    pub answered: bool,
    /// Why the request was refused, if it was: it was not executed. There may be an answer all the same: real
    /// web servers turn a refusal without one into an empty page.
    pub refusal: Option<ProtocolStatus>,
    /// Whether the connection carried other requests too. Then the application could not close it to show that the
    /// answer is cut.
    pub shared: bool,
}

impl End {
    /// What END_REQUEST means, beside an answer with this status (0 as long as that is not known). `None`: the
    /// answer is cut.
    ///
    /// PyPI's fastcgi counts its statuses from 1 for success, so that 1 beside an answer is a refusal only if
    /// that is a 503. The statuses above are of requests that were not executed: a part of an answer beside one
    /// is none.
    pub(super) fn new(raw: RawEnd, status: u16) -> Option<Self> {
        let RawEnd { app_status, protocol_status, answered, shared } = raw;
        let refused = ProtocolStatus::from_wire(protocol_status);
        let refusal = match (refused, answered, status) {
            (Some(ProtocolStatus::RequestComplete), ..) | (None, false, _) => None,
            (Some(refusal), false, _) | (Some(refusal), true, 503) => Some(refusal),
            (Some(ProtocolStatus::CantMpxConn), true, _) => None,
            (_, true, _) => return None,
        };
        Some(Self { app_status, protocol_status, answered, refusal, shared })
    }
}

/// END_REQUEST as it came.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct RawEnd {
    pub(super) app_status: u32,
    pub(super) protocol_status: u8,
    pub(super) answered: bool,
    /// Whether the connection carried other requests beside it.
    pub(super) shared: bool,
}

impl RawEnd {
    /// The end of an answer to GET_VALUES.
    pub(super) const VALUES: Self = Self { app_status: 0, protocol_status: 0, answered: true, shared: false };
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Wait {
    /// The application takes what is sent.
    Write,
    /// The first byte of its answer.
    FirstByte,
    /// The first byte of its answer, on a connection that carried a request before: its worker may still be at
    /// work on that.
    Kept,
    /// The rest of its answer.
    Read,
    /// All of these together.
    Total,
    /// The request's input, from the caller.
    Input,
}

impl Wait {
    /// What was not done, for a sentence: "the application did not …".
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::Write => "take the request",
            Self::FirstByte | Self::Kept => "answer",
            Self::Read => "go on answering",
            Self::Total => "end its answer",
            Self::Input => "get the request's body",
        }
    }
}

/// Why a request has no answer, or no whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Failure {
    /// The application does not speak FastCGI.
    Protocol {
        /// What it did.
        error: ConnectionError,
        /// The header of the record that did it.
        header: [u8; HEADER_LEN],
    },
    /// The input ended before END_REQUEST.
    Closed,
    /// Reading failed.
    Broken,
    /// END_REQUEST came after a part of an answer, with a status that says that the request was not executed.
    Cut {
        /// The protocol status.
        protocol_status: u8,
    },
    /// A limit of [`Settings`](super::Settings) passed.
    TimedOut {
        /// What was waited for.
        wait: Wait,
        /// The limit.
        limit: Duration,
    },
    /// What came was not taken, and others waited behind it for too long.
    Unread {
        /// The limit, [`Settings::read`](super::Settings::read).
        limit: Duration,
    },
    /// The handle is of a request that was left.
    Over,
    /// A parameter does not fit a record: nothing was sent.
    TooLong {
        /// Bytes of the encoded pair; [`MAX_LENGTH`](crate::record::MAX_LENGTH) fit.
        needed: usize,
    },
    /// Another call that did not fit the state of the request or the connection: nothing was sent.
    Misuse(SendError),
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        match error {
            SendError::TooLong { needed } => Self::TooLong { needed },
            error => Self::Misuse(error),
        }
    }
}

impl Failure {
    /// How much it is worth in a log.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::TimedOut { wait: Wait::Input, .. }
            | Self::Unread { .. }
            | Self::Over
            | Self::TooLong { .. } => Level::Debug,
            Self::Protocol { .. }
            | Self::Closed
            | Self::Broken
            | Self::Cut { .. }
            | Self::TimedOut { .. }
            | Self::Misuse(_) => Level::Warn,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Protocol { error: error @ ConnectionError::UnexpectedEof { .. }, .. } => {
                write!(f, "not FastCGI: {error}")
            }
            Self::Protocol { error, header } => write!(f, "not FastCGI: {error}, {header:02x?}"),
            Self::Closed => f.write_str("the application closed before the end of its answer"),
            Self::Broken => f.write_str("the connection failed before the end of the answer"),
            Self::Cut { protocol_status } => {
                write!(f, "the answer was cut: it ended with protocol status {protocol_status}")
            }
            Self::TimedOut { wait, limit } => {
                write!(f, "the application did not {} within {} s", wait.what(), Seconds(limit))
            }
            Self::Unread { limit } => {
                write!(f, "the answer held up others for {} s, since nobody took it", Seconds(limit))
            }
            Self::Over => f.write_str("the request is over"),
            Self::TooLong { needed } => SendError::TooLong { needed }.fmt(f),
            Self::Misuse(ref error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Failure {}

/// Where a request is.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Phase {
    Free,
    /// It began, and its caller waits for its end.
    Active,
    /// Its caller left it before its end: what comes for it is dropped.
    Left,
    Ended(RawEnd),
    Failed(Failure),
}

/// What a session knows of a request.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Slot {
    pub(super) generation: u32,
    pub(super) phase: Phase,
    /// `None`: GET_VALUES, which has none.
    pub(super) id: Option<RequestId>,
    pub(super) kind: Kind,
    pub(super) repeatable: bool,
    /// Whether the connection had carried no request before.
    pub(super) fresh: bool,
    /// Whether any record came for it.
    pub(super) came: bool,
    /// The status of its answer's head, once that is whole.
    pub(super) status: u16,
    /// Bytes of STDOUT that came, as far as this can tell.
    pub(super) stdout: u16,
    /// Bytes of its input that are still to be made into records.
    pub(super) stdin: u64,
    pub(super) data: u64,
    /// Its first byte and the one behind its last so far, of all that are sent on the connection.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Bytes that had been received when it began.
    pub(super) received: u64,
    /// Bytes of STDOUT that came and were not taken, and since when not.
    pub(super) kept: usize,
    pub(super) kept_since: Time,
    /// Since when its caller has waited without anything; never while it does not wait.
    pub(super) waiting: Time,
    /// When its last byte left; never before.
    pub(super) sent: Time,
    /// How long the application may be waited for in all, less what was used up, and the bytes that were
    /// written when that was reckoned.
    pub(super) patience: Duration,
    pub(super) paid: u64,
    /// How long the caller may be waited for in all.
    pub(super) lent: Duration,
}

impl Slot {
    pub(super) const FREE: Self = Self {
        generation: 0,
        phase: Phase::Free,
        id: None,
        kind: Kind::Other,
        repeatable: false,
        fresh: false,
        came: false,
        status: 0,
        stdout: 0,
        stdin: 0,
        data: 0,
        first: 0,
        last: 0,
        received: 0,
        kept: 0,
        kept_since: Time::NEVER,
        waiting: Time::NEVER,
        sent: Time::NEVER,
        patience: Duration::ZERO,
        paid: 0,
        lent: Duration::ZERO,
    };

    pub(super) const fn is_free(&self) -> bool {
        matches!(self.phase, Phase::Free)
    }

    pub(super) const fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active)
    }
}
