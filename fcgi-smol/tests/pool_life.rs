//! The pool among applications that close, come back, are full or work on: no request pays for another one's
//! fault. And its futures, dropped and woken anywhere.

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

#[path = "adapter/client.rs"]
mod adapter;

#[path = "../../fcgi-blocking/tests/client/script.rs"]
mod script;

use std::future::Future;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use fcgi_blocking::Stream;
use fcgi_smol::{ClientError, Endpoint, Listener, Params, Pool, PoolSettings, Server, Settings, Status};
use script::{App, Peer, answer, end, limits, page, stdout};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Executor, block_on};
use support::{PATIENCE, wait_until};

fn pool<'a>(apps: impl IntoIterator<Item = &'a Endpoint>, change: impl FnOnce(&mut PoolSettings)) -> Pool {
    let mut settings = PoolSettings::default();
    settings.client = limits(|_| ());
    settings.wait_timeout = PATIENCE;
    change(&mut settings);
    Pool::new(apps.into_iter().cloned(), settings)
}

async fn send(request: fcgi_smol::Outgoing<'_>) -> Result<String, ClientError> {
    let mut response = request.send().await?;
    let mut text = String::new();
    response.read_to_string(&mut text).await.expect("a whole body");
    Ok(text)
}

fn get(pool: &Pool) -> Result<String, ClientError> {
    block_on(send(pool.request(Params::get("/"))))
}

#[test]
fn an_application_that_closes_after_every_end_request_costs_no_post() {
    let posts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&posts);
    let app = App::unix(move |_, peer| {
        if peer.request().param("REQUEST_METHOD") == Some("POST") {
            count.fetch_add(1, Ordering::SeqCst);
        }
        peer.send(page("ok")); // And it closes, although it was asked to keep.
    });
    let pool = pool([&app.endpoint], |settings| settings.max_idle = 2);
    for number in 1..=50 {
        assert_eq!(get(&pool).expect("an answer"), "ok");
        let post = pool.request(Params::post("/")).bytes("body");
        assert_eq!(block_on(send(post)).expect("an answer"), "ok");
        assert_eq!(posts.load(Ordering::SeqCst), number);
    }
    drop(pool);
}

#[test]
fn an_application_that_shows_otherwise_has_its_connections_used_again() {
    let app = App::unix(|number, peer| match number {
        1 => drop(peer.serve(page("closes"))),
        _ => {
            while peer.try_request().is_some() {
                peer.send(page("keeps"));
            }
        }
    });
    let pool = pool([&app.endpoint], |settings| {
        settings.max_idle = 1;
        settings.keep_time = PATIENCE;
    });
    let kept = || {
        let before = app.connections();
        let post = pool.request(Params::post("/")).bytes("body");
        block_on(send(post)).expect("an answer");
        app.connections() == before
    };
    assert_eq!(get(&pool).expect("an answer"), "closes");
    assert!(!kept(), "the first one closed");
    // A connection that is kept has to stay open for some time, as long as a silent application is waited for.
    let silent = App::unix(|_, peer| while peer.record().is_some() {});
    let given_up =
        self::pool([&silent.endpoint], |settings| settings.client.first_byte_timeout = LONGER_THAN_IT_TAKES);
    let kept_for_longer = || {
        get(&given_up).expect_err("it says nothing");
        kept()
    };
    assert!(wait_until(kept_for_longer), "each is used once");
    drop(pool);
}

#[test]
fn a_post_or_delete_is_never_executed_twice() {
    for method in ["POST", "DELETE"] {
        for body in [None, Some("bytes"), Some("spooled")] {
            let executed = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&executed);
            let app = App::unix(move |_, peer| {
                while let Some(asked) = peer.try_request() {
                    if asked.param("REQUEST_METHOD") != Some("GET") {
                        count.fetch_add(1, Ordering::SeqCst);
                        return; // Without a byte of an answer.
                    }
                    peer.send(page("ok"));
                }
            });
            let pool = pool([&app.endpoint], |settings| settings.max_idle = 1);
            // The second one shows that connections are kept.
            (0..2).for_each(|_| drop(get(&pool).expect("an answer")));
            let request = pool.request(Params::new(method, "/"));
            let request = match body {
                None => request,
                Some("bytes") => request.bytes("body"),
                Some(_) => block_on(request.spooled(&b"body"[..])).expect("it is kept"),
            };
            let error = block_on(send(request)).expect_err("no answer");
            assert!(matches!(error, ClientError::Truncated), "{error:?}");
            assert_eq!(executed.load(Ordering::SeqCst), 1, "{method} {body:?}");
            assert_eq!(app.connections(), 1, "it went on the connection that was kept");
        }
    }
}

#[test]
fn an_application_that_comes_back_is_used_at_once() {
    for others in [0, 2] {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("socket");
        let away = (0..others).map(|number| Endpoint::Unix(dir.path().join(format!("away{number}"))));
        let endpoints: Vec<_> = away.chain([Endpoint::Unix(path.clone())]).collect();
        let pool = pool(&endpoints, |_| ());
        // So often that the pause has become long.
        for _ in 0..20 {
            get(&pool).expect_err("nobody is there");
        }
        let listener = UnixListener::bind(&path).expect("the path is free");
        let app = thread::spawn(move || {
            for _ in 0..2 {
                let (stream, _) = listener.accept().expect("a connection");
                stream.set_read_timeout(Some(PATIENCE)).expect("a limit can be set");
                Peer::new(stream.into()).serve(page("back"));
            }
        });
        for _ in 0..2 {
            assert_eq!(get(&pool).expect("an answer"), "back", "beside {others}");
        }
        app.join().expect("it was asked");
    }
}

#[test]
fn a_late_record_is_not_part_of_the_next_answer_of_a_pool() {
    let cookie = "Set-Cookie: session=of-the-first-user\r\nContent-Type: text/plain\r\n\r\nlate";
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let app = App::unix(move |number, peer| {
        peer.serve(page("first"));
        if number == 1 {
            peer.send([stdout(cookie), end(0, 0)].concat());
            tell.lock().expect("nobody panics with it").send(()).expect("the test waits");
            peer.assert_closed();
        }
    });
    let pool = pool([&app.endpoint], |settings| settings.max_idle = 1);
    assert_eq!(get(&pool).expect("an answer"), "first");
    told.recv_timeout(PATIENCE).expect("it is sent");
    let mut response = block_on(pool.request(Params::get("/")).send()).expect("an answer");
    assert_eq!(response.field("Set-Cookie"), None);
    let mut text = String::new();
    block_on(response.read_to_string(&mut text)).expect("a whole body");
    assert_eq!((text.as_str(), app.connections()), ("first", 2));
    drop(response);
    drop(pool);
}

/// Lets a server's handler answer, and tells when it has begun.
struct Let(smol::channel::Sender<()>, smol::channel::Receiver<()>);

/// One of our own servers, which answers one request at a time, and that when it is let.
fn server(executor: &Arc<Executor<'static>>, path: &Path, name: &'static str) -> Let {
    let mut settings = Settings::default();
    settings.max_requests = 1;
    let server = Server::with_settings(Listener::bind_unix(path, 0o600).expect("it is free"), settings);
    let (let_it, wait) = smol::channel::unbounded();
    let (begins, begun) = smol::channel::unbounded();
    let handler = move |request: fcgi_smol::Request| {
        let (wait, begins) = (wait.clone(), begins.clone());
        async move {
            begins.send(()).await?;
            wait.recv().await?;
            let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
            page.write_all(name.as_bytes()).await?;
            Ok(())
        }
    };
    let serve = server.expect("it can be registered").serve(Arc::clone(executor), handler);
    executor.spawn(serve).detach();
    Let(let_it, begun)
}

#[test]
fn of_two_of_our_own_servers_the_idle_one_answers_when_the_other_is_full() {
    let dir = tempfile::tempdir().expect("a folder");
    let paths = ["a", "b"].map(|name| dir.path().join(name));
    let endpoints = paths.each_ref().map(|path| Endpoint::Unix(path.clone()));
    let executor = Arc::new(Executor::new());
    block_on(executor.run(async {
        let [a, b] = [server(&executor, &paths[0], "a"), server(&executor, &paths[1], "b")];
        let busy = pool(&endpoints[..1], |_| ());
        let held = executor.spawn(async move { send(busy.request(Params::get("/"))).await });
        a.1.recv().await.expect("it has the request");
        for _ in 0..10 {
            b.0.send(()).await.expect("it waits");
            // Each of these asks A first.
            let both = pool(&endpoints, |_| ());
            let request = both.request(Params::post("/")).bytes("body");
            assert_eq!(send(request).await.expect("an answer"), "b");
        }
        a.0.send(()).await.expect("it waits");
        assert_eq!(held.await.expect("an answer"), "a");
    }));
}

/// Waits until no thread of this process waits for a place in the queue of a Unix socket.
#[cfg(target_os = "linux")]
fn no_thread_connects() {
    let connects = || {
        let threads = std::fs::read_dir("/proc/self/task").expect("Linux tells about threads").flatten();
        let waits = threads.flat_map(|thread| std::fs::read_to_string(thread.path().join("wchan")));
        waits.into_iter().any(|function| function.starts_with("unix_wait_for_peer"))
    };
    assert!(wait_until(|| !connects()), "a thread still waits");
}

#[test]
fn a_probe_that_is_dropped_while_it_connects_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("socket");
    let named = Endpoint::Abstract(path.display().to_string());
    let named = Some(named).filter(|_| cfg!(target_os = "linux"));
    for endpoint in [Endpoint::Unix(path)].into_iter().chain(named) {
        let short = Duration::from_millis(10);
        let pool = pool([&endpoint], |settings| settings.retry_after = short);
        get(&pool).expect_err("nobody is there");
        // It listens, but its queue is full: a connection takes as long as it likes.
        let listener = Listener::bind_endpoint(&endpoint).expect("the address is free");
        rustix::net::listen(&listener, 0).expect("it can be told");
        let full = Stream::connect(&endpoint).expect("there is one place");
        let probed = async {
            pool.probe().await;
            true
        };
        let late = async {
            smol::Timer::after(20 * short).await;
            false
        };
        assert!(!block_on(smol::future::or(probed, late)));
        #[cfg(target_os = "linux")]
        no_thread_connects();
        let app = thread::spawn(move || {
            let (wake, _never) = UnixStream::pair().expect("a pair of sockets");
            let accept = || listener.accept(&wake).expect("a connection").expect("nobody wakes it").0;
            drop((accept(), full));
            let stream = accept();
            stream.set_read_timeout(Some(PATIENCE)).expect("a limit can be set");
            Peer::new(stream).serve(answer("A: b\r\n\r\nback"));
        });
        assert_eq!(get(&pool).expect("an answer"), "back");
        app.join().expect("it was asked");
    }
}

/// Than an application needs to show that it keeps connections: 200 milliseconds.
const LONGER_THAN_IT_TAKES: Duration = Duration::from_millis(250);

/// A waker that does something of its own when it is woken.
struct Doing<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Doing<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

#[test]
fn thousands_of_dropped_futures_leave_no_waker_behind() {
    let (tell, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let app = App::unix(move |_, peer| {
        peer.request();
        told.lock().expect("nobody panics with it").recv_timeout(PATIENCE).expect("the test goes on");
        peer.send(page("ok"));
    });
    let pool = pool([&app.endpoint], |settings| settings.max_connections = 1);
    let counted = Arc::new(());
    let mut held = pin!(send(pool.request(Params::get("/"))));
    // One that waits for an answer, polled by ever new tasks.
    while app.connections() == 0 {
        assert!(held.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    for _ in 0..5_000 {
        let mine = Arc::clone(&counted);
        let waker = Waker::from(Arc::new(Doing(move || assert!(Arc::strong_count(&mine) > 0))));
        let mut cx = Context::from_waker(&waker);
        assert!(held.as_mut().poll(&mut cx).is_pending());
        // And one that waits for a connection, and leaves.
        assert!(pin!(pool.request(Params::get("/")).send()).as_mut().poll(&mut cx).is_pending());
    }
    assert!(Arc::strong_count(&counted) < 5, "{} wakers are kept", Arc::strong_count(&counted));
    tell.send(()).expect("it waits");
    assert_eq!(block_on(held).expect("an answer"), "ok");
    drop(pool);
}

#[test]
fn no_waker_runs_while_anything_is_locked() {
    let app = App::unix(|_, peer| {
        while peer.try_request().is_some() {
            if peer.try_send(page("ok")).is_err() {
                return; // It was left.
            }
        }
    });
    for max_requests in [1, 8] {
        let pool = pool([&app.endpoint], |settings| {
            settings.max_connections = 1;
            settings.max_idle = 1;
            settings.max_requests_per_connection = max_requests;
        });
        let (done, is_done) = mpsc::channel();
        // If it deadlocks, it does so in a thread of its own.
        thread::spawn(move || {
            let (wake, woken) = smol::channel::unbounded();
            // Whoever wakes it comes back to the pool in the same breath: it waits, and leaves.
            let waker = Waker::from(Arc::new(Doing({
                let pool = pool.clone();
                move || {
                    let mut request = pin!(pool.request(Params::get("/")).send());
                    drop(request.as_mut().poll(&mut Context::from_waker(Waker::noop())));
                    let _ = wake.try_send(());
                }
            })));
            let mut cx = Context::from_waker(&waker);
            let mut requests: Vec<_> =
                (0..4).map(|_| Box::pin(send(pool.request(Params::get("/"))))).collect();
            while !requests.is_empty() {
                requests.retain_mut(|request| match request.as_mut().poll(&mut cx) {
                    Poll::Ready(result) => result.expect("an answer") != "ok",
                    Poll::Pending => true,
                });
                if !requests.is_empty() {
                    block_on(woken.recv()).expect("it is woken");
                }
            }
            done.send(()).expect("the test waits");
        });
        is_done.recv_timeout(PATIENCE).expect("no deadlock");
    }
}
