//! HAProxy with `mpxs-conns`: 64 clients, one FastCGI connection (section 3.3 and the multiplexing of section
//! 3.4's FCGI_MPXS_CONNS).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::SUBJECT;
use crate::interop::cases::{check_sum, has_param, noise, sum};
use crate::interop::http::{Browser, begin};
use crate::interop::process::wait_until;
use crate::interop::setups::{HAPROXY, Setup};
use crate::interop::site::Site;
use crate::wire::Wire;

/// As many as one connection of the server carries, as GET_VALUES tells.
const CLIENTS: usize = 64;

/// One client uploads slowly, one asks for a sleep.
const OTHERS: usize = CLIENTS - 2;

/// Requests of each of the others, while the upload lasts.
const ROUNDS: usize = 65;

/// HAProxy 2.6 answers 500 by itself if the parameters of a request do not fit what is left of its output
/// buffer, which is the size of all its buffers. So what all clients have under way must fit one.
const BUFFER: usize = 60_000;
const REQUEST: usize = BUFFER / CLIENTS;

/// HAProxy connects when its buffer is full of a body.
const UPLOAD: usize = 2 * BUFFER;

const THROUGH_THE_RELAY: (&str, &str) =
    // No connection is closed for being idle while the test gets ready.
    ("127.0.0.1:9000 proto fcgi", "{tcp} proto fcgi pool-purge-delay 1h");

/// A request may share a connection that another client's requests are on.
const REUSE: (&str, &str) = ("use-fcgi-app app", "use-fcgi-app app\n    http-reuse always");

/// Each thread of HAProxy has connections of its own.
const GLOBAL: &str = "global\n    nbthread 1\n    tune.bufsize 60000";

/// HAProxy is told how many requests a connection carries.
static TOLD: Setup = Setup {
    name: "HAProxy, mpxs-conns, one connection",
    edits: &[THROUGH_THE_RELAY, REUSE, ("# option mpxs-conns", "option mpxs-conns\n    option max-reqs 64")],
    extra: GLOBAL,
    ..HAPROXY
};

/// HAProxy asks the application.
static ASKS: Setup = Setup {
    name: "HAProxy, get-values, one connection",
    edits: &[
        THROUGH_THE_RELAY,
        REUSE,
        ("# option get-values", "option get-values"),
        ("# option mpxs-conns", "option mpxs-conns"),
    ],
    extra: GLOBAL,
    ..HAPROXY
};

#[test]
fn haproxy_has_64_clients_answered_over_one_connection() {
    on_one_connection(&TOLD);
}

#[test]
fn haproxy_that_asks_for_values_has_64_clients_answered_over_one_connection() {
    on_one_connection(&ASKS);
}

fn on_one_connection(setup: &'static Setup) {
    let wire = Wire::new();
    let Some(site) = Site::start_via(&SUBJECT, setup, |app| wire.relay(app)) else { return };
    all_at_once(&site, &wire);
    nobody_waits_for_another(&site, &wire);
    assert_eq!(wire.connections(), 1, "{}", site.logs());
    site.finish();
}

/// Every client's request is on the connection before the first of them is answered.
fn all_at_once(site: &Site, wire: &Wire) {
    let uploads: Vec<Upload> = (0..CLIENTS).map(|client| Upload::begin(site, wire, client)).collect();
    assert_eq!(wire.active(), CLIENTS, "{}", site.logs());
    // Not in the order in which they came.
    let (even, odd): (Vec<_>, Vec<_>) = uploads.into_iter().partition(|upload| upload.seed % 2 == 0);
    odd.into_iter().chain(even).for_each(Upload::end);
    assert!(wait_until(|| wire.active() == 0), "{} requests\n{}", wire.active(), site.logs());
}

/// A request that takes long delays no other, and each has its own answer.
fn nobody_waits_for_another(site: &Site, wire: &Wire) {
    let upload = Upload::begin(site, wire, 0);
    let answered = AtomicUsize::new(0);
    let most = thread::scope(|scope| {
        let others: Vec<_> = (0..OTHERS)
            .map(|client| {
                let answered = &answered;
                scope.spawn(move || {
                    let browser = Browser::new(site.address);
                    for round in 0..ROUNDS {
                        ask(&browser, client, round);
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let sleeps = Browser::new(site.address);
        let mut most = 0;
        while !others.iter().all(|other| other.is_finished()) {
            let before = answered.load(Ordering::SeqCst);
            let answer = sleeps.get("/sleep/2000");
            assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
            most = most.max(answered.load(Ordering::SeqCst) - before);
        }
        most
    });
    eprintln!("{}: {most} answers to others during a sleep of 2 s", site.setup.name);
    // Had they waited for the sleep, there would be none but those that were under way.
    assert!(most > 2 * OTHERS, "{most} answers to others during a sleep");
    assert_eq!(wire.active(), 1, "the upload alone is left");
    upload.end();
}

/// One request whose answer can be no other's.
fn ask(browser: &Browser, client: usize, round: usize) {
    let body = noise(REQUEST / 4 + round % 16, (client << 32 | round) as u64);
    match round % 5 {
        0 => {
            let query = format!("client={client}&round={round}");
            let answer = browser.get(&format!("/env?{query}"));
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(has_param(&answer, "QUERY_STRING", &query), "{query}: {}", answer.text());
        }
        1 => check_sum(&browser.post("/sum", &body), &body),
        2 => {
            let answer = browser.post("/echo", &body);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(answer.body == body, "{client} {round}: {} bytes, or others", answer.body.len());
        }
        // At its Content-Length, before its END_REQUEST, HAProxy may begin another, the 65th.
        3 => {
            let answer = browser.get("/bytes/20000");
            assert_eq!((answer.status, answer.body.len()), (200, 20_000), "{client} {round}");
        }
        _ => {
            let answer = browser.get("/stream/50/0");
            let lines: String = (1..=50).map(|line| format!("{line}\n")).collect();
            assert_eq!((answer.status, answer.text()), (200, lines));
        }
    }
}

/// A request whose last byte is held back.
struct Upload {
    stream: TcpStream,
    seed: usize,
    body: Vec<u8>,
}

impl Upload {
    /// Returns when all but that byte is on its way.
    fn begin(site: &Site, wire: &Wire, seed: usize) -> Self {
        let body = noise(UPLOAD, seed as u64);
        let begun = &body[..UPLOAD - 1];
        let head = format!("POST /sum HTTP/1.0\r\nHost: localhost\r\nContent-Length: {UPLOAD}\r\n\r\n");
        let expected = wire.stdin() + begun.len();
        let stream = begin(site.address, &[head.as_bytes(), begun].concat());
        assert!(wait_until(|| wire.stdin() == expected), "{seed}: {}\n{}", wire.stdin(), site.logs());
        Self { stream, seed, body }
    }

    fn end(mut self) {
        self.stream.write_all(&self.body[UPLOAD - 1..]).expect("the web server reads");
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).expect("an answer");
        let expected = format!("\r\n\r\n{}\n", sum(&self.body));
        assert!(answer.starts_with("HTTP/1.") && answer.ends_with(&expected), "{}: {answer}", self.seed);
    }
}
