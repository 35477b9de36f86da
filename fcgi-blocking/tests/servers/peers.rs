//! What went wrong in other libraries behind real web servers, as far as sockets decide it.

use std::time::Duration;

use crate::app::handle;
use crate::support::{Call, Running, Settings, abort, record, settings, stream};
use fcgi_proto::record::{ProtocolStatus, RecordType};

fn inspect() -> [Running; 2] {
    Running::both(Settings::default(), handle)
}

#[test]
fn peers_an_ignored_body_on_a_connection_that_closes_never_costs_the_answer() {
    for server in inspect() {
        for length in [16 * 1024, 1024 * 1024, 4 * 1024 * 1024] {
            let call = Call::post("/ignore", vec![b'i'; length]).closing();
            let (opening, bodies) = (call.opening(), call.bodies());
            for _ in 0..40 {
                let mut client = server.connect();
                // As nginx does: the answer is read once the body is sent.
                client.send(&opening);
                client.send(&bodies);
                client.answer(1).assert_ok("ok");
                client.assert_closed();
            }
        }
    }
}

#[test]
fn peers_a_client_that_stops_in_the_middle_of_its_body_is_not_waited_for() {
    let change = settings(|settings| settings.read_timeout = Duration::from_millis(100));
    for server in Running::both(change, handle) {
        let mut client = server.connect();
        client.send(Call::post("/early", "").closing().opening());
        client.send(record(RecordType::Stdin, 1, &[0; 60_000]));
        // No end of STDIN comes, and the head is out: nobody is to take that for a whole answer.
        let answer = client.cut_answer();
        assert_eq!(answer.text(), "early\n");
        assert_eq!(answer.log(), "the client sent no body within 0.1 s\n");
    }
}

#[test]
fn peers_two_idle_kept_connections_starve_nobody() {
    let change = settings(|settings| settings.max_connections = 2);
    for server in Running::both(change, handle) {
        let [mut one, mut two] = [server.connect(), server.connect()];
        one.call(&Call::get("/ignore")).assert_ok("ok");
        two.call(&Call::get("/ignore")).assert_ok("ok");
        for _ in 0..10 {
            server.connect().call(&Call::get("/ignore")).assert_ok("ok");
        }
    }
}

#[test]
fn peers_a_cookie_of_9000_bytes_is_a_parameter_like_any_other() {
    for server in inspect() {
        let mut client = server.connect();
        for length in [9000, 60_000, 200_000] {
            let cookie = "c".repeat(length);
            let mut call = Call::get("/env");
            call.params.remove(0);
            let call = call.param("HTTP_COOKIE", &*cookie);
            client.call(&call).assert_ok(format!("REQUEST_URI=/env\nHTTP_COOKIE={cookie}\n"));
        }
    }
}

#[test]
fn peers_parameters_beyond_the_default_limit_are_refused() {
    for server in inspect() {
        let mut client = server.connect();
        let call = Call::get("/").param("HTTP_COOKIE", vec![b'c'; 600_000]);
        let writer = client.send_meanwhile(call.bytes());
        client.answer(1).assert_ended(431, ProtocolStatus::RequestComplete);
        writer.join().expect("the writer ends").expect("the rest is ignored");
        client.call(&Call::get("/ignore")).assert_ok("ok");
    }
}

#[test]
fn peers_a_pair_that_claims_2_gib_costs_its_request_only() {
    for server in inspect() {
        let mut client = server.connect();
        for claim in
            [&b"\xff\xff\xff\xff\x00"[..], b"\x01\xff\xff\xff\xffN", b"\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            let call = Call::get("/");
            client.send([call.begin(), stream(RecordType::Params, 1, claim), call.bodies()].concat());
            client.answer(1).assert_ended(400, ProtocolStatus::RequestComplete);
            client.call(&Call::get("/ignore")).assert_ok("ok");
        }
    }
}

#[test]
fn peers_an_unknown_role_with_keep_conn_clear_closes_the_connection() {
    for server in inspect() {
        let mut client = server.connect();
        let mut call = Call::post("/", "body").closing();
        call.role = 4;
        client.send(call.begin());
        client.answer(1).assert_ended(503, ProtocolStatus::UnknownRole);
        client.assert_closed();
        // And with the rest of the request sent.
        let mut client = server.connect();
        client.call(&call).assert_ended(503, ProtocolStatus::UnknownRole);
        client.assert_closed();
    }
}

#[test]
fn peers_an_abort_during_the_parameters_with_keep_conn_clear_closes_the_connection() {
    for server in inspect() {
        let mut client = server.connect();
        let call = Call::get("/").closing();
        client.send([call.begin(), record(RecordType::Params, 1, b"\x01\x05N"), abort(1)].concat());
        let answer = client.answer(1);
        assert_eq!((answer.app_status, answer.protocol_status, answer.stdout.len()), (0, 0, 0));
        client.assert_closed();
    }
}

#[test]
fn peers_an_abort_after_the_end_gives_no_second_end() {
    for server in inspect() {
        let mut client = server.connect();
        for _ in 0..3 {
            client.call(&Call::get("/ignore")).assert_ok("ok");
            client.send([abort(1), abort(1)].concat());
        }
        // With one more END_REQUEST, this would read it as the answer's.
        client.call(&Call::post("/echo", "next")).assert_ok("next");
        client.end_sending();
        client.assert_closed();
    }
}

#[test]
fn peers_a_late_or_doubled_stdin_keeps_the_connection() {
    for server in inspect() {
        let mut client = server.connect();
        let call = Call::post("/echo", "body");
        for late in [&b""[..], b"late"] {
            client.call(&call).assert_ok("body");
            client.send(record(RecordType::Stdin, 1, late));
            client.send([call.bytes(), record(RecordType::Stdin, 1, late)].concat());
            client.answer(1).assert_ok("body");
        }
        client.call(&Call::get("/").authorizer()).assert_ended(403, ProtocolStatus::RequestComplete);
        client.send(record(RecordType::Stdin, 1, b""));
        client.call(&call).assert_ok("body");
    }
}

#[test]
fn peers_a_begin_of_the_wrong_length_closes_the_connection() {
    for server in inspect() {
        for length in [0, 1, 7, 9] {
            let mut client = server.connect();
            client.send(record(RecordType::BeginRequest, 1, &[0, 1, 1, 0, 0, 0, 0, 0, 0][..length]));
            client.assert_closed();
        }
        server.connect().call(&Call::get("/ignore")).assert_ok("ok");
    }
}

#[test]
fn peers_no_parameters_at_all_are_a_request_too() {
    for server in inspect() {
        let mut client = server.connect();
        let mut call = Call::get("/");
        call.params.clear();
        client.call(&call).assert_ended(200, ProtocolStatus::RequestComplete);
        client.call(&call.filter(b"data")).assert_ok("data missing\nDATA");
    }
}
