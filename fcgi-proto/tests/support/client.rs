//! What the tests of the client's side share: the bytes that a server sends, a checker of what a client
//! sends, and the driver: the same bytes whole, one by one and in random cuts must give the same events, the
//! same error and the same state.

#![allow(dead_code, reason = "every file of tests uses a part of it")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Deref;

use fcgi_proto::client::{Connection, Event, SendError};
use fcgi_proto::record::{Control, PairRecord, Record, RequestId, Role};
use fcgi_proto::{ConnectionError, Limits};

use crate::support::{
    ABORT, BEGIN, DATA, END, FILTER, GET_VALUES, GET_VALUES_RESULT, PARAMS, STDERR, STDIN, STDOUT,
    UNKNOWN_TYPE, Wire, cut, walk,
};

/// A whole answer, 23 bytes.
pub(crate) const ANSWER: &[u8] = b"Status: 200 OK\r\n\r\nhello";

/// What a server sends, record by record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    bytes: Vec<u8>,
    padding: Vec<u8>,
    reserved: u8,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Pads every record from here on with these bytes.
    pub(crate) fn padding(mut self, padding: &[u8]) -> Self {
        self.padding = padding.to_vec();
        self
    }

    /// The reserved byte of every header from here on.
    pub(crate) fn reserved(mut self, reserved: u8) -> Self {
        self.reserved = reserved;
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
        let padding_length = u8::try_from(padding.len()).unwrap();
        let header = [1, kind, id1, id0, length1, length0, padding_length, self.reserved];
        self.raw(&header).raw(content).raw(&padding)
    }

    pub(crate) fn stdout(self, id: u16, content: &[u8]) -> Self {
        self.record(STDOUT, id, content)
    }

    pub(crate) fn stderr(self, id: u16, content: &[u8]) -> Self {
        self.record(STDERR, id, content)
    }

    pub(crate) fn end(self, id: u16, app_status: u32, protocol_status: u8) -> Self {
        let [a, b, c, d] = app_status.to_be_bytes();
        self.record(END, id, &[a, b, c, d, protocol_status, 0, 0, 0])
    }

    pub(crate) fn unknown_type(self, kind: u8) -> Self {
        self.record(UNKNOWN_TYPE, 0, &[kind, 0, 0, 0, 0, 0, 0, 0])
    }

    pub(crate) fn values(self, content: &[u8]) -> Self {
        self.record(GET_VALUES_RESULT, 0, content)
    }

    /// [`ANSWER`], the end of STDOUT, END_REQUEST.
    pub(crate) fn answer(self, id: u16) -> Self {
        self.stdout(id, ANSWER).stdout(id, b"").end(id, 0, 0)
    }
}

impl Deref for Server {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What [`Transcript::story`] shows of [`Server::answer`].
pub(crate) fn answered(id: u16) -> String {
    format!("STDOUT#{id}:23 STDOUT#{id}:0 END#{id}(0,0)")
}

/// Something to be put on the wire.
pub(crate) trait Outgoing {
    fn bytes(&self) -> Vec<u8>;
}

impl Outgoing for Control {
    fn bytes(&self) -> Vec<u8> {
        self.to_vec()
    }
}

impl Outgoing for Record<'_> {
    fn bytes(&self) -> Vec<u8> {
        self.slices().concat()
    }
}

impl Outgoing for PairRecord<'_> {
    fn bytes(&self) -> Vec<u8> {
        self.slices().concat()
    }
}

/// A request to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) role: Role,
    pub(crate) keep_conn: bool,
    pub(crate) params: &'a [(&'a [u8], &'a [u8])],
    pub(crate) stdin: &'a [u8],
    pub(crate) data: &'a [u8],
}

/// A plain GET on a connection that is kept.
pub(crate) const GET: Ask<'static> = Ask {
    role: Role::Responder,
    keep_conn: true,
    params: &[(b"REQUEST_METHOD", b"GET")],
    stdin: b"",
    data: b"",
};

/// A plain GET on a connection that is not.
pub(crate) const LAST: Ask<'static> = Ask { keep_conn: false, ..GET };

impl Ask<'_> {
    /// Sends the request whole.
    pub(crate) fn try_send<const N: usize>(
        &self,
        connection: &mut Connection<N>,
    ) -> Result<(RequestId, Vec<u8>), SendError> {
        let (id, begin) = connection.begin(self.role, self.keep_conn)?;
        let mut sent = begin.bytes();
        for (name, value) in self.params {
            sent.extend(connection.param(id, name, value)?.bytes());
        }
        sent.extend(connection.params_end(id)?.bytes());
        let mut rest = self.stdin;
        while !rest.is_empty() {
            let (record, after) = connection.stdin(id, rest)?;
            sent.extend(record.bytes());
            rest = after;
        }
        sent.extend(connection.stdin_end(id)?.bytes());
        if self.role == Role::Filter {
            let mut rest = self.data;
            while !rest.is_empty() {
                let (record, after) = connection.data(id, rest)?;
                sent.extend(record.bytes());
                rest = after;
            }
            sent.extend(connection.data_end(id)?.bytes());
        }
        Ok((id, sent))
    }

    pub(crate) fn send<const N: usize>(&self, connection: &mut Connection<N>) -> (RequestId, Vec<u8>) {
        self.try_send(connection).unwrap()
    }

    /// The bytes of the request as the first of a connection.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (id, sent) = self.send(&mut fresh::<1>());
        assert_eq!(id, RequestId::ONE);
        sent
    }
}

pub(crate) fn fresh<const N: usize>() -> Connection<N> {
    Connection::new(Limits::default())
}

/// A connection that has sent a plain GET.
pub(crate) fn asked<const N: usize>() -> Connection<N> {
    let mut connection = fresh();
    GET.send(&mut connection);
    connection
}

/// The records of a client. They are whole, of the client's types, zero where nothing is meant and padded as
/// real applications take it; every request's streams come one after the other and end once.
pub(crate) fn request_records(sent: &[u8]) -> Vec<Wire> {
    let (records, rest) = walk(sent);
    assert!(rest.is_empty(), "a request ends inside a record: {rest:?}");
    // Of every active id: its role and the stream that it is to be sent.
    let mut turns: HashMap<u16, (u16, Option<u8>)> = HashMap::new();
    for Wire { version, kind, id, content, padding, reserved } in &records {
        assert_eq!((*version, *reserved), (1, 0));
        assert!(padding.len() <= if *kind == GET_VALUES { 8 } else { 7 });
        assert!(padding.iter().all(|byte| *byte == 0));
        assert!(content.len() + padding.len() <= 65535, "PHP refuses more");
        let full = content.len() > 65528;
        assert!(full || (content.len() + padding.len()) % 8 == 0, "type {kind} is not padded");
        match *kind {
            BEGIN => {
                let &[role1, role0, flags, 0, 0, 0, 0, 0] = &content[..] else { panic!("{content:?}") };
                let role = u16::from_be_bytes([role1, role0]);
                assert!((1..=3).contains(&role) && flags <= 1);
                turns.insert(*id, (role, Some(PARAMS)));
            }
            GET_VALUES => assert_eq!(*id, 0),
            ABORT => {
                turns.get_mut(id).unwrap().1 = None;
                assert!(content.is_empty());
            }
            PARAMS | STDIN | DATA => {
                let (role, turn) = turns.get_mut(id).unwrap();
                assert_eq!(*turn, Some(*kind), "request {id}, role {role}");
                if content.is_empty() {
                    *turn = match *kind {
                        PARAMS => Some(STDIN),
                        STDIN if *role == FILTER => Some(DATA),
                        _ => None,
                    };
                }
            }
            kind => panic!("a client does not send type {kind}"),
        }
    }
    records
}

/// The records on one line, such as `BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:0`.
pub(crate) fn summary(sent: &[u8]) -> String {
    let mut line = String::new();
    for Wire { kind, id, content, .. } in request_records(sent) {
        let length = content.len();
        match kind {
            BEGIN => write!(line, " BEGIN#{id}"),
            ABORT => write!(line, " ABORT#{id}"),
            PARAMS => write!(line, " PARAMS#{id}:{length}"),
            STDIN => write!(line, " STDIN#{id}:{length}"),
            DATA => write!(line, " DATA#{id}:{length}"),
            _ => write!(line, " GET_VALUES#{id}:{length}"),
        }
        .unwrap();
    }
    line.trim_start().to_owned()
}

/// The joined content of a stream of records.
pub(crate) fn content(sent: &[u8], of_kind: u8, of_id: u16) -> Vec<u8> {
    let records = walk(sent).0.into_iter();
    records.filter(|r| (r.kind, r.id) == (of_kind, of_id)).flat_map(|r| r.content).collect()
}

/// An event, with the bytes of a stream's neighbouring events joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Bytes of STDOUT or STDERR.
    Bytes {
        kind: u8,
        id: u16,
        data: Vec<u8>,
    },
    /// An empty record of STDOUT or STDERR.
    Ended {
        kind: u8,
        id: u16,
    },
    /// END_REQUEST.
    End {
        id: u16,
        app_status: u32,
        protocol_status: u8,
        answered: bool,
    },
    /// An answer to GET_VALUES, whole or not.
    Values {
        data: Vec<u8>,
        whole: bool,
    },
    UnknownType(u8),
}

/// What one feed of the bytes led to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transcript {
    pub(crate) events: Vec<Seen>,
    pub(crate) error: Option<ConnectionError>,
    /// Whether a further request could begin, before the end of the input.
    pub(crate) is_reusable: bool,
    /// What the connection says when the input ends there.
    pub(crate) eof: Result<(), ConnectionError>,
    /// The ids, up to 300, that are active when it ends.
    pub(crate) active: Vec<u16>,
}

impl Transcript {
    fn see(&mut self, event: &Event<'_>) {
        let (kind, id, data) = match *event {
            Event::Stdout { id, data } => (STDOUT, id.get(), data),
            Event::Stderr { id, data } => (STDERR, id.get(), data),
            Event::StdoutEnd { id } => return self.events.push(Seen::Ended { kind: STDOUT, id: id.get() }),
            Event::StderrEnd { id } => return self.events.push(Seen::Ended { kind: STDERR, id: id.get() }),
            Event::End { id, app_status, protocol_status, answered } => {
                let id = id.get();
                return self.events.push(Seen::End { id, app_status, protocol_status, answered });
            }
            Event::UnknownType { record_type } => return self.events.push(Seen::UnknownType(record_type)),
            Event::Values { data, last } => {
                if let Some(Seen::Values { data: before, whole: whole @ false }) = self.events.last_mut() {
                    before.extend(data);
                    *whole = last;
                } else {
                    self.events.push(Seen::Values { data: data.to_vec(), whole: last });
                }
                return;
            }
            ref other => panic!("{other:?} is new"),
        };
        assert!(!data.is_empty(), "an event without bytes");
        match self.events.last_mut() {
            Some(Seen::Bytes { kind: same_kind, id: same_id, data: before })
                if (*same_kind, *same_id) == (kind, id) =>
            {
                before.extend(data);
            }
            _ => self.events.push(Seen::Bytes { kind, id, data: data.to_vec() }),
        }
    }

    /// The events on one line, such as `STDOUT#1:23 STDOUT#1:0 END#1(0,0)`, END_REQUEST with its application
    /// and protocol status and `-` if nothing was answered.
    pub(crate) fn story(&self) -> String {
        let mut line = String::new();
        let name = |kind: &u8| if *kind == STDOUT { "STDOUT" } else { "STDERR" };
        for event in &self.events {
            match event {
                Seen::Bytes { kind, id, data } => write!(line, " {}#{id}:{}", name(kind), data.len()),
                Seen::Ended { kind, id } => write!(line, " {}#{id}:0", name(kind)),
                Seen::End { id, app_status, protocol_status, answered } => {
                    let answered = if *answered { "" } else { "-" };
                    write!(line, " {answered}END#{id}({app_status},{protocol_status})")
                }
                Seen::Values { data, whole } => {
                    write!(line, " VALUES:{}{}", data.len(), if *whole { "" } else { "…" })
                }
                Seen::UnknownType(kind) => write!(line, " UNKNOWN_TYPE({kind})"),
            }
            .unwrap();
        }
        line.trim_start().to_owned()
    }

    /// All bytes of one stream of an id.
    pub(crate) fn stream(&self, of_kind: u8, of_id: u16) -> Vec<u8> {
        let of_stream = |event: &Seen| match event {
            Seen::Bytes { kind, id, data } if (*kind, *id) == (of_kind, of_id) => Some(data.clone()),
            _ => None,
        };
        self.events.iter().filter_map(of_stream).flatten().collect()
    }

    pub(crate) fn stdout(&self, id: u16) -> Vec<u8> {
        self.stream(STDOUT, id)
    }

    pub(crate) fn stderr(&self, id: u16) -> Vec<u8> {
        self.stream(STDERR, id)
    }

    /// No error, nothing cut off, and fit for a further request.
    pub(crate) fn assert_sound(&self) {
        assert_eq!((self.error, self.eof), (None, Ok(())), "{}", self.story());
        assert!(self.active.is_empty() && self.is_reusable, "{}", self.story());
    }
}

/// The longest chunks of the random cuts.
const CUTS: [usize; 9] = [2, 3, 9, 17, 40, 200, 3_000, 20_000, 70_000];

/// Feeds the chunks to a new connection that `start` has sent requests on and `on` sends more.
pub(crate) fn feed<const N: usize>(
    limits: Limits,
    start: &dyn Fn(&mut Connection<N>),
    on: &dyn Fn(&mut Connection<N>, &Event<'_>),
    chunks: &[&[u8]],
) -> Transcript {
    let mut connection = Connection::<N>::new(limits);
    start(&mut connection);
    let mut t =
        Transcript { events: Vec::new(), error: None, is_reusable: false, eof: Ok(()), active: Vec::new() };
    'feed: for chunk in chunks {
        let mut input = *chunk;
        loop {
            let before = input.len();
            match connection.next_event(&mut input) {
                Ok(None) => {
                    assert!(input.is_empty(), "input is left, and no event");
                    assert_eq!(connection.next_event(&mut input), Ok(None), "an event without input");
                    break;
                }
                Ok(Some(event)) => {
                    assert!(input.len() < before, "{event:?} took no input");
                    t.see(&event);
                    on(&mut connection, &event);
                }
                Err(error) => {
                    t.error = Some(error);
                    break 'feed;
                }
            }
        }
    }
    t.is_reusable = connection.is_reusable();
    t.eof = connection.eof();
    assert!(!connection.is_reusable(), "no request after the end of input");
    t.active = (1..300)
        .filter(|number| RequestId::new(*number).is_some_and(|id| connection.is_active(id)))
        .collect();
    if let Some(error) = t.error.or(t.eof.err()) {
        for mut more in [&[][..], &Server::new().answer(1)] {
            assert_eq!(connection.next_event(&mut more), Err(error), "an error is sticky");
        }
        assert_eq!(connection.eof(), Err(error));
        assert_eq!(connection.begin(Role::Responder, true).unwrap_err(), SendError::NotReusable);
    }
    t
}

/// The same bytes whole, one by one and in random cuts: the same transcript.
pub(crate) fn check_all<const N: usize>(
    limits: Limits,
    start: &dyn Fn(&mut Connection<N>),
    on: &dyn Fn(&mut Connection<N>, &Event<'_>),
    bytes: &[u8],
) -> Transcript {
    let whole = feed(limits, start, on, &[bytes]);
    let same = |chunks: &[&[u8]], how: &str| {
        let t = feed(limits, start, on, chunks);
        assert!(
            t == whole,
            "{how}: {} | {:?} {:?} {} {:?} instead of {} | {:?} {:?} {} {:?}",
            t.story(),
            t.error,
            t.eof,
            t.is_reusable,
            t.active,
            whole.story(),
            whole.error,
            whole.eof,
            whole.is_reusable,
            whole.active,
        );
    };
    same(&bytes.chunks(1).collect::<Vec<_>>(), "byte by byte");
    for (most, seed) in CUTS.into_iter().zip(1..) {
        same(&cut(bytes, most, seed), "in random cuts");
    }
    whole
}

/// The bytes to a connection that `start` has sent requests on.
pub(crate) fn check_after<const N: usize>(start: impl Fn(&mut Connection<N>), bytes: &[u8]) -> Transcript {
    check_all(Limits::default(), &start, &|_, _| {}, bytes)
}

/// The bytes to a connection of one request at a time that has sent a plain GET and is kept.
pub(crate) fn check(bytes: &[u8]) -> Transcript {
    check_after::<1>(
        |connection| {
            GET.send(connection);
        },
        bytes,
    )
}

/// The bytes to a connection that sends a plain GET, and the next as soon as the last has ended, as long as
/// it is [reusable](Connection::is_reusable).
pub(crate) fn check_in_turn(bytes: &[u8]) -> Transcript {
    let send = |connection: &mut Connection<1>| {
        GET.send(connection);
    };
    check_all(
        Limits::default(),
        &send,
        &|connection, event| {
            if matches!(event, Event::End { .. }) && connection.is_reusable() {
                send(connection);
            }
        },
        bytes,
    )
}

/// The bytes to a connection that has sent this many plain GETs at once.
pub(crate) fn check_many<const N: usize>(bytes: &[u8]) -> Transcript {
    check_after::<N>(
        |connection| {
            for _ in 0..N {
                GET.send(connection);
            }
        },
        bytes,
    )
}
