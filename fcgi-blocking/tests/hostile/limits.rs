//! What is below, at and above each limit; what is said of peers that take too long.

use std::io::Write;
use std::time::Duration;

use fcgi_proto::record::{ProtocolStatus, RecordType};

use crate::app::handle;
use crate::support::said::{listen, wait_for};
use crate::support::{Call, Running, Settings, pairs, record, settings};
use crate::victim::{LITTLE, Victim};

/// A request whose PARAMS stream has so many bytes.
fn of_params(length: usize) -> Call {
    let call = Call::get("/ignore");
    let others = pairs(call.params.iter().map(|(name, value)| (name, value))).len();
    // A name of one byte, its length, and the value's.
    call.param("P", vec![b'p'; length - others - 6])
}

#[test]
fn parameters_below_at_and_above_their_limit() {
    let limit = Settings::default().limits.params as usize;
    for mut victim in Victim::inspect() {
        let mut peers = victim.connect_all(3);
        for _ in 0..5 {
            for (peer, length) in peers.iter_mut().zip([limit - 1, limit, limit + 1]) {
                let writer = peer.send_meanwhile(of_params(length).bytes());
                let answer = peer.answer(1);
                writer.join().expect("the writer ends").expect("the server takes everything");
                if length <= limit {
                    answer.assert_ok("ok");
                } else {
                    answer.assert_ended(431, ProtocolStatus::RequestComplete);
                }
            }
            victim.assert_serves();
        }
        victim.assert_growth_below(LITTLE);
        drop(peers);
        let log = victim.finish();
        let refused = "request 1: refused: more parameters than Limits::params, 524288 bytes\n";
        assert!(log.ends_with(refused) && log.lines().count() == 1, "{log}");
    }
}

#[test]
fn bodies_below_at_and_above_their_limits() {
    let change = settings(|settings| (settings.limits.stdin, settings.limits.data) = (1000, 2000));
    for server in Running::both(change, handle) {
        let mut client = server.connect();
        for (length, passes) in [(999, true), (1000, true), (1001, false), (1000, true)] {
            let answer = client.call(&Call::post("/sum", vec![b's'; length]));
            let status = if passes { ProtocolStatus::RequestComplete } else { ProtocolStatus::Overloaded };
            answer.assert_ended(if passes { 200 } else { 503 }, status);
            let data = vec![b'd'; 2 * length];
            let call = Call::post("/", "").filter(&data).param("FCGI_DATA_LENGTH", data.len().to_string());
            if passes {
                client.call(&call).assert_ok(data.to_ascii_uppercase());
            } else {
                client.call(&call).assert_ended(503, ProtocolStatus::Overloaded);
            }
        }
    }
}

#[test]
fn ignored_records_below_at_and_above_their_limit() {
    for server in Running::both(settings(|settings| settings.limits.ignored = 4096), handle) {
        let mut client = server.connect();
        let late = record(RecordType::Stdin, 1, &[0; 1016]);
        assert_eq!(late.len(), 1024);
        for count in [3, 4] {
            client.send(late.repeat(count));
            client.call(&Call::get("/ignore")).assert_ok("ok");
        }
        client.send([late.repeat(4), record(RecordType::Stdin, 1, b"")].concat());
        client.assert_closed();
    }
}

#[test]
fn peers_that_never_finish_their_parameters_give_their_places_back() {
    listen();
    let change = settings(|settings| {
        settings.params_timeout = Duration::from_millis(111);
        settings.max_connections = 4;
    });
    for server in Running::both(change, handle) {
        let mut peers: Vec<_> = (0..12).map(|_| server.connect()).collect();
        peers.iter_mut().for_each(|peer| peer.send(&Call::get("/").opening()[..20]));
        server.connect().call(&Call::get("/ignore")).assert_ok("ok");
        peers.iter_mut().for_each(|peer| peer.assert_closed());
        wait_for("the client sent no whole parameters within 0.111 s");
    }
}

#[test]
fn a_peer_that_never_finishes_its_body_gives_its_place_back() {
    listen();
    let change = settings(|settings| {
        settings.read_timeout = Duration::from_millis(112);
        settings.drain_timeout = Duration::from_millis(10);
        settings.max_connections = 1;
    });
    for server in Running::both(change, handle) {
        let mut peer = server.connect();
        peer.send(Call::post("/early", "body").opening());
        assert_eq!(peer.record().record_type, RecordType::Stdout);
        server.connect().call(&Call::get("/ignore")).assert_ok("ok");
        peer.cut_answer();
        wait_for("the client sent no body within 0.112 s");
    }
}

#[test]
fn a_peer_that_asks_and_never_reads_gives_its_place_back() {
    listen();
    let change = settings(|settings| {
        settings.write_timeout = Duration::from_millis(113);
        settings.max_connections = 1;
    });
    for server in Running::both(change, handle) {
        let mut peer = server.connect();
        let questions = record(RecordType::GetValues, 0, &pairs([("FCGI_MAX_CONNS", "")])).repeat(1000);
        // The server takes what the buffers hold, then nothing, then closes.
        let asked = (0..10_000).take_while(|_| peer.stream.write_all(&questions).is_ok()).count();
        assert!(asked < 10_000, "it is never closed");
        server.connect().call(&Call::get("/ignore")).assert_ok("ok");
        wait_for("the client took no byte of the answer for 0.113 s");
    }
}
