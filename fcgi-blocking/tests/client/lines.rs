//! What the clients in this process say through the crate `log`: a line for each failure of an application, that
//! names the application, the request and what is wrong. And what came on STDERR.

use std::sync::{Mutex, mpsc};

use crate::script::{App, ask, cut, end, page, stdout, text};
use crate::support::said::{listen, so_far};
use crate::support::{PATIENCE, record};
use fcgi_blocking::{ClientError, Params, Status};
use fcgi_proto::ConnectionError;
use fcgi_proto::record::RecordType;

/// The warnings about an application so far.
pub(crate) fn of(app: &App) -> Vec<String> {
    let name = app.endpoint.to_string();
    so_far(|line| line.contains(&name))
}

/// The one line about the application, which names the request and has these words.
#[track_caller]
fn assert_said(app: &App, words: &str) {
    let said = of(app);
    assert!(said.len() == 1 && said[0].contains("GET /page?a=b") && said[0].contains(words), "{said:?}");
}

/// An application that answers each request with these bytes and closes.
fn closing(bytes: Vec<u8>) -> App {
    listen();
    App::unix(move |_, peer| drop(peer.serve(&bytes)))
}

#[track_caller]
fn fail(app: &App) -> ClientError {
    app.client().request(Params::get("/page?a=b")).send().expect_err("no answer")
}

#[test]
fn a_protocol_error_before_the_head_is_a_502_and_a_line_with_the_8_bytes() {
    let app = closing(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec());
    let error = fail(&app);
    assert!(matches!(error, ClientError::Protocol(ConnectionError::Version { found: b'H' })), "{error:?}");
    assert_eq!(error.status(), Status::BAD_GATEWAY);
    assert_said(&app, "protocol version 72, not 1, [48, 54, 54, 50, 2f, 31, 2e, 31]");
}

#[test]
fn a_protocol_error_behind_the_head_cuts_the_body_and_is_a_line_with_the_8_bytes() {
    let app = closing([&stdout("A: b\r\n\r\nabc")[..], b"\x06\x06garbage bytes here"].concat());
    let mut client = app.client();
    let (body, error) = cut(client.request(Params::get("/page?a=b")).send().expect("its head came"));
    assert_eq!(body, "abc");
    assert!(matches!(error, ClientError::Protocol(ConnectionError::Version { found: 6 })), "{error:?}");
    assert_said(&app, "protocol version 6, not 1, [06, 06, 67, 61, 72, 62, 61, 67]");
}

#[test]
fn an_application_that_closes_before_its_head_is_a_502_and_a_line() {
    for bytes in [vec![], stdout("Content-Type: te")] {
        let app = closing(bytes);
        let error = fail(&app);
        assert!(matches!(error, ClientError::Truncated), "{error:?}");
        assert_eq!(error.status(), Status::BAD_GATEWAY);
        assert_said(&app, "the application closed before the end of its answer");
    }
}

#[test]
fn an_application_that_is_killed_in_mid_answer_cuts_the_body_and_is_a_line() {
    let app = closing(stdout(["A: b\r\n\r\n", &"x".repeat(20_000)].concat()));
    let mut client = app.client();
    let (body, error) = cut(client.request(Params::get("/page?a=b")).send().expect("its head came"));
    assert_eq!(body.len(), 20_000);
    assert!(matches!(error, ClientError::Truncated), "{error:?}");
    assert_said(&app, "the application closed before the end of its answer");
}

#[test]
fn what_ends_well_is_no_line() {
    listen();
    let app = App::unix(|_, peer| {
        peer.serve(page("one"));
        peer.serve(page("two"));
    });
    let mut client = app.client();
    for expected in ["one", "two"] {
        assert_eq!(text(&mut ask(&mut client)), expected);
    }
    drop(client);
    assert_eq!(of(&app), [""; 0]);
}

/// An application that says so much on STDERR, a piece at a time, and goes on when that was heard: before its head,
/// behind it, and at the end, which may be there or not.
fn telling(end: Vec<u8>) -> (App, mpsc::Sender<()>) {
    let (heard, goes_on) = mpsc::channel::<()>();
    let goes_on = Mutex::new(goes_on);
    let app = App::unix(move |_, peer| {
        let goes_on = goes_on.lock().expect("nobody panics with it");
        peer.request();
        for (said, answered) in [(&b"one"[..], &b""[..]), (b"two", b"A: b\r\n\r\nbody"), (b"three", b"")] {
            peer.send(record(RecordType::Stderr, 1, said));
            goes_on.recv_timeout(PATIENCE).expect("it is heard before anything else comes");
            if !answered.is_empty() {
                peer.send(stdout(answered));
            }
        }
        peer.send([record(RecordType::Stderr, 1, b"last"), end.clone()].concat());
    });
    (app, heard)
}

#[test]
fn who_listens_to_stderr_hears_it_as_it_comes() {
    for (last, is_whole) in [(end(0, 0), true), (end(0, 2), false), (vec![], false)] {
        let (app, heard) = telling(last);
        let mut client = app.client();
        let mut all = Vec::new();
        let request = client.request(Params::get("/")).stderr(|came: &[u8]| {
            all.push(String::from_utf8(came.to_vec()).expect("text"));
            if came != b"last" {
                heard.send(()).expect("it waits");
            }
        });
        let mut response = request.send().expect("a head");
        if is_whole {
            assert_eq!(text(&mut response), "body");
            assert_eq!(response.take_stderr(), b"", "it was handed on");
            drop(response);
        } else {
            assert_eq!(cut(response).0, "body");
        }
        assert_eq!(client.take_stderr(), b"");
        assert_eq!(all, ["one", "two", "three", "last"]);
    }
}

#[test]
fn who_listens_hears_the_stderr_of_a_request_without_a_response_and_of_the_one_that_is_sent_again() {
    let app = App::unix(|number, peer| match number {
        1 => drop(peer.serve([record(RecordType::Stderr, 1, b"why"), end(0, 2)].concat())),
        2 => {
            peer.serve(page("kept"));
            peer.request(); // And it closes.
        }
        _ => drop(peer.serve([record(RecordType::Stderr, 1, b"again"), page("ok")].concat())),
    });
    let mut client = app.client();
    let mut all = Vec::<u8>::new();
    let request = client.request(Params::get("/")).stderr(|came: &[u8]| all.extend(came));
    let error = request.send().expect_err("no answer");
    assert!(matches!(error, ClientError::Refused(_)), "{error:?}");
    assert_eq!(client.take_stderr(), b"");
    assert_eq!(text(&mut ask(&mut client)), "kept");
    let request = client.request(Params::get("/")).stderr(|came: &[u8]| all.extend(came));
    let mut response = request.send().expect("an answer");
    assert_eq!(text(&mut response), "ok");
    drop(response);
    assert_eq!(all, b"whyagain");
}

#[test]
fn the_end_of_a_long_stderr_is_not_lost() {
    let warnings = "PHP Warning: one of many\n".repeat(80 * 1024 / 25);
    let fatal = "PHP Fatal error: this is why";
    let (before, after) = (warnings.clone(), fatal);
    let app = App::unix(move |number, peer| {
        peer.request();
        for piece in before.as_bytes().chunks(8_000) {
            peer.send(record(RecordType::Stderr, 1, piece));
        }
        peer.send(record(RecordType::Stderr, 1, after.as_bytes()));
        // With a response, and without.
        peer.send(if number == 1 { page("500") } else { end(255, 0) });
    });
    let mut client = app.client();
    let mut response = ask(&mut client);
    assert_eq!(text(&mut response), "500");
    let answered = response.take_stderr();
    drop(response);
    let mut client = app.client();
    client.request(Params::get("/")).send().expect_err("no answer");
    for log in [answered, client.take_stderr()] {
        let log = String::from_utf8(log).expect("text");
        assert!(log.starts_with("PHP Warning") && log.ends_with(fatal), "{log}");
        let left_out = warnings.len() + fatal.len() - 64 * 1024;
        assert!(log.contains(&format!("\n[{left_out} bytes of STDERR left out]\n")));
    }
}
