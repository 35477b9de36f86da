//! The HTTP side: connections, their limits, and a graceful end.

use std::convert::Infallible;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fcgi_blocking::{is_exhaustion, is_transient};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{Shutdown, shutdown};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use smol::channel::{self, Receiver, Sender};
use smol::future::FutureExt;
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use smol::{Async, Executor, Timer};
use smol_hyper::rt::{FuturesIo, SmolTimer};

use crate::answer::Gateway;
use crate::listen::{Browser, Front, Stream};
use crate::patience::Patient;
use crate::places::{Never, Place, Places};

/// Connections at a time; who comes then takes the place of one that asks for nothing, or waits.
const CONNECTIONS: usize = 512;
/// How long a connection may be idle, and how long a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a browser may take no byte of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a request's head; a longer one is answered with 431.
const HEAD_LIMIT: usize = 64 * 1024;
/// How long accepting pauses when it fails, mostly because descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long what a browser still sends is read behind the last answer, in all and between two pieces.
const FAREWELL: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(1);

/// Serves until `stopped` closes, and the requests that run then have ended.
pub(crate) async fn serve(
    front: Front,
    executor: &Executor<'static>,
    gateway: Gateway,
    stopped: Receiver<Never>,
) {
    let gateway = Arc::new(gateway);
    let places = Places::new(connections());
    let (running, ended) = channel::bounded(1);
    let accept = async {
        loop {
            match front.accept().await {
                Ok((stream, browser)) => {
                    let (place, left) = places.take().await;
                    let leave = [stopped.clone(), left];
                    let (gateway, running): (_, Sender<Never>) = (Arc::clone(&gateway), running.clone());
                    let task = async move {
                        let ended = match stream {
                            Stream::Tcp(stream) => connection(stream, browser, gateway, leave, place).await,
                            Stream::Unix(stream) => connection(stream, browser, gateway, leave, place).await,
                        };
                        if let Err(error) = ended {
                            log::debug!("{browser}: {error}");
                        }
                        drop(running);
                    };
                    executor.spawn(task).detach();
                }
                Err(error) if is_transient(&error) => {}
                Err(error) => {
                    match is_exhaustion(&error) {
                        true => places.make_room(format_args!("accept: {error}")),
                        false => log::warn!("accept: {error}"),
                    }
                    Timer::after(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    accept.or(closed(&stopped)).await;
    drop((front, running));
    closed(&ended).await;
}

/// How many connections there may be, so that three quarters of the descriptors are left for applications and files;
/// as many descriptors are taken as the system allows.
fn connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let descriptors = if raised.is_ok() { limit.maximum } else { limit.current };
    descriptors.map_or(CONNECTIONS, |descriptors| CONNECTIONS.min((descriptors / 4).max(1) as usize))
}

async fn closed(channel: &Receiver<Never>) {
    let _ = channel.recv().await;
}

/// Serves one connection, request after request.
async fn connection<S: AsFd>(
    stream: Async<S>,
    browser: Browser,
    gateway: Arc<Gateway>,
    leave: [Receiver<Never>; 2],
    place: Arc<Place>,
) -> hyper::Result<()>
where
    for<'a> &'a Async<S>: AsyncRead + AsyncWrite,
{
    let result = requests(&stream, browser, &place, gateway, &leave).await;
    if place.is_cut() {
        // A plain end would be taken for that of the answer.
        let _ = set_socket_linger(&stream, Some(Duration::ZERO));
    } else if shutdown(&stream, Shutdown::Write).is_ok() {
        let [stopped, left] = &leave;
        farewell(&stream).or(closed(stopped)).or(closed(left)).await;
    }
    result
}

/// Answers requests until the connection is to be closed.
async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    browser: Browser,
    place: &Arc<Place>,
    gateway: Arc<Gateway>,
    [stopped, left]: &[Receiver<Never>; 2],
) -> hyper::Result<()> {
    let service = service_fn(|request| {
        let (gateway, place) = (Arc::clone(&gateway), Arc::clone(place));
        async move { Ok::<_, Infallible>(gateway.answer(request, &browser, &place).await) }
    });
    let connection = http1::Builder::new()
        .timer(SmolTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(HEAD_LIMIT)
        .serve_connection(FuturesIo::new(Patient::new(stream, WRITE_TIMEOUT)), service);
    let mut connection = pin!(connection);
    let stop = async {
        closed(stopped).or(closed(left)).await;
        None
    };
    if let Some(result) = async { Some(connection.as_mut().await) }.or(stop).await {
        return result;
    }
    if !place.has_asked() {
        return Ok(());
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// Reads on, within bounds: closing with input unread is a reset, which costs the browser what it has not read
/// of its answer.
async fn farewell(mut stream: impl AsyncRead + Unpin) {
    let mut buffer = [0; 16 * 1024];
    let late = async {
        Timer::after(FAREWELL).await;
    };
    let read = async {
        loop {
            let silent = async {
                Timer::after(SILENCE).await;
                Ok(0)
            };
            if !stream.read(&mut buffer).or(silent).await.is_ok_and(|count| count > 0) {
                return;
            }
        }
    };
    read.or(late).await;
}
