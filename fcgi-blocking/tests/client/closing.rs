//! The client and applications that close, early, late or not at all, or refuse: what is delivered, what is
//! an error, and what is sent again.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::script::{self, App, MUCH, answer, ask, cut, end, fail, page, stdout, text};
use crate::support::{PATIENCE, record};
use fcgi_blocking::{ClientError, Endpoint, Params, Resend, Status};
use fcgi_proto::ConnectionError;
use fcgi_proto::cgi::ResponseHeadError;
use fcgi_proto::record::{ProtocolStatus, RecordType};
use rustix::net::{SocketAddrAny, SocketAddrUnix, getpeername};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// Longer than a connection has to stay open to show that its application keeps it.
const SHOWN: Duration = Duration::from_millis(250);

#[test]
fn a_request_is_sent_again_once_when_a_kept_connection_died_without_a_byte() {
    for (resend, method) in
        [(Resend::Safe, "GET"), (Resend::Safe, "OPTIONS"), (Resend::Idempotent, "PUT"), (Resend::All, "POST")]
    {
        for app in App::both(|number, peer| match number {
            1 => {
                peer.serve(page("one"));
                assert_eq!(peer.request().stdin, b"body"); // And it closes.
            }
            _ => assert_eq!(peer.serve(page("two")).stdin, b"body"),
        }) {
            let mut client = app.client_with(|settings| settings.resend = resend);
            assert_eq!(text(&mut ask(&mut client)), "one");
            let request = client.request(Params::new(method, "/")).bytes(b"body");
            assert_eq!(text(&mut request.send().expect("an answer")), "two", "{method}");
            assert_eq!(app.connections(), 2);
        }
    }
}

#[test]
fn a_request_that_may_have_been_executed_is_not_sent_twice_unless_the_user_asks_for_that() {
    for (resend, method) in [
        (Resend::Safe, "POST"),
        (Resend::Safe, "PUT"),
        (Resend::Safe, "DELETE"),
        (Resend::Idempotent, "POST"),
        (Resend::Never, "GET"),
    ] {
        for body in [None, Some(b"body")] {
            let (sender, asked) = mpsc::channel();
            let play = move |_, peer: &mut script::Peer| {
                peer.serve(page("one"));
                peer.request();
                sender.send(()).expect("the test waits");
                peer.send(page("two"));
                peer.request(); // And it closes.
            };
            for app in [App::unix(play.clone()), App::tcp(play)] {
                let mut client = app.client_with(|settings| settings.resend = resend);
                assert_eq!(text(&mut ask(&mut client)), "one");
                // Else the second request shows it.
                let shown = if resend == Resend::Never { SHOWN } else { Duration::ZERO };
                assert_eq!(asked.recv_timeout(shown), Err(RecvTimeoutError::Timeout), "nothing is asked");
                assert_eq!(text(&mut ask(&mut client)), "two");
                assert_eq!(asked.recv_timeout(PATIENCE), Ok(()));
                let request = client.request(Params::new(method, "/"));
                let request = if let Some(body) = body { request.bytes(body) } else { request };
                let error = request.send().expect_err("no answer");
                assert!(matches!(error, ClientError::Truncated), "{method}: {error:?}");
                assert_eq!(error.status(), Status::BAD_GATEWAY);
                assert_eq!(app.connections(), 1);
            }
        }
    }
}

#[test]
fn a_large_body_from_memory_or_spooled_is_sent_again_from_its_start() {
    for spooled in [false, true] {
        let app = App::unix(|number, peer| match number {
            1 => {
                peer.serve(page("one"));
                while peer.record().expect("a part").0 != RecordType::Stdin {} // And it closes.
            }
            _ => {
                let asked = peer.serve(page("two"));
                assert!(asked.stdin.len() == MUCH && asked.stdin.iter().all(|byte| *byte == b'b'));
            }
        });
        let mut client = app.client_with(|settings| settings.resend = Resend::All);
        assert_eq!(text(&mut ask(&mut client)), "one");
        let body = vec![b'b'; MUCH];
        let request = client.request(Params::post("/"));
        let request =
            if spooled { request.spooled(&body[..]).expect("a file") } else { request.bytes(&body) };
        assert_eq!(text(&mut request.send().expect("an answer")), "two");
        assert_eq!(app.connections(), 2);
    }
}

#[test]
fn a_request_is_not_sent_a_third_time() {
    let app = App::unix(|number, peer| {
        if number == 1 {
            peer.serve(page("one"));
        }
        peer.request();
    });
    let mut client = app.client();
    assert_eq!(text(&mut ask(&mut client)), "one");
    let error = fail(&mut client);
    assert!(matches!(error, ClientError::Truncated), "{error:?}");
    assert_eq!(app.connections(), 2);
}

#[test]
fn a_request_is_not_sent_again_on_a_fresh_connection() {
    for app in App::both(|_, peer| drop(peer.request())) {
        let error = fail(&mut app.client());
        assert!(matches!(error, ClientError::Truncated), "{error:?}");
        assert_eq!(app.connections(), 1);
    }
}

#[test]
fn a_request_is_not_sent_again_once_a_byte_came() {
    for (bytes, mid_record) in
        [(vec![1], true), (stdout("A: b\r\n"), false), (record(RecordType::Stderr, 1, b"x"), false)]
    {
        let app = App::unix(move |_, peer| {
            peer.serve(page("one"));
            peer.serve(&bytes);
        });
        let mut client = app.client();
        assert_eq!(text(&mut ask(&mut client)), "one");
        match fail(&mut client) {
            ClientError::Protocol(ConnectionError::UnexpectedEof { .. }) if mid_record => {}
            ClientError::Truncated if !mid_record => {}
            error => panic!("{error:?}"),
        }
        assert_eq!(app.connections(), 1);
    }
}

#[test]
fn a_request_is_not_sent_again_when_its_body_cannot_be_read_again() {
    let app = App::unix(|_, peer| {
        peer.serve(page("one"));
        peer.serve(page("two"));
        peer.request();
    });
    let mut client = app.client_with(|settings| settings.resend = Resend::All);
    for expected in ["one", "two"] {
        assert_eq!(text(&mut ask(&mut client)), expected);
    }
    let error = client.request(Params::post("/")).body(&b"body"[..], 4).send().expect_err("no answer");
    assert!(matches!(error, ClientError::Truncated), "{error:?}");
    assert_eq!(app.connections(), 1);
}

#[test]
fn a_post_goes_on_no_kept_connection_of_an_application_that_closes_them() {
    for app in App::both(|_, peer| drop(peer.serve(page("whole")))) {
        let mut client = app.client();
        for number in 1..=10 {
            let request = client.request(Params::post("/")).bytes(b"body");
            assert_eq!(text(&mut request.send().expect("an answer")), "whole");
            assert_eq!(app.connections(), number);
        }
    }
}

#[test]
fn peers_a_truncated_answer_is_an_error_after_what_arrived() {
    let whole = [stdout("A: b\r\n\r\none"), stdout("two"), stdout(""), end(0, 0)].concat();
    let first = stdout("A: b\r\n\r\none").len();
    for keep in first..whole.len() {
        let bytes = whole[..keep].to_vec();
        let app = App::unix(move |_, peer| drop(peer.serve(&bytes)));
        let mut client = app.client();
        let (body, error) = cut(ask(&mut client));
        let came = keep.saturating_sub(first + 8).min(3);
        assert_eq!(body, ["one", &"two"[..came]].concat(), "{keep}");
        let boundary = [first, first + 16, first + 24].contains(&keep);
        assert_eq!(matches!(error, ClientError::Truncated), boundary, "{keep}: {error:?}");
        assert!(boundary || matches!(error, ClientError::Protocol(_)), "{keep}: {error:?}");
    }
    for keep in [0, 7, 8, 12, 13] {
        let bytes = whole[..keep].to_vec();
        let app = App::tcp(move |_, peer| drop(peer.serve(&bytes)));
        let error = fail(&mut app.client());
        assert!(matches!(error, ClientError::Truncated | ClientError::Protocol(_)), "{keep}: {error:?}");
    }
}

#[test]
fn b20_a_close_without_end_is_an_error_and_one_after_end_is_none() {
    for app in App::both(|number, peer| match number {
        1 | 3 => drop(peer.request()), // Refused, as libfcgi and PHP do it.
        _ => drop(peer.serve(page("whole"))),
    }) {
        let mut client = app.client();
        for number in 1..=6 {
            match number {
                1 | 3 => assert!(matches!(fail(&mut client), ClientError::Truncated)),
                _ => assert_eq!(text(&mut ask(&mut client)), "whole"),
            }
        }
        assert_eq!(app.connections(), 6);
    }
}

#[test]
fn b20_the_client_closes_when_the_application_does_not() {
    for keep_conn in [false, true] {
        let (sender, closed) = mpsc::channel();
        let play = move |number, peer: &mut script::Peer| {
            let asked = peer.request();
            peer.send(if asked.keep_conn { end(0, 3) } else { page("last") });
            peer.assert_closed();
            sender.send(number).expect("the test waits");
        };
        for app in [App::unix(play.clone()), App::tcp(play)] {
            let mut client = app.client();
            for number in 1..=2 {
                match client.request(Params::get("/")).keep_conn(keep_conn).send() {
                    Ok(mut response) => assert_eq!(text(&mut response), "last"),
                    Err(ClientError::Refused(ProtocolStatus::UnknownRole)) if keep_conn => {}
                    Err(error) => panic!("{error:?}"),
                }
                // At once, not only when the next request is made.
                assert_eq!(closed.recv_timeout(PATIENCE), Ok(number));
            }
        }
    }
}

#[test]
fn b21_what_was_sent_before_a_reset_is_delivered() {
    // Less than a window of TCP: what is beyond it is still with the application, and lost there.
    let body = "x".repeat(40_000);
    let first = stdout(format!("Content-Length: 40000\r\n\r\n{}", &body[..30_000]));
    let bytes = [first, answer(&body[30_000..])].concat();
    let play = move |_, peer: &mut script::Peer| {
        peer.record();
        peer.send(&bytes);
        // Closing with input unread resets.
    };
    for app in [App::unix(play.clone()), App::tcp(play)] {
        let mut client = app.client();
        let request = vec![0; MUCH];
        for _ in 0..2 {
            let mut response = client.request(Params::post("/")).bytes(&request).send().expect("an answer");
            assert!(text(&mut response) == body);
            assert!(response.end().is_some());
        }
        assert_eq!(app.connections(), 2);
    }
}

#[test]
fn a_refusal_without_an_answer_is_an_error_with_its_reason() {
    let app = App::unix(|number, peer| {
        let status = [1, 2, 3, 77][number - 1];
        peer.request();
        let errors = record(RecordType::Stderr, 1, b"no");
        peer.send([if status == 2 { errors } else { vec![] }, end(5, status)].concat());
        peer.assert_closed();
    });
    let mut client = app.client();
    for (status, words) in [
        (ProtocolStatus::CantMpxConn, "the application refused the request: "),
        (ProtocolStatus::Overloaded, "the application refused the request: "),
        (ProtocolStatus::UnknownRole, "the application refused the request: "),
    ] {
        let error = fail(&mut client);
        let log = client.take_stderr();
        assert_eq!(log, if status == ProtocolStatus::Overloaded { &b"no"[..] } else { b"" });
        assert!(matches!(error, ClientError::Refused(found) if found == status), "{error:?}");
        assert_eq!(error.to_string(), format!("{words}{status}"));
        assert_eq!(io::Error::from(error).kind(), ErrorKind::ConnectionRefused);
    }
    // A status that nobody knows, and no output.
    assert!(matches!(fail(&mut client), ClientError::Head(ResponseHeadError::Empty)));
}

#[test]
fn b16_a_refusal_after_a_full_answer_is_an_answer_and_a_refusal_may_come_four_times() {
    let app = App::unix(|number, peer| {
        peer.request();
        match number {
            1 => peer.send([stdout("A: b\r\n\r\nfull"), end(1, 1)].concat()),
            _ => peer.send(end(0, 1).repeat(4)),
        }
        peer.assert_closed();
    });
    let mut client = app.client();
    let mut response = ask(&mut client);
    assert_eq!(text(&mut response), "full");
    assert_eq!(response.end().map(|end| (end.app_status, end.protocol_status)), Some((1, 1)));
    drop(response);
    for _ in 0..2 {
        assert!(matches!(fail(&mut client), ClientError::Refused(ProtocolStatus::CantMpxConn)));
    }
    assert_eq!(app.connections(), 3);
}

#[test]
fn c6_b14_a_kept_connection_is_closed_when_its_client_is_dropped() {
    let (sender, closed) = mpsc::channel();
    let app = App::tcp(move |_, peer| {
        peer.serve(page("one"));
        peer.assert_closed();
        sender.send(()).expect("the test waits");
    });
    let mut client = app.client();
    assert_eq!(text(&mut ask(&mut client)), "one");
    drop(client);
    closed.recv_timeout(PATIENCE).expect("it is closed in time");
}

/// Copies of this process's connections to `endpoint`, as a child has them until it runs its program.
fn copies(endpoint: &Endpoint) -> Vec<OwnedFd> {
    let address = match endpoint {
        Endpoint::Tcp(address) => SocketAddrAny::from(*address),
        Endpoint::Unix(path) => SocketAddrUnix::new(path).expect("a short path").into(),
        _ => panic!("{endpoint}"),
    };
    let this = pidfd_open(getpid(), PidfdFlags::empty()).expect("Linux");
    let open = fs::read_dir("/proc/self/fd").expect("Linux");
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let copies = numbers.filter_map(|number| pidfd_getfd(&this, number, PidfdGetfdFlags::empty()).ok());
    let is_connected = |copy: &OwnedFd| getpeername(copy).is_ok_and(|peer| peer.as_ref() == Some(&address));
    copies.filter(is_connected).collect()
}

#[test]
fn the_application_sees_that_a_client_was_dropped_while_a_copy_of_its_connection_is_open() {
    let (sender, closed) = mpsc::channel();
    let play = move |_, peer: &mut script::Peer| {
        peer.serve(page("one"));
        peer.assert_closed();
        sender.send(()).expect("the test waits");
    };
    for app in [App::unix(play.clone()), App::tcp(play)] {
        let mut client = app.client();
        assert_eq!(text(&mut ask(&mut client)), "one");
        let copies = copies(&app.endpoint);
        assert_eq!(copies.len(), 1);
        drop(client);
        closed.recv_timeout(PATIENCE).expect("it is closed");
        drop(copies);
    }
}
