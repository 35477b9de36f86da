//! The one loop that polls, for what no descriptor, child or channel tells.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that is normally a matter of milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Polls `condition` until it holds; false if that takes longer than [`PATIENCE`].
pub(crate) fn wait_until(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}
