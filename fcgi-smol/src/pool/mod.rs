//! Several applications that answer the same requests.

pub(crate) mod applications;
pub(crate) mod choice;
pub(crate) mod lease;

use std::sync::Arc;
use std::time::Duration;

use fcgi_blocking::{ClientSettings, Endpoint, Params};

use crate::client::Outgoing;
use applications::Applications;

/// What a [`Pool`] holds and waits for, at most.
///
/// ```
/// let mut settings = fcgi_smol::PoolSettings::default();
/// settings.max_connections = 64; // php-fpm's children, and what may wait for them
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PoolSettings {
    /// The limits of each request.
    pub client: ClientSettings,
    /// Connections to each application; a request beyond them waits. Default: 32.
    pub max_connections: usize,
    /// Connections to each application that are kept while nobody uses them; keep it below the number of its
    /// workers. Default: 0, see [there](Pool#connections-that-are-kept).
    pub max_idle: usize,
    /// How long a connection is kept, from the end of its first request on, whether it is used meanwhile or not:
    /// who else waits for the worker at its other end gets it then. Default: 500 milliseconds.
    pub keep_time: Duration,
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
            max_connections: 32,
            max_idle: 0,
            keep_time: Duration::from_millis(500),
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
/// A request goes to the application that has the fewest, over a connection that was kept if there is one. When
/// all connections are taken it waits for one, first come, first served; who waits for an application that is
/// busy holds up nobody for another one.
///
/// An application that cannot be connected to is left out for a while; then one request tries it, and goes on
/// to the next if it is still away. Where nobody else could answer it is tried at once. Where
/// [`probe`](Self::probe) runs, it is tried without a request.
///
/// # What is sent again
///
/// A request goes to another application, or over another connection, if
///
/// - it could not be connected to, or took not one byte of it;
/// - it refused it, as overloaded or as one request too many for the connection, with or without an answer: such
///   a request was not executed (FastCGI 1.0, section 5.5);
/// - the connection had been kept, and closed or stayed silent without one byte of an answer, and the request may be
///   executed twice: see [`resend`](ClientSettings::resend).
///
/// The last two only if its body can be sent again: see [`Outgoing::body`]. Nothing else is sent twice.
///
/// # Connections that are kept
///
/// By default none are. Many applications have one worker for each connection, which nobody else gets while it
/// is kept, and which may work on after the end of a request: PHP's `fastcgi_finish_request`, and all that frees
/// its worker of a browser by it. The next request on that connection waits for it, while other workers are idle.
/// Nothing tells: what helps is not to keep the connection. With php-fpm 8.2, 4 workers, and a page that works on
/// for 3 s after its `fastcgi_finish_request`, the next request was answered after
///
/// | | GET | POST |
/// |---|---|---|
/// | no connection kept | 0.2 ms | 0.4 ms |
/// | two kept, [`max_idle`](PoolSettings::max_idle) = 2, and each used when there is one | 3 s | 3 s |
/// | two kept, but a fresh one while there may be more | 0.1 ms | 0.1 ms |
/// | two kept, and after 100 ms a GET a second time over a fresh one | 100 ms | 3 s |
///
/// The price of keeping none is a connection for each request. The third holds two workers for nothing, and the
/// last executed each page of 300 ms twice. Where connections are kept, a request that may be sent twice leaves a
/// silent one after [`kept_first_byte_timeout`](crate::ClientSettings::kept_first_byte_timeout), at most once a
/// minute, and others go on a fresh one, as there. Who knows that its applications end with their answer, and has
/// many small ones, keeps, and sets that to `Duration::MAX`. So it is, too, where a connection carries many requests
/// at a time: who multiplexes answers beside what it is at work on.
///
/// A connection is not kept while another one to the same application waits for its first byte: it may be for
/// that worker. Of an application that ends connections although it was asked to keep them (Ruby, node, uWSGI)
/// each is used once, unless it stayed open for a while and carried a further answer. Before a kept connection is
/// used it is looked at whether it has ended.
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
#[derive(Clone, Debug)]
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

    /// What came on STDERR of requests that got no response, since this was last asked: of more than 64 KiB a
    /// beginning and an end, with a line between them that says how much was left out.
    pub fn take_stderr(&self) -> Vec<u8> {
        self.applications.take_stderr()
    }
}
