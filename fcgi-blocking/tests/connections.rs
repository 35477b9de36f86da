//! Which connection goes when there are too many, and servers that are made by hand; see
//! `servers/connections.rs`.

mod support;

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::{fs, thread};

use fcgi_blocking::{BoxError, Listener, Request, Server, Settings, Status};
use support::{Call, PATIENCE, Running, say, settings, wait_until, waiter};

/// Answers with the file that tells about the thread that answers.
#[cfg(target_os = "linux")]
fn thread_file(request: &mut Request<'_>) -> Result<(), BoxError> {
    let thread = Path::new("/proc").join(fs::read_link("/proc/thread-self")?).join("stat");
    say(thread.to_str().ok_or("a path of ASCII")?)(request)
}

/// Waits until the thread of an answered request waits for the next.
#[cfg(target_os = "linux")]
fn wait_until_idle(thread_file: &str) {
    let sleeps = || {
        let stat = fs::read_to_string(thread_file).expect("the thread runs");
        let (_, state) = stat.rsplit_once(") ").expect("the state follows the name");
        state.starts_with('S')
    };
    assert!(wait_until(sleeps), "{thread_file}: it does not wait");
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

/// Serves in a thread: how that ends.
fn serve(server: Server, text: &'static str) -> Receiver<io::Result<()>> {
    let (ends, ended) = mpsc::channel();
    thread::spawn(move || ends.send(server.serve(say(text))));
    ended
}

#[test]
fn a_server_that_was_shut_down_before_it_serves_returns_at_once() {
    let server = Server::new(Listener::bind("127.0.0.1:0").expect("a port is free"));
    server.handle().shutdown();
    server.handle().shutdown();
    let ended = serve(server, "never").recv_timeout(PATIENCE);
    ended.expect("it ends in time").expect("it ends in good order");
}

#[test]
fn a_server_whose_handles_are_all_dropped_goes_on() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let listener = Listener::bind_unix(dir.path().join("socket"), 0o600).expect("the path is free");
    let endpoint = listener.local_endpoint().expect("it has an address");
    let server = Server::new(listener);
    let handle = server.handle();
    drop(server.handle());
    let ended = serve(server, "fine");
    support::Client::connect(&endpoint).call(&Call::get("/")).assert_ok("fine");
    handle.shutdown();
    ended.recv_timeout(PATIENCE).expect("it ends in time").expect("it ends in good order");
}

fn at_most(max_connections: usize) -> Settings {
    settings(|settings| settings.max_connections = max_connections)
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
fn a_shutdown_lets_a_body_come_that_is_under_way() {
    let (started, has_started) = mpsc::channel();
    let handler = move |request: &mut Request<'_>| {
        started.send(())?;
        let mut body = String::new();
        request.stdin().read_to_string(&mut body)?;
        write!(request.respond(Status::OK).header("Content-Type", "text/plain")?, "{body}")?;
        Ok::<_, BoxError>(())
    };
    let servers =
        [Running::unix(Settings::default(), handler.clone()), Running::tcp(Settings::default(), handler)];
    for server in servers {
        let [mut client, mut idle] = [(); 2].map(|()| {
            let mut client = server.connect();
            client.call(&Call::get("/")).assert_ok("");
            has_started.recv_timeout(PATIENCE).expect("the handler ran");
            client
        });
        let call = Call::post("/", "body");
        client.send(call.opening());
        has_started.recv_timeout(PATIENCE).expect("the handler runs");
        server.handle.shutdown();
        // As this one is closed, the server has looked at both.
        idle.assert_closed();
        client.send(call.bodies());
        client.answer(1).assert_ok("body");
    }
}
