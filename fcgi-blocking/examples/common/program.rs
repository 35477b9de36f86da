//! A program: its arguments, its exit status.

use std::error::Error;
use std::process::ExitCode;

use super::{Endpoint, Listener};

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

    /// Of a program that has no other argument.
    pub(crate) fn alone(mut arguments: Arguments) -> Result<Self, Box<dyn Error>> {
        let address = Self::parse(&mut arguments)?;
        no_more(arguments)?;
        Ok(address)
    }

    /// Of a program that has a number behind it, which may be left out.
    pub(crate) fn and_number(
        mut arguments: Arguments,
        default: usize,
    ) -> Result<(Self, usize), Box<dyn Error>> {
        let address = Self::parse(&mut arguments)?;
        let number = arguments
            .next()
            .map_or(Ok(default), |text| text.parse().map_err(|_| format!("{text:?} is not a number")))?;
        no_more(arguments)?;
        Ok((address, number))
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
