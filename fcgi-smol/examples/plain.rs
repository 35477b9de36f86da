//! `plain ADDR [BYTES]`: the smallest server. Every request gets BYTES (1024) times `x`; STDIN is not read.
//! It is what throughput is measured on: nothing in it but the library.

use std::process::ExitCode;
use std::sync::Arc;

use fcgi_smol::{Request, Status};
use smol::io::AsyncWriteExt;

mod common;

fn main() -> ExitCode {
    let parse = |mut arguments: common::Arguments| {
        let address = common::Address::parse(&mut arguments)?;
        let bytes = arguments
            .next()
            .map_or(Ok(1024), |bytes| bytes.parse().map_err(|why| format!("{bytes:?}: {why}")))?;
        common::no_more(arguments)?;
        Ok((address, bytes))
    };
    common::run("plain [ADDR [BYTES]]", parse, |(address, bytes): (_, usize)| {
        let body: Arc<[u8]> = vec![b'x'; bytes].into();
        common::serve(address.listen()?, move |request: Request| {
            let body = Arc::clone(&body);
            async move {
                let page = request.respond(Status::OK).header("Content-Type", "text/plain");
                page?.write_all(&body).await?;
                Ok(())
            }
        })
    })
}
