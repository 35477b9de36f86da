//! FastCGI on tokio: handlers are async functions, many requests on a connection, bodies that stream both ways, a
//! graceful end. `cargo run --example tokio_server ADDRESS`, which is `127.0.0.1:9000` or `unix:/run/app.sock`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex};
use std::{env, future::poll_fn, io, task::Poll, time::Duration, time::Instant};

use fcgi_proto::server::session::{
    self, Exchange, Input, Leave, Patience, Session, Stopped, Stream, WriteError,
};
use fcgi_proto::{Limits, cgi::Answer, pair::ParamsBuf};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::{net::TcpListener, net::UnixListener, select, time::sleep};

const SLOTS: usize = 96; // requests at once: HAProxy has 64, and begins the next before it has seen the end of one
const ROOM: usize = 64 * 1024; // for a read, and for what of a body waits for its handler
const SPOOL: usize = 128 << 20; // for what has to come before its answer may leave: better on disk

fn now() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

async fn handle(request: &mut Request) -> Result<(), WriteError> {
    let uri = String::from_utf8_lossy(request.params.get(b"REQUEST_URI").unwrap_or(b"/")).into_owned();
    match uri.split('/').collect::<Vec<_>>()[..] {
        [_, "echo", ..] => {
            let kind = request.params.get(b"CONTENT_TYPE").unwrap_or(b"application/octet-stream");
            let mut data = [b"Content-Type: ", kind, b"\n\n"].concat();
            while !data.is_empty() {
                request.write(&data).await?;
                data = request.read().await?;
            }
            Ok(())
        }
        [_, "sum", ..] => {
            let (mut count, mut sum, mut data) = (0, crc32fast::Hasher::new(), request.read().await?);
            while !data.is_empty() {
                count += data.len();
                sum.update(&data);
                data = request.read().await?;
            }
            let page = format!("Content-Type: text/plain\n\n{count} {:08x}\n", sum.finalize());
            request.write(page.as_bytes()).await
        }
        [_, "bytes", count, ..] => {
            request.write(b"Content-Type: text/plain\n\n").await?;
            request.write(&vec![b'x'; count.parse().unwrap_or(0)]).await
        }
        [_, "panic", ..] => panic!("as it was asked to"),
        _ => request.write(b"Content-Type: text/plain\n\nSee /echo, /sum, /bytes/N and /panic\n").await,
    }
}

/// One request, as its handler sees it.
struct Request {
    key: session::Request,
    params: ParamsBuf,
    answer: Answer,
    shared: Arc<Shared>,
}

/// What a connection's task and its handlers share.
struct Shared {
    state: Mutex<State>,
    task: Notify,
    looks: [Notify; SLOTS],
}

struct State {
    session: Session<SLOTS>,
    out: Vec<u8>,
    bodies: [Vec<u8>; SLOTS],
}

impl Shared {
    fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        action(&mut self.state.lock().unwrap())
    }

    /// Repeats `step` until it has a result, whenever the session has something to tell the request.
    async fn ask<T>(&self, key: session::Request, mut step: impl FnMut(&mut State) -> Poll<T>) -> T {
        loop {
            let result = self.with(&mut step);
            self.task.notify_one(); // the session may want something else now
            match result {
                Poll::Ready(result) => return result,
                Poll::Pending => self.looks[key.slot()].notified().await,
            }
        }
    }
}

impl Request {
    /// The next bytes of the body, none at its end.
    async fn read(&self) -> Result<Vec<u8>, Stopped> {
        let (key, slot) = (self.key, self.key.slot());
        let step = |at: &mut State| at.session.read_from(key, Stream::Stdin, &mut at.bodies[slot], now());
        self.shared.ask(key, step).await
    }

    /// Writes the answer: header lines, a blank line, a body.
    async fn write(&mut self, mut data: &[u8]) -> Result<(), WriteError> {
        let (key, answer) = (self.key, &mut self.answer);
        let step = |at: &mut State| at.session.write_into(key, answer, &mut data, &mut at.out, now());
        self.shared.ask(key, step).await
    }

    /// Has the request handled, and ends it. A handler that fails or panics, or writes no head, answers with a 500.
    async fn run(mut self) {
        let mut handler = Box::pin(handle(&mut self));
        let failed = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
            Ok(poll) => poll.map(|end| Some(end.err()?.to_string())),
            Err(_) => Poll::Ready(Some("the handler panicked".to_owned())),
        })
        .await;
        drop(handler);
        let Self { key, mut answer, shared, .. } = self;
        let _ = shared.with(|at| at.session.finish_answer(key, &mut answer, failed.as_deref(), now()));
        shared.ask(key, |at| at.session.end_into(key, &mut answer, 0, &mut at.out)).await;
    }
}

/// Does what the connection's session wants, from its first byte to its last.
async fn serve(stream: impl AsyncRead + AsyncWrite, mut stop: watch::Receiver<bool>) {
    let session = Session::new(Limits::new(), &Patience::new());
    let state = Mutex::new(State { session, out: Vec::new(), bodies: [const { Vec::new() }; SLOTS] });
    let shared =
        Arc::new(Shared { state, task: Notify::new(), looks: [const { Notify::const_new() }; SLOTS] });
    let (mut exchanges, (mut reader, mut writer)) = (Vec::<Option<Exchange>>::new(), split(stream));
    let (mut buffer, mut unread, mut sending) = (vec![0; ROOM], 0..0, Vec::new());
    while let Some(next) = shared.with(|State { session, out, bodies }| {
        let mut rest = &buffer[unread.clone()];
        loop {
            let Some(input) = session.take_in(&mut exchanges, &mut rest, now()) else {
                if session.expire(now()) {
                    continue;
                }
                break;
            };
            let (key, slot) = (input.request(), input.request().slot());
            if let Input::Body { data, spool, .. } = input {
                let over = session.keep_into(data, &mut bodies[slot], if spool { SPOOL } else { ROOM });
                rest = &buffer[unread.end - rest.len() - over..unread.end];
            } else if let (Input::Start { .. }, Some(exchange)) = (input, exchanges[slot].take()) {
                let Exchange { params, answer, .. } = exchange;
                bodies[slot].clear();
                tokio::spawn(Request { key, params, answer, shared: Arc::clone(&shared) }.run());
            }
            shared.looks[slot].notify_one();
        }
        unread.start = unread.end - rest.len();
        sending.append(out);
        session.output_into(&mut sending);
        Some(session.next(now())).filter(|next| !next.close)
    }) {
        select! {
            result = async {
                if next.write { writer.write(&sending).await } else { writer.shutdown().await.map(|()| 0) }
            }, if next.write || next.shutdown => shared.with(|at| match result {
                Ok(count) if next.write => at.session.sent(sending.drain(..count).len(), now()),
                Ok(_) => at.session.shut(now()),
                Err(_) => at.session.unwritable(),
            }),
            result = reader.read(&mut buffer), if next.read && unread.is_empty() => match result {
                Ok(0) => shared.with(|at| at.session.end_of_input()),
                Ok(count) => unread = 0..count,
                Err(_) => shared.with(|at| at.session.broken()),
            },
            () = shared.task.notified() => {}
            () = sleep(next.at.unwrap_or_default().saturating_sub(now())), if next.at.is_some() => {}
            Ok(()) = stop.changed() => shared.with(|at| at.session.leave(Leave::Shutdown, now())),
        }
    }
}

async fn accept<S: AsyncRead + AsyncWrite + Send + 'static>(
    listen: impl AsyncFn() -> io::Result<S>,
) -> io::Result<()> {
    let (mut terminate, (stop, stopped)) = (signal(SignalKind::terminate())?, watch::channel(false));
    loop {
        select! {
            stream = listen() => drop(tokio::spawn(serve(stream?, stopped.clone()))),
            _ = terminate.recv() => break,
        }
    }
    stop.send_replace(true);
    drop((listen, stopped));
    stop.closed().await; // the last connection is over
    Ok(())
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:9000".to_owned());
    if let Some(path) = address.strip_prefix("unix:") {
        let listener = UnixListener::bind(path)?;
        return accept(async move || Ok(listener.accept().await?.0)).await;
    }
    let listener = TcpListener::bind(address).await?;
    accept(async move || Ok(listener.accept().await?.0)).await
}
