//! The example `inspect` behind real web servers: one table of cases, run on every set-up.
//!
//! A web server that is not installed is skipped with a line on stderr, or fails the test if
//! `FCGI_REQUIRE_INTEROP=1`. `FCGI_INSPECT=/path` puts another application under test.
#![cfg(unix)]

#[path = "interop/mod.rs"]
mod interop;
#[path = "interop/table.rs"]
mod table;

use std::path::Path;
use std::process::Command;

use interop::Subject;

const SUBJECT: Subject = Subject { package: env!("CARGO_PKG_NAME"), example: "inspect" };

/// Caddy is found by PATH alone, unless it lies where daemons are.
#[test]
fn a_test_without_its_web_server_says_once_past_the_runner_that_it_is_skipped_or_fails() {
    if ["/usr/local/sbin/caddy", "/usr/sbin/caddy"].iter().any(|path| Path::new(path).exists()) {
        return interop::skipped::skipped("caddy lies where daemons are");
    }
    let run = |required: &str| {
        let mut test = Command::new(std::env::current_exe().expect("it has a path"));
        test.args(["--exact", "table::caddy_tcp"]).env("PATH", "").env("FCGI_REQUIRE_INTEROP", required);
        test.output().expect("it runs")
    };
    let skipped = run("0");
    let said = "skipped: table::caddy_tcp: caddy is not installed\n";
    assert_eq!(String::from_utf8_lossy(&skipped.stderr), said, "{skipped:?}");
    assert!(skipped.status.success(), "{skipped:?}");
    let failed = run("1");
    assert!(!failed.status.success() && !failed.stderr.starts_with(b"skipped: "), "{failed:?}");
}

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
