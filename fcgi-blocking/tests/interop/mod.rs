//! The interoperability harness. It knows nothing of the crate under test but [`Subject`].
//!
//! - [`setups`]: every way a web server is connected to the application, as data;
//! - [`server`]: the scaffold that each web server needs around a snippet of `conf/`;
//! - [`site`]: one web server and its application, started, answering, ended;
//! - [`process`]: a child process that never outlives its test;
//! - [`http`]: the browser's side;
//! - [`nginx`]: what nginx does with answers and no other;
//! - [`cases`]: what must hold behind all of them.

pub(crate) mod cases;
#[path = "../support/executable.rs"]
mod executable;
pub(crate) mod http;
pub(crate) mod nginx;
pub(crate) mod process;
pub(crate) mod server;
pub(crate) mod setups;
pub(crate) mod site;
#[path = "../support/skipped.rs"]
pub(crate) mod skipped;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use cases::Case;
use executable::executable;
use setups::Setup;
use site::Site;

/// The application under test.
pub(crate) struct Subject {
    /// The package whose example it is.
    pub(crate) package: &'static str,
    pub(crate) example: &'static str,
}

impl Subject {
    pub(crate) fn executable(&self) -> PathBuf {
        let given = (self.example == "inspect").then(|| std::env::var_os("FCGI_INSPECT")).flatten();
        let given = given.map(PathBuf::from);
        given.unwrap_or_else(|| executable(self.package, self.example))
    }
}

/// Runs `cases` in order on one instance of `setup`, and names every case that failed.
pub(crate) fn run(subject: &Subject, setup: &'static Setup, cases: &[Case]) {
    run_via(subject, setup, |app| app, cases);
}

/// The same, with the web server connected to what `relay` makes of the application's address.
pub(crate) fn run_via(
    subject: &Subject,
    setup: &'static Setup,
    relay: impl FnOnce(SocketAddr) -> SocketAddr,
    cases: &[Case],
) {
    let Some(site) = Site::start_via(subject, setup, relay) else { return };
    let mut failed = Vec::new();
    for case in cases {
        if let Some(reason) = (case.skip)(setup) {
            eprintln!("{}: {}: skipped: {reason}", setup.name, case.name);
        } else if catch_unwind(AssertUnwindSafe(|| (case.run)(&site))).is_err() {
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "{}: failed: {failed:?}\n{}", setup.name, site.logs());
    site.finish();
}
