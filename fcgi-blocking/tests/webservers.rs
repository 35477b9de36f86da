//! What real web servers force, as far as it needs a handler of the test's own or a view of every read and
//! write: see `servers/webservers.rs`.

#[path = "../examples/inspect/app.rs"]
mod app;
mod support;

use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use app::handle;
use fcgi_blocking::{BoxError, Request, Settings, Status, serve_stream};
use fcgi_proto::record::{ProtocolStatus, RecordType};
use support::duplex::{Done, Duplex};
use support::{Answer, Call, PATIENCE, Running, say, settings, stream};

fn inspect() -> [Running; 2] {
    Running::both(Settings::default(), handle)
}

/// Writes STDERR first, and the head in pieces, each flushed.
fn in_pieces(request: &mut Request<'_>) -> Result<(), BoxError> {
    let piece = request.param_str("REQUEST_URI").unwrap_or_default().parse::<usize>()?;
    let long = "X-Long: ".to_owned() + &"l".repeat(7000) + "\r\n";
    let text = format!("Status: 200 OK\r\nContent-Type: text/plain\r\n{long}\r\nbody");
    for part in text.as_bytes().chunks(piece) {
        request.stderr().write_all(b"!")?;
        request.stderr().flush()?;
        request.stdout().write_all(part)?;
        request.stdout().flush()?;
    }
    Ok(())
}

#[test]
fn w16_the_head_leaves_in_one_record_and_before_any_stderr() {
    for server in Running::both(Settings::default(), in_pieces) {
        let mut client = server.connect();
        for piece in [1, 3, 50, 4096, 100_000] {
            let answer = client.call(&Call::get(&piece.to_string()));
            answer.assert_ok("body");
            let first = &answer.records[0];
            assert_eq!(first.record_type, RecordType::Stdout);
            assert!(
                first.content.starts_with(answer.head().as_bytes()),
                "{piece}: the head is cut: {first:?}"
            );
            assert_eq!(answer.stderr.len(), answer_pieces(piece));
        }
    }
}

/// Into how many pieces [`in_pieces`] cuts.
fn answer_pieces(piece: usize) -> usize {
    ("Status: 200 OK\r\nContent-Type: text/plain\r\nX-Long: \r\n\r\nbody".len() + 7000).div_ceil(piece)
}

#[test]
fn w17_stdin_is_drained_before_the_end_of_a_request_that_is_kept() {
    let call = Call::post("/ignore", vec![b'i'; 200_000]);
    let mut duplex = Duplex::new([call.opening(), call.bodies()]);
    serve_stream(&mut duplex, &Settings::default(), handle).expect("the stream is FastCGI");
    let order: Vec<_> = duplex.log.iter().map(|done| matches!(done, Done::Write(_))).collect();
    let first_write = order.iter().position(|is_write| *is_write).expect("an answer");
    let read: usize = duplex.reads()[..first_write].iter().sum();
    assert_eq!(read, call.bytes().len(), "all input comes before the answer that ends");
    Answer::read(&*duplex.written(), 1).expect("a whole answer").assert_ok("ok");

    for server in inspect() {
        let mut client = server.connect();
        for path in ["/ignore", "/bytes/1000", "/panic"] {
            let answer = client.call(&Call::post(path, vec![b'i'; 2_000_000]));
            assert_eq!(answer.protocol_status, 0);
        }
        client.call(&Call::post("/echo", "next")).assert_ok("next");
    }
}

#[test]
fn w20_every_refusal_is_a_whole_answer_with_the_true_status() {
    let change = settings(|settings| settings.limits.params = 1000);
    for server in Running::both(change, handle) {
        let mut client = server.connect();
        let mut unknown = Call::get("/");
        unknown.role = 9;
        let large = Call::get("/").param("HTTP_COOKIE", [b'c'; 2000]);
        for (call, status, protocol_status) in
            [(unknown, 503, ProtocolStatus::UnknownRole), (large, 431, ProtocolStatus::RequestComplete)]
        {
            for call in [call.clone(), call.closing()] {
                let mut client = server.connect();
                let answer = client.call(&call);
                answer.assert_ended(status, protocol_status);
                assert!(!answer.body().is_empty());
                if !call.keep_conn {
                    client.assert_closed();
                }
            }
        }
        client.send([Call::post("/echo", "").opening(), Call::get("/").id(2).bytes()].concat());
        let answer = client.answer(2);
        answer.assert_ended(503, ProtocolStatus::CantMpxConn);
        assert!(!answer.body().is_empty());
        client.send(stream(RecordType::Stdin, 1, b"mine"));
        client.answer(1).assert_ok("mine");
    }
}

#[test]
fn w27_every_way_out_of_a_handler_ends_the_request() {
    let (sender, kinds) = mpsc::channel();
    let change = settings(|settings| settings.drain_timeout = Duration::from_millis(100));
    let server = Running::unix(change, move |request: &mut Request| -> Result<(), BoxError> {
        match request.param_str("REQUEST_URI").unwrap_or_default() {
            "/panic" => panic!("as asked for"),
            "/error" => Err("as asked for".into()),
            "/early" => Ok(()),
            "/head" => Ok(request.respond(Status::OK).flush()?),
            "/read" => {
                let error = request.stdin().read_to_end(&mut Vec::new()).expect_err("the client left");
                sender.send(error.kind())?;
                Err(error.into())
            }
            _ => say("fine")(request),
        }
    });
    for keep_conn in [true, false] {
        for (path, status) in [("/panic", 500), ("/error", 500), ("/early", 500), ("/head", 200), ("/", 200)]
        {
            for ended in [true, false] {
                let mut client = server.connect();
                let mut call = Call::post(path, "body");
                call.keep_conn = keep_conn;
                client.send(call.opening());
                if ended {
                    client.send(call.bodies());
                }
                client.answer(1).assert_ended(status, ProtocolStatus::RequestComplete);
            }
        }
    }
    let mut client = server.connect();
    client.send(Call::post("/read", "body").opening());
    client.end_sending();
    client.answer(1).assert_ended(500, ProtocolStatus::RequestComplete);
    assert_eq!(kinds.recv_timeout(PATIENCE), Ok(ErrorKind::UnexpectedEof));
}
