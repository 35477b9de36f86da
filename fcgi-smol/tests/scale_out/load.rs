//! Constant load: clients that ask one idempotent request after the other, and what became of them.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::interop::process::PATIENCE;

pub(crate) const CLIENTS: usize = 6;

/// Ends when it is dropped.
pub(crate) struct Load {
    seen: Arc<Seen>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    answered: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Load {
    /// Asks the web server that listens on a Unix socket.
    pub(crate) fn on(address: &Path) -> Self {
        let seen = Arc::new(Seen::default());
        let client = |number| {
            let (seen, address) = (Arc::clone(&seen), address.to_owned());
            thread::spawn(move || seen.ask_on(number, &address))
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { seen, clients }
    }

    pub(crate) fn answered(&self) -> usize {
        self.seen.answered.load(Ordering::SeqCst)
    }

    pub(crate) fn failures(&self) -> Vec<String> {
        self.seen.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it; how many were answered.
    pub(crate) fn stop(mut self) -> usize {
        self.end();
        self.answered()
    }

    fn end(&mut self) {
        self.seen.stop.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            // It does not panic, and if it did, nothing would be answered.
            let _ = client.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

impl Seen {
    fn ask_on(&self, client: usize, address: &Path) {
        for round in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let (path, expected) = match round % 4 {
                0 => (format!("/env?{client}={round}"), format!("QUERY_STRING={client}={round}\n")),
                1 => ("/sleep/20".to_owned(), "\r\n\r\nok".to_owned()),
                2 => ("/stream/4/5".to_owned(), "\r\n\r\n1\n2\n3\n4\n".to_owned()),
                _ => (
                    format!("/bytes/{}", 20_000 + client),
                    format!("\r\n\r\n{}", "x".repeat(20_000 + client)),
                ),
            };
            match ask(address, &path) {
                Ok(answer) if answer.contains(" 200 ") && answer.contains(&expected) => {
                    self.answered.fetch_add(1, Ordering::SeqCst);
                }
                other => {
                    let failure = format!("{path}: {:.200}", format!("{other:?}"));
                    self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
                }
            }
        }
    }
}

fn ask(address: &Path, path: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
