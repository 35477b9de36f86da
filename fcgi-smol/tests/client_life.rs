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

#[path = "polls/mod.rs"]
mod polls;

use std::io::Read;
use std::os::unix::net::UnixListener;
use std::pin::pin;
use std::thread;
use std::time::Duration;

use fcgi_blocking::{Endpoint, Stream};
use fcgi_proto::record::RecordType;
use fcgi_smol::{ClientError, Params};
use polls::at_most;
use script::{App, end};
use support::{PATIENCE, record};

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

#[test]
fn a_unix_socket_whose_queue_was_full_is_tried_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let endpoint = Endpoint::Unix(dir.path().join("socket"));
    let listener = UnixListener::bind(dir.path().join("socket")).expect("the path is free");
    rustix::net::listen(&listener, 0).expect("its queue can be made short");
    let connect = || Stream::connect_timeout(&endpoint, Duration::from_millis(100)).ok();
    let waiting: Vec<_> = std::iter::from_fn(connect).take(100).collect();
    assert!(waiting.len() < 100, "the queue does not fill");
    let settings = script::limits(|settings| settings.connect_timeout = PATIENCE);
    let client = fcgi_smol::Client::with_settings(endpoint, settings);
    let error = adapter::block_on(async {
        let mut sent = pin!(client.request(Params::get("/")).send());
        assert!(at_most(3, &mut sent).await.is_none(), "the queue is full");
        drop(waiting);
        // Each is closed once something came, or nothing will.
        thread::spawn(move || {
            listener.incoming().all(|peer| peer.is_ok_and(|mut peer| peer.read(&mut [0]).is_ok()))
        });
        sent.await.expect_err("it is closed")
    });
    assert!(!matches!(error, ClientError::Connect(_)), "{error:?}");
}
