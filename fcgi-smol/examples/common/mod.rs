//! What the examples share: arguments, signals, exit status.
#![allow(dead_code)] // Each example uses a part.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use fcgi_smol::{AppStatus, BoxError, Endpoint, Handle, Listener, Request, Server};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use smol::Executor;

/// The arguments of the command line.
pub(crate) type Arguments = std::iter::Skip<std::env::Args>;

/// Runs a program: 2 and one line on stderr if it fails.
pub(crate) fn run(usage: &str, program: impl FnOnce(Arguments) -> Result<(), Box<dyn Error>>) -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    match program(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error} (usage: {usage})");
            ExitCode::from(2)
        }
    }
}

/// ADDR, which may be left out when descriptor 0 is a listening socket.
pub(crate) fn address(arguments: &mut Arguments) -> Result<Endpoint, Box<dyn Error>> {
    match arguments.next() {
        Some(address) => Ok(address.parse()?),
        None => match Listener::inherited() {
            Ok(_) => Ok(Endpoint::Inherited),
            Err(why) => Err(format!("no ADDR, and {why}").into()),
        },
    }
}

/// Refuses further arguments.
pub(crate) fn no_more(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    arguments.next().map_or(Ok(()), |extra| Err(format!("{extra:?}: one argument too many").into()))
}

/// Serves until SIGTERM or SIGINT, then shuts down gracefully.
pub(crate) fn serve<H, F, T>(listener: Listener, handler: H) -> Result<(), Box<dyn Error>>
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, BoxError>> + Send + 'static,
    T: Into<AppStatus> + 'static,
{
    let server = Server::new(listener)?;
    shut_down_on_signals(server.handle())?;
    let executor = Arc::new(Executor::new());
    Ok(block_on(&executor, server.serve(&executor, handler))?)
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

/// The first SIGTERM or SIGINT shuts the server down, a second one ends the process at once.
pub(crate) fn shut_down_on_signals(handle: Handle) -> Result<(), Box<dyn Error>> {
    on_signals(move || handle.shutdown())
}

/// The first SIGTERM or SIGINT calls `stop`, a second one ends the process at once.
pub(crate) fn on_signals(stop: impl Fn() + Send + 'static) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
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
