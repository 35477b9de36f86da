//! How requests and connections end, whatever clients and handlers do, and in what order a handler reads and writes.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fcgi_proto::record::{ProtocolStatus, RecordType};
use rustix::event::PollFlags;

use crate::app::handle;
use crate::support::{
    Answer, Call, Client, PATIENCE, Running, Settings, abort, happens_within, record, settings, unprintable,
    uri,
};

const SHORT: Duration = Duration::from_millis(300);

/// Less than the limits that would end a wait else, and long for one that ends at once.
const SOON: Duration = Duration::from_secs(4);

/// The client is read up to here.
fn taken_in(client: &mut Client) {
    client.send(record(RecordType::GetValues, 0, &[]));
    assert_eq!(client.record().record_type, RecordType::GetValuesResult);
}

#[test]
fn an_error_whose_text_panics_is_a_500_and_the_connection_goes_on() {
    for server in Running::both(Settings::default(), unprintable) {
        let mut client = server.connect();
        for _ in 0..5 {
            let answer = client.call(&Call::get("/"));
            answer.assert_ended(500, ProtocolStatus::RequestComplete);
            assert_eq!(answer.log(), "the handler panicked: no text for this\n");
        }
    }
}

#[test]
fn a_body_that_trickles_is_ended_by_a_limit_for_the_whole() {
    let change = settings(|settings| (settings.read_timeout, settings.drain_timeout) = (SHORT, SHORT));
    for server in Running::both(change, handle) {
        let mut client = server.connect();
        client.send(Call::post("/sum", "").opening());
        client.stream.set_read_timeout(Some(SHORT / 10)).expect("a limit can be set");
        let (mut sent, mut first) = (0, [0]);
        // The wait for an answer that has not come is what makes it a trickle.
        while let Err(error) = client.stream.read_exact(&mut first) {
            assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
            sent += 1;
            assert!(sent < 200, "each byte renews the limit");
            client.send(record(RecordType::Stdin, 1, b"x"));
        }
        assert!(sent > 1, "it was a trickle");
        client.stream.set_read_timeout(Some(PATIENCE)).expect("a limit can be set");
        let answer = Answer::read(first.chain(&mut client.stream), 1).expect("a whole answer");
        answer.assert_ended(500, ProtocolStatus::RequestComplete);
        assert_eq!(answer.log(), "the client sent no body within 0.3 s\n");
    }
}

#[test]
fn an_answer_that_is_taken_in_a_trickle_is_cut_off_by_a_limit_for_the_whole() {
    const ALL: usize = 100_000_000;
    let change =
        settings(|settings| (settings.write_timeout, settings.least_rate) = (2 * SHORT, 100_000_000));
    for server in Running::both(change, handle) {
        let mut client = server.connect();
        client.send(Call::get(&format!("/bytes/{ALL}")).bytes());
        let mut taken = 0;
        for _ in 0..100 {
            let mut part = vec![0; 8192];
            taken += match client.stream.read(&mut part) {
                // A socket with a time limit is interrupted when other tests start children.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                count => count.expect("some of the answer"),
            };
            if happens_within(&client.stream, PollFlags::RDHUP, SHORT / 15) {
                break;
            }
        }
        let mut rest = Vec::new();
        // It may be cut off without ceremony.
        let _ = client.stream.read_to_end(&mut rest);
        assert!(taken + rest.len() < ALL / 4, "{} bytes came", taken + rest.len());
    }
}

#[test]
fn a_shutdown_ends_a_stream_without_an_end_after_the_shutdown_timeout() {
    for mut server in Running::both(settings(|settings| settings.shutdown_timeout = SHORT), handle) {
        let mut client = server.connect();
        client.send(Call::get("/stream/1000000000/5").bytes());
        assert_eq!(client.record().record_type, RecordType::Stdout);
        server.handle.shutdown();
        let (began, mut answer, mut part) = (Instant::now(), Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = client.stream.read(&mut part) {
            answer.extend(&part[..count]);
            assert!(began.elapsed() < PATIENCE, "it goes on");
        }
        let end = record(RecordType::EndRequest, 1, &[0; 8]);
        assert!(!answer.ends_with(&end), "it is ended as if it were whole");
        server.wait().expect("the server ends in good order");
    }
}

#[test]
fn connections_that_wait_for_a_place_do_not_hold_a_shutdown_up() {
    let change = settings(|settings| (settings.max_connections, settings.shutdown_timeout) = (1, SHORT));
    for mut server in Running::both(change, handle) {
        let mut client = server.connect();
        client.send(Call::get("/stream/1000000000/5").bytes());
        assert_eq!(client.record().record_type, RecordType::Stdout);
        let others = [(); 8].map(|()| {
            let mut other = server.connect();
            other.send(Call::get("/").bytes());
            other
        });
        server.handle.shutdown();
        server.wait().expect("the server ends in good order");
        drop((client, others));
    }
}

#[test]
fn a_half_sent_request_does_not_hold_a_shutdown_up() {
    for mut server in Running::both(Settings::default(), uri) {
        let opening = Call::get("/").opening();
        let halves: Vec<_> =
            [16, opening.len() - 8].map(|half| (server.connect(), half)).into_iter().collect();
        let mut clients = Vec::new();
        for (mut client, half) in halves {
            client.send(&opening[..half]);
            taken_in(&mut client);
            clients.push(client);
        }
        let began = Instant::now();
        server.handle.shutdown();
        for client in &mut clients {
            client.answer(1).assert_ended(503, ProtocolStatus::Overloaded);
            client.assert_closed();
        }
        server.wait().expect("the server ends in good order");
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }
}

#[test]
fn a_request_with_the_id_of_one_that_was_answered_is_another() {
    for server in Running::both(Settings::default(), uri) {
        let mut client = server.connect();
        for _ in 0..20 {
            client.call(&Call::get("/one")).assert_ok("/one");
            client.call(&Call::get("/two")).assert_ok("/two");
        }
    }
}

#[test]
fn nothing_is_put_out_after_an_abort() {
    for server in Running::both(Settings::default(), handle) {
        let mut client = server.connect();
        for path in ["/sum", "/early", "/echo"] {
            client.send(Call::post(path, "").opening());
            let begun = (path == "/early").then(|| client.record());
            client.send([record(RecordType::Stdin, 1, b"some"), abort(1)].concat());
            let answer = client.answer(1);
            assert_eq!((answer.stdout.len(), answer.protocol_status), (0, 0), "{path}: {begun:?} {answer:?}");
            client.call(&Call::get("/status/200")).assert_ended(200, ProtocolStatus::RequestComplete);
        }
    }
}

#[test]
fn connections_that_sent_a_part_of_a_record_make_room_for_a_request() {
    let places = 200;
    for server in Running::both(settings(|settings| settings.max_connections = places), uri) {
        let mut holders: Vec<_> = (0..places).map(|_| server.connect()).collect();
        holders.iter_mut().for_each(|client| client.send(&Call::get("/").begin()[..4]));
        let began = Instant::now();
        for _ in 0..3 {
            server.connect().call(&Call::get("/next").closing()).assert_ok("/next");
        }
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }
}

/// Posts as nginx does: at the first byte of the answer it stops sending. The answer, and whether all was sent.
fn post_until_answered(client: &mut Client, call: &Call) -> (Answer, bool) {
    let answered = Arc::new(AtomicBool::new(false));
    let sender = {
        let (bytes, answered) = (call.bytes(), Arc::clone(&answered));
        let mut stream = client.stream.try_clone().expect("a descriptor is free");
        thread::spawn(move || {
            let parts = bytes.chunks(16 * 1024).take_while(|_| !answered.load(Ordering::SeqCst));
            parts.map(|part| stream.write_all(part).map(|()| part.len())).sum::<Result<usize, _>>()
        })
    };
    let mut first = [0];
    client.stream.read_exact(&mut first).expect("an answer in time");
    answered.store(true, Ordering::SeqCst);
    let answer = Answer::read(first.chain(&mut client.stream), call.id).expect("a whole answer");
    let sent = sender.join().expect("the sender ends").expect("the server takes what is sent");
    (answer, sent == call.bytes().len())
}

#[test]
fn a_handler_may_write_before_it_has_read_all() {
    for server in Running::both(Settings::default(), handle) {
        for keep_conn in [true, false] {
            let mut client = server.connect();
            for size in [300_000, 1 << 20, 64 << 20] {
                let body: Vec<u8> = (0..size as u32).map(|number| (number >> 3) as u8).collect();
                let mut call = Call::post("/echo", body);
                call.keep_conn = keep_conn;
                let (answer, whole) = post_until_answered(&mut client, &call);
                assert!(whole, "the answer to {size} bytes began before they were in");
                answer.assert_ok(call.stdin.as_deref().unwrap_or_default());
                if !keep_conn {
                    client.assert_closed();
                    client = server.connect();
                }
            }
        }
    }
}

#[test]
fn an_answer_to_a_body_that_is_not_read_is_there_at_once() {
    for server in Running::both(Settings::default(), handle) {
        // The last one flushes, so that it does not wait for the body.
        for path in ["/bytes/131072", "/bytes/200000", "/bytes/262144", "/stream/3/100"] {
            let mut client = server.connect();
            let began = Instant::now();
            let (answer, whole) = post_until_answered(&mut client, &Call::post(path, vec![b'i'; 1 << 20]));
            answer.assert_ended(200, ProtocolStatus::RequestComplete);
            assert!(began.elapsed() < SOON, "{path}: {:?}", began.elapsed());
            if whole {
                client.call(&Call::get("/bytes/2")).assert_ok("xx");
            } else {
                assert_eq!(path, "/stream/3/100", "the answer began before the body was in");
            }
        }
    }
}
