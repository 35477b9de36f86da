//! The loop of the crate's front page, over TCP: `cargo run --example loop [ADDRESS]`.
#![allow(missing_docs, reason = "it is a program")]

mod serve;

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, atomic::AtomicBool};
use std::thread;
use std::time::{Duration, Instant};

use serve::Transport;
use signal_hook::{consts::SIGTERM, flag::register_conditional_shutdown};

struct Socket {
    stream: TcpStream,
    begin: Instant,
}

impl Transport for Socket {
    type Error = std::io::Error;

    fn read(&mut self, buffer: &mut [u8], until: Option<Duration>) -> Result<Option<usize>> {
        // A timeout of nothing means none.
        let wait = until.map(|until| until.saturating_sub(self.now()).max(Duration::from_millis(1)));
        self.stream.set_read_timeout(wait)?;
        match self.stream.read(buffer) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            result => result.map(Some),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes)
    }

    fn shut_down(&mut self) -> Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    fn now(&self) -> Duration {
        self.begin.elapsed()
    }
}

fn main() -> Result<()> {
    register_conditional_shutdown(SIGTERM, 0, Arc::new(AtomicBool::new(true)))?; // as if it were switched off
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:9000"))?;
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        thread::spawn(move || serve::serve(&mut Socket { stream, begin: Instant::now() }));
    }
    Ok(())
}
