//! How a connection ends, in a server's session: idle, left, shut down, drained, closed; and what of it is worth a line
//! in a log.

mod session_support;
mod support;

use std::time::Duration;

use fcgi_proto::server::session::{Leave, Stopped, Waiting};
use fcgi_proto::{Level, Limits};
use session_support::*;
use support::*;

fn posted(id: u16, flags: u8) -> Client {
    Client::new().head(id, flags)
}

fn one_is_answered<const N: usize>(line: &mut Line<N>) {
    line.comes(&Client::new().request(1, KEEP));
    let request = line.started(1);
    assert!(line.answer(request, PAGE));
}

/// How long a connection is waited for that is left now, and whether it was shut down first.
fn leaves<const N: usize>(line: &mut Line<N>, why: Leave) -> Duration {
    let began = line.now;
    line.leave(why);
    while !line.closed {
        line.wait(millis(10));
        assert!(line.now < began + secs(100), "it stays");
    }
    line.now - began
}

#[test]
fn w13_a_connection_that_opens_and_closes_without_a_byte_is_no_error() {
    play::<1>(|line| {
        line.closes();
        assert!(line.closed && line.shut.is_none());
        assert_eq!((line.log(), line.story()), (vec![], ""));
    });
}

#[test]
fn a_client_that_closes_an_idle_connection_is_no_error() {
    play::<1>(|line| {
        one_is_answered(line);
        line.closes();
        assert!(line.closed && line.log().is_empty());
    });
}

#[test]
fn a_client_that_closes_inside_a_record_is_everyday() {
    for (bytes, missing) in [(&[1, BEGIN, 0][..], 5), (&[1, BEGIN, 0, 1, 0, 8, 0, 0, 0], 7)] {
        play::<1>(|line| {
            line.comes(bytes);
            line.closes();
            let text = fcgi_proto::ConnectionError::UnexpectedEof { missing }.to_string();
            assert_eq!(line.log(), [format!("Debug: {text}")]);
            line.wait(secs(5));
            assert!(line.closed);
        });
    }
}

#[test]
fn a_client_that_closes_its_direction_is_answered_first() {
    play::<2>(|line| {
        line.comes(&Client::new().request(1, KEEP).request(2, KEEP));
        line.closes();
        let (first, second) = (line.started(1), line.started(2));
        assert!(line.answer(second, PAGE) && !line.closed);
        assert!(line.answer(first, PAGE) && line.closed);
        assert_eq!(line.answers(), "STDOUT#2:37 STDOUT#2:0 END#2(0,0) STDOUT#1:37 STDOUT#1:0 END#1(0,0)");
        assert_eq!(line.log(), [""; 0]);
    });
}

#[test]
fn a_reply_that_is_owed_leaves_before_the_connection_closes() {
    play::<1>(|line| {
        line.takes(0);
        line.comes(&Client::new().get_values(VALUES));
        line.closes();
        assert!(!line.closed);
        line.takes(usize::MAX);
        assert!(line.closed && line.answers() == "VALUES");
    });
}

#[test]
fn a_connection_that_is_not_kept_shuts_down_reads_what_still_comes_and_closes() {
    play::<1>(|line| {
        line.comes(&posted(1, CLOSE));
        let request = line.started(1);
        line.takes(10);
        assert!(line.answer(request, PAGE) && line.shut.is_none(), "its answer has not left");
        line.takes(usize::MAX);
        assert_eq!(line.shut, Some(line.sent.len()));
        line.comes(&Client::new().stdin(1, &body(1000)).request(2, KEEP).raw(b"garbage"));
        assert!(!line.closed && line.unread() == 0 && !line.runs(2), "it means nothing any more");
        line.closes();
        assert!(line.closed && line.log().is_empty());
    });
}

#[test]
fn reading_that_fails_while_a_connection_ends_closes_it() {
    play::<1>(|line| {
        line.comes(&Client::new().request(1, CLOSE));
        let request = line.started(1);
        line.answer(request, PAGE);
        line.read_fails();
        assert!(line.closed && line.log().is_empty());
    });
}

#[test]
fn w7_what_comes_behind_the_last_request_of_a_connection_costs_no_answer() {
    play::<1>(|line| {
        line.comes(&Client::new().request(1, CLOSE).raw(&[0; 8]).stdin(1, b""));
        let request = line.started(1);
        assert!(line.answer(request, PAGE));
        assert_eq!(line.answers(), "STDOUT#1:37 STDOUT#1:0 END#1(0,0)");
        assert!(line.log().is_empty());
    });
}

#[test]
fn a_connection_with_several_requests_closes_after_the_last_of_them() {
    play::<3>(|line| {
        line.comes(&Client::new().request(1, KEEP).head(2, KEEP).request(3, CLOSE));
        let [first, second, third] = [1, 2, 3].map(|id| line.started(id));
        assert!(line.answer(third, PAGE) && line.answer(first, PAGE));
        assert!(line.shut.is_none() && line.reads());
        line.comes(&Client::new().stdin(2, b"body").stdin(2, b""));
        assert!(line.answer(second, PAGE));
        assert!(line.shut.is_some() && !line.closed);
    });
}

#[test]
fn a_refused_request_whose_connection_is_not_kept_closes_it() {
    play::<1>(|line| {
        line.comes(&Client::new().begin(1, 9, CLOSE));
        assert_eq!(line.answers(), refused(1, 3));
        assert!(line.shut.is_some() && line.reads());
        line.closes();
        assert!(line.closed);
    });
}

#[test]
fn after_what_is_no_fastcgi_all_are_answered_and_the_connection_ends_like_any_other() {
    play::<2>(|line| {
        line.comes(&Client::new().request(1, KEEP).raw(b"GET / HTTP/1.1\r\n"));
        assert!(!line.reads() && line.shut.is_none());
        let request = line.started(1);
        assert!(line.answer(request, PAGE));
        assert_eq!(line.shut, Some(line.sent.len()));
        line.comes(&body(100_000));
        assert!(!line.closed && line.unread() == 0);
        line.closes();
        assert!(line.closed);
        assert_eq!(line.log(), ["Warn: record of protocol version 71, not 1"]);
    });
    play::<1>(|line| {
        line.comes(b"GET / HTTP/1.1\r\n");
        assert!(line.shut.is_some(), "without a request, too");
        line.wait(secs(5));
        assert!(line.closed);
    });
}

#[test]
fn a_transport_that_cannot_shut_down_is_closed_whatever_ended_its_input() {
    let ends: [fn(&mut Line<1>); 3] = [
        |line| {
            line.comes(&Client::new().request(1, CLOSE));
            let request = line.started(1);
            line.answer(request, PAGE);
        },
        |line| line.comes(b"GET / HTTP/1.1\r\n"),
        |line| {
            line.comes(&Client::new().begin(1, RESPONDER, KEEP));
            line.wait(secs(30));
        },
    ];
    for end in ends {
        play::<1>(|line| {
            line.shuts = false;
            end(line);
            let now = line.now;
            assert!(line.session.next(now).shutdown);
            line.session.end_of_input();
            let next = line.session.next(now);
            assert!(next.close && !next.shutdown);
        });
    }
}

#[test]
fn a_failed_write_closes_at_once() {
    play::<1>(|line| {
        line.takes(0);
        line.comes(&Client::new().get_values(VALUES).request(1, KEEP));
        let request = line.started(1);
        line.write_fails();
        assert!(!line.closed, "a handler runs");
        line.finish(request);
        assert!(line.closed && line.shut.is_none() && line.sent.is_empty());
    });
}

#[test]
fn an_idle_connection_that_is_left_closes_at_once() {
    for why in [Leave::Shutdown, Leave::Crowded, Leave::Idle] {
        play::<1>(|line| {
            one_is_answered(line);
            assert_eq!(leaves(line, why), secs(0));
            assert!(line.shut.is_none() && line.log().is_empty());
        });
    }
}

#[test]
fn a_connection_on_which_nothing_came_yet_has_a_second_when_the_server_is_shut_down() {
    play::<1>(|line| {
        line.wait(secs(10));
        assert_eq!(leaves(line, Leave::Shutdown), secs(1));
        assert!(line.log().is_empty());
    });
    play::<1>(|line| {
        line.leave(Leave::Shutdown);
        line.wait(millis(990));
        line.comes(&Client::new().request(1, KEEP));
        let request = line.started(1);
        line.wait(secs(10));
        assert!(!line.closed && line.answer(request, PAGE));
        assert!(line.closed, "it is served, and no other");
    });
}

#[test]
fn when_crowded_a_connection_on_which_nothing_came_has_a_quarter_of_a_second_in_all() {
    play::<1>(|line| {
        line.wait(millis(100));
        assert_eq!(leaves(line, Leave::Crowded), millis(150));
    });
    play::<1>(|line| {
        line.wait(millis(300));
        assert_eq!(leaves(line, Leave::Crowded), millis(0));
    });
}

#[test]
fn half_a_record_has_a_quarter_of_a_second_when_its_connection_is_left() {
    for why in [Leave::Shutdown, Leave::Crowded, Leave::Idle] {
        play::<1>(|line| {
            line.comes(&[1, BEGIN, 0, 1]);
            assert_eq!(leaves(line, why), millis(250));
            assert!(line.log().is_empty(), "{:?}", line.log());
        });
    }
    play::<1>(|line| {
        let request = Client::new().request(1, KEEP);
        line.comes(&request[..4]);
        line.leave(Leave::Shutdown);
        line.wait(millis(240));
        line.comes(&request[4..]);
        let request = line.started(1);
        assert!(line.answer(request, PAGE) && line.closed);
    });
}

#[test]
fn half_a_record_that_comes_after_its_connection_was_left_has_no_longer() {
    for (why, before) in [(Leave::Shutdown, millis(500)), (Leave::Crowded, millis(100))] {
        play::<1>(|line| {
            line.leave(why);
            line.wait(before);
            line.comes(&[1, BEGIN, 0, 1]);
            line.wait(millis(250));
            assert!(line.closed, "{why:?}");
        });
    }
}

#[test]
fn a_half_sent_request_is_told_to_be_over_once_the_server_is_shut_down() {
    play::<1>(|line| {
        line.comes(&Client::new().begin(1, RESPONDER, KEEP).params(1, b"12345"));
        line.wait(secs(10));
        line.leave(Leave::Shutdown);
        line.wait(millis(240));
        assert_eq!((line.alive(), line.sent.len()), (1, 0));
        line.wait(millis(10));
        assert!(line.story().ends_with("OVER#1"));
        assert_eq!(line.answers(), refused(1, 2));
        assert_eq!(line.shut, Some(line.sent.len()), "its rest may still come, and cost the answer");
        line.comes(&Client::new().params(1, &get()));
        assert!(!line.closed && line.unread() == 0);
        line.closes();
        assert!(line.closed);
    });
}

#[test]
fn a_request_that_begins_after_the_server_was_shut_down_has_no_longer_for_its_parameters() {
    play::<1>(|line| {
        line.leave(Leave::Shutdown);
        line.wait(millis(500));
        line.comes(&Client::new().begin(1, RESPONDER, KEEP));
        line.wait(millis(250));
        assert_eq!(line.answers(), refused(1, 2));
    });
    play::<1>(|line| {
        line.leave(Leave::Shutdown);
        line.comes(&Client::new().begin(1, RESPONDER, KEEP));
        line.wait(millis(240));
        line.comes(&Client::new().params(1, &get()).params(1, b"").stdin(1, b""));
        let request = line.started(1);
        assert!(line.answer(request, PAGE) && line.closed, "in time");
    });
}

#[test]
fn a_half_sent_request_beside_others_is_refused_alone() {
    play::<2>(|line| {
        line.comes(&posted(1, KEEP).begin(2, RESPONDER, KEEP));
        let running = line.started(1);
        line.leave(Leave::Shutdown);
        line.wait(millis(250));
        assert_eq!(line.answers(), refused(2, 2));
        line.comes(&Client::new().stdin(1, b"body").params(2, b"late").stdin(1, b""));
        assert_eq!(line.stdin(running), Ok(Got::Bytes(b"body".to_vec())), "its input comes on");
        assert!(line.answer(running, PAGE));
        assert!(line.shut.is_some() || line.closed);
    });
}

#[test]
fn when_crowded_a_half_sent_request_is_dropped() {
    play::<1>(|line| {
        line.comes(&Client::new().begin(1, RESPONDER, KEEP).params(1, b"12345"));
        line.wait(secs(1));
        // It sees the end of the connection, and that is read for a moment.
        assert!(leaves(line, Leave::Crowded) <= millis(250 + 150));
        assert!(line.story().ends_with("OVER#1"));
    });
    play::<1>(|line| {
        line.leave(Leave::Crowded);
        line.wait(millis(100));
        line.comes(&Client::new().begin(1, RESPONDER, KEEP));
        // It has no longer because it came later.
        line.wait(millis(250 + 150));
        assert!(line.closed && line.story().ends_with("OVER#1"));
    });
}

#[test]
fn a_connection_that_is_left_is_read_until_what_runs_has_ended() {
    for why in [Leave::Shutdown, Leave::Crowded] {
        play::<2>(|line| {
            line.comes(&posted(1, KEEP).request(2, KEEP));
            let (first, second) = (line.started(1), line.started(2));
            line.leave(why);
            assert!(line.answer(second, PAGE));
            line.wait(secs(20));
            line.comes(&Client::new().stdin(1, b"body").stdin(1, b""));
            assert_eq!(line.stdin(first), Ok(Got::Bytes(b"body".to_vec())));
            assert!(!line.closed && line.answer(first, PAGE));
            assert!(line.closed && line.shut.is_none(), "all that came was read");
        });
    }
}

#[test]
fn a_connection_that_ends_anyway_ends_in_its_order_when_it_is_left() {
    for (why, before) in
        [(Leave::Shutdown, true), (Leave::Shutdown, false), (Leave::Crowded, true), (Leave::Crowded, false)]
    {
        play::<1>(|line| {
            line.comes(&posted(1, CLOSE));
            let request = line.started(1);
            line.shuts = false;
            if before {
                line.leave(why);
            }
            assert!(line.answer(request, PAGE));
            if !before {
                line.leave(why);
            }
            assert!(!line.closed, "what was not read would take the answer with it");
            line.shuts = true;
            line.run();
            assert!(line.shut.is_some() && !line.closed);
            line.comes(&Client::new().stdin(1, &body(1000)));
            line.closes();
            assert!(line.closed);
        });
    }
}

#[test]
fn the_end_of_input_of_a_server_that_is_shut_down_answers_a_half_sent_request() {
    play::<1>(|line| {
        line.comes(&Client::new().begin(1, RESPONDER, KEEP));
        line.leave(Leave::Shutdown);
        line.closes();
        assert!(line.story().ends_with("OVER#1"));
        assert_eq!(line.answers(), refused(1, 2));
        assert!(line.closed);
    });
}

#[test]
fn w28_how_long_a_connection_has_waited_is_told_for_the_longest_to_go() {
    play::<2>(|line| {
        let opened = line.now;
        let told = |line: &mut Line<2>| line.session.waiting();
        line.wait(secs(3));
        assert_eq!(
            told(line),
            Some(Waiting { since: opened, comes: true, begun: false, leaving: false, until: None }),
            "fresh"
        );
        line.comes(&[1, BEGIN]);
        let cut = line.now;
        line.wait(secs(1));
        assert_eq!(
            told(line),
            Some(Waiting { since: cut, comes: true, begun: true, leaving: false, until: None }),
            "half a record"
        );
        let begin = Client::new().begin(1, RESPONDER, KEEP);
        line.comes(&begin[2..]);
        let began = line.now;
        line.wait(secs(1));
        assert_eq!(
            told(line),
            Some(Waiting { since: began, comes: true, begun: true, leaving: false, until: None }),
            "parameters"
        );
        line.comes(&Client::new().params(1, &get()).params(1, b"").stdin(1, b""));
        assert_eq!(told(line), None, "a handler runs");
        let request = line.started(1);
        line.takes(0);
        line.answer(request, PAGE);
        assert_eq!(told(line), None, "its answer is under way");
        line.takes(usize::MAX);
        let idle = line.now;
        line.wait(secs(2));
        assert_eq!(
            told(line),
            Some(Waiting { since: idle, comes: false, begun: false, leaving: false, until: None })
        );
        line.comes(&Client::new().get_values(VALUES));
        line.wait(secs(2));
        let after = told(line).unwrap();
        assert_eq!((after.since, after.comes), (idle, false), "a question renews nothing");
        line.closes();
        assert_eq!(told(line), None);
    });
}

#[test]
fn who_looks_after_all_idle_connections_is_told_how_long_each_may_wait() {
    play::<1>(|line| {
        let idle = line.session.waiting().unwrap();
        assert_eq!(idle.until, Some(line.now + secs(300)), "fresh");
        line.comes(&Client::new().request(1, KEEP));
        let request = line.started(1);
        line.answer(request, PAGE);
        line.wait(secs(1));
        assert_eq!(
            line.session.waiting().unwrap().until,
            None,
            "a wait that began before has a limit of its own"
        );
        line.comes(&Client::new().request(1, KEEP));
        let request = line.started(1);
        line.takes(0);
        line.answer(request, PAGE);
        line.takes(usize::MAX);
        let idle = line.session.waiting().unwrap();
        assert_eq!(idle.until, Some(line.now + secs(300)), "all is answered");
        assert_eq!(Some(idle.may_close_at(Leave::Idle, line.now)), idle.until);
        line.comes(&[1, BEGIN]);
        let cut = line.session.waiting().unwrap();
        assert_eq!(
            (cut.until, cut.may_close_at(Leave::Idle, line.now)),
            (None, Duration::MAX),
            "half a record"
        );
    });
}

#[test]
fn a_connection_that_ends_does_not_wait_for_a_request() {
    play::<1>(|line| {
        line.shuts = false;
        line.comes(&Client::new().request(1, CLOSE));
        let request = line.started(1);
        line.answer(request, PAGE);
        assert_eq!(line.session.waiting(), None, "it is shut down");
        line.shuts = true;
        line.run();
        assert_eq!(line.session.waiting(), None, "it is drained");
    });
}

#[test]
fn when_a_waiting_connection_may_close_depends_on_why_it_is_left() {
    let waiting = |comes, begun| {
        let since = secs(10);
        Waiting { since, comes, begun, leaving: false, until: None }
    };
    for (comes, begun, why, at) in [
        (false, false, Leave::Shutdown, secs(20)),
        (false, false, Leave::Crowded, secs(20)),
        (true, false, Leave::Shutdown, secs(21)),
        (true, true, Leave::Shutdown, millis(20_250)),
        (true, false, Leave::Crowded, millis(10_250)),
        (true, true, Leave::Crowded, millis(10_250)),
    ] {
        assert_eq!(waiting(comes, begun).may_close_at(why, secs(20)), at, "{comes} {begun} {why:?}");
    }
}

#[test]
fn a_warning_is_told_once_a_connection_and_names_its_request() {
    let server = Server::with(|server| server.limits = Limits { params: 10, ..Limits::new() });
    play_with::<1>(server, |line| {
        for id in [3, 4, 5] {
            line.comes(&Client::new().begin(id, RESPONDER, KEEP).params(id, &get()));
        }
        line.comes(&Client::new().begin(6, 9, KEEP));
        line.comes(b"garbage!");
        assert_eq!(
            line.log(),
            [
                "Warn: request 3: refused: more parameters than Limits::params, 10 bytes",
                "Debug: request 4: refused: more parameters than Limits::params, 10 bytes",
                "Debug: request 5: refused: more parameters than Limits::params, 10 bytes",
                "Debug: request 6: refused: unknown role",
                "Debug: record of protocol version 103, not 1",
            ]
        );
        assert_eq!(line.reports[0].id, Some(id(3)));
        assert_eq!(line.reports[4].id, None);
    });
}

#[test]
fn clients_that_leave_are_everyday_and_those_that_break_a_rule_or_a_limit_are_not() {
    use fcgi_proto::ConnectionError;
    use fcgi_proto::server::Refusal;
    use fcgi_proto::server::session::Wait;
    let late = |wait| Stopped::TimedOut { wait, limit: secs(1) };
    for (stopped, level, gone) in [
        (Stopped::Closed, Level::Debug, true),
        (Stopped::Aborted, Level::Debug, true),
        (Stopped::Broken, Level::Debug, true),
        (Stopped::Over, Level::Debug, true),
        (Stopped::Protocol(ConnectionError::UnexpectedEof { missing: 1 }), Level::Debug, true),
        (Stopped::Protocol(ConnectionError::Version { found: 2 }), Level::Warn, false),
        (Stopped::Refused(Refusal::Overloaded), Level::Warn, true),
        (late(Wait::Params), Level::Warn, false),
        (late(Wait::Body), Level::Warn, false),
        (late(Wait::Write), Level::Warn, false),
        (late(Wait::Shutdown), Level::Warn, false),
    ] {
        assert_eq!((stopped.level(), stopped.is_gone()), (level, gone), "{stopped}");
    }
}

#[test]
fn aborts_and_clients_that_leave_in_mid_answer_warn_of_nothing() {
    play::<2>(|line| {
        for _ in 0..5 {
            line.comes(&Client::new().request(1, KEEP).head(2, KEEP).abort(1).abort(2));
            let (first, second) = (line.started(1), line.started(2));
            line.finish(first);
            line.finish_as(second, Some("aborted"), 0).unwrap();
        }
        line.comes(&Client::new().request(1, KEEP));
        let request = line.started(1);
        line.takes(10);
        line.writes(request, &page(20_000));
        line.write_fails();
        line.finish(request);
        assert_eq!(line.log(), ["Debug: the connection failed: the answer is cut off"]);
    });
}

#[test]
fn a_report_of_less_weight_does_not_hide_one_of_more() {
    play::<2>(|line| {
        line.comes(&Client::new().request(1, KEEP).begin(2, RESPONDER, KEEP));
        let (now, request) = (line.now, line.request(2));
        line.session.refuse_full(request);
        line.session.unwritable();
        let report = line.session.poll_report().unwrap();
        assert_eq!((report.level, report.id), (Level::Warn, Some(id(2))));
        assert_eq!(line.session.poll_report(), None);
        assert!(!line.session.next(now).write);
        let request = line.started(1);
        line.finish(request);
    });
}
