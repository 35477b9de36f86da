//! `inspect ADDR`: an application that shows and exercises everything.

use std::process::ExitCode;

use fcgi_smol::Listener;

mod app;
#[path = "../common/mod.rs"]
mod common;

fn main() -> ExitCode {
    common::run("inspect ADDR", |mut arguments| {
        let endpoint = common::address(&mut arguments)?;
        common::no_more(arguments)?;
        common::serve(Listener::bind_endpoint(&endpoint)?, app::handle)
    })
}
