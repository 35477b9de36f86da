//! The clock: what time it is, as everything that decides is told it.

use std::time::Duration;

use rustix::event::Timespec;
use rustix::time::{ClockId, clock_gettime};

/// How long the system is let wait at once: some take no more than 24 days.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The time of the system's clock that is never set. `Instant` tells only how much lies between two times, which takes
/// twice the instructions. Not in line: every request asks twice, and more code is cold when it does.
#[inline(never)]
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// How long to let the system wait now, for what is due in so much time: who waits for longer looks once more.
pub(crate) fn wait(left: Duration) -> Option<Timespec> {
    Timespec::try_from(left.min(LONGEST)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_one_that_every_system_takes() {
        let most = Duration::from_millis(i32::MAX as u64);
        for left in [Duration::ZERO, Duration::from_micros(1), LONGEST, most * 2, Duration::MAX] {
            let wait = wait(left).expect("a limit");
            let told = Duration::new(wait.tv_sec as u64, wait.tv_nsec as u32);
            assert!(told <= left && told < most, "{told:?}");
            assert!(told == left || told == LONGEST, "{told:?}");
        }
    }
}
