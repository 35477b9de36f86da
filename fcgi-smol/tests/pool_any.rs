//! The pool among applications that do anything, asked by many at a time of whom some leave: no answer has bytes of
//! another one, what must not be executed twice is not, and in the end every place in the pool is free.

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

#[path = "adapter/pool.rs"]
mod adapter;

#[path = "../../fcgi-blocking/tests/client/any.rs"]
mod any;
#[path = "../../fcgi-blocking/tests/client/anything.rs"]
mod anything;
mod polls;
#[path = "../../fcgi-blocking/tests/client/script.rs"]
mod script;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anything::{Chance, MEETING, SHORT, application, impatient, is_own, what};
use fcgi_smol::{Params, Pool, PoolSettings};
use polls::{at_most, together};
use script::limits;
use smol::block_on;
use smol::io::AsyncReadExt;
use support::PATIENCE;

#[test]
fn whatever_applications_do_each_answer_is_its_own_and_every_place_is_free_in_the_end() {
    for (kept, seed) in [SHORT, Duration::MAX].into_iter().flat_map(|kept| [(kept, 1), (kept, 2), (kept, 3)])
    {
        let seen = Arc::default();
        let apps = [application(seed, &seen), application(seed + 101, &seen)];
        let mut settings = PoolSettings::default();
        settings.client = limits(|settings| impatient(settings, kept));
        settings.max_connections = MEETING / apps.len();
        settings.max_idle = 1;
        settings.wait_timeout = PATIENCE;
        let pool = Pool::new(apps.each_ref().map(|app| app.endpoint.clone()), settings);
        let answered = AtomicUsize::new(0);
        let (pool, seen, count) = (&pool, &*seen, &answered);
        let one = |number| async move {
            let mut chance = Chance::new(1000 * seed + number);
            let (method, most, bytes) = what(&mut chance);
            let request = pool.request(Params::new(method, format!("/{number}")));
            let request = match chance.below(4) {
                0 => request,
                1 => request.bytes(bytes),
                2 => request.spooled(&bytes[..]).await.expect("it is kept"),
                _ => {
                    let length = bytes.len() as u64;
                    request.body(smol::io::Cursor::new(bytes), length)
                }
            };
            let ask = async {
                let Ok(mut response) = request.send().await else { return };
                let mut text = String::new();
                if response.read_to_string(&mut text).await.is_ok() {
                    let (status, told) = (response.status(), response.field("X-Number"));
                    let is_own = is_own(status, told, &text, number, seen.fate(number));
                    count.fetch_add(usize::from(is_own), Ordering::SeqCst);
                }
            };
            // Every fourth one is left, at some point.
            at_most(if chance.below(4) == 0 { 1 + chance.below(8) } else { usize::MAX }, ask).await;
            let fate = seen.fate(number);
            assert!(fate.executed <= most, "{method} {number}: {fate:?}");
        };
        block_on(together((0..6).map(|task| async move {
            for round in 0..30 {
                one(1 + 30 * task + round).await;
            }
        })));
        assert!(answered.load(Ordering::SeqCst) > 20, "{answered:?} of 180");
        // None of these is answered before all are there.
        block_on(together((0..MEETING).map(|_| async move {
            let mut text = String::new();
            let mut response = pool.request(Params::get("/")).send().await.expect("an answer");
            response.read_to_string(&mut text).await.expect("a whole body");
            assert_eq!(text, "met");
        })));
    }
}
