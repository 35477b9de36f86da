//! The client and applications that are absent, mute, slow, or talk nonsense, and bodies that fail. What such
//! a peer costs is one request, within a limit of time.

use std::io::{self, ErrorKind, Read};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::adapter::Client;
use crate::script::{self, App, MUCH, answer, ask, client, cut, end, fail, limits, page, stdout, text};
use crate::support::{self, PATIENCE, raw_record, record};
use fcgi_blocking::{ClientError, Endpoint, Listener, Params, Stream};
use fcgi_proto::ConnectionError;
use fcgi_proto::cgi::ResponseHeadError;
use fcgi_proto::record::{Header, RecordType};

/// A limit whose end is waited for.
const SHORT: Duration = Duration::from_millis(100);

type Play = dyn Fn(usize, &mut script::Peer) + Send + Sync;

#[test]
fn an_absent_application_is_an_error_of_connecting() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("socket");
    let absent = Endpoint::Unix(path.clone());
    drop(UnixListener::bind(&path).expect("the path is free"));
    let deserted = Endpoint::Unix(path);
    let nowhere = Endpoint::Unix(dir.path().join("none"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let refused = Endpoint::Tcp(listener.local_addr().expect("it has an address"));
    drop(listener);
    for (endpoint, kind) in [
        (absent, ErrorKind::ConnectionRefused),
        (deserted, ErrorKind::ConnectionRefused),
        (nowhere, ErrorKind::NotFound),
        (refused, ErrorKind::ConnectionRefused),
        (Endpoint::Inherited, ErrorKind::InvalidInput),
        #[cfg(target_os = "linux")]
        (Endpoint::Abstract(dir.path().display().to_string()), ErrorKind::ConnectionRefused),
    ] {
        let mut client = client(&endpoint);
        for error in [fail(&mut client), client.values().expect_err("nobody there")] {
            assert!(matches!(&error, ClientError::Connect(error) if error.kind() == kind), "{error:?}");
            assert_eq!(error.to_string().matches(&endpoint.to_string()).count(), 1, "{error}");
            assert_eq!(io::Error::from(error).kind(), kind);
        }
        let error = Client::connect(endpoint.to_string()).expect_err("nobody there");
        assert!(matches!(error, ClientError::Connect(_)), "{error:?}");
    }
    for address in ["", "unix:", "localhost:9000", "127.0.0.1", "fd:3"] {
        let error = Client::connect(address).expect_err("no address");
        assert!(matches!(error, ClientError::Connect(_)), "{error:?}");
    }
}

#[test]
fn connecting_has_a_limit() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("socket");
    let unix = UnixListener::bind(&path).expect("the path is free");
    rustix::net::listen(&unix, 0).expect("its queue can be made short");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    rustix::net::listen(&tcp, 0).expect("its queue can be made short");
    let address = tcp.local_addr().expect("it has an address");
    let named = Endpoint::Abstract(dir.path().display().to_string());
    let _named = cfg!(target_os = "linux").then(|| {
        let listener = Listener::bind_endpoint(&named).expect("the name is free");
        rustix::net::listen(&listener, 0).expect("its queue can be made short");
        listener
    });
    let named = Some(named).filter(|_| cfg!(target_os = "linux"));
    for endpoint in [Endpoint::Unix(path), Endpoint::Tcp(address)].into_iter().chain(named) {
        // They wait in the queue, until it is full.
        let waiting: Vec<Stream> =
            std::iter::from_fn(|| Stream::connect_timeout(&endpoint, SHORT).ok()).take(100).collect();
        assert!(waiting.len() < 100, "the queue does not fill");
        let settings = limits(|settings| settings.connect_timeout = SHORT);
        let start = Instant::now();
        let error = fail(&mut Client::with_settings(endpoint, settings));
        assert!(start.elapsed() < PATIENCE, "it waits on");
        assert!(
            matches!(&error, ClientError::Connect(error) if error.kind() == ErrorKind::TimedOut),
            "{error:?}"
        );
    }
}

#[track_caller]
fn assert_timed_out(error: ClientError, text: &str) {
    assert!(matches!(error, ClientError::TimedOut { limit: SHORT, .. }), "{error:?}");
    assert_eq!(error.to_string(), text);
    assert_eq!(io::Error::from(error).kind(), ErrorKind::TimedOut);
}

#[test]
fn b22_peers_a_mute_application_does_not_hang_the_client() {
    for app in App::both(|_, peer| {
        peer.request();
        peer.assert_closed();
    }) {
        let mut client = app.client_with(|settings| settings.first_byte_timeout = SHORT);
        assert_timed_out(fail(&mut client), "the application did not answer within 0.1 s");
        // A silent application may still be at it: it is not asked twice.
        assert!(app.connections() <= 1);
    }
}

#[test]
fn b23_an_application_that_fails_after_its_first_output_and_sends_no_end_does_not_hang_the_client() {
    for app in App::both(|_, peer| {
        peer.request();
        peer.send([record(RecordType::Stderr, 1, b"Traceback"), stdout("A: b\r\n\r\nfirst")].concat());
        peer.assert_closed();
    }) {
        let mut client = app.client_with(|settings| settings.read_timeout = SHORT);
        let mut response = client.request(Params::get("/")).send().expect("its head came");
        let mut body = Vec::new();
        let error = response.read_to_end(&mut body).expect_err("no end");
        assert_eq!((&body[..], error.kind()), (&b"first"[..], ErrorKind::TimedOut));
        assert_eq!(response.take_stderr(), b"Traceback");
    }
}

#[test]
fn b22_an_application_that_stops_in_the_middle_does_not_hang_the_client() {
    let text = "the application did not go on answering within 0.1 s";
    for part in [&stdout("A: b\r\n\r\nbody")[..11], &stdout("A: b\r\n"), &record(RecordType::Stderr, 1, b"e")]
    {
        let part = part.to_vec();
        let app = App::unix(move |_, peer| {
            peer.serve(&part);
            peer.assert_closed();
        });
        assert_timed_out(fail(&mut app.client_with(|settings| settings.read_timeout = SHORT)), text);
    }
    // Its end is waited for also when all that Content-Length says is there (and so never without a limit).
    for head in ["A: b\r\n\r\n", "Content-Length: 4\r\n\r\n", "Status: 304\r\n\r\n"] {
        let app = App::unix(move |_, peer| {
            peer.serve(stdout(format!("{head}body")));
            peer.assert_closed();
        });
        let mut client = app.client_with(|settings| settings.read_timeout = SHORT);
        let (body, error) = cut(ask(&mut client));
        assert_eq!(body, if head.contains("304") { "" } else { "body" });
        assert_timed_out(error, text);
    }
}

#[test]
fn an_application_that_takes_nothing_does_not_hang_the_client() {
    for start in [App::unix, App::tcp] {
        let (given_up, receiver) = mpsc::channel();
        let receiver = Mutex::new(receiver);
        let app = start(Box::new(move |_, peer: &mut script::Peer| {
            peer.record();
            let receiver = receiver.lock().expect("nobody panics with it");
            receiver.recv_timeout(PATIENCE).expect("the client gives up in time");
            while peer.record().is_some() {}
        }) as Box<Play>);
        let mut client = app.client_with(|settings| settings.write_timeout = SHORT);
        let body = vec![0; MUCH];
        let error = client.request(Params::post("/")).bytes(&body).send().expect_err("it is not taken");
        given_up.send(()).expect("the script waits");
        assert_timed_out(error, "the application did not take the request within 0.1 s");
        assert!(app.connections() <= 1);
    }
}

/// What the server saw of a request that the client could not send whole.
fn unfinished(number: usize, peer: &mut script::Peer, sender: &mpsc::Sender<Vec<RecordType>>) {
    if number > 1 {
        peer.serve(page("next"));
        return;
    }
    let mut records = Vec::new();
    while let Some((record_type, content)) = peer.record() {
        assert!(record_type != RecordType::Stdin || !content.is_empty(), "STDIN is ended short");
        records.push(record_type);
    }
    sender.send(records).expect("the test waits");
}

#[test]
fn b5_a_body_that_ends_early_or_fails_closes_and_never_ends_stdin_short() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    for (start, fails) in [(0, false), (10, false), (MUCH, false), (0, true), (10, true), (MUCH, true)] {
        let (sender, records) = mpsc::channel();
        let app = App::unix(move |number, peer| unfinished(number, peer, &sender));
        let mut client = app.client();
        let bytes = vec![0; start];
        let request = client.request(Params::post("/"));
        let error = if fails {
            request.body(bytes.chain(Failing), start as u64 + 5).send()
        } else {
            request.body(&bytes[..], start as u64 + 5).send()
        }
        .expect_err("a part of the body is missing");
        match error {
            ClientError::Body(error) if fails => assert_eq!(error.to_string(), "the disk is gone"),
            ClientError::BodyTooShort { missing: 5 } if !fails => {}
            error => panic!("{error:?}"),
        }
        let records = records.recv_timeout(PATIENCE).expect("the connection is closed");
        assert_eq!(start == MUCH, records.contains(&RecordType::Stdin), "{records:?}");
        assert_eq!(text(&mut ask(&mut client)), "next");
    }
}

#[test]
fn b5_a_body_that_fails_after_the_answer_began_cuts_the_answer() {
    let app = App::unix(|_, peer| {
        while peer.record().expect("a part of the body").0 != RecordType::Stdin {}
        peer.send(stdout("A: b\r\n\r\nearly"));
        while let Some((_, content)) = peer.record() {
            assert!(!content.is_empty(), "STDIN is ended short");
        }
    });
    let mut client = app.client();
    let body = io::repeat(0).take(MUCH as u64);
    let response = client.request(Params::post("/")).body(body, MUCH as u64 + 1).send();
    // How much was sent when the answer was seen is a matter of scheduling.
    let error = match response {
        Ok(response) => cut(response).1,
        Err(error) => error,
    };
    assert!(matches!(error, ClientError::BodyTooShort { missing: 1 }), "{error:?}");
}

#[test]
fn cve_a_head_that_never_ends_is_an_error() {
    for endless in [&b"A: b\r\n"[..], b"x"] {
        let app = App::unix(move |_, peer| {
            peer.request();
            let piece = stdout(endless.repeat(8192 / endless.len()));
            // It goes on until the client closes.
            while io::Write::write_all(&mut peer.stream, &piece).is_ok() {}
        });
        let mut client = app.client_with(|settings| settings.head_limit = 10_000);
        for _ in 0..2 {
            let error = fail(&mut client);
            assert!(
                matches!(error, ClientError::Head(ResponseHeadError::TooLong { limit: 10_000 })),
                "{error:?}"
            );
        }
    }
}

#[test]
fn cve_a_head_may_be_as_long_as_its_limit() {
    for (length, fits) in [(8191, true), (8192, true), (8193, false), (65536, false)] {
        let head = format!("A: {}\r\n\r\n", "x".repeat(length - 7));
        assert_eq!(head.len(), length);
        let bytes =
            [&head[..4096], &head[4096..length.min(8000)], &head[length.min(8000)..]].map(stdout).concat();
        let bytes = [bytes, stdout("body"), end(0, 0)].concat();
        let app = App::unix(move |_, peer| drop(peer.serve(&bytes)));
        let mut client = app.client_with(|settings| settings.head_limit = 8192);
        match client.request(Params::get("/")).send() {
            Ok(mut response) if fits => assert_eq!(text(&mut response), "body"),
            Err(ClientError::Head(ResponseHeadError::TooLong { .. })) if !fits => {}
            result => panic!("{length}: {result:?}"),
        }
    }
}

#[test]
fn cve_what_is_no_answer_is_an_error() {
    let null = |record_type| raw_record(Header::new(record_type, 0, 1), b"x");
    type Expected = fn(&ClientError) -> bool;
    let empty: Expected = |error| matches!(error, ClientError::Head(ResponseHeadError::Empty));
    let head: Expected = |error| matches!(error, ClientError::Head(_));
    let protocol: Expected = |error| matches!(error, ClientError::Protocol(_));
    for (bytes, expected) in [
        (end(0, 0), empty),
        ([stdout(""), end(0, 0)].concat(), empty),
        ([stdout(""), stdout(""), record(RecordType::Stderr, 1, b"why"), end(1, 0)].concat(), empty),
        (answer("no head"), head),
        (answer("A: b\r\n"), head),
        (answer("HTTP/1.1 200 OK\r\n\r\n"), head),
        (answer("Status: 200\r\nStatus: 404\r\n\r\n"), head),
        (answer("A: \0\r\n\r\n"), head),
        (answer("Content-Length: -1\r\n\r\n"), head),
        (answer("Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), head),
        (null(RecordType::Stdout), protocol),
        (null(RecordType::Stderr), protocol),
        (raw_record(Header::new(RecordType::EndRequest, 0, 8), &[0; 8]), protocol),
        (record(RecordType::EndRequest, 1, b""), protocol),
        (record(RecordType::EndRequest, 1, &[0; 9]), protocol),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), protocol),
    ] {
        let app = App::unix(move |_, peer| {
            peer.serve(&bytes);
            // Nothing that follows such an answer is asked on its connection.
            peer.try_request();
        });
        let mut client = app.client();
        let error = fail(&mut client);
        assert!(expected(&error), "{error:?}");
        drop(fail(&mut client));
        assert_eq!(app.connections(), 2, "{error:?}");
    }
}

#[test]
fn cve_a_peer_that_only_keeps_the_client_busy_is_left() {
    let unknown =
        raw_record(Header { record_type: 99, ..Header::new(RecordType::Stdout, 1, 65535) }, &[0; 65535]);
    let empty = raw_record(Header { padding_length: 0, ..Header::new(RecordType::Stdout, 1, 0) }, b"");
    for flood in [unknown, empty.repeat(8000)] {
        let app = App::unix(move |_, peer| {
            peer.request();
            while io::Write::write_all(&mut peer.stream, &flood).is_ok() {}
        });
        let error = fail(&mut app.client());
        let limit = matches!(error, ClientError::Protocol(ConnectionError::IgnoredTooMuch { .. }));
        assert!(limit, "{error:?}");
        let said = "bytes of records that are empty, unknown or for no active request";
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn values_come_from_willing_applications_only() {
    type Values = &'static [(&'static str, &'static str)];
    let values: Values = &[("FCGI_MAX_CONNS", "10"), ("FCGI_MPXS_CONNS", "")];
    // Without padding, which the client does not wait for.
    let bare = |record_type, content: &[u8]| {
        let length = content.len().try_into().expect("one record's content");
        raw_record(Header { padding_length: 0, ..Header::new(record_type, 0, length) }, content)
    };
    let result = bare(RecordType::GetValuesResult, &support::pairs(values.iter().copied()));
    let unknown = bare(RecordType::UnknownType, &[9, 0, 0, 0, 0, 0, 0, 0]);
    let nothing = bare(RecordType::GetValuesResult, b"");
    for (bytes, expected) in [(result, values), (unknown, &[]), (nothing, &[])] {
        let app = App::unix(move |_, peer| {
            let (record_type, content) = peer.record().expect("a record");
            assert_eq!(record_type, RecordType::GetValues);
            // The names as they are in section 4.1, once each, without values.
            let asked = ["FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"].map(|name| (name, ""));
            assert_eq!(content, support::pairs(asked));
            peer.assert_silent();
            bytes.iter().for_each(|byte| peer.send([*byte]));
            peer.assert_closed();
        });
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect();
        assert_eq!(app.client().values().expect("an answer"), expected);
    }
    let mute = App::unix(|_, peer| {
        peer.record();
        peer.assert_closed();
    });
    let error =
        mute.client_with(|settings| settings.first_byte_timeout = SHORT).values().expect_err("nothing");
    assert_timed_out(error, "the application did not answer within 0.1 s");
}

#[test]
fn peers_values_cut_by_the_end_of_input_are_an_error() {
    let pairs = support::pairs([("FCGI_MAX_CONNS", "10")]);
    let whole = record(RecordType::GetValuesResult, 0, &pairs);
    for keep in 0..8 + pairs.len() {
        let bytes = whole[..keep].to_vec();
        let app = App::unix(move |_, peer| {
            peer.record();
            peer.send(&bytes);
        });
        let error = app.client().values().expect_err("cut");
        match keep {
            0 => assert!(matches!(error, ClientError::Truncated), "{error:?}"),
            _ => assert!(matches!(error, ClientError::Protocol(_)), "{keep}: {error:?}"),
        }
        assert_eq!(app.connections(), 1);
    }
}
