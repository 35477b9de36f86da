//! The web server's half: asks applications over TCP and Unix sockets.

mod body;
mod error;
mod link;
mod params;
mod response;

use std::fmt;
use std::io::Read;
use std::sync::Mutex;
use std::time::Duration;

use fcgi_proto::client::{Ask, Manners, Page, Settings, Stderr};
pub use fcgi_proto::client::{End, Resend};
use fcgi_proto::pair::Pairs;
use fcgi_proto::record::Role;

use crate::net::{endpoint::Endpoint, lock, stream::Stream};
use body::{Body, Source};
pub use error::ClientError;
use link::Link;
pub use params::Params;
pub use response::Response;

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
    /// The same on a connection that carried a request before, for requests that may be sent twice; then they
    /// go to a fresh one. The worker that the connection holds may still be at work on the request before (PHP's
    /// `fastcgi_finish_request`). The price is a page that takes longer than this and is begun twice, at most
    /// once a minute: after that no connection that was kept is used for so long. Other requests, such as POST,
    /// could not leave it: they go on a fresh connection, for which the one that was kept is closed.
    ///
    /// `Duration::MAX` is for applications that end with their answer: all requests go on kept connections then, a
    /// POST once the application has shown that it keeps them, and wait. Default: 300 milliseconds.
    ///
    /// Measured with php-fpm 8.2 and 4 workers:
    ///
    /// | | default | `Duration::MAX` |
    /// |---|---|---|
    /// | a GET behind a page that works on for 3 s after its end | 0.3 s | 3 s |
    /// | a POST behind it | 0.1 ms | 3 s |
    /// | any other GET | 30 µs | 30 µs |
    /// | any other POST, over a Unix socket | 50 µs | 30 µs |
    /// | any other POST, over TCP on one machine | 70 µs | 25 µs |
    pub kept_first_byte_timeout: Duration,
    /// How long the application may send nothing in the middle of its answer. Default: 60 seconds.
    pub read_timeout: Duration,
    /// How long the application may be waited for in all, for one request. Every byte of its answer that comes, and
    /// every one that goes, earns a millisecond of it back: it ends those that trickle, streams of events that are
    /// rarely more than alive, and those that say nothing but on STDERR. Default: 1 hour.
    pub total_timeout: Duration,
    /// How long the application may be left waiting for the body of a request that is sent as it comes. Every
    /// byte earns a millisecond of it back, so that 1,000 bytes a second are always enough. A reader that blocks
    /// cannot be ended: here it counts where there is an executor. Default: 30 seconds.
    pub body_timeout: Duration,
    /// Which requests may be sent twice, over a fresh connection, when one that was kept ends without a byte of
    /// an answer: they may have been executed. Default: those that change nothing, such as GET.
    pub resend: Resend,
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
            kept_first_byte_timeout: Duration::from_millis(300),
            read_timeout: Duration::from_secs(60),
            total_timeout: Duration::from_secs(3600),
            body_timeout: Duration::from_secs(30),
            resend: Resend::Safe,
            head_limit: 64 * 1024,
            spool_limit: 1 << 30,
        }
    }
}

/// What the session of a connection is told.
impl From<ClientSettings> for Settings {
    fn from(settings: ClientSettings) -> Self {
        let mut told = Self::new();
        told.write = settings.write_timeout;
        told.first_byte = settings.first_byte_timeout;
        told.kept_first_byte = settings.kept_first_byte_timeout;
        told.read = settings.read_timeout;
        told.total = settings.total_timeout;
        told.input = settings.body_timeout;
        told.resend = settings.resend;
        told
    }
}

type Result<T, E = ClientError> = std::result::Result<T, E>;

/// A name and a value as they came.
pub type Value = (Vec<u8>, Vec<u8>);

/// Asks one application, one request at a time, over a connection that is kept from request to request where
/// the application lets it.
///
/// A request that is made while another one's response is read has a connection of its own; one of them is
/// kept then. Failures of an application become a line in the log, through the crate `log`, that names it and
/// the request.
///
/// ```no_run
/// use fcgi_blocking::{Client, Params};
///
/// let client = Client::connect("unix:/run/php/php-fpm.sock")?;
/// let mut response = client.request(Params::get("/index.php").script("/srv/www/index.php")).send()?;
/// println!("{}", response.status());
/// std::io::copy(&mut response, &mut std::io::stdout())?; // the body, as it comes
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    settings: ClientSettings,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: Option<Link>,
    /// What came on STDERR of requests that got no response.
    stderr: Stderr,
    manners: Manners,
}

impl Client {
    /// Connects with default [`ClientSettings`] to `127.0.0.1:9000`, `[::1]:9000`, `unix:/path` or a path.
    ///
    /// # Errors
    /// [`ClientError::Connect`], also for an address that is none.
    pub fn connect(address: impl AsRef<str>) -> Result<Self> {
        let endpoint = address.as_ref().parse::<Endpoint>();
        let endpoint = endpoint.map_err(|error| ClientError::Connect(error.into()))?;
        let client = Self::with_settings(endpoint, ClientSettings::default());
        lock(&client.state).kept = Some(client.link()?);
        Ok(client)
    }

    /// A client that connects when it has something to ask.
    #[must_use]
    pub fn with_settings(endpoint: Endpoint, settings: ClientSettings) -> Self {
        Self { endpoint, settings, state: Mutex::default() }
    }

    /// Starts a request; nothing is sent yet.
    pub fn request<'c>(&'c self, params: Params) -> Outgoing<'c> {
        Outgoing { client: self, params, ask: Ask::new(b""), input: Body::default() }
    }

    /// Asks for the application's capacities, `FCGI_MAX_CONNS`, `FCGI_MAX_REQS` and `FCGI_MPXS_CONNS`, on a
    /// connection of its own, after closing the one that is kept (section 4.1).
    ///
    /// Many applications answer nothing, some die of it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn values(&self) -> Result<Vec<Value>> {
        // An application with one worker serves no second connection.
        lock(&self.state).kept = None;
        let pairs = self.link()?.values()?;
        Ok(Pairs::new(&pairs).map(|(name, value)| (name.to_vec(), value.to_vec())).collect())
    }

    /// What came on STDERR of requests that got no response, since this was last asked: of more than 64 KiB a
    /// beginning and an end, with a line between them that says how much was left out.
    pub fn take_stderr(&self) -> Vec<u8> {
        lock(&self.state).stderr.take()
    }

    /// A connection that was kept, if there is one that can be used.
    fn kept(&self, ask: &Ask<'_>) -> Option<Link> {
        let mut state = lock(&self.state);
        let mut link = state.kept.take()?;
        link.is_usable(ask, &mut state.manners).then_some(link)
    }

    fn link(&self) -> Result<Link> {
        let stream = Stream::connect_timeout(&self.endpoint, self.settings.connect_timeout);
        stream.and_then(|stream| Link::new(stream, self.settings)).map_err(ClientError::Connect)
    }
}

/// A request before it is sent.
#[must_use = "nothing is sent before `send`"]
pub struct Outgoing<'c> {
    client: &'c Client,
    params: Params,
    ask: Ask<'c>,
    input: Body<'c>,
}

impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("params", &self.params).finish_non_exhaustive()
    }
}

impl<'c> Outgoing<'c> {
    /// What the application is asked to be; a Responder by default (section 6).
    pub fn role(mut self, role: Role) -> Self {
        self.ask.role = role;
        self
    }

    /// Whether the connection is kept after the request; it is by default.
    pub fn keep_conn(mut self, keep_conn: bool) -> Self {
        self.ask.keep_conn = keep_conn;
        self
    }

    /// The body: `length` bytes of `reader`, which is not read further. It is read as the application takes
    /// it; while `reader` blocks, the answer waits too.
    pub fn body(mut self, reader: impl Read + 'c, length: u64) -> Self {
        self.input.streams[0] = Some(Source::once(reader, length));
        self
    }

    /// The body, from memory. Other than with [`body`](Self::body), the request can be sent again if a kept
    /// connection turns out to be dead.
    pub fn bytes(mut self, bytes: &'c [u8]) -> Self {
        self.input.streams[0] = Some(Source::bytes(bytes));
        self
    }

    /// The body, of a length that only its end tells: it is read first, beyond 1 MiB into a temporary file,
    /// for many applications read no more than CONTENT_LENGTH says, and none at all without.
    ///
    /// # Errors
    /// [`ClientError::Body`] if it cannot be read, or is longer than
    /// [`spool_limit`](ClientSettings::spool_limit); [`ClientError::Spool`] if it cannot be kept.
    pub fn spooled(mut self, reader: impl Read) -> Result<Self> {
        self.input.streams[0] = Some(Source::spooled(reader, self.client.settings.spool_limit)?);
        Ok(self)
    }

    /// A Filter's file: `length` bytes of `reader` (section 6.4).
    pub fn data(mut self, reader: impl Read + 'c, length: u64) -> Self {
        self.input.streams[1] = Some(Source::once(reader, length));
        self
    }

    /// Who is told what comes on STDERR, as it comes: all of it, also of a request that gets no response. Nothing of
    /// it is kept then.
    pub fn stderr(mut self, listener: impl FnMut(&[u8]) + 'c) -> Self {
        self.input.listener = Some(Box::new(listener));
        self
    }

    /// Sends the request and reads up to the end of the answer's head; the body's rest is sent as the answer
    /// is read.
    ///
    /// A request is sent twice only if not one byte of an answer came, on a connection that had been kept and
    /// turned out to be dead or silent, and if it may be executed twice: see [`ClientSettings::resend`]. Or if
    /// not one byte of it was sent.
    ///
    /// # Errors
    /// [`ClientError`]. The connection is then closed.
    pub fn send(self) -> Result<Response<'c>> {
        let Self { client, params, ask, mut input } = self;
        input.streams[0].take_if(|_| !ask.role.has_stdin());
        input.streams[1].take_if(|_| !ask.role.has_data());
        let [stdin, data] = input.lengths();
        let variables = params.variables(ask.role, stdin, data)?;
        let ask = ask.with(params.method(), [stdin, data], input.is_repeatable());
        let name = format!("{}, {params}", client.endpoint);
        let mut link = client.kept(&ask).map_or_else(|| client.link(), Ok)?;
        loop {
            let request = link.begin(ask, &variables, &name)?;
            let head = vec![0; client.settings.head_limit].into_boxed_slice();
            let (page, end, stderr) = (Page::new(head, params.method()), None, Stderr::default());
            let mut response = Response { client, link: Some(link), request, input, page, end, stderr };
            let Err(error) = response.read_head() else { return Ok(response) };
            let again =
                response.link.iter_mut().any(|link| link.again(request, &mut lock(&client.state).manners));
            if !again || !response.input.rewind() {
                response.give_up();
                lock(&client.state).stderr.append(response.stderr);
                return Err(error);
            }
            (input, link) = (response.input, client.link()?);
        }
    }
}
