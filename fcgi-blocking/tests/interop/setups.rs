//! Every way a web server is connected to the application, as data.
//!
//! A set-up takes its snippet from `conf/` as it is, and edits only what a test must: addresses and
//! paths, or the alternative that a comment in the snippet names. In an edit, `{port}` is the web
//! server's port, `{tcp}` and `{tcp_port}` the application's, `{socket}` its Unix socket, `{app}` its
//! executable, `{dir}` the set-up's folder.

use super::http::Seen::{self, Cut, Whole};
use super::server::Server;

pub(crate) struct Setup {
    pub(crate) name: &'static str,
    pub(crate) server: Server,
    pub(crate) reach: Reach,
    pub(crate) snippet: &'static str,
    /// What the snippet says, and what is said instead.
    pub(crate) edits: &'static [(&'static str, &'static str)],
    /// Further directives, beside the snippet.
    pub(crate) extra: &'static str,
    /// The status of an upload of unknown length.
    pub(crate) chunked: u16,
    /// The status of a request whose parameters exceed 64 KiB.
    pub(crate) large_params: u16,
    /// What a browser may see of an answer of 30,000 bytes whose handler fails: without a Content-Length, and with
    /// one of 100,000.
    pub(crate) fails: [&'static [Seen]; 2],
}

/// How the web server reaches the application.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Tcp,
    Unix,
    /// The web server starts it, with a listening socket on descriptor 0.
    Spawned,
}

pub(crate) const NGINX_TCP: Setup = Setup {
    name: "nginx, TCP",
    server: Server::Nginx,
    reach: Reach::Tcp,
    snippet: include_str!("../../conf/nginx.conf"),
    edits: &[("127.0.0.1:9000", "{tcp}")],
    extra: "",
    chunked: 200,
    // nginx sends all parameters in one record.
    large_params: 500,
    // Whatever ends an answer without a length, nginx ends it well if connections are not kept; its log has the error.
    fails: [&[Whole], &[Cut]],
};

pub(crate) const NGINX_UNIX: Setup = Setup {
    name: "nginx, Unix socket",
    reach: Reach::Unix,
    edits: &[("127.0.0.1:9000", "unix:{socket}")],
    ..NGINX_TCP
};

const UNBUFFERED: &str = "fastcgi_request_buffering off;";

pub(crate) const NGINX_TCP_UNBUFFERED: Setup =
    Setup { name: "nginx, TCP, unbuffered", extra: UNBUFFERED, ..NGINX_TCP };

pub(crate) const NGINX_UNIX_UNBUFFERED: Setup =
    Setup { name: "nginx, Unix socket, unbuffered", extra: UNBUFFERED, ..NGINX_UNIX };

pub(crate) const NGINX_KEEPALIVE: Setup = Setup {
    name: "nginx, keepalive",
    snippet: include_str!("../../conf/nginx-keepalive.conf"),
    fails: [&[Cut], &[Cut]],
    ..NGINX_TCP
};

pub(crate) const NGINX_KEEPALIVE_UNBUFFERED: Setup =
    Setup { name: "nginx, keepalive, unbuffered", extra: UNBUFFERED, ..NGINX_KEEPALIVE };

pub(crate) const APACHE_TCP: Setup = Setup {
    name: "Apache mod_proxy_fcgi, TCP",
    server: Server::ApacheProxyFcgi,
    reach: Reach::Tcp,
    snippet: include_str!("../../conf/apache-proxy-fcgi.conf"),
    edits: &[("127.0.0.1:9000", "{tcp}")],
    extra: "",
    chunked: 200,
    large_params: 200,
    fails: [&[Cut], &[Cut]],
};

pub(crate) const APACHE_UNIX: Setup = Setup {
    name: "Apache mod_proxy_fcgi, Unix socket",
    reach: Reach::Unix,
    edits: &[("fcgi://127.0.0.1:9000/", "unix:{socket}|fcgi://app/")],
    ..APACHE_TCP
};

pub(crate) const APACHE_TCP_REUSE: Setup = Setup {
    name: "Apache mod_proxy_fcgi, TCP, enablereuse",
    edits: &[("\"fcgi://127.0.0.1:9000/\"", "\"fcgi://{tcp}/\" enablereuse=on")],
    ..APACHE_TCP
};

pub(crate) const APACHE_UNIX_REUSE: Setup = Setup {
    name: "Apache mod_proxy_fcgi, Unix socket, enablereuse",
    edits: &[("\"fcgi://127.0.0.1:9000/\"", "\"unix:{socket}|fcgi://app/\" enablereuse=on")],
    ..APACHE_UNIX
};

pub(crate) const APACHE_FCGID: Setup = Setup {
    name: "Apache mod_fcgid",
    server: Server::ApacheFcgid,
    reach: Reach::Spawned,
    snippet: include_str!("../../conf/apache-fcgid.conf"),
    edits: &[("/usr/local/bin/app", "{app}")],
    // mod_fcgid sends all parameters in one record.
    large_params: 500,
    ..APACHE_TCP
};

pub(crate) const APACHE_FCGID_AUTHORIZER: Setup = Setup {
    name: "Apache mod_fcgid, access checker",
    snippet: include_str!("../../conf/apache-fcgid-authorizer.conf"),
    extra: "DocumentRoot {dir}/www",
    ..APACHE_FCGID
};

pub(crate) const LIGHTTPD_TCP: Setup = Setup {
    name: "lighttpd, TCP",
    server: Server::Lighttpd,
    reach: Reach::Tcp,
    snippet: include_str!("../../conf/lighttpd.conf"),
    edits: &[("\"port\" => 9000", "\"port\" => {tcp_port}")],
    extra: "",
    chunked: 200,
    // lighttpd takes no head of more than 64 KiB.
    large_params: 431,
    fails: [&[Whole], &[Cut]],
};

pub(crate) const LIGHTTPD_UNIX: Setup = Setup {
    name: "lighttpd, Unix socket",
    reach: Reach::Unix,
    edits: &[("\"host\" => \"127.0.0.1\", \"port\" => 9000", "\"socket\" => \"{socket}\"")],
    ..LIGHTTPD_TCP
};

pub(crate) const LIGHTTPD_UNIX_STREAMING: Setup = Setup {
    name: "lighttpd, Unix socket, streaming",
    extra: "server.stream-request-body = 2\nserver.stream-response-body = 2",
    chunked: 411,
    // Whole, if lighttpd saw the end before it had begun to send.
    fails: [&[Whole, Cut], &[Cut]],
    ..LIGHTTPD_UNIX
};

pub(crate) const LIGHTTPD_SPAWN: Setup = Setup {
    name: "lighttpd, bin-path",
    reach: Reach::Spawned,
    snippet: include_str!("../../conf/lighttpd-spawn.conf"),
    edits: &[("/usr/local/bin/app", "{app}"), ("/run/lighttpd/app.sock", "{socket}")],
    ..LIGHTTPD_TCP
};

pub(crate) const LIGHTTPD_AUTHORIZER: Setup = Setup {
    name: "lighttpd, authorizer",
    snippet: include_str!("../../conf/lighttpd-authorizer.conf"),
    ..LIGHTTPD_TCP
};

pub(crate) const HAPROXY: Setup = Setup {
    name: "HAProxy",
    server: Server::HaProxy,
    reach: Reach::Tcp,
    snippet: include_str!("../../conf/haproxy.cfg"),
    edits: &[("127.0.0.1:9000", "{tcp}")],
    extra: "",
    chunked: 400,
    // A head must fit HAProxy's buffer.
    large_params: 400,
    fails: [&[Cut], &[Cut]],
};

pub(crate) const HAPROXY_MPXS: Setup = Setup {
    name: "HAProxy, mpxs-conns",
    edits: &[
        ("127.0.0.1:9000", "{tcp}"),
        ("# option get-values", "option get-values"),
        ("# option mpxs-conns", "option mpxs-conns"),
    ],
    ..HAPROXY
};

pub(crate) const CADDY_TCP: Setup = Setup {
    name: "Caddy, TCP",
    server: Server::Caddy,
    reach: Reach::Tcp,
    snippet: include_str!("../../conf/Caddyfile"),
    edits: &[("127.0.0.1:9000", "{tcp}")],
    extra: "",
    chunked: 200,
    large_params: 200,
    // Whatever ends it, Caddy ends it well.
    fails: [&[Whole], &[Cut]],
};

pub(crate) const CADDY_UNIX: Setup = Setup {
    name: "Caddy, Unix socket",
    reach: Reach::Unix,
    edits: &[("127.0.0.1:9000", "unix/{socket}")],
    ..CADDY_TCP
};
