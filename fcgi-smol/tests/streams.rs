//! Connections over streams in memory: every cut of reads and writes, errors and nothing at any point, flushes,
//! how many writes answers take.

mod support;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use fcgi_proto::record::{ProtocolStatus, RecordType};
use fcgi_smol::{AppStatus, BoxError, Request, Spawn, Status, serve_stream};
use smol::LocalExecutor;
use smol::channel;
use smol::future::{FutureExt, yield_now, zip};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use support::scripted::{Input, Room, Script};
use support::{
    Answer, Call, Outcome, Settings, answer, answers, in_time, pairs, read_record, record, settings,
};

async fn echo(request: Request) -> Outcome {
    let mut body = request.respond(Status::OK).header("Content-Type", "text/plain")?;
    smol::io::copy(request.stdin(), &mut body).await?;
    Ok(())
}

/// Serves the script to its end, on an executor of this thread's.
fn serve<F, T>(script: &Script, settings: &Settings, handler: impl Fn(Request) -> F) -> io::Result<()>
where
    F: Future<Output = Outcome<T>> + 'static,
    T: Into<AppStatus> + 'static,
{
    let executor = LocalExecutor::new();
    in_time(executor.run(serve_stream(script.stream(), settings, &executor, handler)))
}

fn served<F>(script: &Script, handler: impl Fn(Request) -> F) -> Vec<u8>
where
    F: Future<Output = Outcome> + 'static,
{
    serve(script, &Settings::default(), handler).expect("the stream is FastCGI");
    script.written()
}

/// Some requests that share a connection, and what they are to be answered.
fn mixed() -> (Vec<u8>, Vec<Vec<u8>>) {
    let bodies: Vec<_> = (1..=5_u8).map(|id| vec![id; usize::from(id) * 3001]).collect();
    let calls = bodies.iter().zip(1..).map(|(body, id)| Call::post("/", &**body).id(id));
    let calls: Vec<_> = calls.collect();
    let openings = calls.iter().flat_map(Call::opening);
    let sent = openings.chain(calls.iter().rev().flat_map(Call::bodies)).collect();
    (sent, bodies)
}

fn assert_all(written: &[u8], bodies: &[Vec<u8>]) {
    let mut rest = written;
    let records = std::iter::from_fn(|| read_record(&mut rest).expect("whole records"));
    let answers = answers(records);
    assert_eq!(answers.len(), bodies.len());
    for (body, id) in bodies.iter().zip(1..) {
        answers[&id].assert_ok(body);
    }
}

#[test]
fn requests_cut_anywhere_with_nothing_between_are_the_same_requests() {
    let (sent, bodies) = mixed();
    for size in [1, 7, 100, 8192] {
        let inputs = sent.chunks(size).flat_map(|part| [Input::Bytes(part.to_vec()), Input::Pending]);
        assert_all(&served(&Script::new(inputs), echo), &bodies);
        assert_all(&served(&Script::chunks(sent.chunks(size).map(<[u8]>::to_vec)), echo), &bodies);
    }
}

#[test]
fn writes_of_a_byte_with_nothing_between_lose_nothing() {
    let (sent, bodies) = mixed();
    for size in [1, 5, 1000] {
        let script = Script::chunks([sent.clone()]);
        let rooms = [Room::Bytes(size), Room::Pending];
        script.allow(rooms.into_iter().cycle().take(200_000));
        assert_all(&served(&script, echo), &bodies);
    }
}

#[test]
fn what_came_in_time_is_not_late_because_its_executor_was() {
    const LIMIT: Duration = Duration::from_millis(20);
    let settings = settings(|settings| {
        (settings.idle_timeout, settings.params_timeout, settings.read_timeout) = (LIMIT, LIMIT, LIMIT);
    });
    let call = Call::post("/", "12345").bytes();
    // On an idle connection, within the first record, within the parameters, within the body.
    for at in [0, 5, 30, call.len() - 14] {
        let (before, after) = call.split_at(at);
        let before = (at > 0).then(|| Input::Bytes(before.to_vec()));
        let script = Script::new(before.into_iter().chain([Input::Silence]));
        let busy = async {
            while script.state().reads < 1 + usize::from(at > 0) {
                yield_now().await;
            }
            std::thread::sleep(LIMIT * 2);
            script.give([Input::Bytes(after.to_vec())]);
        };
        let executor = LocalExecutor::new();
        let served = serve_stream(script.stream(), &settings, &executor, echo);
        in_time(executor.run(zip(served, busy))).0.unwrap();
        assert_all(&script.written(), &[b"12345".to_vec()]);
    }
}

#[test]
fn a_small_answer_is_one_write() {
    let script = Script::chunks((0..50).map(|_| Call::get("/").bytes()));
    served(&script, |request| async move {
        request.stderr().write_all(b"a line\n").await?;
        answer(&request, [b'x'; 1024]).await
    });
    let writes = script.state().writes.clone();
    assert_eq!(writes.len(), 50, "{writes:?}");
}

#[test]
fn answers_that_are_ready_together_are_one_write() {
    let calls: Vec<_> = (1..=30).flat_map(|id| Call::get("/").id(id).bytes()).collect();
    let script = Script::chunks([calls]);
    let written = served(&script, |request| async move { answer(&request, request.id().to_string()).await });
    let bodies: Vec<_> = (1..=30).map(|id: u16| id.to_string().into_bytes()).collect();
    assert_all(&written, &bodies);
    let writes = script.state().writes.clone();
    assert!(writes.len() <= 3, "{writes:?}");
}

#[test]
fn large_answers_take_turns_record_by_record() {
    // The stream takes all, a record at a time, or parts; the first request may have begun alone.
    let rooms: [&[Room]; 4] = [
        &[],
        &[Room::Bytes(65536), Room::Pending],
        &[Room::Bytes(10_000), Room::Pending],
        &[Room::Bytes(300_000), Room::Pending, Room::Pending],
    ];
    for rooms in rooms {
        for alone in [false, true] {
            let calls: Vec<_> = (1..=4).map(|id| Call::get("/").id(id).bytes()).collect();
            let script = if alone {
                Script::new([
                    Input::Bytes(calls[0].clone()),
                    Input::Pending,
                    Input::Bytes(calls[1..].concat()),
                ])
            } else {
                Script::chunks([calls.concat()])
            };
            script.allow(rooms.iter().copied().cycle().take(if rooms.is_empty() { 0 } else { 2000 }));
            let written = served(&script, |request| async move {
                let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
                for _ in 0..30 {
                    page.write_all(&[request.id().get() as u8; 65528]).await?;
                }
                Ok(())
            });
            let mut rest = &*written;
            let records: Vec<_> = std::iter::from_fn(|| read_record(&mut rest).expect("records")).collect();
            let mut sent = [0_usize; 4];
            for record in records.iter().skip_while(|record| record.id == 1) {
                if record.record_type == RecordType::EndRequest {
                    break;
                }
                sent[usize::from(record.id) - 1] += record.content.len();
                let others = if alone { &sent[1..] } else { &sent[..] };
                let apart = others.iter().max().unwrap_or(&0) - others.iter().min().unwrap_or(&0);
                assert!(apart <= 3 * 65536, "{rooms:?} {alone}: one is ahead: {sent:?}");
            }
            assert_all(&written, &[1, 2, 3, 4].map(|id| vec![id; 30 * 65528]));
        }
    }
}

#[test]
fn more_answers_at_once_than_have_room_are_all_sent() {
    // 64 times 8,000 bytes are ready before the connection's task writes any.
    let calls: Vec<_> = (1..=64).flat_map(|id| Call::get("/").id(id).bytes()).collect();
    for rooms in [vec![], vec![Room::Bytes(10_000), Room::Pending], vec![Room::Pending]] {
        let script = Script::chunks([calls.clone()]);
        script.allow(rooms);
        let written = served(&script, |request| async move { answer(&request, [b'y'; 8000]).await });
        assert_all(&written, &vec![vec![b'y'; 8000]; 64]);
    }
}

#[test]
fn more_replies_at_once_than_have_room_are_all_sent() {
    let flood = record(RecordType::GetValues, 0, &pairs([("FCGI_MAX_CONNS", ""), ("FCGI_MAX_REQS", "")]));
    let script = Script::chunks([flood.repeat(1600), flood.repeat(1600), Call::get("/").bytes()]);
    let written = served(&script, |request| async move { answer(&request, "fine").await });
    let mut rest = &*written;
    for _ in 0..3200 {
        let reply = read_record(&mut rest).expect("whole records").expect("a reply to each");
        assert_eq!(reply.record_type, RecordType::GetValuesResult);
    }
    Answer::read(rest, 1).expect("a whole answer").assert_ok("fine");
}

#[test]
fn a_handler_that_waits_for_its_body_has_what_comes_before_any_of_it_is_kept() {
    let calls = [Call::post("/", [b'x'; 100]).id(1), Call::get("/").id(2)];
    // They come together, so that no handler is polled by the connection's task from then on.
    let opening = [calls[0].opening(), calls[1].bytes()].concat();
    let script = Script::new([Input::Bytes(opening), Input::Pending, Input::Bytes(calls[0].bodies())]);
    let little = settings(|settings| (settings.body_room, settings.spool) = (1, 0));
    let handler = |request: Request| async move {
        let count = request.stdin().read(&mut [0; 100]).await?;
        answer(&request, count.to_string()).await
    };
    serve(&script, &little, handler).expect("the stream is FastCGI");
    assert_all(&script.written(), &[b"100".to_vec(), b"0".to_vec()]);
}

#[test]
fn a_stream_that_buffers_is_flushed_when_a_handler_flushes_and_at_the_end() {
    for slow_flushes in [0, 3] {
        let (flushed, was_flushed) = channel::bounded::<usize>(1);
        let script = Script::new([Input::Bytes(Call::get("/").opening()), Input::Silence]);
        (script.state().buffers, script.state().slow_flushes) = (true, slow_flushes);
        let seen = script.clone();
        let client = script.clone();
        let handler = move |request: Request| {
            let (seen, flushed) = (seen.clone(), flushed.clone());
            async move {
                let mut page = request.respond(Status::OK);
                page.write_all(b"first").await?;
                page.flush().await?;
                flushed.send(seen.written().len()).await?;
                // Nothing else moves the connection meanwhile.
                request.stdin().read_to_end(&mut Vec::new()).await?;
                page.write_all(b" and last").await?;
                Ok(())
            }
        };
        let executor = LocalExecutor::new();
        let settings = Settings::default();
        let served = serve_stream(script.stream(), &settings, &executor, handler);
        let sends = async {
            let length = was_flushed.recv().await.expect("the handler runs");
            assert!(length > 0, "nothing was flushed through");
            client.state().slow_flushes = slow_flushes;
            client.give([Input::Bytes(Call::get("/").bodies())]);
            std::future::pending().await
        };
        in_time(executor.run(served.or(sends))).expect("the stream is FastCGI");
        Answer::read(&*script.written(), 1).expect("a whole answer").assert_ok("first and last");
    }
}

#[test]
fn a_flush_that_never_ends_ends_the_connection_after_the_write_timeout() {
    let script = Script::new([Input::Bytes(Call::get("/").bytes()), Input::Silence]);
    (script.state().buffers, script.state().slow_flushes) = (true, usize::MAX);
    let short = settings(|settings| settings.write_timeout = std::time::Duration::from_millis(50));
    let error = serve(&script, &short, |request| async move { answer(&request, "x").await });
    assert_eq!(error.expect_err("it cannot be sent").kind(), ErrorKind::TimedOut);
}

#[test]
fn an_error_of_the_stream_ends_the_connection_wherever_it_comes() {
    let (sent, _) = mixed();
    for at in [1, 50, 700, sent.len() - 1] {
        let script = Script::new([
            Input::Bytes(sent[..at].to_vec()),
            Input::Pending,
            Input::Error(ErrorKind::ConnectionReset),
        ]);
        let result = serve(&script, &Settings::default(), echo);
        assert_eq!(result.expect_err("it was reset").kind(), ErrorKind::ConnectionReset, "{at}");
        assert!(script.state().dropped);
    }
    for before in [0, 1, 9, 500, 20_000] {
        let script = Script::new([Input::Bytes(sent.clone()), Input::Silence]);
        script.allow([Room::Bytes(before.max(1)), Room::Pending, Room::Error(ErrorKind::BrokenPipe)]);
        let result = serve(&script, &Settings::default(), echo);
        assert_eq!(result.expect_err("it broke").kind(), ErrorKind::BrokenPipe, "{before}");
        assert!(script.written().len() <= before.max(1), "bytes after an error");
    }
}

#[test]
fn a_stream_that_is_interrupted_goes_on() {
    let (sent, bodies) = mixed();
    let parts = sent
        .chunks(999)
        .flat_map(|part| [Input::Error(ErrorKind::Interrupted), Input::Bytes(part.to_vec()), Input::Pending]);
    let script = Script::new(parts);
    script.allow([Room::Error(ErrorKind::Interrupted), Room::Bytes(10)].into_iter().cycle().take(1000));
    assert_all(&served(&script, echo), &bodies);
}

#[test]
fn a_stream_that_takes_no_byte_is_an_error_and_no_loop() {
    let script = Script::chunks([Call::get("/").bytes()]);
    script.allow([Room::Bytes(0)]);
    let error = serve(&script, &Settings::default(), |request| async move { answer(&request, "x").await });
    assert_eq!(error.expect_err("nothing can be sent").kind(), ErrorKind::WriteZero);
}

#[test]
fn what_is_no_fastcgi_is_invalid_data() {
    let script = Script::chunks([b"GET / HTTP/1.1\r\n\r\n".to_vec()]);
    let error = serve(&script, &Settings::default(), echo).expect_err("it is HTTP");
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(script.state().closed, "the client is told at once");
}

#[test]
fn handlers_need_not_be_send() {
    let count = std::rc::Rc::new(std::cell::Cell::new(0));
    let counted = count.clone();
    let (sent, bodies) = mixed();
    let written = served(&Script::chunks([sent]), move |request| {
        let count = counted.clone();
        async move {
            echo(request).await?;
            count.set(count.get() + 1);
            Ok(())
        }
    });
    assert_all(&written, &bodies);
    assert_eq!(count.get(), 5);
}

/// Drops what it is to run.
struct Nobody;

impl<F> Spawn<F> for Nobody {
    fn spawn_detached(&self, _future: F) {}
}

#[test]
fn a_handler_that_its_executor_drops_is_a_500() {
    let (sent, bodies) = mixed();
    let script = Script::chunks([sent]);
    // One that is done when it is polled first needs no executor.
    let later = |request| async {
        smol::future::yield_now().await;
        echo(request).await
    };
    in_time(serve_stream(script.stream(), &Settings::default(), Nobody, later)).expect("FastCGI");
    let written = script.written();
    let mut rest = &*written;
    let answers = answers(std::iter::from_fn(|| read_record(&mut rest).expect("whole records")));
    assert_eq!(answers.len(), bodies.len());
    for answer in answers.values() {
        answer.assert_ended(500, ProtocolStatus::RequestComplete);
        assert_eq!(answer.log(), "the handler was dropped\n");
    }
}

#[test]
fn what_a_request_left_behind_keeps_no_stream_open_and_spoils_no_other_request() {
    let kept = Arc::new(std::sync::Mutex::new(Vec::new()));
    let keeper = Arc::clone(&kept);
    let script = Script::chunks((0..5).map(|_| Call::get("/").bytes()));
    served(&script, move |request: Request| {
        let keeper = Arc::clone(&keeper);
        async move {
            answer(&request, "kept").await?;
            keeper.lock().expect("no panic").push((request.stdin(), request.stdout(), request));
            Ok::<_, BoxError>(())
        }
    });
    assert!(script.state().dropped, "the stream is open");
    let written = script.written();
    let mut rest = &*written;
    (0..5).for_each(|_| Answer::read(&mut rest, 1).expect("a whole answer").assert_ok("kept"));
    for (mut stdin, mut stdout, request) in kept.lock().expect("no panic").drain(..) {
        assert_eq!(request.param_str("REQUEST_URI"), Some("/"));
        let error = in_time(stdin.read(&mut [0])).expect_err("the request is over");
        assert_eq!(error.kind(), ErrorKind::NotConnected);
        let error = in_time(stdout.write(b"more")).expect_err("the request is over");
        assert_eq!(error.kind(), ErrorKind::NotConnected);
        in_time(request.aborted());
    }
}
