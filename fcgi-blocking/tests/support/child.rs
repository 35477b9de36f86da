//! The examples as child processes, which never outlive their test.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, thread};

use fcgi_blocking::{Endpoint, Listener, StdListener};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::executable::executable;
use super::{Client, PATIENCE};

/// A command that runs an example of this package.
pub(crate) fn example(name: &str) -> Command {
    example_of(env!("CARGO_PKG_NAME"), name)
}

/// A command that runs an example of a package.
pub(crate) fn example_of(package: &str, name: &str) -> Command {
    let mut command = Command::new(executable(package, name));
    command.env_remove("FCGI_WEB_SERVER_ADDRS").env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
    command
}

/// A running program; killed and reaped when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// What it wrote to stderr so far.
    log: Arc<Mutex<Vec<u8>>>,
    /// Tells when that was all.
    log_ends: Receiver<()>,
}

impl Process {
    /// Starts `command` with the log on a pipe.
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut pipe = child.stderr.take().expect("stderr is a pipe");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (sender, log_ends) = mpsc::channel();
        let written = Arc::clone(&log);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                written.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
            }
            sender.send(())
        });
        Self { child, log, log_ends }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the process is there");
    }

    /// What it wrote to stderr so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8(self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()).expect("text")
    }

    /// Waits for the end; returns how it ended and all that it wrote to stderr.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        self.log_ends.recv_timeout(PATIENCE).expect("the program ends in time");
        (self.child.wait().expect("it can be waited for"), self.log())
    }

    /// What Linux tells about it.
    fn about(&self, what: &str) -> PathBuf {
        format!("/proc/{}/{what}", self.child.id()).into()
    }

    /// The most memory that it has had resident so far, in KiB. Linux counts it a little inexactly, for each processor
    /// alone: a later reading may be less than an earlier one.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(self.about("status")).expect("Linux tells about processes");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("there is the line");
        line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
    }

    /// By how much its peak has grown since it was `before`, in KiB.
    pub(crate) fn memory_growth(&self, before: u64) -> u64 {
        self.peak_memory().saturating_sub(before)
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.about("fd")).expect("Linux tells about processes").count()
    }

    /// How long it has had a processor so far, in ticks, of which a second has 100.
    pub(crate) fn processor_ticks(&self) -> u64 {
        let stat = fs::read_to_string(self.about("stat")).expect("Linux tells about processes");
        let (_, fields) = stat.rsplit_once(") ").expect("the state follows the name");
        let ticks = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number"));
        ticks.sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors say that it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An example that serves a socket it inherited on descriptor 0: it can be connected to at once.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) process: Process,
    pub(crate) endpoint: Endpoint,
    _dir: TempDir,
}

impl Serving {
    pub(crate) fn unix(command: &mut Command) -> Self {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let path = dir.path().join("socket");
        let socket = UnixListener::bind(&path).expect("the path is free");
        Self::start(command, socket.into(), Endpoint::Unix(path), dir)
    }

    pub(crate) fn tcp(command: &mut Command) -> Self {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let listener = Listener::bind("127.0.0.1:0").expect("a port is free");
        let endpoint = listener.local_endpoint().expect("it has an address");
        let (StdListener::Tcp(socket), _) = listener.into_std() else { panic!("not TCP") };
        Self::start(command, socket.into(), endpoint, dir)
    }

    fn start(command: &mut Command, socket: OwnedFd, endpoint: Endpoint, dir: TempDir) -> Self {
        let process = Process::start(command.stdin(socket));
        command.stdin(Stdio::null()); // Drops the socket here: only the child is to have it.
        Self { process, endpoint, _dir: dir }
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.endpoint)
    }

    /// Ends it in good order; returns what it wrote to stderr.
    #[track_caller]
    pub(crate) fn finish(self) -> String {
        self.process.signal(Signal::TERM);
        let (status, log) = self.process.wait();
        assert_eq!(status.code(), Some(0), "{status}: {log}");
        log
    }
}
