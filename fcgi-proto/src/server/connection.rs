//! One connection from the server's side: which records are events, which are answered here, which are
//! ignored, and what may be sent when.

mod whole;

pub use self::whole::Whole;
use super::event::{Event, Refusal, SendError};
use super::order::{InputStream, Stage, Turn};
use super::slots::{Entry, Slot, Slots, Table};
use crate::decoder::{Decoder, Gathered};
use crate::error::ConnectionError;
use crate::limits::Limits;
use crate::record::{
    self, BeginRequest, Control, EndRequest, Header, ProtocolStatus, Record, RecordType, RequestId, Role,
    UnknownType,
};
use crate::values::{Asked, Values};

/// A reply that waits in the queue, as small as it can be kept.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Reply {
    Values(Asked),
    UnknownType(u8),
    /// Aborted before it ran.
    Aborted(RequestId),
    /// Refused, and what was written for it: bits of its [`Slot`].
    Refusal(RequestId, Refusal, u8),
}

/// Replies that can wait before [`Event::Paused`].
const QUEUE: usize = 4;

/// The server's side of one connection, with up to `N` requests at a time.
///
/// With `N` = 1 a further request is refused with `FCGI_CANT_MPX_CONN` and GET_VALUES says that the
/// connection is not multiplexed; otherwise `FCGI_OVERLOADED` and that it is.
///
/// Request ids are this connection's own: the same id on another is another request (section 3.3).
///
/// ```
/// use fcgi_proto::server::{Connection, Event};
/// # let chunk = b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0\x01\x04\0\x01\0\0\0\0\x01\x05\0\x01\0\0\0\0";
/// let mut connection = Connection::<1>::new(fcgi_proto::Limits::default());
/// let mut sent = Vec::new();
/// let mut input = &chunk[..];
/// loop {
///     let event = connection.next_event(&mut input)?;
///     while let Some(reply) = connection.poll_reply() {
///         sent.extend_from_slice(&reply);
///     }
///     match event {
///         Some(Event::StdinEnd { id }) => {
///             let (page, _rest) = connection.stdout(id, b"Status: 200 OK\r\n\r\n")?;
///             sent.extend(page.slices().concat());
///             sent.extend_from_slice(&connection.finish(id, 0)?);
///         }
///         Some(_) => {}
///         None => break, // read more
///     }
/// }
/// assert!(connection.is_finished()); // KEEP_CONN was clear: close
/// # assert_eq!(sent.len(), 8 + 18 + 6 + 8 + 16);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Connection<const N: usize, S = [Slot; N]> {
    decoder: Decoder,
    pub(super) table: Table<N, S>,
    pub(super) limits: Limits,
    /// Bytes ignored since the last request began.
    ignored: u32,
    values: Values,
    replies: [Option<Reply>; QUEUE],
    failed: Option<ConnectionError>,
}

impl<const N: usize> Connection<N> {
    /// A new connection.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self::with_slots(limits, [Slot::FREE; N])
    }
}

impl<const N: usize, S> Connection<N, S> {
    pub(super) const fn with_slots(limits: Limits, slots: S) -> Self {
        Self {
            decoder: Decoder::new(),
            table: Table::new(slots),
            limits,
            ignored: 0,
            values: Values::new(),
            replies: [None; QUEUE],
            failed: None,
        }
    }
}

impl<const N: usize, S: Slots> Connection<N, S> {
    /// Eats from the front of `input` and returns the next event, which borrows from `input` only; `None`
    /// when all of it is used up.
    ///
    /// Input may be cut anywhere. Drain [`poll_reply`](Self::poll_reply) after every call.
    ///
    /// # Errors
    /// [`ConnectionError`], at this and every later call. Requests whose input is whole may still be answered. Then
    /// close the connection.
    pub fn next_event<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Event<'i>>, ConnectionError> {
        self.next_unless(input, |_| false)
    }

    /// As [`next_event`](Self::next_event), and `Paused` at a request whose id is another's for which it waits.
    pub(super) fn next_unless<'i>(
        &mut self,
        input: &mut &'i [u8],
        waits: fn(&S::Entry) -> bool,
    ) -> Result<Option<Event<'i>>, ConnectionError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        while !input.is_empty() {
            if self.discards() {
                *input = &[];
                break;
            }
            if matches!(self.replies, [.., Some(_)]) || self.begins_again(waits) {
                return Ok(Some(Event::Paused));
            }
            match self.advance(input) {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(_) if self.nothing_can_begin() => self.table.garbled = true,
                Err(error) => return Err(*self.failed.insert(error)),
            }
        }
        Ok(None)
    }

    /// The client will send nothing more. Requests whose input is complete are still to be answered.
    ///
    /// # Errors
    /// [`ConnectionError::UnexpectedEof`] inside a record, or the error that the connection already had.
    pub fn eof(&mut self) -> Result<(), ConnectionError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.nothing_can_begin() || self.decoder.at_boundary() {
            return Ok(());
        }
        Err(*self.failed.insert(ConnectionError::UnexpectedEof { missing: self.decoder.missing() }))
    }

    /// Whether the header of a request came whose id is that of one that has all its input and that is waited for.
    pub(super) fn begins_again(&self, waits: fn(&S::Entry) -> bool) -> bool {
        let &Header { record_type, request_id, content_length, .. } = self.decoder.record();
        if content_length == 0 || record_type != RecordType::BeginRequest as u8 || self.nothing_can_begin() {
            return false;
        }
        let index = RequestId::new(request_id).and_then(|id| self.table.index(id));
        let entry = index.and_then(|index| self.table.slots.entries().get(index));
        entry.is_some_and(|entry| entry.slot().stage == Stage::Complete && waits(entry))
    }

    /// What the next [reply](Self::poll_reply) refuses, for a log.
    #[must_use]
    pub fn refusal(&self) -> Option<(RequestId, Refusal)> {
        match self.replies.first()? {
            &Some(Reply::Refusal(id, why, _)) => Some((id, why)),
            _ => None,
        }
    }

    /// Whether a [reply](Self::poll_reply) waits.
    #[inline]
    pub(crate) const fn has_reply(&self) -> bool {
        matches!(self.replies, [Some(_), ..])
    }

    /// The next reply that this side owes by protocol: answers to management records, refusals.
    ///
    /// Send replies between records, never inside one.
    pub fn poll_reply(&mut self) -> Option<Control> {
        // Each moves up. Of `rotate_left` not every compiler sees that it cannot panic.
        let moved = |behind, place: &mut _| core::mem::replace(place, behind);
        let reply = self.replies.iter_mut().rev().fold(None, moved)?;
        Some(self.encode(reply))
    }

    /// Makes a STDOUT record of the front of `data`, and returns it with the rest of `data`.
    ///
    /// Empty `data` makes a record of no bytes: the stream ends with [`finish`](Self::finish).
    ///
    /// # Errors
    /// [`SendError::TooEarly`] before the role's inputs allow it, [`SendError::Inactive`].
    pub fn stdout<'a>(&mut self, id: RequestId, data: &'a [u8]) -> Result<(Record<'a>, &'a [u8]), SendError> {
        self.output(id, RecordType::Stdout, Slot::STDOUT, data)
    }

    /// Makes a STDERR record of the front of `data`, and returns it with the rest of `data`.
    ///
    /// Send none before the response head is out whole: HAProxy 2.6 crashes on that.
    ///
    /// # Errors
    /// As [`stdout`](Self::stdout).
    pub fn stderr<'a>(&mut self, id: RequestId, data: &'a [u8]) -> Result<(Record<'a>, &'a [u8]), SendError> {
        self.output(id, RecordType::Stderr, Slot::STDERR, data)
    }

    /// Ends the request as executed: the ends of its output streams, then END_REQUEST with
    /// `FCGI_REQUEST_COMPLETE` and this application status (sections 5.5 and 6.2).
    ///
    /// A status other than 0 costs the whole response behind Jetty. An aborted request can be ended at any
    /// time.
    ///
    /// # Errors
    /// As [`stdout`](Self::stdout); [`reject`](Self::reject) has no need to wait.
    pub fn finish(&mut self, id: RequestId, app_status: u32) -> Result<Control, SendError> {
        let slot = self.table.get(id).ok_or(SendError::Inactive { id })?;
        if !slot.may_finish() {
            return Err(SendError::TooEarly { id });
        }
        let stderr = slot.has(Slot::STDERR);
        self.table.end(id);
        Ok(Control::of(ends(id, app_status, ProtocolStatus::RequestComplete), first_end(stderr)))
    }

    /// Refuses a request that has begun, for what only the caller can see: its storage is full, or its
    /// PARAMS end inside a pair. If the answer had begun, it is only ended.
    ///
    /// # Errors
    /// [`SendError::Inactive`].
    pub fn reject(&mut self, id: RequestId, why: Refusal) -> Result<Control, SendError> {
        let refusal = self.refuse(id, why).ok_or(SendError::Inactive { id })?;
        Ok(self.encode(refusal))
    }

    /// Whether [`finish`](Self::finish) would end the request now: its inputs but the last have ended, or it
    /// was aborted.
    #[must_use]
    pub fn may_finish(&self, id: RequestId) -> bool {
        self.table.get(id).is_some_and(Slot::may_finish)
    }

    /// Whether the request is active: it began and has not ended.
    #[must_use]
    pub fn is_active(&self, id: RequestId) -> bool {
        self.table.index(id).is_some()
    }

    /// Whether all of the request's input came. If not, it is cut once [`eof`](Self::eof) was said.
    #[must_use]
    pub fn is_complete(&self, id: RequestId) -> bool {
        self.table.get(id).is_some_and(|slot| slot.stage == Stage::Complete)
    }

    /// Whether to read the rest of the request's input before you [finish](Self::finish) it. It is so while the client
    /// still sends, and keeps the connection. Set a limit to the time and the bytes. If you do not read it, h2o closes
    /// the connection.
    ///
    /// Where the connection closes after the request, finish first, and read the rest then.
    #[must_use]
    pub fn drains_before_end(&self, id: RequestId) -> bool {
        let open = |slot: &Slot| slot.stage != Stage::Complete && !slot.has(Slot::ABORTED);
        !self.table.closing && self.table.get(id).is_some_and(open)
    }

    /// Whether nothing is under way: no request is active, no reply waits, no record is cut. If you close such a
    /// connection, no answer is lost; a client that uses it at that moment has to connect again (section 3.5).
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.table.any_active() && matches!(self.replies, [None, ..]) && self.decoder.at_boundary()
    }

    /// Whether this side is to close now: KEEP_CONN was clear, and everything is answered (section 3.5).
    ///
    /// Close in this order, or the answer may be lost: shut down writing, drain input within a bound, close.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.table.closing && !self.table.any_active() && matches!(self.replies, [None, ..])
    }

    /// Whether no request can begin any more: one with KEEP_CONN clear came, and no active request waits for
    /// input. What comes then is not needed, so that nothing in it can cost an answer.
    fn nothing_can_begin(&self) -> bool {
        self.table.closing && self.table.all_complete()
    }

    /// Whether input is thrown away unread: not even an abort means anything now.
    fn discards(&self) -> bool {
        self.table.closing && (self.table.garbled || !self.table.any_active())
    }

    fn output<'a>(
        &mut self,
        id: RequestId,
        stream: RecordType,
        flag: u8,
        data: &'a [u8],
    ) -> Result<(Record<'a>, &'a [u8]), SendError> {
        let slot = self.table.get_mut(id).ok_or(SendError::Inactive { id })?;
        if !slot.stage.may_write() {
            return Err(SendError::TooEarly { id });
        }
        if !data.is_empty() {
            slot.flags |= flag;
        }
        Ok(Record::stream(stream, id, data))
    }

    /// Takes in one part of a record. At most one reply is queued.
    fn advance<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Event<'i>>, ConnectionError> {
        if self.decoder.in_content() {
            let Some((data, last)) = self.decoder.content(input) else { return Ok(None) };
            return Ok(self.content(data, last));
        }
        match self.decoder.gathered(input)? {
            Some(Gathered::Header) => self.header(),
            Some(Gathered::Body(body)) => self.body(body),
            None => Ok(None),
        }
    }

    fn header<'i>(&mut self) -> Result<Option<Event<'i>>, ConnectionError> {
        let &Header { record_type, request_id, content_length, .. } = self.decoder.record();
        let Some(id) = RequestId::new(request_id) else {
            return self.management(record_type, content_length);
        };
        if let Some(stream) = InputStream::from_wire(record_type) {
            return self.stream(stream, id, content_length);
        }
        match RecordType::from_wire(record_type) {
            Some(RecordType::AbortRequest) => match self.table.get_mut(id) {
                Some(slot) if !slot.has(Slot::ABORTED) => {
                    slot.flags |= Slot::ABORTED;
                    Ok(Some(Event::Abort { id }))
                }
                _ => self.ignore(),
            },
            Some(RecordType::BeginRequest) if !self.nothing_can_begin() => {
                if usize::from(content_length) != BeginRequest::LEN {
                    return Err(ConnectionError::BodyLength { record_type, found: content_length });
                }
                Ok(None)
            }
            _ => self.ignore(),
        }
    }

    /// The header of a management record (section 4).
    fn management<'i>(
        &mut self,
        record_type: u8,
        content_length: u16,
    ) -> Result<Option<Event<'i>>, ConnectionError> {
        match RecordType::from_wire(record_type) {
            Some(RecordType::GetValues) => {
                self.values = Values::new();
                if content_length == 0 {
                    self.queue(Reply::Values(self.values.asked()));
                }
            }
            Some(RecordType::GetValuesResult | RecordType::UnknownType) => return self.ignore(),
            Some(_) => return Err(ConnectionError::NullRequestId { record_type }),
            None => self.queue(Reply::UnknownType(record_type)),
        }
        Ok(None)
    }

    /// The header of a record of one of a request's input streams.
    fn stream<'i>(
        &mut self,
        stream: InputStream,
        id: RequestId,
        content_length: u16,
    ) -> Result<Option<Event<'i>>, ConnectionError> {
        let Some(slot) = self.table.get_mut(id) else {
            return self.ignore();
        };
        match slot.stage.turn(stream) {
            Turn::Never => self.ignore(),
            Turn::Later => Ok(Some(self.reject_queued(id, Refusal::Malformed))),
            Turn::Now if content_length == 0 => {
                slot.stage = slot.stage.next();
                slot.received = 0;
                Ok(Some(stream.end_event(id)))
            }
            Turn::Now => {
                slot.received = slot.received.saturating_add(u32::from(content_length));
                let limit = stream.limit(&self.limits);
                if slot.received > limit {
                    return Ok(Some(self.reject_queued(id, stream.too_long())));
                }
                Ok(None)
            }
        }
    }

    /// The content of a record with a fixed body.
    fn body<'i>(&mut self, body: [u8; 8]) -> Result<Option<Event<'i>>, ConnectionError> {
        let &Header { record_type, request_id, .. } = self.decoder.record();
        match RequestId::new(request_id) {
            Some(id) if record_type == RecordType::BeginRequest as u8 && !self.nothing_can_begin() => {
                self.begin(id, BeginRequest::parse(&body))
            }
            _ => Ok(None),
        }
    }

    fn content<'i>(&mut self, data: &'i [u8], last: bool) -> Option<Event<'i>> {
        let &Header { record_type, request_id, .. } = self.decoder.record();
        let Some(id) = RequestId::new(request_id) else {
            if record_type == RecordType::GetValues as u8 {
                self.values.push(data);
                if last {
                    self.queue(Reply::Values(self.values.asked()));
                }
            }
            return None;
        };
        let stream = InputStream::from_wire(record_type)?;
        // A record that is to be ignored, or whose request ended meanwhile, finds no slot in its turn.
        match self.table.get_mut(id)?.stage.turn(stream) {
            Turn::Now => Some(stream.event(id, data)),
            Turn::Later | Turn::Never => None,
        }
    }

    fn begin<'i>(
        &mut self,
        id: RequestId,
        begin: BeginRequest,
    ) -> Result<Option<Event<'i>>, ConnectionError> {
        if self.table.get_mut(id).is_some() {
            return Err(ConnectionError::RequestActive { id });
        }
        let keep_conn = begin.flags.keep_conn();
        self.table.closing |= !keep_conn;
        let why = match Role::from_wire(begin.role) {
            None => Refusal::UnknownRole,
            Some(role) => match self.table.begin(id, Stage::first(role)) {
                Some(_) => {
                    self.ignored = 0;
                    return Ok(Some(Event::Begin { id, role, keep_conn }));
                }
                None if N == 1 => Refusal::CantMpxConn,
                None => Refusal::Overloaded,
            },
        };
        self.queue(Reply::Refusal(id, why, 0));
        Ok(None)
    }

    /// Ends a request that was aborted before it ran.
    pub(super) fn end_aborted(&mut self, id: RequestId) {
        if self.table.end(id).is_some() {
            self.queue(Reply::Aborted(id));
        }
    }

    fn reject_queued<'i>(&mut self, id: RequestId, why: Refusal) -> Event<'i> {
        if let Some(refusal) = self.refuse(id, why) {
            self.queue(refusal);
        }
        Event::Rejected { id, why }
    }

    /// Ends an active request, and returns what it is to be answered.
    fn refuse(&mut self, id: RequestId, why: Refusal) -> Option<Reply> {
        let slot = self.table.end(id)?;
        Some(Reply::Refusal(id, why, slot.flags))
    }

    fn encode(&self, reply: Reply) -> Control {
        let mut control = Control::new();
        match reply {
            Reply::Values(asked) => asked.answer(&mut control, &self.limits, N),
            Reply::UnknownType(record_type) => control.push(
                RecordType::UnknownType,
                record::NULL_REQUEST_ID,
                &UnknownType { record_type }.encode(),
            ),
            Reply::Aborted(id) => {
                return Control::of(ends(id, 0, ProtocolStatus::RequestComplete), first_end(false));
            }
            Reply::Refusal(id, why, written) => {
                // An answer that had begun is only ended.
                if written & Slot::STDOUT == 0 {
                    control.push(RecordType::Stdout, id.get(), why.answer());
                }
                let ends = ends(id, 0, why.protocol_status());
                let first = first_end(written & Slot::STDERR != 0);
                control.push_bytes(ends.as_flattened().get(first..).unwrap_or(&[]));
            }
        }
        control
    }

    /// Queues a reply; [`next_event`](Self::next_event) sees to it that there is room.
    #[cold]
    fn queue(&mut self, reply: Reply) {
        let free = self.replies.iter_mut().find(|place| place.is_none());
        debug_assert!(free.is_some(), "input was taken with a full queue");
        if let Some(place) = free {
            *place = Some(reply);
        }
    }

    /// Counts a record that is ignored, whose header came last, against the budget.
    fn ignore<'i>(&mut self) -> Result<Option<Event<'i>>, ConnectionError> {
        let size = record::HEADER_LEN as u32 + self.decoder.missing();
        self.ignored = self.ignored.saturating_add(size);
        let limit = self.limits.ignored;
        if self.ignored > limit {
            return Err(ConnectionError::IgnoredTooMuch { limit });
        }
        Ok(None)
    }
}

/// The end of STDERR, that of STDOUT, which every role's answer has (section 6.1), and END_REQUEST.
fn ends(id: RequestId, app_status: u32, status: ProtocolStatus) -> [[u8; record::HEADER_LEN]; 4] {
    let body = EndRequest { app_status, protocol_status: status as u8 };
    [
        Header::new(RecordType::Stderr, id.get(), 0).encode(),
        Header::new(RecordType::Stdout, id.get(), 0).encode(),
        Header::new(RecordType::EndRequest, id.get(), EndRequest::LEN as u16).encode(),
        body.encode(),
    ]
}

/// The byte at which [`ends`] begin: STDERR has an end if something was written to it.
fn first_end(has_stderr: bool) -> usize {
    if has_stderr { 0 } else { record::HEADER_LEN }
}
