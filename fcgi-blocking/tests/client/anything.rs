//! Applications that do anything at all, and note what they did.
#![allow(dead_code)] // Each file of tests uses a part.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::script::{App, Peer, end, stdout};
use crate::support::{PATIENCE, record};
use fcgi_blocking::{ClientSettings, Status};
use fcgi_proto::pair::Pairs;
use fcgi_proto::record::RecordType;

/// How long a kept connection may be silent.
pub(crate) const SHORT: Duration = Duration::from_millis(50);

/// In how many ways a request is answered, or not.
const WAYS: usize = 24;

/// Requests that have no number: none is answered before so many are there.
pub(crate) const MEETING: usize = 4;

/// Numbers that look like chance and are the same each time (xorshift).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: usize) -> Self {
        Self((seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as usize % limit
    }
}

/// What became of a request, at the application.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    /// How often its parameters were read, so that it may have been executed, and it was not refused.
    pub(crate) executed: usize,
    /// Whether any answer to it was whole.
    pub(crate) whole: bool,
}

/// What the application knows of the requests, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    fates: Mutex<BTreeMap<usize, Fate>>,
    /// Requests that wait for each other.
    meeting: Mutex<usize>,
    met: Condvar,
}

impl Seen {
    fn note(&self, number: usize, executed: bool, whole: bool) {
        let mut fates = self.fates.lock().expect("nobody panics with it");
        let fate = fates.entry(number).or_default();
        fate.executed += usize::from(executed);
        fate.whole |= whole;
    }

    pub(crate) fn fate(&self, number: usize) -> Fate {
        self.fates.lock().expect("nobody panics with it").get(&number).copied().unwrap_or_default()
    }
}

/// An application that does anything, with an even seed over TCP.
pub(crate) fn application(seed: usize, seen: &Arc<Seen>) -> App {
    start(seed, seen, WAYS)
}

/// One that is never silent.
pub(crate) fn talking(seed: usize, seen: &Arc<Seen>) -> App {
    start(seed, seen, WAYS - 1)
}

fn start(seed: usize, seen: &Arc<Seen>, ways: usize) -> App {
    let seen = Arc::clone(seen);
    let play = move |number, peer: &mut Peer| {
        let mut chance = Chance::new(1000 * seed + number);
        while answer(peer, &seen, &mut chance, ways).is_some() {}
    };
    if seed % 2 == 0 { App::tcp(play) } else { App::unix(play) }
}

/// Limits that mute applications reach soon.
pub(crate) fn impatient(settings: &mut ClientSettings, kept: Duration) {
    settings.first_byte_timeout = 2 * SHORT;
    settings.read_timeout = 2 * SHORT;
    settings.write_timeout = 2 * SHORT;
    settings.kept_first_byte_timeout = kept;
}

/// Whether an answer that ended well is that of the request: or else a refusal, which only one application makes.
pub(crate) fn is_own(status: Status, told: Option<&[u8]>, text: &str, number: usize, fate: Fate) -> bool {
    if status == Status::SERVICE_UNAVAILABLE {
        assert_eq!(text, "no", "{number}");
        return false;
    }
    assert_eq!(told, Some(number.to_string().as_bytes()), "{number}");
    assert!(text == body(number), "{number}: {text:.40}");
    assert!(fate.whole, "{number} was cut");
    true
}

/// A method, how often it may be executed, and a body.
pub(crate) fn what(chance: &mut Chance) -> (&'static str, usize, Vec<u8>) {
    let (method, most) = [("GET", 2), ("POST", 1), ("PUT", 1), ("DELETE", 1)][chance.below(4)];
    (method, most, vec![b'b'; [0, 10, 100_000, 1_000_000][chance.below(4)]])
}

/// Reads up to the end of the parameters: the request's number, or nothing if it is to meet others; `None` when the
/// client has closed.
fn begin(peer: &mut Peer) -> Option<Option<usize>> {
    let mut number = None;
    loop {
        match peer.record()? {
            (RecordType::Params, content) if content.is_empty() => return Some(number),
            (RecordType::Params, content) => {
                let uri = Pairs::new(&content).find(|(name, _)| *name == b"REQUEST_URI");
                let uri = uri.map(|(_, value)| String::from_utf8(value.to_vec()).expect("text"));
                number = number.or(uri.and_then(|uri| uri[1..].parse().ok()));
            }
            _ => {}
        }
    }
}

/// Reads up to the end of STDIN.
fn read(peer: &mut Peer) -> Option<()> {
    while peer.record()? != (RecordType::Stdin, Vec::new()) {}
    Some(())
}

pub(crate) fn body(number: usize) -> String {
    let times = if number % 4 == 0 { 50_000 } else { number * 37 % 3000 };
    format!("{number};").repeat(1 + times)
}

/// The answer to a request, in records, and how many bytes of them are not its end.
fn page(number: usize, chance: &mut Chance) -> (Vec<u8>, usize) {
    let body = body(number);
    let length =
        if chance.below(2) == 0 { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
    let all = format!("{length}X-Number: {number}\r\nContent-Type: text/plain\r\n\r\n{body}");
    let mut records: Vec<u8> = all.as_bytes().chunks(1 + chance.below(60_000)).flat_map(stdout).collect();
    let length = records.len();
    records.extend(end(0, 0));
    (records, length)
}

/// Answers one request in some way; `None` when the connection is closed.
fn answer(peer: &mut Peer, seen: &Seen, chance: &mut Chance, ways: usize) -> Option<()> {
    let before = peer.id;
    let Some(number) = begin(peer)? else { return meet(peer, seen) };
    let (page, length) = page(number, chance);
    let does = chance.below(ways);
    seen.note(number, !matches!(does, 17 | 18), matches!(does, 0..=9 | 21));
    if does == 10 {
        return None; // Without having read.
    }
    if does != 9 {
        read(peer)?;
    }
    if before > 0 && chance.below(3) == 0 {
        // Late, of the request before.
        let late = record(RecordType::Stdout, before, b"X-Number: 0\r\n\r\nlate");
        let end = record(RecordType::EndRequest, before, &[0; 8]);
        peer.stream.write_all(&[late, end].concat()).ok()?;
    }
    let refused = "Status: 503 Service Unavailable\r\nX-Number: 503\r\n\r\nno";
    let sent = match does {
        // Whole, and all is well.
        0..=4 => peer.try_send(&page),
        // Whole, and it closes.
        5 => peer.try_send(&page).and(Err(io::ErrorKind::ConnectionAborted.into())),
        // Whole, and the end is none.
        6 => {
            let bad = record(RecordType::EndRequest, 1, &vec![0; [0, 2, 16][chance.below(3)]]);
            peer.try_send([&page[..length], &bad].concat())
        }
        // Whole, and again.
        7 => peer.try_send([&page[..], &page].concat()),
        // Whole, among what is for nobody.
        8 => {
            let foreign = |id, text: &str| record(RecordType::Stdout, id, text.as_bytes());
            peer.try_send([foreign(250, "A: b\r\n\r\nforeign"), page, foreign(251, "foreign")].concat())
        }
        // Whole, before the request was read.
        9 => peer.try_send(&page).and_then(|()| read(peer).ok_or(io::ErrorKind::BrokenPipe.into())),
        // Nothing.
        11 => return None,
        // A part, and it closes, anywhere.
        12..=14 => {
            peer.try_send(&page[..chance.below(length)]).and(Err(io::ErrorKind::ConnectionAborted.into()))
        }
        // A part, and something else than records.
        15 | 16 => {
            let sent = peer.try_send(&page[..chance.below(length)]);
            let sent = sent.and_then(|()| peer.stream.write_all(b"\x06\x06garbage bytes here"));
            sent.and(Err(io::ErrorKind::ConnectionAborted.into()))
        }
        // It was not executed, with an answer beside it or not, or with a part of one.
        17 => peer.try_send(end(0, 2)),
        18 => peer.try_send([stdout(refused), end(0, 2)].concat()),
        19 => peer.try_send([stdout(format!("X-Number: {number}\r\n\r\npart")), end(0, 3)].concat()),
        // Less than was promised, or more, which is cut.
        20 => peer.try_send(
            [stdout(format!("Content-Length: 9\r\nX-Number: {number}\r\n\r\n0123")), end(0, 0)].concat(),
        ),
        21 => {
            let body = body(number);
            let head = format!("Content-Length: {}\r\nX-Number: {number}\r\n\r\n", body.len());
            let body: Vec<u8> = body.as_bytes().chunks(60_000).flat_map(stdout).collect();
            peer.try_send([stdout(head), body, stdout("more"), end(0, 0)].concat())
        }
        // Only words for the log, and only an end.
        22 => peer.try_send([record(RecordType::Stderr, 1, b"why"), end(1, 0)].concat()),
        // Silence, until the client has enough.
        _ => {
            while peer.take(1000) {}
            return None;
        }
    };
    sent.ok()
}

/// Answers when all of its kind are there.
fn meet(peer: &mut Peer, seen: &Seen) -> Option<()> {
    read(peer)?;
    let mut meeting = seen.meeting.lock().expect("nobody panics with it");
    *meeting += 1;
    seen.met.notify_all();
    let waited = seen.met.wait_timeout_while(meeting, PATIENCE, |meeting| *meeting < MEETING);
    assert!(!waited.expect("nobody panics with it").1.timed_out(), "{MEETING} requests at a time");
    peer.try_send(crate::script::page("met")).ok()
}
