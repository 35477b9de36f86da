//! A test for every rule of the FastCGI specification that binds the application's side and that a socket or a
//! process shows, named after the rule's number in the project's checklist (sections 2, 3 and 7). The rest is
//! in the core's tests of the same name.

use std::io::Read;
use std::process::Stdio;

use fcgi_blocking::Listener;
use rustix::process::Signal;

use crate::support::child::{Process, Serving, example};
use crate::support::{Call, Running, Settings, record, say};

#[test]
fn c1_connections_are_taken_on_descriptor_0() {
    for server in [Serving::unix(&mut example("plain")), Serving::tcp(&mut example("plain"))] {
        server.connect().call(&Call::get("/")).assert_ok([b'x'; 1024]);
        server.finish();
    }
}

#[test]
fn c3_a_peer_that_may_not_connect_is_closed_at_once() {
    let server = Serving::tcp(example("plain").env("FCGI_WEB_SERVER_ADDRS", "127.0.0.2"));
    server.connect().assert_closed();
    server.finish();
}

#[test]
fn c5_several_connections_are_served_at_a_time() {
    for server in Running::both(Settings::default(), say("fine")) {
        let mut clients = [(); 8].map(|()| server.connect());
        for client in clients.iter_mut().rev() {
            client.call(&Call::get("/")).assert_ok("fine");
        }
    }
}

#[test]
fn c9_after_a_close_by_either_side_the_next_connection_is_served() {
    for server in Running::both(Settings::default(), say("fine")) {
        let mut closing = server.connect();
        closing.call(&Call::get("/").closing()).assert_ok("fine");
        closing.assert_closed();
        let mut left = server.connect();
        left.call(&Call::get("/")).assert_ok("fine");
        drop(left);
        server.connect().call(&Call::get("/")).assert_ok("fine");
    }
}

#[test]
fn p6_a_descriptor_0_that_is_no_listening_socket_tells_that_the_process_is_not_fastcgi() {
    assert!(!Listener::is_inherited(), "tests are not started with a listening socket");
    let (status, log) = Process::start(example("plain").stdin(Stdio::null())).wait();
    assert_eq!(status.code(), Some(2), "{log}");
    assert!(log.contains("descriptor 0 is not a listening socket"), "{log}");
}

#[test]
fn p7_the_transport_is_whatever_the_inherited_socket_is() {
    for server in
        [Serving::unix(example("inspect").arg("fd:0")), Serving::tcp(example("inspect").arg("fd:0"))]
    {
        server.connect().call(&Call::get("/ignore")).assert_ok("ok");
        server.finish();
    }
}

#[test]
fn x1_the_exit_status_is_0_on_purpose_and_not_0_for_an_error() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Serving::unix(&mut example("plain"));
        server.connect().call(&Call::get("/")).assert_ok([b'x'; 1024]);
        server.process.signal(signal);
        assert_eq!(server.process.wait().0.code(), Some(0));
    }
    let (status, _) = Process::start(example("plain").arg("nonsense").stdin(Stdio::null())).wait();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn x4_a_protocol_error_is_logged_and_the_application_goes_on() {
    let server = Serving::unix(&mut example("plain"));
    let mut broken = server.connect();
    broken.send(b"GET / HTTP/1.1\r\n\r\n");
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = broken.stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
    drop(broken);
    server.connect().call(&Call::get("/")).assert_ok([b'x'; 1024]);
    let log = server.finish();
    assert!(log.contains("record of protocol version 71, not 1") && log.lines().count() == 1, "{log}");
}

#[test]
fn x4_a_bad_environment_variable_ends_the_application() {
    let mut command = example("plain");
    command.arg("127.0.0.1:0").env("FCGI_WEB_SERVER_ADDRS", "everyone").stdin(Stdio::null());
    let (status, log) = Process::start(&mut command).wait();
    assert_eq!(status.code(), Some(2));
    assert!(log.contains("FCGI_WEB_SERVER_ADDRS: item 0 is not an IP address"), "{log}");
}

#[test]
fn i3_the_same_id_on_two_connections_is_two_requests() {
    for server in Running::both(Settings::default(), say("fine")) {
        let [mut first, mut second] = [(); 2].map(|()| server.connect());
        first.send(Call::post("/", "body").opening());
        second.send(record(fcgi_proto::record::RecordType::Stdin, 1, b"for nobody"));
        second.call(&Call::get("/")).assert_ok("fine");
        first.send(Call::post("/", "body").bodies());
        first.answer(1).assert_ok("fine");
    }
}
