//! Waits and bounds as a handler meets them; see `servers/limits.rs` for those that concern no handler.

mod support;

use std::io::{self, ErrorKind, Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use fcgi_blocking::{Request, Status};
use fcgi_proto::record::{ProtocolStatus, RecordType};
use support::{Call, PATIENCE, Received, Running, read_record, record, say, settings};

const SHORT: Duration = Duration::from_millis(100);

#[test]
fn a_handler_gets_an_error_after_the_read_timeout_and_the_connection_goes_on() {
    let (sender, errors) = mpsc::channel();
    let change = settings(|settings| {
        settings.read_timeout = SHORT;
        settings.drain_timeout = SHORT;
    });
    let server = Running::unix(change, move |request: &mut Request| {
        let mut body = Vec::new();
        match request.stdin().read_to_end(&mut body) {
            Ok(count) => say(&count.to_string())(request),
            Err(error) => {
                sender.send((error.kind(), error.to_string(), body))?;
                Err(error.into())
            }
        }
    });
    let mut client = server.connect();
    let call = Call::post("/", "half of it");
    client.send([call.opening(), record(RecordType::Stdin, 1, b"half")].concat());
    let answer = client.answer(1);
    answer.assert_ended(500, ProtocolStatus::RequestComplete);
    let text = "the client sent no body within 0.1 s";
    assert_eq!(answer.log(), format!("{text}\n"));
    let error = errors.recv_timeout(PATIENCE).expect("the handler ran");
    assert_eq!(error, (ErrorKind::TimedOut, text.to_owned(), b"half".to_vec()));
    client.call(&call).assert_ok("10");
}

/// What a client finds that did not read, once it does: whole records, then perhaps a part of one.
fn leftovers(client: &mut support::Client) -> (Vec<Received>, io::Result<Option<Received>>) {
    let mut records = Vec::new();
    loop {
        match read_record(&mut client.stream) {
            Ok(Some(record)) => records.push(record),
            end => return (records, end),
        }
    }
}

#[test]
fn a_client_that_writes_all_before_it_reads_costs_itself_only() {
    for keep_conn in [true, false] {
        let (sender, errors) = mpsc::channel();
        let change = settings(|settings| {
            settings.write_timeout = Duration::from_millis(300);
            settings.spool = 0;
            settings.max_connections = 1;
        });
        let server = Running::unix(change, move |request: &mut Request| {
            let mut body = request.respond(Status::OK).header("Content-Type", "text/plain")?;
            let result = io::copy(&mut request.stdin(), &mut body);
            if let Err(error) = &result {
                sender.send((error.kind(), error.to_string()))?;
            }
            Ok(result.map(drop)?)
        });
        let mut call = Call::post("/", vec![b'e'; 16 * 1024 * 1024]);
        call.keep_conn = keep_conn;
        let mut greedy = server.connect();
        let writer = greedy.send_meanwhile(call.bytes());
        let error = errors.recv_timeout(PATIENCE).expect("the handler fails");
        let text = "the client took no byte of the answer for 0.3 s";
        assert_eq!(error, (ErrorKind::TimedOut, text.to_owned()));

        server.connect().call(&Call::post("/", "next")).assert_ok("next");

        // Nothing follows the record that was cut, so nothing can be taken for a part of it.
        let written = writer.join().expect("the writer ends");
        assert!(written.is_err(), "the server closed before it had read everything");
        let (records, end) = leftovers(&mut greedy);
        assert!(!matches!(end, Ok(Some(_))));
        assert!(records.iter().all(|record| record.record_type == RecordType::Stdout), "{records:?}");
        let stdout: Vec<u8> = records.into_iter().flat_map(|record| record.content).collect();
        let body = stdout.splitn(2, |byte| *byte == b'e').nth(1).expect("some of the body");
        assert!(body.is_empty() || stdout.ends_with(b"eeee"), "only the echo follows the head");
    }
}

#[test]
fn nothing_is_written_behind_a_record_that_was_cut() {
    let (sender, done) = mpsc::channel();
    let change = settings(|settings| settings.write_timeout = SHORT);
    let server = Running::unix(change, move |request: &mut Request| {
        let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
        page.write_all(&vec![b'x'; 16 * 1024 * 1024]).expect_err("nobody reads");
        sender.send(())?;
        // A handler that does not give up.
        for _ in 0..100 {
            let _ = page.write_all(&[b'z'; 65528]);
            let _ = request.stderr().write_all(b"still there\n");
        }
        Ok(())
    });
    let mut client = server.connect();
    client.send(Call::get("/").bytes());
    done.recv_timeout(PATIENCE).expect("the write fails");
    let mut all = Vec::new();
    // It may end in a reset.
    let _ = client.stream.read_to_end(&mut all);
    assert!(all.len() > 65528);
    assert_eq!(all.iter().filter(|byte| **byte == b'z').count(), 0);
    let end = [record(RecordType::Stdout, 1, b""), record(RecordType::EndRequest, 1, &[0; 8])].concat();
    assert!(!all.ends_with(&end), "the answer ends as if it were whole");
}

#[test]
fn a_body_beyond_its_limit_is_refused_while_a_handler_reads_it() {
    let (sender, errors) = mpsc::channel();
    let change = settings(|settings| settings.limits.stdin = 10);
    let server = Running::unix(change, move |request: &mut Request| {
        let mut body = String::new();
        if let Err(error) = request.stdin().read_to_string(&mut body) {
            sender.send(error.to_string())?;
            return Err(error.into());
        }
        say(&body)(request)
    });
    let mut client = server.connect();
    client.call(&Call::post("/", "0123456789")).assert_ok("0123456789");
    client.call(&Call::post("/", "0123456789!")).assert_ended(503, ProtocolStatus::Overloaded);
    assert_eq!(errors.recv_timeout(PATIENCE).as_deref(), Ok("request refused: overloaded"));
    client.call(&Call::post("/", "0123456789")).assert_ok("0123456789");
}

#[test]
fn a_head_is_whole_or_refused_whatever_its_limit_is() {
    let server =
        Running::unix(settings(|settings| settings.head_limit = 1024 * 1024), |request: &mut Request| {
            let length: usize = request.param_str("REQUEST_URI").unwrap_or_default().parse()?;
            let mut page = request.respond(Status::OK).header("X-Long", vec![b'l'; length])?;
            page.write_all(b"body")?;
            Ok(())
        });
    let mut client = server.connect();
    for length in [10_000, 50_000, 65_400, 65_500, 65_600, 100_000, 500_000] {
        let answer = client.call(&Call::get(&length.to_string()));
        assert_eq!(answer.protocol_status, 0);
        if answer.status() == 200 {
            assert!(answer.head().contains(&"l".repeat(length)), "{length}: the head is cut");
            assert_eq!(answer.body(), b"body", "{length}");
        } else {
            assert!(length > 50_000, "{length}: {}", answer.log());
            answer.assert_ended(500, ProtocolStatus::RequestComplete);
        }
    }
}
