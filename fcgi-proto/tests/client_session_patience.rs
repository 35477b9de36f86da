//! The client's session: how long anything may take.

#[path = "support/life.rs"]
mod life;
mod support;
#[path = "support/client.rs"]
mod web_server;

use std::time::Duration;

use fcgi_proto::client::{Again, Failure, Request, Settings, Wait};
use life::*;
use web_server::Server;

/// What the request failed of: only once it is due.
#[track_caller]
fn timed_out<const N: usize>(life: &mut Life<N>, request: Request, wait: Wait, limit: Duration) {
    assert_eq!(life.poll(request), Err(Failure::TimedOut { wait, limit }));
}

/// Limits that are told apart.
fn limits() -> Settings {
    settings(|s| {
        s.write = 2 * SECOND;
        s.first_byte = 3 * SECOND;
        s.read = 5 * SECOND;
        s.input = 7 * SECOND;
        s.total = 1000 * SECOND;
    })
}

#[test]
fn an_application_that_takes_nothing_is_left_after_the_limit_of_writing() {
    each::<1>(limits(), |life| {
        let request = life.begin(ask("GET"));
        assert_eq!(life.poll(request), Ok(None));
        assert_eq!(life.wait(), 2 * SECOND);
        timed_out(life, request, Wait::Write, 2 * SECOND);
        assert!(life.next().close);
    });
}

#[test]
fn every_byte_that_is_taken_begins_the_limit_of_writing_again() {
    each::<1>(limits(), |life| {
        let request = life.begin(ask("GET"));
        for _ in 0..10 {
            assert_eq!(life.poll(request), Ok(None));
            life.pass(SECOND);
            life.take(1);
        }
        assert_eq!(life.poll(request), Ok(None));
        assert_eq!(life.wait(), 2 * SECOND);
        timed_out(life, request, Wait::Write, 2 * SECOND);
    });
}

#[test]
fn the_first_byte_is_waited_for_from_the_last_that_was_sent() {
    each::<1>(limits(), |life| {
        let request = life.begin(ask("GET"));
        assert_eq!(life.poll(request), Ok(None));
        life.pass(SECOND);
        life.flush();
        assert_eq!(life.wait(), 3 * SECOND);
        timed_out(life, request, Wait::FirstByte, 3 * SECOND);
    });
    // Also if the caller looks only when it is woken, and others write meanwhile.
    each::<2>(limits(), |life| {
        let one = life.get();
        for _ in 0..2 {
            life.pass(SECOND);
            let other = life.get();
            life.leave(other);
            if life.session.is_reusable() {
                continue;
            }
            break;
        }
        life.flush();
        assert_eq!(life.wait(), 2 * SECOND);
        timed_out(life, one, Wait::FirstByte, 3 * SECOND);
    });
}

#[test]
fn every_byte_of_an_answer_begins_the_limit_of_reading_again() {
    for server in [Server::new().stdout(1, b"x"), Server::new().stderr(1, b"x"), Server::new().stdout(1, b"")]
    {
        each::<1>(limits(), |life| {
            let request = life.get();
            for _ in 0..10 {
                life.pass(2 * SECOND);
                life.feed(&*server);
                assert_eq!(life.poll(request), Ok(None));
            }
            assert_eq!(life.wait(), 5 * SECOND);
            timed_out(life, request, Wait::Read, 5 * SECOND);
        });
    }
    each::<1>(limits(), |life| {
        let request = life.get();
        life.pass(2 * SECOND);
        life.feed(b"\x01");
        assert_eq!(life.poll(request), Ok(None));
        assert_eq!(life.wait(), 5 * SECOND);
        timed_out(life, request, Wait::Read, 5 * SECOND);
    });
}

#[test]
fn an_application_that_trickles_its_answer_is_left_at_last() {
    each::<1>(settings(|s| s.total = 100 * SECOND), |life| {
        let request = life.get();
        let start = life.now;
        while life.poll(request) == Ok(None) {
            life.now += 20 * SECOND;
            life.session.expire(life.now);
            life.feed(&*Server::new().stdout(1, b"x"));
        }
        assert!((100..=120).contains(&(life.now - start).as_secs()), "{:?}", life.now - start);
        timed_out(life, request, Wait::Total, 100 * SECOND);
    });
    // One that sends a thousand bytes a second is not.
    each::<1>(settings(|s| s.total = 100 * SECOND), |life| {
        let request = life.get();
        for _ in 0..50 {
            life.pass(20 * SECOND);
            life.feed(&*Server::new().stdout(1, &[b'x'; 20_000]));
            assert_eq!(life.poll(request), Ok(None));
        }
    });
}

#[test]
fn an_application_that_has_nothing_but_words_for_the_log_is_left_at_last() {
    each::<1>(settings(|s| s.total = 100 * SECOND), |life| {
        let request = life.get();
        let start = life.now;
        while life.poll(request) == Ok(None) {
            life.now += SECOND;
            life.session.expire(life.now);
            life.feed(&*Server::new().stderr(1, &[b'x'; 10_000]));
            // What was sent earned something.
            assert!(life.now - start <= 101 * SECOND, "{:?}", life.now - start);
        }
        let limit = 100 * SECOND;
        assert_eq!(life.poll(request), Err(Failure::TimedOut { wait: Wait::Total, limit }));
    });
}

#[test]
fn an_application_that_trickles_what_it_takes_is_left_at_last() {
    each::<1>(settings(|s| s.total = 100 * SECOND), |life| {
        let request = life.begin(post(1000));
        life.give(request, &[b'x'; 1000]);
        let start = life.now;
        while life.poll(request) == Ok(None) {
            life.now += 20 * SECOND;
            life.session.expire(life.now);
            life.take(1);
        }
        assert!((100..=120).contains(&(life.now - start).as_secs()), "{:?}", life.now - start);
        timed_out(life, request, Wait::Total, 100 * SECOND);
    });
}

#[test]
fn a_caller_that_does_not_wait_has_no_limit() {
    each::<1>(limits(), |life| {
        let request = life.begin(ask("GET"));
        life.flush();
        life.pass(100 * SECOND);
        assert_eq!(life.poll(request), Ok(None));
        life.feed(&*Server::new().stdout(1, b"x"));
        // It has something to take, and thinks.
        life.pass(100 * SECOND);
        assert_eq!(life.poll(request), Ok(None));
        assert_eq!(life.wait(), 5 * SECOND);
        timed_out(life, request, Wait::Read, 5 * SECOND);
    });
}

#[test]
fn a_caller_that_leaves_the_application_waiting_for_the_body_is_ended() {
    each::<1>(limits(), |life| {
        let request = life.begin(post(1000));
        life.flush();
        assert_eq!(life.poll(request), Ok(None));
        assert_eq!(life.wait(), 7 * SECOND);
        timed_out(life, request, Wait::Input, 7 * SECOND);
    });
    // Two bytes at a time do not help it; a thousand a second do.
    for (bytes, lasts) in [(2, 8), (1000, 50)] {
        each::<1>(limits(), |life| {
            let request = life.begin(post(100_000));
            let mut seconds = 0;
            while seconds < 50 && life.poll(request) == Ok(None) {
                life.flush();
                life.now += SECOND;
                life.session.expire(life.now);
                life.give(request, &vec![b'x'; bytes]);
                seconds += 1;
            }
            assert_eq!(seconds, lasts);
        });
    }
    // What they take on the wire counts for nothing: a byte is a record of 16.
    each::<1>(limits(), |life| {
        let request = life.begin(post(100_000));
        let start = life.now;
        while life.poll(request) == Ok(None) {
            assert!(life.now - start < 8 * SECOND);
            life.flush();
            life.now += SECOND / 100;
            life.session.expire(life.now);
            life.give(request, b"x");
        }
        assert!(life.now - start > 7 * SECOND);
    });
}

#[test]
fn limits_without_end_have_no_moment_to_come_back_at() {
    let endless = settings(|s| {
        (s.write, s.first_byte, s.read) = (Duration::MAX, Duration::MAX, Duration::MAX);
        (s.total, s.input, s.kept_first_byte) = (Duration::MAX, Duration::MAX, Duration::MAX);
    });
    each::<1>(endless, |life| {
        let request = life.get();
        assert_eq!(life.next().at, None);
        life.feed(&*Server::new().stdout(1, b"x"));
        assert_eq!((life.poll(request), life.next().at), (Ok(None), None));
    });
}

#[test]
fn one_that_is_late_costs_the_others_of_its_connection_nothing() {
    each::<2>(limits(), |life| {
        let one = life.get();
        life.pass(SECOND);
        let two = life.get();
        assert_eq!(life.wait(), 2 * SECOND);
        timed_out(life, one, Wait::FirstByte, 3 * SECOND);
        assert!(!life.next().close);
        life.leave(one);
        life.feed(&*Server::new().answer(1).answer(2));
        life.end(two);
        assert!(life.next().close, "no request follows one that was late");
    });
}

#[test]
fn the_moment_to_come_back_at_is_right_whatever_was_called_last() {
    // Input was waited for; then it came.
    each::<1>(limits(), |life| {
        let request = life.begin(post(1000));
        life.flush();
        assert_eq!(life.poll(request), Ok(None));
        life.give(request, &[b'x'; 1000]);
        assert_eq!(life.wait(), 2 * SECOND);
        timed_out(life, request, Wait::Write, 2 * SECOND);
    });
    // Then it left.
    each::<1>(limits(), |life| {
        let request = life.begin(post(1000));
        life.flush();
        assert_eq!(life.poll(request), Ok(None));
        life.give(request, &[b'x'; 1000]);
        life.flush();
        assert_eq!(life.wait(), 3 * SECOND);
        timed_out(life, request, Wait::FirstByte, 3 * SECOND);
    });
    // Then something came.
    each::<1>(settings(|s| (s.first_byte, s.read) = (30 * SECOND, 2 * SECOND)), |life| {
        let request = life.get();
        life.feed(&*Server::new().stderr(1, b"x"));
        assert_eq!(life.wait(), 2 * SECOND);
        timed_out(life, request, Wait::Read, 2 * SECOND);
    });
}

#[test]
fn a_connection_that_waited_before_its_first_request_is_not_fresh() {
    let limit = Duration::from_millis(300);
    each::<1>(Settings::default(), |life| {
        life.session.waited();
        let request = life.get();
        assert_eq!(life.wait(), limit);
        timed_out(life, request, Wait::Kept, limit);
        assert_eq!(life.session.again(request), Again::Fresh);
    });
}
