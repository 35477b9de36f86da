//! The client's session under calls in any order: what comes for a request is its own, however late or early the
//! application sends it, and every request that is waited for ends.

#[path = "support/life.rs"]
mod life;
mod support;
#[path = "support/client.rs"]
mod web_server;

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fcgi_proto::client::{Failure, Request, SendError, Settings};
use life::*;
use support::{BEGIN, Random, walk};
use web_server::Server;

/// An application that answers in any order, before it has read, late and twice; every byte tells for which
/// request it is.
#[derive(Default)]
struct Application {
    /// Bytes of the wire that it has read.
    read: usize,
    /// The requests that it knows, by their ids: the number of the newest with each.
    known: BTreeMap<u16, u8>,
    /// Those that have ended.
    over: Vec<(u16, u8)>,
}

impl Application {
    /// Reads what the transport took. The numbers are those of the requests in the order in which they began.
    fn read(&mut self, wire: &[u8], begun: &mut VecDeque<u8>) {
        let (records, rest) = walk(&wire[self.read..]);
        for record in records.iter().filter(|record| record.kind == BEGIN) {
            let number = begun.pop_front().expect("a request for every BEGIN_REQUEST");
            assert!(self.known.insert(record.id, number).is_none(), "{} is active", record.id);
        }
        self.read = wire.len() - rest.len();
    }

    /// Something for a request that is active, and now and then for one that is over.
    fn say(&mut self, random: &mut Random) -> Vec<u8> {
        let late = random.below(40) == 0;
        let known: Vec<_> = self.known.iter().map(|(id, number)| (*id, *number)).collect();
        let of = if late { &self.over } else { &known };
        let Some(&(id, number)) = of.get(random.below(of.len().max(1))) else { return Vec::new() };
        let data = vec![number; 1 + random.below(40)];
        let server = Server::new().padding(&[0xee; 8][..random.below(8)]);
        match random.below(8) {
            0..4 => server.stdout(id, &data).to_vec(),
            4 => server.stderr(id, &data).to_vec(),
            5 => server.stdout(id, b"").to_vec(),
            _ if late => server.end(id, 0, 0).to_vec(),
            _ => {
                self.known.remove(&id);
                self.over.push((id, number));
                server.end(id, number.into(), [0, 0, 0, 2][random.below(4)]).to_vec()
            }
        }
    }
}

/// Does a few hundred calls and says how many requests ended well.
fn run<const N: usize>(life: &mut Life<N>, random: &mut Random) -> usize {
    life.takes = false;
    let mut application = Application::default();
    // Of each request that was not left: its number, and how much of its STDOUT was taken.
    let mut requests: Vec<(Request, u8, usize)> = Vec::new();
    let (mut number, mut begun, mut ended) = (0_u8, VecDeque::new(), 0);
    for _ in 0..300 {
        let pick = random.below(requests.len().max(1));
        match random.below(12) {
            0 | 1 => match life.try_begin(if random.below(2) == 0 { ask("GET") } else { post(50) }) {
                Ok(request) => {
                    number = number.wrapping_add(1);
                    requests.push((request, number, 0));
                    begun.push_back(number);
                }
                Err(error) => assert!(matches!(error, SendError::Full { .. } | SendError::NotReusable)),
            },
            2 => {
                requests.get(pick).into_iter().for_each(|(request, ..)| _ = life.give(*request, &[b'x'; 50]))
            }
            3 | 4 => {
                life.take(random.below(400));
                application.read(&life.wire, &mut begun);
            }
            5..8 => life.feed(application.say(random)),
            8 => {
                if let Some((request, _, taken)) = requests.get_mut(pick) {
                    let came = life.stdout.get(request).map_or(0, Vec::len);
                    life.session.took(*request, came - *taken, life.now);
                    *taken = came;
                    life.pull();
                }
            }
            9 => {
                if let Some((request, of, _)) = requests.get(pick).copied() {
                    match life.poll(request) {
                        Ok(None) => {}
                        Ok(Some(end)) => {
                            assert_eq!(end.app_status, of.into(), "its own end");
                            ended += 1;
                            life.leave(request);
                            requests.remove(pick);
                        }
                        Err(failure) => {
                            assert_ne!(failure, Failure::Over);
                            life.leave(request);
                            requests.remove(pick);
                        }
                    }
                }
            }
            10 if random.below(8) == 0 && !requests.is_empty() => life.leave(requests.remove(pick).0),
            _ => {
                life.now += Duration::from_millis(random.below(3000) as u64);
                life.session.expire(life.now);
            }
        }
        for (request, of, _) in &requests {
            for bytes in [life.stdout.get(request), life.stderr.get(request)].into_iter().flatten() {
                assert!(bytes.iter().all(|byte| byte == of), "{bytes:?} for request {of}");
            }
        }
        if life.next().close {
            break;
        }
    }
    // Nothing comes any more: whoever waits is told so in the end, and its transport is let go.
    for _ in 0..100 {
        for (request, _, taken) in &mut requests {
            let came = life.stdout.get(request).map_or(0, Vec::len);
            life.session.took(*request, came - *taken, life.now);
            *taken = came;
        }
        life.pull();
        let (session, now) = (&mut life.session, life.now);
        requests.retain(|(request, ..)| session.poll(*request, now) == Ok(None));
        let next = life.next();
        if requests.is_empty() {
            break;
        }
        assert!(!next.close && (next.at.is_some() || next.write), "it waits for nothing");
        life.take(usize::MAX);
        life.now = life.now.max(next.at.unwrap_or(life.now));
        life.session.expire(life.now);
    }
    assert!(requests.is_empty(), "they wait for ever");
    ended
}

#[test]
fn whatever_comes_for_a_request_is_its_own_and_each_one_ends() {
    let few = settings(|s| (s.kept, s.room) = (100, 120));
    let ended = Cell::new(0);
    let count = |more| ended.set(ended.get() + more);
    for seed in 1..=400 {
        each::<1>(few, |life| count(run(life, &mut Random::new(seed))));
        each::<3>(few, |life| count(run(life, &mut Random::new(seed))));
        each::<3>(Settings::default(), |life| count(run(life, &mut Random::new(seed))));
    }
    assert!(ended.get() > 3_000, "{} ended well", ended.get());
}
