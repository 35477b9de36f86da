//! The client's session: what is sent again, and what is learned of kept connections.

#[path = "support/life.rs"]
mod life;
mod support;
#[path = "support/client.rs"]
mod web_server;

use std::time::Duration;

use fcgi_proto::client::{Again, Failure, Manners, Request, Resend, Session, Settings, Wait};
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

/// A connection between two requests.
fn kept(life: &mut Life<1>) {
    let request = life.get();
    life.feed(&*Server::new().answer(1));
    life.end(request);
    life.leave(request);
}

const STAYED_OPEN: Duration = Duration::from_millis(200);

/// Of applications that end with their answer.
fn patient() -> Settings {
    settings(|s| s.kept_first_byte = Duration::MAX)
}

/// Whether a GET, and a POST, go on the connection, which has been idle for so long.
fn may_use(life: &Life<1>, manners: &mut Manners, idle: Duration) -> (bool, bool) {
    let mut may = |method| manners.may_use(&life.session, &ask(method), idle, life.now);
    (may("GET"), may("POST"))
}

#[test]
fn a_request_that_must_not_be_sent_twice_goes_on_a_kept_connection_once_the_application_showed_that_it_keeps_them()
 {
    each::<1>(patient(), |life| {
        let mut manners = Manners::default();
        kept(life);
        assert_eq!(may_use(life, &mut manners, STAYED_OPEN / 2), (true, false));
        let mut once = ask("GET");
        once.repeatable = false;
        assert!(!manners.may_use(&life.session, &once, Duration::ZERO, life.now));
        // It has stayed open.
        assert_eq!(may_use(life, &mut manners, STAYED_OPEN), (true, true));
        assert_eq!(may_use(life, &mut manners, Duration::ZERO), (true, true));
    });
    // It carried a second request.
    each::<1>(patient(), |life| {
        let mut manners = Manners::default();
        let second = begun(life, "GET", false);
        life.flush();
        manners.learn(&life.session, second, life.now);
        assert_eq!(may_use(life, &mut manners, Duration::ZERO), (true, false));
        life.feed(&*Server::new().answer(2));
        life.end(second);
        manners.learn(&life.session, second, life.now);
        assert_eq!(may_use(life, &mut manners, Duration::ZERO), (true, true));
    });
    // Whoever may be sent twice needs no showing.
    each::<1>(settings(|s| s.resend = Resend::All), |life| {
        kept(life);
        assert_eq!(may_use(life, &mut Manners::default(), Duration::ZERO), (true, true));
    });
}

#[test]
fn a_request_that_must_not_be_sent_twice_waits_for_no_worker_that_may_be_at_work_on_the_one_before() {
    each::<1>(Settings::default(), |life| {
        let mut manners = Manners::default();
        kept(life);
        for idle in [Duration::ZERO, STAYED_OPEN, 100 * STAYED_OPEN] {
            assert_eq!(may_use(life, &mut manners, idle), (true, false), "{idle:?}");
        }
    });
    // For other applications there is a setting.
    for (kept_first_byte, expected) in [(59, false), (60, true), (61, true)] {
        each::<1>(settings(|s| s.kept_first_byte = kept_first_byte * SECOND), |life| {
            kept(life);
            assert_eq!(may_use(life, &mut Manners::default(), STAYED_OPEN), (true, expected));
        });
    }
}

/// Another connection of the application, between two requests.
fn another(life: &mut Life<1>) {
    life.session = Session::new(patient());
    kept(life);
}

#[test]
fn after_a_kept_connection_closed_under_a_request_none_is_used_before_one_has_stayed_open() {
    each::<1>(patient(), |life| {
        let mut manners = Manners::default();
        let request = begun(life, "GET", false);
        life.flush();
        life.session.end_of_input();
        manners.learn(&life.session, request, life.now);
        assert_eq!(may_use(life, &mut manners, STAYED_OPEN), (false, false), "it has ended");
        another(life);
        assert_eq!(may_use(life, &mut manners, STAYED_OPEN / 2), (false, false));
        assert_eq!(may_use(life, &mut manners, STAYED_OPEN), (true, true), "it shows otherwise");
        assert_eq!(may_use(life, &mut manners, Duration::ZERO), (true, true));
    });
}

#[test]
fn an_application_that_was_seen_to_close_behind_its_answer_has_to_show_that_it_keeps_connections() {
    for (idle, expected) in [(STAYED_OPEN / 2, (false, false)), (STAYED_OPEN, (true, false))] {
        each::<1>(Settings::default(), |life| {
            let mut manners = Manners::default();
            kept(life);
            life.session.end_of_input();
            assert_eq!(may_use(life, &mut manners, idle), (false, false), "it has ended");
            another(life);
            assert_eq!(may_use(life, &mut manners, Duration::ZERO), expected, "after {idle:?}");
        });
    }
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
        life.session = Session::new(patient());
        life.now += 59 * SECOND;
        assert_eq!(may_use(life, &mut manners, 10 * SECOND), (false, false));
        life.now += SECOND;
        assert_eq!(may_use(life, &mut manners, 10 * SECOND), (true, true));
    });
}

#[test]
fn nothing_is_learned_from_fresh_connections() {
    for answered in [false, true] {
        each::<1>(Settings::default(), |life| {
            let mut manners = Manners::default();
            let request = begun(life, "GET", true);
            life.flush();
            if answered {
                life.feed(&*Server::new().stdout(1, b"x"));
            }
            life.session.end_of_input();
            manners.learn(&life.session, request, life.now);
            life.session = Session::new(Settings::default());
            assert_eq!(may_use(life, &mut manners, Duration::ZERO), (true, false));
        });
    }
}
