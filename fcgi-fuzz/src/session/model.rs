//! What each side must make of the records that the other one sent, byte by byte, and what it owes for them:
//! sections 3 to 6 for a peer that keeps them.

use std::collections::{BTreeMap, VecDeque};

use fcgi_proto::record::{HEADER_LEN, Role};
use fcgi_proto::server::Refusal;
use fcgi_proto::{ConnectionError, Limits};

use crate::glue::{see_answer_bytes, see_bytes, see_values};
use crate::support::{
    ABORT, BEGIN, DATA, END, GET_VALUES, GET_VALUES_RESULT, PARAMS, STDERR, STDIN, STDOUT, Seen, Wire, pairs,
};
use crate::web_server::Seen as Answered;

/// A record's type, id and content.
pub(super) type Plain = (u8, u16, Vec<u8>);

/// Records that are on their way, and how much of the first has arrived.
#[derive(Default)]
pub(super) struct Arriving {
    records: VecDeque<Wire>,
    at: usize,
}

/// A part of a record that has arrived.
enum Part {
    Header,
    /// So many bytes of content, up to this place.
    Content(usize, usize),
    Other,
}

impl Arriving {
    pub(super) fn extend(&mut self, records: Vec<Wire>) {
        self.records.extend(records);
    }

    /// Bytes of the first record, padding included.
    fn size(record: &Wire) -> usize {
        HEADER_LEN + record.content.len() + record.padding.len()
    }

    /// Bytes that the record that has begun still lacks, as far as the receiver can know.
    pub(super) fn missing(&self) -> u32 {
        let size = self.records.front().map_or(0, Self::size);
        match self.at {
            0 => 0,
            1..HEADER_LEN => (HEADER_LEN - self.at) as u32,
            at => (size - at) as u32,
        }
    }

    /// The next part within `count` bytes, which are counted down, and the record that it is a part of.
    fn next(&mut self, count: &mut usize) -> (Part, Wire) {
        let record = self.records.front().expect("bytes come of records").clone();
        let content_end = HEADER_LEN + record.content.len();
        let end = [HEADER_LEN, content_end, Self::size(&record)].into_iter().find(|end| *end > self.at);
        let end = end.expect("a record that has arrived is gone").min(self.at + *count);
        let (from, to) = (self.at, end);
        *count -= to - from;
        self.at = to;
        if to == Self::size(&record) {
            self.records.pop_front();
            self.at = 0;
        }
        let part = match to {
            HEADER_LEN => Part::Header,
            _ if to > HEADER_LEN && to <= content_end => Part::Content(to - from, to - HEADER_LEN),
            _ => Part::Other,
        };
        (part, record)
    }
}

/// A request as the server knows it.
pub(super) struct Answering {
    role: Role,
    /// Its input streams that ended.
    ended: usize,
    /// Content bytes of the current one.
    received: u32,
    aborted: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
}

impl Answering {
    fn streams(&self) -> usize {
        match self.role {
            Role::Authorizer => 1,
            Role::Responder => 2,
            Role::Filter => 3,
        }
    }

    fn is_complete(&self) -> bool {
        self.ended == self.streams()
    }

    pub(super) fn may_write(&self) -> bool {
        self.ended >= 1 && self.ended + 1 >= self.streams()
    }

    pub(super) fn may_finish(&self) -> bool {
        self.may_write() || self.aborted
    }
}

/// The server's side.
pub(super) struct ServerModel<const N: usize> {
    pub(super) arriving: Arriving,
    pub(super) requests: BTreeMap<u16, Answering>,
    limits: Limits,
    ignored: u32,
    /// Records that are owed, and were not taken yet.
    pub(super) replies: VecDeque<Vec<Plain>>,
    /// A request came with KEEP_CONN clear.
    closing: bool,
    garbled: bool,
    pub(super) error: Option<ConnectionError>,
}

impl<const N: usize> ServerModel<N> {
    pub(super) fn new(limits: Limits) -> Self {
        let (arriving, requests, replies) = (Arriving::default(), BTreeMap::new(), VecDeque::new());
        Self { arriving, requests, limits, ignored: 0, replies, closing: false, garbled: false, error: None }
    }

    /// So many bytes arrive: the events, up to the first pause, and the bytes that are left at that.
    pub(super) fn arrive(&mut self, mut count: usize) -> (Vec<Seen>, usize) {
        let mut events = Vec::new();
        while count > 0 && self.error.is_none() {
            if self.garbled || self.closing && self.requests.is_empty() {
                return (events, 0);
            }
            if self.replies.len() == 4 {
                return (events, count);
            }
            let (part, record) = self.arriving.next(&mut count);
            match part {
                Part::Header => self.header(&record, &mut events),
                Part::Content(count, to) => self.content(&record, to - count, to, &mut events),
                Part::Other => {}
            }
        }
        (events, 0)
    }

    fn header(&mut self, record: &Wire, events: &mut Vec<Seen>) {
        let Wire { kind, id, ref content, .. } = *record;
        let stream = match kind {
            BEGIN | GET_VALUES => return,
            ABORT => {
                match self.requests.get_mut(&id).filter(|request| !request.aborted) {
                    None => self.ignore(record),
                    Some(request) => {
                        request.aborted = true;
                        events.push(Seen::Abort { id });
                    }
                }
                return;
            }
            _ => stream(kind),
        };
        let request = self.requests.get_mut(&id);
        let Some(request) = request.filter(|request| stream == request.ended && stream < request.streams())
        else {
            return self.ignore(record);
        };
        if content.is_empty() {
            (request.ended, request.received) = (stream + 1, 0);
            return events.push(Seen::End { kind, id });
        }
        request.received += content.len() as u32;
        if request.received > [self.limits.params, self.limits.stdin, self.limits.data][stream] {
            let why = if stream == 0 { Refusal::ParamsTooLong } else { Refusal::Overloaded };
            self.refuse(id, why);
            events.push(Seen::Rejected { id, why });
        }
    }

    fn content(&mut self, record: &Wire, from: usize, to: usize, events: &mut Vec<Seen>) {
        let Wire { kind, id, ref content, .. } = *record;
        let last = to == content.len();
        match kind {
            BEGIN if last => self.begin(id, content, events),
            GET_VALUES if last => {
                let conns = self.limits.max_conns;
                let reqs = self.limits.max_reqs.min(conns.saturating_mul(N as u32));
                let mpxs = u32::from(N > 1);
                let values = [("FCGI_MAX_CONNS", conns), ("FCGI_MAX_REQS", reqs), ("FCGI_MPXS_CONNS", mpxs)];
                let values = values.map(|(name, value)| (name.to_owned(), value.to_string()));
                self.replies.push_back(vec![(GET_VALUES_RESULT, 0, pairs(&values))]);
            }
            BEGIN | GET_VALUES => {}
            _ => {
                let is_its_turn = |request: &Answering| request.ended == stream(kind);
                if self.requests.get(&id).is_some_and(is_its_turn) {
                    see_bytes(events, kind, id, &content[from..to]);
                }
            }
        }
    }

    fn begin(&mut self, id: u16, content: &[u8], events: &mut Vec<Seen>) {
        let role = Role::from_wire(u16::from(content[1])).expect("a role that there is");
        let keep_conn = content[2] == 1;
        self.closing |= !keep_conn;
        if self.requests.len() == N {
            let why = if N == 1 { Refusal::CantMpxConn } else { Refusal::Overloaded };
            return self.replies.push_back(refusal(id, why, true, false));
        }
        self.ignored = 0;
        let request = Answering { role, ended: 0, received: 0, aborted: false, stdout: false, stderr: false };
        assert!(self.requests.insert(id, request).is_none(), "the client took an id that is active");
        events.push(Seen::Begin { id, role, keep_conn });
    }

    fn refuse(&mut self, id: u16, why: Refusal) {
        let request = self.requests.remove(&id).expect("an active request");
        self.replies.push_back(refusal(id, why, !request.stdout, request.stderr));
    }

    fn ignore(&mut self, record: &Wire) {
        self.ignored += Arriving::size(record) as u32;
        let limit = self.limits.ignored;
        if self.ignored > limit && self.nothing_can_begin() {
            self.garbled = true;
        } else if self.ignored > limit {
            self.error = Some(ConnectionError::IgnoredTooMuch { limit });
        }
    }

    fn nothing_can_begin(&self) -> bool {
        self.closing && self.requests.values().all(Answering::is_complete)
    }

    pub(super) fn drains_before_end(&self, id: u16) -> bool {
        !self.closing
            && self.requests.get(&id).is_some_and(|request| !request.is_complete() && !request.aborted)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.requests.is_empty() && self.replies.is_empty() && self.arriving.missing() == 0
    }

    pub(super) fn is_finished(&self) -> bool {
        self.closing && self.requests.is_empty() && self.replies.is_empty()
    }

    pub(super) fn eof(&self) -> Result<(), ConnectionError> {
        match (self.error, self.arriving.missing()) {
            (Some(error), _) => Err(error),
            (None, missing) if missing > 0 && !self.nothing_can_begin() => {
                Err(ConnectionError::UnexpectedEof { missing })
            }
            (None, _) => Ok(()),
        }
    }
}

/// A client's stream's place in the order of section 6.1.
fn stream(kind: u8) -> usize {
    [PARAMS, STDIN, DATA].iter().position(|stream| *stream == kind).expect("a client's stream")
}

/// A refusal's records: a whole answer if nothing of one was sent, and its ends, of STDERR if that was written.
pub(super) fn refusal(id: u16, why: Refusal, answers: bool, stderr: bool) -> Vec<Plain> {
    let (text, status): (&[u8], _) = match why {
        Refusal::ParamsTooLong => {
            (b"Status: 431 Request Header Fields Too Large\r\nContent-Type: text/plain\r\n\r\nToo large\n", 0)
        }
        Refusal::Malformed => {
            (b"Status: 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nBad Request\n", 0)
        }
        why => (
            b"Status: 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\nService Unavailable\n",
            why.protocol_status() as u8,
        ),
    };
    let answer = answers.then(|| (STDOUT, id, text.to_vec()));
    let stderr = stderr.then_some((STDERR, id, Vec::new()));
    let ends = [(STDOUT, id, Vec::new()), end(id, 0, status)];
    answer.into_iter().chain(stderr).chain(ends).collect()
}

/// END_REQUEST.
pub(super) fn end(id: u16, app_status: u32, status: u8) -> Plain {
    (END, id, [&app_status.to_be_bytes()[..], &[status, 0, 0, 0]].concat())
}

/// A request as the client knows it.
pub(super) struct Asking {
    pub(super) role: Role,
    /// The stream that is to be sent next.
    pub(super) turn: Option<u8>,
    pub(super) aborted: bool,
    answered: bool,
}

/// The client's side.
#[derive(Default)]
pub(super) struct ClientModel {
    pub(super) arriving: Arriving,
    pub(super) requests: BTreeMap<u16, Asking>,
    /// No further request may begin.
    pub(super) retired: bool,
    /// The id of the last request.
    last: u16,
}

impl ClientModel {
    /// The id of the next request on a connection that carries `C` at a time: the next in turn whose place is
    /// free, each place being that of every `C`th id.
    pub(super) fn next<const C: usize>(&self) -> Option<u16> {
        let (slots, round) = (C as u16, 200 - 200 % C as u16);
        let is_free = |number: &u16| self.requests.keys().all(|active| active % slots != number % slots);
        (0..slots).map(|step| (self.last + step) % round + 1).find(is_free)
    }

    pub(super) fn begin(&mut self, id: u16, role: Role, keep_conn: bool) {
        let request = Asking { role, turn: Some(PARAMS), aborted: false, answered: false };
        assert!(self.requests.insert(id, request).is_none(), "an id that is active");
        self.last = id;
        self.retired = !keep_conn;
    }

    /// So many bytes arrive: the events.
    pub(super) fn arrive(&mut self, mut count: usize) -> Vec<Answered> {
        let mut events = Vec::new();
        while count > 0 {
            let (part, Wire { kind, id, content, .. }) = self.arriving.next(&mut count);
            match (kind, part) {
                (STDOUT | STDERR, Part::Header) => {
                    assert!(self.requests.contains_key(&id), "the server answers what is not asked");
                    if content.is_empty() {
                        events.push(Answered::Ended { kind, id });
                    }
                }
                (STDOUT | STDERR, Part::Content(count, to)) => {
                    let request = self.requests.get_mut(&id).expect("an active request");
                    request.answered |= kind == STDOUT;
                    see_answer_bytes(&mut events, kind, id, &content[to - count..to]);
                }
                (END, Part::Content(_, 8)) => {
                    let request = self.requests.remove(&id).expect("the end of an active request");
                    let (app_status, protocol_status) = (content[3].into(), content[4]);
                    self.retired |= request.turn.is_some() || protocol_status != 0;
                    let answered = request.answered;
                    events.push(Answered::End { id, app_status, protocol_status, answered });
                }
                (GET_VALUES_RESULT, Part::Content(count, to)) => {
                    see_values(&mut events, &content[to - count..to], to == content.len());
                }
                _ => {}
            }
        }
        events
    }

    pub(super) fn eof(&self) -> Result<(), ConnectionError> {
        match self.arriving.missing() {
            0 => Ok(()),
            missing => Err(ConnectionError::UnexpectedEof { missing }),
        }
    }
}
