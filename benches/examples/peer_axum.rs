//! The handler that every server is measured with, over HTTP instead of FastCGI: axum on tokio, on a listening Unix
//! socket on descriptor 0.

use std::io;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use benches::request::BODY;
use fcgi_blocking::{Listener, StdListener};
use tokio::net::UnixListener;

#[tokio::main]
async fn main() -> io::Result<()> {
    let (StdListener::Unix(listener), _file) = Listener::inherited()?.into_std() else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    listener.set_nonblocking(true)?;
    let page = get(async || ([(CONTENT_TYPE, "text/plain")], &BODY[..]));
    let app = Router::new().route("/app/index", page);
    axum::serve(UnixListener::from_std(listener)?, app).await
}
