//! What a browser meets: the example `gateway`, and what stands behind it. Nothing outlives its test.
#![allow(dead_code, clippy::duplicate_mod)] // Each file of tests uses a part, and some have one from elsewhere too.

#[path = "../../../fcgi-blocking/tests/interop/http.rs"]
pub(crate) mod http;
#[path = "../../../fcgi-blocking/tests/interop/process.rs"]
pub(crate) mod process;
#[path = "../../../fcgi-blocking/tests/support/skipped.rs"]
mod skipped;
#[path = "../../../fcgi-blocking/tests/backends/tools.rs"]
pub(crate) mod tools;

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use http::Browser;
use process::{Process, brought_to, hand_over, wait_until};
use tempfile::TempDir;

use crate::executable::executable;

/// The example `gateway`, on a port of its own.
pub(crate) struct Gateway {
    process: Process,
    pub(crate) address: SocketAddr,
    /// With its log, and what it makes itself.
    pub(crate) dir: TempDir,
}

impl Gateway {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let dir = folder();
        let command = example("gateway", dir.path());
        Self::run(command, dir, arguments)
    }

    /// One that makes its temporary files in this folder.
    pub(crate) fn with_folder(temporary: &str, arguments: &[&str]) -> Self {
        let dir = folder();
        let mut command = example("gateway", dir.path());
        command.env("TMPDIR", temporary);
        Self::run(command, dir, arguments)
    }

    /// One that may have so many descriptors.
    pub(crate) fn with_descriptors(count: u64, arguments: &[&str]) -> Self {
        let dir = folder();
        let program = example("gateway", dir.path());
        let mut command = tools::command(Path::new("/bin/sh"));
        command.env("TMPDIR", dir.path().join("tmp"));
        command.args(["-c", &format!("ulimit -n {count}; exec \"$@\""), "sh"]).arg(program.get_program());
        Self::run(command, dir, arguments)
    }

    fn run(mut command: Command, dir: TempDir, arguments: &[&str]) -> Self {
        let log = dir.path().join("log");
        let process = Process::start(command.args(["--listen", "127.0.0.1:0"]).args(arguments), &log);
        let mut address = None;
        wait_until(|| {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let line = text.split_once("Open http://").and_then(|(_, rest)| rest.split_once('/'));
            address = line.map(|(address, _)| address.parse().expect("an address"));
            address.is_some() || !process.is_running()
        });
        let log = fs::read_to_string(&log);
        Self { process, address: address.unwrap_or_else(|| panic!("it says where it is: {log:?}")), dir }
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).expect("it has a log")
    }

    /// Ends it with SIGTERM.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.process.stop()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_running()
    }

    pub(crate) fn terminate(&self) {
        self.process.terminate();
    }
}

/// The example `inspect`, on a Unix socket.
pub(crate) struct Inspect {
    process: Option<Process>,
    dir: TempDir,
}

impl Inspect {
    pub(crate) fn start() -> Self {
        let mut inspect = Self { process: None, dir: folder() };
        inspect.restart();
        inspect
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.socket().to_str().expect("temporary paths are UTF-8"))
    }

    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    pub(crate) fn restart(&mut self) {
        let mut command = example("inspect", self.dir.path());
        command.arg(self.socket());
        self.process = Some(Process::start(&mut command, &self.dir.path().join("log")));
        assert!(wait_until(|| UnixStream::connect(self.socket()).is_ok()), "inspect accepts");
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }
}

/// php-fpm, and a folder of pages.
pub(crate) struct Fpm {
    _process: Process,
    dir: TempDir,
}

impl Fpm {
    /// With these pages, `(name, text)`; or why it cannot be started here.
    pub(crate) fn start(pages: &[(&str, &str)]) -> Result<Self, String> {
        Self::with_children(2, pages)
    }

    /// With so many children.
    pub(crate) fn with_children(children: usize, pages: &[(&str, &str)]) -> Result<Self, String> {
        let program = tools::program(&["php-fpm", "php-fpm8.4", "php-fpm8.3", "php-fpm8.2"])?;
        let dir = folder();
        for (name, text) in pages {
            let path = dir.path().join("www").join(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder can be made");
            fs::write(path, text).expect("a page can be written");
        }
        let socket = dir.path().join("socket");
        let config = include_str!("../../../fcgi-blocking/tests/backends/apps/fpm.conf");
        let config = config.replace("{listen}", socket.to_str().expect("temporary paths are UTF-8"));
        fs::write(dir.path().join("fpm.conf"), config.replace("{children}", &children.to_string()))
            .expect("it can be written");
        let mut command = tools::command(&program);
        // Sessions lie there.
        command.env("TMPDIR", dir.path()).args(["-n", "--nodaemonize", "--fpm-config"]);
        let process = Process::start(command.arg(dir.path().join("fpm.conf")), &dir.path().join("log"));
        let log = fs::read_to_string(dir.path().join("log"));
        assert!(wait_until(|| UnixStream::connect(&socket).is_ok()), "php-fpm accepts: {log:?}");
        Ok(Self { _process: process, dir })
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("www").canonicalize().expect("it is there")
    }

    /// A gateway in front of it.
    pub(crate) fn gateway(&self) -> Gateway {
        self.gateway_with(&[])
    }

    pub(crate) fn gateway_with(&self, arguments: &[&str]) -> Gateway {
        let socket = self.dir.path().join("socket");
        let [socket, root] = [socket, self.root()].map(|path| path.to_str().expect("UTF-8").to_owned());
        Gateway::start(&[&["--app", &socket, "--root", &root], arguments].concat())
    }
}

/// Prints why a test is skipped; fails if nothing may be.
pub(crate) fn skip(reason: &str) {
    let required = std::env::var("FCGI_REQUIRE_INTEROP").is_ok_and(|value| value == "1");
    assert!(!required, "{reason}");
    skipped::skipped(reason);
}

/// A folder for whoever the programs run as.
pub(crate) fn folder() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    hand_over(dir.path());
    dir
}

pub(crate) fn example(name: &str, dir: &Path) -> Command {
    let program = brought_to(dir, &executable(env!("CARGO_PKG_NAME"), name));
    let mut command = tools::command(&program);
    // What it makes is seen, and goes with the folder.
    let own = dir.join("tmp");
    match fs::create_dir(&own) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => panic!("{}: {error}", own.display()),
        _ => hand_over(&own),
    }
    command.env("TMPDIR", own);
    command
}
