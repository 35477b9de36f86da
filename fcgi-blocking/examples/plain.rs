//! `plain ADDR [BYTES]`: the smallest server. Every request gets BYTES (1024) times `x`; STDIN is not read.
//! It is what throughput is measured on: nothing in it but the library.

use std::io::Write;
use std::process::ExitCode;

use fcgi_blocking::{Request, Server, Status};

mod common;

fn main() -> ExitCode {
    let parse = |arguments| common::Address::and_number(arguments, 1024);
    common::run("plain [ADDR [BYTES]]", parse, |(address, bytes)| {
        let body = vec![b'x'; bytes];
        Ok(Server::new(address.listen()?).serve_until_signal(move |request: &mut Request| {
            let page = request.respond(Status::OK).header("Content-Type", "text/plain");
            page?.write_all(&body)?;
            Ok(())
        })?)
    })
}
