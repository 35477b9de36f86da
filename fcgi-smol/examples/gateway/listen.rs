//! Where browsers connect: TCP, by address or name, or a Unix socket.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::net::{UnixListener, UnixStream};

use fcgi_smol::{Endpoint, Listener, SocketFile, StdListener};
use smol::Async;

/// Where it listens unless told.
const DEFAULT: &str = "127.0.0.1:8080";

/// What the text behind `--listen` means: a name may have several addresses.
pub(crate) fn parse(text: &str) -> Result<Vec<Endpoint>, String> {
    let named = |_| Ok(text.to_socket_addrs()?.map(Endpoint::Tcp).collect());
    text.parse().map(|endpoint| vec![endpoint]).or_else(named).map_err(|error: io::Error| {
        format!("--listen {text:?}: {error}; write 127.0.0.1:8080, [::1]:8080, localhost:8080 or unix:/path/to/socket")
    })
}

pub(crate) struct Front {
    // Before the socket, because fields are dropped in this order: see SocketFile.
    _file: Option<SocketFile>,
    socket: Socket,
    /// For the line that says where it is.
    endpoint: Endpoint,
}

enum Socket {
    Tcp(Async<TcpListener>),
    Unix(Async<UnixListener>),
}

/// A connection that was accepted.
pub(crate) enum Stream {
    Tcp(Async<TcpStream>),
    Unix(Async<UnixStream>),
}

/// Who asks, and whom; on a Unix socket nobody can tell.
#[derive(Clone, Copy)]
pub(crate) struct Browser {
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) server: Option<SocketAddr>,
}

impl Front {
    /// Listens on the first of `addresses` that can be had; without any on the socket that systemd passes in
    /// LISTEN_FDS, or on 127.0.0.1:8080.
    pub(crate) fn new(addresses: &[Endpoint]) -> io::Result<Self> {
        let listener = match addresses.split_first() {
            None => match Listener::systemd()?.into_iter().next() {
                Some(passed) => passed,
                None => Listener::bind(DEFAULT)?,
            },
            Some((first, others)) => others.iter().fold(Listener::bind_endpoint(first), |bound, other| {
                bound.or_else(|_| Listener::bind_endpoint(other))
            })?,
        };
        let endpoint = listener.local_endpoint()?;
        let (socket, file) = listener.into_std();
        let socket = match socket {
            StdListener::Tcp(socket) => Socket::Tcp(Async::new(socket)?),
            StdListener::Unix(socket) => Socket::Unix(Async::new(socket)?),
        };
        Ok(Self { _file: file, socket, endpoint })
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, Browser)> {
        Ok(match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                stream.get_ref().set_nodelay(true)?;
                // Of a socket that takes both, IPv4 addresses are told as such.
                let plain =
                    |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
                let server = stream.get_ref().local_addr()?;
                (Stream::Tcp(stream), Browser { peer: Some(plain(peer)), server: Some(plain(server)) })
            }
            Socket::Unix(socket) => {
                (Stream::Unix(socket.accept().await?.0), Browser { peer: None, server: None })
            }
        })
    }
}

impl fmt::Display for Front {
    /// What to do with it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Endpoint::Tcp(address) => write!(f, "Open http://{address}/ in a browser"),
            other => write!(f, "Listening on {other}"),
        }
    }
}

impl fmt::Display for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(peer) => peer.fmt(f),
            None => f.write_str("unix:"),
        }
    }
}
