//! Many requests at once on one connection (section 3.5): each answer is whole and its own, none waits for
//! another.

mod support;

use std::sync::Arc;

use fcgi_proto::record::{ProtocolStatus, RecordType};
use fcgi_smol::{AppStatus, Request, Status};
use smol::channel;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use support::{Call, Outcome, Running, Settings, abort, answer, pairs, record, settings, stream};

/// Answers with the length and the checksum of the body, and as many bytes as the query says.
async fn sum(request: Request) -> Outcome {
    let mut body = Vec::new();
    request.stdin().read_to_end(&mut body).await?;
    let length: usize = request.param_str("QUERY_STRING").unwrap_or_default().parse()?;
    let id = request.id();
    let mut text = format!("{id} {} {:08x}\n", body.len(), crc32fast::hash(&body)).into_bytes();
    text.resize(text.len() + length, id.get() as u8);
    answer(&request, text).await
}

fn bytes(id: u16, length: usize) -> Vec<u8> {
    (0..length).map(|i| (i as u32).wrapping_mul(u32::from(id) * 2 + 1) as u8).collect()
}

#[test]
fn sixty_four_requests_are_sent_and_answered_at_once() {
    for server in Running::both(Settings::default(), sum) {
        let mut client = server.connect();
        for round in 0..3 {
            let calls: Vec<_> = (1..=64)
                .map(|id| {
                    let body = bytes(id, usize::from(id) * 100 * round);
                    Call::post("/", body).param("QUERY_STRING", (u32::from(id) * 50).to_string()).id(id)
                })
                .collect();
            // All begin, then all have parameters, then bodies, a piece of each in turn.
            let mut parts = vec![calls.iter().flat_map(Call::begin).collect::<Vec<_>>()];
            parts.extend(calls.iter().map(|call| call.opening()[16..].to_vec()));
            let bodies: Vec<_> = calls.iter().map(|call| call.stdin.clone().unwrap_or_default()).collect();
            for piece in 0..=bodies[63].len() / 1000 {
                for (body, id) in bodies.iter().zip(1..) {
                    let rest = body.get(piece * 1000..).unwrap_or_default();
                    let part = &rest[..rest.len().min(1000)];
                    if !part.is_empty() {
                        parts.push(record(RecordType::Stdin, id, part));
                    }
                }
            }
            parts.extend((1..=64).rev().map(|id| record(RecordType::Stdin, id, b"")));
            let writer = client.send_meanwhile(parts.concat());
            let answers = client.answers(64);
            writer.join().expect("the writer ends").expect("everything is read");
            for (body, id) in bodies.iter().zip(1..) {
                let mut text = format!("{id} {} {:08x}\n", body.len(), crc32fast::hash(body)).into_bytes();
                text.resize(text.len() + usize::from(id) * 50, id as u8);
                answers[&id].assert_ok(text);
            }
        }
    }
}

#[test]
fn one_too_many_is_refused_and_the_others_untouched() {
    for server in Running::both(Settings::default(), sum) {
        let mut client = server.connect();
        let call = |id: u16| Call::post("/", "").param("QUERY_STRING", "0").id(id);
        // GET_VALUES says 64, for clients that count a request as done before its end came.
        client.send((1..=96).flat_map(|id| call(id).opening()).collect::<Vec<_>>());
        for _ in 0..3 {
            client.send(call(97).bytes());
            client.answer(97).assert_ended(503, ProtocolStatus::Overloaded);
        }
        client.send(stream(RecordType::Stdin, 7, b"seven"));
        client.answer(7).assert_ok(format!("7 5 {:08x}\n", crc32fast::hash(b"seven")));
        // Its place is free.
        client.call(&call(97)).assert_ok("97 0 00000000\n");
        let ends = (1..=96).filter(|id| *id != 7).flat_map(|id| record(RecordType::Stdin, id, b""));
        client.send(ends.collect::<Vec<_>>());
        assert_eq!(client.answers(95).len(), 95);
    }
}

#[test]
fn answers_come_in_the_order_in_which_handlers_end() {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..40).map(|_| channel::bounded::<()>(1)).unzip();
    let receivers = Arc::new(receivers);
    for server in Running::both(Settings::default(), move |request: Request| {
        let go_on = receivers[usize::from(request.id().get())].clone();
        async move {
            go_on.recv().await?;
            answer(&request, request.id().to_string()).await
        }
    }) {
        let mut client = server.connect();
        client.send((0..39).flat_map(|id| Call::get("/").id(id + 1).bytes()).collect::<Vec<_>>());
        for i in 0..39_u16 {
            let id = (i * 17) % 39 + 1;
            senders[usize::from(id)].send_blocking(()).expect("the handler is there");
            client.answer(id).assert_ok(id.to_string());
        }
    }
}

#[test]
fn values_say_what_the_server_takes() {
    let change = settings(|settings| settings.max_connections = 17);
    let few = settings(|settings| settings.max_requests = 5);
    for (settings, conns, reqs) in [(change, "17", "64"), (few, "16384", "5")] {
        let server = Running::unix(settings, sum);
        let mut client = server.connect();
        let names = ["FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS", "FCGI_NEVER_HEARD_OF"];
        let question = record(RecordType::GetValues, 0, &pairs(names.map(|name| (name, ""))));
        let expected = pairs([("FCGI_MAX_CONNS", conns), ("FCGI_MAX_REQS", reqs), ("FCGI_MPXS_CONNS", "1")]);
        let mut ask = |before: Vec<u8>| {
            client.send([&*before, &question].concat());
            let answer = client.record();
            assert_eq!((answer.record_type, answer.id), (RecordType::GetValuesResult, 0));
            assert_eq!(answer.content, expected);
        };
        let call = Call::post("/", "body").param("QUERY_STRING", "0").id(3);
        ask(Vec::new());
        ask(call.begin());
        ask(call.opening()[16..].to_vec());
        ask(record(RecordType::Stdin, 3, b"body"));
        client.send(record(RecordType::Stdin, 3, b""));
        client.answer(3).assert_ok(format!("3 4 {:08x}\n", crc32fast::hash(b"body")));
    }
}

#[test]
fn requests_beyond_the_servers_maximum_are_refused_on_any_connection() {
    let (started, has_started) = channel::unbounded();
    let (go_on, may_go_on) = channel::unbounded::<()>();
    let change = settings(|settings| settings.max_requests = 3);
    for server in Running::both(change, move |request: Request| {
        let (started, may_go_on) = (started.clone(), may_go_on.clone());
        async move {
            started.send(()).await?;
            may_go_on.recv().await?;
            answer(&request, "fine").await
        }
    }) {
        for _ in 0..3 {
            let [mut one, mut two] = [(); 2].map(|()| server.connect());
            one.send([Call::get("/").id(1).bytes(), Call::get("/").id(2).bytes()].concat());
            two.send(Call::get("/").id(1).bytes());
            (0..3).for_each(|_| has_started.recv_blocking().expect("the handlers run"));
            for client in [&mut one, &mut two] {
                client.call(&Call::post("/", "body").id(9)).assert_ended(503, ProtocolStatus::Overloaded);
            }
            (0..3).for_each(|_| go_on.send_blocking(()).expect("the handlers wait"));
            one.answers(2).values().for_each(|answer| answer.assert_ok("fine"));
            two.answer(1).assert_ok("fine");
        }
    }
}

#[test]
fn a_slow_request_delays_no_other() {
    for server in Running::both(Settings::default(), |request: Request| async move {
        if request.param("REQUEST_URI") == Some(b"/slow") {
            request.aborted().await;
            return Ok(AppStatus(9));
        }
        answer(&request, "quick").await?;
        Ok(AppStatus(0))
    }) {
        let mut client = server.connect();
        client.send(Call::get("/slow").id(1000).bytes());
        for id in 1..=500 {
            client.call(&Call::get("/").id(id)).assert_ok("quick");
        }
        client.send(abort(1000));
        assert_eq!(client.answer(1000).app_status, 9);
        client.call(&Call::get("/").id(1000)).assert_ok("quick");
    }
}

#[test]
fn a_refused_request_of_many_costs_itself_only() {
    let change = settings(|settings| {
        settings.limits.params = 1000;
        settings.limits.stdin = 1000;
    });
    for server in Running::both(change, sum) {
        let mut client = server.connect();
        let call = |id: u16| Call::post("/", "body").param("QUERY_STRING", "0").id(id);
        client.send([call(1).opening(), call(2).opening()].concat());
        // Parameters too long, parameters cut inside a pair, an unknown role, a body too long.
        client.call(&call(3).param("LONG", [b'l'; 1000])).assert_ended(431, ProtocolStatus::RequestComplete);
        let cut = [call(4).begin(), stream(RecordType::Params, 4, b"\x09\x09x"), call(4).bodies()].concat();
        client.send(cut);
        client.answer(4).assert_ended(400, ProtocolStatus::RequestComplete);
        let mut unknown = call(5);
        unknown.role = 77;
        client.call(&unknown).assert_ended(503, ProtocolStatus::UnknownRole);
        client.send(stream(RecordType::Stdin, 2, &[0; 1001]));
        client.answer(2).assert_ended(503, ProtocolStatus::Overloaded);
        // The id is free though its handler may not have ended.
        for id in 2..=5 {
            let answer = client.call(&call(id));
            answer.assert_ok(format!("{id} 4 {:08x}\n", crc32fast::hash(b"body")));
        }
        client.send(call(1).bodies());
        client.answer(1).assert_ok(format!("1 4 {:08x}\n", crc32fast::hash(b"body")));
    }
}

#[test]
fn a_refused_request_loses_its_id_while_its_handler_still_runs() {
    let (started, has_started) = channel::unbounded();
    let (go_on, may_go_on) = channel::unbounded::<()>();
    let change = settings(|settings| settings.limits.stdin = 10);
    for server in Running::both(change, move |request: Request| {
        let (started, may_go_on) = (started.clone(), may_go_on.clone());
        async move {
            started.send(()).await?;
            let mut body = Vec::new();
            if request.stdin().read_to_end(&mut body).await.is_err() {
                may_go_on.recv().await?;
                let mut page = request.respond(Status::OK);
                page.write_all(&[b'n'; 100_000]).await.expect_err("it was refused");
                body = b"not for this id".to_vec();
            }
            answer(&request, body).await
        }
    }) {
        let mut client = server.connect();
        for _ in 0..3 {
            client.send(Call::post("/", "").opening());
            has_started.recv_blocking().expect("the handler runs");
            client.send(stream(RecordType::Stdin, 1, &[b'x'; 11]));
            client.answer(1).assert_ended(503, ProtocolStatus::Overloaded);
            client.call(&Call::post("/", "short")).assert_ok("short");
            has_started.recv_blocking().expect("the handler ran");
        }
        (0..3).for_each(|_| go_on.send_blocking(()).expect("the handlers wait"));
        client.call(&Call::post("/", "short")).assert_ok("short");
        has_started.recv_blocking().expect("the handler ran");
    }
}

#[test]
fn a_connection_closes_when_all_of_mixed_requests_are_answered() {
    for server in Running::both(Settings::default(), sum) {
        let mut client = server.connect();
        let call = |id: u16| Call::post("/", "").param("QUERY_STRING", "10").id(id);
        client.send([call(1).opening(), call(2).closing().opening(), call(3).opening()].concat());
        for id in [2, 3, 1] {
            client.send(record(RecordType::Stdin, id, b""));
            assert_eq!(client.answer(id).status(), 200);
        }
        client.assert_closed();
    }
}

#[test]
fn an_id_can_be_used_again_at_once() {
    for server in Running::both(Settings::default(), sum) {
        let mut client = server.connect();
        let hold = Call::post("/", "").param("QUERY_STRING", "0").id(9);
        client.send(hold.opening());
        for round in 0..300_usize {
            let call = Call::post("/", bytes(1, round)).param("QUERY_STRING", "100").id(1);
            client.call(&call).assert_ended(200, ProtocolStatus::RequestComplete);
        }
        client.send(hold.bodies());
        client.answer(9).assert_ok("9 0 00000000\n");
    }
}
