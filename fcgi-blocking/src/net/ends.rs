//! What is done when a request is over: somebody is told, and a process that has answered enough of them ends.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use fcgi_proto::server::session::Account;

use crate::net::log::panic_text;
use crate::net::span::Span;

/// Is told of each request when it is over: for an access log, a slow log, counters.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::time::Duration;
///
/// use fcgi_blocking::{Settings, Watcher};
///
/// static FAILED: AtomicU64 = AtomicU64::new(0);
///
/// let mut settings = Settings::default();
/// settings.watcher = Some(Watcher::new(&|request| {
///     // An access log: GET /page 200, 0 bytes in, 1069 bytes out, 0.012 s
///     println!("{request}");
///     // A slow log.
///     if request.took > Duration::from_secs(1) {
///         eprintln!("slow: {request}");
///     }
///     // A counter.
///     if request.status.is_none_or(|status| status.code() >= 500) {
///         FAILED.fetch_add(1, Ordering::Relaxed);
///     }
/// }));
/// ```
///
/// It is there as long as the process, as a logger is: what it counts in is `static`, or it is leaked with all that it
/// owns, by `Box::leak`.
///
/// Whoever ends the request calls it, in the thread or the task that serves the connection, which waits meanwhile: it
/// is to be quick. If it panics, that is a warning in the log. A request that was refused before it began is not told,
/// as one too many at a time; a line in the log has it.
#[derive(Clone, Copy)]
pub struct Watcher(&'static (dyn Fn(&Account<'_>) + Send + Sync));

impl Watcher {
    /// Calls `watch` for each request.
    #[must_use]
    pub const fn new(watch: &'static (dyn Fn(&Account<'_>) + Send + Sync)) -> Self {
        Self(watch)
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}

/// What a server does at the end of each request.
#[doc(hidden)]
pub struct Ends {
    watcher: Option<Watcher>,
    /// How many more requests are answered before `stop` is called.
    left: Option<AtomicU64>,
    stop: Box<dyn Fn() + Send + Sync>,
}

impl Ends {
    /// Tells the watcher, and calls `stop` when so many requests were answered.
    pub fn new(watcher: Option<Watcher>, most: Option<u64>, stop: impl Fn() + Send + Sync + 'static) -> Self {
        Self { watcher, left: most.map(|most| AtomicU64::new(most.max(1))), stop: Box::new(stop) }
    }

    /// A request is over, whose span this is.
    pub fn note<'a>(&self, span: &Span, account: impl FnOnce() -> Option<Account<'a>>) {
        if self.watcher.is_none() && self.left.is_none() && !span.listens() {
            return;
        }
        let Some(account) = account() else { return };
        span.record(&account);
        if let Some(Watcher(watch)) = &self.watcher {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| watch(&account))) {
                log::warn!("a watcher: {}", panic_text(&*panic));
            }
        }
        let left = self.left.as_ref().filter(|_| account.ran.is_some());
        if left.is_some_and(|left| left.fetch_sub(1, Ordering::Relaxed) == 1) {
            (self.stop)();
        }
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ends").field("left", &self.left).finish_non_exhaustive()
    }
}
