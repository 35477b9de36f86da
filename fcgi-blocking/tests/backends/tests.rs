//! Every set-up with every case.

use super::{cases, run, setups};

#[test]
fn php_fpm_one_child() {
    run(&setups::PHP_FPM_ONE, cases::ALL);
    run(&setups::PHP_FPM_ONE, cases::PHP);
    run(&setups::PHP_FPM_ONE, cases::TOKIO);
}

#[test]
fn php_fpm_many_children() {
    run(&setups::PHP_FPM_MANY, cases::ALL);
    run(&setups::PHP_FPM_MANY, cases::WORKS_ON);
}

#[test]
fn php_cgi() {
    run(&setups::PHP_CGI, cases::ALL);
    run(&setups::PHP_CGI, cases::PHP);
}

#[test]
fn libfcgi_one_process() {
    run(&setups::LIBFCGI_ONE, cases::ALL);
}

#[test]
fn libfcgi_many_processes() {
    run(&setups::LIBFCGI_MANY, cases::ALL);
}

#[test]
fn go() {
    run(&setups::GO, cases::ALL);
}

#[test]
fn perl() {
    run(&setups::PERL, cases::ALL);
}

#[test]
fn flup() {
    run(&setups::FLUP, cases::ALL);
    run(&setups::FLUP, cases::SILENCE);
}

#[test]
fn node() {
    run(&setups::NODE, cases::ALL);
}

#[test]
fn fcgiwrap() {
    run(&setups::FCGIWRAP, cases::ALL);
}

#[test]
fn inspect_tcp() {
    run(&setups::INSPECT_TCP, cases::ALL);
}

#[test]
fn inspect_spawned() {
    run(&setups::INSPECT_SPAWNED, cases::ALL);
}
