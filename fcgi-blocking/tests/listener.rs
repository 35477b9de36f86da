//! Endpoints, listening sockets and streams, through the public API.

use std::env;
use std::fs::{self, File};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fcgi_blocking::{Endpoint, Listener, StdListener, Stream, is_exhaustion};
use rustix::io::{FdFlags, fcntl_getfd};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

/// Something for `accept` that never wakes it, and its other end.
fn never() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

fn accept(listener: &Listener) -> (Stream, Option<IpAddr>) {
    let (wake, _other) = never();
    listener.accept(&wake).unwrap().unwrap()
}

#[test]
fn tcp_port_zero_is_resolved_and_connections_come_with_their_address() {
    for (address, peer) in
        [("127.0.0.1:0", Ipv4Addr::LOCALHOST.into()), ("[::1]:0", "::1".parse::<IpAddr>().unwrap())]
    {
        let listener = Listener::bind(address).unwrap();
        let endpoint = listener.local_endpoint().unwrap();
        assert!(matches!(endpoint, Endpoint::Tcp(address) if address.port() != 0));
        assert_eq!(listener.to_string(), endpoint.to_string());

        let _client = Stream::connect(&endpoint).unwrap();
        assert_eq!(accept(&listener).1, Some(peer));
    }
}

#[test]
fn an_ipv4_peer_of_an_ipv6_socket_has_its_ipv4_address() {
    let listener = Listener::bind("[::]:0").unwrap();
    let Endpoint::Tcp(mut address) = listener.local_endpoint().unwrap() else {
        panic!("not TCP");
    };
    address.set_ip(Ipv4Addr::LOCALHOST.into());
    let _client = Stream::connect(&Endpoint::Tcp(address)).unwrap();
    assert_eq!(accept(&listener).1, Some(Ipv4Addr::LOCALHOST.into()));
}

#[test]
fn an_accepted_tcp_stream_blocks_has_nodelay_and_is_closed_on_exec() {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let client = Stream::connect(&listener.local_endpoint().unwrap()).unwrap();
    let (server, _) = accept(&listener);
    for stream in [&client, &server] {
        let Stream::Tcp(socket) = stream else {
            panic!("not TCP");
        };
        assert!(socket.nodelay().unwrap());
    }
    let flags = rustix::fs::fcntl_getfl(&server).unwrap();
    assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
    for fd in [client.as_fd(), server.as_fd(), listener.as_fd()] {
        assert_eq!(fcntl_getfd(fd).unwrap(), FdFlags::CLOEXEC);
    }
}

#[test]
fn a_unix_stream_carries_bytes_both_ways_without_a_peer_address() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = Listener::bind(path.to_str().unwrap()).unwrap();
    let endpoint = Endpoint::Unix(path);
    assert_eq!(listener.local_endpoint().unwrap(), endpoint);
    assert_eq!(listener.to_string(), endpoint.to_string());

    let mut client = Stream::connect_timeout(&endpoint, Duration::from_secs(60)).unwrap();
    let (server, peer) = accept(&listener);
    assert_eq!(peer, None);
    for fd in [client.as_fd(), server.as_fd(), listener.as_fd()] {
        assert_eq!(fcntl_getfd(fd).unwrap(), FdFlags::CLOEXEC);
    }

    let slices = [IoSlice::new(b"one "), IoSlice::new(b"two")];
    assert_eq!((&client).write_vectored(&slices).unwrap(), 7);
    client.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    (&server).read_to_string(&mut text).unwrap();
    assert_eq!(text, "one two");

    server.try_clone().unwrap().write_all(b"three").unwrap();
    drop(server);
    text.clear();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "three");
}

#[test]
fn reads_and_writes_end_at_their_limits() {
    let (one, _other) = never();
    let mut stream = Stream::from(one);
    stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(1))).unwrap();
    let late = |error: io::Error| {
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    };
    late(stream.read(&mut [0]).unwrap_err());
    late(stream.write_all(&[0; 1 << 24]).unwrap_err());
    let zero = stream.set_read_timeout(Some(Duration::ZERO));
    assert_eq!(zero.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn connecting_tells_where_it_could_not() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::Unix(dir.path().join("missing"));
    let error = Stream::connect(&endpoint).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains(&endpoint.to_string()), "{error}");

    let error = Stream::connect(&Endpoint::Inherited).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn connecting_to_a_full_queue_ends_at_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let _listener = full_queue(&path);
    let error = Stream::connect_timeout(&Endpoint::Unix(path), Duration::from_millis(1));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
}

/// A listening socket at `path` on which no further connection finds a place.
fn full_queue(path: &Path) -> (UnixListener, UnixStream) {
    let listener = UnixListener::bind(path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let waiting = UnixStream::connect(path).unwrap();
    (listener, waiting)
}

#[test]
fn the_mode_is_the_one_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    for asked in [0o600, 0o660, 0o666, 0o777, 0o200] {
        let _listener = Listener::bind_unix(&path, asked).unwrap();
        assert_eq!(mode(&path), asked);
    }
    let _listener = Listener::bind(path.to_str().unwrap()).unwrap();
    assert_eq!(mode(&path), 0o660);

    let error = Listener::bind_unix(&path, 0o1777).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn the_mode_does_not_depend_on_the_umask() {
    for umask in ["000", "077", "777"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let output = shell(&format!("umask {umask}"), "mode", Stdio::null(), &path);
        assert_eq!(said(&output), "660", "umask {umask}");
    }
}

#[test]
fn a_stale_socket_file_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());

    let listener = Listener::bind_unix(&path, 0o600).unwrap();
    let _client = UnixStream::connect(&path).unwrap();
    accept(&listener);
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn a_live_socket_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (idle, full, datagram) =
        (dir.path().join("idle"), dir.path().join("full"), dir.path().join("datagram"));
    let _idle = UnixListener::bind(&idle).unwrap();
    let _full = full_queue(&full);
    let _datagram = UnixDatagram::bind(&datagram).unwrap();
    for path in [&idle, &full, &datagram] {
        let inode = fs::metadata(path).unwrap().ino();
        let error = Listener::bind_unix(path, 0o600).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()));
        assert_eq!(fs::metadata(path).unwrap().ino(), inode);
    }
}

#[test]
fn a_tcp_port_in_use_is_refused_with_its_address() {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let error = Listener::bind(listener.to_string()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&listener.to_string()), "{error}");
}

#[test]
fn what_is_not_a_socket_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link, folder) = (dir.path().join("file"), dir.path().join("link"), dir.path().join("folder"));
    fs::write(&file, "precious").unwrap();
    drop(UnixListener::bind(dir.path().join("stale")).unwrap());
    symlink(dir.path().join("stale"), &link).unwrap();
    fs::create_dir(&folder).unwrap();
    for path in [&file, &link, &folder] {
        let error = Listener::bind_unix(path, 0o600).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()));
        assert!(fs::symlink_metadata(path).is_ok());
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn a_path_that_cannot_be_an_address_is_refused() {
    let long = format!("/tmp/{}", "x".repeat(103));
    for (path, why) in [("", "empty"), ("/tmp/a\0b", "NUL"), (&long, "has 108 bytes")] {
        let error = Listener::bind_unix(path, 0o600).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(why), "{error}");
    }
    let error = Listener::bind("127.0.0.1:99999").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn drop_removes_its_own_socket_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    drop(Listener::bind_unix(&path, 0o600).unwrap());
    assert!(!path.exists());
}

#[test]
fn drop_removes_the_file_of_a_relative_path_after_a_change_of_directory() {
    let dir = tempfile::tempdir().unwrap();
    let output = shell(":", "relative", Stdio::null(), dir.path());
    assert_eq!(said(&output), "unix:socket was there: true, is there: false");
}

#[test]
fn drop_keeps_the_socket_file_of_a_successor() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let first = Listener::bind_unix(&path, 0o600).unwrap();
    fs::remove_file(&path).unwrap();
    let _second = Listener::bind_unix(&path, 0o600).unwrap();
    drop(first);
    UnixStream::connect(&path).unwrap();
}

#[test]
fn the_socket_file_outlives_the_listener_taken_out_until_its_guard_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let (socket, file) = Listener::bind_unix(&path, 0o600).unwrap().into_std();
    assert!(matches!(socket, StdListener::Unix(_)));
    UnixStream::connect(&path).unwrap();
    drop(file.unwrap());
    assert!(!path.exists());

    let (socket, file) = Listener::bind("127.0.0.1:0").unwrap().into_std();
    assert!(matches!(socket, StdListener::Tcp(_)));
    assert!(file.is_none());
}

#[test]
fn accept_ends_when_its_wake_is_readable_or_at_its_end() {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let _waiting = Stream::connect(&listener.local_endpoint().unwrap()).unwrap();
    let (wake, mut other) = never();
    other.write_all(b"x").unwrap();
    assert!(listener.accept(&wake).unwrap().is_none());

    let (wake, other) = never();
    drop(other);
    assert!(listener.accept(&wake).unwrap().is_none());
}

#[test]
fn a_connection_that_another_acceptor_takes_leaves_the_rest_waiting() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::Tcp(socket.local_addr().unwrap());
    let (wake, other) = never();
    let (sender, results) = mpsc::channel();
    let acceptors: Vec<_> = (0..4)
        .map(|_| {
            let listener = Listener::from(socket.try_clone().unwrap());
            let (wake, sender) = (wake.try_clone().unwrap(), sender.clone());
            thread::spawn(move || {
                while let Some(accepted) = listener.accept(&wake).unwrap() {
                    sender.send(accepted).unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    for _ in 0..32 {
        let _client = Stream::connect(&endpoint).unwrap();
        results.recv().unwrap();
    }
    drop(other);
    for acceptor in acceptors {
        acceptor.join().unwrap();
    }
    assert_eq!(results.iter().count(), 0);
    // The race is rarely lost here; this is what makes it harmless.
    let flags = rustix::fs::fcntl_getfl(&socket).unwrap();
    assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
}

#[test]
fn only_the_lack_of_descriptors_or_memory_is_exhaustion() {
    use rustix::io::Errno;
    for error in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
        assert!(is_exhaustion(&error.into()));
    }
    assert!(!is_exhaustion(&Errno::INVAL.into()));
    assert!(!is_exhaustion(&ErrorKind::OutOfMemory.into()));
}

#[test]
fn a_connection_waits_while_no_descriptor_is_free() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _client = Stream::connect(&Endpoint::Tcp(listener.local_addr().unwrap())).unwrap();
    let listener = OwnedFd::from(listener).into();
    let output = shell("ulimit -n 64", "exhaust", listener, Path::new("-"));
    assert_eq!(said(&output), "exhausted, then accepted");
}

#[test]
fn descriptor_0_is_adopted_unix_or_tcp() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let unix = UnixListener::bind(&path).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    for (listener, endpoint) in
        [(OwnedFd::from(unix), Endpoint::Unix(path.clone())), (tcp.into(), Endpoint::Tcp(address))]
    {
        // Connected before the child accepts: it waits in the queue.
        let mut client = Stream::connect(&endpoint).unwrap();
        let output = shell(":", "inherit", listener.into(), Path::new("-"));
        assert_eq!(said(&output), format!("accepted on {endpoint}"));
        let mut greeting = String::new();
        client.read_to_string(&mut greeting).unwrap();
        assert_eq!(greeting, "hello");
    }
    assert!(path.exists(), "the file is not the adopter's to remove");
}

#[test]
#[cfg(target_os = "linux")]
fn an_abstract_socket_has_its_name_back_and_one_too_long_is_a_clear_error() {
    let name = format!("fcgi-blocking-{}", std::process::id());
    let endpoint: Endpoint = format!("unix:@{name}").parse().unwrap();
    let listener = Listener::bind_endpoint(&endpoint).unwrap();
    assert_eq!(listener.local_endpoint().unwrap(), endpoint);
    let _client = Stream::connect(&endpoint).unwrap();
    assert_eq!(accept(&listener).1, None);
    let error = Listener::bind_endpoint(&endpoint).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    drop(listener);
    assert_eq!(Stream::connect(&endpoint).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let error = Listener::bind(format!("unix:@{}", "x".repeat(108))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("107"), "{error}");
}

#[test]
fn descriptor_0_that_is_no_listening_socket_is_a_clear_error() {
    let stream = OwnedFd::from(never().0);
    let udp = OwnedFd::from(UdpSocket::bind("127.0.0.1:0").unwrap());
    let file = File::open("Cargo.toml").unwrap();
    for stdin in [Stdio::null(), Stdio::piped(), stream.into(), udp.into(), file.into()] {
        let output = shell(":", "inherit", stdin, Path::new("-"));
        assert_eq!(said(&output), "descriptor 0 is not a listening socket");
    }
    let output = shell("exec 0<&-", "inherit", Stdio::null(), Path::new("-"));
    assert_eq!(said(&output), "descriptor 0 is not a listening socket");
}

#[test]
fn sockets_of_a_service_manager_are_taken_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let unix = UnixListener::bind(&path).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let pass =
        |stdin: OwnedFd, setup: &str| said(&shell(setup, "systemd", stdin.into(), Path::new("-"))).to_owned();
    let one = "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$";
    assert_eq!(pass(unix.try_clone().unwrap().into(), one), format!("unix:{}", path.display()));
    let two = "exec 3<&0 4<&0; export LISTEN_FDS=2 LISTEN_PID=$$";
    assert_eq!(pass(tcp.into(), two), format!("{address} {address}"));

    let other = "exec 3<&0; export LISTEN_FDS=1 LISTEN_PID=1";
    assert_eq!(pass(unix.into(), other), "");

    let error = "descriptor 1 of those in LISTEN_FDS is not a listening socket";
    assert_eq!(pass(never().0.into(), one), error);
    let file = File::open("Cargo.toml").unwrap();
    assert_eq!(pass(file.into(), one), error);
    assert_eq!(pass(never().0.into(), "export LISTEN_FDS=1"), error);
}

/// Runs `setup` in a shell that becomes this very program, doing `task` (see
/// [`child`]): what is the process's, such as the umask, is set in a child.
fn shell(setup: &str, task: &str, stdin: Stdio, path: &Path) -> Output {
    Command::new("bash")
        .args(["-c", &format!(r#"{setup}; exec "$0" "$@""#)])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env("LISTENER_TEST_TASK", task)
        .env("LISTENER_TEST_PATH", path)
        .env_remove("LISTEN_FDS")
        .env_remove("LISTEN_PID")
        .stdin(stdin)
        .output()
        .unwrap()
}

/// What the child had to say, without the test harness's own words.
fn said(output: &Output) -> &str {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let (_, rest) = text.split_once("<<").unwrap_or_else(|| panic!("{output:?}"));
    rest.split_once(">>").unwrap().0
}

/// Not a test: what [`shell`] runs. As a test it has no task and passes.
#[test]
fn child() {
    let Ok(task) = env::var("LISTENER_TEST_TASK") else {
        return;
    };
    let path = env::var_os("LISTENER_TEST_PATH").unwrap();
    let path = Path::new(&path);
    let words = match task.as_str() {
        "mode" => Listener::bind_unix(path, 0o660).map(|_listener| format!("{:o}", mode(path))),
        "relative" => relative(path),
        "inherit" => inherit(),
        "exhaust" => exhaust(),
        "systemd" => Listener::systemd().map(|listeners| {
            let names: Vec<_> = listeners.iter().map(Listener::to_string).collect();
            names.join(" ")
        }),
        _ => panic!("{task}"),
    };
    println!("<<{}>>", words.unwrap_or_else(|error| error.to_string()));
}

fn relative(dir: &Path) -> io::Result<String> {
    env::set_current_dir(dir)?;
    let listener = Listener::bind("unix:socket")?;
    env::set_current_dir("/")?;
    let path = dir.join("socket");
    let words = format!("{listener} was there: {}", path.exists());
    drop(listener);
    Ok(format!("{words}, is there: {}", path.exists()))
}

fn inherit() -> io::Result<String> {
    assert_eq!(Listener::is_inherited(), Listener::inherited().is_ok());
    let listener = Listener::bind("fd:0")?;
    let (mut stream, _) = accept(&listener);
    stream.write_all(b"hello")?;
    Ok(format!("accepted on {listener}"))
}

fn exhaust() -> io::Result<String> {
    let listener = Listener::inherited()?;
    let (wake, _other) = never();
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    let error = listener.accept(&wake).unwrap_err();
    assert!(is_exhaustion(&error), "{error}");
    drop(files);
    listener.accept(&wake)?.unwrap();
    Ok("exhausted, then accepted".into())
}
