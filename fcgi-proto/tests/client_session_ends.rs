//! The client's session: what the end of a request means.

#[path = "support/life.rs"]
mod life;
mod support;
#[path = "support/client.rs"]
mod web_server;

use fcgi_proto::client::{Failure, Settings};
use fcgi_proto::record::ProtocolStatus::{self, CantMpxConn, Overloaded, UnknownRole};
use fcgi_proto::{ConnectionError, Level};
use life::*;
use web_server::Server;

/// What an end with this protocol status means, behind an answer with this status, if there is one.
fn ends(protocol_status: u8, answer: Option<u16>, expected: Result<Option<ProtocolStatus>, Failure>) {
    each::<1>(Settings::default(), |life| {
        let request = life.get();
        if let Some(status) = answer {
            life.feed(&*Server::new().stdout(1, b"an answer"));
            life.session.head(request, status);
        }
        life.feed(&*Server::new().end(1, 7, protocol_status));
        let result = life.poll(request);
        let found = result.map(|end| {
            let end = end.expect("an end");
            assert_eq!((end.app_status, end.protocol_status), (7, protocol_status));
            assert_eq!(end.answered, answer.is_some());
            end.refusal
        });
        assert_eq!(found, expected, "{protocol_status} {answer:?}");
    });
}

#[test]
fn a_refusal_is_one_with_or_without_an_answer_beside_it() {
    ends(2, None, Ok(Some(Overloaded)));
    ends(2, Some(503), Ok(Some(Overloaded)));
    ends(3, None, Ok(Some(UnknownRole)));
    ends(3, Some(503), Ok(Some(UnknownRole)));
    ends(1, None, Ok(Some(CantMpxConn)));
    ends(1, Some(503), Ok(Some(CantMpxConn)));
}

#[test]
fn status_2_3_or_99_after_a_part_of_an_answer_is_a_cut_answer() {
    for protocol_status in [2, 3, 99, 255] {
        ends(protocol_status, Some(200), Err(Failure::Cut { protocol_status }));
        // Its head is not whole.
        ends(protocol_status, Some(0), Err(Failure::Cut { protocol_status }));
    }
    ends(99, Some(503), Err(Failure::Cut { protocol_status: 99 }));
}

#[test]
fn status_1_after_an_answer_is_success_but_for_a_503() {
    ends(1, Some(200), Ok(None));
    ends(1, Some(404), Ok(None));
}

#[test]
fn status_0_is_an_end_and_an_unknown_one_without_an_answer_no_refusal() {
    ends(0, None, Ok(None));
    ends(0, Some(200), Ok(None));
    ends(0, Some(503), Ok(None));
    ends(77, None, Ok(None));
}

#[test]
fn a_503_may_be_a_refusal_until_it_ends_or_is_too_long_for_one() {
    each::<1>(Settings::default(), |life| {
        life.takes = false;
        let request = life.get();
        life.feed(&*Server::new().stdout(1, &[b'x'; 8000]));
        assert!(!life.session.may_be_refused(request), "its status is not known");
        life.session.head(request, 503);
        assert!(life.session.may_be_refused(request));
        life.feed(&*Server::new().stdout(1, &[b'x'; 193]));
        assert!(!life.session.may_be_refused(request));
    });
    each::<1>(Settings::default(), |life| {
        let request = life.get();
        life.feed(&*Server::new().stdout(1, b"x"));
        life.session.head(request, 503);
        assert!(life.session.may_be_refused(request));
        life.feed(&*Server::new().end(1, 0, 2));
        assert!(!life.session.may_be_refused(request));
    });
}

#[test]
fn a_close_before_the_end_cuts_the_answer_and_keeps_what_came() {
    for (came, page) in [(Server::new(), ""), (Server::new().stdout(1, b"part"), "part")] {
        each::<1>(Settings::default(), |life| {
            let request = life.get();
            life.feed(&*came);
            life.session.end_of_input();
            assert_eq!(life.page(request), page);
            assert_eq!(life.poll(request), Err(Failure::Closed));
            assert_eq!(life.poll(request), Err(Failure::Closed), "a failure is no end the second time");
            assert!(life.next().close);
            assert_eq!(Failure::Closed.level(), Level::Warn);
        });
    }
    each::<1>(Settings::default(), |life| {
        let request = life.get();
        life.session.broken();
        assert_eq!(life.poll(request), Err(Failure::Broken));
        assert!(life.next().close);
    });
}

#[test]
fn a_close_behind_the_end_is_none() {
    each::<1>(Settings::default(), |life| {
        let request = life.get();
        life.feed(&*Server::new().answer(1));
        life.session.end_of_input();
        life.end(request);
    });
}

#[test]
fn a_protocol_error_names_the_8_bytes_that_did_it() {
    each::<1>(Settings::default(), |life| {
        let request = life.get();
        life.feed(&*Server::new().stdout(1, b"abc").raw(b"\x06\x06garbage"));
        assert_eq!(life.page(request), "abc");
        let failure = life.poll(request).expect_err("no record");
        let error = ConnectionError::Version { found: 6 };
        assert_eq!(failure, Failure::Protocol { error, header: *b"\x06\x06garbag" });
        assert_eq!(failure.level(), Level::Warn);
        let text = "not FastCGI: record of protocol version 6, not 1, [06, 06, 67, 61, 72, 62, 61, 67]";
        assert_eq!(failure.to_string(), text);
        assert!(life.next().close);
    });
    each::<2>(Settings::default(), |life| {
        let (one, two) = (life.get(), life.get());
        life.feed(&*Server::new().answer(1).stdout(0, b"x"));
        life.end(one);
        let failure = life.poll(two).expect_err("an application record with id 0");
        assert_eq!(failure.to_string().split(", [").nth(1), Some("01, 06, 00, 00, 00, 01, 00, 00]"));
    });
}

#[test]
fn an_end_inside_a_record_is_a_protocol_error() {
    let answer = Server::new().stdout(1, b"part");
    for cut in 1..answer.len() {
        each::<1>(Settings::default(), |life| {
            let request = life.get();
            life.feed(&answer[..cut]);
            life.session.end_of_input();
            let missing = (if cut < 8 { 8 - cut } else { answer.len() - cut }) as u32;
            let error = ConnectionError::UnexpectedEof { missing };
            let Err(Failure::Protocol { error: found, .. }) = life.poll(request) else { panic!("{cut}") };
            assert_eq!(found, error);
        });
    }
}

#[test]
fn values_stderr_and_stdout_come_in_the_order_of_their_streams() {
    each::<2>(Settings::default(), |life| {
        let (one, two) = (life.get(), life.get());
        let server = Server::new().stderr(1, b"one ").stdout(2, b"b").stdout(1, b"a").stderr(2, b"x");
        life.feed(&*server.stderr(1, b"two").stdout(1, b"c").answer(2).end(1, 0, 0));
        assert_eq!((life.page(one), &life.stderr[&one][..]), ("ac", &b"one two"[..]));
        assert!(life.page(two).starts_with('b') && life.stderr[&two] == b"x");
        life.end(one);
        life.end(two);
    });
}
