//! Reads a body of any length and answers as many bytes as QUERY_STRING says, with fcgi-blocking, through a
//! buffer of 64 KiB, on a listening socket on descriptor 0.

use std::io::{self, Read, Write};

use fcgi_blocking::{Listener, Request, Server, Status};

fn main() -> io::Result<()> {
    Server::new(Listener::inherited()?).serve(|request: &mut Request| {
        let mut buffer = vec![b'x'; 64 * 1024];
        let mut down = request.param_str("QUERY_STRING").and_then(|text| text.parse().ok()).unwrap_or(0_u64);
        while request.stdin().read(&mut buffer)? > 0 {}
        let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
        while down > 0 {
            let count = down.min(buffer.len() as u64);
            page.write_all(&buffer[..count as usize])?;
            down -= count;
        }
        page.flush()?;
        Ok(())
    })
}
