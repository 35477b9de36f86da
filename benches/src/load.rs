//! The web server's side of a measurement: kept connections with requests in flight on each, every answer
//! checked. One thread, so that the rest of the machine is the application's.

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
    /// The time that half the requests took at most.
    pub median: Duration,
    /// The time that 99 in 100 requests took at most.
    pub slowest: Duration,
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
    let first = ask(endpoint, REQUEST)?;
    if !first.ends_with(&BODY) {
        return Err(invalid("not the body that was to come"));
    }
    let length = first.len();
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut connections = Vec::new();
    for index in 0..shape.connections {
        let connection = Connection::new(endpoint, shape.in_flight, length)?;
        epoll::add(
            &poll,
            &connection.stream,
            epoll::EventData::new_u64(index as u64),
            epoll::EventFlags::IN,
        )?;
        connections.push(connection);
    }
    let mut lot = Lot { poll, connections, events: Vec::with_capacity(256), latencies: Vec::new() };
    // One after the other, which also tells a server that serves fewer connections at once.
    for index in 0..shape.connections {
        lot.connections[index].begin()?;
    }
    while lot.connections.iter().any(|connection| connection.answered < u64::from(shape.in_flight)) {
        lot.turn(true)?;
    }
    lot.latencies.clear();
    let (before, begun) = (clock(), Instant::now());
    while begun.elapsed() < time {
        lot.turn(true)?;
    }
    let (elapsed, after) = (begun.elapsed(), clock());
    let requests = lot.latencies.len() as u64;
    let mut latencies = std::mem::take(&mut lot.latencies);
    while lot.connections.iter().any(|connection| connection.active > 0) {
        lot.turn(false)?;
    }
    latencies.sort_unstable();
    let at =
        |share: f64| latencies.get((latencies.len() as f64 * share) as usize).copied().unwrap_or_default();
    let (median, slowest) = (at(0.5), at(0.99));
    Ok(Seen { requests, elapsed, processor: after.saturating_sub(before), median, slowest })
}

/// All connections of a load.
struct Lot {
    poll: rustix::fd::OwnedFd,
    connections: Vec<Connection>,
    events: Vec<epoll::Event>,
    latencies: Vec<Duration>,
}

impl Lot {
    /// Waits for answers and takes in those that came; each makes room for another request.
    fn turn(&mut self, again: bool) -> io::Result<()> {
        self.events.clear();
        epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut self.events), Some(&PATIENCE))?;
        if self.events.is_empty() {
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
