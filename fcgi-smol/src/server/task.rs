//! The tasks: one moves a connection's bytes and starts its handlers; a request that comes alone rides along
//! with it, others are tasks of their own.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use fcgi_blocking::panic_text;
use fcgi_proto::Level;
use fcgi_proto::server::session::Request as Key;
use smol::channel::Sender;

use crate::AppStatus;
use crate::server::BoxError;
use crate::server::connection::{Connection, Started, Turn};
use crate::server::request::Request;

/// A handler that runs.
pub struct RequestTask<F> {
    /// Dropped before the request is told to be over.
    future: Option<Pin<Box<F>>>,
    connection: Arc<Connection>,
    key: Key,
    /// Whether the connection knows how it ended.
    over: bool,
}

impl<F> RequestTask<F> {
    fn complete(&mut self, outcome: Result<AppStatus, String>) {
        if !self.over {
            self.over = true;
            self.future = None;
            self.connection.complete(self.key, outcome);
        }
    }
}

impl<F, T> Future for RequestTask<F>
where
    F: Future<Output = Result<T, BoxError>>,
    T: Into<AppStatus>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(future) = &mut self.future else { return Poll::Ready(()) };
        let run = || {
            future.as_mut().poll(cx).map(|result| result.map(Into::into).map_err(|error| error.to_string()))
        };
        let outcome = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => outcome,
            Err(panic) => Err(panic_text(&*panic)),
        };
        self.complete(outcome);
        Poll::Ready(())
    }
}

impl<F> Drop for RequestTask<F> {
    fn drop(&mut self) {
        self.complete(Err("the handler was dropped".to_owned()));
    }
}

/// One connection, from its first byte to its last.
pub(crate) struct ConnectionTask<H, F> {
    connection: Arc<Connection>,
    handler: Arc<H>,
    /// Where further requests' tasks are spawned.
    spawner: Sender<RequestTask<F>>,
    /// The request that came alone.
    guest: Option<RequestTask<F>>,
}

impl<H, F> ConnectionTask<H, F>
where
    H: Fn(Request) -> F,
{
    pub(crate) fn new(connection: Arc<Connection>, handler: Arc<H>, spawner: Sender<RequestTask<F>>) -> Self {
        Self { connection, handler, spawner, guest: None }
    }

    /// Starts a handler; whether it rides along.
    fn start(&mut self, started: Started) -> bool {
        let (key, alone) = (started.begin.request, started.alone);
        let connection = Arc::clone(&self.connection);
        let request = Request::new(Arc::clone(&connection), started);
        let future = match catch_unwind(AssertUnwindSafe(|| (self.handler)(request))) {
            Ok(future) => Some(Box::pin(future)),
            Err(panic) => {
                connection.complete(key, Err(panic_text(&*panic)));
                return false;
            }
        };
        let task = RequestTask { future, connection, key, over: false };
        if alone {
            self.guest = Some(task);
        } else {
            // It fails when the server is gone: the task is dropped, which ends the request.
            let _ = self.spawner.try_send(task);
        }
        alone
    }
}

impl<H, F, T> ConnectionTask<H, F>
where
    F: Future<Output = Result<T, BoxError>>,
    T: Into<AppStatus>,
{
    fn poll_guest(&mut self, cx: &mut Context<'_>) {
        if self.guest.as_mut().is_some_and(|guest| Pin::new(guest).poll(cx).is_ready()) {
            self.guest = None;
        }
    }
}

impl<H, F, T> Future for ConnectionTask<H, F>
where
    H: Fn(Request) -> F,
    F: Future<Output = Result<T, BoxError>>,
    T: Into<AppStatus>,
{
    type Output = Option<(Level, io::Error)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.connection.begin(cx);
        self.poll_guest(cx);
        loop {
            match self.connection.turn(cx) {
                Turn::Start(started) => {
                    if self.start(started) {
                        self.poll_guest(cx);
                    }
                }
                Turn::Over(result) => return Poll::Ready(result),
                Turn::Rest if self.connection.rest(cx) => return Poll::Pending,
                Turn::Rest => {}
            }
        }
    }
}

impl<H, F> Drop for ConnectionTask<H, F> {
    fn drop(&mut self) {
        self.connection.kill();
    }
}
