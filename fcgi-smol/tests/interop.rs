//! The example `inspect` behind real web servers: the table of `fcgi-blocking`, and what only a server of
//! many requests on one connection can show.
//!
//! A web server that is not installed is skipped with a line on stderr, or fails the test if
//! `FCGI_REQUIRE_INTEROP=1`. `FCGI_INSPECT=/path` puts another application under test.
#![cfg(unix)]

#[path = "../../fcgi-blocking/tests/interop/mod.rs"]
mod interop;
#[path = "interop/one_connection.rs"]
mod one_connection;
#[path = "../../fcgi-blocking/tests/interop/table.rs"]
mod table;
#[path = "interop/wire.rs"]
mod wire;

use interop::Subject;

const SUBJECT: Subject = Subject { package: env!("CARGO_PKG_NAME"), example: "inspect" };

/// An application whose answer to a path has no head the first time; it runs for as long as the tests do.
fn headless() -> std::net::SocketAddr {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use smol::io::AsyncWriteExt;

    let listener = fcgi_smol::Listener::bind("127.0.0.1:0").expect("a free port");
    let Ok(fcgi_smol::Endpoint::Tcp(address)) = listener.local_endpoint() else { panic!("not TCP") };
    let asked = Arc::new(AtomicBool::new(false));
    let handler = move |request: fcgi_smol::Request| {
        let asked = Arc::clone(&asked);
        async move {
            let is_second =
                request.param_str("REQUEST_URI") != Some("/headless") || asked.swap(true, Ordering::SeqCst);
            let text: &[u8] = if is_second { b"Content-Type: text/plain\n\nthe second time" } else { b"BAD" };
            Ok(request.stdout().write_all(text).await?)
        }
    };
    std::thread::spawn(move || {
        let executor = Arc::new(smol::Executor::new());
        let server = fcgi_smol::Server::new(listener).expect("a listening socket");
        smol::block_on(executor.run(server.serve(&executor, handler)))
    });
    address
}
