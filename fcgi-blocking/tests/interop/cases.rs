//! What must hold behind every web server: one table, run from top to bottom on one instance, so that
//! each case also shows that the one before it left everything in order.

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use super::http::{Answer, Browser, ask, begin, look};
use super::process::wait_until;
use super::server::Server;
use super::setups::Setup;
use super::site::Site;

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
    case("HEAD has no body", head),
    case("POST of 0, 10 and 1 MiB", post),
    case("an echo of 300 KB and of 1 MiB", echo),
    case("an echo of 64 MiB", large_echo),
    case("an upload of unknown length", chunked),
    case("a cookie of 8 KiB", cookie),
    case("parameters over 64 KiB", large_params),
    case("a response of 5 MB", large_response),
    case("statuses", statuses),
    Case { name: "STDERR reaches the log", run: stderr, skip: drops_stderr },
    case("an answer in lines", stream),
    case("an answer begun before the body is read", early),
    case("a body that is never read", ignored),
    case("the whole answer to a body that is never read is there at once", answered_unread),
    case("a handler that panics", panics),
    case("w32: a handler that fails half way, without a length and with one", fails),
    case("a client that leaves during its upload", leaves_upload),
    case("a client that leaves during the response", leaves_response),
    case("200 requests over kept connections", kept_connections),
    case("16 clients at once", concurrent),
];

/// Where an answer is lost easily: nginx closes its side when the application does.
pub(crate) const IGNORED_BODIES: &[Case] = &[case("40 bodies of each size, never read", many_ignored)];

pub(crate) const AUTHORIZER: &[Case] = &[case("a guarded file", guarded_file)];

fn drops_stderr(setup: &Setup) -> Option<&'static str> {
    (setup.server == Server::Caddy).then_some("Caddy drops STDERR")
}

fn get(site: &Site) {
    let answer = browser(site).get("/");
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/html"), "{:?}", answer.headers);
    assert!(answer.text().contains("REQUEST_METHOD"), "{}", answer.text());
    let answer = browser(site).get("/any/prefix/env?a=b&c=%20");
    assert_eq!(answer.status, 200);
    assert!(has_param(&answer, "REQUEST_METHOD", "GET"), "{}", answer.text());
    assert!(has_param(&answer, "QUERY_STRING", "a=b&c=%20"), "{}", answer.text());
    assert!(has_param(&answer, "REQUEST_URI", "/any/prefix/env?a=b&c=%20"), "{}", answer.text());
}

pub(crate) fn head(site: &Site) {
    let browser = browser(site);
    for _ in 0..3 {
        let answer = browser.head("/bytes/1000");
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert!(matches!(answer.header("content-length"), "" | "1000"), "{:?}", answer.headers);
        // A body that was sent all the same would be taken for this answer.
        check_sum(&browser.post("/sum", b"after HEAD"), b"after HEAD");
    }
}

pub(crate) fn post(site: &Site) {
    let browser = browser(site);
    for size in [0, 10, 1 << 20] {
        check_body(&browser, &noise(size, size as u64));
    }
}

pub(crate) fn echo(site: &Site) {
    let browser = browser(site);
    for (seed, size) in [300_000, 1 << 20, 1 << 20].into_iter().enumerate() {
        check_body(&browser, &noise(size, seed as u64));
    }
}

pub(crate) fn large_echo(site: &Site) {
    let browser = browser(site);
    check_echo(&browser, &noise(64 << 20, 64));
    check_sum(&browser.post("/sum", b"after an echo"), b"after an echo");
}

pub(crate) fn chunked(site: &Site) {
    // Larger than a server's buffers: in those it might still find the length for itself.
    let body = noise(300_000, 7);
    let head =
        "POST /sum HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut request = head.as_bytes().to_vec();
    for chunk in body.chunks(30_000).chain([&[][..]]) {
        request.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    let (status, answer) = ask(site.address, &request);
    assert_eq!(status, site.setup.chunked, "{answer}");
    assert!(status != 200 || answer.contains(&sum(&body)), "{answer}");
    works(site);
}

fn cookie(site: &Site) {
    let cookie = format!("c={}", "k".repeat(8192));
    let answer = browser(site).get_with("/env", &[("Cookie", &cookie)]);
    assert_eq!(answer.status, 200);
    assert!(has_param(&answer, "HTTP_COOKIE", &cookie), "{} bytes", answer.body.len());
}

fn large_params(site: &Site) {
    // Each pair stays below 16 KiB, the most that mod_proxy_fcgi sends.
    let value = |number: usize| char::from(b'a' + number as u8).to_string().repeat(12 << 10);
    let headers: String = (0..7).map(|number| format!("X-Large-{number}: {}\r\n", value(number))).collect();
    let request = format!("GET /env HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n");
    let (status, body) = ask(site.address, request.as_bytes());
    assert_eq!(status, site.setup.large_params, "{body:.200}");
    for number in (0..7).filter(|_| status == 200) {
        let line = format!("HTTP_X_LARGE_{number}={}\n", value(number));
        assert!(body.contains(&line), "HTTP_X_LARGE_{number} is missing or cut");
    }
    works(site);
}

pub(crate) fn large_response(site: &Site) {
    let answer = browser(site).get("/bytes/5000000");
    assert_eq!((answer.status, answer.body.len()), (200, 5_000_000));
    assert!(answer.body.iter().all(|&byte| byte == b'x'));
    assert!(matches!(answer.header("content-length"), "" | "5000000"), "{:?}", answer.headers);
}

fn statuses(site: &Site) {
    let browser = browser(site);
    for status in [200, 201, 204, 301, 302, 304, 403, 404, 418, 500, 503] {
        let answer = browser.get(&format!("/status/{status}"));
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.body.is_empty() || !matches!(status, 204 | 304), "{status}: {}", answer.text());
    }
}

fn stderr(site: &Site) {
    // Eight lengths, for every padding. Spaces, because a request line in the log has them as `%20`.
    for length in 1..=8 {
        let text = format!("told the log {}", length.to_string().repeat(length));
        let answer = browser(site).get(&format!("/stderr/{}", text.replace(' ', "%20")));
        assert_eq!((answer.status, answer.text().trim_end()), (200, "ok"));
        assert!(wait_until(|| site.web_log().contains(&text)), "{text:?} is not in the log");
    }
}

fn stream(site: &Site) {
    let answer = browser(site).get("/stream/5/10");
    assert_eq!((answer.status, answer.text().as_str()), (200, "1\n2\n3\n4\n5\n"));
}

fn early(site: &Site) {
    // In one write: nginx sends no more of the body once the response has begun.
    let request = b"POST /early HTTP/1.0\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n0123456789";
    let (status, body) = ask(site.address, request);
    let lines: Vec<&str> = body.lines().collect();
    assert_eq!((status, lines.len(), lines.last()), (200, 2, Some(&sum(b"0123456789").as_str())), "{body}");
}

pub(crate) fn ignored(site: &Site) {
    ignored_bodies(site, 5, &[10, 16 << 10, 1 << 20]);
    works(site);
}

pub(crate) fn answered_unread(site: &Site) {
    unread(site, "/stream/3/100", 6);
    answered_bytes_unread(site);
}

/// The same, of applications that stream nothing.
pub(crate) fn answered_bytes_unread(site: &Site) {
    for length in [131_072, 200_000, 262_144] {
        unread(site, &format!("/bytes/{length}"), length);
    }
    works(site);
}

fn unread(site: &Site, path: &str, length: usize) {
    let began = Instant::now();
    let answer = browser(site).post(path, &vec![b'i'; 1 << 20]);
    assert_eq!((answer.status, answer.body.len()), (200, length));
    // The drain's limit is 5 s.
    assert!(began.elapsed() < Duration::from_secs(3), "{path}: the end is late: {:?}", began.elapsed());
}

fn many_ignored(site: &Site) {
    ignored_bodies(site, 40, &[16 << 10, 1 << 20, 4 << 20]);
}

/// `count` times each of `sizes`: all must be answered.
fn ignored_bodies(site: &Site, count: usize, sizes: &[usize]) {
    for &size in sizes {
        let body = vec![b'i'; size];
        // A new client each time: nginx announces keep-alive, then closes since it did not read the body.
        let statuses = (0..count).map(|_| browser(site).post("/ignore", &body).status);
        let wrong: Vec<_> = statuses.filter(|&status| status != 200).collect();
        assert!(wrong.is_empty(), "{} of {count} at {size} bytes: {wrong:?}", wrong.len());
    }
}

pub(crate) fn panics(site: &Site) {
    let browser = browser(site);
    for _ in 0..3 {
        assert_eq!(browser.get("/panic").status, 500);
        check_sum(&browser.post("/sum", b"after a panic"), b"after a panic");
    }
}

fn fails(site: &Site) {
    for (path, expected) in ["/fail/30000", "/fail/30000/100000"].iter().zip(site.setup.fails) {
        let seen = look(site.address, path);
        assert!(expected.contains(&seen), "{path}: {seen:?}, not {expected:?}");
    }
    assert!(wait_until(
        || site.web_log().contains("failed, as asked for") || drops_stderr(site.setup).is_some()
    ));
    works(site);
}

pub(crate) fn leaves_upload(site: &Site) {
    let head = "POST /sum HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n";
    let begun = [head.as_bytes(), &noise(200_000, 5)].concat();
    for _ in 0..5 {
        drop(begin(site.address, &begun));
        works(site);
    }
}

pub(crate) fn leaves_response(site: &Site) {
    for _ in 0..5 {
        let mut stream = begin(site.address, b"GET /bytes/5000000 HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.read_exact(&mut [0; 100_000]).expect("the response begins");
        drop(stream);
        works(site);
    }
}

pub(crate) fn kept_connections(site: &Site) {
    let browsers = [(); 4].map(|()| browser(site));
    for number in 0..50 {
        for (index, browser) in browsers.iter().enumerate() {
            let body = noise(number * 37, (index * 1000 + number) as u64);
            let answer = browser.post("/sum", &body);
            check_sum(&answer, &body);
            assert_ne!(answer.header("connection"), "close", "request {number}");
        }
    }
}

pub(crate) fn concurrent(site: &Site) {
    thread::scope(|scope| {
        for index in 0..16 {
            scope.spawn(move || {
                let browser = browser(site);
                for round in 0..5 {
                    let body = noise(20_000 + index as usize, index * 100 + round);
                    check_body(&browser, &body);
                }
            });
        }
    });
}

/// A static file that the application guards: 401 or 403 without the header, the file with it.
fn guarded_file(site: &Site) {
    std::fs::write(site.dir().join("www/page.txt"), "for friends\n").expect("a document");
    let browser = browser(site);
    for _ in 0..10 {
        for headers in [&[][..], &[("X-Token", "wrong")]] {
            let answer = browser.get_with("/page.txt", headers);
            assert!(matches!(answer.status, 401 | 403), "{answer:?}");
            assert!(!answer.text().contains("friends"), "{answer:?}");
        }
        let answer = browser.get_with("/page.txt", &[("X-Token", "let-me-in")]);
        assert_eq!((answer.status, answer.text().as_str()), (200, "for friends\n"));
    }
}

pub(crate) fn browser(site: &Site) -> Browser {
    Browser::new(site.address)
}

/// Requests of new clients are answered, and with what belongs to them.
pub(crate) fn works(site: &Site) {
    for number in 0..5 {
        let body = noise(1000 + number, number as u64);
        check_sum(&browser(site).post("/sum", &body), &body);
    }
}

/// Read by its handler before the answer begins, then sent back as it comes.
fn check_body(browser: &Browser, body: &[u8]) {
    check_sum(&browser.post("/sum", body), body);
    check_echo(browser, body);
}

fn check_echo(browser: &Browser, body: &[u8]) {
    let answer = browser.post("/echo", body);
    assert_eq!(answer.status, 200);
    assert!(answer.body == body, "{} bytes came back of {}, or others", answer.body.len(), body.len());
    assert_eq!(answer.header("content-type"), "text/x-test");
}

pub(crate) fn check_sum(answer: &Answer, body: &[u8]) {
    assert_eq!((answer.status, answer.text()), (200, sum(body) + "\n"));
}

pub(crate) fn sum(body: &[u8]) -> String {
    format!("{} {:08x}", body.len(), crc32fast::hash(body))
}

pub(crate) fn has_param(answer: &Answer, name: &str, value: &str) -> bool {
    answer.text().lines().any(|line| line.split_once('=') == Some((name, value)))
}

/// Bytes of every value, the same for the same seed.
pub(crate) fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}
