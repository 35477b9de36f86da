//! What a server sends and when: writes, records, requests that come together, handlers that fail, refusals.

mod support;

use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Mutex, mpsc};

use fcgi_blocking::{AppStatus, BoxError, Request, Role, Settings, Status, serve_stream};
use fcgi_proto::record::{ProtocolStatus, RecordType};
use support::duplex::{Done, Duplex};
use support::{Answer, Call, PATIENCE, Running, pairs, record, say, settings};

// What may be shared by threads, or handed to one.
const _: () = {
    const fn goes_anywhere<T: Send + Sync>() {}
    const fn goes_along<T: Send>() {}
    goes_anywhere::<fcgi_blocking::Server>();
    goes_anywhere::<fcgi_blocking::Handle>();
    goes_anywhere::<fcgi_blocking::Listener>();
    goes_anywhere::<fcgi_blocking::Running>();
    goes_along::<fcgi_blocking::Client>();
    goes_along::<fcgi_blocking::Stream>();
};

/// Serves what `chunks` hold, one a read, until their end.
fn serve<T: Into<AppStatus>>(
    chunks: impl IntoIterator<Item = Vec<u8>>,
    handler: impl Fn(&mut Request<'_>) -> Result<T, BoxError>,
) -> Duplex {
    let mut duplex = Duplex::new(chunks);
    serve_stream(&mut duplex, &Settings::default(), handler).expect("the stream is FastCGI");
    duplex
}

fn echo(request: &mut Request<'_>) -> Result<(), BoxError> {
    let mut body = request.respond(Status::OK).header("Content-Type", "text/plain")?;
    io::copy(&mut request.stdin(), &mut body)?;
    Ok(())
}

#[test]
fn a_small_answer_is_one_write_and_a_kept_request_one_read() {
    let body = vec![b'x'; 1024];
    let duplex = serve((0..50).map(|_| Call::get("/").bytes()), |request| {
        request.stderr().write_all(b"a line\n")?;
        let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
        page.write_all(&body)?;
        Ok(())
    });
    assert_eq!(duplex.reads().len(), 51, "50 requests and the end");
    assert_eq!(duplex.writes().len(), 50);
    for write in duplex.writes() {
        let answer = Answer::read(&*write.bytes, 1).expect("one write is one answer");
        answer.assert_ok(&body);
        assert_eq!(answer.log(), "a line\n");
    }
}

#[test]
fn an_answer_waits_for_no_input_but_its_own() {
    let calls = [Call::post("/", "one").bytes(), Call::post("/", "two").bytes()];
    let duplex = serve(calls, echo);
    let kinds: Vec<_> = duplex.log.iter().filter(|done| !matches!(done, Done::Flush)).collect();
    assert!(
        matches!(kinds[..], [Done::Read(_), Done::Write(_), Done::Read(_), Done::Write(_), Done::Read(0)]),
        "{kinds:?}"
    );
}

#[test]
fn a_large_write_is_sent_from_where_it_lies_in_whole_records() {
    let body = vec![b'x'; 1_000_000];
    let duplex = serve([Call::get("/").bytes()], |request| {
        let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
        page.write_all(&body)?;
        Ok(())
    });
    let answer = Answer::read(&*duplex.written(), 1).expect("a whole answer");
    answer.assert_ok(&body);
    let lengths: Vec<_> = answer.records.iter().map(|record| record.content.len()).collect();
    assert_eq!(lengths.iter().max(), Some(&65528));
    assert!(lengths.len() <= 1_000_000 / 65528 + 4, "{lengths:?}");
    let place = body.as_ptr_range();
    let slices = duplex.writes().into_iter().flat_map(|write| write.slices.clone());
    let in_place = slices.filter(|slice| (place.start as usize..place.end as usize).contains(&slice.0));
    assert_eq!(in_place.map(|slice| slice.1).sum::<usize>(), body.len(), "bytes that were not copied");
}

#[test]
fn writes_that_take_a_byte_at_a_time_lose_nothing() {
    let mut duplex = Duplex::new([Call::post("/", vec![b'y'; 20_000]).bytes()]);
    duplex.takes = 1;
    serve_stream(&mut duplex, &Settings::default(), echo).expect("the stream is FastCGI");
    Answer::read(&*duplex.written(), 1).expect("a whole answer").assert_ok(vec![b'y'; 20_000]);
}

#[test]
fn requests_that_came_in_one_write_are_all_answered_at_once() {
    for server in Running::both(Settings::default(), echo) {
        for second in [1, 2] {
            let mut client = server.connect();
            let calls = [Call::post("/", "first"), Call::post("/", "second").id(second)];
            client.send(calls.map(|call| call.bytes()).concat());
            client.answer(1).assert_ok("first");
            client.answer(second).assert_ok("second");
        }
    }
}

#[test]
fn a_request_cut_into_single_bytes_is_the_same_request() {
    let bytes = Call::post("/", "body").param("HTTP_COOKIE", "a=b").bytes();
    let duplex = serve(bytes.iter().map(|byte| vec![*byte]), |request| {
        assert_eq!(request.param("HTTP_COOKIE"), Some(&b"a=b"[..]));
        echo(request)
    });
    Answer::read(&*duplex.written(), 1).expect("a whole answer").assert_ok("body");
}

#[test]
fn a_handler_that_panics_costs_its_request_only() {
    for server in
        Running::both(Settings::default(), |request: &mut Request| match request.param_str("REQUEST_URI") {
            Some("/str") => panic!("as asked for"),
            Some("/string") => panic!("as asked {}", "for"),
            Some("/late") => {
                say("gathered, not sent")(request)?;
                panic!("as asked for")
            }
            _ => say("fine")(request),
        })
    {
        let mut client = server.connect();
        for path in ["/str", "/string", "/late"] {
            let answer = client.call(&Call::get(path));
            answer.assert_ended(500, ProtocolStatus::RequestComplete);
            assert_eq!(answer.text(), "Internal Server Error\n");
            assert_eq!(answer.log(), "the handler panicked: as asked for\n");
            client.call(&Call::get("/")).assert_ok("fine");
        }
    }
}

#[test]
fn a_handler_that_fails_gives_a_500_and_its_error_on_stderr() {
    let server =
        Running::unix(Settings::default(), |request: &mut Request| match request.param_str("REQUEST_URI") {
            Some("/io") => Err(io::Error::other("the disk is full").into()),
            Some("/late") => {
                say("gathered, not sent")(request)?;
                Err("too bad".into())
            }
            _ => say("fine")(request),
        });
    let mut client = server.connect();
    for (path, log) in [("/io", "the disk is full\n"), ("/late", "too bad\n")] {
        let answer = client.call(&Call::get(path));
        answer.assert_ended(500, ProtocolStatus::RequestComplete);
        assert_eq!(answer.log(), log);
        client.call(&Call::get("/")).assert_ok("fine");
    }
}

#[test]
fn w32_a_handler_that_fails_in_the_middle_ends_its_answer_only_if_its_length_shows_that_it_was_cut() {
    let server = Running::unix(Settings::default(), |request: &mut Request| -> Result<(), BoxError> {
        let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
        if request.param_str("REQUEST_URI") == Some("/length") {
            page = page.header("Content-Length", "100")?;
        }
        page.write_all(b"half")?;
        page.flush()?;
        Err("no more".into())
    });
    let mut client = server.connect();
    for _ in 0..2 {
        let answer = client.call(&Call::get("/length"));
        answer.assert_ok("half");
        assert_eq!(answer.log(), "no more\n");
    }
    client.send(Call::get("/").bytes());
    let answer = client.cut_answer();
    assert_eq!((answer.text(), answer.log()), ("half", "no more\n"));
}

#[test]
fn a_handler_without_a_whole_head_gives_a_500() {
    let server = Running::unix(Settings::default(), |request: &mut Request| {
        let text: &[u8] = match request.param_str("REQUEST_URI") {
            Some("/nothing") => b"",
            Some("/no-end") => b"Status: 200 OK\r\nContent-Type: text/plain\r\n",
            Some("/no-colon") => b"HTTP/1.1 200 OK\r\n\r\n",
            _ => b"Content-Type: text/plain\n\nfine",
        };
        // An error of the write is not passed on: the end finds out all the same.
        let _ = request.stdout().write_all(text);
        Ok(())
    });
    let mut client = server.connect();
    for path in ["/nothing", "/no-end", "/no-colon"] {
        let answer = client.call(&Call::get(path));
        answer.assert_ended(500, ProtocolStatus::RequestComplete);
        assert!(answer.log().starts_with("response head: "), "{}", answer.log());
        client.call(&Call::get("/")).assert_ok("fine");
    }
}

#[test]
fn the_application_status_is_passed_on() {
    let server = Running::unix(Settings::default(), |request: &mut Request| {
        say("ok")(request)?;
        let code = request.param_str("REQUEST_URI").unwrap_or_default().parse();
        Ok(AppStatus(code?))
    });
    let mut client = server.connect();
    for code in [0, 1, 255, u32::MAX] {
        let answer = client.call(&Call::get(&code.to_string()));
        assert_eq!((answer.app_status, answer.protocol_status), (code, 0));
        assert_eq!(answer.text(), "ok");
    }
}

#[test]
fn the_request_tells_what_the_client_sent() {
    let server = Running::unix(Settings::default(), |request: &mut Request| {
        let (id, role, keep_conn) = (request.id(), request.role(), request.keep_conn());
        say(&format!("{id} {role} {keep_conn}"))(request)
    });
    server.connect().call(&Call::get("/").id(65535)).assert_ok("65535 Responder true");
    let mut client = server.connect();
    client.call(&Call::get("/").id(3).authorizer().closing()).assert_ok("3 Authorizer false");
    client.assert_closed();
}

#[test]
fn an_unknown_role_is_refused_and_the_connection_goes_on() {
    let server = Running::unix(Settings::default(), say("fine"));
    let mut client = server.connect();
    for role in [0, 4, 255, u16::MAX] {
        let mut call = Call::post("/", "a body that comes all the same").id(7);
        call.role = role;
        client.call(&call).assert_ended(503, ProtocolStatus::UnknownRole);
        client.call(&Call::get("/").id(7)).assert_ok("fine");
    }
}

#[test]
fn a_second_request_during_a_body_is_refused_and_the_first_untouched() {
    for server in Running::both(Settings::default(), echo) {
        let mut client = server.connect();
        let first = Call::post("/", "untouched");
        client.send([first.opening(), record(RecordType::Stdin, 1, b"un")].concat());
        client.send(Call::post("/", "other").id(2).bytes());
        client.answer(2).assert_ended(503, ProtocolStatus::CantMpxConn);
        client.send([record(RecordType::Stdin, 1, b"touched"), record(RecordType::Stdin, 1, b"")].concat());
        client.answer(1).assert_ok("untouched");
        client.call(&Call::post("/", "later").id(2)).assert_ok("later");
    }
}

#[test]
fn values_are_asked_for_before_between_and_while_a_handler_reads() {
    let change = settings(|settings| {
        settings.max_connections = 17;
        settings.limits.max_reqs = 5;
    });
    let server = Running::unix(change, echo);
    let mut client = server.connect();
    let names = ["FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS", "FCGI_NEVER_HEARD_OF"];
    let question = record(RecordType::GetValues, 0, &pairs(names.map(|name| (name, ""))));
    let expected = pairs([("FCGI_MAX_CONNS", "17"), ("FCGI_MAX_REQS", "5"), ("FCGI_MPXS_CONNS", "0")]);
    let ask = |client: &mut support::Client| {
        client.send(&question);
        let answer = client.record();
        assert_eq!((answer.record_type, answer.id), (RecordType::GetValuesResult, 0));
        assert_eq!(answer.content, expected);
    };
    ask(&mut client);
    let call = Call::post("/", "body");
    client.send(call.begin());
    ask(&mut client);
    client.send(&call.opening()[call.begin().len()..]);
    ask(&mut client);
    client.send(call.bodies());
    client.answer(1).assert_ok("body");
    ask(&mut client);
}

#[test]
fn the_server_answers_for_as_many_connections_as_it_takes() {
    let server = Running::unix(Settings::default(), say("fine"));
    let mut client = server.connect();
    let names = ["FCGI_MAX_CONNS", "FCGI_MAX_REQS"];
    client.send(record(RecordType::GetValues, 0, &pairs(names.map(|name| (name, "")))));
    assert_eq!(client.record().content, pairs(names.map(|name| (name, "512"))));
}

#[test]
fn an_unknown_management_type_is_answered_and_the_connection_goes_on() {
    let server = Running::unix(Settings::default(), say("fine"));
    let mut client = server.connect();
    let header =
        fcgi_proto::record::Header { record_type: 99, padding_length: 255, request_id: 0, content_length: 3 };
    client.send(support::raw_record(header, b"abc"));
    let answer = client.record();
    assert_eq!((answer.record_type, answer.id), (RecordType::UnknownType, 0));
    assert_eq!(answer.content, [99, 0, 0, 0, 0, 0, 0, 0]);
    client.call(&Call::get("/")).assert_ok("fine");
}

#[test]
fn an_abort_reaches_the_handler_that_reads_and_is_answered_with_its_status() {
    let (sender, kinds) = mpsc::channel();
    let server = Running::unix(Settings::default(), move |request: &mut Request| {
        let error = request.stdin().read_to_end(&mut Vec::new()).err();
        sender.send(error.map(|error| error.kind()))?;
        request.respond(Status::OK).write_all(b"not wanted any more")?;
        Ok(AppStatus(7))
    });
    let mut client = server.connect();
    let call = Call::post("/", "never");
    client.send([call.opening(), support::abort(1)].concat());
    let answer = client.answer(1);
    assert_eq!((answer.app_status, answer.protocol_status), (7, 0));
    assert_eq!(answer.stdout, b"");
    let kind = kinds.recv_timeout(PATIENCE).expect("the handler ran");
    assert_eq!(kind, Some(ErrorKind::ConnectionAborted));
    assert_eq!(client.call(&call).text(), "not wanted any more");
}

#[test]
fn an_abort_behind_what_the_handler_read_ends_the_request_and_not_the_connection() {
    for aborted in [Call::get("/"), Call::get("/").filter(b"a file")] {
        let calls = [aborted.opening(), support::abort(1), Call::post("/", "next").bytes()];
        let duplex = serve([calls.concat()], |request| {
            if request.param_str("REQUEST_METHOD") == Some("POST") {
                echo(request)?;
                return Ok(AppStatus(0));
            }
            request.respond(Status::OK).write_all(b"not wanted any more")?;
            Ok(AppStatus(7))
        });
        let written = duplex.written();
        let mut from = &written[..];
        let answer = Answer::read(&mut from, 1).expect("an end of the request");
        assert_eq!((answer.app_status, answer.protocol_status), (7, 0));
        assert_eq!(answer.stdout, b"");
        Answer::read(&mut from, 1).expect("an answer to the next request").assert_ok("next");
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_body_is_an_error_to_the_handler() {
    let (sender, kinds) = mpsc::channel();
    let server = Running::unix(Settings::default(), move |request: &mut Request| {
        let error = request.stdin().read_to_end(&mut Vec::new()).expect_err("no end of STDIN came");
        sender.send(error.kind())?;
        Err::<(), _>(error.into())
    });
    let cut = record(RecordType::Stdin, 1, b"not all")[..10].to_vec();
    for (sent, kind) in [(Vec::new(), ErrorKind::UnexpectedEof), (cut, ErrorKind::UnexpectedEof)] {
        let mut client = server.connect();
        client.send([Call::post("/", "").opening(), sent].concat());
        client.end_sending();
        assert_eq!(kinds.recv_timeout(PATIENCE), Ok(kind));
        client.answer(1).assert_ended(500, ProtocolStatus::RequestComplete);
        client.assert_closed();
    }
}

#[test]
fn a_filter_reads_its_data_with_or_without_its_stdin() {
    let server = Running::unix(Settings::default(), |request: &mut Request| {
        assert_eq!(request.role(), Role::Filter);
        let [mut stdin, mut data] = [String::new(), String::new()];
        if request.param_str("REQUEST_URI") == Some("/both") {
            request.stdin().read_to_string(&mut stdin)?;
        }
        request.data().read_to_string(&mut data)?;
        say(&format!("{stdin}|{data}"))(request)
    });
    let mut client = server.connect();
    let call = |path| Call::post(path, "query").filter(b"file");
    client.call(&call("/both")).assert_ok("query|file");
    client.call(&call("/data")).assert_ok("|file");
}

#[test]
fn a_filter_that_reads_nothing_is_answered_after_its_stdin() {
    for keep_conn in [true, false] {
        let mut call = Call::post("/", vec![b'q'; 100_000]).filter(&[b'f'; 100_000]);
        call.keep_conn = keep_conn;
        let duplex = serve([call.opening(), call.bodies()], say("fine"));
        Answer::read(&*duplex.written(), 1).expect("a whole answer").assert_ok("fine");
    }
}

/// What a handler gets that reads, writes and flushes after it finished its request.
type Errors = mpsc::Receiver<[ErrorKind; 3]>;

/// Answers, and for `/later` has finished that, then waits to be told to go on, and tells what is left to it.
fn later() -> (impl Fn(&mut Request<'_>) -> Result<(), BoxError> + Send + Sync, mpsc::Sender<()>, Errors) {
    let (go_on, may_go_on) = mpsc::channel();
    let (done, is_done) = mpsc::channel();
    let may_go_on = Mutex::new(may_go_on);
    let handler = move |request: &mut Request<'_>| {
        say("ok")(request)?;
        if request.param_str("REQUEST_URI") == Some("/later") {
            request.finish();
            request.finish();
            may_go_on.lock().expect("no handler panics").recv_timeout(PATIENCE)?;
            assert_eq!(request.param_str("REQUEST_URI"), Some("/later"), "whatever was read since");
            let read = request.stdin().read(&mut [0]).unwrap_err();
            let write = request.stdout().write(b"more").unwrap_err();
            let flush = request.stdout().flush().unwrap_err();
            assert!(request.respond(Status::OK).header("A", "b").is_err());
            done.send([read, write, flush].map(|error| error.kind()))?;
        }
        Ok(())
    };
    (handler, go_on, is_done)
}

#[test]
fn a_handler_that_finished_its_request_goes_on_while_its_connection_serves_the_next() {
    let (handler, go_on, is_done) = later();
    let server = Running::unix(Settings::default(), handler);
    let mut client = server.connect();
    client.call(&Call::post("/later", "a body that nobody reads")).assert_ok("ok");
    client.call(&Call::get("/")).assert_ok("ok");
    // One that is not kept closes.
    let mut other = server.connect();
    other.call(&Call::get("/later").closing()).assert_ok("ok");
    other.assert_closed();
    for _ in 0..2 {
        go_on.send(()).expect("the handler waits");
        let errors = is_done.recv_timeout(PATIENCE).expect("it goes on");
        assert_eq!(errors, [ErrorKind::NotConnected; 3]);
    }
    client.call(&Call::get("/")).assert_ok("ok");
}

#[test]
fn a_connection_waits_for_the_ninth_handler_that_goes_on_after_it_finished_its_request() {
    let (handler, go_on, is_done) = later();
    let server = Running::unix(settings(|settings| settings.max_connections = 1), handler);
    let mut client = server.connect();
    for _ in 0..9 {
        client.call(&Call::get("/later")).assert_ok("ok");
    }
    client.send(Call::get("/later").closing().bytes());
    client.assert_silent();
    for _ in 0..9 {
        go_on.send(()).expect("the handlers wait");
    }
    client.answer(1).assert_ok("ok");
    // What the client may wait for is there all the same.
    client.assert_closed();
    go_on.send(()).expect("the handler waits");
    for _ in 0..10 {
        is_done.recv_timeout(PATIENCE).expect("it goes on");
    }
}
