//! One connection from the client's side: which records make a request, and what the answers' records mean.

use super::event::{Event, Odd, Oddity, SendError};
use crate::decoder::{Decoder, Part};
use crate::error::ConnectionError;
use crate::limits::Limits;
use crate::pair;
use crate::record::{
    BeginRequest, Control, EndRequest, Flags, HEADER_LEN, Header, KEEP_CONN, MAX_CONNS, MAX_REQS, MPXS_CONNS,
    NULL_REQUEST_ID, PairRecord, Record, RecordType, RequestId, Role, UnknownType,
};

/// The stream that a request is to be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Stage {
    Params,
    Stdin,
    Data,
    Complete,
}

impl Stage {
    const fn stream(self) -> Option<RecordType> {
        match self {
            Self::Params => Some(RecordType::Params),
            Self::Stdin => Some(RecordType::Stdin),
            Self::Data => Some(RecordType::Data),
            Self::Complete => None,
        }
    }

    const fn next(self, role: Role) -> Self {
        match (self, role) {
            (Self::Params, _) => Self::Stdin,
            (Self::Stdin, Role::Filter) => Self::Data,
            (Self::Stdin, Role::Responder | Role::Authorizer) | (Self::Data | Self::Complete, _) => {
                Self::Complete
            }
        }
    }
}

/// An active request. Its id tells its place in the table, so that nothing is searched for.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Slot {
    id: RequestId,
    role: Role,
    stage: Stage,
    answered: bool,
    aborted: bool,
    /// Whether it began while a header was on its way, which cannot be of a record for it.
    young: bool,
}

/// The client's side of one connection, with up to `N` requests at a time.
///
/// More than one is for servers that are known to multiplex: many applications lose requests, whatever they
/// answer to GET_VALUES.
///
/// Ids are taken in turn, from 1 up to 200 or, beyond 200 requests at a time, up to `N`; then from 1 again. So what an
/// application sends after the end of a request names an id that is not active, and reaches no other request. Free
/// Pascal dies of ids above 255.
///
/// ```
/// use fcgi_proto::client::{Connection, Event};
/// use fcgi_proto::pair::Packer;
/// use fcgi_proto::record::Role;
///
/// let mut connection = Connection::<1>::new(fcgi_proto::Limits::default());
/// let mut sent = Vec::new();
/// let (id, begin) = connection.begin(Role::Responder, true)?;
/// sent.extend_from_slice(&begin);
/// let mut pairs = Packer::new([0; 512]);
/// pairs.push(b"REQUEST_METHOD", b"GET")?;
/// sent.extend(connection.params(id, pairs.bytes())?.slices().concat());
/// sent.extend_from_slice(&connection.params_end(id)?);
/// sent.extend_from_slice(&connection.stdin_end(id)?);
/// # assert_eq!(sent.len(), 16 + 8 + 19 + 5 + 8 + 8);
///
/// # let chunk = b"\x01\x06\0\x01\0\x02\0\0\n\n\x01\x03\0\x01\0\x08\0\0\0\0\0\0\0\0\0\0";
/// let mut input = &chunk[..];
/// while let Some(event) = connection.next_event(&mut input)? {
///     match event {
///         Event::Stdout { data, .. } => assert_eq!(data, b"\n\n"),
///         Event::End { protocol_status, .. } => assert_eq!(protocol_status, 0),
///         _ => {}
///     }
/// }
/// assert!(connection.is_reusable());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Connection<const N: usize> {
    decoder: Decoder,
    slots: [Option<Slot>; N],
    /// How many requests are active.
    active: u16,
    /// The next id, less 1, if its place is free.
    next: u16,
    /// Whether any request is [young](Slot::young).
    young: bool,
    /// Whether the record that is being read is ignored, whatever its id.
    stale: bool,
    odd: Option<Odd>,
    /// Whether anything odd came before.
    is_odd: bool,
    limits: Limits,
    /// Bytes ignored since the last request began.
    ignored: u32,
    /// Answers to GET_VALUES that are to come.
    asked: u16,
    /// One of them is being read.
    values: bool,
    failed: Option<ConnectionError>,
    retired: bool,
}

impl<const N: usize> Connection<N> {
    /// A new connection; of the limits, [`Limits::ignored`] is used.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            decoder: Decoder::new(),
            slots: [None; N],
            active: 0,
            next: 0,
            young: false,
            stale: false,
            odd: None,
            is_odd: false,
            limits,
            ignored: 0,
            asked: 0,
            values: false,
            failed: None,
            retired: false,
        }
    }

    /// Ids in a round: a multiple of `N`, so that each place has as many.
    const ROUND: u16 = match N {
        0 => 1,
        1..=200 => (200 - 200 % N) as u16,
        201..=0xffff => N as u16,
        _ => u16::MAX,
    };

    /// Begins a request: its id and its BEGIN_REQUEST. Without `keep_conn` it is the connection's last.
    ///
    /// # Errors
    /// [`SendError::NotReusable`], [`SendError::Full`].
    pub fn begin(&mut self, role: Role, keep_conn: bool) -> Result<(RequestId, Control), SendError> {
        self.begin_where(role, keep_conn, |_| true)
    }

    /// Begins a request at a place that `is_free` says is free elsewhere too.
    pub(super) fn begin_where(
        &mut self,
        role: Role,
        keep_conn: bool,
        is_free: impl Fn(usize) -> bool,
    ) -> Result<(RequestId, Control), SendError> {
        if !self.is_reusable() {
            return Err(SendError::NotReusable);
        }
        let young = self.decoder.in_header();
        let mut next = self.next;
        for _ in 0..N {
            let number = next + 1;
            next = if number < Self::ROUND { number } else { 0 };
            let Some(id) = RequestId::new(number) else { continue };
            let place = Self::place(id);
            let Some(slot) = self.slots.get_mut(place).filter(|slot| slot.is_none() && is_free(place)) else {
                continue;
            };
            *slot = Some(Slot { id, role, stage: Stage::Params, answered: false, aborted: false, young });
            self.active += 1;
            self.next = next;
            self.young |= young;
            self.retired = !keep_conn;
            self.ignored = 0;
            let flags = Flags(if keep_conn { KEEP_CONN } else { 0 });
            let begin = BeginRequest { role: role as u16, flags };
            let mut control = Control::new();
            control.push(RecordType::BeginRequest, id.get(), &begin.encode());
            return Ok((id, control));
        }
        Err(SendError::Full { capacity: N })
    }

    /// The place of the request with this id in the table.
    pub(super) fn place(id: RequestId) -> usize {
        usize::from(id.get() - 1).checked_rem(N).unwrap_or(0)
    }

    /// Begins a request with all of its parameters: appends to `out` BEGIN_REQUEST, `pairs` in as few PARAMS
    /// records as hold them whole, and their end. After an error nothing began and nothing is appended.
    ///
    /// # Errors
    /// [`SendError::TooLong`] for a pair that fits no record, and those of [`begin`](Self::begin).
    #[cfg(feature = "alloc")]
    pub fn begin_with<'p>(
        &mut self,
        role: Role,
        keep_conn: bool,
        pairs: impl Iterator<Item = (&'p [u8], &'p [u8])> + Clone,
        out: &mut alloc::vec::Vec<u8>,
    ) -> Result<RequestId, SendError> {
        self.begin_with_where(role, keep_conn, |_| true, pairs, out)
    }

    /// The same at a place that `is_free` says is free elsewhere too.
    #[cfg(feature = "alloc")]
    pub(super) fn begin_with_where<'p>(
        &mut self,
        role: Role,
        keep_conn: bool,
        is_free: impl Fn(usize) -> bool,
        pairs: impl Iterator<Item = (&'p [u8], &'p [u8])> + Clone,
        out: &mut alloc::vec::Vec<u8>,
    ) -> Result<RequestId, SendError> {
        let mut total: usize = 0;
        for (name, value) in pairs.clone() {
            let needed = pair::encoded_len(name, value).unwrap_or(usize::MAX);
            if needed > crate::record::MAX_LENGTH {
                return Err(SendError::TooLong { needed });
            }
            total = total.saturating_add(needed);
        }
        let (id, begin) = self.begin_where(role, keep_conn, is_free)?;
        out.extend_from_slice(&begin);
        let mut append = |packer: &mut pair::Packer<alloc::vec::Vec<u8>>| {
            let record = self.params(id, packer.bytes())?;
            record.slices().iter().for_each(|slice| out.extend_from_slice(slice));
            packer.clear();
            Ok(())
        };
        let mut packer = pair::Packer::new(alloc::vec![0; total.min(crate::record::MAX_LENGTH)]);
        for (name, value) in pairs {
            if packer.push(name, value).is_err() {
                append(&mut packer)?;
                let packed = packer.push(name, value);
                debug_assert!(packed.is_ok(), "each fits a record");
            }
        }
        append(&mut packer)?;
        out.extend_from_slice(&self.params_end(id)?);
        Ok(id)
    }

    /// Makes one PARAMS record of whole pairs, as [`pair::Packer`] packs them. Of no pairs it is a record of
    /// no bytes.
    ///
    /// # Errors
    /// [`SendError::TooLong`] beyond [`MAX_LENGTH`](crate::record::MAX_LENGTH) bytes, [`SendError::HalfPair`],
    /// [`SendError::OutOfOrder`], [`SendError::Inactive`].
    pub fn params<'a>(&mut self, id: RequestId, pairs: &'a [u8]) -> Result<Record<'a>, SendError> {
        self.turn(id, RecordType::Params)?;
        pair::Pairs::new(pairs).check().map_err(SendError::HalfPair)?;
        Record::whole(RecordType::Params, id, pairs).ok_or(SendError::TooLong { needed: pairs.len() })
    }

    /// Makes one PARAMS record of one pair that needs no buffer to be packed in.
    ///
    /// # Errors
    /// As [`params`](Self::params).
    pub fn param<'a>(
        &mut self,
        id: RequestId,
        name: &'a [u8],
        value: &'a [u8],
    ) -> Result<PairRecord<'a>, SendError> {
        self.turn(id, RecordType::Params)?;
        let needed = pair::encoded_len(name, value).unwrap_or(usize::MAX);
        PairRecord::new(id, name, value).ok_or(SendError::TooLong { needed })
    }

    /// Ends the parameters.
    ///
    /// # Errors
    /// [`SendError::OutOfOrder`], [`SendError::Inactive`].
    pub fn params_end(&mut self, id: RequestId) -> Result<Control, SendError> {
        self.end_stream(id, RecordType::Params)
    }

    /// Makes a STDIN record of the front of `data`, and returns it with the rest. Not for an Authorizer, whose
    /// STDIN is only [ended](Self::stdin_end). Send CONTENT_LENGTH bytes in all, no more and no fewer.
    ///
    /// # Errors
    /// [`SendError::OutOfOrder`] before the end of the parameters or after that of STDIN,
    /// [`SendError::Inactive`].
    pub fn stdin<'a>(&mut self, id: RequestId, data: &'a [u8]) -> Result<(Record<'a>, &'a [u8]), SendError> {
        let slot = self.turn(id, RecordType::Stdin)?;
        if !slot.role.has_stdin() && !data.is_empty() {
            return Err(SendError::OutOfOrder { id, stream: RecordType::Stdin });
        }
        Ok(Record::stream(RecordType::Stdin, id, data))
    }

    /// Ends STDIN, which is to be done once for every request, of any role and method. If the body cannot be
    /// had whole, close the connection instead.
    ///
    /// # Errors
    /// [`SendError::OutOfOrder`], [`SendError::Inactive`].
    pub fn stdin_end(&mut self, id: RequestId) -> Result<Control, SendError> {
        self.end_stream(id, RecordType::Stdin)
    }

    /// Makes a DATA record, for a Filter, of the front of `data`, and returns it with the rest.
    ///
    /// # Errors
    /// [`SendError::OutOfOrder`] before the end of STDIN and for other roles, [`SendError::Inactive`].
    pub fn data<'a>(&mut self, id: RequestId, data: &'a [u8]) -> Result<(Record<'a>, &'a [u8]), SendError> {
        self.turn(id, RecordType::Data)?;
        Ok(Record::stream(RecordType::Data, id, data))
    }

    /// Ends a Filter's DATA.
    ///
    /// # Errors
    /// [`SendError::OutOfOrder`], [`SendError::Inactive`].
    pub fn data_end(&mut self, id: RequestId) -> Result<Control, SendError> {
        self.end_stream(id, RecordType::Data)
    }

    /// Asks the server to abort the request, which stays active until its [`Event::End`].
    ///
    /// Few applications take notice and some answer under the id later, so the connection takes no further
    /// request. Without multiplexing, closing it is the abort that works (section 5.4).
    ///
    /// # Errors
    /// [`SendError::Inactive`]; [`SendError::OutOfOrder`] the second time.
    pub fn abort(&mut self, id: RequestId) -> Result<Control, SendError> {
        let slot = self.slot(id).ok_or(SendError::Inactive { id })?;
        if slot.aborted {
            return Err(SendError::OutOfOrder { id, stream: RecordType::AbortRequest });
        }
        (slot.aborted, slot.stage) = (true, Stage::Complete);
        self.retired = true;
        let mut control = Control::new();
        control.push(RecordType::AbortRequest, id.get(), &[]);
        Ok(control)
    }

    /// Asks for the three defined values (section 4.1). Do so only where the server is known to survive it: some crash,
    /// or stall.
    pub fn get_values(&mut self) -> Control {
        self.asked = self.asked.saturating_add(1);
        let mut names = pair::Packer::new([0; 64]);
        for name in [MAX_CONNS, MAX_REQS, MPXS_CONNS] {
            let packed = names.push(name, b"");
            debug_assert!(packed.is_ok(), "64 bytes hold three names and their lengths");
        }
        let mut control = Control::new();
        // libfcgi answers one without padding only when the next record comes.
        control.push_padded(RecordType::GetValues, NULL_REQUEST_ID, names.bytes());
        control
    }

    /// Eats from the front of `input` and returns the next event, which borrows from `input` only; `None`
    /// when all of it is used up. Input may be cut anywhere.
    ///
    /// # Errors
    /// [`ConnectionError`], at this and every later call.
    pub fn next_event<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Event<'i>>, ConnectionError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        while !input.is_empty() {
            match self.advance(input) {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(error) => return Err(*self.failed.insert(error)),
            }
        }
        Ok(None)
    }

    /// The server will send nothing more. Answers of requests that are still active are cut short.
    ///
    /// # Errors
    /// [`ConnectionError::UnexpectedEof`] inside a record, or the error that the connection already had.
    pub fn eof(&mut self) -> Result<(), ConnectionError> {
        self.retired = true;
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.decoder.at_boundary() {
            return Ok(());
        }
        Err(*self.failed.insert(ConnectionError::UnexpectedEof { missing: self.decoder.missing() }))
    }

    /// Whether the request is active: it began and has not ended.
    #[must_use]
    pub fn is_active(&self, id: RequestId) -> bool {
        self.slots.get(Self::place(id)).is_some_and(|slot| slot.is_some_and(|slot| slot.id == id))
    }

    /// Whether a further request may begin, now or when an id is free: KEEP_CONN was set and nothing odd
    /// came.
    ///
    /// No application should send anything while no request is active. If bytes wait on such a connection, make a new
    /// one.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        // A record that begins while nothing is asked would be taken for the next request's.
        let unasked = self.decoder.in_header() && self.active == 0 && self.asked == 0;
        !self.retired && self.failed.is_none() && !unasked
    }

    /// The first of what came that no application should send; once.
    pub fn take_odd(&mut self) -> Option<Odd> {
        self.odd.take()
    }

    /// No further request begins.
    pub(super) fn retire(&mut self) {
        self.retired = true;
    }

    /// Whether all input of the request was made into records.
    pub(super) fn is_complete(&self, id: RequestId) -> bool {
        let slot = self.slots.get(Self::place(id)).copied().flatten();
        slot.is_none_or(|slot| slot.id != id || slot.stage == Stage::Complete)
    }

    /// The stream that the request is to be sent next.
    pub(super) fn stream(&self, id: RequestId) -> Option<RecordType> {
        let slot = self.slots.get(Self::place(id)).copied().flatten();
        slot.filter(|slot| slot.id == id)?.stage.stream()
    }

    /// The header that is being read, or was read last, as it came.
    pub(super) const fn header_bytes(&self) -> [u8; HEADER_LEN] {
        self.decoder.header_bytes()
    }

    fn slot(&mut self, id: RequestId) -> Option<&mut Slot> {
        self.slots.get_mut(Self::place(id))?.as_mut().filter(|slot| slot.id == id)
    }

    fn retire_for(&mut self, what: Oddity) {
        self.retired = true;
        if !self.is_odd {
            self.odd = Some(Odd { what, header: self.decoder.header_bytes() });
        }
        self.is_odd = true;
    }

    /// The request, if the stream is what it is to be sent.
    fn turn(&mut self, id: RequestId, stream: RecordType) -> Result<&mut Slot, SendError> {
        let slot = self.slot(id).ok_or(SendError::Inactive { id })?;
        if slot.stage.stream() == Some(stream) { Ok(slot) } else { Err(SendError::OutOfOrder { id, stream }) }
    }

    fn end_stream(&mut self, id: RequestId, stream: RecordType) -> Result<Control, SendError> {
        let slot = self.turn(id, stream)?;
        slot.stage = slot.stage.next(slot.role);
        let mut control = Control::new();
        control.push(stream, id.get(), &[]);
        Ok(control)
    }

    fn advance<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Event<'i>>, ConnectionError> {
        match self.decoder.next(input)? {
            None => Ok(None),
            Some(Part::Header(header)) => self.header(header),
            Some(Part::Body { record_type, request_id, body }) => {
                Ok(match (RecordType::from_wire(record_type), RequestId::new(request_id)) {
                    (Some(RecordType::EndRequest), Some(id)) => self.end(id, EndRequest::parse(&body)),
                    (Some(RecordType::UnknownType), None) => {
                        let UnknownType { record_type } = UnknownType::parse(&body);
                        Some(Event::UnknownType { record_type })
                    }
                    _ => None,
                })
            }
            Some(Part::Content { record_type, request_id, data, last }) => {
                Ok(self.content(record_type, request_id, data, last))
            }
        }
    }

    fn header<'i>(&mut self, header: Header) -> Result<Option<Event<'i>>, ConnectionError> {
        use RecordType::{
            AbortRequest, BeginRequest, Data, EndRequest, GetValues, GetValuesResult, Params, Stderr, Stdin,
            Stdout, UnknownType,
        };
        let Header { record_type, request_id, content_length, .. } = header;
        self.stale = self.is_stale(request_id);
        if self.active == 0 && self.asked == 0 {
            self.retire_for(Oddity::Unasked);
        }
        match (RecordType::from_wire(record_type), RequestId::new(request_id)) {
            (Some(GetValuesResult), None) if self.asked > 0 => {
                self.asked -= 1;
                self.values = content_length > 0;
                Ok((!self.values).then_some(Event::Values { data: &[], last: true }))
            }
            (
                Some(BeginRequest | AbortRequest | EndRequest | Params | Stdin | Stdout | Stderr | Data),
                None,
            ) => Err(ConnectionError::NullRequestId { record_type }),
            (Some(EndRequest | Stdout | Stderr), Some(id)) if self.stale || !self.is_active(id) => {
                // It may be a late answer to an earlier request with this id, and more of it may come.
                self.retire_for(Oddity::Late);
                self.ignore()
            }
            (Some(EndRequest), Some(id)) if content_length != 8 => {
                if !self.slot(id).is_some_and(|slot| slot.answered) {
                    return Err(ConnectionError::BodyLength { record_type, found: content_length });
                }
                self.retire_for(Oddity::EndLength);
                Ok(self.end(id, crate::record::EndRequest::parse(&[0; 8])))
            }
            (Some(EndRequest), Some(_)) => Ok(None),
            (Some(Stdout | Stderr), Some(_)) if content_length > 0 => Ok(None),
            (Some(Stdout), Some(id)) => self.ignore().map(|_| Some(Event::StdoutEnd { id })),
            (Some(Stderr), Some(id)) => self.ignore().map(|_| Some(Event::StderrEnd { id })),
            (
                Some(
                    BeginRequest | AbortRequest | Params | Stdin | Data | GetValues | GetValuesResult
                    | UnknownType,
                )
                | None,
                _,
            ) => self.ignore(),
        }
    }

    /// Whether a record with this id, whose header came last, began before the request that has the id.
    fn is_stale(&mut self, request_id: u16) -> bool {
        if !self.young {
            return false;
        }
        let stale = RequestId::new(request_id).and_then(|id| self.slot(id)).is_some_and(|slot| slot.young);
        self.young = false;
        self.slots.iter_mut().flatten().for_each(|slot| slot.young = false);
        stale
    }

    fn content<'i>(
        &mut self,
        record_type: u8,
        request_id: u16,
        data: &'i [u8],
        last: bool,
    ) -> Option<Event<'i>> {
        if self.stale {
            return None;
        }
        match (RecordType::from_wire(record_type)?, RequestId::new(request_id)) {
            (RecordType::Stdout, Some(id)) => {
                self.slot(id)?.answered = true;
                Some(Event::Stdout { id, data })
            }
            (RecordType::Stderr, Some(id)) => self.is_active(id).then_some(Event::Stderr { id, data }),
            (RecordType::GetValuesResult, None) if self.values => {
                self.values = !last;
                Some(Event::Values { data, last })
            }
            _ => None,
        }
    }

    fn end<'i>(&mut self, id: RequestId, end: EndRequest) -> Option<Event<'i>> {
        let EndRequest { app_status, protocol_status } = end;
        if self.stale {
            return None;
        }
        let slot = self.slots.get_mut(Self::place(id))?.take_if(|slot| slot.id == id)?;
        self.active -= 1;
        self.retired |= slot.stage != Stage::Complete || protocol_status != 0;
        Some(Event::End { id, app_status, protocol_status, answered: slot.answered })
    }

    /// Counts a record that is ignored or brings nobody further, whose header came last, against the budget.
    fn ignore<'i>(&mut self) -> Result<Option<Event<'i>>, ConnectionError> {
        let size = HEADER_LEN as u32 + self.decoder.missing();
        self.ignored = self.ignored.saturating_add(size);
        let limit = self.limits.ignored;
        if self.ignored > limit {
            return Err(ConnectionError::IgnoredTooMuch { limit });
        }
        Ok(None)
    }
}
