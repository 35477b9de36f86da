//! What both loops are told, and what they tell.

use core::fmt;

use crate::Limits;
use crate::pair::{Pairs, Params, Selected};
use crate::record::{HEADER_LEN, Role};
use crate::server::session::{Patience, Stopped};

/// How a connection is served.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Settings<'s> {
    /// What is taken from the client.
    pub limits: Limits,
    /// How long anything may take.
    pub patience: Patience,
    /// The roles that there is a handler for: [`Role::Responder`] at first. Requests of others are refused. A Filter
    /// has a second stream of input, which is not handed over here.
    pub roles: &'s [Role],
}

impl Settings<'_> {
    /// The defaults, for a Responder.
    #[must_use]
    pub const fn new() -> Self {
        Self { limits: Limits::new(), patience: Patience::new(), roles: &[Role::Responder] }
    }
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// The memory of a connection but for the parameters, in bytes.
///
/// `INPUT` is what is read at once, at least 1: 256 bytes for a serial line, a packet's 1460 for TCP. `OUTPUT` is one
/// record of the answer, with 15 bytes for its frame: 64 bytes at least. An answer that fits waits in it until what is
/// posted was read; it needs one that is as long as the longest answer to a POST whose body the handler does not read.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Buffers<const INPUT: usize, const OUTPUT: usize> {
    pub(super) input: [u8; INPUT],
    pub(super) output: [u8; OUTPUT],
}

impl<const INPUT: usize, const OUTPUT: usize> Buffers<INPUT, OUTPUT> {
    /// Empty ones.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(INPUT > 0 && OUTPUT >= 8 * HEADER_LEN, "room for bytes to read and for a record") };
        Self { input: [0; INPUT], output: [0; OUTPUT] }
    }
}

impl<const INPUT: usize, const OUTPUT: usize> Default for Buffers<INPUT, OUTPUT> {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a request's parameters are kept: [`Selected`] of a few names, or all of them in [`Params`].
pub trait Parameters {
    /// Forgets them, for the next request.
    fn clear(&mut self);

    /// Takes the next bytes of the stream, cut anywhere. Whether there was room.
    fn push(&mut self, data: &[u8]) -> bool;

    /// Whether they are whole pairs, at the end of the stream.
    fn finish(&mut self) -> bool;

    /// Those that were kept.
    fn pairs(&self) -> Pairs<'_>;
}

/// By the functions of these names that the type has itself.
macro_rules! parameters {
    ($n:ident, $kept:ty) => {
        impl<const $n: usize> Parameters for $kept {
            fn clear(&mut self) {
                Self::clear(self);
            }

            fn push(&mut self, data: &[u8]) -> bool {
                Self::push(self, data).is_ok()
            }

            fn finish(&mut self) -> bool {
                Self::finish(self).is_ok()
            }

            fn pairs(&self) -> Pairs<'_> {
                self.iter()
            }
        }
    };
}

parameters!(N, Params<N>);
parameters!(N, Selected<'_, N>);

/// Why a handler cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error<E> {
    /// The stream's own error.
    Stream(E),
    /// No more of the request comes, or nothing of its answer may leave any more.
    Stopped(Stopped),
}

impl<E> Error<E> {
    /// Whether a handler that ended so has failed. The stream's error is the connection's.
    pub(crate) fn fails(ended: Result<(), Self>) -> Result<bool, E> {
        match ended {
            Ok(()) => Ok(false),
            Err(Self::Stopped(_)) => Ok(true),
            Err(Self::Stream(error)) => Err(error),
        }
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(error) => error.fmt(f),
            Self::Stopped(stopped) => stopped.fmt(f),
        }
    }
}

impl<E: core::error::Error> core::error::Error for Error<E> {}

impl<E> From<Stopped> for Error<E> {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl<E: embedded_io_07::Error> embedded_io_07::Error for Error<E> {
    fn kind(&self) -> embedded_io_07::ErrorKind {
        match self {
            Self::Stream(error) => error.kind(),
            Self::Stopped(Stopped::TimedOut { .. }) => embedded_io_07::ErrorKind::TimedOut,
            Self::Stopped(_) => embedded_io_07::ErrorKind::ConnectionAborted,
        }
    }
}
