//! The example `inspect` behind real web servers: one table of cases, run on every set-up.
//!
//! A web server that is not installed is skipped with a line on stderr, or fails the test if
//! `FCGI_REQUIRE_INTEROP=1`. `FCGI_INSPECT=/path` puts another application under test.
#![cfg(unix)]

#[path = "interop/mod.rs"]
mod interop;
#[path = "interop/table.rs"]
mod table;

use interop::Subject;

const SUBJECT: Subject = Subject { package: env!("CARGO_PKG_NAME"), example: "inspect" };

/// An application whose answer to a path has no head the first time; it runs for as long as the tests do.
fn headless() -> std::net::SocketAddr {
    use std::io::Write;
    use std::sync::atomic::{AtomicBool, Ordering};

    let listener = fcgi_blocking::Listener::bind("127.0.0.1:0").expect("a free port");
    let Ok(fcgi_blocking::Endpoint::Tcp(address)) = listener.local_endpoint() else { panic!("not TCP") };
    let asked = AtomicBool::new(false);
    std::thread::spawn(move || {
        fcgi_blocking::Server::new(listener).serve(|request: &mut fcgi_blocking::Request| {
            let is_second =
                request.param_str("REQUEST_URI") != Some("/headless") || asked.swap(true, Ordering::SeqCst);
            let text: &[u8] = if is_second { b"Content-Type: text/plain\n\nthe second time" } else { b"BAD" };
            Ok(request.stdout().write_all(text)?)
        })
    });
    address
}
