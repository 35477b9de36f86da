//! What `servers/conformance.rs` leaves to a test that writes its own handler.

mod support;

use std::io::Write;

use fcgi_blocking::{AppStatus, Request, Settings, Status};
use fcgi_proto::record::ProtocolStatus;
use support::{Call, Running};

#[test]
fn x3_errors_of_the_application_go_to_stderr_and_the_application_status() {
    let server = Running::unix(Settings::default(), |request: &mut Request<'_>| {
        request.stderr().write_all(b"the disk is full")?;
        request
            .respond(Status::SERVICE_UNAVAILABLE)
            .header("Content-Type", "text/plain")?
            .write_all(b"later")?;
        Ok(AppStatus(28))
    });
    let answer = server.connect().call(&Call::get("/"));
    assert_eq!((answer.status(), answer.text(), answer.app_status), (503, "later", 28));
    assert_eq!(answer.log(), "the disk is full");
    assert_eq!(answer.protocol_status, ProtocolStatus::RequestComplete as u8);
}
