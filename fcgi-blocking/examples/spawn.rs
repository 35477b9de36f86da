//! `spawn [OPTION]… -- PROGRAM [ARG]…`: starts a FastCGI application and keeps it running.
//!
//! - `--workers`: how many share the listening socket, 1.
//! - `--bind`: its address, 127.0.0.1:9000; `--mode`: of a Unix socket, 660.
//! - `--user`, `--group`: whom they run as, names or numbers; without a group it is the user's. Root only.
//! - `--pid-file`: gets this program's process id, and is removed when it ends.
//!
//! SIGHUP replaces the workers without refusing a connection; SIGTERM and SIGINT stop them. `RUST_LOG=info` shows
//! their life.
//!
//! ```sh
//! spawn --workers 4 --bind unix:/run/php.sock --user www-data -- php-cgi
//! ```

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use fcgi_blocking::{Endpoint, Listener, Process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

mod common;

const USAGE: &str = "spawn [--workers N] [--bind ADDR] [--mode BITS] [--user NAME] [--group NAME] [--pid-file PATH] \
    -- PROGRAM [ARG]...";

fn main() -> ExitCode {
    common::run(USAGE, parse, |Spawn { mut process, endpoint, mode, user, group, pid_file }| {
        if let Some((uid, gid)) = ids(user, group)? {
            process = process.user(uid, gid);
        }
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let listener = match (&endpoint, mode) {
            (Endpoint::Unix(path), Some(mode)) => Listener::bind_unix(path, mode)?,
            _ => Listener::bind_endpoint(&endpoint)?,
        };
        let running = process.start(listener)?;
        let _pid_file = pid_file.map(PidFile::write).transpose()?;
        for signal in signals.forever() {
            if signal != SIGHUP {
                break;
            }
            if let Err(error) = running.replace() {
                log::error!("{error}; the old workers stay");
            }
        }
        running.stop();
        Ok(())
    })
}

struct Spawn {
    process: Process,
    endpoint: Endpoint,
    mode: Option<u32>,
    user: Option<String>,
    group: Option<String>,
    pid_file: Option<PathBuf>,
}

fn parse(mut arguments: common::Arguments) -> Result<Spawn, Box<dyn Error>> {
    let mut endpoint = "127.0.0.1:9000".parse()?;
    let mut workers = 1;
    let (mut mode, mut user, mut group, mut pid_file) = (None, None, None, None);
    while let Some(option) = arguments.next().filter(|argument| argument != "--") {
        let mut value = || arguments.next().ok_or_else(|| format!("{option}: no value"));
        match option.as_str() {
            "--workers" => {
                let count = value()?;
                workers = count.parse().map_err(|_| format!("--workers: {count:?} is not a number"))?;
            }
            "--bind" => endpoint = value()?.parse()?,
            "--mode" => {
                let bits = value()?;
                let parsed = u32::from_str_radix(&bits, 8);
                mode = Some(parsed.map_err(|_| format!("--mode: {bits:?} is not octal, such as 660"))?);
            }
            "--user" => user = Some(value()?),
            "--group" => group = Some(value()?),
            "--pid-file" => pid_file = Some(value()?.into()),
            _ => return Err(format!("{option:?}: no such option; PROGRAM comes after --").into()),
        }
    }
    if group.is_some() && user.is_none() {
        return Err("--group: only with --user".into());
    }
    if mode.is_some() && !matches!(endpoint, Endpoint::Unix(_)) {
        return Err(format!("--mode: {endpoint} is not a Unix socket with a path").into());
    }
    let program = arguments.next().ok_or("no PROGRAM")?;
    let process = Process::new(program).args(arguments).workers(workers);
    Ok(Spawn { process, endpoint, mode, user, group, pid_file })
}

/// The numbers of a user and a group, by this machine's own files.
fn ids(user: Option<String>, group: Option<String>) -> Result<Option<(u32, u32)>, Box<dyn Error>> {
    let Some(user) = user else { return Ok(None) };
    let users = fs::read_to_string("/etc/passwd")?;
    let known = entry(&users, &user);
    let uid = number(known, 2).or_else(|| user.parse().ok());
    let uid = uid.ok_or_else(|| format!("--user: there is no {user:?} in /etc/passwd"))?;
    let gid = match group {
        Some(group) => {
            let groups = fs::read_to_string("/etc/group")?;
            let gid = number(entry(&groups, &group), 2).or_else(|| group.parse().ok());
            gid.ok_or_else(|| format!("--group: there is no {group:?} in /etc/group"))?
        }
        None => {
            number(known, 3).ok_or_else(|| format!("--user: {user} has no group of its own; give --group"))?
        }
    };
    Ok(Some((uid, gid)))
}

/// The line of a name, or of a number in the third place.
fn entry<'f>(file: &'f str, name: &str) -> Option<&'f str> {
    let is = |line: &&str, place| line.split(':').nth(place) == Some(name);
    file.lines().find(|line| is(line, 0)).or_else(|| file.lines().find(|line| is(line, 2)))
}

fn number(line: Option<&str>, place: usize) -> Option<u32> {
    line?.split(':').nth(place)?.parse().ok()
}

/// Has this process's id; removed when dropped.
struct PidFile(PathBuf);

impl PidFile {
    fn write(path: PathBuf) -> Result<Self, String> {
        let written = fs::write(&path, format!("{}\n", std::process::id()));
        written.map_err(|error| format!("--pid-file: {}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Whoever removed it before has done what is wanted.
        let _ = fs::remove_file(&self.0);
    }
}
