//! The loops of the documentation, one's own on the front page and those that are ready over embedded-io, on what real
//! web servers begin with: every connection is answered and closed, however its bytes are cut and whatever the client
//! leaves unsaid.

mod support;

#[path = "../examples/loop/serve.rs"]
mod example;

#[path = "support/line.rs"]
mod line;

use core::convert::Infallible;
use core::time::Duration;

use embedded_io_07 as blocking_io;
use embedded_io_async_07 as async_io;
use example::Transport;
use fcgi_proto::embedded_io_07::{self as blocking, Buffers, Platform, Settings};
use fcgi_proto::embedded_io_async_07 as asynchronous;
use fcgi_proto::pair::{Pairs, Selected};
use line::{Line, Then, World, now};
use support::*;

const INDEX: &[u8] = b"Content-Type: text/plain\r\n\r\nSee /temperature\n";
const READING: &[u8] = b"Content-Type: text/plain\r\n\r\n23.5\n";

/// The loop of the front page's own traits.
struct Own<'a> {
    line: Line<'a>,
    world: World,
}

impl Transport for Own<'_> {
    type Error = Infallible;

    fn read(&mut self, buffer: &mut [u8], until: Option<Duration>) -> Result<Option<usize>, Infallible> {
        if self.line.is_ready() {
            return Ok(Some(self.line.take(buffer)));
        }
        Platform::<Line<'_>>::wait(&self.world, until);
        Ok(None)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        blocking_io::Write::write_all(&mut self.line, bytes)?;
        blocking_io::Write::flush(&mut self.line)
    }

    fn shut_down(&mut self) -> Result<(), Infallible> {
        self.line.shut();
        Ok(())
    }

    fn now(&self) -> Duration {
        self.world.now.get()
    }
}

fn front_page(line: Line<'_>, world: World) -> (Vec<u8>, Duration) {
    let mut own = Own { line, world };
    let Ok(()) = example::serve(&mut own);
    (own.line.sent, own.world.now.get())
}

fn page(params: Pairs<'_>) -> &'static [u8] {
    if params.get(b"REQUEST_URI") == Some(b"/temperature") { READING } else { INDEX }
}

fn blocking(mut line: Line<'_>, world: World) -> (Vec<u8>, Duration) {
    let (mut params, mut buffers) = (Selected::<512>::new(&[b"REQUEST_URI"]), Buffers::<512, 128>::new());
    let Ok(_) = blocking::serve(&mut line, &world, &Settings::new(), &mut params, &mut buffers, |request| {
        blocking_io::Write::write_all(request, page(request.params()))
    });
    (line.sent, world.now.get())
}

fn asynchronous(mut line: Line<'_>, world: World) -> (Vec<u8>, Duration) {
    let (mut params, mut buffers) = (Selected::<512>::new(&[b"REQUEST_URI"]), Buffers::<512, 128>::new());
    let Ok(_) = now(asynchronous::serve(
        &mut line,
        &world,
        &Settings::new(),
        &mut params,
        &mut buffers,
        async |request: &mut asynchronous::Request<'_, _, _, _>| {
            async_io::Write::write_all(request, page(request.params())).await
        },
    ));
    (line.sent, world.now.get())
}

/// What each loop of the documentation sends, the same for every cut, and how long it takes at least, cut into single
/// bytes or not.
fn served(then: Then, bytes: &[u8]) -> (Vec<Wire>, Duration) {
    let mut results = Vec::new();
    for step in [usize::MAX, 1, 7] {
        for serve in [front_page, blocking, asynchronous] {
            results.push(serve(Line { step, ..Line::new(bytes, then) }, World::new()));
        }
    }
    let (sent, took) = &results[0];
    for (i, (other, other_took)) in results.iter().enumerate() {
        assert_eq!(
            (answer_records(other), other_took),
            (answer_records(sent), took),
            "loop {}, cut {}",
            i % 3,
            i / 3
        );
    }
    (answer_records(sent), *took)
}

/// The records that answer a request whole.
fn answer(id: u16, content: &[u8]) -> Vec<(u8, u16, Vec<u8>)> {
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
        assert_eq!(seen(&records), answer(1, INDEX));
        assert_eq!(took, Duration::ZERO, "nobody is waited for");
    }
    let (records, _) = served(Then::Waits, &at("/temperature", 1, CLOSE));
    assert_eq!(seen(&records), answer(1, READING));
}

#[test]
fn a_client_that_never_closes_is_left_after_a_while() {
    let (records, took) = served(Then::IsSilent, &Client::new().request(1, CLOSE));
    assert_eq!(seen(&records), answer(1, INDEX));
    assert_eq!(took, Duration::from_secs(5));
}

#[test]
fn requests_on_a_connection_that_is_kept_are_answered_until_it_is_idle_for_long() {
    let requests = Client::new().request(1, KEEP).request(1, KEEP).request(7, KEEP);
    let expected = [answer(1, INDEX), answer(1, INDEX), answer(7, INDEX)].concat();
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
    assert_eq!(seen(&records[1..]), answer(1, INDEX));
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
    assert_eq!(seen(&records), answer(1, INDEX));
}

#[test]
fn a_request_that_is_aborted_is_ended_and_another_served() {
    let begun = Client::new().head(1, KEEP).stdin(1, b"half").abort(1);
    let (records, _) = served(Then::Closes, &begun.clone().request(2, KEEP));
    assert_eq!(seen(&records[..2]), [(STDOUT, 1, vec![]), (END, 1, vec![0; 8])]);
    assert_eq!(seen(&records[2..]), answer(2, INDEX));
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
        assert_eq!(seen(&records[3..]), answer(2, INDEX));
    }
}

#[test]
fn parameters_that_nobody_asks_for_take_no_room() {
    let long = pairs(&[("HTTP_COOKIE", "x".repeat(8192).as_str()), ("REQUEST_URI", "/temperature")]);
    let client = Client::new().begin(1, RESPONDER, CLOSE).params(1, &long).params(1, b"").stdin(1, b"");
    let (records, _) = served(Then::Waits, &client);
    assert_eq!(seen(&records), answer(1, READING));
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
