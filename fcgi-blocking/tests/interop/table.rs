//! Every set-up with every case that it must pass.

use crate::interop::{self, cases, nginx, setups};
use crate::{SUBJECT, headless};

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
fn nginx_w34_the_answer_to_head_is_kept_for_get_with_its_body() {
    interop::run(&SUBJECT, &nginx::CACHE, nginx::CACHED);
}

#[test]
fn nginx_w33_stderr_is_looked_at_before_the_head() {
    interop::run(&SUBJECT, &nginx::CATCH_STDERR, nginx::CAUGHT);
}

#[test]
fn nginx_w33_an_answer_without_a_head_is_asked_for_elsewhere() {
    interop::run_via(&SUBJECT, &nginx::TWO, |_| headless(), nginx::ASKED_AGAIN);
}

#[test]
fn nginx_a_handler_that_goes_on_after_its_answer_holds_up_nobody() {
    for setup in nginx::KEPT {
        interop::run(&SUBJECT, setup, nginx::LATER);
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
