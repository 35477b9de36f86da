//! How long anything may take.

use core::fmt;
use core::time::Duration;

use crate::life::Time;

/// How long a session waits, and for how much. Every wait is bounded as a whole: a peer that sends a byte now and
/// then does not renew it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Patience {
    /// How long a connection may wait for its next request. Default: 5 minutes. Shorter is worse: a connection that
    /// closes as a request arrives may cost that request.
    pub idle: Duration,
    /// How long a request's parameters may take from its first byte to their end. Default: 30 seconds.
    pub params: Duration,
    /// How long the client may send nothing of STDIN or DATA while it is waited for; see
    /// [`least_rate`](Self::least_rate). Default: 30 seconds.
    pub read: Duration,
    /// How long the client may take nothing of what is sent; see [`least_rate`](Self::least_rate). Default: 30
    /// seconds.
    pub write: Duration,
    /// How long input that nobody wants is read: before END_REQUEST on a connection that is kept, after it on
    /// one that closes. Default: 5 seconds.
    pub drain: Duration,
    /// How long a graceful end may take as a whole. Default: 1 minute.
    pub shutdown: Duration,
    /// Bytes of unwanted input that are read, at most. Default: 64 MiB.
    pub drain_limit: u32,
    /// Bytes a second that the client has to send of a body, or take of an answer, while it is waited for. A
    /// wait uses up [`read`](Self::read) or [`write`](Self::write), and what comes or goes gives time back at
    /// this rate, so that a byte now and then does not. Default: 500.
    pub least_rate: u32,
}

impl Patience {
    /// The defaults, safe on a hostile network.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            idle: Duration::from_secs(300),
            params: Duration::from_secs(30),
            read: Duration::from_secs(30),
            write: Duration::from_secs(30),
            drain: Duration::from_secs(5),
            shutdown: Duration::from_secs(60),
            drain_limit: 64 * 1024 * 1024,
            least_rate: 500,
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::new()
    }
}

/// What was waited for in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Wait {
    /// The rest of a request's parameters, or of a record before it.
    Params,
    /// More of a body.
    Body,
    /// That the client takes more of an answer.
    Write,
    /// The end of the requests that ran when the server was shut down.
    Shutdown,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Params => "the client sent no whole parameters within",
            Self::Body => "the client sent no body within",
            Self::Write => "the client took no byte of the answer for",
            Self::Shutdown => "the server was shut down, and the request did not end within",
        })
    }
}

/// How long a connection on which nothing came yet may take to its first request when the server is shut down:
/// that may be under way.
pub(super) const LAST_CALL: Span = Span(1000);

/// The same for a request that has begun to come, and for either when others wait for the place.
pub(super) const CROWDED_CALL: Span = Span(250);

/// How long unwanted input may pause before it is taken for over: web servers stop sending a body without a
/// word, once they have an answer.
pub(super) const PAUSE: Span = Span(150);

/// A write that took no longer waited for nobody.
pub(super) const GLANCE: Duration = Duration::from_millis(10);

/// A length of time, in milliseconds; `u32::MAX` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Span(u32);

impl Span {
    pub(super) const NONE: Self = Self(0);

    const fn new(duration: Duration) -> Self {
        let seconds = duration.as_secs().saturating_mul(1000);
        let millis = seconds.saturating_add(duration.subsec_nanos().div_ceil(1_000_000) as u64);
        Self(if millis > u32::MAX as u64 { u32::MAX } else { millis as u32 })
    }

    #[inline(never)]
    pub(super) fn from(self, now: Time) -> Time {
        if self.0 == u32::MAX { Time::NEVER } else { now.after(self.duration()) }
    }

    const fn duration(self) -> Duration {
        Duration::new((self.0 / 1000) as u64, self.0 % 1000 * 1_000_000)
    }

    /// Of this much patience, what is left after it was needed since `since` and `count` bytes came or went.
    pub(super) fn left(self, since: Time, now: Time, count: usize, spans: &Spans, most: Self) -> Self {
        if self.0 == u32::MAX {
            return self;
        }
        let used = now.millis_since(since);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let back = count.saturating_mul(1000).checked_div(spans.least_rate).unwrap_or(u32::MAX);
        Self(self.0.saturating_sub(used).saturating_add(back).min(most.0))
    }
}

/// [`Patience`], as small as it can be kept.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Spans {
    pub(super) idle: Span,
    pub(super) params: Span,
    pub(super) read: Span,
    pub(super) write: Span,
    pub(super) drain: Span,
    pub(super) shutdown: Span,
    pub(super) drain_limit: u32,
    least_rate: u32,
}

impl Spans {
    pub(super) const fn new(patience: &Patience) -> Self {
        Self {
            idle: Span::new(patience.idle),
            params: Span::new(patience.params),
            read: Span::new(patience.read),
            write: Span::new(patience.write),
            drain: Span::new(patience.drain),
            shutdown: Span::new(patience.shutdown),
            drain_limit: patience.drain_limit,
            least_rate: patience.least_rate,
        }
    }

    /// The limit of a wait, to be told.
    pub(super) const fn limit(&self, wait: Wait) -> Duration {
        match wait {
            Wait::Params => self.params,
            Wait::Body => self.read,
            Wait::Write => self.write,
            Wait::Shutdown => self.shutdown,
        }
        .duration()
    }
}
