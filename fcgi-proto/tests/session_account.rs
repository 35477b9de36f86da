//! What a server's session tells of a request when it is over, for access logs and counters.
#![cfg(feature = "alloc")]

mod support;

use std::time::Duration;

use fcgi_proto::Limits;
use fcgi_proto::cgi::{HEAD_LIMIT, Status};
use fcgi_proto::record::Role;
use fcgi_proto::server::session::{
    Account, End, Exchange, Input, Outcome, Output, Patience, Request, Stopped, Stream, Wait, Write,
};
use fcgi_proto::server::{Refusal, Session};
use support::*;

const fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A connection with one request at a time.
struct Line {
    session: Session<1>,
    exchange: Exchange,
}

impl Line {
    fn new() -> Self {
        let exchange = Exchange::new(&Limits::default(), HEAD_LIMIT, None).watched(true);
        Self { session: Session::new(Limits::default(), &Patience::new()), exchange }
    }

    /// Takes in all of these bytes, and starts the handlers; what was told last.
    fn receive<'i>(&mut self, mut bytes: &'i [u8], now: Duration) -> Option<Input<'i>> {
        let mut last = None;
        while let Some(input) = self.session.take_in(&mut self.exchange, &mut bytes, now) {
            if let Input::Start { .. } = input {
                // A handler may keep them for as long as it likes.
                drop(self.exchange.take_params());
            }
            if let Input::Body { data, .. } = input {
                self.exchange.took(data.len());
            }
            last = Some(input);
        }
        last
    }

    fn start(&mut self, bytes: &[u8], now: Duration) -> Request {
        match self.receive(bytes, now) {
            Some(input) => input.request(),
            None => panic!("no start"),
        }
    }

    /// Writes an answer of 43 bytes: a head of 37, and a body.
    fn write(&mut self, request: Request, now: Duration) {
        let Self { session, exchange } = self;
        exchange.answer.respond(Status::OK).expect("a head");
        exchange.answer.field(b"Content-Type", b"a/b").expect("a field");
        let written = session.output(request, &mut exchange.answer, Output::Stdout(b"a body"), now);
        assert!(matches!(written, Ok(Write::Taken(6))), "{written:?}");
    }

    /// The handler is done; its answer leaves.
    fn end(&mut self, request: Request, outcome: Result<u32, String>, now: Duration) {
        let Self { session, exchange } = self;
        session.complete(request, exchange, outcome, now);
        match session.end_exchange(request, exchange) {
            End::Last(bytes) => {
                let count = bytes.len();
                exchange.answer.sent();
                session.sent(count, now);
            }
            End::Over => {}
            end => panic!("{end:?}"),
        }
        assert!(!session.is_alive(request));
    }

    fn account(&self, request: Request, now: Duration) -> Account<'_> {
        self.session.account(request, &self.exchange, now).expect("its own")
    }
}

fn named() -> Vec<u8> {
    pairs(&[("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/a page")])
}

#[test]
fn of_a_request_that_was_answered_its_status_bytes_and_times_are_told() {
    let mut line = Line::new();
    let head = Client::new().begin(1, RESPONDER, KEEP).params(1, &named());
    assert_eq!(line.receive(&head, at(1000)), None);
    let rest = Client::new().params(1, b"").stdin(1, b"four").stdin(1, b"");
    assert!(matches!(line.receive(&rest, at(1200)), Some(Input::Look { .. })));
    let request = line.exchange.begin.expect("it has begun").request;
    line.write(request, at(1300));
    line.end(request, Ok(0), at(1500));
    let account = line.account(request, at(1512));
    assert_eq!((account.role, account.outcome), (Role::Responder, Outcome::Finished));
    assert_eq!((account.method(), account.uri()), (&b"POST"[..], &b"/a page"[..]));
    assert_eq!((account.status, account.received, account.sent), (Some(Status::OK), 4, 43));
    assert_eq!((account.took, account.ran), (at(512), Some(at(300))));
    assert_eq!(account.to_string(), "POST /a page 200, 4 bytes in, 43 bytes out, 0.512 s");
}

#[test]
fn the_next_request_is_counted_anew() {
    let mut line = Line::new();
    for id in [1, 7] {
        let request = line.start(&Client::new().head(id, KEEP).stdin(id, b"six by").stdin(id, b""), at(0));
        line.write(request, at(0));
        line.end(request, Ok(0), at(0));
        let account = line.account(request, at(0));
        assert_eq!((account.received, account.sent, account.params.count()), (6, 43, 1));
    }
}

#[test]
fn what_a_handler_takes_of_a_body_counts_once_and_what_it_leaves_too() {
    let mut line = Line::new();
    let request = line.start(&Client::new().head(1, KEEP), at(0));
    let bytes = Client::new().stdin(1, b"a body").stdin(1, b" and more").stdin(1, b"");
    let mut input = &bytes[..];
    let Line { session, exchange } = &mut line;
    for taken in [2, 4] {
        let Some(Input::Body { data, .. }) = session.take_in(exchange, &mut input, at(0)) else {
            panic!("no body")
        };
        session.took(taken);
        exchange.took(taken);
        input = &bytes[bytes.len() - input.len() - (data.len() - taken)..];
        session.room(request);
    }
    session.complete(request, exchange, Ok(0), at(0));
    while session.take_in(exchange, &mut input, at(0)).is_some() {}
    assert!(matches!(session.end_exchange(request, exchange), End::Last(_)));
    assert_eq!(line.account(request, at(0)).received, b"a body and more".len() as u64);
}

#[test]
fn a_large_answer_counts_as_it_leaves() {
    let mut line = Line::new();
    let request = line.start(&Client::new().request(1, KEEP), at(0));
    line.write(request, at(0));
    let Line { session, exchange } = &mut line;
    let body = [b'x'; 30_000];
    let Ok(Write::Send(batch)) = session.output(request, &mut exchange.answer, Output::Stdout(&body), at(0))
    else {
        panic!("it leaves")
    };
    assert_eq!(batch.taken, body.len());
    let count = batch.slices().iter().map(|slice| slice.len()).sum();
    exchange.answer.sent();
    session.sent(count, at(0));
    line.end(request, Ok(0), at(0));
    assert_eq!(line.account(request, at(0)).sent, 30_043);
}

#[test]
fn a_handler_that_failed_has_failed_with_the_500_that_was_sent() {
    let mut line = Line::new();
    let request = line.start(&Client::new().request(1, KEEP), at(0));
    line.write(request, at(0));
    line.end(request, Err("no disk".into()), at(0));
    let account = line.account(request, at(0));
    assert_eq!((account.outcome, account.status), (Outcome::Failed, Some(Status::INTERNAL_SERVER_ERROR)));
    assert_eq!(account.to_string(), "GET - 500, 0 bytes in, 85 bytes out, 0 s, the handler failed");
}

#[test]
fn an_answer_without_a_head_has_failed() {
    let mut line = Line::new();
    let request = line.start(&Client::new().request(1, KEEP), at(0));
    line.end(request, Ok(0), at(0));
    assert_eq!(line.account(request, at(0)).outcome, Outcome::Failed);
}

#[test]
fn a_request_that_was_aborted_has_no_status_if_nothing_was_sent() {
    let mut line = Line::new();
    let request = line.start(&Client::new().head(1, KEEP), at(0));
    line.receive(&Client::new().abort(1), at(0));
    line.end(request, Ok(0), at(0));
    let account = line.account(request, at(0));
    assert_eq!((account.outcome, account.status), (Outcome::Stopped(Stopped::Aborted), None));
    assert_eq!((account.sent, account.ran), (0, Some(at(0))));
}

#[test]
fn what_stopped_a_handler_that_failed_is_what_ended_its_request() {
    let mut line = Line::new();
    let request = line.start(&Client::new().head(1, KEEP), at(0));
    assert!(line.session.read(request, Stream::Stdin, at(0)).is_ok());
    line.session.expire(at(31_000));
    let late = line.session.read(request, Stream::Stdin, at(31_000)).expect_err("it is late");
    line.end(request, Err(late.to_string()), at(31_000));
    let expected = Stopped::TimedOut { wait: Wait::Body, limit: Duration::from_secs(30) };
    let account = line.account(request, at(31_000));
    assert_eq!(
        (account.outcome, account.status),
        (Outcome::Stopped(expected), Some(Status::INTERNAL_SERVER_ERROR))
    );
}

#[test]
fn a_transport_that_failed_ended_its_requests() {
    let mut line = Line::new();
    let request = line.start(&Client::new().request(1, KEEP), at(0));
    line.write(request, at(0));
    line.session.unwritable();
    line.end(request, Ok(0), at(0));
    let account = line.account(request, at(0));
    assert_eq!((account.outcome, account.status), (Outcome::Stopped(Stopped::Broken), None));
}

#[test]
fn a_request_that_was_refused_has_the_status_that_it_is_answered_with_and_never_ran() {
    let truncated = Client::new().begin(1, RESPONDER, KEEP).params(1, &named()[..30]).params(1, b"");
    let long = vec![b'x'; 65_535];
    let mut endless = Client::new().begin(1, RESPONDER, KEEP);
    for _ in 0..9 {
        endless = endless.params(1, &long);
    }
    for (bytes, why, status) in [
        (truncated, Refusal::Malformed, Status::BAD_REQUEST),
        (endless, Refusal::ParamsTooLong, Status::REQUEST_HEADER_FIELDS_TOO_LARGE),
    ] {
        let mut line = Line::new();
        let over = line.receive(&bytes, at(5)).unwrap_or_else(|| panic!("{why:?}"));
        assert!(matches!(over, Input::Over { .. }), "{over:?}");
        let account = line.account(over.request(), at(7));
        assert_eq!(account.outcome, Outcome::Stopped(Stopped::Refused(why)));
        assert_eq!((account.status, account.ran, account.took), (Some(status), None, at(2)));
    }
}

#[test]
fn why_a_request_never_began_to_run_is_told_with_the_parameters_that_came() {
    let half = Client::new().begin(1, RESPONDER, KEEP).params(1, &named());
    type Way = (fn(&mut Line), fn(Stopped) -> bool);
    let ends: [Way; 3] = [
        (|line| _ = line.receive(&Client::new().abort(1), at(0)), |why| why == Stopped::Aborted),
        (|line| line.session.broken(), |why| why == Stopped::Broken),
        (|line| line.session.end_of_input(), |why| why.is_gone() && why != Stopped::Over),
    ];
    for (end, is_why) in ends {
        let mut line = Line::new();
        assert_eq!(line.receive(&half, at(0)), None);
        let request = line.exchange.begin.expect("it has begun").request;
        end(&mut line);
        line.receive(&[], at(0));
        let account = line.account(request, at(0));
        assert_eq!((account.uri(), account.ran, account.status), (&b"/a page"[..], None, None));
        assert!(matches!(account.outcome, Outcome::Stopped(why) if is_why(why)), "{account:?}");
    }
}

#[test]
fn parameters_that_are_taken_given_back_and_taken_again_are_told_once() {
    let mut line = Line::new();
    let bytes = Client::new().request(1, KEEP);
    let Line { session, exchange } = &mut line;
    let Some(Input::Start { request }) = session.take_in(exchange, &mut &bytes[..], at(0)) else {
        panic!("no start")
    };
    let params = exchange.take_params();
    exchange.params = params;
    drop(exchange.take_params());
    line.write(request, at(0));
    line.end(request, Ok(0), at(0));
    assert_eq!(line.account(request, at(0)).params.count(), 1);
}

#[test]
fn who_is_not_watched_keeps_no_parameters_of_a_handler() {
    let mut line = Line::new();
    line.exchange = Exchange::new(&Limits::default(), HEAD_LIMIT, None);
    let request = line.start(&Client::new().request(1, KEEP), at(0));
    line.write(request, at(0));
    line.end(request, Ok(0), at(0));
    let account = line.account(request, at(0));
    assert_eq!((account.params.count(), account.status), (0, Some(Status::OK)));
}

#[test]
fn an_exchange_of_another_request_has_no_account() {
    let mut line = Line::new();
    let request = line.start(&Client::new().request(1, KEEP), at(0));
    line.write(request, at(0));
    line.end(request, Ok(0), at(0));
    line.start(&Client::new().request(1, KEEP), at(0));
    assert!(line.session.account(request, &line.exchange, at(0)).is_none());
}
