//! What this process says through the crate `log`.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::PATIENCE;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static SAID: Condvar = Condvar::new();

fn lines() -> MutexGuard<'static, Vec<String>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        lines().push(record.args().to_string());
        SAID.notify_all();
    }

    fn flush(&self) {}
}

/// From now on, warnings are kept.
pub(crate) fn listen() {
    // Another test was first.
    let _ = log::set_logger(&Lines);
    log::set_max_level(log::LevelFilter::Warn);
}

/// The warnings so far that are of this kind.
pub(crate) fn so_far(kind: impl Fn(&str) -> bool) -> Vec<String> {
    lines().iter().filter(|line| kind(line)).cloned().collect()
}

/// Waits until a warning has `text`, which no other test causes, and takes all that have it; the first.
#[track_caller]
pub(crate) fn wait_for(text: &str) -> String {
    let has = |line: &String| line.contains(text);
    let waited = SAID.wait_timeout_while(lines(), PATIENCE, |lines| !lines.iter().any(has));
    let (mut lines, _) = waited.unwrap_or_else(PoisonError::into_inner);
    let found = lines.iter().find(|line| has(line)).cloned();
    lines.retain(|line| !has(line));
    found.unwrap_or_else(|| panic!("no {text:?} in {lines:?}"))
}
