//! The examples as child processes, which never outlive their test.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::{env, fs, thread};

use fcgi_blocking::{Endpoint, Listener, StdListener};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Client, PATIENCE};

/// An example's executable, which `cargo test` builds.
pub(crate) fn example(name: &str) -> Command {
    let test = env::current_exe().expect("this program has a path");
    let profile = test.ancestors().nth(2).expect("it is in PROFILE/deps");
    let path: PathBuf = profile.join("examples").join(name);
    assert!(path.exists(), "{} is not built: run `cargo build --examples`", path.display());
    let mut command = Command::new(path);
    command.env_remove("FCGI_WEB_SERVER_ADDRS").env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
    command
}

/// A running program; killed and reaped when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts `command` with the log on a pipe.
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
        Self { child: command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")) }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the process is there");
    }

    /// Waits for the end; returns how it ended and all that it wrote to stderr.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut pipe = self.child.stderr.take().expect("stderr is a pipe");
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut text = String::new();
            sender.send(pipe.read_to_string(&mut text).map(|_| text))
        });
        let text = receiver.recv_timeout(PATIENCE).expect("the program ends in time").expect("text");
        (self.child.wait().expect("it can be waited for"), text)
    }

    /// The most memory that it has had resident so far, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("Linux tells about processes");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("there is the line");
        line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
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
