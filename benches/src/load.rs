//! The web server's side of a measurement: kept connections with requests in flight on each, every answer
//! checked. One thread, so that the rest of the machine is the application's.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use fcgi_blocking::{Endpoint, Stream};
use fcgi_proto::decoder::{Decoder, Part};
use fcgi_proto::record::{EndRequest, RecordType, RequestId};
use rustix::event::{Timespec, epoll};

use crate::request::{BODY, REQUEST, stamp};

/// How long no answer may come.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Connections, and requests in flight on each.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Connections.
    pub connections: usize,
    /// Requests in flight on each, with the ids from 1 on.
    pub in_flight: u16,
}

/// What a load saw.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Requests answered.
    pub requests: u64,
    /// From the first of them to the last.
    pub elapsed: Duration,
    /// The application's processor time meanwhile, as the caller's clock tells it.
    pub processor: Duration,
    /// How long requests took.
    pub latency: Latency,
}

/// How long requests took, at most.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// Half of them.
    pub median: Duration,
    /// 99 in 100.
    pub p99: Duration,
    /// 999 in 1000.
    pub p999: Duration,
}

impl Latency {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let at = |share: f64| all.get((all.len() as f64 * share) as usize).copied().unwrap_or_default();
        Self { median: at(0.5), p99: at(0.99), p999: at(0.999) }
    }
}

impl Seen {
    /// Requests a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

/// One request; returns what came on STDOUT.
///
/// # Errors
/// Those of the socket, and [`InvalidData`](io::ErrorKind::InvalidData) for an answer that does not end well.
pub fn ask(endpoint: &Endpoint, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = Stream::connect(endpoint)?;
    stream.write_all(request)?;
    let (mut buffer, mut answer, mut stdout) = (vec![0; 64 * 1024], Answer::default(), Vec::new());
    while !answer.ended() {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.take(&buffer[..count], |data| stdout.extend_from_slice(data))?;
    }
    Ok(stdout)
}

/// An answer as it comes.
#[derive(Debug, Default)]
pub struct Answer {
    decoder: Decoder,
    ended: bool,
}

impl Answer {
    /// Takes bytes in and hands out those of STDOUT.
    ///
    /// # Errors
    /// [`InvalidData`](io::ErrorKind::InvalidData) for an answer that does not end well.
    pub fn take(&mut self, bytes: &[u8], mut stdout: impl FnMut(&[u8])) -> io::Result<()> {
        let mut input = bytes;
        while let Some(part) = self.decoder.next(&mut input).map_err(invalid)? {
            match part {
                Part::Content { record_type, data, .. } if record_type == RecordType::Stdout as u8 => {
                    stdout(data);
                }
                Part::Body { body, .. } if well_ended(body) => self.ended = true,
                Part::Body { .. } => return Err(invalid("not ended well")),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether END_REQUEST came.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }
}

/// Keeps a server busy for some time with [`REQUEST`]; every answer has to be as long as the first. The time
/// begins when every connection has had an answer, and `clock` is read at its begin and its end.
///
/// # Errors
/// Those of the sockets, and [`InvalidData`](io::ErrorKind::InvalidData) for a wrong answer.
pub fn run(
    endpoint: &Endpoint,
    shape: Shape,
    time: Duration,
    mut clock: impl FnMut() -> Duration,
) -> io::Result<Seen> {
    let mut lot = Lot::new(endpoint, shape)?;
    // One after the other, which also tells a server that serves fewer connections at once.
    for index in 0..shape.connections {
        lot.connections[index].begin()?;
    }
    while lot.connections.iter().any(|connection| connection.answered < u64::from(shape.in_flight)) {
        lot.turn(true, PATIENCE)?;
    }
    lot.latencies.clear();
    let (before, begun) = (clock(), Instant::now());
    while begun.elapsed() < time {
        lot.turn(true, PATIENCE)?;
    }
    let (elapsed, after) = (begun.elapsed(), clock());
    let latencies = std::mem::take(&mut lot.latencies);
    while lot.connections.iter().any(|connection| connection.active > 0) {
        lot.turn(false, PATIENCE)?;
    }
    let (requests, latency) = (latencies.len() as u64, Latency::of(latencies));
    Ok(Seen { requests, elapsed, processor: after.saturating_sub(before), latency })
}

/// Sends `rate` requests a second for some time, one after the other to each connection in turn, and returns how long
/// they took since they were due: a request that has to wait for the one before it on its connection is late by that.
///
/// # Errors
/// As [`run`].
pub fn pace(endpoint: &Endpoint, connections: usize, rate: f64, time: Duration) -> io::Result<Latency> {
    let mut lot = Lot::new(endpoint, Shape { connections, in_flight: 1 })?;
    let mut waiting: Vec<VecDeque<Instant>> = vec![VecDeque::new(); connections];
    let (begun, mut sent) = (Instant::now(), 0_u32);
    let end = begun + time;
    loop {
        let now = Instant::now();
        let mut due = begun + Duration::from_secs_f64(f64::from(sent) / rate);
        while due <= now.min(end) {
            waiting[sent as usize % connections].push_back(due);
            sent += 1;
            due = begun + Duration::from_secs_f64(f64::from(sent) / rate);
        }
        for (connection, waiting) in lot.connections.iter_mut().zip(&mut waiting) {
            if connection.active == 0 {
                waiting.pop_front().into_iter().try_for_each(|due| connection.send(due))?;
            }
        }
        if now < end {
            let left = due.min(end).saturating_duration_since(Instant::now());
            lot.turn(false, Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() })?;
        } else if lot.connections.iter().any(|connection| connection.active > 0) {
            lot.turn(false, PATIENCE)?;
        } else {
            return Ok(Latency::of(lot.latencies));
        }
    }
}

/// All connections of a load.
struct Lot {
    poll: rustix::fd::OwnedFd,
    connections: Vec<Connection>,
    events: Vec<epoll::Event>,
    latencies: Vec<Duration>,
}

impl Lot {
    /// Of connections that are made, once the server has shown that it answers as it should.
    fn new(endpoint: &Endpoint, shape: Shape) -> io::Result<Self> {
        let first = ask(endpoint, REQUEST)?;
        if !first.ends_with(&BODY) {
            return Err(invalid("not the body that was to come"));
        }
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::new();
        for index in 0..shape.connections {
            let connection = Connection::new(endpoint, shape.in_flight, first.len())?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&poll, &connection.stream, data, epoll::EventFlags::IN)?;
            connections.push(connection);
        }
        Ok(Self { poll, connections, events: Vec::with_capacity(256), latencies: Vec::new() })
    }

    /// Waits so long for answers and takes in those that came; each makes room for another request, which is sent if
    /// there are to be more.
    fn turn(&mut self, again: bool, wait: Timespec) -> io::Result<()> {
        self.events.clear();
        epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut self.events), Some(&wait))?;
        if self.events.is_empty() && wait == PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        for event in &self.events {
            let data = event.data;
            let connection = &mut self.connections[data.u64() as usize];
            let wrote_all = connection.turn(again, &mut self.latencies)?;
            if wrote_all != connection.wrote_all {
                connection.wrote_all = wrote_all;
                let flags = if wrote_all {
                    epoll::EventFlags::IN
                } else {
                    epoll::EventFlags::IN | epoll::EventFlags::OUT
                };
                epoll::modify(&self.poll, connection.stream.as_fd(), data, flags)?;
            }
        }
        Ok(())
    }
}

/// One kept connection.
struct Connection {
    stream: Stream,
    /// A request for every id that is used, and how it is.
    requests: Vec<Request>,
    active: usize,
    answered: u64,
    length: usize,
    decoder: Decoder,
    input: Vec<u8>,
    /// What could not be written yet.
    output: Vec<u8>,
    written: usize,
    wrote_all: bool,
}

struct Request {
    bytes: Vec<u8>,
    begun: Instant,
    /// Bytes of STDOUT so far.
    received: usize,
}

impl Connection {
    fn new(endpoint: &Endpoint, in_flight: u16, length: usize) -> io::Result<Self> {
        let stream = Stream::connect(endpoint)?;
        stream.set_nonblocking(true)?;
        let requests = (1..=in_flight).filter_map(RequestId::new).map(|id| {
            let mut bytes = REQUEST.to_vec();
            stamp(&mut bytes, id);
            Request { bytes, begun: Instant::now(), received: 0 }
        });
        Ok(Self {
            stream,
            requests: requests.collect(),
            active: 0,
            answered: 0,
            length,
            decoder: Decoder::new(),
            input: vec![0; 256 * 1024],
            output: Vec::new(),
            written: 0,
            wrote_all: true,
        })
    }

    /// Sends the first requests; the system has room for them, or the load begins with waiting.
    fn begin(&mut self) -> io::Result<()> {
        for request in &mut self.requests {
            request.begun = Instant::now();
            self.output.extend_from_slice(&request.bytes);
        }
        self.active = self.requests.len();
        self.stream.set_nonblocking(false)?;
        self.stream.write_all(&self.output)?;
        self.output.clear();
        self.stream.set_nonblocking(true)
    }

    /// Sends the only request, which was due at this time; the system has room for it.
    fn send(&mut self, due: Instant) -> io::Result<()> {
        for request in &mut self.requests {
            (request.begun, request.received) = (due, 0);
            self.stream.write_all(&request.bytes)?;
        }
        self.active = 1;
        Ok(())
    }

    /// Reads once and writes what that lets it; tells whether all is written.
    fn turn(&mut self, again: bool, latencies: &mut Vec<Duration>) -> io::Result<bool> {
        match self.stream.read(&mut self.input) {
            Ok(0) => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a kept connection was closed"));
            }
            Ok(count) => self.take(count, again, latencies)?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(true)
    }

    fn take(&mut self, count: usize, again: bool, latencies: &mut Vec<Duration>) -> io::Result<()> {
        let now = Instant::now();
        let mut input = &self.input[..count];
        while let Some(part) = self.decoder.next(&mut input).map_err(invalid)? {
            let (id, body) = match part {
                Part::Content { record_type, request_id, data, .. }
                    if record_type == RecordType::Stdout as u8 =>
                {
                    self.requests
                        .get_mut(usize::from(request_id).wrapping_sub(1))
                        .ok_or(invalid("id"))?
                        .received += data.len();
                    continue;
                }
                Part::Body { request_id, body, .. } => (request_id, body),
                _ => continue,
            };
            let request = self.requests.get_mut(usize::from(id).wrapping_sub(1)).ok_or(invalid("id"))?;
            if !well_ended(body) || request.received != self.length {
                return Err(invalid(format!("{} bytes of STDOUT for {}", request.received, self.length)));
            }
            latencies.push(now - request.begun);
            self.answered += 1;
            if again {
                request.begun = now;
                request.received = 0;
                self.output.extend_from_slice(&request.bytes);
            } else {
                self.active -= 1;
            }
        }
        Ok(())
    }
}

/// Whether END_REQUEST says that all went well.
fn well_ended(body: [u8; EndRequest::LEN]) -> bool {
    EndRequest::parse(&body) == EndRequest { app_status: 0, protocol_status: 0 }
}

fn invalid(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
