use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use fcgi_proto::cgi::{Answer, HeadError, Status};
use fcgi_proto::pair::{Pairs, ParamsBuf};
use fcgi_proto::record::{RequestId, Role};
use fcgi_proto::server::session::{Begin, Output, Request as Key, Stream, WriteError};
use smol::io::{AsyncRead, AsyncWrite};

use crate::AppStatus;
use crate::server::connection::Connection;

/// One request: its parameters, its input, and where its answer goes.
///
/// What it hands out, [`Input`], [`Stdout`], [`Stderr`] and [`ResponseWriter`], is owned: it can be moved to
/// other tasks, read and written at once, and dropped at any time. Nothing of it outlives the handler: once
/// that is done, it fails with [`NotConnected`](io::ErrorKind::NotConnected).
pub struct Request {
    handle: Handle,
    begin: Begin,
    params: ParamsBuf,
}

/// A request, as the parts of it know it.
#[derive(Clone, Debug)]
struct Handle {
    connection: Arc<Connection>,
    key: Key,
}

impl Handle {
    fn write(&self, what: Output<'_>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.connection.with(|state| state.write(self.key, what, cx))
    }

    /// Does something with the answer, unless the request is over.
    fn answer(&self, action: impl FnOnce(&mut Answer) -> Result<(), HeadError>) -> Result<(), HeadError> {
        self.connection.with(|state| match state.requests.get(self.key) {
            Some(active) => action(&mut active.exchange.answer),
            None => Err(HeadError::Begun),
        })
    }
}

impl Request {
    pub(crate) fn new(connection: Arc<Connection>, begin: Begin, params: ParamsBuf) -> Self {
        Self { handle: Handle { connection, key: begin.request }, begin, params }
    }

    /// Ends the request: its answer leaves, and what is written or read from now on fails with
    /// [`NotConnected`](io::ErrorKind::NotConnected). The handler may go on while its connection serves the next
    /// request; until it is done, it counts as one of [`max_requests`](crate::Settings::max_requests). A server that
    /// is shut down does not wait for it.
    pub fn finish(&self) {
        self.handle.connection.complete(self.handle.key, Ok(AppStatus(0)));
    }

    /// The value of the last parameter with this name, such as `REQUEST_METHOD` or `HTTP_COOKIE`: a CGI/1.1
    /// variable (RFC 3875, section 4.1), any bytes.
    #[must_use]
    pub fn param(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.params.get(name.as_ref())
    }

    /// The value of the last parameter with this name, if it is UTF-8.
    #[must_use]
    pub fn param_str(&self, name: impl AsRef<[u8]>) -> Option<&str> {
        self.param(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All parameters `(name, value)` in the order received.
    #[must_use]
    pub fn params(&self) -> Pairs<'_> {
        self.params.iter()
    }

    /// The request's id on its connection (section 3.3).
    #[must_use]
    pub fn id(&self) -> RequestId {
        self.begin.request.id()
    }

    /// What the application is asked to be (section 6).
    #[must_use]
    pub fn role(&self) -> Role {
        self.begin.role
    }

    /// Whether the client keeps the connection after this request (section 5.1).
    #[must_use]
    pub fn keep_conn(&self) -> bool {
        self.begin.keep_conn
    }

    /// The request's body; an Authorizer has none. Its end is where the client ended it: compare the length
    /// with `CONTENT_LENGTH`, which may be absent or wrong, before an update (section 6.2).
    ///
    /// While other requests of the connection are read, up to [`body_room`](crate::Settings::body_room) bytes
    /// of this one are kept for its handler. A handler that reads no further then holds up the connection's
    /// input, which FastCGI cannot help, but never the other requests' answers.
    ///
    /// # Errors
    /// A read fails with [`TimedOut`](io::ErrorKind::TimedOut) if the client sends nothing for the read
    /// timeout, [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) if it aborts the request,
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if it closes before the end, and
    /// [`InvalidData`](io::ErrorKind::InvalidData) if what it sends is not FastCGI.
    #[must_use]
    pub fn stdin(&self) -> Input {
        Input { handle: self.handle.clone(), body: Stream::Stdin }
    }

    /// A Filter's file, after its STDIN (section 6.4); the other roles have none. Reading it skips what is
    /// left of STDIN.
    ///
    /// # Errors
    /// As [`stdin`](Self::stdin).
    #[must_use]
    pub fn data(&self) -> Input {
        Input { handle: self.handle.clone(), body: Stream::Data }
    }

    /// Starts the answer with its status; add header fields, then write the body.
    #[must_use = "a response needs at least to be flushed, or to be given a body"]
    pub fn respond(&self, status: Status) -> ResponseWriter {
        let begun = self.handle.answer(|answer| answer.respond(status));
        ResponseWriter { stdout: self.stdout(), begun }
    }

    /// Starts the answer with a whole head; the body is then written to what this returns.
    #[cfg(feature = "tower")]
    pub(crate) fn respond_http(&self, parts: &http::response::Parts) -> Result<Stdout, HeadError> {
        let write_head = |head: &mut _| fcgi_proto::http::write_head(parts, head);
        self.handle.answer(|answer| answer.respond_with(write_head))?;
        Ok(self.stdout())
    }

    /// The raw answer, for those who write a CGI response themselves: header lines, a blank line, the body.
    ///
    /// The head is held back until it is whole, checked, and completed where web servers need it: `Status`
    /// comes first. Without a blank line nothing is sent but an error. To HEAD, and with the statuses 204 and
    /// 304, no body is sent whatever is written. Up to 8 KiB of body are gathered; `flush` sends them. A
    /// Filter has to read STDIN to its end, or some DATA, before more than that is sent (section 6.4).
    ///
    /// Whole records are written, whatever becomes of the future that writes them; records of requests that
    /// share the connection take turns.
    ///
    /// # Errors
    /// A write fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe) if the client is gone, or took nothing for
    /// the write timeout, and [`InvalidInput`](io::ErrorKind::InvalidInput) with a [`HeadError`] if the head
    /// cannot be sent.
    #[must_use]
    pub fn stdout(&self) -> Stdout {
        Stdout { handle: self.handle.clone() }
    }

    /// The web server's error log: a line per message. What is written before the head of the answer is
    /// whole is sent after it.
    ///
    /// # Errors
    /// A write fails as those of [`stdout`](Self::stdout).
    #[must_use]
    pub fn stderr(&self) -> Stderr {
        Stderr { handle: self.handle.clone() }
    }

    /// Resolves when nobody is known to wait for the answer any more: the client aborted the request, or has
    /// closed the connection. Most web servers do the latter when a browser leaves, some nothing at all.
    ///
    /// The handler chooses what to do: it may still answer, and its status is what the client is told
    /// (section 5.4). Without this, the next read of an unfinished body fails.
    pub async fn aborted(&self) {
        let Handle { connection, key } = &self.handle;
        std::future::poll_fn(|cx| connection.with(|state| state.poll_aborted(*key, cx))).await;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let Self { handle: Handle { connection, key }, params, .. } = self;
        let params = std::mem::replace(params, ParamsBuf::new(0));
        // For the next request; if this one is over already, they are dropped.
        connection.with(|state| state.requests.get(*key).map(|active| active.exchange.params = params));
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("begin", &self.begin).finish_non_exhaustive()
    }
}

/// Reads one of a request's bodies.
#[derive(Debug)]
pub struct Input {
    handle: Handle,
    body: Stream,
}

impl AsyncRead for Input {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Handle { connection, key } = &self.handle;
        connection.with(|state| state.read(*key, self.body, buffer, cx))
    }
}

/// Writes a request's raw answer. The answer ends when the handler does: to close this is to flush it.
#[derive(Debug)]
pub struct Stdout {
    handle: Handle,
}

impl AsyncWrite for Stdout {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.handle.write(Output::Stdout(data), cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.handle.write(Output::Flush, cx).map_ok(drop)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// Writes to the web server's error log.
#[derive(Debug)]
pub struct Stderr {
    handle: Handle,
}

impl AsyncWrite for Stderr {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.handle.write(Output::Stderr(data), cx)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// An answer: header fields first, then the body is written. The first byte of it, or a flush, ends the
/// head.
#[derive(Debug)]
pub struct ResponseWriter {
    stdout: Stdout,
    /// Whether this is the request's first answer.
    begun: Result<(), HeadError>,
}

impl ResponseWriter {
    /// Adds a header field; equal names may be added again.
    ///
    /// # Errors
    /// [`HeadError`] for a name that is no token, a value with CR, LF or NUL, a head beyond its limit of
    /// 8 KiB, and if the request was being answered already.
    pub fn header(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Self, HeadError> {
        self.begun?;
        self.stdout.handle.answer(|answer| answer.field(name.as_ref(), value.as_ref()))?;
        Ok(self)
    }
}

impl AsyncWrite for ResponseWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.begun.map_err(WriteError::Head)?;
        Pin::new(&mut self.stdout).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.begun.map_err(WriteError::Head)?;
        Pin::new(&mut self.stdout).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
