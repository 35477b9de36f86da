//! What handlers do and what becomes of it: panics, errors, statuses, waits that end.

mod support;

use std::io::{self, ErrorKind};
use std::sync::mpsc;
use std::time::Duration;

use fcgi_proto::record::{ProtocolStatus, RecordType};
use fcgi_smol::{AppStatus, Listener, Request, Server, Status};
use smol::future::yield_now;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use support::{
    Boxed, Call, Client, Outcome, PATIENCE, Running, Settings, answer, in_time, read_record, record, say,
    settings, wait_until, waiter,
};

// What an executor moves between threads may go there.
const _: () = {
    const fn goes_anywhere<T: Send + Sync>() {}
    const fn goes_along<T: Send>() {}
    goes_anywhere::<Server>();
    goes_anywhere::<fcgi_smol::Handle>();
    goes_anywhere::<Request>();
    goes_anywhere::<fcgi_smol::Client>();
    goes_anywhere::<fcgi_smol::Pool>();
    goes_along::<fcgi_smol::Outgoing<'static>>();
    goes_along::<fcgi_smol::Response<'static>>();
};

const SHORT: Duration = Duration::from_millis(100);

fn panics(request: Request) -> Boxed {
    if request.param("REQUEST_URI") == Some(b"/create") {
        panic!("as asked for");
    }
    Box::pin(async move {
        match request.param_str("REQUEST_URI") {
            Some("/first") => panic!("as asked for"),
            Some("/later") => {
                yield_now().await;
                panic!("as asked {}", "for")
            }
            Some("/late") => {
                answer(&request, "gathered, not sent").await?;
                panic!("as asked for")
            }
            Some("/wait") => {
                request.stdin().read_to_end(&mut Vec::new()).await?;
                answer(&request, "fine").await
            }
            _ => answer(&request, "fine").await,
        }
    })
}

#[test]
fn a_handler_that_panics_costs_its_request_only() {
    for server in Running::both(Settings::default(), panics) {
        // The first time alone on its connection, then beside another request.
        for others in [0, 2] {
            let mut client = server.connect();
            client.send(
                (0..others).flat_map(|id| Call::post("/wait", "").id(50 + id).opening()).collect::<Vec<_>>(),
            );
            for path in ["/create", "/first", "/later", "/late"] {
                let answer = client.call(&Call::get(path));
                answer.assert_ended(500, ProtocolStatus::RequestComplete);
                assert_eq!(answer.text(), "Internal Server Error\n");
                assert_eq!(answer.log(), "the handler panicked: as asked for\n");
                client.call(&Call::get("/").id(2)).assert_ok("fine");
            }
            client
                .send((0..others).flat_map(|id| record(RecordType::Stdin, 50 + id, b"")).collect::<Vec<_>>());
            client.answers(others.into()).values().for_each(|answer| answer.assert_ok("fine"));
        }
    }
}

#[test]
fn w32_a_handler_that_fails_gives_a_500_or_ends_its_answer_only_if_its_length_shows_that_it_was_cut() {
    for server in Running::both(Settings::default(), |request: Request| async move {
        match request.param_str("REQUEST_URI") {
            Some("/io") => return Err(io::Error::other("the disk is full").into()),
            Some("/late") => answer(&request, "gathered, not sent").await?,
            Some(path @ ("/half" | "/length")) => {
                let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
                if path == "/length" {
                    page = page.header("Content-Length", "100")?;
                }
                page.write_all(b"half").await?;
                page.flush().await?;
            }
            _ => return answer(&request, "fine").await,
        }
        Err("no more".into())
    }) {
        let mut client = server.connect();
        for (path, log) in [("/io", "the disk is full\n"), ("/late", "no more\n")] {
            let answer = client.call(&Call::get(path));
            answer.assert_ended(500, ProtocolStatus::RequestComplete);
            assert_eq!(answer.log(), log);
            client.call(&Call::get("/")).assert_ok("fine");
        }
        let answer = client.call(&Call::get("/length"));
        answer.assert_ok("half");
        assert_eq!(answer.log(), "no more\n");
        client.send(Call::get("/half").bytes());
        let answer = client.cut_answer();
        assert_eq!((answer.text(), answer.log()), ("half", "no more\n"));
    }
}

#[test]
fn w32_beside_other_requests_a_handler_that_fails_in_the_middle_ends_its_answer_with_the_status_1() {
    for server in Running::both(Settings::default(), |request: Request| async move {
        if request.param_str("REQUEST_URI") != Some("/half") {
            return answer(&request, "fine").await;
        }
        let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
        page.write_all(b"half").await?;
        page.flush().await?;
        Err("no more".into())
    }) {
        let mut client = server.connect();
        // One that waits for its body to end is active meanwhile.
        client.send([Call::post("/", "").id(2).opening(), Call::get("/half").bytes()].concat());
        let failed = client.answer(1);
        assert_eq!((failed.app_status, failed.protocol_status), (1, 0));
        assert_eq!((failed.text(), failed.log()), ("half", "no more\n"));
        client.send(record(RecordType::Stdin, 2, b""));
        client.answer(2).assert_ok("fine");
    }
}

#[test]
fn the_request_tells_what_the_client_sent_and_the_status_is_passed_on() {
    for server in Running::both(Settings::default(), |request: Request| async move {
        answer(&request, format!("{} {} {}", request.id(), request.role(), request.keep_conn())).await?;
        let code = request.param_str("REQUEST_URI").unwrap_or_default().parse();
        Ok(AppStatus(code?))
    }) {
        let mut client = server.connect();
        for code in [0, 1, 255, u32::MAX] {
            let answer = client.call(&Call::get(&code.to_string()).id(65535));
            assert_eq!((answer.app_status, answer.protocol_status), (code, 0));
            assert_eq!(answer.text(), "65535 Responder true");
        }
        client.call(&Call::get("0").id(3).authorizer().closing()).assert_ok("3 Authorizer false");
        client.assert_closed();
    }
}

#[test]
fn a_handler_gets_an_error_after_the_read_timeout_and_the_connection_goes_on() {
    let (sender, errors) = mpsc::channel();
    let change = settings(|settings| {
        settings.read_timeout = SHORT;
        settings.drain_timeout = SHORT;
    });
    for server in Running::both(change, move |request: Request| {
        let sender = sender.clone();
        async move {
            let mut body = Vec::new();
            if let Err(error) = request.stdin().read_to_end(&mut body).await {
                sender.send((error.kind(), error.to_string(), body))?;
                return Err(error.into());
            }
            answer(&request, body.len().to_string()).await
        }
    }) {
        let mut client = server.connect();
        let call = Call::post("/", "half of it");
        client.send([call.opening(), record(RecordType::Stdin, 1, b"half")].concat());
        let answer = client.answer(1);
        answer.assert_ended(500, ProtocolStatus::RequestComplete);
        let text = "the client sent no body within 0.1 s";
        assert_eq!(answer.log(), format!("{text}\n"));
        let error = errors.recv_timeout(PATIENCE).expect("the handler ran");
        assert_eq!(error, (ErrorKind::TimedOut, text.to_owned(), b"half".to_vec()));
        client.call(&call).assert_ok("10");
    }
}

#[test]
fn nothing_is_written_behind_a_record_that_was_cut() {
    let (sender, done) = mpsc::channel();
    let change = settings(|settings| settings.write_timeout = SHORT);
    for server in Running::both(change, move |request: Request| {
        let sender = sender.clone();
        async move {
            let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
            let error = page.write_all(&vec![b'x'; 64 * 1024 * 1024]).await.expect_err("nobody reads");
            sender.send(error.kind())?;
            // A handler that does not give up.
            for _ in 0..100 {
                let _ = page.write_all(&[b'z'; 65528]).await;
                let _ = request.stderr().write_all(b"still there\n").await;
            }
            Ok(())
        }
    }) {
        let mut client = server.connect();
        client.send([Call::get("/").id(1).bytes(), Call::get("/").id(2).bytes()].concat());
        for _ in 0..2 {
            assert_eq!(done.recv_timeout(PATIENCE), Ok(ErrorKind::TimedOut));
        }
        // Whole records, then perhaps a part of one.
        while let Ok(Some(record)) = read_record(&mut client.stream) {
            assert_eq!(record.record_type, RecordType::Stdout);
            assert!(!record.content.is_empty() && !record.content.contains(&b'z'), "{record:?}");
        }
    }
}

#[test]
fn a_client_that_writes_all_before_it_reads_costs_itself_only() {
    let change = settings(|settings| {
        settings.write_timeout = 3 * SHORT;
        settings.spool = 0;
        settings.max_connections = 1;
    });
    for server in Running::both(change, |request: Request| async move {
        let mut body = request.respond(Status::OK).header("Content-Type", "text/plain")?;
        smol::io::copy(request.stdin(), &mut body).await?;
        Ok(())
    }) {
        let greedy = server.connect();
        let writer = greedy.send_meanwhile(Call::post("/", vec![b'e'; 32 * 1024 * 1024]).bytes());
        server.connect().call(&Call::post("/", "next")).assert_ok("next");
        assert!(writer.join().expect("the writer ends").is_err(), "the server read everything");
    }
}

#[test]
fn a_shutdown_answers_all_that_a_connection_has_got_already() {
    let (handler, has_started, go_on) = waiter();
    let servers =
        [Running::unix(Settings::default(), handler.clone()), Running::tcp(Settings::default(), handler)];
    for mut server in servers {
        let mut client = server.connect();
        client.send(Call::get("/wait").bytes());
        has_started.recv_timeout(PATIENCE).expect("the handler runs");
        client.send(Call::get("/second").id(2).bytes());
        server.handle.shutdown();
        client.answer(2).assert_ok("/second");
        go_on.send(()).expect("the handler waits");
        client.answer(1).assert_ok("/wait");
        client.assert_closed();
        server.wait().expect("the server ends in good order");
    }
}

#[test]
fn a_server_that_was_shut_down_before_it_serves_returns_at_once() {
    let listener = Listener::bind("127.0.0.1:0").expect("a port is free");
    let server = Server::new(listener).expect("it can be registered");
    server.handle().shutdown();
    server.handle().shutdown();
    let executor = smol::Executor::new();
    in_time(executor.run(server.serve(&executor, say("never")))).expect("it ends in good order");
}

#[test]
fn a_server_whose_handles_are_all_dropped_goes_on() {
    let listener = Listener::bind("127.0.0.1:0").expect("a port is free");
    let endpoint = listener.local_endpoint().expect("it has an address");
    let server = Server::new(listener).expect("it can be registered");
    let handle = server.handle();
    drop(server.handle());
    let serving = std::thread::spawn(move || {
        let executor = smol::LocalExecutor::new();
        smol::block_on(executor.run(server.serve(&executor, say("fine"))))
    });
    Client::connect(&endpoint).call(&Call::get("/")).assert_ok("fine");
    handle.shutdown();
    serving.join().expect("it does not panic").expect("it ends in good order");
}

/// Writes STDERR first, and the head in pieces, each flushed.
async fn in_pieces(request: Request) -> Outcome {
    let piece = request.param_str("REQUEST_URI").unwrap_or_default().parse::<usize>()?;
    let long = "X-Long: ".to_owned() + &"l".repeat(7000) + "\r\n";
    let text = format!("Status: 200 OK\r\nContent-Type: text/plain\r\n{long}\r\nbody");
    for part in text.as_bytes().chunks(piece) {
        request.stderr().write_all(b"!").await?;
        request.stdout().write_all(part).await?;
        request.stdout().flush().await?;
    }
    Ok(())
}

#[test]
fn w16_the_head_leaves_in_one_record_and_before_any_stderr() {
    for server in Running::both(Settings::default(), in_pieces) {
        let mut client = server.connect();
        let pieces = [1, 3, 50, 4096, 100_000];
        let calls =
            pieces.iter().zip(1..).flat_map(|(piece, id)| Call::get(&piece.to_string()).id(id).bytes());
        client.send(calls.collect::<Vec<_>>());
        for (id, answer) in client.answers(pieces.len()) {
            answer.assert_ok("body");
            let first = &answer.records[0];
            assert_eq!(first.record_type, RecordType::Stdout);
            assert!(first.content.starts_with(answer.head().as_bytes()), "{id}: the head is cut: {first:?}");
            assert!(answer.stderr.iter().all(|byte| *byte == b'!') && !answer.stderr.is_empty());
        }
    }
}

#[test]
fn a_handler_that_finished_its_request_goes_on_while_its_connection_serves_the_next() {
    let (go_on, may_go_on) = smol::channel::unbounded::<()>();
    let (done, is_done) = mpsc::channel();
    let server = Running::unix(Settings::default(), move |request: Request| {
        let (may_go_on, done) = (may_go_on.clone(), done.clone());
        async move {
            answer(&request, "ok").await?;
            if request.param_str("REQUEST_URI") == Some("/later") {
                request.finish();
                request.finish();
                may_go_on.recv().await?;
                let read = request.stdin().read(&mut [0]).await.unwrap_err();
                let write = request.stdout().write(b"more").await.unwrap_err();
                let flush = request.stdout().flush().await.unwrap_err();
                assert!(request.respond(Status::OK).header("A", "b").is_err());
                done.send([read, write, flush].map(|error| error.kind()))?;
            }
            Ok(())
        }
    });
    let mut client = server.connect();
    client.call(&Call::post("/later", "a body that nobody reads")).assert_ok("ok");
    client.call(&Call::get("/")).assert_ok("ok");
    // Beside others.
    client.send([Call::post("/", "").id(3).opening(), Call::get("/later").id(4).bytes()].concat());
    client.answer(4).assert_ok("ok");
    client.send(record(RecordType::Stdin, 3, b""));
    client.answer(3).assert_ok("ok");
    // One that is not kept closes.
    let mut other = server.connect();
    other.call(&Call::get("/later").closing()).assert_ok("ok");
    other.assert_closed();
    for _ in 0..3 {
        go_on.try_send(()).expect("the handler waits");
        let errors = is_done.recv_timeout(PATIENCE).expect("it goes on");
        assert_eq!(errors, [ErrorKind::NotConnected; 3]);
    }
    client.call(&Call::get("/")).assert_ok("ok");
}

#[test]
fn a_handler_that_goes_on_after_its_request_counts_as_one() {
    let (go_on, may_go_on) = smol::channel::unbounded::<()>();
    let server = Running::unix(settings(|settings| settings.max_requests = 1), move |request: Request| {
        let may_go_on = may_go_on.clone();
        async move {
            answer(&request, "ok").await?;
            request.finish();
            may_go_on.recv().await?;
            Ok(())
        }
    });
    let mut client = server.connect();
    client.call(&Call::get("/")).assert_ok("ok");
    client.call(&Call::get("/")).assert_ended(503, ProtocolStatus::Overloaded);
    go_on.try_send(()).expect("the handler waits");
    assert!(wait_until(|| client.call(&Call::get("/")).status() == 200), "its place is free");
    go_on.try_send(()).expect("the handler waits");
}
