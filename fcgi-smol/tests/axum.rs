//! The example `axum` behind a real nginx.
//!
//! Without nginx it is skipped with a line on stderr, or fails if `FCGI_REQUIRE_INTEROP=1`.
#![cfg(unix)]

#[allow(dead_code)] // Its own cases and most set-ups are for `inspect`.
#[path = "../../fcgi-blocking/tests/interop/mod.rs"]
mod interop;

use std::io::{BufRead, BufReader};

use interop::Subject;
use interop::cases::{Case, case};
use interop::http::{Answer, Browser, ask, begin};
use interop::setups;
use interop::site::Site;

const SUBJECT: Subject = Subject { package: env!("CARGO_PKG_NAME"), example: "axum" };

const CASES: &[Case] = &[
    case("a page", page),
    case("HEAD has no body", head),
    case("a path and a query", hello),
    case("JSON", json),
    case("a form", form),
    case("uploads", sum),
    case("an upload of unknown length", chunked),
    case("a body that is made as it is sent", count),
    case("events, one by one", events),
    case("what FastCGI tells besides", whoami),
    case("nothing", nothing),
    case("a page after all that", page),
];

#[test]
fn an_axum_router_runs_behind_nginx() {
    interop::run(&SUBJECT, &setups::NGINX_UNIX, CASES);
}

#[test]
fn an_axum_router_runs_behind_nginx_that_keeps_its_connections_and_gathers_nothing() {
    interop::run(&SUBJECT, &setups::NGINX_KEEPALIVE_UNBUFFERED, CASES);
}

fn browser(site: &Site) -> Browser {
    Browser::new(site.address)
}

#[track_caller]
fn assert_text(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (status, text), "{answer:?}");
    assert!(answer.header("content-type").starts_with("text/plain"), "{answer:?}");
}

fn page(site: &Site) {
    let answer = browser(site).get("/");
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(answer.text().contains("<h1>axum over FastCGI</h1>"), "{answer:?}");
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
}

fn head(site: &Site) {
    let browser = browser(site);
    let length = browser.get("/").header("content-length").to_owned();
    let answer = browser.head("/");
    assert_eq!((answer.status, answer.body.len(), answer.header("content-length")), (200, 0, &*length));
    assert_text(&browser.get("/hello/you"), 200, "Hello, you\n");
}

fn hello(site: &Site) {
    let browser = browser(site);
    assert_text(&browser.get("/hello/caf%C3%A9?greeting=Good%20day"), 200, "Good day, café\n");
    assert_text(&browser.get("/hello/a%2Fb"), 200, "Hello, a/b\n");
    assert_eq!(browser.post("/hello/you", b"").status, 405);
}

fn json(site: &Site) {
    let post = |body: &[u8]| browser(site).post_as("/json", "application/json", body);
    let answer = post(br#"{ "b": [1, null], "a": "\u00e9" }"#);
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"a":"é","b":[1,null]}"#));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(post(b"{").status, 400);
    assert_eq!(browser(site).post("/json", b"{}").status, 415);
}

fn form(site: &Site) {
    let fields = b"word=caf%C3%A9+au+lait&a=b%26c";
    let answer = browser(site).post_as("/form", "application/x-www-form-urlencoded", fields);
    assert_text(&answer, 200, "a=b&c\nword=café au lait\n");
}

fn sum(site: &Site) {
    let browser = browser(site);
    for size in [0, 1, 20_000, 5_000_000] {
        let body: Vec<u8> = (0..size).map(|number: u32| (number % 251) as u8).collect();
        let sum = format!("{size} {:08x}\n", crc32fast::hash(&body));
        assert_text(&browser.post("/sum", &body), 200, &sum);
    }
}

fn chunked(site: &Site) {
    let head =
        "POST /sum HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = "x".repeat(0x10000);
    let request = format!("{head}10000\r\n{chunk}\r\n10000\r\n{chunk}\r\n0\r\n\r\n");
    let (status, answer) = ask(site.address, request.as_bytes());
    let sum = format!("{} {:08x}\n", 0x20000, crc32fast::hash("x".repeat(0x20000).as_bytes()));
    assert!(status == 200 && answer.contains(&sum), "{status} {answer}");
}

fn count(site: &Site) {
    let answer = browser(site).get("/count/100000");
    let lines: String = (1..=100_000).map(|line| format!("{line}\n")).collect();
    assert_eq!((answer.status, answer.body.len()), (200, lines.len()));
    assert!(answer.body == lines.as_bytes());
}

/// They have no end, so that what comes at all comes one by one. Then the browser leaves: the application ends
/// in good order only if that has ended its stream.
fn events(site: &Site) {
    let stream = begin(site.address, b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut lines = BufReader::new(stream).lines().map(|line| line.expect("a line in time"));
    assert_eq!(lines.next().as_deref(), Some("HTTP/1.1 200 OK"));
    let fields: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(fields.iter().any(|field| field == "Content-Type: text/event-stream"), "{fields:?}");
    let mut events = lines.filter(|line| line.starts_with("data: "));
    for number in 0..2 {
        assert_eq!(events.next(), Some(format!("data: event {number}")));
    }
}

fn whoami(site: &Site) {
    let answer = browser(site).get("/whoami");
    assert!(answer.text().starts_with("127.0.0.1 by way of nginx/"), "{answer:?}");
}

fn nothing(site: &Site) {
    assert_text(&browser(site).get("/no/such%20page?a=b"), 404, "nothing at /no/such%20page\n");
}
