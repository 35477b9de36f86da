//! `plain ADDR [BYTES]`: the smallest server. Every request gets BYTES (1024) times `x`; STDIN is not read.
//! It is what throughput is measured on: nothing in it but the library.

use std::process::ExitCode;
use std::sync::Arc;

use fcgi_smol::{Request, Status};
use smol::io::AsyncWriteExt;

mod common;

fn main() -> ExitCode {
    let parse = |arguments| common::Address::and_number(arguments, 1024);
    common::run("plain [ADDR [BYTES]]", parse, |(address, bytes)| {
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
