//! The client against real back ends: one table of cases, run on every set-up.
//!
//! A back end that is not installed is skipped with a line on stderr, or fails the test if
//! `FCGI_REQUIRE_INTEROP=1`.
#![cfg(unix)]

#[path = "backends/mod.rs"]
mod backends;

use backends::{cases, setups};

#[test]
fn php_fpm_one_child() {
    backends::run(&setups::PHP_FPM_ONE, cases::ALL);
    backends::run(&setups::PHP_FPM_ONE, cases::PHP);
}

#[test]
fn php_fpm_many_children() {
    backends::run(&setups::PHP_FPM_MANY, cases::ALL);
}

#[test]
fn php_cgi() {
    backends::run(&setups::PHP_CGI, cases::ALL);
    backends::run(&setups::PHP_CGI, cases::PHP);
}

#[test]
fn libfcgi_one_process() {
    backends::run(&setups::LIBFCGI_ONE, cases::ALL);
}

#[test]
fn libfcgi_many_processes() {
    backends::run(&setups::LIBFCGI_MANY, cases::ALL);
}

#[test]
fn go() {
    backends::run(&setups::GO, cases::ALL);
}

#[test]
fn perl() {
    backends::run(&setups::PERL, cases::ALL);
}

#[test]
fn flup() {
    backends::run(&setups::FLUP, cases::ALL);
    backends::run(&setups::FLUP, cases::SILENCE);
}

#[test]
fn node() {
    backends::run(&setups::NODE, cases::ALL);
}

#[test]
fn fcgiwrap() {
    backends::run(&setups::FCGIWRAP, cases::ALL);
}

#[test]
fn inspect_tcp() {
    backends::run(&setups::INSPECT_TCP, cases::ALL);
}

#[test]
fn inspect_spawned() {
    backends::run(&setups::INSPECT_SPAWNED, cases::ALL);
}
