//! The harness.
//!
//! - [`setups`]: every back end and how it is started, as data;
//! - [`tools`]: what of this machine they are made with;
//! - [`site`]: one back end, started, answering, ended;
//! - [`web`]: the web server's side, which is all that knows the client under test;
//! - [`wire`]: records that the client cannot be made to send, and a relay that counts connections;
//! - [`cases`]: what must hold with all of them;
//! - [`tests`]: all of it.

pub(crate) mod cases;
#[path = "../support/executable.rs"]
mod executable;
#[path = "../interop/process.rs"]
mod process;
pub(crate) mod setups;
mod site;
#[path = "../support/skipped.rs"]
mod skipped;
mod tests;
mod tools;
mod web;
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};

use cases::Case;
use setups::Setup;
use site::Site;
use skipped::skipped;

/// Runs `cases` in order on one instance of `setup`, and names every case that failed.
pub(crate) fn run(setup: &'static Setup, cases: &[Case]) {
    let site = match Site::start(setup) {
        Ok(site) => site,
        Err(reason) => {
            let required = std::env::var("FCGI_REQUIRE_INTEROP").is_ok_and(|value| value == "1");
            assert!(!required, "{}: {reason}", setup.name);
            return skipped(reason);
        }
    };
    let mut failed = Vec::new();
    for case in cases {
        if let Some(reason) = (case.skip)(setup) {
            eprintln!("{}: {}: skipped: {reason}", setup.name, case.name);
        } else if catch_unwind(AssertUnwindSafe(|| (case.run)(&site))).is_err() {
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "{}: failed: {failed:?}\n{}", setup.name, site.log());
}
