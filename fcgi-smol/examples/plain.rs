//! `plain ADDR [BYTES]`: the smallest server. Every request gets BYTES (1024) times `x`; STDIN is not read.
//! It is what throughput is measured on: nothing in it but the library.

use std::process::ExitCode;
use std::sync::Arc;

use fcgi_smol::{Listener, Request, Status};
use smol::io::AsyncWriteExt;

mod common;

fn main() -> ExitCode {
    common::run("plain ADDR [BYTES]", |mut arguments| {
        let endpoint = common::address(&mut arguments)?;
        let bytes = arguments.next().map_or(Ok(1024), |bytes| bytes.parse())?;
        common::no_more(arguments)?;
        let body: Arc<[u8]> = vec![b'x'; bytes].into();
        common::serve(Listener::bind_endpoint(&endpoint)?, move |request: Request| {
            let body = Arc::clone(&body);
            async move {
                let page = request.respond(Status::OK).header("Content-Type", "text/plain");
                page?.write_all(&body).await?;
                Ok(())
            }
        })
    })
}
