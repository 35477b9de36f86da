//! A small FastCGI client, and servers to point it at. Nothing here waits for ever: sockets have limits, and
//! what runs in threads or children is ended when it is dropped.
#![allow(dead_code, unused_imports)] // Each file of tests uses a part.

pub(crate) mod child;
pub(crate) mod disk;
pub(crate) mod duplex;
pub(crate) mod executable;
pub(crate) mod fixture;
pub(crate) mod said;
pub(crate) mod skipped;
mod wire;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;

use fcgi_blocking::{AppStatus, BoxError, Endpoint, Handle, Listener, Request, Server, Status};
use tempfile::TempDir;

pub(crate) use fcgi_blocking::Settings;
pub(crate) use wire::*;

/// The defaults with something changed.
pub(crate) fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}

/// A handler that answers `text`, and does no more.
pub(crate) fn say(text: &str) -> impl Fn(&mut Request<'_>) -> Result<(), BoxError> + Copy {
    move |request| {
        let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
        Ok(page.write_all(text.as_bytes())?)
    }
}

/// Answers with REQUEST_URI.
pub(crate) fn uri(request: &mut Request<'_>) -> Result<(), BoxError> {
    let uri = request.param_str("REQUEST_URI").unwrap_or_default().to_owned();
    say(&uri)(request)
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
pub(crate) fn unprintable(_: &mut Request<'_>) -> Result<(), BoxError> {
    Err(Unprintable.into())
}

/// A handler that, for `/wait`, tells that it runs and then waits to be told to go on; else it answers at
/// once. Any answer is the path.
pub(crate) fn waiter() -> (
    impl Fn(&mut Request<'_>) -> Result<(), BoxError> + Clone + Send + Sync,
    mpsc::Receiver<()>,
    mpsc::Sender<()>,
) {
    let (started, has_started) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let may_go_on = Arc::new(Mutex::new(may_go_on));
    let handler = move |request: &mut Request<'_>| {
        let uri = request.param_str("REQUEST_URI").unwrap_or_default().to_owned();
        if uri == "/wait" {
            started.send(())?;
            may_go_on.lock().expect("no handler panics").recv_timeout(PATIENCE)?;
        }
        say(&uri)(request)
    };
    (handler, has_started, go_on)
}

/// A server in a thread of its own; shut down and waited for when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) endpoint: Endpoint,
    pub(crate) handle: Handle,
    result: Receiver<io::Result<()>>,
    waited_for: bool,
    _dir: TempDir,
}

impl Running {
    pub(crate) fn unix<T: Into<AppStatus>>(
        settings: Settings,
        handler: impl Fn(&mut Request<'_>) -> Result<T, BoxError> + Send + Sync + 'static,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let path: PathBuf = dir.path().join("socket");
        Self::start(&Endpoint::Unix(path), dir, settings, handler)
    }

    pub(crate) fn tcp<T: Into<AppStatus>>(
        settings: Settings,
        handler: impl Fn(&mut Request<'_>) -> Result<T, BoxError> + Send + Sync + 'static,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a folder can be made");
        Self::start(&"127.0.0.1:0".parse().expect("an address"), dir, settings, handler)
    }

    /// One of each.
    pub(crate) fn both<T: Into<AppStatus>>(
        settings: Settings,
        handler: impl Fn(&mut Request<'_>) -> Result<T, BoxError> + Send + Sync + Copy + 'static,
    ) -> [Self; 2] {
        [Self::unix(settings, handler), Self::tcp(settings, handler)]
    }

    fn start<T: Into<AppStatus>>(
        endpoint: &Endpoint,
        dir: TempDir,
        settings: Settings,
        handler: impl Fn(&mut Request<'_>) -> Result<T, BoxError> + Send + Sync + 'static,
    ) -> Self {
        let listener = Listener::bind_endpoint(endpoint).expect("the address is free");
        let endpoint = listener.local_endpoint().expect("it has an address");
        let server = Server::with_settings(listener, settings);
        let handle = server.handle();
        let (sender, result) = mpsc::channel();
        thread::spawn(move || sender.send(server.serve(handler)));
        Self { endpoint, handle, result, waited_for: false, _dir: dir }
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
