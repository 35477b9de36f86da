//! Records that lie, floods of records, and connections that end anywhere in one.

use std::io::Read;
use std::net::Shutdown;

use fcgi_proto::record::{Header, ProtocolStatus, RecordType};

use crate::support::child::{Serving, example};
use crate::support::{Answer, Call, pairs, record};
use crate::victim::{LITTLE, Victim, flood};

/// One management record of a type that nobody knows.
fn question(record_type: u8) -> Vec<u8> {
    Header { record_type, ..Header::new(RecordType::GetValues, 0, 0) }.encode().to_vec()
}

#[test]
fn lengths_that_lie_cost_no_memory_by_claim() {
    for mut victim in Victim::inspect() {
        // A name and a value of nearly 2 GiB each, of which a little comes.
        let claim = [&[0xff; 8][..], &[b'N'; 1000]].concat();
        let call = Call::get("/echo").param("CONTENT_LENGTH", "18446744073709551615");
        let mut peers = victim.connect_all(100);
        for peer in &mut peers {
            peer.send([call.begin(), record(RecordType::Params, 1, &claim)].concat());
        }
        victim.assert_serves();
        for peer in &mut peers {
            peer.send([record(RecordType::Params, 1, b""), call.bodies()].concat());
            peer.answer(1).assert_ended(400, ProtocolStatus::RequestComplete);
            // A body of 16 EiB, of which a record of 65,535 bytes is announced, of which one comes.
            peer.send([call.opening(), Header::new(RecordType::Stdin, 1, 65535).encode().to_vec()].concat());
            peer.send(b"x");
        }
        victim.assert_serves();
        victim.assert_growth_below(100 * 128 + LITTLE);
        drop(peers);
        let log = victim.finish();
        assert!(log.contains("request 1: refused: malformed request"), "{log}");
    }
}

#[test]
fn of_65_535_begins_on_a_connection_those_beyond_its_slots_are_refused() {
    let mut victim = Victim::inspect_unix();
    let mut peer = victim.connect();
    let ids: Vec<u16> = (1..=u16::MAX).collect();
    // Now and then a request is finished, so that none is late.
    for ids in ids.chunks(8192) {
        let (begun, refused) = ids.split_at(if crate::MULTIPLEXES { 96 } else { 1 });
        let writer = peer.send_meanwhile(ids.iter().flat_map(|id| Call::get("/").id(*id).begin()).collect());
        for id in refused {
            let answer = peer.answer(*id);
            assert!(answer.status() == 503 && answer.protocol_status != 0, "{answer:?}");
        }
        writer.join().expect("the writer ends").expect("the server takes everything");
        victim.assert_serves();
        for id in begun {
            let call = Call::post("/echo", "begun").id(*id);
            peer.send(&call.bytes()[call.begin().len()..]);
            peer.answer(*id).assert_ok("begun");
        }
    }
    victim.assert_growth_below(LITTLE);
    drop(peer);
    let log = victim.finish();
    assert!(log.contains(": refused: "), "{log}");
    assert_eq!(log.lines().count(), 1, "a client fills the log: {log}");
}

#[test]
fn a_flood_from_peers_that_never_read_stops_being_read() {
    let values = record(RecordType::GetValues, 0, &pairs([("FCGI_MAX_CONNS", ""), ("FCGI_MAX_REQS", "")]));
    let mut unknown = Call::get("/");
    unknown.role = 9;
    for bytes in [values, question(200), unknown.begin()] {
        let mut victim = Victim::inspect_unix();
        let mut peers = victim.connect_all(3);
        flood(&mut victim, &mut peers, &bytes, 64 * 1024 * 1024);
        victim.assert_growth_below(LITTLE);
        drop(peers);
        victim.finish();
    }
}

#[test]
fn a_connection_may_close_at_every_byte_of_a_request() {
    for start in [Serving::unix, Serving::tcp] {
        let victim = Victim::new(start(example("inspect").env("RUST_LOG", "debug")));
        let call = Call::post("/sum", "body");
        let bytes = call.bytes();
        for cut in 0..=bytes.len() {
            // Without a word.
            victim.connect().send(&bytes[..cut]);
            // With its answer unread: a reset on TCP.
            victim.connect().send([&bytes, &bytes[..cut]].concat());
            // In good order.
            let mut peer = victim.connect();
            peer.send(&bytes[..cut]);
            peer.stream.shutdown(Shutdown::Write).expect("the server is there");
            let mut rest = Vec::new();
            peer.stream.read_to_end(&mut rest).expect("the server closes in good order");
            let whole = Answer::read(&*rest, 1).is_ok_and(|answer| answer.status() == 200);
            assert_eq!(whole, cut == bytes.len(), "{cut}");
        }
        victim.assert_growth_below(LITTLE);
        let log = victim.finish();
        assert!(log.contains("DEBUG") && log.contains("end of input inside a record"), "{log}");
    }
}
