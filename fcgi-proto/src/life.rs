//! What the sessions of both sides have in common: how time is told, and what is asked of a transport.

use core::fmt;
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
    /// Shut down the direction to the peer, and say so with `shut`. On a transport that has no such direction, or if
    /// it failed, say `end_of_input` instead: it is closed then.
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

/// Seconds as text, to the millisecond: `2.5`. Not by way of floating point, whose text takes a microcontroller many
/// kilobytes of code.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = u32::try_from(self.0.as_secs()).unwrap_or(u32::MAX);
        write!(f, "{seconds}")?;
        match self.0.subsec_millis() {
            0 => Ok(()),
            millis if millis % 100 == 0 => write!(f, ".{}", millis / 100),
            millis if millis % 10 == 0 => write!(f, ".{:02}", millis / 10),
            millis => write!(f, ".{millis:03}"),
        }
    }
}

/// A moment, since the caller's clock began: whole seconds, and nanoseconds in the 31 bits below, small, compared
/// in one step, and made and told without a division, which takes a microcontroller long. It lasts 272 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Time(u64);

impl Time {
    /// Later than every other.
    pub(crate) const NEVER: Self = Self(u64::MAX);
    /// Bits below the seconds.
    const BITS: u32 = 31;
    /// What a carry from the nanoseconds skips.
    const GAP: u64 = (1 << Self::BITS) - 1_000_000_000;

    #[inline]
    pub(crate) const fn new(now: Duration) -> Self {
        let seconds = now.as_secs();
        if seconds >> (u64::BITS - Self::BITS) != 0 {
            return Self::NEVER;
        }
        Self(seconds << Self::BITS | now.subsec_nanos() as u64)
    }

    /// This long after it; never, if that cannot be told.
    #[inline]
    pub(crate) const fn after(self, wait: Duration) -> Self {
        let sum = Self(self.0.saturating_add(Self::new(wait).0));
        let carry = if sum.nanos() < 1_000_000_000 { 0 } else { Self::GAP };
        Self(sum.0.saturating_add(carry))
    }

    /// How long it is after `earlier`; nothing, if it is before.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        let difference = Self(self.0.saturating_sub(earlier.0));
        let borrow = if difference.nanos() < 1_000_000_000 { 0 } else { Self::GAP };
        Self(difference.0 - borrow).duration()
    }

    /// Whole milliseconds from `earlier` to this, at most 49 days.
    pub(crate) fn millis_since(self, earlier: Self) -> u32 {
        let time = self.since(earlier);
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        seconds.saturating_mul(1000).saturating_add(time.subsec_millis())
    }

    /// For the caller; `None` if it is never.
    pub(crate) fn told(self) -> Option<Duration> {
        (self != Self::NEVER).then(|| self.duration())
    }

    const fn nanos(self) -> u32 {
        self.0 as u32 & (u32::MAX >> 1)
    }

    const fn duration(self) -> Duration {
        Duration::new(self.0 >> Self::BITS, self.nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATIONS: [Duration; 9] = [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_nanos(999_999_999),
        Duration::from_secs(1),
        Duration::from_nanos(1_000_000_001),
        Duration::from_nanos(1_999_999_999),
        Duration::from_millis(86_400_500),
        Duration::from_secs((1 << 32) - 1),
        Duration::new(1 << 31, 500_000_001),
    ];

    #[test]
    fn a_moment_is_what_its_durations_are() {
        for a in DURATIONS {
            assert_eq!(Time::new(a).told(), Some(a));
            for b in DURATIONS {
                assert_eq!(Time::new(a).cmp(&Time::new(b)), a.cmp(&b), "{a:?} {b:?}");
                assert_eq!(Time::new(a).after(b).told(), Some(a + b), "{a:?} {b:?}");
                assert_eq!(Time::new(a).since(Time::new(b)), a.saturating_sub(b), "{a:?} {b:?}");
                let millis = u32::try_from(a.saturating_sub(b).as_millis()).unwrap_or(u32::MAX);
                assert_eq!(Time::new(a).millis_since(Time::new(b)), millis, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn seconds_are_told_to_the_millisecond() {
        for (millis, text) in
            [(0, "0"), (30_000, "30"), (2_500, "2.5"), (1_050, "1.05"), (113, "0.113"), (9, "0.009")]
        {
            assert_eq!(alloc::format!("{}", Seconds(Duration::from_millis(millis))), text);
        }
    }

    #[test]
    fn what_cannot_be_told_is_never() {
        for long in [Duration::MAX, Duration::from_secs(1 << 33), Duration::new((1 << 33) - 1, 999_999_999)] {
            assert_eq!(Time::new(Duration::from_secs(1)).after(long), Time::NEVER, "{long:?}");
            assert_eq!(Time::NEVER.after(long), Time::NEVER, "{long:?}");
        }
        assert_eq!(Time::new(Duration::MAX).told(), None);
        assert_eq!(Time::NEVER.after(Duration::ZERO), Time::NEVER);
    }
}
