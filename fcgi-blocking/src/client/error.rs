use std::time::Duration;
use std::{env, fmt, io};

use fcgi_proto::ConnectionError;
use fcgi_proto::cgi::{PathError, ResponseHeadError, ResponseTooLong, Status, VariablesError};
use fcgi_proto::client::{Failure, PageError, Wait};
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
    /// The answer was cut, as its end says: its connection carries others, and goes on.
    Cut(PageError),
    /// The request could not be sent, or was given up, for another reason: a parameter does not fit a record.
    Failed(Failure),
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
    /// The request's body could not be kept in a temporary file; the error's text names the folder.
    Spool(io::Error),
    /// The request's body ended early; it cannot be taken back, so the connection was closed.
    BodyTooShort {
        /// Bytes that it lacks.
        missing: u64,
    },
}

impl ClientError {
    /// Of a temporary file that could not be made, written or read: a [`Spool`](Self::Spool).
    #[doc(hidden)]
    pub fn spool(error: io::Error) -> Self {
        let folder = env::temp_dir();
        Self::Spool(io::Error::new(error.kind(), format!("{}: {error}", folder.display())))
    }

    /// What a web server answers to the HTTP client: 400, 408, 413, 414 or 431 if it is the request's fault, 503
    /// if the applications have too much to do, 504 if one takes too long, 507 or 500 if there is no place for
    /// the body, and 502 else.
    ///
    /// A body that cannot be read is 400, but 413 for [`FileTooLarge`](io::ErrorKind::FileTooLarge) and 408 for
    /// [`TimedOut`](io::ErrorKind::TimedOut).
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Body(error) if error.kind() == io::ErrorKind::FileTooLarge => Status::CONTENT_TOO_LARGE,
            Self::Body(error) if error.kind() == io::ErrorKind::TimedOut => Status::REQUEST_TIMEOUT,
            Self::Spool(error) => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Status::INSUFFICIENT_STORAGE,
                _ => Status::INTERNAL_SERVER_ERROR,
            },
            Self::Variables(VariablesError::NameTooLong { .. }) | Self::Failed(Failure::TooLong { .. }) => {
                Status::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::Target(PathError::TooLong { .. }) => Status::URI_TOO_LONG,
            Self::Variables(_) | Self::Target(_) => Status::BAD_REQUEST,
            Self::Body(_) | Self::BodyTooShort { .. } => Status::BAD_REQUEST,
            Self::Refused(ProtocolStatus::Overloaded | ProtocolStatus::CantMpxConn)
            | Self::PoolFull { .. }
            | Self::PoolTimedOut { .. } => Status::SERVICE_UNAVAILABLE,
            Self::TimedOut { .. } => Status::GATEWAY_TIMEOUT,
            _ => Status::BAD_GATEWAY,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "connection to the application: {error}"),
            Self::Protocol(error) => write!(f, "not FastCGI: {error}"),
            Self::Refused(status) => PageError::Refused(*status).fmt(f),
            Self::Truncated => Failure::Closed.fmt(f),
            Self::ContentTooShort { missing } => PageError::TooShort { missing: *missing }.fmt(f),
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
            Self::Spool(error) => write!(f, "request body, kept in {error}"),
            Self::BodyTooShort { missing } => write!(f, "request body: {missing} bytes are missing"),
            Self::Connect(error) => error.fmt(f),
            Self::Variables(error) => error.fmt(f),
            Self::Target(error) => error.fmt(f),
            Self::Head(error) => error.fmt(f),
            #[cfg(feature = "http")]
            Self::Response(error) => error.fmt(f),
            Self::ContentTooLong(error) => error.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
            Self::Cut(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<VariablesError> for ClientError {
    fn from(error: VariablesError) -> Self {
        Self::Variables(error)
    }
}

impl From<PageError> for ClientError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Head(error) => Self::Head(error),
            PageError::TooLong(error) => Self::ContentTooLong(error),
            PageError::Refused(status) => Self::Refused(status),
            PageError::TooShort { missing } => Self::ContentTooShort { missing },
            cut => Self::Cut(cut),
        }
    }
}

impl From<Failure> for ClientError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Protocol { error, .. } => Self::Protocol(error),
            Failure::Closed | Failure::Broken => Self::Truncated,
            Failure::TimedOut { wait: Wait::Input, .. } => Self::Body(io::ErrorKind::TimedOut.into()),
            Failure::TimedOut { wait, limit } => Self::TimedOut { what: wait.what(), limit },
            other => Self::Failed(other),
        }
    }
}

impl From<ClientError> for io::Error {
    fn from(error: ClientError) -> Self {
        use ClientError as E;
        use io::ErrorKind as Kind;
        let kind = match &error {
            E::Connect(inner) | E::Io(inner) | E::Body(inner) | E::Spool(inner) => inner.kind(),
            E::Variables(_) | E::Target(_) | E::Failed(Failure::TooLong { .. }) => Kind::InvalidInput,
            E::Refused(_) | E::Unavailable => Kind::ConnectionRefused,
            E::PoolFull { .. } => Kind::ResourceBusy,
            E::Truncated | E::Cut(_) | E::Failed(_) => Kind::UnexpectedEof,
            E::ContentTooShort { .. } | E::BodyTooShort { .. } => Kind::UnexpectedEof,
            E::TimedOut { .. } | E::PoolTimedOut { .. } => Kind::TimedOut,
            _ => Kind::InvalidData,
        };
        Self::new(kind, error)
    }
}
