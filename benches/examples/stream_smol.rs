//! Reads a body of any length and answers as many bytes as QUERY_STRING says, with fcgi-smol, through a buffer
//! of 64 KiB, on a listening socket on descriptor 0.

use std::io;

use fcgi_smol::{Listener, Request, Server, Status};
use smol::Executor;
use smol::io::{AsyncReadExt, AsyncWriteExt};

fn main() -> io::Result<()> {
    let server = Server::new(Listener::inherited()?)?;
    let executor = Executor::new();
    smol::block_on(executor.run(server.serve(&executor, |request: Request| async move {
        let mut buffer = vec![b'x'; 64 * 1024];
        let mut down = request.param_str("QUERY_STRING").and_then(|text| text.parse().ok()).unwrap_or(0_u64);
        while request.stdin().read(&mut buffer).await? > 0 {}
        let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
        while down > 0 {
            let count = down.min(buffer.len() as u64);
            page.write_all(&buffer[..count as usize]).await?;
            down -= count;
        }
        page.flush().await?;
        Ok(())
    })))
}
