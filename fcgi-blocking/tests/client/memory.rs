//! Bodies stream: what goes through the client, and the server in the same process, is not kept. A program of
//! its own, since memory is counted for all of it.

use std::fs;
use std::io::{self, Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::script::{App, Peer, answer, client, fail, page, stdout, text};
use crate::support::{Running, raw_record, record};
use fcgi_blocking::{AppStatus, BoxError, ClientError, Params, Request, Settings, Status};
use fcgi_proto::ConnectionError;
use fcgi_proto::cgi::ResponseHeadError;
use fcgi_proto::record::{Header, RecordType};

/// Bytes of a body.
const LARGE: u64 = 256 << 20;

/// One test at a time, for memory is counted for all.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most memory that this process has had resident so far, in KiB. Linux counts it a little inexactly: a later
/// reading may be less than an earlier one.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells about processes");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("there is the line");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}

fn count(request: &mut Request<'_>) -> Result<AppStatus, BoxError> {
    let mut page = request.respond(Status::OK);
    match request.param_str("REQUEST_URI") {
        Some("/down") => {
            let piece = [b'x'; 64 * 1024];
            for _ in 0..LARGE / piece.len() as u64 {
                page.write_all(&piece)?;
            }
        }
        _ => write!(page, "{}", io::copy(&mut request.stdin(), &mut io::sink())?)?,
    }
    Ok(AppStatus(0))
}

#[test]
fn downloads_uploads_and_spooled_bodies_of_256_mib_take_less_than_16_mib() {
    let _alone = alone();
    for server in Running::both(Settings::default(), count) {
        let mut client = client(&server.endpoint);
        assert_eq!(
            text(&mut client.request(Params::post("/up")).bytes(b"body").send().expect("an answer")),
            "4"
        );
        let before = peak();
        let mut response = client.request(Params::get("/down")).send().expect("an answer");
        assert_eq!(io::copy(&mut response, &mut io::sink()).expect("the body"), LARGE);
        drop(response);
        let request = client.request(Params::post("/up")).body(io::repeat(b'y'), LARGE);
        assert_eq!(text(&mut request.send().expect("an answer")), LARGE.to_string());
        let length = LARGE / 4; // It goes to a disk.
        let request = client.request(Params::post("/up")).spooled(io::repeat(b'z').take(length));
        let mut response = request.expect("there is room").send().expect("an answer");
        assert_eq!(text(&mut response), length.to_string());
        let grown = peak().saturating_sub(before);
        assert!(grown < 16 * 1024, "{grown} KiB");
    }
}

/// Sends a record again and again, until the client closes.
fn flood(peer: &mut Peer, record: &[u8]) {
    while peer.stream.write_all(record).is_ok() {}
}

#[test]
fn an_application_that_lies_or_floods_costs_its_client_little() {
    let _alone = alone();
    let app = App::unix(|number, peer| {
        peer.request();
        match number {
            // An end that is announced, and nothing.
            1 => peer.send(Header::new(RecordType::Stdout, 1, 65535).encode()),
            2 => flood(peer, &stdout([b'x'; 60_000])),
            3 => flood(peer, &record(RecordType::Stdout, 7, &[b'x'; 60_000])),
            // Answers to what was not asked, in which names claim 2 GiB.
            4 => {
                flood(peer, &raw_record(Header::new(RecordType::GetValuesResult, 0, 60_000), &[0xff; 60_000]))
            }
            5 => flood(peer, &record(RecordType::Stdout, 1, b"").repeat(8000)),
            6 => peer.send(answer("Content-Length: 9223372036854775807\r\n\r\nshort")),
            _ => {
                let line = record(RecordType::Stderr, 1, &[b'e'; 60_000]);
                (0..1000).for_each(|_| peer.send(&line));
                peer.send(page("after 60 MB"));
            }
        }
    });
    let mut client = app.client();
    let before = peak();
    let errors: [ClientError; 5] = std::array::from_fn(|_| fail(&mut client));
    assert!(matches!(errors[0], ClientError::Protocol(ConnectionError::UnexpectedEof { .. })), "{errors:?}");
    assert!(matches!(errors[1], ClientError::Head(ResponseHeadError::TooLong { .. })), "{errors:?}");
    for error in &errors[2..] {
        let ignored = matches!(error, ClientError::Protocol(ConnectionError::IgnoredTooMuch { .. }));
        assert!(ignored, "{errors:?}");
    }
    let mut response = client.request(Params::get("/")).send().expect("an answer");
    let error = response.read_to_end(&mut Vec::new()).expect_err("it is short");
    assert!(error.to_string().contains("9223372036854775802"), "{error}");
    drop(response);
    let mut response = client.request(Params::get("/")).send().expect("an answer");
    assert_eq!(text(&mut response), "after 60 MB");
    let stderr = response.take_stderr();
    assert!(
        stderr.len() < 64 * 1024 + 64
            && String::from_utf8_lossy(&stderr).contains(" bytes of STDERR left out]")
    );
    let grown = peak().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB");
}
