//! What a session waits for and holds.

use core::time::Duration;

use super::request::Wait;
use super::resend::Resend;
use crate::limits::Limits;
use crate::record::MAX_CONTENT;

/// What a session waits for and holds, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Settings {
    /// How long the application may take no byte of a request, and answer none. Default: 30 seconds.
    pub write: Duration,
    /// How long the application may take, once it has the whole request, to the first byte of its answer.
    /// Default: 60 seconds.
    pub first_byte: Duration,
    /// The same on a connection that carried a request before, for requests that may be sent again: its worker
    /// may still be at work on that one. [Others](super::Manners) go on fresh connections, unless this is as long
    /// as [`first_byte`](Self::first_byte). Default: 300 milliseconds.
    pub kept_first_byte: Duration,
    /// How long the application may send nothing in the middle of its answer, and how long an answer that
    /// nobody takes may hold up others. Default: 60 seconds.
    pub read: Duration,
    /// How long an application may be waited for in all, for one request. Every byte of its answer that comes,
    /// and every one that leaves, earns a millisecond of it back, so that it ends those who trickle. Default: 1 hour.
    pub total: Duration,
    /// How long the caller may leave the application waiting for the request's input. Every byte earns a
    /// millisecond of it back. Default: 30 seconds.
    pub input: Duration,
    /// Bytes of STDOUT of one request that are kept before nothing more is read. Default: 256 KiB.
    pub kept: u32,
    /// Bytes of records that wait to be sent before no more of a request's input is taken. Default: 64 KiB.
    pub room: usize,
    /// Bytes of records that mean nothing, in a row; see [`Limits::ignored`]. Default: 16 MiB.
    pub ignored: u32,
    /// Which requests may be sent a second time. Default: those that change nothing.
    pub resend: Resend,
}

impl Settings {
    /// The defaults, where a constant is needed.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            write: Duration::from_secs(30),
            first_byte: Duration::from_secs(60),
            kept_first_byte: Duration::from_millis(300),
            read: Duration::from_secs(60),
            total: Duration::from_secs(3600),
            input: Duration::from_secs(30),
            kept: 256 * 1024,
            room: MAX_CONTENT,
            ignored: Limits::new().ignored,
            resend: Resend::Safe,
        }
    }

    /// Whether a kept connection that stays silent is left before another one would be.
    pub(super) fn is_impatient(&self) -> bool {
        self.kept_first_byte < self.first_byte
    }

    pub(super) const fn limit(&self, wait: Wait) -> Duration {
        match wait {
            Wait::Write => self.write,
            Wait::FirstByte => self.first_byte,
            Wait::Kept => self.kept_first_byte,
            Wait::Read => self.read,
            Wait::Total => self.total,
            Wait::Input => self.input,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}
