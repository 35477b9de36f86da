//! Every wait ends and every size has a bound. Settings are short here where their end is waited for.

mod support;

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;
use std::time::Duration;

use fcgi_blocking::{BoxError, Request, Status};
use fcgi_proto::record::{ProtocolStatus, RecordType};
use support::{Call, PATIENCE, Received, Running, pairs, read_record, record, say, settings};

const SHORT: Duration = Duration::from_millis(100);

fn uri(request: &mut Request<'_>) -> Result<(), BoxError> {
    let uri = request.param_str("REQUEST_URI").unwrap_or_default().to_owned();
    say(&uri)(request)
}

#[test]
fn a_connection_without_a_request_is_closed_after_the_idle_timeout() {
    for server in Running::both(settings(|settings| settings.idle_timeout = SHORT), uri) {
        server.connect().assert_closed();
        let mut client = server.connect();
        client.call(&Call::get("/one")).assert_ok("/one");
        client.assert_closed();
    }
}

#[test]
fn half_sent_parameters_end_the_connection_after_the_params_timeout() {
    for server in Running::both(settings(|settings| settings.params_timeout = SHORT), uri) {
        let opening = Call::get("/").opening();
        for cut in [1, 8, 16, 20, opening.len() - 1] {
            let mut client = server.connect();
            client.send(&opening[..cut]);
            client.assert_closed();
        }
    }
}

#[test]
fn parameters_that_trickle_do_not_put_off_their_timeout() {
    let server = Running::unix(settings(|settings| settings.params_timeout = 5 * SHORT), uri);
    let mut client = server.connect();
    client.send(Call::get("/").begin());
    client.stream.set_read_timeout(Some(SHORT / 10)).expect("a limit can be set");
    let mut sent = 0;
    // The wait for an end that has not come is what makes it a trickle.
    let end = loop {
        match client.stream.read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            result => break result,
        }
        sent += 1;
        assert!(sent < 1000, "the connection never ends");
        // Once the server has closed, this fails.
        let _ = client.stream.write_all(&record(RecordType::Params, 1, b"x"));
    };
    assert!(matches!(end, Ok(0)), "{end:?}");
    assert!(sent > 1, "it was a trickle");
}

#[test]
fn the_params_timeout_begins_with_the_request_and_not_with_what_came_before() {
    let server = Running::unix(settings(|settings| settings.params_timeout = 3 * SHORT), uri);
    let mut client = server.connect();
    client.call(&Call::get("/first")).assert_ok("/first");
    // Late input of that request, in more than one read, then a sign that it was taken.
    client.send(record(RecordType::Stdin, 1, &[0; 50_000]).repeat(3));
    client.send(record(RecordType::GetValues, 0, &[]));
    assert_eq!(client.record().record_type, RecordType::GetValuesResult);
    // Another connection's timeout tells that this one's would be over as well.
    let mut other = server.connect();
    other.send(Call::get("/").begin());
    other.assert_closed();
    // More parameters than one read takes.
    let call = Call::get("/second").param("HTTP_COOKIE", vec![b'c'; 200_000]);
    client.call(&call).assert_ok("/second");
}

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
fn parameters_beyond_their_limit_are_refused_and_the_connection_goes_on() {
    for server in Running::both(settings(|settings| settings.limits.params = 1000), uri) {
        let mut client = server.connect();
        let call = Call::get("/").param("HTTP_COOKIE", vec![b'c'; 1000]);
        client.call(&call).assert_ended(503, ProtocolStatus::Overloaded);
        // In records that are each within the limit.
        let params = pairs(call.params.iter().map(|(name, value)| (name, value)));
        let cut: Vec<_> = params.chunks(100).flat_map(|part| record(RecordType::Params, 1, part)).collect();
        client.send([call.begin(), cut, record(RecordType::Params, 1, b""), call.bodies()].concat());
        client.answer(1).assert_ended(503, ProtocolStatus::Overloaded);
        client.call(&Call::get("/next")).assert_ok("/next");
    }
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
fn a_body_beyond_its_limit_is_refused_while_nobody_reads_it() {
    let server = Running::unix(settings(|settings| settings.limits.stdin = 10), uri);
    let mut client = server.connect();
    let calls = [Call::post("/first", [b'x'; 20]), Call::get("/second")];
    client.send(calls.map(|call| call.bytes()).concat());
    client.answer(1).assert_ended(503, ProtocolStatus::Overloaded);
    client.answer(1).assert_ok("/second");
    // And when the next request comes later.
    client.call(&Call::post("/third", [b'x'; 20])).assert_ended(503, ProtocolStatus::Overloaded);
    client.call(&Call::get("/fourth")).assert_ok("/fourth");
}

#[test]
fn input_that_is_ignored_has_a_limit() {
    let server = Running::unix(settings(|settings| settings.limits.ignored = 1_000_000), uri);
    let mut client = server.connect();
    client.call(&Call::get("/")).assert_ok("/");
    let late = record(RecordType::Stdin, 1, &[0; 65528]).repeat(16);
    let writer = client.send_meanwhile(late);
    client.assert_closed();
    writer.join().expect("the writer ends").expect("the server drains before it closes");
}

#[test]
fn input_that_nobody_wants_is_read_up_to_the_drain_limit() {
    let change = settings(|settings| settings.drain_limit = 100_000);
    let server = Running::unix(change, uri);
    let mut client = server.connect();
    // No end of STDIN: the answer comes because the limit is reached, long before the drain timeout.
    client.send(Call::get("/").opening());
    client.send(record(RecordType::Stdin, 1, &[0; 65528]).repeat(2));
    client.answer(1).assert_ok("/");
    client.call(&Call::get("/next")).assert_ok("/next");
}

#[test]
fn limits_that_are_no_limits_work() {
    let change = settings(|settings| {
        settings.idle_timeout = Duration::MAX;
        settings.params_timeout = Duration::MAX;
        settings.read_timeout = Duration::MAX;
        settings.write_timeout = Duration::MAX;
        settings.drain_timeout = Duration::MAX;
        settings.drain_limit = u64::MAX;
        settings.limits.params = u32::MAX;
        settings.limits.ignored = u32::MAX;
    });
    for server in Running::both(change, uri) {
        let mut client = server.connect();
        for keep_conn in [true, false] {
            // More than one read, then a body that has to be drained.
            let mut call = Call::post("/", vec![0; 200_000]).param("HTTP_COOKIE", vec![b'c'; 1_000_000]);
            call.keep_conn = keep_conn;
            let writer = client.send_meanwhile(call.bytes());
            client.answer(1).assert_ok("/");
            writer.join().expect("the writer ends").expect("everything is read");
        }
        client.assert_closed();
        // There is no limit that would end this: the client has to.
        client.stream.shutdown(Shutdown::Both).expect("it was open");
    }
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
