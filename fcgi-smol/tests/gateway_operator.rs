//! The example `gateway` as an operator meets it: where it listens, what it logs, what it says of a wrong command line,
//! and what it does when descriptors run out.
#![cfg(unix)]

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

#[path = "adapter/client.rs"]
mod adapter;

#[path = "../../fcgi-blocking/tests/client/script.rs"]
mod script;

mod web;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, mpsc};

use script::App;
use support::{PATIENCE, executable};
use tempfile::TempDir;
use web::http::{ask, begin};
use web::process::{Process, wait_until};
use web::{Gateway, example, folder};

fn env(gateway: &Gateway, fields: &str) -> String {
    let request = format!("GET /env HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n");
    ask(gateway.address, request.as_bytes()).1
}

#[track_caller]
fn assert_line(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "{line}: {text}");
}

#[test]
fn applications_are_told_what_nginx_tells_them() {
    let gateway = Gateway::start(&[]);
    // Zoë:pass:word
    let text = env(&gateway, "Authorization: Basic Wm/DqzpwYXNzOndvcmQ=\r\n");
    assert_line(&text, "REMOTE_USER=Zo\u{eb}");
    assert_line(&text, "HTTP_AUTHORIZATION=Basic Wm/DqzpwYXNzOndvcmQ=");
    assert_line(&text, "CONTENT_TYPE=");
    for fields in [
        "",
        "Authorization: Bearer abc\r\n",
        "Authorization: Basic !\r\n",
        "Authorization: Basic OnBhc3M=\r\n",
    ] {
        let text = env(&gateway, fields);
        assert!(!text.contains("REMOTE_USER"), "{fields}: {text}");
    }
    let text = env(&gateway, "Content-Type: text/x-own\r\nRemote-User: admin\r\n");
    assert_line(&text, "CONTENT_TYPE=text/x-own");
    assert!(!text.lines().any(|line| line.starts_with("REMOTE_USER=")), "{text}");
}

/// The line of the access log for this request, without its date.
fn line(log: &Path, request: &str) -> String {
    let mut found = None;
    wait_until(|| {
        let text = fs::read_to_string(log).unwrap_or_default();
        found = text.lines().find(|line| line.contains(request)).map(str::to_owned);
        found.is_some()
    });
    let found = found.unwrap_or_else(|| panic!("{request}: {:?}", fs::read_to_string(log)));
    let (who, rest) = found.split_once(" [").expect("a date");
    let (date, rest) = rest.split_once("] ").expect("a date");
    let is_shape = |(byte, shape): (u8, u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        b'a' => byte.is_ascii_alphabetic(),
        other => byte == other,
    };
    let shape = b"00/aaa/0000:00:00:00 +0000";
    assert!(date.len() == shape.len() && date.bytes().zip(*shape).all(is_shape), "{date}");
    format!("{who} {rest}")
}

#[test]
fn the_access_log_has_a_line_for_each_request_when_it_is_over() {
    let dir = folder();
    fs::create_dir(dir.path().join("www")).expect("a folder can be made");
    fs::write(dir.path().join("www/a.txt"), "0123456789").expect("a file can be written");
    fs::write(dir.path().join("www/index.php"), "").expect("a file can be written");
    let (log, root) = (dir.path().join("access.log"), dir.path().join("www"));
    let [log_name, root] = [&log, &root].map(|path| path.to_str().expect("UTF-8"));
    let gateway = Gateway::start(&["--root", root, "--index", "/index.php", "--access-log", log_name]);
    let get = |path: &str, fields: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n");
        ask(gateway.address, request.as_bytes()).0
    };
    let fields = "Authorization: Basic Sm9obiBEb2U6eA==\r\nReferer: http://a/\"b\"\r\nUser-Agent: c\r\n";
    assert_eq!(get("/bytes/1000?a=b", fields), 200);
    let expected =
        "127.0.0.1 - John\\x20Doe \"GET /bytes/1000?a=b HTTP/1.1\" 200 1000 \"http://a/\\\"b\\\"\" \"c\" 0.";
    let found = line(&log, "/bytes/1000");
    assert!(found.starts_with(expected), "{found}");
    for (path, fields, status, expected) in [
        ("/a.txt", "", 200, "200 10 \"-\" \"-\" 0."),
        ("/a.txt?2", "Range: bytes=0-3\r\n", 206, "206 4 \"-\" \"-\" 0."),
        ("/status/404", "", 404, "404 14 \"-\" \"-\" 0."),
    ] {
        assert_eq!(get(path, fields), status);
        let found = line(&log, &format!("GET {path} "));
        let expected = format!("127.0.0.1 - - \"GET {path} HTTP/1.1\" {expected}");
        assert!(found.starts_with(&expected), "{found}");
    }
}

#[test]
fn a_browser_that_leaves_before_there_is_an_answer_is_499_in_the_access_log() {
    let (tell, asked) = mpsc::channel();
    let tell = Mutex::new(tell);
    let app = App::tcp(move |_, peer| {
        peer.request();
        tell.lock().expect("nobody panics with it").send(()).expect("the test waits");
        while peer.record().is_some() {}
    });
    let dir = folder();
    let log = dir.path().join("access.log");
    let arguments = ["--app", &app.endpoint.to_string(), "--access-log", log.to_str().expect("UTF-8")];
    let gateway = Gateway::start(&arguments);
    let browser = begin(gateway.address, b"GET /long HTTP/1.1\r\nHost: h\r\n\r\n");
    asked.recv_timeout(PATIENCE).expect("it is asked");
    drop(browser);
    assert!(line(&log, "/long").contains("\" 499 0 \""));
    drop(gateway);
}

/// A gateway on a Unix socket, and its folder.
fn on_a_unix_socket() -> (Process, TempDir, UnixStream) {
    let dir = folder();
    let (socket, log) = (dir.path().join("socket"), dir.path().join("log"));
    let mut command = example("gateway", dir.path());
    let process = Process::start(command.arg("--listen").arg(&socket), &log);
    let ready = format!("Listening on unix:{}\n", socket.display());
    assert!(wait_until(|| fs::read_to_string(&log).is_ok_and(|text| text == ready)), "{:?}", fs::read(&log));
    let stream = UnixStream::connect(socket).expect("it accepts");
    (process, dir, stream)
}

#[test]
fn it_listens_on_a_unix_socket_and_ends_at_sighup_without_leaving_it() {
    let (mut process, dir, mut stream) = on_a_unix_socket();
    stream.write_all(b"GET /env HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert_line(&text, "REMOTE_ADDR=unix:");
    assert_line(&text, "SERVER_NAME=h");
    process.hang_up();
    assert!(wait_until(|| !process.is_running()));
    assert!(process.stop().success());
    assert!(!dir.path().join("socket").exists());
}

#[test]
fn on_a_socket_for_both_ipv4_addresses_are_told_as_such() {
    let gateway = Gateway::start(&["--listen", "[::]:0"]);
    let address = (Ipv4Addr::LOCALHOST, gateway.address.port()).into();
    let (_, text) = ask(address, b"GET /env HTTP/1.0\r\n\r\n");
    assert_line(&text, "REMOTE_ADDR=127.0.0.1");
    assert_line(&text, "SERVER_ADDR=127.0.0.1");
}

#[test]
fn it_listens_on_a_name() {
    let gateway = Gateway::start(&["--listen", "localhost:0"]);
    assert!(gateway.address.ip().is_loopback(), "{}", gateway.address);
    assert_eq!(gateway.browser().get("/bytes/1").text(), "x");
}

#[test]
fn a_wrong_value_is_named_with_what_is_allowed() {
    let dir = folder();
    let www = dir.path().to_str().expect("UTF-8");
    for (arguments, says) in [
        (&["--listen", "here"][..], &["--listen \"here\"", "127.0.0.1:8080", "localhost:8080", "unix:"][..]),
        (&["--listen", "127.0.0.1:99999"], &["--listen \"127.0.0.1:99999\"", "unix:/path/to/socket"]),
        (&["--connections", "0"], &["--connections \"0\"", "a number from 1 up"]),
        (&["--connections", "many"], &["--connections \"many\"", "a number from 1 up"]),
        (&["--queue", "-1"], &["--queue \"-1\"", "a number from 0 up"]),
        (&["--wait", "1s"], &["--wait \"1s\"", "a number from 0 up"]),
        (&["--keep", ""], &["--keep \"\"", "a number from 0 up"]),
        (&["--root", "/nonexistent/folder"], &["--root /nonexistent/folder", "name a folder"]),
        (&["--root", "/etc/hostname"], &["--root /etc/hostname", "name a folder"]),
        (&["--root", www, "--links", "/nonexistent"], &["--links /nonexistent", "name a folder"]),
        (&["--root", www, "--index", "index.php"], &["--index \"index.php\"", "/index.php"]),
        (&["--index", "/index.php"], &["--index", "--root"]),
        (&["--access-log", "/nonexistent/log"], &["--access-log /nonexistent/log", "No such file"]),
        (&["--app", "localhost:9000"], &["\"localhost:9000\"", "names are not looked up"]),
    ] {
        let output = example("gateway", dir.path()).args(arguments).output().expect("it runs");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{arguments:?}: {said}");
        for part in says {
            assert!(said.contains(part), "{arguments:?}: {said}");
        }
        assert!(said.contains("(usage: gateway "), "{said}");
    }
}

#[test]
fn with_few_descriptors_two_hundred_idle_browsers_keep_nobody_from_an_answer() {
    let gateway = Gateway::with_descriptors(64, &[]);
    let mut idle: Vec<_> =
        (0..200).map(|_| TcpStream::connect(gateway.address).expect("the system accepts")).collect();
    for _ in 0..50 {
        assert_eq!(gateway.browser().get("/bytes/1").text(), "x");
    }
    assert_eq!(idle[0].read(&mut [0]).unwrap_or(0), 0, "the oldest one was closed");
    let log = gateway.log();
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(log.contains("all 16 connections are taken; for each further one the oldest"), "{log}");
}
