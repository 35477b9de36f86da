//! What the examples share.
#![allow(dead_code, unused_imports)] // Each example uses a part.

use std::error::Error;
use std::sync::Arc;
use std::thread;

use fcgi_smol::{AppStatus, BoxError, Endpoint, Listener, Request, Server};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use smol::Executor;

mod program;

pub(crate) use program::{Address, Arguments, about, no_more, run};

/// Serves until a signal asks for the end.
pub(crate) fn serve<H, F, T>(listener: Listener, handler: H) -> Result<(), Box<dyn Error>>
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, BoxError>> + Send + 'static,
    T: Into<AppStatus> + 'static,
{
    let server = Server::new(listener)?;
    let executor = Arc::new(Executor::new());
    Ok(block_on(&executor, server.serve_until_signal(&executor, handler))?)
}

/// Runs a future to its end, and the executor on all processors meanwhile.
pub(crate) fn block_on<T>(executor: &Executor<'_>, future: impl Future<Output = T>) -> T {
    let (stop, stopped) = smol::channel::bounded::<()>(1);
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 1..processors {
            scope.spawn(|| smol::block_on(executor.run(stopped.recv())));
        }
        let output = smol::block_on(executor.run(future));
        stop.close();
        output
    })
}

/// The first SIGTERM, SIGINT or SIGHUP calls `stop`, a second one ends the process at once.
pub(crate) fn on_signals(stop: impl Fn() + Send + 'static) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    thread::spawn(move || {
        for (count, _) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(1);
            }
            stop();
        }
    });
    Ok(())
}
