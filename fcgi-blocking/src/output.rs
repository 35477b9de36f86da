//! One request's answer on its way out: the head held back until it is whole, then what is buffered of the
//! body; STDERR held back until the head is out.

use fcgi_proto::cgi::{Head, HeadEnd, HeadError, Status};
use fcgi_proto::record::MAX_CONTENT;

/// Body bytes that are gathered before they are sent.
const BODY_ROOM: usize = 8 * 1024;

/// Room for a head that the library makes itself, the 500 of a handler that failed.
pub(crate) const MIN_HEAD: usize = 128;

/// A head leaves in one record, with the body bytes that are gathered behind it.
pub(crate) const MAX_HEAD: usize = MAX_CONTENT - BODY_ROOM;

/// STDERR bytes that wait for the head, at most: one record.
const STDERR_ROOM: usize = 32 * 1024;

/// How far the head is.
enum Stage {
    /// The handler writes it itself; what came is in `buffer`.
    Written(HeadEnd),
    /// It is made field by field.
    Fields,
    /// It is in `buffer`, or sent. Whether a body follows.
    Whole { body: bool },
}

pub(crate) struct Output {
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

impl Output {
    pub(crate) fn new(head_limit: usize) -> Self {
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

    /// For the next request.
    pub(crate) fn reset(&mut self, method: Option<&[u8]>) {
        self.stage = Stage::Written(HeadEnd::default());
        self.method_has_body = Status::OK.has_body(method);
        self.buffer.clear();
        self.stderr.clear();
        self.sent = false;
    }

    /// Starts a head that is made field by field.
    pub(crate) fn respond(&mut self, status: Status) -> Result<(), HeadError> {
        if !matches!(self.stage, Stage::Written(_)) || !self.buffer.is_empty() {
            return Err(HeadError::Begun);
        }
        self.head.start(status)?;
        self.stage = Stage::Fields;
        Ok(())
    }

    pub(crate) fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        match self.stage {
            Stage::Fields => self.head.field(name, value),
            Stage::Written(_) | Stage::Whole { .. } => Err(HeadError::Begun),
        }
    }

    /// Takes in what the handler writes to STDOUT and returns what there is no room for: it goes out right
    /// behind [`stdout`](Self::stdout).
    pub(crate) fn write<'a>(&mut self, data: &'a [u8]) -> Result<&'a [u8], HeadError> {
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
    pub(crate) fn write_stderr(&mut self, data: &[u8]) -> bool {
        self.stderr.extend_from_slice(data);
        self.head_is_whole() || self.stderr.len() > STDERR_ROOM
    }

    /// Ends a head of fields, if there is one.
    pub(crate) fn end_fields(&mut self) -> Result<(), HeadError> {
        if matches!(self.stage, Stage::Fields) {
            let head = self.head.finish()?;
            self.buffer.clear();
            self.buffer.extend_from_slice(head);
            self.stage = Stage::Whole { body: self.method_has_body && self.head.status().has_body(None) };
        }
        Ok(())
    }

    /// The handler is done.
    pub(crate) fn end(&mut self) -> Result<(), HeadError> {
        self.end_fields()?;
        if self.head_is_whole() { Ok(()) } else { Err(HeadError::Unfinished) }
    }

    pub(crate) fn head_is_whole(&self) -> bool {
        matches!(self.stage, Stage::Whole { .. })
    }

    /// What is to be sent on STDOUT: nothing before the head is whole.
    pub(crate) fn stdout(&self) -> &[u8] {
        if self.head_is_whole() { &self.buffer } else { &[] }
    }

    /// What is to be sent on STDERR, behind it.
    pub(crate) fn stderr(&self) -> &[u8] {
        &self.stderr
    }

    /// What [`stdout`](Self::stdout) and [`stderr`](Self::stderr) gave was sent.
    pub(crate) fn sent(&mut self) {
        if self.head_is_whole() {
            self.sent = true;
            self.buffer.clear();
        }
        self.stderr.clear();
    }

    /// The handler failed: a 500 instead of its answer, if nothing of that was sent, and a line on STDERR.
    pub(crate) fn fail(&mut self, why: &str) -> Result<(), HeadError> {
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
