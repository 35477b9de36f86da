//! Why no more of a request's input comes, and what handlers are told of it.

use std::io;
use std::time::Duration;

use fcgi_proto::ConnectionError;
use fcgi_proto::cgi::HeadError;
use fcgi_proto::server::Refusal;

#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// The client closed the connection or its sending half.
    Eof,
    /// The client sent ABORT_REQUEST.
    Aborted,
    Refused(Refusal),
    Protocol(ConnectionError),
    TimedOut(&'static str, Duration),
    Io(io::ErrorKind, String),
}

impl Stop {
    /// Whether the client has gone, as far as one can tell.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Eof | Self::Io(..) | Self::Protocol(ConnectionError::UnexpectedEof { .. }))
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind(), error.to_string())
    }
}

impl From<Stop> for io::Error {
    fn from(stop: Stop) -> Self {
        use io::ErrorKind::{ConnectionAborted, InvalidData, Other, TimedOut, UnexpectedEof};
        match stop {
            Stop::Eof => Self::new(UnexpectedEof, "the client closed before the end of the request's input"),
            Stop::Aborted => Self::new(ConnectionAborted, "the client aborted the request"),
            Stop::Refused(why) => Self::new(Other, format!("request refused: {why}")),
            Stop::Protocol(error @ ConnectionError::UnexpectedEof { .. }) => Self::new(UnexpectedEof, error),
            Stop::Protocol(error) => Self::new(InvalidData, error),
            Stop::TimedOut(what, limit) => {
                Self::new(TimedOut, format!("the client sent no {what} within {} s", limit.as_secs_f32()))
            }
            Stop::Io(kind, text) => Self::new(kind, text),
        }
    }
}

/// Nothing may be sent any more: it would be taken for the rest of a record.
pub(crate) fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "a write failed: the answer is cut off")
}

pub(crate) fn invalid(error: HeadError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
