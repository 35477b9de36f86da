//! `floor ADDR`: the floor that servers are compared with. It walks record headers only to see where a
//! request's empty STDIN is, and writes one constant answer of 1 KiB: a thread a connection, one read and one
//! write a request. No FastCGI library can do with less.

use std::io::{self, Read, Write};
use std::thread;

use benches::request::{answer, stamp};
use fcgi_blocking::{Listener, Stream};
use fcgi_proto::record::{HEADER_LEN, RecordType, RequestId};

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
    let mut answer = answer();
    loop {
        let count = stream.read(&mut buffer[have..])?;
        if count == 0 {
            return Ok(());
        }
        have += count;
        let mut at = 0;
        while let Some((header, _)) = buffer[at..have].split_first_chunk::<HEADER_LEN>() {
            let [_, record_type, id1, id0, length1, length0, padding, _] = *header;
            let length = usize::from(u16::from_be_bytes([length1, length0]));
            let all = HEADER_LEN + length + usize::from(padding);
            if at + all > have {
                break;
            }
            at += all;
            if record_type == RecordType::Stdin as u8 && length == 0 {
                let id = RequestId::new(u16::from_be_bytes([id1, id0])).ok_or(io::ErrorKind::InvalidData)?;
                stamp(&mut answer, id);
                stream.write_all(&answer)?;
            }
        }
        buffer.copy_within(at..have, 0);
        have -= at;
    }
}
