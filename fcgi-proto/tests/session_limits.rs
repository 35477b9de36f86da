//! How long anything may take in a server's session: every wait has a limit, as a whole where a client could trickle,
//! and its passing means something.

mod session_support;
mod support;

use std::time::Duration;

use fcgi_proto::Limits;
use fcgi_proto::cgi::{HEAD_LIMIT, Status};
use fcgi_proto::server::Session;
use fcgi_proto::server::session::{
    Exchange, Input, Leave, Patience, Stopped, Stream, Wait, Write, WriteError,
};
use session_support::*;
use support::*;

fn posted(id: u16, flags: u8) -> Client {
    Client::new().head(id, flags)
}

/// A request on a kept connection, answered.
fn one_is_answered<const N: usize>(line: &mut Line<N>) {
    line.comes(&Client::new().request(1, KEEP));
    let request = line.started(1);
    assert!(line.answer(request, PAGE));
}

fn late(wait: Wait, seconds: u64) -> Stopped {
    Stopped::TimedOut { wait, limit: secs(seconds) }
}

const LATE_PARAMS: &str = "Warn: the client sent no whole parameters within 30 s";

#[test]
fn parameters_may_take_30_s_from_their_first_byte_however_they_trickle() {
    play::<1>(|line| {
        line.comes(&Client::new().begin(1, RESPONDER, KEEP));
        for byte in &get()[..14] {
            line.wait(secs(2));
            line.comes(&Client::new().params(1, &[*byte]));
        }
        line.wait(secs(2) - MOMENT);
        assert_eq!((line.alive(), line.closed), (1, false));
        line.wait(MOMENT);
        assert!(line.story().ends_with("OVER#1") && line.shut.is_some() && !line.closed);
        line.wait(millis(150));
        assert!(line.closed, "nothing was answered that could be lost");
        assert_eq!(line.log(), [LATE_PARAMS]);
        assert_eq!(line.sent, b"");
    });
}

#[test]
fn parameters_that_are_whole_in_time_are_waited_for_no_longer() {
    play::<1>(|line| {
        line.comes(&Client::new().begin(1, RESPONDER, KEEP));
        line.wait(secs(30) - MOMENT);
        line.comes(&Client::new().params(1, &get()).params(1, b""));
        line.wait(secs(1000));
        assert!(line.runs(1) && !line.closed && line.at().is_none());
    });
}

#[test]
fn a_request_too_slow_to_begin_ends_the_input_of_all_and_those_that_run_are_answered() {
    play::<3>(|line| {
        line.comes(&Client::new().request(1, KEEP).head(2, KEEP).begin(3, RESPONDER, KEEP));
        let (first, second) = (line.started(1), line.started(2));
        line.wait(secs(30));
        assert!(line.story().ends_with("OVER#3") && !line.reads());
        assert_eq!(line.stdin(second), Err(late(Wait::Params, 30)));
        assert_eq!(line.log(), [LATE_PARAMS]);
        assert!(line.answer(first, PAGE) && line.answer(second, PAGE));
        assert_eq!(line.shut, Some(line.sent.len()), "the answers are not lost with what comes late");
        line.closes();
        assert!(line.closed);
    });
}

#[test]
fn half_a_record_on_a_connection_without_a_request_may_take_30_s() {
    for answered in [false, true] {
        play::<1>(|line| {
            if answered {
                one_is_answered(line);
            }
            line.comes(&[1, BEGIN, 0]);
            line.wait(secs(29));
            line.comes(&[1]);
            line.wait(secs(1) - MOMENT);
            assert!(!line.closed);
            line.wait(MOMENT);
            assert_eq!(line.log(), [LATE_PARAMS]);
            assert!(line.closed || line.shut.is_some());
            line.wait(secs(5));
            assert!(line.closed);
        });
    }
}

#[test]
fn a_request_whose_first_bytes_come_at_the_end_of_the_idle_time_has_its_30_s() {
    play::<1>(|line| {
        one_is_answered(line);
        line.wait(secs(299));
        let request = Client::new().request(1, KEEP);
        line.comes(&request[..5]);
        line.wait(secs(29));
        assert!(!line.closed, "to close would cost that request");
        line.comes(&request[5..]);
        assert!(line.runs(1));
    });
}

#[test]
fn half_records_and_questions_in_turn_do_not_hold_a_connection_for_ever() {
    play::<1>(|line| {
        let ask = Client::new().get_values(VALUES);
        line.comes(&ask[..3]);
        let mut rounds = 0;
        while !line.closed && rounds < 100 {
            line.wait(secs(29));
            line.comes(&[&ask[3..], &ask[..3]].concat());
            rounds += 1;
        }
        assert!(line.closed && rounds <= (300 + 30) / 29 + 1, "{rounds}");
    });
}

#[test]
fn a_connection_without_a_request_is_idle_for_300_s_and_closes_without_a_word() {
    for answered in [false, true] {
        play::<1>(|line| {
            if answered {
                one_is_answered(line);
            }
            line.wait(secs(300) - MOMENT);
            assert!(!line.closed);
            line.wait(MOMENT);
            assert!(line.closed && line.shut.is_none());
            assert_eq!(line.log(), [""; 0]);
        });
    }
}

#[test]
fn a_connection_is_idle_from_when_its_last_answer_has_left() {
    play::<1>(|line| {
        line.takes(0);
        line.comes(&Client::new().request(1, KEEP));
        let request = line.started(1);
        assert!(line.answer(request, PAGE));
        line.wait(secs(20));
        line.takes(usize::MAX);
        line.wait(secs(300) - MOMENT);
        assert!(!line.closed);
        line.wait(MOMENT);
        assert!(line.closed);
    });
}

#[test]
fn questions_between_requests_do_not_renew_the_idle_time_and_requests_do() {
    play::<1>(|line| {
        for _ in 0..2 {
            line.wait(secs(290));
            one_is_answered(line);
        }
        for _ in 0..29 {
            line.wait(secs(10));
            line.comes(&Client::new().get_values(VALUES).abort(7));
        }
        line.wait(secs(10) - MOMENT);
        assert!(!line.closed);
        line.wait(MOMENT);
        assert!(line.closed);
    });
}

#[test]
fn a_reader_waits_30_s_for_the_next_byte_of_a_body() {
    play::<2>(|line| {
        line.comes(&posted(1, KEEP).request(2, KEEP));
        let request = line.started(1);
        assert_eq!(line.stdin(request), Ok(Got::Nothing));
        line.wait(secs(30) - MOMENT);
        assert!(!line.looked(request));
        line.wait(MOMENT);
        assert!(line.looked(request));
        assert_eq!(line.stdin(request), Err(late(Wait::Body, 30)));
        assert!(line.finish_as(request, Some("late"), 0).unwrap(), "its input is not drained");
        let other = line.started(2);
        assert!(line.answer(other, PAGE), "the others go on");
        assert!(!line.closed);
    });
}

#[test]
fn a_reader_waits_no_longer_where_a_body_that_nobody_takes_is_before_its_own() {
    play_with::<2>(Server::with(|server| (server.room, server.disk) = (100, 100)), |line| {
        line.comes(&posted(2, KEEP).head(1, KEEP).stdin(1, &body(250)).stdin(2, b"behind it"));
        let reader = line.started(2);
        assert_eq!(line.stdin(reader), Ok(Got::Nothing));
        assert!(!line.reads());
        line.wait(secs(30) - MOMENT);
        assert!(!line.looked(reader));
        line.wait(MOMENT);
        assert!(line.looked(reader));
        assert_eq!(line.stdin(reader), Err(late(Wait::Body, 30)));
    });
}

#[test]
fn a_body_that_trickles_uses_up_the_time_to_wait_for_it() {
    play::<1>(|line| {
        line.comes(&posted(1, KEEP));
        let request = line.started(1);
        let began = line.now;
        while line.stdin(request).is_ok() && line.now < began + secs(1000) {
            line.wait(secs(1));
            if (line.now - began).as_secs() % 20 == 0 {
                line.comes(&Client::new().stdin(1, b"x"));
                assert_eq!(line.stdin(request), Ok(Got::Bytes(b"x".to_vec())));
            }
        }
        assert_eq!(line.now - began, secs(31), "30 s, and 2 ms for each byte");
        assert_eq!(line.stdin(request), Err(late(Wait::Body, 30)));
    });
}

#[test]
fn a_body_of_500_bytes_a_second_may_take_for_ever() {
    play::<1>(|line| {
        line.comes(&posted(1, KEEP));
        let request = line.started(1);
        for _ in 0..50 {
            assert_eq!(line.stdin(request), Ok(Got::Nothing));
            line.wait(secs(20));
            line.comes(&Client::new().stdin(1, &body(10_000)));
            assert_eq!(line.stdin(request), Ok(Got::Bytes(body(10_000))));
        }
    });
}

#[test]
fn a_body_is_not_waited_for_while_its_handler_does_something_else() {
    play::<1>(|line| {
        line.comes(&posted(1, KEEP));
        let request = line.started(1);
        for byte in [b"1", b"2", b"3"] {
            line.wait(secs(100));
            assert_eq!(line.at(), None);
            assert_eq!(line.stdin(request), Ok(Got::Nothing));
            line.wait(secs(9));
            line.comes(&Client::new().stdin(1, byte));
            assert_eq!(line.stdin(request), Ok(Got::Bytes(byte.to_vec())));
        }
        assert_eq!(line.stdin(request), Ok(Got::Nothing));
        line.wait(secs(3) + millis(6) - MOMENT);
        assert_eq!(line.stdin(request), Ok(Got::Nothing));
        line.wait(MOMENT);
        assert_eq!(line.stdin(request), Err(late(Wait::Body, 30)), "30 s in all, and 2 ms for each byte");
    });
}

#[test]
fn an_answer_that_waits_for_its_body_uses_up_the_same_time() {
    play_with::<1>(Server::with(|server| server.disk = 1000), |line| {
        line.comes(&posted(1, KEEP));
        let request = line.started(1);
        assert_eq!(line.stdin(request), Ok(Got::Nothing));
        line.wait(secs(20));
        line.comes(&Client::new().stdin(1, b"x"));
        assert_eq!(line.stdin(request), Ok(Got::Bytes(b"x".to_vec())));
        line.write(request, &page(40_000)).unwrap();
        line.wait(secs(10));
        assert!(!line.looked(request));
        line.wait(millis(2));
        assert!(line.looked(request));
    });
}

#[test]
fn a_client_may_take_nothing_of_an_answer_for_30_s() {
    play::<2>(|line| {
        line.comes(&posted(1, KEEP).request(2, KEEP));
        let (reader, writer) = (line.started(1), line.started(2));
        line.takes(10);
        line.writes(writer, &page(20_000));
        assert_eq!(line.write(writer, &page(20_000)).map(|count| count < 20_000), Ok(true));
        line.wait(secs(29));
        assert_eq!(line.stdin(reader), Ok(Got::Nothing));
        line.wait(secs(1) - MOMENT);
        assert!(!line.looked(writer));
        line.wait(MOMENT);
        assert!(line.looked(writer) && line.looked(reader));
        assert_eq!(line.write(writer, &page(20_000)), Err(WriteError::Stopped(late(Wait::Write, 30))));
        assert_eq!(line.stdin(reader), Err(late(Wait::Write, 30)));
        line.takes = usize::MAX;
        assert!(line.finish(writer) && line.finish(reader));
        assert!(
            line.closed && line.sent.len() == 10,
            "nothing is sent that would be taken for the rest of a record"
        );
        assert_eq!(line.log(), ["Warn: the client took no byte of the answer for 30 s"]);
    });
}

#[test]
fn a_client_that_takes_a_byte_now_and_then_uses_up_the_time_to_wait_for_it() {
    play::<1>(|line| {
        line.comes(&Client::new().request(1, CLOSE));
        let (request, began) = (line.started(1), line.now);
        line.takes(0);
        assert!(line.answer(request, &page(20_000)));
        while !line.closed && line.now < began + secs(1000) {
            line.wait(secs(20));
            line.takes(1);
        }
        assert!(line.closed && line.sent.len() == 1);
    });
}

#[test]
fn a_client_that_takes_500_bytes_a_second_may_take_for_ever() {
    play::<1>(|line| {
        line.comes(&Client::new().request(1, KEEP));
        let request = line.started(1);
        let (page, mut written) = (page(1_000_000), 0);
        line.takes(0);
        for _ in 0..100 {
            written += line.write(request, &page[written..]).unwrap();
            line.wait(secs(20));
            line.takes(10_000);
        }
        line.takes(usize::MAX);
        written += line.write(request, &page[written..]).unwrap();
        assert_eq!(written, page.len());
        assert!(line.finish(request));
        assert_eq!(line.output(STDOUT, 1), page);
    });
}

#[test]
fn a_client_that_takes_each_small_piece_late_uses_up_the_time_to_wait_for_it() {
    play::<1>(|line| {
        line.comes(&Client::new().request(1, KEEP));
        let (request, began) = (line.started(1), line.now);
        line.writes(request, PAGE);
        assert_eq!(line.flush(request), Ok(true));
        line.takes(0);
        while line.now < began + secs(1000) {
            match line.flush(request) {
                Ok(true) => line.writes(request, b"a small piece"),
                Ok(false) => panic!("it was taken"),
                Err(_) => break,
            }
            assert_eq!(line.flush(request), Ok(false));
            line.wait(secs(20));
            line.takes(100);
            line.takes(0);
        }
        assert_eq!(line.now - began, secs(40));
    });
}

#[test]
fn a_client_that_took_an_answer_late_has_all_the_time_for_the_next() {
    play::<1>(|line| {
        for _ in 0..5 {
            line.comes(&Client::new().request(1, KEEP));
            let request = line.started(1);
            line.takes(0);
            assert!(line.answer(request, PAGE));
            line.wait(secs(29));
            line.takes(usize::MAX);
        }
        assert!(!line.closed);
    });
}

#[test]
fn questions_whose_answers_are_not_read_end_the_connection_after_30_s() {
    play::<1>(|line| {
        line.takes(0);
        for _ in 0..29 {
            line.comes(&Client::new().get_values(VALUES));
            line.wait(secs(1));
        }
        assert!(!line.closed);
        line.wait(secs(1));
        assert!(line.closed);
    });
}

#[test]
fn the_end_of_a_connection_takes_5_s_however_a_client_trickles_on() {
    play::<1>(|line| {
        line.comes(&Client::new().request(1, CLOSE));
        let request = line.started(1);
        assert!(line.answer(request, PAGE) && line.shut.is_some());
        for _ in 0..49 {
            line.wait(millis(100));
            line.comes(b"x");
        }
        assert!(!line.closed && line.reads());
        line.wait(millis(100));
        assert!(line.closed && line.unread() == 0);
        assert_eq!(line.log(), [""; 0]);
    });
}

#[test]
fn what_still_comes_on_a_connection_that_ends_is_read_up_to_a_limit() {
    let server = Server::with(|server| server.patience = patience(|patience| patience.drain_limit = 1000));
    play_with::<1>(server, |line| {
        line.comes(&Client::new().request(1, CLOSE));
        let request = line.started(1);
        line.answer(request, PAGE);
        line.comes(&body(999));
        assert!(!line.closed);
        line.comes(b"x");
        assert!(line.closed);
    });
}

#[test]
fn a_transport_that_does_not_shut_down_is_dropped_after_5_s() {
    play::<1>(|line| {
        line.shuts = false;
        line.comes(&Client::new().request(1, CLOSE));
        let request = line.started(1);
        line.answer(request, PAGE);
        line.wait(secs(5) - MOMENT);
        assert!(!line.closed);
        line.wait(MOMENT);
        assert!(line.closed);
    });
}

#[test]
fn to_say_again_that_writing_was_shut_down_or_unasked_gives_no_more_time() {
    play::<1>(|line| {
        let now = line.now;
        line.session.shut(now);
        line.comes(&Client::new().request(1, KEEP));
        let request = line.started(1);
        line.wait(secs(5));
        assert!(!line.closed && line.answer(request, PAGE), "nobody had asked for it");
        line.comes(&Client::new().request(1, CLOSE));
        let request = line.started(1);
        line.answer(request, PAGE);
        line.wait(secs(4));
        let now = line.now;
        line.session.shut(now);
        line.wait(secs(1));
        assert!(line.closed);
    });
}

#[test]
fn a_graceful_end_takes_60_s_at_most_and_cuts_off_what_has_not_ended() {
    play::<2>(|line| {
        line.comes(&posted(1, KEEP).request(2, KEEP));
        let (reader, endless) = (line.started(1), line.started(2));
        line.leave(Leave::Shutdown);
        line.writes(endless, PAGE);
        for _ in 0..59 {
            line.writes(endless, &body(1000));
            line.comes(&Client::new().stdin(1, &body(1000)));
            line.wait(secs(1));
            line.read_all(reader, Stream::Stdin).1.unwrap();
            line.leave(Leave::Shutdown);
        }
        assert!(!line.closed);
        line.wait(secs(1));
        assert!(line.closed, "though handlers run");
        let why = late(Wait::Shutdown, 60);
        assert_eq!(line.write(endless, &page(40_000)), Err(WriteError::Stopped(why)));
        assert_eq!(line.stdin(reader), Err(why));
        assert_eq!(line.log(), ["Warn: the server was shut down, and the request did not end within 60 s"]);
        assert!(line.finish(reader) && line.finish(endless));
        assert_eq!(line.session.deadline(), None);
    });
}

#[test]
fn a_patience_without_an_end_is_never_due() {
    let forever = patience(|patience| {
        for limit in [
            &mut patience.idle,
            &mut patience.params,
            &mut patience.read,
            &mut patience.write,
            &mut patience.drain,
            &mut patience.shutdown,
        ] {
            *limit = Duration::MAX;
        }
    });
    play_with::<2>(Server::with(|server| server.patience = forever), |line| {
        line.wait(secs(1_000_000));
        line.comes(&posted(1, CLOSE));
        let request = line.started(1);
        line.wait(secs(1_000_000));
        assert!(!line.closed && line.at().is_none());
        line.writes(request, PAGE);
        line.leave(Leave::Shutdown);
        line.finish(request);
        assert!(line.is_over(request) && line.shut.is_some());
        line.wait(secs(1_000_000));
        assert!(!line.closed && line.reads());
        line.closes();
        assert!(line.closed);
    });
}

#[test]
fn a_request_that_is_over_has_nothing_that_is_due() {
    let early = Server::with(|server| server.limits = Limits { params: 30, ..Limits::new() });
    let ends: [fn() -> Client; 4] = [
        || Client::new().begin(1, RESPONDER, KEEP).abort(1),
        || Client::new().begin(1, RESPONDER, KEEP).stdin(1, b"early"),
        || Client::new().begin(1, RESPONDER, KEEP).params(1, &[0; 31]),
        || Client::new().begin(1, RESPONDER, KEEP).params(1, b"half").params(1, b""),
    ];
    for end in ends {
        play_with::<2>(early, |line| {
            line.comes(&end());
            assert_eq!(line.alive(), 0);
            let wakes = line.wakes;
            line.wait(secs(100));
            assert!(!line.closed && line.wakes - wakes <= 1, "{} times", line.wakes - wakes);
            line.comes(&Client::new().head(1, KEEP));
            assert!(line.runs(1));
        });
    }
    let drained = Server::with(|server| server.patience = patience(|patience| patience.drain_limit = 10));
    play_with::<2>(drained, |line| {
        line.comes(&posted(1, KEEP));
        let request = line.started(1);
        assert!(!line.answer(request, PAGE));
        line.comes(&Client::new().stdin(1, &body(100)));
        assert!(line.is_over(request));
        let wakes = line.wakes;
        line.wait(secs(100));
        assert!(line.wakes - wakes <= 2, "{} times", line.wakes - wakes);
    });
}

#[test]
fn an_end_that_waits_for_room_is_due_when_the_client_is() {
    let drained = Server::with(|server| server.patience = patience(|patience| patience.drain_limit = 10));
    play_with::<2>(drained, |line| {
        line.comes(&Client::new().request(2, KEEP).head(1, KEEP));
        let (request, large) = (line.started(1), line.started(2));
        line.writes(request, PAGE);
        line.comes(&Client::new().stdin(1, &body(5)));
        line.takes(0);
        line.writes(large, &page(20_000));
        line.finish(request);
        line.comes(&Client::new().stdin(1, &body(100)));
        line.finish(large);
        line.wait(secs(29));
        assert!(!line.closed);
        line.wait(secs(1));
        assert!(line.closed);
    });
}

#[test]
fn a_client_that_lets_each_write_block_uses_up_the_time_to_wait_for_it_and_one_that_does_not_uses_none() {
    for (blocked, cut) in [(secs(20), true), (millis(9), false)] {
        let mut session: Session<1> = Session::new(Limits::default(), &Patience::new());
        let bytes = Client::new().request(1, KEEP);
        let mut input = &bytes[..];
        let mut exchange = Exchange::new(&Limits::default(), HEAD_LIMIT, None);
        let mut now = secs(1);
        let Some(Input::Start { request }) = session.take_in(&mut exchange, &mut input, now) else {
            panic!("it starts")
        };
        exchange.answer.respond(Status::OK).unwrap();
        let mut result = Ok(());
        for _ in 0..1000 {
            let written = session.write(request, &mut exchange.answer, b"a small piece", now).map(drop);
            result = written.and_then(|()| match session.flush(request, &mut exchange.answer, now)? {
                Write::Send(batch) => {
                    let (since, count) = (now, batch.slices().iter().map(|slice| slice.len()).sum());
                    exchange.answer.sent();
                    now += blocked;
                    session.sent_since(since, count, now);
                    Ok(())
                }
                _ => Ok(()),
            });
            if result.is_err() {
                break;
            }
        }
        assert_eq!(result.is_err(), cut, "each write blocked for {blocked:?}: {result:?}");
    }
}

#[test]
fn between_requests_the_time_to_come_back_is_that_of_this_wait_and_of_none_before() {
    play::<1>(|line| {
        for _ in 0..3 {
            one_is_answered(line);
            assert_eq!(line.at(), Some(secs(300)));
            line.wait(secs(10));
        }
    });
}

#[test]
fn the_rest_of_a_record_that_is_handed_in_as_its_time_has_come_is_in_time() {
    let record = Client::new().get_values(VALUES);
    let (half, rest) = record.split_at(5);
    let mut session = Session::<1>::new(Limits::new(), &Patience::new());
    assert!(session.receive(&mut &half[..], secs(1)).is_none());
    let due = session.next(secs(1)).at.unwrap();
    assert!(session.receive(&mut &rest[..], due).is_none());
    session.expire(due);
    let next = session.next(due);
    assert!(next.write && !next.close && session.poll_report().is_none(), "{next:?}");
}

#[test]
fn a_client_that_left_as_its_time_has_come_was_not_late() {
    let mut session = Session::<1>::new(Limits::new(), &Patience::new());
    assert!(session.receive(&mut &[1, BEGIN, 0][..], secs(1)).is_none());
    let due = session.next(secs(1)).at.unwrap();
    session.end_of_input();
    session.expire(due);
    session.next(due);
    let report = session.poll_report().unwrap();
    assert_eq!(report.to_string(), fcgi_proto::ConnectionError::UnexpectedEof { missing: 5 }.to_string());
}

#[test]
fn a_time_that_is_later_than_any_comes_once() {
    let mut session = Session::<1>::new(Limits::new(), &Patience::new());
    session.next(secs(1));
    assert!(session.expire(Duration::MAX));
    assert!(!session.expire(Duration::MAX), "nothing is due any more");
}
