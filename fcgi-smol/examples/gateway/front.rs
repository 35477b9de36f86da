//! The HTTP side: connections, their limits, and a graceful end.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use smol::channel::{self, Receiver, Sender};
use smol::future::FutureExt;
use smol::lock::Semaphore;
use smol::{Async, Executor, Timer};
use smol_hyper::rt::{FuturesIo, SmolTimer};

use crate::answer::Gateway;
use crate::patience::Patient;

/// Connections at a time; who comes then waits to be accepted.
const CONNECTIONS: usize = 512;
/// How long a connection may be idle, and how long a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a browser may take no byte of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a request's head; a longer one is answered with 431.
const HEAD_LIMIT: usize = 64 * 1024;
/// How long accepting pauses when it fails, mostly because descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Nothing is ever sent on these channels: they close.
#[derive(Clone)]
pub(crate) enum Never {}

/// Serves until `stopped` closes, and the requests that run then have ended.
pub(crate) async fn serve(
    listener: Async<TcpListener>,
    executor: &Executor<'static>,
    gateway: Gateway,
    stopped: Receiver<Never>,
) {
    let gateway = Arc::new(gateway);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let (running, ended) = channel::bounded(1);
    let accept = async {
        loop {
            let place = places.acquire_arc().await;
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let connection = connection(stream, peer, Arc::clone(&gateway), stopped.clone());
                    let running: Sender<Never> = running.clone();
                    let task = async move {
                        if let Err(error) = connection.await {
                            log::debug!("{peer}: {error}");
                        }
                        drop((place, running));
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
    stopped: Receiver<Never>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let server: io::Result<SocketAddr> = stream.get_ref().local_addr();
    let server = server?;
    stream.get_ref().set_nodelay(true)?;
    let service = service_fn(|request| {
        let gateway = Arc::clone(&gateway);
        async move { Ok::<_, Infallible>(gateway.answer(request, peer, server).await) }
    });
    let connection = http1::Builder::new()
        .timer(SmolTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(HEAD_LIMIT)
        .serve_connection(FuturesIo::new(Patient::new(stream, WRITE_TIMEOUT)), service);
    let mut connection = pin!(connection);
    let stop = async {
        closed(&stopped).await;
        None
    };
    if let Some(result) = async { Some(connection.as_mut().await) }.or(stop).await {
        return Ok(result?);
    }
    connection.as_mut().graceful_shutdown();
    Ok(connection.await?)
}
