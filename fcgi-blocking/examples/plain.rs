//! `plain ADDR [BYTES]`: the smallest server. Every request gets BYTES (1024) times `x`; STDIN is not read.
//! It is what throughput is measured on: nothing in it but the library.

use std::io::Write;
use std::process::ExitCode;

use fcgi_blocking::{Listener, Request, Status};

mod common;

fn main() -> ExitCode {
    common::run("plain ADDR [BYTES]", |mut arguments| {
        let endpoint = common::address(&mut arguments)?;
        let bytes = arguments.next().map_or(Ok(1024), |bytes| bytes.parse())?;
        common::no_more(arguments)?;
        let body = vec![b'x'; bytes];
        common::serve(Listener::bind_endpoint(&endpoint)?, move |request: &mut Request| {
            let page = request.respond(Status::OK).header("Content-Type", "text/plain");
            page?.write_all(&body)?;
            Ok(())
        })
    })
}
