//! The pool: who is asked, who waits, what is sent again, what is kept.

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

#[path = "adapter/client.rs"]
mod adapter;

mod polls;
#[path = "../../fcgi-blocking/tests/client/script.rs"]
mod script;

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fcgi_proto::record::{ProtocolStatus, RecordType};
use fcgi_smol::{ClientError, Endpoint, Params, Pool, PoolSettings};
use polls::{at_most, together};
use script::{App, Peer, end, limits, page};
use smol::io::AsyncReadExt;
use smol::{Executor, block_on};
use support::{PATIENCE, record, wait_until};

fn settings(change: impl FnOnce(&mut PoolSettings)) -> PoolSettings {
    let mut settings = PoolSettings::default();
    settings.client = limits(|_| ());
    settings.wait_timeout = PATIENCE;
    change(&mut settings);
    settings
}

fn pool<'a>(apps: impl IntoIterator<Item = &'a App>, change: impl FnOnce(&mut PoolSettings)) -> Pool {
    Pool::new(apps.into_iter().map(|app| app.endpoint.clone()), settings(change))
}

async fn ask(pool: &Pool) -> Result<String, ClientError> {
    let mut response = pool.request(Params::get("/")).send().await?;
    let mut text = String::new();
    response.read_to_string(&mut text).await.expect("a whole body");
    Ok(text)
}

/// An application that answers with its name.
fn named(name: &'static str) -> App {
    App::unix(move |_, peer| {
        while peer.try_request().is_some() {
            peer.send(page(name));
        }
    })
}

/// An application that tells of each request, and answers when it is let.
struct Held {
    app: App,
    asked: Receiver<String>,
    /// A message lets one request be answered.
    answer: Sender<()>,
}

impl Held {
    fn new() -> Self {
        let (tell, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let (tell, answers) = (Mutex::new(tell), Mutex::new(answers));
        let app = App::unix(move |_, peer| {
            while let Some(asked) = peer.try_request() {
                let target = asked.param("REQUEST_URI").expect("it is always there").to_owned();
                tell.lock().expect("nobody panics with it").send(target).expect("the test waits");
                let answers = answers.lock().expect("nobody panics with it");
                answers.recv_timeout(PATIENCE).expect("the test answers");
                drop(answers);
                peer.send(page("held"));
            }
        });
        Self { app, asked, answer }
    }

    fn wait_for_request(&self) -> String {
        self.asked.recv_timeout(PATIENCE).expect("a request")
    }
}

/// Runs `test` while the tasks of the executor run.
fn running(test: impl FnOnce(&Arc<Executor<'static>>)) {
    let executor = Arc::new(Executor::new());
    let (stop, stopped) = smol::channel::unbounded::<()>();
    thread::scope(|scope| {
        let stop = stop; // Dropped also by a panic.
        scope.spawn({
            let executor = executor.clone();
            move || block_on(executor.run(stopped.recv()))
        });
        test(&executor);
        drop(stop);
    });
}

fn spawn(executor: &Executor<'static>, pool: &Pool, target: &str) -> smol::Task<Result<(), ClientError>> {
    let request = pool.request(Params::get(target));
    executor.spawn(async move {
        let mut response = request.send().await?;
        response.read_to_end(&mut Vec::new()).await.expect("a whole body");
        Ok(())
    })
}

#[test]
fn requests_go_to_the_application_that_has_the_fewest() {
    running(|executor| {
        let apps = [Held::new(), Held::new(), Held::new()];
        let pool = pool(apps.iter().map(|held| &held.app), |_| ());
        let mut tasks: Vec<_> = (0..6).map(|_| spawn(executor, &pool, "/first")).collect();
        for held in &apps {
            assert_eq!([held.wait_for_request(), held.wait_for_request()], ["/first", "/first"]);
        }
        // One of them gets rid of its two, so that the next two are for it.
        for _ in 0..2 {
            apps[1].answer.send(()).expect("it waits");
        }
        let finished = || tasks.iter().filter(|task| task.is_finished()).count();
        assert!(wait_until(|| finished() >= 2), "there are no answers");
        tasks.extend((0..2).map(|_| spawn(executor, &pool, "/second")));
        assert_eq!([apps[1].wait_for_request(), apps[1].wait_for_request()], ["/second", "/second"]);
        for held in &apps {
            (0..2).for_each(|_| held.answer.send(()).expect("it waits"));
        }
        tasks.into_iter().for_each(|task| block_on(task).expect("an answer"));
        drop(pool);
    });
}

#[test]
fn equally_loaded_applications_are_asked_in_turn() {
    let apps = [named("a"), named("b"), named("c")];
    let pool = pool(&apps, |settings| settings.max_idle = 2);
    let answers: Vec<_> = (0..9).map(|_| block_on(ask(&pool)).expect("an answer")).collect();
    assert_eq!(answers.concat(), "abcabcabc");
    assert_eq!(apps.each_ref().map(App::connections), [1, 1, 1], "connections are kept");
}

#[test]
fn no_more_connections_than_allowed_have_requests_at_a_time() {
    /// Longer than one too many would be on its way.
    const ON_ITS_WAY: Duration = Duration::from_millis(50);
    let most = Arc::new(AtomicUsize::new(0));
    let apps = [(); 2].map(|()| {
        let (most, busy, changed) = (most.clone(), Mutex::new(0), Condvar::new());
        App::unix(move |number, peer| {
            let mut holds = number <= 3;
            while peer.try_request().is_some() {
                let mut count = busy.lock().expect("nobody panics with it");
                *count += 1;
                most.fetch_max(*count, Ordering::SeqCst);
                changed.notify_all();
                if std::mem::take(&mut holds) {
                    // All that may be there come, and no other.
                    for (more_than, limit) in [(2, PATIENCE), (3, ON_ITS_WAY)] {
                        let waited = changed.wait_timeout_while(count, limit, |count| *count <= more_than);
                        count = waited.expect("nobody panics with it").0;
                    }
                }
                *count -= 1;
                drop(count);
                peer.send(page("x"));
            }
        })
    });
    let pool = pool(&apps, |settings| settings.max_connections = 3);
    running(|executor| {
        let tasks: Vec<_> = (0..200).map(|_| spawn(executor, &pool, "/")).collect();
        for task in tasks {
            block_on(task).expect("an answer");
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), 3);
    drop(pool);
}

#[test]
fn waiting_requests_are_bounded_and_served_in_their_order() {
    running(|executor| {
        let held = Held::new();
        let pool = pool([&held.app], |settings| {
            settings.max_connections = 1;
            settings.max_waiting = 3;
        });
        let first = spawn(executor, &pool, "/0");
        assert_eq!(held.wait_for_request(), "/0");
        let mut waiting: Vec<_> = (1..=3)
            .map(|number| {
                let params = Params::get(format!("/{number}"));
                Box::pin(pool.request(params).send())
            })
            .collect();
        for future in &mut waiting {
            assert!(block_on(at_most(1, future)).is_none(), "it waits");
        }
        let error = block_on(ask(&pool)).expect_err("too many wait");
        assert!(matches!(error, ClientError::PoolFull { waiting: 3 }), "{error:?}");
        // One that leaves gives up its place, wherever it is.
        drop(waiting.remove(1));
        let mut last = Box::pin(pool.request(Params::get("/4")).send());
        assert!(block_on(at_most(1, &mut last)).is_none(), "it waits");
        waiting.push(last);
        held.answer.send(()).expect("it waits");
        block_on(first).expect("an answer");
        (0..3).for_each(|_| held.answer.send(()).expect("it waits"));
        // Polled from the last to the first.
        let tasks = waiting.into_iter().rev().map(|future| async {
            let mut response = future.await.expect("an answer");
            response.read_to_end(&mut Vec::new()).await.expect("a whole body");
        });
        block_on(together(tasks));
        let order = [(); 3].map(|()| held.wait_for_request());
        assert_eq!(order, ["/1", "/3", "/4"]);
        drop(pool);
    });
}

#[test]
fn waiting_has_a_limit_and_leaves_the_others_in_order() {
    running(|executor| {
        let held = Held::new();
        let short = Duration::from_millis(50);
        let pool = pool([&held.app], |settings| {
            settings.max_connections = 1;
            settings.wait_timeout = short;
        });
        let first = spawn(executor, &pool, "/");
        held.wait_for_request();
        let error = block_on(ask(&pool)).expect_err("it waits too long");
        assert!(matches!(error, ClientError::PoolTimedOut { limit } if limit == short), "{error:?}");
        assert_eq!(error.to_string(), "no connection became free within 0.05 s");
        held.answer.send(()).expect("it waits");
        held.answer.send(()).expect("it waits");
        block_on(first).expect("an answer");
        block_on(ask(&pool)).expect("an answer");
        drop(pool);
    });
}

/// An application at this path that answers with its name, as long as it lives.
fn serve(path: &Path, name: &'static str) -> Serving {
    let listener = UnixListener::bind(path).expect("the path is free");
    let stopped = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let thread = thread::spawn({
        let stopped = stopped.clone();
        move || loop {
            let (stream, _) = listener.accept().expect("a connection");
            if stopped.load(Ordering::SeqCst) {
                return; // And all that were accepted are closed, as when a process ends.
            }
            stream.set_read_timeout(Some(PATIENCE)).expect("a limit can be set");
            let mut peer = Peer::new(stream.into());
            if peer.try_request().is_some() {
                peer.send(page(name));
            }
        }
    });
    Serving { path: path.into(), stopped, thread: Some(thread) }
}

struct Serving {
    path: std::path::PathBuf,
    stopped: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = std::os::unix::net::UnixStream::connect(&self.path);
        self.thread.take().expect("it is dropped once").join().expect("it goes on");
        std::fs::remove_file(&self.path).expect("it is there");
    }
}

#[test]
fn an_application_that_is_away_is_passed_over_and_asked_again_when_it_is_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("socket");
    let other = named("other");
    let endpoints = [Endpoint::Unix(path.clone()), other.endpoint.clone()];
    let pool = Pool::new(endpoints, settings(|settings| settings.retry_after = Duration::from_millis(20)));
    for round in 0..3 {
        let app = serve(&path, "app");
        let asked = Instant::now();
        while block_on(ask(&pool)).expect("never an error") != "app" {
            assert!(asked.elapsed() < PATIENCE, "it is not asked any more, in round {round}");
        }
        drop(app);
        for _ in 0..20 {
            assert_eq!(block_on(ask(&pool)).expect("never an error"), "other");
        }
    }
    drop(pool);
}

#[test]
fn a_probe_finds_an_application_that_is_back_without_a_request() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("socket");
    let short = Duration::from_millis(20);
    let settings = settings(|settings| {
        settings.retry_after = short;
        settings.max_connections = 1;
    });
    let pool = Pool::new([Endpoint::Unix(path.clone())], settings);
    assert!(matches!(block_on(ask(&pool)), Err(ClientError::Connect(_))));
    let listener = UnixListener::bind(&path).expect("the path is free");
    running(|executor| {
        let probe = executor.spawn({
            let pool = pool.clone();
            async move { pool.probe().await }
        });
        let (stream, _) = listener.accept().expect("it is probed");
        drop(listener);
        // The connection is kept for the next request, and there can be no other.
        let app = thread::spawn(move || {
            stream.set_read_timeout(Some(PATIENCE)).expect("a limit can be set");
            drop(Peer::new(stream.into()).serve(page("back")));
        });
        let asked = Instant::now();
        let answer = loop {
            match block_on(ask(&pool)) {
                // It is connected, but may not know so yet.
                Err(ClientError::Unavailable) if asked.elapsed() < PATIENCE => thread::yield_now(),
                result => break result.expect("an answer"),
            }
        };
        assert_eq!(answer, "back");
        app.join().expect("it was asked");
        drop(probe);
    });
}

#[test]
fn when_all_applications_are_away_a_request_fails_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let endpoints = [1, 2, 3].map(|number: u32| Endpoint::Unix(dir.path().join(number.to_string())));
    let pool = Pool::new(endpoints.clone(), settings(|settings| settings.retry_after = PATIENCE));
    let error = block_on(ask(&pool)).expect_err("nobody is there");
    assert!(matches!(error, ClientError::Connect(_)), "{error:?}");
    for _ in 0..3 {
        let error = block_on(ask(&pool)).expect_err("nobody is there");
        assert!(matches!(error, ClientError::Unavailable), "{error:?}");
    }
    let error = block_on(ask(&Pool::new([], settings(|_| ())))).expect_err("nobody is there");
    assert!(matches!(error, ClientError::Unavailable), "{error:?}");
}

#[test]
fn a_request_that_was_never_sent_goes_elsewhere_whatever_its_body() {
    let dir = tempfile::tempdir().expect("a folder");
    let app = App::unix(|_, peer| {
        while let Some(asked) = peer.try_request() {
            peer.send(page(&asked.stdin.len().to_string()));
        }
    });
    let endpoints = [Endpoint::Unix(dir.path().join("none")), app.endpoint.clone()];
    let pool = Pool::new(endpoints, settings(|settings| settings.retry_after = Duration::from_nanos(1)));
    for _ in 0..10 {
        block_on(async {
            let request = pool.request(Params::post("/")).body(&b"body"[..], 4);
            let mut response = request.send().await.expect("an answer");
            let mut text = String::new();
            response.read_to_string(&mut text).await.expect("a whole body");
            assert_eq!(text, "4");
        });
    }
    drop(pool);
}

#[test]
fn a_request_that_was_sent_is_not_repeated() {
    let asked = Arc::new(AtomicUsize::new(0));
    let apps = [0; 3].map(|_| {
        let asked = asked.clone();
        App::unix(move |_, peer| {
            peer.request();
            asked.fetch_add(1, Ordering::SeqCst); // And it closes.
        })
    });
    let pool = pool(&apps, |_| ());
    for number in 1..=9 {
        let error = block_on(ask(&pool)).expect_err("no answer");
        assert!(matches!(error, ClientError::Truncated), "{error:?}");
        assert_eq!(asked.load(Ordering::SeqCst), number);
    }
}

#[test]
fn a_request_that_was_refused_as_overloaded_goes_elsewhere_if_its_body_can() {
    for (status, goes) in [
        (ProtocolStatus::Overloaded, true),
        (ProtocolStatus::CantMpxConn, true),
        (ProtocolStatus::UnknownRole, false),
    ] {
        let refusing = App::unix(move |_, peer| drop(peer.serve(end(0, status as u8))));
        let willing = named("willing");
        let pool = pool([&refusing, &willing], |_| ());
        for again in [true, false] {
            // Only the first of two goes to the one that refuses.
            let result = block_on(async {
                let request = pool.request(Params::post("/"));
                let request = if again { request.bytes("body") } else { request.body(&b"body"[..], 4) };
                request.send().await.map(drop)
            });
            match result {
                Ok(()) => assert!(goes && again, "{status} {again}"),
                Err(ClientError::Refused(found)) if found == status => assert!(!goes || !again, "{status}"),
                Err(error) => panic!("{error:?}"),
            }
            drop(block_on(ask(&pool)));
        }
    }
    let apps = [0; 3].map(|_| App::unix(|_, peer| drop(peer.serve(end(0, 2)))));
    let pool = pool(&apps, |_| ());
    let error = block_on(ask(&pool)).expect_err("all refuse");
    assert!(matches!(error, ClientError::Refused(ProtocolStatus::Overloaded)), "{error:?}");
    assert_eq!(apps.each_ref().map(App::connections), [1, 1, 1], "each is asked once");
    drop(pool);
}

#[test]
fn a_refusal_with_an_answer_goes_elsewhere_and_stays_where_all_refuse() {
    let busy = || {
        App::unix(|_, peer| drop(peer.serve([script::stdout("Status: 503\r\n\r\nbusy"), end(0, 2)].concat())))
    };
    let apps = [busy(), busy()];
    let all_busy = pool(&apps, |_| ());
    assert_eq!(block_on(ask(&all_busy)).expect("an answer"), "busy");
    assert_eq!([apps[0].connections(), apps[1].connections()], [1, 1]);
    let willing = named("willing");
    let one_busy = pool([&apps[0], &willing], |_| ());
    for _ in 0..4 {
        assert_eq!(block_on(ask(&one_busy)).expect("an answer"), "willing");
    }
    drop((all_busy, one_busy));
}

#[test]
fn kept_connections_that_died_cost_no_request() {
    let app = App::unix(|_, peer| {
        peer.serve(page("one"));
        peer.try_request(); // It closes without a byte, if it is asked.
    });
    let pool = pool([&app], |settings| settings.max_idle = 8);
    for _ in 0..10 {
        block_on(together((0..4).map(|_| async {
            assert_eq!(ask(&pool).await.expect("an answer"), "one");
        })));
    }
    drop(pool);
}

#[test]
fn idle_connections_are_closed_in_time_with_nobody_at_it() {
    let (sender, closed) = mpsc::channel();
    let app = App::unix(move |_, peer| {
        peer.serve(page("one"));
        peer.assert_closed();
        sender.send(()).expect("the test waits");
    });
    let pool = pool([&app], |settings| {
        settings.max_idle = 2;
        settings.keep_time = Duration::from_millis(20);
    });
    for _ in 0..3 {
        assert_eq!(block_on(ask(&pool)).expect("an answer"), "one");
        closed.recv_timeout(PATIENCE).expect("it is closed");
    }
    assert_eq!(app.connections(), 3);
}

#[test]
fn no_more_connections_are_kept_than_allowed() {
    let (sender, closed) = mpsc::channel();
    let (answer, answers) = mpsc::channel::<()>();
    let answers = Mutex::new(answers);
    let app = App::unix(move |_, peer| {
        peer.request();
        peer.send(script::stdout("A: b\r\n\r\n"));
        answers.lock().expect("nobody panics with it").recv_timeout(PATIENCE).expect("the test goes on");
        peer.send(end(0, 0));
        peer.assert_closed();
        sender.send(()).expect("the test waits");
    });
    let pool = pool([&app], |settings| {
        settings.max_idle = 2;
        settings.keep_time = PATIENCE * 10;
    });
    // All have an answer before one is done: none waits for another's worker.
    let mut responses: Vec<_> =
        (0..5).map(|_| block_on(pool.request(Params::get("/")).send()).expect("an answer")).collect();
    (0..5).for_each(|_| answer.send(()).expect("it waits"));
    for response in &mut responses {
        block_on(response.read_to_end(&mut Vec::new())).expect("a whole body");
    }
    for _ in 0..3 {
        closed.recv_timeout(PATIENCE).expect("it is closed");
    }
    assert!(closed.try_recv().is_err(), "two are kept");
    drop(pool);
}

#[test]
fn a_connection_is_not_kept_while_another_has_no_answer() {
    running(|executor| {
        let (sender, closed) = mpsc::channel();
        let (asked, was_asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel::<()>();
        let answers = Mutex::new(answers);
        let app = App::unix(move |number, peer| {
            peer.request();
            asked.send(number).expect("the test waits");
            if number == 1 {
                answers.lock().expect("nobody panics with it").recv_timeout(PATIENCE).expect("it goes on");
                peer.send(page("first"));
                // The worker is free for the other one only now.
                peer.assert_closed();
                sender.send(()).expect("the test waits");
            } else {
                peer.record();
            }
        });
        // Nothing else closes it in time.
        let pool = pool([&app], |settings| (settings.max_idle, settings.keep_time) = (2, Duration::MAX));
        let first = spawn(executor, &pool, "/1");
        assert_eq!(was_asked.recv_timeout(PATIENCE), Ok(1));
        let second = spawn(executor, &pool, "/2");
        assert_eq!(was_asked.recv_timeout(PATIENCE), Ok(2));
        answer.send(()).expect("it waits");
        block_on(first).expect("an answer");
        closed.recv_timeout(PATIENCE).expect("it is closed");
        drop(second);
        drop(pool);
    });
}

#[test]
fn stderr_of_requests_without_a_response_is_told_by_the_pool() {
    let errors = |text: &[u8]| [record(RecordType::Stderr, 1, text), end(0, 3)].concat();
    let app = App::unix(move |number, peer| drop(peer.serve(errors(format!("error {number}\n").as_bytes()))));
    let pool = pool([&app], |_| ());
    for _ in 0..2 {
        block_on(ask(&pool)).expect_err("refused");
    }
    assert_eq!(pool.take_stderr(), b"error 1\nerror 2\n");
    assert_eq!(pool.take_stderr(), b"");
}
