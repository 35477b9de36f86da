//! What a connection runs over: a TCP or Unix socket, or any stream (FastCGI 1.0, section 3).

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::time::Duration;

use async_io::{Async, Timer};
use fcgi_blocking::{Endpoint, connect_abstract};
use smol::future::FutureExt;
use smol::io::{AsyncRead, AsyncWrite};

/// How long to wait until a Unix socket with a full queue is tried again: nothing tells when it has room, and a thread
/// that waits for it cannot be called back.
const QUEUE_PAUSE: Duration = Duration::from_millis(20);

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

/// An open connection, shut down in both directions when dropped.
pub(crate) enum Socket {
    Tcp(Async<TcpStream>),
    Unix(Async<UnixStream>),
    Other(Pin<Box<dyn Stream>>),
}

impl Socket {
    /// Connects to `endpoint`, on TCP with `TCP_NODELAY`, within `limit`.
    pub(crate) async fn connect(endpoint: &Endpoint, limit: Duration) -> io::Result<Self> {
        let late = async {
            Timer::after(limit).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        let connected = Self::try_connect(endpoint).or(late).await;
        connected
            .map_err(|error| io::Error::new(error.kind(), format!("cannot connect to {endpoint}: {error}")))
    }

    async fn try_connect(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Tcp(address) => {
                let stream = Async::<TcpStream>::connect(*address).await?;
                stream.get_ref().set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
            Endpoint::Unix(path) => loop {
                match Async::<UnixStream>::connect(path).await {
                    // What is left of an EAGAIN.
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                        Timer::after(QUEUE_PAUSE).await;
                    }
                    result => return result.map(Self::Unix),
                }
            },
            // It waits for nothing else, and no longer for that than whoever wants it.
            Endpoint::Abstract(name) => loop {
                let name = name.clone();
                match smol::unblock(move || connect_abstract(&name, QUEUE_PAUSE)).await {
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                    result => return result.and_then(Async::new).map(Self::Unix),
                }
            },
            Endpoint::Inherited => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "descriptor 0 only accepts connections"))
            }
        }
    }

    pub(crate) fn stream(&mut self) -> Pin<&mut dyn Stream> {
        match self {
            Self::Tcp(stream) => Pin::<&mut Async<TcpStream>>::new(stream),
            Self::Unix(stream) => Pin::<&mut Async<UnixStream>>::new(stream),
            Self::Other(stream) => stream.as_mut(),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Closing is the abort that works (section 5.4), also while a clone of the descriptor is in a child
        // process. Errors say that it is closed already.
        let _ = match self {
            Self::Tcp(stream) => stream.get_ref().shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.get_ref().shutdown(Shutdown::Both),
            Self::Other(_) => Ok(()),
        };
    }
}
