//! The clock: what time it is, as everything that decides is told it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The time since it was first asked for.
pub(crate) fn now() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
