//! How many connections are served at once, which one goes when there are too many, and how a server stops.

use std::io::{ErrorKind, Read};

use fcgi_blocking::{Endpoint, Stream};

use crate::support::{Call, PATIENCE, Running, Settings, say, settings, uri, waiter};

fn at_most(max_connections: usize) -> Settings {
    settings(|settings| settings.max_connections = max_connections)
}

#[test]
fn idle_connections_never_starve_new_ones() {
    for server in Running::both(at_most(2), say("fine")) {
        let mut kept = Vec::new();
        for _ in 0..50 {
            let mut client = server.connect();
            client.call(&Call::get("/")).assert_ok("fine");
            kept.push(client);
        }
        // Nor do those that never said anything.
        let _silent: Vec<_> = (0..10).map(|_| server.connect()).collect();
        server.connect().call(&Call::get("/")).assert_ok("fine");
        for mut client in kept {
            client.assert_closed();
        }
    }
}

#[test]
fn a_full_server_closes_no_connection_that_nobody_needs() {
    for server in Running::both(at_most(3), say("fine")) {
        let mut clients = [(); 3].map(|()| server.connect());
        for _ in 0..20 {
            for client in &mut clients {
                client.call(&Call::get("/")).assert_ok("fine");
            }
        }
        clients[0].assert_silent();
    }
}

#[test]
fn connections_beyond_the_maximum_wait_while_all_are_busy() {
    let (handler, has_started, go_on) = waiter();
    for server in [Running::unix(at_most(1), handler.clone()), Running::tcp(at_most(1), handler)] {
        let mut busy = server.connect();
        busy.send(Call::get("/wait").bytes());
        has_started.recv_timeout(PATIENCE).expect("the handler runs");
        let mut waiting: Vec<_> = (0..5).map(|_| server.connect()).collect();
        for client in &mut waiting {
            client.send(Call::get("/later").bytes());
        }
        waiting[0].assert_silent();
        go_on.send(()).expect("the handler waits");
        busy.answer(1).assert_ok("/wait");
        for client in &mut waiting {
            client.answer(1).assert_ok("/later");
        }
        // Its place was needed.
        busy.assert_closed();
    }
}

#[test]
fn a_maximum_of_no_connections_counts_as_one() {
    let server = Running::unix(at_most(0), say("fine"));
    server.connect().call(&Call::get("/")).assert_ok("fine");
    server.connect().call(&Call::get("/")).assert_ok("fine");
}

#[test]
fn a_shutdown_finishes_what_runs_closes_what_is_idle_and_takes_nothing_new() {
    let (handler, has_started, go_on) = waiter();
    let servers =
        [Running::unix(Settings::default(), handler.clone()), Running::tcp(Settings::default(), handler)];
    for mut server in servers {
        let [mut idle, mut silent, mut busy] = [(); 3].map(|()| server.connect());
        idle.call(&Call::get("/")).assert_ok("/");
        busy.send(Call::get("/wait").bytes());
        has_started.recv_timeout(PATIENCE).expect("the handler runs");
        server.handle.shutdown();
        idle.assert_closed();
        silent.assert_closed();
        let error = Stream::connect(&server.endpoint).expect_err("nobody listens");
        assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused), "{error}");

        go_on.send(()).expect("the handler waits");
        busy.answer(1).assert_ok("/wait");
        busy.assert_closed();
        server.wait().expect("the server ends in good order");
        if let Endpoint::Unix(path) = &server.endpoint {
            assert!(!path.exists(), "the socket's file is left");
        }
    }
}

#[test]
fn a_shutdown_waits_a_little_for_the_first_request_of_a_new_connection() {
    let servers =
        [Running::unix(Settings::default(), say("fine")), Running::tcp(Settings::default(), say("fine"))];
    for mut server in servers {
        let mut fresh = server.connect();
        // Connections are accepted in their order: with this one answered, that one is waited for.
        server.connect().call(&Call::get("/")).assert_ok("fine");
        server.handle.shutdown();
        fresh.call(&Call::get("/")).assert_ok("fine");
        server.wait().expect("the server ends in good order");
    }
}

#[test]
fn a_shutdown_while_a_connection_waits_for_its_place_ends_all_the_same() {
    let (handler, has_started, go_on) = waiter();
    let mut server = Running::unix(at_most(1), handler);
    let mut busy = server.connect();
    busy.send(Call::get("/wait").bytes());
    has_started.recv_timeout(PATIENCE).expect("the handler runs");
    let mut waiting = server.connect();
    waiting.send(Call::get("/later").bytes());
    server.handle.shutdown();
    go_on.send(()).expect("the handler waits");
    busy.answer(1).assert_ok("/wait");
    busy.assert_closed();
    server.wait().expect("the server ends in good order");
    // It was accepted or it was not; either way it has ended.
    let mut answer = Vec::new();
    let _ = waiting.stream.read_to_end(&mut answer);
}

#[test]
fn many_connections_are_served_at_once() {
    let (handler, has_started, go_on) = waiter();
    let server = Running::unix(Settings::default(), handler);
    let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(Call::get("/wait").bytes());
    }
    for _ in &clients {
        has_started.recv_timeout(PATIENCE).expect("all handlers run");
    }
    for _ in &clients {
        go_on.send(()).expect("the handlers wait");
    }
    for client in &mut clients {
        client.answer(1).assert_ok("/wait");
    }
}

#[test]
fn two_requests_with_one_id_written_one_behind_the_other_are_both_answered() {
    for server in Running::both(Settings::default(), uri) {
        let mut client = server.connect();
        client.send([Call::get("/first").bytes(), Call::post("/second", "body").closing().bytes()].concat());
        client.answer(1).assert_ok("/first");
        client.answer(1).assert_ok("/second");
        client.assert_closed();
    }
}
