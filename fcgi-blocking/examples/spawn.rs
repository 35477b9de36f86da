//! `spawn [--workers N] [--bind ADDR] -- PROGRAM [ARG]…`: starts a FastCGI application and keeps it running.
//!
//! N (1) workers share the listening socket at ADDR (127.0.0.1:9000). SIGHUP replaces them without refusing a
//! connection; SIGTERM and SIGINT stop them. `RUST_LOG=info` shows their life.
//!
//! ```sh
//! spawn --workers 4 --bind unix:/run/php.sock -- php-cgi
//! ```

use std::error::Error;
use std::process::ExitCode;

use fcgi_blocking::{Endpoint, Listener, Process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

mod common;

fn main() -> ExitCode {
    common::run("spawn [--workers N] [--bind ADDR] -- PROGRAM [ARG]...", parse, |(process, endpoint)| {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let running = process.start(Listener::bind_endpoint(&endpoint)?)?;
        for signal in signals.forever() {
            if signal != SIGHUP {
                break;
            }
            if let Err(error) = running.replace() {
                log::error!("{error}; the old workers stay");
            }
        }
        running.stop();
        Ok(())
    })
}

fn parse(mut arguments: common::Arguments) -> Result<(Process, Endpoint), Box<dyn Error>> {
    let mut endpoint = "127.0.0.1:9000".parse()?;
    let mut workers = 1;
    while let Some(option) = arguments.next().filter(|argument| argument != "--") {
        let mut value = || arguments.next().ok_or_else(|| format!("{option}: no value"));
        match option.as_str() {
            "--workers" => workers = value()?.parse().map_err(|error| format!("--workers: {error}"))?,
            "--bind" => endpoint = value()?.parse()?,
            _ => return Err(format!("{option:?}: no such option; PROGRAM comes after --").into()),
        }
    }
    let program = arguments.next().ok_or("no PROGRAM")?;
    Ok((Process::new(program).args(arguments).workers(workers), endpoint))
}
