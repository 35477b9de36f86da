//! Services of `http` requests, as tower and axum have them (feature `tower`), on both sides.
//!
//! An application: [`answer`] has a service answer a request.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use axum::{Router, routing::get};
//! use fcgi_smol::{Listener, Server, tower};
//!
//! fn main() -> std::io::Result<()> {
//!     let app = Router::new().route("/", get(async || "hello"));
//!     let executor = Arc::new(smol::Executor::new());
//!     smol::block_on(executor.run(async {
//!         let server = Server::new(Listener::bind("127.0.0.1:9000")?)?;
//!         server.serve(&executor, move |request| tower::answer(app.clone(), request)).await
//!     }))
//! }
//! ```
//!
//! What needs tokio's runtime, such as its timers, does not run on smol's: pass tokio's handle to
//! [`serve`](crate::Server::serve) instead of the executor (feature `tokio`).
//!
//! A web server: a [`Pool`](crate::Pool) is a service, which asks its applications. See
//! [there](crate::Pool#impl-Service<Request<B>>-for-Pool). [`Buffered`] is one that holds no connection for a
//! browser that reads slowly.

mod body;
mod client;
mod response;
mod server;
mod stderr;
mod store;

pub use body::Body;
pub use client::{AsItComes, Buffered};
pub use fcgi_proto::http::Peer;
pub use response::ResponseBody;
pub use server::{Params, answer};
