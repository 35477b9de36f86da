//! The blocking server over the stream.

use std::io::{Read, Write};

use fcgi_blocking::{BoxError, Request, Settings, Status, serve_stream};
use fcgi_proto::Limits;

use super::case::{Case, Manner};
use super::stream::Stream;
use crate::support::{DATA, STDIN};

/// Serves the requests of the case.
pub(super) fn run(mut stream: Stream, case: &Case, limits: Limits) {
    let mut settings = Settings::default();
    (settings.limits.params, settings.limits.stdin) = (limits.params, limits.stdin);
    let sent = case.in_a_row();
    stream.input(sent.bytes.clone());
    let result = serve_stream(&mut stream, &settings, |request| handle(case, request));
    case.check(&sent, &stream, result);
}

/// The handler, in the manner of the request.
fn handle(case: &Case, request: &Request<'_>) -> Result<(), BoxError> {
    let number = case.begins(request.id(), request.role(), request.keep_conn(), request.params());
    let respond = || request.respond(Status::OK).header("X-Number", number.to_string());
    let (manner, mut buffer) = case.manner(number);
    if manner == Manner::Streams {
        let mut page = respond()?;
        loop {
            let count = case.reads(number, STDIN, request.stdin().read(&mut buffer), &buffer)?;
            if count == 0 {
                return Ok(());
            }
            page.write_all(&buffer[..count])?;
        }
    }
    while case.wants(number, STDIN) {
        case.reads(number, STDIN, request.stdin().read(&mut buffer), &buffer)?;
    }
    while case.wants(number, DATA) {
        case.reads(number, DATA, request.data().read(&mut buffer), &buffer)?;
    }
    if manner == Manner::Fails {
        return Err("as planned".into());
    }
    request.stderr().write_all(b"a line\n")?;
    respond()?.write_all(&case.page(number))?;
    Ok(())
}
