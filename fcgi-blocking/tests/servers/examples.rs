//! The examples as programs: what they answer, how they start, how they end.

use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::thread;

use crate::support::child::{Process, Serving, example};
use crate::support::{Answer, Call, Client, record, stream, wait_until};
use fcgi_blocking::{Endpoint, Stream};
use fcgi_proto::record::{ProtocolStatus, RecordType};
use rustix::process::Signal;

fn inspect() -> Serving {
    Serving::unix(&mut example("inspect"))
}

#[test]
fn inspect_answers_a_page_that_shows_the_request() {
    let server = inspect();
    let mut client = server.connect();
    for (path, keep_conn) in [("/", true), ("/no/such/word?env", true), ("", false)] {
        let mut call = Call::get(path).id(513).param("HTTP_X_TEST", "<b>&\"");
        call.keep_conn = keep_conn;
        let answer = client.call(&call);
        answer.assert_ended(200, ProtocolStatus::RequestComplete);
        assert!(answer.head().contains("Content-Type: text/html"), "{}", answer.head());
        let page = answer.text();
        for part in ["Responder", "513", "HTTP_X_TEST", "&lt;b&gt;&amp;", "echo"] {
            assert!(page.contains(part), "{part} is not on the page: {page}");
        }
        assert!(!page.contains("<b>&"), "a value is not escaped");
    }
    client.assert_closed();
    drop(client); // Else the server waits for its end.
    assert_eq!(server.finish(), "");
}

#[test]
fn inspect_finds_its_words_under_any_prefix() {
    let server = inspect();
    let mut client = server.connect();
    let call = |uri: &str| Call::post(uri, "body").param("NAME", "").param("NAME", [0xff, b'='].as_slice());
    let env = b"REQUEST_METHOD=POST\nREQUEST_URI=/a/env?echo\nCONTENT_LENGTH=4\nNAME=\nNAME=\xff=\n";
    client.call(&call("/a/env?echo")).assert_ok(env);
    client.call(&call("/a/b/echo")).assert_ok("body");
    client.call(&call("/sum/echo")).assert_ok("4 352fe25c\n".replace("352fe25c", &crc("body")));
    client.call(&call("/bytes/3")).assert_ok("xxx");
    client.call(&call("/app.fcgi/ignore")).assert_ok("ok");
}

fn crc(text: &str) -> String {
    format!("{:08x}", crc32fast::hash(text.as_bytes()))
}

#[test]
fn inspect_echoes_and_sums_bodies() {
    let server = inspect();
    let mut client = server.connect();
    let body: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
    let sum = format!("{} {:08x}\n", body.len(), crc32fast::hash(&body));
    let echo = |call: Call| {
        let mut client = server.connect();
        let writer = client.send_meanwhile(call.bytes());
        let answer = client.answer(1);
        writer.join().expect("the writer ends").expect("everything is read");
        answer
    };
    let answer = echo(Call::post("/echo", &*body).param("CONTENT_TYPE", "image/png"));
    answer.assert_ok(&body);
    assert!(answer.head().contains("Content-Type: image/png\r\n"), "{}", answer.head());
    for call in [Call::post("/echo", &*body), Call::post("/echo", &*body).param("CONTENT_TYPE", "")] {
        assert!(echo(call).head().contains("Content-Type: application/octet-stream\r\n"));
    }
    client.call(&Call::post("/sum", &*body)).assert_ok(sum);
    client.call(&Call::get("/sum")).assert_ok("0 00000000\n");
}

#[test]
fn inspect_sends_as_many_bytes_and_lines_as_asked() {
    let server = inspect();
    let mut client = server.connect();
    for count in [0, 1, 8192, 65528, 1_000_000] {
        let answer = client.call(&Call::get(&format!("/bytes/{count}")));
        answer.assert_ok(vec![b'x'; count]);
        assert!(answer.head().contains(&format!("Content-Length: {count}\r\n")), "{}", answer.head());
    }
    let answer = client.call(&Call::get("/stream/5/1"));
    answer.assert_ok("1\n2\n3\n4\n5\n");
    assert!(answer.records.len() >= 6, "each line is flushed: {answer:?}");
    client.call(&Call::get("/stream/0/1000")).assert_ok("");
    client.call(&Call::get("/sleep/10")).assert_ok("ok");
    for path in
        ["/bytes", "/bytes/-1", "/bytes/x", "/stream/1", "/sleep/", "/status/99", "/status/1000", "/exit/x"]
    {
        client.call(&Call::get(path)).assert_ended(400, ProtocolStatus::RequestComplete);
    }
}

#[test]
fn inspect_answers_with_any_status() {
    let server = inspect();
    let mut client = server.connect();
    for (code, body) in [
        (200, "200 OK\n"),
        (204, ""),
        (304, ""),
        (404, "404 Not Found\n"),
        (500, "500 Internal Server Error\n"),
        (599, "599 Unassigned\n"),
    ] {
        let answer = client.call(&Call::get(&format!("/status/{code}")));
        answer.assert_ended(code, ProtocolStatus::RequestComplete);
        assert_eq!(answer.text(), body);
    }
    let answer = client.call(&Call::get("/status/301"));
    assert!(answer.head().starts_with("Location: /env\r\nStatus: 301 "), "{}", answer.head());
    assert!(client.call(&Call::get("/status/302")).head().contains("Location: /env\r\n"));
    for code in [0, 3, u32::MAX] {
        let answer = client.call(&Call::get(&format!("/exit/{code}")));
        assert_eq!((answer.text(), answer.app_status, answer.protocol_status), ("ok", code, 0));
    }
    client.call(&Call::get("/exit/4294967296")).assert_ended(400, ProtocolStatus::RequestComplete);
}

#[test]
fn inspect_writes_to_stderr() {
    let server = inspect();
    let mut client = server.connect();
    for (path, line) in [("/stderr/a%20b%C3%A9", "a bé\n"), ("/stderr", "\n"), ("/stderr/x/y", "x\n")] {
        let answer = client.call(&Call::get(path));
        answer.assert_ok("ok");
        assert_eq!(answer.log(), line);
    }
}

#[test]
fn inspect_answers_early_and_sums_what_comes_after() {
    let server = inspect();
    let mut client = server.connect();
    let call = Call::post("/early", "later");
    client.send(call.opening());
    let first = client.record();
    assert_eq!((first.record_type, first.id), (RecordType::Stdout, 1));
    assert!(first.content.ends_with(b"\r\n\r\nearly\n"), "{first:?}");
    client.send(call.bodies());
    let answer = client.answer(1);
    assert_eq!(String::from_utf8_lossy(&answer.stdout), format!("5 {}\n", crc("later")));
}

#[test]
fn inspect_panics_and_goes_on() {
    let server = inspect();
    let mut client = server.connect();
    let mut other = server.connect();
    other.send(Call::post("/echo", "").opening());
    for _ in 0..3 {
        let answer = client.call(&Call::get("/panic"));
        answer.assert_ended(500, ProtocolStatus::RequestComplete);
        assert_eq!(answer.log(), "the handler panicked: as asked for\n");
    }
    client.call(&Call::get("/ignore")).assert_ok("ok");
    other.send(stream(RecordType::Stdin, 1, b"still here"));
    other.answer(1).assert_ok("still here");
}

#[test]
fn inspect_is_an_authorizer() {
    let server = inspect();
    let mut client = server.connect();
    let answer = client.call(&Call::get("/").authorizer().param("HTTP_X_TOKEN", "let-me-in"));
    answer.assert_ok("");
    assert!(answer.head().contains("\r\nVariable-AUTH_USER: inspect\r\n"), "{}", answer.head());
    for token in ["", "let-me-in "] {
        let answer = client.call(&Call::get("/").authorizer().param("HTTP_X_TOKEN", token));
        answer.assert_ended(403, ProtocolStatus::RequestComplete);
        assert!(!answer.body().is_empty() && !answer.head().contains("Variable-"));
    }
    client.call(&Call::get("/").authorizer()).assert_ended(403, ProtocolStatus::RequestComplete);
}

#[test]
fn inspect_is_a_filter() {
    let server = inspect();
    let mut client = server.connect();
    let call = |length: &str| Call::post("/", "query").filter(b"some text").param("FCGI_DATA_LENGTH", length);
    client.call(&call("9")).assert_ok("SOME TEXT");
    for length in ["8", "10", "", "x"] {
        client.call(&call(length)).assert_ok("data missing\nSOME TEXT");
    }
    client.call(&Call::post("/", "").filter(b"")).assert_ok("data missing\n");
}

#[test]
#[cfg(target_os = "linux")]
fn sixty_four_mebibytes_are_echoed_in_constant_memory() {
    let server = inspect();
    let mut client = server.connect();
    let echo = |client: &mut Client, pieces: u32| {
        client.send(Call::get("/echo").opening());
        let piece = [b'm'; 65528];
        let mut sender = client.stream.try_clone().expect("a descriptor is free");
        let writer = thread::spawn(move || {
            let piece = record(RecordType::Stdin, 1, &piece);
            (0..pieces).try_for_each(|_| std::io::Write::write_all(&mut sender, &piece))?;
            std::io::Write::write_all(&mut sender, &record(RecordType::Stdin, 1, b""))
        });
        let mut received = 0;
        loop {
            let record = client.record();
            match record.record_type {
                RecordType::Stdout => received += record.content.len(),
                RecordType::EndRequest => break,
                _ => panic!("{record:?}"),
            }
        }
        writer.join().expect("the writer ends").expect("everything is read");
        let head = received - pieces as usize * piece.len();
        assert!(head < 200, "{head} bytes of head");
    };
    echo(&mut client, 16);
    let before = server.process.peak_memory();
    echo(&mut client, 1025);
    let growth = server.process.memory_growth(before);
    assert!(growth < 8 * 1024, "{growth} KiB more");
}

#[test]
#[cfg(target_os = "linux")]
fn peers_parameters_without_end_cost_no_memory() {
    let server = inspect();
    server.connect().call(&Call::get("/bytes/1000000")).assert_ended(200, ProtocolStatus::RequestComplete);
    let before = server.process.peak_memory();
    let mut client = server.connect();
    client.send(Call::get("/").begin());
    let params = record(RecordType::Params, 1, &[1; 65528]);
    let mut sender = client.stream.try_clone().expect("a descriptor is free");
    let writer = thread::spawn(move || {
        // 74 MiB; the server need not take all of it.
        let _ = (0..1184).try_for_each(|_| std::io::Write::write_all(&mut sender, &params));
    });
    client.answer(1).assert_ended(431, ProtocolStatus::RequestComplete);
    client.assert_closed();
    writer.join().expect("the writer ends");
    let growth = server.process.memory_growth(before);
    assert!(growth < 8 * 1024, "{growth} KiB more");
}

#[test]
fn plain_sends_as_many_bytes_as_asked() {
    for (arguments, count) in [(&["fd:0"][..], 1024), (&["fd:0", "0"], 0), (&["fd:0", "100000"], 100_000)] {
        let server = Serving::unix(example("plain").args(arguments));
        let mut client = server.connect();
        for call in [Call::get("/"), Call::post("/", "ignored").closing()] {
            let answer = client.call(&call);
            answer.assert_ok(vec![b'x'; count]);
            assert_eq!(answer.head(), "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n");
        }
        client.assert_closed();
        drop(client); // Else the server waits for its end.
        assert_eq!(server.finish(), "");
    }
}

#[test]
fn an_inherited_socket_needs_no_address() {
    for server in
        [Serving::tcp(&mut example("inspect")), Serving::tcp(example("inspect").arg("fd:0")), inspect()]
    {
        server.connect().call(&Call::get("/ignore")).assert_ok("ok");
        assert_eq!(server.finish(), "");
    }
}

#[test]
fn sigterm_sigint_and_sighup_end_an_example_in_good_order() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        for name in ["inspect", "plain"] {
            let server = Serving::unix(&mut example(name));
            let mut running = server.connect();
            let call = Call::post("/echo", "to the end");
            running.send(call.opening());
            let mut idle = server.connect();
            idle.call(&Call::get("/ignore"));
            server.process.signal(signal);
            idle.assert_closed();
            running.send(call.bodies());
            running.answer(1).assert_ended(200, ProtocolStatus::RequestComplete);
            running.assert_closed();
            let (status, log) = server.process.wait();
            assert_eq!((status.code(), &*log), (Some(0), ""));
        }
    }
}

/// A client of a program that was started and is to listen.
#[track_caller]
fn connected(endpoint: &Endpoint) -> Client {
    let mut stream = None;
    let listens = wait_until(|| {
        stream = Stream::connect(endpoint).ok();
        stream.is_some()
    });
    assert!(listens, "nobody listens on {endpoint}");
    Client::from(stream.expect("it is connected"))
}

#[test]
fn a_unix_socket_goes_with_the_program_that_made_it() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    for name in ["inspect", "plain"] {
        let path = dir.path().join(name);
        let process = Process::start(example(name).arg(&path).stdin(Stdio::null()));
        let mut client = connected(&Endpoint::Unix(path.clone()));
        client.call(&Call::get("/ignore")).assert_ended(200, ProtocolStatus::RequestComplete);
        drop(client);
        process.signal(Signal::TERM);
        let (status, log) = process.wait();
        assert_eq!((status.code(), &*log), (Some(0), ""));
        assert!(!path.exists(), "the file is still there");
    }
}

#[test]
fn help_and_version_are_printed_and_nothing_is_done() {
    let own: &[&str] = match env!("CARGO_PKG_NAME") {
        "fcgi-blocking" => &["spawn"],
        _ => &["gateway", "axum", "axum_tokio"],
    };
    for name in ["inspect", "plain", "fetch"].iter().chain(own) {
        for (option, words) in [
            ("--help", format!("usage: {name} ")),
            ("-h", format!("usage: {name} ")),
            ("--version", format!("{name} {}\n", env!("CARGO_PKG_VERSION"))),
        ] {
            let output = example(name).arg(option).stdin(Stdio::null()).output();
            let output = output.expect("it can be started");
            assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]), "{name} {option}");
            assert!(output.stdout.starts_with(words.as_bytes()), "{name} {option}");
        }
    }
}

#[test]
fn a_bad_address_is_one_line_and_status_2() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let taken = dir.path().join("taken");
    let _taken = UnixListener::bind(&taken).expect("the path is free");
    let taken = format!("unix:{}", taken.display());
    let long = format!("/tmp/{}", "x".repeat(200));
    let right = ["/no/such/folder/socket", &taken, &long, "fd:0"];
    for name in ["inspect", "plain"] {
        for (arguments, part) in [
            (&["localhost:9000"][..], "localhost"),
            (&["127.0.0.1"], "port"),
            (&["127.0.0.1:99999"], "99999"),
            (&["9000"], "9000"),
            (&["unix:"], "path"),
            (&["fd:1"], "fd:0"),
            (&["fd:0"], "descriptor 0 is not a listening socket"),
            (&["tcp://127.0.0.1:9000"], "tcp://"),
            (&["/no/such/folder/socket"], "/no/such/folder/socket"),
            (&[&long], "107"),
            (&[&taken], &taken),
            (&[""], "\"\""),
            (&[], "descriptor 0"),
            (&["127.0.0.1:0", "1", "2"], "too many"),
        ] {
            let (status, log) = Process::start(example(name).args(arguments).stdin(Stdio::null())).wait();
            assert_eq!(status.code(), Some(2), "{name} {arguments:?}: {log}");
            assert!(log.ends_with('\n') && log.lines().count() == 1, "{name} {arguments:?}: {log:?}");
            assert!(log.contains(part), "{name} {arguments:?}: {log:?}");
            // The command line is well-formed where the machine has no such folder or a socket is taken.
            let is_right = arguments.first().is_some_and(|address| right.contains(address));
            assert_eq!(log.contains("usage: "), !is_right, "{name} {arguments:?}: {log:?}");
        }
    }
    let (status, log) = Process::start(example("plain").args(["fd:0", "many"]).stdin(Stdio::null())).wait();
    assert_eq!((status.code(), log.lines().count()), (Some(2), 1), "{log}");
}

#[test]
fn a_fastcgi_program_that_is_started_as_cgi_says_so_in_a_line() {
    for arguments in [&[][..], &["fd:0"]] {
        let mut command = example("inspect");
        command.args(arguments).env("GATEWAY_INTERFACE", "CGI/1.1").stdin(Stdio::piped());
        let (status, log) = Process::start(&mut command).wait();
        assert_eq!((status.code(), log.lines().count()), (Some(2), 1), "{log}");
        assert!(log.contains("the web server starts this FastCGI program as a CGI program"), "{log}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn an_at_sign_makes_an_abstract_socket_and_no_file() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let address = format!("unix:@{}", dir.path().display());
    let endpoint = address.parse().expect("an address");
    let process =
        Process::start(example("inspect").arg(&address).current_dir(dir.path()).stdin(Stdio::null()));
    connected(&endpoint).call(&Call::get("/ignore")).assert_ok("ok");
    assert_eq!(std::fs::read_dir(dir.path()).expect("the folder").count(), 0);
    let (status, log) = Process::start(example("inspect").arg(&address).stdin(Stdio::null())).wait();
    assert!(status.code() == Some(2) && log.contains(&format!("cannot listen on {address}")), "{log}");
    let fetch = example("fetch").args([&address, "/ignore"]).output().expect("it runs");
    assert!(fetch.stdout.ends_with(b"ok"), "{fetch:?}");
    drop(process);
}

#[test]
fn an_address_of_a_unix_socket_is_bound_and_its_file_removed_at_the_end() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    for prefix in ["unix:", ""] {
        let path = dir.path().join("socket");
        let address = format!("{prefix}{}", path.display());
        let process = Process::start(example("inspect").arg(address).stdin(Stdio::null()));
        connected(&Endpoint::Unix(path.clone())).call(&Call::get("/ignore")).assert_ok("ok");
        process.signal(Signal::TERM);
        let (status, log) = process.wait();
        assert_eq!((status.code(), &*log), (Some(0), ""));
        assert!(!path.exists());
    }
}

/// What a client of `plain` gets that is or is not let in.
fn knock(server: &Serving) -> Option<Answer> {
    let mut client = server.connect();
    // The server may have closed already.
    let _ = std::io::Write::write_all(&mut client.stream, &Call::get("/").closing().bytes());
    let answer = Answer::read(&mut client.stream, 1);
    let _ = client.stream.shutdown(Shutdown::Both);
    answer.ok()
}

#[test]
fn only_listed_web_servers_are_let_in() {
    for (list, allowed) in [
        ("127.0.0.1", true),
        ("10.0.0.1,127.0.0.1", true),
        ("10.0.0.1, 127.0.0.1", true),
        ("127.0.0.2", false),
        ("127.0.0.11,10.0.0.1", false),
    ] {
        let server = Serving::tcp(example("plain").env("FCGI_WEB_SERVER_ADDRS", list));
        for _ in 0..3 {
            match knock(&server) {
                Some(answer) => {
                    assert!(allowed, "{list}");
                    answer.assert_ok([b'x'; 1024]);
                }
                None => assert!(!allowed, "{list}"),
            }
        }
        if !allowed {
            server.connect().assert_closed();
        }
        let log = server.finish();
        assert_eq!(log.contains("127.0.0.1: refused"), !allowed, "{list}: {log}");
    }
    let server = Serving::unix(example("plain").env("FCGI_WEB_SERVER_ADDRS", "127.0.0.1"));
    assert!(knock(&server).is_none(), "a peer that is not TCP is let in");
    server.connect().assert_closed();
    server.finish();
}

#[test]
fn a_list_of_web_servers_that_is_none_is_one_line_and_status_2() {
    for list in ["", "localhost", "127.0.0.1,", "127.0.0.1 10.0.0.1", "127.0.0.0/8", "256.0.0.1"] {
        for name in ["inspect", "plain"] {
            let mut command = example(name);
            command.arg("127.0.0.1:0").env("FCGI_WEB_SERVER_ADDRS", list).stdin(Stdio::null());
            let (status, log) = Process::start(&mut command).wait();
            assert_eq!(status.code(), Some(2), "{list:?}: {log}");
            assert!(
                log.contains("FCGI_WEB_SERVER_ADDRS")
                    && log.contains(&format!("{list:?}"))
                    && log.lines().count() == 1,
                "{list:?}: {log:?}"
            );
        }
    }
}

#[test]
fn w13_a_connection_without_a_byte_is_no_error_and_no_noise() {
    for mut command in [example("inspect"), example("plain")] {
        for server in [Serving::unix(&mut command), Serving::tcp(&mut command)] {
            for _ in 0..20 {
                drop(server.connect());
            }
            let mut half_closed = server.connect();
            half_closed.end_sending();
            half_closed.assert_closed();
            server.connect().call(&Call::get("/")).assert_ended(200, ProtocolStatus::RequestComplete);
            assert_eq!(server.finish(), "");
        }
    }
}

#[test]
fn clients_that_use_up_all_descriptors_are_one_line_and_make_room() {
    let inspect = example("inspect");
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -n 40; exec \"$0\""]).arg(inspect.get_program()).env("RUST_LOG", "warn");
    let server = Serving::unix(&mut limited);
    let idle: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for _ in 0..20 {
        server.connect().call(&Call::get("/ignore")).assert_ok("ok");
    }
    drop(idle);
    let log = server.finish();
    assert_eq!(log.lines().filter(|line| line.contains("accept: ")).count(), 1, "{log}");
    assert!(log.starts_with("[20"), "no time: {log}");
}
