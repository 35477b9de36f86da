//! When an answer leaves, in a server's session: held back until the request's input is in, let go, in whose turn; and
//! what a client that does not take it, an abort or a failed write mean.

mod session_support;
mod support;

use fcgi_proto::cgi::HeadError;
use fcgi_proto::server::session::{End, Stopped, Stream, Wait, Write, WriteError};
use session_support::*;
use support::*;

/// More than an answer gathers.
const LARGE: usize = 40_000;

/// What an answer gathers at most before some of it has to leave: its head's limit and 8 KiB.
const GATHERED: usize = 16 * 1024;

fn posted(id: u16) -> Client {
    Client::new().head(id, KEEP)
}

fn filter(id: u16) -> Client {
    Client::new().begin(id, FILTER, KEEP).params(id, &get()).params(id, b"")
}

fn stopped(why: Stopped) -> WriteError {
    WriteError::Stopped(why)
}

#[test]
fn a_small_answer_waits_for_its_end_and_leaves_with_it_in_one_piece() {
    play::<1>(|line| {
        line.comes(&Client::new().request(1, KEEP));
        let request = line.started(1);
        line.writes(request, PAGE);
        line.writes(request, b"Hello");
        assert_eq!(line.write_stderr(request, b"a line\n"), Ok(7));
        line.wait(secs(1000));
        assert_eq!(line.sent.len(), 72, "what is on STDERR takes with it what is before it");
        line.writes(request, b", world");
        line.finish(request);
        assert_eq!(line.output(STDOUT, 1), [PAGE, b"Hello, world"].concat());
        assert_eq!(line.answers(), "STDOUT#1:42 STDERR#1:7 STDOUT#1:7 STDERR#1:0 STDOUT#1:0 END#1(0,0)");
    });
    play::<1>(|line| {
        line.comes(&Client::new().request(1, KEEP));
        let (request, now) = (line.started(1), line.now);
        let mut answer = fcgi_proto::cgi::Answer::new(8192);
        answer.reset(None);
        assert!(matches!(line.session.write(request, &mut answer, PAGE, now), Ok(Write::Taken(37))));
        assert!(!line.session.next(now).write);
        line.session.finish_answer(request, &mut answer, None, now).unwrap();
        let End::Last(bytes) = line.session.end_answer(request, &mut answer, 0) else { panic!() };
        assert_eq!(answer_records(bytes).len(), 3);
    });
}

#[test]
fn a_large_answer_leaves_as_it_is_written_once_the_input_is_in() {
    play::<1>(|line| {
        line.comes(&Client::new().request(1, KEEP));
        let request = line.started(1);
        line.writes(request, &page(LARGE));
        assert!(line.sent.len() > LARGE - 16);
        line.writes(request, &body(200_000));
        assert!(line.finish(request));
        assert_eq!(line.output(STDOUT, 1), [page(LARGE), body(200_000)].concat());
    });
}

#[test]
fn an_answer_is_held_back_until_the_requests_input_is_in() {
    play::<1>(|line| {
        line.comes(&posted(1).stdin(1, &body(1000)));
        let request = line.started(1);
        assert_eq!(line.stdin(request), Ok(Got::Bytes(body(1000))));
        let written = line.write(request, &page(LARGE)).unwrap();
        assert!(
            written <= GATHERED && line.sent.is_empty(),
            "what has room waits, the rest with its handler"
        );
        line.comes(&Client::new().stdin(1, &body(1000)));
        assert!(line.sent.is_empty());
        line.comes(&Client::new().stdin(1, b""));
        assert!(line.looked(request));
        line.writes(request, &page(LARGE)[written..]);
        assert!(line.finish(request));
        assert_eq!(line.output(STDOUT, 1), page(LARGE));
    });
}

#[test]
fn a_handler_that_copies_its_body_gets_all_of_it_before_anything_leaves() {
    let server = Server::with(|server| (server.room, server.disk) = (1000, 1_000_000));
    play_with::<1>(server, |line| {
        line.comes(&posted(1));
        let request = line.started(1);
        line.writes(request, PAGE);
        let mut left = Vec::new();
        let mut goes_on = |line: &mut Line<1>| {
            loop {
                let count = line.write(request, &left).unwrap();
                left.drain(..count);
                match left[..] {
                    [] => match line.stdin(request) {
                        Ok(Got::Bytes(bytes)) => left = bytes,
                        got => return got,
                    },
                    _ => return Ok(Got::Nothing),
                }
            }
        };
        for part in body(100_000).chunks(20_000) {
            line.comes(&Client::new().stdin(1, part));
            assert_eq!(goes_on(line), Ok(Got::Nothing));
            assert_eq!(line.unread(), 0, "while it waits to write, its body is on disk");
        }
        assert_eq!(line.sent, b"");
        line.comes(&Client::new().stdin(1, b""));
        assert_eq!(goes_on(line), Ok(Got::End));
        assert!(line.finish(request));
        assert_eq!(line.output(STDOUT, 1).len(), 37 + 100_000);
    });
}

#[test]
fn a_flush_lets_an_answer_go_before_its_input_is_in_and_what_is_written_then() {
    play::<1>(|line| {
        line.comes(&posted(1));
        let request = line.started(1);
        line.writes(request, PAGE);
        assert_eq!(line.sent, b"");
        assert_eq!(line.flush(request), Ok(true));
        assert_eq!(line.answers(), "STDOUT#1:37");
        line.writes(request, &body(LARGE));
        assert!(line.output(STDOUT, 1).len() > LARGE - GATHERED);
        line.writes(request, b"a line\n");
        assert_eq!(line.flush(request), Ok(true));
        assert_eq!(line.output(STDOUT, 1).len(), 37 + LARGE + 7);
        line.comes(&Client::new().stdin(1, b"body").stdin(1, b""));
        assert_eq!(line.read_all(request, Stream::Stdin), (b"body".to_vec(), Ok(Got::End)));
        assert!(line.finish(request));
    });
}

#[test]
fn a_flush_of_nothing_or_of_half_a_head_sends_nothing() {
    play::<1>(|line| {
        line.comes(&posted(1));
        let request = line.started(1);
        assert_eq!(line.flush(request), Ok(true));
        line.writes(request, b"Status: 200 OK\r\n");
        assert_eq!(line.write_stderr(request, b"a line\n"), Ok(7));
        assert_eq!(line.flush(request), Ok(true));
        assert_eq!(line.sent, b"", "the head leaves whole and first");
        line.writes(request, b"Content-Type: a/b\r\n\r\n");
        assert_eq!(line.flush(request), Ok(true));
        assert_eq!(line.answers(), "STDOUT#1:37 STDERR#1:7");
    });
}

#[test]
fn a_flush_waits_until_the_client_has_taken_all() {
    play::<1>(|line| {
        line.comes(&posted(1));
        let request = line.started(1);
        line.takes(10);
        line.writes(request, PAGE);
        assert_eq!(line.flush(request), Ok(false));
        assert!(!line.looked(request));
        line.takes(37);
        assert!(!line.looked(request), "48 bytes with the header and the padding");
        line.takes(1);
        assert!(line.looked(request));
        assert_eq!(line.flush(request), Ok(true));
    });
}

#[test]
fn the_end_of_the_clients_direction_lets_an_answer_go() {
    for ends in [Line::closes, Line::read_fails] {
        play::<1>(|line| {
            line.comes(&posted(1));
            let request = line.started(1);
            let written = line.write(request, &page(LARGE)).unwrap();
            assert!(written < LARGE);
            ends(line);
            assert!(line.looked(request));
            line.writes(request, &page(LARGE)[written..]);
            assert!(line.finish(request));
            assert_eq!(line.output(STDOUT, 1), page(LARGE));
        });
    }
}

#[test]
fn a_body_that_has_no_room_in_memory_or_on_disk_lets_an_answer_go() {
    let server = Server::with(|server| (server.room, server.disk) = (1000, 2000));
    play_with::<1>(server, |line| {
        line.comes(&posted(1).stdin(1, &body(1000)));
        let request = line.started(1);
        let written = line.write(request, &page(LARGE)).unwrap();
        line.comes(&Client::new().stdin(1, &body(2000)));
        assert!(line.sent.is_empty(), "it is on disk");
        line.looked(request);
        line.comes(&Client::new().stdin(1, &body(100)));
        assert!(!line.reads());
        line.writes(request, &page(LARGE)[written..]);
        assert!(line.sent.len() > LARGE - GATHERED);
    });
}

#[test]
fn a_handler_that_goes_on_without_its_body_may_read_it_later() {
    let server = Server::with(|server| (server.room, server.disk) = (1000, 2000));
    play_with::<1>(server, |line| {
        line.comes(&posted(1).stdin(1, &body(4000)));
        let request = line.started(1);
        line.writes(request, &page(LARGE));
        line.wait(secs(100));
        let (mut came, mut ends) = line.read_all(request, Stream::Stdin);
        assert_eq!((came.len(), ends), (4000, Ok(Got::Nothing)));
        line.comes(&Client::new().stdin(1, b"end").stdin(1, b""));
        (came, ends) = line.read_all(request, Stream::Stdin);
        assert_eq!((came, ends), (b"end".to_vec(), Ok(Got::End)));
    });
    // It flushes instead of waiting for its input any longer.
    play::<1>(|line| {
        line.comes(&posted(1));
        let request = line.started(1);
        let written = line.write(request, &page(LARGE)).unwrap();
        assert!(written < LARGE);
        assert_eq!(line.flush(request), Ok(true));
        line.wait(secs(100));
        assert_eq!(line.stdin(request), Ok(Got::Nothing), "nothing was waited for meanwhile");
        line.comes(&Client::new().stdin(1, b"").stdin(1, b""));
        assert_eq!(line.stdin(request), Ok(Got::End));
    });
}

#[test]
fn a_handler_that_reads_nothing_waits_for_a_body_that_pauses_no_longer_than_that() {
    play::<1>(|line| {
        line.comes(&posted(1));
        let request = line.started(1);
        let written = line.write(request, &page(LARGE)).unwrap();
        line.wait(millis(100));
        line.comes(&Client::new().stdin(1, &body(10)));
        line.wait(millis(100));
        assert!(line.sent.is_empty());
        line.looked(request);
        assert_eq!(line.write(request, &page(LARGE)[written..]), Ok(0), "the body comes still");
        line.wait(millis(50));
        assert!(line.looked(request), "150 ms after the last of it");
        line.writes(request, &page(LARGE)[written..]);
    });
}

#[test]
fn a_handler_that_reads_its_body_waits_as_long_as_it_would_to_read() {
    play::<1>(|line| {
        line.comes(&posted(1).stdin(1, b"some"));
        let request = line.started(1);
        assert_eq!(line.stdin(request), Ok(Got::Bytes(b"some".to_vec())));
        assert_eq!(line.stdin(request), Ok(Got::Nothing));
        line.comes(&Client::new().stdin(1, b"more"));
        assert_eq!(line.stdin(request), Ok(Got::Bytes(b"more".to_vec())));
        let written = line.write(request, &page(LARGE)).unwrap();
        line.wait(secs(30) - MOMENT);
        assert!(!line.looked(request) && line.sent.is_empty());
        assert_eq!(line.write(request, &page(LARGE)[written..]), Ok(0));
        line.wait(MOMENT);
        assert!(line.looked(request), "it goes on without");
        line.writes(request, &page(LARGE)[written..]);
        assert!(line.sent.len() > LARGE - GATHERED);
    });
}

#[test]
fn a_filters_answer_never_leaves_before_its_body_has_ended() {
    play::<1>(|line| {
        line.comes(&filter(1));
        let request = line.started(1);
        line.writes(request, PAGE);
        assert_eq!(line.flush(request), Ok(false), "section 6.1");
        line.comes(&Client::new().stdin(1, &body(100)));
        assert_eq!((line.sent.len(), line.flush(request)), (0, Ok(false)));
        line.comes(&Client::new().stdin(1, b""));
        assert!(line.looked(request));
        assert_eq!(line.flush(request), Ok(true), "its file need not have");
        assert_eq!(line.answers(), "STDOUT#1:37");
    });
}

#[test]
fn a_filter_that_writes_is_told_when_the_end_of_its_body_never_comes() {
    let late = Stopped::TimedOut { wait: Wait::Body, limit: secs(30) };
    for (time, why, stop) in [
        (secs(30), late, (|_| {}) as fn(&mut Line<1>)),
        (secs(0), Stopped::Closed, Line::closes),
        (secs(0), Stopped::Broken, Line::read_fails),
    ] {
        for flushes in [false, true] {
            play::<1>(|line| {
                line.comes(&filter(1));
                let request = line.started(1);
                let written = line.write(request, &page(LARGE)).unwrap();
                if flushes {
                    assert_eq!(line.flush(request), Ok(false));
                }
                stop(line);
                let wakes = line.wakes;
                line.wait(time);
                assert!(line.wakes <= wakes + 2, "{} times", line.wakes - wakes);
                assert!(line.looked(request));
                assert_eq!(line.write(request, &page(LARGE)[written..]), Err(stopped(why)));
                assert_eq!(line.flush(request), Err(stopped(why)));
                assert!(line.finish_as(request, Some("failed"), 0).unwrap(), "and it ends");
                assert_eq!(line.answers(), malformed(1));
            });
        }
    }
}

#[test]
fn a_filter_that_makes_its_own_records_waits_for_its_body_to_end_and_not_for_ever() {
    play::<1>(|line| {
        line.comes(&filter(1));
        let request = line.started(1);
        assert_eq!(line.stdout(request, PAGE), Ok(0));
        line.comes(&Client::new().stdin(1, b""));
        assert!(line.looked(request));
        assert_eq!(line.stdout(request, PAGE), Ok(37));
    });
    play::<1>(|line| {
        line.comes(&filter(1));
        let request = line.started(1);
        assert_eq!(line.stdout(request, PAGE), Ok(0));
        line.wait(secs(30));
        assert!(line.looked(request));
        let late = Stopped::TimedOut { wait: Wait::Body, limit: secs(30) };
        assert_eq!(line.stdout(request, PAGE), Err(late));
        assert!(line.finish(request));
    });
}

#[test]
fn records_of_the_callers_own_leave_before_the_input_is_in_and_are_cut_where_a_record_ends() {
    play::<1>(|line| {
        line.comes(&posted(1));
        let request = line.started(1);
        assert_eq!(line.stdout(request, &page(100_000)), Ok(100_000));
        assert_eq!(line.stderr(request, b"a line\n"), Ok(7));
        line.comes(&Client::new().stdin(1, b""));
        assert!(line.finish(request));
        assert_eq!(line.answers(), "STDOUT#1:100000 STDERR#1:7 STDERR#1:0 STDOUT#1:0 END#1(0,0)");
        assert_eq!(line.records().len(), 6);
    });
}

#[test]
fn two_that_write_much_take_turns() {
    play::<2>(|line| {
        line.comes(&Client::new().request(1, KEEP).request(2, KEEP));
        let requests = [line.started(1), line.started(2)];
        let now = line.now;
        let page = page(1_000_000);
        let mut answers = [0, 1].map(|_| fcgi_proto::cgi::Answer::new(8192));
        let mut left = [&page[..], &page[..]];
        let mut order = Vec::new();
        while order.len() < 12 {
            for at in [0, 1] {
                match line.session.write(requests[at], &mut answers[at], left[at], now).unwrap() {
                    Write::Taken(count) => left[at] = &left[at][count..],
                    Write::Send(batch) => {
                        let len = batch.slices().iter().map(|part| part.len()).sum();
                        left[at] = &left[at][batch.taken..];
                        answers[at].sent();
                        order.push(at);
                        line.session.sent(len, now);
                    }
                    Write::Wait => {}
                }
            }
            while line.session.receive(&mut &[][..], now).is_some() {}
        }
        for pair in order.windows(2) {
            assert_ne!(pair[0], pair[1], "{order:?}");
        }
    });
}

#[test]
fn one_that_is_alone_gives_way_to_nobody() {
    play::<2>(|line| {
        line.comes(&Client::new().request(1, KEEP));
        let (request, now) = (line.started(1), line.now);
        for _ in 0..3 {
            assert!(matches!(line.session.stdout(request, b"x"), Ok(Some(_))));
            line.session.sent(16, now);
        }
    });
}

#[test]
fn who_waited_to_write_and_gave_up_is_passed_over() {
    play::<3>(|line| {
        line.comes(&Client::new().request(1, KEEP).request(2, KEEP).request(3, KEEP));
        let [first, second, third] = [1, 2, 3].map(|id| line.started(id));
        line.takes(0);
        line.writes(third, &page(20_000));
        assert_eq!(line.write(first, &page(LARGE)).map(|count| count < LARGE), Ok(true));
        assert_eq!(line.write(second, &page(LARGE)).map(|count| count < LARGE), Ok(true));
        line.takes(usize::MAX);
        assert!(line.looked(first) && line.looked(second));
        // The first was called, and does not write.
        line.writes(second, &body(200_000));
        line.writes(third, &body(200_000));
        assert!(line.finish(second) && line.finish(third) && line.finish(first));
    });
}

#[test]
fn a_waiting_writer_that_ends_or_is_aborted_holds_up_nobody() {
    for ends in [(|line, first| assert!(line.finish(first))) as fn(&mut Line<2>, _), |line, _| {
        line.comes(&Client::new().abort(1))
    }] {
        play::<2>(|line| {
            line.comes(&Client::new().request(1, KEEP).request(2, KEEP));
            let [first, second] = [1, 2].map(|id| line.started(id));
            line.takes(0);
            line.writes(second, &page(20_000));
            line.write(first, &page(LARGE)).unwrap();
            ends(line, first);
            line.takes(usize::MAX);
            line.writes(second, &body(200_000));
            assert!(line.finish(second));
        });
    }
}

#[test]
fn a_record_that_has_begun_to_leave_is_finished_before_another_begins() {
    play::<2>(|line| {
        line.comes(&Client::new().request(1, KEEP).request(2, KEEP));
        let [first, second] = [1, 2].map(|id| line.started(id));
        line.takes(100);
        line.writes(first, &page(20_000));
        assert_eq!(line.write(second, &page(20_000)).map(|count| count < 20_000), Ok(true));
        line.comes(&Client::new().get_values(VALUES));
        line.takes(usize::MAX);
        assert!(line.finish(first) && line.looked(second));
        assert!(line.answers().starts_with("STDOUT#1:20000 VALUES"), "{}", line.answers());
        line.records();
    });
}

#[test]
fn no_request_ends_and_nothing_is_read_while_64_kib_wait_for_the_client() {
    play::<3>(|line| {
        line.comes(&Client::new().request(1, KEEP).request(2, KEEP).head(3, KEEP));
        let [first, second, third] = [1, 2, 3].map(|id| line.started(id));
        line.takes(0);
        line.writes(first, &page(65_535));
        assert_eq!(line.stdin(third), Ok(Got::Nothing));
        line.writes(second, PAGE);
        assert!(!line.finish(first) && !line.finish(second) && !line.reads());
        line.comes(&Client::new().stdin(3, b""));
        assert!(!line.looked(third), "nothing is taken in");
        line.takes(usize::MAX);
        assert!(line.is_over(first) && line.is_over(second) && line.looked(third));
        assert_eq!(line.answers(), "STDOUT#1:65535 STDOUT#1:0 END#1(0,0) STDOUT#2:37 STDOUT#2:0 END#2(0,0)");
    });
}

#[test]
fn what_is_written_after_an_abort_is_taken_and_thrown_away() {
    play::<2>(|line| {
        line.comes(&posted(1).head(2, KEEP));
        let (request, other) = (line.started(1), line.started(2));
        let written = line.write(request, &page(LARGE)).unwrap();
        line.comes(&Client::new().abort(1));
        assert!(line.looked(request));
        line.writes(request, &page(LARGE)[written..]);
        line.writes(request, &body(200_000));
        assert_eq!(line.write_stderr(request, &body(200_000)), Ok(200_000));
        assert_eq!(line.flush(request), Ok(true));
        assert_eq!(line.sent, b"");
        // While the client takes nothing, too.
        line.takes(0);
        assert_eq!(line.write(other, PAGE), Ok(37));
        assert_eq!(line.flush(other), Ok(false));
        line.writes(request, &body(200_000));
        assert_eq!(line.write_stderr(request, &body(200_000)), Ok(200_000));
        line.takes(usize::MAX);
        assert!(line.finish_as(request, Some("failed"), 5).unwrap());
        assert_eq!(line.answers(), "STDOUT#2:37 STDOUT#1:0 END#1(5,0)");
    });
}

#[test]
fn an_abort_in_mid_answer_ends_it_after_the_record_that_has_begun() {
    play::<1>(|line| {
        line.comes(&posted(1));
        let request = line.started(1);
        line.writes(request, PAGE);
        line.takes(20);
        assert_eq!(line.flush(request), Ok(false));
        line.comes(&Client::new().abort(1));
        line.writes(request, &body(200_000));
        assert_eq!(line.stdout(request, b"x"), Ok(1), "with records of its own, too");
        line.takes(usize::MAX);
        assert!(line.finish(request));
        assert_eq!(line.answers(), "STDOUT#1:37 STDOUT#1:0 END#1(0,0)");
    });
}

#[test]
fn after_a_failed_write_nothing_is_handed_out_any_more_and_all_are_told() {
    play::<3>(|line| {
        line.comes(&posted(1).request(2, KEEP).head(3, KEEP));
        let [reader, writer, done] = [1, 2, 3].map(|id| line.started(id));
        assert_eq!(line.stdin(reader), Ok(Got::Nothing));
        line.takes(10);
        line.writes(writer, &page(20_000));
        line.write(writer, &page(20_000)).unwrap();
        line.writes(done, PAGE);
        assert!(!line.finish(done));
        line.write_fails();
        assert!(line.looked(reader) && line.looked(writer));
        assert!(line.is_over(done), "it was drained");
        let broken = Stopped::Broken;
        assert_eq!(line.stdin(reader), Err(broken));
        for request in [reader, writer] {
            assert_eq!(line.write(request, &page(LARGE)), Err(stopped(broken)));
            assert_eq!(line.flush(request), Err(stopped(broken)));
            assert_eq!(line.write_stderr(request, b"x"), Err(stopped(broken)));
            assert_eq!(line.stdout(request, b"x"), Err(broken));
            assert_eq!(line.finish_as(request, Some("failed"), 0), Ok(true));
        }
        assert!(line.closed && line.alive() == 0);
        assert_eq!(line.sent.len(), 10);
        assert_eq!(line.log(), ["Debug: the connection failed: the answer is cut off"]);
    });
}

#[test]
fn a_failed_read_lets_what_is_answered_leave() {
    play::<2>(|line| {
        line.comes(&posted(1).request(2, KEEP));
        let [first, second] = [1, 2].map(|id| line.started(id));
        line.read_fails();
        assert!(line.answer(first, PAGE) && line.answer(second, PAGE));
        assert!(line.closed);
        assert_eq!(line.answers(), "STDOUT#1:37 STDOUT#1:0 END#1(0,0) STDOUT#2:37 STDOUT#2:0 END#2(0,0)");
    });
}

#[test]
fn stderr_waits_for_the_head_and_leaves_behind_it() {
    play::<1>(|line| {
        line.comes(&Client::new().request(1, KEEP));
        let request = line.started(1);
        assert_eq!(line.write_stderr(request, b"early\n"), Ok(6));
        assert_eq!(line.sent, b"");
        line.writes(request, PAGE);
        assert_eq!(line.write_stderr(request, b"later\n"), Ok(6));
        assert_eq!(line.answers(), "STDOUT#1:37 STDERR#1:12");
        assert!(line.finish(request));
        assert!(line.answers().ends_with("STDERR#1:0 STDOUT#1:0 END#1(0,0)"));
    });
}

#[test]
fn stderr_of_any_length_leaves_whole_and_is_held_back_like_the_answer() {
    play::<1>(|line| {
        line.comes(&posted(1));
        let request = line.started(1);
        line.writes(request, PAGE);
        let taken = line.write_stderr(request, &body(100_000)).unwrap();
        assert!(taken < 40_000 && line.sent.is_empty());
        line.comes(&Client::new().stdin(1, b""));
        assert_eq!(line.write_stderr(request, &body(100_000)[taken..]), Ok(100_000 - taken));
        assert!(line.finish(request));
        assert_eq!(line.output(STDERR, 1), body(100_000));
        assert_eq!(line.output(STDOUT, 1), PAGE);
    });
}

#[test]
fn a_head_that_cannot_be_sent_is_an_error_at_once() {
    play::<1>(|line| {
        line.comes(&Client::new().request(1, KEEP));
        let request = line.started(1);
        let long = HeadError::TooLong { limit: 8192 };
        assert_eq!(line.write(request, &[b'a'; 9000]), Err(WriteError::Head(long)));
        assert_eq!(line.flush(request), Err(WriteError::Head(long)));
        assert_eq!(line.sent, b"");
    });
}

#[test]
fn a_reply_to_a_question_leaves_between_two_records_of_a_large_answer() {
    play::<1>(|line| {
        line.comes(&posted(1));
        let request = line.started(1);
        assert_eq!(line.stdout(request, &page(65_535)), Ok(65_535));
        line.comes(&Client::new().get_values(VALUES));
        assert_eq!(line.stdout(request, &body(1000)), Ok(1000));
        assert_eq!(line.answers(), "STDOUT#1:65535 VALUES STDOUT#1:1000");
    });
}
