//! Very many connections at once. The server is a process of its own, so that its memory and its descriptors
//! are.
#![cfg(target_os = "linux")]

mod support;

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::child::{Serving, example};
use support::skipped::skipped;
use support::{Call, Client, wait_until};

/// Lets this process, and those that it starts, have as many descriptors as the system lets it.
fn raise_descriptors() -> u64 {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).expect("up to the maximum");
    most.unwrap_or(u64::MAX)
}

/// The resident memory of the server, in bytes.
fn resident(server: &Serving) -> u64 {
    let path = format!("/proc/{}/status", server.process.pid().as_raw_nonzero());
    let status = fs::read_to_string(path).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("there is the line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of KiB") * 1024
}

#[test]
fn ten_thousand_idle_connections_take_two_kibibytes_each_and_are_all_served() {
    const COUNT: usize = 10_000;
    if raise_descriptors() < COUNT as u64 + 100 {
        return skipped(format_args!("{COUNT} descriptors are more than this system's limit"));
    }
    let server = Serving::unix(&mut example("plain"));
    // What is allocated once is allocated before.
    let warm: Vec<Client> = (0..100).map(|_| served(&server)).collect();
    let before = resident(&server);
    let mut clients: Vec<Client> = (0..COUNT).map(|_| served(&server)).collect();
    let each = || resident(&server).saturating_sub(before) / COUNT as u64;
    // The last connections may still be on their way to sleep.
    let is_little = wait_until(|| each() <= 2048);
    eprintln!("{} bytes for each idle connection", each());
    assert!(is_little, "{} bytes for each idle connection", each());
    for client in &mut clients {
        client.call(&Call::get("/")).assert_ok([b'x'; 1024]);
    }
    drop((warm, clients));
    server.finish();
}

/// A connection that was served and waits now.
fn served(server: &Serving) -> Client {
    let mut client = server.connect();
    client.call(&Call::get("/")).assert_ok([b'x'; 1024]);
    client
}

#[test]
fn a_thousand_connections_are_served_at_once() {
    const COUNT: usize = 1000;
    if raise_descriptors() < COUNT as u64 + 100 {
        return skipped(format_args!("{COUNT} descriptors are more than this system's limit"));
    }
    let server = Serving::unix(example("inspect").arg("fd:0"));
    let mut clients: Vec<Client> = (0..COUNT).map(|_| server.connect()).collect();
    // All requests are begun before any can be answered.
    let call = Call::post("/echo", [b'e'; 5000]);
    clients.iter_mut().for_each(|client| client.send(call.opening()));
    clients.iter_mut().for_each(|client| client.send(call.bodies()));
    clients.iter_mut().for_each(|client| client.answer(1).assert_ok([b'e'; 5000]));
    drop(clients);
    server.finish();
}

#[test]
fn a_server_whose_descriptors_run_out_waits_and_goes_on() {
    raise_descriptors();
    let mut command = example("inspect");
    command.arg("fd:0");
    let server = Serving::unix(&mut command);
    let few = Rlimit { current: Some(40), maximum: Some(40) };
    rustix::process::prlimit(Some(server.process.pid()), Resource::Nofile, few).expect("it is a child");
    let call = Call::post("/echo", "body");
    let begun = || {
        let mut client = server.connect();
        client.send(call.opening());
        client
    };
    let mut busy: Vec<Client> = (0..60).map(|_| begun()).collect();
    // Those that were accepted are served and closed, and so make room for others.
    for client in &mut busy {
        client.send(call.bodies());
    }
    for client in &mut busy {
        client.answer(1).assert_ok("body");
    }
    drop(busy);
    server.connect().call(&Call::get("/ignore")).assert_ok("ok");
    let log = server.finish();
    assert!(log.contains("connections that wait for a request make room"), "{log}");
}
