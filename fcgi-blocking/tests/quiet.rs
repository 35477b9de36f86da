//! The cases of `servers/quiet.rs`, which every adapter's server passes.

#[path = "../examples/inspect/app.rs"]
mod app;
mod support;

#[path = "servers/quiet.rs"]
mod quiet;

use std::io::Write;
use std::os::unix::net::UnixStream;

use fcgi_blocking::{BoxError, Request, Status};
use support::{Call, Running, Settings};

#[test]
fn a_handler_that_fails_after_its_answer_is_a_warning_that_names_the_request() {
    support::said::listen();
    let handler = |request: &mut Request<'_>| -> Result<(), BoxError> {
        writeln!(request.respond(Status::OK), "ok")?;
        request.finish();
        Err("too late".into())
    };
    let server = Running::unix(Settings::default(), handler);
    server.connect().call(&Call::get("/named/behind")).assert_ok("ok\n");
    // Here the connection waits for its handler.
    let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
    theirs.write_all(&Call::get("/named/beside").closing().bytes()).expect("there is room");
    fcgi_blocking::serve_stream(ours, &Settings::default(), handler).expect("it ends in good order");
    for uri in ["/named/behind", "/named/beside"] {
        let line = support::said::wait_for(uri);
        assert!(line.ends_with(&format!("GET {uri}, after its answer: too late")), "{line}");
    }
}
