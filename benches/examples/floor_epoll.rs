//! `floor_epoll ADDR`: the floor that event loops are compared with. As `floor`, on epoll with two threads: each
//! accepts for itself, and the answers of one read leave in one write.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use benches::floor::answers;
use benches::request::answer;
use fcgi_blocking::{Listener, StdListener};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::AsFd;

const THREADS: usize = 2;

/// The event of the listening socket.
const LISTENER: u64 = u64::MAX;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let (listener, _file) = address.map_or_else(Listener::inherited, Listener::bind)?.into_std();
    match &listener {
        StdListener::Tcp(socket) => socket.set_nonblocking(true)?,
        StdListener::Unix(socket) => socket.set_nonblocking(true)?,
    }
    let listener = Arc::new(listener);
    let threads = [(); THREADS].map(|()| {
        let listener = listener.clone();
        thread::spawn(move || turn(&listener))
    });
    threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Err(io::ErrorKind::Other.into())))
}

/// The socket, and the first bytes of a record that is not whole.
struct Connection {
    stream: Box<dyn Duplex>,
    rest: Vec<u8>,
}

trait Duplex: Read + Write + AsFd {}

impl Duplex for TcpStream {}
impl Duplex for UnixStream {}

fn turn(listener: &StdListener) -> io::Result<()> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let flags = EventFlags::IN | EventFlags::EXCLUSIVE;
    match listener {
        StdListener::Tcp(socket) => epoll::add(&poll, socket, EventData::new_u64(LISTENER), flags)?,
        StdListener::Unix(socket) => epoll::add(&poll, socket, EventData::new_u64(LISTENER), flags)?,
    }
    let mut connections = BTreeMap::new();
    let (mut number, mut buffer, answer) = (0, vec![0; 256 * 1024], answer());
    let (mut events, mut out) = (Vec::with_capacity(64), Vec::new());
    loop {
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            let data = event.data;
            if data.u64() == LISTENER {
                if let Some(stream) = accept(listener)? {
                    epoll::add(&poll, stream.as_fd(), EventData::new_u64(number), EventFlags::IN)?;
                    connections.insert(number, Connection { stream, rest: Vec::new() });
                    number += 1;
                }
                continue;
            }
            let connection = connections.get_mut(&data.u64());
            if connection.is_some_and(|connection| serve(connection, &mut buffer, &answer, &mut out).is_err())
            {
                connections.remove(&data.u64());
            }
        }
    }
}

fn accept(listener: &StdListener) -> io::Result<Option<Box<dyn Duplex>>> {
    let accepted: io::Result<Box<dyn Duplex>> = match listener {
        StdListener::Tcp(socket) => socket.accept().and_then(|(stream, _)| {
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as _)
        }),
        StdListener::Unix(socket) => socket.accept().map(|(stream, _)| Box::new(stream) as _),
    };
    match accepted {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// One read and one write. The sockets block: the answers of one read have room.
fn serve(connection: &mut Connection, buffer: &mut [u8], answer: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let have = connection.rest.len();
    buffer[..have].copy_from_slice(&connection.rest);
    let count = connection.stream.read(&mut buffer[have..])?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    out.clear();
    let used = answers(&buffer[..have + count], answer, out)?;
    connection.rest.clear();
    connection.rest.extend_from_slice(&buffer[used..have + count]);
    connection.stream.write_all(out)
}
