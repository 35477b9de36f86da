//! The loop of the crate's front page, on what real web servers begin with: every connection is answered and closed,
//! however its bytes are cut and whatever the client leaves unsaid.

mod support;

#[path = "../examples/loop/serve.rs"]
mod example;

use core::time::Duration;

use example::{Transport, serve};
use support::*;

const INDEX: &[u8] = b"Content-Type: text/plain\r\n\r\nSee /temperature\n";

/// How the client goes on when all of its bytes are read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// It closes its direction.
    Closes,
    /// It waits for this side to close, and closes then.
    Waits,
    /// It says and does no more.
    IsSilent,
}

/// A connection, on which time passes only while nothing comes.
struct Line<'a> {
    unread: &'a [u8],
    /// How many bytes a read brings, at most.
    step: usize,
    then: Then,
    sent: Vec<u8>,
    /// How many bytes were sent when this side ended its direction.
    shut_at: Option<usize>,
    now: Duration,
}

impl Transport for Line<'_> {
    type Error = String;

    fn read(&mut self, buffer: &mut [u8], until: Option<Duration>) -> Result<Option<usize>, String> {
        let count = self.unread.len().min(self.step).min(buffer.len());
        let (now, rest) = self.unread.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.unread = rest;
        let ends = self.then == Then::Closes || self.then == Then::Waits && self.shut_at.is_some();
        if count > 0 || ends {
            return Ok(Some(count));
        }
        let until = until.ok_or("it would wait for ever")?;
        assert!(until > self.now || self.now == Duration::ZERO, "it waits for what has passed");
        self.now = until;
        Ok(None)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        assert_eq!(self.shut_at, None, "written after the end");
        self.sent.extend(bytes);
        Ok(())
    }

    fn shut_down(&mut self) -> Result<(), String> {
        assert_eq!(self.shut_at.replace(self.sent.len()), None, "ended twice");
        Ok(())
    }

    fn now(&self) -> Duration {
        self.now
    }
}

/// What the loop sends, the same for every cut, and how long it takes at least, cut into single bytes or not.
fn served(then: Then, bytes: &[u8]) -> (Vec<Wire>, Duration) {
    let results = [usize::MAX, 1, 7].map(|step| {
        let mut line =
            Line { unread: bytes, step, then, sent: Vec::new(), shut_at: None, now: Duration::ZERO };
        serve(&mut line).unwrap();
        (line.sent, line.now)
    });
    let [(sent, took), others @ ..] = &results;
    for (other, other_took) in others {
        assert_eq!((other, other_took), (sent, took));
    }
    (answer_records(sent), *took)
}

/// The records that answer a request whole.
fn page(id: u16, content: &[u8]) -> Vec<(u8, u16, Vec<u8>)> {
    vec![(STDOUT, id, content.to_vec()), (STDOUT, id, vec![]), (END, id, vec![0; 8])]
}

/// The records that refuse a request with this protocol status.
fn refusal(id: u16, status: u8) -> Vec<(u8, u16, Vec<u8>)> {
    vec![(STDOUT, id, vec![]), (END, id, vec![0, 0, 0, 0, status, 0, 0, 0])]
}

fn seen(records: &[Wire]) -> Vec<(u8, u16, Vec<u8>)> {
    records.iter().map(|record| (record.kind, record.id, record.content.clone())).collect()
}

fn at(uri: &str, id: u16, flags: u8) -> Client {
    let params = pairs(&[("REQUEST_METHOD", "GET"), ("REQUEST_URI", uri)]);
    Client::new().begin(id, RESPONDER, flags).params(id, &params).params(id, b"").stdin(id, b"")
}

#[test]
fn a_request_on_a_connection_of_its_own_is_answered_and_the_connection_closed_at_once() {
    for then in [Then::Waits, Then::Closes] {
        let (records, took) = served(then, &Client::new().request(1, CLOSE));
        assert_eq!(seen(&records), page(1, INDEX));
        assert_eq!(took, Duration::ZERO, "nobody is waited for");
    }
    let (records, _) = served(Then::Waits, &at("/temperature", 1, CLOSE));
    assert_eq!(seen(&records), page(1, b"Content-Type: text/plain\r\n\r\n23.5\n"));
}

#[test]
fn a_client_that_never_closes_is_left_after_a_while() {
    let (records, took) = served(Then::IsSilent, &Client::new().request(1, CLOSE));
    assert_eq!(seen(&records), page(1, INDEX));
    assert_eq!(took, Duration::from_secs(5));
}

#[test]
fn requests_on_a_connection_that_is_kept_are_answered_until_it_is_idle_for_long() {
    let requests = Client::new().request(1, KEEP).request(1, KEEP).request(7, KEEP);
    let expected = [page(1, INDEX), page(1, INDEX), page(7, INDEX)].concat();
    for then in [Then::IsSilent, Then::Closes] {
        let (records, took) = served(then, &requests);
        assert_eq!(seen(&records), expected);
        assert_eq!(took, Duration::from_secs(if then == Then::Closes { 0 } else { 300 }));
    }
}

#[test]
fn get_values_alone_is_answered() {
    let (records, _) = served(Then::Closes, &Client::new().get_values(VALUES));
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].kind, records[0].id), (GET_VALUES_RESULT, 0));
}

#[test]
fn get_values_before_a_request_is_answered_first() {
    let client = Client::new().get_values(VALUES).request(1, CLOSE);
    let (records, _) = served(Then::Waits, &client);
    assert_eq!(records[0].kind, GET_VALUES_RESULT);
    assert_eq!(seen(&records[1..]), page(1, INDEX));
}

#[test]
fn an_unknown_management_type_is_told_of() {
    let (records, _) = served(Then::Closes, &Client::new().record(200, 0, b"what?"));
    assert_eq!(seen(&records), [(UNKNOWN_TYPE, 0, vec![200, 0, 0, 0, 0, 0, 0, 0])]);
}

#[test]
fn roles_that_are_unknown_or_not_served_are_refused() {
    for role in [AUTHORIZER, FILTER, 9] {
        for flags in [CLOSE, KEEP] {
            let params = Client::new().begin(1, role, flags).params(1, &get()).params(1, b"");
            let client = if role == AUTHORIZER { params } else { params.stdin(1, b"") };
            let (records, took) = served(if flags == KEEP { Then::Closes } else { Then::Waits }, &client);
            let (answer, end) = records.split_first().unwrap();
            assert!(answer.content.starts_with(b"Status: 503 "), "{answer:?}");
            assert_eq!(seen(end), refusal(1, 3), "role {role}, flags {flags}");
            assert_eq!(took, Duration::ZERO);
        }
    }
}

#[test]
fn what_is_posted_is_read_before_the_answer() {
    let client = Client::new().head(1, KEEP).stdin(1, &[b'x'; 5000]).stdin(1, b"");
    let (records, _) = served(Then::Closes, &client);
    assert_eq!(seen(&records), page(1, INDEX));
}

#[test]
fn a_request_that_is_aborted_is_ended_and_another_served() {
    let begun = Client::new().head(1, KEEP).stdin(1, b"half").abort(1);
    let (records, _) = served(Then::Closes, &begun.clone().request(2, KEEP));
    assert_eq!(seen(&records[..2]), [(STDOUT, 1, vec![]), (END, 1, vec![0; 8])]);
    assert_eq!(seen(&records[2..]), page(2, INDEX));
    let before_it_ran = Client::new().begin(1, RESPONDER, KEEP).abort(1);
    let (records, _) = served(Then::Closes, &before_it_ran);
    assert_eq!(seen(&records), [(STDOUT, 1, vec![]), (END, 1, vec![0; 8])]);
}

#[test]
fn parameters_without_room_or_that_are_no_pairs_are_refused() {
    let long = pairs(&[("REQUEST_URI", "x".repeat(3000).as_str())]);
    for (params, http, status) in [(&long[..], "Status: 503 ", 2), (b"\x05\x05cut", "Status: 400 ", 0)] {
        let request = Client::new().begin(1, RESPONDER, KEEP).params(1, params).params(1, b"").stdin(1, b"");
        let (records, _) = served(Then::Closes, &request.request(2, KEEP));
        assert!(records[0].content.starts_with(http.as_bytes()), "{records:?}");
        assert_eq!(seen(&records[1..3]), refusal(1, status));
        assert_eq!(seen(&records[3..]), page(2, INDEX));
    }
}

#[test]
fn parameters_that_nobody_asks_for_take_no_room() {
    let long = pairs(&[("HTTP_COOKIE", "x".repeat(8192).as_str()), ("REQUEST_URI", "/temperature")]);
    let client = Client::new().begin(1, RESPONDER, CLOSE).params(1, &long).params(1, b"").stdin(1, b"");
    let (records, _) = served(Then::Waits, &client);
    assert_eq!(seen(&records), page(1, b"Content-Type: text/plain\r\n\r\n23.5\n"));
}

#[test]
fn silence_within_a_request_is_bounded() {
    let whole = Client::new().head(1, KEEP).stdin(1, b"body").stdin(1, b"");
    for length in 0..whole.len() {
        let (_, took) = served(Then::IsSilent, &whole[..length]);
        assert!(took <= Duration::from_secs(if length == 0 { 300 } else { 35 + 300 }), "{length}: {took:?}");
    }
}

#[test]
fn what_is_not_fastcgi_ends_the_connection() {
    let (records, took) = served(Then::Waits, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!((records, took), (vec![], Duration::ZERO));
}
