//! One connection to an application: a socket that never blocks, its session, and what is still to be sent.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::ops::Range;
use std::time::Duration;

use fcgi_proto::client::{Again, Ask, End, Failure, Input, Manners, Request, Session, Stderr};
use rustix::event::{PollFd, PollFlags, poll};

use super::body::Body;
use super::{ClientError, ClientSettings, Result, Value};
use crate::net::clock::{self, now};
use crate::net::log::log_level;
use crate::net::stream::Stream;
use crate::net::transport::is_no_failure;

/// Bytes read at a time, of the socket and of a request's body.
const READ_ROOM: usize = 64 * 1024;
const BODY_ROOM: usize = 32 * 1024;

#[derive(Debug)]
pub(crate) struct Link {
    stream: Stream,
    pub(crate) session: Session<1>,
    idle_since: Duration,
    /// The application and the request, for the log.
    name: String,
    input: Vec<u8>,
    /// What of `input` the session has not seen, and where the STDOUT before it begins that was not taken.
    unread: Range<usize>,
    chunk: usize,
    /// Records to be sent.
    out: Vec<u8>,
    pub(crate) stderr: Stderr,
    /// Why reading failed.
    broken: Option<io::Error>,
}

impl Link {
    pub(crate) fn new(stream: Stream, settings: ClientSettings) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (session, idle_since) = (Session::new(settings.into()), now());
        let (name, input, unread, chunk, out, stderr, broken) = Default::default();
        Ok(Self { stream, session, idle_since, name, input, unread, chunk, out, stderr, broken })
    }

    /// Whether a request may be sent on this connection, which has waited, as far as looking at it tells.
    pub(crate) fn is_usable(&mut self, ask: &Ask<'_>, manners: &mut Manners) -> bool {
        self.session.waited();
        self.receive();
        self.take_in();
        manners.may_use(&self.session, ask, now() - self.idle_since, now())
    }

    /// Makes the records of a request that are known before its body. It is called `name` in the log.
    pub(crate) fn begin(&mut self, ask: Ask<'_>, variables: &[Value], name: &str) -> Result<Request> {
        self.name = name.to_owned();
        let pairs = variables.iter().map(|(name, value)| (&name[..], &value[..]));
        Ok(self.session.begin_with(ask, pairs, &mut self.out, now()).map_err(Failure::from)?)
    }

    /// Asks for the application's values: the pairs that came.
    pub(crate) fn values(mut self) -> Result<Vec<u8>> {
        let (request, record) = self.session.get_values(now()).map_err(Failure::from)?;
        self.out.extend_from_slice(&record);
        let mut pairs = Vec::new();
        while self.next(request, &mut Body::default())?.is_none() {
            pairs.extend_from_slice(self.chunk());
            self.take_chunk(request, self.chunk().len());
        }
        Ok(pairs)
    }

    /// The bytes of STDOUT that came, less those that were taken.
    pub(crate) fn chunk(&self) -> &[u8] {
        &self.input[self.chunk..self.unread.start]
    }

    pub(crate) fn take_chunk(&mut self, request: Request, count: usize) {
        self.chunk += count;
        self.session.took(request, count, now());
    }

    /// Sends and receives until there are further bytes in the [chunk](Self::chunk), or the request ended.
    pub(crate) fn next(&mut self, request: Request, body: &mut Body<'_>) -> Result<Option<End>> {
        loop {
            self.take_in();
            self.stderr.hand_on(body.listener.as_deref_mut());
            if !self.chunk().is_empty() {
                return Ok(None);
            }
            let polled = self.session.poll(request, now());
            let end = polled.map_err(|failure| self.broken.take().map_or(failure.into(), ClientError::Io))?;
            if end.is_some() {
                return Ok(end);
            }
            self.send(request, body)?;
            self.wait();
        }
    }

    /// After an error: whether the request is to be sent again, over a fresh connection.
    pub(crate) fn again(&mut self, request: Request, manners: &mut Manners) -> bool {
        manners.learn(&self.session, request, now());
        self.session.again(request) == Again::Fresh
    }

    /// A line in the log for a request that failed.
    pub(crate) fn log_failure(&mut self, request: Request) {
        if let Err(failure) = self.session.poll(request, now()) {
            log::log!(log_level(failure.level()), "{}: {failure}", self.name);
        }
    }

    /// The request has ended: the connection, if it can carry another.
    pub(crate) fn finish(mut self, request: Request, manners: &mut Manners) -> Option<Self> {
        manners.learn(&self.session, request, now());
        // It ended: there is nothing to abort.
        let _ = self.session.leave(request, now());
        self.take_in();
        self.idle_since = now();
        (!self.session.next().close).then_some(self)
    }

    /// Gives the session what was received, up to the next bytes of STDOUT.
    fn take_in(&mut self) {
        while self.chunk().is_empty() {
            let mut rest = &self.input[self.unread.clone()];
            let came = self.session.receive(&mut rest, now());
            self.unread.start = self.unread.end - rest.len();
            self.chunk = self.unread.start;
            match came {
                Some(Input::Stdout { data, .. }) => self.chunk -= data.len(),
                Some(Input::Stderr { data, .. }) => self.stderr.push(data),
                Some(_) => {}
                None => break,
            }
        }
        if let Some(odd) = self.session.take_odd() {
            log::warn!("{}: {odd}", self.name);
        }
    }

    /// Makes records of the body while there is room, so that small ones leave with their parameters, and sends
    /// what the socket takes now.
    fn send(&mut self, request: Request, body: &mut Body<'_>) -> Result<()> {
        loop {
            while self.session.wants(request) > 0 {
                let mut piece = [0; BODY_ROOM];
                let count = body.read(&mut piece)?;
                let written = self.session.write(request, &piece[..count], now());
                let (piece, _) = written.map_err(Failure::from)?;
                piece.slices().iter().for_each(|slice| self.out.extend_from_slice(slice));
            }
            if !self.session.next().write {
                return Ok(());
            }
            match self.stream.write(&self.out) {
                Ok(count) => {
                    self.out.drain(..count);
                    self.session.sent(count, now());
                }
                Err(error) if is_no_failure(&error) => return Ok(()),
                Err(_) => self.session.unwritable(now()),
            }
        }
    }

    /// Waits until the socket can be read, or written if something is to be sent, and receives what is there.
    fn wait(&mut self) {
        let next = self.session.next();
        let events = if next.write { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let limit = next.at.and_then(|at| clock::wait(at.saturating_sub(now())));
        match poll(&mut [PollFd::new(&self.stream, events)], limit.as_ref()) {
            Ok(0) => _ = self.session.expire(now()),
            Ok(_) => self.receive(),
            Err(error) => self.failed(error.into()),
        }
    }

    /// Receives what is there, if anything.
    fn receive(&mut self) {
        self.input.resize(READ_ROOM, 0);
        match self.stream.read(&mut self.input) {
            Ok(0) => self.session.end_of_input(),
            Ok(count) => (self.unread, self.chunk) = (0..count, 0),
            Err(error) => self.failed(error),
        }
    }

    fn failed(&mut self, error: io::Error) {
        if !is_no_failure(&error) {
            self.session.broken();
            self.broken = Some(error);
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
