//! How a request is made and sent: BEGIN_REQUEST, PARAMS, STDIN, for a Filter DATA, each stream with its end.

use core::time::Duration;

use super::Session;
use super::request::{Ask, Phase, Request, Slot};
use super::resend::Kind;
use crate::client::{Connection, SendError};
use crate::life::Time;
use crate::record::{Control, MAX_CONTENT, PairRecord, Record, RecordType, RequestId};

/// A piece of a request's input: a record, and the ends of the streams that it completes.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "a record is only on the wire once its bytes are written"]
pub struct Piece<'d> {
    record: Record<'d>,
    ends: Control,
}

impl Piece<'_> {
    /// What is to be sent: the record's header, content and padding, and the ends.
    #[must_use]
    pub fn slices(&self) -> [&[u8]; 4] {
        let [header, content, padding] = self.record.slices();
        [header, content, padding, &self.ends]
    }

    /// Bytes that are to be sent.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.record.remaining() + self.ends.remaining()
    }
}

impl<const N: usize> Session<N> {
    /// Begins a request: its handle and its BEGIN_REQUEST. Its parameters come next.
    ///
    /// Before a request goes on a connection that was kept, read what has come on it: an application that has
    /// ended it, or sent something since, gets no further request, and this says so.
    ///
    /// # Errors
    /// [`SendError::NotReusable`], [`SendError::Full`].
    pub fn begin(&mut self, ask: Ask<'_>, now: Duration) -> Result<(Request, Control), SendError> {
        if self.is_over() {
            return Err(SendError::NotReusable);
        }
        let slots = &self.slots;
        let is_free = |place: usize| slots.get(place).is_some_and(Slot::is_free);
        let (id, begin) = self.connection.begin_where(ask.role, ask.keep_conn, is_free)?;
        let place = Connection::<N>::place(id);
        let request = self.occupy(place, Some(id), ask, now);
        self.queue(place, begin.remaining());
        request.map(|request| (request, begin)).ok_or(SendError::NotReusable)
    }

    /// Begins a request with all of its parameters: appends to `out` BEGIN_REQUEST, `pairs`, and the ends of all
    /// streams that are empty. After an error nothing began and nothing is appended.
    ///
    /// # Errors
    /// [`SendError::TooLong`] for a pair that fits no record, and those of [`begin`](Self::begin).
    #[cfg(feature = "alloc")]
    pub fn begin_with<'p>(
        &mut self,
        ask: Ask<'_>,
        pairs: impl Iterator<Item = (&'p [u8], &'p [u8])> + Clone,
        out: &mut alloc::vec::Vec<u8>,
        now: Duration,
    ) -> Result<Request, SendError> {
        if self.is_over() {
            return Err(SendError::NotReusable);
        }
        let before = out.len();
        let slots = &self.slots;
        let is_free = |place: usize| slots.get(place).is_some_and(Slot::is_free);
        let id = self.connection.begin_with_where(ask.role, ask.keep_conn, is_free, pairs, out)?;
        let place = Connection::<N>::place(id);
        let request = self.occupy(place, Some(id), ask, now).ok_or(SendError::NotReusable)?;
        self.queue(place, out.len() - before);
        out.extend_from_slice(&self.ends(place));
        Ok(request)
    }

    /// Makes one PARAMS record of whole pairs, as [`pair::Packer`](crate::pair::Packer) packs them.
    ///
    /// # Errors
    /// Those of [`Connection::params`], [`SendError::Over`].
    pub fn params<'a>(&mut self, request: Request, pairs: &'a [u8]) -> Result<Record<'a>, SendError> {
        let (place, id) = self.find(request)?;
        let record = self.connection.params(id, pairs)?;
        self.queue(place, record.remaining());
        Ok(record)
    }

    /// Makes one PARAMS record of one pair that needs no buffer to be packed in.
    ///
    /// # Errors
    /// Those of [`Connection::param`], [`SendError::Over`].
    pub fn param<'a>(
        &mut self,
        request: Request,
        name: &'a [u8],
        value: &'a [u8],
    ) -> Result<PairRecord<'a>, SendError> {
        let (place, id) = self.find(request)?;
        let record = self.connection.param(id, name, value)?;
        self.queue(place, record.remaining());
        Ok(record)
    }

    /// Ends the parameters, and the streams behind them that are empty.
    ///
    /// # Errors
    /// Those of [`Connection::params_end`], [`SendError::Over`].
    pub fn params_end(&mut self, request: Request) -> Result<Control, SendError> {
        let (place, id) = self.find(request)?;
        let mut end = self.connection.params_end(id)?;
        self.queue(place, end.remaining());
        end.push_bytes(&self.ends(place));
        Ok(end)
    }

    /// Asks for the application's values, as a request of its own that nothing is to be sent for (section 4.1).
    /// Its answer comes as STDOUT: pairs, see [`crate::pair`]. It is over, too, when the application says that
    /// it does not know the question. Only where the application is known to survive it.
    ///
    /// # Errors
    /// [`SendError::NotReusable`], [`SendError::Full`].
    pub fn get_values(&mut self, now: Duration) -> Result<(Request, Control), SendError> {
        if self.is_over() || self.values.is_some() {
            return Err(SendError::NotReusable);
        }
        let free = self.slots.iter().position(Slot::is_free).filter(|place| *place <= usize::from(u16::MAX));
        let place = free.ok_or(SendError::Full { capacity: N })?;
        let request = self.occupy(place, None, Ask::new(b""), now).ok_or(SendError::NotReusable)?;
        let control = self.connection.get_values();
        self.queue(place, control.remaining());
        self.values = Some(request.place);
        Ok((request, control))
    }

    /// How many bytes of its input the request takes now: of STDIN, then of DATA. 0 when it has all, is over, or
    /// too much waits to be sent.
    #[must_use]
    pub fn wants(&self, request: Request) -> u64 {
        let slot = self.slot(request).filter(|slot| slot.is_active() && !self.is_dead() && self.has_room());
        match slot.and_then(|slot| Some((slot, self.connection.stream(slot.id?)?))) {
            Some((slot, RecordType::Stdin)) => slot.stdin,
            Some((slot, RecordType::Data)) => slot.data,
            _ => 0,
        }
    }

    /// Makes the next piece of a request's input of the front of `data`, and returns it with the rest: all of
    /// it while the request takes none. What is behind its [`stdin`](Ask::stdin) is of its DATA.
    ///
    /// If the input cannot be had whole, [leave](Self::leave) the request.
    ///
    /// # Errors
    /// [`SendError::Over`].
    pub fn write<'d>(
        &mut self,
        request: Request,
        data: &'d [u8],
        now: Duration,
    ) -> Result<(Piece<'d>, &'d [u8]), SendError> {
        let (place, id) = self.find(request)?;
        let wanted = usize::try_from(self.wants(request)).unwrap_or(usize::MAX).min(MAX_CONTENT);
        let (now_sent, _) = data.split_at_checked(wanted).unwrap_or((data, &[]));
        self.pay(place, now_sent.len(), Time::new(now));
        let is_data = self.connection.stream(id) == Some(RecordType::Data);
        let record_type = if is_data { RecordType::Data } else { RecordType::Stdin };
        let (record, _) = Record::stream(record_type, id, now_sent);
        if let Some(slot) = self.slots.get_mut(place) {
            let left = if is_data { &mut slot.data } else { &mut slot.stdin };
            *left = left.saturating_sub(now_sent.len() as u64);
        }
        self.queue(place, record.remaining());
        let ends = if now_sent.is_empty() { Control::new() } else { self.ends(place) };
        self.rearm(place);
        Ok((Piece { record, ends }, data.get(now_sent.len()..).unwrap_or(&[])))
    }

    /// Takes in a new request.
    fn occupy(
        &mut self,
        place: usize,
        id: Option<RequestId>,
        ask: Ask<'_>,
        now: Duration,
    ) -> Option<Request> {
        self.shared = self.open > 0 || self.left > 0;
        let (first, received) = (self.queued, self.received);
        let has_stdin = ask.role.has_stdin();
        let slot = self.slots.get_mut(place)?;
        *slot = Slot {
            generation: slot.generation,
            phase: Phase::Active,
            id,
            kind: Kind::of(ask.method),
            repeatable: ask.repeatable && id.is_some(),
            fresh: !self.used,
            stdin: if has_stdin { ask.stdin } else { 0 },
            data: if ask.role.has_data() { ask.data } else { 0 },
            first,
            last: first,
            received,
            patience: self.settings.total,
            paid: first,
            lent: self.settings.input,
            ..Slot::FREE
        };
        let request = Request { place: place as u16, generation: slot.generation };
        self.used = true;
        self.open += 1;
        if self.open == 1 {
            self.listening = Time::new(now);
        }
        Some(request)
    }

    /// Bytes of records of a request were made.
    fn queue(&mut self, place: usize, bytes: usize) {
        self.queued += bytes as u64;
        if let Some(slot) = self.slots.get_mut(place) {
            slot.last = self.queued;
        }
    }

    /// Ends the streams of which all was made into records.
    fn ends(&mut self, place: usize) -> Control {
        let mut ends = Control::new();
        let Some(&Slot { id: Some(id), stdin, data, .. }) = self.slots.get(place) else { return ends };
        let connection = &mut self.connection;
        if stdin == 0 && connection.stream(id) == Some(RecordType::Stdin) {
            connection.stdin_end(id).iter().for_each(|end| ends.push_bytes(end));
        }
        if data == 0 && connection.stream(id) == Some(RecordType::Data) {
            connection.data_end(id).iter().for_each(|end| ends.push_bytes(end));
        }
        self.queue(place, ends.remaining());
        ends
    }
}
