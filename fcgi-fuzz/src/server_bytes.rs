//! Any bytes, in any cuts, to the server's side of a connection, with an application that does what the plan
//! says. The events, glued, and the answers are the same for every cut; the work is bounded by the input; what
//! is sent is records.

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use fcgi_proto::record::{Header, RequestId, Role};
use fcgi_proto::server::{Connection, Event, Refusal, SendError};
use fcgi_proto::{ConnectionError, Limits};

use crate::glue::see;
use crate::plan::{Cuts, Script, is_a_log_line, limit};
use crate::support::{ANSWER, App, Asked, Seen, answer_records, feed, id, send};

/// Feeds the input to [`Connection::next_event`].
pub fn server_bytes(input: &[u8]) {
    run(Unstructured::new(input)).expect("a plan that is cut reads as zeros");
}

fn run(mut u: Unstructured<'_>) -> Result<()> {
    let slots: u8 = u.arbitrary()?;
    let mut limits = Limits::default();
    (limits.params, limits.stdin) = (limit(&mut u)?, limit(&mut u)?);
    (limits.data, limits.ignored) = (limit(&mut u)?, limit(&mut u)?);
    (limits.max_conns, limits.max_reqs) = (limit(&mut u)?, limit(&mut u)?);
    let cuts = Cuts::new(&mut u)?;
    let script = Script::new(&mut u)?;
    let bytes = u.take_rest();
    match slots % 4 {
        0 => check::<1>(limits, cuts, script, bytes),
        1 => check::<2>(limits, cuts, script, bytes),
        2 => check::<7>(limits, cuts, script, bytes),
        _ => check::<0>(limits, cuts, script, bytes),
    }
    Ok(())
}

fn check<const N: usize>(limits: Limits, cuts: Cuts, script: Script, bytes: &[u8]) {
    // It owns no memory, so that its size is all that it ever takes.
    const { assert!(!std::mem::needs_drop::<Connection<N>>()) };
    let whole = Driver::<N>::new(limits, script).feed([bytes]);
    let in_pieces = Driver::<N>::new(limits, script).feed(cuts.pieces(bytes));
    assert_eq!(in_pieces, whole);
    let byte_by_byte = Driver::<N>::new(limits, script).feed(bytes.chunks(1));
    assert_eq!(byte_by_byte, whole);

    let mut limits = limits;
    // What is left of a request that has ended counts as ignored; of a whole one nothing is left.
    limits.ignored = u32::MAX;
    let events = feed(limits, App::<N>::Complete, Asked::Events, &[bytes]);
    let mut whole_requests = feed(limits, App::<N>::Complete, Asked::WholeRequests, &[bytes]);
    whole_requests.same_as_events(&events);
    assert_eq!(whole_requests, events);

    header(bytes);
    let replies = whole.replied;
    // No record, of 8 bytes at least, leads to more than a refusal of 120.
    assert!(replies <= 15 * bytes.len(), "{replies} bytes of replies to {} bytes", bytes.len());
    answer_records(&whole.sent);
}

/// A header is encoded as it came, but for the reserved byte.
fn header(bytes: &[u8]) {
    let Some(bytes) = bytes.first_chunk() else { return };
    match Header::parse(bytes) {
        Ok(header) => assert_eq!(header.encode()[..7], bytes[..7]),
        Err(error) => {
            assert!(error.0 == bytes[0] && bytes[0] != 1);
            is_a_log_line(&error);
        }
    }
}

/// What the events of a request said.
struct Request {
    role: Role,
    /// Its input streams that ended.
    ended: usize,
    /// Bytes of the stream that has not.
    received: usize,
    aborted: bool,
}

impl Request {
    fn streams(&self) -> usize {
        match self.role {
            Role::Authorizer => 1,
            Role::Responder => 2,
            Role::Filter => 3,
        }
    }

    /// All inputs but the last have ended, and PARAMS has in any case (sections 6.1 to 6.4).
    fn may_write(&self) -> bool {
        self.ended >= 1 && self.ended + 1 >= self.streams()
    }
}

/// What must not depend on the cuts.
#[derive(Debug, Default, PartialEq)]
struct Transcript {
    events: Vec<Seen>,
    sent: Vec<u8>,
    /// Bytes of `sent` that were the connection's own.
    replied: usize,
    error: Option<ConnectionError>,
    eof: Option<ConnectionError>,
    is_idle: bool,
    is_finished: bool,
    active: Vec<u16>,
}

struct Driver<const N: usize> {
    connection: Connection<N>,
    limits: Limits,
    script: Script,
    requests: BTreeMap<u16, Request>,
    t: Transcript,
}

impl<const N: usize> Driver<N> {
    fn new(limits: Limits, script: Script) -> Self {
        let (requests, t) = (BTreeMap::new(), Transcript::default());
        Self { connection: Connection::new(limits), limits, script, requests, t }
    }

    fn feed<'i>(mut self, chunks: impl IntoIterator<Item = &'i [u8]>) -> Transcript {
        for chunk in chunks {
            if let Err(error) = self.take(chunk) {
                self.t.error = Some(error);
                break;
            }
        }
        self.end();
        self.t
    }

    fn take(&mut self, mut input: &[u8]) -> std::result::Result<(), ConnectionError> {
        loop {
            let before = input.len();
            let event = self.connection.next_event(&mut input);
            let replies = self.drain();
            let Some(event) = event? else {
                assert!(input.is_empty(), "input is left, and no event");
                assert_eq!(self.connection.next_event(&mut input), Ok(None), "an event without input");
                return Ok(());
            };
            if event == Event::Paused {
                assert!(replies > 0 && !input.is_empty());
                continue;
            }
            assert!(input.len() < before, "{event:?} took no input");
            self.see(&event);
        }
    }

    fn drain(&mut self) -> usize {
        let mut replies = 0;
        while let Some(reply) = self.connection.poll_reply() {
            self.t.sent.extend_from_slice(&reply);
            self.t.replied += reply.len();
            replies += 1;
        }
        assert!(replies <= 4, "{replies} replies waited");
        replies
    }

    /// The event is in its request's turn; it is kept, and the application acts on it.
    fn see(&mut self, event: &Event<'_>) {
        see(&mut self.t.events, event);
        let id = match *event {
            Event::Begin { id, role, .. } => {
                let request = Request { role, ended: 0, received: 0, aborted: false };
                assert!(self.requests.insert(id.get(), request).is_none(), "request {id} began twice");
                assert!(self.requests.len() <= N);
                is_a_log_line(&role);
                id
            }
            Event::Params { id, data } => return self.bytes(0, id, data, self.limits.params),
            Event::Stdin { id, data } => return self.bytes(1, id, data, self.limits.stdin),
            Event::Data { id, data } => return self.bytes(2, id, data, self.limits.data),
            Event::ParamsEnd { id } => self.stream_end(0, id),
            Event::StdinEnd { id } => self.stream_end(1, id),
            Event::DataEnd { id } => self.stream_end(2, id),
            Event::Abort { id } => {
                let request = self.request(id);
                assert!(!request.aborted, "request {id} was aborted twice");
                request.aborted = true;
                id
            }
            Event::Rejected { id, why } => {
                assert!(self.requests.remove(&id.get()).is_some());
                is_a_log_line(&why);
                is_a_log_line(&why.protocol_status());
                id
            }
            ref other => panic!("{other:?} is new"),
        };
        self.agree(id);
        self.act(id);
    }

    fn request(&mut self, id: RequestId) -> &mut Request {
        self.requests.get_mut(&id.get()).expect("an event of an active request")
    }

    fn bytes(&mut self, stream: usize, id: RequestId, data: &[u8], limit: u32) {
        let request = self.request(id);
        assert!(request.ended == stream && stream < request.streams() && !data.is_empty());
        request.received += data.len();
        assert!(request.received <= limit as usize);
    }

    fn stream_end(&mut self, stream: usize, id: RequestId) -> RequestId {
        let request = self.request(id);
        assert!(request.ended == stream && stream < request.streams());
        (request.ended, request.received) = (stream + 1, 0);
        id
    }

    /// The connection says of the request what its events said.
    fn agree(&self, id: RequestId) {
        let request = self.requests.get(&id.get());
        assert_eq!(self.connection.is_active(id), request.is_some());
        let may_finish = request.is_some_and(|request| request.may_write() || request.aborted);
        assert_eq!(self.connection.may_finish(id), may_finish);
    }

    /// One step of the application, for the event's request or another.
    fn act(&mut self, of_event: RequestId) {
        let (step, more) = self.script.next();
        let at = if more < 24 { of_event } else { id(u16::from(more - 23)) };
        let active = self.requests.get(&at.get());
        let may_write = active.is_some_and(Request::may_write);
        let expected = match active {
            None => Err(SendError::Inactive { id: at }),
            Some(_) if !may_write => Err(SendError::TooEarly { id: at }),
            Some(_) => Ok(()),
        };
        match step {
            0 => {}
            1 if may_write => {
                let (record, _) = self.connection.stdout(at, ANSWER).expect("it may write");
                send(&record, &mut self.t.sent);
                self.finish(at, 0);
            }
            1 | 2 => {
                let data = &[b'x'; 32][..usize::from(more)];
                let result = self.connection.stdout(at, data);
                self.t
                    .sent
                    .extend(result.as_ref().map_or(Vec::new(), |(record, _)| record.slices().concat()));
                assert_eq!(result.map(drop), expected);
            }
            3 => {
                let result = self.connection.stderr(at, b"a line\n");
                self.t
                    .sent
                    .extend(result.as_ref().map_or(Vec::new(), |(record, _)| record.slices().concat()));
                assert_eq!(result.map(drop), expected);
            }
            4 | 5 => self.finish(at, u32::from(more) << 27 | 3),
            6 => self.reject(at, Refusal::Overloaded),
            _ => self.reject(at, Refusal::Malformed),
        }
        if let Err(error) = expected {
            is_a_log_line(&error);
        }
        self.agree(at);
    }

    fn finish(&mut self, id: RequestId, app_status: u32) {
        let may_finish = self.connection.may_finish(id);
        match self.connection.finish(id, app_status) {
            Ok(end) => {
                assert!(may_finish && self.requests.remove(&id.get()).is_some());
                self.t.sent.extend_from_slice(&end);
            }
            Err(SendError::TooEarly { .. }) => assert!(!may_finish && self.requests.contains_key(&id.get())),
            Err(error) => {
                assert_eq!(error, SendError::Inactive { id });
                assert!(!self.requests.contains_key(&id.get()));
            }
        }
    }

    fn reject(&mut self, id: RequestId, why: Refusal) {
        match self.connection.reject(id, why) {
            Ok(refusal) => {
                assert!(self.requests.remove(&id.get()).is_some());
                self.t.sent.extend_from_slice(&refusal);
            }
            Err(error) => {
                assert_eq!(error, SendError::Inactive { id });
                assert!(!self.requests.contains_key(&id.get()));
            }
        }
    }

    /// The input ends. An error is the input's only: what is active can still be answered.
    fn end(&mut self) {
        self.t.eof = self.connection.eof().err();
        if let Some(error) = self.t.error.or(self.t.eof) {
            is_a_log_line(&error);
            let mut more = &b"\x01\x09\0\0\0\0\0\0"[..];
            assert_eq!(self.connection.next_event(&mut more), Err(error), "an error is sticky");
            assert_eq!(self.connection.eof(), Err(error));
        }
        self.t.is_idle = self.connection.is_idle();
        self.t.is_finished = self.connection.is_finished();
        self.t.active = self.requests.keys().copied().collect();
        for number in self.t.active.clone() {
            let (at, request) = (id(number), &self.requests[&number]);
            assert!(!self.connection.drains_before_end(at) || request.ended < request.streams());
            if self.connection.may_finish(at) {
                self.finish(at, 0);
            } else {
                self.reject(at, Refusal::Malformed);
            }
        }
        assert!(self.requests.is_empty() && self.drain() == 0);
    }
}
