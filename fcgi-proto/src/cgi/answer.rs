//! One request's answer on its way out: the head held back until it is whole, then what is buffered of the
//! body; STDERR held back until the head leaves (RFC 3875, section 6).

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::front::{Cut, Front};
use super::head::{Head, HeadEnd, HeadError};
use super::status::Status;
use crate::pair::{Pairs, TruncatedPair};
use crate::record::{HEADER_LEN, MAX_CONTENT, RequestId};
use crate::server::{Connection, SendError, Slots};

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
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Stage {
    /// The handler writes it itself; what came is in `held`.
    Written(HeadEnd),
    /// It is made field by field.
    Fields,
    /// It is in `held`, or sent. Whether a body follows.
    Whole { body: bool },
    /// What was written of it is not all here, or the answer is over: nothing more is taken.
    Refused(HeadError),
}

/// What is to be sent next on STDOUT, behind room for the header that makes a record of it.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Held(Vec<u8>);

impl Held {
    fn new() -> Self {
        Self(vec![0; HEADER_LEN])
    }

    fn content(&self) -> &[u8] {
        self.0.get(HEADER_LEN..).unwrap_or(&[])
    }

    #[inline]
    fn push(&mut self, data: &[u8]) {
        self.0.extend_from_slice(data);
    }

    fn clear(&mut self) {
        self.0.truncate(HEADER_LEN);
    }

    /// Puts a header before the content, if there is any, and returns where the record begins.
    #[inline]
    fn frame(&mut self, header: [u8; HEADER_LEN]) -> usize {
        if self.content().is_empty() {
            return HEADER_LEN;
        }
        if let Some(room) = self.0.first_chunk_mut() {
            *room = header;
        }
        0
    }
}

/// One request's answer, as web servers need it: the head leaves whole, checked and completed, in one record, before
/// anything on STDERR; to HEAD, and with 204 and 304, no body follows; a handler that fails before anything was sent
/// has answered 500. For nginx some of this differs: see [`Front`].
///
/// What is [written](Self::write) waits here as long as there is room. What has none is returned: send it right behind
/// [`stdout`](Self::stdout). So large bodies are not copied. Needs the feature `alloc`.
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
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Answer {
    stage: Stage,
    head: Head<Box<[u8]>>,
    head_limit: usize,
    /// Whether the request's method allows a body.
    method_has_body: bool,
    front: Front,
    /// Of the head, once it is whole.
    status: Option<Status>,
    held: Held,
    /// What is to be sent next on STDERR.
    stderr: Vec<u8>,
    /// Whether something of the answer was sent.
    sent: bool,
    /// Bytes of it that were handed out.
    bytes: u64,
}

impl Answer {
    /// An answer whose head has at most this many bytes. The head leaves in one record with what is gathered behind it.
    /// So the limit is at most 56 KiB less 8 bytes; it is at least 128 bytes.
    #[must_use]
    pub fn new(head_limit: usize) -> Self {
        let head_limit = head_limit.clamp(MIN_HEAD, MAX_HEAD);
        Self {
            stage: Stage::Written(HeadEnd::default()),
            head: Head::new(vec![0; head_limit].into_boxed_slice()),
            head_limit,
            method_has_body: true,
            front: Front::UNKNOWN,
            status: None,
            held: Held::new(),
            stderr: Vec::new(),
            sent: false,
            bytes: 0,
        }
    }

    /// Makes it ready for the next request, with these parameters. `front` is the web server that asks; `None`: the one
    /// that SERVER_SOFTWARE names.
    ///
    /// # Errors
    /// [`TruncatedPair`], if the parameters are not whole pairs.
    pub fn reset_for(&mut self, params: Pairs<'_>, front: Option<Front>) -> Result<(), TruncatedPair> {
        let names: [&[u8]; 2] = [b"REQUEST_METHOD", b"SERVER_SOFTWARE"];
        let values = params.values(names);
        let [method, software] = values.unwrap_or_default();
        self.reset(method);
        self.front = front.unwrap_or_else(|| Front::of(software));
        self.method_has_body |= self.front.head_body;
        values.map(drop)
    }

    /// Makes it ready for the next request, of this method, from a web server that is not known.
    #[inline]
    pub fn reset(&mut self, method: Option<&[u8]>) {
        self.stage = Stage::Written(HeadEnd::default());
        self.method_has_body = Status::OK.has_body(method);
        self.front = Front::UNKNOWN;
        self.status = None;
        self.held.clear();
        self.stderr.clear();
        (self.sent, self.bytes) = (false, 0);
    }

    /// Starts a head that is made field by field.
    ///
    /// # Errors
    /// [`HeadError::Begun`] if something was written or started before.
    #[inline]
    pub fn respond(&mut self, status: Status) -> Result<(), HeadError> {
        self.respond_with(|head| head.start(status))
    }

    /// Starts a head with what `start` makes of it.
    ///
    /// # Errors
    /// [`HeadError::Begun`] if something was written or started before, and those of `start`.
    #[inline]
    pub fn respond_with(
        &mut self,
        start: impl FnOnce(&mut Head<Box<[u8]>>) -> Result<(), HeadError>,
    ) -> Result<(), HeadError> {
        if !matches!(self.stage, Stage::Written(_)) || !self.held.content().is_empty() {
            return Err(HeadError::Begun);
        }
        self.head.clear();
        start(&mut self.head)?;
        self.stage = Stage::Fields;
        Ok(())
    }

    /// Adds a header field to a head that was started.
    ///
    /// # Errors
    /// [`HeadError`] of [`Head::field`], and [`HeadError::Begun`] once the head has ended.
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        match self.stage {
            Stage::Fields => self.head.field(name, value),
            Stage::Written(_) | Stage::Whole { .. } | Stage::Refused(_) => Err(HeadError::Begun),
        }
    }

    /// Takes in what the handler writes to STDOUT, and returns what there is no room for: send that right behind
    /// [`stdout`](Self::stdout).
    ///
    /// # Errors
    /// [`HeadError`], for a head that cannot be sent; one that was too long stays so.
    #[inline]
    pub fn write<'a>(&mut self, data: &'a [u8]) -> Result<&'a [u8], HeadError> {
        let data = match self.stage {
            Stage::Written(end) => self.write_head(end, data)?,
            Stage::Fields | Stage::Whole { .. } | Stage::Refused(_) => data,
        };
        if matches!(self.stage, Stage::Written(_)) {
            return Ok(data);
        }
        self.end_fields()?;
        match self.stage {
            Stage::Whole { body: false } => Ok(&[]),
            _ if self.has_room(data) => {
                self.held.push(data);
                Ok(&[])
            }
            _ => Ok(data),
        }
    }

    /// Takes in what is written of a head, and returns what comes behind it. Apart, so that what else is written is
    /// quick.
    #[inline(never)]
    fn write_head<'a>(&mut self, mut end: HeadEnd, data: &'a [u8]) -> Result<&'a [u8], HeadError> {
        let ended = end.find(data).and_then(|end| data.split_at_checked(end));
        let (head, rest) = ended.unwrap_or((data, &[]));
        if self.held.content().len() + head.len() > self.head_limit {
            let error = HeadError::TooLong { limit: self.head_limit };
            self.stage = Stage::Refused(error);
            return Err(error);
        }
        self.held.push(head);
        self.stage = Stage::Written(end);
        if ended.is_some() {
            self.head.adopt(self.held.content())?;
            self.stage = Stage::Fields;
        }
        Ok(rest)
    }

    /// Whether there is room for this behind what waits.
    pub(crate) fn has_room(&self, data: &[u8]) -> bool {
        self.held.content().len() + data.len() <= self.head_limit + BODY_ROOM
    }

    /// Takes in what the handler writes to STDERR, and tells whether it may go out at once.
    pub fn write_stderr(&mut self, data: &[u8]) -> bool {
        self.stderr.extend_from_slice(data);
        self.head_is_whole() || self.stderr.len() > STDERR_ROOM
    }

    /// Ends a head of fields, if there is one.
    ///
    /// # Errors
    /// [`HeadError`] of [`Head::finish`], and that of a written head that was too long.
    #[inline]
    pub fn end_fields(&mut self) -> Result<(), HeadError> {
        match self.stage {
            Stage::Fields => {
                let head = self.head.finish()?;
                self.held.clear();
                self.held.push(head);
                let status = self.head.status();
                self.status = Some(status);
                self.stage = Stage::Whole { body: self.method_has_body && status.has_body(None) };
                Ok(())
            }
            Stage::Refused(error) => Err(error),
            Stage::Written(_) | Stage::Whole { .. } => Ok(()),
        }
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
    pub(crate) fn head_is_whole(&self) -> bool {
        matches!(self.stage, Stage::Whole { .. })
    }

    /// Counts what [`stdout`](Self::stdout) has as handed out, with so many bytes behind it.
    pub(crate) fn count(&mut self, behind: usize) {
        self.bytes += (self.stdout().len() + behind) as u64;
    }

    /// Bytes that were handed out.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its status, once its head is whole; `None` for an answer without one.
    pub(crate) fn status(&self) -> Option<Status> {
        self.status
    }

    /// What is to be sent on STDOUT: nothing before the head is whole. It is less than a record.
    #[must_use]
    pub fn stdout(&self) -> &[u8] {
        if self.head_is_whole() { self.held.content() } else { &[] }
    }

    /// What is to be sent on STDERR, behind it; before it if [`Front::errors_first`] says so.
    #[must_use]
    pub fn stderr(&self) -> &[u8] {
        &self.stderr
    }

    /// What [`stdout`](Self::stdout) and [`stderr`](Self::stderr) gave was sent.
    pub fn sent(&mut self) {
        if self.head_is_whole() {
            self.sent = true;
            self.held.clear();
        }
        self.stderr.clear();
    }

    /// Makes records of all that waits, of the ends of the request's output streams and of END_REQUEST with this
    /// application status, one behind the other, to be sent as they are (sections 5.5 and 6.2). Nothing more is
    /// taken then. If the answer did not [end](Self::end), nothing is sent on STDOUT. If the request was aborted
    /// before it could be answered, only END_REQUEST is sent.
    ///
    /// # Errors
    /// Those of [`Connection::finish`]; what waits is kept.
    pub fn finish<const N: usize, S: Slots>(
        &mut self,
        connection: &mut Connection<N, S>,
        id: RequestId,
        app_status: u32,
    ) -> Result<&[u8], SendError> {
        let (header, padding) = match connection.stdout(id, self.stdout()) {
            // It is less than a record.
            Ok((stdout, _)) => stdout.frame(),
            Err(SendError::TooEarly { .. }) if connection.may_finish(id) => {
                self.stage = Stage::Refused(HeadError::Begun);
                self.stderr.clear();
                Default::default()
            }
            Err(error) => return Err(error),
        };
        self.count(0);
        if !self.head_is_whole() {
            self.held.clear();
        }
        self.stage = Stage::Refused(HeadError::Begun);
        let from = self.frame(header, padding, connection, id)?;
        self.held.push(&connection.finish(id, app_status)?);
        Ok(self.held.0.get(from..).unwrap_or(&[]))
    }

    /// Makes records of all that waits, to be sent as they are; [`sent`](Self::sent) is to be called then.
    ///
    /// # Errors
    /// Those of [`Connection::stdout`].
    pub(crate) fn part<const N: usize, S: Slots>(
        &mut self,
        connection: &mut Connection<N, S>,
        id: RequestId,
    ) -> Result<&[u8], SendError> {
        let (stdout, _) = connection.stdout(id, self.stdout())?;
        let (header, padding) = stdout.frame();
        self.count(0);
        let from = self.frame(header, padding, connection, id)?;
        Ok(self.held.0.get(from..).unwrap_or(&[]))
    }

    /// Makes the record of STDOUT and those of STDERR, and returns where they begin.
    #[inline]
    fn frame<const N: usize, S: Slots>(
        &mut self,
        header: [u8; HEADER_LEN],
        padding: &[u8],
        connection: &mut Connection<N, S>,
        id: RequestId,
    ) -> Result<usize, SendError> {
        let from = self.held.frame(header);
        self.held.push(padding);
        let len = self.held.0.len() - from;
        let mut stderr = &self.stderr[..];
        while !stderr.is_empty() {
            let (record, rest) = connection.stderr(id, stderr)?;
            record.slices().iter().for_each(|part| self.held.push(part));
            stderr = rest;
        }
        if self.errors_first() {
            self.held.0.get_mut(from..).unwrap_or_default().rotate_left(len);
        }
        Ok(from)
    }

    /// Whether STDERR is to be sent before STDOUT.
    pub(crate) fn errors_first(&self) -> bool {
        self.front.errors_first
    }

    /// What was written without a head is the answer as it is, where the web server has its own rules for that.
    ///
    /// # Errors
    /// Those of [`end`](Self::end), where it has none.
    pub(crate) fn end_as_it_is(&mut self) -> Result<(), HeadError> {
        let ended = self.end();
        if ended.is_err() && self.front.errors_first && matches!(self.stage, Stage::Written(_)) {
            self.stage = Stage::Whole { body: true };
        }
        ended
    }

    /// Whether something of the answer was sent.
    pub(crate) fn has_begun(&self) -> bool {
        self.sent
    }

    /// Whether the connection's end, rather than the request's, is to show that the answer failed half way: no
    /// Content-Length tells, or the web server does not look at it.
    pub(crate) fn is_cut_by_close(&self, keep_conn: bool) -> bool {
        let closes = match self.front.cut {
            _ if self.head.content_length().is_none() => true,
            Cut::End => false,
            Cut::KeptClose => keep_conn,
            Cut::Close => true,
        };
        self.sent && matches!(self.stage, Stage::Whole { body: true }) && closes
    }

    /// Forgets what waits.
    pub(crate) fn forget(&mut self) {
        self.held.clear();
        self.stderr.clear();
    }

    /// Leaves these bytes to be sent instead of all that waits.
    pub(crate) fn replace(&mut self, bytes: &[u8]) -> &[u8] {
        self.forget();
        self.held.push(bytes);
        self.held.content()
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
        self.held.clear();
        self.respond(Status::INTERNAL_SERVER_ERROR)?;
        self.field(b"Content-Type", b"text/plain")?;
        self.write(b"Internal Server Error\n").map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"Status: 200 OK\r\nContent-Type: a/b\r\n\r\n";
    const FAILED: &[u8] =
        b"Status: 500 Internal Server Error\r\nContent-Type: text/plain\r\n\r\nInternal Server Error\n";

    /// To a request of this method, with the least room that a head can have: 128 bytes.
    fn answer(method: &[u8]) -> Answer {
        let mut answer = Answer::new(0);
        answer.reset(Some(method));
        answer
    }

    /// To a GET, its head out.
    fn begun() -> Answer {
        let mut answer = answer(b"GET");
        assert_eq!(answer.write(HEAD), Ok(&b""[..]));
        assert_eq!(answer.stdout(), HEAD);
        answer.sent();
        answer
    }

    #[test]
    fn a_written_head_is_completed_and_waits_until_it_is_whole_however_it_is_cut() {
        let written = b"Content-Type: a/b\n\nbody";
        let head_len = written.len() - 4;
        for cut in 0..=written.len() {
            let (before, after) = written.split_at(cut);
            let mut answer = answer(b"GET");
            assert_eq!(answer.write(before), Ok(&b""[..]));
            assert_eq!(answer.head_is_whole(), cut >= head_len);
            assert_eq!(answer.stdout().is_empty(), cut < head_len);
            assert_eq!(answer.write(after), Ok(&b""[..]));
            assert_eq!(answer.end(), Ok(()));
            assert_eq!(answer.stdout(), [HEAD, b"body"].concat());
        }
    }

    #[test]
    fn a_head_of_fields_ends_with_the_body_or_the_answer() {
        for ends in [|answer: &mut Answer| answer.write(b"").map(drop), Answer::end_fields, Answer::end] {
            let mut answer = answer(b"GET");
            assert_eq!(answer.respond(Status::OK), Ok(()));
            assert_eq!(answer.field(b"Content-Type", b"a/b"), Ok(()));
            assert_eq!((answer.head_is_whole(), answer.stdout()), (false, &b""[..]));
            assert_eq!(ends(&mut answer), Ok(()));
            assert_eq!((answer.head_is_whole(), answer.stdout()), (true, HEAD));
            assert_eq!(answer.end(), Ok(()));
            assert_eq!(answer.stdout(), HEAD);
        }
    }

    #[test]
    fn a_head_begins_once_and_takes_no_field_before_or_after() {
        let mut answer = answer(b"GET");
        assert_eq!(answer.field(b"A", b"b"), Err(HeadError::Begun));
        let refused = answer.respond_with(|head| head.start(Status::OK).and(head.field(b"", b"")));
        assert_eq!(refused, Err(HeadError::Name { byte: b':' }));
        assert_eq!(answer.respond_with(|head| head.start(Status::OK)), Ok(()));
        assert_eq!(answer.respond(Status::NOT_FOUND), Err(HeadError::Begun));
        assert_eq!(answer.field(b"Content-Type", b"a/b"), Ok(()));
        assert_eq!(answer.end_fields(), Ok(()));
        assert_eq!(answer.respond(Status::NOT_FOUND), Err(HeadError::Begun));
        assert_eq!(answer.field(b"A", b"b"), Err(HeadError::Begun));
        assert_eq!(answer.stdout(), HEAD);
        answer.sent();
        assert_eq!(answer.respond(Status::NOT_FOUND), Err(HeadError::Begun));
    }

    #[test]
    fn a_head_that_is_written_in_part_is_not_made_of_fields() {
        let mut answer = answer(b"GET");
        assert_eq!(answer.write(b"Content-"), Ok(&b""[..]));
        assert_eq!(answer.respond(Status::NOT_FOUND), Err(HeadError::Begun));
        assert_eq!(answer.field(b"A", b"b"), Err(HeadError::Begun));
        assert_eq!(answer.write(b"Type: a/b\n\n"), Ok(&b""[..]));
        assert_eq!(answer.stdout(), HEAD);
    }

    #[test]
    fn w23_to_head_and_with_204_and_304_the_body_is_dropped() {
        let large = vec![b'b'; 100_000];
        for (method, status, kept) in [
            (&b"GET"[..], Status::OK, true),
            (b"HEAD", Status::OK, false),
            (b"GET", Status::NO_CONTENT, false),
            (b"POST", Status::NOT_MODIFIED, false),
        ] {
            let mut answer = answer(method);
            assert_eq!(answer.respond(status), Ok(()));
            assert_eq!(answer.end_fields(), Ok(()));
            let head = answer.stdout().to_vec();
            for body in [&b"body"[..], &large] {
                let rest = if kept && body.len() > 4 { body } else { b"" };
                assert_eq!(answer.write(body), Ok(rest));
            }
            assert_eq!(answer.stdout(), [&head[..], if kept { b"body" } else { b"" }].concat());
        }
    }

    #[test]
    fn w25_a_head_has_its_room_and_one_record_at_most() {
        let too_long = Err(HeadError::TooLong { limit: 128 });
        assert_eq!(answer(b"GET").write(&[b'x'; 129]), too_long);
        for (length, result) in [(28, Ok(&b""[..])), (29, too_long)] {
            let mut answer = answer(b"GET");
            assert_eq!(answer.write(&[b'x'; 100]), Ok(&b""[..]));
            assert_eq!(answer.write(&vec![b'x'; length]), result);
        }

        for (asked, limit) in [(0, 128), (500, 500), (57_336, 57_336), (usize::MAX, 57_336)] {
            let mut answer = Answer::new(asked);
            let value = vec![b'v'; limit - HEAD.len() - 5];
            assert_eq!(answer.respond(Status::OK), Ok(()));
            assert_eq!(answer.field(b"Content-Type", b"a/b"), Ok(()));
            assert_eq!(answer.field(b"A", &[b'v'; 60_000]), Err(HeadError::TooLong { limit }));
            assert_eq!(answer.field(b"A", &value), Ok(()));
            assert_eq!(answer.end(), Ok(()));
            assert_eq!(answer.stdout().len(), limit);
            assert_eq!(answer.write(&[b'b'; 8 * 1024]), Ok(&b""[..]));
            assert!(answer.stdout().len() <= MAX_CONTENT);
        }
    }

    #[test]
    fn w25_a_written_head_that_was_too_long_stays_refused() {
        let too_long = HeadError::TooLong { limit: 128 };
        let mut answer = answer(b"GET");
        assert_eq!(answer.write(b"Content-Type: a/b\nX: "), Ok(&b""[..]));
        assert_eq!(answer.write(&[b'x'; 128]), Err(too_long));
        assert_eq!(answer.write(b"\n\nbody"), Err(too_long));
        assert_eq!((answer.end_fields(), answer.end()), (Err(too_long), Err(too_long)));
        assert_eq!(answer.respond(Status::OK), Err(HeadError::Begun));
        assert_eq!(answer.field(b"A", b"b"), Err(HeadError::Begun));
        assert_eq!((answer.head_is_whole(), answer.stdout()), (false, &b""[..]));
        assert_eq!(answer.fail("why"), Ok(()));
        assert_eq!((answer.end(), answer.stdout()), (Ok(()), FAILED));

        answer.reset(None);
        assert_eq!(answer.write(&[b'x'; 129]), Err(too_long));
        answer.reset(None);
        assert_eq!((answer.write(HEAD), answer.stdout()), (Ok(&b""[..]), HEAD));
    }

    #[test]
    fn of_a_body_8_kib_are_gathered_and_what_has_no_room_is_left_to_the_caller() {
        const ROOM: usize = 128 + 8 * 1024;
        for part in [1, 100, ROOM] {
            let (mut answer, body) = (begun(), vec![b'b'; ROOM]);
            for part in body.chunks(part) {
                assert_eq!(answer.write(part), Ok(&b""[..]));
            }
            assert_eq!(answer.write(b"c"), Ok(&b"c"[..]));
            assert_eq!(answer.stdout(), body);
            answer.sent();
            assert_eq!((answer.write(b"c"), answer.stdout()), (Ok(&b""[..]), &b"c"[..]));
        }
        let large = vec![b'b'; ROOM + 1];
        assert_eq!(begun().write(&large), Ok(&large[..]));
        let mut answer = answer(b"GET");
        assert_eq!(answer.write(&[HEAD, &large].concat()), Ok(&large[..]));
        assert_eq!(answer.stdout(), HEAD);
    }

    #[test]
    fn stderr_waits_for_the_head_up_to_one_record() {
        let mut answer = answer(b"GET");
        assert!(!answer.write_stderr(&[b'e'; 32 * 1024]));
        assert!(answer.write_stderr(b"f"));
        assert_eq!((answer.stderr().len(), answer.stderr().last()), (32 * 1024 + 1, Some(&b'f')));
        assert_eq!(answer.write(b"Content-Type: "), Ok(&b""[..]));
        answer.sent();
        assert_eq!((answer.stdout(), answer.stderr()), (&b""[..], &b""[..]));

        assert!(!answer.write_stderr(b"early"));
        assert_eq!(answer.write(b"a/b\n\n"), Ok(&b""[..]));
        assert!(answer.write_stderr(b", late"));
        assert_eq!((answer.stdout(), answer.stderr()), (HEAD, &b"early, late"[..]));
        answer.sent();
        assert_eq!((answer.stdout(), answer.stderr()), (&b""[..], &b""[..]));
        assert!(answer.write_stderr(b""));
    }

    /// A connection with an active request whose parameters are there.
    fn asked() -> Connection<1> {
        let mut connection = Connection::new(crate::Limits::default());
        let mut input = &b"\x01\x01\0\x01\0\x08\0\0\0\x01\x01\0\0\0\0\0\x01\x04\0\x01\0\0\0\0"[..];
        while connection.next_event(&mut input).unwrap().is_some() {}
        connection
    }

    #[test]
    fn the_end_takes_all_that_waits_in_one_piece() {
        const ID: RequestId = RequestId::ONE;
        for (body, stderr) in [(&b"body"[..], &b""[..]), (b"a body of 24 and no pad!", b"error"), (b"", b"e")]
        {
            let mut answer = answer(b"GET");
            assert_eq!(answer.write(HEAD).and(answer.write(body)), Ok(&b""[..]));
            answer.write_stderr(stderr);
            let mut connection = asked();
            let (stdout, _) = connection.stdout(ID, answer.stdout()).unwrap();
            let (stderr, _) = connection.stderr(ID, answer.stderr()).unwrap();
            let end = connection.finish(ID, 7).unwrap();
            let records = [&stdout.slices().concat(), &stderr.slices().concat(), &end[..]].concat();
            assert_eq!(answer.finish(&mut asked(), ID, 7), Ok(&records[..]));
        }
    }

    #[test]
    fn stderr_of_more_than_a_record_leaves_whole_with_the_end() {
        let text = vec![b'e'; 70_000];
        for fails in [false, true] {
            let mut answer = begun();
            if fails {
                assert_eq!(answer.fail(core::str::from_utf8(&text).unwrap()), Ok(()));
            } else {
                answer.write_stderr(&text);
            }
            let mut expected = answer.stderr().to_vec();
            let mut decoder = crate::decoder::Decoder::new();
            let mut sent = answer.finish(&mut asked(), RequestId::ONE, 0).unwrap();
            while let Some(part) = decoder.next(&mut sent).unwrap() {
                if let crate::decoder::Part::Content { record_type: 7, data, .. } = part {
                    assert_eq!(data, expected.drain(..data.len()).as_slice());
                }
            }
            assert!(expected.is_empty() && decoder.at_boundary());
        }
    }

    #[test]
    fn the_answer_to_a_filter_that_is_aborted_before_its_turn_is_only_its_end() {
        let aborted = || {
            let mut connection = Connection::<1>::new(crate::Limits::default());
            let mut input = &b"\x01\x01\0\x01\0\x08\0\0\0\x03\x01\0\0\0\0\0\x01\x02\0\x01\0\0\0\0"[..];
            while connection.next_event(&mut input).unwrap().is_some() {}
            connection
        };
        let end = aborted().finish(RequestId::ONE, 0).unwrap();
        let mut answer = answer(b"GET");
        assert_eq!(answer.write(HEAD), Ok(&b""[..]));
        answer.write_stderr(b"error");
        assert_eq!(answer.finish(&mut aborted(), RequestId::ONE, 0), Ok(&end[..]));
    }

    #[test]
    fn the_end_of_an_answer_that_was_sent_or_has_no_head_is_only_its_ends() {
        let end = asked().finish(RequestId::ONE, 0).unwrap();
        let mut written = answer(b"GET");
        assert_eq!(written.write(b"Content-Type: a"), Ok(&b""[..]));
        for mut answer in [begun(), answer(b"GET"), written] {
            assert_eq!(answer.finish(&mut asked(), RequestId::ONE, 0), Ok(&end[..]));
        }
    }

    #[test]
    fn after_its_end_an_answer_takes_nothing_until_the_next_request() {
        let mut answer = begun();
        assert_eq!(answer.write(b"body"), Ok(&b""[..]));
        let mut connection = asked();
        assert!(answer.finish(&mut connection, RequestId::ONE, 0).is_ok());
        assert_eq!((answer.write(b"more"), answer.stdout()), (Err(HeadError::Begun), &b""[..]));
        answer.reset(Some(b"GET"));
        assert_eq!((answer.write(HEAD), answer.stdout()), (Ok(&b""[..]), HEAD));
    }

    #[test]
    fn an_end_that_is_refused_leaves_the_answer_as_it_was() {
        let mut answer = begun();
        assert_eq!(answer.write(b"body"), Ok(&b""[..]));
        answer.write_stderr(b"error");
        let id = RequestId::ONE;
        let mut connection = Connection::<1>::new(crate::Limits::default());
        assert_eq!(answer.finish(&mut connection, id, 0), Err(SendError::Inactive { id }));
        assert_eq!((answer.stdout(), answer.stderr()), (&b"body"[..], &b"error"[..]));
        assert!(answer.finish(&mut asked(), id, 0).is_ok());

        answer.reset(Some(b"GET"));
        assert_eq!(answer.write(b"Content-Type: "), Ok(&b""[..]));
        assert_eq!(answer.finish(&mut connection, id, 0), Err(SendError::Inactive { id }));
        assert_eq!((answer.write(b"a/b\n\n"), answer.stdout()), (Ok(&b""[..]), HEAD));
    }

    #[test]
    fn a_failure_is_a_500_until_something_was_sent() {
        type Start = fn(&mut Answer) -> Result<(), HeadError>;
        let starts: [Start; 4] = [
            |_| Ok(()),
            |answer| answer.write(b"Content-Ty").map(drop),
            |answer| answer.respond(Status::NO_CONTENT).and(answer.field(b"X", &[b'x'; 80])),
            |answer| answer.write(HEAD).and(answer.write(b"body")).map(drop),
        ];
        for start in starts {
            let mut answer = answer(b"GET");
            assert_eq!(start(&mut answer), Ok(()));
            answer.write_stderr(b"why: ");
            assert_eq!(answer.fail("no file"), Ok(()));
            assert_eq!((answer.stdout(), answer.stderr()), (FAILED, &b"why: no file\n"[..]));
            assert_eq!(answer.end(), Ok(()));
        }
        let mut answer = begun();
        assert_eq!(answer.write(b"body"), Ok(&b""[..]));
        assert_eq!(answer.fail("late"), Ok(()));
        assert_eq!((answer.stdout(), answer.stderr()), (&b"body"[..], &b"late\n"[..]));
    }

    #[test]
    fn a_failure_after_stderr_alone_was_sent_is_a_500_and_to_head_without_its_body() {
        let mut answer = answer(b"HEAD");
        answer.write_stderr(b"early");
        answer.sent();
        assert_eq!(answer.fail("why"), Ok(()));
        assert_eq!(answer.stdout(), FAILED.strip_suffix(b"Internal Server Error\n").unwrap());
        assert_eq!(answer.stderr(), b"why\n");
    }

    #[test]
    fn an_answer_without_a_head_or_with_a_bad_one_is_an_error_and_then_a_500() {
        for (written, result) in [
            (&b""[..], Ok(&b""[..])),
            (b"Content-Type: a/b\n", Ok(b"")),
            (b"HTTP/1.1 200 OK\r\n\r\n", Err(HeadError::NoColon)),
        ] {
            let mut answer = answer(b"GET");
            assert_eq!(answer.write(written), result);
            assert_eq!((answer.end(), answer.stdout()), (Err(HeadError::Unfinished), &b""[..]));
            assert_eq!(answer.fail("why"), Ok(()));
            assert_eq!((answer.end(), answer.stdout()), (Ok(()), FAILED));
        }
        let mut answer = answer(b"GET");
        assert_eq!(answer.respond(Status::OK).and(answer.field(b"X", &[b'x'; 105])), Ok(()));
        assert_eq!(answer.end(), Err(HeadError::TooLong { limit: 128 }));
        assert!(!answer.head_is_whole());
    }

    #[test]
    fn a_head_that_nobody_started_is_an_error_and_has_nothing_of_the_one_before() {
        let mut answer = answer(b"GET");
        assert_eq!(answer.respond(Status::OK).and(answer.field(b"Set-Cookie", b"secret")), Ok(()));
        answer.reset(Some(b"GET"));
        let started = answer.respond_with(|head| head.field(b"A", b"b"));
        assert_eq!(started, Err(HeadError::Unfinished));
        assert_eq!(answer.respond_with(|_| Ok(())), Ok(()));
        assert_eq!((answer.end(), answer.stdout()), (Err(HeadError::Unfinished), &b""[..]));
        let half = |head: &mut Head<Box<[u8]>>| head.start(Status::OK).and(head.field(b"", b""));
        answer.reset(Some(b"GET"));
        assert_eq!(answer.respond_with(half), Err(HeadError::Name { byte: b':' }));
        assert_eq!(answer.respond_with(|head| head.field(b"A", b"b")), Err(HeadError::Unfinished));
    }

    /// To a request of this method from this web server.
    fn answer_for(method: &[u8], software: &[u8], front: Option<Front>) -> Answer {
        let mut bytes = Vec::new();
        for (name, value) in [(&b"SERVER_SOFTWARE"[..], software), (b"REQUEST_METHOD", method)] {
            bytes.extend([&[name.len() as u8, value.len() as u8], name, value].concat());
        }
        let mut answer = Answer::new(0);
        answer.reset_for(Pairs::new(&bytes), front).unwrap();
        answer
    }

    #[test]
    fn w34_the_answer_to_head_has_its_body_for_nginx_or_where_that_is_asked_for_and_204_never() {
        let page = [HEAD, b"body"].concat();
        for (software, front, body) in [
            (&b"nginx/1.22.1"[..], None, true),
            (b"HAProxy 2.6.12", None, false),
            (b"h2o/2.2.5", None, false),
            (b"", None, false),
            (b"nginx/1.22.1", Some(Front::OTHER), false),
            (b"h2o/2.2.5", Some(Front::NGINX), true),
        ] {
            let mut answer = answer_for(b"HEAD", software, front);
            assert_eq!(answer.write(&page), Ok(&b""[..]));
            assert_eq!(answer.stdout(), if body { &page } else { HEAD }, "{software:?} {front:?}");
            let mut answer = answer_for(b"HEAD", software, front);
            assert_eq!(answer.write(b"Status: 204\n\nbody"), Ok(&b""[..]));
            assert_eq!(answer.stdout(), b"Status: 204 No Content\r\n\r\n");
        }
    }

    #[test]
    fn w33_stderr_is_before_the_head_for_nginx_and_behind_it_for_others() {
        for (software, kinds) in [(&b"nginx/1.22.1"[..], [7, 6]), (b"HAProxy 2.6.12", [6, 7])] {
            let mut answer = answer_for(b"GET", software, None);
            assert_eq!(answer.write(HEAD), Ok(&b""[..]));
            answer.write_stderr(b"sample");
            let mut sent = answer.finish(&mut asked(), RequestId::ONE, 0).unwrap();
            let mut decoder = crate::decoder::Decoder::new();
            let mut found = Vec::new();
            while let Some(part) = decoder.next(&mut sent).unwrap() {
                if let crate::decoder::Part::Content { record_type: 6 | 7, data, .. } = part {
                    found.push((if data == HEAD { 6 } else { 7 }, data.len()));
                }
            }
            assert!(found.iter().map(|(kind, _)| *kind).eq(kinds), "{found:?}");
            assert!(decoder.at_boundary());
        }
    }

    #[test]
    fn w33_an_answer_without_a_head_is_as_it_is_for_nginx_and_else_not_there() {
        for written in [&b""[..], b"BAD", b"Content-Type: a/b\n"] {
            for (software, stdout) in [(&b"nginx/1.22.1"[..], Some(written)), (b"h2o/2.2.5", None)] {
                let mut answer = answer_for(b"GET", software, None);
                assert_eq!(answer.write(written), Ok(&b""[..]));
                assert_eq!(answer.end_as_it_is(), Err(HeadError::Unfinished));
                assert_eq!(answer.head_is_whole(), stdout.is_some());
                assert_eq!(answer.stdout(), stdout.unwrap_or_default());
            }
        }
    }

    #[test]
    fn w32_what_shows_that_a_body_was_cut_is_what_the_web_server_looks_at() {
        let sized = b"Content-Length: 100\n\nhalf";
        for (software, kept, closing) in [
            (&b"nginx/1.22.1"[..], true, false),
            (b"HAProxy 2.6.12", true, true),
            (b"lighttpd/1.4.69", true, true),
            (b"", false, false),
        ] {
            let mut answer = answer_for(b"GET", software, None);
            assert_eq!(answer.write(sized), Ok(&b""[..]));
            assert!(!answer.is_cut_by_close(true), "nothing of it has left");
            answer.sent();
            assert_eq!([true, false].map(|keep| answer.is_cut_by_close(keep)), [kept, closing]);
            let mut answer = answer_for(b"GET", software, None);
            assert_eq!(answer.write(b"Content-Type: a/b\n\nhalf"), Ok(&b""[..]));
            answer.sent();
            assert_eq!([true, false].map(|keep| answer.is_cut_by_close(keep)), [true, true]);
        }
    }

    #[test]
    fn the_next_answer_has_nothing_of_the_one_before() {
        let mut answer = begun();
        assert_eq!(answer.write(b"body"), Ok(&b""[..]));
        answer.write_stderr(b"error");
        answer.reset(Some(b"HEAD"));
        assert_eq!((answer.head_is_whole(), answer.stderr()), (false, &b""[..]));
        assert_eq!(answer.end(), Err(HeadError::Unfinished));
        assert_eq!(answer.write(HEAD).and(answer.write(b"body")), Ok(&b""[..]));
        assert_eq!(answer.stdout(), HEAD);
        answer.reset(None);
        assert_eq!(answer.fail("why"), Ok(()), "nothing of it was sent");
        assert_eq!(answer.stdout(), FAILED);
    }
}
