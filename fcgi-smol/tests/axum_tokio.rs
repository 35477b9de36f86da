//! The example `axum_tokio`, an axum `Router` on tokio: behind a real nginx, and behind a front of its own.
//!
//! Without nginx the first is skipped with a line on stderr, or fails if `FCGI_REQUIRE_INTEROP=1`.
#![cfg(unix)]

#[allow(dead_code)] // Its own cases and most set-ups are for `inspect`.
#[path = "../../fcgi-blocking/tests/interop/mod.rs"]
mod interop;

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use interop::cases::{Case, case};
use interop::http::Browser;
use interop::process::{Process, brought_to, hand_over, wait_until};
use interop::site::free_port;
use interop::{Subject, setups};

const SUBJECT: Subject = Subject { package: env!("CARGO_PKG_NAME"), example: "axum_tokio" };

const CASES: &[Case] = &[
    case("what needs tokio's runtime works", |site| answers(site.address)),
    case("handlers sleep beside each other", |site| sleeps(site.address)),
];

#[test]
fn handlers_that_need_tokio_run_behind_nginx() {
    interop::run(&SUBJECT, &setups::NGINX_UNIX, CASES);
    interop::run(&SUBJECT, &setups::NGINX_KEEPALIVE, CASES);
}

#[test]
fn a_pool_is_a_service_of_a_front_on_tokio() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    hand_over(dir.path());
    let port = free_port();
    let mut program = Command::new(brought_to(dir.path(), &SUBJECT.executable()));
    program.arg(format!("unix:{}/app.sock", dir.path().display())).args(["--front", &port.to_string()]);
    let mut process = Process::start(&mut program, &dir.path().join("app.log"));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    assert!(wait_until(
        || TcpStream::connect(address).is_ok() && Browser::new(address).get("/").status == 200
    ));
    answers(address);
    sleeps(address);
    let refused = Browser::new(address).get("/%00");
    assert_eq!((refused.status, refused.text().lines().count()), (400, 1), "{refused:?}");
    assert!(process.stop().success());
}

fn answers(address: SocketAddr) {
    let browser = Browser::new(address);
    for number in 0..20 {
        assert_eq!(browser.get("/sleep/1").text(), "ok\n");
        let answer = browser.get(&format!("/names/{number}"));
        assert_eq!((answer.status, answer.text()), (200, format!("the name of {number}\n")));
    }
    assert_eq!(browser.get("/whoami").text(), "127.0.0.1\n");
    assert_eq!(browser.get("/nothing").status, 404);
}

fn sleeps(address: SocketAddr) {
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(Browser::new(address).get("/sleep/1000").text(), "ok\n"));
        }
    });
    assert!(began.elapsed() < Duration::from_secs(12), "they waited for each other: {:?}", began.elapsed());
}
