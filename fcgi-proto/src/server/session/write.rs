//! What a handler writes, and what becomes of it.

use core::fmt;

use super::report::Stopped;
use crate::cgi::HeadError;
use crate::record::Record;

/// What became of a write.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Write<'a> {
    /// So many bytes were taken, and wait in the answer.
    Taken(usize),
    /// These records are to be sent now; call [`Answer::sent`](crate::cgi::Answer::sent) then.
    Send(Batch<'a>),
    /// Nothing was taken: ask again after [`Look`](super::Input::Look).
    Wait,
}

/// What a handler writes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Output<'d> {
    /// Bytes of its answer.
    Stdout(&'d [u8]),
    /// Bytes for the web server's error log.
    Stderr(&'d [u8]),
    /// Nothing; what was written before is to leave.
    Flush,
}

/// What of an answer leaves at once: what it held back, some of what was just written, STDERR.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Batch<'a> {
    pub(super) records: [Record<'a>; 3],
    /// How many bytes were taken of what was written.
    pub taken: usize,
}

impl Batch<'_> {
    /// The bytes to be sent, in their order, for a vectored write; some may be empty.
    #[must_use]
    pub fn slices(&self) -> [&[u8]; 9] {
        let [[a, b, c], [d, e, f], [g, h, i]] = self.records.each_ref().map(Record::slices);
        [a, b, c, d, e, f, g, h, i]
    }
}

/// Why nothing was taken of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WriteError {
    /// The answer's head cannot be sent.
    Head(HeadError),
    /// Nothing of the answer may leave any more.
    Stopped(Stopped),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => error.fmt(f),
            Self::Stopped(stopped) => stopped.fmt(f),
        }
    }
}

impl core::error::Error for WriteError {}

impl From<HeadError> for WriteError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl From<Stopped> for WriteError {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

#[cfg(feature = "std")]
impl From<WriteError> for std::io::Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Head(error) => Self::new(std::io::ErrorKind::InvalidInput, error),
            WriteError::Stopped(stopped) => stopped.into(),
        }
    }
}
