//! How many connections are served at once, which one goes when there are too many, and how a server stops.

mod support;

use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;
use std::{fs, thread};

use fcgi_blocking::{BoxError, Endpoint, Listener, Request, Server, Settings, Stream};
use support::{Call, PATIENCE, Running, say, settings};

/// A handler that, for `/wait`, tells that it runs and then waits to be told to go on; else it answers at
/// once. Any answer is the path.
fn waiter() -> (
    impl Fn(&mut Request<'_>) -> Result<(), BoxError> + Clone + Send + Sync,
    mpsc::Receiver<()>,
    mpsc::Sender<()>,
) {
    let (started, has_started) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let may_go_on = Arc::new(Mutex::new(may_go_on));
    let handler = move |request: &mut Request<'_>| {
        let uri = request.param_str("REQUEST_URI").unwrap_or_default().to_owned();
        if uri == "/wait" {
            started.send(())?;
            may_go_on.lock().expect("no handler panics").recv_timeout(PATIENCE)?;
        }
        say(&uri)(request)
    };
    (handler, has_started, go_on)
}

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

/// Answers with the file that tells about the thread that answers.
#[cfg(target_os = "linux")]
fn thread_file(request: &mut Request<'_>) -> Result<(), BoxError> {
    let thread = Path::new("/proc").join(fs::read_link("/proc/thread-self")?).join("stat");
    say(thread.to_str().ok_or("a path of ASCII")?)(request)
}

/// Waits until the thread of an answered request waits for the next.
#[cfg(target_os = "linux")]
fn wait_until_idle(thread_file: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stat = fs::read_to_string(thread_file).expect("the thread runs");
        let (_, state) = stat.rsplit_once(") ").expect("the state follows the name");
        if state.starts_with('S') {
            return;
        }
        assert!(Instant::now() < deadline, "{stat}");
        thread::yield_now();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn w28_the_connection_that_was_idle_for_longest_is_closed_first() {
    for server in Running::both(at_most(3), thread_file) {
        let call = |client: &mut support::Client| {
            let answer = client.call(&Call::get("/"));
            wait_until_idle(answer.text());
        };
        let [mut first, mut second, mut third] = [(); 3].map(|()| {
            let mut client = server.connect();
            call(&mut client);
            client
        });
        call(&mut first);
        let mut fourth = server.connect();
        call(&mut fourth);
        second.assert_closed();
        call(&mut third);
        let mut fifth = server.connect();
        call(&mut fifth);
        first.assert_closed();
        for client in [&mut third, &mut fourth, &mut fifth] {
            call(client);
        }
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
fn a_shutdown_answers_what_a_connection_has_got_already() {
    let (handler, has_started, go_on) = waiter();
    let servers =
        [Running::unix(Settings::default(), handler.clone()), Running::tcp(Settings::default(), handler)];
    for mut server in servers {
        let mut client = server.connect();
        client.send(Call::get("/wait").bytes());
        has_started.recv_timeout(PATIENCE).expect("the handler runs");
        client.send(Call::get("/second").bytes());
        server.handle.shutdown();
        go_on.send(()).expect("the handler waits");
        client.answer(1).assert_ok("/wait");
        client.answer(1).assert_ok("/second");
        client.assert_closed();
        server.wait().expect("the server ends in good order");
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
fn a_server_that_was_shut_down_before_it_serves_returns_at_once() {
    let server = Server::new(Listener::bind("127.0.0.1:0").expect("a port is free"));
    server.handle().shutdown();
    server.handle().shutdown();
    server.serve(say("never")).expect("it ends in good order");
}

#[test]
fn a_server_whose_handles_are_all_dropped_goes_on() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let listener = Listener::bind_unix(dir.path().join("socket"), 0o600).expect("the path is free");
    let endpoint = listener.local_endpoint().expect("it has an address");
    let server = Server::new(listener);
    let handle = server.handle();
    drop(server.handle());
    let serving = thread::spawn(move || server.serve(say("fine")));
    support::Client::connect(&endpoint).call(&Call::get("/")).assert_ok("fine");
    handle.shutdown();
    serving.join().expect("it does not panic").expect("it ends in good order");
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
