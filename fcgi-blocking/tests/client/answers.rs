//! The client and what real applications send and expect: requests record by record, answers in odd pieces,
//! connections that are kept, or not.

use std::io::{self, Read};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};

use crate::adapter::Client;
use crate::script::{self, App, answer, ask, end, page, stdout, text};
use crate::support::{PATIENCE, raw_record, record};
use fcgi_blocking::{ClientError, Params, Resend, Role};
use fcgi_proto::client::Failure;
use fcgi_proto::record::{Header, RecordType};

/// A record with `padding` bytes of junk.
fn padded(record_type: RecordType, content: &[u8], padding: u8) -> Vec<u8> {
    let length = content.len().try_into().expect("one record's content");
    let header = Header { padding_length: padding, ..Header::new(record_type, 1, length) };
    [&header.encode(), content, &vec![0xff; padding.into()]].concat()
}

/// A HEAD request's head is all of its answer.
fn method_of(peer: &mut script::Peer) -> String {
    peer.request().param("REQUEST_METHOD").expect("it is always there").to_owned()
}

#[test]
fn cve_b4_every_request_ends_with_exactly_one_empty_stdin() {
    // The script fails on a second one: a request begins with BEGIN_REQUEST.
    let app = App::unix(|_, peer| {
        while let Some(asked) = peer.try_request() {
            let method = asked.param("REQUEST_METHOD").expect("it is always there");
            let body =
                if asked.role == Role::Authorizer as u16 { None } else { asked.param("CONTENT_LENGTH") };
            assert_eq!(asked.stdins(), if asked.stdin.is_empty() { 1 } else { 2 });
            peer.send(page(&format!("{method} {body:?}")));
        }
    });
    let mut client = app.client();
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
        let mut response = client.request(Params::new(method, "/")).send().expect("an answer");
        assert_eq!(text(&mut response), if method == "HEAD" { "".into() } else { format!("{method} None") });
    }
    let mut response = client.request(Params::post("/")).bytes(b"").send().expect("an answer");
    assert_eq!(text(&mut response), "POST Some(\"0\")");
    drop(response);
    let request = client.request(Params::post("/")).body(io::empty(), 0).role(Role::Authorizer);
    assert_eq!(text(&mut request.send().expect("an answer")), "POST None");
    let mut response = client.request(Params::post("/")).bytes(b"body").send().expect("an answer");
    assert_eq!(text(&mut response), "POST Some(\"4\")");
    assert_eq!(app.connections(), 1);
}

#[test]
fn the_roles_get_the_streams_and_the_variables_that_are_theirs() {
    use RecordType::{BeginRequest, Data, Params as P, Stdin};
    let app = App::unix(|_, peer| {
        for (role, records) in [
            (Role::Responder, &[BeginRequest, P, P, Stdin, Stdin][..]),
            (Role::Authorizer, &[BeginRequest, P, P, Stdin]),
            (Role::Filter, &[BeginRequest, P, P, Stdin, Stdin, Data, Data]),
            (Role::Filter, &[BeginRequest, P, P, Stdin, Data]),
        ] {
            let asked = peer.serve(page(""));
            assert_eq!((asked.role, &asked.records[..]), (role as u16, records));
            for name in ["CONTENT_LENGTH", "PATH_INFO", "PATH_TRANSLATED", "SCRIPT_NAME"] {
                let expected = role != Role::Authorizer && (name != "CONTENT_LENGTH" || asked.stdins() == 2);
                assert_eq!(asked.param(name).is_some(), expected, "{role:?} {name}");
            }
            let length = asked.param("FCGI_DATA_LENGTH");
            let data = asked.data.len().to_string();
            assert_eq!(length, (role == Role::Filter).then_some(&data[..]));
        }
    });
    let mut client = app.client_with(|settings| settings.resend = Resend::All);
    for (role, has_bodies) in
        [(Role::Responder, true), (Role::Authorizer, true), (Role::Filter, true), (Role::Filter, false)]
    {
        let params = Params::post("/").set("PATH_INFO", "/info").set("PATH_TRANSLATED", "/srv/info");
        let mut request = client.request(params).role(role);
        if has_bodies {
            request = request.bytes(b"body").data(&b"a file"[..], 6);
        }
        text(&mut request.send().expect("an answer"));
    }
    assert_eq!(app.connections(), 1);
}

#[test]
fn b8_b9_the_client_sends_nothing_more_and_keeps_both_directions_open_while_it_waits() {
    for keep_conn in [false, true] {
        for app in App::both(|_, peer| {
            peer.request();
            peer.assert_silent();
            peer.send(stdout("A: b\r\n\r\n"));
            peer.assert_silent();
            peer.send([stdout("late"), end(0, 0)].concat());
        }) {
            let mut client = app.client();
            let request = client.request(Params::post("/")).keep_conn(keep_conn).bytes(b"body");
            assert_eq!(text(&mut request.send().expect("an answer")), "late");
        }
    }
}

#[test]
fn b13_a_client_connects_when_it_asks_and_a_connection_closed_meanwhile_is_replaced() {
    let (sender, events) = mpsc::channel();
    let app = App::unix(move |number, peer| match number {
        1 => {}
        _ => {
            peer.serve(page("fresh"));
            sender.send(()).expect("the test waits");
        }
    });
    let idle = app.client();
    assert_eq!(app.connections(), 0);
    let mut client = Client::connect(app.endpoint.to_string()).expect("it listens");
    assert_eq!(text(&mut ask(&mut client)), "fresh");
    events.recv_timeout(PATIENCE).expect("it was asked");
    assert_eq!(app.connections(), 2);
    drop(idle);
    assert_eq!(app.connections(), 2);
}

#[test]
fn b14_a_client_holds_one_connection_at_most() {
    let (sender, closed) = mpsc::channel();
    let app = App::unix(move |number, peer| {
        peer.serve(&page("kept")[..if number == 2 { 40 } else { 64 }]);
        peer.assert_closed();
        sender.send(number).expect("the test waits");
    });
    assert_eq!(page("kept").len(), 40 + 24, "the cut is before the end");
    let mut client = app.client();
    assert_eq!(text(&mut ask(&mut client)), "kept");
    assert_eq!(app.connections(), 1);
    drop(client);
    assert_eq!(closed.recv_timeout(PATIENCE), Ok(1));
    let mut client = app.client();
    drop(ask(&mut client)); // Cut short, so it is closed at once, while the client lives.
    assert_eq!(closed.recv_timeout(PATIENCE), Ok(2));
}

#[test]
fn cve_a_connection_is_used_again_after_keep_conn_and_never_without() {
    for app in App::both(|number, peer| {
        // Which of them it was is told by the number; those without KEEP_CONN are left open by the application.
        let keeps = number == 2;
        for _ in 0..if keeps { 3 } else { 1 } {
            let asked = peer.request();
            peer.send(page(&format!("{number} {}", asked.keep_conn)));
        }
        peer.assert_closed();
    }) {
        let mut client = app.client();
        for (keep_conn, expected) in
            [(false, "1 false"), (true, "2 true"), (true, "2 true"), (false, "2 false"), (false, "3 false")]
        {
            let request = client.request(Params::get("/")).keep_conn(keep_conn);
            assert_eq!(text(&mut request.send().expect("an answer")), expected);
        }
        assert_eq!(app.connections(), 3);
    }
}

#[test]
fn cve_an_answer_without_a_body_that_has_one_does_not_meet_the_next() {
    for app in App::both(|_, peer| {
        while let Some(asked) = peer.try_request() {
            let body = "x".repeat(100_000);
            let status = asked.param("QUERY_STRING").expect("it is always there");
            let head = format!("Status: {status}\r\nContent-Length: 100000\r\n\r\n{}", &body[..50_000]);
            peer.send([stdout(head), answer(&body[50_000..])].concat());
        }
    }) {
        let mut client = app.client();
        for (method, status) in
            [("HEAD", "200"), ("GET", "204"), ("GET", "304"), ("HEAD", "404"), ("POST", "304")]
        {
            let params = Params::new(method, format!("/?{status}"));
            let mut response = client.request(params).send().expect("an answer");
            assert_eq!(text(&mut response), "", "{method} {status}");
            assert_eq!(response.status().code().to_string(), status);
            assert_eq!(response.field("Content-Length"), Some(&b"100000"[..]));
            drop(response);
            let mut response = client.request(Params::get("/?200")).send().expect("an answer");
            assert_eq!(text(&mut response).len(), 100_000);
        }
        assert_eq!(app.connections(), 1);
    }
}

#[test]
fn a_method_that_is_set_decides_about_the_body() {
    let app = App::unix(|_, peer| {
        let method = method_of(peer);
        peer.send(page(&method));
    });
    let params = Params::get("/").set("REQUEST_METHOD", "HEAD");
    assert_eq!(text(&mut app.client().request(params).send().expect("an answer")), "");
}

#[test]
fn cve_a_body_longer_than_its_content_length_is_cut_and_a_shorter_one_is_an_error() {
    let app = App::unix(|_, peer| {
        while let Some(asked) = peer.try_request() {
            let length = asked.param("QUERY_STRING").expect("it is always there");
            peer.send([stdout(format!("Content-Length: {length}\r\n\r\nfo")), answer("ur")].concat());
        }
    });
    let mut client = app.client();
    for length in 0..=8 {
        let mut response = client.request(Params::get(format!("/?{length}"))).send().expect("an answer");
        let mut body = Vec::new();
        let result = response.read_to_end(&mut body);
        assert_eq!(body, b"four"[..length.min(4)]);
        match result {
            Ok(_) => assert!(length <= 4),
            Err(error) => {
                let error = error.into_inner().expect("the client's error");
                let missing = length as u64 - 4;
                let error = error.downcast_ref::<ClientError>();
                assert!(matches!(error, Some(ClientError::ContentTooShort { missing: m }) if *m == missing));
                response.read(&mut [0]).expect_err("it stays too short");
            }
        }
        assert!(response.end().is_some());
    }
    // Each ended in good order: nothing of one meets the next.
    assert_eq!(app.connections(), 1);
}

#[test]
fn cve_end_followed_at_once_by_close_is_a_whole_answer() {
    for app in App::both(|number, peer| {
        peer.request();
        let bytes = page("whole");
        let cut = bytes.len() - (number - 1);
        peer.send(&bytes[..cut]);
        peer.send(&bytes[cut..]);
    }) {
        let mut client = app.client();
        for number in 1..=40 {
            let request = client.request(Params::get("/")).keep_conn(number % 2 == 0);
            let mut response = request.send().expect("an answer");
            assert_eq!(text(&mut response), "whole");
            assert!(response.end().is_some());
        }
        assert_eq!(app.connections(), 40);
    }
}

#[test]
fn peers_b19_an_answer_may_be_cut_anywhere() {
    let app = App::tcp(|_, peer| {
        let bytes =
            [stdout("A: b\r\n\r\none"), record(RecordType::Stderr, 1, b"err"), answer("two")].concat();
        for cut in 0..bytes.len() {
            peer.request();
            peer.send(&bytes[..cut]);
            peer.send(&bytes[cut..]);
        }
        // Byte by byte.
        peer.request();
        bytes.chunks(1).for_each(|byte| peer.send(byte));
        peer.assert_closed();
    });
    let mut client = app.client();
    let cuts =
        [stdout("A: b\r\n\r\none"), record(RecordType::Stderr, 1, b"err"), answer("two")].concat().len();
    for _ in 0..=cuts {
        let mut response = ask(&mut client);
        assert_eq!(text(&mut response), "onetwo");
        assert_eq!(response.take_stderr(), b"err");
        assert_eq!(response.end().map(|end| end.app_status), Some(0));
    }
    drop(client);
    assert_eq!(app.connections(), 1);
}

#[test]
fn b15_b18_b19_records_of_every_size_and_padding_and_odd_ones_between_make_one_answer() {
    let full = vec![b'x'; 65535];
    let odd = [
        record(RecordType::GetValuesResult, 0, b""),
        record(RecordType::UnknownType, 0, &[99, 0, 0, 0, 0, 0, 0, 0]),
        raw_record(Header { record_type: 99, ..Header::new(RecordType::Stdout, 1, 3) }, b"???"),
        record(RecordType::Stdout, 2, b"not ours"),
        padded(RecordType::Stderr, b"", 0),
        padded(RecordType::Stderr, b"", 255),
        padded(RecordType::Stdout, b"", 7), // In mid answer.
        padded(RecordType::Stderr, b"e", 5),
    ]
    .concat();
    for padding in [0, 1, 7, 8, 255] {
        let big = padded(RecordType::Stdout, &full, padding);
        let head = padded(RecordType::Stdout, b"A: b\n\n", padding); // LF only.
        let last = padded(RecordType::EndRequest, &[0; 8], padding);
        let bytes = [head, odd.clone(), big.clone(), odd.clone(), big].concat();
        for app in [false, true].map(|whole| {
            let (bytes, last) = (bytes.clone(), last.clone());
            App::unix(move |_, peer| {
                peer.request();
                bytes.chunks(if whole { bytes.len() } else { 4093 }).for_each(|piece| peer.send(piece));
                // In one piece: who has the end does not wait for its padding.
                peer.send(&last);
            })
        }) {
            let mut client = app.client();
            for _ in 0..2 {
                let mut response = ask(&mut client);
                assert_eq!(text(&mut response).len(), 2 * 65535);
                assert_eq!(response.take_stderr(), b"ee");
            }
        }
    }
}

#[test]
fn cve_padding_behind_the_end_does_not_meet_the_next_answer() {
    for padding in [1, 7, 8, 255] {
        let app = App::unix(move |_, peer| {
            let last = padded(RecordType::EndRequest, &[0; 8], padding);
            while peer.try_request().is_some() {
                peer.send([stdout("A: b\r\n\r\nwhole"), last.clone()].concat());
            }
        });
        let mut client = app.client();
        for _ in 0..3 {
            assert_eq!(text(&mut ask(&mut client)), "whole");
        }
    }
}

#[test]
fn an_answer_that_does_not_end_behind_its_body_is_left_after_16_mib() {
    let app = App::unix(|_, peer| {
        peer.request();
        peer.send(stdout("Content-Length: 1\r\n\r\n1"));
        let more = stdout("x".repeat(60_000));
        for _ in 0..16 * 1024 * 1024 / 60_000 + 1 {
            peer.send(&more);
        }
        peer.assert_closed();
    });
    let mut client = app.client();
    let mut response = ask(&mut client);
    let mut body = Vec::new();
    let error = response.read_to_end(&mut body).expect_err("it does not end");
    assert_eq!((&body[..], error.kind()), (&b"1"[..], io::ErrorKind::InvalidData), "{error}");
}

#[test]
fn cve_what_comes_behind_an_answer_is_never_the_next_one() {
    let junk = [
        vec![0],
        stdout("A: b\r\n\r\nsecond"),
        page("second"),
        end(0, 0),
        record(RecordType::Stderr, 1, b"late"),
        record(RecordType::EndRequest, 9, &[0; 8]),
    ];
    for junk in junk {
        for at_once in [true, false] {
            let read = Arc::new(Barrier::new(2));
            let (sender, sent) = mpsc::channel();
            let app = App::unix({
                let (junk, read) = (junk.clone(), Arc::clone(&read));
                move |number, peer| {
                    let bytes = page(&number.to_string());
                    if number > 1 {
                        peer.serve(&bytes);
                    } else if at_once {
                        peer.serve([&bytes[..], &junk].concat());
                        peer.assert_closed();
                    } else {
                        peer.serve(&bytes);
                        read.wait();
                        peer.send(&junk);
                        sender.send(()).expect("the test waits");
                        peer.assert_closed();
                    }
                }
            });
            let mut client = app.client();
            assert_eq!(text(&mut ask(&mut client)), "1");
            if !at_once {
                read.wait();
                sent.recv_timeout(PATIENCE).expect("it is sent");
            }
            assert_eq!(text(&mut ask(&mut client)), "2");
            assert_eq!(app.connections(), 2);
        }
    }
}

#[test]
fn an_answer_that_ends_before_the_body_was_sent_closes_the_connection() {
    const MUCH: usize = 16 << 20;
    for app in App::both(|_, peer| {
        while peer.record().expect("a part of the body").0 != RecordType::Stdin {}
        peer.send(page("early"));
        while let Some((record_type, content)) = peer.record() {
            assert!(record_type == RecordType::Stdin && !content.is_empty(), "STDIN is ended short");
        }
    }) {
        let mut client = app.client();
        let body = vec![0; MUCH];
        for _ in 0..2 {
            // More than what can be sent while the answer is on its way.
            let reader = (&body[..]).chain(io::repeat(0));
            let request = client.request(Params::post("/")).body(reader, 1 << 40);
            assert_eq!(text(&mut request.send().expect("an answer")), "early");
        }
        assert_eq!(app.connections(), 2);
    }
}

#[test]
fn cve_parameters_and_a_body_larger_than_the_send_buffer_drain_byte_by_byte() {
    for app in App::both(|_, peer| {
        let mut tasting = [0; 1];
        for _ in 0..2000 {
            peer.stream.read_exact(&mut tasting).expect("a byte");
        }
        // The rest is read on, in pieces of any size.
        let mut rest = Vec::new();
        let mut chunk = vec![0; 8191];
        let tail = record(RecordType::Stdin, 1, b"");
        while !rest.ends_with(&tail) {
            let count = match peer.stream.read(&mut chunk) {
                // A socket with a time limit is interrupted when other tests start children.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count.expect("more"),
            };
            assert!(count > 0, "it ends too early");
            rest.extend_from_slice(&chunk[..count]);
        }
        let expected = (5 << 20) + 60 * 10_000;
        assert!(rest.len() + 2000 > expected && rest.len() < expected + 20_000, "{}", rest.len());
        peer.send(page("whole"));
    }) {
        let mut client = app.client();
        let params =
            (0..60).fold(Params::post("/"), |params, n| params.set(format!("P{n}"), "v".repeat(10_000)));
        let body = vec![b'b'; 5 << 20];
        let request = client.request(params).bytes(&body);
        assert_eq!(text(&mut request.send().expect("an answer")), "whole");
    }
}

#[test]
fn cve_a_pair_of_a_whole_record_goes_and_a_longer_one_is_never_sent() {
    let app = App::unix(|_, peer| {
        let Some(asked) = peer.try_request() else { return }; // Nothing of the longer one came.
        assert_eq!(asked.param("X").map(str::len), Some(65529));
        peer.send(page("whole"));
        peer.assert_closed();
    });
    let mut client = app.client();
    let params = Params::get("/").set("X", "x".repeat(65529));
    assert_eq!(text(&mut client.request(params).send().expect("an answer")), "whole");
    for _ in 0..2 {
        let params = Params::get("/").set("X", "x".repeat(65530));
        let error = client.request(params).send().expect_err("too long");
        assert!(matches!(error, ClientError::Failed(Failure::TooLong { .. })), "{error:?}");
    }
}
