use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Read, Write};

use fcgi_proto::cgi::{HeadError, Status};
use fcgi_proto::pair::{Pairs, ParamsBuf};
use fcgi_proto::record::{RequestId, Role};
use fcgi_proto::server::session::{Begin, Output, Stopped, Stream, WriteError};

use crate::net::span::Span;
use crate::server::connection::Connection;

/// What a handler ends a request with: the status that a CGI program would pass to `exit`
/// (FastCGI 1.0, section 6.2).
///
/// `()` stands for 0, which is what to use: web servers ignore the status, and Jetty turns another into a
/// 502.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppStatus(pub u32);

impl From<()> for AppStatus {
    fn from((): ()) -> Self {
        Self(0)
    }
}

/// One request: its parameters, its input, and where its answer goes.
///
/// Reading and writing may be mixed as one likes: `io::copy(&mut request.stdin(), &mut request.stdout())`
/// streams a body back in constant memory.
pub struct Request<'c> {
    /// Until it is served elsewhere, having left its handler behind.
    pub(crate) connection: RefCell<Option<Box<Connection<'c>>>>,
    /// Its handler has ended it, and goes on.
    pub(crate) finished: Cell<bool>,
    pub(crate) begin: Begin,
    pub(crate) params: ParamsBuf,
    pub(crate) span: Span,
}

impl<'c> Request<'c> {
    fn with<T>(&self, action: impl FnOnce(&mut Connection<'c>) -> T) -> io::Result<T> {
        self.connection.borrow_mut().as_deref_mut().map(action).ok_or_else(|| Stopped::Over.into())
    }

    #[inline]
    fn write(&self, what: Output<'_>) -> io::Result<usize> {
        self.with(|connection| connection.write(self.begin.request, what))?
    }

    /// Ends the request: its answer leaves, and what is written or read from now on fails with
    /// [`NotConnected`](io::ErrorKind::NotConnected). The handler may go on, while its connection serves the next
    /// request in another thread. If 8 handlers of the connection go on already, and in
    /// [`serve_stream`](crate::serve_stream), the connection waits for this one. Each that goes on keeps up to 129 KiB:
    /// its parameters may lie in the memory into which they were read.
    pub fn finish(&self) {
        let _ = self.with(|connection| connection.end_request(self, Ok(0)));
        self.connection.replace(self.connection.take().and_then(Connection::leave_behind));
        self.finished.set(true);
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

    /// The request as a server of HTTP has it: its method, URI, version and header fields, and the browser's address
    /// among the extensions: see [`request_parts`](fcgi_proto::http::request_parts). The body is
    /// [`stdin`](Self::stdin). Needs the feature `http`.
    ///
    /// What is in them is for other crates: `form_urlencoded` has the fields of the query and of a form, `cookie` the
    /// cookies, `multer` uploads. The example `form` has one of each.
    ///
    /// # Errors
    /// [`RequestError`](fcgi_proto::http::RequestError), for parameters that make no HTTP request: answer 400.
    #[cfg(feature = "http")]
    pub fn parts(&self) -> Result<http::request::Parts, fcgi_proto::http::RequestError> {
        fcgi_proto::http::request_parts(self.params())
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
    /// # Errors
    /// A read fails with [`TimedOut`](io::ErrorKind::TimedOut) if the client sends nothing for the read
    /// timeout, [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) if it aborts the request,
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if it closes before the end, and
    /// [`InvalidData`](io::ErrorKind::InvalidData) if what it sends is not FastCGI.
    #[must_use]
    pub fn stdin(&self) -> Input<'_, 'c> {
        Input { request: self, body: Stream::Stdin }
    }

    /// A Filter's file, after its STDIN (section 6.4); the other roles have none. Reading it skips what is
    /// left of STDIN.
    ///
    /// # Errors
    /// As [`stdin`](Self::stdin).
    #[must_use]
    pub fn data(&self) -> Input<'_, 'c> {
        Input { request: self, body: Stream::Data }
    }

    /// Starts the answer with its status; add header fields, then write the body.
    #[must_use = "a response needs at least to be flushed, or to be given a body"]
    #[inline]
    pub fn respond(&self, status: Status) -> ResponseWriter<'_, 'c> {
        let begun = self.with(|connection| connection.exchange.answer.respond(status));
        ResponseWriter { request: self, begun: begun.unwrap_or(Err(HeadError::Begun)) }
    }

    /// The raw answer, for those who write a CGI response themselves: header lines, a blank line, the body.
    ///
    /// The head is held back until it is whole, checked, and completed where web servers need it: `Status`
    /// comes first. Without a blank line nothing is sent but an error. To HEAD, and with the statuses 204 and
    /// 304, no body is sent whatever is written. Up to 8 KiB of body are gathered; `flush` sends them. A
    /// Filter has to read STDIN to its end, or some DATA, before more than that is sent (section 6.4).
    ///
    /// # Errors
    /// A write fails with [`TimedOut`](io::ErrorKind::TimedOut) if the client takes nothing for the write
    /// timeout, and [`InvalidInput`](io::ErrorKind::InvalidInput) with a [`HeadError`] if the head cannot be
    /// sent.
    #[must_use]
    pub fn stdout(&self) -> Stdout<'_, 'c> {
        Stdout { request: self }
    }

    /// The web server's error log: a line per message. What is written before the head of the answer is
    /// whole is sent after it.
    ///
    /// # Errors
    /// A write fails as those of [`stdout`](Self::stdout).
    #[must_use]
    pub fn stderr(&self) -> Stderr<'_, 'c> {
        Stderr { request: self }
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("begin", &self.begin).finish_non_exhaustive()
    }
}

/// Reads one of a request's bodies.
#[derive(Debug)]
pub struct Input<'r, 'c> {
    request: &'r Request<'c>,
    body: Stream,
}

impl Read for Input<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Request { begin, .. } = self.request;
        self.request.with(|connection| connection.read_body(begin.request, self.body, buffer))?
    }
}

/// Writes a request's raw answer.
#[derive(Debug)]
pub struct Stdout<'r, 'c> {
    request: &'r Request<'c>,
}

impl Write for Stdout<'_, '_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.request.write(Output::Stdout(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.request.write(Output::Flush).map(drop)
    }
}

/// Writes to the web server's error log.
#[derive(Debug)]
pub struct Stderr<'r, 'c> {
    request: &'r Request<'c>,
}

impl Write for Stderr<'_, '_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.request.write(Output::Stderr(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An answer: header fields first, then the body is written. The first byte of it, or a flush, ends the
/// head.
#[derive(Debug)]
pub struct ResponseWriter<'r, 'c> {
    request: &'r Request<'c>,
    /// Whether this is the request's first answer.
    begun: Result<(), HeadError>,
}

impl ResponseWriter<'_, '_> {
    /// Adds a header field; equal names may be added again.
    ///
    /// # Errors
    /// [`HeadError`] for a name that is no token, a value with CR, LF or NUL, a head beyond its limit of
    /// 8 KiB, and if the request was being answered already.
    #[inline]
    pub fn header(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Self, HeadError> {
        self.begun?;
        let field =
            |connection: &mut Connection| connection.exchange.answer.field(name.as_ref(), value.as_ref());
        self.request.with(field).unwrap_or(Err(HeadError::Begun))?;
        Ok(self)
    }
}

impl Write for ResponseWriter<'_, '_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.begun.map_err(WriteError::Head)?;
        self.request.stdout().write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.begun.map_err(WriteError::Head)?;
        self.request.stdout().flush()
    }
}
