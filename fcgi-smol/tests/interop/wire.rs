//! What goes between a web server and the application: connections, and which requests are active on them.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use fcgi_proto::decoder::{Decoder, Part};
use fcgi_proto::record::RecordType;

/// Passes connections on until the test process ends.
#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    connections: usize,
    /// Connection and request id, from BEGIN_REQUEST to END_REQUEST.
    active: BTreeSet<(usize, u16)>,
    /// Bytes of bodies.
    stdin: usize,
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The address to reach `app` by.
    pub(crate) fn relay(&self, app: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let wire = self.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(app) = TcpStream::connect(app) else { return };
                let connection = wire.lock().connections;
                wire.lock().connections += 1;
                let (client, app) = (Arc::new(client), Arc::new(app));
                for (from, to) in [(Arc::clone(&client), Arc::clone(&app)), (app, client)] {
                    let wire = wire.clone();
                    thread::spawn(move || {
                        // However it ends, the other side learns that it has.
                        let _ = wire.pass(connection, &from, &to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
            }
        });
        address
    }

    /// How many there ever were.
    pub(crate) fn connections(&self) -> usize {
        self.lock().connections
    }

    /// How many requests have begun and not ended.
    pub(crate) fn active(&self) -> usize {
        self.lock().active.len()
    }

    /// How many bytes of bodies were sent to the application.
    pub(crate) fn stdin(&self) -> usize {
        self.lock().stdin
    }

    /// Looks at what goes one way.
    fn pass(&self, connection: usize, mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
        let (mut decoder, mut buffer) = (Decoder::new(), vec![0; 64 << 10]);
        loop {
            let count = from.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            let mut input = &buffer[..count];
            while let Some(part) = decoder.next(&mut input).expect("both sides speak FastCGI") {
                self.lock().part(connection, part);
            }
            to.write_all(&buffer[..count])?;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn part(&mut self, connection: usize, part: Part<'_>) {
        let is = |number, record_type| number == record_type as u8;
        match part {
            Part::Body { record_type, request_id, .. } if is(record_type, RecordType::BeginRequest) => {
                assert!(self.active.insert((connection, request_id)), "{request_id} begins twice");
            }
            Part::Body { record_type, request_id, .. } if is(record_type, RecordType::EndRequest) => {
                assert!(self.active.remove(&(connection, request_id)), "{request_id} ends twice");
            }
            Part::Content { record_type, data, .. } if is(record_type, RecordType::Stdin) => {
                self.stdin += data.len();
            }
            _ => {}
        }
    }
}
