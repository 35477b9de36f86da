//! Every set-up with every case that it must pass.

use crate::SUBJECT;
use crate::interop::{self, cases, setups};

#[test]
fn nginx_tcp() {
    interop::run(&SUBJECT, &setups::NGINX_TCP, cases::ALL);
}

#[test]
fn nginx_unix() {
    interop::run(&SUBJECT, &setups::NGINX_UNIX, cases::ALL);
}

#[test]
fn nginx_tcp_unbuffered() {
    interop::run(&SUBJECT, &setups::NGINX_TCP_UNBUFFERED, cases::ALL);
}

#[test]
fn nginx_unix_unbuffered() {
    interop::run(&SUBJECT, &setups::NGINX_UNIX_UNBUFFERED, cases::ALL);
}

#[test]
fn nginx_keepalive() {
    interop::run(&SUBJECT, &setups::NGINX_KEEPALIVE, cases::ALL);
}

#[test]
fn nginx_keepalive_unbuffered() {
    interop::run(&SUBJECT, &setups::NGINX_KEEPALIVE_UNBUFFERED, cases::ALL);
}

#[test]
fn nginx_ignored_bodies() {
    for setup in [
        &setups::NGINX_TCP,
        &setups::NGINX_UNIX,
        &setups::NGINX_TCP_UNBUFFERED,
        &setups::NGINX_UNIX_UNBUFFERED,
    ] {
        interop::run(&SUBJECT, setup, cases::IGNORED_BODIES);
    }
}

#[test]
fn apache_proxy_fcgi_tcp() {
    interop::run(&SUBJECT, &setups::APACHE_TCP, cases::ALL);
}

#[test]
fn apache_proxy_fcgi_unix() {
    interop::run(&SUBJECT, &setups::APACHE_UNIX, cases::ALL);
}

#[test]
fn apache_proxy_fcgi_tcp_reuse() {
    interop::run(&SUBJECT, &setups::APACHE_TCP_REUSE, cases::ALL);
}

#[test]
fn apache_proxy_fcgi_unix_reuse() {
    interop::run(&SUBJECT, &setups::APACHE_UNIX_REUSE, cases::ALL);
}

#[test]
fn apache_fcgid() {
    interop::run(&SUBJECT, &setups::APACHE_FCGID, cases::ALL);
}

#[test]
fn apache_fcgid_authorizer() {
    interop::run(&SUBJECT, &setups::APACHE_FCGID_AUTHORIZER, cases::AUTHORIZER);
}

#[test]
fn lighttpd_tcp() {
    interop::run(&SUBJECT, &setups::LIGHTTPD_TCP, cases::ALL);
}

#[test]
fn lighttpd_unix() {
    interop::run(&SUBJECT, &setups::LIGHTTPD_UNIX, cases::ALL);
}

#[test]
fn lighttpd_unix_streaming() {
    interop::run(&SUBJECT, &setups::LIGHTTPD_UNIX_STREAMING, cases::ALL);
}

#[test]
fn lighttpd_spawn() {
    interop::run(&SUBJECT, &setups::LIGHTTPD_SPAWN, cases::ALL);
}

#[test]
fn lighttpd_authorizer() {
    interop::run(&SUBJECT, &setups::LIGHTTPD_AUTHORIZER, cases::AUTHORIZER);
}

#[test]
fn haproxy() {
    interop::run(&SUBJECT, &setups::HAPROXY, cases::ALL);
}

#[test]
fn haproxy_mpxs() {
    interop::run(&SUBJECT, &setups::HAPROXY_MPXS, cases::ALL);
}

#[test]
fn caddy_tcp() {
    interop::run(&SUBJECT, &setups::CADDY_TCP, cases::ALL);
}

#[test]
fn caddy_unix() {
    interop::run(&SUBJECT, &setups::CADDY_UNIX, cases::ALL);
}
