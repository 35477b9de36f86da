//! The example `gateway` before an application that does anything: a browser can tell an answer that was cut from a
//! whole one, and each is its own.
#![cfg(unix)]

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

#[path = "adapter/client.rs"]
mod adapter;

#[path = "../../fcgi-blocking/tests/client/anything.rs"]
mod anything;
#[path = "../../fcgi-blocking/tests/client/script.rs"]
mod script;
mod web;

use std::io::Read;
use std::sync::Arc;

use anything::{Chance, Seen, body, talking};
use support::{PATIENCE, executable};
use web::Gateway;
use web::http::begin;

/// The body of an answer, if a browser takes it for whole; with its head, which is whole.
fn whole(answer: &[u8], has_ended: bool) -> Option<(String, Vec<u8>)> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = String::from_utf8(answer[..end].to_ascii_lowercase()).expect("text") + "\r\n";
    let mut rest = &answer[end + 4..];
    if head.contains("\r\ntransfer-encoding: chunked\r\n") {
        let mut body = Vec::new();
        loop {
            let line = rest.windows(2).position(|bytes| bytes == b"\r\n")?;
            let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).expect("a number"), 16);
            let length = length.expect("a number");
            let chunk = rest.get(line + 2..line + 2 + length + 2)?;
            if length == 0 {
                return Some((head, body));
            }
            body.extend(&chunk[..length]);
            rest = &rest[line + 2 + length + 2..];
        }
    }
    let length = head.split_once("\r\ncontent-length: ").and_then(|(_, rest)| rest.split_once("\r\n"));
    match length {
        Some((length, _)) => {
            (rest.len() == length.parse::<usize>().expect("a number")).then(|| (head, rest.to_vec()))
        }
        None => has_ended.then(|| (head, rest.to_vec())),
    }
}

#[test]
fn a_browser_takes_no_answer_that_was_cut_for_whole_whatever_the_application_does() {
    for (seed, arguments) in [(2, &[][..]), (4, &["--keep", "2", "--stream"])] {
        let seen: Arc<Seen> = Arc::default();
        let app = talking(seed, &seen);
        let gateway = Gateway::start(&[&["--app", &app.endpoint.to_string()], arguments].concat());
        let (mut chance, mut answered) = (Chance::new(seed), 0);
        for number in 1..=150 {
            let version = chance.below(2);
            let request = match chance.below(2) {
                0 => format!("GET /{number} HTTP/1.{version}\r\nHost: h\r\nConnection: close\r\n\r\n"),
                _ => {
                    let body = "b".repeat([1, 50_000][chance.below(2)]);
                    let head = format!("POST /{number} HTTP/1.{version}\r\nHost: h\r\nConnection: close\r\n");
                    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
                }
            };
            let mut stream = begin(gateway.address, request.as_bytes());
            stream.set_read_timeout(Some(PATIENCE)).expect("a limit can be set");
            let mut answer = Vec::new();
            let end = stream.read_to_end(&mut answer);
            let text = String::from_utf8_lossy(&answer);
            assert!(text.starts_with("HTTP/1.") || end.is_err(), "{number}: {text:.40}");
            let Some((head, found)) = whole(&answer, end.is_ok()) else { continue };
            let fate = seen.fate(number);
            if head.starts_with(&format!("http/1.{version} 200")) {
                assert!(head.contains(&format!("\r\nx-number: {number}\r\n")), "{number}: {head}");
                assert!(
                    found == body(number).as_bytes() && fate.whole,
                    "{number}: {} bytes, {head}",
                    found.len()
                );
                answered += 1;
            } else {
                assert!(head.starts_with(&format!("http/1.{version} 50")), "{number}: {head}");
            }
            assert!(fate.executed <= if request.starts_with("GET") { 2 } else { 1 }, "{number}: {fate:?}");
        }
        assert!(answered > 20, "{answered} of 150: {}", gateway.log());
        drop(gateway);
    }
}
