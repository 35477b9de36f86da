//! The client's session: what is kept for a request that nobody reads, what that holds up, and requests that are
//! left before their end.

#[path = "support/life.rs"]
mod life;
mod support;
#[path = "support/client.rs"]
mod web_server;

use fcgi_proto::client::{Failure, Settings, Wait};
use life::*;
use web_server::{Server, summary};

#[test]
fn of_an_answer_that_nobody_takes_so_much_is_kept_and_nothing_more_is_read() {
    each::<1>(settings(|s| s.kept = 1000), |life| {
        life.takes = false;
        let request = life.get();
        life.feed(&*Server::new().stdout(1, &[b'x'; 999]));
        assert!(life.next().read);
        life.feed(&*Server::new().stdout(1, b"y").stdout(1, b"z").end(1, 0, 0));
        assert!(!life.next().read && life.waiting() > 0);
        assert_eq!(life.page(request).len(), 1000);
        assert_eq!(life.poll(request), Ok(None));
        life.pass(1000 * SECOND);
        assert_eq!(life.next().at, None, "who does not read is waited for");
        life.session.took(request, 1, life.now);
        assert!(life.next().read);
        life.pull();
        assert_eq!(life.page(request).len(), 1001);
        life.session.took(request, 1000, life.now);
        life.pull();
        life.end(request);
    });
}

#[test]
fn one_that_nobody_reads_holds_up_the_others_and_their_time_until_it_is_read() {
    each::<2>(settings(|s| s.kept = 10), |life| {
        life.takes = false;
        let (one, two) = (life.get(), life.get());
        life.feed(&*Server::new().stdout(1, b"0123456789").stdout(2, b"two").end(2, 0, 0));
        assert_eq!(life.page(two), "");
        life.pass(59 * SECOND);
        assert_eq!(life.poll(two), Ok(None));
        life.session.took(one, 1, life.now);
        life.pull();
        assert_eq!(life.page(two), "two");
        life.end(two);
    });
    // The application is not blamed for what came before it was listened to again.
    each::<2>(settings(|s| s.kept = 10), |life| {
        life.takes = false;
        let (one, two) = (life.get(), life.get());
        life.feed(&*Server::new().stdout(1, b"0123456789"));
        life.pass(59 * SECOND);
        life.session.took(one, 1, life.now);
        assert_eq!(life.wait(), 60 * SECOND);
        assert_eq!(life.poll(two), Err(Failure::TimedOut { wait: Wait::FirstByte, limit: 60 * SECOND }));
    });
}

#[test]
fn one_that_holds_up_others_for_too_long_is_ended_and_they_go_on() {
    each::<2>(settings(|s| s.kept = 10), |life| {
        life.takes = false;
        let (one, two) = (life.get(), life.get());
        life.feed(&*Server::new().stdout(1, b"0123456789").stdout(2, b"two"));
        assert_eq!(life.wait(), 60 * SECOND);
        assert_eq!(life.poll(one), Err(Failure::Unread { limit: 60 * SECOND }));
        life.pull();
        assert_eq!(life.page(two), "two");
        assert_eq!(life.poll(two), Ok(None));
        life.feed(&*Server::new().stdout(1, b"more that nobody waits for").end(2, 0, 0));
        assert_eq!(life.page(one), "0123456789");
        life.end(two);
    });
}

#[test]
fn an_answer_that_ended_holds_nothing_up() {
    each::<2>(settings(|s| s.kept = 10), |life| {
        life.takes = false;
        let (one, two) = (life.get(), life.get());
        life.feed(&*Server::new().stdout(1, b"012345678").stdout(1, b""));
        life.feed(&*Server::new().end(1, 0, 0).stdout(2, b"two").end(2, 0, 0));
        life.end(one);
        life.end(two);
    });
}

#[test]
fn a_request_that_is_left_alone_on_its_connection_closes_it_without_an_abort() {
    each::<2>(Settings::default(), |life| {
        let request = life.get();
        let sent = life.wire.len();
        life.leave(request);
        life.flush();
        assert!(life.next().close);
        assert_eq!(life.wire.len(), sent, "closing is the abort that works");
    });
}

#[test]
fn a_request_that_is_left_beside_others_is_aborted_and_they_go_on() {
    each::<2>(Settings::default(), |life| {
        let (one, two) = (life.get(), life.get());
        life.feed(&*Server::new().stdout(1, b"begun"));
        life.leave(one);
        life.flush();
        assert!(summary(&life.wire).ends_with(" ABORT#1"));
        assert!(!life.next().close && !life.session.is_reusable());
        life.feed(&*Server::new().stdout(1, b"dropped").stderr(1, b"dropped").stdout(2, b"two"));
        assert_eq!((life.page(one), life.page(two)), ("begun", "two"));
        assert!(life.stderr.is_empty());
        life.feed(&*Server::new().end(1, 0, 0));
        assert!(!life.next().close);
        life.feed(&*Server::new().end(2, 0, 0));
        life.end(two);
        assert!(life.next().close, "few applications end what they answer to an abort");
    });
}

#[test]
fn when_all_are_left_the_connection_closes_whatever_still_comes() {
    each::<2>(Settings::default(), |life| {
        let (one, two) = (life.get(), life.get());
        life.leave(one);
        life.feed(&*Server::new().answer(2));
        life.end(two);
        life.leave(two);
        assert!(life.next().close, "nobody waits for the one that was left");
    });
}

#[test]
fn one_that_held_up_others_and_is_left_holds_nothing_up() {
    each::<2>(settings(|s| s.kept = 10), |life| {
        life.takes = false;
        let (one, two) = (life.get(), life.get());
        life.feed(&*Server::new().stdout(1, b"0123456789").stdout(2, b"two").end(2, 0, 0));
        assert!(!life.next().read);
        life.leave(one);
        assert!(life.next().read);
        life.pull();
        assert_eq!(life.page(two), "two");
        life.end(two);
    });
}
