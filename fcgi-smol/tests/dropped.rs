//! Futures that are dropped at any point: what the client sees is whole records, and other requests are right.

#[path = "polls/mod.rs"]
mod polls;
mod support;

use std::io::Read;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use fcgi_proto::record::RecordType;
use fcgi_smol::{Listener, Request, Server, Status, serve_stream};
use polls::at_most;
use smol::future::{FutureExt, yield_now};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Executor, LocalExecutor, channel};
use support::scripted::{Input, Room, Script};
use support::{Call, Client, Outcome, Running, Settings, abort, answer, in_time, record};

/// Lets other tasks have so many turns.
async fn turns(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// Writes records of 65,528 bytes of its id, and gives each write up after some polls, to write it again.
async fn impatient_writer(request: Request) -> Outcome {
    let id = request.id().get();
    let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
    let mut written = 0;
    let mut tries = usize::from(id);
    while written < 1_000_000 {
        let chunk = vec![id as u8; (1_000_000 - written).min(65528)];
        tries += 1;
        match at_most(tries % 4 + 1, page.write(&chunk)).await {
            Some(count) => written += count?,
            None => {
                // As select! does against something else that is done at some time.
                let pause = async {
                    turns(tries % 7).await;
                    Ok(0)
                };
                let write = async {
                    let mut page = request.stdout();
                    page.write(&chunk[..chunk.len().min(20_000)]).await
                };
                written += pause.or(write).await?;
            }
        }
        let _ = at_most(1, page.flush()).await;
    }
    Ok(())
}

#[test]
fn writes_that_are_dropped_leave_no_half_record() {
    for server in Running::both(Settings::default(), impatient_writer) {
        let mut client = server.connect();
        client.send((1..=6).flat_map(|id| Call::get("/").id(id).bytes()).collect::<Vec<_>>());
        for (id, answer) in client.answers(6) {
            answer.assert_ok(vec![id as u8; 1_000_000]);
        }
        client.call(&Call::get("/")).assert_ok(vec![1; 1_000_000]);
    }
}

#[test]
fn a_write_that_is_dropped_half_sent_is_finished_and_its_handler_can_end() {
    for room in [1, 7, 8, 9, 100, 60_000] {
        let script = Script::new([Input::Bytes(Call::get("/").bytes())]);
        script.allow([Room::Bytes(room), Room::Shut]);
        let client = script.clone();
        let handler = move |request: Request| {
            let client = client.clone();
            async move {
                let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
                // The first takes the record, the second waits for room and is dropped.
                page.write_all(&[b'a'; 60_000]).await?;
                let dropped = at_most(1, page.write_all(&[b'b'; 60_000])).await;
                assert!(dropped.is_none(), "there is no room for it");
                client.allow([]);
                Ok(())
            }
        };
        let executor = LocalExecutor::new();
        let settings = Settings::default();
        in_time(executor.run(serve_stream(script.stream(), &settings, &executor, handler))).expect("FastCGI");
        let written = script.written();
        let answer = support::Answer::read(&*written, 1).expect("a whole answer");
        answer.assert_ok([b'a'; 60_000]);
    }
}

/// Reads its body with reads that are given up after some polls.
async fn impatient_reader(request: Request) -> Outcome {
    let mut body = Vec::new();
    let mut buffer = vec![0; 5000];
    let mut tries = usize::from(request.id().get());
    loop {
        tries += 1;
        match at_most(tries % 3 + 1, request.stdin().read(&mut buffer)).await {
            Some(Ok(0)) => break,
            Some(count) => body.extend_from_slice(&buffer[..count?]),
            None => {
                let pause = async {
                    turns(tries % 7).await;
                    Ok(0)
                };
                let mut stdin = request.stdin();
                let count = pause.or(async { stdin.read(&mut buffer).await }).await?;
                body.extend_from_slice(&buffer[..count]);
            }
        }
    }
    answer(&request, body).await
}

#[test]
fn reads_that_are_dropped_lose_nothing() {
    for server in Running::both(Settings::default(), impatient_reader) {
        for _ in 0..5 {
            let mut client = server.connect();
            let bodies: Vec<Vec<u8>> =
                (1..=8).map(|id| (0..200_000).map(|i| (i * id) as u8).collect()).collect();
            let mut sent: Vec<u8> = (1..=8).flat_map(|id| Call::post("/", "").id(id).opening()).collect();
            for piece in 0..40 {
                for (body, id) in bodies.iter().zip(1..) {
                    sent.extend(record(RecordType::Stdin, id, &body[piece * 5000..][..5000]));
                }
            }
            sent.extend((1..=8).flat_map(|id| record(RecordType::Stdin, id, b"")));
            let writer = client.send_meanwhile(sent);
            for (id, answer) in client.answers(8) {
                answer.assert_ok(&bodies[usize::from(id) - 1]);
            }
            writer.join().expect("the writer ends").expect("everything is read");
        }
    }
}

#[test]
fn a_read_that_is_dropped_as_its_bytes_come_holds_up_nobody() {
    // The bytes are offered to a reader that is gone, and nothing else of it ever reads.
    for server in Running::both(Settings::default(), |request: Request| async move {
        if request.param("REQUEST_URI") == Some(b"/drop") {
            assert!(at_most(1, request.stdin().read(&mut [0; 10])).await.is_none(), "nothing came yet");
            answer(&request, "first").await?;
            request.stdout().flush().await?;
            request.aborted().await;
            return Ok(());
        }
        answer(&request, "fine").await
    }) {
        let mut client = server.connect();
        for _ in 0..50 {
            client.send(Call::post("/drop", "").id(1).opening());
            assert_eq!(client.record().record_type, RecordType::Stdout);
            client.send(record(RecordType::Stdin, 1, b"for nobody"));
            client.call(&Call::get("/").id(2)).assert_ok("fine");
            client.send([record(RecordType::Stdin, 1, b"for nobody"), support::abort(1)].concat());
            assert_eq!(client.answer(1).stdout, b"");
        }
    }
}

#[test]
fn dropping_serve_ends_all_connections() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let listener = Listener::bind_unix(dir.path().join("socket"), 0o600).expect("the path is free");
    let endpoint = listener.local_endpoint().expect("it has an address");
    let executor = Arc::new(Executor::new());
    let server = Server::new(listener).expect("it can be registered");
    let (started, has_started) = channel::unbounded();
    let (ended, has_ended) = channel::unbounded();
    let serve = server.serve(Arc::clone(&executor), move |request: Request| {
        let (started, ended) = (started.clone(), ended.clone());
        async move {
            started.send(()).await?;
            request.aborted().await;
            let failed = request.stdin().read(&mut [0]).await.is_err();
            ended.send(failed).await?;
            Ok(())
        }
    });
    let (mut idle, mut busy) = (Client::connect(&endpoint), Client::connect(&endpoint));
    in_time(executor.run(async {
        let run = async {
            busy.send((1..=3).flat_map(|id| Call::post("/", "").id(id).opening()).collect::<Vec<_>>());
            for _ in 0..3 {
                has_started.recv().await.expect("the handlers run");
            }
        };
        // Dropped here, with its handlers running.
        run.or(async { serve.await.expect("it goes on") }).await;
    }));
    for _ in 0..3 {
        assert!(in_time(executor.run(has_ended.recv())).expect("the handlers are told"));
    }
    for client in [&mut idle, &mut busy] {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = client.stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "it was answered");
    }
}

#[test]
fn a_dropped_executor_ends_connections_and_handlers() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let listener = Listener::bind_unix(dir.path().join("socket"), 0o600).expect("the path is free");
    let endpoint = listener.local_endpoint().expect("it has an address");
    let executor = Arc::new(Executor::new());
    let server = Server::new(listener).expect("it can be registered");
    let dropped = Arc::new(AtomicUsize::new(0));
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (started, has_started) = channel::unbounded();
    let counted = Arc::clone(&dropped);
    let handler = move |_request: Request| {
        let (started, counts) = (started.clone(), Counts(Arc::clone(&counted)));
        async move {
            started.send(()).await?;
            std::future::pending::<()>().await;
            drop(counts);
            Ok(())
        }
    };
    let mut client = Client::connect(&endpoint);
    client.send((1..=3).flat_map(|id| Call::get("/").id(id).bytes()).collect::<Vec<_>>());
    let serve = async {
        server.serve(&*executor, handler).await.expect("it goes on");
    };
    let run = async {
        for _ in 0..3 {
            has_started.recv().await.expect("the handlers run");
        }
    };
    in_time(executor.run(run.or(serve)));
    drop(executor);
    assert_eq!(dropped.load(Ordering::Relaxed), 3);
    let mut rest = Vec::new();
    let _ = client.stream.read_to_end(&mut rest);
    assert!(rest.is_empty(), "it was answered");
}

/// A waker that owns a request, and comes back to it.
struct Back(Request, channel::Sender<bool>);

impl Wake for Back {
    fn wake(self: Arc<Self>) {
        let poll = pin!(self.0.aborted()).poll(&mut Context::from_waker(Waker::noop()));
        let _ = self.1.try_send(poll.is_ready());
    }
}

#[test]
fn a_waker_may_come_back_to_the_connection_that_wakes_it() {
    let (started, has_started) = channel::unbounded();
    let (woken, was_woken) = channel::unbounded();
    let (go_on, may_go_on) = channel::unbounded::<()>();
    for server in Running::both(Settings::default(), move |request: Request| {
        let (started, may_go_on) = (started.clone(), may_go_on.clone());
        let back = Arc::new(Back(request, woken.clone()));
        async move {
            let waker = Waker::from(Arc::clone(&back));
            let poll = pin!(back.0.aborted()).poll(&mut Context::from_waker(&waker));
            assert_eq!(poll, Poll::Pending);
            // From now on its wakers alone own the request.
            drop(back);
            started.send(()).await?;
            Ok(may_go_on.recv().await?)
        }
    }) {
        let mut client = server.connect();
        client.send(Call::post("/", "").opening());
        in_time(has_started.recv()).expect("the handler runs");
        client.send(abort(1));
        assert!(in_time(was_woken.recv()).expect("the connection is not locked"), "it is aborted");
        go_on.try_send(()).expect("the handler waits");
    }
}
