//! What nginx does with answers and no other web server: keeps them, looks at STDERR before the head, asks the next
//! application when there is none.

use super::cases::{Case, case, check_sum};
use super::http::Browser;
use super::process::wait_until;
use super::setups::{NGINX_KEEPALIVE, NGINX_TCP, Setup};
use super::site::Site;

pub(crate) const CACHE: Setup = Setup {
    name: "nginx, fastcgi_cache",
    extra: "fastcgi_cache_path {dir}/cache keys_zone=pages:1m; fastcgi_cache pages; fastcgi_cache_valid any 1m; \
            fastcgi_cache_key $request_uri; add_header X-Cache $upstream_cache_status;",
    ..NGINX_TCP
};

pub(crate) const CATCH_STDERR: Setup =
    Setup { name: "nginx, fastcgi_catch_stderr", extra: "fastcgi_catch_stderr sample;", ..NGINX_TCP };

/// Both are the application under test: what the second one is asked is asked again.
pub(crate) const TWO: Setup = Setup {
    name: "nginx, fastcgi_next_upstream",
    snippet: "upstream app { server 127.0.0.1:9000; server 127.0.0.1:9000; }
server {
    listen 80;
    location / { include fastcgi_params; fastcgi_pass app; fastcgi_next_upstream invalid_header; }
}
",
    ..NGINX_TCP
};

pub(crate) const KEPT: &[&Setup] = &[&NGINX_TCP, &NGINX_KEEPALIVE];

pub(crate) const CACHED: &[Case] = &[case("what HEAD brought is kept for GET with its body", cached)];

pub(crate) const CAUGHT: &[Case] = &[case("what is on STDERR decides about the answer", caught)];

pub(crate) const ASKED_AGAIN: &[Case] =
    &[case("an answer without a head is asked for elsewhere", asked_again)];

pub(crate) const LATER: &[Case] = &[case("an application that goes on after its answer", later)];

fn cached(site: &Site) {
    let browser = Browser::new(site.address);
    let head = browser.head("/bytes/1000");
    assert_eq!((head.status, head.header("x-cache"), head.body.len()), (200, "MISS", 0));
    let answer = browser.get("/bytes/1000");
    assert_eq!((answer.status, answer.header("x-cache")), (200, "HIT"));
    assert!(answer.body == vec![b'x'; 1000], "{} bytes", answer.body.len());
}

fn caught(site: &Site) {
    let browser = Browser::new(site.address);
    assert_eq!(browser.get("/stderr/sample").status, 502);
    let answer = browser.get("/stderr/harmless");
    assert_eq!((answer.status, answer.text().trim_end()), (200, "ok"));
}

fn asked_again(site: &Site) {
    let answer = Browser::new(site.address).get("/headless");
    assert_eq!((answer.status, answer.text().as_str()), (200, "the second time"));
}

fn later(site: &Site) {
    let browser = Browser::new(site.address);
    for _ in 0..2 {
        let answer = browser.get("/later/3000");
        assert_eq!((answer.status, answer.text().trim_end()), (200, "ok"));
        check_sum(&browser.post("/sum", b"meanwhile"), b"meanwhile");
    }
    assert!(!site.app_log().contains("3000 ms later"), "{}", site.app_log());
    assert!(wait_until(|| site.app_log().matches("3000 ms later").count() == 2), "{}", site.app_log());
}
