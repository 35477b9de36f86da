//! One web server and its application: started, answering, ended.

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use super::Subject;
use super::process::{PATIENCE, Process, brought_to, hand_over, wait_until};
use super::server::Server;
use super::setups::{Reach, Setup};
use super::skipped::skipped;

/// How often a start is tried again: between choosing a free port and binding it, another may take it.
const ATTEMPTS: usize = 5;

pub(crate) struct Site {
    pub(crate) setup: &'static Setup,
    pub(crate) address: SocketAddr,
    /// None where the web server starts it.
    app: Option<Process>,
    web: Process,
    /// Last, so that it goes when nobody writes to it any more.
    dir: TempDir,
}

impl Site {
    /// Starts the application, then the web server, and returns when a request is answered; None if
    /// this machine lacks the web server.
    ///
    /// The web server connects to what `relay` makes of the application's address, if that is TCP.
    pub(crate) fn start_via(
        subject: &Subject,
        setup: &'static Setup,
        relay: impl FnOnce(SocketAddr) -> SocketAddr,
    ) -> Option<Site> {
        let program = match setup.server.program() {
            Ok(program) => program,
            Err(reason) => {
                let required = std::env::var("FCGI_REQUIRE_INTEROP").is_ok_and(|value| value == "1");
                assert!(!required, "{}: {reason}", setup.name);
                skipped(reason);
                return None;
            }
        };
        let dir = tempfile::tempdir().expect("a temporary folder");
        hand_over(dir.path());
        fs::create_dir(dir.path().join("www")).expect("a document root");
        let executable = brought_to(dir.path(), &subject.executable());
        let (app, app_port) = start_app(&executable, dir.path(), setup.reach);
        let tcp = relay(SocketAddr::from(([127, 0, 0, 1], app_port)));
        for _ in 0..ATTEMPTS {
            let port = free_port();
            let edits = setup.server.edits().iter().chain(setup.edits);
            let snippet = edits.fold(setup.snippet.to_owned(), |text, (from, to)| {
                assert!(text.contains(from), "{}: the snippet does not say {from:?}", setup.name);
                text.replace(from, to)
            });
            let text = (setup.server.config(&snippet, setup.extra))
                .replace("{port}", &port.to_string())
                .replace("{tcp}", &tcp.to_string())
                .replace("{tcp_port}", &tcp.port().to_string())
                .replace("{socket}", &path_text(&dir.path().join("app.sock")))
                .replace("{app}", &path_text(&executable))
                .replace("{dir}", &path_text(dir.path()));
            let config = dir.path().join("web.conf");
            fs::write(&config, text).expect("the configuration can be written");
            hand_over(&config);
            let mut command = setup.server.command(&program, dir.path(), &config);
            let web = Process::start(&mut command, &dir.path().join("web.log"));
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            wait_until(|| answers(address) || !web.is_running());
            if web.is_running() && answers(address) {
                return Some(Site { setup, address, app, web, dir });
            }
        }
        panic!("{} does not start\n{}", setup.name, logs(dir.path()));
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Everything that the application has logged, unless the web server started it.
    pub(crate) fn app_log(&self) -> String {
        read(&self.dir().join("app.log"))
    }

    /// Everything that the web server has logged.
    pub(crate) fn web_log(&self) -> String {
        read(&self.dir().join("web.log"))
    }

    /// The tails of the web server's and the application's logs, for a failure's message.
    pub(crate) fn logs(&self) -> String {
        logs(self.dir())
    }

    /// Ends the application with SIGTERM, while the web server still holds its connections: that must
    /// be graceful. Then ends the web server.
    pub(crate) fn finish(mut self) {
        if let Some(mut app) = self.app.take() {
            let status = app.stop();
            assert!(status.success(), "{}: SIGTERM: {status}\n{}", self.setup.name, self.logs());
        }
        self.web.stop();
        if self.setup.server == Server::ApacheFcgid {
            let log = self.web_log();
            let ends: Vec<&str> = log.lines().filter(|line| line.contains("terminated by")).collect();
            let graceful = |line: &&str| line.contains("calling exit(), return code: 0");
            assert!(!ends.is_empty() && ends.iter().all(graceful), "{ends:#?}\n{}", self.logs());
        }
    }
}

/// The application, unless the web server starts it, and its port if it has one.
fn start_app(executable: &Path, dir: &Path, reach: Reach) -> (Option<Process>, u16) {
    let log = dir.join("app.log");
    for _ in 0..ATTEMPTS {
        let port = free_port();
        let socket = dir.join("app.sock");
        let address = match reach {
            Reach::Tcp => format!("127.0.0.1:{port}"),
            Reach::Unix => format!("unix:{}", path_text(&socket)),
            Reach::Spawned => return (None, 0),
        };
        let listens = || match reach {
            Reach::Tcp => TcpStream::connect(("127.0.0.1", port)).is_ok(),
            _ => UnixStream::connect(&socket).is_ok(),
        };
        let app = Process::start(Command::new(executable).arg(&address), &log);
        wait_until(|| listens() || !app.is_running());
        if app.is_running() && listens() {
            return (Some(app), port);
        }
    }
    panic!("the application does not start\n{}", logs(dir));
}

/// A port that no other test of this process has been given.
pub(crate) fn free_port() -> u16 {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return port;
        }
    }
}

/// Whether a web server answers anything at all.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<[u8; 9]> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut start = [0; 9];
        stream.read_exact(&mut start)?;
        Ok(start)
    };
    ask().is_ok_and(|start| start.starts_with(b"HTTP/1."))
}

fn logs(dir: &Path) -> String {
    let tail = |name: &str| {
        let text = read(&dir.join(name));
        let lines: Vec<&str> = text.lines().collect();
        format!("--- {name}\n{}\n", lines[lines.len().saturating_sub(30)..].join("\n"))
    };
    tail("web.log") + &tail("app.log")
}

/// A missing file is an empty log.
fn read(path: &PathBuf) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn path_text(path: &Path) -> String {
    path.to_str().expect("temporary paths are UTF-8").to_owned()
}
