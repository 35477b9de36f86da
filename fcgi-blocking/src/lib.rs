//! FastCGI on blocking std sockets.
//!
//! This crate binds [`fcgi_proto`], which takes every protocol decision, to TCP and Unix sockets, or any
//! stream of [`Read`](std::io::Read) and [`Write`](std::io::Write). An application is a [`Listener`], a
//! [`Server`] and a handler that is given one [`Request`] after the other; see [`Server`] for one of ten
//! lines. [`Settings`] has the limits and what they guard against.
//!
//! [`Client`] is the other half: it asks applications such as PHP-FPM. [`Process`] starts them.
//!
//! Connections are served by a thread each and carry one request at a time, so GET_VALUES says
//! `FCGI_MPXS_CONNS` = 0. A request that comes while another one's body is unfinished is refused with
//! `FCGI_CANT_MPX_CONN`; one that comes later waits its turn.
//!
//! What goes wrong on a connection is told through the [`log`] crate: warnings for peers that break the
//! protocol or a limit, debug for those that just leave.
#![cfg_attr(docsrs, feature(doc_cfg))]
// The README's programs compile.
#![cfg_attr(doctest, doc = include_str!("../README.md"))]
#![forbid(unsafe_code)]

mod client;
mod net;
mod process;
mod server;

pub use client::{Client, ClientError, ClientSettings, End, Outgoing, Params, Resend, Response, Value};
pub use fcgi_proto::Limits;
pub use fcgi_proto::cgi::{Front, HeadError, Status};
pub use fcgi_proto::record::{RequestId, Role};
pub use fcgi_proto::server::session::{Account, Outcome, Stopped};
pub use net::endpoint::{Endpoint, ParseEndpointError};
pub use net::ends::{Ends, Watcher};
pub use net::exhaustion::{Exhaustion, is_exhaustion};
pub use net::listener::{Listener, SocketFile, StdListener, is_transient};
#[doc(hidden)]
pub use net::log::{log_level, panic_text};
#[doc(hidden)]
pub use net::peer::{Peer, Peers};
#[doc(hidden)]
pub use net::signals::Signals;
#[doc(hidden)]
pub use net::span::Span;
#[doc(hidden)]
pub use net::spool::Spool;
pub use net::stream::{Stream, connect_abstract};
pub use process::{Process, Running};
pub use server::request::{AppStatus, Input, Request, ResponseWriter, Stderr, Stdout};
pub use server::settings::Settings;
pub use server::{BoxError, Handle, Server, serve_stream};
