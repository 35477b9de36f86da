//! `fetch ADDR SCRIPT_NAME [NAME=VALUE]…`: curl for FastCGI. Prints the answer's head and body on stdout and
//! STDERR on stderr, and exits with the application status (at most 125), 126 for a refused request, 255 for
//! a transport or protocol error. It ends quietly when nobody reads its answer any more.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use fcgi_smol::{Client, ClientError, ClientSettings, Endpoint, Params, Response, Role};
use lexopt::{Arg, ValueExt};
use smol::fs::File;
use smol::io::AsyncReadExt;

const USAGE: &str = "fetch ADDR SCRIPT_NAME [NAME=VALUE]... [--body FILE|-] \
    [--role authorizer|filter] [--data FILE], or fetch ADDR --values";

const REFUSED: u8 = 126;
const FAILED: u8 = 255;

mod common;

fn main() -> ExitCode {
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
    let result = smol::block_on(async {
        if arguments.values { values(arguments.address).await } else { fetch(arguments).await }
    });
    match result {
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
fn put(out: &mut impl Write, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Unread.into()),
        done => Ok(done?),
    }
}

struct Arguments {
    address: Endpoint,
    script: String,
    variables: Vec<(String, String)>,
    body: Option<String>,
    data: Option<String>,
    role: Role,
    values: bool,
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
}

async fn values(address: Endpoint) -> Result<u8, Box<dyn Error>> {
    let mut out = io::stdout().lock();
    for (name, value) in client(address).values().await? {
        put(&mut out, &[&name[..], b"=", &value, b"\n"].concat())?;
    }
    Ok(0)
}

fn client(address: Endpoint) -> Client {
    Client::with_settings(address, ClientSettings::default())
}

async fn fetch(arguments: Arguments) -> Result<u8, Box<dyn Error>> {
    let Arguments { address, script, variables, body, data, role, .. } = arguments;
    let method = if body.is_some() { "POST" } else { "GET" };
    let params = variables
        .into_iter()
        .fold(Params::new(method, &script), |params, (name, value)| params.set(name, value));
    let client = client(address);
    let mut request = client.request(params).role(role).keep_conn(false);
    request = match body.as_deref() {
        None => request,
        Some("-") => request.spooled(smol::Unblock::new(io::stdin())).await?,
        Some(path) => {
            let (file, length) = open(path).await?;
            request.body(file, length)
        }
    };
    if let Some(path) = data {
        let (file, length) = open(&path).await?;
        request = request.data(file, length);
    }
    let request = request.stderr(|bytes| _ = io::stderr().write_all(bytes));
    print(request.send().await?).await
}

async fn open(path: &str) -> io::Result<(File, u64)> {
    let file = File::open(path).await;
    let file = file.map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
    let length = file.metadata().await?.len();
    Ok((file, length))
}

async fn print(mut response: Response<'_>) -> Result<u8, Box<dyn Error>> {
    let mut out = io::stdout().lock();
    let mut head = format!("Status: {} ", response.status().code()).into_bytes();
    head.extend(response.head().reason());
    for (name, value) in response.fields() {
        head.extend([b"\r\n", name, b": ", value].concat());
    }
    head.extend(b"\r\n\r\n");
    put(&mut out, &head)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match response.read(&mut buffer).await? {
            0 => break,
            count => put(&mut out, &buffer[..count])?,
        }
    }
    let end = response.end().ok_or(ClientError::Truncated)?;
    match end.refusal {
        Some(status) => {
            eprintln!("fetch: {}", ClientError::Refused(status));
            Ok(REFUSED)
        }
        None => Ok(u8::try_from(end.app_status).map_or(125, |status| status.min(125))),
    }
}
