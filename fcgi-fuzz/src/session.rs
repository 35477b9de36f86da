//! A client's and a server's connection joined by two pipes, and operations on both in any order: requests of
//! all roles, answers, aborts, refusals, calls that are wrong, bytes delivered a few at a time, and at last a
//! pipe that breaks. The [models](model) predict every event, every record that is sent, every refusal of a
//! call and every answer to a question.

mod cursor;
mod model;

use std::fmt::Debug;

use arbitrary::Unstructured;
use fcgi_proto::pair::Packer;
use fcgi_proto::record::{RecordType, Role};
use fcgi_proto::server::Refusal;
use fcgi_proto::{Limits, client, server};

use crate::glue::{see, see_answer};
use crate::plan::{is_a_log_line, limit};
use crate::support::{ABORT, BEGIN, DATA, GET_VALUES, PARAMS, STDERR, STDIN, STDOUT, Wire, id, pairs, walk};
use cursor::written;
use model::{ClientModel, Plain, ServerModel, end, refusal};

/// Does the operations that the input says.
pub fn session(input: &[u8]) {
    run(Unstructured::new(input)).expect("a plan that is cut reads as zeros");
}

fn run(mut u: Unstructured<'_>) -> arbitrary::Result<()> {
    let slots: u8 = u.arbitrary()?;
    let mut limits = Limits::default();
    (limits.params, limits.stdin) = (limit(&mut u)?, limit(&mut u)?);
    (limits.data, limits.ignored) = (limit(&mut u)?, limit(&mut u)?);
    (limits.max_conns, limits.max_reqs) = (limit(&mut u)?, limit(&mut u)?);
    let write = usize::from(slots / 4);
    match slots % 4 {
        0 => Session::<1, 1>::new(limits, write).run(&mut u),
        1 => Session::<3, 3>::new(limits, write).run(&mut u),
        2 => Session::<3, 1>::new(limits, write).run(&mut u),
        _ => Session::<3, 2>::new(limits, write).run(&mut u),
    }
}

/// The client carries `C` requests at a time, the server `S`.
struct Session<const C: usize, const S: usize> {
    client: client::Connection<C>,
    asked: ClientModel,
    to_server: Vec<u8>,
    server: server::Connection<S>,
    answers: ServerModel<S>,
    to_client: Vec<u8>,
    /// The next byte of all bodies, which go on where the last ended: no two places look the same.
    next_byte: u8,
    /// Bytes that a write takes at most; 0 for all.
    write: usize,
}

impl<const C: usize, const S: usize> Session<C, S> {
    fn new(limits: Limits, write: usize) -> Self {
        Self {
            client: client::Connection::new(Limits::default()),
            asked: ClientModel::default(),
            to_server: Vec::new(),
            server: server::Connection::new(limits),
            answers: ServerModel::new(limits),
            to_client: Vec::new(),
            next_byte: 0,
            write,
        }
    }

    fn run(mut self, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        while u.len() > 1 {
            let (operation, more): (u8, u8) = u.arbitrary()?;
            let number = self.number(operation / 20);
            match operation % 20 {
                0 => _ = self.begin(operation / 20, more),
                1 => self.whole_request(operation / 20, more),
                2 => self.params(number, more),
                3 => self.body(number, STDIN, more),
                4 => self.body(number, DATA, more),
                5 => self.stream_end(number, PARAMS),
                6 => self.stream_end(number, STDIN),
                7 => self.stream_end(number, DATA),
                8 => self.abort(number),
                9 => self.get_values(),
                10 | 11 => self.deliver_to_server(length(more)),
                12 => self.deliver_to_server(usize::MAX),
                13 => self.output(number, STDOUT, more),
                14 => self.output(number, STDERR, more),
                15 => self.finish(number, more),
                16 => self.reject(number, more),
                17 => self.drain(),
                18 => self.deliver_to_client(length(more)),
                _ => self.deliver_to_client(usize::MAX),
            }
            self.agree();
        }
        if u.arbitrary::<u8>()? % 2 == 0 {
            self.deliver_to_server(usize::MAX);
            self.drain();
            self.deliver_to_client(usize::MAX);
            self.agree();
        }
        self.end();
        Ok(())
    }

    /// The id of a request that one side takes for active, or of none.
    fn number(&self, choice: u8) -> u16 {
        let known = self.asked.requests.keys().chain(self.answers.requests.keys());
        known.copied().nth(usize::from(choice) % (C + 1)).unwrap_or(1)
    }

    /// Both sides say what the models say.
    fn agree(&self) {
        for number in 1..=201 {
            let at = id(number);
            assert_eq!(self.client.is_active(at), self.asked.requests.contains_key(&number));
            let request = self.answers.requests.get(&number);
            assert_eq!(self.server.is_active(at), request.is_some());
            assert_eq!(self.server.may_finish(at), request.is_some_and(|request| request.may_finish()));
            assert_eq!(self.server.drains_before_end(at), self.answers.drains_before_end(number));
        }
        assert_eq!(self.client.is_reusable(), !self.asked.retired);
        assert_eq!(self.server.is_idle(), self.answers.is_idle());
        assert_eq!(self.server.is_finished(), self.answers.is_finished());
    }

    /// The pipes break: what is still in them is lost.
    fn end(&mut self) {
        assert_eq!(self.client.eof(), self.asked.eof());
        assert_eq!(self.server.eof(), self.answers.eof());
        assert!(!self.client.is_reusable());
    }

    /// Bytes of a body; few, or more than a record holds.
    fn bytes(&mut self, more: u8) -> Vec<u8> {
        let length = if more == 255 { 66_000 } else { more.into() };
        let bytes: Vec<u8> =
            (0..length).map(|at: usize| self.next_byte.wrapping_add((at % 251) as u8)).collect();
        self.next_byte = self.next_byte.wrapping_add((length % 251) as u8);
        bytes
    }

    /// The client's call fails as the model says, or sends these records.
    fn ask(
        &mut self,
        sent: Result<Vec<u8>, client::SendError>,
        expected: Result<Vec<Plain>, client::SendError>,
    ) {
        let records = check(&sent, expected);
        if let Err(error) = &sent {
            is_a_log_line(error);
        }
        self.answers.arriving.extend(records);
        self.to_server.extend(sent.unwrap_or_default());
    }

    /// The server's call fails as the model says, or sends these records.
    fn answer(
        &mut self,
        sent: Result<Vec<u8>, server::SendError>,
        expected: Result<Vec<Plain>, server::SendError>,
    ) {
        let records = check(&sent, expected);
        self.asked.arriving.extend(records);
        self.to_client.extend(sent.unwrap_or_default());
    }

    fn begin(&mut self, role: u8, more: u8) -> Option<u16> {
        let role = [Role::Responder, Role::Authorizer, Role::Filter][usize::from(role % 3)];
        let keep_conn = more % 8 > 0;
        let free = self.asked.next::<C>();
        let (number, sent) = match self.client.begin(role, keep_conn) {
            Ok((id, begin)) => (Some(id.get()), Ok(written(begin, self.write))),
            Err(error) => (None, Err(error)),
        };
        let expected = match free {
            _ if self.asked.retired => Err(client::SendError::NotReusable),
            None => Err(client::SendError::Full { capacity: C }),
            Some(free) => {
                self.asked.begin(free, role, keep_conn);
                Ok(vec![(BEGIN, free, vec![0, role as u8, keep_conn.into(), 0, 0, 0, 0, 0])])
            }
        };
        assert!(number.is_none() || number == free, "ids in turn");
        self.ask(sent, expected);
        number
    }

    fn whole_request(&mut self, role: u8, more: u8) {
        let Some(number) = self.begin(role, more) else { return };
        self.params(number, more);
        self.stream_end(number, PARAMS);
        self.body(number, STDIN, more);
        self.stream_end(number, STDIN);
        self.body(number, DATA, more);
        self.stream_end(number, DATA);
    }

    /// Whether the client may send some of this stream now.
    fn turn(&self, number: u16, kind: u8) -> Result<(), client::SendError> {
        let (id, stream) = (id(number), RecordType::from_wire(kind).expect("a type"));
        match self.asked.requests.get(&number) {
            None => Err(client::SendError::Inactive { id }),
            Some(request) if request.turn != Some(kind) => Err(client::SendError::OutOfOrder { id, stream }),
            Some(_) => Ok(()),
        }
    }

    fn params(&mut self, number: u16, more: u8) {
        let value = self.bytes(more);
        let pair = pairs(&[(&b"NAME"[..], &value[..])]);
        let needed = pair.len();
        let sent = if more % 2 == 0 {
            let mut packer = Packer::new([0; 300]);
            packer.push(b"NAME", &value).expect("254 bytes at most");
            self.client.params(id(number), packer.bytes()).map(|record| written(record, self.write))
        } else {
            self.client.param(id(number), b"NAME", &value).map(|record| written(record, self.write))
        };
        let expected = self.turn(number, PARAMS).and(match needed {
            0..=65_535 => Ok(vec![(PARAMS, number, pair)]),
            _ => Err(client::SendError::TooLong { needed }),
        });
        self.ask(sent, expected);
    }

    fn body(&mut self, number: u16, kind: u8, more: u8) {
        let bytes = self.bytes(more);
        let is_authorizer =
            self.asked.requests.get(&number).is_some_and(|request| request.role == Role::Authorizer);
        let mut rest = &bytes[..];
        loop {
            let data = rest;
            let sent = match kind {
                STDIN => self.client.stdin(id(number), data),
                _ => self.client.data(id(number), data),
            };
            let sent = sent.map(|(record, after)| {
                rest = after;
                written(record, self.write)
            });
            let mut expected = self.turn(number, kind).map(|()| some(kind, number, data, 65_528));
            if expected.is_ok() && is_authorizer && !data.is_empty() {
                expected = Err(client::SendError::OutOfOrder { id: id(number), stream: RecordType::Stdin });
            }
            let failed = sent.is_err();
            self.ask(sent, expected);
            if failed || rest.is_empty() {
                return;
            }
        }
    }

    fn stream_end(&mut self, number: u16, kind: u8) {
        let ended = match kind {
            PARAMS => self.client.params_end(id(number)),
            STDIN => self.client.stdin_end(id(number)),
            _ => self.client.data_end(id(number)),
        };
        let expected = self.turn(number, kind).map(|()| vec![(kind, number, Vec::new())]);
        if expected.is_ok() {
            let request = self.asked.requests.get_mut(&number).expect("an active request");
            request.turn = match (kind, request.role) {
                (PARAMS, _) => Some(STDIN),
                (STDIN, Role::Filter) => Some(DATA),
                _ => None,
            };
        }
        self.ask(ended.map(|end| written(end, self.write)), expected);
    }

    fn abort(&mut self, number: u16) {
        let at = id(number);
        let expected = match self.asked.requests.get_mut(&number) {
            None => Err(client::SendError::Inactive { id: at }),
            Some(request) if request.aborted => {
                Err(client::SendError::OutOfOrder { id: at, stream: RecordType::AbortRequest })
            }
            Some(request) => {
                (request.aborted, request.turn) = (true, None);
                self.asked.retired = true;
                Ok(vec![(ABORT, number, Vec::new())])
            }
        };
        let sent = self.client.abort(at).map(|abort| written(abort, self.write));
        self.ask(sent, expected);
    }

    fn get_values(&mut self) {
        let names = [("FCGI_MAX_CONNS", ""), ("FCGI_MAX_REQS", ""), ("FCGI_MPXS_CONNS", "")];
        let sent = written(self.client.get_values(), self.write);
        self.ask(Ok(sent), Ok(vec![(GET_VALUES, 0, pairs(&names))]));
    }

    /// Up to `count` bytes reach the server, and its replies are taken only when it pauses.
    fn deliver_to_server(&mut self, count: usize) {
        let count = count.min(self.to_server.len());
        let chunk: Vec<u8> = self.to_server.drain(..count).collect();
        let (mut input, mut seen) = (&chunk[..], Vec::new());
        let (mut expected, mut left) = self.answers.arrive(count);
        loop {
            let before = input.len();
            let event = match self.server.next_event(&mut input) {
                Ok(event) => event,
                Err(error) => {
                    assert_eq!(Some(error), self.answers.error);
                    break;
                }
            };
            match event {
                None => {
                    assert!(input.is_empty() && left == 0 && self.answers.error.is_none());
                    break;
                }
                Some(server::Event::Paused) => {
                    assert!(
                        left > 0 && input.len() == left,
                        "a pause with {} bytes left, not {left}",
                        input.len()
                    );
                    self.drain();
                    let (more, still_left) = self.answers.arrive(left);
                    assert_eq!(seen, expected);
                    (seen, expected, left) = (Vec::new(), more, still_left);
                }
                Some(event) => {
                    assert!(input.len() < before);
                    see(&mut seen, &event);
                }
            }
        }
        assert_eq!(seen, expected);
    }

    /// The replies that wait go out.
    fn drain(&mut self) {
        while let Some(expected) = self.answers.replies.pop_front() {
            let reply = self.server.poll_reply().expect("a reply that is owed");
            self.answer(Ok(written(reply, self.write)), Ok(expected));
        }
        assert!(self.server.poll_reply().is_none(), "a reply that is not owed");
    }

    /// Whether the server may write for the request now.
    fn may_write(&self, number: u16) -> Result<(), server::SendError> {
        let id = id(number);
        match self.answers.requests.get(&number) {
            None => Err(server::SendError::Inactive { id }),
            Some(request) if !request.may_write() => Err(server::SendError::TooEarly { id }),
            Some(_) => Ok(()),
        }
    }

    fn output(&mut self, number: u16, kind: u8, more: u8) {
        let bytes = self.bytes(more);
        let mut rest = &bytes[..];
        loop {
            let data = rest;
            let (sent, most) = match kind {
                STDOUT => (self.server.stdout(id(number), data), 65_528),
                _ => (self.server.stderr(id(number), data), 65_520),
            };
            let sent = sent.map(|(record, after)| {
                rest = after;
                written(record, self.write)
            });
            let expected = self.may_write(number).map(|()| some(kind, number, data, most));
            if let Some(request) = self.answers.requests.get_mut(&number).filter(|_| expected.is_ok()) {
                request.stdout |= kind == STDOUT && !data.is_empty();
                request.stderr |= kind == STDERR && !data.is_empty();
            }
            let failed = sent.is_err();
            self.answer(sent, expected);
            if failed || rest.is_empty() {
                return;
            }
        }
    }

    fn finish(&mut self, number: u16, more: u8) {
        let status = u32::from(more);
        let aborted = self.answers.requests.get(&number).is_some_and(|request| request.may_finish());
        let expected = self.may_write(number).or_else(|error| if aborted { Ok(()) } else { Err(error) });
        let expected = expected.map(|()| {
            let request = self.answers.requests.remove(&number).expect("an active request");
            let stderr_end = request.stderr.then_some((STDERR, number, Vec::new()));
            stderr_end.into_iter().chain([(STDOUT, number, Vec::new()), end(number, status, 0)]).collect()
        });
        let sent = self.server.finish(id(number), status).map(|end| written(end, self.write));
        self.answer(sent, expected);
    }

    fn reject(&mut self, number: u16, more: u8) {
        let whys = [
            Refusal::Overloaded,
            Refusal::ParamsTooLong,
            Refusal::Malformed,
            Refusal::UnknownRole,
            Refusal::CantMpxConn,
        ];
        let why = whys[usize::from(more) % whys.len()];
        let expected = match self.answers.requests.remove(&number) {
            None => Err(server::SendError::Inactive { id: id(number) }),
            Some(request) => Ok(refusal(number, why, !request.stdout, request.stderr)),
        };
        let sent = self.server.reject(id(number), why).map(|refusal| written(refusal, self.write));
        self.answer(sent, expected);
    }

    fn deliver_to_client(&mut self, count: usize) {
        let count = count.min(self.to_client.len());
        let chunk: Vec<u8> = self.to_client.drain(..count).collect();
        let (mut input, mut seen) = (&chunk[..], Vec::new());
        while let Some(event) = self.client.next_event(&mut input).expect("a server that keeps the rules") {
            see_answer(&mut seen, &event);
        }
        assert!(input.is_empty());
        assert_eq!(seen, self.asked.arrive(count));
    }
}

/// How many bytes are delivered: a few, or up to 50 KB.
fn length(more: u8) -> usize {
    match usize::from(more) {
        few @ 0..32 => few,
        many => (many - 31).pow(2),
    }
}

/// The one record, of at most so many bytes, that the front of the data makes; of no data none.
fn some(kind: u8, number: u16, data: &[u8], most: usize) -> Vec<Plain> {
    let front = &data[..data.len().min(most)];
    if front.is_empty() { Vec::new() } else { vec![(kind, number, front.to_vec())] }
}

/// What was sent is what was to be sent: its records.
fn check<E: PartialEq + Debug>(
    sent: &std::result::Result<Vec<u8>, E>,
    expected: std::result::Result<Vec<Plain>, E>,
) -> Vec<Wire> {
    let (records, rest) = walk(sent.as_deref().unwrap_or_default());
    assert!(rest.is_empty());
    let plain = |record: &Wire| (record.kind, record.id, record.content.clone());
    let found = sent.as_ref().map(|_| records.iter().map(plain).collect::<Vec<_>>());
    assert_eq!(found, expected.as_ref().map(Vec::clone));
    records
}
