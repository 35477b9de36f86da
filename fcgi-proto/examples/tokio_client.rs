//! Asks an application, such as php-fpm, on tokio: one connection, which is kept. Each BODY is posted to the script.
//! `cargo run --example tokio_client ADDRESS SCRIPT URI BODY…`; ADDRESS is `127.0.0.1:9000` or `unix:/run/app.sock`.

use std::error::Error;
use std::io::{self, Write};
use std::{env, ops::Range, sync::LazyLock, time::Duration, time::Instant};

use fcgi_proto::client::{Ask, Input, Session, Settings};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::{TcpStream, UnixStream};
use tokio::{select, time::sleep};

fn now() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

/// A connection to an application.
struct Client<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    session: Session<1>,
    buffer: Vec<u8>,
    unread: Range<usize>,
    out: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite> Client<S> {
    fn new(stream: S) -> Self {
        let ((reader, writer), session) = (split(stream), Session::new(Settings::new()));
        Self { reader, writer, session, buffer: vec![0; 64 * 1024], unread: 0..0, out: Vec::new() }
    }

    /// Posts `body`, and returns the answer: a CGI head and a body, see `fcgi_proto::cgi::Response`.
    async fn post(&mut self, script: &str, uri: &str, mut body: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
        let (mut ask, length) = (Ask::new(b"POST"), body.len().to_string());
        ask.stdin = body.len() as u64;
        let pairs = [
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_URI", uri),
            ("SCRIPT_NAME", uri),
            ("SCRIPT_FILENAME", script),
            ("CONTENT_TYPE", "application/octet-stream"),
            ("CONTENT_LENGTH", &length),
        ];
        let pairs = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let request = self.session.begin_with(ask, pairs, &mut self.out, now())?;
        let mut answer = Vec::new();
        let end = loop {
            let mut rest = &self.buffer[self.unread.clone()];
            while let Some(came) = self.session.receive(&mut rest, now()) {
                match came {
                    Input::Stdout { request, data } => {
                        answer.extend_from_slice(data);
                        self.session.took(request, data.len(), now());
                    }
                    Input::Stderr { data, .. } => io::stderr().write_all(data)?,
                    _ => {}
                }
            }
            self.unread.start = self.unread.end - rest.len();
            if let Some(end) = self.session.poll(request, now())? {
                break end;
            }
            while self.session.wants(request) > 0 {
                let (piece, rest) = self.session.write(request, body, now())?;
                piece.slices().iter().for_each(|slice| self.out.extend_from_slice(slice));
                body = rest;
            }
            self.turn().await;
        };
        let _ = self.session.leave(request, now()); // it ended: there is nothing to be sent
        end.refusal.map_or(Ok(answer), |why| Err(format!("the application refused: {why:?}").into()))
    }

    /// Does what the session wants of the connection.
    async fn turn(&mut self) {
        let next = self.session.next();
        select! {
            result = self.writer.write(&self.out), if next.write => match result {
                Ok(count) => self.session.sent(self.out.drain(..count).len(), now()),
                Err(_) => self.session.unwritable(now()),
            },
            result = self.reader.read(&mut self.buffer), if next.read && self.unread.is_empty() => match result {
                Ok(0) => self.session.end_of_input(),
                Ok(count) => self.unread = 0..count,
                Err(_) => self.session.broken(),
            },
            () = sleep(next.at.unwrap_or_default().saturating_sub(now())), if next.at.is_some() => {
                self.session.expire(now());
            }
        }
    }
}

async fn post_all<S: AsyncRead + AsyncWrite>(stream: S, args: &[String]) -> Result<(), Box<dyn Error>> {
    let [_, _, script, uri, bodies @ ..] = args else { unreachable!("they were counted") };
    let mut client = Client::new(stream);
    for body in bodies {
        // It fails on a connection that the application did not keep: whoever asks again makes a new one.
        let answer = client.post(script, uri, body.as_bytes()).await?;
        io::stdout().write_all(&answer)?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().collect();
    let [_, address, _, _, _, ..] = &args[..] else {
        return Err("ADDRESS, SCRIPT, URI and BODY are missing".into());
    };
    match address.strip_prefix("unix:") {
        Some(path) => post_all(UnixStream::connect(path).await?, &args).await,
        None => post_all(TcpStream::connect(address).await?, &args).await,
    }
}
