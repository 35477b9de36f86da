//! What of a request's input is wanted, skipped or kept waiting, in a server's session; and what its handler is told
//! when no more of it comes.

mod session_support;
mod support;

use fcgi_proto::server::Refusal;
use fcgi_proto::server::session::{Input, Leave, Read, Stopped, Stream, Wait};
use fcgi_proto::{ConnectionError, Limits};
use session_support::*;
use support::*;

/// A request whose body is to come.
fn posted(id: u16) -> Client {
    Client::new().head(id, KEEP)
}

/// A Filter whose bodies are to come.
fn filter(id: u16) -> Client {
    Client::new().begin(id, FILTER, KEEP).params(id, &get()).params(id, b"")
}

/// Memory for this many bytes of a request's input, and so much more on disk.
fn room(room: usize, disk: usize) -> Server {
    Server::with(|server| (server.room, server.disk) = (room, disk))
}

#[test]
fn a_reader_waits_for_its_body_gets_it_as_it_comes_and_is_told_its_end() {
    play::<1>(|line| {
        line.comes(&posted(1));
        let request = line.started(1);
        assert_eq!(line.stdin(request), Ok(Got::Nothing));
        line.comes(&Client::new().stdin(1, b"one"));
        assert!(line.looked(request));
        assert_eq!(line.stdin(request), Ok(Got::Bytes(b"one".to_vec())));
        assert_eq!(line.stdin(request), Ok(Got::Nothing));
        line.comes(&Client::new().padding(&[0; 5]).stdin(1, b"two").stdin(1, b"three").stdin(1, b""));
        assert_eq!(line.read_all(request, Stream::Stdin), (b"twothree".to_vec(), Ok(Got::End)));
        assert_eq!(line.stdin(request), Ok(Got::End), "it stays so");
        assert_eq!(line.read(request, Stream::Data), Ok(Got::End), "a Responder has none");
    });
}

#[test]
fn a_body_that_came_before_it_is_read_is_there() {
    play::<1>(|line| {
        line.comes(&posted(1).stdin(1, &body(300)).stdin(1, b""));
        let request = line.started(1);
        assert_eq!(line.read_all(request, Stream::Stdin), (body(300), Ok(Got::End)));
    });
}

#[test]
fn an_empty_body_ends_at_once() {
    play::<1>(|line| {
        line.comes(&posted(1));
        let request = line.started(1);
        assert_eq!(line.stdin(request), Ok(Got::Nothing));
        line.comes(&Client::new().stdin(1, b""));
        assert!(line.looked(request));
        assert_eq!(line.stdin(request), Ok(Got::End));
    });
}

#[test]
fn a_handlers_share_of_memory_is_full_and_nothing_more_is_read_until_it_reads() {
    play_with::<1>(room(100, 1000), |line| {
        line.comes(&posted(1).stdin(1, &body(250)).stdin(1, b""));
        let request = line.started(1);
        assert!(!line.reads(), "its handler does something else");
        assert!(line.unread() >= 150);
        assert_eq!(line.stdin(request), Ok(Got::Bytes(body(250)[..100].to_vec())));
        assert!(!line.reads(), "the next hundred are there");
        assert_eq!(line.read_all(request, Stream::Stdin), (body(250)[100..].to_vec(), Ok(Got::End)));
        assert!(line.reads());
        assert_eq!(line.unread(), 0);
    });
}

#[test]
fn who_waits_to_read_gets_what_was_left_of_what_has_no_room() {
    play_with::<1>(room(10, 0), |line| {
        line.comes(&posted(1));
        let request = line.started(1);
        assert_eq!(line.stdin(request), Ok(Got::Nothing));
        line.comes(&Client::new().stdin(1, &body(25)));
        for part in [0..10, 10..20, 20..25] {
            assert_eq!(line.stdin(request), Ok(Got::Bytes(body(25)[part].to_vec())));
        }
        assert_eq!(line.stdin(request), Ok(Got::Nothing));
    });
}

#[test]
fn what_is_not_taken_is_at_the_front_of_the_input_and_comes_again_with_the_next_read() {
    play::<1>(|line| {
        line.comes(&posted(1));
        let (request, now) = (line.started(1), line.now);
        let bytes = Client::new().stdin(1, b"abcdef").stdin(1, b"").to_vec();
        let mut at = 0;
        let mut receive = |line: &mut Line<1>, count: usize| {
            let mut input = &bytes[at..];
            let event = line.session.receive(&mut input, now);
            at = bytes.len() - input.len();
            let Input::Body { stream: Stream::Stdin, data, spool: false, .. } = event? else {
                panic!("{event:?}")
            };
            line.session.took(count);
            at -= data.len().saturating_sub(count);
            Some(data.to_vec())
        };
        assert_eq!(receive(line, 2), Some(b"abcdef".to_vec()));
        assert_eq!(receive(line, 0), None, "it has no room");
        assert!(!line.session.next(now).read);
        assert!(line.session.room(request), "something waited for room");
        assert!(!line.session.room(request));
        assert!(line.session.next(now).read);
        assert_eq!(receive(line, 0), Some(b"cdef".to_vec()));
        assert_eq!(receive(line, 0), None);
        assert_eq!(line.session.read(request, Stream::Stdin, now), Ok(Read::Wait));
        assert_eq!(receive(line, 99), Some(b"cdef".to_vec()), "more than all is all");
        assert_eq!(bytes[at..], Client::new().stdin(1, b"")[..]);
    });
}

#[test]
fn to_say_late_how_much_was_taken_changes_nothing() {
    play::<2>(|line| {
        line.comes(&posted(1).stdin(1, b"whole"));
        let request = line.started(1);
        line.session.took(0);
        line.comes(&Client::new().stdin(1, b"").request(2, KEEP));
        assert_eq!(line.read_all(request, Stream::Stdin), (b"whole".to_vec(), Ok(Got::End)));
        assert!(line.answer(request, PAGE));
        line.session.took(0);
        line.comes(&Client::new().request(1, KEEP));
        assert!(line.runs(1) && line.runs(2));
    });
}

#[test]
fn a_body_that_fills_its_share_holds_up_others_only_while_nobody_waits_for_what_is_behind_it() {
    play_with::<2>(room(100, 1000), |line| {
        line.comes(&posted(1).stdin(1, &body(250)).request(2, KEEP));
        assert!(line.runs(1) && !line.runs(2), "its handler is busy, and the connection waits with it");
        assert!(!line.reads());
        let first = line.started(1);
        assert_eq!(line.stdin(first), Ok(Got::Bytes(body(250)[..100].to_vec())));
        line.read_all(first, Stream::Stdin).1.unwrap();
        assert!(line.runs(2));
    });
    play_with::<2>(room(100, 1000), |line| {
        line.comes(
            &posted(2).head(1, KEEP).stdin(1, &body(250)).stdin(2, b"behind it").stdin(2, b"").stdin(1, b""),
        );
        let (first, second) = (line.started(1), line.started(2));
        assert_eq!(
            line.read_all(second, Stream::Stdin),
            (b"behind it".to_vec(), Ok(Got::End)),
            "150 bytes are on disk"
        );
        assert_eq!(line.read_all(first, Stream::Stdin), (body(250), Ok(Got::End)));
    });
}

#[test]
fn where_there_is_no_room_on_disk_either_others_wait_for_the_handler() {
    play_with::<2>(room(100, 100), |line| {
        line.comes(&posted(2).head(1, KEEP).stdin(1, &body(250)).stdin(2, b"behind it").stdin(2, b""));
        let (first, second) = (line.started(1), line.started(2));
        assert_eq!(line.stdin(second), Ok(Got::Nothing));
        assert!(!line.reads());
        assert_eq!(line.stdin(first), Ok(Got::Bytes(body(250)[..200].to_vec())));
        assert!(line.looked(second));
        assert_eq!(line.stdin(second), Ok(Got::Bytes(b"behind it".to_vec())));
    });
}

#[test]
fn a_filter_reads_its_file_behind_its_body() {
    play::<1>(|line| {
        line.comes(&filter(1).stdin(1, b"body").stdin(1, b"").data(1, b"file").data(1, b""));
        let request = line.started(1);
        assert_eq!(line.read_all(request, Stream::Stdin), (b"body".to_vec(), Ok(Got::End)));
        assert_eq!(line.read_all(request, Stream::Data), (b"file".to_vec(), Ok(Got::End)));
    });
}

#[test]
fn a_filter_that_reads_its_file_passes_by_what_is_left_of_its_body() {
    play_with::<1>(room(10, 0), |line| {
        line.comes(&filter(1).stdin(1, &body(50)));
        let request = line.started(1);
        assert_eq!(line.stdin(request), Ok(Got::Bytes(body(50)[..10].to_vec())));
        assert!(!line.reads(), "the next ten are there, and more");
        // What was kept is of no use to it.
        line.stdin(request).unwrap();
        assert_eq!(line.read(request, Stream::Data), Ok(Got::Nothing));
        assert!(line.reads(), "the rest is thrown away");
        line.comes(&Client::new().stdin(1, &body(500)).stdin(1, b"").data(1, b"file"));
        assert!(line.looked(request));
        assert_eq!(line.read(request, Stream::Data), Ok(Got::Bytes(b"file".to_vec())));
        line.comes(&Client::new().data(1, b""));
        assert_eq!(line.read(request, Stream::Data), Ok(Got::End));
    });
}

#[test]
fn a_filter_that_waits_for_its_file_is_called_when_its_body_has_ended_and_waits_on() {
    play::<1>(|line| {
        line.comes(&filter(1));
        let request = line.started(1);
        assert_eq!(line.read(request, Stream::Data), Ok(Got::Nothing));
        line.comes(&Client::new().stdin(1, b""));
        assert_eq!(line.read(request, Stream::Stdin), Ok(Got::End));
        assert_eq!(line.read(request, Stream::Data), Ok(Got::Nothing));
        line.comes(&Client::new().data(1, b""));
        assert_eq!(line.read(request, Stream::Data), Ok(Got::End));
    });
}

/// What is told of a request whose input stops, and how: the reader that waits, one that comes later.
fn stops(stop: impl Fn(&mut Line<2>), why: Stopped) {
    for waits in [false, true] {
        play::<2>(|line| {
            line.comes(&posted(1).stdin(1, b"came"));
            let request = line.started(1);
            if waits {
                assert_eq!(line.read_all(request, Stream::Stdin), (b"came".to_vec(), Ok(Got::Nothing)));
            }
            stop(line);
            assert!(!waits || line.looked(request));
            let came = if waits { vec![] } else { b"came".to_vec() };
            assert_eq!(line.read_all(request, Stream::Stdin), (came, Err(why)), "what came is read first");
            assert_eq!(line.stdin(request), Err(why), "it stays so");
        });
    }
}

#[test]
fn a_reader_is_told_that_its_request_was_aborted() {
    stops(|line| line.comes(&Client::new().abort(1)), Stopped::Aborted);
}

#[test]
fn a_reader_is_told_that_the_client_closed() {
    stops(|line| line.closes(), Stopped::Closed);
}

#[test]
fn a_reader_is_told_that_the_client_closed_inside_a_record() {
    let missing = ConnectionError::UnexpectedEof { missing: 5 };
    stops(
        |line| {
            line.comes(&[1, STDIN, 0]);
            line.closes();
        },
        Stopped::Protocol(missing),
    );
}

#[test]
fn a_reader_is_told_what_is_no_fastcgi() {
    stops(
        |line| line.comes(b"GET / HTTP/1.1\r\n"),
        Stopped::Protocol(ConnectionError::Version { found: 71 }),
    );
}

#[test]
fn a_reader_is_told_that_reading_or_writing_failed() {
    stops(|line| line.read_fails(), Stopped::Broken);
    stops(|line| line.write_fails(), Stopped::Broken);
}

#[test]
fn a_reader_is_told_that_the_client_was_too_slow() {
    play::<1>(|line| {
        line.comes(&posted(1).stdin(1, b"came"));
        let request = line.started(1);
        assert_eq!(line.read_all(request, Stream::Stdin), (b"came".to_vec(), Ok(Got::Nothing)));
        line.wait(secs(30) - MOMENT);
        assert!(!line.looked(request));
        assert_eq!(line.stdin(request), Ok(Got::Nothing), "to ask again changes nothing");
        line.wait(MOMENT);
        assert!(line.looked(request));
        assert_eq!(line.stdin(request), Err(Stopped::TimedOut { wait: Wait::Body, limit: secs(30) }));
    });
}

#[test]
fn a_body_of_which_some_was_thrown_away_has_no_end() {
    let late = Stopped::TimedOut { wait: Wait::Body, limit: secs(30) };
    for (aborts, stopped) in [(false, late), (true, Stopped::Aborted)] {
        play::<1>(|line| {
            line.comes(&posted(1).stdin(1, b"came"));
            let request = line.started(1);
            assert_eq!(line.read_all(request, Stream::Stdin), (b"came".to_vec(), Ok(Got::Nothing)));
            if aborts {
                line.comes(&Client::new().abort(1));
            } else {
                line.wait(secs(30));
            }
            line.comes(&Client::new().stdin(1, b" too late").stdin(1, b""));
            assert_eq!(line.stdin(request), Err(stopped));
        });
    }
}

#[test]
fn a_reader_is_told_that_another_request_of_its_client_was_too_slow_to_begin() {
    let late = Stopped::TimedOut { wait: Wait::Params, limit: secs(30) };
    play::<2>(|line| {
        line.comes(&posted(1).begin(2, RESPONDER, KEEP));
        let request = line.started(1);
        line.wait(secs(10));
        assert_eq!(line.stdin(request), Ok(Got::Nothing));
        line.wait(secs(20));
        assert!(line.looked(request), "nothing of this client is waited for any more");
        assert_eq!(line.stdin(request), Err(late));
        assert_eq!(line.log(), ["Warn: the client sent no whole parameters within 30 s"]);
    });
}

#[test]
fn a_body_beyond_its_limit_refuses_the_request_while_its_handler_runs() {
    let server = Server::with(|server| server.limits = Limits { stdin: 10, ..Limits::new() });
    play_with::<2>(server, |line| {
        line.comes(&posted(1).stdin(1, b"123456789"));
        let request = line.started(1);
        line.comes(&Client::new().stdin(1, b"too much").stdin(1, b"").request(2, KEEP));
        let refused_as = Stopped::Refused(Refusal::Overloaded);
        assert_eq!(line.read_all(request, Stream::Stdin), (b"123456789".to_vec(), Err(refused_as)));
        assert_eq!(line.answers(), refused(1, 2), "it is answered already");
        assert_eq!(line.log(), ["Warn: request 1: refused: overloaded"]);
        assert!(line.finish(request));
        let other = line.started(2);
        assert!(line.answer(other, PAGE));
        assert_eq!(line.answers(), format!("{} STDOUT#2:37 STDOUT#2:0 END#2(0,0)", refused(1, 2)));
    });
}

#[test]
fn a_refusal_ends_an_answer_that_has_begun_without_another_head() {
    let server = Server::with(|server| server.limits = Limits { stdin: 10, ..Limits::new() });
    play_with::<1>(server, |line| {
        line.comes(&posted(1));
        let request = line.started(1);
        line.writes(request, &page(100));
        assert_eq!(line.write_stderr(request, b"error"), Ok(5));
        assert_eq!(line.flush(request), Ok(true));
        line.comes(&Client::new().stdin(1, b"much too much"));
        assert_eq!(line.answers(), "STDOUT#1:100 STDERR#1:5 STDERR#1:0 STDOUT#1:0 END#1(0,2)");
    });
}

#[test]
fn an_abort_reaches_one_request_and_the_others_go_on() {
    play::<3>(|line| {
        line.comes(&posted(1).head(2, KEEP).stdin(2, b"a").abort(1).stdin(2, b"b").stdin(2, b""));
        let (first, second) = (line.started(1), line.started(2));
        assert_eq!(line.stdin(first), Err(Stopped::Aborted));
        assert_eq!(line.read_all(second, Stream::Stdin), (b"ab".to_vec(), Ok(Got::End)));
        assert!(line.finish_as(first, None, 3) == Ok(true), "its end is owed as soon as possible");
        assert!(line.answer(second, PAGE));
        assert_eq!(line.answers(), "STDOUT#1:0 END#1(3,0) STDOUT#2:37 STDOUT#2:0 END#2(0,0)");
        assert_eq!(line.log(), [""; 0]);
    });
}

#[test]
fn a_body_whose_end_came_is_read_to_its_end_whatever_comes_then() {
    for stop in [
        (|line| line.comes(&Client::new().abort(1))) as fn(&mut Line<1>),
        Line::closes,
        Line::read_fails,
        |line| line.comes(b"HTTP/1.1"),
    ] {
        play::<1>(|line| {
            line.comes(&posted(1).stdin(1, b"whole").stdin(1, b""));
            let request = line.started(1);
            stop(line);
            assert_eq!(line.read_all(request, Stream::Stdin), (b"whole".to_vec(), Ok(Got::End)));
        });
    }
}

#[test]
fn what_comes_for_a_handler_that_is_done_is_thrown_away_and_what_is_behind_it_read() {
    play_with::<2>(room(10, 0), |line| {
        line.comes(&posted(1).stdin(1, &body(50)));
        let request = line.started(1);
        assert!(!line.reads());
        line.writes(request, PAGE);
        assert!(!line.finish(request), "its input is read first");
        assert!(line.reads() && line.unread() == 0);
        line.comes(&Client::new().stdin(1, &body(1000)).request(2, KEEP).stdin(1, b""));
        assert!(line.runs(2) && line.is_over(request));
    });
}

#[test]
fn what_comes_for_a_request_that_was_aborted_is_thrown_away() {
    play_with::<2>(room(10, 0), |line| {
        line.comes(&posted(1).stdin(1, &body(10)).abort(1).stdin(1, &body(500)).request(2, KEEP));
        assert!(line.runs(1) && line.runs(2));
        let request = line.started(1);
        assert_eq!(line.read_all(request, Stream::Stdin), (body(10), Err(Stopped::Aborted)));
    });
}

/// Whether who waits to hear that nobody waits for the answer is told of this.
fn is_told(of: impl Fn(&mut Line<2>)) -> bool {
    let told = std::cell::Cell::new(None);
    play_with::<2>(room(10, 1000), |line| {
        line.comes(&posted(1).stdin(1, &body(500)));
        let request = line.started(1);
        assert!(!line.session.is_gone(request));
        line.looked(request);
        line.run();
        line.looked(request);
        of(line);
        let (looked, gone) = (line.looked(request), line.session.is_gone(request));
        assert!(looked || !gone, "told without a call");
        assert_eq!(told.replace(Some(gone)).unwrap_or(gone), gone);
    });
    told.get().unwrap()
}

#[test]
fn who_watches_hears_behind_an_unread_body_that_nobody_waits_for_the_answer() {
    assert!(is_told(|line| line.comes(&Client::new().abort(1))), "an abort");
    assert!(is_told(Line::closes), "a close");
    assert!(is_told(Line::read_fails), "a read that fails");
    assert!(is_told(Line::write_fails), "a write that fails");
    assert!(
        is_told(|line| line.comes(&Client::new().data(1, b"").abort(1))),
        "an abort behind what is ignored"
    );
    assert!(is_told(|line| {
        line.comes(&[1, STDIN, 0]);
        line.closes();
    }));
}

#[test]
fn who_watches_is_not_told_of_a_client_that_is_there_still() {
    assert!(!is_told(|line| line.comes(&Client::new().abort(2).stdin(1, b""))));
    assert!(!is_told(|line| line.comes(b"GET / HTTP/1.1\r\n")), "it waits for its answer");
    assert!(!is_told(|line| line.leave(Leave::Shutdown)));
    assert!(!is_told(|line| line.wait(secs(30))));
}

#[test]
fn who_watches_is_told_of_a_refusal() {
    let server = Server::with(|server| server.limits = Limits { stdin: 10, ..Limits::new() });
    play_with::<1>(server, |line| {
        line.comes(&posted(1));
        let request = line.started(1);
        assert!(!line.session.is_gone(request));
        line.comes(&Client::new().stdin(1, b"much too much"));
        assert!(line.looked(request) && line.session.is_gone(request));
    });
}

#[test]
fn an_abort_while_a_handler_waits_for_nothing_calls_it_once_it_does() {
    play::<1>(|line| {
        line.comes(&posted(1).abort(1).abort(1));
        let request = line.started(1);
        assert!(line.session.is_gone(request));
        assert_eq!(line.stdin(request), Err(Stopped::Aborted));
    });
}
