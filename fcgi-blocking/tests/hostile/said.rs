//! What the servers in this process say through the crate `log`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::victim::wait_until;

struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.lock().push(record.args().to_string());
    }

    fn flush(&self) {}
}

/// From now on, warnings are kept.
pub(crate) fn listen() {
    // Another test was first.
    let _ = log::set_logger(&LINES);
    log::set_max_level(log::LevelFilter::Warn);
}

/// Waits until a warning has `text`, which no other test causes, and takes it.
#[track_caller]
pub(crate) fn wait_for(text: &str) {
    let find = || LINES.lock().iter().position(|line| line.contains(text));
    wait_until(|| find().is_some(), || format!("no {text:?} in {:?}", LINES.lock()));
    LINES.lock().retain(|line| !line.contains(text));
}
