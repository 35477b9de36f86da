//! The web server's half: asks applications over TCP and Unix sockets.

mod body;
mod error;
mod link;
mod params;
mod response;

use std::io::Read;
use std::time::Duration;

use fcgi_proto::record::Role;

use crate::net::endpoint::Endpoint;
use crate::net::stream::Stream;
use body::{Body, Source};
pub use error::ClientError;
use link::{Got, Link, Request};
pub use params::Params;
use response::Started;
pub use response::{End, Response};

/// What a [`Client`] waits for and holds, at most.
///
/// ```
/// let mut settings = fcgi_blocking::ClientSettings::default();
/// settings.first_byte_timeout = std::time::Duration::from_secs(5);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ClientSettings {
    /// How long a connection may take to be made. Default: 10 seconds.
    pub connect_timeout: Duration,
    /// How long the application may take no byte of a request, and answer none. Default: 30 seconds.
    pub write_timeout: Duration,
    /// How long the application may take, once it has the whole request, to the first byte of its answer.
    /// Some are silent for ever on what they do not like. Default: 60 seconds.
    pub first_byte_timeout: Duration,
    /// How long the application may send nothing in the middle of its answer. Default: 60 seconds.
    pub read_timeout: Duration,
    /// Bytes of a response's head. Default: 64 KiB.
    pub head_limit: usize,
    /// Bytes of a request's body whose length only its end tells, and which is read first. Default: 1 GiB.
    pub spool_limit: u64,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            first_byte_timeout: Duration::from_secs(60),
            read_timeout: Duration::from_secs(60),
            head_limit: 64 * 1024,
            spool_limit: 1 << 30,
        }
    }
}

/// A name and a value as they came.
pub type Value = (Vec<u8>, Vec<u8>);

/// Asks one application, one request at a time, over a connection that is kept from request to request where
/// the application lets it.
///
/// ```no_run
/// use fcgi_blocking::{Client, Params};
///
/// let mut client = Client::connect("unix:/run/php/php-fpm.sock")?;
/// let mut response = client.request(Params::get("/index.php").script("/srv/www/index.php")).send()?;
/// println!("{}", response.status());
/// std::io::copy(&mut response, &mut std::io::stdout())?; // the body, as it comes
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    settings: ClientSettings,
    kept: Option<Link>,
    /// What came on STDERR of the last request, once its connection is not its any more.
    stderr: Vec<u8>,
}

impl Client {
    /// Connects with default [`ClientSettings`] to `127.0.0.1:9000`, `[::1]:9000`, `unix:/path` or a path.
    ///
    /// # Errors
    /// [`ClientError::Connect`], also for an address that is none.
    pub fn connect(address: impl AsRef<str>) -> Result<Self, ClientError> {
        let endpoint = address.as_ref().parse::<Endpoint>();
        let endpoint = endpoint.map_err(|error| ClientError::Connect(error.into()))?;
        let mut client = Self::with_settings(endpoint, ClientSettings::default());
        client.kept = Some(client.link()?);
        Ok(client)
    }

    /// A client that connects when it has something to ask.
    #[must_use]
    pub fn with_settings(endpoint: Endpoint, settings: ClientSettings) -> Self {
        Self { endpoint, settings, kept: None, stderr: Vec::new() }
    }

    /// Starts a request; nothing is sent yet.
    pub fn request<'c>(&'c mut self, params: Params) -> Outgoing<'c> {
        Outgoing { client: self, params, role: Role::Responder, keep_conn: true, body: None, data: None }
    }

    /// Asks for the application's capacities, `FCGI_MAX_CONNS`, `FCGI_MAX_REQS` and `FCGI_MPXS_CONNS`, on a
    /// connection of its own, after closing the one that is kept (section 4.1).
    ///
    /// Many applications answer nothing, some die of it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn values(&mut self) -> Result<Vec<Value>, ClientError> {
        // An application with one worker serves no second connection.
        self.kept = None;
        let mut link = self.link()?;
        link.get_values();
        let mut pairs = Vec::new();
        let mut nothing = Body { stdin: Source::bytes(&[]), data: None };
        loop {
            match link.next(&mut nothing, None, &self.settings)? {
                Got::Values { last } => {
                    pairs.extend_from_slice(link.chunk());
                    if last {
                        break;
                    }
                }
                Got::UnknownType => break,
                Got::Stdout | Got::End(_) => {}
            }
        }
        let pairs = fcgi_proto::pair::Pairs::new(&pairs);
        Ok(pairs.map(|(name, value)| (name.to_vec(), value.to_vec())).collect())
    }

    /// What came on STDERR of a request that got no response.
    pub fn take_stderr(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.stderr)
    }

    fn link(&self) -> Result<Link, ClientError> {
        let stream = Stream::connect_timeout(&self.endpoint, self.settings.connect_timeout);
        stream.and_then(Link::new).map_err(ClientError::Connect)
    }
}

/// A request before it is sent.
#[must_use = "nothing is sent before `send`"]
pub struct Outgoing<'c> {
    client: &'c mut Client,
    params: Params,
    role: Role,
    keep_conn: bool,
    body: Option<Source<'c>>,
    data: Option<Source<'c>>,
}

impl<'c> Outgoing<'c> {
    /// What the application is asked to be; a Responder by default (section 6).
    pub fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Whether the connection is kept after the request; it is by default.
    pub fn keep_conn(mut self, keep_conn: bool) -> Self {
        self.keep_conn = keep_conn;
        self
    }

    /// The body: `length` bytes of `reader`, which is not read further. It is read as the application takes
    /// it; while `reader` blocks, the answer waits too.
    pub fn body(mut self, reader: impl Read + 'c, length: u64) -> Self {
        self.body = Some(Source::once(reader, length));
        self
    }

    /// The body, from memory. Other than with [`body`](Self::body), the request can be sent again if a kept
    /// connection turns out to be dead.
    pub fn bytes(mut self, bytes: &'c [u8]) -> Self {
        self.body = Some(Source::bytes(bytes));
        self
    }

    /// The body, of a length that only its end tells: it is read first, beyond 1 MiB into a temporary file,
    /// for many applications read no more than CONTENT_LENGTH says, and none at all without.
    ///
    /// # Errors
    /// [`ClientError::Body`] if it cannot be read or written, or is longer than
    /// [`spool_limit`](ClientSettings::spool_limit).
    pub fn spooled(mut self, reader: impl Read) -> Result<Self, ClientError> {
        self.body =
            Some(Source::spooled(reader, self.client.settings.spool_limit).map_err(ClientError::Body)?);
        Ok(self)
    }

    /// A Filter's file: `length` bytes of `reader` (section 6.4).
    pub fn data(mut self, reader: impl Read + 'c, length: u64) -> Self {
        self.data = Some(Source::once(reader, length));
        self
    }

    /// Sends the request and reads up to the end of the answer's head; the body's rest is sent as the answer
    /// is read.
    ///
    /// A request is sent twice only if not one byte of an answer came, on a connection that had been kept and
    /// turned out to be dead.
    ///
    /// # Errors
    /// [`ClientError`]. The connection is then closed.
    pub fn send(self) -> Result<Response<'c>, ClientError> {
        let Self { client, params, role, keep_conn, body, data } = self;
        let [body, data] = [body.filter(|_| role.has_stdin()), data.filter(|_| role.has_data())];
        let variables =
            params.variables(role, body.as_ref().map(Source::length), data.as_ref().map(Source::length))?;
        let data = data.or_else(|| role.has_data().then(|| Source::bytes(&[])));
        let mut body = Body { stdin: body.unwrap_or_else(|| Source::bytes(&[])), data };
        let request = Request { role, keep_conn, method: params.method(), variables };
        let mut kept = client.kept.take().filter(Link::is_usable);
        client.stderr.clear();
        loop {
            let is_kept = kept.is_some();
            let mut link = match kept.take() {
                Some(link) => link,
                None => client.link()?,
            };
            match Started::read(&mut link, &mut body, &request, &client.settings) {
                Ok(started) => return Ok(Response::new(client, link, body, started)),
                // It had died while it was kept.
                Err(ClientError::Io(_) | ClientError::Truncated)
                    if is_kept && !link.answered && body.rewind() => {}
                Err(error) => {
                    client.stderr = std::mem::take(&mut link.stderr);
                    return Err(error);
                }
            }
        }
    }
}
