//! How a request ends, in a server's session: at once or when its input was read; as its handler says, as a failure, as
//! an abort; and how its answer ends with it.

mod session_support;
mod support;

use fcgi_proto::cgi::HeadError;
use fcgi_proto::server::Refusal;
use fcgi_proto::server::session::{Request, Stopped, Stream};
use fcgi_proto::{Level, Limits};
use session_support::*;
use support::*;

/// The answer to a handler that failed, 84 bytes.
const FAILED: &[u8] =
    b"Status: 500 Internal Server Error\r\nContent-Type: text/plain\r\n\r\nInternal Server Error\n";

fn posted(id: u16, flags: u8) -> Client {
    Client::new().head(id, flags)
}

fn filter(id: u16) -> Client {
    Client::new().begin(id, FILTER, KEEP).params(id, &get()).params(id, b"")
}

/// The end of a request of which nothing else is to be sent.
fn bare(id: u16) -> String {
    format!("STDOUT#{id}:0 END#{id}(0,0)")
}

#[test]
fn a_request_whose_input_is_in_ends_at_once_with_its_status() {
    play::<1>(|line| {
        line.comes(&posted(1, KEEP).stdin(1, b"unread").stdin(1, b""));
        let request = line.started(1);
        line.writes(request, PAGE);
        assert_eq!(line.finish_as(request, None, 258), Ok(true));
        assert_eq!(line.answers(), "STDOUT#1:37 STDOUT#1:0 END#1(258,0)");
        assert!(!line.session.is_alive(request));
    });
}

#[test]
fn a_handler_that_made_its_own_records_ends_with_their_ends() {
    play::<1>(|line| {
        line.comes(&Client::new().request(1, KEEP));
        let request = line.started(1);
        assert_eq!(line.stdout(request, PAGE), Ok(37));
        assert_eq!(line.finish_as(request, None, 3), Ok(true));
        assert_eq!(line.answers(), "STDOUT#1:37 STDOUT#1:0 END#1(3,0)");
    });
}

#[test]
fn on_a_kept_connection_the_rest_of_the_input_is_read_before_the_end() {
    play::<1>(|line| {
        line.comes(&posted(1, KEEP).stdin(1, &body(100)));
        let request = line.started(1);
        assert!(!line.answer(request, PAGE));
        assert_eq!(line.sent, b"", "nothing has left: the web server would stop sending");
        line.comes(&Client::new().stdin(1, &body(1000)));
        assert_eq!(line.sent, b"");
        line.comes(&Client::new().stdin(1, b""));
        assert!(line.is_over(request));
        assert_eq!(line.answers(), format!("STDOUT#1:37 {}", bare(1)));
    });
}

#[test]
fn input_that_pauses_for_150_ms_is_not_waited_for() {
    play::<1>(|line| {
        line.comes(&posted(1, KEEP));
        let request = line.started(1);
        assert!(!line.answer(request, PAGE));
        line.wait(millis(149));
        assert!(!line.is_over(request));
        line.comes(&Client::new().stdin(1, b"more"));
        line.wait(millis(150) - MOMENT);
        assert!(!line.is_over(request));
        line.wait(MOMENT);
        assert!(line.is_over(request), "web servers stop sending without a word");
        assert_eq!(line.answers(), format!("STDOUT#1:37 {}", bare(1)));
        assert!(!line.closed && line.log().is_empty());
        line.comes(&Client::new().stdin(1, b"late").stdin(1, b"").request(1, KEEP));
        assert!(line.runs(1), "what comes late is ignored");
    });
}

#[test]
fn unwanted_input_that_trickles_is_read_no_longer_than_5_s() {
    play::<1>(|line| {
        line.comes(&posted(1, KEEP));
        let request = line.started(1);
        assert!(!line.answer(request, PAGE));
        for _ in 0..49 {
            line.wait(millis(100));
            line.comes(&Client::new().stdin(1, b"x"));
        }
        assert!(!line.is_over(request));
        line.wait(millis(100));
        assert!(line.is_over(request));
    });
}

#[test]
fn unwanted_input_beyond_its_limit_is_not_read_before_the_end() {
    let server = Server::with(|server| server.patience = patience(|patience| patience.drain_limit = 1000));
    play_with::<1>(server, |line| {
        line.comes(&posted(1, KEEP));
        let request = line.started(1);
        assert!(!line.answer(request, PAGE));
        line.comes(&Client::new().stdin(1, &body(1000)));
        assert!(!line.is_over(request));
        line.comes(&Client::new().stdin(1, b"x"));
        assert!(line.is_over(request));
    });
}

#[test]
fn a_server_that_drains_nothing_ends_at_once() {
    let server = Server::with(|server| server.patience = patience(|patience| patience.drain = secs(0)));
    play_with::<1>(server, |line| {
        line.comes(&posted(1, KEEP));
        let request = line.started(1);
        line.answer(request, PAGE);
        assert!(line.is_over(request));
    });
}

#[test]
fn a_pause_is_not_counted_while_another_handler_holds_up_the_input() {
    let server = Server::with(|server| (server.room, server.disk) = (100, 0));
    play_with::<2>(server, |line| {
        line.comes(&posted(1, KEEP).head(2, KEEP));
        let (request, busy) = (line.started(1), line.started(2));
        assert!(!line.answer(request, PAGE));
        line.comes(&Client::new().stdin(2, &body(200)).stdin(1, b"rest").stdin(1, b""));
        line.wait(secs(2));
        assert!(!line.is_over(request) && !line.reads(), "the client is not to blame");
        assert_eq!(line.read_all(busy, Stream::Stdin).0.len(), 200);
        assert!(line.is_over(request));
    });
    play_with::<2>(server, |line| {
        line.comes(&posted(1, KEEP).head(2, KEEP));
        let request = line.started(1);
        assert!(!line.answer(request, PAGE));
        line.comes(&Client::new().stdin(2, &body(200)));
        line.wait(secs(5));
        assert!(line.is_over(request), "but not for ever");
    });
}

#[test]
fn what_is_left_of_an_answer_that_has_begun_leaves_before_the_rest_of_the_input_is_in() {
    play::<1>(|line| {
        line.comes(&posted(1, KEEP));
        let request = line.started(1);
        line.writes(request, PAGE);
        assert_eq!(line.flush(request), Ok(true));
        assert_eq!(line.write_stderr(request, b"a line\n"), Ok(7));
        line.writes(request, b"the rest");
        assert_eq!(line.held(request), b"the rest");
        assert!(!line.finish(request));
        assert_eq!(line.answers(), "STDOUT#1:37 STDERR#1:7 STDOUT#1:8");
        line.comes(&Client::new().stdin(1, b""));
        assert_eq!(line.answers(), format!("STDOUT#1:37 STDERR#1:7 STDOUT#1:8 STDERR#1:0 {}", bare(1)));
    });
}

#[test]
fn a_connection_that_closes_ends_its_request_at_once_and_reads_the_rest_then() {
    play::<1>(|line| {
        line.comes(&posted(1, CLOSE).stdin(1, &body(10)));
        let request = line.started(1);
        assert!(line.answer(request, PAGE));
        assert_eq!(line.answers(), format!("STDOUT#1:37 {}", bare(1)));
        assert_eq!(line.shut, Some(line.sent.len()));
        assert!(!line.closed && line.reads());
    });
}

#[test]
fn a_handler_that_fails_has_answered_500() {
    play::<1>(|line| {
        line.comes(&Client::new().request(1, KEEP));
        let request = line.started(1);
        line.writes(request, PAGE);
        line.writes(request, b"half a page");
        assert_eq!(line.session.failure_level(request), Level::Warn);
        assert_eq!(line.finish_as(request, Some("no more paper"), 0), Ok(true));
        assert_eq!(line.output(STDOUT, 1), FAILED);
        assert_eq!(line.output(STDERR, 1), b"no more paper\n");
    });
}

/// A page whose head has left, and 11 bytes more.
fn half_a_page<const N: usize>(line: &mut Line<N>, id: u16, head: &[u8]) -> Request {
    let request = line.started(id);
    line.writes(request, head);
    assert_eq!(line.flush(request), Ok(true));
    line.writes(request, b"half a page");
    request
}

const SIZED: &[u8] = b"Status: 200 OK\r\nContent-Type: a/b\r\nContent-Length: 100\r\n\r\n";

#[test]
fn w32_an_answer_without_a_length_that_fails_half_way_is_not_ended_but_its_connection() {
    for flags in [KEEP, 0] {
        play::<4>(|line| {
            line.comes(&Client::new().request(1, flags));
            let request = half_a_page(line, 1, PAGE);
            assert_eq!(line.finish_as(request, Some("no more paper"), 0), Ok(true));
            assert_eq!(line.answers(), "STDOUT#1:48 STDERR#1:14");
            assert_eq!(line.output(STDERR, 1), b"no more paper\n");
            assert_eq!(line.shut, Some(line.sent.len()));
            line.comes(&Client::new().request(1, KEEP));
            assert!(!line.runs(1), "nothing begins on it any more");
            line.closes();
            assert!(line.closed && !line.session.is_alive(request));
        });
    }
}

#[test]
fn w32_an_answer_with_a_length_that_fails_half_way_is_ended() {
    play::<4>(|line| {
        line.comes(&Client::new().request(1, KEEP));
        let request = half_a_page(line, 1, SIZED);
        assert_eq!(line.finish_as(request, Some("no more paper"), 0), Ok(true));
        assert_eq!(line.answers(), "STDOUT#1:69 STDERR#1:14 STDERR#1:0 STDOUT#1:0 END#1(0,0)");
        assert!(line.shut.is_none() && line.reads());
    });
}

/// A GET from this web server.
fn asked_by(software: &str, flags: u8) -> Client {
    let params = pairs(&[("REQUEST_METHOD", "GET"), ("SERVER_SOFTWARE", software)]);
    Client::new().begin(1, RESPONDER, flags).params(1, &params).params(1, b"").stdin(1, b"")
}

#[test]
fn w32_an_answer_with_a_length_ends_as_shows_its_web_server_that_it_was_cut() {
    for (software, flags, ends) in [
        ("nginx/1.22.1", KEEP, false),
        ("nginx/1.22.1", CLOSE, true),
        ("HAProxy 2.6.12", KEEP, false),
        ("Apache/2.4.62 (Debian)", CLOSE, false),
        ("lighttpd/1.4.69", CLOSE, false),
    ] {
        play::<4>(|line| {
            line.comes(&asked_by(software, flags));
            let request = half_a_page(line, 1, SIZED);
            assert_eq!(line.finish_as(request, Some("no more paper"), 0), Ok(true));
            assert_eq!(line.answers().ends_with("END#1(0,0)"), ends, "{software}: {}", line.answers());
            assert_eq!(line.shut, Some(line.sent.len()), "{software}");
        });
    }
}

#[test]
fn w33_what_a_handler_wrote_without_a_head_reaches_nginx_as_it_is_and_its_caller_is_told() {
    play::<1>(|line| {
        line.comes(&asked_by("nginx/1.22.1", KEEP));
        let request = line.started(1);
        line.writes(request, b"BAD");
        assert_eq!(line.finish_as(request, None, 0), Err(HeadError::Unfinished));
        assert_eq!(line.output(STDOUT, 1), b"BAD");
        assert_eq!(line.answers(), "STDOUT#1:3 STDOUT#1:0 END#1(0,0)");
    });
}

#[test]
fn w33_stderr_leaves_before_the_answer_for_nginx() {
    play::<1>(|line| {
        for flushes in [false, true] {
            line.sent.clear();
            line.comes(&asked_by("nginx/1.22.1", KEEP));
            let request = line.started(1);
            assert!(line.write_stderr(request, b"sample").is_ok());
            line.writes(request, PAGE);
            if flushes {
                assert_eq!(line.flush(request), Ok(true));
            }
            assert_eq!(line.finish_as(request, None, 0), Ok(true));
            assert_eq!(line.answers(), "STDERR#1:6 STDOUT#1:37 STDERR#1:0 STDOUT#1:0 END#1(0,0)");
        }
    });
}

#[test]
fn w32_beside_other_requests_an_answer_that_fails_half_way_ends_with_the_status_1() {
    play::<4>(|line| {
        line.comes(&Client::new().request(1, KEEP).request(2, KEEP));
        let request = half_a_page(line, 1, PAGE);
        assert_eq!(line.finish_as(request, Some("no more paper"), 0), Ok(true));
        assert_eq!(line.answers(), "STDOUT#1:48 STDERR#1:14 STDERR#1:0 STDOUT#1:0 END#1(1,0)");
        let other = line.started(2);
        assert!(line.answer(other, PAGE));
        assert!(line.shut.is_none() && line.reads());
    });
}

#[test]
fn w32_an_answer_whose_head_is_all_that_is_wanted_is_ended_though_its_handler_fails() {
    let head =
        Client::new().begin(1, 1, KEEP).params(1, &pairs(&[("REQUEST_METHOD", "HEAD")])).params(1, b"");
    for (request, head) in [
        (head.stdin(1, b""), PAGE),
        (Client::new().request(1, KEEP), &b"Status: 304 Not Modified\r\n\r\n"[..]),
    ] {
        play::<4>(|line| {
            line.comes(&request);
            let request = half_a_page(line, 1, head);
            assert_eq!(line.finish_as(request, Some("too late"), 0), Ok(true));
            assert!(line.answers().ends_with("END#1(0,0)"), "{}", line.answers());
        });
    }
}

#[test]
fn w32_an_answer_whose_input_stops_is_cut_when_its_handler_fails_of_that() {
    type Stops = fn(&mut Line<4>);
    let stops: [Stops; 3] =
        [|line| line.wait(secs(30)), |line| line.closes(), |line| line.comes(&Client::new().raw(&[9; 8]))];
    for stops in stops {
        play::<4>(|line| {
            line.comes(&posted(1, KEEP).stdin(1, b"half a form"));
            let request = half_a_page(line, 1, PAGE);
            assert_eq!(line.read(request, Stream::Stdin), Ok(Got::Bytes(b"half a form".to_vec())));
            assert_eq!(line.read(request, Stream::Stdin), Ok(Got::Nothing));
            stops(line);
            let stopped = line.read(request, Stream::Stdin).unwrap_err();
            assert_eq!(line.finish_as(request, Some(&stopped.to_string()), 0), Ok(true));
            assert!(!line.answers().contains("END"), "{stopped}: {}", line.answers());
        });
    }
}

#[test]
fn w32_a_handler_with_records_of_its_own_says_that_its_answer_is_cut() {
    play::<4>(|line| {
        line.comes(&Client::new().request(1, KEEP));
        let request = line.started(1);
        assert_eq!(line.stdout(request, PAGE), Ok(37));
        let now = line.now;
        line.session.fail(request, now);
        assert_eq!(line.finish_as(request, None, 0), Ok(true));
        assert_eq!(line.answers(), "STDOUT#1:37");
        assert_eq!(line.shut, Some(line.sent.len()));
    });
}

#[test]
fn an_answer_without_a_head_is_a_500_and_says_why() {
    for (written, error) in [
        (&b""[..], HeadError::Unfinished),
        (b"Status: 200 OK\r\n", HeadError::Unfinished),
        (&[b'a'; 9000], HeadError::TooLong { limit: 8192 }),
    ] {
        play::<1>(|line| {
            line.comes(&Client::new().request(1, KEEP));
            let request = line.started(1);
            let _ = line.write(request, written);
            assert_eq!(line.finish_as(request, None, 7), Err(error));
            assert_eq!(line.output(STDOUT, 1), FAILED);
            assert_eq!(line.output(STDERR, 1), format!("{error}\n").into_bytes());
        });
    }
}

#[test]
fn a_text_of_any_length_that_a_handler_fails_with_is_on_stderr() {
    play::<1>(|line| {
        line.comes(&Client::new().request(1, KEEP));
        let request = line.started(1);
        let text = "e".repeat(100_000);
        assert_eq!(line.finish_as(request, Some(&text), 0), Ok(true));
        assert_eq!(line.output(STDERR, 1), format!("{text}\n").into_bytes());
    });
}

#[test]
fn an_abort_while_input_is_read_ends_the_request_without_its_answer() {
    play::<1>(|line| {
        line.comes(&posted(1, KEEP));
        let request = line.started(1);
        line.writes(request, PAGE);
        assert_eq!(line.finish_as(request, None, 9), Ok(false));
        line.comes(&Client::new().abort(1));
        assert!(line.is_over(request));
        assert_eq!(line.answers(), "STDOUT#1:0 END#1(9,0)");
    });
}

#[test]
fn an_abort_while_a_handler_runs_leaves_its_end_to_it() {
    play::<1>(|line| {
        line.comes(&posted(1, KEEP).abort(1));
        let request = line.started(1);
        line.wait(secs(100));
        assert!(line.session.is_alive(request) && line.sent.is_empty());
        line.writes(request, PAGE);
        assert_eq!(line.session.failure_level(request), Level::Debug);
        assert_eq!(line.finish_as(request, Some("aborted"), 9), Ok(true));
        assert_eq!(line.answers(), "STDOUT#1:0 END#1(9,0)");
        assert!(!line.closed);
    });
}

#[test]
fn a_request_whose_body_was_too_slow_may_be_aborted_and_is_not_answered_then() {
    play::<1>(|line| {
        line.comes(&posted(1, KEEP));
        let request = line.started(1);
        assert_eq!(line.stdin(request), Ok(Got::Nothing));
        line.wait(secs(30));
        assert!(matches!(line.stdin(request), Err(Stopped::TimedOut { .. })));
        line.comes(&Client::new().abort(1));
        assert_eq!(line.stdin(request), Err(Stopped::Aborted));
        line.writes(request, PAGE);
        assert_eq!(line.finish_as(request, None, 9), Ok(true));
        assert_eq!(line.answers(), "STDOUT#1:0 END#1(9,0)");
    });
}

#[test]
fn an_aborted_filter_ends_though_its_body_has_not() {
    play::<1>(|line| {
        line.comes(&filter(1).abort(1));
        let request = line.started(1);
        assert!(line.answer(request, PAGE));
        assert_eq!(line.answers(), bare(1));
    });
}

#[test]
fn a_refusal_while_input_is_read_ends_the_request_as_refused() {
    let server = Server::with(|server| server.limits = Limits { stdin: 10, ..Limits::new() });
    play_with::<1>(server, |line| {
        line.comes(&posted(1, KEEP));
        let request = line.started(1);
        assert!(!line.answer(request, PAGE));
        line.comes(&Client::new().stdin(1, b"much too much").stdin(1, b""));
        assert!(line.is_over(request));
        assert_eq!(line.answers(), refused(1, 2));
        line.comes(&Client::new().request(1, KEEP));
        assert!(line.runs(1));
    });
}

#[test]
fn the_end_of_input_or_an_error_in_it_ends_the_reading_and_the_answer_leaves() {
    for ends in [Line::closes as fn(&mut Line<1>), Line::read_fails, |line| line.comes(b"GET / HTTP/1.1\r\n")]
    {
        play::<1>(|line| {
            line.comes(&posted(1, KEEP).stdin(1, b"some"));
            let request = line.started(1);
            assert!(!line.answer(request, PAGE));
            ends(line);
            assert!(line.is_over(request));
            assert_eq!(line.answers(), format!("STDOUT#1:37 {}", bare(1)));
        });
    }
}

#[test]
fn a_failed_write_while_input_is_read_ends_the_request() {
    play::<1>(|line| {
        line.comes(&posted(1, KEEP).stdin(1, b"some"));
        let request = line.started(1);
        assert!(!line.answer(request, PAGE));
        line.write_fails();
        assert!(line.is_over(request) && line.closed);
        assert_eq!(line.sent, b"");
    });
}

#[test]
fn a_filter_that_is_done_before_its_body_is_answered_when_that_has_ended() {
    play::<1>(|line| {
        line.comes(&filter(1).stdin(1, b"some"));
        let request = line.started(1);
        assert!(!line.answer(request, PAGE));
        line.wait(secs(1));
        assert!(!line.is_over(request), "it may not be answered before: no pause is its end");
        line.comes(&Client::new().stdin(1, b""));
        line.wait(millis(150));
        assert!(line.is_over(request), "its file is not waited for");
        assert_eq!(line.answers(), format!("STDOUT#1:37 {}", bare(1)));
    });
}

#[test]
fn a_filters_file_that_trickles_is_read_no_longer_than_5_s_either() {
    play::<1>(|line| {
        line.comes(&filter(1));
        let request = line.started(1);
        assert!(!line.answer(request, PAGE));
        line.wait(millis(100));
        line.comes(&Client::new().stdin(1, b""));
        for _ in 0..48 {
            line.wait(millis(100));
            line.comes(&Client::new().data(1, b"x"));
        }
        assert!(!line.is_over(request));
        line.wait(millis(100));
        assert!(line.is_over(request));
    });
}

#[test]
fn a_filter_that_is_done_and_whose_body_does_not_end_is_refused() {
    play::<1>(|line| {
        line.comes(&filter(1).stdin(1, b"some"));
        let request = line.started(1);
        assert!(!line.answer(request, PAGE));
        let wakes = line.wakes;
        line.wait(secs(5));
        assert!(line.is_over(request));
        assert_eq!(line.answers(), malformed(1));
        assert!(line.wakes - wakes <= 3, "{} times", line.wakes - wakes);
    });
}

#[test]
fn a_client_too_slow_with_its_body_is_answered_and_not_waited_for() {
    play::<1>(|line| {
        line.comes(&posted(1, KEEP));
        let request = line.started(1);
        assert_eq!(line.stdin(request), Ok(Got::Nothing));
        line.wait(secs(30));
        assert!(matches!(line.stdin(request), Err(Stopped::TimedOut { .. })));
        assert_eq!(line.session.failure_level(request), Level::Warn);
        assert_eq!(line.finish_as(request, Some("too slow"), 0), Ok(true));
        assert_eq!(line.output(STDOUT, 1), FAILED);
    });
}

#[test]
fn an_error_of_a_handler_whose_client_is_gone_is_everyday() {
    let gone: [fn(&mut Line<1>); 4] =
        [|line| line.comes(&Client::new().abort(1)), Line::closes, Line::read_fails, Line::write_fails];
    for gone in gone {
        play::<1>(|line| {
            line.comes(&posted(1, KEEP));
            let request = line.started(1);
            assert_eq!(line.session.failure_level(request), Level::Warn);
            gone(line);
            assert_eq!(line.session.failure_level(request), Level::Debug);
        });
    }
    play::<1>(|line| {
        line.comes(&posted(1, KEEP).data(1, b"").raw(b"GET / HTTP/1.1\r\n"));
        let request = line.started(1);
        assert_eq!(line.session.failure_level(request), Level::Warn);
    });
}

#[test]
fn to_finish_twice_or_before_the_start_changes_nothing() {
    play::<1>(|line| {
        line.comes(&Client::new().begin(1, RESPONDER, KEEP));
        let (request, now) = (line.request(1), line.now);
        line.session.finish(request, now);
        assert!(matches!(line.session.end(request, 0), fcgi_proto::server::session::End::Wait));
        line.comes(&Client::new().params(1, &get()).params(1, b""));
        assert!(line.runs(1));
        assert!(!line.answer(request, PAGE));
        let now = line.now;
        for _ in 0..3 {
            line.session.finish(request, now);
        }
        assert_eq!(line.sent, b"");
        line.comes(&Client::new().stdin(1, b""));
        assert_eq!(line.answers(), format!("STDOUT#1:37 {}", bare(1)));
    });
}

#[test]
fn what_is_asked_for_a_request_whose_handler_is_done_has_no_limit_of_its_own() {
    play::<1>(|line| {
        line.takes(0);
        line.comes(&posted(1, KEEP).stdin(1, b""));
        let request = line.started(1);
        line.writes(request, &page(65_535));
        assert!(!line.finish(request), "64 KiB wait");
        let now = line.now;
        let _ = line.session.read(request, Stream::Data, now);
        let _ = line.session.read(request, Stream::Stdin, now);
        line.wait(secs(29));
        line.takes(usize::MAX);
        assert!(line.is_over(request));
    });
}

#[test]
fn an_end_that_finds_no_room_leaves_when_there_is_some() {
    play::<2>(|line| {
        line.comes(&Client::new().request(1, KEEP).request(2, KEEP));
        let (first, second) = (line.started(1), line.started(2));
        line.takes(0);
        line.writes(first, &page(65_535));
        assert!(!line.answer(second, PAGE) && !line.finish(first));
        line.takes(1);
        assert!(!line.is_over(second));
        line.takes(100);
        assert!(line.is_over(second) && line.is_over(first));
    });
}

#[test]
fn a_request_that_was_refused_is_over_when_its_handler_is() {
    let server = Server::with(|server| server.limits = Limits { stdin: 10, ..Limits::new() });
    play_with::<1>(server, |line| {
        line.comes(&posted(1, KEEP).stdin(1, b"much too much"));
        let request = line.started(1);
        assert_eq!(line.stdin(request), Err(Stopped::Refused(Refusal::Overloaded)));
        let sent = line.sent.len();
        assert_eq!(line.finish_as(request, Some("refused"), 9), Ok(true));
        assert_eq!((line.sent.len(), line.alive()), (sent, 0));
    });
}
