use std::time::Duration;
use std::{fmt, io};

use fcgi_proto::ConnectionError;
use fcgi_proto::cgi::{PathError, ResponseHeadError, VariablesError};
use fcgi_proto::client::SendError;
use fcgi_proto::record::ProtocolStatus;

/// Why a request got no answer, or not a whole one.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// No connection could be made.
    Connect(io::Error),
    /// The connection failed.
    Io(io::Error),
    /// The application does not speak FastCGI.
    Protocol(ConnectionError),
    /// The request cannot be sent: a parameter does not fit a record.
    Send(SendError),
    /// The request cannot be made into variables.
    Variables(VariablesError),
    /// The request's target has no path that can be decoded.
    Target(PathError),
    /// The application refused the request without an answer: it was not executed (section 5.5).
    Refused(ProtocolStatus),
    /// What came is no CGI response.
    Head(ResponseHeadError),
    /// The application closed the connection before the answer's end.
    Truncated,
    /// The body ended before the Content-Length that the application gave.
    ContentTooShort {
        /// Bytes that it lacks.
        missing: u64,
    },
    /// The application went on after the end of the body.
    ContentTooLong {
        /// Bytes that were dropped before it was left.
        limit: u64,
    },
    /// A limit of [`ClientSettings`](super::ClientSettings) passed.
    TimedOut {
        /// What the application did not do.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// The request's body could not be read.
    Body(io::Error),
    /// The request's body ended early; it cannot be taken back, so the connection was closed.
    BodyTooShort {
        /// Bytes that it lacks.
        missing: u64,
    },
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Io(error) => write!(f, "connection to the application: {error}"),
            Self::Protocol(error) => write!(f, "not FastCGI: {error}"),
            Self::Send(error) => error.fmt(f),
            Self::Variables(error) => error.fmt(f),
            Self::Target(error) => error.fmt(f),
            Self::Refused(status) => write!(f, "the application refused the request: {status}"),
            Self::Head(error) => error.fmt(f),
            Self::Truncated => f.write_str("the application closed before the end of its answer"),
            Self::ContentTooShort { missing } => {
                write!(f, "the answer ended {missing} bytes before its Content-Length")
            }
            Self::ContentTooLong { limit } => {
                write!(f, "the answer went on for more than {limit} bytes after its end")
            }
            Self::TimedOut { what, limit } => {
                write!(f, "the application did not {what} within {} s", limit.as_secs_f32())
            }
            Self::Body(error) => write!(f, "request body: {error}"),
            Self::BodyTooShort { missing } => write!(f, "request body: {missing} bytes are missing"),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(error) | Self::Io(error) | Self::Body(error) => Some(error),
            Self::Protocol(error) => Some(error),
            Self::Send(error) => Some(error),
            Self::Variables(error) => Some(error),
            Self::Target(error) => Some(error),
            Self::Head(error) => Some(error),
            Self::Refused(_)
            | Self::Truncated
            | Self::ContentTooShort { .. }
            | Self::ContentTooLong { .. }
            | Self::TimedOut { .. }
            | Self::BodyTooShort { .. } => None,
        }
    }
}

impl From<ConnectionError> for ClientError {
    fn from(error: ConnectionError) -> Self {
        Self::Protocol(error)
    }
}

impl From<SendError> for ClientError {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<VariablesError> for ClientError {
    fn from(error: VariablesError) -> Self {
        Self::Variables(error)
    }
}

impl From<PathError> for ClientError {
    fn from(error: PathError) -> Self {
        Self::Target(error)
    }
}

impl From<ResponseHeadError> for ClientError {
    fn from(error: ResponseHeadError) -> Self {
        Self::Head(error)
    }
}

impl From<ClientError> for io::Error {
    fn from(error: ClientError) -> Self {
        let kind = match &error {
            ClientError::Connect(inner) | ClientError::Io(inner) | ClientError::Body(inner) => inner.kind(),
            ClientError::Protocol(_) | ClientError::Head(_) | ClientError::ContentTooLong { .. } => {
                io::ErrorKind::InvalidData
            }
            ClientError::Send(_) | ClientError::Variables(_) | ClientError::Target(_) => {
                io::ErrorKind::InvalidInput
            }
            ClientError::Refused(_) => io::ErrorKind::ConnectionRefused,
            ClientError::Truncated
            | ClientError::ContentTooShort { .. }
            | ClientError::BodyTooShort { .. } => io::ErrorKind::UnexpectedEof,
            ClientError::TimedOut { .. } => io::ErrorKind::TimedOut,
        };
        Self::new(kind, error)
    }
}
