//! `Process`, through the public API: the web server's half of FastCGI 1.0 section 2, and of section 7.
//!
//! Applications are the examples and shell scripts. A script reports on a named pipe, so that tests wait for
//! what they need and for nothing else.

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fcgi_blocking::{Endpoint, Listener, Process, Request, Running, Settings, Stream, serve_stream};
use rustix::event::PollFlags;
use rustix::io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::process::{
    PidfdFlags, Resource, Rlimit, Signal, getpgid, getppid, getrlimit, getuid, kill_process, pidfd_open,
    setpgid, setrlimit, test_kill_process,
};
use support::skipped::skipped;
use support::{Answer, Call, Client, PATIENCE, child, happens_within, wait_until};
use tempfile::TempDir;

/// A user and a group that need not exist.
const NOBODY: u32 = 65534;

/// A script's end that keeps it alive, but not for ever should nobody end it.
const STAY: &str = "exec sleep 120";

/// A named pipe to which scripts write lines, in a folder of its own.
struct Reports {
    lines: BufReader<File>,
    dir: TempDir,
}

impl Reports {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let path = dir.path().join("reports");
        let here = rustix::fs::CWD;
        rustix::fs::mkfifoat(here, &path, rustix::fs::Mode::from_raw_mode(0o600)).expect("the path is free");
        // Open for writing as well, so that it does not end with a writer.
        let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let pipe = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
        Self { lines: BufReader::new(pipe.expect("it can be opened")), dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("reports")
    }

    /// An application that runs `script`, in which `report TEXT` sends a line and `$1` is its folder.
    fn script(&self, script: &str) -> Process {
        Process::new("/bin/sh").args(self.arguments(script))
    }

    fn arguments(&self, script: &str) -> [String; 4] {
        let pipe = self.path();
        let pipe = pipe.to_str().expect("UTF-8");
        let script = format!("report() {{ echo \"$*\" >'{pipe}'; }}\n{script}");
        ["-c".into(), script, "script".into(), self.dir.path().to_str().expect("UTF-8").into()]
    }

    /// The next line, without its end.
    #[track_caller]
    fn next(&mut self) -> String {
        self.next_within(PATIENCE).expect("a report in time")
    }

    fn next_within(&mut self, limit: Duration) -> Option<String> {
        let deadline = Instant::now() + limit;
        let mut line = String::new();
        loop {
            match self.lines.read_line(&mut line) {
                Ok(_) if line.ends_with('\n') => return Some(line.trim_end().to_owned()),
                Ok(_) => panic!("the pipe has ended: {line:?}"),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !happens_within(self.lines.get_ref(), PollFlags::IN, left) {
                return None;
            }
        }
    }

    #[track_caller]
    fn next_pid(&mut self) -> u32 {
        self.next().parse().expect("a process id")
    }
}

fn pid(number: u32) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(number.try_into().expect("a process id")).expect("not 0")
}

/// Whether there is such a process, if only as a zombie.
fn exists(number: u32) -> bool {
    test_kill_process(pid(number)) != Err(Errno::SRCH)
}

/// Waits until a process has ended, reaped or not.
fn has_ended(number: u32) -> bool {
    match pidfd_open(pid(number), PidfdFlags::empty()) {
        Err(Errno::SRCH) => true,
        process => happens_within(process.expect("Linux"), PollFlags::IN, PATIENCE),
    }
}

#[track_caller]
fn wait_for_end(number: u32) {
    assert!(has_ended(number), "process {number} does not end");
}

fn proc(number: u32, file: &str) -> String {
    let path = format!("/proc/{number}/{file}");
    String::from_utf8(fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))).expect("UTF-8")
}

fn descriptor(number: impl std::fmt::Display, fd: u32) -> PathBuf {
    fs::read_link(format!("/proc/{number}/fd/{fd}")).expect("it is open")
}

fn tcp() -> Listener {
    Listener::bind("127.0.0.1:0").expect("a port is free")
}

fn unix(dir: &Path) -> Listener {
    Listener::bind_unix(dir.join("socket"), 0o600).expect("the path is free")
}

fn start(process: Process) -> Running {
    process.start(tcp()).expect("it can be started")
}

/// One of the examples.
fn example(name: &str) -> Process {
    Process::new(child::example(name).get_program()).env_remove("FCGI_WEB_SERVER_ADDRS")
}

/// The answer to a request with a connection of its own.
#[track_caller]
fn call(endpoint: &Endpoint, call: Call) -> Answer {
    let mut client = Client::connect(endpoint);
    client.send(call.closing().bytes());
    Answer::read(Uninterrupted(&client.stream), 1).expect("a whole answer in time")
}

/// Tries again what a child's end has interrupted. Linux does so itself but for sockets with a time limit.
struct Uninterrupted<R>(R);

impl<R: Read> Read for Uninterrupted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

#[track_caller]
fn assert_answers(endpoint: &Endpoint) {
    call(endpoint, Call::get("/")).assert_ok([b'x'; 1024]);
}

/// Waits until the workers are `count`, and all others than those `but`.
#[track_caller]
fn wait_for_workers(running: &Running, count: usize, but: &[u32]) -> Vec<u32> {
    let mut pids = Vec::new();
    let are_there = wait_until(|| {
        pids = running.pids();
        pids.len() == count && pids.iter().all(|pid| !but.contains(pid))
    });
    assert!(are_there, "{pids:?}");
    pids
}

#[test]
fn p3_p7_an_application_finds_a_listening_unix_or_tcp_socket_on_descriptor_0_and_answers() {
    let dir = tempfile::tempdir().unwrap();
    for listener in [unix(dir.path()), tcp()] {
        let endpoint = listener.local_endpoint().unwrap();
        let running = example("plain").start(listener).unwrap();
        assert_answers(&endpoint);
        assert_answers(&endpoint);
        running.stop();
    }
}

#[test]
fn p1_the_only_argument_is_by_default_the_last_component_of_the_executables_path() {
    let listener = tcp();
    let endpoint = listener.local_endpoint().unwrap();
    let running = example("plain").start(listener).unwrap();
    assert_answers(&endpoint); // Right after the start, the system may not know the arguments yet.
    assert_eq!(proc(running.pids()[0], "cmdline"), "plain\0");
}

#[test]
fn p2_another_name_and_more_arguments_may_be_given() {
    let mut reports = Reports::new();
    let process = reports.script("report $$ $2 $3; sleep 120; :");
    let _running = start(process.arg0("another").arg("one").args(["two"]));
    let report = reports.next();
    let (pid, arguments) = report.split_once(' ').unwrap();
    assert_eq!(arguments, "one two");
    let cmdline = proc(pid.parse().unwrap(), "cmdline");
    assert!(cmdline.starts_with("another\0-c\0") && cmdline.ends_with("\0one\0two\0"), "{cmdline:?}");
}

#[test]
fn p3_no_other_descriptor_than_0_1_and_2_is_open_in_a_worker() {
    let mut reports = Reports::new();
    // Whoever runs this test may have left something open.
    let leaked = fs::read_dir("/proc/self/fdinfo").unwrap().filter_map(|entry| {
        let entry = entry.unwrap();
        let info = fs::read_to_string(entry.path()).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
        (flags & rustix::fs::OFlags::CLOEXEC.bits() == 0).then(|| entry.file_name().into_string().unwrap())
    });
    let mut expected: Vec<u32> = leaked.map(|number| number.parse().unwrap()).chain([0, 1, 2]).collect();
    expected.sort_unstable();
    expected.dedup();

    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    fcntl_setfd(&socket, FdFlags::empty()).unwrap(); // As sockets come from other libraries.
    // The loop's own descriptor, of the folder, is in the list but closed when it is asked for.
    let script =
        "open=; for fd in /proc/$$/fd/*; do [ -e $fd ] && open=\"$open ${fd##*/}\"; done; report $open";
    let running = reports.script(&format!("{script}; {STAY}")).workers(2).start(socket.into()).unwrap();
    for _ in 0..2 {
        let mut open: Vec<u32> = reports.next().split(' ').map(|number| number.parse().unwrap()).collect();
        open.sort_unstable();
        assert_eq!(open, expected);
    }
    drop(running);
}

#[test]
fn p5_stdout_is_dev_null_and_stderr_is_shared_or_dev_null() {
    let null = Path::new("/dev/null");
    let shared = start(example("plain"));
    let pid = shared.pids()[0];
    assert_eq!([descriptor(pid, 1), descriptor(pid, 2)], [null.into(), descriptor("self", 2)]);

    let discarded = start(example("plain").discard_stderr());
    let pid = discarded.pids()[0];
    assert_eq!([descriptor(pid, 1), descriptor(pid, 2)], [null, null]);
}

#[test]
fn p6_getpeername_on_descriptor_0_fails_with_enotconn() {
    // What php-cgi and the examples decide by: without it they do not serve. Perl can ask.
    if !has("perl") {
        return;
    }
    let mut reports = Reports::new();
    let script =
        r#"report "$(perl -e 'print getpeername(STDIN) ? "connected" : $!{ENOTCONN} ? "ENOTCONN" : $!')""#;
    let _running = start(reports.script(&format!("{script}; {STAY}")));
    assert_eq!(reports.next(), "ENOTCONN");
}

#[test]
fn p8_the_environment_is_inherited_with_additions_or_empty_but_for_them() {
    const ADDRS: &str = "FCGI_WEB_SERVER_ADDRS";
    let mut reports = Reports::new();
    let mut environment = |set: fn(Process) -> Process| -> BTreeMap<String, String> {
        let _running = start(set(reports.script("report $$; sleep 120; :")));
        let environment = proc(reports.next_pid(), "environ");
        let variables = environment.split_terminator('\0').filter_map(|variable| variable.split_once('='));
        variables.map(|(name, value)| (name.into(), value.into())).collect()
    };
    let additions = [(ADDRS, "127.0.0.1,10.0.0.1"), ("EXTRA", "a b")];
    let additions = additions.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut all: BTreeMap<String, String> = std::env::vars().chain(additions.clone()).collect();

    let add = |process: Process| process.env(ADDRS, "127.0.0.1,10.0.0.1").env("EXTRA", "a b");
    assert_eq!(environment(add), all);

    all.remove("EXTRA");
    all.remove("PATH");
    let remove = |process: Process| {
        process.env(ADDRS, "127.0.0.1,10.0.0.1").env("EXTRA", "a b").env_remove("EXTRA").env_remove("PATH")
    };
    assert_eq!(environment(remove), all);

    let clear = |process: Process| {
        process.env("GONE", "1").env_clear().env(ADDRS, "127.0.0.1,10.0.0.1").env("EXTRA", "a b")
    };
    assert_eq!(environment(clear), BTreeMap::from(additions));
}

#[test]
fn p8_only_the_addresses_in_fcgi_web_server_addrs_may_connect() {
    for (addrs, allowed) in [("127.0.0.1", true), ("192.0.2.1", false)] {
        let listener = tcp();
        let endpoint = listener.local_endpoint().unwrap();
        let process = example("plain").discard_stderr().env("FCGI_WEB_SERVER_ADDRS", addrs);
        let _running = process.start(listener).unwrap();
        if allowed {
            assert_answers(&endpoint);
        } else {
            // At its end or reset: nothing was sent.
            let client = Client::connect(&endpoint);
            assert_eq!(Uninterrupted(&client.stream).read(&mut [0]).unwrap_or(0), 0);
        }
    }
}

#[test]
fn p9_the_working_directory_may_be_set() {
    let reports = Reports::new();
    let running = start(Process::new("/bin/sleep").arg("100").current_dir(reports.dir.path()));
    let cwd = fs::read_link(format!("/proc/{}/cwd", running.pids()[0])).unwrap();
    assert_eq!(cwd, reports.dir.path().canonicalize().unwrap());
}

#[test]
fn p9_user_and_group_may_be_set_and_other_groups_are_dropped() {
    if !getuid().is_root() {
        return skipped("only root may run a process as somebody else");
    }
    let running = start(Process::new("/bin/sleep").arg("100").user(NOBODY, NOBODY - 1));
    let status = proc(running.pids()[0], "status");
    let ids = |name: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(|id| id.parse().unwrap()).collect()
    };
    assert_eq!(ids("Uid:"), [NOBODY; 4]);
    assert_eq!(ids("Gid:"), [NOBODY - 1; 4]);
    assert_eq!(ids("Groups:"), []);
}

#[test]
fn workers_are_so_many_processes_on_one_socket_each_in_a_group_of_its_own() {
    let listener = tcp();
    let endpoint = listener.local_endpoint().unwrap();
    let running = example("plain").workers(4).start(listener).unwrap();
    let pids = running.pids();
    assert_eq!(pids.len(), 4);
    for worker in &pids {
        assert_eq!(descriptor(worker, 0), descriptor(pids[0], 0));
        assert_eq!(rustix::process::getpgid(Some(pid(*worker))).unwrap(), pid(*worker));
    }
    for _ in 0..20 {
        assert_answers(&endpoint);
    }
    assert_eq!(running.pids(), pids);
}

#[test]
fn the_socket_is_in_blocking_mode_in_a_worker_whatever_it_was_in() {
    let mut reports = Reports::new();
    let script = format!("report $(grep flags: /proc/$$/fdinfo/0); {STAY}");
    for nonblocking in [false, true] {
        let listener = tcp();
        ioctl_fionbio(&listener, nonblocking).unwrap();
        let running = reports.script(&script).start(listener).unwrap();
        assert_blocking(&reports.next());
        drop(running);
    }
}

#[track_caller]
fn assert_blocking(report: &str) {
    let flags = report.strip_prefix("flags: ").expect("a line of fdinfo");
    let flags = u32::from_str_radix(flags, 8).expect("an octal number");
    assert_eq!(flags & rustix::fs::OFlags::NONBLOCK.bits(), 0, "{report}");
}

#[test]
fn cve_2015_9253_a_worker_that_sets_the_shared_socket_to_non_blocking_does_not_spoil_the_next() {
    let mut reports = Reports::new();
    let listener = tcp();
    let shared = listener.as_fd().try_clone_to_owned().unwrap(); // As a worker has it.
    let running =
        reports.script(&format!("report $(grep flags: /proc/$$/fdinfo/0); {STAY}")).start(listener).unwrap();
    assert_blocking(&reports.next());
    ioctl_fionbio(&shared, true).unwrap();
    kill_process(pid(running.pids()[0]), Signal::KILL).unwrap();
    assert_blocking(&reports.next());
}

#[test]
fn x1_a_killed_worker_is_restarted_and_the_others_stay() {
    let listener = tcp();
    let endpoint = listener.local_endpoint().unwrap();
    let running = example("plain").workers(3).start(listener).unwrap();
    let before = running.pids();
    kill_process(pid(before[1]), Signal::KILL).unwrap();
    wait_for_end(before[1]);
    let after = wait_for_workers(&running, 3, &before[1..2]);
    assert!(after.contains(&before[0]) && after.contains(&before[2]), "{before:?} {after:?}");
    assert!(!exists(before[1]), "it is a zombie");
    assert_answers(&endpoint);
}

#[test]
fn cve_2015_9253_an_application_that_fails_at_once_is_restarted_with_growing_pauses() {
    let mut reports = Reports::new();
    let started = Instant::now();
    let _running = start(reports.script("report $$; exit 3"));
    let pids: Vec<u32> = (0..5).map(|_| reports.next_pid()).collect();
    assert!(started.elapsed() >= Duration::from_millis(100 + 200 + 400 + 800), "{:?}", started.elapsed());
    assert!(pids.windows(2).all(|pair| pair[0] != pair[1]), "{pids:?}");
}

#[test]
fn cve_2015_9253_an_application_that_ends_at_once_is_not_restarted_in_a_storm_with_status_0_either() {
    let mut reports = Reports::new();
    let started = Instant::now();
    let _running = start(reports.script("report $$; exit 0"));
    for _ in 0..5 {
        reports.next();
    }
    // Each has either run for 100 ms, if the machine is that slow, or its successor had to wait as long.
    assert!(started.elapsed() >= Duration::from_millis(4 * 100), "{:?}", started.elapsed());
}

#[test]
fn x1_an_application_that_ends_with_0_after_its_work_is_restarted_without_a_pause() {
    let mut reports = Reports::new();
    let _running = start(reports.script("report $$; sleep 0.15; exit 0"));
    // With growing pauses the tenth would start after 51 seconds.
    let deadline = Instant::now() + PATIENCE;
    for count in 0..10 {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(reports.next_within(left).is_some(), "only {count} starts");
    }
}

#[test]
fn a_program_that_is_not_there_is_an_error_of_start() {
    let start = |process: Process| process.start(tcp()).expect_err("it cannot be started");
    let error = start(Process::new("/no/such/program").workers(3));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().starts_with("cannot start \"/no/such/program\": "), "{error}");

    let error = start(Process::new("sleep").arg("100").current_dir("/no/such/folder"));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("\"sleep\" in \"/no/such/folder\": "), "{error}");

    let error = start(Process::new("/dev/null"));
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);

    let error = start(Process::new("sleep").arg("a\0b"));
    assert_eq!(error.kind(), ErrorKind::InvalidInput);

    let error = start(Process::new("sleep").arg("100").workers(0));
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_user_that_may_not_be_set_is_an_error_of_start() {
    if getuid().is_root() {
        return skipped("root may run a process as anybody");
    }
    let error = Process::new("sleep").arg("100").user(0, 0).start(tcp()).expect_err("it cannot be started");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("\"sleep\" as user 0 and group 0: "), "{error}");
}

#[test]
fn a_program_that_goes_away_later_is_tried_again_until_it_is_back() {
    let mut reports = Reports::new();
    let program = reports.dir.path().join("application");
    symlink("/bin/sh", &program).unwrap();
    let script = format!("report $$; {STAY}");
    let running = start(Process::new(&program).args(reports.arguments(&script)));
    let first = reports.next_pid();
    fs::remove_file(&program).unwrap();
    kill_process(pid(first), Signal::KILL).unwrap();
    // Longer than the first pause, so there was an attempt.
    assert_eq!(reports.next_within(Duration::from_millis(150)), None);
    assert_eq!(running.pids(), []);
    symlink("/bin/sh", &program).unwrap();
    let second = reports.next_pid();
    assert_eq!(running.pids(), [second]);
}

#[test]
fn x2_stop_asks_with_sigterm_and_waits_for_an_application_that_ends_in_its_own_time() {
    let mut reports = Reports::new();
    let script = "trap 'report asked; sleep 0.3; report done; exit 0' TERM; report $$; sleep 120 & wait";
    let running = start(reports.script(script).workers(2).grace(Duration::MAX));
    let pids = [reports.next_pid(), reports.next_pid()];
    running.stop();
    assert!(pids.iter().all(|pid| !exists(*pid)), "a worker is left");
    let mut last: Vec<String> = (0..4).map(|_| reports.next()).collect();
    last.sort();
    assert_eq!(last, ["asked", "asked", "done", "done"]);
}

#[test]
fn x2_stop_kills_an_application_that_ignores_sigterm_after_the_grace_time() {
    let mut reports = Reports::new();
    let grace = Duration::from_millis(300);
    // The signal stays ignored in the program that replaces the shell.
    let running = start(reports.script(&format!("trap '' TERM; report $$; {STAY}")).workers(2).grace(grace));
    let pids = [reports.next_pid(), reports.next_pid()];
    let started = Instant::now();
    running.stop();
    assert!(started.elapsed() >= grace, "{:?}", started.elapsed());
    assert!(pids.iter().all(|pid| !exists(*pid)), "a worker is left");
}

#[test]
fn stop_closes_the_socket_and_removes_its_file() {
    let dir = tempfile::tempdir().unwrap();
    for listener in [unix(dir.path()), tcp()] {
        let endpoint = listener.local_endpoint().unwrap();
        let running = example("plain").start(listener).unwrap();
        assert_answers(&endpoint);
        running.stop();
        // Another test's child has a copy of every descriptor for a moment, until it runs its program.
        assert!(wait_until(|| Stream::connect(&endpoint).is_err()), "somebody listens on {endpoint}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn stop_does_not_wait_for_a_pause_to_end() {
    let mut reports = Reports::new();
    let running = start(reports.script("report $$; exit 1"));
    for _ in 0..4 {
        reports.next();
    }
    running.stop();
    // The fifth may have come meanwhile, not a sixth.
    let late = std::iter::from_fn(|| reports.next_within(Duration::ZERO)).count();
    assert!(late <= 1, "{late}");
}

#[test]
fn dropping_kills_at_once_and_leaves_no_process() {
    let mut reports = Reports::new();
    let script = format!("trap '' TERM; sleep 120 & report $$; report $!; {STAY}");
    let running = start(reports.script(&script).grace(Duration::MAX));
    let [worker, child] = [reports.next_pid(), reports.next_pid()];
    drop(running);
    assert!(!exists(worker), "it is left");
    wait_for_end(child);
}

/// Not a test but an application for the one below, if this program was started as one: it goes to the process group
/// of who started it, and is silent.
#[test]
fn application_that_leaves_its_group() {
    if !Listener::is_inherited() {
        return;
    }
    let group = getpgid(getppid()).unwrap();
    setpgid(None, Some(group)).unwrap();
    thread::sleep(6 * PATIENCE);
}

#[test]
fn dropping_kills_a_worker_that_has_left_its_group() {
    let process = Process::new(std::env::current_exe().unwrap());
    let running = start(process.args(["--exact", "application_that_leaves_its_group"]));
    let [worker] = running.pids()[..] else { panic!("one worker") };
    let has_left = || getpgid(Some(pid(worker))).is_ok_and(|group| group != pid(worker));
    assert!(wait_until(has_left), "it has not left");
    drop(running);
    wait_for_end(worker);
}

#[test]
fn a_panic_leaves_no_process() {
    let mut reports = Reports::new();
    let process = reports.script(&format!("report $$; {STAY}"));
    let panicked = thread::spawn(move || {
        let _running = start(process);
        let worker = reports.next_pid();
        std::panic::resume_unwind(Box::new(worker));
    });
    let worker: Box<u32> = panicked.join().unwrap_err().downcast().expect("a process id");
    assert!(!exists(*worker), "it is left");
}

#[test]
fn what_a_worker_has_started_is_gone_after_stop() {
    let mut reports = Reports::new();
    let running = start(reports.script("sleep 120 & report $!; wait"));
    let child = reports.next_pid();
    running.stop();
    wait_for_end(child);
}

#[test]
fn what_a_worker_that_crashes_has_started_is_gone_before_the_next_one_starts() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let mut reports = Reports::new();
    let running = reports.script("sleep 120 & report $!; kill -SEGV $$").start(unix(dir.path())).unwrap();
    for _ in 0..3 {
        let child = reports.next_pid();
        wait_for_end(child);
    }
    drop(running);
    // Nobody holds the socket.
    drop(unix(dir.path()));
}

#[test]
fn replace_starts_new_workers_and_then_tells_the_old_ones_to_end() {
    let mut reports = Reports::new();
    let script = "trap 'report end; exit 0' TERM; report $$; sleep 120 & wait";
    let running = start(reports.script(script).workers(2));
    let old = [reports.next_pid(), reports.next_pid()];
    running.replace().unwrap();
    let new = running.pids();
    assert!(new.len() == 2 && new.iter().all(|pid| !old.contains(pid)), "{old:?} {new:?}");
    let mut next: Vec<String> = (0..4).map(|_| reports.next()).collect();
    next.sort();
    let mut expected: Vec<String> =
        new.iter().map(u32::to_string).chain(["end".into(), "end".into()]).collect();
    expected.sort();
    assert_eq!(next, expected);
    old.into_iter().for_each(wait_for_end);
    assert_eq!(running.pids(), new);
}

#[test]
fn replace_kills_old_workers_that_ignore_sigterm_after_the_grace_time() {
    let mut reports = Reports::new();
    let script = format!("trap '' TERM; report $$; {STAY}");
    let running = start(reports.script(&script).grace(Duration::from_millis(100)));
    let old = reports.next_pid();
    running.replace().unwrap();
    let new = reports.next_pid();
    wait_for_end(old);
    assert_eq!(running.pids(), [new]);
}

#[test]
fn replace_leaves_the_old_workers_if_the_new_ones_cannot_be_started() {
    let mut reports = Reports::new();
    let program = reports.dir.path().join("application");
    symlink("/bin/sh", &program).unwrap();
    let running = start(Process::new(&program).args(reports.arguments(&format!("report $$; {STAY}"))));
    let worker = reports.next_pid();
    fs::remove_file(&program).unwrap();
    let error = running.replace().expect_err("there is no program");
    assert!(error.to_string().starts_with("cannot start "), "{error}");
    assert_eq!(running.pids(), [worker]);
    assert!(exists(worker));
}

#[test]
fn replace_ends_the_new_workers_it_has_started_if_another_cannot_be() {
    const USER: u32 = 12_347;
    // More than the users of other tests have, who have the same limit meanwhile.
    const WORKERS: usize = 30;
    if !getuid().is_root() {
        return skipped("only root may run a process as somebody else");
    }
    let processes = || {
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter(|entry| entry.metadata().is_ok_and(|process| process.uid() == USER)).count()
    };
    let running = start(Process::new("/bin/sleep").arg("100").user(USER, USER).workers(WORKERS));
    let old = running.pids();
    // The user has as many processes as it may have. Linux lets one more become its, and no further one.
    let before = getrlimit(Resource::Nproc);
    setrlimit(Resource::Nproc, Rlimit { current: Some(WORKERS as u64), ..before }).unwrap();
    let error = running.replace().expect_err("the second is one too many");
    setrlimit(Resource::Nproc, before).unwrap();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    assert_eq!(running.pids(), old);
    assert!(wait_until(|| processes() == WORKERS), "a new worker is left");
    assert_eq!(running.pids(), old);
}

/// Not a test but an application for the one below, if this program was started as one: it answers one
/// connection after the other, and ends on SIGTERM when it has answered the one that it has accepted.
#[test]
fn application_that_ends_gracefully() {
    if !Listener::is_inherited() {
        return;
    }
    let listener = Listener::inherited().unwrap();
    let (wake, signalled) = UnixStream::pair().unwrap();
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGTERM, signalled).unwrap();
    while let Some((stream, _)) = listener.accept(&wake).unwrap() {
        let page = |request: &mut Request<'_>| Ok(request.stdout().write_all(b"Status: 200 OK\r\n\r\nhi")?);
        serve_stream(stream, &Settings::default(), page).unwrap();
    }
}

#[test]
fn replace_under_constant_connections_refuses_none_and_every_request_is_answered() {
    const CLIENTS: usize = 3;
    const REPLACES: usize = 5;
    let dir = tempfile::tempdir().unwrap();
    for listener in [unix(dir.path()), tcp()] {
        let endpoint = listener.local_endpoint().unwrap();
        let process = Process::new(std::env::current_exe().unwrap());
        let process = process.args(["--exact", "application_that_ends_gracefully", "--nocapture"]);
        let running = process.workers(2).grace(PATIENCE).start(listener).unwrap();
        let (replaced, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
        let client = || {
            for _ in 0..100_000 {
                call(&endpoint, Call::get("/")).assert_ok("hi");
                answers.fetch_add(1, Ordering::Relaxed);
                if replaced.load(Ordering::Relaxed) {
                    return;
                }
            }
        };
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
            let all_ended = (0..REPLACES).all(|_| {
                let old = running.pids();
                running.replace().unwrap();
                old.into_iter().all(has_ended)
            });
            replaced.store(true, Ordering::Relaxed);
            for client in clients {
                client.join().expect("every request of the client was answered");
            }
            assert!(all_ended, "an old worker is left");
        });
        assert!(answers.into_inner() >= CLIENTS);
    }
}

#[test]
fn php_workers_that_end_after_so_many_requests_are_restarted() {
    if !has("php-cgi") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("pid.php");
    fs::write(&script, "<?php echo getmypid();").unwrap();
    let listener = unix(dir.path());
    let endpoint = listener.local_endpoint().unwrap();
    let process = Process::new("php-cgi").env_remove("FCGI_WEB_SERVER_ADDRS").discard_stderr();
    let running = process.env("PHP_FCGI_MAX_REQUESTS", "2").start(listener).unwrap();
    let request = Call::get("/pid.php").param("SCRIPT_FILENAME", script.to_str().unwrap());
    let mut pids: Vec<u32> = (0..5)
        .map(|_| {
            let answer = call(&endpoint, request.clone());
            answer.text().parse().unwrap_or_else(|_| panic!("{answer:?}"))
        })
        .collect();
    pids.dedup();
    assert_eq!(pids.len(), 3, "{pids:?}");
    running.stop();
}

fn has(program: &str) -> bool {
    let found = Command::new(program).arg("-v").output().is_ok();
    if !found {
        skipped(format_args!("there is no {program}"));
    }
    found
}

/// The example `spawn` with `arguments`, and what it reports with.
fn spawn(arguments: &[&str]) -> Command {
    let mut command = child::example("spawn");
    command.args(arguments);
    command
}

#[test]
fn example_spawn_serves_replaces_on_sighup_and_stops_on_sigterm_and_sigint() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut reports = Reports::new();
        let plain = child::example("plain");
        let script = format!("report $$; exec '{}'", plain.get_program().to_str().unwrap());
        let endpoint = Endpoint::Unix(reports.dir.path().join("socket"));
        let mut command = spawn(&["--workers", "2", "--bind", &endpoint.to_string(), "--", "/bin/sh"]);
        let process = child::Process::start(command.args(reports.arguments(&script)));
        let old = [reports.next_pid(), reports.next_pid()];
        assert_answers(&endpoint);
        process.signal(Signal::HUP);
        let new = [reports.next_pid(), reports.next_pid()];
        old.into_iter().for_each(wait_for_end);
        assert_answers(&endpoint);
        process.signal(signal);
        let (status, log) = process.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(!new.iter().any(|pid| exists(*pid)), "a worker is left");
    }
}

#[test]
fn example_spawn_sets_the_sockets_mode_the_workers_user_and_a_pid_file() {
    if !getuid().is_root() {
        return skipped("only root may run a process as somebody else");
    }
    for (options, ids) in [
        (&["--user", "nobody"][..], "65534 65534"),
        (&["--user", "65534", "--group", "www-data"], "65534 33"),
        (&["--user", "12345", "--group", "12346"], "12345 12346"),
    ] {
        let dir = TempDir::new().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let [socket, pid_file, seen] = ["socket", "pid", "seen"].map(|name| dir.path().join(name));
        let mut command = spawn(&["--mode", "604", "--bind", socket.to_str().unwrap()]);
        command.arg("--pid-file").arg(&pid_file).args(options);
        let script = "echo $(id -u) $(id -g) >\"$0.new\"; mv \"$0.new\" \"$0\"; exec sleep 100";
        let process = child::Process::start(command.args(["--", "/bin/sh", "-c", script]).arg(&seen));
        let is_there = wait_until(|| {
            assert_eq!(process.log(), "");
            seen.exists() && fs::read_to_string(&pid_file).is_ok_and(|text| text.ends_with('\n'))
        });
        assert!(is_there, "no worker, or no pid file");
        assert_eq!(fs::read_to_string(&seen).unwrap().trim(), ids);
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o604);
        let pid = fs::read_to_string(&pid_file).unwrap();
        assert_eq!(pid.trim(), process.pid().as_raw_pid().to_string());
        process.signal(Signal::TERM);
        assert_eq!(process.wait().0.code(), Some(0));
        assert!(!pid_file.exists() && !socket.exists());
    }
}

#[test]
fn example_spawn_says_on_one_line_what_is_wrong_and_exits_with_2() {
    let cases: [(&[&str], &str); 9] = [
        (&[], "no PROGRAM"),
        (&["--"], "no PROGRAM"),
        (&["php-cgi"], "\"php-cgi\": no such option; PROGRAM comes after --"),
        (&["--workers"], "--workers: no value"),
        (&["--workers", "many", "--", "true"], "--workers: "),
        (&["--workers", "0", "--bind", "127.0.0.1:0", "--", "true"], "at least one worker"),
        (&["--bind", "9000", "--", "true"], "bad address \"9000\""),
        (&["--bind", "127.0.0.1:0", "--", "/no/such/program"], "cannot start \"/no/such/program\""),
        (&["--bind", "/no/such/folder/socket", "--", "true"], "cannot listen on"),
    ];
    for (arguments, problem) in cases {
        let (status, text) = child::Process::start(&mut spawn(arguments)).wait();
        assert_eq!(status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(problem) && text.lines().count() == 1, "{arguments:?}: {text}");
    }
}

#[test]
fn a_listener_of_the_standard_library_will_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let running = example("plain").start(UnixListener::bind(&path).unwrap().into()).unwrap();
    assert_answers(&Endpoint::Unix(path));
    running.stop();
}
