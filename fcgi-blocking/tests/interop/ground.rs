//! What must hold for servers of one's own, behind every web server.

use std::io::{Read, Write};

use crate::interop::cases::{self, Case, case};
use crate::interop::http::begin;
use crate::interop::site::Site;

/// What a server of one's own must pass, of which the application has `/sum`, `/echo` and `/bytes/N`.
pub(crate) const GROUND: &[Case] = &[
    case("HEAD has no body", cases::head),
    case("POST of 0, 10 and 1 MiB", cases::post),
    case("an echo of 300 KB and of 1 MiB", cases::echo),
    case("an echo of 64 MiB", cases::large_echo),
    case("an upload of unknown length", cases::chunked),
    case("a response of 5 MB", cases::large_response),
    case("a body that is never read", cases::ignored),
    case("the whole answer to a body that is never read is there at once", cases::answered_bytes_unread),
    case("a client that leaves during its upload", cases::leaves_upload),
    case("a client that leaves during the response", cases::leaves_response),
    case("200 requests over kept connections", cases::kept_connections),
    case("16 clients at once", cases::concurrent),
    case("64 requests in flight", in_flight),
];

/// What a server without a heap must pass: it has `/temperature`, and reads no body.
pub(crate) const EMBEDDED: &[Case] = &[
    case("pages", temperature),
    case("bodies of 0, 10 and 1 MiB", temperature_posted),
    case("clients that leave, 64 requests in flight", temperature_in_flight),
];

/// What it must pass behind what sends no body before it has an answer, or asks first what it can do.
pub(crate) const PAGES: &[Case] = &[case("pages", temperature)];

/// What the guide's server must pass: it answers how long a body was.
pub(crate) const LENGTHS: &[Case] = &[case("bodies of 0, 10 and 1 MiB", lengths)];

/// What must hold of a server that is no Authorizer: nobody is let in, and nobody waits.
pub(crate) const NO_AUTHORIZER: &[Case] = &[case("a guarded file that nobody gets", refused)];

/// Where handlers may panic.
pub(crate) const PANICS: &[Case] = &[case("a handler that panics", cases::panics)];

/// 64 uploads wait in their middle, another request is answered, and then all of them.
fn in_flight(site: &Site) {
    let body = cases::noise(20_000, 64);
    let (first, rest) = body.split_at(10_000);
    let head = "POST /sum HTTP/1.0\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n";
    let begun = [head.as_bytes(), first].concat();
    let streams: Vec<_> = (0..64).map(|_| begin(site.address, &begun)).collect();
    cases::works(site);
    for mut stream in streams {
        stream.write_all(rest).expect("the web server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.contains(" 200 ") && answer.contains(&cases::sum(&body)), "{answer}");
    }
}

fn temperature(site: &Site) {
    let browser = cases::browser(site);
    for _ in 0..50 {
        let answer = browser.get("/temperature");
        assert_eq!((answer.status, answer.text().as_str()), (200, "23.5\n"));
        assert_eq!(browser.get("/").text(), "See /temperature\n");
    }
}

fn lengths(site: &Site) {
    let browser = cases::browser(site);
    for size in [0, 10, 1 << 20] {
        for _ in 0..5 {
            let answer = browser.post("/", &cases::noise(size, 5));
            assert_eq!((answer.status, answer.text()), (200, format!("{size} bytes\n")));
        }
    }
}

fn refused(site: &Site) {
    std::fs::write(site.dir().join("www/page.txt"), "for friends\n").expect("a document");
    for _ in 0..10 {
        let answer = cases::browser(site).get("/page.txt");
        assert!(answer.status == 503 && !answer.text().contains("friends"), "{answer:?}");
    }
}

fn temperature_posted(site: &Site) {
    for size in [0, 10, 1 << 20] {
        for _ in 0..5 {
            // A new client each time: nginx announces keep-alive, then closes since it did not read the body.
            let answer = cases::browser(site).post("/temperature", &cases::noise(size, 5));
            assert_eq!((answer.status, answer.text().as_str()), (200, "23.5\n"), "{size} bytes");
        }
    }
}

fn temperature_in_flight(site: &Site) {
    let head = "POST /temperature HTTP/1.0\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n";
    let begun = [head.as_bytes(), &[b'i'; 10_000]].concat();
    for _ in 0..5 {
        drop(begin(site.address, &begun));
    }
    let streams: Vec<_> = (0..64).map(|_| begin(site.address, &begun)).collect();
    assert_eq!(cases::browser(site).get("/temperature").text(), "23.5\n");
    for mut stream in streams {
        stream.write_all(&[b'i'; 10_000]).expect("the web server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.contains(" 200 ") && answer.ends_with("23.5\n"), "{answer}");
    }
}
