//! What is done when a request is over: who watches is told, and a process that has answered enough of them ends.

use std::sync::mpsc::{self, Receiver};

use fcgi_blocking::{Account, Watcher};
use fcgi_proto::record::ProtocolStatus;

use crate::app::handle;
use crate::support::{Call, PATIENCE, Running, Settings, abort, settings, waiter};

/// A watcher, and what it is told of each request, but for the times.
fn watcher() -> (Settings, Receiver<String>) {
    let (tell, told) = mpsc::channel();
    let watch = Box::leak(Box::new(move |account: &Account<'_>| {
        assert!(account.ran.is_none_or(|ran| ran <= account.took), "{account:?}");
        let text = account.to_string();
        let (line, rest) = text.split_once(" bytes out, ").expect("its bytes");
        let (_, why) = rest.split_once(" s").expect("how long it took");
        // Its test may be over.
        let _ = tell.send(format!("{line}{why}"));
    }));
    (settings(|settings| settings.watcher = Some(Watcher::new(watch))), told)
}

#[track_caller]
fn next(told: &Receiver<String>) -> String {
    told.recv_timeout(PATIENCE).expect("the watcher is told")
}

#[test]
fn who_watches_is_told_of_each_request_when_it_is_over() {
    const HEAD: usize = "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n".len();
    let (settings, told) = watcher();
    for server in Running::both(settings, handle) {
        let mut client = server.connect();
        client.call(&Call::get("/ignore?a=b")).assert_ok("ok");
        assert_eq!(next(&told), format!("GET /ignore?a=b 200, 0 bytes in, {}", HEAD + 2));
        assert_eq!(client.call(&Call::post("/sum", "four")).status(), 200);
        assert_eq!(next(&told), format!("POST /sum 200, 4 bytes in, {}", HEAD + "4 01234567\n".len()));
        client.call(&Call::post("/ignore", "left")).assert_ok("ok");
        assert_eq!(next(&told), format!("POST /ignore 200, 4 bytes in, {}", HEAD + 2));
        assert_eq!(client.call(&Call::get("/bytes/1000000")).status(), 200);
        let head = HEAD + "Content-Length: 1000000\r\n".len();
        assert_eq!(next(&told), format!("GET /bytes/1000000 200, 0 bytes in, {}", head + 1_000_000));
        assert_eq!(client.call(&Call::get("/status/404")).status(), 404);
        assert!(next(&told).starts_with("GET /status/404 404, "));
        client.call(&Call::get("/panic")).assert_ended(500, ProtocolStatus::RequestComplete);
        assert_eq!(next(&told), "GET /panic 500, 0 bytes in, 85, the handler failed");
    }
}

#[test]
fn a_request_that_ends_before_its_handler_is_told_then_and_named() {
    let (settings, told) = watcher();
    for server in Running::both(settings, handle) {
        server.connect().call(&Call::get("/later/60")).assert_ok("ok");
        assert!(next(&told).starts_with("GET /later/60 200, "));
    }
}

#[test]
fn a_request_that_is_refused_before_its_handler_runs_is_told() {
    let (settings, told) = watcher();
    for server in Running::both(settings, handle) {
        let mut client = server.connect();
        let long = Call::get("/").param("HTTP_X", vec![b'x'; 600_000]);
        client.call(&long).assert_ended(431, ProtocolStatus::RequestComplete);
        assert_eq!(
            next(&told),
            "GET / 431, 0 bytes in, 0, request refused: more parameters than Limits::params"
        );
        client.call(&Call::get("/ignore")).assert_ok("ok");
        assert!(next(&told).starts_with("GET /ignore 200, "));
    }
}

#[test]
fn what_a_client_did_to_its_request_is_told() {
    let (handler, has_started, go_on) = waiter();
    let (settings, told) = watcher();
    for server in [Running::unix(settings, handler.clone()), Running::tcp(settings, handler)] {
        let mut client = server.connect();
        client.send([Call::post("/wait", "").opening(), abort(1)].concat());
        has_started.recv_timeout(PATIENCE).expect("the handler runs");
        go_on.send(()).expect("the handler waits");
        client.answer(1);
        assert_eq!(next(&told), "POST /wait 0, 0 bytes in, 0, the client aborted the request");
    }
}

#[test]
fn a_watcher_that_panics_harms_nobody() {
    let settings = settings(|settings| settings.watcher = Some(Watcher::new(&|_| panic!("as asked for"))));
    for server in Running::both(settings, handle) {
        let mut client = server.connect();
        for _ in 0..3 {
            client.call(&Call::get("/ignore")).assert_ok("ok");
        }
    }
}

#[test]
fn a_server_that_has_answered_as_many_requests_as_it_may_ends_gracefully() {
    let (handler, has_started, go_on) = waiter();
    let most = settings(|settings| settings.max_requests_per_process = Some(3));
    for mut server in [Running::unix(most, handler.clone()), Running::tcp(most, handler)] {
        let (mut waiting, mut client) = (server.connect(), server.connect());
        waiting.send(Call::get("/wait").bytes());
        has_started.recv_timeout(PATIENCE).expect("the handler runs");
        for _ in 0..3 {
            client.call(&Call::get("/")).assert_ok("/");
        }
        client.assert_closed();
        go_on.send(()).expect("the handler waits");
        waiting.answer(1).assert_ok("/wait");
        waiting.assert_closed();
        server.wait().expect("it ends in good order");
    }
}
