//! A pool: connections that are lent and given back, who waits for one, applications that are away.

use std::sync::Arc;
use std::time::Duration;

use fcgi_smol::memory::listen;
use fcgi_smol::{ClientError, Params, Pool, PoolSettings};
use shuttle::future::{JoinHandle, block_on, spawn};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread;
use smol::io::AsyncReadExt;

use crate::link::{application, applications, body};
use crate::polls::at_most;
use crate::{Clock, TICK, endpoint, orders};

fn pool(names: &[&str], change: impl FnOnce(&mut PoolSettings)) -> Pool {
    let mut settings = PoolSettings::default();
    settings.max_connections = 1;
    change(&mut settings);
    Pool::new(names.iter().map(|name| endpoint(name)), settings)
}

async fn ask(pool: Pool, body: Vec<u8>) -> Result<Vec<u8>, ClientError> {
    let mut response = pool.request(Params::post("/")).bytes(body).send().await?;
    let mut answer = Vec::new();
    response.read_to_end(&mut answer).await.map_err(ClientError::Io)?;
    Ok(answer)
}

fn asks(pool: &Pool, count: usize) -> Vec<JoinHandle<Result<Vec<u8>, ClientError>>> {
    (0..count).map(|of| spawn(ask(pool.clone(), body(of, 100)))).collect()
}

fn all_are_answered(asked: Vec<JoinHandle<Result<Vec<u8>, ClientError>>>) {
    for (of, asked) in asked.into_iter().enumerate() {
        let answer = block_on(asked).expect("it runs to its end").expect("it is answered");
        assert_eq!(answer, body(of, 100));
    }
}

#[test]
fn whoever_waits_for_a_connection_gets_one() {
    orders(|| {
        applications(listen(&endpoint("one"), 700), application);
        for max_idle in [0, 1] {
            let pool = pool(&["one"], |settings| settings.max_idle = max_idle);
            all_are_answered(asks(&pool, 3));
        }
    });
}

#[test]
fn whoever_gives_up_takes_no_connection_with_it() {
    orders(|| {
        applications(listen(&endpoint("one"), 700), application);
        let pool = pool(&["one"], |_| ());
        let given_up = [1, 2, 4].map(|polls| {
            let pool = pool.clone();
            spawn(async move { drop(at_most(polls, ask(pool, body(9, 100))).await) })
        });
        all_are_answered(asks(&pool, 2));
        for given_up in given_up {
            block_on(given_up).expect("it runs to its end");
        }
        all_are_answered(asks(&pool, 1));
    });
}

#[test]
fn an_application_that_is_away_is_left_out() {
    orders(|| {
        applications(listen(&endpoint("one"), 700), application);
        let pool = pool(&["away", "one"], |_| ());
        all_are_answered(asks(&pool, 3));
    });
}

#[test]
fn an_application_that_comes_back_is_tried_by_one_and_used_by_all() {
    orders(|| {
        let clock = Clock::run(TICK);
        let pool = pool(&["one"], |_| ());
        let error = block_on(ask(pool.clone(), Vec::new())).expect_err("it is away");
        assert!(matches!(error, ClientError::Connect(_)), "{error}");
        let comes = thread::spawn(|| applications(listen(&endpoint("one"), 700), application));
        for asked in asks(&pool, 2) {
            // It may have asked too early.
            let result = block_on(asked).expect("it runs to its end");
            assert!(
                matches!(result, Ok(_) | Err(ClientError::Connect(_) | ClientError::Unavailable)),
                "{result:?}"
            );
        }
        comes.join().expect("it runs to its end");
        all_are_answered(asks(&pool, 2));
        drop(clock);
    });
}

#[test]
fn whoever_waits_for_too_long_is_told() {
    orders(|| {
        applications(listen(&endpoint("one"), 700), application);
        let pool = pool(&["one"], |_| ());
        let (held, holds) = smol::channel::bounded(1);
        let holder = spawn({
            let pool = pool.clone();
            async move {
                let response = pool.request(Params::get("/")).send().await.expect("a head");
                held.try_send(()).expect("the test waits");
                std::future::pending::<()>().await;
                drop(response);
            }
        });
        block_on(holds.recv()).expect("it has the connection");
        let asked = asks(&pool, 2);
        let clock = Clock::run(Duration::from_secs(1));
        for asked in asked {
            let error = block_on(asked).expect("it runs to its end").expect_err("there is no other");
            assert!(matches!(error, ClientError::PoolTimedOut { .. }), "{error}");
        }
        drop(clock);
        // It gives the connection back as it is dropped.
        holder.abort();
        all_are_answered(asks(&pool, 1));
    });
}

#[test]
fn a_request_that_cannot_be_sent_gives_its_connection_back() {
    orders(|| {
        applications(listen(&endpoint("one"), 700), application);
        let pool = pool(&["one"], |_| ());
        let params = Params::get("/").set("HTTP_COOKIE", [b'x'; 70_000]);
        let error = block_on(pool.request(params).send()).expect_err("it fits no record");
        assert!(!matches!(error, ClientError::Connect(_)), "{error}");
        all_are_answered(asks(&pool, 1));
    });
}

#[test]
fn a_connection_is_kept_beside_another_whose_answer_has_begun() {
    orders(|| {
        let listening = listen(&endpoint("one"), 700);
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        drop(spawn(async move {
            loop {
                let end = listening.accept();
                count.fetch_add(1, Ordering::SeqCst);
                drop(spawn(async move { application(&end) }));
            }
        }));
        let pool = pool(&["one"], |settings| (settings.max_connections, settings.max_idle) = (3, 2));
        block_on(async {
            let get = || pool.request(Params::get("/")).send();
            let begun = get().await.expect("a head");
            for _ in 0..2 {
                get().await.expect("a head").read_to_end(&mut Vec::new()).await.expect("no failure");
            }
            drop(begun);
        });
        assert_eq!(accepted.load(Ordering::SeqCst), 2);
    });
}
