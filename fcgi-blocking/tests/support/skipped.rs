//! That a test is skipped, said where a person sees it: the test runner keeps what a test prints, unless it fails,
//! but not what is written past it.

use std::fmt::Display;
use std::io::{self, Write};

/// Says on stderr why a test, or a part of it, is skipped.
pub(crate) fn skipped(reason: impl Display) {
    // Nobody may be there to read it.
    let _ = writeln!(io::stderr(), "skipped: {reason}");
}
