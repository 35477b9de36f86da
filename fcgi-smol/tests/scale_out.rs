//! The example `inspect` on three hosts behind nginx and HAProxy, under constant load: one host is killed, then
//! each is drained and replaced.
//!
//! A web server that is not installed is skipped with a line on stderr, or fails the test if
//! `FCGI_REQUIRE_INTEROP=1`.
#![cfg(target_os = "linux")]

#[path = "scale_out/fleet.rs"]
mod fleet;
#[allow(dead_code)] // A part is used.
#[path = "../../fcgi-blocking/tests/interop/mod.rs"]
mod interop;
#[path = "scale_out/load.rs"]
mod load;
#[path = "scale_out/network.rs"]
mod network;

use fleet::{Fleet, Front, HAPROXY, HOSTS, NGINX};
use interop::Subject;
use interop::process::wait_until;
use load::{CLIENTS, Load};

const SMOL: Subject = Subject { package: "fcgi-smol", example: "inspect" };
const BLOCKING: Subject = Subject { package: "fcgi-blocking", example: "inspect" };

/// Answers after which a host is taken to serve again.
const ENOUGH: usize = 20;

/// Answers in which a failure would show.
const MANY: usize = 300;

#[test]
fn behind_nginx_one_host_is_killed_and_each_is_replaced() {
    replace(&NGINX, &SMOL);
}

#[test]
fn behind_haproxy_one_host_is_killed_and_each_is_replaced() {
    replace(&HAPROXY, &SMOL);
}

#[test]
fn behind_nginx_one_host_of_fcgi_blocking_is_killed_and_each_is_replaced() {
    replace(&NGINX, &BLOCKING);
}

#[test]
fn behind_haproxy_one_host_of_fcgi_blocking_is_killed_and_each_is_replaced() {
    replace(&HAPROXY, &BLOCKING);
}

#[test]
fn behind_nginx_hosts_that_were_refused_a_moment_ago_are_asked_again_at_once() {
    let Some(mut fleet) = Fleet::start(&NGINX, &SMOL) else { return };
    let load = Load::on(&fleet.address());
    (0..HOSTS).for_each(|host| serves(&fleet, host));
    for last in (0..HOSTS).cycle().take(2 * HOSTS) {
        let others = [(last + 1) % HOSTS, (last + 2) % HOSTS];
        for host in others {
            fleet.drain(host);
            answers(&fleet, &load);
        }
        fleet.revive(others[0]);
        assert!(wait_until(|| fleet.listens(others[0])), "{}", fleet.logs());
        // Whoever was asked until now is gone at once.
        fleet.drain(last);
        answers(&fleet, &load);
        fleet.revive(others[1]);
        fleet.revive(last);
        (0..HOSTS).for_each(|host| serves(&fleet, host));
        assert_eq!(load.failures(), [""; 0], "host {last} was the last\n{}", fleet.logs());
    }
    load.stop();
}

fn replace(front: &Front, subject: &Subject) {
    let Some(mut fleet) = Fleet::start(front, subject) else { return };
    let load = Load::on(&fleet.address());
    (0..HOSTS).for_each(|host| serves(&fleet, host));

    fleet.kill(0);
    answers(&fleet, &load);
    // They were being answered.
    let lost = load.failures();
    assert!(lost.len() <= CLIENTS, "{lost:#?}\n{}", fleet.logs());
    answers(&fleet, &load);
    fleet.revive(0);
    serves(&fleet, 0);
    assert_eq!(load.failures(), lost, "{}", fleet.logs());

    for host in (0..HOSTS).cycle().take(2 * HOSTS) {
        fleet.drain(host);
        answers(&fleet, &load);
        fleet.revive(host);
        serves(&fleet, host);
        assert_eq!(load.failures(), lost, "host {host} was drained\n{}", fleet.logs());
    }
    eprintln!(
        "{} of {}: {} answers, {} lost to the kill",
        front.name,
        subject.package,
        load.stop(),
        lost.len()
    );
}

/// Waits until many more were answered.
fn answers(fleet: &Fleet, load: &Load) {
    let enough = load.answered() + MANY;
    assert!(wait_until(|| load.answered() >= enough), "{:#?}\n{}", load.failures(), fleet.logs());
}

/// Waits until the host has answered some more.
fn serves(fleet: &Fleet, host: usize) {
    let enough = fleet.answered_by(host) + ENOUGH;
    assert!(wait_until(|| fleet.answered_by(host) >= enough), "host {host}\n{}", fleet.logs());
}
