//! The client and this crate's server, over real sockets.

use std::collections::HashSet;
use std::io::{self, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::{mem, thread};

use crate::adapter::{Client, Response};
use crate::script::{client, text};
use crate::support::{PATIENCE, Running, pairs, say, settings};
use fcgi_blocking::{AppStatus, BoxError, ClientError, Params, Request, Role, Settings, Status};
use fcgi_proto::client::Failure;
use fcgi_proto::record::ProtocolStatus;

/// Answers by the first word of the path.
fn site(request: &mut Request<'_>) -> Result<AppStatus, BoxError> {
    let uri = request.param_str("REQUEST_URI").unwrap_or_default().to_owned();
    let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
    match uri.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default() {
        "echo" => {
            io::copy(&mut request.stdin(), &mut page)?;
        }
        "env" => {
            let mut lines = Vec::new();
            for (name, value) in request.params() {
                lines.extend([name, b"=", value, b"\n"].concat());
            }
            page.write_all(&lines)?;
        }
        // A connection is served by one thread.
        "thread" => write!(page, "{:?}", thread::current().id())?,
        "many" => page.write_all(&vec![b'x'; 4 << 20])?,
        "exit" => return Ok(AppStatus(42)),
        "cookies" => {
            let page = page.header("Set-Cookie", "a=1")?.header("set-cookie", "b=2")?;
            page.header("X-Other", "c")?.flush()?;
        }
        _ => page.write_all(uri.as_bytes())?,
    }
    Ok(AppStatus(0))
}

fn running() -> Running {
    Running::unix(Settings::default(), site)
}

#[track_caller]
fn ask<'c>(client: &'c mut Client, target: &str) -> Response<'c> {
    client.request(Params::get(target)).send().expect("an answer")
}

/// `NAME=VALUE` lines.
#[track_caller]
fn variables(mut response: Response<'_>) -> Vec<(String, String)> {
    let lines = text(&mut response);
    lines
        .lines()
        .map(|line| line.split_once('=').expect("NAME=VALUE"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn get<'v>(variables: &'v [(String, String)], name: &str) -> Option<&'v str> {
    variables.iter().find(|(found, _)| found == name).map(|(_, value)| &value[..])
}

/// `length` bytes that tell where they are from.
struct Pattern {
    at: u64,
    length: u64,
}

const PERIOD: usize = 251;

fn pattern(at: u64, length: usize) -> Vec<u8> {
    let start = (at % PERIOD as u64) as usize;
    (0..PERIOD as u8).cycle().skip(start).take(length).collect()
}

impl Read for Pattern {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min((self.length - self.at).try_into().unwrap_or(usize::MAX));
        let piece = pattern(self.at, count.min(PERIOD));
        let mut filled = 0;
        for part in buffer[..count].chunks_mut(PERIOD) {
            part.copy_from_slice(&piece[..part.len()]);
            filled += part.len();
        }
        self.at += filled as u64;
        Ok(filled)
    }
}

/// Reads all of an echoed [`Pattern`].
fn assert_pattern(mut body: impl Read, length: u64) {
    let (mut expected, mut buffer) = (Pattern { at: 0, length }, vec![0; 64 * 1024]);
    let mut piece = buffer.clone();
    loop {
        let count = body.read(&mut buffer).expect("the body");
        expected.read_exact(&mut piece[..count]).expect("not more than was sent");
        assert!(buffer[..count] == piece[..count], "at {}", expected.at);
        if count == 0 {
            break;
        }
    }
    assert_eq!(expected.at, length);
}

#[test]
fn a_kept_connection_carries_a_hundred_requests() {
    for server in Running::both(Settings::default(), site) {
        let mut client = client(&server.endpoint);
        let threads: HashSet<_> = (0..100).map(|_| text(&mut ask(&mut client, "/thread"))).collect();
        assert_eq!(threads.len(), 1, "{threads:?}");
    }
}

#[test]
fn one_shot_requests_have_a_connection_each() {
    for server in Running::both(Settings::default(), site) {
        let mut client = client(&server.endpoint);
        let mut threads = HashSet::new();
        for keep_conn in [false, false, true, true, false, true] {
            let request = client.request(Params::get("/thread")).keep_conn(keep_conn);
            threads.insert(text(&mut request.send().expect("an answer")));
        }
        // The last of the kept connection is the one that closes it.
        assert_eq!(threads.len(), 4, "{threads:?}");
    }
}

#[test]
fn connect_takes_an_address_as_text() {
    for server in Running::both(Settings::default(), site) {
        let mut client = Client::connect(server.endpoint.to_string()).expect("it listens");
        assert_eq!(text(&mut ask(&mut client, "/a")), "/a");
    }
}

#[test]
fn peers_a_response_dropped_half_read_never_meets_the_next_request() {
    for server in Running::both(Settings::default(), site) {
        let mut client = client(&server.endpoint);
        for round in 0..20 {
            let mut half = ask(&mut client, "/many");
            half.read_exact(&mut vec![0; 1000 * round]).expect("a part");
            drop(half);
            drop(ask(&mut client, "/env"));
            let target = format!("/{round}");
            assert_eq!(text(&mut ask(&mut client, &target)), target);
        }
    }
}

#[test]
fn a_response_leaked_with_forget_does_no_harm_to_the_next_request() {
    // The server's threads end when their connections do, which here no one closes.
    let server = Running::unix(settings(|settings| settings.write_timeout = PATIENCE / 100), site);
    let mut client = client(&server.endpoint);
    let mut leaked = ask(&mut client, "/many");
    leaked.read_exact(&mut [0; 10]).expect("a part");
    mem::forget(leaked);
    mem::forget(client.request(Params::get("/never/sent")));
    assert_eq!(text(&mut ask(&mut client, "/next")), "/next");
    assert_eq!(text(&mut ask(&mut client, "/last")), "/last");
}

#[test]
fn peers_an_echo_of_64_mib_does_not_deadlock() {
    const LENGTH: u64 = 64 << 20;
    for server in Running::both(Settings::default(), site) {
        let mut client = client(&server.endpoint);
        let body = Pattern { at: 0, length: LENGTH };
        let request = client.request(Params::post("/echo")).body(body, LENGTH);
        let mut response = request.send().expect("an answer");
        assert_pattern(&mut response, LENGTH);
        let end = response.end().expect("END_REQUEST came");
        assert_eq!((end.app_status, end.protocol_status, end.answered), (0, 0, true));
        drop(response);
        assert_eq!(text(&mut ask(&mut client, "/after")), "/after");
    }
}

#[test]
fn cve_parameters_and_bodies_of_every_size_around_a_record_and_a_buffer_arrive() {
    let server = running();
    let mut client = client(&server.endpoint);
    for length in [0, 1, 8184, 8192, 65527, 65528, 65535, 65536, 65544, 99_000, 131_072, 1 << 20] {
        let value = "v".repeat(length.min(65_000));
        let params = Params::post("/echo").set("X", &value);
        let body = pattern(0, length);
        let mut response = client.request(params).bytes(&body).send().expect("an answer");
        let mut echoed = Vec::new();
        response.read_to_end(&mut echoed).expect("a whole body");
        drop(response);
        assert!(echoed == body, "{length}");
        let params = Params::get("/env").set("X", &value);
        let variables = variables(client.request(params).send().expect("an answer"));
        assert!(get(&variables, "X") == Some(&value), "{length}");
    }
}

#[test]
fn parameters_of_300_kb_in_pairs_of_1000_bytes_arrive() {
    for server in Running::both(Settings::default(), site) {
        let mut client = client(&server.endpoint);
        let value = |number: u32| format!("{number:05}").repeat(199);
        let params = (0..300)
            .fold(Params::get("/env"), |params, number| params.set(format!("P{number:03}"), value(number)));
        let variables = variables(client.request(params).send().expect("an answer"));
        for number in 0..300 {
            let found = get(&variables, &format!("P{number:03}"));
            assert!(found == Some(&value(number)), "{number}");
        }
    }
}

#[test]
fn cve_a_pair_fits_one_record_or_is_an_error_of_the_request() {
    let server = running();
    let mut client = client(&server.endpoint);
    // A long pair has 4 bytes of value length and 1 of name length.
    let longest = "x".repeat(65535 - 4 - 1 - 1);
    let variables = variables(client.request(Params::get("/env").set("X", &longest)).send().expect("fits"));
    assert!(get(&variables, "X") == Some(&longest));
    for more in [1, 10, 70_000] {
        let params = Params::get("/env").set("X", longest.clone() + &"y".repeat(more));
        let error = client.request(params).send().expect_err("too long");
        let needed = 65535 + more;
        assert!(
            matches!(error, ClientError::Failed(Failure::TooLong { needed: n }) if n == needed),
            "{error:?}"
        );
        assert_eq!(text(&mut ask(&mut client, "/good")), "/good");
    }
}

#[test]
fn variables_that_are_set_come_once_and_the_lengths_are_those_of_what_is_sent() {
    let server = running();
    let mut client = client(&server.endpoint);
    let params = Params::new("PUT", "/env/a%20b?c=%00")
        .script("/srv/old.php")
        .set("SERVER_NAME", "example.org")
        .set("X", "1")
        .set("X", "2")
        .set("EMPTY", "")
        .set("CONTENT_LENGTH", "99")
        .set("HTTP_CONTENT_LENGTH", "99")
        .set("FCGI_DATA_LENGTH", "99")
        .script("/srv/index.php");
    let found = variables(client.request(params).bytes(b"four").send().expect("an answer"));
    let names: HashSet<_> = found.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), found.len(), "{found:?}");
    for (name, value) in [
        ("REQUEST_METHOD", "PUT"),
        ("REQUEST_URI", "/env/a%20b?c=%00"),
        ("QUERY_STRING", "c=%00"),
        ("SCRIPT_FILENAME", "/srv/index.php"),
        ("SERVER_NAME", "example.org"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("X", "2"),
        ("EMPTY", ""),
        ("CONTENT_LENGTH", "4"),
        ("HTTP_CONTENT_LENGTH", "4"),
    ] {
        assert_eq!(get(&found, name), Some(value), "{name}: {found:?}");
    }
    assert_eq!(get(&found, "FCGI_DATA_LENGTH"), None);
    for params in [Params::get("/a\n"), Params::get("/").set("X", "a\0b"), Params::get("/").set("", "x")] {
        let error = client.request(params).send().expect_err("no variables");
        assert!(matches!(error, ClientError::Target(_) | ClientError::Variables(_)), "{error:?}");
    }
}

#[test]
fn a_body_is_as_long_as_promised_and_its_reader_is_not_read_further() {
    let server = running();
    let mut client = client(&server.endpoint);
    let mut reader = io::Cursor::new(b"bodyrest");
    let request = client.request(Params::post("/echo")).body(&mut reader, 4);
    assert_eq!(text(&mut request.send().expect("an answer")), "body");
    assert_eq!(reader.position(), 4);
}

#[test]
fn a_body_ends_without_waiting_for_what_comes_after_it() {
    let server = running();
    let mut client = client(&server.endpoint);
    let (mut sender, receiver) = UnixStream::pair().expect("a pair of sockets");
    sender.write_all(b"body").expect("there is room");
    let (done, answers) = mpsc::channel();
    thread::spawn(move || {
        let reader = BufReader::new(receiver);
        let request = client.request(Params::post("/echo")).body(reader, 4);
        done.send(text(&mut request.send().expect("an answer")))
    });
    assert_eq!(answers.recv_timeout(PATIENCE).as_deref(), Ok("body"));
    sender.shutdown(Shutdown::Both).expect("it is open");
}

#[test]
fn a_spooled_body_has_a_true_content_length() {
    let server = running();
    let mut client = client(&server.endpoint);
    for length in [0, 1, 100_000, 1 << 20, (1 << 20) + 1, 5_000_000] {
        let reader = Pattern { at: 0, length };
        let request = client.request(Params::post("/env")).spooled(reader).expect("it can be read");
        let variables = variables(request.send().expect("an answer"));
        assert_eq!(get(&variables, "CONTENT_LENGTH"), Some(&length.to_string()[..]));
        let reader = Pattern { at: 0, length };
        let request = client.request(Params::post("/echo")).spooled(reader).expect("it can be read");
        assert_pattern(request.send().expect("an answer"), length);
    }
}

#[test]
fn peers_two_fields_of_one_name_are_both_there() {
    let server = running();
    let mut client = client(&server.endpoint);
    let response = ask(&mut client, "/cookies");
    let fields: Vec<_> =
        response.fields().filter(|(name, _)| name.eq_ignore_ascii_case(b"set-cookie")).collect();
    assert_eq!(fields, [(&b"Set-Cookie"[..], &b"a=1"[..]), (b"set-cookie", b"b=2")]);
    assert_eq!(response.field("x-OTHER"), Some(&b"c"[..]));
    assert_eq!(response.status(), Status::OK);
}

#[test]
fn stderr_is_delivered_and_bounded() {
    let server = Running::unix(Settings::default(), |request: &mut Request<'_>| {
        let mut page = request.respond(Status::OK);
        page.flush()?;
        match request.param_str("REQUEST_URI") {
            Some("/flood") => request.stderr().write_all(&vec![b'e'; 1 << 20])?,
            Some("/line") => request.stderr().write_all(b"\x1b[31mone\r\nline\0")?,
            _ => {}
        }
        page.write_all(b"page")?;
        Ok::<(), BoxError>(())
    });
    let mut client = client(&server.endpoint);
    let mut response = ask(&mut client, "/line");
    assert_eq!(text(&mut response), "page");
    assert_eq!(response.take_stderr(), b"\x1b[31mone\r\nline\0");
    assert_eq!(response.take_stderr(), b"");
    drop(response);
    let mut response = ask(&mut client, "/flood");
    assert_eq!(text(&mut response), "page");
    let (half, between) =
        (vec![b'e'; 32 * 1024], format!("\n[{} bytes of STDERR left out]\n", (1 << 20) - (64 << 10)));
    assert!(response.take_stderr() == [&half, between.as_bytes(), &half].concat());
    drop(response);
    let mut response = ask(&mut client, "/quiet/after");
    assert_eq!((text(&mut response), response.take_stderr()), ("page".into(), vec![]), "of another request");
}

#[test]
fn the_application_status_is_told_at_the_end() {
    let server = running();
    let mut client = client(&server.endpoint);
    let mut response = ask(&mut client, "/exit");
    assert_eq!(text(&mut response), "");
    let end = response.end().expect("it ended");
    assert_eq!((end.app_status, end.protocol_status), (42, ProtocolStatus::RequestComplete as u8));
    drop(response);
    let mut response = ask(&mut client, "/many");
    assert_eq!(response.end(), None, "there is more to be read");
    io::copy(&mut response, &mut io::sink()).expect("the body");
    assert_eq!(response.end().map(|end| end.app_status), Some(0));
}

#[test]
fn a_refusal_that_comes_with_an_answer_is_an_answer() {
    let server = Running::unix(settings(|settings| settings.limits.stdin = 8), say("ok"));
    let mut client = client(&server.endpoint);
    for _ in 0..3 {
        let request = client.request(Params::post("/")).bytes(b"more than 8 bytes");
        let mut response = request.send().expect("an answer");
        assert_eq!(response.status(), Status::SERVICE_UNAVAILABLE);
        text(&mut response);
        let end = response.end().expect("it ended");
        assert_eq!((end.protocol_status, end.answered), (ProtocolStatus::Overloaded as u8, true));
    }
}

#[test]
fn an_authorizer_gets_no_body_and_a_filter_gets_its_file_after_the_body() {
    let server = Running::unix(Settings::default(), |request: &mut Request<'_>| {
        let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
        writeln!(page, "role={:?}", request.role())?;
        for name in ["CONTENT_LENGTH", "FCGI_DATA_LENGTH", "SCRIPT_NAME"] {
            writeln!(page, "{name}={}", request.param_str(name).unwrap_or("none"))?;
        }
        let mut stdin = String::new();
        request.stdin().read_to_string(&mut stdin)?;
        let mut data = String::new();
        request.data().read_to_string(&mut data)?;
        write!(page, "stdin={stdin}\ndata={data}")?;
        Ok::<(), BoxError>(())
    });
    let mut client = client(&server.endpoint);
    for (role, expected) in [
        (Role::Authorizer, ["none", "none", "none", "", ""]),
        (Role::Filter, ["4", "9", "/a", "body", "a\u{e4}b file"]),
        (Role::Responder, ["4", "none", "/a", "body", ""]),
    ] {
        let request = client.request(Params::post("/a")).role(role).bytes(b"body");
        let mut response = request.data("a\u{e4}b file".as_bytes(), 9).send().expect("an answer");
        let [length, data_length, script, stdin, data] = expected;
        let expected = format!(
            "role={role:?}\nCONTENT_LENGTH={length}\nFCGI_DATA_LENGTH={data_length}\nSCRIPT_NAME={script}\n\
             stdin={stdin}\ndata={data}"
        );
        assert_eq!(text(&mut response), expected);
    }
}

#[test]
fn the_servers_values_can_be_asked_for() {
    for server in Running::both(settings(|settings| settings.max_connections = 7), site) {
        let mut client = client(&server.endpoint);
        assert_eq!(text(&mut ask(&mut client, "/before")), "/before");
        let values = client.values().expect("an answer");
        let found: HashSet<_> = values.into_iter().collect();
        let expected = [("FCGI_MAX_CONNS", "7"), ("FCGI_MAX_REQS", "7"), ("FCGI_MPXS_CONNS", "0")];
        let expected = expected.map(|(name, value)| (name.into(), value.into()));
        assert_eq!(found, HashSet::from(expected));
        assert_eq!(text(&mut ask(&mut client, "/after")), "/after");
    }
}

#[test]
fn a_request_in_the_making_sends_nothing() {
    let server = running();
    let mut client = client(&server.endpoint);
    drop(client.request(Params::get("/never")).bytes(&pairs([("a", "b")])));
    assert_eq!(text(&mut ask(&mut client, "/sent")), "/sent");
}
