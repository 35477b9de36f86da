//! The requests of one connection, what handlers see of them, and what must be answered.

use std::cell::RefCell;
use std::io;
use std::ops::Range;

use arbitrary::{Result, Unstructured};
use fcgi_proto::Limits;
use fcgi_proto::cgi::ResponseHead;
use fcgi_proto::pair::Pairs;
use fcgi_proto::record::{RequestId, Role};

use super::stream::Stream;
use crate::plan::{Script, is_a_log_line};
use crate::support::{ABORT, Client, DATA, END, STDIN, STDOUT, Wire, answer_records, pairs, walk};

/// What a handler does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It reads all input, then answers with it.
    Echoes,
    /// It answers with STDIN as that comes.
    Streams,
    /// It reads once, then answers with that.
    ReadsOnce,
    /// It reads nothing.
    Ignores,
    /// It reads once, then fails.
    Fails,
}

/// How an async handler does it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    /// It sleeps before every so many reads and writes; 0 for none.
    pub(super) sleeps: u8,
    /// It drops what has to wait, and tries again later.
    pub(super) drops: bool,
    /// It reads once only if it need not wait.
    pub(super) gives_up: bool,
    /// It flushes the head, and fills STDERR until that would have to wait.
    pub(super) is_loud: bool,
}

/// A request as it is sent.
struct Ask {
    id: u16,
    role: Role,
    keep_conn: bool,
    params: Vec<(Vec<u8>, Vec<u8>)>,
    stdin: Vec<u8>,
    data: Vec<u8>,
    /// The client aborts it instead of ending this stream.
    aborts: Option<u8>,
    manner: Manner,
    reads_at_once: usize,
    /// How often what was read is in the answer.
    copies: usize,
    habits: Habits,
    bytes: Vec<u8>,
}

/// What a handler saw of a request.
#[derive(Default)]
struct Seen {
    stdin: Vec<u8>,
    data: Vec<u8>,
    ended: Vec<u8>,
    reads: usize,
    failed: bool,
}

/// What the client sends.
pub(super) struct Sent {
    pub(super) bytes: Vec<u8>,
    /// Where each request begins and ends.
    spans: Vec<Range<usize>>,
    /// Where the client waits, and for how many END_REQUEST in all.
    pub(super) waits: Vec<(usize, usize)>,
}

/// The length of the first record.
pub(super) fn record_len(bytes: &[u8]) -> usize {
    match bytes {
        [_, _, _, _, length1, length0, padding, _, ..] => {
            8 + usize::from(u16::from_be_bytes([*length1, *length0])) + usize::from(*padding)
        }
        _ => bytes.len(),
    }
}

/// All of one connection.
pub(super) struct Case {
    asks: Vec<Ask>,
    limits: Limits,
    /// Requests share the connection.
    multiplexes: bool,
    /// By the request's number; `None` before its handler ran.
    seen: RefCell<Vec<Option<Seen>>>,
}

impl Ask {
    fn new(u: &mut Unstructured<'_>, number: usize) -> Result<Self> {
        let shape: u8 = u.arbitrary()?;
        let role = [Role::Responder, Role::Responder, Role::Filter, Role::Authorizer][usize::from(shape % 4)];
        let (keep_conn, same_id) = (shape & 0x1c != 0, shape & 0x20 == 0);
        let aborts = match shape >> 6 {
            3 => Some([4, STDIN, DATA][usize::from(shape % 3)]),
            _ => None,
        };
        let mut body = |kind: usize| -> Result<Vec<u8>> {
            let length = match u.arbitrary::<u8>()? {
                few @ 0..128 => few.into(),
                many => (usize::from(many) - 115).pow(2),
            };
            // No two bodies have the same beginning, nor the same bytes in another place.
            Ok((0..length).map(|at| (at * 31 + at / 256 + number * 64 + kind * 16) as u8).collect())
        };
        let (stdin, data, long) = (body(0)?, body(1)?, body(2)?);
        let manners = [
            Manner::Echoes,
            Manner::Streams,
            Manner::ReadsOnce,
            Manner::Ignores,
            Manner::Fails,
            Manner::Echoes,
        ];
        let manner = match *u.choose(&manners)? {
            // It may not answer before the end of STDIN (section 6.4).
            Manner::Streams if role == Role::Filter => Manner::Echoes,
            manner => manner,
        };
        let reads_at_once = usize::from(u.arbitrary::<u8>()?) * 16 + 1;
        let record = usize::from(u.arbitrary::<u8>()?) * 32 + 1;
        // Many reads or records say no more than some do, and take long.
        let reads_at_once = reads_at_once.max(stdin.len().max(data.len()) / 64);
        let record = record.max(stdin.len().max(data.len()).max(long.len()) / 64);
        let habits: u8 = u.arbitrary()?;
        // A Filter that answers before the end of STDIN has little room.
        let early = role == Role::Filter && manner != Manner::Echoes;
        let number = number.to_string();
        let params = [("REQUEST_METHOD", "POST"), ("NUMBER", &number)];
        let mut params: Vec<_> = params.map(|(name, value)| (name.into(), value.into())).into();
        params.push((b"LONG".to_vec(), long));
        let mut ask = Self {
            id: if same_id { 1 } else { number.parse::<u16>().expect("a number") + 300 },
            role,
            keep_conn,
            params,
            stdin: if role.has_stdin() { stdin } else { Vec::new() },
            data: if role.has_data() { data } else { Vec::new() },
            aborts: aborts.filter(|kind| *kind == 4 || *kind == STDIN && role.has_stdin() || role.has_data()),
            manner,
            reads_at_once,
            copies: if early { 1 } else { usize::from(habits >> 6) + 1 },
            habits: Habits {
                sleeps: habits & 7,
                drops: habits & 8 != 0,
                gives_up: habits & 0x10 != 0,
                is_loud: habits & 0x20 != 0 && !early,
            },
            bytes: Vec::new(),
        };
        ask.bytes = ask.encode(record);
        Ok(ask)
    }

    /// The request's records, its streams cut into contents of at most `record` bytes.
    fn encode(&self, record: usize) -> Vec<u8> {
        let Self { id, role, .. } = *self;
        let mut client = Client::new().begin(id, role as u16, self.keep_conn.into());
        let params = pairs(&self.params);
        let mut streams = vec![(4, &params)];
        streams.extend(role.has_stdin().then_some((STDIN, &self.stdin)));
        streams.extend(role.has_data().then_some((DATA, &self.data)));
        for (kind, content) in streams {
            for (number, content) in content.chunks(record).enumerate() {
                client = client.padding(&[0x5a; 7][..number % 8]).record(kind, id, content);
            }
            if self.aborts == Some(kind) {
                return client.record(ABORT, id, b"").to_vec();
            }
            client = client.record(kind, id, b"");
        }
        client.to_vec()
    }

    fn body(&self, kind: u8) -> &[u8] {
        if kind == STDIN { &self.stdin } else { &self.data }
    }

    /// The answer to a request of which this was read.
    fn page(&self, stdin: &[u8], data: &[u8]) -> Vec<u8> {
        [stdin, data].concat().repeat(self.copies)
    }

    fn within(&self, limits: &Limits) -> bool {
        pairs(&self.params).len() <= limits.params as usize && self.stdin.len() <= limits.stdin as usize
    }
}

impl Case {
    pub(super) fn new(u: &mut Unstructured<'_>, limits: Limits, multiplexes: bool) -> Result<Self> {
        let mut asks = Vec::new();
        while asks.len() < 4 && (asks.is_empty() || !u.is_empty()) {
            asks.push(Ask::new(u, asks.len())?);
        }
        let seen = RefCell::new(asks.iter().map(|_| None).collect());
        Ok(Self { asks, limits, multiplexes, seen })
    }

    /// All requests behind each other.
    pub(super) fn in_a_row(&self) -> Sent {
        let mut sent = Sent { bytes: Vec::new(), spans: Vec::new(), waits: Vec::new() };
        for ask in &self.asks {
            sent.spans.push(sent.bytes.len()..sent.bytes.len() + ask.bytes.len());
            sent.bytes.extend_from_slice(&ask.bytes);
        }
        sent
    }

    /// The requests' records in turns. One whose id is in use waits until all before it are answered; so does
    /// the end of it all, if the client is patient. It may also wait for the answer to each that is whole.
    pub(super) fn in_turns(&self, mut turns: Script, patient: bool, each: bool) -> Sent {
        let nowhere = usize::MAX..usize::MAX;
        let mut sent = Sent { bytes: Vec::new(), spans: vec![nowhere; self.asks.len()], waits: Vec::new() };
        let mut next = 0;
        while next < self.asks.len() {
            let ids: Vec<u16> = self.asks[next..].iter().map(|ask| ask.id).collect();
            let fresh = (1..ids.len()).find(|at| ids[..*at].contains(&ids[*at])).unwrap_or(ids.len());
            let mut left: Vec<_> =
                (next..next + fresh).map(|number| (number, &self.asks[number].bytes[..])).collect();
            while !left.is_empty() {
                let (turn, more) = turns.next();
                let turn = usize::from(turn) % left.len();
                let (number, bytes) = &mut left[turn];
                if bytes.len() == self.asks[*number].bytes.len() {
                    sent.spans[*number].start = sent.bytes.len();
                }
                for _ in 0..=more {
                    let (record, rest) = bytes.split_at(record_len(bytes));
                    sent.bytes.extend_from_slice(record);
                    *bytes = rest;
                }
                if bytes.is_empty() {
                    sent.spans[*number].end = sent.bytes.len();
                    left.remove(turn);
                    if each {
                        sent.waits.push((sent.bytes.len(), self.arrived(&sent, sent.bytes.len())));
                    }
                }
            }
            next += fresh;
            if next < self.asks.len() || patient {
                sent.waits.push((sent.bytes.len(), next));
            }
        }
        sent
    }

    /// A handler was given a request, which is one that was sent, whole: its number.
    pub(super) fn begins(&self, id: RequestId, role: Role, keep_conn: bool, params: Pairs<'_>) -> usize {
        let number = params.clone().get(b"NUMBER").expect("every request has it");
        let number: usize = std::str::from_utf8(number).expect("digits").parse().expect("digits");
        let ask = &self.asks[number];
        assert_eq!((id.get(), role, keep_conn), (ask.id, ask.role, ask.keep_conn));
        assert!(params.eq(ask.params.iter().map(|(name, value)| (&name[..], &value[..]))));
        assert_ne!(ask.aborts, Some(4), "it was aborted before its parameters ended");
        let mut seen = self.seen.borrow_mut();
        assert!(seen[number].is_none(), "a request is run once");
        assert!(self.multiplexes || seen[number..].iter().all(Option::is_none), "and in their order");
        seen[number] = Some(Seen::default());
        number
    }

    /// What the handler is to do, and its buffer.
    pub(super) fn manner(&self, number: usize) -> (Manner, Vec<u8>) {
        let ask = &self.asks[number];
        (ask.manner, vec![0; ask.reads_at_once])
    }

    pub(super) fn habits(&self, number: usize) -> Habits {
        self.asks[number].habits
    }

    /// Whether the handler is to read this body, or more of it.
    pub(super) fn wants(&self, number: usize, kind: u8) -> bool {
        let seen = self.seen.borrow();
        let seen = seen[number].as_ref().expect("a request that runs");
        match self.asks[number].manner {
            Manner::Echoes | Manner::Streams => !seen.ended.contains(&kind),
            Manner::ReadsOnce | Manner::Fails => kind == STDIN && seen.reads == 0,
            Manner::Ignores => false,
        }
    }

    /// The handler read: the next bytes of its request's body, or its end, or it was not there whole.
    pub(super) fn reads(
        &self,
        number: usize,
        kind: u8,
        result: io::Result<usize>,
        buffer: &[u8],
    ) -> io::Result<usize> {
        let ask = &self.asks[number];
        let mut seen = self.seen.borrow_mut();
        let seen = seen[number].as_mut().expect("a request that runs");
        seen.reads += 1;
        match &result {
            Ok(count) => {
                let body = if kind == STDIN { &mut seen.stdin } else { &mut seen.data };
                let next = ask.body(kind).get(body.len()..body.len() + count);
                assert_eq!(next, Some(&buffer[..*count]), "bytes of something else");
                body.extend_from_slice(&buffer[..*count]);
                if *count == 0 {
                    assert!(body == ask.body(kind) && ask.aborts != Some(kind), "an end that is none");
                    seen.ended.push(kind);
                }
            }
            Err(error) => {
                is_a_log_line(error);
                seen.failed = true;
            }
        }
        result
    }

    /// Whether the handler read every byte of its request.
    pub(super) fn has_all(&self, number: usize) -> bool {
        let (seen, ask) = (self.seen.borrow(), &self.asks[number]);
        seen[number].as_ref().is_some_and(|seen| seen.stdin == ask.stdin && seen.data == ask.data)
    }

    /// What the handler answers with: what it read.
    pub(super) fn page(&self, number: usize) -> Vec<u8> {
        let seen = self.seen.borrow();
        let seen = seen[number].as_ref().expect("a request that ran");
        self.asks[number].page(&seen.stdin, &seen.data)
    }

    /// Where the request begins after which the connection is closed.
    fn last(&self, sent: &Sent) -> usize {
        let closes = |number: &usize| !self.asks[*number].keep_conn;
        let starts = (0..self.asks.len()).filter(closes).map(|number| sent.spans[number].start);
        starts.min().unwrap_or(usize::MAX)
    }

    /// How many requests have to be answered when this much was sent.
    pub(super) fn arrived(&self, sent: &Sent, len: usize) -> usize {
        let last = self.last(sent);
        sent.spans.iter().filter(|span| span.start <= last && span.end <= len).count()
    }

    /// Every answer is its request's, and what came whole was answered whole.
    pub(super) fn check(&self, sent: &Sent, stream: &Stream, result: io::Result<()>) {
        let (records, rest) = walk(&stream.written);
        assert!(rest.is_empty() || stream.output_failed, "the output ends inside a record");
        answer_records(&stream.written[..stream.written.len() - rest.len()]);
        assert!(records.iter().all(|record| self.asks.iter().any(|ask| ask.id == record.id)));
        let ends = records.iter().filter(|record| record.kind == END).count();
        assert!(ends <= self.asks.len(), "{ends} ends of {} requests", self.asks.len());
        for number in 0..self.asks.len() {
            let answer = self.records_of(number, &records);
            if !answer.is_empty() {
                self.check_answer(number, &answer, stream);
            }
        }
        // Up to where the connection is closed or the input ends, requests come whole.
        let last = self.last(sent);
        let mut cut = false;
        for (number, ask) in self.asks.iter().enumerate() {
            let span = &sent.spans[number];
            let counts = span.start <= last;
            let arrived = span.end <= stream.input_len();
            // What comes behind the last request may be begun while others are sent.
            cut |= !arrived && (counts || self.multiplexes);
            if !arrived || !counts || stream.output_failed {
                continue;
            }
            let records = self.records_of(number, &records);
            let end = records.last().expect("an answer to a request that came whole");
            assert_eq!(end.kind, END);
            if ask.aborts.is_none() && ask.within(&self.limits) {
                assert_eq!(end.content, [0; 8]);
                self.check_whole(number, &records);
            }
        }
        match result {
            Ok(()) => assert!(!stream.output_failed),
            Err(error) => {
                is_a_log_line(&error);
                assert!(stream.output_failed || cut || !stream.closes(), "{error}");
            }
        }
    }

    /// The records of a request's answer: behind those of the earlier requests with its id.
    fn records_of<'w>(&self, number: usize, records: &'w [Wire]) -> Vec<&'w Wire> {
        let id = self.asks[number].id;
        let earlier = self.asks[..number].iter().filter(|ask| ask.id == id).count();
        let of_id: Vec<&Wire> = records.iter().filter(|record| record.id == id).collect();
        of_id.split_inclusive(|record| record.kind == END).nth(earlier).unwrap_or_default().to_vec()
    }

    /// The status and body of an answer, as far as it goes, and the number that it says its request has.
    fn answer(records: &[&Wire]) -> Option<(u16, Vec<u8>, Option<usize>)> {
        let of_stdout = records.iter().filter(|record| record.kind == STDOUT);
        let stdout: Vec<u8> = of_stdout.flat_map(|record| record.content.clone()).collect();
        let mut head = ResponseHead::new([0; 1024]);
        let body = head.push(&stdout).expect("a head that is well-formed")?;
        let number = head
            .get(b"X-Number")
            .map(|number| std::str::from_utf8(number).expect("digits").parse().expect("digits"));
        Some((head.status().code(), body.to_vec(), number))
    }

    /// What holds of any answer, cut off or not.
    fn check_answer(&self, number: usize, records: &[&Wire], stream: &Stream) {
        let ask = &self.asks[number];
        let Some((status, body, says)) = Self::answer(records) else {
            assert!(ask.aborts.is_some() || stream.output_failed, "no answer, and no reason for that");
            return;
        };
        let seen = self.seen.borrow();
        match (status, &seen[number]) {
            (200, Some(_)) => {
                assert_eq!(says, Some(number), "an answer of another request");
                assert!(self.page(number).starts_with(&body), "a body of something else");
            }
            (500, Some(seen)) => assert!(seen.failed || ask.manner == Manner::Fails),
            (503 | 431, _) => assert!(!ask.within(&self.limits)),
            (400, Some(seen)) => assert!(ask.role == Role::Filter && !seen.ended.contains(&STDIN)),
            (status, seen) => panic!("{status}, {}", if seen.is_some() { "run" } else { "not run" }),
        }
    }

    /// What holds of the answer to a request that came whole.
    fn check_whole(&self, number: usize, records: &[&Wire]) {
        let ask = &self.asks[number];
        let (status, body, _) = Self::answer(records).expect("a whole answer");
        let whole = match ask.manner {
            Manner::Streams => ask.stdin.clone(),
            Manner::Echoes => ask.page(&ask.stdin, &ask.data),
            Manner::ReadsOnce | Manner::Ignores => self.page(number),
            Manner::Fails => b"Internal Server Error\n".to_vec(),
        };
        assert_eq!(status, if ask.manner == Manner::Fails { 500 } else { 200 });
        assert!(body == whole, "{} bytes, not {}", body.len(), whole.len());
    }
}
