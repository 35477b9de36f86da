//! The client's session: what is sent again, and what is learned of kept connections.

#[path = "support/life.rs"]
mod life;
mod support;
#[path = "support/client.rs"]
mod web_server;

use std::time::Duration;

use fcgi_proto::client::{Again, Failure, Manners, Request, Resend, Settings, Wait};
use life::*;
use web_server::Server;

/// A request on a connection that carried one before, or not.
fn begun(life: &mut Life<1>, method: &str, fresh: bool) -> Request {
    if !fresh {
        let first = life.get();
        life.feed(&*Server::new().answer(1));
        life.end(first);
        life.leave(first);
    }
    life.begin(ask(method))
}

#[test]
fn a_request_is_sent_again_on_a_kept_connection_that_ended_unless_it_may_be_executed_twice() {
    for (resend, method, expected) in [
        (Resend::Safe, "GET", Again::Fresh),
        (Resend::Safe, "HEAD", Again::Fresh),
        (Resend::Safe, "POST", Again::No),
        (Resend::Safe, "PUT", Again::No),
        (Resend::Safe, "DELETE", Again::No),
        (Resend::Idempotent, "DELETE", Again::Fresh),
        (Resend::Idempotent, "POST", Again::No),
        (Resend::All, "POST", Again::Fresh),
        (Resend::Never, "GET", Again::No),
    ] {
        for ended in [true, false] {
            each::<1>(settings(|s| s.resend = resend), |life| {
                let request = begun(life, method, false);
                life.take(1);
                assert_eq!(life.session.again(request), Again::No, "it is under way");
                if ended {
                    life.session.end_of_input();
                } else {
                    life.session.unwritable(life.now);
                    life.session.broken();
                }
                life.poll(request).expect_err("no answer");
                assert_eq!(life.session.again(request), expected, "{resend:?} {method}");
            });
        }
    }
}

#[test]
fn a_request_of_which_not_one_byte_was_sent_is_sent_again_whatever_it_is() {
    for (fresh, expected) in [(true, Again::Elsewhere), (false, Again::Fresh)] {
        each::<1>(settings(|s| s.resend = Resend::Never), |life| {
            let request = begun(life, "POST", fresh);
            life.session.unwritable(life.now);
            life.session.end_of_input();
            assert_eq!(life.session.again(request), expected);
        });
    }
}

#[test]
fn a_request_is_not_sent_again_when_a_fresh_connection_ended_or_anything_came() {
    each::<1>(Settings::default(), |life| {
        let request = begun(life, "GET", true);
        life.flush();
        life.session.end_of_input();
        assert_eq!(life.session.again(request), Again::No, "it closes on what it does not like");
    });
    for came in [
        Server::new().stdout(2, b"x"),
        Server::new().stderr(2, b"x"),
        Server::new().stdout(2, b""),
        Server::new().record(99, 2, b""),
        Server::new().raw(b"\x01"),
    ] {
        each::<1>(Settings::default(), |life| {
            let request = begun(life, "GET", false);
            life.flush();
            life.feed(&*came);
            life.session.broken();
            assert_eq!(life.session.again(request), Again::No);
        });
    }
}

#[test]
fn a_request_whose_input_cannot_be_had_again_is_not_sent_again() {
    each::<1>(settings(|s| s.resend = Resend::All), |life| {
        let first = begun(life, "GET", true);
        life.flush();
        life.feed(&*Server::new().answer(1));
        life.leave(first);
        let mut once = post(4);
        once.repeatable = false;
        let request = life.begin(once);
        life.session.end_of_input();
        assert_eq!(life.session.again(request), Again::No);
    });
}

#[test]
fn a_refused_request_goes_elsewhere_whatever_it_is() {
    for (status, head, expected) in [
        (2, 0, Again::Elsewhere),
        (1, 0, Again::Elsewhere),
        (3, 0, Again::No),
        (2, 503, Again::Elsewhere),
        (2, 200, Again::No),
        (1, 503, Again::No),
        (0, 503, Again::No),
    ] {
        each::<1>(settings(|s| s.resend = Resend::Never), |life| {
            let request = begun(life, "POST", true);
            life.flush();
            if head != 0 {
                life.feed(&*Server::new().stdout(1, b"x"));
                life.session.head(request, head);
            }
            life.feed(&*Server::new().end(1, 0, status));
            assert_eq!(life.session.again(request), expected, "{status} {head}");
        });
    }
}

#[test]
fn a_safe_request_that_a_kept_connection_leaves_without_a_byte_goes_to_a_fresh_one() {
    each::<1>(Settings::default(), |life| {
        let request = begun(life, "GET", false);
        life.flush();
        assert_eq!(life.poll(request), Ok(None));
        let limit = Duration::from_millis(300);
        assert_eq!(life.wait(), limit);
        assert_eq!(life.poll(request), Err(Failure::TimedOut { wait: Wait::Kept, limit }));
        assert_eq!(life.session.again(request), Again::Fresh);
        life.leave(request);
        assert!(life.next().close);
    });
    // Once a byte came it is waited for, and so are a POST and the first of a connection.
    each::<1>(Settings::default(), |life| {
        let request = begun(life, "GET", false);
        life.flush();
        life.feed(&*Server::new().stderr(2, b"x"));
        assert_eq!(life.poll(request), Ok(None));
        assert_eq!(life.wait(), 60 * SECOND);
        assert_eq!(life.session.again(request), Again::No);
    });
    for (method, fresh) in [("POST", false), ("GET", true)] {
        each::<1>(Settings::default(), |life| {
            let request = begun(life, method, fresh);
            life.flush();
            assert_eq!(life.poll(request), Ok(None));
            assert_eq!(life.wait(), 60 * SECOND);
            assert_eq!(life.session.again(request), Again::No);
        });
    }
    each::<1>(settings(|s| s.kept_first_byte = Duration::MAX), |life| {
        let request = begun(life, "GET", false);
        life.flush();
        assert_eq!(life.poll(request), Ok(None));
        assert_eq!(life.wait(), 60 * SECOND);
        assert_eq!(life.session.again(request), Again::No, "a silent application is asked once");
    });
}

#[test]
fn after_a_kept_connection_closed_under_a_request_one_is_used_when_it_has_stayed_open() {
    each::<1>(Settings::default(), |life| {
        let mut manners = Manners::default();
        assert!(manners.may_use(Duration::ZERO, life.now));
        let request = begun(life, "POST", false);
        life.flush();
        life.session.end_of_input();
        manners.learn(&life.session, request, life.now);
        let early = Duration::from_millis(999);
        assert!(!manners.may_use(Duration::ZERO, life.now) && !manners.may_use(early, life.now));
        assert!(manners.may_use(SECOND, life.now), "it shows otherwise");
        assert!(manners.may_use(Duration::ZERO, life.now));
    });
}

#[test]
fn after_a_kept_connection_stayed_silent_none_is_used_for_a_minute() {
    each::<1>(Settings::default(), |life| {
        let mut manners = Manners::default();
        let request = begun(life, "GET", false);
        life.flush();
        life.poll(request).unwrap();
        life.wait();
        manners.learn(&life.session, request, life.now);
        assert!(!manners.may_use(10 * SECOND, life.now + 59 * SECOND));
        assert!(manners.may_use(Duration::ZERO, life.now + 60 * SECOND));
    });
}

#[test]
fn nothing_is_learned_from_fresh_connections_and_from_answers() {
    for (fresh, answered) in [(true, false), (false, true)] {
        each::<1>(Settings::default(), |life| {
            let mut manners = Manners::default();
            let request = begun(life, "GET", fresh);
            life.flush();
            if answered {
                life.feed(&*Server::new().stdout(2, b"x"));
            }
            life.session.end_of_input();
            manners.learn(&life.session, request, life.now);
            assert!(manners.may_use(Duration::ZERO, life.now));
        });
    }
}
