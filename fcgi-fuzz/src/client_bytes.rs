//! Any bytes, in any cuts, to the client's side of a connection, with a web server that does what the plan
//! says. The events, glued, are the same for every cut; the work is bounded by the input; what is sent is
//! records in the order that applications take.

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use fcgi_proto::client::{Connection, Event, SendError};
use fcgi_proto::record::{ProtocolStatus, RecordType, RequestId, Role};
use fcgi_proto::{ConnectionError, Limits};

use crate::glue::see_answer;
use crate::plan::{Cuts, Script, is_a_log_line, limit};
use crate::support::id;
use crate::web_server::{Outgoing as _, Seen, request_records};

/// Feeds the input to [`Connection::next_event`].
pub fn client_bytes(input: &[u8]) {
    run(Unstructured::new(input)).expect("a plan that is cut reads as zeros");
}

fn run(mut u: Unstructured<'_>) -> Result<()> {
    let slots: u8 = u.arbitrary()?;
    let limits = Limits { ignored: limit(&mut u)?, ..Limits::default() };
    let cuts = Cuts::new(&mut u)?;
    let script = Script::new(&mut u)?;
    let before = usize::from(u.arbitrary::<u8>()? % 16);
    let bytes = u.take_rest();
    match slots % 4 {
        0 => check::<1>(limits, cuts, script, before, bytes),
        1 => check::<2>(limits, cuts, script, before, bytes),
        2 => check::<7>(limits, cuts, script, before, bytes),
        _ => check::<0>(limits, cuts, script, before, bytes),
    }
    Ok(())
}

/// `before` steps of the script are taken before anything comes.
fn check<const N: usize>(limits: Limits, cuts: Cuts, script: Script, before: usize, bytes: &[u8]) {
    // It owns no memory, so that its size is all that it ever takes.
    const { assert!(!std::mem::needs_drop::<Connection<N>>()) };
    let whole = Driver::<N>::new(limits, script, before).feed([bytes]);
    let in_pieces = Driver::<N>::new(limits, script, before).feed(cuts.pieces(bytes));
    assert_eq!(in_pieces, whole);
    let byte_by_byte = Driver::<N>::new(limits, script, before).feed(bytes.chunks(1));
    assert_eq!(byte_by_byte, whole);
    request_records(&whole.sent);
}

/// What was done with a request and came for it.
struct Request {
    role: Role,
    /// The stream that is to be sent next.
    turn: Option<RecordType>,
    aborted: bool,
    answered: bool,
}

/// What must not depend on the cuts.
#[derive(Debug, Default, PartialEq)]
struct Transcript {
    events: Vec<Seen>,
    sent: Vec<u8>,
    error: Option<ConnectionError>,
    eof: Option<ConnectionError>,
    is_reusable: bool,
    active: Vec<u16>,
}

struct Driver<const N: usize> {
    connection: Connection<N>,
    script: Script,
    requests: BTreeMap<u16, Request>,
    /// Answers to GET_VALUES that are to come.
    asked: usize,
    /// Something came or was done after which the connection is not to be used again.
    odd: bool,
    t: Transcript,
}

impl<const N: usize> Driver<N> {
    fn new(limits: Limits, script: Script, before: usize) -> Self {
        let (connection, requests, t) = (Connection::new(limits), BTreeMap::new(), Transcript::default());
        let mut driver = Self { connection, script, requests, asked: 0, odd: false, t };
        for _ in 0..before {
            driver.act(RequestId::ONE);
        }
        driver
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
            let Some(event) = self.connection.next_event(&mut input)? else {
                assert!(input.is_empty(), "input is left, and no event");
                assert_eq!(self.connection.next_event(&mut input), Ok(None), "an event without input");
                return Ok(());
            };
            assert!(input.len() < before, "{event:?} took no input");
            self.see(&event);
        }
    }

    /// The event is of an active request or was asked for; it is kept, and the web server acts on it.
    fn see(&mut self, event: &Event<'_>) {
        see_answer(&mut self.t.events, event);
        let id = match *event {
            Event::Stdout { id, .. } => {
                self.request(id).answered = true;
                return;
            }
            Event::Stderr { id, .. } => {
                self.request(id);
                return;
            }
            Event::StdoutEnd { id } | Event::StderrEnd { id } => {
                self.request(id);
                id
            }
            Event::End { id, protocol_status, answered, .. } => {
                let request = self.requests.remove(&id.get()).expect("the end of an active request");
                assert_eq!(answered, request.answered);
                self.odd |= request.turn.is_some() || protocol_status != 0;
                if let Some(status) = ProtocolStatus::from_wire(protocol_status) {
                    is_a_log_line(&status);
                }
                id
            }
            Event::Values { data, last } => {
                assert!(self.asked > 0 && (last || !data.is_empty()));
                if !last {
                    return;
                }
                self.asked -= 1;
                RequestId::ONE
            }
            _ => RequestId::ONE,
        };
        self.act(id);
    }

    fn request(&mut self, id: RequestId) -> &mut Request {
        self.requests.get_mut(&id.get()).expect("an event of an active request")
    }

    /// One step of the web server, for the event's request or another.
    fn act(&mut self, of_event: RequestId) {
        let (step, more) = self.script.next();
        let at = if more < 24 { of_event } else { id(u16::from(more - 23)) };
        match step {
            0 => {}
            1 => _ = self.begin(more),
            2 => {
                // A whole request.
                if let Some(id) = self.begin(more) {
                    self.stream(id, RecordType::Params, b"\x01\x01ab", true);
                    self.stream(id, RecordType::Stdin, b"body", true);
                    self.stream(id, RecordType::Data, b"file", true);
                }
                return;
            }
            3 => self.stream(at, RecordType::Params, b"\x01\x02abc", more % 2 == 1),
            4 => self.stream(at, RecordType::Stdin, &[b'x'; 16][..usize::from(more / 2)], more % 2 == 1),
            5 => self.stream(at, RecordType::Data, &[b'x'; 16][..usize::from(more / 2)], more % 2 == 1),
            6 => self.abort(at),
            _ => {
                self.asked += 1;
                self.t.sent.extend(self.connection.get_values().bytes());
            }
        }
        assert_eq!(self.connection.is_active(at), self.requests.contains_key(&at.get()));
        // Odd is more than is known here: records that came for nobody.
        assert!(!self.odd || !self.connection.is_reusable());
    }

    fn begin(&mut self, more: u8) -> Option<RequestId> {
        let role = [Role::Responder, Role::Authorizer, Role::Filter][usize::from(more % 3)];
        let (keep_conn, is_reusable) = (more < 24, self.connection.is_reusable());
        let expected = if !is_reusable {
            Some(SendError::NotReusable)
        } else if self.requests.len() == N {
            Some(SendError::Full { capacity: N })
        } else {
            None
        };
        match self.connection.begin(role, keep_conn) {
            Ok((id, begin)) => {
                assert_eq!(expected, None);
                assert!(
                    (1..id.get()).all(|lower| self.requests.contains_key(&lower)),
                    "the smallest free id"
                );
                let turn = Some(RecordType::Params);
                let request = Request { role, turn, aborted: false, answered: false };
                assert!(self.requests.insert(id.get(), request).is_none(), "an id that is active");
                self.odd |= !keep_conn;
                self.t.sent.extend(begin.bytes());
                Some(id)
            }
            Err(error) => {
                assert_eq!(Some(error), expected);
                is_a_log_line(&error);
                None
            }
        }
    }

    /// Sends some of a stream, and its end.
    fn stream(&mut self, id: RequestId, stream: RecordType, data: &[u8], end: bool) {
        let authorizer = self.requests.get(&id.get()).is_some_and(|request| request.role == Role::Authorizer);
        let expected = |turn: Option<&Request>| match turn {
            None => Err(SendError::Inactive { id }),
            Some(request) if request.turn != Some(stream) => Err(SendError::OutOfOrder { id, stream }),
            Some(_) => Ok(()),
        };
        let mut now = expected(self.requests.get(&id.get()));
        if now.is_ok() && authorizer && stream == RecordType::Stdin && !data.is_empty() {
            now = Err(SendError::OutOfOrder { id, stream });
        }
        let sent = match stream {
            RecordType::Params => self.connection.params(id, data).map(|record| record.bytes()),
            RecordType::Stdin => self.connection.stdin(id, data).map(|(record, _)| record.bytes()),
            _ => self.connection.data(id, data).map(|(record, _)| record.bytes()),
        };
        assert_eq!(sent.as_ref().err(), now.as_ref().err());
        self.t.sent.extend(sent.unwrap_or_default());
        if !end {
            return;
        }
        let ended = match stream {
            RecordType::Params => self.connection.params_end(id),
            RecordType::Stdin => self.connection.stdin_end(id),
            _ => self.connection.data_end(id),
        };
        let now = expected(self.requests.get(&id.get()));
        assert_eq!(ended.as_ref().err(), now.as_ref().err());
        match ended {
            Err(error) => is_a_log_line(&error),
            Ok(end) => {
                self.t.sent.extend(end.bytes());
                let request = self.request(id);
                request.turn = match (stream, request.role) {
                    (RecordType::Params, _) => Some(RecordType::Stdin),
                    (RecordType::Stdin, Role::Filter) => Some(RecordType::Data),
                    _ => None,
                };
            }
        }
    }

    fn abort(&mut self, id: RequestId) {
        let expected = match self.requests.get(&id.get()) {
            None => Err(SendError::Inactive { id }),
            Some(request) if request.aborted => {
                Err(SendError::OutOfOrder { id, stream: RecordType::AbortRequest })
            }
            Some(_) => Ok(()),
        };
        let abort = self.connection.abort(id);
        assert_eq!(abort.as_ref().err(), expected.as_ref().err());
        if let Ok(abort) = abort {
            self.t.sent.extend(abort.bytes());
            let request = self.request(id);
            (request.aborted, request.turn) = (true, None);
            self.odd = true;
        }
    }

    /// The input ends, and with it the connection.
    fn end(&mut self) {
        self.t.is_reusable = self.connection.is_reusable();
        self.t.eof = self.connection.eof().err();
        if let Some(error) = self.t.error.or(self.t.eof) {
            is_a_log_line(&error);
            let mut more = &b"\x01\x06\0\x01\0\0\0\0"[..];
            assert_eq!(self.connection.next_event(&mut more), Err(error), "an error is sticky");
            assert_eq!(self.connection.eof(), Err(error));
        }
        assert!(!self.connection.is_reusable());
        self.t.active = self.requests.keys().copied().collect();
        assert!(self.t.active.iter().all(|number| self.connection.is_active(id(*number))));
    }
}
