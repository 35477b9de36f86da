//! `inspect ADDR`: an application that shows and exercises everything.

use std::process::ExitCode;

use fcgi_blocking::Server;

mod app;
#[path = "../common/mod.rs"]
mod common;

fn main() -> ExitCode {
    let parse = |mut arguments| {
        let address = common::Address::parse(&mut arguments)?;
        common::no_more(arguments)?;
        Ok(address)
    };
    common::run("inspect [ADDR]", parse, |address| {
        Ok(Server::new(address.listen()?).serve_until_signal(app::handle)?)
    })
}
