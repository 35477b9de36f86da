//! `ask [PATH]`: runs the `inspect` application on a Unix socket in a temporary folder, asks it for one page
//! the way a web server does, and prints the answer.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::{env, thread};

use fcgi_blocking::{Listener, RequestId, Role, Server};
use fcgi_proto::decoder::{Decoder, Part};
use fcgi_proto::pair;
use fcgi_proto::record::{BeginRequest, Flags, Header, Record, RecordType};

#[path = "inspect/app.rs"]
mod app;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).unwrap_or_else(|| "/env".to_owned());
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("inspect.sock");
    let server = Server::new(Listener::bind_unix(&socket, 0o600)?);
    let handle = server.handle();
    let application = thread::spawn(move || server.serve(app::handle));
    let answer = UnixStream::connect(&socket).and_then(|stream| ask(stream, &path));
    handle.shutdown();
    application.join().expect("the application does not panic")?;
    Ok(answer?)
}

/// Sends one GET request and prints what comes back.
fn ask(mut stream: UnixStream, path: &str) -> io::Result<()> {
    let id = RequestId::ONE;
    let variables = [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", path),
        ("HTTP_USER_AGENT", "ask"),
    ];
    let mut params = vec![0; 1024 + path.len()];
    let mut len = 0;
    for (name, value) in variables {
        pair::encode(name.as_bytes(), value.as_bytes(), &mut params, &mut len).map_err(io::Error::other)?;
    }
    let begin = BeginRequest { role: Role::Responder as u16, flags: Flags(0) }.encode();
    let (params, _) = Record::stream(RecordType::Params, id, &params[..len]);
    let mut request = Header::new(RecordType::BeginRequest, id.get(), 8).encode().to_vec();
    request.extend(begin);
    request.extend(params.slices().concat());
    request.extend(Header::new(RecordType::Params, id.get(), 0).encode());
    request.extend(Header::new(RecordType::Stdin, id.get(), 0).encode());
    stream.write_all(&request)?;

    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?; // KEEP_CONN is clear, so the application closes
    stream.shutdown(Shutdown::Both)?;
    let mut input = answer.as_slice();
    let mut decoder = Decoder::new();
    while let Some(part) = decoder.next(&mut input).map_err(io::Error::other)? {
        match part {
            Part::Content { record_type, data, .. } if record_type == RecordType::Stdout as u8 => {
                io::stdout().write_all(data)?;
            }
            Part::Content { data, .. } => io::stderr().write_all(data)?,
            Part::Header(_) | Part::Body { .. } => {}
        }
    }
    Ok(())
}
