//! A child process that never outlives its test.
#![allow(dead_code, unused_imports, clippy::duplicate_mod)] // Each test program uses a part, some have two.

#[path = "../support/until.rs"]
mod until;

use std::fs::{self, File, OpenOptions};
use std::net::SocketAddrV4;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getuid, kill_process, kill_process_group, waitid};

pub(crate) use until::{PATIENCE, wait_until};

/// The user `nobody`, whom everything runs as when the tests run as root.
pub(crate) const NOBODY: u32 = 65534;

/// Runs in a process group of its own; killed with all its children when dropped.
pub(crate) struct Process {
    child: Child,
    stopped: bool,
}

impl Process {
    /// Starts `command`, whose stdout and stderr are appended to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Process {
        if getuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        Self::start_as_it_is(command, log)
    }

    /// Starts `command`, which takes care of its user itself.
    pub(crate) fn start_as_it_is(command: &mut Command, log: &Path) -> Process {
        let output = || Stdio::from(append(log));
        command.process_group(0).stdin(Stdio::null()).stdout(output()).stderr(output());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Process { child, stopped: false }
    }

    /// Leaves an ended process unreaped, so that its id, and that of its group, stay its own.
    pub(crate) fn is_running(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        waitid(WaitId::Pid(self.pid()), options).is_ok_and(|status| status.is_none())
    }

    /// Whether it, or another process of its network, listens on this very address. Linux tells, with the address's
    /// bytes as one number of the machine's order.
    pub(crate) fn listens(&self, address: SocketAddrV4) -> bool {
        let sockets = fs::read_to_string(format!("/proc/{}/net/tcp", self.child.id())).unwrap_or_default();
        let ip = u32::from_ne_bytes(address.ip().octets());
        sockets.contains(&format!(" {ip:08X}:{:04X} 00000000:0000 0A ", address.port()))
    }

    /// Asks with SIGTERM.
    pub(crate) fn terminate(&self) {
        // Errors here say that nobody is left, which is what is wanted.
        let _ = kill_process(self.pid(), Signal::TERM);
    }

    /// Asks with SIGHUP.
    pub(crate) fn hang_up(&self) {
        // As above.
        let _ = kill_process(self.pid(), Signal::HUP);
    }

    /// Asks with SIGTERM, kills what is left after a while, and tells how the process ended.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        if !self.stopped {
            self.stopped = true;
            self.terminate();
            wait_until(|| !self.is_running());
            // As above.
            let _ = kill_process_group(self.pid(), Signal::KILL);
        }
        self.child.wait().expect("a child can be waited for")
    }

    /// Ends it as a machine ends that loses power.
    pub(crate) fn kill(mut self) {
        self.stopped = true;
        // Nobody else may have ended it: it is not reaped.
        kill_process_group(self.pid(), Signal::KILL).expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Makes `path` belong to the user that processes run as.
pub(crate) fn hand_over(path: &Path) {
    if getuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may chown");
    }
}

/// The program in `folder`: a checkout may lie where only its owner goes, not the user that processes run as.
pub(crate) fn brought_to(folder: &Path, program: &Path) -> PathBuf {
    let place = folder.join(program.file_name().expect("a program has a name"));
    if !place.exists() {
        let linked = fs::hard_link(program, &place).or_else(|_| fs::copy(program, &place).map(drop));
        linked.expect("the program can be copied");
    }
    place
}

fn append(log: &Path) -> File {
    let file = OpenOptions::new().create(true).append(true).open(log).expect("the log can be opened");
    hand_over(log);
    file
}
