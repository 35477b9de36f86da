//! What the client decides about a connection's life: the cases of the blocking one.

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

#[path = "adapter/client.rs"]
mod adapter;

#[path = "../../fcgi-blocking/tests/client/any.rs"]
mod any;
#[path = "../../fcgi-blocking/tests/client/anything.rs"]
mod anything;
#[path = "../../fcgi-blocking/tests/client/kept.rs"]
mod kept;
#[path = "../../fcgi-blocking/tests/client/late.rs"]
mod late;
#[path = "../../fcgi-blocking/tests/client/lines.rs"]
mod lines;
#[path = "../../fcgi-blocking/tests/client/script.rs"]
mod script;

use fcgi_proto::record::RecordType;
use fcgi_smol::{ClientError, Params};
use script::{App, end};
use support::record;

#[test]
fn the_stderr_of_a_request_can_be_asked_for_where_its_error_is_matched() {
    let app =
        App::unix(|_, peer| drop(peer.serve([record(RecordType::Stderr, 1, b"why"), end(0, 2)].concat())));
    let client = fcgi_smol::Client::with_settings(app.endpoint.clone(), script::limits(|_| ()));
    match smol::block_on(client.request(Params::get("/")).send()) {
        Ok(response) => panic!("{response:?}"),
        Err(error) => {
            assert!(matches!(error, ClientError::Refused(_)), "{error:?}");
            assert_eq!(client.take_stderr(), b"why");
        }
    }
}
