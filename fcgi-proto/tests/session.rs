//! Both sides of a connection against each other, in memory: many requests of all roles and sizes, records
//! interleaved and bytes cut at random, aborts, early answers, connections that are kept or not. Every body
//! arrives whole and in order, neither side sees an error, and whenever nothing is on its way both agree on
//! which ids are active.

mod support;
#[path = "support/client.rs"]
mod web_server;

use std::collections::{BTreeMap, VecDeque};

use fcgi_proto::pair::Packer;
use fcgi_proto::record::{RecordType, RequestId, Role};
use fcgi_proto::{Limits, client, server};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::{Random, id, pairs, send};
use web_server::Outgoing as _;

/// The same cases at every run.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(1996), failure_persistence: None, ..Default::default() }
}

/// A request and its answer.
#[derive(Clone, Debug)]
struct Plan {
    role: Role,
    keep_conn: bool,
    params: Vec<(Vec<u8>, Vec<u8>)>,
    stdin: Vec<u8>,
    data: Vec<u8>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    app_status: u32,
    /// The server answers as soon as the role allows it, and does not wait for the rest of its input.
    early: bool,
    /// The client aborts it at some time.
    aborts: bool,
}

/// Bytes that tell their place: none, few, or more than a record.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let length =
        prop_oneof![2 => Just(0), 6 => 1..300_usize, 3 => 300..9_000_usize, 1 => 65_500..140_000_usize];
    (length, any::<u8>())
        .prop_map(|(length, seed)| (0..length).map(|at| (at * 31 + at / 256) as u8 ^ seed).collect())
}

fn plan() -> impl Strategy<Value = Plan> {
    let role = prop_oneof![3 => Just(Role::Responder), 1 => Just(Role::Authorizer), 1 => Just(Role::Filter)];
    let value = prop_oneof![9 => vec(any::<u8>(), 0..150), 1 => vec(any::<u8>(), 2_000..4_000)];
    let params = vec((vec(any::<u8>(), 0..140), value), 0..8);
    let rare = || prop::bool::weighted(0.06);
    (role, rare(), params, (body(), body()), (body(), body()), any::<u32>(), rare(), rare()).prop_map(
        |(role, closes, params, (stdin, data), (stdout, stderr), app_status, early, aborts)| {
            let stdin = if role.has_stdin() { stdin } else { Vec::new() };
            let data = if role.has_data() { data } else { Vec::new() };
            let keep_conn = !closes;
            Plan { role, keep_conn, params, stdin, data, stdout, stderr, app_status, early, aborts }
        },
    )
}

/// The client's view of an active request.
struct Asking {
    plan: usize,
    /// The stream that it is to be sent.
    turn: Option<RecordType>,
    /// Pairs, bytes of STDIN and bytes of DATA that were sent.
    sent: [usize; 3],
    aborted: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// The server's view of an active request.
#[derive(Default)]
struct Answering {
    plan: usize,
    params: Vec<u8>,
    stdin: Vec<u8>,
    data: Vec<u8>,
    ended: Vec<RecordType>,
    aborted: bool,
    /// Bytes of STDOUT and of STDERR that were sent.
    sent: [usize; 2],
}

/// Bytes to send at once, at most.
fn some(random: &mut Random) -> usize {
    let most = [2_000, 2_000, 2_000, 100_000][random.below(4)];
    1 + random.below(most)
}

/// One connection.
struct Session<'p, const N: usize> {
    plans: &'p [Plan],
    /// The next request to begin.
    next: usize,
    random: Random,
    client: client::Connection<N>,
    server: server::Connection<N>,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    asking: BTreeMap<u16, Asking>,
    answering: BTreeMap<u16, Answering>,
    /// The requests that the server is still to see begin.
    begun: VecDeque<usize>,
    /// Values that were asked for and came.
    values: [usize; 2],
    keeps: bool,
}

impl<'p, const N: usize> Session<'p, N> {
    fn new(plans: &'p [Plan], random: Random) -> Self {
        Self {
            plans,
            next: 0,
            random,
            client: client::Connection::new(Limits::default()),
            server: server::Connection::new(Limits::default()),
            to_server: Vec::new(),
            to_client: Vec::new(),
            asking: BTreeMap::new(),
            answering: BTreeMap::new(),
            begun: VecDeque::new(),
            values: [0; 2],
            keeps: true,
        }
    }

    /// Runs until no request is active and no further one can begin; the requests that were run.
    fn run(mut self) -> (usize, Random) {
        for _ in 0..1_000_000 {
            let done = self.next == self.plans.len() || !self.client.is_reusable();
            if done && self.asking.is_empty() {
                self.settle();
                self.end();
                return (self.next, self.random);
            }
            match self.random.below(100) {
                0..8 => self.begin(),
                8..35 => self.ask(),
                35..55 => self.deliver_to_server(),
                55..78 => self.answer(),
                78..98 => self.deliver_to_client(),
                98 => {
                    self.to_server.extend(self.client.get_values().bytes());
                    self.values[0] += 1;
                }
                _ => self.settle(),
            }
        }
        panic!("the session hangs: {:?} {:?}", self.asking.keys(), self.answering.keys());
    }

    /// Delivers all that is on its way; then both sides agree.
    fn settle(&mut self) {
        while !self.to_server.is_empty() || !self.to_client.is_empty() {
            self.deliver_to_server();
            self.deliver_to_client();
        }
        for number in 1..=N as u16 + 2 {
            let active = self.asking.contains_key(&number);
            assert_eq!(self.client.is_active(id(number)), active, "request {number}");
            assert_eq!(self.server.is_active(id(number)), active, "request {number}");
            assert_eq!(self.answering.contains_key(&number), active, "request {number}");
        }
        assert!(self.begun.is_empty());
        if self.keeps {
            assert_eq!(self.values[0], self.values[1], "an answer to every GET_VALUES");
            assert_eq!(self.server.is_idle(), self.asking.is_empty());
        }
        assert_eq!(self.server.is_finished(), !self.keeps && self.asking.is_empty());
    }

    fn end(&mut self) {
        assert!(!self.server.is_finished() || !self.client.is_reusable());
        assert_eq!(self.client.eof(), Ok(()));
        assert_eq!(self.server.eof(), Ok(()));
    }

    fn begin(&mut self) {
        let Some(plan) = self.plans.get(self.next) else { return };
        let full = self.asking.len() == N;
        match self.client.begin(plan.role, plan.keep_conn) {
            Ok((id, begin)) => {
                assert!(!full && self.keeps);
                self.to_server.extend(begin.bytes());
                let turn = Some(RecordType::Params);
                let (sent, aborted, stdout, stderr) = ([0; 3], false, Vec::new(), Vec::new());
                let asking = Asking { plan: self.next, turn, sent, aborted, stdout, stderr };
                assert!(self.asking.insert(id.get(), asking).is_none(), "an id that is active");
                self.begun.push_back(self.next);
                self.next += 1;
                self.keeps = plan.keep_conn;
            }
            Err(client::SendError::Full { capacity }) => assert!(full && capacity == N),
            Err(error) => {
                assert_eq!(error, client::SendError::NotReusable);
                assert!(!self.client.is_reusable());
            }
        }
    }

    /// An active request that is one of the client's.
    fn pick(&mut self, from: &[u16]) -> Option<u16> {
        (!from.is_empty()).then(|| from[self.random.below(from.len())])
    }

    /// Sends the next record of some request.
    fn ask(&mut self) {
        let numbers: Vec<_> = self.asking.keys().copied().collect();
        let Some(number) = self.pick(&numbers) else { return };
        let asking = self.asking.get_mut(&number).unwrap();
        let (plan, id) = (&self.plans[asking.plan], id(number));
        if plan.aborts && !asking.aborted && self.random.below(6) == 0 {
            asking.aborted = true;
            asking.turn = None;
            self.to_server.extend(self.client.abort(id).unwrap().bytes());
            return;
        }
        let [pairs_sent, stdin_sent, data_sent] = &mut asking.sent;
        let most = some(&mut self.random);
        match asking.turn {
            Some(RecordType::Params) if *pairs_sent < plan.params.len() => {
                let (name, value) = &plan.params[*pairs_sent];
                if self.random.below(2) == 0 {
                    let record = self.client.param(id, name, value).unwrap();
                    self.to_server.extend(record.bytes());
                    *pairs_sent += 1;
                    return;
                }
                let mut packer = Packer::new([0; 5_000]);
                while let Some((name, value)) = plan.params.get(*pairs_sent) {
                    if packer.push(name, value).is_err() {
                        break;
                    }
                    *pairs_sent += 1;
                }
                self.to_server.extend(self.client.params(id, packer.bytes()).unwrap().bytes());
            }
            Some(RecordType::Params) => {
                self.to_server.extend(self.client.params_end(id).unwrap().bytes());
                asking.turn = Some(RecordType::Stdin);
                if plan.role == Role::Authorizer {
                    // An Authorizer may answer now, and the connection is kept only if it had everything.
                    self.to_server.extend(self.client.stdin_end(id).unwrap().bytes());
                    asking.turn = None;
                }
            }
            Some(RecordType::Stdin) if *stdin_sent < plan.stdin.len() => {
                let piece = &plan.stdin[*stdin_sent..plan.stdin.len().min(*stdin_sent + most)];
                let (record, rest) = self.client.stdin(id, piece).unwrap();
                self.to_server.extend(record.bytes());
                *stdin_sent += piece.len() - rest.len();
            }
            Some(RecordType::Stdin) => {
                self.to_server.extend(self.client.stdin_end(id).unwrap().bytes());
                asking.turn = (plan.role == Role::Filter).then_some(RecordType::Data);
            }
            Some(RecordType::Data) if *data_sent < plan.data.len() => {
                let piece = &plan.data[*data_sent..plan.data.len().min(*data_sent + most)];
                let (record, rest) = self.client.data(id, piece).unwrap();
                self.to_server.extend(record.bytes());
                *data_sent += piece.len() - rest.len();
            }
            Some(_) => {
                self.to_server.extend(self.client.data_end(id).unwrap().bytes());
                asking.turn = None;
            }
            None => {}
        }
    }

    /// Takes some bytes off the front of a pipe.
    fn take(random: &mut Random, pipe: &mut Vec<u8>) -> Vec<u8> {
        let most = [1, 7, 40, 3_000, 200_000][random.below(5)];
        let count = (1 + random.below(most)).min(pipe.len());
        pipe.drain(..count).collect()
    }

    fn deliver_to_server(&mut self) {
        let chunk = Self::take(&mut self.random, &mut self.to_server);
        let mut input = &chunk[..];
        loop {
            let event = self.server.next_event(&mut input).unwrap();
            while let Some(reply) = self.server.poll_reply() {
                self.to_client.extend_from_slice(&reply);
            }
            let Some(event) = event else { return };
            self.on_server(&event);
        }
    }

    fn on_server(&mut self, event: &server::Event<'_>) {
        use server::Event;
        if let Event::Begin { id, role, keep_conn } = *event {
            let plan = self.begun.pop_front().unwrap();
            assert_eq!((role, keep_conn), (self.plans[plan].role, self.plans[plan].keep_conn));
            let answering = Answering { plan, ..Answering::default() };
            assert!(self.answering.insert(id.get(), answering).is_none());
            return;
        }
        let mut of = |id: RequestId, take: &dyn Fn(&mut Answering)| {
            take(self.answering.get_mut(&id.get()).unwrap());
        };
        match *event {
            Event::Params { id, data } => of(id, &|a| a.params.extend(data)),
            Event::Stdin { id, data } => of(id, &|a| a.stdin.extend(data)),
            Event::Data { id, data } => of(id, &|a| a.data.extend(data)),
            Event::ParamsEnd { id } => of(id, &|a| a.ended.push(RecordType::Params)),
            Event::StdinEnd { id } => of(id, &|a| a.ended.push(RecordType::Stdin)),
            Event::DataEnd { id } => of(id, &|a| a.ended.push(RecordType::Data)),
            Event::Abort { id } => of(id, &|a| a.aborted = true),
            // The replies that it tells of were taken.
            Event::Paused => {}
            ref other => panic!("{other:?}"),
        }
    }

    /// Sends the next record of some answer.
    fn answer(&mut self) {
        let numbers: Vec<_> = self.answering.keys().copied().collect();
        let Some(number) = self.pick(&numbers) else { return };
        let answering = self.answering.get_mut(&number).unwrap();
        let (plan, id) = (&self.plans[answering.plan], id(number));
        let last = match plan.role {
            Role::Authorizer => RecordType::Params,
            Role::Responder => RecordType::Stdin,
            Role::Filter => RecordType::Data,
        };
        let complete = answering.ended.contains(&last);
        if answering.aborted {
            self.to_client.extend_from_slice(&self.server.finish(id, plan.app_status).unwrap());
            self.check_input(number, false);
            return;
        }
        let may_finish = self.server.may_finish(id);
        let answers = complete || plan.early && may_finish;
        if !answers {
            let early = self.server.stdout(id, b"").map(drop);
            assert_eq!(early, if may_finish { Ok(()) } else { Err(server::SendError::TooEarly { id }) });
            return;
        }
        let (stdout, stderr) = (&plan.stdout[answering.sent[0]..], &plan.stderr[answering.sent[1]..]);
        let most = some(&mut self.random);
        if !stdout.is_empty() && (stderr.is_empty() || self.random.below(2) == 0) {
            let piece = &stdout[..stdout.len().min(most)];
            let (record, rest) = self.server.stdout(id, piece).unwrap();
            send(&record, &mut self.to_client);
            answering.sent[0] += piece.len() - rest.len();
        } else if !stderr.is_empty() {
            let piece = &stderr[..stderr.len().min(most)];
            let (record, rest) = self.server.stderr(id, piece).unwrap();
            send(&record, &mut self.to_client);
            answering.sent[1] += piece.len() - rest.len();
        } else {
            self.to_client.extend_from_slice(&self.server.finish(id, plan.app_status).unwrap());
            self.check_input(number, complete);
        }
    }

    /// What the server got of a request that it has ended: all, or the front of all.
    fn check_input(&mut self, number: u16, complete: bool) {
        let Answering { plan, params, stdin, data, ended, .. } = self.answering.remove(&number).unwrap();
        let plan = &self.plans[plan];
        let sent = pairs(&plan.params);
        if ended.contains(&RecordType::Params) {
            assert!(params == sent, "parameters");
        }
        if complete {
            assert!(stdin == plan.stdin && data == plan.data, "bodies");
        }
        assert!(sent.starts_with(&params) && plan.stdin.starts_with(&stdin) && plan.data.starts_with(&data));
    }

    fn deliver_to_client(&mut self) {
        let chunk = Self::take(&mut self.random, &mut self.to_client);
        let mut input = &chunk[..];
        while let Some(event) = self.client.next_event(&mut input).unwrap() {
            self.on_client(&event);
        }
        assert!(input.is_empty());
    }

    fn on_client(&mut self, event: &client::Event<'_>) {
        use client::Event;
        match *event {
            Event::Stdout { id, data } => self.asking.get_mut(&id.get()).unwrap().stdout.extend(data),
            Event::Stderr { id, data } => self.asking.get_mut(&id.get()).unwrap().stderr.extend(data),
            Event::StdoutEnd { .. } | Event::StderrEnd { .. } => {}
            Event::Values { last, .. } => self.values[1] += usize::from(last),
            Event::End { id, app_status, protocol_status, answered } => {
                let Asking { plan, turn, aborted, stdout, stderr, .. } =
                    self.asking.remove(&id.get()).unwrap();
                let plan = &self.plans[plan];
                assert_eq!((app_status, protocol_status), (plan.app_status, 0));
                assert_eq!(answered, !stdout.is_empty());
                if aborted {
                    assert!(plan.stdout.starts_with(&stdout) && plan.stderr.starts_with(&stderr));
                } else {
                    assert!(stdout == plan.stdout && stderr == plan.stderr);
                }
                if turn.is_some() {
                    assert!(plan.early, "an end before the input was sent whole");
                    let inactive = client::SendError::Inactive { id };
                    assert_eq!(self.client.stdin(id, b"x").map(drop), Err(inactive));
                }
                let odd = turn.is_some() || aborted || !self.keeps;
                assert!(!odd || !self.client.is_reusable());
            }
            ref other => panic!("{other:?}"),
        }
    }
}

/// Runs all the plans, on as many connections as it takes.
fn run<const N: usize>(plans: &[Plan], seed: u64) {
    let mut random = Random::new(seed);
    let mut left = plans;
    while !left.is_empty() {
        let (done, after) = Session::<N>::new(left, random).run();
        assert!(done > 0);
        left = &left[done..];
        random = after;
    }
}

/// Without anything odd one connection is enough.
fn run_on_one<const N: usize>(plans: &[Plan], seed: u64) {
    let plain = |plan: &Plan| Plan { keep_conn: true, early: false, aborts: false, ..plan.clone() };
    let plans: Vec<_> = plans.iter().map(plain).collect();
    let (done, _) = Session::<N>::new(&plans, Random::new(seed)).run();
    assert_eq!(done, plans.len());
}

proptest! {
    #![proptest_config(config(80))]

    #[test]
    fn one_request_at_a_time(plans in vec(plan(), 1..12), seed: u64) {
        run::<1>(&plans, seed);
        run_on_one::<1>(&plans, seed);
    }

    #[test]
    fn two_requests_at_a_time(plans in vec(plan(), 1..16), seed: u64) {
        run::<2>(&plans, seed);
        run_on_one::<2>(&plans, seed);
    }

    #[test]
    fn many_requests_at_a_time(plans in vec(plan(), 1..30), seed: u64) {
        run::<9>(&plans, seed);
        run_on_one::<9>(&plans, seed);
    }

    #[test]
    fn aborts_and_early_answers_everywhere(plans in vec(plan(), 1..16), seed: u64) {
        let odd = |(at, plan): (usize, &Plan)| {
            Plan { early: at % 2 == 0, aborts: at % 3 == 0, ..plan.clone() }
        };
        let plans: Vec<_> = plans.iter().enumerate().map(odd).collect();
        run::<1>(&plans, seed);
        run::<4>(&plans, seed);
    }
}
