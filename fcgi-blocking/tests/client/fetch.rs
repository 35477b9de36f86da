//! The example `fetch` as a program: what it prints, and where, and how it exits.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use crate::script::{App, Asked, answer, end, page, stdout};
use crate::support::child::{Serving, example, example_of};
use crate::support::disk::Small;
use crate::support::skipped::skipped;
use crate::support::{PATIENCE, record};
use fcgi_blocking::{BoxError, Role};
use fcgi_proto::record::{ProtocolStatus, RecordType};

/// A running `fetch`; killed and reaped when dropped.
struct Fetch {
    child: Child,
}

/// How it ended.
#[derive(Debug)]
struct Done {
    status: Option<i32>,
    out: Vec<u8>,
    log: String,
}

impl Done {
    #[track_caller]
    fn assert(&self, status: i32, out: impl AsRef<[u8]>, log: &str) {
        let text = String::from_utf8_lossy(&self.out);
        assert_eq!(
            (self.status, &*text),
            (Some(status), &*String::from_utf8_lossy(out.as_ref())),
            "{}",
            self.log
        );
        assert_eq!(self.log, log);
    }

    /// Nothing but one line on stderr, which has these words.
    #[track_caller]
    fn assert_failed(&self, status: i32, words: &str) {
        assert_eq!((self.status, &self.out[..]), (Some(status), &b""[..]), "{self:?}");
        assert!(self.log.contains(words), "{:?}", self.log);
        assert!(self.log.ends_with('\n') && self.log.lines().count() == 1, "one line: {:?}", self.log);
    }
}

impl Fetch {
    fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, |_| ())
    }

    fn start_with(arguments: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let mut command = example("fetch");
        change(&mut command);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: command.spawn().expect("it can be started") }
    }

    fn finish(mut self, input: &[u8]) -> Done {
        let mut stdin = self.child.stdin.take().expect("a pipe");
        let out = collect(self.child.stdout.take().expect("a pipe"));
        let log = collect(self.child.stderr.take().expect("a pipe"));
        let input = input.to_vec();
        // It may end without having read it.
        thread::spawn(move || stdin.write_all(&input));
        let out = out.recv_timeout(PATIENCE).expect("it ends in time");
        let log = String::from_utf8(log.recv_timeout(PATIENCE).expect("it ends in time")).expect("text");
        Done { status: self.child.wait().expect("it can be waited for").code(), out, log }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        // Errors say that it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        sender.send(bytes)
    });
    receiver
}

fn fetch(arguments: &[&str]) -> Done {
    Fetch::start(arguments).finish(b"")
}

/// Asks an application that answers `bytes`; with what was asked.
fn fetch_from(bytes: impl Into<Vec<u8>>, arguments: &[&str], input: &[u8]) -> (Done, Asked) {
    let bytes = bytes.into();
    let (sender, asked) = mpsc::channel();
    let app = App::unix(move |_, peer| {
        sender.send(peer.serve(&bytes)).expect("the test waits");
        peer.assert_closed();
    });
    let address = app.endpoint.to_string();
    let done = Fetch::start(&[&[&address[..]], arguments].concat()).finish(input);
    (done, asked.recv_timeout(PATIENCE).expect("a request"))
}

/// Asks an application that closes after `bytes`.
fn fetch_cut(bytes: impl Into<Vec<u8>>) -> Done {
    let bytes = bytes.into();
    let app = App::unix(move |_, peer| drop(peer.serve(&bytes)));
    fetch(&[&app.endpoint.to_string(), "/"])
}

#[test]
fn the_head_and_the_body_go_to_stdout_and_stderr_to_stderr() {
    let bytes = [
        stdout("Set-Cookie: a=1\r\nStatus: 404 Nothing here\nset-cookie:  b=2 \r\n\r\nfirst "),
        record(RecordType::Stderr, 1, b"a warning\n"),
        answer(b"second \0\xff"),
    ]
    .concat();
    let (done, asked) = fetch_from(bytes, &["/a%20b?c=d"], b"not asked for");
    let head = "Status: 404 Nothing here\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\r\n";
    done.assert(0, [head.as_bytes(), b"first second \0\xff"].concat(), "a warning\n");
    assert!(!asked.keep_conn);
    for (name, value) in [
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/a%20b?c=d"),
        ("QUERY_STRING", "c=d"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("HTTP_HOST", "localhost"),
    ] {
        assert_eq!(asked.param(name), Some(value), "{name}");
    }
    assert_eq!(asked.param("CONTENT_LENGTH"), None);
}

#[test]
fn what_comes_is_printed_as_it_comes() {
    let (sender, read) = mpsc::channel();
    let read = std::sync::Mutex::new(read);
    let app = App::tcp(move |_, peer| {
        let read = read.lock().expect("nobody panics with it");
        peer.serve(stdout("A: b\r\n\r\nfirst\n"));
        read.recv_timeout(PATIENCE).expect("the first line is printed before the second is sent");
        peer.send(answer("second\n"));
    });
    let mut fetch = Fetch::start(&[&app.endpoint.to_string(), "/"]);
    let pipe = fetch.child.stdout.take().expect("a pipe");
    let (lines, printed) = mpsc::channel();
    thread::spawn(move || -> Result<(), BoxError> {
        for line in BufReader::new(pipe).lines() {
            lines.send(line?)?;
        }
        Ok(())
    });
    let line = || printed.recv_timeout(PATIENCE).expect("a line in time");
    assert_eq!([line(), line(), line(), line()], ["Status: 200 OK", "A: b", "", "first"]);
    sender.send(()).expect("the script waits");
    assert_eq!(line(), "second");
    assert_eq!(fetch.child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn what_comes_on_stderr_is_printed_before_there_is_an_answer() {
    let (sender, read) = mpsc::channel();
    let read = std::sync::Mutex::new(read);
    let app = App::tcp(move |_, peer| {
        let read = read.lock().expect("nobody panics with it");
        peer.serve(record(RecordType::Stderr, 1, b"a warning\n"));
        read.recv_timeout(PATIENCE).expect("it is printed before anything else is sent");
        peer.send(answer("A: b\r\n\r\n"));
    });
    let mut fetch = Fetch::start(&[&app.endpoint.to_string(), "/"]);
    let mut line = String::new();
    let mut pipe = BufReader::new(fetch.child.stderr.take().expect("a pipe"));
    pipe.read_line(&mut line).expect("a pipe can be read");
    assert_eq!(line, "a warning\n");
    sender.send(()).expect("the script waits");
    assert_eq!(fetch.child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn the_exit_status_is_the_application_status_of_125_at_most() {
    for (app_status, expected) in
        [(0, 0), (1, 1), (42, 42), (125, 125), (126, 125), (256, 125), (u32::MAX, 125)]
    {
        let (done, _) = fetch_from([stdout("A: b\r\n\r\n"), end(app_status, 0)].concat(), &["/"], b"");
        done.assert(expected, "Status: 200 OK\r\nA: b\r\n\r\n", "");
    }
    // Of an application that counts its protocol statuses from 1.
    let (done, _) = fetch_from([stdout("A: b\r\n\r\n"), end(0, 1)].concat(), &["/"], b"");
    done.assert(0, "Status: 200 OK\r\nA: b\r\n\r\n", "");
}

#[test]
fn a_refused_request_exits_with_126_and_its_reason() {
    let statuses = [ProtocolStatus::CantMpxConn, ProtocolStatus::Overloaded, ProtocolStatus::UnknownRole];
    for status in statuses {
        let words = status.to_string();
        let (done, _) = fetch_from(end(0, status as u8), &["/"], b"");
        done.assert_failed(126, &words);
        // With an answer, as this crate's server refuses.
        let head = "Status: 503 Service Unavailable\r\n";
        let bytes = [stdout(format!("{head}\r\nbusy")), end(0, status as u8)].concat();
        let (done, _) = fetch_from(bytes, &["/"], b"");
        done.assert(126, format!("{head}\r\nbusy"), &done.log);
        assert!(done.log.contains(&words) && done.log.lines().count() == 1, "{done:?}");
    }
}

#[test]
fn a_bad_address_exits_with_2_and_a_line() {
    fetch(&["nonsense", "/"]).assert_failed(2, "nonsense");
    fetch(&["127.0.0.1:99999", "/"]).assert_failed(2, "99999");
    fetch(&["fd:0", "--values"]).assert_failed(2, "fd:0");
}

#[test]
fn a_transport_or_protocol_error_exits_with_255_and_a_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let none = dir.path().join("none").to_str().expect("text").to_owned();
    fetch(&[&none, "/"]).assert_failed(255, &none);
    fetch(&[&format!("unix:{none}"), "--values"]).assert_failed(255, &none);
    for bytes in [&b""[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", &[1, 6, 0], &end(0, 0), &answer("no head")] {
        fetch_cut(bytes).assert_failed(255, "fetch: ");
    }
    // What came before is printed.
    let done = fetch_cut(stdout("A: b\r\n\r\npart"));
    assert_eq!(
        (done.status, &done.out[..]),
        (Some(255), &b"Status: 200 OK\r\nA: b\r\n\r\npart"[..]),
        "{done:?}"
    );
    assert_eq!(done.log.lines().count(), 1, "{done:?}");
    let short = [record(RecordType::Stderr, 1, b"why\n"), answer("Content-Length: 9\r\n\r\nshort")].concat();
    let done = fetch_cut(short);
    assert_eq!(done.status, Some(255), "{done:?}");
    assert!(done.out.ends_with(b"\r\n\r\nshort") && done.log.starts_with("why\nfetch: "), "{done:?}");
}

#[test]
fn bad_usage_exits_with_2_and_one_line() {
    for arguments in [
        &[][..],
        &["127.0.0.1:9"],
        &["127.0.0.1:9", "/", "word"],
        &["127.0.0.1:9", "/", "--role", "responders"],
        &["127.0.0.1:9", "/", "--role"],
        &["127.0.0.1:9", "/", "--body"],
        &["127.0.0.1:9", "/", "--no-such"],
        &["127.0.0.1:9", "/", "-x"],
        &["--values"],
    ] {
        fetch(arguments).assert_failed(2, "usage: fetch ADDR SCRIPT_NAME");
    }
}

#[test]
fn a_body_comes_from_a_file_or_from_stdin() {
    let dir = tempfile::tempdir().expect("a folder");
    let large: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    for body in [&b""[..], b"body\n", &large] {
        let path = dir.path().join("body");
        fs::write(&path, body).expect("there is room");
        for from in ["-", path.to_str().expect("text")] {
            let (done, asked) = fetch_from(page("ok"), &["/", "--body", from], body);
            done.assert(0, "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nok", "");
            assert_eq!(asked.param("REQUEST_METHOD"), Some("POST"));
            assert_eq!(asked.param("CONTENT_LENGTH"), Some(&body.len().to_string()[..]));
            assert!(asked.stdin == body);
        }
    }
    let absent = dir.path().join("absent").to_str().expect("text").to_owned();
    let app = App::unix(|_, peer| drop(peer.try_request()));
    let address = app.endpoint.to_string();
    for option in ["--body", "--data"] {
        fetch(&[&address, "/", option, &absent]).assert_failed(255, &absent);
    }
}

#[test]
fn a_body_that_there_is_no_place_for_names_the_folder() {
    let app = App::unix(|_, peer| drop(peer.try_request()));
    let address = app.endpoint.to_string();
    let no_folder = |command: &mut Command| _ = command.env("TMPDIR", "/nonexistent/folder");
    let fetch = Fetch::start_with(&[&address, "/", "--body", "-"], no_folder);
    fetch.finish(&vec![b'x'; 3 << 20]).assert_failed(255, "request body, kept in /nonexistent/folder: ");
    assert_eq!(app.connections(), 0);
}

#[test]
fn a_body_that_a_full_disk_does_not_take_names_the_folder() {
    let small = match Small::new() {
        Ok(small) => small,
        Err(reason) => return skipped(reason),
    };
    let app = App::unix(|_, peer| drop(peer.try_request()));
    let address = app.endpoint.to_string();
    let in_small = |command: &mut Command| _ = command.env("TMPDIR", small.path());
    let fetch = Fetch::start_with(&[&address, "/", "--body", "-"], in_small);
    let done = fetch.finish(&vec![b'x'; 3 << 20]);
    let folder = small.path().to_str().expect("temporary paths are UTF-8");
    done.assert_failed(255, &format!("request body, kept in {folder}: No space left on device"));
    assert_eq!(app.connections(), 0);
}

#[test]
fn variables_can_be_given_and_override_the_others() {
    let arguments = ["/a=b", "REQUEST_METHOD=PUT", "X=1=2", "EMPTY=", "SCRIPT_FILENAME=/srv/a.php", "X=3"];
    let (done, asked) = fetch_from(page("ok"), &arguments, b"");
    assert_eq!(done.status, Some(0), "{done:?}");
    for (name, value) in [
        ("REQUEST_METHOD", "PUT"),
        ("X", "3"),
        ("EMPTY", ""),
        ("SCRIPT_NAME", "/a=b"),
        ("SCRIPT_FILENAME", "/srv/a.php"),
    ] {
        assert_eq!(asked.param(name), Some(value), "{name}");
    }
    let (_, asked) = fetch_from(page("ok"), &["/", "X=1=2"], b"");
    assert_eq!(asked.param("X"), Some("1=2"));
}

#[test]
fn a_role_can_be_chosen_and_a_filter_is_given_its_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("data");
    fs::write(&path, "the file").expect("there is room");
    let path = path.to_str().expect("text");
    let (done, asked) =
        fetch_from(page("ok"), &["/", "--role", "filter", "--data", path, "--body", "-"], b"body");
    assert_eq!((done.status, asked.role), (Some(0), Role::Filter as u16), "{done:?}");
    assert_eq!((&asked.stdin[..], &asked.data[..]), (&b"body"[..], &b"the file"[..]));
    assert_eq!(asked.param("FCGI_DATA_LENGTH"), Some("8"));
    let (done, asked) = fetch_from(page("ok"), &["/", "--role", "authorizer"], b"");
    assert_eq!((done.status, asked.role), (Some(0), Role::Authorizer as u16), "{done:?}");
    assert_eq!((asked.param("SCRIPT_NAME"), asked.stdins()), (None, 1));
}

/// An application to ask, whichever package's `fetch` asks it.
fn server(example: &str) -> Command {
    example_of("fcgi-blocking", example)
}

#[test]
fn values_are_printed_a_line_each() {
    let server = Serving::unix(&mut server("plain"));
    let done = fetch(&[&server.endpoint.to_string(), "--values"]);
    assert_eq!(done.status, Some(0), "{done:?}");
    let out = String::from_utf8(done.out).expect("text");
    let mut names: Vec<_> = out.lines().map(|line| line.split_once('=').expect("NAME=VALUE").0).collect();
    names.sort_unstable();
    assert_eq!(names, ["FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"]);
    assert!(out.contains("FCGI_MPXS_CONNS=0\n"), "{out}");
}

#[test]
fn the_examples_understand_each_other() {
    for server in [Serving::unix(&mut server("inspect")), Serving::tcp(&mut server("inspect"))] {
        let address = server.endpoint.to_string();
        let ask = |arguments: &[&str], input: &[u8]| {
            Fetch::start(&[&[&address[..]], arguments].concat()).finish(input)
        };
        let body = |done: &Done| {
            let out = String::from_utf8(done.out.clone()).expect("text");
            out.split_once("\r\n\r\n").expect("a head").1.to_owned()
        };
        let done = ask(&["/echo", "--body", "-"], b"hello");
        assert_eq!((done.status, body(&done)), (Some(0), "hello".to_owned()), "{done:?}");
        let done = ask(&["/exit/42"], b"");
        assert_eq!((done.status, body(&done).trim_end()), (Some(42), "ok"), "{done:?}");
        let done = ask(&["/stderr/a%20word"], b"");
        assert_eq!((done.status, &done.log[..]), (Some(0), "a word\n"), "{done:?}");
        let done = ask(&["/", "--role", "authorizer", "HTTP_X_TOKEN=let-me-in"], b"");
        assert!(done.out.starts_with(b"Status: 200 OK\r\n"), "{done:?}");
        let done = ask(&["/", "--role", "authorizer"], b"");
        assert!(done.out.starts_with(b"Status: 403 "), "{done:?}");
    }
}

#[test]
fn an_answer_that_nobody_reads_to_its_end_is_no_failure() {
    let app = App::unix(|_, peer| {
        let _ = peer.try_request();
        // It goes on until nobody takes it.
        let piece = stdout("A: b\r\n\r\n".to_owned() + &"x".repeat(30_000));
        while peer.try_send(&piece).is_ok() {}
    });
    let mut running = Fetch::start(&[&app.endpoint.to_string(), "/"]);
    let mut first = String::new();
    let mut out = BufReader::new(running.child.stdout.take().expect("a pipe"));
    out.read_line(&mut first).expect("a line");
    assert_eq!(first, "Status: 200 OK\r\n");
    drop(out);
    let log = collect(running.child.stderr.take().expect("a pipe")).recv_timeout(PATIENCE);
    assert_eq!(log.expect("it ends in time"), b"");
    assert_eq!(running.child.wait().expect("it can be waited for").code(), Some(0));
}
