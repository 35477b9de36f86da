//! Peers that hold connections: half-open ones, slow ones, very many, more than there are descriptors for.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use fcgi_proto::record::RecordType;
use rustix::process::{Resource, Rlimit, getrlimit, prlimit, setrlimit};

use crate::support::child::{Serving, example};
use crate::support::{Call, Client, Settings, wait_until};
use crate::victim::{LITTLE, Victim};

/// What the server says that has no descriptor for a connection.
const EXHAUSTED: &str =
    "accept: Too many open files (os error 24); connections that wait for a request make room";

/// Memory of a connection that waits with a request half read, in KiB, at most.
const CONNECTION: u64 = 160;

#[test]
fn half_open_connections_hold_up_nobody() {
    for mut victim in Victim::inspect() {
        let call = Call::post("/echo", "body");
        let (opening, whole) = (call.opening().len(), call.bytes().len());
        let mut peers = victim.connect_all(400);
        for (number, peer) in peers.iter_mut().enumerate() {
            // Nothing, half a header, half the parameters, half the body.
            let sent = [0, 4, opening / 2, (opening + whole) / 2][number % 4];
            peer.send(&call.bytes()[..sent]);
            if number % 8 < 4 {
                peer.stream.shutdown(Shutdown::Write).expect("the server is there");
            }
        }
        victim.assert_serves();
        victim.assert_growth_below(400 * CONNECTION + LITTLE);
        drop(peers);
        assert_eq!(victim.finish(), "", "clients that leave are everyday");
    }
}

#[test]
fn peers_that_send_a_byte_at_a_time_hold_up_nobody() {
    for mut victim in Victim::inspect() {
        let call = Call::post("/echo", "slow");
        let mut peers = victim.connect_all(20);
        for byte in call.bytes() {
            peers.iter_mut().for_each(|peer| peer.send([byte]));
            // That is how long a byte takes.
            victim.assert_keeps();
        }
        peers.iter_mut().for_each(|peer| peer.answer(1).assert_ok("slow"));
        victim.assert_growth_below(20 * CONNECTION + LITTLE);
        drop(peers);
        assert_eq!(victim.finish(), "");
    }
}

#[test]
fn each_of_1_100_connections_is_served_and_idle_ones_make_room() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(4096), maximum }).expect("so many can be had");
    for start in [Serving::unix, Serving::tcp] {
        let mut victim = Victim::new(start(&mut example("inspect")));
        let mut peers = Vec::new();
        for number in 0..1100 {
            let mut peer = victim.connect();
            peer.call(&Call::get("/ignore")).assert_ok("ok");
            peers.push(peer);
            if number % 100 == 0 {
                victim.assert_keeps();
            }
        }
        let [first, .., last] = &mut peers[..] else { panic!("there are 1,100") };
        last.call(&Call::get("/ignore")).assert_ok("ok");
        if Settings::default().max_connections > 1100 {
            first.call(&Call::get("/ignore")).assert_ok("ok");
            assert!(victim.server.process.descriptors() > 1100);
        } else {
            first.assert_closed();
        }
        victim.assert_growth_below(1100 * CONNECTION);
        drop(peers);
        assert_eq!(victim.finish(), "");
    }
}

#[test]
fn without_a_free_descriptor_the_server_waits_and_does_not_spin() {
    let mut victim = Victim::limited(64);
    let mut other = victim.connect();
    let call = Call::post("/early", "body");
    other.send(call.opening());
    assert_eq!(other.record().record_type, RecordType::Stdout);
    // None of them is idle, or only until its byte is read: that may cost it its place.
    let mut peers = victim.connect_all(100);
    peers.iter_mut().for_each(|peer| drop(peer.stream.write(&[1])));
    victim.wait_for_log(EXHAUSTED);
    let before = victim.server.process.processor_ticks();
    // A server that spins would do nothing else meanwhile. Who is being answered is not closed to make room.
    other.assert_silent_for(Duration::from_millis(1500));
    let (lines, ticks) = (victim.lines(EXHAUSTED), victim.server.process.processor_ticks() - before);
    assert!(lines < 200 && ticks < 50, "{lines} lines, {ticks} ticks");
    other.send(call.bodies());
    other.answer(1);
    drop((other, peers));
    victim.reconnect();
    victim.assert_serves();
    victim.assert_growth_below(64 * CONNECTION + LITTLE);
    assert!(victim.finish().contains(EXHAUSTED));
}

#[test]
fn a_server_tries_again_although_none_of_its_connections_makes_room() {
    let mut victim = Victim::limited(64);
    let call = Call::post("/early", "body");
    let mut peers = victim.connect_all(100);
    peers.iter_mut().for_each(|peer| peer.send(call.opening()));
    victim.wait_for_log(EXHAUSTED);
    victim.reconnect();
    let process = &victim.server.process;
    assert!(wait_until(|| process.descriptors() >= 64), "{} descriptors", process.descriptors());
    let is_early = |peer: &mut Client| assert_eq!(peer.record().record_type, RecordType::Stdout);
    // All that were accepted are being answered, and none of them ends before the others are.
    let (served, others) = peers.split_at_mut(65 - victim.descriptors);
    served.iter_mut().for_each(is_early);
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let more = Rlimit { current: Some(256), maximum };
    prlimit(Some(process.pid()), Resource::Nofile, more).expect("there are more");
    others.iter_mut().for_each(is_early);
    for peer in &mut peers {
        peer.send(call.bodies());
        peer.answer(1);
    }
    drop(peers);
    victim.finish();
}

#[test]
fn idle_connections_make_room_when_descriptors_run_out() {
    let mut victim = Victim::limited(64);
    let mut peers = Vec::new();
    for _ in 0..20 {
        peers.extend(victim.connect_all(10));
        victim.assert_serves();
    }
    let descriptors = victim.server.process.descriptors();
    assert!(descriptors < 100, "{descriptors} descriptors"); // One or another may be inherited.
    peers[0].assert_closed();
    victim.assert_growth_below(64 * CONNECTION + LITTLE);
    drop(peers);
    assert!(victim.finish().contains(EXHAUSTED));
}
