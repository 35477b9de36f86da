//! What holds for a server's session whatever its caller does, in whatever order: no call panics, it always gets on, and
//! the same calls have the same results.

mod session_support;
mod support;

use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::time::Duration;

use fcgi_proto::cgi::{Answer, HEAD_LIMIT};
use fcgi_proto::server::Session;
use fcgi_proto::server::session::{End, Input, Leave, Patience, Read, Request, Started, Stream, Write};
use fcgi_proto::{Limits, Next};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;
use session_support::{Side, millis, page, patience, secs};
use support::*;

/// Requests at a time.
const N: usize = 3;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(1996), failure_persistence: None, ..Default::default() }
}

/// What a caller does. Of the requests that were told of, also of those that are over, an index chooses one.
#[derive(Clone, Debug)]
enum Call {
    /// So many bytes are read.
    Comes(usize),
    Receive,
    ReceiveWhole,
    Took(usize),
    Room(usize),
    RefuseFull(usize),
    RefuseMalformed(usize),
    RefuseRole(usize),
    Read(usize, Stream),
    IsGone(usize),
    Stdout(usize, usize),
    Stderr(usize, usize),
    Write(usize, Output),
    Finish(usize),
    FinishAnswer(usize, bool),
    End(usize),
    EndAnswer(usize),
    PollOutput,
    Sent(usize),
    SentAll,
    Next,
    Shut,
    Expire,
    Passes(Duration),
    Leave(Leave),
    EndOfInput,
    Broken,
    Unwritable,
    Tells(usize),
}

fn call() -> impl Strategy<Value = Call> {
    let len = || select(vec![0, 1, 30, 5_000, 17_000, 70_000]);
    let one = || 0..16_usize;
    let stream = || select(vec![Stream::Stdin, Stream::Data]);
    let time = select(vec![millis(1), millis(150), millis(250), secs(1), secs(5), secs(30), secs(400)]);
    prop_oneof![
        8 => (1..200_usize).prop_map(Call::Comes),
        1 => Just(Call::Comes(100_000)),
        20 => Just(Call::Receive),
        3 => Just(Call::ReceiveWhole),
        2 => len().prop_map(Call::Took),
        2 => one().prop_map(Call::Room),
        1 => one().prop_map(Call::RefuseFull),
        1 => one().prop_map(Call::RefuseMalformed),
        1 => one().prop_map(Call::RefuseRole),
        5 => (one(), stream()).prop_map(|(of, stream)| Call::Read(of, stream)),
        2 => one().prop_map(Call::IsGone),
        2 => (one(), len()).prop_map(|(of, len)| Call::Stdout(of, len)),
        1 => (one(), len()).prop_map(|(of, len)| Call::Stderr(of, len)),
        5 => (one(), len()).prop_map(|(of, len)| Call::Write(of, Output::Stdout(len))),
        2 => (one(), len()).prop_map(|(of, len)| Call::Write(of, Output::Stderr(len))),
        3 => one().prop_map(|of| Call::Write(of, Output::Flush)),
        1 => one().prop_map(Call::Finish),
        3 => (one(), any::<bool>()).prop_map(|(of, fails)| Call::FinishAnswer(of, fails)),
        1 => one().prop_map(Call::End),
        4 => one().prop_map(Call::EndAnswer),
        5 => Just(Call::PollOutput),
        2 => len().prop_map(Call::Sent),
        5 => Just(Call::SentAll),
        8 => Just(Call::Next),
        1 => Just(Call::Shut),
        4 => Just(Call::Expire),
        4 => time.prop_map(Call::Passes),
        1 => select(vec![Leave::Shutdown, Leave::Crowded, Leave::Idle]).prop_map(Call::Leave),
        1 => Just(Call::EndOfInput),
        1 => Just(Call::Broken),
        1 => Just(Call::Unwritable),
        2 => one().prop_map(Call::Tells),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Output {
    Stdout(usize),
    Stderr(usize),
    Flush,
}

/// What a client sends: mostly requests, in pieces that lie in each other's way.
fn sent() -> impl Strategy<Value = Vec<u8>> {
    let id = || 1..5_u16;
    let flags = || select(vec![KEEP, KEEP, KEEP, CLOSE]);
    let role = select(vec![RESPONDER, RESPONDER, AUTHORIZER, FILTER, FILTER, 9]);
    let content = || select(vec![0, 1, 10, 300, 20_000]).prop_map(|len| vec![7; len]);
    let piece = prop_oneof![
        6 => (id(), flags()).prop_map(|(id, flags)| Client::new().request(id, flags)),
        6 => (id(), flags()).prop_map(|(id, flags)| Client::new().head(id, flags)),
        3 => (id(), role, flags()).prop_map(|(id, role, flags)| Client::new().begin(id, role, flags)),
        3 => id().prop_map(|id| Client::new().params(id, &get()).params(id, b"")),
        8 => (id(), content()).prop_map(|(id, content)| Client::new().stdin(id, &content)),
        4 => id().prop_map(|id| Client::new().stdin(id, b"")),
        4 => (id(), content()).prop_map(|(id, content)| Client::new().data(id, &content)),
        3 => id().prop_map(|id| Client::new().abort(id)),
        3 => Just(Client::new().get_values(VALUES)),
        1 => Just(Client::new().record(99, 0, b"unknown")),
        1 => vec(any::<u8>(), 1..20).prop_map(|bytes| Client::new().raw(&bytes)),
    ];
    vec(piece, 1..25).prop_map(|pieces| pieces.iter().flat_map(|piece| piece.to_vec()).collect())
}

fn waits() -> impl Strategy<Value = Patience> {
    let short = |patience: &mut Patience| {
        (patience.read, patience.write, patience.drain) = (millis(100), millis(50), millis(20));
        (patience.params, patience.idle, patience.drain_limit) = (millis(10), millis(15), 30);
    };
    let none = |patience: &mut Patience| {
        (patience.read, patience.write, patience.drain) = (secs(0), secs(0), secs(0));
        (patience.params, patience.idle, patience.shutdown) = (secs(0), secs(0), secs(0));
        (patience.drain_limit, patience.least_rate) = (0, 0);
    };
    prop_oneof![4 => Just(Patience::new()), 2 => Just(patience(short)), 1 => Just(patience(none))]
}

/// What a caller knows of a request.
#[derive(Default)]
struct Known {
    answer: Option<Answer>,
    /// Its handler was started, and has not ended.
    runs: bool,
    /// It was told to be over.
    over: bool,
    finishes: bool,
    /// It waits to be called.
    waits: bool,
}

/// How handlers go on in the end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Handlers {
    AreDone,
    Read(Stream),
    Write,
    Flush,
}

struct Caller {
    session: Side<N>,
    now: Duration,
    /// What the client still sends, and what was read and is not taken.
    coming: Vec<u8>,
    unread: Vec<u8>,
    out: usize,
    requests: Vec<Request>,
    known: HashMap<Request, Known>,
    log: String,
    /// Bytes of a body that are kept at once.
    room: usize,
}

impl Caller {
    fn new(growing: bool, patience: &Patience, coming: Vec<u8>, room: usize) -> Self {
        let limits = Limits { params: 400, stdin: 50_000, ..Limits::new() };
        let session = if growing {
            Side::Growing(Box::new(Session::growing(limits, patience)))
        } else {
            Side::Array(Box::new(Session::new(limits, patience)))
        };
        let (requests, known) = (Vec::new(), HashMap::new());
        let (unread, out, log) = (Vec::new(), 0, String::new());
        Self { session, now: secs(7), coming, unread, out, requests, known, log, room }
    }

    fn tell(&mut self, what: impl Debug) {
        writeln!(self.log, "{what:?}").unwrap();
    }

    fn choose(&self, of: usize) -> Option<Request> {
        self.requests.get(of % self.requests.len().max(1)).copied()
    }

    fn known(&mut self, request: Request) -> &mut Known {
        self.known.entry(request).or_default()
    }

    /// The handler waits, or not; one that is done does for its end alone.
    fn waits(&mut self, request: Request, waits: bool) {
        let known = self.known(request);
        if !known.finishes {
            known.waits = waits;
        }
    }

    fn answer(&mut self, request: Request) -> Answer {
        self.known(request).answer.take().unwrap_or_else(|| Answer::new(HEAD_LIMIT))
    }

    fn hands_out(&mut self, count: usize) {
        self.out += count;
    }

    fn receive(&mut self) -> bool {
        let unread = std::mem::take(&mut self.unread);
        let mut input = &unread[..];
        let event = self.session.receive(&mut input, self.now);
        let mut left = input.len();
        let came = event.is_some();
        match event {
            Some(Input::Begin { request, role, keep_conn }) => {
                self.tell(("begin", request, role, keep_conn));
                assert!(!self.known.contains_key(&request), "a new one");
                self.requests.push(request);
                self.known(request);
            }
            Some(Input::Params { request, data }) => self.tell(("params", request, data.len())),
            Some(Input::Start { request }) => {
                self.tell(("start", request));
                let known = self.known(request);
                (known.runs, known.waits) = (true, false);
            }
            Some(Input::Body { request, stream, data, spool }) => {
                self.tell(("body", request, stream, data.len(), spool));
                let count = data.len().min(self.room);
                self.session.took(count);
                left += data.len() - count;
                self.known(request).waits = false;
            }
            Some(Input::Look { request }) => {
                self.tell(("look", request));
                self.known(request).waits = false;
            }
            Some(Input::Over { request }) => {
                self.tell(("over", request));
                let known = self.known(request);
                assert!(!known.over, "told twice");
                (known.runs, known.over) = (false, true);
            }
            Some(other) => panic!("{other:?}"),
            None => self.tell(("nothing", input.len())),
        }
        assert!(left <= unread.len());
        self.unread = unread[unread.len() - left..].to_vec();
        came
    }

    fn receive_whole(&mut self) {
        let unread = std::mem::take(&mut self.unread);
        let mut input = &unread[..];
        let whole = self.session.receive_whole(&mut input);
        if let Some(Started { request, keep_conn, params, .. }) = whole {
            self.tell(("whole", request, keep_conn, params.len()));
            self.requests.push(request);
            self.known(request).runs = true;
        }
        self.unread = input.to_vec();
    }

    fn read(&mut self, request: Request, stream: Stream) -> bool {
        let read = self.session.read(request, stream, self.now);
        self.tell(("read", read));
        self.waits(request, read == Ok(Read::Wait));
        read == Ok(Read::Wait)
    }

    /// Whether it waits.
    fn write(&mut self, request: Request, what: Output) -> Option<bool> {
        let mut answer = self.answer(request);
        let (session, now) = (&mut self.session, self.now);
        let written = match what {
            Output::Stdout(len) => session.write(request, &mut answer, &page(len.max(40)), now).map(seen),
            Output::Stderr(len) => {
                session.write_stderr(request, &mut answer, &vec![b'e'; len], now).map(seen)
            }
            Output::Flush => session.flush(request, &mut answer, now).map(seen),
        };
        if let Ok((_, Some(count))) = written {
            answer.sent();
            self.hands_out(count);
        }
        self.tell(("write", &written));
        self.known(request).answer = Some(answer);
        self.waits(request, matches!(written, Ok(("wait", _))));
        written.ok().map(|(what, _)| what == "wait")
    }

    fn record(&mut self, request: Request, len: usize, stderr: bool) {
        let data = vec![b'r'; len];
        let make = if stderr { Side::stderr } else { Side::stdout };
        let made = make(&mut self.session, request, &data)
            .map(|made| made.map(|(record, rest)| (record.remaining(), rest.len())));
        if let Ok(Some((count, _))) = made {
            self.hands_out(count);
        }
        self.tell(("record", &made));
        self.waits(request, made == Ok(None));
    }

    fn finish(&mut self, request: Request, fails: bool) {
        let mut answer = self.answer(request);
        let failed = fails.then_some("failed");
        let finished = self.session.finish_answer(request, &mut answer, failed, self.now);
        self.tell(("finish", finished));
        let known = self.known(request);
        known.answer = Some(answer);
        (known.finishes, known.waits) = (known.runs, false);
    }

    /// Whether it has ended.
    fn end(&mut self, request: Request, plain: bool) -> bool {
        let mut answer = self.answer(request);
        let (over, count) = if plain {
            match self.session.end(request, 1) {
                End::Wait => (false, 0),
                End::Part(_) => panic!("a part of nothing"),
                End::Last(control) => (true, control.len()),
                End::Over => (true, 0),
            }
        } else {
            match self.session.end_answer(request, &mut answer, 1) {
                End::Wait => (false, 0),
                End::Part(bytes) => (false, bytes.len()),
                End::Last(bytes) => (true, bytes.len()),
                End::Over => (true, 0),
            }
        };
        if count > 0 {
            answer.sent();
        }
        self.hands_out(count);
        self.tell(("end", over, count));
        let known = self.known(request);
        known.answer = Some(answer);
        known.waits = known.finishes && !over && count == 0;
        known.runs &= !over;
        over
    }

    fn sent(&mut self, count: usize) {
        self.out = self.out.saturating_sub(count);
        self.session.sent(count, self.now);
    }

    fn next(&mut self) -> Next {
        let next = self.session.next(self.now);
        self.tell(next);
        next
    }

    /// What is wanted next, when there is nothing more to receive; and that it gets on.
    fn gets_on(&mut self) -> Next {
        let next = self.next();
        let alive = self.session.requests();
        if next.close {
            return next;
        }
        let acts = self.known.values().any(|known| known.runs && !known.waits);
        let wants = next.write || next.read || next.shutdown || next.at.is_some();
        assert!(
            wants || acts || alive == 0 && self.out == 0,
            "it does not get on: {next:?} {:?}",
            self.session
        );
        assert!(
            alive == 0 || acts || next.at.is_some(),
            "a wait without a limit: {next:?} {:?}",
            self.session
        );
        next
    }

    fn call(&mut self, call: &Call) {
        match *call {
            Call::Comes(count) => {
                let count = count.min(self.coming.len());
                self.unread.extend(self.coming.drain(..count));
            }
            Call::Receive => {
                self.receive();
            }
            Call::ReceiveWhole => self.receive_whole(),
            Call::Took(count) => self.session.took(count),
            Call::PollOutput => {
                let control = self.session.poll_output().map_or(0, |control| control.len());
                self.hands_out(control);
                self.tell(control);
            }
            Call::Sent(count) => self.sent(count),
            Call::SentAll => self.sent(self.out),
            Call::Next => {
                self.next();
            }
            Call::Shut => self.session.shut(self.now),
            Call::Expire => _ = self.session.expire(self.now),
            Call::Passes(time) => self.now += time,
            Call::Leave(why) => self.session.leave(why, self.now),
            Call::EndOfInput => self.session.end_of_input(),
            Call::Broken => self.session.broken(),
            Call::Unwritable => self.session.unwritable(),
            Call::Room(of)
            | Call::RefuseFull(of)
            | Call::RefuseMalformed(of)
            | Call::RefuseRole(of)
            | Call::Read(of, _)
            | Call::IsGone(of)
            | Call::Stdout(of, _)
            | Call::Stderr(of, _)
            | Call::Write(of, _)
            | Call::Finish(of)
            | Call::FinishAnswer(of, _)
            | Call::End(of)
            | Call::EndAnswer(of)
            | Call::Tells(of) => {
                if let Some(request) = self.choose(of) {
                    self.call_for(call, request);
                }
            }
        }
    }

    fn call_for(&mut self, call: &Call, request: Request) {
        match *call {
            Call::Room(_) => {
                let waited = self.session.room(request);
                self.tell(waited);
            }
            Call::RefuseFull(_) => self.session.refuse_full(request),
            Call::RefuseMalformed(_) => self.session.refuse_malformed(request),
            Call::RefuseRole(_) => self.session.refuse_role(request),
            Call::Read(_, stream) => {
                self.read(request, stream);
            }
            Call::IsGone(_) => {
                let gone = self.session.is_gone(request);
                self.tell(gone);
            }
            Call::Stdout(_, len) => self.record(request, len, false),
            Call::Stderr(_, len) => self.record(request, len, true),
            Call::Write(_, what) => {
                self.write(request, what);
            }
            Call::Finish(_) => {
                self.session.finish(request, self.now);
                let known = self.known(request);
                (known.finishes, known.waits) = (known.runs, false);
            }
            Call::FinishAnswer(_, fails) => self.finish(request, fails),
            Call::End(_) => {
                self.end(request, true);
            }
            Call::EndAnswer(_) => {
                self.end(request, false);
            }
            _ => {
                let told = (
                    self.session.is_alive(request),
                    self.session.may_answer(request),
                    self.session.failure_level(request),
                    self.session.waiting(),
                    self.session.deadline(),
                    self.session.poll_report(),
                );
                self.tell(told);
            }
        }
    }

    /// From here on the caller does what it is asked, handlers end, and the client does nothing, or takes what is sent:
    /// the connection closes, and it is not looked at more often than there is something to do.
    fn ends(&mut self, handlers: Handlers, takes: bool) {
        let began = self.now;
        let mut wakes = 0;
        for _ in 0..100_000 {
            while self.receive() {}
            let running: Vec<_> =
                self.requests.iter().copied().filter(|request| self.known[request].runs).collect();
            let mut acts = false;
            for request in running {
                // One that waits is called first; whoever else has to go on does so.
                if !self.known[&request].waits {
                    self.goes_on(request, handlers);
                    acts = true;
                }
            }
            if acts {
                continue;
            }
            while let Some(control) = self.session.poll_output() {
                self.hands_out(control.len());
            }
            let next = self.gets_on();
            if next.close {
                return;
            }
            assert!(!next.write || self.out > 0, "nothing is to be written: {:?}", self.session);
            if next.write && takes {
                self.sent(self.out);
            } else if next.shutdown && takes {
                self.session.shut(self.now);
            } else if !(next.read && self.unread.is_empty() && self.reads()) {
                let at = next.at.unwrap_or_else(|| panic!("it waits for ever: {:?}", self.session));
                wakes += 1;
                assert!(wakes < 200, "it is called again and again: {:?}", self.session);
                self.now = self.now.max(at);
                self.session.expire(self.now);
            }
        }
        panic!("it spins after {:?}: {:?}", self.now - began, self.session);
    }

    fn reads(&mut self) -> bool {
        self.unread = std::mem::take(&mut self.coming);
        !self.unread.is_empty()
    }

    fn goes_on(&mut self, request: Request, handlers: Handlers) {
        let waits = match handlers {
            _ if self.known[&request].finishes => false,
            Handlers::AreDone => false,
            Handlers::Read(stream) => self.read(request, stream),
            Handlers::Write => self.write(request, Output::Stdout(20_000)) == Some(true),
            Handlers::Flush => self.write(request, Output::Flush) == Some(true),
        };
        if !waits {
            self.finish(request, false);
            self.end(request, false);
        }
    }
}

fn seen(write: Write<'_>) -> (&'static str, Option<usize>) {
    match write {
        Write::Taken(_) => ("taken", None),
        Write::Send(batch) => ("send", Some(batch.slices().iter().map(|part| part.len()).sum())),
        Write::Wait => ("wait", None),
    }
}

fn handlers() -> impl Strategy<Value = Handlers> {
    select(vec![
        Handlers::AreDone,
        Handlers::Read(Stream::Stdin),
        Handlers::Read(Stream::Data),
        Handlers::Write,
        Handlers::Flush,
    ])
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn calls_in_any_order_never_panic_and_it_always_gets_on(
        growing: bool,
        patience in waits(),
        coming in sent(),
        room in select(vec![7, 1_000, 1_000_000]),
        calls in vec(call(), 0..120),
        handlers in handlers(),
        takes: bool,
    ) {
        let mut logs = [0; 2].map(|_| {
            let mut caller = Caller::new(growing, &patience, coming.clone(), room);
            for call in &calls {
                caller.call(call);
            }
            caller.ends(handlers, takes);
            caller.log
        });
        let second = logs[1].split_off(0);
        prop_assert_eq!(&logs[0], &second, "the same calls have the same results");
    }
}
