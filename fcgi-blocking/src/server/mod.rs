//! The application's side: accepts connections, runs a handler for each request.

mod connection;
mod places;
pub(crate) mod request;
pub(crate) mod settings;

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{self, Scope};
use std::time::Duration;

use fcgi_proto::Level;
use fcgi_proto::server::session::Name;

use crate::net::ends::Ends;
use crate::net::exhaustion::{Exhaustion, is_exhaustion};
use crate::net::listener::Listener;
use crate::net::lock;
use crate::net::log::{log_level, panic_text};
use crate::net::peer::{Peer, Peers};
use crate::net::signals::Signals;
use crate::net::span::Span;
use crate::net::transport::{Plain, Socket};
use crate::server::connection::{Connection, Context, Serve};
use crate::server::places::Places;
use crate::server::request::{AppStatus, Request};
use crate::server::settings::Settings;

/// What a handler fails with: any error. The client gets a 500, if nothing of an answer was sent, and the
/// error's text on STDERR.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Accepts connections and runs a handler for each request: a thread per connection, up to a maximum.
///
/// ```no_run
/// use std::io::Write;
///
/// use fcgi_blocking::{Listener, Request, Server, Status};
///
/// fn main() -> std::io::Result<()> {
///     let listener = Listener::bind("127.0.0.1:9000")?;
///     Server::new(listener).serve_until_signal(|request: &mut Request| {
///         let agent = request.param_str("HTTP_USER_AGENT").unwrap_or("stranger");
///         let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
///         writeln!(page, "Hello, {agent}")?;
///         Ok(())
///     })
/// }
/// ```
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    settings: Settings,
    handle: Handle,
}

/// Shuts a [`Server`] down from another thread, a signal's for example.
#[derive(Clone, Debug, Default)]
pub struct Handle {
    state: Arc<Mutex<Shutdown>>,
}

#[derive(Debug, Default)]
enum Shutdown {
    #[default]
    NotServing,
    Serving {
        /// Closed to wake the accept loop.
        _wake: UnixStream,
    },
    Requested,
}

impl Handle {
    /// Stops accepting, lets the requests that run finish, closes idle connections.
    /// [`Server::serve`] returns when the last connection has ended.
    pub fn shutdown(&self) {
        *lock(&self.state) = Shutdown::Requested;
    }

    /// What becomes readable at [`shutdown`](Self::shutdown).
    fn wake(&self) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut state = lock(&self.state);
        if matches!(*state, Shutdown::NotServing) {
            *state = Shutdown::Serving { _wake: theirs };
        }
        Ok(ours)
    }
}

impl Server {
    /// A server with default [`Settings`].
    #[must_use]
    pub fn new(listener: Listener) -> Self {
        Self::with_settings(listener, Settings::default())
    }

    /// A server with its own settings.
    #[must_use]
    pub fn with_settings(listener: Listener, settings: Settings) -> Self {
        Self { listener, settings, handle: Handle::default() }
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
    pub fn serve_until_signal<H, T>(self, handler: H) -> io::Result<()>
    where
        H: Fn(&mut Request<'_>) -> Result<T, BoxError> + Sync,
        T: Into<AppStatus>,
    {
        let handle = self.handle();
        let _signals = Signals::call(move || handle.shutdown())?;
        self.serve(handler)
    }

    /// Serves until it is [shut down](Handle::shutdown) and its last connection has ended.
    ///
    /// If the environment has `FCGI_WEB_SERVER_ADDRS`, only the peers that it lists are let in, and none over
    /// a Unix socket (sections 2.3 and 3.2).
    ///
    /// A handler that panics costs its request only: it becomes a 500.
    ///
    /// # Errors
    /// Those of the listening socket, and [`InvalidInput`](io::ErrorKind::InvalidInput) for an
    /// `FCGI_WEB_SERVER_ADDRS` that is no list of addresses.
    pub fn serve<H, T>(self, handler: H) -> io::Result<()>
    where
        H: Fn(&mut Request<'_>) -> Result<T, BoxError> + Sync,
        T: Into<AppStatus>,
    {
        let Self { listener, settings, handle } = self;
        let peers = Peers::from_env()?;
        let wake = handle.wake()?;
        let stop = handle.clone();
        let ends = Ends::new(settings.watcher, settings.max_requests_per_process, move || stop.shutdown());
        let places = Places::new(settings.max_connections);
        let handler = |request: &mut Request<'_>| handler(request).map(|ended| ended.into().0);
        let (places, ends, settings, handler) = (&places, &ends, &settings, &handler);
        thread::scope(move |scope| {
            let serve = in_thread(scope, handler);
            let mut look_at = Duration::ZERO;
            let result = loop {
                let look = || places.close_idle(settings.idle_timeout);
                let (stream, peer) = match listener.accept_until(&wake, &mut look_at, look) {
                    Ok(Some(accepted)) => accepted,
                    Ok(None) => break Ok(()),
                    Err(error) if is_exhaustion(&error) => {
                        places.wait_for_release(Exhaustion::PAUSE);
                        continue;
                    }
                    Err(error) => break Err(error),
                };
                let peer = Peer(peer);
                if !peers.let_in(peer) {
                    continue;
                }
                let stream = Arc::new(stream);
                let stops = || matches!(*lock(&handle.state), Shutdown::Requested);
                let Some(place) = places.take(Arc::clone(&stream), stops) else { break Ok(()) };
                let context = Context { settings, peer, ends, place: Some((Arc::new(place), serve.clone())) };
                if let Err(error) = serve(Box::new(Connection::new(Box::new(Socket::from(stream)), context)))
                {
                    ::log::warn!("{peer}: dropped, no thread: {error}");
                    places.wait_for_release(Exhaustion::PAUSE);
                }
            };
            // Who connects from now on is to find another server.
            drop(listener);
            places.stop(settings.shutdown_timeout);
            result
        })
    }
}

/// Serves one connection over any stream: a pipe, TLS, a serial line. It returns when the connection is over.
///
/// Only sockets have time limits and can be half-closed: with another stream, a peer may hold the caller as
/// long as the stream lets it, and the stream is dropped right after the last answer.
///
/// # Errors
/// Those of the stream, and [`InvalidData`](io::ErrorKind::InvalidData) when the peer does not speak FastCGI.
pub fn serve_stream<S, H, T>(stream: S, settings: &Settings, handler: H) -> io::Result<()>
where
    S: Read + Write + Send,
    H: Fn(&mut Request<'_>) -> Result<T, BoxError>,
    T: Into<AppStatus>,
{
    let handler = |request: &mut Request<'_>| handler(request).map(|ended| ended.into().0);
    let ends = &Ends::new(settings.watcher, None, || {});
    let context = Context { settings, peer: Peer(None), ends, place: None };
    let connection = Box::new(Connection::new(Box::new(Plain(stream)), context));
    serve_connection(connection, &handler).map_or(Ok(()), |(_, error)| Err(error))
}

/// Serves connections, each in a thread.
fn in_thread<'s>(
    scope: &'s Scope<'s, '_>,
    handler: &'s (dyn Fn(&mut Request<'_>) -> Result<u32, BoxError> + Sync),
) -> Serve<'s> {
    Arc::new(move |connection| {
        let peer = connection.context.peer;
        let serve = move || {
            if let Some((level, error)) = serve_connection(connection, handler) {
                ::log::log!(log_level(level), "{peer}: {error}");
            }
        };
        thread::Builder::new().spawn_scoped(scope, serve).map(drop)
    })
}

/// Serves one connection; what is to be told of it in the end, and what that is worth.
fn serve_connection(
    mut connection: Box<Connection<'_>>,
    handler: &dyn Fn(&mut Request<'_>) -> Result<u32, BoxError>,
) -> Option<(Level, io::Error)> {
    let _share = connection.context.place.clone();
    let peer = connection.context.peer;
    while let Some((begin, params)) = connection.next_request() {
        let (connects, finished) = (RefCell::new(Some(connection)), Cell::new(false));
        let span = Span::new(peer, begin, &params);
        let mut request = Request { connection: connects, finished, begin, params, span: span.clone() };
        let run = AssertUnwindSafe(|| handler(&mut request).map_err(|error| error.to_string()));
        let outcome = span.in_scope(|| catch_unwind(run)).unwrap_or_else(|panic| Err(panic_text(&*panic)));
        if let (true, Err(why)) = (request.finished.get(), &outcome) {
            ::log::warn!("{peer}: {}, after its answer: {why}", Name(request.params.iter()));
        }
        connection = request.connection.take()?;
        if !request.finished.get() {
            connection.end_request(&request, outcome);
        }
        connection.exchange.give_back(request.params, &mut connection.buffer);
    }
    connection.failure
}
