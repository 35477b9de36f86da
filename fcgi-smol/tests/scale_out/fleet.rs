//! A web server and three hosts that run the application.

use std::fs;
use std::net::SocketAddrV4;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::interop::Subject;
use crate::interop::process::{Process, brought_to, hand_over, wait_until};
use crate::interop::server::Server;
use crate::interop::skipped::skipped;
use crate::network::Network;

pub(crate) const HOSTS: usize = 3;

/// A web server: its configuration, and what is said instead of some of it. `{dir}` is the fleet's folder.
pub(crate) struct Front {
    pub(crate) name: &'static str,
    server: Server,
    snippet: &'static str,
    edits: &'static [(&'static str, &'static str)],
    extra: &'static str,
}

pub(crate) const NGINX: Front = Front {
    name: "nginx",
    server: Server::Nginx,
    snippet: include_str!("../../../fcgi-blocking/conf/scale-out-nginx.conf"),
    edits: &[
        ("listen 80;", "listen unix:{dir}/web.sock;"),
        ("include fastcgi_params;", "include /etc/nginx/fastcgi_params;"),
        ("fastcgi_pass app;", "fastcgi_pass app; access_log {dir}/hosts.log hosts;"),
    ],
    extra: "log_format hosts 'answered by $upstream_addr';",
};

pub(crate) const HAPROXY: Front = Front {
    name: "HAProxy",
    server: Server::HaProxy,
    snippet: include_str!("../../../fcgi-blocking/conf/scale-out-haproxy.cfg"),
    edits: &[
        ("bind :80", "bind unix@{dir}/web.sock"),
        ("docroot /var/www", "docroot {dir}"),
        ("default_backend app", "default_backend app\n    log-format \"answered by %si:%sp\""),
    ],
    extra: "",
};

pub(crate) struct Fleet {
    hosts: [Option<Process>; HOSTS],
    addresses: [SocketAddrV4; HOSTS],
    web: Process,
    executable: PathBuf,
    network: Network,
    /// Last, so that it goes when nobody writes to it any more.
    dir: TempDir,
}

impl Fleet {
    /// The web server, once every host listens; None if this machine lacks the web server.
    pub(crate) fn start(front: &Front, subject: &Subject) -> Option<Self> {
        let program = match front.server.program() {
            Ok(program) => program,
            Err(reason) => {
                let required = std::env::var("FCGI_REQUIRE_INTEROP").is_ok_and(|value| value == "1");
                assert!(!required, "{}: {reason}", front.name);
                skipped(reason);
                return None;
            }
        };
        let dir = tempfile::tempdir().expect("a temporary folder");
        hand_over(dir.path());
        let executable = brought_to(dir.path(), &subject.executable());
        let network = Network::of_hosts(HOSTS);
        let addresses = std::array::from_fn(|host| network.address(host));
        let hosts = std::array::from_fn(|host| {
            let app = start_app(&network, host, addresses[host], &executable, dir.path());
            assert!(wait_until(|| app.listens(addresses[host])), "host {host} does not listen");
            Some(app)
        });

        let mut text = front.server.config(front.snippet, front.extra);
        for (from, to) in front.edits {
            assert!(text.contains(from), "{}: the snippet does not say {from:?}", front.name);
            text = text.replace(from, to);
        }
        for (number, address) in (1..).zip(addresses) {
            text = text.replace(&format!("10.0.0.{number}:9000"), &address.to_string());
        }
        let config = dir.path().join("web.conf");
        fs::write(&config, text.replace("{dir}", dir.path().to_str().expect("temporary paths are UTF-8")))
            .expect("the configuration can be written");
        hand_over(&config);
        let mut command = front.server.command(&program, dir.path(), &config);
        let web = network.start(None, &mut command, &dir.path().join("web.log"));
        let fleet = Self { hosts, addresses, web, executable, network, dir };
        let listens = wait_until(|| UnixStream::connect(fleet.address()).is_ok() || !fleet.web.is_running());
        assert!(listens && fleet.web.is_running(), "{} does not start\n{}", front.name, fleet.logs());
        Some(fleet)
    }

    /// Where the web server listens.
    pub(crate) fn address(&self) -> PathBuf {
        self.dir.path().join("web.sock")
    }

    /// Ends the host's application as if its machine had lost power.
    pub(crate) fn kill(&mut self, host: usize) {
        self.hosts[host].take().expect("it runs").kill();
    }

    /// Ends the host's application with SIGTERM, which must be graceful.
    pub(crate) fn drain(&mut self, host: usize) {
        let status = self.hosts[host].take().expect("it runs").stop();
        assert!(status.success(), "SIGTERM: {status}\n{}", self.logs());
    }

    pub(crate) fn revive(&mut self, host: usize) {
        let app = start_app(&self.network, host, self.addresses[host], &self.executable, self.dir.path());
        self.hosts[host] = Some(app);
    }

    /// Whether the host's application can be connected to.
    pub(crate) fn listens(&self, host: usize) -> bool {
        self.hosts[host].as_ref().is_some_and(|app| app.listens(self.addresses[host]))
    }

    /// How many requests the web server has had answered by a host.
    pub(crate) fn answered_by(&self, host: usize) -> usize {
        let end = self.addresses[host].to_string();
        let log = self.read("web.log") + &self.read("hosts.log");
        log.lines().filter(|line| line.starts_with("answered by ") && line.ends_with(&end)).count()
    }

    /// What the web server and the applications said.
    pub(crate) fn logs(&self) -> String {
        let log = self.read("web.log") + &self.read("app.log");
        let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with("answered by ")).collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn read(&self, name: &str) -> String {
        // A missing file is an empty log.
        String::from_utf8_lossy(&fs::read(self.dir.path().join(name)).unwrap_or_default()).into_owned()
    }
}

fn start_app(
    network: &Network,
    host: usize,
    address: SocketAddrV4,
    executable: &Path,
    dir: &Path,
) -> Process {
    network.start(Some(host), Command::new(executable).arg(address.to_string()), &dir.join("app.log"))
}
