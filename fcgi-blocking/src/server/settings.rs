use std::time::Duration;

use fcgi_proto::Limits;
use fcgi_proto::cgi::{self, Front};
use fcgi_proto::server::session::Patience;

use crate::net::ends::Watcher;

/// What a server allows its peers: every wait has a limit, every queue a bound, every count a maximum.
///
/// The defaults are safe on a hostile network.
///
/// ```
/// let mut settings = fcgi_blocking::Settings::default();
/// settings.max_connections = 64;
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Connections served at once, each by a thread. Further ones wait to be accepted; when all are taken,
    /// the one that was idle for longest is closed. Default: 512.
    pub max_connections: usize,
    /// How long a connection may wait for its next request. Long, for to close as a request arrives may
    /// cost that request. Default: 5 minutes.
    pub idle_timeout: Duration,
    /// How long a request's parameters may take from its first byte to their end. Default: 30 seconds.
    pub params_timeout: Duration,
    /// How long a handler waits for the next bytes of STDIN or DATA; see [`least_rate`](Self::least_rate). Web
    /// servers may stop in the middle without a word, once they have an answer. Default: 30 seconds.
    pub read_timeout: Duration,
    /// How long the client may take no byte of an answer; see [`least_rate`](Self::least_rate). Default: 30
    /// seconds.
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
    /// Bytes of a request's input that are kept in a temporary file, beyond 64 KiB in memory, while its answer waits
    /// for the end of it: a handler may write before it has read, and nginx stops sending a body at the first byte
    /// of the answer. Beyond them the answer leaves. Default: 128 MiB.
    pub spool: u64,
    /// Bytes of a response head, at most; what is more fails the handler's write. A head leaves in one
    /// record, so that more than 56 KiB less 8 bytes counts as that, and less than 128 bytes as 128.
    /// Default: 8 KiB.
    pub head_limit: usize,
    /// How many requests are answered before the server is [shut down](crate::Handle::shutdown) gracefully, for a
    /// [`Process`](crate::Process) or systemd to start another: where a handler leaks memory. Default: no limit.
    pub max_requests_per_process: Option<u64>,
    /// Who is told of each request when it is over. Default: nobody.
    pub watcher: Option<Watcher>,
    /// Which web server asks, where answers differ by it. Default: the one that SERVER_SOFTWARE names.
    pub front: Option<Front>,
    /// The protocol's limits. `max_conns` is set to [`max_connections`](Self::max_connections).
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_connections: 512,
            idle_timeout: Duration::from_secs(300),
            params_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            least_rate: 500,
            drain_timeout: Duration::from_secs(5),
            drain_limit: 64 * 1024 * 1024,
            shutdown_timeout: Duration::from_secs(60),
            spool: 128 * 1024 * 1024,
            head_limit: cgi::HEAD_LIMIT,
            max_requests_per_process: None,
            watcher: None,
            front: None,
            limits: Limits::default(),
        }
    }
}

impl Settings {
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
