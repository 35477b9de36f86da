//! `floor ADDR`: the floor that servers are compared with. It walks record headers only to see where a
//! request's empty STDIN is, and writes one constant answer of 1 KiB: a thread a connection, one read and one
//! write a request. No FastCGI library can do with less.

use std::io::{self, Read, Write};
use std::thread;

use benches::floor::answers;
use benches::request::answer;
use fcgi_blocking::{Listener, Stream};

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let listener = address.map_or_else(Listener::inherited, Listener::bind)?;
    let (never, _open) = std::os::unix::net::UnixStream::pair()?;
    while let Some((stream, _)) = listener.accept(&never)? {
        // The sockets of std themselves.
        match stream {
            Stream::Tcp(socket) => thread::spawn(move || serve(socket)),
            Stream::Unix(socket) => thread::spawn(move || serve(socket)),
        };
    }
    Ok(())
}

fn serve(mut stream: impl Read + Write) -> io::Result<()> {
    let (mut buffer, mut have) = (vec![0; 128 * 1024], 0);
    let (answer, mut out) = (answer(), Vec::new());
    loop {
        let count = stream.read(&mut buffer[have..])?;
        if count == 0 {
            return Ok(());
        }
        have += count;
        out.clear();
        let used = answers(&buffer[..have], &answer, &mut out)?;
        stream.write_all(&out)?;
        buffer.copy_within(used..have, 0);
        have -= used;
    }
}
