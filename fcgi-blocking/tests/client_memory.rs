//! Bodies stream: what goes through the client, and the server in the same process, is not kept. A program of
//! its own, since memory is counted for all of it.

mod support;

#[path = "client/script.rs"]
mod script;

use std::fs;
use std::io::{self, Read, Write};

use fcgi_blocking::{AppStatus, BoxError, Params, Request, Settings, Status};
use script::{client, text};
use support::Running;

/// Bytes of a body.
const LARGE: u64 = 256 << 20;

/// The most memory that this process has had resident so far, in KiB.
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
        let grown = peak() - before;
        assert!(grown < 16 * 1024, "{grown} KiB");
    }
}
