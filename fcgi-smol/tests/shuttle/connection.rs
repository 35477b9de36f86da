//! A connection of a server: its task, its requests' handlers, parts of these in tasks of their own.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fcgi_proto::record::RecordType;
use fcgi_smol::memory::{End, pipe, slow_pipe};
use fcgi_smol::{Request, Settings, Spawn, Status, serve_stream};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use smol::channel;
use smol::io::{AsyncReadExt, AsyncWriteExt};

use crate::polls::at_most;
use crate::wire::{Answer, Call, abort, read_record, record};
use crate::{Clock, Outcome, Tasks, echo, orders, random_orders, say, send};

/// A connection that is served: its other end, and what becomes of it.
fn serve<F>(
    room: usize,
    handler: impl Fn(Request) -> F + Send + Sync + 'static,
) -> (Arc<End>, JoinHandle<io::Result<()>>)
where
    F: Future<Output = Outcome> + Send + 'static,
{
    serve_over(pipe(room), |_| (), handler)
}

fn serve_over<F>(
    (ours, theirs): (End, End),
    change: impl FnOnce(&mut Settings) + Send + 'static,
    handler: impl Fn(Request) -> F + Send + Sync + 'static,
) -> (Arc<End>, JoinHandle<io::Result<()>>)
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let served = spawn(async move {
        let mut settings = Settings::default();
        settings.body_room = 300;
        // Who waits for something else than a limit is called for that.
        (settings.idle_timeout, settings.params_timeout) = (Duration::MAX, Duration::MAX);
        (settings.read_timeout, settings.write_timeout) = (Duration::MAX, Duration::MAX);
        change(&mut settings);
        serve_stream(theirs, &settings, Tasks, handler).await
    });
    (Arc::new(ours), served)
}

/// The limits of a body that stops, and of an answer that nobody takes.
fn limits(settings: &mut Settings) {
    let Settings { read_timeout, write_timeout, .. } = Settings::default();
    (settings.read_timeout, settings.write_timeout) = (read_timeout, write_timeout);
}

/// Reads until so many requests have ended: their answers.
fn answers(mut end: &End, count: usize) -> BTreeMap<u16, Answer> {
    let (mut records, mut ended) = (BTreeMap::<u16, Vec<u8>>::new(), 0);
    while ended < count {
        let came = read_record(&mut end).expect("a record").expect("a record, not the end");
        ended += usize::from(came.record_type == RecordType::EndRequest);
        records.entry(came.id).or_default().extend(record(came.record_type, came.id, &came.content));
    }
    records.into_iter().map(|(id, bytes)| (id, Answer::read(&*bytes, id).expect("whole"))).collect()
}

/// The connection ends in good order once nothing more is sent.
fn leave(end: &Arc<End>, served: JoinHandle<io::Result<()>>) {
    end.end_sending();
    assert_eq!(read_record(&**end).expect("no error"), None);
    block_on(served).expect("it runs to its end").expect("FastCGI");
}

/// What these calls send, a record of each in turn.
fn in_turns(calls: &[Call], piece: usize) -> Vec<u8> {
    let mut sent: Vec<u8> = calls.iter().flat_map(Call::opening).collect();
    let bodies: Vec<_> = calls.iter().map(|call| (call.id, call.stdin.clone().unwrap_or_default())).collect();
    for at in (0..).step_by(piece).take_while(|at| bodies.iter().any(|(_, body)| *at < body.len())) {
        for (id, body) in bodies.iter().filter(|(_, body)| at < body.len()) {
            sent.extend(record(RecordType::Stdin, *id, &body[at..body.len().min(at + piece)]));
        }
    }
    sent.extend(bodies.iter().flat_map(|(id, _)| record(RecordType::Stdin, *id, b"")));
    sent
}

fn body(id: u16, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * usize::from(id)) as u8).collect()
}

#[test]
fn requests_that_share_a_connection_are_answered_with_what_is_theirs() {
    orders(|| {
        let (end, served) = serve(400, echo);
        let calls: Vec<_> = (1..=3).map(|id| Call::post("/", body(id, 600)).id(id)).collect();
        let sender = send(&end, in_turns(&calls, 150));
        for (id, answer) in answers(&end, 3) {
            answer.assert_ok(body(id, 600));
        }
        sender.join().expect("all is sent");
        leave(&end, served);
    });
}

#[test]
fn requests_one_after_the_other_are_answered() {
    orders(|| {
        let (end, served) = serve(100, echo);
        for round in 1..=3 {
            let sender = send(&end, Call::post("/", body(round, 300)).bytes());
            answers(&end, 1)[&1].assert_ok(body(round, 300));
            sender.join().expect("all is sent");
        }
        leave(&end, served);
    });
}

#[test]
fn a_stream_that_takes_a_while_to_be_flushed_and_closed_is_waited_for() {
    orders(|| {
        let (end, served) = serve_over(slow_pipe(300), |_| (), echo);
        send(&end, Call::post("/", body(1, 100)).closing().bytes()).join().expect("it is read");
        answers(&end, 1)[&1].assert_ok(body(1, 100));
        assert_eq!(read_record(&*end).expect("no error"), None);
        drop(end);
        block_on(served).expect("it runs to its end").expect("FastCGI");
    });
}

#[test]
fn a_body_is_read_in_one_task_while_the_answer_is_written_in_another() {
    async fn handler(request: Request) -> Outcome {
        let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
        let (mut stdin, id) = (request.stdin(), request.id().get());
        let mut first = [0; 10];
        // It waits here first, perhaps, and then elsewhere.
        let count = smol::future::or(async { stdin.read(&mut first).await }, async {
            yield_now().await;
            Ok(0)
        });
        let count = count.await?;
        let read = spawn(async move {
            let mut read = first[..count].to_vec();
            stdin.read_to_end(&mut read).await.map(|_| read)
        });
        for part in body(id, 600).chunks(200) {
            page.write_all(part).await?;
            page.flush().await?;
        }
        let read = read.await.expect("it runs to its end")?;
        page.write_all(&read).await?;
        Ok(())
    }
    orders(|| {
        let (end, served) = serve(300, handler);
        let calls: Vec<_> = (1..=2).map(|id| Call::post("/", body(id, 500)).id(id)).collect();
        let sender = send(&end, in_turns(&calls, 100));
        for (id, answer) in answers(&end, 2) {
            answer.assert_ok([body(id, 600), body(id, 500)].concat());
        }
        sender.join().expect("all is sent");
        leave(&end, served);
    });
}

#[test]
fn a_handler_that_reads_some_and_waits_for_another_request_lets_that_come() {
    orders(|| {
        let (done, is_done) = channel::bounded::<()>(1);
        let (end, served) = serve(2000, move |request: Request| {
            let (done, is_done) = (done.clone(), is_done.clone());
            async move {
                if request.id().get() == 2 {
                    echo(request).await?;
                    return Ok(done.try_send(())?);
                }
                // As much as makes room for what the other one waits for.
                let mut read = vec![0; 400];
                request.stdin().read_exact(&mut read).await?;
                is_done.recv().await?;
                request.stdin().read_to_end(&mut read).await?;
                say(&request, read).await
            }
        });
        let calls = [Call::post("/", body(1, 600)).id(1), Call::post("/", body(2, 100)).id(2)];
        let sent = [calls[0].opening(), calls[1].opening(), calls[0].bodies(), calls[1].bodies()].concat();
        let sender = send(&end, sent);
        for (id, answer) in answers(&end, 2) {
            answer.assert_ok(calls[usize::from(id) - 1].stdin.as_ref().expect("a body"));
        }
        sender.join().expect("all is sent");
        leave(&end, served);
    });
}

/// A handler that waits in a task of its own until the test says so, reads so much of its body of 600 bytes, and goes on
/// once another request was answered, which came behind that.
fn reads_and_waits_for_another(length: usize, change: fn(&mut Settings)) {
    let (go, may_go) = channel::bounded::<()>(1);
    let (done, is_done) = channel::bounded::<()>(1);
    let (end, served) = serve_over(pipe(2000), change, move |request: Request| {
        let (may_go, done, is_done) = (may_go.clone(), done.clone(), is_done.clone());
        async move {
            if request.id().get() == 2 {
                echo(request).await?;
                return Ok(done.try_send(())?);
            }
            let mut stdin = request.stdin();
            let reader = spawn(async move {
                may_go.recv().await.expect("it is told");
                let mut read = vec![0; length];
                stdin.read_exact(&mut read).await?;
                is_done.recv().await.expect("it is told");
                stdin.read_to_end(&mut read).await.map(|_| read)
            });
            say(&request, reader.await.expect("it runs to its end")?).await
        }
    });
    let calls = [Call::post("/", body(1, 600)).id(1), Call::post("/", body(2, 10)).id(2)];
    let sent = [calls[0].opening(), record(RecordType::Stdin, 1, &body(1, 600)), calls[1].bytes()].concat();
    send(&end, sent).join().expect("it is read");
    go.try_send(()).expect("it waits");
    let mut answers_of = answers(&end, 1);
    send(&end, record(RecordType::Stdin, 1, b"")).join().expect("it is read");
    answers_of.extend(answers(&end, 1));
    for (id, answer) in answers_of {
        answer.assert_ok(calls[usize::from(id) - 1].stdin.as_ref().expect("a body"));
    }
    leave(&end, served);
}

#[test]
fn a_handler_that_reads_what_was_kept_and_waits_for_another_request_lets_that_come() {
    orders(|| reads_and_waits_for_another(300, |_| ()));
}

#[test]
fn a_handler_that_reads_what_could_not_be_kept_and_waits_for_another_request_lets_that_come() {
    // As much as the parameters need.
    orders(|| reads_and_waits_for_another(600, |settings| settings.memory = 500));
}

#[test]
fn a_handler_that_waits_to_read_lets_a_request_begin_behind_a_body_that_nobody_reads() {
    orders(|| {
        let (go, may_go): (Vec<_>, Vec<_>) = (0..2).map(|_| channel::bounded::<()>(1)).unzip();
        let (end, served) = serve(2000, move |request: Request| {
            let may_go = may_go.get(usize::from(request.id().get()) - 1).cloned();
            async move {
                if let Some(may_go) = may_go {
                    may_go.recv().await?;
                }
                echo(request).await
            }
        });
        let calls: Vec<_> = (1..=3).map(|id| Call::post("/", body(id, 600)).id(id)).collect();
        let unread = record(RecordType::Stdin, 2, &body(2, 600));
        let sent = [calls[0].opening(), calls[1].opening(), unread, calls[2].bytes()].concat();
        send(&end, sent).join().expect("it is read");
        go[0].try_send(()).expect("it waits");
        answers(&end, 1)[&3].assert_ok(body(3, 600));
        go[1].try_send(()).expect("it waits");
        let sent = [calls[0].bodies(), record(RecordType::Stdin, 2, b"")].concat();
        send(&end, sent).join().expect("it is read");
        for (id, answer) in answers(&end, 2) {
            answer.assert_ok(body(id, 600));
        }
        leave(&end, served);
    });
}

#[test]
fn what_a_reader_finds_behind_its_body_wakes_the_reader_of_that() {
    orders(|| {
        let (go, may_go) = channel::bounded::<()>(1);
        let (told, tells) = channel::bounded::<()>(1);
        let change = |settings: &mut Settings| settings.spool = 0;
        let (end, served) = serve_over(pipe(2000), change, move |request: Request| {
            let (may_go, told) = (may_go.clone(), told.clone());
            async move {
                if request.id().get() == 1 {
                    request.stdin().read_exact(&mut [0; 100]).await?;
                    return Ok(told.try_send(())?);
                }
                may_go.recv().await?;
                echo(request).await
            }
        });
        let calls = [Call::post("/", "").id(1), Call::post("/", "").id(2)];
        let [one, two] =
            [(1, 100), (2, 600)].map(|(id, length)| record(RecordType::Stdin, id, &body(id, length)));
        let sent = [calls[0].opening(), calls[1].opening(), two, one].concat();
        send(&end, sent).join().expect("it is read");
        go.try_send(()).expect("it waits");
        block_on(tells.recv()).expect("it has read");
        send(&end, calls.iter().flat_map(Call::bodies).collect()).join().expect("it is read");
        answers(&end, 2)[&2].assert_ok(body(2, 600));
        leave(&end, served);
    });
}

#[test]
fn what_a_handler_wrote_leaves_while_it_waits_for_something_else() {
    orders(|| {
        let (reads, does_read) = channel::bounded::<()>(1);
        let (go, may_go) = channel::bounded::<()>(1);
        // The task has this limit to look at, and is not called for that of the answer.
        let change = |settings: &mut Settings| settings.read_timeout = Duration::from_secs(1);
        let (end, served) = serve_over(pipe(4000), change, move |request: Request| {
            let (reads, may_go) = (reads.clone(), may_go.clone());
            async move {
                if request.id().get() == 2 {
                    reads.try_send(())?;
                    return echo(request).await;
                }
                let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
                let writer = spawn(async move {
                    may_go.recv().await.expect("it is told");
                    let count = page.write(&body(1, 20_000)).await?;
                    may_go.recv().await.expect("it is told");
                    page.write_all(&body(1, 20_000)[count..]).await
                });
                Ok(writer.await.expect("it runs to its end")?)
            }
        });
        let calls = [Call::get("/").id(1), Call::post("/", "two").id(2)];
        send(&end, [calls[0].bytes(), calls[1].opening()].concat()).join().expect("it is read");
        block_on(does_read.recv()).expect("it runs");
        go.try_send(()).expect("it waits");
        // The head, and all that it wrote.
        let came = (0..2).map(|_| read_record(&*end).expect("a record").expect("a record, not the end"));
        let came: Vec<u8> = came.flat_map(|came| record(came.record_type, 1, &came.content)).collect();
        go.try_send(()).expect("it waits");
        Answer::read(io::Read::chain(&*came, &*end), 1).expect("whole").assert_ok(body(1, 20_000));
        send(&end, calls[1].bodies()).join().expect("it is read");
        answers(&end, 1)[&2].assert_ok("two");
        leave(&end, served);
    });
}

#[test]
fn a_handler_that_waited_to_read_and_waits_for_another_request_lets_that_come() {
    orders(|| {
        let (waited, has_waited) = channel::bounded::<()>(1);
        let (done, is_done) = channel::bounded::<()>(1);
        let (end, served) = serve(2000, move |request: Request| {
            let (waited, done, is_done) = (waited.clone(), done.clone(), is_done.clone());
            async move {
                if request.id().get() == 2 {
                    echo(request).await?;
                    return Ok(done.try_send(())?);
                }
                let mut stdin = request.stdin();
                let reader = spawn(async move {
                    let mut first = [0; 10];
                    // What is called for this read does not go on with it.
                    let count = at_most(1, stdin.read(&mut first)).await.transpose()?.unwrap_or(0);
                    waited.try_send(()).expect("the test waits");
                    is_done.recv().await.expect("it is told");
                    let mut read = first[..count].to_vec();
                    stdin.read_to_end(&mut read).await.map(|_| read)
                });
                say(&request, reader.await.expect("it runs to its end")?).await
            }
        });
        let calls = [Call::post("/", body(1, 200)).id(1), Call::post("/", body(2, 100)).id(2)];
        send(&end, calls[0].opening()).join().expect("it is read");
        block_on(has_waited.recv()).expect("it runs");
        send(&end, [calls[0].bodies(), calls[1].bytes()].concat()).join().expect("it is read");
        for (id, answer) in answers(&end, 2) {
            answer.assert_ok(calls[usize::from(id) - 1].stdin.as_ref().expect("a body"));
        }
        leave(&end, served);
    });
}

#[test]
fn whoever_begins_to_watch_and_does_not_read_is_told_of_an_abort() {
    orders(|| {
        let (watch, may_watch) = channel::bounded::<()>(1);
        let (end, served) = serve(2000, move |request: Request| {
            let may_watch = may_watch.clone();
            async move {
                let request = Arc::new(request);
                let watcher = Arc::clone(&request);
                let watcher = spawn(async move {
                    may_watch.recv().await.expect("it is told");
                    watcher.aborted().await;
                });
                watcher.await.expect("it is told");
                say(&request, "aborted").await
            }
        });
        // More than is kept.
        let unread = record(RecordType::Stdin, 1, &body(1, 600));
        send(&end, [Call::post("/", "").opening(), unread, abort(1)].concat()).join().expect("it is read");
        watch.try_send(()).expect("it waits");
        assert_eq!(answers(&end, 1)[&1].protocol_status, 0);
        leave(&end, served);
    });
}

#[test]
fn an_abort_is_told_to_all_who_watch_and_to_no_other_request() {
    async fn handler(request: Request) -> Outcome {
        if request.id().get() == 2 {
            return echo(request).await;
        }
        let request = Arc::new(request);
        let watcher = Arc::clone(&request);
        let watcher = spawn(async move { watcher.aborted().await });
        let mut stdin = request.stdin();
        let reader = spawn(async move { stdin.read(&mut [0; 10]).await });
        request.aborted().await;
        watcher.await.expect("it is told");
        reader.await.expect("it is told").expect_err("nothing more comes");
        say(&request, "aborted").await
    }
    orders(|| {
        let (end, served) = serve(1000, handler);
        let calls = [Call::post("/", "").id(1), Call::post("/", body(2, 100)).id(2)];
        let sent = [calls[0].opening(), calls[1].opening(), abort(1), calls[1].bodies()].concat();
        let sender = send(&end, sent);
        let answers = answers(&end, 2);
        answers[&2].assert_ok(body(2, 100));
        assert_eq!(answers[&1].protocol_status, 0);
        sender.join().expect("all is sent");
        leave(&end, served);
    });
}

#[test]
fn whoever_waits_when_the_client_leaves_is_told() {
    orders(|| {
        let (started, starts) = channel::unbounded();
        let (told, tells) = channel::unbounded();
        let (end, served) = serve(200, move |request: Request| {
            let (started, told) = (started.clone(), told.clone());
            async move {
                let id = request.id().get();
                started.try_send(()).expect("the test waits");
                match id {
                    1 => request.stdin().read(&mut [0; 10]).await.map(drop).expect_err("it has not ended"),
                    2 => loop {
                        if let Err(error) = say(&request, [0; 300]).await {
                            break io::Error::other(error);
                        }
                        request.stdout().flush().await.ok();
                        let result = request.stdout().write_all(&[0; 300]).await;
                        if let Err(error) = result {
                            break error;
                        }
                    },
                    _ => {
                        request.aborted().await;
                        io::ErrorKind::Other.into()
                    }
                };
                told.try_send(id).expect("the test waits");
                Ok(())
            }
        });
        let opening = (1..=3).flat_map(|id| Call::post("/", "").id(id).opening()).collect();
        send(&end, opening).join().expect("it is read");
        for _ in 0..3 {
            block_on(starts.recv()).expect("they run");
        }
        drop(end);
        let mut ended: Vec<_> = (0..3).map(|_| block_on(tells.recv()).expect("it is told")).collect();
        ended.sort_unstable();
        assert_eq!(ended, [1, 2, 3]);
        let _ = block_on(served).expect("it runs to its end");
    });
}

#[test]
fn whoever_watches_when_the_handler_has_ended_is_told() {
    orders(|| {
        let (told, tells) = channel::bounded(1);
        let (end, served) = serve(300, move |request: Request| {
            let told = told.clone();
            async move {
                let request = Arc::new(request);
                let watcher = Arc::clone(&request);
                drop(spawn(async move {
                    watcher.aborted().await;
                    told.try_send(()).expect("the test waits");
                }));
                say(&request, "ended").await
            }
        });
        send(&end, Call::get("/").bytes()).join().expect("it is read");
        answers(&end, 1)[&1].assert_ok("ended");
        block_on(tells.recv()).expect("it is told");
        leave(&end, served);
    });
}

#[test]
fn a_handler_that_goes_on_after_its_request_holds_up_nobody() {
    orders(|| {
        let (go_on, may_go_on) = channel::unbounded::<()>();
        let (end, served) = serve(200, move |request: Request| {
            let may_go_on = may_go_on.clone();
            async move {
                say(&request, request.param("REQUEST_URI").unwrap_or_default()).await?;
                request.finish();
                // Until the next requests were answered.
                Ok(may_go_on.recv().await?)
            }
        });
        for uri in ["/1", "/2", "/3"] {
            send(&end, Call::get(uri).bytes()).join().expect("it is read");
            answers(&end, 1)[&1].assert_ok(uri);
        }
        for _ in 0..3 {
            go_on.try_send(()).expect("they wait");
        }
        leave(&end, served);
    });
}

#[test]
fn a_body_that_stops_and_an_answer_that_is_not_taken_pass_their_limits() {
    orders(|| {
        let (told, tells) = channel::unbounded();
        let (end, served) = serve_over(pipe(200), limits, move |request: Request| {
            let told = told.clone();
            async move {
                let failed = if request.id().get() == 1 {
                    request.stdin().read(&mut [0; 10]).await.map(drop)
                } else {
                    say(&request, body(1, 1000)).await.ok();
                    request.stdout().flush().await
                };
                told.try_send((request.id().get(), failed.expect_err("it is late").kind()))
                    .expect("the test waits");
                Ok(())
            }
        });
        let sent = [Call::post("/", "").id(1).opening(), Call::get("/").id(2).bytes()].concat();
        send(&end, sent).join().expect("it is read");
        let clock = Clock::run(Duration::from_secs(1));
        let mut ended: Vec<_> = (0..2).map(|_| block_on(tells.recv()).expect("it is told")).collect();
        ended.sort_unstable();
        drop(clock);
        assert_eq!(ended.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
        drop(end);
        let _ = block_on(served).expect("it runs to its end");
    });
}

#[test]
fn an_answer_that_another_task_writes_and_nobody_takes_passes_its_limit() {
    random_orders(|| {
        let (told, tells) = channel::unbounded();
        let (end, served) = serve_over(pipe(200), limits, move |request: Request| {
            let told = told.clone();
            async move {
                // The connection's task waits for nothing but the end of this.
                let writer = spawn(async move {
                    let error = say(&request, body(1, 100_000)).await.expect_err("it is late");
                    told.try_send(error.to_string()).expect("the test waits");
                });
                writer.await.expect("it runs to its end");
                Ok(())
            }
        });
        send(&end, Call::get("/").bytes()).join().expect("it is read");
        let clock = Clock::run(Duration::from_secs(1));
        block_on(tells.recv()).expect("it is told");
        drop(clock);
        drop(end);
        let _ = block_on(served).expect("it runs to its end");
    });
}

#[test]
fn a_connection_that_is_dropped_ends_for_its_client_and_its_handlers() {
    orders(|| {
        let (started, starts) = channel::unbounded();
        let (told, tells) = channel::unbounded();
        let (end, served) = serve(1000, move |request: Request| {
            let (started, told) = (started.clone(), told.clone());
            async move {
                started.try_send(()).expect("the test waits");
                request.stdin().read(&mut [0; 10]).await.expect_err("it has not ended");
                Ok(told.try_send(())?)
            }
        });
        let opening = (1..=2).flat_map(|id| Call::post("/", "").id(id).opening()).collect();
        send(&end, opening).join().expect("it is read");
        for _ in 0..2 {
            block_on(starts.recv()).expect("they run");
        }
        served.abort();
        assert_eq!(read_record(&*end).expect("no error"), None);
        // One that was no task of its own yet is dropped.
        let _ = block_on(tells.recv());
    });
}

#[test]
fn a_connection_that_goes_on_in_another_task_has_its_limits() {
    orders(|| {
        let (ours, theirs) = pipe(100);
        let served = async move { serve_stream(theirs, &Settings::default(), Tasks, echo).await };
        let mut served = Box::pin(served);
        assert!(block_on(at_most(1, &mut served)).is_none());
        let served = spawn(served);
        let clock = Clock::run(Duration::from_secs(1));
        assert_eq!(read_record(&ours).expect("no error"), None);
        drop(clock);
        drop(ours);
        let _ = block_on(served).expect("it runs to its end");
    });
}

#[test]
fn a_limit_that_is_later_than_the_one_before_passes_too() {
    orders(|| {
        let (started, starts) = channel::bounded(1);
        let (told, tells) = channel::bounded(1);
        let change = |settings: &mut Settings| {
            (settings.params_timeout, settings.idle_timeout) =
                (Duration::from_secs(1), Duration::from_secs(1));
            settings.read_timeout = Duration::from_secs(10);
        };
        let (end, served) = serve_over(pipe(200), change, move |request: Request| {
            let (started, told) = (started.clone(), told.clone());
            async move {
                started.try_send(()).expect("the test waits");
                let error = request.stdin().read(&mut [0; 10]).await.expect_err("it is late");
                Ok(told.try_send(error.kind())?)
            }
        });
        send(&end, Call::post("/", "").opening()).join().expect("it is read");
        block_on(starts.recv()).expect("it runs");
        let clock = Clock::run(Duration::from_millis(500));
        assert_eq!(block_on(tells.recv()).expect("it is told"), io::ErrorKind::TimedOut);
        drop(clock);
        drop(end);
        let _ = block_on(served).expect("it runs to its end");
    });
}

#[test]
fn a_request_whose_task_is_dropped_is_answered_with_an_error() {
    struct Nobody;

    impl<F> Spawn<F> for Nobody {
        fn spawn_detached(&self, future: F) {
            drop(future);
        }
    }

    orders(|| {
        let (end, theirs) = pipe(1000);
        let handler = |_: Request| std::future::pending::<Outcome>();
        let served = spawn(async move { serve_stream(theirs, &Settings::default(), Nobody, handler).await });
        let end = Arc::new(end);
        let sent = (1..=2).flat_map(|id| Call::get("/").id(id).bytes()).collect();
        send(&end, sent).join().expect("it is read");
        // The first one may be no task of its own, and wait for ever.
        let (_, answer) = answers(&end, 1).pop_first().expect("an answer");
        assert_eq!(answer.status(), 500);
        served.abort();
    });
}
