//! What the examples share: arguments, signals, exit status.
#![allow(dead_code)] // Each example uses a part.

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::thread;

use fcgi_blocking::{AppStatus, BoxError, Endpoint, Listener, Request, Server};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

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

/// Serves until SIGTERM or SIGINT, then shuts down gracefully; a second one ends the process at once.
pub(crate) fn serve<T: Into<AppStatus>>(
    listener: Listener,
    handler: impl Fn(&mut Request<'_>) -> Result<T, BoxError> + Sync,
) -> Result<(), Box<dyn Error>> {
    let server = Server::new(listener);
    let handle = server.handle();
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    thread::spawn(move || {
        for (count, _) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(1);
            }
            handle.shutdown();
        }
    });
    server.serve(handler).map_err(|error: io::Error| error.into())
}
