//! What the sessions of both sides have in common: how time is told, and what is asked of a transport.

use core::time::Duration;

/// What a session wants of its transport now, and when it wants to be called again.
///
/// All of it may be wanted at once; whoever can do only one thing at a time does the first one that is wanted,
/// in the order of the fields, and asks again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Next {
    /// The connection is over: drop the transport. Nothing else is wanted then.
    pub close: bool,
    /// There are bytes to be written.
    pub write: bool,
    /// Shut down the direction to the peer, and say so with `shut`.
    pub shutdown: bool,
    /// Read, and hand in what came.
    pub read: bool,
    /// Call `expire` at this time, if nothing else happens before. Of the clock that the caller hands in.
    pub at: Option<Duration>,
}

/// How much a line in the log is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Level {
    /// Everyday: peers that leave, answers that were cut by that.
    Debug,
    /// A person can act on it.
    Warn,
}

/// A moment, in nanoseconds since the caller's clock began: small, and compared in one step. It lasts 584 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Time(u64);

impl Time {
    /// Later than every other.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    #[inline]
    pub(crate) const fn new(now: Duration) -> Self {
        let seconds = now.as_secs().saturating_mul(1_000_000_000);
        Self(seconds.saturating_add(now.subsec_nanos() as u64))
    }

    /// This long after it; never, if that cannot be told.
    #[inline]
    pub(crate) const fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(Self::new(wait).0))
    }

    /// How long it is after `earlier`; nothing, if it is before.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// For the caller; `None` if it is never.
    pub(crate) fn told(self) -> Option<Duration> {
        (self != Self::NEVER).then(|| Duration::from_nanos(self.0))
    }
}
