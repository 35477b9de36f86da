//! Servers on executors of their own, and the small FastCGI client that the blocking server's tests know.
//! Nothing here waits for ever.
#![allow(dead_code, unused_imports)] // Each file of tests uses a part.

#[path = "../../../fcgi-blocking/tests/support/child.rs"]
pub(crate) mod child;
#[path = "../../../fcgi-blocking/tests/support/executable.rs"]
pub(crate) mod executable;
#[path = "../../../fcgi-blocking/tests/support/fixture.rs"]
pub(crate) mod fixture;
#[path = "../../../fcgi-blocking/tests/support/said.rs"]
pub(crate) mod said;
pub(crate) mod scripted;
#[path = "../../../fcgi-blocking/tests/support/skipped.rs"]
pub(crate) mod skipped;
#[path = "../../../fcgi-blocking/tests/support/wire.rs"]
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;

use fcgi_smol::{AppStatus, BoxError, Endpoint, Handle, Listener, Request, Server, Status};
use smol::channel::Sender;
use smol::future::{self, FutureExt};
use smol::io::AsyncWriteExt;
use smol::{Executor, Timer};
use tempfile::TempDir;

pub(crate) use fcgi_smol::Settings;
pub(crate) use wire::*;

/// What a handler comes to.
pub(crate) type Outcome<T = ()> = Result<T, BoxError>;

/// A handler that is not generic.
pub(crate) type Boxed<T = ()> = Pin<Box<dyn Future<Output = Outcome<T>> + Send>>;

/// The defaults with something changed.
pub(crate) fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}

/// Answers a request with `text`.
pub(crate) async fn answer(request: &Request, text: impl AsRef<[u8]>) -> Outcome {
    let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
    Ok(page.write_all(text.as_ref()).await?)
}

/// A handler that answers `text`, and does no more.
pub(crate) fn say(text: &'static str) -> impl Fn(Request) -> Boxed + Copy + Send + Sync {
    move |request| Box::pin(async move { answer(&request, text).await })
}

/// Answers with REQUEST_URI.
pub(crate) async fn uri(request: Request) -> Outcome {
    answer(&request, request.param("REQUEST_URI").unwrap_or_default()).await
}

/// An error without a text.
#[derive(Debug)]
struct Unprintable;

impl std::fmt::Display for Unprintable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("no text for this")
    }
}

impl std::error::Error for Unprintable {}

/// A handler that fails with an error whose text panics.
pub(crate) async fn unprintable(_: Request) -> Outcome {
    Err(Unprintable.into())
}

/// A handler that, for `/wait`, tells that it runs and then waits to be told to go on; else it answers at
/// once. Any answer is the path.
pub(crate) fn waiter()
-> (impl Fn(Request) -> Boxed + Clone + Send + Sync, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (started, has_started) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let may_go_on = Arc::new(Mutex::new(may_go_on));
    let handler = move |request: Request| -> Boxed {
        let (started, may_go_on) = (started.clone(), Arc::clone(&may_go_on));
        Box::pin(async move {
            if request.param("REQUEST_URI") == Some(b"/wait") {
                started.send(())?;
                smol::unblock(move || may_go_on.lock().expect("no handler panics").recv_timeout(PATIENCE))
                    .await?;
            }
            uri(request).await
        })
    };
    (handler, has_started, go_on)
}

/// A server on an executor and threads of its own; shut down and waited for when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) endpoint: Endpoint,
    pub(crate) handle: Handle,
    result: Receiver<io::Result<()>>,
    waited_for: bool,
    /// To close it ends the executor's further threads.
    _stop: Sender<()>,
    _dir: TempDir,
}

impl Running {
    /// On a Unix socket, its executor run by one thread.
    pub(crate) fn unix<F, T>(
        settings: Settings,
        handler: impl Fn(Request) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome<T>> + Send + 'static,
        T: Into<AppStatus> + 'static,
    {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let path: PathBuf = dir.path().join("socket");
        Self::start(&Endpoint::Unix(path), dir, 1, settings, handler)
    }

    /// On TCP, its executor run by three threads.
    pub(crate) fn tcp<F, T>(
        settings: Settings,
        handler: impl Fn(Request) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome<T>> + Send + 'static,
        T: Into<AppStatus> + 'static,
    {
        let dir = tempfile::tempdir().expect("a folder can be made");
        Self::start(&"127.0.0.1:0".parse().expect("an address"), dir, 3, settings, handler)
    }

    /// One of each.
    pub(crate) fn both<F, T>(
        settings: Settings,
        handler: impl Fn(Request) -> F + Send + Sync + Clone + 'static,
    ) -> [Self; 2]
    where
        F: Future<Output = Outcome<T>> + Send + 'static,
        T: Into<AppStatus> + 'static,
    {
        [Self::unix(settings, handler.clone()), Self::tcp(settings, handler)]
    }

    fn start<F, T>(
        endpoint: &Endpoint,
        dir: TempDir,
        threads: usize,
        settings: Settings,
        handler: impl Fn(Request) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome<T>> + Send + 'static,
        T: Into<AppStatus> + 'static,
    {
        let listener = Listener::bind_endpoint(endpoint).expect("the address is free");
        let endpoint = listener.local_endpoint().expect("it has an address");
        let server = Server::with_settings(listener, settings).expect("it can be registered");
        let handle = server.handle();
        let executor = Arc::new(Executor::new());
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        for _ in 1..threads {
            let (executor, stopped) = (Arc::clone(&executor), stopped.clone());
            thread::spawn(move || smol::block_on(executor.run(async { stopped.recv().await })));
        }
        let (sender, result) = mpsc::channel();
        thread::spawn(move || {
            let result = smol::block_on(executor.run(server.serve(&executor, handler)));
            sender.send(result)
        });
        Self { endpoint, handle, result, waited_for: false, _stop: stop, _dir: dir }
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.endpoint)
    }

    /// Waits until `serve` returns.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        self.waited_for = true;
        self.result.recv_timeout(PATIENCE).expect("serve returns in time")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown();
        if !self.waited_for && !thread::panicking() {
            self.wait().expect("serve ends in good order");
        }
    }
}

/// The result of a future that is there in time.
#[track_caller]
pub(crate) fn in_time<T>(work: impl Future<Output = T>) -> T {
    let late = async {
        Timer::after(PATIENCE).await;
        None
    };
    smol::block_on(async { Some(work.await) }.or(late)).expect("it is done in time")
}

/// All answers in `records`, which came interleaved; checks that each is whole and of one request.
pub(crate) fn answers(records: impl IntoIterator<Item = Received>) -> BTreeMap<u16, Answer> {
    let mut of_ids: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    for Received { record_type, id, content } in records {
        of_ids.entry(id).or_default().extend(record(record_type, id, &content));
    }
    let whole = |(id, bytes): (u16, Vec<u8>)| {
        let mut rest = &*bytes;
        let answer = Answer::read(&mut rest, id).expect("a whole answer");
        assert!(rest.is_empty(), "{id}: records after the end");
        (id, answer)
    };
    of_ids.into_iter().map(whole).collect()
}

impl Client {
    /// Reads until so many requests have ended; their answers.
    #[track_caller]
    pub(crate) fn answers(&mut self, count: usize) -> BTreeMap<u16, Answer> {
        let mut ended = 0;
        let mut records = Vec::new();
        while ended < count {
            let record = self.record();
            ended += usize::from(record.record_type == fcgi_proto::record::RecordType::EndRequest);
            records.push(record);
        }
        let answers = answers(records);
        assert_eq!(answers.len(), count, "an id was answered twice");
        answers
    }
}
