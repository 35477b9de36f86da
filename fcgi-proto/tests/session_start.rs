//! How a request of a server's session begins: told of, started, refused or aborted before its handler runs; and what
//! tells it from every other.

mod session_support;
mod support;

use fcgi_proto::Limits;
use fcgi_proto::cgi::{Answer, HEAD_LIMIT};
use fcgi_proto::record::Role;
use fcgi_proto::server::Refusal;
use fcgi_proto::server::session::{End, Request, Stopped, Stream, WriteError};
use session_support::*;
use support::*;

const CANT_MPX_CONN: u8 = 1;
const OVERLOADED: u8 = 2;
const UNKNOWN_ROLE: u8 = 3;

/// What the client gets for a whole answer of this many bytes.
fn answer_of(id: u16, len: usize) -> String {
    format!("STDOUT#{id}:{len} STDOUT#{id}:0 END#{id}(0,0)")
}

#[test]
fn a_request_is_told_of_from_its_begin_to_its_start_and_ends_with_its_answer() {
    play::<1>(|line| {
        line.comes(&Client::new().request(1, KEEP));
        assert_eq!(line.story(), "BEGIN#1(Responder,true) PARAMS#1:19 START#1");
        let request = line.started(1);
        assert_eq!((request.id().get(), line.alive()), (1, 1));
        assert!(line.answer(request, PAGE), "its input is in: it ends at once");
        assert_eq!(line.answers(), answer_of(1, 37));
        assert_eq!((line.alive(), line.closed), (0, false));
        assert_eq!(line.log(), [""; 0]);
    });
}

#[test]
fn a_request_is_started_when_its_parameters_are_in_and_not_before() {
    play::<1>(|line| {
        let params = get();
        line.comes(&Client::new().begin(1, RESPONDER, KEEP).params(1, &params[..5]));
        assert_eq!(line.story(), "BEGIN#1(Responder,true) PARAMS#1:5");
        line.comes(&Client::new().params(1, &params[5..]));
        assert!(!line.runs(1));
        line.comes(&Client::new().params(1, b""));
        assert_eq!(line.story(), "BEGIN#1(Responder,true) PARAMS#1:19 START#1");
        assert!(line.runs(1), "its body need not be there");
    });
}

#[test]
fn its_role_and_whether_the_connection_is_kept_are_told_when_it_begins() {
    for (number, role) in [(RESPONDER, "Responder"), (AUTHORIZER, "Authorizer"), (FILTER, "Filter")] {
        for (flags, keeps) in [(KEEP, true), (CLOSE, false)] {
            play::<2>(|line| {
                line.comes(&Client::new().begin(1, number, flags));
                assert_eq!(line.story(), format!("BEGIN#1({role},{keeps})"));
            });
        }
    }
}

#[test]
fn an_authorizer_is_answered_without_any_input_and_none_is_waited_for() {
    play::<1>(|line| {
        line.comes(&Client::new().begin(1, AUTHORIZER, KEEP).params(1, &get()).params(1, b""));
        let request = line.started(1);
        for stream in [Stream::Stdin, Stream::Data] {
            assert_eq!(line.read(request, stream), Ok(Got::End));
        }
        assert!(line.answer(request, PAGE));
        assert_eq!(line.answers(), answer_of(1, 37));
    });
}

#[test]
fn requests_run_beside_each_other_and_end_in_any_order() {
    play::<3>(|line| {
        line.comes(&Client::new().request(3, KEEP).request(1, KEEP).request(2, KEEP));
        for id in [2, 3, 1] {
            let request = line.started(id);
            line.answer(request, &page(100));
        }
        assert_eq!(line.answers(), [2, 3, 1].map(|id| answer_of(id, 100)).join(" "));
    });
}

#[test]
fn parameters_without_room_are_refused_with_503_and_overloaded_and_nobody_else() {
    play_with::<2>(Server::with(|server| server.params = 30), |line| {
        line.comes(&Client::new().request(2, KEEP).begin(1, RESPONDER, KEEP));
        line.comes(&Client::new().params(1, &pairs(&[("A", "0123456789012345678901234567890123456789")])));
        let rest = Client::new().params(1, &get()).params(1, b"").stdin(1, b"unread").stdin(1, b"");
        line.comes(&rest);
        assert!(!line.runs(1));
        assert_eq!(line.answers(), refused(1, OVERLOADED));
        assert_eq!(line.log(), ["Warn: request 1: refused: overloaded"]);
        let other = line.started(2);
        assert!(line.answer(other, PAGE));
        line.comes(&Client::new().request(1, KEEP));
        assert!(line.runs(1), "its id is free");
    });
}

#[test]
fn parameters_that_are_no_whole_pairs_are_refused_with_400_and_no_handler_runs() {
    play::<2>(|line| {
        let half = &get()[..18];
        line.comes(&Client::new().begin(1, RESPONDER, KEEP).params(1, half).params(1, b"").stdin(1, b""));
        assert!(!line.runs(1));
        assert_eq!(line.answers(), malformed(1));
        assert_eq!(line.log(), ["Warn: request 1: refused: malformed request"]);
        assert_eq!((line.alive(), line.closed), (0, false));
    });
}

#[test]
fn a_request_is_refused_in_the_place_of_one_that_waited_to_write_when_it_ended() {
    play_with::<1>(Server::with(|server| server.params = 30), |line| {
        line.comes(&Client::new().request(1, KEEP));
        let first = line.started(1);
        line.takes(0);
        line.writes(first, &page(20_000));
        assert_eq!(line.write(first, &page(20_000)), Ok(0), "the client takes nothing");
        assert!(line.finish(first), "it gives up");
        let long = pairs(&[("A", "0123456789012345678901234567890123456789")]);
        line.comes(&Client::new().begin(1, RESPONDER, KEEP).params(1, &long).params(1, b"").stdin(1, b""));
        assert!(!line.runs(1));
        line.takes(usize::MAX);
        assert_eq!(line.answers(), format!("{} {}", answer_of(1, 20_000), refused(1, OVERLOADED)));
        assert_eq!(line.alive(), 0);
    });
}

#[test]
fn a_role_without_a_handler_is_refused_with_503_and_unknown_role() {
    play_with::<2>(Server::with(|server| server.role = Some(Role::Responder)), |line| {
        line.comes(&Client::new().begin(1, AUTHORIZER, KEEP).params(1, &get()).params(1, b""));
        assert_eq!(line.answers(), refused(1, UNKNOWN_ROLE));
        line.comes(&Client::new().request(1, KEEP));
        assert!(line.runs(1));
    });
}

#[test]
fn a_role_that_is_none_is_refused_at_once_and_never_told() {
    play::<2>(|line| {
        line.comes(&Client::new().begin(1, 9, KEEP));
        assert_eq!((line.story(), line.answers()), ("", refused(1, UNKNOWN_ROLE)));
        assert_eq!(line.log(), ["Warn: request 1: refused: unknown role"]);
        line.comes(&Client::new().params(1, &get()).params(1, b"").stdin(1, b"").request(1, KEEP));
        assert_eq!(line.story(), "BEGIN#1(Responder,true) PARAMS#1:19 START#1");
    });
}

#[test]
fn more_requests_than_the_server_takes_are_refused_by_the_caller_when_they_begin() {
    play_with::<4>(Server::with(|server| server.requests = 2), |line| {
        line.comes(&Client::new().request(1, KEEP).request(2, KEEP).request(3, KEEP));
        assert_eq!(line.answers(), refused(3, OVERLOADED));
        let first = line.started(1);
        line.answer(first, PAGE);
        line.comes(&Client::new().request(3, KEEP));
        assert!(line.runs(2) && line.runs(3));
    });
}

#[test]
fn a_second_request_on_a_connection_of_one_is_refused_and_the_first_goes_on() {
    play::<1>(|line| {
        line.comes(&Client::new().head(1, KEEP).request(2, KEEP).stdin(1, b"body").stdin(1, b""));
        assert_eq!(line.answers(), refused(2, CANT_MPX_CONN));
        assert_eq!(line.log(), ["Warn: request 2: refused: one request at a time on this connection"]);
        let first = line.started(1);
        assert_eq!(line.read_all(first, Stream::Stdin), (b"body".to_vec(), Ok(Got::End)));
        assert!(line.answer(first, PAGE));
    });
}

#[test]
fn a_request_that_finds_the_table_full_is_refused_and_finds_room_later() {
    play::<2>(|line| {
        line.comes(&Client::new().request(1, KEEP).request(7, KEEP).request(8, KEEP));
        assert_eq!(line.answers(), refused(8, OVERLOADED));
        let request = line.started(7);
        line.answer(request, PAGE);
        line.comes(&Client::new().request(8, KEEP));
        assert!(line.runs(1) && line.runs(8) && !line.runs(7));
    });
}

#[test]
fn ids_of_any_size_find_their_places_and_their_requests() {
    const IDS: [u16; 8] = [65_535, 1, 40_000, 9, 17, 2, 65_534, 33];
    play::<8>(|line| {
        let all = IDS.iter().fold(Client::new(), |client, id| client.head(*id, KEEP));
        line.comes(&all);
        assert_eq!(line.alive(), 8);
        let bodies =
            IDS.iter().fold(Client::new(), |client, id| client.stdin(*id, &id.to_be_bytes()).stdin(*id, b""));
        line.comes(&bodies);
        for id in IDS {
            let request = line.started(id);
            assert!(request.slot() < 8);
            assert_eq!(line.read_all(request, Stream::Stdin), (id.to_be_bytes().to_vec(), Ok(Got::End)));
            assert!(line.answer(request, PAGE));
        }
        let slots = line.handles().into_iter().map(Request::slot);
        assert_eq!(slots.collect::<std::collections::HashSet<_>>().len(), 8);
    });
}

#[test]
fn parameters_beyond_the_protocols_limit_end_the_request_and_it_is_forgotten() {
    let server = Server::with(|server| server.limits = Limits { params: 10, ..Limits::new() });
    play_with::<2>(server, |line| {
        line.comes(&Client::new().begin(1, RESPONDER, KEEP).params(1, b"12345").params(1, &get()));
        assert_eq!(line.story(), "BEGIN#1(Responder,true) PARAMS#1:5 OVER#1");
        assert_eq!(line.answers(), too_large(1));
        assert!(line.output(STDOUT, 1).starts_with(b"Status: 431 Request Header Fields Too Large\r\n"));
        // What an operator can change has its name.
        let log = "Warn: request 1: refused: more parameters than Limits::params, 10 bytes";
        assert_eq!(line.log(), [log]);
    });
}

#[test]
fn a_body_before_the_end_of_the_parameters_ends_the_request_and_no_other() {
    play::<2>(|line| {
        line.comes(&Client::new().head(2, KEEP).begin(1, RESPONDER, KEEP).stdin(1, b"early"));
        assert_eq!(line.answers(), malformed(1));
        assert!(line.story().ends_with("OVER#1"), "{}", line.story());
        line.comes(&Client::new().stdin(2, b""));
        let other = line.started(2);
        assert!(line.answer(other, PAGE));
    });
}

#[test]
fn an_abort_before_the_start_ends_the_request_and_no_handler_runs() {
    for params in [&b""[..], b"12345"] {
        play::<1>(|line| {
            let client = Client::new().begin(1, RESPONDER, KEEP);
            line.comes(&if params.is_empty() { client } else { client.params(1, params) }.abort(1));
            assert!(line.story().ends_with("OVER#1") && !line.runs(1));
            assert_eq!(line.answers(), "STDOUT#1:0 END#1(0,0)");
            assert_eq!((line.alive(), line.log()), (0, vec![]), "an abort is everyday");
            line.comes(&Client::new().request(1, KEEP));
            assert!(line.runs(1));
        });
    }
}

#[test]
fn the_end_of_input_before_the_start_ends_the_request_without_an_answer() {
    play::<2>(|line| {
        line.comes(&Client::new().request(2, KEEP).begin(1, RESPONDER, KEEP).params(1, b"12345"));
        line.closes();
        assert!(line.story().ends_with("OVER#1") && !line.closed, "the other is answered");
        assert_eq!(line.log(), ["Debug: the client closed before the end of the request's input"]);
        let other = line.started(2);
        assert!(line.answer(other, PAGE));
        assert_eq!(line.answers(), answer_of(2, 37));
        assert!(line.closed);
    });
}

#[test]
fn what_is_no_fastcgi_ends_requests_before_their_start_and_others_are_answered() {
    play::<2>(|line| {
        line.comes(&Client::new().request(2, KEEP).begin(1, RESPONDER, KEEP).raw(b"GET / HTTP/1.1\r\n"));
        assert!(line.story().ends_with("OVER#1"));
        assert_eq!(line.log(), ["Warn: record of protocol version 71, not 1"]);
        let other = line.started(2);
        assert!(line.answer(other, PAGE));
        assert_eq!(line.answers(), answer_of(2, 37));
    });
}

#[test]
fn a_failed_read_or_write_before_the_start_ends_the_request() {
    for fails in [Line::read_fails, Line::write_fails] {
        play::<1>(|line| {
            line.comes(&Client::new().begin(1, RESPONDER, KEEP).params(1, b"12345"));
            fails(line);
            assert!(line.story().ends_with("OVER#1") && line.closed);
            assert_eq!(line.log(), ["Debug: the connection failed: the answer is cut off"]);
        });
    }
}

#[test]
fn values_are_told_before_between_and_during_requests() {
    let server = Server::with(|server| server.limits = Limits { max_conns: 5, ..Limits::new() });
    play_with::<4>(server, |line| {
        let ask = Client::new().get_values(VALUES);
        line.comes(&ask);
        assert_eq!(line.answers(), "VALUES");
        let text = String::from_utf8_lossy(&line.records()[0].content).into_owned();
        assert!(text.contains("FCGI_MAX_CONNS5") && text.contains("FCGI_MAX_REQS20"), "{text}");
        line.comes(&Client::new().head(1, KEEP).raw(&ask).stdin(1, b"").raw(&ask));
        assert_eq!(line.answers(), "VALUES VALUES VALUES");
        let request = line.started(1);
        line.answer(request, PAGE);
        line.comes(&ask);
        assert_eq!(line.answers(), format!("VALUES VALUES VALUES {} VALUES", answer_of(1, 37)));
        assert_eq!((line.log(), line.alive()), (vec![], 0));
    });
}

#[test]
fn an_unknown_management_type_is_answered_and_the_connection_goes_on() {
    play::<1>(|line| {
        line.comes(&Client::new().record(99, 0, b"unknown").request(1, KEEP));
        assert_eq!(line.answers(), "UNKNOWN_TYPE(99)");
        let request = line.started(1);
        assert!(line.answer(request, PAGE));
    });
}

#[test]
fn nothing_more_is_taken_in_while_a_reply_waits_for_the_client() {
    play::<2>(|line| {
        line.takes(0);
        let asks = (0..40).fold(Client::new(), |client, _| client.get_values(VALUES));
        line.comes(&asks.request(1, KEEP));
        assert!(line.runs(1), "what was handed out is not in the way");
        line.takes(usize::MAX);
        assert_eq!(line.answers(), ["VALUES"; 40].join(" "));
    });
    play::<2>(|line| {
        line.takes(0);
        let asks = (0..2000).fold(Client::new(), |client, _| client.get_values(VALUES));
        line.comes(&asks.request(1, KEEP));
        assert!(!line.runs(1) && !line.reads(), "64 KiB wait to be sent");
        assert!(line.unread() > 0);
        line.takes(usize::MAX);
        assert!(line.runs(1));
    });
}

#[test]
fn an_id_is_used_again_when_its_request_has_ended() {
    play::<1>(|line| {
        let mut handles = Vec::new();
        for _ in 0..5 {
            line.comes(&Client::new().request(1, KEEP));
            let request = line.started(1);
            handles.push(request);
            assert!(line.answer(request, PAGE));
        }
        handles.dedup();
        assert_eq!(handles.len(), 5, "each is told from the others");
        assert_eq!(line.answers(), [1; 5].map(|id| answer_of(id, 37)).join(" "));
    });
}

/// All that can be done with a request that is over says so.
fn is_told_that_it_is_over<const N: usize>(line: &mut Line<N>, old: Request) {
    let now = line.now;
    let mut answer = Answer::new(HEAD_LIMIT);
    let over = WriteError::Stopped(Stopped::Over);
    assert!(!line.session.is_alive(old));
    assert!(line.session.is_gone(old));
    for stream in [Stream::Stdin, Stream::Data] {
        assert_eq!(line.session.read(old, stream, now), Err(Stopped::Over));
    }
    assert_eq!(line.session.may_answer(old), Err(Stopped::Over));
    assert_eq!(line.session.stdout(old, b"x").map(drop), Err(Stopped::Over));
    assert_eq!(line.session.stderr(old, b"x").map(drop), Err(Stopped::Over));
    assert_eq!(line.session.write(old, &mut answer, &page(40_000), now).map(drop), Err(over));
    assert_eq!(line.session.write_stderr(old, &mut answer, b"x", now).map(drop), Err(over));
    assert_eq!(line.session.flush(old, &mut answer, now).map(drop), Err(over));
    assert_eq!(line.session.finish_answer(old, &mut answer, Some("failed"), now), Ok(()));
    assert!(!line.session.room(old));
    line.session.refuse_full(old);
    line.session.refuse_malformed(old);
    line.session.refuse_role(old);
    line.session.finish(old, now);
    assert!(matches!(line.session.end(old, 7), End::Over));
    assert!(matches!(line.session.end_answer(old, &mut answer, 7), End::Over));
    assert_eq!(line.session.failure_level(old), fcgi_proto::Level::Debug);
    line.run();
}

#[test]
fn a_request_that_its_caller_refused_is_over_for_it_at_once() {
    play::<2>(|line| {
        line.comes(&Client::new().request(1, KEEP).begin(2, RESPONDER, KEEP));
        let (running, begun) = (line.started(1), line.request(2));
        line.session.refuse_full(running);
        line.session.refuse_full(begun);
        is_told_that_it_is_over(line, running);
        is_told_that_it_is_over(line, begun);
        assert_eq!(line.answers(), format!("{} {}", refused(1, OVERLOADED), refused(2, OVERLOADED)));
        assert_eq!(line.alive(), 0);
    });
}

#[test]
fn a_handle_that_is_old_says_so_and_never_touches_the_next_request_of_its_id() {
    play::<2>(|line| {
        line.comes(&Client::new().request(1, KEEP));
        let old = line.started(1);
        assert!(line.answer(old, PAGE));
        is_told_that_it_is_over(line, old);
        line.comes(&Client::new().head(1, KEEP));
        let new = line.started(1);
        assert_ne!(old, new);
        is_told_that_it_is_over(line, old);
        line.comes(&Client::new().stdin(1, b"body").stdin(1, b""));
        assert_eq!(line.read_all(new, Stream::Stdin), (b"body".to_vec(), Ok(Got::End)));
        is_told_that_it_is_over(line, old);
        assert!(line.answer(new, PAGE));
        assert_eq!(line.answers(), [1; 2].map(|id| answer_of(id, 37)).join(" "));
        assert_eq!(line.log(), [""; 0]);
    });
}

#[test]
fn an_id_that_was_refused_while_its_handler_runs_begins_again_beside_it() {
    play::<2>(|line| {
        line.comes(&Client::new().begin(1, FILTER, KEEP).params(1, &get()).params(1, b""));
        let old = line.started(1);
        line.comes(&Client::new().data(1, b"before STDIN has ended"));
        assert_eq!(line.answers(), malformed(1));
        line.comes(&Client::new().head(1, KEEP));
        let new = line.started(1);
        assert!(old != new && old.slot() != new.slot());
        assert_eq!(line.alive(), 2, "its handler runs, and counts");
        let refused = Stopped::Refused(Refusal::Malformed);
        assert_eq!(line.read(old, Stream::Stdin), Err(refused));
        assert_eq!(line.write(old, &page(40_000)), Err(WriteError::Stopped(refused)));
        assert_eq!(line.stdout(old, b"x"), Err(refused));
        line.comes(&Client::new().stdin(1, b"body").stdin(1, b""));
        assert_eq!(line.read_all(new, Stream::Stdin), (b"body".to_vec(), Ok(Got::End)));
        line.finish(old);
        assert!(line.is_over(old) && line.alive() == 1);
        assert!(line.answer(new, PAGE));
        assert_eq!(line.answers(), format!("{} {}", malformed(1), answer_of(1, 37)));
    });
}

#[test]
fn as_many_handlers_run_as_there_are_places_however_often_requests_are_refused() {
    play::<2>(|line| {
        let filter = Client::new().begin(1, FILTER, KEEP).params(1, &get()).params(1, b"").data(1, b"early");
        line.comes(&(0..10).fold(Client::new(), |client, _| client.raw(&filter)));
        let running: Vec<_> = line.handles().into_iter().filter(|request| !line.is_over(*request)).collect();
        assert_eq!((running.len(), line.alive()), (2, 2));
        for request in running {
            line.finish(request);
        }
        line.comes(&Client::new().request(1, KEEP));
        assert!(line.runs(1));
    });
}

#[test]
fn a_request_with_the_id_of_one_whose_input_is_in_waits_for_its_end() {
    play::<4>(|line| {
        line.comes(&Client::new().request(1, KEEP).request(1, KEEP).request(1, CLOSE));
        for _ in 0..2 {
            let request = line.started(1);
            assert!(!line.reads(), "what is behind it waits, in the transport too");
            assert!(line.answer(request, PAGE));
            assert!(request != line.started(1));
        }
        let last = line.started(1);
        assert!(line.answer(last, PAGE));
        assert_eq!(line.answers(), [answer_of(1, 37), answer_of(1, 37), answer_of(1, 37)].join(" "));
        assert!(line.log().is_empty());
    });
}

#[test]
fn a_request_with_the_id_of_one_whose_input_is_not_in_is_an_error() {
    play::<4>(|line| {
        line.comes(&Client::new().head(1, KEEP).request(1, KEEP));
        let request = line.started(1);
        assert_eq!(line.log(), ["Warn: request 1 begins while it is active"]);
        assert!(line.answer(request, PAGE));
    });
}

#[test]
fn who_watches_is_told_of_a_request_with_its_id_rather_than_waited_for() {
    for first in [true, false] {
        play::<4>(|line| {
            line.comes(&Client::new().request(1, KEEP));
            let request = line.started(1);
            assert!(first || !line.session.is_gone(request));
            line.comes(&Client::new().request(1, KEEP));
            assert_eq!(line.log().is_empty(), first, "nothing is behind one that waits");
            assert!(!line.session.is_gone(request), "it may still be answered");
            line.run();
            assert!(line.looked(request));
            assert_eq!(line.log(), ["Warn: request 1 begins while it is active"]);
        });
    }
}
