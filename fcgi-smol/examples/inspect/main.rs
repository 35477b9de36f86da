//! `inspect ADDR`: an application that shows and exercises everything.

use std::process::ExitCode;

mod app;
#[path = "../common/mod.rs"]
mod common;

fn main() -> ExitCode {
    let parse = |mut arguments| {
        let address = common::Address::parse(&mut arguments)?;
        common::no_more(arguments)?;
        Ok(address)
    };
    common::run("inspect [ADDR]", parse, |address| common::serve(address.listen()?, app::handle))
}
