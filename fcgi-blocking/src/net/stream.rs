//! One transport connection, TCP or Unix (FastCGI 1.0 section 3).

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use crate::Endpoint;
use crate::net::clock;

/// A connected TCP or Unix stream socket, in blocking mode.
///
/// Reading and writing go through `&Stream` as well, so that two threads can
/// each take a direction.
#[derive(Debug)]
pub enum Stream {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A connection over a Unix socket.
    Unix(UnixStream),
}

/// Does the same with whichever socket it is.
macro_rules! each {
    ($stream:expr, $socket:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($socket) => $call,
            Stream::Unix($socket) => $call,
        }
    };
}

impl Stream {
    /// Connects to the application at `endpoint`; on TCP, sets `TCP_NODELAY`.
    ///
    /// This waits as long as the system lets it: minutes for a TCP host that
    /// does not answer, without end for a Unix socket whose queue stays full.
    /// [`connect_timeout`](Stream::connect_timeout) has a limit.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`, with the endpoint in their text;
    /// [`io::ErrorKind::InvalidInput`] for [`Endpoint::Inherited`], which only
    /// accepts.
    pub fn connect(endpoint: &Endpoint) -> io::Result<Stream> {
        connect(endpoint, None).map_err(|error| explain("connect to", endpoint, &error))
    }

    /// Connects like [`connect`](Stream::connect), and gives up after `limit`.
    ///
    /// # Errors
    ///
    /// As `connect`; [`io::ErrorKind::TimedOut`] once `limit` is over, and
    /// [`io::ErrorKind::InvalidInput`] if it is zero.
    pub fn connect_timeout(endpoint: &Endpoint, limit: Duration) -> io::Result<Stream> {
        connect(endpoint, Some(limit)).map_err(|error| explain("connect to", endpoint, &error))
    }

    /// Limits each read that follows; `None` lets it wait for ever.
    ///
    /// A read that takes longer fails with [`io::ErrorKind::WouldBlock`] or
    /// [`io::ErrorKind::TimedOut`].
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for a limit of zero.
    pub fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        each!(self, socket => socket.set_read_timeout(limit))
    }

    /// Limits each write that follows; `None` lets it wait for ever.
    ///
    /// A write that takes longer fails with [`io::ErrorKind::WouldBlock`] or
    /// [`io::ErrorKind::TimedOut`].
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for a limit of zero.
    pub fn set_write_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        each!(self, socket => socket.set_write_timeout(limit))
    }

    /// Whether reading and writing return at once, with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when there is nothing to do.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        each!(self, socket => socket.set_nonblocking(nonblocking))
    }

    /// Ends one direction or both, for every clone of this stream; a thread
    /// that is blocked reading or writing returns.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotConnected`] if the peer has already reset the
    /// connection.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        each!(self, socket => socket.shutdown(how))
    }

    /// Writes what the system takes at once, whatever the mode.
    pub(crate) fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self, bytes, SEND | SendFlags::DONTWAIT)?)
    }

    /// Ends its input, unless something came that was not read yet; whether it did.
    pub(crate) fn end_input(&self) -> bool {
        let now = clock::wait(Duration::ZERO);
        if poll(&mut [PollFd::new(self, PollFlags::IN)], now.as_ref()).is_ok_and(|ready| ready > 0) {
            return false;
        }
        // What comes at this moment is still read. One that is gone is read as the end just the same.
        let _ = self.shutdown(Shutdown::Read);
        true
    }

    /// Makes a second handle to the same connection; its limits and its mode
    /// are shared.
    ///
    /// # Errors
    ///
    /// When no file descriptor is free.
    pub fn try_clone(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(socket) => socket.try_clone().map(Self::Tcp),
            Self::Unix(socket) => socket.try_clone().map(Self::Unix),
        }
    }
}

fn connect(endpoint: &Endpoint, limit: Option<Duration>) -> io::Result<Stream> {
    match endpoint {
        Endpoint::Tcp(address) => {
            let socket = match limit {
                None => TcpStream::connect(address),
                Some(limit) => TcpStream::connect_timeout(address, limit),
            }?;
            socket.set_nodelay(true)?;
            Ok(Stream::Tcp(socket))
        }
        Endpoint::Unix(path) => connect_unix(&unix_address(path)?, limit).map(Stream::Unix),
        Endpoint::Abstract(name) => connect_unix(&abstract_address(name)?, limit).map(Stream::Unix),
        Endpoint::Inherited => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "descriptor 0 only accepts connections"))
        }
    }
}

/// Connects to an abstract Unix socket, as [`connect_timeout`](Stream::connect_timeout); the error's text does not
/// name it.
///
/// # Errors
/// As there.
#[doc(hidden)]
pub fn connect_abstract(name: &str, limit: Duration) -> io::Result<UnixStream> {
    connect_unix(&abstract_address(name)?, Some(limit))
}

fn connect_unix(address: &SocketAddrUnix, limit: Option<Duration>) -> io::Result<UnixStream> {
    let socket = unix_socket()?;
    // The limit for sending is also the one for a place in the queue of the
    // listening socket, the only thing that connecting waits for.
    set_socket_timeout(&socket, Timeout::Send, limit)?;
    match rustix::io::retry_on_intr(|| rustix::net::connect(&socket, address)) {
        Err(Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
        result => result?,
    }
    set_socket_timeout(&socket, Timeout::Send, None)?;
    Ok(socket.into())
}

/// Makes a Unix stream socket, closed on exec.
pub(crate) fn unix_socket() -> io::Result<OwnedFd> {
    // Apple's systems have no flag for it, and a moment in which a fork on
    // another thread lets the descriptor through.
    #[cfg(target_vendor = "apple")]
    let flags = SocketFlags::empty();
    #[cfg(not(target_vendor = "apple"))]
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    #[cfg(target_vendor = "apple")]
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok(socket)
}

/// Puts `path` in the form that the system takes, or says why it cannot be.
pub(crate) fn unix_address(path: &Path) -> io::Result<SocketAddrUnix> {
    let bytes = path.as_os_str().as_bytes();
    let problem = if bytes.is_empty() {
        // The system would make up a name for it.
        "the path is empty".to_owned()
    } else if bytes.contains(&0) {
        "the path holds a NUL byte".to_owned()
    } else if std::os::unix::net::SocketAddr::from_pathname(path).is_err() {
        format!(
            "the path has {} bytes, more than the address of a Unix socket holds (107 on Linux)",
            bytes.len()
        )
    } else {
        return Ok(SocketAddrUnix::new(path)?);
    };
    Err(invalid(problem))
}

/// The address of an abstract Unix socket, where there is such a thing.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn abstract_address(name: &str) -> io::Result<SocketAddrUnix> {
    SocketAddrUnix::new_abstract_name(name.as_bytes()).map_err(|_| {
        invalid(format!("the name has {} bytes, more than an abstract Unix socket's (107)", name.len()))
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn abstract_address(name: &str) -> io::Result<SocketAddrUnix> {
    let text = format!("only Linux has Unix sockets without a file (write unix:./@{name} for one with)");
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

pub(crate) fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text.into())
}

/// Adds to `error` what was being done, and with which endpoint.
pub(crate) fn explain(doing: &str, endpoint: &Endpoint, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {doing} {endpoint}: {error}"))
}

impl From<TcpStream> for Stream {
    /// Takes the stream as it is, with its mode and its options.
    fn from(socket: TcpStream) -> Self {
        Self::Tcp(socket)
    }
}

impl From<UnixStream> for Stream {
    /// Takes the stream as it is, with its mode and its options.
    fn from(socket: UnixStream) -> Self {
        Self::Unix(socket)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        each!(self, socket => socket.as_fd())
    }
}

/// A peer that is gone is an error, not a signal. Apple's systems know no such flag; std sets an option there.
#[cfg(not(target_vendor = "apple"))]
const SEND: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const SEND: SendFlags = SendFlags::empty();

// The calls that every request needs are the system's own: libc's are points where a thread can be cancelled,
// which takes four atomic operations each time.
impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (_, count) = rustix::net::recv(self, buffer, RecvFlags::empty())?;
        Ok(count)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        each!(self, socket => (&*socket).read_vectored(buffers))
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self, bytes, SEND)?)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        each!(self, socket => (&*socket).write_vectored(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // A socket holds nothing back.
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}
