//! Many requests over one connection: answers out of order and interleaved, readers that are slow, requests
//! that are left at any point.

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

#[path = "adapter/client.rs"]
mod adapter;

mod polls;
#[path = "../../fcgi-blocking/tests/client/script.rs"]
mod script;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use fcgi_proto::pair::Pairs;
use fcgi_proto::record::{Header, RecordType};
use fcgi_smol::{Client, ClientError, Endpoint, Params, Response};
use polls::{at_most, together};
use script::{App, Peer, limits, page};
use smol::future::FutureExt;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, Executor, block_on};
use support::{PATIENCE, record};

/// A request as it came so far.
#[derive(Debug, Default)]
struct Asked {
    target: String,
    stdin: Vec<u8>,
    whole: bool,
    aborted: bool,
}

/// The requests that are not answered yet, by their ids.
type Open = BTreeMap<u16, Asked>;

/// Reads a record into the request that it is of; false when the client has closed.
fn read(peer: &mut Peer, open: &mut Open) -> bool {
    read_counting(peer, open, &AtomicUsize::new(0))
}

/// The same, and counts aborts.
fn read_counting(peer: &mut Peer, open: &mut Open, aborts: &AtomicUsize) -> bool {
    let mut header = [0; 8];
    if peer.stream.read_exact(&mut header).is_err() {
        return false;
    }
    let Header { record_type, request_id, content_length, padding_length, .. } =
        Header::parse(&header).expect("version 1");
    let mut content = vec![0; usize::from(content_length) + usize::from(padding_length)];
    if peer.stream.read_exact(&mut content).is_err() {
        return false;
    }
    content.truncate(content_length.into());
    let record_type = RecordType::from_wire(record_type).expect("a type of version 1");
    aborts.fetch_add(usize::from(record_type == RecordType::AbortRequest), Ordering::SeqCst);
    match record_type {
        RecordType::BeginRequest => {
            let before = open.insert(request_id, Asked::default());
            assert!(before.is_none(), "{request_id} begins while it is active");
        }
        _ => {
            let Some(asked) = open.get_mut(&request_id) else {
                assert_eq!(record_type, RecordType::AbortRequest, "{request_id} is over");
                return true; // It crossed the end.
            };
            assert!(!asked.aborted, "{record_type:?} after an abort");
            match record_type {
                RecordType::Params => {
                    let target = Pairs::new(&content).find(|(name, _)| *name == b"REQUEST_URI");
                    let target = target.map(|(_, value)| String::from_utf8(value.to_vec()).expect("text"));
                    asked.target.push_str(&target.unwrap_or_default());
                }
                RecordType::Stdin => {
                    assert!(!asked.whole, "STDIN ends twice");
                    asked.whole = content.is_empty();
                    asked.stdin.extend(content);
                }
                RecordType::AbortRequest => asked.aborted = true,
                other => panic!("{other:?}"),
            }
        }
    }
    true
}

/// The records of answers, a piece of each in turn, the last that came first.
fn interleaved(answers: &mut Vec<(u16, Vec<u8>)>, piece: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while !answers.is_empty() {
        answers.retain_mut(|(id, output)| {
            let rest = output.split_off(piece.min(output.len()));
            out.extend(record(RecordType::Stdout, *id, output));
            *output = rest;
            if output.is_empty() {
                out.extend(record(RecordType::EndRequest, *id, &[0; 8]));
            }
            !output.is_empty()
        });
        answers.reverse();
    }
    out
}

/// What the application says to a request: all that is known of it.
fn output(target: &str, stdin: &[u8]) -> Vec<u8> {
    let sum: u64 = stdin.iter().map(|byte| u64::from(*byte)).sum();
    let line = format!("{target} {} {sum}\n", stdin.len());
    format!("Content-Type: text/plain\r\n\r\n{}", line.repeat(1 + stdin.len() % 300)).into_bytes()
}

fn client(endpoint: &Endpoint) -> Client {
    Client::multiplexed(endpoint.clone(), limits(|_| ()), 64)
}

async fn text(mut response: Response<'_>) -> String {
    let mut text = String::new();
    response.read_to_string(&mut text).await.expect("a whole body");
    assert!(response.end().is_some());
    text
}

/// What `output` becomes at the other end.
fn expected(target: &str, stdin: &[u8]) -> String {
    let output = String::from_utf8(output(target, stdin)).expect("text");
    output.split_once("\r\n\r\n").expect("a head").1.to_owned()
}

/// Asks, and checks that the answer is that of the request.
async fn ask(client: &Client, target: String, body: Vec<u8>) {
    let request = client.request(Params::post(&target)).bytes(body.clone());
    let answer = text(request.send().await.expect("an answer")).await;
    assert!(answer == expected(&target, &body), "{target}: {} bytes", answer.len());
}

/// Runs tasks on two threads.
fn on_two_threads(tasks: impl FnOnce(&Arc<Executor<'static>>) -> Vec<smol::Task<()>>) {
    let executor = Arc::new(Executor::new());
    let tasks = tasks(&executor);
    let (stop, stopped) = smol::channel::unbounded::<()>();
    thread::scope(|scope| {
        let (executor, stopped) = (&executor, &stopped);
        scope.spawn(move || block_on(executor.run(stopped.recv())));
        let stop = stop; // Dropped also by a panic.
        block_on(executor.run(async {
            for task in tasks {
                task.await;
            }
        }));
        drop(stop);
    });
}

#[test]
fn sixty_four_requests_at_a_time_over_one_connection_get_their_own_answers() {
    const TASKS: usize = 64;
    const ROUNDS: usize = 30;
    for start in [App::unix, App::tcp] {
        let app = start(Box::new(|_, peer: &mut Peer| {
            let mut open = Open::new();
            for round in 0..ROUNDS {
                while open.values().filter(|asked| asked.whole).count() < TASKS {
                    assert!(read(peer, &mut open), "the connection is kept");
                }
                let answers = std::mem::take(&mut open).into_iter();
                let mut answers =
                    answers.map(|(id, asked)| (id, output(&asked.target, &asked.stdin))).collect();
                let bytes = interleaved(&mut answers, 100 + 97 * round);
                bytes.chunks(1 + round * 4000).take(50).for_each(|chunk| peer.send(chunk));
                peer.send(&bytes[bytes.len().min(50 * (1 + round * 4000))..]);
            }
        }) as Box<dyn Fn(usize, &mut Peer) + Send + Sync>);
        let client = client(&app.endpoint);
        on_two_threads(|executor| {
            let task = |task: usize| {
                let client = client.clone();
                executor.spawn(async move {
                    for round in 0..ROUNDS {
                        let body = vec![task as u8; if task % 8 == 0 { 70_000 } else { 61 * task }];
                        ask(&client, format!("/{task}/{round}"), body).await;
                    }
                })
            };
            (0..TASKS).map(task).collect()
        });
        assert_eq!(app.connections(), 1);
    }
}

#[test]
fn a_request_beyond_those_of_one_connection_has_another_one() {
    let all_there = Arc::new(Barrier::new(3));
    let app = App::unix(move |_, peer| {
        let mut open = Open::new();
        while open.values().filter(|asked| asked.whole).count() < 2 {
            assert!(read(peer, &mut open));
        }
        all_there.wait();
        let answers = open.into_iter().map(|(id, asked)| (id, output(&asked.target, b"")));
        peer.send(interleaved(&mut answers.collect(), 10));
    });
    let client = Client::multiplexed(app.endpoint.clone(), limits(|_| ()), 2);
    block_on(together((0..6).map(|number| ask(&client, format!("/{number}"), vec![]))));
    assert_eq!(app.connections(), 3);
}

#[test]
fn a_request_that_ends_its_connection_shares_it_with_none() {
    let app = App::unix(|number, peer| {
        let mut open = Open::new();
        let count = if number == 1 { 2 } else { 1 };
        while open.values().filter(|asked| asked.whole).count() < count {
            assert!(read(peer, &mut open));
        }
        let answers = open.into_iter().map(|(id, asked)| (id, output(&asked.target, b"")));
        peer.send(interleaved(&mut answers.collect(), 10));
        peer.assert_closed();
    });
    let client = client(&app.endpoint);
    let last = async {
        let request = client.request(Params::post("/last")).keep_conn(false);
        assert_eq!(text(request.send().await.expect("an answer")).await, expected("/last", b""));
    };
    let one = async { ask(&client, "/one".into(), vec![]).await };
    let two = async { ask(&client, "/two".into(), vec![]).await };
    block_on(together([one.boxed(), last.boxed(), two.boxed()]));
    assert_eq!(app.connections(), 2);
    drop(client);
}

#[test]
fn a_response_that_nobody_reads_holds_up_the_others_until_it_is_read_or_dropped() {
    const MUCH: usize = 4 << 20;
    /// Nobody takes more of it who has taken nothing for so long.
    const TAKES_NO_MORE: Duration = Duration::from_millis(100);
    for reads in [true, false] {
        let (sender, told) = smol::channel::unbounded();
        let app = App::unix(move |_, peer| {
            let mut open = Open::new();
            while open.values().filter(|asked| asked.whole).count() < 2 {
                assert!(read(peer, &mut open));
            }
            let id = |target| *open.iter().find(|(_, asked)| asked.target == target).expect("it is there").0;
            let (slow, quick) = (id("/slow"), id("/quick"));
            peer.send(record(RecordType::Stdout, slow, b"A: b\r\n\r\n"));
            let pieces = record(RecordType::Stdout, slow, &[b's'; 32 * 1024]).repeat(MUCH / (32 * 1024));
            let mut sent = 0;
            peer.stream.set_write_timeout(Some(TAKES_NO_MORE)).expect("a limit can be set");
            let late = loop {
                match peer.stream.write(&pieces[sent..]) {
                    Ok(0) => panic!("all of it is taken, and nobody reads it"),
                    Ok(count) => sent += count,
                    Err(error) => break error,
                }
            };
            assert_eq!(late.kind(), ErrorKind::WouldBlock, "{late}");
            peer.stream.set_write_timeout(Some(PATIENCE)).expect("a limit can be set");
            sender.send_blocking(()).expect("the test waits");
            peer.stream.write_all(&pieces[sent..]).expect("the client takes it");
            // In one piece: a client whose other request was dropped closes when it has this one's end.
            let quick = interleaved(&mut vec![(quick, output("/quick", b""))], 7);
            peer.send([quick, record(RecordType::EndRequest, slow, &[0; 8])].concat());
            while read(peer, &mut Open::from([(slow, Asked::default())])) {}
        });
        let client = client(&app.endpoint);
        block_on(async {
            let mut quick = Box::pin(ask(&client, "/quick".into(), vec![]));
            let slow = async {
                let slow = client.request(Params::get("/slow")).send().await.expect("an answer");
                // Now nobody reads it, and the other one must not get through.
                told.recv().await.expect("more is sent than is kept");
                Some(slow)
            };
            let through = async {
                (&mut quick).await;
                None
            };
            let mut slow = slow.or(through).await.expect("there is more than is kept");
            if reads {
                let both = together([
                    quick.boxed_local(),
                    async {
                        let mut body = Vec::new();
                        slow.read_to_end(&mut body).await.expect("a whole body");
                        assert!(body.len() == MUCH && body.iter().all(|byte| *byte == b's'));
                    }
                    .boxed_local(),
                ]);
                both.await;
            } else {
                drop(slow);
                quick.await;
            }
        });
        assert_eq!(app.connections(), 1);
        drop(client);
    }
}

/// Answers every request at once, aborted ones with a late answer, byte by byte if it is short.
fn prompt(peer: &mut Peer, aborted: &AtomicUsize) {
    let mut open = Open::new();
    while read_counting(peer, &mut open, aborted) {
        let done = open.iter().find(|(_, asked)| asked.whole || asked.aborted);
        let Some((&id, _)) = done else { continue };
        let asked = open.remove(&id).expect("it is there");
        let mut answer = vec![(id, output(&asked.target, &asked.stdin))];
        let bytes = interleaved(&mut answer, 40);
        let piece = bytes.len().div_ceil(40);
        // The client may have closed.
        if bytes.chunks(piece).any(|chunk| peer.stream.write_all(chunk).is_err()) {
            return;
        }
    }
}

#[test]
fn a_request_left_at_any_point_is_aborted_and_the_others_go_on() {
    let aborted = Arc::new(AtomicUsize::new(0));
    let app = App::unix({
        let aborted = aborted.clone();
        move |_, peer| prompt(peer, &aborted)
    });
    let client = client(&app.endpoint);
    for size in [0, 200_000] {
        let mut finished = false;
        for round in 0.. {
            let polls = 1 + round % 20;
            // A request that goes on until the other one is left.
            let (reader, mut writer) = Async::<UnixStream>::pair().expect("a pair of sockets");
            let lasting = async {
                let request = client.request(Params::post("/lasting")).body(reader, 4);
                let answer = text(request.send().await.expect("an answer")).await;
                assert_eq!(answer, expected("/lasting", b"done"));
            };
            let left = async {
                let body = vec![1; size];
                let ask = ask(&client, format!("/left/{polls}"), body);
                finished |= at_most(polls, ask).await.is_some();
                writer.write_all(b"done").await.expect("there is room");
            };
            block_on(together([lasting.boxed_local(), left.boxed_local()]));
            block_on(ask(&client, format!("/after/{polls}"), vec![3; 10]));
            // How far a request comes in a poll is a matter of scheduling.
            if finished && round > 60 && aborted.load(Ordering::SeqCst) >= 10 {
                break;
            }
            assert!(round < 10_000, "{aborted:?} aborts");
        }
    }
    drop(client);
}

#[test]
fn every_request_of_a_connection_that_fails_has_the_error_and_the_next_one_another_connection() {
    let app = App::unix(|number, peer| {
        if number > 1 {
            return prompt(peer, &AtomicUsize::new(0));
        }
        let mut open = Open::new();
        while open.values().filter(|asked| asked.whole).count() < 8 {
            assert!(read(peer, &mut open));
        }
        // The head of each came, and it closes.
        for id in open.keys() {
            peer.send(record(RecordType::Stdout, *id, b"A: b\r\n\r\npart"));
        }
    });
    let client = client(&app.endpoint);
    let errors = Mutex::new(0);
    let cut = |number: usize| {
        let (client, errors) = (&client, &errors);
        async move {
            let params = Params::get(format!("/{number}"));
            let mut response = client.request(params).send().await.expect("a head");
            let mut body = Vec::new();
            let error = response.read_to_end(&mut body).await.expect_err("it is cut");
            let error = error.into_inner().expect("the client's").downcast().expect("the client's");
            assert!(matches!(*error, ClientError::Truncated), "{error:?}");
            assert_eq!(body, b"part");
            *errors.lock().expect("nobody panics with it") += 1;
        }
    };
    block_on(together((0..8).map(cut)));
    assert_eq!(errors.into_inner().expect("nobody panics with it"), 8);
    block_on(ask(&client, "/after".into(), vec![]));
    assert_eq!(app.connections(), 2);
    drop(client);
}

#[test]
fn w32_an_answer_beside_others_that_ends_with_a_status_and_has_no_length_is_cut() {
    let app = App::unix(|_, peer| {
        let mut open = Open::new();
        while open.values().filter(|asked| asked.whole).count() < 3 {
            assert!(read(peer, &mut open));
        }
        for (id, asked) in open {
            let head = if asked.target == "/length" { "Content-Length: 4" } else { "A: b" };
            let status = u8::from(asked.target != "/whole");
            peer.send(record(RecordType::Stdout, id, format!("{head}\r\n\r\npart").as_bytes()));
            peer.send(record(RecordType::EndRequest, id, &[0, 0, 0, status, 0, 0, 0, 0]));
        }
    });
    let client = client(&app.endpoint);
    let asked = |target: &'static str| {
        let client = &client;
        async move {
            let mut response = client.request(Params::post(target)).send().await.expect("a head");
            let mut body = Vec::new();
            let result = response.read_to_end(&mut body).await;
            assert_eq!((result.is_ok(), &body[..]), (target != "/cut", &b"part"[..]), "{target}");
            let Err(error) = result else { return };
            assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
            assert_eq!(error.to_string(), "the answer was cut: it ended with application status 1");
        }
    };
    block_on(together(["/cut", "/length", "/whole"].map(asked)));
    assert_eq!(app.connections(), 1);
}

#[test]
fn a_mute_answer_among_others_times_out_alone() {
    let app = App::unix(|_, peer| {
        let mut open = Open::new();
        let is = |target: &'static str| move |asked: &&Asked| asked.target == target && asked.whole;
        // The other one gets its answer byte by byte until the mute one is aborted, in that order.
        while open.values().filter(|asked| asked.whole).count() < 2 {
            assert!(read(peer, &mut open));
        }
        assert!(open.values().find(is("/mute")).is_some() && open.values().find(is("/other")).is_some());
        let (&other, _) = open.iter().find(|(_, asked)| asked.target == "/other").expect("it is there");
        peer.send(record(RecordType::Stdout, other, b"A: b\r\n\r\n"));
        while !open.values().any(|asked| asked.aborted) {
            assert!(read(peer, &mut open), "it is aborted, not closed");
        }
        assert!(open.values().all(|asked| asked.aborted == (asked.target == "/mute")));
        peer.send(record(RecordType::Stdout, other, b"other"));
        peer.send(record(RecordType::EndRequest, other, &[0; 8]));
        peer.assert_closed(); // It takes no further request, and the aborted one is not waited for.
    });
    let short = Duration::from_secs(1);
    let settings = limits(|settings| settings.first_byte_timeout = short);
    let client = Client::multiplexed(app.endpoint.clone(), settings, 64);
    let mute = async {
        let error = client.request(Params::get("/mute")).send().await.expect_err("no answer");
        assert!(matches!(error, ClientError::TimedOut { limit, .. } if limit == short), "{error:?}");
    };
    let other = async {
        let response = client.request(Params::get("/other")).send().await.expect("an answer");
        assert_eq!(text(response).await, "other");
    };
    block_on(together([mute.boxed_local(), other.boxed_local()]));
}

#[test]
fn requests_that_come_and_go_on_two_threads_stall_nobody() {
    let app = App::tcp(|_, peer| prompt(peer, &AtomicUsize::new(0)));
    let client = client(&app.endpoint);
    on_two_threads(|executor| {
        let task = |task: usize| {
            let client = client.clone();
            executor.spawn(async move {
                for round in 0..40 {
                    let body = vec![task as u8; (task * 1009 * round) % 100_000];
                    let ask = ask(&client, format!("/{task}/{round}"), body);
                    // Every third one is left, at some point.
                    let polls = if round % 3 == 0 { 1 + (task + round) % 7 } else { usize::MAX };
                    at_most(polls, ask).await;
                }
            })
        };
        (0..16).map(task).collect()
    });
    drop(client);
}

#[test]
fn a_connection_that_multiplexes_carries_whatever_comes_next_however_slow_the_answer() {
    let app = App::unix(|_, peer| {
        peer.serve(page("first"));
        for next in ["get", "post"] {
            peer.request();
            peer.assert_silent();
            peer.send(page(next));
        }
    });
    let settings = limits(|settings| settings.kept_first_byte_timeout = Duration::ZERO);
    let client = Client::multiplexed(app.endpoint.clone(), settings, 64);
    block_on(async {
        for (params, expected) in
            [(Params::get("/"), "first"), (Params::get("/"), "get"), (Params::post("/"), "post")]
        {
            assert_eq!(text(client.request(params).send().await.expect("an answer")).await, expected);
        }
    });
    assert_eq!(app.connections(), 1);
}

#[test]
fn an_answer_that_comes_twice_meets_no_other_request() {
    const LATER: usize = 3;
    let app = App::unix(|_, peer| {
        let (mut open, mut answered) = (Open::new(), 0);
        // Answers that come a second time, when so many others have come.
        let mut again: Vec<(usize, Vec<u8>)> = Vec::new();
        while read(peer, &mut open) {
            let Some((&id, _)) = open.iter().find(|(_, asked)| asked.whole || asked.aborted) else {
                continue;
            };
            let asked = open.remove(&id).expect("it is there");
            let mut bytes = interleaved(&mut vec![(id, output(&asked.target, &asked.stdin))], 300);
            answered += 1;
            if answered % 10 == 0 {
                again.push((answered + LATER, bytes.clone()));
            }
            again.iter().filter(|(at, _)| *at == answered).for_each(|(_, late)| bytes.extend(late));
            if peer.stream.write_all(&bytes).is_err() {
                return; // The client has closed.
            }
        }
    });
    let client = client(&app.endpoint);
    block_on(together((0..20).map(|task| {
        let client = &client;
        async move {
            for round in 0..30 {
                // Each answer is compared with what is expected.
                ask(client, format!("/{task}/{round}"), vec![task as u8; 50 * task]).await;
            }
        }
    })));
    assert!(app.connections() > 1, "one that had a late record is not used again");
    drop(client);
}
