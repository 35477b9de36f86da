//! The cases of `servers/life.rs` and `servers/ends.rs`, which every adapter's server passes.

#[path = "../examples/inspect/app.rs"]
mod app;
mod support;

#[path = "servers/ends.rs"]
mod ends;
#[path = "servers/life.rs"]
mod life;

use crate::support::{Call, PATIENCE, Running, Settings, waiter};

#[test]
fn a_request_with_the_id_of_one_before_it_is_answered_after_it() {
    let (handler, has_started, go_on) = waiter();
    let servers =
        [Running::unix(Settings::default(), handler.clone()), Running::tcp(Settings::default(), handler)];
    for server in servers {
        let mut client = server.connect();
        client.send([Call::get("/one").bytes(), Call::get("/two").bytes()].concat());
        client.answer(1).assert_ok("/one");
        client.answer(1).assert_ok("/two");
        client.send([Call::get("/wait").bytes(), Call::get("/later").bytes()].concat());
        has_started.recv_timeout(PATIENCE).expect("the handler runs");
        go_on.send(()).expect("the handler waits");
        client.answer(1).assert_ok("/wait");
        client.answer(1).assert_ok("/later");
    }
}
