use std::time::Duration;

use fcgi_blocking::Watcher;
use fcgi_proto::Limits;
use fcgi_proto::cgi::{self, Front};
use fcgi_proto::server::session::Patience;

/// What a server allows its peers: every wait has a limit, every queue a bound, every count a maximum.
///
/// The defaults are safe on a hostile network.
///
/// ```
/// let mut settings = fcgi_smol::Settings::default();
/// settings.max_connections = 64;
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Connections served at once. Further ones wait to be accepted; when there are so many, the one that was
    /// idle for longest is closed. Default: 16,384, of 2 KiB each while they are idle. The system's limit of
    /// descriptors may be lower: then connections wait the same way.
    pub max_connections: usize,
    /// Requests answered at once, over all connections; further ones are refused with
    /// `FCGI_OVERLOADED`. One connection carries 96 at most. Default: 16,384.
    pub max_requests: usize,
    /// How long a connection may wait for its next request. Long, for to close as a request arrives may
    /// cost that request. Default: 5 minutes.
    pub idle_timeout: Duration,
    /// How long a request's parameters may take from its first byte to their end. Default: 30 seconds.
    pub params_timeout: Duration,
    /// How long a handler waits for the next bytes of STDIN or DATA. Web servers may stop in the middle
    /// without a word, once they have an answer. Default: 30 seconds.
    pub read_timeout: Duration,
    /// How long the client may take no byte of an answer. Default: 30 seconds.
    pub write_timeout: Duration,
    /// Bytes a second that the client has to send of a body, or take of an answer, while it is waited for: what
    /// waiting uses up of the two limits comes back at this rate, so that a byte now and then renews neither.
    /// Default: 500.
    pub least_rate: u32,
    /// How long input that no handler wants is read, so that the answer is not lost with it: before
    /// END_REQUEST on a connection that is kept, after it on one that closes. Default: 5 seconds.
    pub drain_timeout: Duration,
    /// Bytes of such input, at most. Default: 64 MiB.
    pub drain_limit: u64,
    /// How long a graceful end may take as a whole: what still runs then is cut off. Default: 1 minute.
    pub shutdown_timeout: Duration,
    /// Bytes of one request's input that wait in memory for its handler while other requests' is read. Once they
    /// are there, nothing is read from the connection until the handler reads some or ends, or more is
    /// [spooled](Self::spool). Default: 64 KiB.
    pub body_room: usize,
    /// Bytes of one request's input that are kept in a temporary file beyond these, while its answer waits for the
    /// end of it, its handler waits for something else, or another request for what is behind it: a handler may write
    /// before it has read, and nginx stops sending a body at the first byte of the answer. Beyond them the answer
    /// leaves. Default: 128 MiB.
    pub spool: u64,
    /// Bytes of memory for parameters and input of all requests together. Beyond them requests are refused with
    /// `FCGI_OVERLOADED`, and bodies are read as their handlers read them. Default: 256 MiB.
    pub memory: usize,
    /// Bytes of a response head, at most; what is more fails the handler's write. A head leaves in one
    /// record, so that more than 56 KiB less 8 bytes counts as that, and less than 128 bytes as 128.
    /// Default: 8 KiB.
    pub head_limit: usize,
    /// How many requests are answered before the server is [shut down](crate::Handle::shutdown) gracefully, for
    /// `fcgi_blocking::Process` or systemd to start another: where a handler leaks memory. Default: no limit.
    pub max_requests_per_process: Option<u64>,
    /// Who is told of each request when it is over. Default: nobody.
    pub watcher: Option<Watcher>,
    /// Which web server asks, where answers differ by it. Default: the one that SERVER_SOFTWARE names.
    pub front: Option<Front>,
    /// The protocol's limits. `max_conns` is set to [`max_connections`](Self::max_connections), and
    /// `max_reqs` to at most 64: HAProxy takes it as the requests of one connection.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_connections: 16 * 1024,
            max_requests: 16 * 1024,
            idle_timeout: Duration::from_secs(300),
            params_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            least_rate: 500,
            drain_timeout: Duration::from_secs(5),
            drain_limit: 64 * 1024 * 1024,
            shutdown_timeout: Duration::from_secs(60),
            body_room: 64 * 1024,
            spool: 128 * 1024 * 1024,
            memory: 256 * 1024 * 1024,
            head_limit: cgi::HEAD_LIMIT,
            max_requests_per_process: None,
            watcher: None,
            front: None,
            limits: Limits::default(),
        }
    }
}

impl Settings {
    /// With what GET_VALUES is answered with.
    pub(crate) fn checked(mut self, requests_per_connection: usize) -> Self {
        self.limits.max_conns = u32::try_from(self.max_connections).unwrap_or(u32::MAX);
        let requests = u32::try_from(self.max_requests.min(requests_per_connection)).unwrap_or(u32::MAX);
        self.limits.max_reqs = self.limits.max_reqs.min(requests);
        self
    }

    /// What of them a connection's session knows.
    pub(crate) fn patience(&self) -> Patience {
        let mut patience = Patience::new();
        patience.idle = self.idle_timeout;
        patience.params = self.params_timeout;
        patience.read = self.read_timeout;
        patience.write = self.write_timeout;
        patience.least_rate = self.least_rate;
        patience.drain = self.drain_timeout;
        patience.drain_limit = u32::try_from(self.drain_limit).unwrap_or(u32::MAX);
        patience.shutdown = self.shutdown_timeout;
        patience
    }
}
