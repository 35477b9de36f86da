//! FastCGI on mio: one thread, one poll, 1,000 connections, handlers that are states.
//! `cargo run --example mio_server ADDRESS`, which is `127.0.0.1:9000` if it is left out.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind, Read, Write};
use std::task::{Poll, ready};
use std::{env, mem, net::Shutdown, sync::LazyLock, time::Duration, time::Instant};

use fcgi_proto::server::session::{Exchange, Input, Leave, Patience, Request, Session, Stream, WriteError};
use fcgi_proto::{Limits, Next};
use mio::{Events, Interest, Token, net::TcpListener, net::TcpStream, net::UnixStream};

const CONNECTIONS: usize = 1000;
const ROOM: usize = 64 * 1024; // for a read, and for what of a body waits for its handler
const SPOOL: usize = 128 << 20; // for what has to come before its answer may leave: better on disk

fn now() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

struct Connection {
    stream: TcpStream,
    session: Session<1>,
    unread: Vec<u8>, // what the session has not taken yet
    out: Vec<u8>,
    exchanges: Vec<Option<Exchange>>,
    job: Option<Job>,
    due: Option<Duration>,
}

/// A request that is handled.
struct Job {
    request: Request,
    exchange: Exchange,
    page: Vec<u8>, // what is to be written next, from `written` on
    written: usize,
    body: Vec<u8>,
    reads: bool,
    sum: Option<(usize, crc32fast::Hasher)>,
    done: bool,
}

impl Job {
    fn new(request: Request, exchange: Exchange) -> Self {
        let params = &exchange.params;
        let uri = String::from_utf8_lossy(params.get(b"REQUEST_URI").unwrap_or(b"/"));
        let kind = params.get(b"CONTENT_TYPE").unwrap_or(b"application/octet-stream");
        let (mut page, mut reads, mut sum) = (b"Content-Type: text/plain\n\n".to_vec(), false, None);
        match uri.split('/').collect::<Vec<_>>()[..] {
            [_, "echo", ..] => (page, reads) = ([b"Content-Type: ", kind, b"\n\n"].concat(), true),
            [_, "sum", ..] => (sum, reads) = (Some((0, crc32fast::Hasher::new())), true),
            [_, "bytes", count, ..] => page.resize(page.len() + count.parse().unwrap_or(0), b'x'),
            _ => page.extend(b"See /echo, /sum and /bytes/N\n"),
        }
        Self { request, exchange, page, written: 0, body: Vec::new(), reads, sum, done: false }
    }

    /// Handles the request, and ends it, as far as that goes now. An answer without a head becomes a 500.
    fn run(&mut self, session: &mut Session<1>, out: &mut Vec<u8>) -> Poll<()> {
        if !self.done {
            let failed = ready!(self.handle(session, out)).err().map(|error| error.to_string());
            self.done = true;
            let _ = session.finish_answer(self.request, &mut self.exchange.answer, failed.as_deref(), now());
        }
        session.end_into(self.request, &mut self.exchange.answer, 0, out)
    }

    fn handle(&mut self, session: &mut Session<1>, out: &mut Vec<u8>) -> Poll<Result<(), WriteError>> {
        loop {
            let mut rest = &self.page[self.written..];
            let poll = session.write_into(self.request, &mut self.exchange.answer, &mut rest, out, now());
            self.written = self.page.len() - rest.len();
            ready!(poll)?;
            if !self.reads {
                return Poll::Ready(Ok(()));
            }
            let data = ready!(session.read_from(self.request, Stream::Stdin, &mut self.body, now()))?;
            self.reads = !data.is_empty();
            self.written = 0;
            self.page = match &mut self.sum {
                None => data,
                Some((count, sum)) if self.reads => {
                    *count += data.len();
                    sum.update(&data);
                    Vec::new()
                }
                Some((count, sum)) => format!("{count} {:08x}\n", mem::take(sum).finalize()).into(),
            };
        }
    }
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let (session, exchanges) = (Session::new(Limits::new(), &Patience::new()), Vec::new());
        Self { stream, session, unread: Vec::new(), out: Vec::new(), exchanges, job: None, due: None }
    }

    /// Lets the handler go on, and takes in what was read; returns what has to wait.
    fn take_in<'i>(&mut self, mut input: &'i [u8]) -> &'i [u8] {
        let Self { session, out, exchanges, job, .. } = self;
        loop {
            job.take_if(|job| job.run(session, out).is_ready());
            let all = input;
            let Some(came) = session.take_in(exchanges, &mut input, now()) else { return input };
            if let (Input::Body { data, spool, .. }, Some(job)) = (came, &mut *job) {
                let over = session.keep_into(data, &mut job.body, if spool { SPOOL } else { ROOM });
                input = &all[all.len() - input.len() - over..];
            } else if let Input::Start { request } = came {
                *job = exchanges[0].take().map(|exchange| Job::new(request, exchange));
            }
        }
    }

    /// Does what the session wants until the socket has no more to read and takes no more, or for a while.
    fn go_on(&mut self, buffer: &mut [u8]) -> Next {
        let mut next = Next::default();
        for _ in 0..16 {
            let unread = mem::take(&mut self.unread);
            self.unread = self.take_in(&unread).to_vec();
            self.session.output_into(&mut self.out);
            next = self.session.next(now());
            let wrote = next.write.then(|| self.stream.write(&self.out)).filter(is_ready);
            let moved = wrote.is_some() || next.shutdown;
            match wrote {
                Some(Ok(count)) => self.session.sent(self.out.drain(..count).len(), now()),
                Some(Err(_)) => self.session.unwritable(),
                None if next.shutdown => {
                    let _ = self.stream.shutdown(Shutdown::Write); // if the client is gone, the next read tells
                    self.session.shut(now());
                }
                None => {}
            }
            let reads = next.read && self.unread.is_empty();
            match reads.then(|| self.stream.read(buffer)).filter(is_ready) {
                Some(Ok(0)) => self.session.end_of_input(),
                Some(Ok(count)) => self.unread = self.take_in(&buffer[..count]).to_vec(),
                Some(Err(_)) => self.session.broken(),
                None if moved || self.session.expire(now()) => {}
                None => return next,
            }
        }
        self.session.expire(now());
        next.at = Some(now()); // it is others' turn
        next
    }
}

fn is_ready<T>(result: &io::Result<T>) -> bool {
    !result.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:9000".to_owned());
    let mut listener = Some(TcpListener::bind(address.parse().expect("an address and a port"))?);
    let (mut signal, sender) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGTERM, sender)?;
    let (mut poll, mut events) = (mio::Poll::new()?, Events::with_capacity(256));
    poll.registry().register(&mut signal, Token(1), Interest::READABLE)?;
    poll.registry().register(listener.as_mut().expect("it listens"), Token(0), Interest::READABLE)?;
    let (mut connections, mut timers) = (HashMap::<_, Connection>::new(), BTreeSet::new());
    let (mut buffer, mut last, mut acceptable) = (vec![0; ROOM], Token(1), false);
    while listener.is_some() || !connections.is_empty() {
        let timeout = timers.first().map(|(at, _): &(Duration, Token)| at.saturating_sub(now()));
        let _ = poll.poll(&mut events, timeout); // a signal may end it
        let mut busy: Vec<Token> = events.iter().map(|event| event.token()).collect();
        while timers.first().is_some_and(|(at, _)| *at <= now()) {
            busy.extend(timers.pop_first().map(|(_, token)| token));
        }
        acceptable |= busy.contains(&Token(0));
        if busy.contains(&Token(1)) {
            listener = None;
            connections.values_mut().for_each(|it| it.session.leave(Leave::Shutdown, now()));
            busy.extend(connections.keys());
        }
        while acceptable && connections.len() < CONNECTIONS {
            let accepted = listener.as_ref().map(TcpListener::accept);
            acceptable = matches!(accepted, Some(Ok(_)));
            if let Some(Ok((mut stream, _))) = accepted {
                last.0 += 1;
                poll.registry().register(&mut stream, last, Interest::READABLE | Interest::WRITABLE)?;
                connections.insert(last, Connection::new(stream));
                busy.push(last);
            }
        }
        for token in busy {
            let Some(connection) = connections.get_mut(&token) else { continue };
            let next = connection.go_on(&mut buffer);
            connection.due.take().map(|due| timers.remove(&(due, token)));
            connection.due = next.at;
            timers.extend(next.at.map(|at| (at, token)));
            if next.close {
                connections.remove(&token);
            }
        }
    }
    Ok(())
}
