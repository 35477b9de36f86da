//! What the examples share: arguments, signals, exit status.
#![allow(dead_code)] // Each example uses a part.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use fcgi_smol::{AppStatus, BoxError, Endpoint, Listener, Request, Server};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use smol::Executor;

/// The arguments of the command line.
pub(crate) type Arguments = std::iter::Skip<std::env::Args>;

/// Runs a program in two steps: `parse` makes of the command line what is then done. 2 and one line on stderr if it
/// fails, with the usage if the command line is wrong.
pub(crate) fn run<P>(
    usage: &str,
    parse: impl FnOnce(Arguments) -> Result<P, Box<dyn Error>>,
    program: impl FnOnce(P) -> Result<(), Box<dyn Error>>,
) -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    if let Some(asked) = about(usage) {
        println!("{asked}");
        return ExitCode::SUCCESS;
    }
    let parsed = parse(std::env::args().skip(1)).map_err(|error| format!("{error} (usage: {usage})").into());
    match parsed.and_then(program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// What `--help`, `-h` or `--version`, before a `--`, asks for.
pub(crate) fn about(usage: &str) -> Option<String> {
    let name = usage.split(' ').next().unwrap_or_default();
    std::env::args().skip(1).take_while(|argument| argument != "--").find_map(|argument| {
        match argument.as_str() {
            "--help" | "-h" => Some(format!("usage: {usage}")),
            "--version" => Some(format!("{name} {}", env!("CARGO_PKG_VERSION"))),
            _ => None,
        }
    })
}

/// Where to listen: ADDR, or without one the socket that is passed.
pub(crate) enum Address {
    Given(Endpoint),
    Passed(Listener),
}

impl Address {
    pub(crate) fn parse(arguments: &mut Arguments) -> Result<Self, Box<dyn Error>> {
        match arguments.next() {
            Some(address) => Ok(Self::Given(address.parse()?)),
            None => Ok(Self::Passed(Listener::passed().map_err(|why| format!("no ADDR, and {why}"))?)),
        }
    }

    pub(crate) fn listen(self) -> std::io::Result<Listener> {
        match self {
            Self::Given(address) => Listener::bind_endpoint(&address),
            Self::Passed(listener) => Ok(listener),
        }
    }
}

/// Refuses further arguments.
pub(crate) fn no_more(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    arguments.next().map_or(Ok(()), |extra| Err(format!("{extra:?}: one argument too many").into()))
}

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
