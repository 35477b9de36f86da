//! Listening sockets: bound here, inherited on descriptor 0 or passed by a
//! service manager (FastCGI 1.0 sections 2.2 and 3.2).

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::net::clock;
use crate::net::exhaustion::Exhaustion;
use crate::net::stream::{abstract_address, explain, invalid, unix_address, unix_socket};
use crate::{Endpoint, Stream};

/// How many connections may wait to be accepted. A web server opens many at
/// once, and on a Unix socket a full queue is an error for it, not a delay.
/// The system may lower it (`net.core.somaxconn` on Linux).
const BACKLOG: i32 = 1024;

/// The mode of a Unix socket unless another is asked for: only the owner and
/// the group may connect.
const DEFAULT_MODE: u32 = 0o660;

/// How often something else is looked after beside accepting, at most.
const PAUSE: Duration = Duration::from_millis(10);

/// Whether bind and accept behave as on Linux, in what POSIX leaves open.
const LINUX: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// A socket on which web servers connect: TCP or Unix.
///
/// Every descriptor made here is closed on exec. A Unix socket that was bound
/// here has its file removed when the `Listener` is dropped; see
/// [`SocketFile`].
///
/// ```no_run
/// use fcgi_blocking::Listener;
///
/// // Started by a web server or a service manager, or by hand.
/// let listener = match std::env::args().nth(1) {
///     Some(address) => Listener::bind(address)?,
///     None => Listener::passed()?,
/// };
/// println!("listening on {listener}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Listener {
    // Before the socket, because fields are dropped in this order: see SocketFile.
    file: Option<SocketFile>,
    socket: StdListener,
    /// For the log.
    exhaustion: Exhaustion,
}

/// The standard library's listener in a [`Listener`].
#[derive(Debug)]
pub enum StdListener {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A Unix stream socket.
    Unix(UnixListener),
}

impl Listener {
    /// Listens on an address in one of [`Endpoint`]'s text forms, as
    /// [`bind_endpoint`](Listener::bind_endpoint) does.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if the text is not an address, else
    /// those of `bind_endpoint`.
    pub fn bind(address: impl AsRef<str>) -> io::Result<Listener> {
        Self::bind_endpoint(&address.as_ref().parse()?)
    }

    /// Listens on `endpoint`: a TCP address, with `SO_REUSEADDR`; a Unix
    /// socket, as [`bind_unix`](Listener::bind_unix) with mode `0o660`; an abstract
    /// one; or the [inherited](Listener::inherited) descriptor 0.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)` and `listen(2)`, with the endpoint in their text; for
    /// the other two kinds, those of the functions named.
    pub fn bind_endpoint(endpoint: &Endpoint) -> io::Result<Listener> {
        match endpoint {
            Endpoint::Tcp(address) => {
                let listen = || {
                    let socket = TcpListener::bind(address)?;
                    // Again, for a longer queue than the standard library's.
                    rustix::net::listen(&socket, BACKLOG)?;
                    Ok(socket)
                };
                listen().map(Self::from).map_err(|error| explain("listen on", endpoint, &error))
            }
            Endpoint::Unix(path) => Self::bind_unix(path, DEFAULT_MODE),
            Endpoint::Abstract(name) => {
                let listen = || {
                    let socket = unix_socket()?;
                    rustix::net::bind(&socket, &abstract_address(name)?)?;
                    rustix::net::listen(&socket, BACKLOG)?;
                    Ok(UnixListener::from(socket))
                };
                listen().map(Self::from).map_err(|error| explain("listen on", endpoint, &error))
            }
            Endpoint::Inherited => Self::inherited(),
        }
    }

    /// Listens on a Unix socket at `path`, whose file has the permission bits
    /// `mode` (such as `0o660`), whatever the umask.
    ///
    /// The file never has more permissions than `mode`, not even while it is
    /// made. A socket file left behind by a process that has ended is replaced;
    /// nothing else is. Two processes that replace the same one at the same
    /// instant are not kept apart.
    ///
    /// On other systems than Linux, the umask of the process is narrowed for a
    /// moment: a file that another thread makes then may lack permissions.
    ///
    /// # Errors
    ///
    /// With the path in their text: [`io::ErrorKind::AddrInUse`] if somebody
    /// listens on it, [`io::ErrorKind::AlreadyExists`] if it is not a socket,
    /// [`io::ErrorKind::InvalidInput`] if it is empty or too long (more than
    /// 107 bytes on Linux) or if `mode` has more than permission bits, and
    /// those of `bind(2)`, `chmod(2)` and `listen(2)`.
    pub fn bind_unix(path: impl AsRef<Path>, mode: u32) -> io::Result<Listener> {
        let path = path.as_ref();
        let (file, socket) = listen_unix(path, mode)
            .map_err(|error| explain("listen on", &Endpoint::Unix(path.into()), &error))?;
        Ok(Listener {
            file: Some(file),
            socket: StdListener::Unix(socket),
            exhaustion: Exhaustion::default(),
        })
    }

    /// Takes the listening socket that a web server passes on descriptor 0,
    /// `FCGI_LISTENSOCK_FILENO` (section 2.2).
    ///
    /// The `Listener` has a duplicate; descriptor 0 stays open, and a program
    /// that the application starts inherits it unless given another standard
    /// input.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if descriptor 0 is not a listening
    /// socket, TCP or Unix. If that is so because the program was started as a
    /// CGI program (RFC 3875, section 4.1.4), the text says that.
    pub fn inherited() -> io::Result<Listener> {
        let stdin = io::stdin();
        let family = listening_family(stdin.as_fd()).ok_or_else(|| invalid(not_inherited()))?;
        let socket = stdin.as_fd().try_clone_to_owned()?;
        Ok(match family {
            AddressFamily::UNIX => UnixListener::from(socket).into(),
            _ => TcpListener::from(socket).into(),
        })
    }

    /// Whether descriptor 0 is a listening socket, so that
    /// [`inherited`](Listener::inherited) would take it.
    ///
    /// It is how a program tells that it was started as a FastCGI application,
    /// not as a CGI program or by hand (section 2.2).
    pub fn is_inherited() -> bool {
        listening_family(io::stdin().as_fd()).is_some()
    }

    /// Takes the listening sockets that a service manager passes in the way of
    /// systemd's socket activation (`LISTEN_FDS`, `LISTEN_PID`), in its order.
    ///
    /// Empty if none were passed to this process. The variables are removed
    /// from the environment, so a second call finds none; call it before other
    /// threads are started.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if one of the descriptors is not a
    /// listening socket, TCP or Unix.
    pub fn systemd() -> io::Result<Vec<Listener>> {
        let mut passed = listenfd::ListenFd::from_env();
        (0..passed.len())
            .map(|index| {
                let tcp = passed.take_tcp_listener(index).ok().flatten();
                tcp.map(Listener::from)
                    .or_else(|| {
                        let unix = passed.take_unix_listener(index).ok().flatten();
                        unix.map(Listener::from)
                    })
                    .filter(|socket| listening_family(socket.as_fd()).is_some())
                    .ok_or_else(|| {
                        let number = index + 1;
                        invalid(format!(
                            "descriptor {number} of those in LISTEN_FDS is not a listening socket"
                        ))
                    })
            })
            .collect()
    }

    /// Takes the listening socket that whoever started the program passes: the [inherited](Self::inherited) one on
    /// descriptor 0, or the first of [systemd](Self::systemd)'s.
    ///
    /// # Errors
    ///
    /// Those of the two functions; if there is none at all, those of `inherited`.
    pub fn passed() -> io::Result<Listener> {
        Self::inherited().or_else(|none| Self::systemd()?.into_iter().next().ok_or(none))
    }

    /// The address that web servers connect to, with the port that the system
    /// chose if 0 was bound; for an inherited socket, its real one.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] for a Unix socket without a path or a name
    /// that is UTF-8.
    pub fn local_endpoint(&self) -> io::Result<Endpoint> {
        match &self.socket {
            StdListener::Tcp(socket) => socket.local_addr().map(Endpoint::Tcp),
            StdListener::Unix(socket) => {
                let address = socket.local_addr()?;
                let path = address.as_pathname().map(|path| Endpoint::Unix(path.into()));
                let endpoint = path.or_else(|| Some(Endpoint::Abstract(abstract_name(&address)?)));
                let none =
                    || io::Error::new(io::ErrorKind::Unsupported, "the Unix socket has no path and no name");
                endpoint.ok_or_else(none)
            }
        }
    }

    /// Waits for a connection, or until `wake` is readable or at its end: then
    /// the answer is `None`.
    ///
    /// Several threads, and other processes too, may accept on the same socket.
    /// The connection comes with the IP address of its peer, to be looked up in
    /// `FCGI_WEB_SERVER_ADDRS` (section 3.2): an IPv4 address also if the socket
    /// is an IPv6 one that takes both, and `None` for a Unix socket. It is in
    /// blocking mode, closed on exec and, if TCP, has `TCP_NODELAY` set.
    ///
    /// This sets the listening socket to non-blocking mode, which every process
    /// that shares it sees.
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`, but for the ones that only concern a connection
    /// that is gone already. [`is_exhaustion`](crate::is_exhaustion) tells those that pass.
    pub fn accept(&self, wake: impl AsFd) -> io::Result<Option<(Stream, Option<IpAddr>)>> {
        let mut never = Duration::MAX;
        self.accept_until(wake, &mut never, || Duration::MAX)
    }

    /// As [`accept`](Self::accept), and calls `look` at this time, and again whenever as much time as it said has
    /// passed, but not without a pause.
    pub(crate) fn accept_until(
        &self,
        wake: impl AsFd,
        look_at: &mut Duration,
        look: impl Fn() -> Duration,
    ) -> io::Result<Option<(Stream, Option<IpAddr>)>> {
        loop {
            let now = clock::now();
            if *look_at <= now {
                *look_at = now.saturating_add(look().max(PAUSE));
            }
            let limit = clock::wait(look_at.saturating_sub(now));
            let mut ready = [PollFd::new(&wake, PollFlags::IN), PollFd::new(self, PollFlags::IN)];
            match poll(&mut ready, limit.as_ref()) {
                Ok(0) | Err(Errno::INTR) => continue,
                result => result?,
            };
            if !ready[0].revents().is_empty() {
                return Ok(None);
            }
            // Another process may take the connection that poll has seen, and it
            // may also have set the mode back.
            match &self.socket {
                StdListener::Tcp(socket) => socket.set_nonblocking(true)?,
                StdListener::Unix(socket) => socket.set_nonblocking(true)?,
            }
            let accepted = self.accept_now();
            if !accepted.as_ref().is_err_and(is_transient) {
                self.exhaustion.note(&accepted, clock::now());
                return accepted.map(Some);
            }
        }
    }

    fn accept_now(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        match &self.socket {
            StdListener::Tcp(listener) => {
                let (socket, peer) = listener.accept()?;
                if !LINUX {
                    socket.set_nonblocking(false)?; // It is inherited there.
                }
                // It fails on some systems if the peer is gone, which the first
                // read tells just as well.
                let _ = socket.set_nodelay(true);
                Ok((Stream::Tcp(socket), Some(peer.ip().to_canonical())))
            }
            StdListener::Unix(listener) => {
                let (socket, _) = listener.accept()?;
                if !LINUX {
                    socket.set_nonblocking(false)?;
                }
                Ok((Stream::Unix(socket), None))
            }
        }
    }

    /// Takes the standard library's listener out, and what removes the file of
    /// a Unix socket that was bound here.
    ///
    /// Drop the [`SocketFile`] before the listener. The listener is in
    /// non-blocking mode if [`accept`](Listener::accept) was called, else as it
    /// was made or passed.
    pub fn into_std(self) -> (StdListener, Option<SocketFile>) {
        (self.socket, self.file)
    }
}

/// Whether `error`, from accepting a connection, only says that there is none, or
/// not any more: the next may be accepted at once.
pub fn is_transient(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::AGAIN
                | Errno::INTR
                | Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::PROTO
                // Linux passes on what happened to the connection on its way.
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::NOPROTOOPT
        )
    )
}

/// The family of `fd`, if it is a listening stream socket of a kind that
/// FastCGI runs over.
fn listening_family(fd: BorrowedFd<'_>) -> Option<AddressFamily> {
    #[cfg(not(target_vendor = "apple"))]
    let listens = rustix::net::sockopt::socket_acceptconn(fd) == Ok(true);
    // Apple's systems do not tell; section 2.2's own test is the best there.
    #[cfg(target_vendor = "apple")]
    let listens = rustix::net::getpeername(fd).err() == Some(Errno::NOTCONN);

    if !listens || rustix::net::sockopt::socket_type(fd) != Ok(SocketType::STREAM) {
        return None;
    }
    let family = rustix::net::getsockname(fd).ok()?.address_family();
    [AddressFamily::UNIX, AddressFamily::INET, AddressFamily::INET6].contains(&family).then_some(family)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_name(address: &std::os::unix::net::SocketAddr) -> Option<String> {
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;
    String::from_utf8(address.as_abstract_name()?.to_vec()).ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_name(_: &std::os::unix::net::SocketAddr) -> Option<String> {
    None
}

/// Why descriptor 0 is of no use.
fn not_inherited() -> &'static str {
    if std::env::var_os("GATEWAY_INTERFACE").is_some() {
        "descriptor 0 is not a listening socket: the web server starts this FastCGI program as a CGI program"
    } else {
        "descriptor 0 is not a listening socket"
    }
}

fn listen_unix(path: &Path, mode: u32) -> io::Result<(SocketFile, UnixListener)> {
    if mode & !0o777 != 0 {
        return Err(invalid("the mode has other bits than permissions"));
    }
    let address = unix_address(path)?;
    let socket = unix_socket()?;
    match bind_with_mode(&socket, &address, mode) {
        Err(Errno::ADDRINUSE) => {
            remove_stale(path, &address)?;
            bind_with_mode(&socket, &address, mode)?;
        }
        result => result?,
    }
    let file = SocketFile::new(path)?;
    set_mode(path, mode)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok((file, socket.into()))
}

/// Binds such that the new file has `mode` at most, from its first instant.
fn bind_with_mode(socket: &OwnedFd, address: &SocketAddrUnix, mode: u32) -> rustix::io::Result<()> {
    use rustix::fs::{Mode, fchmod};
    use rustix::process::umask;

    if LINUX {
        // The file gets the mode of the socket, less the umask.
        fchmod(socket, Mode::from_bits_truncate(mode as _))?;
        return rustix::net::bind(socket, address);
    }
    // One at a time, else one thread would take another's narrow umask for the
    // one to restore.
    static NARROWED: Mutex<()> = Mutex::new(());
    let _one_at_a_time = NARROWED.lock();
    let before = umask(Mode::from_bits_truncate(0o777));
    umask(before | Mode::from_bits_truncate((0o777 & !mode) as _));
    let result = rustix::net::bind(socket, address);
    umask(before);
    result
}

/// Gives the socket file the permissions that the umask has taken away.
///
/// It does so through a descriptor of the file itself: somebody else who may
/// write to the directory could put a link to another file in its place.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags, open};
    use std::os::fd::AsRawFd;

    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let node = fs::File::from(open(path, flags, Mode::empty())?);
    let file = node.metadata()?;
    if !file.file_type().is_socket() {
        return Err(io::Error::other("somebody replaced the new socket's file"));
    }
    if file.mode() & 0o777 == mode {
        return Ok(());
    }
    let node = format!("/proc/self/fd/{}", node.as_raw_fd());
    fs::set_permissions(node, Permissions::from_mode(mode))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Removes the socket file at `path` if nobody listens on it.
fn remove_stale(path: &Path, address: &SocketAddrUnix) -> io::Result<()> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => {}
        Ok(_) => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it exists and is not a socket"));
        }
        Err(error) if gone(&error) => return Ok(()),
        Err(error) => return Err(error),
    }
    let probe = unix_socket()?;
    // Else it would wait for a place in the queue of whoever listens.
    rustix::io::ioctl_fionbio(&probe, true)?;
    match rustix::net::connect(&probe, address) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).or_else(|error| match error {
            error if gone(&error) => Ok(()),
            error => Err(error),
        }),
        Err(Errno::NOENT) => Ok(()),
        // Connected, or the queue is full, or it is not a stream socket.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(Errno::ADDRINUSE.into()),
        Err(error) => Err(error.into()),
    }
}

/// Removes the file of a Unix socket when dropped.
///
/// It does so only if the file still is the one that was made, not that of a
/// later process, and only in the process that made it, not in a fork. While
/// the socket is open the system cannot use the file's number again, so the
/// `SocketFile` is to be dropped before the listening socket.
#[derive(Debug)]
pub struct SocketFile {
    /// Absolute: the process may change its directory.
    path: PathBuf,
    device: u64,
    inode: u64,
    process: u32,
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<SocketFile> {
        let path = std::path::absolute(path)?;
        let file = fs::symlink_metadata(&path)?;
        Ok(SocketFile { path, device: file.dev(), inode: file.ino(), process: std::process::id() })
    }

    fn is_ours(&self) -> bool {
        self.process == std::process::id()
            && fs::symlink_metadata(&self.path)
                .is_ok_and(|file| (file.dev(), file.ino()) == (self.device, self.inode))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_ours() {
            if let Err(error) = fs::remove_file(&self.path) {
                log::warn!("cannot remove {}: {error}", self.path.display());
            }
        }
    }
}

impl From<TcpListener> for Listener {
    /// Takes the listener as it is, with its queue and its options.
    fn from(socket: TcpListener) -> Self {
        Listener { file: None, socket: StdListener::Tcp(socket), exhaustion: Exhaustion::default() }
    }
}

impl From<UnixListener> for Listener {
    /// Takes the listener as it is; its file is not removed.
    fn from(socket: UnixListener) -> Self {
        Listener { file: None, socket: StdListener::Unix(socket), exhaustion: Exhaustion::default() }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsFd for StdListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl fmt::Display for Listener {
    /// Writes the address as [`Endpoint`] does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local_endpoint() {
            Ok(endpoint) => write!(f, "{endpoint}"),
            Err(error) => write!(f, "({error})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_socket_file_has_the_mode_at_most_before_anything_is_changed_on_it() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o660, 0o666, 0o000] {
            let path = dir.path().join(format!("{mode:o}"));
            let socket = unix_socket().unwrap();
            bind_with_mode(&socket, &unix_address(&path).unwrap(), mode).unwrap();
            let found = fs::metadata(&path).unwrap().mode() & 0o777;
            assert_eq!(found & !mode, 0, "{found:o} for {mode:o}");
        }
    }

    #[test]
    fn who_looks_after_something_else_pauses_however_soon_it_wants_to_look_again() {
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let (wake, waker) = std::os::unix::net::UnixStream::pair().unwrap();
        let began = clock::now();
        let mut look_at = Duration::ZERO;
        let look = || {
            io::Write::write_all(&mut &waker, b"!").unwrap();
            Duration::ZERO
        };
        assert!(listener.accept_until(&wake, &mut look_at, look).unwrap().is_none());
        assert!(look_at >= began + PAUSE, "{look_at:?}");
    }

    #[test]
    fn set_mode_does_not_follow_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        let _socket = UnixListener::bind(&target).unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        if LINUX {
            set_mode(&link, 0o666).unwrap_err();
            assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_fork_does_not_remove_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let mut listener = Listener::bind_unix(&path, 0o600).unwrap();
        let file = listener.file.as_mut().unwrap();
        file.process += 1; // As a fork sees it.
        drop(listener);
        assert!(path.exists());
    }
}
