//! What is told of a connection: to its handlers, and to a log.

use core::fmt;
use core::time::Duration;

use super::patience::Wait;
use crate::ConnectionError;
use crate::life::{Level, Seconds};
use crate::record::RequestId;
use crate::server::Refusal;

/// Why no more of a request's input comes, or nothing of its answer may leave any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Stopped {
    /// The client closed the connection or its sending half, before the end of the request's input.
    Closed,
    /// The client sent ABORT_REQUEST (section 5.4).
    Aborted,
    /// The request was refused while its handler ran.
    Refused(Refusal),
    /// What came is not FastCGI.
    Protocol(ConnectionError),
    /// The client was too slow.
    TimedOut {
        /// What was waited for.
        wait: Wait,
        /// How long.
        limit: Duration,
    },
    /// The transport failed.
    Broken,
    /// The request is over.
    Over,
}

impl Stopped {
    /// Whether nobody is known to wait for the answer any more.
    #[must_use]
    pub const fn is_gone(self) -> bool {
        match self {
            Self::Closed
            | Self::Aborted
            | Self::Refused(_)
            | Self::Protocol(ConnectionError::UnexpectedEof { .. })
            | Self::Broken
            | Self::Over => true,
            Self::Protocol(_) | Self::TimedOut { .. } => false,
        }
    }

    /// What it is worth in a log: clients that leave are everyday, those that break the protocol or a limit are
    /// not.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::Closed
            | Self::Aborted
            | Self::Broken
            | Self::Over
            | Self::Protocol(ConnectionError::UnexpectedEof { .. }) => Level::Debug,
            Self::Refused(_) | Self::Protocol(_) | Self::TimedOut { .. } => Level::Warn,
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.pad("the client closed before the end of the request's input"),
            Self::Aborted => f.pad("the client aborted the request"),
            Self::Refused(why) => write!(f, "request refused: {why}"),
            Self::Protocol(error) => error.fmt(f),
            Self::TimedOut { wait, limit } => write!(f, "{wait} {} s", Seconds(*limit)),
            Self::Broken => f.pad("the connection failed: the answer is cut off"),
            Self::Over => f.pad("the request is over"),
        }
    }
}

impl core::error::Error for Stopped {}

#[cfg(feature = "std")]
impl From<Stopped> for std::io::Error {
    fn from(stopped: Stopped) -> Self {
        use std::io::ErrorKind;
        let kind = match stopped {
            Stopped::Closed | Stopped::Protocol(ConnectionError::UnexpectedEof { .. }) => {
                ErrorKind::UnexpectedEof
            }
            Stopped::Aborted => ErrorKind::ConnectionAborted,
            Stopped::Refused(_) => ErrorKind::Other,
            Stopped::Protocol(_) => ErrorKind::InvalidData,
            Stopped::TimedOut { .. } => ErrorKind::TimedOut,
            Stopped::Broken => ErrorKind::BrokenPipe,
            Stopped::Over => ErrorKind::NotConnected,
        };
        Self::new(kind, stopped)
    }
}

/// A line for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Report {
    /// What it is worth. Only the first warning of a connection is one, so that no client can fill a log.
    pub level: Level,
    /// Whom it is about, if that is one request.
    pub id: Option<RequestId>,
    /// What happened.
    pub what: Stopped,
    /// The limit that was passed, in bytes, if that is why.
    pub limit: Option<u32>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = self.id {
            write!(f, "request {id}: ")?;
        }
        match self.what {
            Stopped::Refused(why) => write!(f, "refused: {why}")?,
            what => what.fmt(f)?,
        }
        self.limit.map_or(Ok(()), |limit| write!(f, ", {limit} bytes"))
    }
}
