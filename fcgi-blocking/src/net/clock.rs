//! The clock: what time it is, as everything that decides is told it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time of the system's clock that is never set. `Instant` tells only how much lies between two times, which takes
/// twice the instructions. Not in line: every request asks twice, and more code is cold when it does.
#[inline(never)]
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
