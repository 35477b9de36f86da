//! The short way for what most requests are: without a body, and all there at once.

use super::{Connection, Slots, Stage};
use crate::record::{BeginRequest, Header, RecordType, RequestId, Role};

/// A Responder's request whose input is all there: see [`Connection::whole_request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Whole<'i> {
    /// Its id, active until it is ended or rejected.
    pub id: RequestId,
    /// Whether the client keeps the connection after it.
    pub keep_conn: bool,
    /// The bytes of its PARAMS stream; see [`crate::pair`].
    pub params: &'i [u8],
}

impl<const N: usize, S: Slots> Connection<N, S> {
    /// Takes a Responder's request without a body off the front of `input`, if its records are the first that
    /// come and nothing of them is missing: BEGIN_REQUEST, PARAMS in one record, the ends of PARAMS and STDIN
    /// (sections 5.1 to 5.3 and 6.2).
    ///
    /// It is as if [`next_event`](Self::next_event) had returned `Begin`, `Params`, `ParamsEnd` and `StdinEnd`
    /// in a row, with fewer instructions and without a copy. If it says `None`, it has taken nothing: whatever
    /// `input` begins with, `next_event` goes on from there. Who never calls this misses nothing.
    ///
    /// That the parameters are whole pairs is the caller's to check, as with events: see
    /// [`Pairs::check`](crate::pair::Pairs::check) and [`Refusal::Malformed`](super::Refusal::Malformed).
    pub fn whole_request<'i>(&mut self, input: &mut &'i [u8]) -> Option<Whole<'i>> {
        if self.table.closing || self.failed.is_some() || self.has_reply() || !self.decoder.at_boundary() {
            return None;
        }
        let mut rest = *input;
        let (begin, body) = record(&mut rest, RecordType::BeginRequest)?;
        let body = BeginRequest::parse(body.try_into().ok()?);
        let (params_header, params) = record(&mut rest, RecordType::Params)?;
        let (params_end, _) = record(&mut rest, RecordType::Params)?;
        let (stdin_end, _) = record(&mut rest, RecordType::Stdin)?;
        let id = RequestId::new(begin.request_id)?;
        let whole = body.role == Role::Responder as u16
            && [params_header, params_end, stdin_end].iter().all(|header| header.request_id == id.get())
            && params_header.content_length > 0
            && params_end.content_length == 0
            && stdin_end.content_length == 0
            && u32::from(params_header.content_length) <= self.limits.params;
        if !whole || self.is_active(id) {
            return None;
        }
        self.table.begin(id, Stage::Complete)?;
        let keep_conn = body.flags.keep_conn();
        self.table.closing = !keep_conn;
        self.ignored = 0;
        *input = rest;
        Some(Whole { id, keep_conn, params })
    }
}

/// Takes the first record and its padding off `rest`, if it is all there and of this type.
#[inline(never)]
fn record<'i>(rest: &mut &'i [u8], record_type: RecordType) -> Option<(Header, &'i [u8])> {
    let (header, after) = rest.split_first_chunk()?;
    let header = Header::parse(header).ok().filter(|header| header.record_type == record_type as u8)?;
    let (content, after) = after.split_at_checked(header.content_length.into())?;
    *rest = after.get(usize::from(header.padding_length)..)?;
    Some((header, content))
}
