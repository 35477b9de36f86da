//! Every wait ends and every size has a bound, whatever the handler does. Settings are short here where their
//! end is waited for.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use fcgi_proto::record::{ProtocolStatus, RecordType};

use crate::support::{Call, Running, pairs, record, settings, uri};

const SHORT: Duration = Duration::from_millis(100);

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
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
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
fn parameters_beyond_their_limit_are_refused_and_the_connection_goes_on() {
    for server in Running::both(settings(|settings| settings.limits.params = 1000), uri) {
        let mut client = server.connect();
        let call = Call::get("/").param("HTTP_COOKIE", vec![b'c'; 1000]);
        client.call(&call).assert_ended(431, ProtocolStatus::RequestComplete);
        // In records that are each within the limit.
        let params = pairs(call.params.iter().map(|(name, value)| (name, value)));
        let cut: Vec<_> = params.chunks(100).flat_map(|part| record(RecordType::Params, 1, part)).collect();
        client.send([call.begin(), cut, record(RecordType::Params, 1, b""), call.bodies()].concat());
        client.answer(1).assert_ended(431, ProtocolStatus::RequestComplete);
        client.call(&Call::get("/next")).assert_ok("/next");
    }
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
