//! The servers that are measured, each a child process with its listening socket on descriptor 0.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use fcgi_blocking::{Endpoint, Listener, StdListener, Stream};
use tempfile::TempDir;

use super::executable::executable;

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// The floor of an event loop.
pub(crate) const EPOLL: &str = "floor of an event loop";

/// Whom `serve` compares: the floors first.
pub(crate) const SERVERS: [Program; 9] = [
    Program { name: "floor", source: Source::Example("benches", "floor") },
    Program { name: EPOLL, source: Source::Example("benches", "floor_epoll") },
    Program { name: "fcgi-blocking", source: Source::Example("fcgi-blocking", "plain") },
    Program { name: "fcgi-smol", source: Source::Example("fcgi-smol", "plain") },
    Program { name: "libfcgi", source: Source::C("libfcgi") },
    Program { name: "outer_cgi", source: Source::OuterCgi },
    Program { name: "fastcgi", source: Source::Example("benches", "peer_fastcgi") },
    Program { name: "tokio-fastcgi", source: Source::Example("benches", "peer_tokio_fastcgi") },
    Program { name: "Go net/http/fcgi", source: Source::Go("go") },
];

/// The same handler over HTTP, for `web`.
pub(crate) const OVER_HTTP: [Program; 2] = [
    Program { name: "hyper over HTTP", source: Source::Example("benches", "peer_hyper") },
    Program { name: "axum over HTTP", source: Source::Example("benches", "peer_axum") },
];

/// A server's name and where it comes from.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    source: Source,
}

#[derive(Clone, Copy)]
enum Source {
    /// Of a package of the workspace.
    Example(&'static str, &'static str),
    /// An example that takes an address.
    OuterCgi,
    /// In `peers`, with libfcgi.
    C(&'static str),
    /// In `peers`.
    Go(&'static str),
}

impl Program {
    pub(crate) const fn example(name: &'static str, package: &'static str, example: &'static str) -> Self {
        Self { name, source: Source::Example(package, example) }
    }

    /// Builds it; `None`, and a line that says so, where its compiler or library is not installed.
    pub(crate) fn build(self) -> Option<Built> {
        let path = match self.source {
            Source::Example(package, example) => executable(package, example),
            Source::OuterCgi => executable("benches", "peer_outer_cgi"),
            Source::C(name) => compile(name, "c", |source, output| {
                let mut command = Command::new("gcc");
                command.arg("-O2").arg("-o").arg(output).arg(source).args(["-lfcgi", "-lpthread"]);
                command
            })?,
            Source::Go(name) => compile(name, "go", |source, output| {
                let mut command = Command::new("go");
                command.arg("build").arg("-o").arg(output).arg(source).env("GO111MODULE", "off");
                command
            })?,
        };
        Some(Built { program: self, path })
    }
}

fn compile(name: &str, extension: &str, command: impl Fn(&Path, &Path) -> Command) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name).with_extension(extension);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    match command(&source, &path).status() {
        Ok(status) if status.success() => Some(path),
        Ok(_) | Err(_) => {
            eprintln!("{name}: skipped, {} cannot be built here", source.display());
            None
        }
    }
}

/// A server that can be started.
#[derive(Clone)]
pub(crate) struct Built {
    program: Program,
    path: PathBuf,
}

/// A running server; killed and reaped when dropped.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) endpoint: Endpoint,
    child: Child,
    _dir: TempDir,
}

impl Built {
    pub(crate) fn name(&self) -> &'static str {
        self.program.name
    }

    /// On a Unix socket.
    pub(crate) fn start_unix(&self) -> Server {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let path = dir.path().join("socket");
        if matches!(self.program.source, Source::OuterCgi) {
            let bind = path.to_str().expect("the folder's name is UTF-8").to_owned();
            let arguments = ["fcgi-unix", "--max-connections", "128", "--bind", &bind];
            return self.start(Stdio::null(), &arguments, Endpoint::Unix(path), dir);
        }
        let socket = UnixListener::bind(&path).expect("the path is free");
        self.start(OwnedFd::from(socket).into(), &[], Endpoint::Unix(path), dir)
    }

    /// On a TCP socket.
    pub(crate) fn start_tcp(&self) -> Server {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let listener = Listener::bind("127.0.0.1:0").expect("a port is free");
        let endpoint = listener.local_endpoint().expect("it has an address");
        let (StdListener::Tcp(socket), _) = listener.into_std() else { panic!("not TCP") };
        if matches!(self.program.source, Source::OuterCgi) {
            drop(socket);
            let bind = endpoint.to_string();
            let arguments = ["fcgi-tcp", "--max-connections", "128", "--bind", &bind];
            return self.start(Stdio::null(), &arguments, endpoint, dir);
        }
        self.start(OwnedFd::from(socket).into(), &[], endpoint, dir)
    }

    fn start(&self, stdin: Stdio, arguments: &[&str], endpoint: Endpoint, dir: TempDir) -> Server {
        let mut command = Command::new(&self.path);
        command.args(arguments).stdin(stdin).stdout(Stdio::null());
        // Some of the peers panic, and say so, whenever a client leaves.
        command.stderr(Stdio::null()).env_remove("FCGI_WEB_SERVER_ADDRS").env_remove("RUST_LOG");
        let child = command.spawn().expect("what was built runs");
        let server = Server { name: self.program.name, endpoint, child, _dir: dir };
        let begun = Instant::now();
        // At once, but for one that binds its socket itself.
        while let Err(error) = Stream::connect(&server.endpoint) {
            assert!(begun.elapsed() < PATIENCE, "{}: {error}", server.name);
            thread::sleep(Duration::from_millis(10));
        }
        server
    }
}

impl Server {
    /// Processor time of the threads that live.
    pub(crate) fn processor(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("Linux tells about tasks");
        let nanoseconds = tasks.flatten().filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// A figure of `/proc/PID/status` in KiB.
    pub(crate) fn status(&self, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let text = text.expect("Linux tells about processes");
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("there is the line");
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number of KiB")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors say that it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
