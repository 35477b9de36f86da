//! The tasks: one moves a connection's bytes and starts its handlers; a request that comes alone rides along
//! with it, others are tasks of their own unless they are done at once.
#![expect(missing_debug_implementations, reason = "nobody can name these types")]

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use fcgi_blocking::{Span, log_level, panic_text};
use fcgi_proto::Level;
use fcgi_proto::server::session::Request as Key;
use smol::channel::Sender;

use crate::AppStatus;
use crate::net::clock::Alarm;
use crate::server::BoxError;
use crate::server::connection::{Begun, Connection, Turn};
use crate::server::connections::Connections;
use crate::server::request::Request;

/// A handler that runs.
pub struct RequestTask<F> {
    /// Until the connection knows how it ended. It is dropped before.
    future: Option<Pin<Box<F>>>,
    span: Span,
    connection: Arc<Connection>,
    key: Key,
}

impl<F> RequestTask<F> {
    fn complete(&mut self, outcome: Result<AppStatus, String>) {
        if let Some(future) = self.future.take() {
            self.span.in_scope(|| drop(future));
            self.connection.complete(self.key, outcome);
            self.connection.common.end();
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
        let Self { future: Some(future), span, .. } = &mut *self else { return Poll::Ready(()) };
        let run = || {
            future.as_mut().poll(cx).map(|result| result.map(Into::into).map_err(|error| error.to_string()))
        };
        let outcome = match span.in_scope(|| catch_unwind(AssertUnwindSafe(run))) {
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
pub struct ConnectionTask<H, F> {
    connection: Arc<Connection>,
    connections: Arc<Connections>,
    handler: Arc<H>,
    /// Where further requests' tasks are spawned.
    spawner: Sender<RequestTask<F>>,
    /// The request that came alone.
    guest: Option<RequestTask<F>>,
    alarm: Alarm,
    /// What is to be told of it in the end, and what that is worth.
    pub(crate) failure: Option<(Level, io::Error)>,
}

impl<H, F, T> ConnectionTask<H, F>
where
    H: Fn(Request) -> F,
    F: Future<Output = Result<T, BoxError>>,
    T: Into<AppStatus>,
{
    pub(crate) fn new(
        connection: Arc<Connection>,
        connections: &Arc<Connections>,
        handler: Arc<H>,
        spawner: Sender<RequestTask<F>>,
    ) -> Self {
        let connections = Arc::clone(connections);
        Self { connection, connections, handler, spawner, guest: None, alarm: Alarm::new(), failure: None }
    }

    /// Starts a handler.
    fn start(&mut self, (begin, params, span): Begun, quick: bool, cx: &mut Context<'_>) {
        let key = begin.request;
        let connection = Arc::clone(&self.connection);
        let request = Request::new(Arc::clone(&connection), begin, params);
        let future = match catch_unwind(AssertUnwindSafe(|| span.in_scope(|| (self.handler)(request)))) {
            Ok(future) => Box::pin(future),
            Err(panic) => {
                connection.complete(key, Err(panic_text(&*panic)));
                return connection.common.end();
            }
        };
        let mut task = RequestTask { future: Some(future), span, connection, key };
        if (quick || self.connection.is_alone()) && Pin::new(&mut task).poll(cx).is_ready() {
            return;
        }
        // One that was there before goes on by itself, as this one does beside others.
        let before = self.guest.replace(task);
        let beside_others = self.guest.take_if(|_| !self.connection.is_alone());
        [before, beside_others].into_iter().for_each(|task| self.spawn(task));
    }

    fn spawn(&self, task: Option<RequestTask<F>>) {
        // It fails when the server is gone: the task is dropped, which ends the request.
        task.map(|task| self.spawner.try_send(task));
    }
}

impl<H, F, T> Future for ConnectionTask<H, F>
where
    H: Fn(Request) -> F,
    F: Future<Output = Result<T, BoxError>>,
    T: Into<AppStatus>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let same = self.connection.begin(cx);
        self.guest.take_if(|guest| Pin::new(guest).poll(cx).is_ready());
        loop {
            match self.connection.turn() {
                Turn::Start(begun, quick) => self.start(begun, quick, cx),
                Turn::Over(failure) => {
                    // A handler that still runs goes on by itself.
                    let guest = self.guest.take();
                    self.spawn(guest);
                    self.failure = failure;
                    return Poll::Ready(());
                }
                Turn::Rest(due, now, again) => {
                    if again {
                        cx.waker().wake_by_ref();
                    }
                    if same && self.alarm.is_set(now, due) || self.alarm.poll(cx, due).is_pending() {
                        return Poll::Pending;
                    }
                    self.connection.begin(cx); // It is later.
                }
            }
        }
    }
}

impl<H, F> Drop for ConnectionTask<H, F> {
    fn drop(&mut self) {
        self.connection.kill();
        self.connections.remove(&self.connection);
        if let Some((level, error)) = &self.failure {
            log::log!(log_level(*level), "{}: {error}", self.connection.with(|state| state.peer));
        }
    }
}
