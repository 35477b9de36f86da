//! The client and what it decides about a connection's life: the cases of `client/any.rs`, `client/kept.rs`,
//! `client/late.rs` and `client/lines.rs`, which know it by the names in `adapter`.

#![allow(unused_mut, reason = "the cases are also those of clients that need it")]

mod support;

mod adapter {
    pub(crate) use fcgi_blocking::{Client, Response};
}

#[path = "client/any.rs"]
mod any;
#[path = "client/anything.rs"]
mod anything;
#[path = "client/kept.rs"]
mod kept;
#[path = "client/late.rs"]
mod late;
#[path = "client/lines.rs"]
mod lines;
#[path = "client/script.rs"]
mod script;

use std::io;

use fcgi_blocking::{ClientError, Params, Status};
use fcgi_proto::record::RecordType;
use script::{App, end};
use support::record;

#[test]
fn the_stderr_of_a_request_can_be_asked_for_where_its_error_is_matched() {
    let app =
        App::unix(|_, peer| drop(peer.serve([record(RecordType::Stderr, 1, b"why"), end(0, 2)].concat())));
    let client = app.client();
    match client.request(Params::get("/")).send() {
        Ok(response) => panic!("{response:?}"),
        Err(error) => {
            assert!(matches!(error, ClientError::Refused(_)), "{error:?}");
            assert_eq!(client.take_stderr(), b"why");
        }
    }
}

#[test]
fn a_full_disk_is_the_web_servers_fault_and_not_the_browsers() {
    for (kind, status) in [
        (io::ErrorKind::StorageFull, Status::INSUFFICIENT_STORAGE),
        (io::ErrorKind::QuotaExceeded, Status::INSUFFICIENT_STORAGE),
        (io::ErrorKind::NotFound, Status::INTERNAL_SERVER_ERROR),
        (io::ErrorKind::PermissionDenied, Status::INTERNAL_SERVER_ERROR),
    ] {
        assert_eq!(ClientError::Spool(kind.into()).status(), status);
        assert_eq!(io::Error::from(ClientError::Spool(kind.into())).kind(), kind);
    }
}
