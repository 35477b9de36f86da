//! `fetch ADDR SCRIPT_NAME [NAME=VALUE]…`: curl for FastCGI. Prints the answer's head and body on stdout and
//! STDERR on stderr, and exits with the application status (at most 125), 126 for a refused request, 255 for
//! a transport or protocol error. It ends quietly when nobody reads its answer any more.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use fcgi_blocking::{Client, ClientError, ClientSettings, End, Endpoint, Params, Response, Role};

#[path = "../common/mod.rs"]
mod common;
mod program;

use program::{Arguments, put, put_head, status};

fn main() -> ExitCode {
    program::run(|arguments| if arguments.values { values(arguments.address) } else { fetch(arguments) })
}

fn values(address: Endpoint) -> Result<u8, Box<dyn Error>> {
    let mut out = io::stdout().lock();
    for (name, value) in client(address).values()? {
        put(&mut out, &[&name[..], b"=", &value, b"\n"].concat())?;
    }
    Ok(0)
}

fn client(address: Endpoint) -> Client {
    Client::with_settings(address, ClientSettings::default())
}

fn fetch(arguments: Arguments) -> Result<u8, Box<dyn Error>> {
    let params = arguments.params();
    let Arguments { address, body, data, role, .. } = arguments;
    let client = client(address);
    let mut request = client.request(params).role(role).keep_conn(false);
    request = match body.as_deref() {
        None => request,
        Some("-") => request.spooled(io::stdin())?,
        Some(path) => {
            let (file, length) = open(path)?;
            request.body(file, length)
        }
    };
    if let Some(path) = data {
        let (file, length) = open(&path)?;
        request = request.data(file, length);
    }
    let request = request.stderr(|bytes| _ = io::stderr().write_all(bytes));
    print(request.send()?)
}

fn open(path: &str) -> io::Result<(File, u64)> {
    let file = File::open(path).map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

fn print(mut response: Response<'_>) -> Result<u8, Box<dyn Error>> {
    let mut out = io::stdout().lock();
    put_head(&mut out, response.head())?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match response.read(&mut buffer)? {
            0 => break,
            count => put(&mut out, &buffer[..count])?,
        }
    }
    Ok(status(response.end())?)
}
