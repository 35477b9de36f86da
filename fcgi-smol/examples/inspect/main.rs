//! `inspect ADDR`: an application that shows and exercises everything.

use std::process::ExitCode;

mod app;
#[path = "../common/mod.rs"]
mod common;

fn main() -> ExitCode {
    common::run("inspect [ADDR]", common::Address::alone, |address| {
        common::serve(address.listen()?, app::handle)
    })
}
