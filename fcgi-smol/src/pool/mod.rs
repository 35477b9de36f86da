//! Several applications that answer the same requests.

pub(crate) mod applications;
pub(crate) mod lease;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fcgi_blocking::{ClientSettings, Endpoint, Params};

use crate::client::Outgoing;
use applications::Applications;

/// What a [`Pool`] holds and waits for, at most.
///
/// ```
/// let mut settings = fcgi_smol::PoolSettings::default();
/// settings.max_connections = 16; // as many as php-fpm has children
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PoolSettings {
    /// The limits of each request.
    pub client: ClientSettings,
    /// Connections to each application. Many applications serve one connection per worker, so that more than
    /// they have workers only wait with them. Default: 8.
    pub max_connections: usize,
    /// Connections to each application that are kept while nobody uses them; keep it below the number of its
    /// workers, for such a connection may hold one. Default: 2.
    pub max_idle: usize,
    /// How long a connection is kept while nobody uses it. Default: 5 seconds.
    pub idle_timeout: Duration,
    /// Requests that a connection carries at a time, up to 128. More than one is for applications that are
    /// known to multiplex: others lose requests. Default: 1.
    pub max_requests_per_connection: usize,
    /// Requests that wait while all connections are taken. Default: 256.
    pub max_waiting: usize,
    /// How long each of them waits. Default: 10 seconds.
    pub wait_timeout: Duration,
    /// For how long an application that could not be connected to is not asked; doubled each time that it
    /// fails again. Default: 500 milliseconds.
    pub retry_after: Duration,
    /// The longest that it becomes. Default: 10 seconds.
    pub max_retry_after: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            client: ClientSettings::default(),
            max_connections: 8,
            max_idle: 2,
            idle_timeout: Duration::from_secs(5),
            max_requests_per_connection: 1,
            max_waiting: 256,
            wait_timeout: Duration::from_secs(10),
            retry_after: Duration::from_millis(500),
            max_retry_after: Duration::from_secs(10),
        }
    }
}

/// Asks several applications that answer the same requests, each over several connections. A clone is another
/// handle to the same.
///
/// A request goes to the application that has the fewest, over a connection that was kept if there is one.
/// When all connections are taken it waits for one, first come, first served; one that nobody polls holds up
/// those behind it.
///
/// An application that cannot be connected to is left out for a while; then one request tries it, and goes on
/// to the next if it is still away. Where [`probe`](Self::probe) runs, it is tried without a request.
///
/// # What is sent again
///
/// A request goes to another application, or over another connection, if
///
/// - it could not be connected to, or took not one byte of it;
/// - it refused it without an answer, as overloaded or as one request too many for the connection: such a
///   request was not executed (FastCGI 1.0, section 5.5);
/// - the connection had been kept, and closed without one byte of an answer.
///
/// The last two only if its body can be sent again: see [`Outgoing::body`]. Nothing else is sent twice.
///
/// # Connections that are kept
///
/// Many applications have one worker for each connection, also while it is idle. So a connection is not kept
/// while another one to the same application waits for its first byte: it may be for that worker.
///
/// ```no_run
/// use fcgi_smol::{Params, Pool, PoolSettings};
///
/// # smol::block_on(async {
/// let addresses = ["10.0.0.1:9000", "10.0.0.2:9000"];
/// let endpoints = addresses.map(|address| address.parse().expect("an address"));
/// let pool = Pool::new(endpoints, PoolSettings::default());
/// let response = pool.request(Params::get("/index.php").script("/srv/www/index.php")).send().await?;
/// println!("{}", response.status());
/// # Ok::<(), fcgi_smol::ClientError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Pool {
    applications: Arc<Applications>,
}

impl Pool {
    /// A pool that connects when it has something to ask.
    #[must_use]
    pub fn new(endpoints: impl IntoIterator<Item = Endpoint>, settings: PoolSettings) -> Self {
        Self { applications: Applications::new(endpoints, settings) }
    }

    /// Starts a request; nothing is sent yet.
    pub fn request<'b>(&self, params: Params) -> Outgoing<'b> {
        Outgoing::new(&self.applications, params)
    }

    /// Connects to applications that were left out, when it is time to, so that no request has to find out
    /// whether they are back. It never ends; spawn it where there is an executor.
    pub async fn probe(&self) {
        self.applications.probe().await;
    }

    /// What came on STDERR of requests that got no response, since this was last asked; of more than 64 KiB
    /// that nobody takes, the rest is dropped.
    pub fn take_stderr(&self) -> Vec<u8> {
        self.applications.take_stderr()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("settings", &self.applications.settings).finish_non_exhaustive()
    }
}
