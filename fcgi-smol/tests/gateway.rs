//! The example `gateway`: what a browser sees of `inspect`, of applications that play a script, and of php-fpm.
//!
//! Without php-fpm its tests are skipped with a line on stderr, or fail if `FCGI_REQUIRE_INTEROP=1`.
#![cfg(unix)]

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

#[path = "adapter/client.rs"]
mod adapter;

#[path = "../../fcgi-blocking/tests/client/script.rs"]
mod script;

mod web;

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use fcgi_proto::record::RecordType;
use script::{App, answer, end, page, stdout};
use support::{PATIENCE, executable, record};
use web::http::{Seen, ask, begin, look};
use web::process::wait_until;
use web::{Fpm, Gateway, Inspect, example, folder, skip};

#[test]
fn without_arguments_it_shows_the_page_of_inspect_and_ends_in_good_order() {
    let mut gateway = Gateway::start(&[]);
    let page = gateway.browser().get("/some/where?a=%20b");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    for (name, value) in [
        ("REQUEST_URI", "/some/where?a=%20b"),
        ("QUERY_STRING", "a=%20b"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("SERVER_PORT", &gateway.address.port().to_string()),
        ("HTTP_HOST", &gateway.address.to_string()),
    ] {
        let row = format!("<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>");
        assert!(page.text().contains(&row), "{row}: {}", page.text());
    }
    assert!(gateway.stop().success(), "{}", gateway.log());
    let left = fs::read_dir(gateway.dir.path().join("tmp")).expect("the folder").count();
    assert_eq!(left, 0, "its socket is gone");
}

#[test]
fn a_bad_argument_is_one_line_and_status_2() {
    let dir = folder();
    for (arguments, says) in [
        (&["--app", "nowhere"][..], "nowhere"),
        (&["--app", "fd:0"], "fd:0"),
        (&["--root", "/nonexistent"], "/nonexistent"),
        (&["--listen", "here"], "here"),
        (&["extra"], "extra"),
    ] {
        let output = example("gateway", dir.path()).args(arguments).output().expect("it runs");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says) && said.contains("usage") && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn bodies_of_every_size_go_through_both_ways() {
    let gateway = Gateway::start(&[]);
    let browser = gateway.browser();
    for size in [0, 1, 65_535, 65_536, 3_000_000] {
        let body: Vec<u8> = (0..size).map(|number: u32| (number % 251) as u8).collect();
        let sum = browser.post("/sum", &body).text();
        assert_eq!(sum, format!("{size} {:08x}\n", crc32fast::hash(&body)));
        let echo = browser.post("/echo", &body);
        assert_eq!(echo.header("content-type"), "text/x-test");
        assert!(echo.body == body, "{} bytes of {size}", echo.body.len());
    }
}

#[test]
fn a_chunked_body_arrives_with_a_content_length() {
    let gateway = Gateway::start(&[]);
    let head = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
    };
    let chunk = "x".repeat(0x20000);
    let request = format!("{}20000\r\n{chunk}\r\n20000\r\n{chunk}\r\n0\r\n\r\n", head("/sum"));
    let (status, body) = ask(gateway.address, request.as_bytes());
    let sum = format!("{} {:08x}\n", 0x40000, crc32fast::hash("x".repeat(0x40000).as_bytes()));
    assert!(status == 200 && body.contains(&sum), "{status} {body}");
    let request = format!("{}3\r\nabc\r\n0\r\n\r\n", head("/env"));
    let (_, body) = ask(gateway.address, request.as_bytes());
    assert!(body.contains("\nCONTENT_LENGTH=3\n"), "{body}");
    assert!(!body.contains("TRANSFER_ENCODING"), "{body}");
}

/// The lines of an answer, and what more is to be sent.
fn lines(stream: &TcpStream) -> impl Iterator<Item = String> + use<> {
    let reader = BufReader::new(stream.try_clone().expect("a descriptor"));
    reader.lines().map(|line| line.expect("a line in time"))
}

#[test]
fn who_expects_100_continue_is_told_to_go_on() {
    let gateway = Gateway::start(&[]);
    let head = "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    let mut stream = begin(gateway.address, head.as_bytes());
    let mut lines = lines(&stream);
    assert_eq!(lines.next().as_deref(), Some("HTTP/1.1 100 Continue"));
    stream.write_all(b"abc").expect("it is read");
    assert_eq!(lines.nth(1).as_deref(), Some("HTTP/1.1 200 OK"));
    assert!(lines.any(|line| line == "abc"));
}

#[test]
fn an_answer_that_begins_before_the_body_ended_is_passed_on_and_the_body_goes_on() {
    let gateway = Gateway::start(&["--stream"]);
    let head = "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc";
    let mut stream = begin(gateway.address, head.as_bytes());
    let mut lines = lines(&stream);
    assert!(lines.any(|line| line == "early"));
    stream.write_all(b"def").expect("it is read");
    let sum = format!("6 {:08x}", crc32fast::hash(b"abcdef"));
    assert!(lines.any(|line| line == sum));
}

#[test]
fn a_stream_arrives_line_by_line_and_ends_when_the_browser_leaves() {
    let mut gateway = Gateway::start(&[]);
    let stream = begin(gateway.address, b"GET /stream/2/600000 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(lines(&stream).any(|line| line == "1"));
    stream.shutdown(Shutdown::Both).expect("it was open");
    drop(stream);
    // It waits for the answers that are under way: there is none left.
    assert!(gateway.stop().success(), "{}", gateway.log());
}

#[test]
fn what_runs_at_sigterm_is_finished_and_nobody_else_let_in() {
    let mut gateway = Gateway::start(&[]);
    let idle = begin(gateway.address, b"GET /status/200 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(lines(&idle).any(|line| line == "200 OK"));
    let stream = begin(gateway.address, b"GET /stream/2/1000 HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut lines = lines(&stream);
    assert!(lines.any(|line| line == "1"));
    gateway.terminate();
    assert!(wait_until(|| TcpStream::connect(gateway.address).is_err()), "nobody accepts any more");
    assert!(gateway.is_running());
    assert!(lines.any(|line| line == "2"));
    assert!(wait_until(|| !gateway.is_running()));
    assert!(gateway.stop().success(), "{}", gateway.log());
}

/// The head of the answer, and what follows.
fn raw(gateway: &Gateway, request: &str) -> (String, Vec<u8>) {
    let mut stream = begin(gateway.address, request.as_bytes());
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the connection is closed in time");
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").expect("a head") + 4;
    let body = answer.split_off(end);
    (String::from_utf8(answer).expect("text").to_ascii_lowercase(), body)
}

fn request(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
}

#[test]
fn haproxy_2022_04_07_no_length_is_added_to_an_answer_to_head_nor_beside_chunked() {
    let gateway = Gateway::start(&[]);
    let (head, body) = raw(&gateway, &request("HEAD /bytes/5"));
    assert!(head.starts_with("http/1.1 200") && head.contains("\r\ncontent-length: 5\r\n"), "{head}");
    assert!(body.is_empty());
    for line in ["HEAD /env", "GET /status/204", "GET /status/304"] {
        let (head, body) = raw(&gateway, &request(line));
        assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{line}: {head}");
        assert!(body.is_empty(), "{line}");
    }
    let (head, body) = raw(&gateway, &request("GET /status/404"));
    assert!(head.contains("transfer-encoding: chunked") && !head.contains("content-length"), "{head}");
    assert_eq!(body, b"E\r\n404 Not Found\n\r\n0\r\n\r\n");
}

#[test]
fn the_servers_name_is_the_one_that_the_browser_calls_it_by_if_it_is_a_name() {
    let gateway = Gateway::start(&[]);
    for (target, host, expected) in [
        ("/env", "www.example.org", "www.example.org"),
        ("/env", "www.example.org:8080", "www.example.org"),
        ("/env", "[::1]:8080", "[::1]"),
        ("http://a.example/env", "b.example", "a.example"),
        ("/env", "a'b", "127.0.0.1"),
        ("/env", "", "127.0.0.1"),
    ] {
        let request = format!("GET {target} HTTP/1.0\r\nHost: {host}\r\n\r\n");
        let (_, body) = raw(&gateway, &request);
        let body = String::from_utf8(body).expect("text");
        assert!(body.lines().any(|line| line == format!("SERVER_NAME={expected}")), "{host:?}: {body}");
    }
}

#[test]
fn what_is_no_request_for_an_application_is_answered_here() {
    let app = App::tcp(|_, _| panic!("nobody is asked"));
    let gateway = Gateway::start(&["--app", &app.endpoint.to_string()]);
    let long = "x".repeat(70_000);
    for (bytes, expected) in [
        ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n".to_owned(), 400),
        (request("GET /a%00.php"), 400),
        (request("GET /a%0d%0ab"), 400),
        (request("GET /a%"), 400),
        (request("OPTIONS *"), 400),
        (request("CONNECT h:80"), 400),
        (format!("GET / HTTP/1.1\r\nHost: h\r\nX-Long: {long}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(200)), 431),
        // Without waiting for it, and without a word of 100.
        (
            "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1073741825\r\n\
             Connection: close\r\n\r\n"
                .to_owned(),
            413,
        ),
    ] {
        let (status, _) = ask(gateway.address, bytes.as_bytes());
        assert_eq!(status, expected, "{:.80}", bytes);
    }
    assert_eq!(app.connections(), 0);
}

#[test]
fn http_1_0_without_a_host_is_served() {
    let gateway = Gateway::start(&[]);
    let (head, body) = raw(&gateway, "GET /env HTTP/1.0\r\n\r\n");
    assert!(head.starts_with("http/1.0 200"), "{head}");
    let text = String::from_utf8(body).expect("text");
    assert!(text.contains("\nSERVER_PROTOCOL=HTTP/1.0\n") && !text.contains("HTTP_HOST"), "{text}");
}

#[test]
fn nobody_to_ask_is_502_and_a_line_in_the_log() {
    let gateway = Gateway::start(&["--app", "unix:/nonexistent/socket"]);
    let page = gateway.browser().get("/a?b");
    assert_eq!((page.status, page.header("content-type")), (502, "text/html; charset=utf-8"));
    for text in ["<h1>502 Bad Gateway</h1>", "The application behind this server did not answer"] {
        assert!(page.text().contains(text), "{}", page.text());
    }
    assert!(
        gateway.log().contains("GET /a?b: cannot connect to unix:/nonexistent/socket"),
        "{}",
        gateway.log()
    );
}

#[test]
fn an_application_that_refuses_is_503_with_retry_after() {
    let app = App::tcp(|_, peer| {
        peer.serve(script::end(0, 2));
    });
    let gateway = Gateway::start(&["--app", &app.endpoint.to_string()]);
    let page = gateway.browser().get("/");
    assert_eq!((page.status, page.header("retry-after")), (503, "1"));
    drop(gateway);
}

#[test]
fn nginx_2020_07_06_an_answer_that_is_cut_short_is_cut_for_the_browser_too() {
    for (output, received) in [
        ("Content-Length: 9\r\n\r\nshort", "short"),
        ("Content-Type: text/plain\r\n\r\nshort", "5\r\nshort\r\n"),
    ] {
        let (tell, told) = mpsc::channel();
        let told = Mutex::new(told);
        let app = App::tcp(move |_, peer| {
            peer.serve(stdout(output));
            let told = told.lock().expect("nobody panics with it");
            told.recv_timeout(PATIENCE).expect("the browser has it");
        });
        let gateway = Gateway::start(&["--app", &app.endpoint.to_string()]);
        let mut stream = begin(gateway.address, request("GET /").as_bytes());
        let mut answer = String::new();
        while !answer.ends_with(received) {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("it arrives");
            answer.push(byte[0].into());
        }
        tell.send(()).expect("it waits");
        // It is closed, in good order or not, without what would say that it is whole.
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "{answer}");
        drop(gateway);
    }
}

#[test]
fn w32_a_handler_that_fails_half_way_is_cut_for_the_browser() {
    let gateway = Gateway::start(&[]);
    for path in ["/fail/30000", "/fail/30000/100000"] {
        assert_eq!(look(gateway.address, path), Seen::Cut, "{path}");
    }
    assert!(wait_until(|| gateway.log().contains("failed, as asked for")), "{}", gateway.log());
}

#[test]
fn nginx_2020_07_06_an_answer_that_goes_on_behind_its_length_is_cut() {
    let app = App::tcp(|_, peer| {
        peer.serve(answer("Content-Length: 2\r\n\r\nok, and more"));
        peer.serve(page("next"));
    });
    let gateway = Gateway::start(&["--app", &app.endpoint.to_string(), "--keep", "1"]);
    let browser = gateway.browser();
    assert_eq!(browser.get("/").text(), "ok");
    assert_eq!(browser.get("/").text(), "next");
    assert_eq!(app.connections(), 1);
    drop(gateway);
}

#[test]
fn a_browser_that_leaves_in_its_upload_leaves_no_request_behind() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let app = App::tcp(move |_, peer| {
        while let Some((record_type, content)) = peer.record() {
            assert!(record_type != RecordType::Stdin || !content.is_empty(), "a short STDIN has no end");
            if record_type == RecordType::Stdin {
                tell.lock().expect("nobody panics with it").send("begun").expect("the test waits");
            }
        }
        tell.lock().expect("nobody panics with it").send("closed").expect("the test waits");
    });
    let gateway = Gateway::start(&["--app", &app.endpoint.to_string(), "--stream"]);
    for half in [Shutdown::Write, Shutdown::Both] {
        let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc";
        let stream = begin(gateway.address, head.as_bytes());
        assert_eq!(told.recv_timeout(PATIENCE), Ok("begun"));
        stream.shutdown(half).expect("it is open");
        assert_eq!(told.recv_timeout(PATIENCE), Ok("closed"));
    }
    drop(gateway);
}

#[test]
fn haproxy_2026_08_07_php_cve_2024_9026_stderr_is_in_the_log_line_by_line_and_escaped() {
    let app = App::tcp(|_, peer| {
        let stderr = |text: &[u8]| record(RecordType::Stderr, 1, text);
        peer.serve([stderr(b"one\ntw"), stderr(b"o\r\n\x1b[2Jthree\0\n"), page("ok")].concat());
    });
    let gateway = Gateway::start(&["--app", &app.endpoint.to_string()]);
    assert_eq!(gateway.browser().get("/").text(), "ok");
    let lines = ["] one\n", "] two\n", "] \\u{1b}[2Jthree\\0\n"];
    assert!(wait_until(|| lines.iter().all(|line| gateway.log().contains(line))), "{}", gateway.log());
    assert!(!gateway.log().contains(['\r', '\0', '\x1b']), "{:?}", gateway.log());
    drop(gateway);
}

#[test]
fn stderr_is_in_the_log_before_there_is_an_answer_and_while_it_is_under_way() {
    let (tell, told) = mpsc::channel();
    let told = Mutex::new(told);
    let app = App::tcp(move |_, peer| {
        let told = told.lock().expect("nobody panics with it");
        let seen = || told.recv_timeout(PATIENCE).expect("it is in the log before anything else comes");
        peer.serve(record(RecordType::Stderr, 1, b"first\n"));
        seen();
        peer.send(
            [stdout("Content-Type: text/plain\r\n\r\nok"), record(RecordType::Stderr, 1, b"second\n")]
                .concat(),
        );
        seen();
        peer.send(end(0, 0));
    });
    let gateway = Gateway::start(&["--app", &app.endpoint.to_string()]);
    let asking = {
        let browser = gateway.browser();
        thread::spawn(move || browser.get("/").text())
    };
    for line in ["] first\n", "] second\n"] {
        assert!(wait_until(|| gateway.log().contains(line)), "{}", gateway.log());
        tell.send(()).expect("it waits");
    }
    assert_eq!(asking.join().expect("it asks"), "ok");
    drop(gateway);
}

#[test]
fn what_a_head_says_oddly_reaches_a_browser_as_it_should() {
    for (head, begins, fields) in [
        ("Status: 999\r\nA: b\r\n\r\n", "HTTP/1.1 999 \r\n", &["a: b"][..]),
        ("Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n", "HTTP/1.1 200 OK\r\n", &["content-type: c/d"]),
        ("Connection: X-Priv\r\nX-Priv: secret\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\n", &["a: b"]),
        ("Status: 204\r\nContent-Length: 4\r\n\r\n", "HTTP/1.1 204 No Content\r\n", &[]),
    ] {
        let app = App::tcp(move |_, peer| drop(peer.serve(answer(head))));
        let gateway = Gateway::start(&["--app", &app.endpoint.to_string()]);
        for method in ["GET", "HEAD"] {
            let request = format!("{method} / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
            let mut said = String::new();
            begin(gateway.address, request.as_bytes()).read_to_string(&mut said).expect("an answer");
            let (head, _) = said.split_once("\r\n\r\n").expect("a head");
            let of_the_front = ["date: ", "connection: ", "transfer-encoding: ", "content-length: 0"];
            let found: Vec<_> = head
                .lines()
                .skip(1)
                .filter(|line| !of_the_front.iter().any(|own| line.starts_with(own)))
                .collect();
            assert!(said.starts_with(begins), "{said}");
            assert_eq!(found, fields, "{method}: {said}");
        }
        drop(gateway);
    }
}

#[test]
fn requests_are_spread_over_all_applications() {
    let named = |name: &'static str| {
        App::tcp(move |_, peer| {
            while peer.try_request().is_some() {
                peer.send(page(name));
            }
        })
    };
    let apps = [named("one"), named("two"), named("three")];
    let addresses = apps.each_ref().map(|app| app.endpoint.to_string());
    let gateway = Gateway::start(&["--app", &addresses[0], "--app", &addresses[1], "--app", &addresses[2]]);
    let browser = gateway.browser();
    let names: HashSet<String> = (0..6).map(|_| browser.get("/").text()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    drop(gateway);
}

#[test]
fn a_dead_application_is_skipped_and_asked_again_when_it_is_back() {
    let (mut one, mut two) = (Inspect::start(), Inspect::start());
    let gateway = Gateway::start(&["--app", &one.address(), "--app", &two.address()]);
    let browser = gateway.browser();
    let all_is_well = || (0..10).for_each(|_| assert_eq!(browser.get("/bytes/1").text(), "x"));
    all_is_well();
    one.stop();
    all_is_well();
    two.stop();
    assert_eq!(browser.get("/").status, 502);
    one.restart();
    assert!(wait_until(|| browser.get("/").status == 200), "{}", gateway.log());
    two.restart();
    all_is_well();
}

const SHOW: &str = "<?php
    header('Content-Type: text/plain');
    foreach (['REQUEST_METHOD', 'SCRIPT_NAME', 'SCRIPT_FILENAME', 'PATH_INFO', 'DOCUMENT_URI', 'DOCUMENT_ROOT', 'QUERY_STRING',
        'PHP_SELF', 'PHP_AUTH_USER', 'HTTP_HOST'] as $name) {
        echo $name, '=', $_SERVER[$name] ?? '(none)', \"\\n\";
    }
    foreach ($_POST as $name => $value) { echo \"POST $name=$value\\n\"; }
    foreach ($_FILES as $name => $file) {
        echo \"FILE $name={$file['name']} \", hash_file('crc32b', $file['tmp_name']), \"\\n\";
    }
";

#[test]
fn php_fpm_gets_a_get_a_form_a_path_behind_the_script_and_an_upload() {
    let fpm = match Fpm::start(&[("show.php", SHOW), ("sub/index.php", SHOW), ("style.css", "")]) {
        Ok(fpm) => fpm,
        Err(reason) => return skip(&reason),
    };
    let gateway = fpm.gateway();
    let (browser, root) = (gateway.browser(), fpm.root());
    let root = root.to_str().expect("UTF-8");
    let assert_has = |text: &str, lines: &[&str]| {
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "{line}: {text}\n{}", gateway.log());
        }
    };

    let script = format!("SCRIPT_FILENAME={root}/show.php");
    let document_root = format!("DOCUMENT_ROOT={root}");
    let text = browser.get_with("/show.php?a=%20b", &[("Authorization", "Basic dXNlcjpwYXNz")]).text();
    assert_has(&text, &["SCRIPT_NAME=/show.php", &script, &document_root, "QUERY_STRING=a=%20b"]);
    assert_has(&text, &["PATH_INFO=(none)", "PHP_AUTH_USER=user", "PHP_SELF=/show.php"]);

    let text = browser.get("/show.php/caf%C3%A9/x.php?a").text();
    assert_has(&text, &["SCRIPT_NAME=/show.php", &script, "PATH_INFO=/café/x.php", "QUERY_STRING=a"]);
    assert_has(&text, &["DOCUMENT_URI=/show.php/café/x.php"]);

    let form = browser.post_as("/show.php", "application/x-www-form-urlencoded", b"word=caf%C3%A9+noir");
    assert_has(&form.text(), &["REQUEST_METHOD=POST", "POST word=café noir"]);

    let content: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    let part = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\n\r\n";
    let body = [part.as_bytes(), &content, b"\r\n--b--\r\n"].concat();
    let upload = browser.post_as("/show.php", "multipart/form-data; boundary=b", &body);
    assert_has(&upload.text(), &[&format!("FILE f=a.bin {:08x}", crc32fast::hash(&content))]);

    let index = format!("SCRIPT_FILENAME={root}/sub/index.php");
    assert_has(&browser.get("/sub/?a").text(), &["SCRIPT_NAME=/sub/index.php", &index]);
    let to_folder = browser.get("/sub?a");
    assert_eq!((to_folder.status, to_folder.header("location")), (301, "/sub/?a"));

    for path in ["/missing.php", "/style.css/x.php", "/show.php.", "/show.php%20", "/"] {
        assert_eq!(browser.get(path).status, 404, "{path}");
    }
    assert_eq!(browser.get("/show.php%00").status, 400);
    let head = browser.head("/show.php");
    assert_eq!((head.status, head.body.len()), (200, 0));
}
