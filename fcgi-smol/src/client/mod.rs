//! The web server's half: asks applications over TCP and Unix sockets, or any stream.

mod body;
pub(crate) mod link;
mod outgoing;
mod response;

use std::sync::Arc;
use std::time::Duration;

use fcgi_blocking::Endpoint;
pub use fcgi_blocking::{ClientError, ClientSettings, End, Params, Resend, Value};
use smol::io::{AsyncRead, AsyncWrite};

use crate::net::socket::Socket;
use crate::pool::PoolSettings;
use crate::pool::applications::Applications;
pub use outgoing::Outgoing;
pub use response::Response;

/// Asks one application. A clone is another handle to the same.
///
/// The connection is kept from request to request where the application lets it. Requests at the same time
/// have a connection each, of which one is kept then. See [`Pool`](crate::Pool) for limits.
///
/// No executor is needed: whoever polls a request or its response does its reading and writing.
///
/// ```no_run
/// use fcgi_smol::{Client, Params};
///
/// # smol::block_on(async {
/// let client = Client::connect("unix:/run/php/php-fpm.sock").await?;
/// let mut response = client.request(Params::get("/index.php").script("/srv/www/index.php")).send().await?;
/// println!("{}", response.status());
/// smol::io::copy(&mut response, &mut smol::Unblock::new(std::io::stdout())).await?; // as it comes
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// # Multiplexing
///
/// With [`multiplexed`](Self::multiplexed), requests share a connection. That is for applications that are
/// known to multiplex: many lose requests, whatever they say to GET_VALUES.
///
/// - Whichever request is polled reads and writes for all.
/// - FastCGI has no flow control for one request. Of a response that nobody reads, 256 KiB are kept; when there
///   is more, nothing is read for the others either, until it is read or dropped. Read them at the same time,
///   and spool those that go to slow readers.
/// - A request or response that is dropped before its end is aborted. The others go on, what still comes for it
///   is dropped, and the connection takes no further ones.
#[derive(Clone, Debug)]
pub struct Client {
    applications: Arc<Applications>,
}

impl Client {
    /// Connects with default [`ClientSettings`] to `127.0.0.1:9000`, `[::1]:9000`, `unix:/path` or a path.
    ///
    /// # Errors
    /// [`ClientError::Connect`], also for an address that is none.
    pub async fn connect(address: impl AsRef<str>) -> Result<Self, ClientError> {
        let endpoint = address.as_ref().parse::<Endpoint>();
        let endpoint = endpoint.map_err(|error| ClientError::Connect(error.into()))?;
        let client = Self::with_settings(endpoint, ClientSettings::default());
        client.applications.reach().await?;
        Ok(client)
    }

    /// A client that connects when it has something to ask.
    #[must_use]
    pub fn with_settings(endpoint: Endpoint, settings: ClientSettings) -> Self {
        Self::multiplexed(endpoint, settings, 1)
    }

    /// A client that connects when it has something to ask, and has up to `max_requests`, of 128, on a
    /// connection at a time.
    #[must_use]
    pub fn multiplexed(endpoint: Endpoint, settings: ClientSettings, max_requests: usize) -> Self {
        let settings = PoolSettings {
            max_connections: usize::MAX,
            max_requests_per_connection: max_requests,
            ..one(settings)
        };
        Self { applications: Applications::new([endpoint], settings) }
    }

    /// A client of the application at the other end of `stream`, which it asks one request after the other,
    /// until one of them closes it.
    #[must_use]
    pub fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static, settings: ClientSettings) -> Self {
        Self { applications: Applications::over(Socket::Other(Box::pin(stream)), one(settings)) }
    }

    /// Starts a request; nothing is sent yet.
    pub fn request<'b>(&self, params: Params) -> Outgoing<'b> {
        Outgoing::new(&self.applications, params)
    }

    /// Asks for the application's capacities, `FCGI_MAX_CONNS`, `FCGI_MAX_REQS` and `FCGI_MPXS_CONNS`, on a
    /// connection of its own, after closing the one that is kept (section 4.1).
    ///
    /// Many applications answer nothing, some die of it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn values(&self) -> Result<Vec<Value>, ClientError> {
        let pairs = self.applications.values().await?;
        let pairs = fcgi_proto::pair::Pairs::new(&pairs);
        Ok(pairs.map(|(name, value)| (name.to_vec(), value.to_vec())).collect())
    }

    /// What came on STDERR of requests that got no response, since this was last asked: of more than 64 KiB a
    /// beginning and an end, with a line between them that says how much was left out.
    pub fn take_stderr(&self) -> Vec<u8> {
        self.applications.take_stderr()
    }
}

/// A pool of one application and, unless told otherwise, one connection.
fn one(client: fcgi_blocking::ClientSettings) -> PoolSettings {
    PoolSettings {
        client,
        max_connections: 1,
        max_idle: 1,
        keep_time: Duration::MAX,
        max_waiting: usize::MAX,
        wait_timeout: client.connect_timeout,
        retry_after: Duration::ZERO,
        ..PoolSettings::default()
    }
}
