//! The pool against real back ends: the cases of the blocking client.
//!
//! A back end that is not installed is skipped with a line on stderr, or fails the test if
//! `FCGI_REQUIRE_INTEROP=1`.
#![cfg(unix)]

#[path = "adapter/pool.rs"]
mod adapter;

#[path = "../../fcgi-blocking/tests/backends/mod.rs"]
mod backends;

use std::sync::Arc;

use backends::{cases::case, setups};
use fcgi_smol::{Params, Pool, PoolSettings};
use smol::io::AsyncReadExt;

/// More than one pool has connections, and than most back ends have workers.
const AT_ONCE: usize = 16;

#[test]
fn one_pool_starves_no_request_however_few_workers_there_are() {
    let shared = case("16 requests at a time over one pool", |site| {
        let endpoint = site.place.address.parse().expect("an address");
        let script = site.place.script.to_str().expect("temporary paths are UTF-8");
        let pool = Pool::new([endpoint], PoolSettings::default());
        let executor = Arc::new(smol::Executor::new());
        let tasks = (0..AT_ONCE).map(|task| {
            let (pool, script) = (pool.clone(), script.to_owned());
            executor.spawn(async move {
                for round in 0..10 {
                    let body = vec![task as u8; 1000 * task + round];
                    let params =
                        Params::post("/echo").script(&script).set("CONTENT_TYPE", "application/x-test");
                    let mut response =
                        pool.request(params).bytes(body.clone()).send().await.expect("an answer");
                    let mut echoed = Vec::new();
                    response.read_to_end(&mut echoed).await.expect("a whole body");
                    assert!(echoed == body, "{task} {round}: {} bytes", echoed.len());
                }
            })
        });
        let tasks: Vec<_> = tasks.collect();
        smol::block_on(executor.run(async {
            for task in tasks {
                task.await;
            }
        }));
    });
    for setup in [
        &setups::PHP_FPM_ONE,
        &setups::PHP_FPM_MANY,
        &setups::PHP_CGI,
        &setups::LIBFCGI_ONE,
        &setups::GO,
        &setups::PERL,
        &setups::FLUP,
        &setups::NODE,
        &setups::FCGIWRAP,
        &setups::INSPECT_TCP,
    ] {
        backends::run(setup, std::slice::from_ref(&shared));
    }
}
