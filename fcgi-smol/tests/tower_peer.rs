//! A pool as a service says that nobody tells it of browsers' addresses. It does so once a process: this is the only
//! test here.
#![cfg(feature = "tower")]

mod support;

use bytes::Bytes;
use fcgi_smol::tower::Peer;
use fcgi_smol::{Endpoint, Pool, PoolSettings};
use http_body_util::Empty;
use smol::block_on;
use support::said;
use tower_service::Service;

#[test]
fn requests_without_a_peer_are_one_warning_and_those_with_one_are_none() {
    said::listen();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut pool = Pool::new([Endpoint::Unix(dir.path().join("nobody"))], PoolSettings::default());
    let peer = Peer(([192, 0, 2, 1], 40_000).into());
    for (peer, warnings) in [(Some(peer), 0), (None, 1), (None, 1)] {
        let mut request = http::Request::new(Empty::<Bytes>::new());
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        block_on(pool.call(request)).expect_err("nobody listens");
        assert_eq!(said::so_far(|line| line.contains("REMOTE_ADDR")).len(), warnings);
    }
}
