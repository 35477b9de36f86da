//! A server's session between a client and handlers that a test plays, with the time that a test lets pass: no I/O
//! and no thread. A [script](play) runs under many cuttings of what comes and goes, with both kinds of table, with
//! and without requests that are taken at once; what it asserts holds for all.

#![allow(dead_code, reason = "every file of tests uses a part of it")]

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::mem;
use std::time::Duration;

use fcgi_proto::cgi::{Answer, HEAD_LIMIT, HeadError};
use fcgi_proto::pair::ParamsBuf;
use fcgi_proto::record::{Control, Record, Role};
use fcgi_proto::server::Session;
use fcgi_proto::server::session::Wait;
use fcgi_proto::server::session::{
    End, Input, Leave, Life, Patience, Read, Report, Request, Started, Stopped, Stream, Waiting, Write,
    WriteError,
};
use fcgi_proto::{Level, Limits, Next};

use crate::support::*;

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The shortest time that is told apart from none.
pub(crate) const MOMENT: Duration = Duration::from_nanos(1);

/// The default patience but for this.
pub(crate) fn patience(change: impl FnOnce(&mut Patience)) -> Patience {
    let mut patience = Patience::new();
    change(&mut patience);
    patience
}

/// The head of a page, 37 bytes, that is sent as it is.
pub(crate) const PAGE: &[u8] = b"Status: 200 OK\r\nContent-Type: a/b\r\n\r\n";

/// A page of so many bytes, head and all.
pub(crate) fn page(len: usize) -> Vec<u8> {
    let mut page = PAGE.to_vec();
    page.extend((PAGE.len()..len).map(|at| at as u8));
    assert_eq!(page.len(), len);
    page
}

/// Bytes of a body, no two neighbours the same.
pub(crate) fn body(len: usize) -> Vec<u8> {
    (0..len).map(|at| at as u8).collect()
}

/// A session of either kind.
#[derive(Debug)]
pub(crate) enum Side<const N: usize> {
    Array(Box<Session<N>>),
    Growing(Box<Session<N, Vec<Life>>>),
}

/// The calls of both kinds.
macro_rules! calls {
    ($($name:ident($($arg:ident: $of:ty),*) -> $result:ty;)*) => {
        #[allow(clippy::unused_unit, clippy::extra_unused_lifetimes, reason = "some calls have no result, or lend nothing")]
        impl<const N: usize> Side<N> {
            $(pub(crate) fn $name<'a>(&mut self, $($arg: $of),*) -> $result {
                match self {
                    Self::Array(session) => session.$name($($arg),*),
                    Self::Growing(session) => session.$name($($arg),*),
                }
            })*
        }
    };
}

calls! {
    receive(input: &mut &'a [u8], now: Duration) -> Option<Input<'a>>;
    receive_whole(input: &mut &'a [u8]) -> Option<Started<'a>>;
    took(count: usize) -> ();
    room(request: Request) -> bool;
    refuse_full(request: Request) -> ();
    refuse_malformed(request: Request) -> ();
    refuse_role(request: Request) -> ();
    read(request: Request, stream: Stream, now: Duration) -> Result<Read, Stopped>;
    is_gone(request: Request) -> bool;
    is_alive(request: Request) -> bool;
    requests() -> usize;
    end_of_input() -> ();
    broken() -> ();
    unwritable() -> ();
    poll_output() -> Option<Control>;
    sent(count: usize, now: Duration) -> ();
    may_answer(request: Request) -> Result<(), Stopped>;
    stdout(request: Request, data: &'a [u8]) -> Result<Option<(Record<'a>, &'a [u8])>, Stopped>;
    stderr(request: Request, data: &'a [u8]) -> Result<Option<(Record<'a>, &'a [u8])>, Stopped>;
    write(request: Request, answer: &'a mut Answer, data: &'a [u8], now: Duration) -> Result<Write<'a>, WriteError>;
    write_stderr(request: Request, answer: &'a mut Answer, data: &'a [u8], now: Duration) -> Result<Write<'a>, WriteError>;
    flush(request: Request, answer: &'a mut Answer, now: Duration) -> Result<Write<'a>, WriteError>;
    fail(request: Request, now: Duration) -> ();
    finish(request: Request, now: Duration) -> ();
    finish_answer(request: Request, answer: &mut Answer, failed: Option<&str>, now: Duration) -> Result<(), HeadError>;
    end(request: Request, app_status: u32) -> End<Control>;
    end_answer(request: Request, answer: &'a mut Answer, app_status: u32) -> End<&'a [u8]>;
    failure_level(request: Request) -> Level;
    next(now: Duration) -> Next;
    deadline() -> Option<Duration>;
    shut(now: Duration) -> ();
    expire(now: Duration) -> bool;
    leave(why: Leave, now: Duration) -> ();
    waiting() -> Option<Waiting>;
    poll_report() -> Option<Report>;
}

/// How a script is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cutting {
    /// The table grows; else it is an array.
    growing: bool,
    /// Requests that are all there are taken at once.
    whole: bool,
    /// Bytes that a read brings, and that a write takes, at most.
    input: usize,
    output: usize,
}

const CUTTINGS: [Cutting; 10] = {
    const ALL: usize = usize::MAX;
    [
        Cutting { growing: false, whole: false, input: ALL, output: ALL },
        Cutting { growing: false, whole: true, input: ALL, output: ALL },
        Cutting { growing: false, whole: false, input: 1, output: ALL },
        Cutting { growing: false, whole: false, input: ALL, output: 1 },
        Cutting { growing: false, whole: true, input: 1, output: 1 },
        Cutting { growing: true, whole: false, input: ALL, output: ALL },
        Cutting { growing: true, whole: true, input: ALL, output: 1 },
        Cutting { growing: true, whole: false, input: 1, output: 1 },
        Cutting { growing: true, whole: false, input: 13, output: 7 },
        Cutting { growing: false, whole: true, input: 37, output: 1001 },
    ]
};

/// What the driver answers the session on behalf of the handlers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    pub(crate) limits: Limits,
    pub(crate) patience: Patience,
    /// Bytes of each body of a request that are kept in memory, and what else on disk.
    pub(crate) room: usize,
    pub(crate) disk: usize,
    /// Bytes of a request's parameters.
    pub(crate) params: usize,
    /// Requests at a time; more are refused when they begin.
    pub(crate) requests: usize,
    /// Others are refused when they begin.
    pub(crate) role: Option<Role>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            limits: Limits::new(),
            patience: Patience::new(),
            room: usize::MAX,
            disk: 0,
            params: 1 << 20,
            requests: usize::MAX,
            role: None,
        }
    }

    pub(crate) fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut server = Self::new();
        change(&mut server);
        server
    }
}

/// Runs the script on new connections with up to `N` requests at a time, under all cuttings.
pub(crate) fn play_with<const N: usize>(server: Server, script: impl Fn(&mut Line<N>)) {
    for cutting in CUTTINGS {
        let mut line = Line::new(server, cutting);
        line.run();
        script(&mut line);
    }
}

/// [`play_with`] with the default server.
pub(crate) fn play<const N: usize>(script: impl Fn(&mut Line<N>)) {
    play_with(Server::new(), script);
}

/// What a handler got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Bytes(Vec<u8>),
    End,
    /// It waits.
    Nothing,
}

/// What the driver keeps for a request.
struct Kept {
    params: ParamsBuf,
    bodies: [Vec<u8>; 2],
    /// Bytes on disk, of those in `bodies`.
    on_disk: [usize; 2],
    answer: Answer,
    /// Its handler runs or ran.
    started: bool,
    /// Its handler is done; it answers with records of its own, without an [`Answer`].
    ending: Option<u32>,
    plain: bool,
    over: bool,
    /// Its handler waits, and whether it was called meanwhile.
    waits: bool,
    looked: bool,
}

fn place(stream: Stream) -> usize {
    match stream {
        Stream::Stdin => 0,
        Stream::Data => 1,
    }
}

/// How a transport ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Closed,
    Failed,
}

/// A connection, its client and its handlers.
pub(crate) struct Line<const N: usize> {
    pub(crate) session: Side<N>,
    server: Server,
    cutting: Cutting,
    pub(crate) now: Duration,
    /// What the client has sent and was not read, and how it goes on then.
    coming: VecDeque<u8>,
    ends: Option<Ends>,
    /// What was read and not taken.
    unread: Vec<u8>,
    /// What is to leave, and what has left.
    out: VecDeque<u8>,
    pub(crate) sent: Vec<u8>,
    /// Bytes that the client still takes.
    pub(crate) takes: usize,
    /// Writing can be shut down.
    pub(crate) shuts: bool,
    /// How many bytes had left when writing was shut down.
    pub(crate) shut: Option<usize>,
    pub(crate) closed: bool,
    story: String,
    /// The last event, of which more bytes may come: its name, and how many there were.
    joined: Option<(String, usize)>,
    latest: HashMap<u16, Request>,
    kept: HashMap<Request, Kept>,
    pub(crate) reports: Vec<Report>,
    /// How often time was looked at.
    pub(crate) wakes: usize,
}

impl<const N: usize> Line<N> {
    pub(crate) fn new(server: Server, cutting: Cutting) -> Self {
        let session = if cutting.growing {
            Side::Growing(Box::new(Session::growing(server.limits, &server.patience)))
        } else {
            Side::Array(Box::new(Session::new(server.limits, &server.patience)))
        };
        Self {
            session,
            server,
            cutting,
            now: secs(1_000_000),
            coming: VecDeque::new(),
            ends: None,
            unread: Vec::new(),
            out: VecDeque::new(),
            sent: Vec::new(),
            takes: usize::MAX,
            shuts: true,
            shut: None,
            closed: false,
            story: String::new(),
            joined: None,
            latest: HashMap::new(),
            kept: HashMap::new(),
            reports: Vec::new(),
            wakes: 0,
        }
    }

    // The client.

    /// It sends these bytes, and all is done that can be.
    pub(crate) fn comes(&mut self, bytes: &[u8]) {
        self.coming.extend(bytes);
        self.run();
    }

    /// It closes its direction.
    pub(crate) fn closes(&mut self) {
        self.ends = Some(Ends::Closed);
        self.run();
    }

    /// Reading fails.
    pub(crate) fn read_fails(&mut self) {
        self.ends = Some(Ends::Failed);
        self.run();
    }

    /// Writing fails.
    pub(crate) fn write_fails(&mut self) {
        self.out.clear();
        self.session.unwritable();
        self.run();
    }

    /// It takes so many more bytes.
    pub(crate) fn takes(&mut self, count: usize) {
        self.takes = count;
        self.run();
    }

    /// Bytes that the client has sent and that were not read.
    pub(crate) fn unread(&self) -> usize {
        self.coming.len() + self.unread.len()
    }

    /// The records that it got, on one line, such as `STDOUT#1:23 STDOUT#1:0 END#1(0,0)`; those of one stream of a
    /// request that come one behind the other as one. With what was cut, `…`.
    pub(crate) fn answers(&self) -> String {
        let (records, rest) = walk(&self.sent);
        let mut line = String::new();
        let mut joined: Option<(u8, u16, usize)> = None;
        let tell = |joined: &mut Option<(u8, u16, usize)>, line: &mut String| {
            if let Some((kind, id, len)) = joined.take() {
                write!(line, " {}#{id}:{len}", if kind == STDOUT { "STDOUT" } else { "STDERR" }).unwrap();
            }
        };
        for Wire { kind, id, content, .. } in &records {
            if let (STDOUT | STDERR, 1..) = (*kind, content.len()) {
                if joined.is_none_or(|(of, of_id, _)| (of, of_id) != (*kind, *id)) {
                    tell(&mut joined, &mut line);
                }
                joined = Some((*kind, *id, joined.map_or(0, |(_, _, len)| len) + content.len()));
                continue;
            }
            tell(&mut joined, &mut line);
            match (*kind, &content[..]) {
                (END, &[a, b, c, d, status, ..]) => {
                    write!(line, " END#{id}({},{status})", u32::from_be_bytes([a, b, c, d]))
                }
                (UNKNOWN_TYPE, &[unknown, ..]) => write!(line, " UNKNOWN_TYPE({unknown})"),
                (GET_VALUES_RESULT, _) => write!(line, " VALUES"),
                (STDOUT, _) => write!(line, " STDOUT#{id}:0"),
                (STDERR, _) => write!(line, " STDERR#{id}:0"),
                _ => panic!("a server does not send type {kind}"),
            }
            .unwrap();
        }
        tell(&mut joined, &mut line);
        if !rest.is_empty() {
            line.push_str(" …");
        }
        line.trim_start().to_owned()
    }

    /// The records that it got: whole, and nothing else.
    pub(crate) fn records(&self) -> Vec<Wire> {
        answer_records(&self.sent)
    }

    /// The joined content of what it got of a stream of a request.
    pub(crate) fn output(&self, kind: u8, id: u16) -> Vec<u8> {
        let (records, _) = walk(&self.sent);
        let of_stream = records.into_iter().filter(|record| (record.kind, record.id) == (kind, id));
        of_stream.flat_map(|record| record.content).collect()
    }

    // The loop.

    /// Does what the session wants until it wants nothing that can be done at once.
    pub(crate) fn run(&mut self) {
        for _ in 0..10_000_000 {
            if !self.step() {
                return self.check_rest();
            }
        }
        panic!("it spins: {:?}", self.session);
    }

    fn step(&mut self) -> bool {
        if self.take_in() {
            return true;
        }
        if let Some(report) = self.session.poll_report() {
            if let Stopped::TimedOut { wait: Wait::Write | Wait::Shutdown, .. } = report.what {
                self.out.clear();
            }
            self.reports.push(report);
        }
        if self.closed {
            return false;
        }
        let next = self.session.next(self.now);
        assert!(next.close || self.session.deadline() == next.at);
        if next.close {
            assert!(!next.write && !next.read && !next.shutdown, "{next:?}");
            self.closed = true;
            return true;
        }
        if next.at.is_some_and(|at| at <= self.now) {
            self.expire();
            return true;
        }
        if next.write && self.write_some() {
            return true;
        }
        if next.shutdown {
            assert!(!next.write && self.out.is_empty(), "{next:?}");
            if self.shuts {
                assert_eq!(self.shut, None, "shut down twice");
                self.shut = Some(self.sent.len());
                self.session.shut(self.now);
                return true;
            }
        }
        next.read && self.unread.is_empty() && self.read_some()
    }

    /// The time has come.
    fn expire(&mut self) {
        self.wakes += 1;
        assert!(self.session.expire(self.now), "it told this time: {:?}", self.session);
        let at = self.session.next(self.now).at;
        assert!(at.is_none_or(|at| at > self.now), "it waits for what has passed: {:?}", self.session);
    }

    /// The session wants something, waits for a handler, or has a time at which it wants to be called.
    fn check_rest(&mut self) {
        if self.closed {
            return;
        }
        let next = self.session.next(self.now);
        let acts =
            |kept: &Kept| kept.started && (!kept.waits || kept.looked) && kept.ending.is_none() && !kept.over;
        let acts = self.kept.values().any(acts);
        let busy = self.session.requests() > 0 || !self.out.is_empty();
        assert!(!busy || acts || next.at.is_some(), "it does not get on: {next:?} {:?}", self.session);
        assert!(self.out.is_empty() || next.write, "{next:?} {:?}", self.session);
    }

    /// This much time passes.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.run();
            let next = self.session.next(self.now);
            match next.at.filter(|at| *at <= until && !self.closed) {
                Some(at) => {
                    assert!(at > self.now);
                    self.now = at;
                    self.expire();
                }
                None => break,
            }
        }
        self.now = until;
        self.run();
    }

    /// How long it waits at most, if nothing happens.
    pub(crate) fn at(&mut self) -> Option<Duration> {
        self.session.next(self.now).at.map(|at| at - self.now)
    }

    /// Whether it reads.
    pub(crate) fn reads(&mut self) -> bool {
        self.session.next(self.now).read
    }

    pub(crate) fn leave(&mut self, why: Leave) {
        self.session.leave(why, self.now);
        self.run();
    }

    fn write_some(&mut self) -> bool {
        let before = self.out.len();
        while let Some(control) = self.session.poll_output() {
            self.out.extend(&control[..]);
        }
        assert!(!self.out.is_empty(), "there is nothing to write: {:?}", self.session);
        assert_eq!(self.shut, None, "written after writing was shut down");
        let count = self.out.len().min(self.cutting.output).min(self.takes);
        if count == 0 {
            // What was handed out is in nobody's way.
            return self.out.len() > before;
        }
        self.sent.extend(self.out.drain(..count));
        if self.takes != usize::MAX {
            self.takes -= count;
        }
        self.session.sent(count, self.now);
        true
    }

    fn read_some(&mut self) -> bool {
        if !self.coming.is_empty() {
            let count = self.coming.len().min(self.cutting.input);
            self.unread = self.coming.drain(..count).collect();
            return true;
        }
        match self.ends.take() {
            Some(Ends::Closed) => self.session.end_of_input(),
            Some(Ends::Failed) => self.session.broken(),
            None => return false,
        }
        true
    }

    fn take_in(&mut self) -> bool {
        let unread = mem::take(&mut self.unread);
        let mut input = &unread[..];
        let now = self.now;
        if self.cutting.whole {
            if let Some(started) = self.session.receive_whole(&mut input) {
                let Started { request, keep_conn, params, .. } = started;
                let begin = Input::Begin { request, role: Role::Responder, keep_conn };
                for event in [begin, Input::Params { request, data: params }, Input::Start { request }] {
                    if self.kept.get(&request).is_none_or(|kept| !kept.over) {
                        self.take_event(&event);
                    }
                }
                self.unread = input.to_vec();
                return true;
            }
            assert_eq!(input.len(), unread.len(), "no request, and input was taken");
        }
        let Some(event) = self.session.receive(&mut input, now) else {
            let took = input.len() < unread.len();
            self.unread = input.to_vec();
            return took;
        };
        let mut left = input.len();
        if let Input::Body { request, stream, data, spool } = event {
            let count = self.keep(request, stream, data, spool);
            self.session.took(count);
            left += data.len() - count;
        } else {
            self.take_event(&event);
        }
        self.unread = unread[unread.len() - left..].to_vec();
        true
    }

    fn keep(&mut self, request: Request, stream: Stream, data: &[u8], spool: bool) -> usize {
        let Server { room, disk, .. } = self.server;
        let kept = self.kept.get_mut(&request).unwrap();
        assert!(kept.started && !kept.over && kept.ending.is_none(), "nobody wants it");
        assert!(!data.is_empty());
        let place = place(stream);
        let in_memory = kept.bodies[place].len() - kept.on_disk[place];
        let mut count = data.len().min(room.saturating_sub(in_memory));
        if spool {
            let more = (data.len() - count).min(disk - kept.on_disk[place]);
            kept.on_disk[place] += more;
            count += more;
        }
        kept.bodies[place].extend(&data[..count]);
        if count > 0 {
            kept.looked = true;
        }
        count
    }

    fn take_event(&mut self, event: &Input<'_>) {
        match *event {
            Input::Begin { request, role, keep_conn } => {
                let old = self.latest.insert(request.id().get(), request);
                assert_ne!(old, Some(request), "a request that begins is a new one");
                self.tell(format!("BEGIN#{}({role:?},{keep_conn})", request.id()));
                let kept = Kept {
                    params: ParamsBuf::new(self.server.params),
                    bodies: [Vec::new(), Vec::new()],
                    on_disk: [0; 2],
                    answer: Answer::new(HEAD_LIMIT),
                    started: false,
                    ending: None,
                    plain: false,
                    over: false,
                    waits: false,
                    looked: false,
                };
                let active = self.kept.values().filter(|kept| !kept.over).count();
                assert!(self.kept.insert(request, kept).is_none());
                if active >= self.server.requests {
                    self.session.refuse_full(request);
                    self.forget(request);
                } else if self.server.role.is_some_and(|only| only != role) {
                    self.session.refuse_role(request);
                    self.forget(request);
                }
            }
            Input::Params { request, data } => {
                assert!(!data.is_empty());
                let Some(kept) = self.kept.get_mut(&request).filter(|kept| !kept.over) else {
                    panic!("parameters of a request that is over");
                };
                assert!(!kept.started);
                let full = kept.params.push(data).is_err();
                self.tell_bytes(format!("PARAMS#{}", request.id()), data.len());
                if full {
                    self.session.refuse_full(request);
                    self.forget(request);
                }
            }
            Input::Start { request } => {
                let kept = self.kept.get_mut(&request).filter(|kept| !kept.over).expect("it is over");
                assert!(!kept.started, "started twice");
                if kept.params.finish().is_err() {
                    self.session.refuse_malformed(request);
                    return self.forget(request);
                }
                kept.started = true;
                kept.answer.reset_for(kept.params.iter(), None).expect("whole parameters");
                self.tell(format!("START#{}", request.id()));
            }
            Input::Look { request } => {
                let Some(kept) = self.kept.get_mut(&request) else { panic!("who is to look never began") };
                kept.looked = true;
                if kept.ending.is_some() {
                    self.try_end(request);
                }
            }
            Input::Over { request } => {
                let kept = self.kept.get(&request).expect("it never began");
                assert!(!kept.started, "its handler runs");
                assert!(!kept.over, "told twice that it is over");
                self.forget(request);
                self.tell(format!("OVER#{}", request.id()));
            }
            ref other => panic!("{other:?}"),
        }
    }

    fn forget(&mut self, request: Request) {
        self.kept.get_mut(&request).unwrap().over = true;
    }

    fn tell(&mut self, event: String) {
        self.joined = None;
        write!(self.story, " {event}").unwrap();
    }

    fn tell_bytes(&mut self, event: String, len: usize) {
        let len = match self.joined.take() {
            Some((before, count)) if before == event => {
                self.story.truncate(self.story.rfind(' ').unwrap());
                count + len
            }
            _ => len,
        };
        write!(self.story, " {event}:{len}").unwrap();
        self.joined = Some((event, len));
    }

    /// What was told of requests, on one line, such as `BEGIN#1(Responder,true) PARAMS#1:19 START#1`.
    pub(crate) fn story(&self) -> &str {
        self.story.trim_start()
    }

    /// The reports, as texts with their levels.
    pub(crate) fn log(&self) -> Vec<String> {
        self.reports.iter().map(|report| format!("{:?}: {report}", report.level)).collect()
    }

    // The handlers.

    /// The request that last began with this id.
    pub(crate) fn request(&self, id: u16) -> Request {
        self.latest[&id]
    }

    /// The latest request with this id, whose handler runs.
    pub(crate) fn started(&self, id: u16) -> Request {
        let request = self.request(id);
        assert!(self.is_running(request), "{}", self.story());
        request
    }

    fn is_running(&self, request: Request) -> bool {
        self.kept.get(&request).is_some_and(|kept| kept.started && !kept.over)
    }

    /// Whether its handler runs: it started, and its end has not been told.
    pub(crate) fn runs(&self, id: u16) -> bool {
        self.latest.get(&id).is_some_and(|request| self.is_running(*request))
    }

    fn kept(&mut self, request: Request) -> &mut Kept {
        self.kept.get_mut(&request).unwrap()
    }

    /// Whether the handler was called since it last waited or this was last asked.
    pub(crate) fn looked(&mut self, request: Request) -> bool {
        let kept = self.kept(request);
        kept.waits = false;
        mem::take(&mut kept.looked)
    }

    /// Lets the handler wait: what it is called for from now on counts. Whether it was called at once.
    fn waits(&mut self, request: Request) -> bool {
        (self.kept(request).waits, self.kept(request).looked) = (true, false);
        self.run();
        let kept = self.kept(request);
        if kept.looked {
            kept.waits = false;
        }
        kept.looked
    }

    /// It reads what there is of a body.
    pub(crate) fn read(&mut self, request: Request, stream: Stream) -> Result<Got, Stopped> {
        let place = place(stream);
        loop {
            if let Some(kept) = self.kept.get_mut(&request) {
                kept.waits = false;
                let bytes = mem::take(&mut kept.bodies[place]);
                if !bytes.is_empty() {
                    kept.on_disk[place] = 0;
                    self.session.room(request);
                    self.run();
                    return Ok(Got::Bytes(bytes));
                }
            }
            match self.session.read(request, stream, self.now)? {
                Read::End => return Ok(Got::End),
                Read::Wait => {
                    if !self.waits(request) {
                        return Ok(Got::Nothing);
                    }
                }
            }
        }
    }

    pub(crate) fn stdin(&mut self, request: Request) -> Result<Got, Stopped> {
        self.read(request, Stream::Stdin)
    }

    /// It reads until it waits, or to the end: the bytes, and that.
    pub(crate) fn read_all(&mut self, request: Request, stream: Stream) -> (Vec<u8>, Result<Got, Stopped>) {
        let mut all = Vec::new();
        loop {
            match self.read(request, stream) {
                Ok(Got::Bytes(bytes)) => all.extend(bytes),
                ends => return (all, ends),
            }
        }
    }

    /// Sends what the session handed out.
    fn hands_out(&mut self, bytes: &[u8]) {
        self.out.extend(bytes);
        self.run();
    }

    /// It writes, as far as it need not wait: how many bytes were taken.
    pub(crate) fn write(&mut self, request: Request, data: &[u8]) -> Result<usize, WriteError> {
        self.output_all(request, data, |session, answer, data, now| session.write(request, answer, data, now))
    }

    pub(crate) fn write_stderr(&mut self, request: Request, data: &[u8]) -> Result<usize, WriteError> {
        self.output_all(request, data, |session, answer, data, now| {
            session.write_stderr(request, answer, data, now)
        })
    }

    fn output_all(
        &mut self,
        request: Request,
        data: &[u8],
        write: impl for<'a> Fn(&mut Side<N>, &'a mut Answer, &'a [u8], Duration) -> Result<Write<'a>, WriteError>,
    ) -> Result<usize, WriteError> {
        let mut left = data;
        while !left.is_empty() {
            let kept = self.kept.get_mut(&request).unwrap();
            kept.waits = false;
            let taken = match write(&mut self.session, &mut kept.answer, left, self.now)? {
                Write::Taken(count) => {
                    assert!(count > 0, "nothing is taken, and nothing said");
                    count
                }
                Write::Send(batch) => {
                    let (bytes, taken) = (batch.slices().concat(), batch.taken);
                    kept.answer.sent();
                    self.hands_out(&bytes);
                    taken
                }
                Write::Wait => {
                    if !self.waits(request) {
                        return Ok(data.len() - left.len());
                    }
                    0
                }
            };
            left = &left[taken..];
        }
        Ok(data.len())
    }

    /// It writes all of this, waiting for nobody.
    pub(crate) fn writes(&mut self, request: Request, data: &[u8]) {
        assert_eq!(self.write(request, data), Ok(data.len()));
    }

    /// It flushes: whether all has left.
    pub(crate) fn flush(&mut self, request: Request) -> Result<bool, WriteError> {
        loop {
            let kept = self.kept.get_mut(&request).unwrap();
            kept.waits = false;
            match self.session.flush(request, &mut kept.answer, self.now)? {
                Write::Taken(_) => return Ok(true),
                Write::Send(batch) => {
                    let bytes = batch.slices().concat();
                    kept.answer.sent();
                    self.hands_out(&bytes);
                }
                Write::Wait => {
                    if !self.waits(request) {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// It makes records of its own of this, as far as it need not wait: how many bytes were taken.
    pub(crate) fn stdout(&mut self, request: Request, data: &[u8]) -> Result<usize, Stopped> {
        self.records_of(request, data, Side::stdout)
    }

    pub(crate) fn stderr(&mut self, request: Request, data: &[u8]) -> Result<usize, Stopped> {
        self.records_of(request, data, Side::stderr)
    }

    fn records_of(
        &mut self,
        request: Request,
        data: &[u8],
        make: impl for<'a> Fn(&mut Side<N>, Request, &'a [u8]) -> Result<Option<(Record<'a>, &'a [u8])>, Stopped>,
    ) -> Result<usize, Stopped> {
        let mut left = data;
        while !left.is_empty() {
            if let Some(kept) = self.kept.get_mut(&request) {
                (kept.plain, kept.waits) = (true, false);
            }
            match make(&mut self.session, request, left)? {
                Some((record, rest)) => {
                    let bytes = record.slices().concat();
                    left = rest;
                    self.hands_out(&bytes);
                }
                None => {
                    if !self.waits(request) {
                        break;
                    }
                }
            }
        }
        Ok(data.len() - left.len())
    }

    /// It is done, with this application status, or failed; whether the request has ended at once.
    pub(crate) fn finish_as(
        &mut self,
        request: Request,
        failed: Option<&str>,
        status: u32,
    ) -> Result<bool, HeadError> {
        let kept = self.kept.get_mut(&request).unwrap();
        (kept.waits, kept.ending) = (false, Some(status));
        let result = if kept.plain {
            self.session.finish(request, self.now);
            Ok(())
        } else {
            self.session.finish_answer(request, &mut kept.answer, failed, self.now)
        };
        self.try_end(request);
        self.run();
        result.map(|()| self.is_over(request))
    }

    /// It is done; whether the request has ended at once.
    pub(crate) fn finish(&mut self, request: Request) -> bool {
        self.finish_as(request, None, 0).unwrap()
    }

    /// It answers with this, and is done; whether the request has ended at once.
    pub(crate) fn answer(&mut self, request: Request, page: &[u8]) -> bool {
        self.writes(request, page);
        self.finish(request)
    }

    fn try_end(&mut self, request: Request) {
        let Some(kept) = self.kept.get_mut(&request).filter(|kept| !kept.over) else { return };
        let status = kept.ending.unwrap();
        loop {
            let (bytes, over) = if kept.plain {
                match self.session.end(request, status) {
                    End::Wait => (Vec::new(), None),
                    End::Last(control) => (control.to_vec(), Some(true)),
                    End::Over => (Vec::new(), Some(true)),
                    End::Part(_) => panic!("a part of no answer"),
                }
            } else {
                match self.session.end_answer(request, &mut kept.answer, status) {
                    End::Wait => (Vec::new(), None),
                    End::Part(bytes) => (bytes.to_vec(), Some(false)),
                    End::Last(bytes) => (bytes.to_vec(), Some(true)),
                    End::Over => (Vec::new(), Some(true)),
                }
            };
            self.out.extend(&bytes);
            match over {
                None => {
                    kept.waits = true;
                    return;
                }
                Some(true) => {
                    (kept.over, kept.waits) = (true, false);
                    return;
                }
                Some(false) => kept.answer.sent(),
            }
        }
    }

    /// Whether the request is over for its caller.
    pub(crate) fn is_over(&self, request: Request) -> bool {
        self.kept[&request].over
    }

    /// What waits in the request's answer.
    pub(crate) fn held(&self, request: Request) -> &[u8] {
        self.kept[&request].answer.stdout()
    }

    /// The requests that the session counts.
    pub(crate) fn alive(&mut self) -> usize {
        self.session.requests()
    }

    /// All handles that were handed out.
    pub(crate) fn handles(&self) -> HashSet<Request> {
        self.kept.keys().copied().collect()
    }
}
