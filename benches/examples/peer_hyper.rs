//! The handler that every server is measured with, over HTTP instead of FastCGI: hyper on smol's executor, on a
//! listening Unix socket on descriptor 0. As fcgi-smol's `plain`, it has a thread for each processor.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::thread;

use benches::request::BODY;
use fcgi_blocking::{Listener, StdListener};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use smol::{Async, Executor, future};
use smol_hyper::rt::FuturesIo;

fn main() -> io::Result<()> {
    let (StdListener::Unix(listener), _file) = Listener::inherited()?.into_std() else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let listener = Async::new(listener)?;
    let executor = Arc::new(Executor::new());
    for _ in 1..thread::available_parallelism()?.get() {
        let executor = executor.clone();
        thread::spawn(move || future::block_on(executor.run(future::pending::<()>())));
    }
    future::block_on(executor.run(async {
        loop {
            let (stream, _) = listener.accept().await?;
            let connection = http1::Builder::new().serve_connection(FuturesIo::new(stream), service_fn(page));
            executor.spawn(connection).detach();
        }
    }))
}

async fn page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(&BODY)));
    response.headers_mut().insert("Content-Type", hyper::header::HeaderValue::from_static("text/plain"));
    Ok(response)
}
