//! Hosts with addresses of their own: network namespaces where they can be had, else loopback addresses.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::interop::process::{NOBODY, Process};
use crate::interop::site::free_port;

pub(crate) enum Network {
    /// The web server's namespace, and each host's; removed when dropped.
    Namespaces(Namespaces),
    Loopback,
}

pub(crate) struct Namespaces(Vec<String>);

impl Network {
    pub(crate) fn of_hosts(count: usize) -> Self {
        match Namespaces::create(count) {
            Ok(namespaces) => Self::Namespaces(namespaces),
            Err(reason) => {
                eprintln!("loopback addresses instead of network namespaces: {reason}");
                Self::Loopback
            }
        }
    }

    /// An address of the host that nobody listens on.
    pub(crate) fn address(&self, host: usize) -> SocketAddrV4 {
        let number = u8::try_from(host).expect("a few hosts") + 1;
        match self {
            Self::Namespaces(_) => SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, number), 9000),
            Self::Loopback => SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, number + 1), free_port()),
        }
    }

    /// Starts a program on a host, or beside them.
    pub(crate) fn start(&self, host: Option<usize>, command: &mut Command, log: &Path) -> Process {
        let Self::Namespaces(Namespaces(names)) = self else { return Process::start(command, log) };
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &names[host.map_or(0, |host| host + 1)]]);
        inside.args(["setpriv", &format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}")]);
        inside.args(["--clear-groups", "--"]).arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        Process::start_as_it_is(&mut inside, log)
    }
}

impl Namespaces {
    fn create(count: usize) -> Result<Self, String> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let mut made = Self(Vec::new());
        for host in 0..=count {
            let name = format!("fcgi-{}-{number}-{host}", std::process::id());
            ip(&format!("netns add {name}"))?;
            made.0.push(name);
        }
        let (front, hosts) = made.0.split_first().expect("there is one");
        for (host, name) in (1..).zip(hosts) {
            ip(&format!("-n {front} link add host{host} type veth peer name eth0 netns {name}"))?;
            ip(&format!("-n {front} address add 10.0.0.254 peer 10.0.0.{host} dev host{host}"))?;
            ip(&format!("-n {front} link set host{host} up"))?;
            ip(&format!("-n {name} address add 10.0.0.{host} peer 10.0.0.254 dev eth0"))?;
            ip(&format!("-n {name} link set eth0 up"))?;
        }
        Ok(made)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in &self.0 {
            // What is left of it is said when the next is made.
            let _ = ip(&format!("netns delete {name}"));
        }
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("ip: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    output.status.success().then_some(()).ok_or_else(|| format!("ip {arguments}: {}", said.trim_end()))
}
