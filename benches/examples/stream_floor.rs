//! What streams are compared with: a program that only reads and writes the socket on descriptor 0. A
//! connection begins with two numbers of 8 bytes: so many bytes come, so many are to go, and one more.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use fcgi_blocking::{Listener, Stream};

fn main() -> io::Result<()> {
    let (listener, (never, _open)) = (Listener::inherited()?, UnixStream::pair()?);
    while let Some((stream, _)) = listener.accept(&never)? {
        // One that leaves at once only wanted to know whether somebody listens.
        let _ = serve(stream);
    }
    Ok(())
}

fn serve(mut stream: Stream) -> io::Result<()> {
    let mut buffer = vec![b'x'; 64 * 1024];
    let mut numbers = [[0; 8]; 2];
    stream.read_exact(numbers.as_flattened_mut())?;
    let [mut up, mut down] = numbers.map(u64::from_be_bytes);
    while up > 0 {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        up = up.saturating_sub(count as u64);
    }
    while down > 0 {
        let count = down.min(buffer.len() as u64);
        stream.write_all(&buffer[..count as usize])?;
        down -= count;
    }
    stream.write_all(b".")
}
