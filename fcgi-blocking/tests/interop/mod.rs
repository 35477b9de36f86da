//! The interoperability harness. It knows nothing of the crate under test but [`Subject`].
//!
//! - [`setups`]: every way a web server is connected to the application, as data;
//! - [`server`]: the scaffold that each web server needs around a snippet of `conf/`;
//! - [`site`]: one web server and its application, started, answering, ended;
//! - [`process`]: a child process that never outlives its test;
//! - [`http`]: the browser's side;
//! - [`cases`]: what must hold behind all of them.

pub(crate) mod cases;
mod http;
mod process;
mod server;
pub(crate) mod setups;
mod site;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use cases::Case;
use setups::Setup;
use site::Site;

/// The application under test.
pub(crate) struct Subject {
    /// The package whose example it is.
    pub(crate) package: &'static str,
    pub(crate) example: &'static str,
}

impl Subject {
    /// The path of the executable, built once.
    ///
    /// Cargo is asked, rather than the folder of examples searched: two packages of a workspace may
    /// have examples of the same name, and the later build of the two lies there.
    fn executable(&self) -> PathBuf {
        static PATH: OnceLock<PathBuf> = OnceLock::new();
        PATH.get_or_init(|| std::env::var_os("FCGI_INSPECT").map_or_else(|| self.build(), PathBuf::from))
            .clone()
    }

    fn build(&self) -> PathBuf {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--message-format=json-render-diagnostics"]);
        cargo.args(["-p", self.package, "--example", self.example]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let output = cargo.stderr(Stdio::inherit()).output().expect("cargo runs");
        assert!(output.status.success(), "the example {} does not build", self.example);
        let messages = String::from_utf8_lossy(&output.stdout);
        let path = messages.split_once("\"executable\":\"").and_then(|(_, rest)| rest.split_once('"'));
        path.expect("cargo names the executable").0.into()
    }
}

/// Runs `cases` in order on one instance of `setup`, and names every case that failed.
pub(crate) fn run(subject: &Subject, setup: &'static Setup, cases: &[Case]) {
    let Some(site) = Site::start(subject, setup) else { return };
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
