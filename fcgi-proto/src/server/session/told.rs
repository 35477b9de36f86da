//! What a request's caller is told.

#[cfg(doc)]
use super::Session;
use super::life::{Request, Stream};
use crate::record::Role;

/// Something for a request's caller. It borrows from the input only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Input<'i> {
    /// A request begins: make room for its parameters.
    Begin {
        /// The request.
        request: Request,
        /// What this side is asked to be.
        role: Role,
        /// Whether the client keeps the connection after it.
        keep_conn: bool,
    },
    /// The next bytes of its PARAMS stream, cut anywhere: see [`crate::pair`]. Where there is no room for them,
    /// [`Session::refuse_full`] answers the request.
    Params {
        /// The request.
        request: Request,
        /// The bytes.
        data: &'i [u8],
    },
    /// Its parameters are all there: run its handler. If they are not whole pairs, [`Session::refuse_malformed`]
    /// answers the request instead.
    Start {
        /// The request.
        request: Request,
    },
    /// The next bytes of a body that its handler may want. Take all, or say how many with [`Session::took`]: the
    /// rest stays at the front of the input, and comes again once there is room.
    Body {
        /// The request.
        request: Request,
        /// Which of its bodies.
        stream: Stream,
        /// The bytes.
        data: &'i [u8],
        /// Whether they are worth more than memory: what waits behind them, or for their end, cannot go on.
        /// Where there is room on disk, take them there.
        spool: bool,
    },
    /// A wait of this request may be over: its input ended or stopped, it may write, its end may leave. Whoever
    /// waits asks again.
    Look {
        /// The request.
        request: Request,
    },
    /// The request is over, and its handler was not run: forget it.
    Over {
        /// The request.
        request: Request,
    },
}

impl Input<'_> {
    /// Whom it is for.
    #[must_use]
    pub const fn request(&self) -> Request {
        match *self {
            Self::Begin { request, .. }
            | Self::Params { request, .. }
            | Self::Start { request }
            | Self::Body { request, .. }
            | Self::Look { request }
            | Self::Over { request } => request,
        }
    }
}

/// A Responder's request that was all there: see [`Session::receive_whole`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Started<'i> {
    /// The request.
    pub request: Request,
    /// Whether the client keeps the connection after it.
    pub keep_conn: bool,
    /// The bytes of its PARAMS stream: see [`crate::pair`].
    pub params: &'i [u8],
}

/// What there is to read of a body, beyond what was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Read {
    /// Nothing yet.
    Wait,
    /// Nothing more: the body ended, or the role has none.
    End,
}
