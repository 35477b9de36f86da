//! Listening sockets, as they wait without blocking.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use async_io::Async;
use fcgi_blocking::{Exhaustion, Listener, Peer, SocketFile, StdListener, is_transient};

use crate::net::clock;
use crate::net::transport::Transport;

/// What a [`Server`](crate::Server) accepts connections on: a [`Listener`], or async-io's own.
pub trait IntoSocket: sealed::Sealed {}

impl IntoSocket for Listener {}
impl IntoSocket for Async<TcpListener> {}
impl IntoSocket for Async<UnixListener> {}

pub(crate) mod sealed {
    use super::{
        Async, Exhaustion, Listener, Socket, SocketKind, StdListener, TcpListener, UnixListener, io,
    };

    pub trait Sealed {
        fn into_socket(self) -> io::Result<Socket>;
    }

    impl Sealed for Listener {
        fn into_socket(self) -> io::Result<Socket> {
            let (socket, file) = self.into_std();
            let kind = match socket {
                StdListener::Tcp(socket) => SocketKind::Tcp(Async::new(socket)?),
                StdListener::Unix(socket) => SocketKind::Unix(Async::new(socket)?),
            };
            Ok(Socket { _file: file, kind, exhaustion: Exhaustion::default() })
        }
    }

    impl Sealed for Async<TcpListener> {
        fn into_socket(self) -> io::Result<Socket> {
            Ok(Socket { _file: None, kind: SocketKind::Tcp(self), exhaustion: Exhaustion::default() })
        }
    }

    impl Sealed for Async<UnixListener> {
        fn into_socket(self) -> io::Result<Socket> {
            Ok(Socket { _file: None, kind: SocketKind::Unix(self), exhaustion: Exhaustion::default() })
        }
    }
}

#[derive(Debug)]
pub struct Socket {
    // Before the socket, because fields are dropped in this order: see SocketFile.
    _file: Option<SocketFile>,
    kind: SocketKind,
    /// For the log.
    exhaustion: Exhaustion,
}

#[derive(Debug)]
pub(crate) enum SocketKind {
    Tcp(Async<TcpListener>),
    Unix(Async<UnixListener>),
}

impl Socket {
    /// Waits until a connection is there to be accepted.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match &self.kind {
            SocketKind::Tcp(listener) => listener.readable().await,
            SocketKind::Unix(listener) => listener.readable().await,
        }
    }

    /// The next connection, and its peer's address, to be looked up in `FCGI_WEB_SERVER_ADDRS`: an IPv4
    /// address also if the socket is an IPv6 one that takes both, and `None` for a Unix socket.
    pub(crate) async fn accept(&self) -> io::Result<(Box<dyn Transport>, Peer)> {
        loop {
            let accepted = self.accept_next().await;
            if !accepted.as_ref().is_err_and(is_transient) {
                self.exhaustion.note(&accepted, clock::now());
                return accepted;
            }
        }
    }

    async fn accept_next(&self) -> io::Result<(Box<dyn Transport>, Peer)> {
        match &self.kind {
            SocketKind::Tcp(listener) => {
                listener.readable().await?;
                let (socket, peer) = listener.get_ref().accept()?;
                // It fails on some systems if the peer is gone, which the first read tells just as well.
                let _ = socket.set_nodelay(true);
                Ok((Box::new(Async::new(socket)?), Peer(Some(peer.ip().to_canonical()))))
            }
            SocketKind::Unix(listener) => {
                listener.readable().await?;
                let (socket, _) = listener.get_ref().accept()?;
                Ok((Box::new(Async::new(socket)?), Peer(None)))
            }
        }
    }
}
