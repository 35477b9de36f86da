//! What must hold with every back end: one table, run from top to bottom on one instance, so that each case
//! also shows that the one before it left everything in order.

use std::fs;
use std::io::{self, Read};
use std::process::Command;
use std::thread;
use std::time::Duration;

use fcgi_blocking::{ClientSettings, Role};

use super::executable::executable;
use super::process::wait_until;
use super::setups::{FCGIWRAP, PHP_CGI, Refusal, Setup};
use super::site::Site;
use super::web::{Answer, Web};
use super::wire::{Relay, refusal};

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Site),
    /// Why the case does not apply to a set-up.
    pub(crate) skip: fn(&Setup) -> Option<&'static str>,
}

pub(crate) const fn case(name: &'static str, run: fn(&Site)) -> Case {
    Case { name, run, skip: |_| None }
}

/// What every set-up must pass.
pub(crate) const ALL: &[Case] = &[
    case("GET", get),
    case("HEAD", head),
    case("POST of 0, 100 and 1 MiB", post),
    Case { name: "a body that nobody reads", run: unread, skip: reads_itself },
    case("a body that ends early", short),
    case("parameters of 130 KB", large_params),
    case("responses of 200 KB and 20 MB", large_responses),
    case("status 404", status),
    Case { name: "two Set-Cookie fields", run: cookies, skip: without_cookies },
    Case { name: "STDERR", run: stderr, skip: |setup| setup.no_stderr },
    Case { name: "application status", run: app_status, skip: without_app_status },
    case("connections kept and not kept", kept),
    case("100 requests in a row", in_a_row),
    case("GET_VALUES", values),
    case("an Authorizer", authorizer),
    case("an unknown role", unknown_role),
    case("a response that is left", left),
    case("8 clients at once", at_once),
    Case { name: "a restart between requests", run: restart, skip: waits_for_us },
];

/// What takes files of its own.
pub(crate) const PHP: &[Case] = &[case("a page", page), case("a page for `fetch`", fetched)];

/// Where workers are many, and go on after the end of a request.
pub(crate) const WORKS_ON: &[Case] = &[case("a page that works on after its end", works_on)];

/// Where a back end never ends a request.
pub(crate) const TOKIO: &[Case] = &[case("a client on tokio", asked_on_tokio)];

pub(crate) const SILENCE: &[Case] = &[case("silence", silence)];

fn without_cookies(setup: &Setup) -> Option<&'static str> {
    setup.files.is_empty().then_some("the example sets none")
}

fn without_app_status(setup: &Setup) -> Option<&'static str> {
    setup.exit_42.is_none().then_some("its programs cannot set one")
}

fn reads_itself(setup: &Setup) -> Option<&'static str> {
    (setup.name == FCGIWRAP.name).then_some("it answers 502 for a program that does not read")
}

fn waits_for_us(setup: &Setup) -> Option<&'static str> {
    (setup.name == PHP_CGI.name).then_some("it ends only when kept connections have")
}

fn get(site: &Site) {
    let mut web = Web::new(site);
    for _ in 0..3 {
        let answer = web.get_with("/env?a=b&c=%20", &variables(&[("HTTP_X_TEST", "ä \"\\"), ("X", "")]));
        assert_eq!(answer.status, 200);
        assert!(answer.fields("Content-Type")[0].starts_with("text/plain"), "{answer:?}");
        for (name, value) in [
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", "/env?a=b&c=%20"),
            ("QUERY_STRING", "a=b&c=%20"),
            ("SERVER_NAME", "localhost"),
            ("SCRIPT_FILENAME", site.place.script.to_str().expect("temporary paths are UTF-8")),
            ("HTTP_X_TEST", "ä \"\\"),
            ("X", ""),
        ] {
            assert!(answer.has(name, value), "{name}={value} is missing:\n{}", answer.text());
        }
        assert_eq!((answer.stderr.as_str(), answer.protocol_status), ("", 0));
    }
}

fn post(site: &Site) {
    for size in [0, 100, 1 << 20] {
        let body = noise(size, size as u64);
        check_echo(&Web::new(site).post("/echo", &body), &body);
        // In pieces that fit nothing.
        for length in [Some(size as u64), None] {
            let answer = Web::new(site).upload("/echo", Pieces { left: &body, size: 777 }, length);
            check_echo(&answer.expect("an answer"), &body);
        }
    }
}

fn head(site: &Site) {
    let mut web = Web::new(site);
    for number in 0..3 {
        let answer = web.head("/bytes/1000");
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        // A body that was sent all the same would be taken for this answer.
        works(&mut web, number);
    }
}

fn unread(site: &Site) {
    for keep in [true, false] {
        let mut web = Web::new(site);
        web.keep = keep;
        for number in 0..5 {
            let answer = web.post("/bytes/1000", &noise(4 << 20, number));
            assert_eq!((answer.status, answer.body.len()), (200, 1000));
            works(&mut web, number);
        }
    }
}

/// The connection closes: many would wait for the rest of the body.
fn short(site: &Site) {
    let mut web = Web::new(site);
    for number in 0..3 {
        let error = web.upload("/echo", &[1; 100_000][..], Some(100_001)).expect_err("a byte is missing");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
        works(&mut web, number);
    }
}

fn large_params(site: &Site) {
    let name = |number: u8| format!("HTTP_X_LARGE_{number}");
    let value = |number: u8| char::from(b'a' + number % 26).to_string().repeat(1000);
    let variables: Vec<_> = (0..130).map(|number| (name(number), value(number))).collect();
    let answer = Web::new(site).get_with("/env", &variables);
    assert_eq!(answer.status, 200);
    for (name, value) in &variables {
        assert!(answer.has(name, value), "{name} is missing or cut");
    }
}

fn large_responses(site: &Site) {
    let mut web = Web::new(site);
    for size in [200_000, 20_000_000] {
        let answer = web.get(&format!("/bytes/{size}"));
        assert_eq!((answer.status, answer.body.len()), (200, size));
        assert!(answer.body.iter().all(|&byte| byte == b'x'));
    }
}

fn status(site: &Site) {
    assert_eq!(Web::new(site).get("/status/404").status, 404);
}

fn cookies(site: &Site) {
    assert_eq!(Web::new(site).get("/cookies").fields("Set-Cookie"), ["a=1", "b=2"]);
}

fn stderr(site: &Site) {
    let mut web = Web::new(site);
    for length in 1..=8 {
        let text = format!("told-{}", length.to_string().repeat(length));
        let answer = web.get(&format!("/stderr/{text}"));
        assert_eq!((answer.status, answer.text().trim_end()), (200, "ok"));
        assert!(answer.stderr.contains(&text), "{text:?} is missing: {:?}", answer.stderr);
    }
}

fn app_status(site: &Site) {
    let mut web = Web::new(site);
    for _ in 0..3 {
        let answer = web.get("/exit/42");
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        assert_eq!(Some(answer.app_status), site.setup.exit_42);
    }
}

fn kept(site: &Site) {
    const REQUESTS: usize = 20;
    for keep in [true, false] {
        let relay = Relay::to(site);
        let mut web = Web::at(site, &relay.address);
        web.keep = keep;
        for number in 0..REQUESTS {
            let body = noise(number * 100, number as u64);
            check_echo(&web.post("/echo", &body), &body);
        }
        let expected = if keep && site.setup.keeps { 1 } else { REQUESTS };
        assert_eq!(relay.connections(), expected, "connections with KEEP_CONN {keep}");
    }
}

fn in_a_row(site: &Site) {
    let mut web = Web::new(site);
    for number in 0..100 {
        let body = noise(number * 37, number as u64);
        check_echo(&web.post("/echo", &body), &body);
    }
}

fn values(site: &Site) {
    let mut web = Web::new(site);
    works(&mut web, 1);
    assert_eq!(web.values(), variables(site.setup.values));
    works(&mut web, 2);
}

/// A role that exists, but that not all back ends have.
fn authorizer(site: &Site) {
    let mut web = Web::new(site);
    for number in 0..3 {
        match (site.setup.unknown_role, web.try_get("/env", Role::Authorizer)) {
            (Refusal::Closes, answer) => assert!(answer.expect("an answer").has("FCGI_ROLE", "AUTHORIZER")),
            (Refusal::Ends { .. }, answer) => {
                let error = answer.expect_err("a refusal");
                assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}");
            }
            (Refusal::Answers, answer) => assert_eq!(answer.expect("an answer").status, 403),
        }
        works(&mut web, number);
    }
}

fn unknown_role(site: &Site) {
    for keep in [true, false] {
        assert_eq!(refusal(site, keep), site.setup.unknown_role, "KEEP_CONN {keep}");
        works(&mut Web::new(site), 1);
    }
}

fn left(site: &Site) {
    for keep in [true, false] {
        let mut web = Web::new(site);
        web.keep = keep;
        for number in 0..5 {
            web.abandon("/bytes/20000000", 100_000);
            works(&mut web, number);
        }
        // One that has come whole, but was not read.
        web.abandon("/bytes/100", 10);
        works(&mut web, 5);
    }
}

fn at_once(site: &Site) {
    const CLIENTS: u64 = 8;
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let mut web = Web::new(site);
                // A kept connection would shut out those that the back end has no process for.
                web.keep = site.setup.at_once as u64 >= CLIENTS;
                for round in 0..10 {
                    works(&mut web, client * 100 + round);
                }
            });
        }
    });
}

fn restart(site: &Site) {
    let mut web = Web::new(site);
    for number in 0..2 {
        works(&mut web, number);
        site.restart();
    }
    works(&mut web, 2);
}

fn page(site: &Site) {
    let script = site.place.dir.join("page.php").to_str().expect("temporary paths are UTF-8").to_owned();
    let variables = variables(&[("SCRIPT_FILENAME", &script)]);
    let answer = Web::new(site).get_with("/page.php?name=%3CFerris%3E", &variables);
    assert_eq!(answer.status, 200);
    assert!(answer.fields("Content-Type")[0].starts_with("text/html"), "{answer:?}");
    check_page(&answer.text());
}

fn fetched(site: &Site) {
    let script = format!("SCRIPT_FILENAME={}", site.place.dir.join("page.php").display());
    let mut fetch = Command::new(executable(env!("CARGO_PKG_NAME"), "fetch"));
    fetch.args([&site.place.address, "/page.php", &script, "QUERY_STRING=name=%3CFerris%3E"]);
    let output = fetch.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text.to_ascii_lowercase().contains("content-type: text/html"), "{text}");
    check_page(&text);
}

fn check_page(html: &str) {
    for part in ["<h1>Hello, &lt;Ferris&gt;</h1>", "<li>three</li>", "<p>GET this file</p>"] {
        assert!(html.contains(part), "{part} is missing:\n{html}");
    }
}

/// With the settings that nobody changed: neither a GET nor a POST waits for that worker.
fn works_on(site: &Site) {
    let file = |name: &str| site.place.dir.join(name);
    let script = file("finish.php").to_str().expect("temporary paths are UTF-8").to_owned();
    let mut web = Web::with(site, ClientSettings::default());
    // The application has shown that it keeps its connections.
    for _ in 0..2 {
        assert_eq!(web.get("/").text(), "ok");
    }
    for then in ["POST", "GET", "POST", "GET"] {
        let finish = variables(&[("SCRIPT_FILENAME", &script)]);
        assert_eq!(web.get_with("/finish.php", &finish).text(), "finished");
        match then {
            "GET" => assert_eq!(web.get("/").text(), "ok"),
            _ => works(&mut web, 1),
        }
        assert!(!file("done").exists(), "{then} waited for it");
    }
    fs::write(file("go"), "").expect("it can be written");
    assert!(wait_until(|| file("done").exists()), "it works on");
}

fn silence(site: &Site) {
    for _ in 0..3 {
        let mut web = Web::impatient(site, Duration::from_millis(300));
        let error = web.try_get("/stderr/told", Role::Responder).expect_err("no end comes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        works(&mut web, 1);
    }
}

/// The example `tokio_client` of `fcgi-proto`, which has one connection for all that it asks.
fn asked_on_tokio(site: &Site) {
    let relay = Relay::to(site);
    let bodies: Vec<String> = (0..20).map(|number| format!("[{}]", "b".repeat(number * 5000))).collect();
    let mut client = Command::new(executable("fcgi-proto", "tokio_client"));
    client.arg(&relay.address).arg(&site.place.script).arg("/echo").args(&bodies);
    let output = client.output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<&str> = text.split("\r\n\r\n").skip(1).collect();
    assert_eq!(answers.len(), bodies.len(), "{text:.2000}");
    assert!(answers.iter().zip(&bodies).all(|(answer, body)| answer.starts_with(body)));
    assert_eq!(relay.connections(), 1);
}

/// The client gets an answer, and the one that belongs to its request.
fn works(web: &mut Web, seed: u64) {
    let body = noise(20_000 + seed as usize, seed);
    check_echo(&web.post("/echo", &body), &body);
}

fn check_echo(answer: &Answer, body: &[u8]) {
    assert_eq!(answer.status, 200);
    assert!(answer.fields("Content-Type")[0].starts_with("application/x-test"), "{:?}", answer.fields);
    assert!(answer.body == body, "{} bytes came back of {}, or others", answer.body.len(), body.len());
}

fn variables(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// A reader of no more than `size` bytes at a time.
struct Pieces<'b> {
    left: &'b [u8],
    size: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.size);
        self.left.read(&mut buffer[..most])
    }
}

/// Bytes of every value, the same for the same seed.
fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}
