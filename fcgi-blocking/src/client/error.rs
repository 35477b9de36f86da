use std::time::Duration;
use std::{fmt, io};

use fcgi_proto::ConnectionError;
use fcgi_proto::cgi::{PathError, ResponseHeadError, ResponseTooLong, Status, VariablesError};
use fcgi_proto::client::SendError;
#[cfg(feature = "http")]
use fcgi_proto::http::ResponseError;
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
    /// What came makes no HTTP response (feature `http`).
    #[cfg(feature = "http")]
    Response(ResponseError),
    /// The application closed the connection before the answer's end.
    Truncated,
    /// The body ended before the Content-Length that the application gave.
    ContentTooShort {
        /// Bytes that it lacks.
        missing: u64,
    },
    /// The application went on after the end of the body.
    ContentTooLong(ResponseTooLong),
    /// A limit of [`ClientSettings`](super::ClientSettings) passed.
    TimedOut {
        /// What the application did not do.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// Of a pool: all of its connections are taken, and as many requests wait for one as may.
    PoolFull {
        /// Requests that wait.
        waiting: usize,
    },
    /// Of a pool: no connection became free in time.
    PoolTimedOut {
        /// The limit.
        limit: Duration,
    },
    /// Of a pool: none of its applications could be connected to lately.
    Unavailable,
    /// The request's body could not be read.
    Body(io::Error),
    /// The request's body ended early; it cannot be taken back, so the connection was closed.
    BodyTooShort {
        /// Bytes that it lacks.
        missing: u64,
    },
}

impl ClientError {
    /// What a web server answers to the HTTP client: 400, 408, 413, 414 or 431 if it is the request's fault, 503
    /// if the applications have too much to do, 504 if one takes too long, and 502 else.
    ///
    /// A body that cannot be read is 400, but 413 for [`FileTooLarge`](io::ErrorKind::FileTooLarge) and 408 for
    /// [`TimedOut`](io::ErrorKind::TimedOut).
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Body(error) if error.kind() == io::ErrorKind::FileTooLarge => Status::CONTENT_TOO_LARGE,
            Self::Body(error) if error.kind() == io::ErrorKind::TimedOut => Status::REQUEST_TIMEOUT,
            Self::Body(_) | Self::BodyTooShort { .. } => Status::BAD_REQUEST,
            Self::Variables(VariablesError::NameTooLong { .. }) | Self::Send(SendError::TooLong { .. }) => {
                Status::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::Target(PathError::TooLong { .. }) => Status::URI_TOO_LONG,
            Self::Variables(_) | Self::Target(_) => Status::BAD_REQUEST,
            Self::Refused(ProtocolStatus::Overloaded | ProtocolStatus::CantMpxConn)
            | Self::PoolFull { .. }
            | Self::PoolTimedOut { .. } => Status::SERVICE_UNAVAILABLE,
            Self::TimedOut { .. } => Status::GATEWAY_TIMEOUT,
            Self::Connect(_)
            | Self::Io(_)
            | Self::Protocol(_)
            | Self::Send(_)
            | Self::Refused(_)
            | Self::Head(_)
            | Self::Truncated
            | Self::ContentTooShort { .. }
            | Self::ContentTooLong(_)
            | Self::Unavailable => Status::BAD_GATEWAY,
            #[cfg(feature = "http")]
            Self::Response(_) => Status::BAD_GATEWAY,
        }
    }
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
            #[cfg(feature = "http")]
            Self::Response(error) => error.fmt(f),
            Self::Truncated => f.write_str("the application closed before the end of its answer"),
            Self::ContentTooShort { missing } => {
                write!(f, "the answer ended {missing} bytes before its Content-Length")
            }
            Self::ContentTooLong(error) => error.fmt(f),
            Self::TimedOut { what, limit } => {
                write!(f, "the application did not {what} within {} s", limit.as_secs_f32())
            }
            Self::PoolFull { waiting } => {
                write!(f, "all connections are taken, and {waiting} requests wait for one")
            }
            Self::PoolTimedOut { limit } => {
                write!(f, "no connection became free within {} s", limit.as_secs_f32())
            }
            Self::Unavailable => f.write_str("no application could be connected to lately"),
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
            #[cfg(feature = "http")]
            Self::Response(error) => Some(error),
            Self::ContentTooLong(error) => Some(error),
            Self::Refused(_)
            | Self::Truncated
            | Self::ContentTooShort { .. }
            | Self::TimedOut { .. }
            | Self::PoolFull { .. }
            | Self::PoolTimedOut { .. }
            | Self::Unavailable
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

#[cfg(feature = "http")]
impl From<ResponseError> for ClientError {
    fn from(error: ResponseError) -> Self {
        Self::Response(error)
    }
}

impl From<ResponseTooLong> for ClientError {
    fn from(error: ResponseTooLong) -> Self {
        Self::ContentTooLong(error)
    }
}

impl From<ClientError> for io::Error {
    fn from(error: ClientError) -> Self {
        let kind = match &error {
            ClientError::Connect(inner) | ClientError::Io(inner) | ClientError::Body(inner) => inner.kind(),
            ClientError::Protocol(_) | ClientError::Head(_) | ClientError::ContentTooLong(_) => {
                io::ErrorKind::InvalidData
            }
            #[cfg(feature = "http")]
            ClientError::Response(_) => io::ErrorKind::InvalidData,
            ClientError::Send(_) | ClientError::Variables(_) | ClientError::Target(_) => {
                io::ErrorKind::InvalidInput
            }
            ClientError::Refused(_) | ClientError::Unavailable => io::ErrorKind::ConnectionRefused,
            ClientError::PoolFull { .. } => io::ErrorKind::ResourceBusy,
            ClientError::Truncated
            | ClientError::ContentTooShort { .. }
            | ClientError::BodyTooShort { .. } => io::ErrorKind::UnexpectedEof,
            ClientError::TimedOut { .. } | ClientError::PoolTimedOut { .. } => io::ErrorKind::TimedOut,
        };
        Self::new(kind, error)
    }
}
