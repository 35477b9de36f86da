//! What the tests of the server's side share: the bytes that a client sends, a reader of records that knows
//! nothing of the crate (sections 3.3 and 8), and the driver: the same bytes whole, one by one and in random
//! cuts must give the same events, the same answers and the same error.

#![allow(dead_code, reason = "every file of tests uses a part of it")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Deref;

use fcgi_proto::pair::{Pairs, ParamsBuf};
use fcgi_proto::record::{Record, RequestId, Role};
use fcgi_proto::server::{Connection, Event, Refusal, Whole};
use fcgi_proto::{ConnectionError, Limits};

// The numbers of section 8, written down once more.
pub(crate) const BEGIN: u8 = 1;
pub(crate) const ABORT: u8 = 2;
pub(crate) const END: u8 = 3;
pub(crate) const PARAMS: u8 = 4;
pub(crate) const STDIN: u8 = 5;
pub(crate) const STDOUT: u8 = 6;
pub(crate) const STDERR: u8 = 7;
pub(crate) const DATA: u8 = 8;
pub(crate) const GET_VALUES: u8 = 9;
pub(crate) const GET_VALUES_RESULT: u8 = 10;
pub(crate) const UNKNOWN_TYPE: u8 = 11;
pub(crate) const RESPONDER: u16 = 1;
pub(crate) const AUTHORIZER: u16 = 2;
pub(crate) const FILTER: u16 = 3;
pub(crate) const CLOSE: u8 = 0;
pub(crate) const KEEP: u8 = 1;

/// The three names that GET_VALUES can ask for.
pub(crate) const VALUES: &[&str] = &["FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"];

/// Name-value pairs with the shortest lengths that hold them.
pub(crate) fn pairs<T: AsRef<[u8]>>(pairs: &[(T, T)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in pairs {
        for text in [name, value] {
            match u32::try_from(text.as_ref().len()).unwrap() {
                short @ 0..0x80 => bytes.push(short as u8),
                long => bytes.extend((long | 0x8000_0000).to_be_bytes()),
            }
        }
        bytes.extend(name.as_ref());
        bytes.extend(value.as_ref());
    }
    bytes
}

/// The parameters of a plain request, 19 bytes.
pub(crate) fn get() -> Vec<u8> {
    pairs(&[("REQUEST_METHOD", "GET")])
}

/// What a client sends, record by record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    bytes: Vec<u8>,
    padding: Vec<u8>,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Pads every record from here on with these bytes.
    pub(crate) fn padding(mut self, padding: &[u8]) -> Self {
        self.padding = padding.to_vec();
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    pub(crate) fn record(self, kind: u8, id: u16, content: &[u8]) -> Self {
        let [id1, id0] = id.to_be_bytes();
        let [length1, length0] = u16::try_from(content.len()).unwrap().to_be_bytes();
        let padding = self.padding.clone();
        let header = [1, kind, id1, id0, length1, length0, u8::try_from(padding.len()).unwrap(), 0];
        self.raw(&header).raw(content).raw(&padding)
    }

    pub(crate) fn begin(self, id: u16, role: u16, flags: u8) -> Self {
        let [role1, role0] = role.to_be_bytes();
        self.record(BEGIN, id, &[role1, role0, flags, 0, 0, 0, 0, 0])
    }

    pub(crate) fn abort(self, id: u16) -> Self {
        self.record(ABORT, id, b"")
    }

    pub(crate) fn params(self, id: u16, content: &[u8]) -> Self {
        self.record(PARAMS, id, content)
    }

    pub(crate) fn stdin(self, id: u16, content: &[u8]) -> Self {
        self.record(STDIN, id, content)
    }

    pub(crate) fn data(self, id: u16, content: &[u8]) -> Self {
        self.record(DATA, id, content)
    }

    pub(crate) fn get_values(self, names: &[&str]) -> Self {
        let asked: Vec<_> = names.iter().map(|name| (*name, "")).collect();
        self.record(GET_VALUES, 0, &pairs(&asked))
    }

    /// BEGIN_REQUEST of a Responder and the whole of [`get`].
    pub(crate) fn head(self, id: u16, flags: u8) -> Self {
        self.begin(id, RESPONDER, flags).params(id, &get()).params(id, b"")
    }

    /// A whole request without a body.
    pub(crate) fn request(self, id: u16, flags: u8) -> Self {
        self.head(id, flags).stdin(id, b"")
    }
}

impl Deref for Client {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A record as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) version: u8,
    pub(crate) kind: u8,
    pub(crate) id: u16,
    pub(crate) content: Vec<u8>,
    pub(crate) padding: Vec<u8>,
    pub(crate) reserved: u8,
}

/// The records in `bytes`, and what is left after the last whole one.
pub(crate) fn walk(mut bytes: &[u8]) -> (Vec<Wire>, &[u8]) {
    let mut records = Vec::new();
    while let [version, kind, id1, id0, length1, length0, padding, reserved, rest @ ..] = bytes {
        let (id, length) = (u16::from_be_bytes([*id1, *id0]), u16::from_be_bytes([*length1, *length0]));
        let (length, padding) = (usize::from(length), usize::from(*padding));
        if rest.len() < length + padding {
            break;
        }
        let (content, rest) = rest.split_at(length);
        let (padding, rest) = rest.split_at(padding);
        let (content, padding) = (content.to_vec(), padding.to_vec());
        records.push(Wire { version: *version, kind: *kind, id, content, padding, reserved: *reserved });
        bytes = rest;
    }
    (records, bytes)
}

/// The records of an answer. They are whole, of the server's types, zero where nothing is meant, and padded to
/// 8 bytes; nothing is sent for a request after its END_REQUEST, and STDOUT ends once before it.
pub(crate) fn answer_records(sent: &[u8]) -> Vec<Wire> {
    let (records, rest) = walk(sent);
    assert!(rest.is_empty(), "the answer ends inside a record: {rest:?}");
    let mut stdout_ended = HashMap::new();
    for Wire { version, kind, id, content, padding, reserved } in &records {
        assert_eq!((*version, *reserved), (1, 0));
        // Never more padding than needed, but for STDERR's: HAProxy 2.6 crashes on one without any.
        let most = if *kind == STDERR { 8 } else { 7 };
        assert!(padding.len() <= most && padding.iter().all(|byte| *byte == 0));
        assert_eq!((content.len() + padding.len()) % 8, 0, "type {kind} is not padded");
        match *kind {
            STDOUT => {
                assert_ne!(stdout_ended.get(id), Some(&true), "STDOUT after its end");
                stdout_ended.insert(*id, content.is_empty());
            }
            STDERR => assert_ne!(*id, 0),
            END => {
                assert_eq!(content.len(), 8);
                assert_eq!(content[5..], [0, 0, 0], "reserved bytes");
                assert_eq!(stdout_ended.remove(id), Some(true), "END_REQUEST before the end of STDOUT");
            }
            GET_VALUES_RESULT | UNKNOWN_TYPE => assert_eq!(*id, 0),
            kind => panic!("a server does not send type {kind}"),
        }
    }
    records
}

/// An event, with the bytes of a stream's neighbouring events joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Begin {
        id: u16,
        role: Role,
        keep_conn: bool,
    },
    /// Bytes of a stream, of the record type `kind`.
    Bytes {
        kind: u8,
        id: u16,
        data: Vec<u8>,
    },
    /// The end of a stream.
    End {
        kind: u8,
        id: u16,
    },
    Abort {
        id: u16,
    },
    Rejected {
        id: u16,
        why: Refusal,
    },
}

/// What one feed of the bytes led to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transcript {
    pub(crate) events: Vec<Seen>,
    pub(crate) sent: Vec<u8>,
    pub(crate) error: Option<ConnectionError>,
    /// What the connection says when the input ends there.
    pub(crate) eof: Result<(), ConnectionError>,
    pub(crate) is_finished: bool,
    pub(crate) is_idle: bool,
    /// How many requests were taken at once.
    pub(crate) whole_requests: usize,
}

impl Transcript {
    fn see(&mut self, event: &Event<'_>) {
        let (kind, id, data) = match *event {
            Event::Begin { id, role, keep_conn } => {
                return self.events.push(Seen::Begin { id: id.get(), role, keep_conn });
            }
            Event::Params { id, data } => (PARAMS, id, data),
            Event::Stdin { id, data } => (STDIN, id, data),
            Event::Data { id, data } => (DATA, id, data),
            Event::ParamsEnd { id } => return self.events.push(Seen::End { kind: PARAMS, id: id.get() }),
            Event::StdinEnd { id } => return self.events.push(Seen::End { kind: STDIN, id: id.get() }),
            Event::DataEnd { id } => return self.events.push(Seen::End { kind: DATA, id: id.get() }),
            Event::Abort { id } => return self.events.push(Seen::Abort { id: id.get() }),
            Event::Rejected { id, why } => return self.events.push(Seen::Rejected { id: id.get(), why }),
            ref other => panic!("{other:?} is not for the application"),
        };
        assert!(!data.is_empty(), "an event without bytes");
        match self.events.last_mut() {
            Some(Seen::Bytes { kind: same_kind, id: same_id, data: before })
                if (*same_kind, *same_id) == (kind, id.get()) =>
            {
                before.extend(data);
            }
            _ => self.events.push(Seen::Bytes { kind, id: id.get(), data: data.to_vec() }),
        }
    }

    /// Leaves out what may differ when requests were taken at once: the padding that ends the last of a
    /// connection is taken with it, and thrown away unread otherwise.
    pub(crate) fn same_as_events(&mut self, events: &Self) {
        if self.is_finished && self.whole_requests > 0 {
            self.is_idle = events.is_idle;
        }
        self.whole_requests = 0;
    }

    /// The events on one line, such as `BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:0`.
    pub(crate) fn story(&self) -> String {
        let mut line = String::new();
        for event in &self.events {
            let name = |kind: &u8| name(*kind);
            match event {
                Seen::Begin { id, .. } => write!(line, " BEGIN#{id}"),
                Seen::Bytes { kind, id, data } => write!(line, " {}#{id}:{}", name(kind), data.len()),
                Seen::End { kind, id } => write!(line, " {}#{id}:0", name(kind)),
                Seen::Abort { id } => write!(line, " ABORT#{id}"),
                Seen::Rejected { id, why } => write!(line, " REJECTED#{id}({why:?})"),
            }
            .unwrap();
        }
        line.trim_start().to_owned()
    }

    /// The records sent on one line, such as `STDOUT#1:23 STDOUT#1:0 END#1(0,0)`, with END_REQUEST's
    /// application and protocol status.
    pub(crate) fn answers(&self) -> String {
        let mut line = String::new();
        for Wire { kind, id, content, .. } in self.records() {
            match (kind, &content[..]) {
                (END, &[a, b, c, d, status, ..]) => {
                    write!(line, " END#{id}({},{status})", u32::from_be_bytes([a, b, c, d]))
                }
                (UNKNOWN_TYPE, &[unknown, ..]) => write!(line, " UNKNOWN_TYPE({unknown})"),
                _ => write!(line, " {}#{id}:{}", name(kind), content.len()),
            }
            .unwrap();
        }
        line.trim_start().to_owned()
    }

    pub(crate) fn records(&self) -> Vec<Wire> {
        answer_records(&self.sent)
    }

    /// All bytes of one stream of a request.
    pub(crate) fn stream(&self, of_kind: u8, of_id: u16) -> Vec<u8> {
        let of_stream = |event: &Seen| match event {
            Seen::Bytes { kind, id, data } if (*kind, *id) == (of_kind, of_id) => Some(data.clone()),
            _ => None,
        };
        self.events.iter().filter_map(of_stream).flatten().collect()
    }

    pub(crate) fn params(&self, id: u16) -> Vec<u8> {
        self.stream(PARAMS, id)
    }

    pub(crate) fn stdin(&self, id: u16) -> Vec<u8> {
        self.stream(STDIN, id)
    }

    /// The joined content of the records of this type that were sent for the request.
    pub(crate) fn output(&self, kind: u8, id: u16) -> Vec<u8> {
        let records = self.records().into_iter();
        records.filter(|record| (record.kind, record.id) == (kind, id)).flat_map(|r| r.content).collect()
    }

    /// The pairs of the `nth` GET_VALUES_RESULT as `NAME=value` lines.
    pub(crate) fn values(&self, nth: usize) -> Vec<String> {
        let result = self.records().into_iter().filter(|r| r.kind == GET_VALUES_RESULT).nth(nth).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Pairs::new(&result.content).map(|(name, value)| format!("{}={}", text(name), text(value))).collect()
    }

    pub(crate) fn begins(&self) -> Vec<(u16, Role, bool)> {
        let begin = |event: &Seen| match *event {
            Seen::Begin { id, role, keep_conn } => Some((id, role, keep_conn)),
            _ => None,
        };
        self.events.iter().filter_map(begin).collect()
    }
}

fn name(kind: u8) -> &'static str {
    match kind {
        PARAMS => "PARAMS",
        STDIN => "STDIN",
        DATA => "DATA",
        STDOUT => "STDOUT",
        STDERR => "STDERR",
        GET_VALUES_RESULT => "GET_VALUES_RESULT",
        _ => "?",
    }
}

pub(crate) fn id(number: u16) -> RequestId {
    RequestId::new(number).unwrap()
}

/// The application behind the connection.
#[derive(Clone, Copy)]
pub(crate) enum App<const N: usize> {
    /// Never answers.
    Silent,
    /// Answers with [`ANSWER`] when all of its role's input is there, ends an aborted request at once and
    /// rejects parameters that are not whole pairs.
    Complete,
    /// As `Complete`, but answers as soon as its role may.
    Early,
    /// Does this at every event.
    Script(fn(&mut Connection<N>, &Event<'_>, &mut Vec<u8>)),
}

/// A whole response, 23 bytes.
pub(crate) const ANSWER: &[u8] = b"Status: 200 OK\r\n\r\nhello";

/// What [`Transcript::answers`] shows of a request that was answered with [`ANSWER`].
pub(crate) fn answered(id: u16) -> String {
    format!("STDOUT#{id}:23 STDOUT#{id}:0 END#{id}(0,0)")
}

/// What it shows of a request that was refused with 503 and this protocol status.
pub(crate) fn refused(id: u16, status: u8) -> String {
    format!("STDOUT#{id}:81 STDOUT#{id}:0 END#{id}(0,{status})")
}

/// What it shows of a request with too many parameters, refused with 431.
pub(crate) fn too_large(id: u16) -> String {
    format!("STDOUT#{id}:83 STDOUT#{id}:0 END#{id}(0,0)")
}

/// What it shows of a malformed request, refused with 400.
pub(crate) fn malformed(id: u16) -> String {
    format!("STDOUT#{id}:65 STDOUT#{id}:0 END#{id}(0,0)")
}

/// Sends a record.
pub(crate) fn send(record: &Record<'_>, sent: &mut Vec<u8>) {
    sent.extend(record.slices().concat());
}

/// Sends [`ANSWER`] and ends the request.
pub(crate) fn answer<const N: usize>(connection: &mut Connection<N>, id: RequestId, sent: &mut Vec<u8>) {
    let (record, rest) = connection.stdout(id, ANSWER).unwrap();
    assert!(rest.is_empty());
    send(&record, sent);
    sent.extend_from_slice(&connection.finish(id, 0).unwrap());
}

/// What [`App::Complete`] and [`App::Early`] know of a request.
struct Running {
    role: Role,
    params: ParamsBuf,
}

impl<const N: usize> App<N> {
    fn on(
        self,
        connection: &mut Connection<N>,
        running: &mut HashMap<RequestId, Running>,
        event: &Event<'_>,
        sent: &mut Vec<u8>,
    ) {
        let early = match self {
            Self::Silent => return,
            Self::Script(script) => return script(connection, event, sent),
            Self::Complete => false,
            Self::Early => true,
        };
        let answer_at = |id: &RequestId, role: Role| running.get(id).is_some_and(|r| r.role == role);
        match *event {
            Event::Begin { id, role, .. } => {
                running.insert(id, Running { role, params: ParamsBuf::new(1 << 20) });
            }
            Event::Params { id, data } => running.get_mut(&id).unwrap().params.push(data).unwrap(),
            Event::ParamsEnd { id } if running[&id].params.finish().is_err() => {
                sent.extend_from_slice(&connection.reject(id, Refusal::Malformed).unwrap());
            }
            Event::ParamsEnd { id }
                if answer_at(&id, Role::Authorizer) || early && answer_at(&id, Role::Responder) =>
            {
                answer(connection, id, sent);
            }
            Event::StdinEnd { id }
                if !early && answer_at(&id, Role::Responder) || early && answer_at(&id, Role::Filter) =>
            {
                answer(connection, id, sent);
            }
            Event::DataEnd { id } => answer(connection, id, sent),
            Event::Abort { id } => sent.extend_from_slice(&connection.finish(id, 0).unwrap()),
            _ => {}
        }
    }
}

/// Feeds all of `bytes` to a connection whose application does nothing. At most four replies may wait.
pub(crate) fn eat<const N: usize>(connection: &mut Connection<N>, bytes: &[u8]) {
    let mut input = bytes;
    while let Some(event) = connection.next_event(&mut input).unwrap() {
        assert_ne!(event, Event::Paused);
    }
}

/// A deterministic source of random numbers (xorshift).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Cuts `bytes` into chunks of 1 to `most` bytes.
pub(crate) fn cut(mut bytes: &[u8], most: usize, seed: u64) -> Vec<&[u8]> {
    let mut random = Random::new(seed);
    let mut chunks = Vec::new();
    while !bytes.is_empty() {
        let (chunk, rest) = bytes.split_at((1 + random.below(most)).min(bytes.len()));
        chunks.push(chunk);
        bytes = rest;
    }
    chunks
}

/// The longest chunks of the random cuts.
const CUTS: [usize; 8] = [2, 3, 9, 17, 40, 200, 3_000, 50_000];

/// How a connection is asked what came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Event by event.
    Events,
    /// First for requests that are all there.
    WholeRequests,
}

/// Feeds the chunks to a new connection.
pub(crate) fn feed<const N: usize>(
    limits: Limits,
    app: App<N>,
    asked: Asked,
    chunks: &[&[u8]],
) -> Transcript {
    let mut connection = Connection::<N>::new(limits);
    let mut running = HashMap::new();
    let mut t = Transcript {
        events: Vec::new(),
        sent: Vec::new(),
        error: None,
        eof: Ok(()),
        is_finished: false,
        is_idle: false,
        whole_requests: 0,
    };
    'feed: for chunk in chunks {
        let mut input = *chunk;
        loop {
            let before = input.len();
            if asked == Asked::WholeRequests {
                if let Some(Whole { id, keep_conn, params: data, .. }) = connection.whole_request(&mut input)
                {
                    t.whole_requests += 1;
                    let begin = Event::Begin { id, role: Role::Responder, keep_conn };
                    let (params_end, stdin_end) = (Event::ParamsEnd { id }, Event::StdinEnd { id });
                    for event in [begin, Event::Params { id, data }, params_end, stdin_end] {
                        if connection.is_active(id) {
                            t.see(&event);
                            app.on(&mut connection, &mut running, &event, &mut t.sent);
                        }
                    }
                    continue;
                }
                assert_eq!(input.len(), before, "no request, and input was taken");
            }
            let event = connection.next_event(&mut input);
            let mut replies = 0;
            while let (refusal, Some(reply)) = (connection.refusal(), connection.poll_reply()) {
                match refusal {
                    Some((id, why)) => {
                        let ([high, low], status) = (id.get().to_be_bytes(), why.protocol_status() as u8);
                        assert!(
                            reply.ends_with(&[1, END, high, low, 0, 8, 0, 0, 0, 0, 0, 0, status, 0, 0, 0])
                        );
                    }
                    None => assert!(
                        [GET_VALUES_RESULT, UNKNOWN_TYPE].contains(&reply[1]),
                        "a refusal that is not told"
                    ),
                }
                t.sent.extend_from_slice(&reply);
                replies += 1;
            }
            assert!(replies <= 4, "{replies} replies waited");
            match event {
                Ok(None) => {
                    assert!(input.is_empty(), "input is left, and no event");
                    break;
                }
                Ok(Some(Event::Paused)) => assert!(replies > 0, "paused without a reply"),
                Ok(Some(event)) => {
                    assert!(input.len() < before, "{event:?} took no input");
                    t.see(&event);
                    app.on(&mut connection, &mut running, &event, &mut t.sent);
                }
                Err(error) => {
                    t.error = Some(error);
                    break 'feed;
                }
            }
        }
    }
    t.eof = connection.eof();
    t.is_finished = connection.is_finished();
    t.is_idle = connection.is_idle();
    if let Some(error) = t.error.or(t.eof.err()) {
        for mut more in [&[][..], &Client::new().request(7, KEEP)] {
            assert_eq!(connection.next_event(&mut more), Err(error), "an error is sticky");
        }
        assert_eq!(connection.eof(), Err(error));
    }
    answer_records(&t.sent);
    t
}

/// The same bytes whole, one by one and in random cuts, event by event and by whole requests: the same
/// transcript. But a script may do something before it has seen all of a request, and of one that an
/// application has ended by then, the rest counts as ignored: with whole requests, that is not the same.
pub(crate) fn check_limits<const N: usize>(limits: Limits, app: App<N>, bytes: &[u8]) -> Transcript {
    let whole = feed(limits, app, Asked::Events, &[bytes]);
    let may_differ = matches!(app, App::Script(_)) || limits.ignored < Limits::default().ignored;
    let same = |chunks: &[&[u8]], how: &str| {
        for asked in [Asked::Events, Asked::WholeRequests] {
            if may_differ && asked == Asked::WholeRequests {
                continue;
            }
            let mut t = feed(limits, app, asked, chunks);
            t.same_as_events(&whole);
            assert!(
                t == whole,
                "{how}: {} | {} | {:?} {:?} instead of {} | {} | {:?} {:?}",
                t.story(),
                t.answers(),
                t.error,
                t.eof,
                whole.story(),
                whole.answers(),
                whole.error,
                whole.eof,
            );
        }
    };
    same(&[bytes], "whole");
    same(&bytes.chunks(1).collect::<Vec<_>>(), "byte by byte");
    for (most, seed) in CUTS.into_iter().zip(1..) {
        same(&cut(bytes, most, seed), "in random cuts");
    }
    whole
}

/// [`check_limits`] with the default limits.
pub(crate) fn check_with<const N: usize>(app: App<N>, bytes: &[u8]) -> Transcript {
    check_limits(Limits::default(), app, bytes)
}

/// [`check_with`] a connection of one request at a time, and the application that answers when it has all.
pub(crate) fn check(bytes: &[u8]) -> Transcript {
    check_with::<1>(App::Complete, bytes)
}

/// The default limits but for this.
pub(crate) fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}
