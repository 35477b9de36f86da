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

/// A session alone with its exchange, whose parameters stay where they came.
fn in_place(watched: bool) -> (Exchange, Session<1>) {
    let exchange = Exchange::new(&Limits::default(), HEAD_LIMIT, None).watched(watched).in_place();
    (exchange, Session::new(Limits::default(), &Patience::new()))
}

/// Takes in what is in `memory` from there on: whether a request starts, and how many bytes are left.
fn starts(session: &mut Session<1>, exchange: &mut Exchange, memory: &[u8]) -> (Option<Request>, usize) {
    let mut input = memory;
    let request = match session.take_in(exchange, &mut input, Duration::ZERO) {
        Some(Input::Start { request }) => Some(request),
        _ => None,
    };
    (request, input.len())
}

#[test]
fn parameters_that_came_as_all_of_the_input_stay_in_its_memory_and_are_not_copied() {
    let (mut exchange, mut session) = in_place(false);
    for from in [0, 3] {
        let bytes = [&b"abc"[..from], &Client::new().request(1, KEEP)].concat();
        let mut memory = bytes.into_boxed_slice();
        let at = memory.as_ptr();
        let (request, left) = starts(&mut session, &mut exchange, &memory[from..]);
        let params = exchange.take_params_from(&mut memory, from);
        assert_eq!((left, memory.len()), (0, 0), "the memory is the handler's");
        assert!(params.iter().eq(fcgi_proto::pair::Pairs::new(&get())));
        assert_eq!(params.iter().rest().as_ptr().addr() - at.addr(), from + 24, "no copy");
        exchange.give_back(params, &mut memory);
        assert_eq!(memory.as_ptr(), at, "and comes back");
        let request = request.expect("a start");
        exchange.answer.respond(Status::OK).expect("a head");
        assert_eq!(session.complete(request, &mut exchange, Ok(0), Duration::ZERO), None);
        let End::Last(bytes) = session.end_exchange(request, &mut exchange) else { panic!("no end") };
        session.sent(bytes.len(), Duration::ZERO);
        exchange.answer.sent();
    }
}

#[test]
fn parameters_before_other_input_or_in_several_pieces_are_copied_as_ever() {
    let request = Client::new().request(1, KEEP).to_vec();
    for (bytes, cut) in [([&request[..], &[1]].concat(), usize::MAX), (request.clone(), 1), (request, 40)] {
        let (mut exchange, mut session) = in_place(false);
        let mut memory: Box<[u8]> = Box::default();
        for piece in bytes.chunks(cut) {
            memory = piece.into();
            if starts(&mut session, &mut exchange, &memory).0.is_some() {
                break;
            }
        }
        let before = memory.clone();
        let params = exchange.take_params_from(&mut memory, 0);
        assert!(params.iter().eq(fcgi_proto::pair::Pairs::new(&get())), "cut by {cut}");
        assert_eq!(memory, before, "the rest of the input is there");
        exchange.give_back(params, &mut memory);
        assert_eq!(memory, before);
        assert!(exchange.params.iter().eq(fcgi_proto::pair::Pairs::new(&get())), "for its memory");
    }
}

#[test]
fn parameters_in_place_that_are_no_whole_pairs_are_refused_and_kept_for_the_log() {
    let (mut exchange, mut session) = in_place(false);
    let get = get();
    let bytes = Client::new().begin(1, RESPONDER, KEEP).params(1, &get[..9]).params(1, b"").stdin(1, b"");
    assert_eq!(starts(&mut session, &mut exchange, &bytes), (None, 0));
    assert_eq!(exchange.params.iter().rest(), &get[..9]);
    let mut memory = Box::from(&bytes[..]);
    assert_eq!(exchange.take_params_from(&mut memory, 0).iter().rest(), &get[..9]);
    assert_eq!(memory.len(), bytes.len());
}

#[test]
fn parameters_that_pass_the_room_are_refused_though_they_might_stay_in_place() {
    let bytes = Client::new().request(1, KEEP);
    let whole = |params| {
        let limits = limits(|limits| limits.params = params);
        let mut exchange = Exchange::new(&limits, HEAD_LIMIT, None).in_place();
        starts(&mut Session::new(Limits::default(), &Patience::new()), &mut exchange, &bytes).0.is_some()
    };
    let room = get().len() as u32;
    assert_eq!([whole(room), whole(room - 1)], [true, false]);
}

#[test]
fn parameters_in_place_are_kept_for_an_account_too() {
    let (mut exchange, mut session) = in_place(true);
    let mut memory = Client::new().request(1, KEEP).to_vec().into_boxed_slice();
    let (request, _) = starts(&mut session, &mut exchange, &memory);
    let params = exchange.take_params_from(&mut memory, 0);
    let request = request.expect("a start");
    let account = session.account(request, &exchange, Duration::ZERO).expect("an account");
    assert!(account.params.eq(fcgi_proto::pair::Pairs::new(&get())));
    drop(params);
}

#[test]
fn memory_that_comes_back_late_is_not_put_in_the_place_of_new_memory() {
    let (mut exchange, mut session) = in_place(false);
    let mut memory = Client::new().request(1, KEEP).to_vec().into_boxed_slice();
    starts(&mut session, &mut exchange, &memory);
    let params = exchange.take_params_from(&mut memory, 0);
    memory = Box::new([7; 3]);
    exchange.give_back(params, &mut memory);
    assert_eq!(&*memory, [7; 3]);
}

#[test]
fn parameters_may_be_added_to_those_in_place() {
    let (mut exchange, mut session) = in_place(false);
    let mut memory = Client::new().request(1, KEEP).to_vec().into_boxed_slice();
    starts(&mut session, &mut exchange, &memory);
    let mut params = exchange.take_params_from(&mut memory, 0);
    params.push(b"\x01\x01AB").expect("room");
    assert!(params.iter().eq(fcgi_proto::pair::Pairs::new(&[&get()[..], b"\x01\x01AB"].concat())));
    assert!(params.push(&vec![0; Limits::default().params as usize]).is_err());
    params.clear(0);
    assert_eq!(params.iter().next(), None);
}
