//! `inspect ADDR`: an application that shows and exercises everything.

use std::process::ExitCode;

use fcgi_blocking::Server;

mod app;
#[path = "../common/mod.rs"]
mod common;

fn main() -> ExitCode {
    common::run("inspect [ADDR]", common::Address::alone, |address| {
        Ok(Server::new(address.listen()?).serve_until_signal(app::handle)?)
    })
}
