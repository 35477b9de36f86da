//! FastCGI on io_uring, with the crate tokio-uring: what the session reads are the buffers that the kernel filled, and
//! a connection is a task that handles one request at a time. Linux.
//! `cargo run --example io_uring_server ADDRESS`, which is `127.0.0.1:9000` if it is left out.

use std::future::Future;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use std::{env, io, mem, net::Shutdown, task::Poll};

use fcgi_proto::server::session::{
    Exchange, Input, Leave, Patience, Request, Session, Stopped, Stream, WriteError,
};
use fcgi_proto::{Limits, cgi::HEAD_LIMIT, record::Role};
use tokio::signal::unix::{SignalKind, signal};
use tokio::{select, sync::watch, time::sleep};
use tokio_uring::net::{TcpListener, TcpStream};

const ROOM: usize = 64 * 1024; // for a read, and for what of a body waits for its handler
const SPOOL: usize = 128 << 20; // for what has to come before its answer may leave: better on disk
const DAY: Duration = Duration::from_secs(86_400);

fn now() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

async fn handle(connection: &mut Connection, request: Request) -> Result<(), WriteError> {
    let params = &connection.exchange.params;
    let uri = String::from_utf8_lossy(params.get(b"REQUEST_URI").unwrap_or(b"/")).into_owned();
    match uri.split('/').collect::<Vec<_>>()[..] {
        [_, "echo", ..] => {
            let kind = params.get(b"CONTENT_TYPE").unwrap_or(b"application/octet-stream");
            let mut data = [b"Content-Type: ", kind, b"\n\n"].concat();
            while !data.is_empty() {
                connection.write(request, &data).await?;
                data = connection.read(request).await?;
            }
            Ok(())
        }
        [_, "sum", ..] => {
            let (mut count, mut sum) = (0, crc32fast::Hasher::new());
            let mut data = connection.read(request).await?;
            while !data.is_empty() {
                count += data.len();
                sum.update(&data);
                data = connection.read(request).await?;
            }
            let page = format!("Content-Type: text/plain\n\n{count} {:08x}\n", sum.finalize());
            connection.write(request, page.as_bytes()).await
        }
        [_, "bytes", count, ..] => {
            connection.write(request, b"Content-Type: text/plain\n\n").await?;
            connection.write(request, &vec![b'x'; count.parse().unwrap_or(0)]).await
        }
        _ => connection.write(request, b"Content-Type: text/plain\n\nSee /echo, /sum and /bytes/N\n").await,
    }
}

/// A read that the kernel is about to do. It has the buffer until it is done, whatever else happens.
type Reading = Pin<Box<dyn Future<Output = (io::Result<usize>, Vec<u8>)>>>;

struct Connection {
    stream: Rc<TcpStream>,
    session: Session<1>,
    /// What the kernel read last, and what of that the session has not taken.
    buffer: Vec<u8>,
    unread: Range<usize>,
    reading: Option<Reading>,
    out: Vec<u8>,
    exchange: Exchange,
    body: Vec<u8>,
    stop: watch::Receiver<bool>,
}

impl Connection {
    /// The next bytes of the body, none at its end.
    async fn read(&mut self, request: Request) -> Result<Vec<u8>, Stopped> {
        loop {
            match self.session.read_from(request, Stream::Stdin, &mut self.body, now()) {
                Poll::Ready(result) => return result,
                Poll::Pending => self.turn().await.ok_or(Stopped::Broken)?,
            };
        }
    }

    /// Writes the answer: header lines, a blank line, a body.
    async fn write(&mut self, request: Request, mut data: &[u8]) -> Result<(), WriteError> {
        loop {
            match self.session.write_into(request, &mut self.exchange.answer, &mut data, &mut self.out, now())
            {
                Poll::Ready(result) => return result,
                Poll::Pending => self.turn().await.ok_or(Stopped::Broken)?,
            };
        }
    }

    /// Handles a request, and ends it.
    async fn serve(&mut self, request: Request) {
        self.body.clear();
        let failed = handle(self, request).await.err().map(|error| error.to_string());
        // An answer without a head, or with one that cannot be sent, becomes a 500 too.
        let _ = self.session.finish_answer(request, &mut self.exchange.answer, failed.as_deref(), now());
        while self.session.end_into(request, &mut self.exchange.answer, 0, &mut self.out).is_pending() {
            if self.turn().await.is_none() {
                return;
            }
        }
    }

    /// Takes in what came; else does what the session wants first. `None`: the connection is over. Else perhaps a
    /// request whose parameters are there.
    async fn turn(&mut self) -> Option<Option<Request>> {
        let mut rest = &self.buffer[self.unread.clone()];
        let came = self.session.take_in(&mut self.exchange, &mut rest, now());
        let mut left = rest.len();
        let mut start = None;
        if let Some(Input::Body { data, spool, .. }) = came {
            left += self.session.keep_into(data, &mut self.body, if spool { SPOOL } else { ROOM });
        } else if let Some(Input::Start { request }) = came {
            let is_page = self.exchange.begin.is_some_and(|begin| begin.role == Role::Responder);
            start = is_page.then_some(request);
            if !is_page {
                self.session.refuse_role(request);
            }
        }
        let is_some = came.is_some();
        self.unread.start = self.unread.end - left;
        if is_some || self.session.expire(now()) {
            return Some(start);
        }
        self.session.output_into(&mut self.out);
        let next = self.session.next(now());
        if next.close {
            return None;
        } else if next.write {
            self.send().await;
        } else if next.shutdown {
            let _ = self.stream.shutdown(Shutdown::Write); // if the client is gone, the next read tells
            self.session.shut(now());
        } else {
            if next.read && self.unread.is_empty() && self.reading.is_none() {
                let (stream, buffer) = (Rc::clone(&self.stream), mem::take(&mut self.buffer));
                self.unread = 0..0;
                self.reading = Some(Box::pin(async move { stream.read(buffer).await }));
            }
            select! {
                (result, buffer) = async { self.reading.as_mut().expect("it reads").await }, if self.reading.is_some() => {
                    (self.reading, self.buffer) = (None, buffer);
                    match result {
                        Ok(0) => self.session.end_of_input(),
                        Ok(count) => self.unread = 0..count,
                        Err(_) => self.session.broken(),
                    }
                }
                () = sleep(next.at.map_or(DAY, |at| at.saturating_sub(now()))) => {}
                Ok(()) = self.stop.changed() => self.session.leave(Leave::Shutdown, now()),
            }
        }
        Some(None)
    }

    /// Sends what waits, as long as the session lets the client take.
    async fn send(&mut self) {
        let mut write = pin!(self.stream.write(mem::take(&mut self.out)).submit());
        while self.session.next(now()).write {
            let patience = self.session.deadline().map_or(DAY, |at| at.saturating_sub(now()));
            select! {
                (result, bytes) = &mut write => {
                    self.out = bytes;
                    return match result {
                        Ok(count) => self.session.sent(self.out.drain(..count).len(), now()),
                        Err(_) => self.session.unwritable(),
                    };
                }
                () = sleep(patience) => { self.session.expire(now()); }
            }
        }
    }
}

async fn serve(stream: TcpStream, stop: watch::Receiver<bool>) {
    let mut connection = Connection {
        stream: Rc::new(stream),
        session: Session::new(Limits::new(), &Patience::new()),
        buffer: Vec::with_capacity(ROOM),
        unread: 0..0,
        reading: None,
        out: Vec::new(),
        exchange: Exchange::new(&Limits::new(), HEAD_LIMIT, None),
        body: Vec::new(),
        stop,
    };
    while let Some(start) = connection.turn().await {
        if let Some(request) = start {
            connection.serve(request).await;
        }
    }
    // A read that the kernel has still would keep the socket open.
    let _ = connection.stream.shutdown(Shutdown::Both);
}

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:9000".to_owned());
    tokio_uring::start(async {
        let listener = TcpListener::bind(address.parse().expect("an address and a port"))?;
        let (mut terminate, (stop, stopped)) = (signal(SignalKind::terminate())?, watch::channel(false));
        let mut accept = Box::pin(listener.accept());
        loop {
            select! {
                accepted = &mut accept => {
                    let (stream, _) = accepted?;
                    tokio_uring::spawn(serve(stream, stopped.clone()));
                    accept = Box::pin(listener.accept());
                }
                _ = terminate.recv() => break,
            }
        }
        stop.send_replace(true);
        drop(stopped);
        stop.closed().await; // the last connection is over
        Ok(())
    })
}
