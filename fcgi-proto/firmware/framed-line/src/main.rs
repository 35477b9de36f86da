//! The other end of the board's serial line: takes FastCGI connections, one at a time, to the line and back, in frames.
//!
//! It ends when the line does, or when that takes nothing for a while.

use std::env::args;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use framed_line::{Kind, PAYLOAD, Receiver, Sender};

/// A frame that is not whole after so much silence is wrong.
const SILENCE: Duration = Duration::from_secs(1);
/// How long the line, or a client, may take nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may take to close after the board did. What it sends meanwhile is dropped.
const LINGER: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let Some((listen, line)) = args().nth(1).zip(args().nth(2)) else {
        eprintln!("Usage: framed-line LISTEN LINE, each ADDRESS:PORT");
        return ExitCode::from(2);
    };
    if let Err(error) = run(&listen, &line) {
        eprintln!("framed-line: {error}");
    }
    ExitCode::FAILURE
}

fn run(listen: &str, line: &str) -> io::Result<()> {
    let line = TcpStream::connect(line)?;
    patient(&line)?;
    let listener = TcpListener::bind(listen)?;
    let mut frames = Frames { line: BufReader::new(&line), receiver: Receiver::new() };
    loop {
        let (client, _) = listener.accept()?;
        patient(&client)?;
        let over = OnceLock::new();
        thread::scope(|scope| {
            let up = scope.spawn(|| up(&client, &line, &over));
            let down = down(&client, &mut frames, || up.is_finished());
            over.get_or_init(Instant::now);
            down.and(up.join().expect("no panic"))
        })?;
    }
}

fn patient(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Takes what a client sends to the line, until it closes, or does not after the board did.
fn up(mut client: &TcpStream, mut line: &TcpStream, over: &OnceLock<Instant>) -> io::Result<()> {
    let mut sender = Sender::new();
    line.write_all(sender.frame(Kind::Begin, &[]))?;
    let mut buffer = [0; PAYLOAD];
    while over.get().is_none_or(|since| since.elapsed() < LINGER) {
        match client.read(&mut buffer) {
            Ok(0) => break,
            Ok(_) if over.get().is_some() => {}
            Ok(count) => line.write_all(sender.frame(Kind::Data, &buffer[..count]))?,
            Err(error) if is_timeout(&error) => {}
            Err(_) => break,
        }
    }
    line.write_all(sender.frame(Kind::End, &[]))
}

/// Takes what the board sends to the client, until it ends the connection. Where it says nothing at all, it has done so.
fn down(mut client: &TcpStream, frames: &mut Frames<'_>, has_closed: impl Fn() -> bool) -> io::Result<()> {
    let (mut begun, mut silent) = (false, false);
    loop {
        let came = frames.next()?;
        match came {
            Came::Frame(Kind::Begin) if !begun => begun = true,
            Came::Frame(Kind::Data) if begun && client.write_all(frames.receiver.payload()).is_ok() => {}
            Came::Frame(Kind::End) if begun => {
                // A client that has closed cannot be told.
                let _ = client.shutdown(Shutdown::Write);
                return Ok(());
            }
            Came::Silence if !silent || begun && !has_closed() => {}
            // What is left of an earlier connection.
            Came::Frame(_) | Came::Wrong if !begun => {}
            _ => {
                // Nothing more reaches it, and `up` ends.
                let _ = client.shutdown(Shutdown::Both);
                if came == Came::Silence {
                    return Ok(());
                }
            }
        }
        silent = came == Came::Silence;
    }
}

/// What comes by the line.
struct Frames<'l> {
    line: BufReader<&'l TcpStream>,
    receiver: Receiver,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    Frame(Kind),
    Wrong,
    Silence,
}

impl Frames<'_> {
    fn next(&mut self) -> io::Result<Came> {
        loop {
            match self.line.fill_buf() {
                Ok(&[byte, ..]) => {
                    self.line.consume(1);
                    match self.receiver.push(byte) {
                        Ok(None) => {}
                        Ok(Some(kind)) => return Ok(Came::Frame(kind)),
                        Err(_) => return Ok(Came::Wrong),
                    }
                }
                Ok([]) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the line is closed")),
                Err(error) if is_timeout(&error) && self.receiver.is_amid() => {
                    self.receiver.reset();
                    return Ok(Came::Wrong);
                }
                Err(error) if is_timeout(&error) => return Ok(Came::Silence),
                Err(error) => return Err(error),
            }
        }
    }
}
