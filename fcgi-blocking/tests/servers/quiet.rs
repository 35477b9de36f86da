//! What a server says through the crate `log`, and what it is silent about.

use std::io::Read;

use crate::app::handle;
use crate::support::said::{listen, so_far, wait_for};
use crate::support::{Call, Running, Settings, abort, record, settings, unprintable};
use fcgi_proto::record::{ProtocolStatus, RecordType};

#[test]
fn aborts_and_browsers_that_leave_are_no_warnings() {
    listen();
    for server in Running::both(Settings::default(), handle) {
        let mut client = server.connect();
        for _ in 0..20 {
            client.send([Call::post("/sum", "").opening(), abort(1)].concat());
            assert_eq!(client.answer(1).protocol_status, 0);
        }
        for keep_conn in [true, false] {
            for _ in 0..5 {
                // In the answer, and in the body.
                let mut leaver = server.connect();
                let mut call = Call::get("/bytes/50000000");
                call.keep_conn = keep_conn;
                leaver.send(call.bytes());
                leaver.stream.read_exact(&mut [0; 1000]).expect("an answer begins");
                let mut uploader = server.connect();
                call = Call::post("/sum", "");
                call.keep_conn = keep_conn;
                uploader.send([call.opening(), record(RecordType::Stdin, 1, b"half")].concat());
            }
        }
        // Once it has ended, it has said everything.
        drop(client);
        drop(server);
    }
    let warnings = so_far(|line| !line.contains("/named"));
    assert!(warnings.is_empty(), "{warnings:#?}");
}

#[test]
fn a_line_names_the_peer_the_method_and_the_uri() {
    listen();
    for (server, peer) in
        Running::both(Settings::default(), unprintable).iter().zip(["Unix socket", "127.0.0.1"])
    {
        let uri = format!("/named/{}?a=b", peer.len());
        server.connect().call(&Call::get(&uri)).assert_ended(500, ProtocolStatus::RequestComplete);
        let line = wait_for(&uri);
        assert!(line.contains(peer) && line.contains(&format!("GET {uri}")), "{line}");
    }
}

#[test]
fn the_line_of_a_request_that_is_refused_before_its_handler_runs_names_it_too() {
    listen();
    let change = settings(|settings| settings.limits.params = 600);
    for (number, server) in Running::both(change, handle).iter().enumerate() {
        let full = format!("/named/full/{number}");
        // All of its parameters but their end, then more than there may be.
        let mut sent = Call::get(&full).opening();
        sent.truncate(sent.len() - 8);
        sent.extend(record(RecordType::Params, 1, &[1; 600]));
        let mut client = server.connect();
        client.send(sent);
        client.answer(1).assert_ended(431, ProtocolStatus::RequestComplete);
        let line = wait_for(&full);
        assert!(line.contains(&format!("GET {full}: request 1: refused: ")), "{line}");
    }
}
