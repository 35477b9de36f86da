//! The client's session: which connection carries the next request, and that a late record never reaches it.

#[path = "support/life.rs"]
mod life;
mod support;
#[path = "support/client.rs"]
mod web_server;

use fcgi_proto::client::{Failure, Oddity, SendError, Settings};
use life::*;
use support::{END, STDERR, STDOUT};
use web_server::{Server, summary};

/// A first request on the connection that ended well and was left.
fn used<const N: usize>(life: &mut Life<N>) {
    let request = life.get();
    life.feed(&*Server::new().answer(1));
    life.end(request);
    life.leave(request);
    assert!(life.session.is_reusable() && !life.next().close);
}

#[test]
fn ids_walk_from_1_to_200_and_begin_again() {
    each::<1>(Settings::default(), |life| {
        for number in (1..=200).chain(1..=3) {
            life.wire.clear();
            let request = life.get();
            assert!(summary(&life.wire).starts_with(&format!("BEGIN#{number} ")));
            life.feed(&*Server::new().answer(number));
            life.end(request);
            life.leave(request);
        }
    });
    each::<3>(Settings::default(), |life| {
        let held = life.get();
        let mut last = 1;
        for _ in 0..300 {
            life.wire.clear();
            let request = life.get();
            let id = u16::from_be_bytes([life.wire[2], life.wire[3]]);
            assert!(id != last && id <= 198, "{id} follows {last}");
            life.feed(&*Server::new().answer(id));
            life.end(request);
            life.leave(request);
            last = id;
        }
        assert_eq!(life.poll(held), Ok(None));
    });
}

#[test]
fn a_connection_is_not_used_again_when_anything_came_between_two_requests() {
    for (late, what) in [
        (Server::new().stdout(1, b"late"), Oddity::Late),
        (Server::new().stdout(1, b""), Oddity::Late),
        (Server::new().stderr(1, b"late"), Oddity::Late),
        (Server::new().end(1, 0, 0), Oddity::Late),
        (Server::new().stdout(2, b"early"), Oddity::Late),
        (Server::new().values(b""), Oddity::Unasked),
        (Server::new().unknown_type(9), Oddity::Unasked),
        (Server::new().record(99, 1, b"?"), Oddity::Unasked),
    ] {
        each::<1>(Settings::default(), |life| {
            used(life);
            life.feed(&*late);
            assert!(life.next().close && !life.session.is_reusable());
            assert_eq!(life.try_begin(ask("GET")), Err(SendError::NotReusable));
            let odd = life.session.take_odd().expect("a line for the log");
            assert_eq!(odd.header, late[..8]);
            let expected = if what == Oddity::Late { Oddity::Unasked } else { what };
            assert_eq!(odd.what, expected);
            assert_eq!(life.session.take_odd(), None);
        });
    }
}

#[test]
fn a_part_of_a_header_between_two_requests_is_enough() {
    each::<1>(Settings::default(), |life| {
        used(life);
        life.feed(b"\x01");
        assert!(life.next().close);
        assert_eq!(life.try_begin(ask("GET")), Err(SendError::NotReusable));
    });
}

#[test]
fn the_end_of_a_kept_connection_is_seen_and_no_failure() {
    each::<1>(Settings::default(), |life| {
        used(life);
        assert!(life.next().read, "it is looked at");
        life.session.end_of_input();
        assert!(life.next().close);
        assert_eq!(life.try_begin(ask("GET")), Err(SendError::NotReusable));
    });
}

#[test]
fn what_comes_late_for_the_request_before_never_reaches_the_next() {
    let late =
        Server::new().stdout(1, b"Set-Cookie: of-the-first\r\n\r\nlate").stderr(1, b"late").end(1, 0, 0);
    each::<1>(Settings::default(), |life| {
        used(life);
        let request = life.get();
        life.feed(&*late);
        life.feed(&*Server::new().stdout(2, b"its own"));
        life.feed(&*late);
        life.feed(&*Server::new().stdout(2, b" answer").end(2, 0, 0));
        assert_eq!(life.page(request), "its own answer");
        assert!(life.stderr.is_empty());
        life.end(request);
        let odd = life.session.take_odd().expect("a line for the log");
        assert_eq!((odd.what, odd.header[..4].to_vec()), (Oddity::Late, vec![1, STDOUT, 0, 1]));
        assert!(odd.to_string().contains("[01, 06, 00, 01, "), "{odd}");
        assert!(life.next().close, "more may come");
    });
}

#[test]
fn an_answer_that_comes_twice_meets_no_other_on_a_multiplexed_connection() {
    each::<4>(Settings::default(), |life| {
        let (one, two) = (life.get(), life.get());
        life.feed(&*Server::new().answer(1));
        life.end(one);
        life.leave(one);
        let three = life.get();
        life.feed(&*Server::new().answer(1).stdout(3, b"three").end(3, 0, 0).stdout(2, b"two").end(2, 0, 0));
        assert_eq!((life.page(two), life.page(three)), ("two", "three"));
        life.end(two);
        life.end(three);
        assert!(life.next().close);
    });
}

#[test]
fn a_record_that_began_before_a_request_is_not_for_it() {
    for cut in 1..12 {
        each::<2>(Settings::default(), |life| {
            let one = life.get();
            let early = Server::new().stdout(2, b"not for it");
            life.feed(&early[..cut]);
            match life.try_begin(ask("GET")) {
                Ok(two) => {
                    assert!(cut < 8, "a whole header is odd");
                    life.flush();
                    life.feed(&early[cut..]);
                    assert_eq!(life.page(two), "");
                    life.feed(&*Server::new().stdout(2, b"its own").end(2, 0, 0));
                    assert_eq!(life.page(two), "its own");
                    life.end(two);
                }
                Err(error) => assert!(cut >= 8 && error == SendError::NotReusable),
            }
            life.feed(&early[cut.max(8)..][..0]);
            assert_eq!(life.poll(one), Ok(None));
            assert!(!life.session.is_reusable());
        });
    }
    // One for a request that was there before is its own.
    each::<2>(Settings::default(), |life| {
        let one = life.get();
        let record = Server::new().stdout(1, b"its own");
        life.feed(&record[..3]);
        life.begin(ask("GET"));
        life.flush();
        life.feed(&record[3..]);
        assert_eq!(life.page(one), "its own");
        assert!(life.session.is_reusable());
    });
}

#[test]
fn an_end_of_another_length_behind_an_answer_costs_the_connection_and_nothing_else() {
    for length in [0, 2, 7, 9, 16] {
        each::<1>(Settings::default(), |life| {
            let request = life.get();
            life.feed(&*Server::new().stdout(1, b"whole").record(END, 1, &vec![0; length]));
            assert_eq!(life.page(request), "whole");
            let end = life.end(request);
            assert_eq!((end.app_status, end.protocol_status, end.refusal), (0, 0, None));
            assert!(life.next().close);
            assert_eq!(life.session.take_odd().map(|odd| odd.what), Some(Oddity::EndLength));
        });
        each::<1>(Settings::default(), |life| {
            let request = life.get();
            life.feed(&*Server::new().stderr(1, b"x").record(END, 1, &vec![0; length]));
            let failure = life.poll(request).expect_err("there is no answer");
            assert!(matches!(failure, Failure::Protocol { .. }), "{failure}");
        });
        each::<2>(Settings::default(), |life| {
            let (one, two) = (life.get(), life.get());
            life.feed(&*Server::new().stdout(1, b"whole").record(END, 1, &vec![0; length]).answer(2));
            life.end(one);
            life.end(two);
        });
    }
}

#[test]
fn a_request_that_does_not_keep_the_connection_is_its_last() {
    each::<1>(Settings::default(), |life| {
        let mut last = ask("GET");
        last.keep_conn = false;
        let request = life.begin(last);
        life.flush();
        assert!(!life.next().close);
        life.feed(&*Server::new().answer(1));
        life.end(request);
        assert!(life.next().close, "at once, not when the application closes");
    });
}

#[test]
fn a_refused_request_is_the_connections_last() {
    each::<1>(Settings::default(), |life| {
        let request = life.get();
        life.feed(&*Server::new().end(1, 0, 2));
        life.end(request);
        assert!(life.next().close);
    });
}

#[test]
fn what_nobody_may_send_before_the_first_request_is_enough() {
    for kind in [STDOUT, STDERR, END] {
        each::<1>(Settings::default(), |life| {
            life.feed(&*Server::new().record(kind, 1, &[0; 8]));
            assert_eq!(life.try_begin(ask("GET")), Err(SendError::NotReusable));
            assert!(life.next().close);
        });
    }
}
