//! An example as a child process that hostile peers are let loose on: what it holds, what it says, and whether
//! it serves others.

use std::io::{ErrorKind, Write};
use std::process::Command;

use crate::support::child::{Serving, example};
use crate::support::{Call, Client, wait_until};

/// What a process may grow by that holds a few large requests, in KiB; an unbounded one would be far beyond.
pub(crate) const LITTLE: u64 = 8 * 1024;

#[derive(Debug)]
pub(crate) struct Victim {
    pub(crate) server: Serving,
    /// A client that was there before, and stays.
    kept: Client,
    memory: u64,
    /// With one for the client that was there before.
    pub(crate) descriptors: usize,
}

impl Victim {
    /// The example `inspect`, which has served a little, on a Unix socket and on TCP.
    pub(crate) fn inspect() -> [Self; 2] {
        [Self::inspect_unix(), Self::new(Serving::tcp(&mut example("inspect")))]
    }

    pub(crate) fn inspect_unix() -> Self {
        Self::new(Serving::unix(&mut example("inspect")))
    }

    /// The same with so few descriptors at first.
    pub(crate) fn limited(descriptors: u32) -> Self {
        let inspect = example("inspect");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -S -n {descriptors} && exec \"$0\"")).arg(inspect.get_program());
        for (name, _) in inspect.get_envs() {
            shell.env_remove(name);
        }
        Self::new(Serving::unix(&mut shell))
    }

    pub(crate) fn new(server: Serving) -> Self {
        let mut kept = server.connect();
        kept.call(&Call::get("/bytes/1000000")).assert_ok(vec![b'x'; 1_000_000]);
        kept.call(&Call::post("/echo", vec![b'e'; 100_000])).assert_ok(vec![b'e'; 100_000]);
        let (memory, descriptors) = (server.process.peak_memory(), server.process.descriptors());
        Self { server, kept, memory, descriptors }
    }

    pub(crate) fn connect(&self) -> Client {
        self.server.connect()
    }

    pub(crate) fn connect_all(&self, count: usize) -> Vec<Client> {
        (0..count).map(|_| self.connect()).collect()
    }

    /// The one that was there before had to make room, and comes back.
    pub(crate) fn reconnect(&mut self) {
        self.kept.assert_closed();
        self.kept = self.connect();
    }

    /// Others are served: one that was there before, and a new one.
    #[track_caller]
    pub(crate) fn assert_serves(&mut self) {
        self.assert_keeps();
        self.connect().call(&Call::post("/echo", "new").closing()).assert_ok("new");
    }

    /// The one that was there before is served.
    #[track_caller]
    pub(crate) fn assert_keeps(&mut self) {
        self.kept.call(&Call::post("/echo", "old")).assert_ok("old");
    }

    /// How much more memory it has had resident than before is less than `limit`, in KiB.
    #[track_caller]
    pub(crate) fn assert_growth_below(&self, limit: u64) {
        let growth = self.server.process.memory_growth(self.memory);
        println!("{growth} KiB more");
        assert!(growth < limit, "{growth} KiB more");
    }

    /// Waits until a line of the log has `text`.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        assert!(wait_until(|| self.lines(text) > 0), "no {text:?} in {}", self.server.process.log());
    }

    /// How many lines of the log have `text`.
    pub(crate) fn lines(&self, text: &str) -> usize {
        self.server.process.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Others are still served, nothing is left of the hostile peers, which are gone, and it ends in good
    /// order; what it said.
    #[track_caller]
    pub(crate) fn finish(mut self) -> String {
        self.assert_serves();
        let process = &self.server.process;
        let (now, before) = (|| process.descriptors(), self.descriptors);
        assert!(wait_until(|| now() <= before), "{} descriptors, {before} before", now());
        let log = self.server.finish();
        assert!(!log.contains("panicked"), "{log}");
        log
    }
}

/// Sends as much as the server takes, which is less than `most` bytes, while nothing is read: until it takes
/// no more although it had time to serve another three times.
#[track_caller]
pub(crate) fn flood(victim: &mut Victim, peers: &mut [Client], bytes: &[u8], most: usize) {
    for peer in peers.iter() {
        peer.stream.set_nonblocking(true).expect("the mode can be set");
    }
    let mut sent = vec![0; peers.len()];
    let mut quiet = 0;
    while quiet < 3 {
        quiet += 1;
        for (peer, sent) in peers.iter_mut().zip(&mut sent) {
            loop {
                match peer.stream.write(&bytes[*sent % bytes.len()..]) {
                    Ok(count) => (*sent, quiet) = (*sent + count, 0),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("the server closed: {error}"),
                }
                assert!(*sent < most, "it takes everything");
            }
        }
        victim.assert_serves();
    }
}
