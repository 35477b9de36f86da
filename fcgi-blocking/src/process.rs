//! Starts an application and keeps it running (FastCGI 1.0 sections 2 and 7).
//!
//! One thread, the supervisor, owns every worker: it alone starts, signals and reaps them, so a signal never
//! meets another process that has got a dead worker's number. A thread per worker waits for its end, without
//! reaping, and tells the supervisor. Nothing that a worker can write is looked at, only how it ended.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio, retry_on_intr};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use crate::Listener;
use crate::net::stream::invalid;

/// How long a worker has from SIGTERM to SIGKILL unless another time is asked for.
const GRACE: Duration = Duration::from_secs(10);

/// A worker that ends sooner after its start did no work, whatever its exit status.
const AT_ONCE: Duration = Duration::from_millis(100);

/// The pause after a first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A worker that fails after it ran for so long is the first to fail.
const SETTLED: Duration = Duration::from_secs(10);

/// How long dropping a [`Running`] waits for workers to be gone.
const DROP_PATIENCE: Duration = Duration::from_secs(1);

/// A FastCGI application that is to be started: what web servers and process managers do for PHP and others.
///
/// Each worker is a process of the application that accepts on one and the same listening socket, which it
/// finds on descriptor 0 (section 2.2); any program that serves FastCGI there will do. Workers that end are
/// started again, until the [`Running`] that [`start`](Self::start) returns is stopped or dropped.
///
/// ```no_run
/// use fcgi_blocking::{Listener, Process};
///
/// let application = Process::new("php-cgi")
///     .workers(4)
///     .env("PHP_FCGI_MAX_REQUESTS", "1000")
///     .env("FCGI_WEB_SERVER_ADDRS", "127.0.0.1") // who may connect
///     .start(Listener::bind("127.0.0.1:9000")?)?;
///
/// // On SIGHUP, say:
/// application.replace()?;
/// // On SIGTERM:
/// application.stop();
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// What else a worker starts with:
///
/// - **Descriptors.** Standard output is `/dev/null`; standard error is this process's, or `/dev/null` with
///   [`discard_stderr`](Self::discard_stderr). Section 2.2 has both closed, which [`std::process::Command`]
///   cannot do, and which harms: the application's next file or connection would become descriptor 1 or 2
///   and get what is printed. Every other descriptor of this process that lacks the close-on-exec flag is
///   inherited too; those that the standard library and this crate make have it.
/// - **The socket's mode.** It is set to blocking before each start, as foreign applications expect it. All
///   processes that share the socket share its mode, so nothing may accept on it in this one, and a worker
///   that set it to non-blocking does not spoil those after it.
/// - **Signals.** Each worker leads a process group of its own: Ctrl-C in a terminal reaches this process
///   only, which then stops its workers. Signals that are blocked in the thread that calls `start` are
///   blocked in the workers; leave SIGTERM out, else they end by SIGKILL.
///
/// This process must not ignore SIGCHLD nor reap children that it did not start. If it is killed itself,
/// its workers stay.
#[derive(Debug)]
pub struct Process {
    command: Command,
    user: Option<(u32, u32)>,
    workers: usize,
    grace: Duration,
}

impl Process {
    /// The application whose executable is `program`: a path, or a name that is looked up in `PATH`.
    ///
    /// A relative path is best made absolute, above all together with [`current_dir`](Self::current_dir).
    ///
    /// Its arguments are, until more are given, just its name: the last component of the path (section 2.1).
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        let mut command = Command::new(program);
        command.arg0(Path::new(program).file_name().unwrap_or(program));
        // P5: closed, says the specification; see above.
        command.stdout(Stdio::null());
        command.process_group(0);
        Self { command, user: None, workers: 1, grace: GRACE }
    }

    /// Gives the application another name, its argument 0.
    #[must_use]
    pub fn arg0(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.arg0(name);
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable. The others are inherited from this process.
    ///
    /// The variable that the specification defines, `FCGI_WEB_SERVER_ADDRS`, lists the IPv4 addresses of those
    /// who may connect, with commas and without spaces between (section 2.3). Over a Unix socket, nobody may
    /// if it is set.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes one environment variable, set here or inherited.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Removes all environment variables, set here or inherited.
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.command.env_clear();
        self
    }

    /// Sets the working directory. Default: that of this process.
    #[must_use]
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Runs the workers as this user and this group, in no other group; root only. Default: as this process.
    #[must_use]
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        // With a user, the standard library drops the supplementary groups.
        self.command.uid(uid).gid(gid);
        self.user = Some((uid, gid));
        self
    }

    /// Sends the workers' standard error to `/dev/null`. Default: they share that of this process.
    #[must_use]
    pub fn discard_stderr(mut self) -> Self {
        self.command.stderr(Stdio::null());
        self
    }

    /// How many workers share the socket. Default: 1.
    #[must_use]
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    /// How long a worker that was told to end with SIGTERM has until SIGKILL (section 7). Default: 10 seconds.
    #[must_use]
    pub fn grace(mut self, time: Duration) -> Self {
        self.grace = time;
        self
    }

    /// Starts the workers.
    ///
    /// From here on, a worker that ends has a successor. Exit status 0 says that it ended on purpose, after a
    /// number of requests for example: its successor starts at once. Any other end is a failure (section 7),
    /// and so is one within 100 ms of the start: the successor waits for 100 ms, and each time twice as long up
    /// to 30 s if it fails in its turn, until one has run for 10 s or has ended on purpose. An application
    /// that cannot work costs little thereby.
    ///
    /// # Errors
    /// Those of starting a process, with the program in their text, if one worker cannot be started:
    /// [`NotFound`](io::ErrorKind::NotFound) if there is no such program or working directory. None is left
    /// running then. [`InvalidInput`](io::ErrorKind::InvalidInput) for zero workers.
    pub fn start(mut self, listener: Listener) -> io::Result<Running> {
        if self.workers == 0 {
            return Err(invalid("an application needs at least one worker"));
        }
        // It may have been made elsewhere. It is passed as descriptor 0, and not a second time.
        fcntl_setfd(&listener, FdFlags::CLOEXEC)?;
        self.command.stdin(listener.as_fd().try_clone_to_owned()?);
        let (events, received) = mpsc::channel();
        let mut supervisor = Supervisor {
            name: format!("{:?}", self.command.get_program()),
            process: self,
            listener,
            workers: Vec::new(),
            pending: Vec::new(),
            stopping: false,
            events: events.clone(),
        };
        for _ in 0..supervisor.process.workers {
            let worker = supervisor.launch(0)?;
            supervisor.workers.push(worker);
        }
        let (alive, ended) = mpsc::channel();
        let thread = thread::Builder::new().name("fcgi-process".into()).spawn(move || {
            let _alive = alive;
            supervisor.run(&received);
        })?;
        Ok(Running { events, ended: Mutex::new(ended), thread: Some(thread) })
    }

    /// Adds to `error` what could not be started, and how.
    fn explain(&self, error: &io::Error) -> io::Error {
        let mut what = format!("cannot start {:?}", self.command.get_program());
        if let Some(directory) = self.command.get_current_dir() {
            what += &format!(" in {directory:?}");
        }
        if let Some((uid, gid)) = self.user {
            what += &format!(" as user {uid} and group {gid}");
        }
        io::Error::new(error.kind(), format!("{what}: {error}"))
    }
}

/// An application whose workers run, from [`Process::start`].
///
/// Dropped, it kills them with SIGKILL, their requests included, and waits a second at most for them to be
/// gone; [`stop`](Self::stop) is the orderly way. The socket stays open while there are workers.
#[derive(Debug)]
pub struct Running {
    events: Sender<Event>,
    /// Disconnected once all workers are gone and the socket is closed. In a mutex just to be `Sync`.
    ended: Mutex<Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// The process ids of the workers in the order of their start, but for those that were told to end. For
    /// show: a worker may end, and another process have its number, at any time.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.ask(Event::Pids).unwrap_or_default()
    }

    /// Starts as many new workers, then tells the old ones to end with SIGTERM, and with SIGKILL after the
    /// [grace](Process::grace) time.
    ///
    /// Meanwhile the socket is open and so connections wait, none is refused. An application that ends
    /// gracefully on SIGTERM loses no request either. It returns when the new workers are started; the old
    /// ones may still have requests to finish. Once one has ended, what it has started and left in its process
    /// group is killed.
    ///
    /// # Errors
    /// Those of [`Process::start`]: the old workers stay.
    pub fn replace(&self) -> io::Result<()> {
        self.ask(Event::Replace).unwrap_or_else(|| Err(io::Error::other("the supervisor has ended")))
    }

    /// Tells the workers to end with SIGTERM, and with SIGKILL after the [grace](Process::grace) time. It
    /// returns when they have ended and the socket is closed.
    ///
    /// As with [`replace`](Self::replace), what a worker has started and left in its process group is killed
    /// once the worker has ended.
    pub fn stop(mut self) {
        let _ = self.events.send(Event::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // A panic was printed, and its workers killed.
        }
    }

    /// `None` if the supervisor is gone.
    fn ask<T>(&self, question: impl FnOnce(Sender<T>) -> Event) -> Option<T> {
        let (sender, answer) = mpsc::channel();
        self.events.send(question(sender)).ok()?;
        answer.recv().ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails if it has ended, which is what is wanted.
        let _ = self.events.send(Event::Kill);
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(DROP_PATIENCE);
    }
}

/// What the supervisor waits for.
#[derive(Debug)]
enum Event {
    /// The worker with this process id has ended; it is still to be reaped.
    Ended(u32),
    Pids(Sender<Vec<u32>>),
    Replace(Sender<io::Result<()>>),
    Stop,
    Kill,
}

/// Owns the workers. Kills and reaps them when dropped.
struct Supervisor {
    process: Process,
    /// For the log.
    name: String,
    listener: Listener,
    workers: Vec<Worker>,
    pending: Vec<Pending>,
    stopping: bool,
    /// For the threads that wait for workers.
    events: Sender<Event>,
}

struct Worker {
    /// Reaped only when it is taken out of the list, so that its process id is its own.
    child: Child,
    started: Instant,
    /// How many in a row failed before it.
    failures: u32,
    told_to_end: bool,
    /// When it is to be killed.
    deadline: Option<Instant>,
}

/// A worker to be started.
struct Pending {
    at: Instant,
    failures: u32,
}

impl Supervisor {
    fn run(mut self, events: &Receiver<Event>) {
        while !(self.stopping && self.workers.is_empty()) {
            let event = match self.next_deadline() {
                None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => events.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match event {
                Ok(Event::Ended(pid)) => self.ended(pid),
                Ok(Event::Pids(answer)) => {
                    let workers = self.workers.iter().filter(|worker| !worker.told_to_end);
                    let _ = answer.send(workers.map(|worker| worker.child.id()).collect());
                }
                Ok(Event::Replace(answer)) => {
                    let _ = answer.send(self.replace());
                }
                Ok(Event::Stop) => self.stop(),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Event::Kill) | Err(RecvTimeoutError::Disconnected) => return,
            }
            self.meet_deadlines();
        }
    }

    /// Starts a worker.
    fn launch(&mut self, failures: u32) -> io::Result<Worker> {
        // At every start: each process that has the socket may have set its mode.
        ioctl_fionbio(&self.listener, false)?;
        let mut child = self.process.command.spawn().map_err(|error| self.process.explain(&error))?;
        let pid = Pid::from_child(&child);
        let events = self.events.clone();
        let wait = move || {
            // An error says that there is nothing to wait for.
            let _ = retry_on_intr(|| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT));
            let _ = events.send(Event::Ended(pid.as_raw_nonzero().get().unsigned_abs()));
        };
        if let Err(error) = thread::Builder::new().name("fcgi-worker".into()).spawn(wait) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(self.process.explain(&error));
        }
        log::info!("{}: worker {} started", self.name, child.id());
        let started = Instant::now();
        Ok(Worker { child, started, failures, told_to_end: false, deadline: None })
    }

    /// Reaps a worker that has ended, and plans its successor.
    fn ended(&mut self, pid: u32) {
        let Some(index) = self.workers.iter().position(|worker| worker.child.id() == pid) else { return };
        let mut worker = self.workers.remove(index);
        worker.kill(); // What it has left behind, which may hold the socket.
        let lived = worker.started.elapsed();
        let status = worker.child.wait();
        let end = match &status {
            Ok(status) => status.to_string(),
            Err(error) => format!("an unknown status: {error}"),
        };
        if worker.told_to_end {
            log::info!("{}: worker {pid} ended as it was told to: {end}", self.name);
            return;
        }
        let on_purpose = status.as_ref().is_ok_and(ExitStatus::success);
        let (failures, pause) = successor(on_purpose, lived, worker.failures);
        if failures == 0 {
            log::info!("{}: worker {pid} ended on purpose, restarting", self.name);
        } else {
            log::warn!(
                "{}: worker {pid} ended after {lived:.1?} ({end}), restarting in {pause:?}",
                self.name
            );
        }
        self.pending.push(Pending { at: Instant::now() + pause, failures });
    }

    fn replace(&mut self) -> io::Result<()> {
        let count = self.workers.len();
        for _ in 0..self.process.workers {
            match self.launch(0) {
                Ok(worker) => self.workers.push(worker),
                Err(error) => {
                    self.tell_to_end(count..self.workers.len());
                    return Err(error);
                }
            }
        }
        self.pending.clear();
        self.tell_to_end(0..count);
        Ok(())
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.pending.clear();
        self.tell_to_end(0..self.workers.len());
    }

    fn tell_to_end(&mut self, workers: std::ops::Range<usize>) {
        // None if that is never.
        let deadline = Instant::now().checked_add(self.process.grace);
        for worker in &mut self.workers[workers] {
            if !worker.told_to_end {
                worker.told_to_end = true;
                worker.deadline = deadline;
                if let Err(error) = kill_process(Pid::from_child(&worker.child), Signal::TERM) {
                    log::warn!("{}: cannot send SIGTERM to worker {}: {error}", self.name, worker.child.id());
                }
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let starts = self.pending.iter().map(|pending| pending.at);
        starts.chain(self.workers.iter().filter_map(|worker| worker.deadline)).min()
    }

    /// Starts and kills the workers whose time has come.
    fn meet_deadlines(&mut self) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.pending).into_iter().partition(|it| it.at <= now);
        self.pending = later;
        let due: Vec<Pending> = due;
        for Pending { failures, .. } in due {
            match self.launch(failures) {
                Ok(worker) => self.workers.push(worker),
                Err(error) => {
                    let (failures, pause) = successor(false, Duration::ZERO, failures);
                    log::warn!("{error}; trying again in {pause:?}");
                    self.pending.push(Pending { at: now + pause, failures });
                }
            }
        }
        for worker in &mut self.workers {
            if worker.deadline.is_some_and(|deadline| deadline <= now) {
                let pid = worker.child.id();
                log::warn!("{}: worker {pid} did not end on SIGTERM, killing it", self.name);
                worker.kill();
            }
        }
    }
}

impl Worker {
    /// Kills it and its process group. Errors say that nobody is left.
    fn kill(&mut self) {
        let pid = Pid::from_child(&self.child);
        let _ = kill_process_group(pid, Signal::KILL);
        let _ = kill_process(pid, Signal::KILL);
        self.deadline = None;
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.kill();
        }
        for worker in &mut self.workers {
            let _ = worker.child.wait();
        }
    }
}

/// What follows a worker's end: how many have failed in a row, and how long to wait before the next start.
///
/// `failures` is how many in a row failed before it.
fn successor(on_purpose: bool, lived: Duration, failures: u32) -> (u32, Duration) {
    if on_purpose && lived >= AT_ONCE {
        return (0, Duration::ZERO);
    }
    let before = if lived >= SETTLED { 0 } else { failures };
    let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(before));
    (before.saturating_add(1), pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    /// The pauses when `count` workers in a row end in the same way.
    fn pauses(count: usize, on_purpose: bool, lived: Duration) -> Vec<Duration> {
        let ends = std::iter::successors(Some(successor(on_purpose, lived, 0)), |(failures, _)| {
            Some(successor(on_purpose, lived, *failures))
        });
        ends.map(|(_, pause)| pause).take(count).collect()
    }

    #[test]
    fn x1_pauses_double_from_100_ms_to_30_s_while_workers_fail() {
        let millis = [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000];
        assert_eq!(pauses(11, false, SHORT), millis.map(Duration::from_millis));
        assert_eq!(successor(false, SHORT, u32::MAX), (u32::MAX, LONGEST_PAUSE));
    }

    #[test]
    fn cve_2015_9253_an_end_right_after_the_start_counts_as_a_failure_also_with_status_0() {
        assert_eq!(pauses(11, true, SHORT), pauses(11, false, SHORT));
    }

    #[test]
    fn x1_who_ends_on_purpose_is_restarted_at_once_and_failures_are_forgotten() {
        assert_eq!(pauses(3, true, AT_ONCE), [Duration::ZERO; 3]);
        assert_eq!(successor(true, AT_ONCE, 7), (0, Duration::ZERO));
    }

    #[test]
    fn a_failure_after_a_while_is_the_first_again() {
        assert_eq!(successor(false, SETTLED, 7), (1, FIRST_PAUSE));
        assert_eq!(successor(false, SETTLED - SHORT, 7), (8, FIRST_PAUSE * 128));
    }
}
