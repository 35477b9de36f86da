//! One connection to an application: a socket that never blocks, the protocol's state, what is still to be
//! sent. It reads while it writes, so that an application that answers before it has read cannot stall it.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::ops::Range;

use fcgi_proto::Limits;
use fcgi_proto::client::{Connection, Event};
use fcgi_proto::record::{MAX_CONTENT, RequestId, Role};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::body::Body;
use super::{ClientError, ClientSettings, End, Value};
use crate::net::stream::Stream;

/// Bytes read at a time.
const READ_ROOM: usize = 64 * 1024;

/// Bytes of STDERR that are kept until someone takes them; what comes then is dropped.
const STDERR_LIMIT: usize = 64 * 1024;

/// What a request begins with.
pub(crate) struct Request<'r> {
    pub(crate) role: Role,
    pub(crate) keep_conn: bool,
    pub(crate) method: &'r [u8],
    pub(crate) variables: Vec<Value>,
}

/// What came of an answer.
#[derive(Debug)]
pub(crate) enum Got {
    /// Bytes of STDOUT, in [`Link::chunk`].
    Stdout,
    /// The request is over.
    End(End),
    /// Bytes of the answer to GET_VALUES, in [`Link::chunk`], and whether they are its last.
    Values { last: bool },
    /// The application does not know a management type.
    UnknownType,
}

#[derive(Debug)]
pub(crate) struct Link {
    stream: Stream,
    protocol: Connection<1>,
    buffer: Box<[u8]>,
    /// What of `buffer` the protocol has not seen.
    unread: Range<usize>,
    /// What of `buffer` the last [`Got`] is about.
    chunk: Range<usize>,
    /// Records to be sent, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    pub(crate) stderr: Vec<u8>,
    /// Whether any byte came since the request began.
    pub(crate) answered: bool,
    /// Whether the application stopped taking what is sent.
    refuses_input: bool,
}

impl Link {
    pub(crate) fn new(stream: Stream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            protocol: Connection::new(Limits::default()),
            buffer: vec![0; READ_ROOM].into_boxed_slice(),
            unread: 0..0,
            chunk: 0..0,
            out: Vec::new(),
            sent: 0,
            stderr: Vec::new(),
            answered: false,
            refuses_input: false,
        })
    }

    /// Whether a request may be sent on this connection, which has waited: nothing odd came on it, and nothing
    /// came since, neither bytes nor an end.
    pub(crate) fn is_usable(&self) -> bool {
        let waiting = || (&self.stream).read(&mut [0]);
        self.is_reusable() && matches!(waiting(), Err(error) if would_block(&error))
    }

    /// Takes in what came behind the end of a request: its padding is nothing odd.
    pub(crate) fn settle(&mut self) {
        let mut input = &self.buffer[self.unread.clone()];
        if matches!(self.protocol.next_event(&mut input), Ok(None)) {
            self.unread.start = self.unread.end;
        }
    }

    /// Whether it may wait for a further request.
    pub(crate) fn is_reusable(&self) -> bool {
        self.protocol.is_reusable() && self.unread.is_empty() && self.out.is_empty()
    }

    /// Makes the records of a request up to the end of its parameters.
    pub(crate) fn begin(&mut self, request: &Request<'_>) -> Result<RequestId, ClientError> {
        self.out.clear();
        self.sent = 0;
        self.answered = false;
        self.stderr.clear();
        let pairs = request.variables.iter().map(|(name, value)| (&name[..], &value[..]));
        Ok(self.protocol.begin_with(request.role, request.keep_conn, pairs, &mut self.out)?)
    }

    /// Makes the GET_VALUES record.
    pub(crate) fn get_values(&mut self) {
        let record = self.protocol.get_values();
        self.out.extend_from_slice(&record);
    }

    /// The bytes that the last [`Got::Stdout`] or [`Got::Values`] is about, less those that were taken.
    pub(crate) fn chunk(&self) -> &[u8] {
        &self.buffer[self.chunk.clone()]
    }

    pub(crate) fn take_chunk(&mut self, count: usize) {
        self.chunk.start += count.min(self.chunk.len());
    }

    /// Sends and receives until something came.
    pub(crate) fn next(
        &mut self,
        body: &mut Body<'_>,
        id: Option<RequestId>,
        settings: &ClientSettings,
    ) -> Result<Got, ClientError> {
        loop {
            if let Some(got) = self.take_event()? {
                return Ok(got);
            }
            self.send(body, id)?;
            self.wait(settings)?;
            self.receive()?;
        }
    }

    /// The next event of what was received.
    fn take_event(&mut self) -> Result<Option<Got>, ClientError> {
        loop {
            let mut input = &self.buffer[self.unread.clone()];
            let event = self.protocol.next_event(&mut input)?;
            let at = self.unread.end - input.len();
            self.unread.start = at;
            match event {
                None => return Ok(None),
                Some(Event::Stdout { data, .. }) => {
                    self.chunk = at - data.len()..at;
                    return Ok(Some(Got::Stdout));
                }
                Some(Event::Stderr { data, .. }) => {
                    let room = STDERR_LIMIT.saturating_sub(self.stderr.len());
                    self.stderr.extend_from_slice(&data[..data.len().min(room)]);
                }
                Some(Event::End { app_status, protocol_status, answered, .. }) => {
                    return Ok(Some(Got::End(End { app_status, protocol_status, answered })));
                }
                Some(Event::Values { data, last }) => {
                    self.chunk = at - data.len()..at;
                    return Ok(Some(Got::Values { last }));
                }
                Some(Event::UnknownType { .. }) => return Ok(Some(Got::UnknownType)),
                Some(_) => {}
            }
        }
    }

    /// Sends what the socket takes now.
    fn send(&mut self, body: &mut Body<'_>, id: Option<RequestId>) -> Result<(), ClientError> {
        while !self.refuses_input {
            if self.sent == self.out.len() {
                self.out.clear();
                self.sent = 0;
            }
            if let Some(id) = id {
                // Small bodies leave with their parameters.
                while self.out.len() < MAX_CONTENT && !body.is_sent() {
                    self.push_body(body, id)?;
                }
            }
            if self.out.is_empty() {
                break;
            }
            match self.stream.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if would_block(&error) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // An answer may have come before the application closed: read it first.
                Err(_) => self.refuses_input = true,
            }
        }
        Ok(())
    }

    /// Makes the next record of the request's input.
    fn push_body(&mut self, body: &mut Body<'_>, id: RequestId) -> Result<(), ClientError> {
        let mut chunk = [0; 32 * 1024];
        let (stream, count) = body.read(&mut chunk)?;
        let data = &chunk[..count];
        match stream {
            super::body::Stream::Stdin if data.is_empty() => {
                self.out.extend_from_slice(&self.protocol.stdin_end(id)?);
            }
            super::body::Stream::Stdin => {
                let (record, _) = self.protocol.stdin(id, data)?;
                record.slices().iter().for_each(|slice| self.out.extend_from_slice(slice));
            }
            super::body::Stream::Data if data.is_empty() => {
                self.out.extend_from_slice(&self.protocol.data_end(id)?);
            }
            super::body::Stream::Data => {
                let (record, _) = self.protocol.data(id, data)?;
                record.slices().iter().for_each(|slice| self.out.extend_from_slice(slice));
            }
        }
        Ok(())
    }

    /// Waits until the socket can be read, or written if something is to be sent.
    fn wait(&mut self, settings: &ClientSettings) -> Result<(), ClientError> {
        let sending = !self.refuses_input && self.sent < self.out.len();
        let (what, limit) = if sending {
            ("take the request", settings.write_timeout)
        } else if self.answered {
            ("go on answering", settings.read_timeout)
        } else {
            ("answer", settings.first_byte_timeout)
        };
        let events = if sending { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let timeout = Timespec::try_from(limit).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
        loop {
            match poll(&mut [PollFd::new(&self.stream, events)], Some(&timeout)) {
                Ok(0) => return Err(ClientError::TimedOut { what, limit }),
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(ClientError::Io(error.into())),
            }
        }
    }

    /// Receives what is there, if anything.
    fn receive(&mut self) -> Result<(), ClientError> {
        debug_assert!(self.unread.is_empty(), "what was received is taken first");
        match self.stream.read(&mut self.buffer) {
            Ok(0) => {
                self.protocol.eof()?;
                Err(ClientError::Truncated)
            }
            Ok(count) => {
                self.unread = 0..count;
                self.answered = true;
                Ok(())
            }
            Err(error) if would_block(&error) || error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(ClientError::Io(error)),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Closing is the abort that works (FastCGI 1.0, section 5.4), also while a clone of the descriptor
        // is in a child process.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
