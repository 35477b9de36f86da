//! What is the same on threads and on smol: the command line, what is printed, the exit status.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use fcgi_proto::cgi::ResponseHead;
use lexopt::{Arg, ValueExt};

use super::{ClientError, End, Endpoint, Params, Role, common};

const USAGE: &str = "fetch ADDR SCRIPT_NAME [NAME=VALUE]... [--body FILE|-] \
    [--role authorizer|filter] [--data FILE], or fetch ADDR --values";

const REFUSED: u8 = 126;
const FAILED: u8 = 255;

/// Runs what the command line asks for, and exits with the status that it returns.
pub(crate) fn run(program: impl FnOnce(Arguments) -> Result<u8, Box<dyn Error>>) -> ExitCode {
    if let Some(asked) = common::about(USAGE) {
        println!("{asked}");
        return ExitCode::SUCCESS;
    }
    let arguments = match Arguments::parse(lexopt::Parser::from_env()) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error} (usage: {USAGE})");
            return ExitCode::from(2);
        }
    };
    match program(arguments) {
        Ok(status) => ExitCode::from(status),
        Err(error) if error.is::<Unread>() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fetch: {error}");
            let refused = matches!(error.downcast_ref(), Some(ClientError::Refused(_)));
            ExitCode::from(if refused { REFUSED } else { FAILED })
        }
    }
}

/// Nobody reads what is printed any more.
#[derive(Debug)]
struct Unread;

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nobody reads the answer")
    }
}

impl Error for Unread {}

/// Prints at once.
pub(crate) fn put(out: &mut impl Write, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Unread.into()),
        done => Ok(done?),
    }
}

/// Prints the head of an answer.
pub(crate) fn put_head(out: &mut impl Write, head: &ResponseHead<Box<[u8]>>) -> Result<(), Box<dyn Error>> {
    let mut lines = format!("Status: {} ", head.status().code()).into_bytes();
    lines.extend(head.reason());
    for (name, value) in head.fields() {
        lines.extend([b"\r\n", name, b": ", value].concat());
    }
    lines.extend(b"\r\n\r\n");
    put(out, &lines)
}

/// The exit status of an answer that ended so.
pub(crate) fn status(end: Option<End>) -> Result<u8, ClientError> {
    let end = end.ok_or(ClientError::Truncated)?;
    match end.refusal {
        Some(refusal) => Err(ClientError::Refused(refusal)),
        None => Ok(u8::try_from(end.app_status).map_or(125, |status| status.min(125))),
    }
}

pub(crate) struct Arguments {
    pub(crate) address: Endpoint,
    script: String,
    variables: Vec<(String, String)>,
    pub(crate) body: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) role: Role,
    pub(crate) values: bool,
}

impl Arguments {
    fn parse(mut parser: lexopt::Parser) -> Result<Self, Box<dyn Error>> {
        let mut words = Vec::new();
        let mut variables = Vec::new();
        let (mut body, mut data, mut role, mut values) = (None, None, Role::Responder, false);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("body") => body = Some(parser.value()?.string()?),
                Arg::Long("data") => data = Some(parser.value()?.string()?),
                Arg::Long("values") => values = true,
                Arg::Long("role") => {
                    role = match parser.value()?.string()?.as_str() {
                        "authorizer" => Role::Authorizer,
                        "filter" => Role::Filter,
                        other => return Err(format!("{other:?} is not a role").into()),
                    }
                }
                Arg::Value(word) => {
                    let word = word.string()?;
                    match word.split_once('=') {
                        Some((name, value)) if words.len() == 2 => {
                            variables.push((name.to_owned(), value.to_owned()));
                        }
                        _ => words.push(word),
                    }
                }
                other => return Err(other.unexpected().into()),
            }
        }
        let mut words = words.into_iter();
        let address: Endpoint = words.next().ok_or("no ADDR")?.parse()?;
        if address == Endpoint::Inherited {
            return Err("fd:0 is not to be connected to".into());
        }
        let script = words.next().or(values.then(String::new)).ok_or("no SCRIPT_NAME")?;
        match words.next() {
            Some(word) => Err(format!("{word:?} is not NAME=VALUE").into()),
            None => Ok(Self { address, script, variables, body, data, role, values }),
        }
    }

    /// The request's variables.
    pub(crate) fn params(&self) -> Params {
        let method = if self.body.is_some() { "POST" } else { "GET" };
        let params = Params::new(method, &self.script);
        self.variables.iter().fold(params, |params, (name, value)| params.set(name, value))
    }
}
