//! What threads share, in thousands of orders of these: a connection of a server, the server's connections, a link of
//! a client, a pool, answers that are taken in. Under shuttle a wake-up that was lost is a deadlock, which it finds and names.
//!
//! ```sh
//! RUSTFLAGS="--cfg shuttle" CARGO_TARGET_DIR=target/shuttle cargo test -p fcgi-smol --test shuttle
//! ```
//!
//! A test that fails prints its schedule; `shuttle::replay` runs that again. Time goes on when a test says so.
#![cfg(shuttle)]

mod connection;
mod link;
#[path = "../polls/mod.rs"]
mod polls;
mod pool;
mod server;
mod tower;
#[allow(dead_code, unused_imports)] // These tests use a part of it.
#[path = "../../../fcgi-blocking/tests/support/wire.rs"]
mod wire;

use std::sync::Arc;
use std::time::Duration;

use fcgi_smol::memory::{End, pass};
use fcgi_smol::{Endpoint, Request, Spawn, Status};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::{Config, Runner, future, thread};
use smol::io::{AsyncReadExt, AsyncWriteExt};

/// What a handler comes to.
type Outcome = Result<(), fcgi_smol::BoxError>;

/// Orders of each kind that a test is run in.
const ORDERS: usize = 400;

/// Runs a test in orders by chance, and in others in which few of the threads are held back for long.
fn orders(test: fn()) {
    random_orders(test);
    run(PctScheduler::new_from_seed(2, 3, ORDERS), test);
}

/// Those alone in which each task gets on at some time, for a test in which time goes on by itself.
fn random_orders(test: fn()) {
    run(RandomScheduler::new_from_seed(1, ORDERS), test);
}

fn run(scheduler: impl Scheduler + 'static, test: fn()) {
    let mut config = Config::new();
    config.stack_size = 512 * 1024;
    Runner::new(scheduler, config).run(test);
}

/// Runs tasks as shuttle's, all of which have to end: to drop what it gives for one would be to leave it alone.
#[derive(Clone, Copy)]
struct Tasks;

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Tasks {
    fn spawn_detached(&self, future: F) {
        std::mem::forget(future::spawn(future));
    }
}

/// Short of all limits, so that what waits for a moment gets there.
const TICK: Duration = Duration::from_millis(50);

/// More than any test takes.
const TICKS: usize = 20_000;

/// What is listened at and connected to.
fn endpoint(name: &str) -> Endpoint {
    format!("unix:@{name}").parse().expect("an address")
}

/// Sends this, a part at a time.
fn send(end: &Arc<End>, bytes: Vec<u8>) -> thread::JoinHandle<()> {
    let end = Arc::clone(end);
    thread::spawn(move || std::io::Write::write_all(&mut &*end, &bytes).expect("it is read"))
}

/// Answers with the request's body.
async fn echo(request: Request) -> Outcome {
    let mut body = Vec::new();
    request.stdin().read_to_end(&mut body).await?;
    say(&request, &body).await
}

async fn say(request: &Request, text: impl AsRef<[u8]>) -> Outcome {
    let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
    Ok(page.write_all(text.as_ref()).await?)
}

/// Time goes on, so much at a time, until this is dropped. Where nobody is called by it for long, the test fails.
struct Clock(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

impl Clock {
    fn run(step: Duration) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        let run = move || {
            for _ in 0..TICKS {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                pass(step);
                thread::yield_now();
            }
            panic!("time went on, {TICKS} times {step:?}, and the test still waits");
        };
        Self(ends, Some(thread::spawn(run)))
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        self.1.take().into_iter().for_each(|thread| thread.join().expect("it runs to its end"));
    }
}
