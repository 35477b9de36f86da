//! The application's side: accepts connections, runs handlers on an executor of the caller's.

mod connection;
mod connections;
pub(crate) mod request;
mod requests;
pub(crate) mod settings;
mod spares;
pub(crate) mod spawn;
mod task;
mod wakers;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use fcgi_blocking::BoxError;
use fcgi_blocking::{Exhaustion, Peer, Peers, Signals, is_exhaustion};
use smol::channel::{self, Receiver, Sender};
use smol::future::{self, FutureExt};
use smol::io::{AsyncRead, AsyncWrite};

use crate::AppStatus;
use crate::net::listener::{IntoSocket, Socket};
use crate::net::transport::{Plain, Transport};
use crate::server::connections::{CloseAll, Common, Connections};
use crate::server::request::Request;
use crate::server::settings::Settings;
use crate::server::spawn::Spawn;
use crate::server::task::{ConnectionTask, RequestTask};

/// Accepts connections and runs a handler for each request, on an executor of the caller's.
///
/// A connection is a task. A request that comes alone on its connection is polled by that task; requests that
/// share a connection are polled by it once, and are tasks of their own if they are not done then. What that takes
/// is bounded: beyond 200 microseconds each is a task of its own at once.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use fcgi_smol::{Listener, Request, Server, Status};
/// use smol::Executor;
/// use smol::io::{AsyncReadExt, AsyncWriteExt};
///
/// fn main() -> std::io::Result<()> {
///     let executor = Arc::new(Executor::new());
///     smol::block_on(executor.run(async {
///         let listener = Listener::bind("unix:/run/app.sock")?;
///         Server::new(listener)?
///             .serve_until_signal(&executor, |request: Request| async move {
///                 let mut body = Vec::new();
///                 request.stdin().read_to_end(&mut body).await?;
///                 let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
///                 page.write_all(format!("{} bytes\n", body.len()).as_bytes()).await?;
///                 Ok(())
///             })
///             .await
///     }))
/// }
/// ```
#[derive(Debug)]
pub struct Server {
    socket: Socket,
    settings: Settings,
    handle: Handle,
    stopped: Receiver<Infallible>,
}

/// Shuts a [`Server`] down from another task or thread, a signal's for example.
#[derive(Clone, Debug)]
pub struct Handle {
    stop: Sender<Infallible>,
}

impl Handle {
    /// Stops accepting, lets the requests that run finish, closes idle connections.
    /// [`Server::serve`] returns when the last connection has ended.
    pub fn shutdown(&self) {
        self.stop.close();
    }
}

impl Server {
    /// A server with default [`Settings`].
    ///
    /// # Errors
    /// Those of registering the socket with async-io.
    pub fn new(listener: impl IntoSocket) -> io::Result<Self> {
        Self::with_settings(listener, Settings::default())
    }

    /// A server with its own settings.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_settings(listener: impl IntoSocket, settings: Settings) -> io::Result<Self> {
        let (stop, stopped) = channel::bounded(1);
        Ok(Self { socket: listener.into_socket()?, settings, handle: Handle { stop }, stopped })
    }

    /// What shuts this server down.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// [Serves](Self::serve) until the process is asked to end by SIGTERM, SIGINT or SIGHUP, which shuts the server
    /// down within [`Settings::shutdown_timeout`]; a second signal ends the process at once.
    ///
    /// # Errors
    /// Those of `serve`, and of registering signals.
    pub async fn serve_until_signal<E, H, F, T>(self, executor: E, handler: H) -> io::Result<()>
    where
        E: Spawn<RequestTask<F>> + Spawn<ConnectionTask<H, F>>,
        H: Fn(Request) -> F,
        F: Future<Output = Result<T, BoxError>>,
        T: Into<AppStatus>,
    {
        let handle = self.handle();
        let _signals = Signals::call(move || handle.shutdown())?;
        self.serve(executor, handler).await
    }

    /// Serves until it is [shut down](Handle::shutdown) and its last connection has ended. To drop the future
    /// is to close all connections at once.
    ///
    /// If the environment has `FCGI_WEB_SERVER_ADDRS`, only the peers that it lists are let in, and none over
    /// a Unix socket (sections 2.3 and 3.2).
    ///
    /// A handler that panics costs its request only: it becomes a 500.
    ///
    /// # Errors
    /// Those of the listening socket, and [`InvalidInput`](io::ErrorKind::InvalidInput) for an
    /// `FCGI_WEB_SERVER_ADDRS` that is no list of addresses.
    pub async fn serve<E, H, F, T>(self, executor: E, handler: H) -> io::Result<()>
    where
        E: Spawn<RequestTask<F>> + Spawn<ConnectionTask<H, F>>,
        H: Fn(Request) -> F,
        F: Future<Output = Result<T, BoxError>>,
        T: Into<AppStatus>,
    {
        let Self { socket, settings, handle, stopped } = self;
        let peers = Peers::from_env()?;
        // Nobody else may be left to shut it down: that is no shutdown.
        let connections = Connections::new(Common::new(settings, move || handle.shutdown()));
        let _closes = CloseAll(&connections);
        let handler = Arc::new(handler);
        let (spawner, spawned) = channel::unbounded();
        let serve = async {
            let accept = async {
                loop {
                    let (transport, peer) = accept(&socket, &connections).await?;
                    if !peers.let_in(peer) {
                        continue;
                    }
                    let connection = connections.add(transport, peer);
                    let (handler, spawner) = (Arc::clone(&handler), spawner.clone());
                    executor.spawn_detached(ConnectionTask::new(connection, &connections, handler, spawner));
                }
            };
            let stop = async {
                // It closes, for nothing is ever sent.
                let _ = stopped.recv().await;
                Ok(())
            };
            let result: io::Result<()> = stop.or(accept).await;
            // Who connects from now on is to find another server.
            drop(socket);
            connections.leave().await;
            result
        };
        beside(&executor, spawned, serve).await
    }
}

/// Serves one connection over any stream: a pipe, TLS, a serial line. It resolves when the connection is over;
/// to drop it is to end the connection.
///
/// The executor runs the handlers of requests that share the connection.
///
/// # Errors
/// Those of the stream, and [`InvalidData`](io::ErrorKind::InvalidData) when the peer does not speak FastCGI.
pub async fn serve_stream<S, E, H, F, T>(
    stream: S,
    settings: &Settings,
    executor: E,
    handler: H,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    E: Spawn<RequestTask<F>>,
    H: Fn(Request) -> F,
    F: Future<Output = Result<T, BoxError>>,
    T: Into<AppStatus>,
{
    let connections = Connections::new(Common::new(*settings, || {}));
    let connection = connections.add(Box::new(Plain(stream)), Peer(None));
    let (spawner, spawned) = channel::unbounded();
    let mut task = ConnectionTask::new(connection, &connections, Arc::new(handler), spawner);
    beside(&executor, spawned, &mut task).await;
    task.failure.take().map_or(Ok(()), |(_, error)| Err(error))
}

/// Waits for a connection and for room: its stream, and its peer's address.
async fn accept(socket: &Socket, connections: &Connections) -> io::Result<(Box<dyn Transport>, Peer)> {
    loop {
        if connections.is_full() {
            // None is closed before another is there that needs its place.
            socket.readable().await?;
        }
        while connections.is_full() {
            connections.give_up_longest_waiting(Duration::MAX).await;
        }
        match socket.accept().await {
            Err(error) if is_exhaustion(&error) => {
                connections.give_up_longest_waiting(Exhaustion::PAUSE).await;
            }
            accepted => return accepted,
        }
    }
}

/// Runs requests as tasks of their own beside this work, until it is done.
async fn beside<E, F, O>(executor: &E, spawned: Receiver<RequestTask<F>>, work: impl Future<Output = O>) -> O
where
    E: Spawn<RequestTask<F>>,
{
    let spawned = Spawned(executor, spawned);
    let spawn = async {
        while let Ok(task) = spawned.1.recv().await {
            executor.spawn_detached(task);
        }
        future::pending().await
    };
    work.or(spawn).await
}

/// Requests that are to be tasks of their own: those that have begun are, whatever ends first.
struct Spawned<'e, E: Spawn<RequestTask<F>>, F>(&'e E, Receiver<RequestTask<F>>);

impl<E: Spawn<RequestTask<F>>, F> Drop for Spawned<'_, E, F> {
    fn drop(&mut self) {
        while let Ok(task) = self.1.try_recv() {
            self.0.spawn_detached(task);
        }
    }
}
