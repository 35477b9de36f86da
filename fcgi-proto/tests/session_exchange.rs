//! How a server's session gathers what requests begin with, for callers that keep it in memory that grows.
#![cfg(feature = "alloc")]

mod support;

use std::time::Duration;

use fcgi_proto::Limits;
use fcgi_proto::cgi::{HEAD_LIMIT, Status};
use fcgi_proto::record::Role;
use fcgi_proto::server::Session;
use fcgi_proto::server::session::{Begin, End, Exchange, Exchanges, Input, Life, Patience, Request};
use support::*;

const OVERLOADED: u8 = 2;
const PARAMS_ROOM: u32 = 64;

/// A table with room for so many requests and so much memory.
#[derive(Default)]
struct Table {
    exchanges: Vec<Exchange>,
    most: usize,
    memory: usize,
}

impl Exchanges for Table {
    fn begin(&mut self, begin: Begin) -> bool {
        let running = self.exchanges.iter().filter(|exchange| exchange.begin.is_some()).count();
        if running == self.most {
            return false;
        }
        let mut exchange = Exchange::new(&limits(|limits| limits.params = PARAMS_ROOM), HEAD_LIMIT, None);
        exchange.begin = Some(begin);
        self.exchanges.push(exchange);
        true
    }

    fn room(&mut self, request: Request, bytes: usize) -> Option<&mut Exchange> {
        self.memory = self.memory.checked_sub(bytes)?;
        self.exchanges.iter_mut().find(|exchange| exchange.is_of(request))
    }
}

/// What a session tells of these bytes, cut at each place that `cuts` says, and what it sends by itself.
fn told(table: &mut impl Exchanges, bytes: &[u8], cuts: usize) -> (Vec<String>, String) {
    let limits = limits(|limits| limits.params = 4096);
    let mut session: Session<8, Vec<Life>> = Session::growing(limits, &Patience::new());
    let (mut story, mut sent) = (Vec::new(), Vec::new());
    for mut input in bytes.chunks(cuts) {
        loop {
            let before = input.len();
            while let Some(event) = session.take_in(table, &mut input, Duration::ZERO) {
                story.push(match event {
                    // Its input has ended, in the next piece.
                    Input::Look { .. } => continue,
                    Input::Start { request } => format!("START#{}", request.id()),
                    Input::Over { request } => format!("OVER#{}", request.id()),
                    other => format!("{other:?}"),
                });
            }
            while let Some(control) = session.poll_output() {
                sent.extend_from_slice(&control);
                session.sent(control.len(), Duration::ZERO);
            }
            if input.is_empty() || input.len() == before {
                break;
            }
        }
    }
    let ends = answer_records(&sent).into_iter().filter(|record| record.kind == END);
    let ends = ends.map(|record| format!("END#{}({})", record.id, record.content[4]));
    (story, ends.collect::<Vec<_>>().join(" "))
}

/// Each with the whole in one piece, and byte by byte.
fn both(most: usize, memory: usize, bytes: &[u8]) -> (Vec<String>, String) {
    let table = || Table { most, memory, ..Table::default() };
    let mut told_of = [usize::MAX, 1].map(|cuts| told(&mut table(), bytes, cuts));
    assert_eq!(told_of[0], told_of[1], "in one piece and byte by byte");
    std::mem::take(&mut told_of[0])
}

#[test]
fn of_a_request_that_has_room_and_is_whole_only_the_start_is_told() {
    let bytes = Client::new().request(1, KEEP).head(2, KEEP);
    assert_eq!(both(2, usize::MAX, &bytes), (vec!["START#1".into(), "START#2".into()], String::new()));
}

#[test]
fn one_that_has_no_place_is_refused_as_overloaded_and_over() {
    let bytes = Client::new().request(1, KEEP).request(2, KEEP);
    let (story, sent) = both(1, usize::MAX, &bytes);
    assert_eq!(story, ["START#1", "OVER#2"]);
    assert_eq!(sent, format!("END#2({OVERLOADED})"));
}

#[test]
fn one_whose_parameters_pass_the_room_is_refused_as_overloaded_and_over() {
    let long = pairs(&[("REQUEST_METHOD", "GET"), ("HTTP_COOKIE", &"c".repeat(100))]);
    let bytes = Client::new().begin(1, RESPONDER, KEEP).params(1, &long).params(1, b"").stdin(1, b"");
    let (story, sent) = both(1, usize::MAX, &bytes);
    assert_eq!(story, ["OVER#1"]);
    assert_eq!(sent, format!("END#1({OVERLOADED})"));
}

#[test]
fn one_for_whose_parameters_there_is_no_memory_is_refused_as_overloaded_and_over() {
    let (story, sent) = both(1, 18, &Client::new().request(1, KEEP));
    assert_eq!(story, ["OVER#1"]);
    assert_eq!(sent, format!("END#1({OVERLOADED})"));
}

#[test]
fn one_whose_parameters_are_no_whole_pairs_is_refused_with_400_and_over() {
    let bytes = Client::new().begin(1, RESPONDER, KEEP).params(1, &get()[..9]).params(1, b"").stdin(1, b"");
    let (story, sent) = both(1, usize::MAX, &bytes);
    assert_eq!(story, ["OVER#1"]);
    assert_eq!(sent, "END#1(0)");
}

#[test]
fn one_exchange_alone_serves_one_request_after_the_other() {
    let mut exchange = Exchange::new(&Limits::default(), HEAD_LIMIT, None);
    let mut session: Session<1> = Session::new(Limits::default(), &Patience::new());
    for id in [1, 7] {
        let bytes = Client::new().request(id, KEEP);
        let mut input = &bytes[..];
        let Some(Input::Start { request }) = session.take_in(&mut exchange, &mut input, Duration::ZERO)
        else {
            panic!("no start")
        };
        let begin = exchange.begin.expect("what it began with");
        assert_eq!((begin.request, begin.role, begin.keep_conn), (request, Role::Responder, true));
        let params = exchange.take_params();
        assert_eq!(params.get(b"REQUEST_METHOD"), Some(&b"GET"[..]));
        exchange.params = params;
        exchange.answer.respond(Status::OK).expect("a head");
        assert_eq!(session.complete(request, &mut exchange, Ok(0), Duration::ZERO), None);
        let End::Last(bytes) = session.end_exchange(request, &mut exchange) else { panic!("no end") };
        let count = bytes.len();
        session.sent(count, Duration::ZERO);
        exchange.answer.sent();
        assert!(!session.is_alive(request));
    }
}

#[test]
fn what_a_handler_failed_with_is_told_once_with_what_it_is_worth_in_a_log() {
    let mut exchange = Exchange::new(&Limits::default(), HEAD_LIMIT, None);
    let mut session: Session<1> = Session::new(Limits::default(), &Patience::new());
    let bytes = Client::new().request(1, KEEP);
    let Some(Input::Start { request }) = session.take_in(&mut exchange, &mut &bytes[..], Duration::ZERO)
    else {
        panic!("no start")
    };
    let told = session.complete(request, &mut exchange, Err("no disk".into()), Duration::ZERO);
    assert_eq!(told, Some((fcgi_proto::Level::Warn, "no disk".into())));
}
