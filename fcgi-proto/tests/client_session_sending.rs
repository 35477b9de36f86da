//! The client's session: how a request is made and sent, and what the answer changes of that.

#[path = "support/life.rs"]
mod life;
mod support;
#[path = "support/client.rs"]
mod web_server;

use fcgi_proto::client::{Ask, Failure, SendError, Session, Settings};
use fcgi_proto::record::Role;
use life::*;
use support::{PARAMS, STDIN};
use web_server::{Server, content, summary};

#[test]
fn a_request_without_input_leaves_with_the_ends_of_all_its_streams() {
    for (role, expected) in [
        (Role::Responder, "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:0"),
        (Role::Authorizer, "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:0"),
        (Role::Filter, "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:0 DATA#1:0"),
    ] {
        each::<1>(Settings::default(), |life| {
            let mut ask = ask("GET");
            ask.role = role;
            let request = life.begin(ask);
            assert_eq!(life.session.wants(request), 0);
            life.flush();
            assert_eq!(summary(&life.wire), expected);
        });
    }
}

#[test]
fn stdin_comes_before_data_and_each_ends_where_it_was_said_to() {
    each::<1>(Settings::default(), |life| {
        let mut ask = post(5);
        (ask.role, ask.data) = (Role::Filter, 6);
        let request = life.begin(ask);
        assert_eq!(life.session.wants(request), 5);
        assert_eq!(life.give(request, b"hel"), b"");
        assert_eq!(life.session.wants(request), 2);
        assert_eq!(life.give(request, b"loa file, and more"), b", and more");
        assert_eq!(life.session.wants(request), 0);
        life.flush();
        let expected = "BEGIN#1 PARAMS#1:20 PARAMS#1:0 STDIN#1:3 STDIN#1:2 STDIN#1:0 DATA#1:6 DATA#1:0";
        assert_eq!(summary(&life.wire), expected);
    });
}

#[test]
fn an_authorizer_has_no_stdin_whatever_the_body() {
    each::<1>(Settings::default(), |life| {
        let mut ask = post(5);
        ask.role = Role::Authorizer;
        let request = life.begin(ask);
        assert_eq!(life.give(request, b"hello"), b"hello");
        life.flush();
        assert_eq!(summary(&life.wire), "BEGIN#1 PARAMS#1:20 PARAMS#1:0 STDIN#1:0");
    });
}

#[test]
fn without_an_allocator_a_request_is_made_record_by_record() {
    let mut session = Session::<1>::new(Settings::default());
    let (request, begin) = session.begin(post(4), 1 * SECOND).unwrap();
    let mut sent = begin.to_vec();
    let record = session.param(request, b"A", b"1").unwrap();
    sent.extend(record.slices().concat());
    let record = session.params(request, b"\x01\x01B2").unwrap();
    sent.extend(record.slices().concat());
    assert_eq!(session.wants(request), 0, "the parameters come first");
    let (piece, rest) = session.write(request, b"body", 1 * SECOND).unwrap();
    assert_eq!((piece.remaining(), rest), (0, &b"body"[..]));
    sent.extend_from_slice(&session.params_end(request).unwrap());
    assert!(session.params_end(request).is_err(), "once");
    let (piece, rest) = session.write(request, b"body", 1 * SECOND).unwrap();
    assert_eq!(rest, b"");
    sent.extend(piece.slices().concat());
    assert_eq!(summary(&sent), "BEGIN#1 PARAMS#1:4 PARAMS#1:4 PARAMS#1:0 STDIN#1:4 STDIN#1:0");
    assert_eq!(content(&sent, PARAMS, 1), b"\x01\x01A1\x01\x01B2");
    session.sent(sent.len(), 1 * SECOND);
    assert!(!session.next().write);
}

#[test]
fn no_input_is_taken_while_too_much_waits_to_be_sent() {
    each::<1>(settings(|s| s.room = 100), |life| {
        let body = [b'x'; 1000];
        let request = life.begin(post(1000));
        assert_eq!(life.give(request, &body[..90]).len(), 0);
        assert_eq!(life.session.wants(request), 0);
        assert_eq!(life.give(request, &body[90..]).len(), 910, "nothing of it");
        life.take(61);
        assert_eq!(life.session.wants(request), 910);
        assert_eq!(life.give(request, &body[90..]).len(), 0);
        life.flush();
        assert_eq!(content(&life.wire, STDIN, 1), body);
    });
}

#[test]
fn input_goes_on_while_an_answer_begins() {
    each::<1>(Settings::default(), |life| {
        let request = life.begin(post(4));
        life.flush();
        life.feed(&*Server::new().stdout(1, b"early"));
        assert_eq!((life.page(request), life.session.wants(request)), ("early", 4));
        life.give(request, b"body");
        life.flush();
        life.feed(&*Server::new().end(1, 0, 0));
        life.end(request);
        life.leave(request);
        assert!(life.session.is_reusable());
    });
}

#[test]
fn an_answer_that_ends_before_the_input_was_made_is_whole_and_the_connections_last() {
    each::<1>(Settings::default(), |life| {
        let request = life.begin(post(4));
        life.flush();
        life.feed(&*Server::new().answer(1));
        assert!(life.end(request).answered);
        assert_eq!(life.session.wants(request), 0, "nobody reads it");
        assert_eq!(life.give(request, b"body"), b"body");
        assert!(life.next().close && !life.session.is_reusable());
    });
}

#[test]
fn an_answer_that_ends_before_the_input_left_is_the_connections_last() {
    each::<1>(Settings::default(), |life| {
        let request = life.begin(post(4));
        life.give(request, b"body");
        let count = life.out.len() - 1;
        life.take(count);
        life.feed(&*Server::new().answer(1));
        life.end(request);
        assert!(life.next().close, "the last byte would meet the next request");
    });
}

#[test]
fn what_came_before_a_write_failed_is_still_read() {
    each::<1>(Settings::default(), |life| {
        let request = life.begin(post(4));
        life.take(10);
        life.session.unwritable(life.now);
        assert!(!life.next().write && life.next().read && !life.next().close);
        assert_eq!(life.session.wants(request), 0);
        assert_eq!(life.poll(request), Ok(None));
        life.feed(&*Server::new().answer(1));
        life.end(request);
        assert!(life.next().close);
        life.leave(request);
        assert_eq!(life.try_begin(ask("GET")), Err(SendError::NotReusable));
    });
}

#[test]
fn a_body_that_cannot_be_had_is_never_ended_and_closes_the_connection() {
    each::<1>(Settings::default(), |life| {
        let request = life.begin(post(10));
        life.give(request, b"half");
        life.leave(request);
        assert!(life.next().close);
        assert!(summary(&[&life.wire[..], &life.out].concat()).ends_with("STDIN#1:4"));
    });
}

#[test]
fn an_old_handle_is_an_error_and_meets_no_other_request() {
    each::<1>(Settings::default(), |life| {
        let old = life.get();
        life.feed(&*Server::new().answer(1));
        life.end(old);
        life.leave(old);
        let new = life.begin(post(4));
        life.flush();
        assert_eq!(life.poll(old), Err(Failure::Over));
        assert_eq!(life.session.write(old, b"x", life.now).err(), Some(SendError::Over));
        assert_eq!(life.session.params(old, b"").err(), Some(SendError::Over));
        assert_eq!(life.session.param(old, b"", b"").err(), Some(SendError::Over));
        assert_eq!(life.session.params_end(old).err(), Some(SendError::Over));
        assert_eq!(life.session.wants(old), 0);
        life.session.took(old, 10, life.now);
        life.session.head(old, 503);
        life.leave(old);
        assert!(!life.next().close);
        life.give(new, b"body");
        life.flush();
        life.feed(&*Server::new().answer(2));
        life.end(new);
    });
}

#[test]
fn no_more_requests_than_places_and_an_ended_one_keeps_its_place_until_it_is_left() {
    each::<2>(Settings::default(), |life| {
        let (one, two) = (life.get(), life.get());
        assert_eq!(life.try_begin(ask("GET")), Err(SendError::Full { capacity: 2 }));
        life.feed(&*Server::new().answer(1));
        assert_eq!(life.try_begin(ask("GET")), Err(SendError::Full { capacity: 2 }));
        life.end(one);
        life.leave(one);
        let three = life.get();
        assert_ne!(one, three);
        life.feed(&*Server::new().stdout(3, b"three").stdout(2, b"two").end(3, 0, 0).end(2, 0, 0));
        assert_eq!((life.page(two), life.page(three)), ("two", "three"));
        life.end(two);
        life.end(three);
    });
}

#[test]
fn values_are_asked_as_a_request_and_answered_or_not_known() {
    let values = support::pairs(&[("FCGI_MAX_CONNS", "10")]);
    for (answer, expected) in [
        (Server::new().values(&values), &values[..]),
        (Server::new().values(b""), b""),
        (Server::new().unknown_type(9), b""),
    ] {
        each::<1>(Settings::default(), |life| {
            let (request, control) = life.session.get_values(life.now).unwrap();
            life.out.extend_from_slice(&control);
            life.flush();
            assert_eq!(life.poll(request), Ok(None));
            life.feed(&*answer);
            assert_eq!(life.page(request).as_bytes(), expected);
            assert_eq!(life.end(request).refusal, None);
        });
    }
    each::<1>(Settings::default(), |life| {
        let (request, control) = life.session.get_values(life.now).unwrap();
        life.out.extend_from_slice(&control);
        life.flush();
        life.poll(request).unwrap();
        assert_eq!(life.wait(), 60 * SECOND);
        life.poll(request).expect_err("no answer");
        life.leave(request);
        assert!(life.next().close, "its answer would be taken for that of the next question");
    });
}

#[test]
fn a_request_whose_parameters_do_not_fit_does_not_begin() {
    each::<1>(Settings::default(), |life| {
        let long = vec![b'x'; 70_000];
        let error = life.try_begin(Ask::new(&long)).unwrap_err();
        assert!(matches!(error, SendError::TooLong { .. }));
        assert!(life.out.is_empty());
        life.get();
    });
}
