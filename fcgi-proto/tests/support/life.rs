//! What the tests of the client's session share: a session with a transport and a clock that the test moves. Each
//! scenario runs with what comes and what goes whole, byte by byte, and in odd pieces.

#![allow(dead_code, reason = "every file of tests uses a part of it")]

use std::collections::HashMap;
use std::time::Duration;

use fcgi_proto::Next;
use fcgi_proto::client::{Ask, End, Failure, Input, Request, SendError, Session, Settings};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct Life<const N: usize> {
    pub(crate) session: Session<N>,
    pub(crate) now: Duration,
    /// Bytes that come, and that leave, at a time.
    pieces: (usize, usize),
    /// Records that have not left, and those that have.
    pub(crate) out: Vec<u8>,
    pub(crate) wire: Vec<u8>,
    /// What came and the session has not taken.
    unread: Vec<u8>,
    pub(crate) stdout: HashMap<Request, Vec<u8>>,
    pub(crate) stderr: HashMap<Request, Vec<u8>>,
    /// Whether STDOUT is taken as it comes.
    pub(crate) takes: bool,
}

/// Runs the scenario with all sizes of pieces.
pub(crate) fn each<const N: usize>(settings: Settings, scenario: impl Fn(&mut Life<N>)) {
    for pieces in [(usize::MAX, usize::MAX), (1, 1), (1, usize::MAX), (usize::MAX, 1), (7, 3)] {
        scenario(&mut Life {
            session: Session::new(settings),
            // Nothing begins at the clock's beginning.
            now: 1000 * SECOND,
            pieces,
            out: Vec::new(),
            wire: Vec::new(),
            unread: Vec::new(),
            stdout: HashMap::new(),
            stderr: HashMap::new(),
            takes: true,
        });
    }
}

/// The defaults, with something changed.
pub(crate) fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}

pub(crate) fn ask(method: &str) -> Ask<'_> {
    Ask::new(method.as_bytes())
}

/// A POST with so many bytes of a body.
pub(crate) fn post(stdin: u64) -> Ask<'static> {
    let mut ask = Ask::new(b"POST");
    ask.stdin = stdin;
    ask
}

impl<const N: usize> Life<N> {
    pub(crate) fn try_begin(&mut self, ask: Ask<'_>) -> Result<Request, SendError> {
        let pairs = [(&b"REQUEST_METHOD"[..], ask.method)].into_iter();
        self.session.begin_with(ask, pairs, &mut self.out, self.now)
    }

    #[track_caller]
    pub(crate) fn begin(&mut self, ask: Ask<'_>) -> Request {
        self.try_begin(ask).expect("the connection takes a request")
    }

    /// A request that was sent whole and is waited for.
    #[track_caller]
    pub(crate) fn get(&mut self) -> Request {
        let request = self.begin(ask("GET"));
        self.flush();
        assert_eq!(self.poll(request), Ok(None));
        request
    }

    /// Gives the request as much of the input as it takes; the rest.
    pub(crate) fn give<'d>(&mut self, request: Request, mut data: &'d [u8]) -> &'d [u8] {
        while self.session.wants(request) > 0 && !data.is_empty() {
            let (piece, rest) =
                self.session.write(request, data, self.now).expect("a handle that is not over");
            piece.slices().iter().for_each(|slice| self.out.extend_from_slice(slice));
            assert_eq!(piece.remaining(), piece.slices().concat().len());
            data = rest;
        }
        data
    }

    /// The transport takes this many bytes.
    pub(crate) fn take(&mut self, count: usize) {
        let mut left = count.min(self.out.len());
        while left > 0 {
            let count = left.min(self.pieces.1);
            self.wire.extend(self.out.drain(..count));
            self.session.sent(count, self.now);
            left -= count;
        }
    }

    /// The transport takes all.
    pub(crate) fn flush(&mut self) {
        self.take(usize::MAX);
        assert!(!self.session.next().write || self.session.next().close);
    }

    /// Bytes come.
    pub(crate) fn feed(&mut self, bytes: impl AsRef<[u8]>) {
        for piece in bytes.as_ref().chunks(self.pieces.0.min(bytes.as_ref().len().max(1))) {
            self.unread.extend_from_slice(piece);
            self.pull();
        }
    }

    /// The session takes what it reads of what came.
    pub(crate) fn pull(&mut self) {
        let unread = std::mem::take(&mut self.unread);
        let mut input = &unread[..];
        while let Some(came) = self.session.receive(&mut input, self.now) {
            match came {
                Input::Stdout { request, data } => {
                    assert!(!data.is_empty());
                    self.stdout.entry(request).or_default().extend_from_slice(data);
                    if self.takes {
                        self.session.took(request, data.len(), self.now);
                    }
                }
                Input::Stderr { request, data } => {
                    assert!(!data.is_empty());
                    self.stderr.entry(request).or_default().extend_from_slice(data);
                }
                Input::Look { .. } => {}
                other => panic!("{other:?} is new"),
            }
        }
        assert!(input.is_empty() || !self.session.next().read, "input is left that could be read");
        self.unread = input.to_vec();
    }

    /// Bytes that came and wait.
    pub(crate) fn waiting(&self) -> usize {
        self.unread.len()
    }

    pub(crate) fn poll(&mut self, request: Request) -> Result<Option<End>, Failure> {
        self.session.poll(request, self.now)
    }

    /// The request ended well.
    #[track_caller]
    pub(crate) fn end(&mut self, request: Request) -> End {
        self.poll(request).expect("no failure").expect("an end")
    }

    pub(crate) fn leave(&mut self, request: Request) {
        let abort = self.session.leave(request, self.now);
        self.out.extend_from_slice(&abort);
    }

    /// The time passes that `next` names, at which something has to happen, and nothing before.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Duration {
        let start = self.now;
        loop {
            let at = self.session.next().at.expect("a moment to come back at");
            if at > self.now {
                assert!(!self.session.expire(at - Duration::from_nanos(1)), "it expires before its time");
            }
            self.now = self.now.max(at);
            if self.session.expire(self.now) {
                return self.now - start;
            }
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        assert!(!self.session.expire(self.now), "nothing is due");
    }

    #[track_caller]
    pub(crate) fn page(&self, request: Request) -> &str {
        self.stdout.get(&request).map_or("", |bytes| std::str::from_utf8(bytes).expect("text"))
    }

    pub(crate) fn next(&self) -> Next {
        self.session.next()
    }
}
