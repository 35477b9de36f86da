//! One request's answer on its way out: the head held back until it is whole, then what is buffered of the
//! body; STDERR held back until the head is out (RFC 3875, section 6).

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::{Head, HeadEnd, HeadError, Status};
use crate::record::MAX_CONTENT;

/// Body bytes that are gathered before they are sent.
const BODY_ROOM: usize = 8 * 1024;

/// Room for a head that is made here, the 500 of a handler that failed.
const MIN_HEAD: usize = 128;

/// A head leaves in one record, with the body bytes that are gathered behind it.
const MAX_HEAD: usize = MAX_CONTENT - BODY_ROOM;

/// STDERR bytes that wait for the head, at most: one record.
const STDERR_ROOM: usize = 32 * 1024;

/// How far the head is.
#[derive(Debug)]
enum Stage {
    /// The handler writes it itself; what came is in `buffer`.
    Written(HeadEnd),
    /// It is made field by field.
    Fields,
    /// It is in `buffer`, or sent. Whether a body follows.
    Whole { body: bool },
}

/// One request's answer, as web servers need it: the head leaves whole, checked and completed, in one record,
/// before anything on STDERR; to HEAD, and with 204 and 304, no body follows; a handler that fails before
/// anything was sent has answered 500.
///
/// What is [written](Self::write) and has room waits here. What has none is the caller's to send right behind
/// [`stdout`](Self::stdout), so that large bodies are not copied. Needs the feature `alloc`.
///
/// ```
/// use fcgi_proto::cgi::{Answer, HEAD_LIMIT, Status};
///
/// let mut answer = Answer::new(HEAD_LIMIT);
/// answer.reset(Some(b"GET"));
/// answer.respond(Status::OK)?;
/// answer.field(b"Content-Type", b"text/plain")?;
/// assert_eq!(answer.stdout(), b""); // the head may grow
/// assert_eq!(answer.write(b"hello")?, b"");
/// answer.end()?;
/// assert_eq!(answer.stdout(), b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nhello");
/// answer.sent();
/// # Ok::<(), fcgi_proto::cgi::HeadError>(())
/// ```
#[derive(Debug)]
pub struct Answer {
    stage: Stage,
    head: Head<Box<[u8]>>,
    head_limit: usize,
    /// Whether the request's method allows a body.
    method_has_body: bool,
    /// What is to be sent next on STDOUT.
    buffer: Vec<u8>,
    /// What is to be sent next on STDERR.
    stderr: Vec<u8>,
    /// Whether something of the answer was sent.
    sent: bool,
}

impl Answer {
    /// An answer whose head has at most this many bytes. It leaves in one record with what is gathered
    /// behind it, so that more than 56 KiB less 8 bytes counts as that, and less than 128 bytes as 128.
    #[must_use]
    pub fn new(head_limit: usize) -> Self {
        let head_limit = head_limit.clamp(MIN_HEAD, MAX_HEAD);
        Self {
            stage: Stage::Written(HeadEnd::default()),
            head: Head::new(vec![0; head_limit].into_boxed_slice()),
            head_limit,
            method_has_body: true,
            buffer: Vec::new(),
            stderr: Vec::new(),
            sent: false,
        }
    }

    /// For the next request, of this method.
    pub fn reset(&mut self, method: Option<&[u8]>) {
        self.stage = Stage::Written(HeadEnd::default());
        self.method_has_body = Status::OK.has_body(method);
        self.buffer.clear();
        self.stderr.clear();
        self.sent = false;
    }

    /// Starts a head that is made field by field.
    ///
    /// # Errors
    /// [`HeadError::Begun`] if something was written or started before.
    pub fn respond(&mut self, status: Status) -> Result<(), HeadError> {
        self.respond_with(|head| head.start(status))
    }

    /// Starts a head with what `start` makes of it.
    ///
    /// # Errors
    /// [`HeadError::Begun`] if something was written or started before, and those of `start`.
    pub fn respond_with(
        &mut self,
        start: impl FnOnce(&mut Head<Box<[u8]>>) -> Result<(), HeadError>,
    ) -> Result<(), HeadError> {
        if !matches!(self.stage, Stage::Written(_)) || !self.buffer.is_empty() {
            return Err(HeadError::Begun);
        }
        start(&mut self.head)?;
        self.stage = Stage::Fields;
        Ok(())
    }

    /// Adds a header field to a head that was started.
    ///
    /// # Errors
    /// [`HeadError`] of [`Head::field`], and [`HeadError::Begun`] once the head has ended.
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        match self.stage {
            Stage::Fields => self.head.field(name, value),
            Stage::Written(_) | Stage::Whole { .. } => Err(HeadError::Begun),
        }
    }

    /// Takes in what the handler writes to STDOUT and returns what there is no room for: it goes out right
    /// behind [`stdout`](Self::stdout).
    ///
    /// # Errors
    /// [`HeadError`], for a head that cannot be sent.
    pub fn write<'a>(&mut self, data: &'a [u8]) -> Result<&'a [u8], HeadError> {
        let mut data = data;
        if let Stage::Written(end) = &mut self.stage {
            let found = end.find(data);
            let (head, rest) = data.split_at(found.unwrap_or(data.len()));
            if self.buffer.len() + head.len() > self.head_limit {
                return Err(HeadError::TooLong { limit: self.head_limit });
            }
            self.buffer.extend_from_slice(head);
            if found.is_none() {
                return Ok(rest);
            }
            self.head.adopt(&self.buffer)?;
            self.stage = Stage::Fields;
            data = rest;
        }
        self.end_fields()?;
        match self.stage {
            Stage::Whole { body: false } => Ok(&[]),
            _ if self.buffer.len() + data.len() <= self.head_limit + BODY_ROOM => {
                self.buffer.extend_from_slice(data);
                Ok(&[])
            }
            _ => Ok(data),
        }
    }

    /// Takes in what the handler writes to STDERR, and tells whether it may go out at once.
    pub fn write_stderr(&mut self, data: &[u8]) -> bool {
        self.stderr.extend_from_slice(data);
        self.head_is_whole() || self.stderr.len() > STDERR_ROOM
    }

    /// Ends a head of fields, if there is one.
    ///
    /// # Errors
    /// [`HeadError`] of [`Head::finish`].
    pub fn end_fields(&mut self) -> Result<(), HeadError> {
        if matches!(self.stage, Stage::Fields) {
            let head = self.head.finish()?;
            self.buffer.clear();
            self.buffer.extend_from_slice(head);
            self.stage = Stage::Whole { body: self.method_has_body && self.head.status().has_body(None) };
        }
        Ok(())
    }

    /// The handler is done.
    ///
    /// # Errors
    /// [`HeadError`], for a head that is missing or cannot be sent: see [`fail`](Self::fail).
    pub fn end(&mut self) -> Result<(), HeadError> {
        self.end_fields()?;
        if self.head_is_whole() { Ok(()) } else { Err(HeadError::Unfinished) }
    }

    /// Whether the head has ended: [`stdout`](Self::stdout) has it, or it was sent.
    #[must_use]
    pub fn head_is_whole(&self) -> bool {
        matches!(self.stage, Stage::Whole { .. })
    }

    /// What is to be sent on STDOUT: nothing before the head is whole. It is less than a record.
    #[must_use]
    pub fn stdout(&self) -> &[u8] {
        if self.head_is_whole() { &self.buffer } else { &[] }
    }

    /// What is to be sent on STDERR, behind it.
    #[must_use]
    pub fn stderr(&self) -> &[u8] {
        &self.stderr
    }

    /// What [`stdout`](Self::stdout) and [`stderr`](Self::stderr) gave was sent.
    pub fn sent(&mut self) {
        if self.head_is_whole() {
            self.sent = true;
            self.buffer.clear();
        }
        self.stderr.clear();
    }

    /// The handler failed: a 500 instead of its answer, if nothing of that was sent, and a line on STDERR.
    ///
    /// # Errors
    /// None, as long as a head of 128 bytes has room.
    pub fn fail(&mut self, why: &str) -> Result<(), HeadError> {
        self.stderr.extend_from_slice(why.as_bytes());
        self.stderr.push(b'\n');
        if self.sent {
            return Ok(());
        }
        self.stage = Stage::Written(HeadEnd::default());
        self.buffer.clear();
        self.respond(Status::INTERNAL_SERVER_ERROR)?;
        self.field(b"Content-Type", b"text/plain")?;
        self.write(b"Internal Server Error\n").map(drop)
    }
}
