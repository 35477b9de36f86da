//! The HTTP side: connections, their limits, and a graceful end.

use std::convert::Infallible;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use rustix::net::sockopt::set_socket_linger;
use smol::channel::{self, Receiver, Sender};
use smol::future::FutureExt;
use smol::io::AsyncReadExt;
use smol::{Async, Executor, Timer};
use smol_hyper::rt::{FuturesIo, SmolTimer};

use crate::answer::{Browser, Gateway};
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
    listener: Async<TcpListener>,
    executor: &Executor<'static>,
    gateway: Gateway,
    stopped: Receiver<Never>,
) {
    let gateway = Arc::new(gateway);
    let places = Places::new(CONNECTIONS);
    let (running, ended) = channel::bounded(1);
    let accept = async {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (place, left) = places.take().await;
                    let leave = [stopped.clone(), left];
                    let connection = connection(stream, peer, Arc::clone(&gateway), leave, place);
                    let running: Sender<Never> = running.clone();
                    let task = async move {
                        if let Err(error) = connection.await {
                            log::debug!("{peer}: {error}");
                        }
                        drop(running);
                    };
                    executor.spawn(task).detach();
                }
                Err(error) => {
                    log::warn!("accept: {error}");
                    Timer::after(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    accept.or(closed(&stopped)).await;
    drop((listener, running));
    closed(&ended).await;
}

async fn closed(channel: &Receiver<Never>) {
    let _ = channel.recv().await;
}

/// Serves one connection, request after request.
async fn connection(
    stream: Async<TcpStream>,
    peer: SocketAddr,
    gateway: Arc<Gateway>,
    leave: [Receiver<Never>; 2],
    place: Arc<Place>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.get_ref().set_nodelay(true)?;
    let browser = Arc::new(Browser { peer, server: stream.get_ref().local_addr()?, place });
    let result = requests(&stream, &browser, gateway, &leave).await;
    if browser.place.is_cut() {
        // A plain end would be taken for that of the answer.
        set_socket_linger(stream.get_ref(), Some(Duration::ZERO))?;
    } else if stream.get_ref().shutdown(Shutdown::Write).is_ok() {
        let [stopped, left] = &leave;
        farewell(&stream).or(closed(stopped)).or(closed(left)).await;
    }
    Ok(result?)
}

/// Answers requests until the connection is to be closed.
async fn requests(
    stream: &Async<TcpStream>,
    browser: &Arc<Browser>,
    gateway: Arc<Gateway>,
    [stopped, left]: &[Receiver<Never>; 2],
) -> hyper::Result<()> {
    let service = service_fn(|request| {
        let (gateway, browser) = (Arc::clone(&gateway), Arc::clone(browser));
        async move { Ok::<_, Infallible>(gateway.answer(request, &browser).await) }
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
    if !browser.place.has_asked() {
        return Ok(());
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// Reads on, within bounds: closing with input unread is a reset, which costs the browser what it has not read
/// of its answer.
async fn farewell(mut stream: &Async<TcpStream>) {
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
