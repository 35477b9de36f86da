//! A server's connections: places for them, a shutdown, an end at any moment.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use fcgi_smol::memory::{dial, listen};
use fcgi_smol::{Handle, Request, Server, Settings};
use shuttle::future::{JoinHandle, block_on, spawn};
use shuttle::thread;
use smol::channel;
use smol::io::AsyncReadExt;

use crate::wire::{Answer, Call, read_record};
use crate::{Clock, Outcome, TICK, Tasks, echo, endpoint, orders};

fn start<F>(
    change: impl FnOnce(&mut Settings),
    handler: impl Fn(Request) -> F + Send + Sync + 'static,
) -> (Handle, JoinHandle<io::Result<()>>)
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let mut settings = Settings::default();
    // None of these passes: who waits for something else is called for that.
    let limits = [
        &mut settings.idle_timeout,
        &mut settings.params_timeout,
        &mut settings.read_timeout,
        &mut settings.write_timeout,
        &mut settings.drain_timeout,
        &mut settings.shutdown_timeout,
    ];
    limits.into_iter().for_each(|limit| *limit = Duration::from_secs(100_000));
    change(&mut settings);
    let server = Server::with_settings(listen(&endpoint("server"), 700), settings).expect("it listens");
    let handle = server.handle();
    (handle, spawn(server.serve(Tasks, handler)))
}

#[test]
fn connections_that_wait_make_room_for_others() {
    orders(|| {
        let clock = Clock::run(TICK);
        let (handle, served) = start(|settings| settings.max_connections = 1, echo);
        let asks = ["one", "two", "three"].map(|text| {
            thread::spawn(move || {
                let end = dial(&endpoint("server")).expect("it listens");
                (&end).write_all(&Call::post("/", text).bytes()).expect("it is read");
                Answer::read(&end, 1).expect("a whole answer").assert_ok(text);
                // It is kept until it has to go.
                end
            })
        });
        let ends = asks.map(|ask| ask.join().expect("it is answered"));
        handle.shutdown();
        for end in ends {
            assert_eq!(read_record(&end).expect("no error"), None);
        }
        block_on(served).expect("it runs to its end").expect("nothing fails");
        drop(clock);
    });
}

#[test]
fn a_shutdown_ends_what_waits_and_answers_what_runs() {
    orders(|| {
        let clock = Clock::run(TICK);
        let (handle, served) = start(|_| (), echo);
        let (ended, ends) = channel::unbounded();
        let asks = ["one", "two"].map(|text| {
            let ended = ended.clone();
            let end = dial(&endpoint("server")).expect("it listens");
            thread::spawn(move || {
                let mut answered = 0;
                while (&end).write_all(&Call::post("/", text).bytes()).is_ok() {
                    match Answer::read(&end, 1) {
                        Ok(answer) => answer.assert_ok(text),
                        Err(_) => break,
                    }
                    answered += 1;
                    if answered == 1 {
                        ended.try_send(()).expect("the test waits");
                    }
                    if answered == 3 {
                        break;
                    }
                }
                answered
            })
        });
        block_on(ends.recv()).expect("it is answered");
        handle.shutdown();
        let answered: usize = asks.into_iter().map(|ask| ask.join().expect("it runs to its end")).sum();
        assert!(answered > 0);
        block_on(served).expect("it runs to its end").expect("nothing fails");
        drop(clock);
    });
}

#[test]
fn a_server_that_is_dropped_ends_its_connections_and_tells_their_handlers() {
    orders(|| {
        // Told, or dropped: then nobody sends any more.
        let (started, has_started) = channel::unbounded();
        let (ended, has_ended) = channel::unbounded::<()>();
        let (_handle, served) = start(
            |_| (),
            move |request: Request| {
                let (started, ended) = (started.clone(), ended.clone());
                async move {
                    started.try_send(()).expect("the test waits");
                    request.stdin().read(&mut [0; 10]).await.expect_err("it has not ended");
                    request.aborted().await;
                    drop(ended);
                    Ok(())
                }
            },
        );
        let idle = dial(&endpoint("server")).expect("it listens");
        let end = Arc::new(dial(&endpoint("server")).expect("it listens"));
        let calls = (1..=2).flat_map(|id| Call::post("/", "").id(id).opening()).collect::<Vec<_>>();
        (&*end).write_all(&calls).expect("it is read");
        block_on(has_started.recv()).expect("it runs");
        served.abort();
        for end in [&*end, &idle] {
            assert_eq!(read_record(end).expect("no error"), None);
        }
        block_on(has_ended.recv()).expect_err("all have ended");
    });
}

#[test]
fn requests_beyond_those_that_may_run_are_refused_and_later_ones_are_not() {
    orders(|| {
        let clock = Clock::run(TICK);
        let (handle, served) = start(|settings| settings.max_requests = 1, echo);
        let asks = ["one", "two"].map(|text| {
            thread::spawn(move || {
                let end = dial(&endpoint("server")).expect("it listens");
                let mut refused = 0;
                loop {
                    (&end).write_all(&Call::post("/", text).bytes()).expect("it is read");
                    let answer = Answer::read(&end, 1).expect("a whole answer");
                    if answer.protocol_status == 0 {
                        answer.assert_ok(text);
                        return (refused, end);
                    }
                    assert_eq!(answer.status(), 503);
                    refused += 1;
                    thread::yield_now();
                }
            })
        });
        let ends = asks.map(|ask| ask.join().expect("it is answered"));
        handle.shutdown();
        drop(ends);
        block_on(served).expect("it runs to its end").expect("nothing fails");
        drop(clock);
    });
}

#[test]
fn a_handler_goes_on_when_the_server_did_not_wait_for_it() {
    orders(|| {
        let (started, has_started) = channel::unbounded();
        let (go, may_go) = channel::bounded::<()>(1);
        let (ended, has_ended) = channel::bounded(1);
        let (handle, served) = start(
            |settings| settings.shutdown_timeout = Duration::from_secs(1),
            move |_request: Request| {
                let (started, may_go, ended) = (started.clone(), may_go.clone(), ended.clone());
                async move {
                    started.try_send(()).expect("the test waits");
                    may_go.recv().await?;
                    Ok(ended.try_send(())?)
                }
            },
        );
        let end = dial(&endpoint("server")).expect("it listens");
        (&end).write_all(&Call::get("/").bytes()).expect("it is read");
        block_on(has_started.recv()).expect("it runs");
        handle.shutdown();
        let clock = Clock::run(TICK);
        block_on(served).expect("it runs to its end").expect("nothing fails");
        drop(clock);
        go.try_send(()).expect("it waits");
        block_on(has_ended.recv()).expect("it went on");
    });
}
