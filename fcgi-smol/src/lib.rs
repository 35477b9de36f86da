//! FastCGI on smol and async-io.
//!
//! This crate binds [`fcgi_proto`], which takes every protocol decision, to async-io's sockets, or any stream
//! of `AsyncRead` and `AsyncWrite`. An application is a [`Listener`], a [`Server`] and an async handler that
//! is given each [`Request`], on an executor of the caller's; see [`Server`] for one of twenty lines.
//! [`Settings`] has the limits and what they guard against.
//!
//! A connection carries 64 requests at once, some more of a client that does not wait for END_REQUEST, and
//! GET_VALUES says `FCGI_MPXS_CONNS` = 1. Each request's
//! input has a bounded share of memory, and the answers of all take turns. A connection that waits for a
//! request holds no buffers.
//!
//! With the feature `tower`, a service of `http` requests answers them, such as an axum `Router`: see the module
//! of that name.
//!
//! With the feature `tokio`, the handle of a tokio runtime is an executor: see [`Spawn`].
//!
//! What goes wrong on a connection is told through the [`log`] crate: warnings for peers that break the
//! protocol or a limit, debug for those that just leave.
#![cfg_attr(docsrs, feature(doc_cfg))]
// The README's programs compile.
#![cfg_attr(all(doctest, feature = "tokio", feature = "tower"), doc = include_str!("../README.md"))]
#![forbid(unsafe_code)]

mod client;
mod net;
mod pool;
mod server;
#[cfg(feature = "tower")]
pub mod tower;

pub use client::{Client, ClientError, ClientSettings, End, Outgoing, Params, Resend, Response, Value};
pub use fcgi_blocking::{
    Account, AppStatus, Endpoint, Front, HeadError, Limits, Listener, Outcome, ParseEndpointError, RequestId,
    Role, SocketFile, Status, StdListener, Stopped, Watcher,
};
pub use net::listener::IntoSocket;
#[cfg(shuttle)]
pub use net::memory;
pub use pool::{Pool, PoolSettings};
pub use server::request::{Input, Request, ResponseWriter, Stderr, Stdout};
pub use server::settings::Settings;
pub use server::spawn::Spawn;
pub use server::{BoxError, Handle, Server, serve_stream};
