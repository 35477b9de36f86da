//! One back end: started, answering, ended.

use std::collections::HashSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use fcgi_blocking::{Endpoint, Stream};
use tempfile::TempDir;

use super::process::{Process, hand_over, wait_until};
use super::setups::{Reach, Setup};

/// How often a start is tried again: between choosing a free port and binding it, another may take it.
const ATTEMPTS: usize = 5;

/// Where a back end lives.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    /// What SCRIPT_FILENAME says.
    pub(crate) script: PathBuf,
    pub(crate) reach: Reach,
    /// `127.0.0.1:PORT` or `unix:PATH`.
    pub(crate) address: String,
}

pub(crate) struct Site {
    pub(crate) setup: &'static Setup,
    pub(crate) place: Place,
    process: Mutex<Process>,
    /// Last, so that it goes when nobody writes to it any more.
    _dir: TempDir,
}

impl Place {
    /// What the address says after its colon: the port or the socket's path.
    pub(crate) fn port_or_path(&self) -> &str {
        self.address.split_once(':').map_or("", |(_, rest)| rest)
    }

    pub(crate) fn connect(&self) -> std::io::Result<Stream> {
        Stream::connect(&self.address.parse::<Endpoint>().expect("an address"))
    }

    /// Returns when connections are accepted, or None if the back end has ended.
    fn start(&self, setup: &Setup) -> Result<Option<Process>, String> {
        let process = Process::start((setup.command)(self)?.current_dir(&self.dir), &self.log());
        wait_until(|| self.connect().is_ok() || !process.is_running());
        Ok((process.is_running() && self.connect().is_ok()).then_some(process))
    }

    fn log(&self) -> PathBuf {
        self.dir.join("app.log")
    }
}

impl Site {
    /// Starts a back end and returns when it accepts connections; or why it cannot be started here.
    pub(crate) fn start(setup: &'static Setup) -> Result<Site, String> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        hand_over(dir.path());
        for _ in 0..ATTEMPTS {
            let place = place(setup, dir.path());
            if let Some(process) = place.start(setup)? {
                return Ok(Site { setup, place, process: Mutex::new(process), _dir: dir });
            }
        }
        panic!("{} does not start\n{}", setup.name, tail(&dir.path().join("app.log")));
    }

    /// Ends the back end and starts it again at the same address.
    pub(crate) fn restart(&self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.stop();
        if self.place.reach == Reach::Unix {
            // Not all remove it, nor bind where it is.
            let _ = fs::remove_file(self.place.port_or_path());
        }
        let again = self.place.start(self.setup).expect("it was started before");
        *process = again.expect("it starts at an address that it had");
    }

    /// The end of what the back end has said, for a failure's message.
    pub(crate) fn log(&self) -> String {
        tail(&self.place.log())
    }
}

/// Writes the set-up's files to `dir`, and chooses an address.
fn place(setup: &Setup, dir: &Path) -> Place {
    for (name, text) in setup.files {
        let path = dir.join(name);
        fs::write(&path, text).expect("the file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        hand_over(&path);
    }
    let address = match setup.reach {
        Reach::Tcp => format!("127.0.0.1:{}", free_port()),
        Reach::Unix => format!("unix:{}", dir.join("app.sock").to_str().expect("temporary paths are UTF-8")),
    };
    let script = setup.files.first().map_or("app", |(name, _)| name);
    Place { dir: dir.into(), script: dir.join(script), reach: setup.reach, address }
}

/// A port that no other test of this process has been given.
fn free_port() -> u16 {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return port;
        }
    }
}

fn tail(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    format!("--- its log\n{}\n", lines[lines.len().saturating_sub(30)..].join("\n"))
}
