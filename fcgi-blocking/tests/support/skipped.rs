//! That a test is skipped, said where a person sees it: the test runner keeps what a test prints, unless it fails,
//! but not what is written past it.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Says on stderr, once, why a test or a part of it is skipped.
pub(crate) fn skipped(reason: impl Display) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    // The runner names a test's thread after it.
    let current = thread::current();
    let line = format!("skipped: {}: {reason}\n", current.name().unwrap_or("a test"));
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if !said.contains(&line) {
        // Nobody may be there to read it.
        let _ = io::stderr().write_all(line.as_bytes());
        said.insert(line);
    }
}
