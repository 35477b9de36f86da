//! Bodies of requests that share a connection: what nobody reads holds up the input only, never answers; what
//! is large takes turns.

mod support;

use fcgi_proto::record::{ProtocolStatus, RecordType};
use fcgi_smol::{Request, Role, Status};
use smol::channel;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use support::{Call, Outcome, Running, Settings, answer, record, settings, stream};

/// `/hold` reads its body when it is told to; others wait for theirs, or answer at once.
fn holder()
-> (impl Fn(Request) -> support::Boxed + Clone + Send + Sync, channel::Receiver<()>, channel::Sender<()>) {
    let (started, has_started) = channel::unbounded();
    let (go_on, may_go_on) = channel::unbounded::<()>();
    let handler = move |request: Request| -> support::Boxed {
        let (started, may_go_on) = (started.clone(), may_go_on.clone());
        Box::pin(async move {
            started.send(()).await?;
            match request.param_str("REQUEST_URI") {
                Some("/hold") => may_go_on.recv().await?,
                Some("/drop") => {
                    may_go_on.recv().await?;
                    return answer(&request, "unread").await;
                }
                Some("/wait") => {
                    may_go_on.recv().await?;
                    return answer(&request, "waited").await;
                }
                _ => {}
            }
            let mut body = Vec::new();
            request.stdin().read_to_end(&mut body).await?;
            answer(&request, format!("{} {:08x}", body.len(), crc32fast::hash(&body))).await
        })
    };
    (handler, has_started, go_on)
}

fn sum(body: &[u8]) -> String {
    format!("{} {:08x}", body.len(), crc32fast::hash(body))
}

#[test]
fn a_body_that_nobody_reads_never_holds_up_the_answers_of_others() {
    let (handler, has_started, go_on) = holder();
    for path in ["/hold", "/drop"] {
        for server in [
            Running::unix(Settings::default(), handler.clone()),
            Running::tcp(Settings::default(), handler.clone()),
        ] {
            let mut client = server.connect();
            let body: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
            let held = Call::post(path, &*body).id(1);
            let waits = Call::get("/wait").id(2);
            client.send([waits.bytes(), held.opening()].concat());
            (0..2).for_each(|_| has_started.recv_blocking().expect("the handlers run"));
            // Some of it is within the request's share, and what comes behind is read.
            client.send(record(RecordType::Stdin, 1, &body[..60_000]));
            client.call(&Call::post("/sum", "small").id(3)).assert_ok(sum(b"small"));
            has_started.recv_blocking().expect("the handler ran");
            // All of it is not: the connection's input waits, and what was asked before is answered.
            let writer = client.send_meanwhile(stream(RecordType::Stdin, 1, &body[60_000..]));
            go_on.send_blocking(()).expect("a handler waits");
            let first = client.record();
            let other = 3 - first.id;
            let mut rest = vec![first];
            go_on.send_blocking(()).expect("a handler waits");
            while rest.iter().filter(|record| record.record_type == RecordType::EndRequest).count() < 2 {
                rest.push(client.record());
            }
            assert!(rest.iter().any(|record| record.id == other));
            let answers = support::answers(rest);
            let expected = if path == "/hold" { sum(&body) } else { "unread".to_owned() };
            answers[&1].assert_ok(expected);
            answers[&2].assert_ok("waited");
            writer.join().expect("the writer ends").expect("everything is read");
            client.call(&Call::post("/sum", "next").id(1)).assert_ok(sum(b"next"));
            has_started.recv_blocking().expect("the handler ran");
        }
    }
}

#[test]
fn an_answer_is_sent_while_the_connections_input_waits_for_another() {
    let (handler, has_started, go_on) = holder();
    let change = settings(|settings| settings.body_room = 1000);
    for server in [Running::unix(change, handler.clone()), Running::tcp(change, handler)] {
        let mut client = server.connect();
        // It takes the first that is let go on, and the other waits meanwhile.
        client.send(Call::get("/wait").id(2).bytes());
        has_started.recv_blocking().expect("the handler runs");
        client.send(Call::post("/hold", "").id(1).opening());
        has_started.recv_blocking().expect("the handler runs");
        client.send(record(RecordType::Stdin, 1, &[b'h'; 50_000]));
        client.assert_silent();
        go_on.send_blocking(()).expect("the first handler waits");
        client.answer(2).assert_ok("waited");
        client.send(record(RecordType::Stdin, 1, b""));
        client.assert_silent();
        go_on.send_blocking(()).expect("the second handler waits");
        client.answer(1).assert_ok(sum(&[b'h'; 50_000]));
    }
}

#[test]
fn a_share_of_one_byte_is_enough() {
    let (handler, _started, _go_on) = holder();
    let change = settings(|settings| settings.body_room = 0);
    for server in [Running::unix(change, handler.clone()), Running::tcp(change, handler)] {
        let mut client = server.connect();
        let calls = (1..=10).map(|id| Call::post("/sum", vec![id as u8; 3000]).id(id));
        let calls: Vec<_> = calls.collect();
        let openings = calls.iter().flat_map(Call::opening);
        client.send(openings.chain(calls.iter().flat_map(Call::bodies)).collect::<Vec<_>>());
        let answers = client.answers(10);
        for id in 1..=10 {
            answers[&id].assert_ok(sum(&[id as u8; 3000]));
        }
    }
}

#[test]
fn a_small_answer_is_not_kept_waiting_by_large_ones() {
    for server in Running::both(Settings::default(), |request: Request| async move {
        let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
        if request.param("REQUEST_URI") == Some(b"/small") {
            return Ok(page.write_all(b"small").await?);
        }
        let chunk = vec![b'l'; 1024 * 1024];
        for _ in 0..16 {
            page.write_all(&chunk).await?;
        }
        Ok(())
    }) {
        let mut client = server.connect();
        client.send((1..=3).flat_map(|id| Call::get("/").id(id).bytes()).collect::<Vec<_>>());
        let mut large = vec![client.record(), client.record()];
        client.send(Call::get("/small").id(9).bytes());
        let small = loop {
            let record = client.record();
            assert_ne!(record.record_type, RecordType::EndRequest, "a large answer ended first");
            if record.id == 9 {
                break record;
            }
            large.push(record);
        };
        assert!(small.content.ends_with(b"small"));
        let mut ended = 0;
        while ended < 4 {
            ended += usize::from(client.record().record_type == RecordType::EndRequest);
        }
    }
}

#[test]
fn a_filter_among_others_reads_its_data_with_or_without_its_stdin() {
    for server in Running::both(Settings::default(), |request: Request| async move {
        assert_eq!(request.role(), Role::Filter);
        let [mut stdin, mut data] = [String::new(), String::new()];
        if request.param_str("REQUEST_URI") == Some("/both") {
            request.stdin().read_to_string(&mut stdin).await?;
        }
        request.data().read_to_string(&mut data).await?;
        answer(&request, format!("{stdin}|{}", data.len())).await
    }) {
        let mut client = server.connect();
        let call = |path, id| Call::post(path, "query").filter(&[b'f'; 100_000]).id(id);
        let calls = [call("/both", 1), call("/data", 2), call("/both", 3), call("/data", 4)];
        let openings = calls.iter().flat_map(Call::opening);
        let writer =
            client.send_meanwhile(openings.chain(calls.iter().flat_map(Call::bodies)).collect::<Vec<_>>());
        for (id, answer) in client.answers(4) {
            answer.assert_ok(if id % 2 == 1 { "query|100000" } else { "|100000" });
        }
        writer.join().expect("the writer ends").expect("everything is read");
    }
}

/// Reads nothing, or a little.
async fn ignore(request: Request) -> Outcome {
    if request.param("REQUEST_URI") == Some(b"/some") {
        request.stdin().read_exact(&mut [0; 10]).await?;
    }
    answer(&request, "ok").await
}

#[test]
fn bodies_that_are_ignored_are_drained_before_their_answers_end_each_by_itself() {
    for server in Running::both(Settings::default(), ignore) {
        let mut client = server.connect();
        let call = |path, id| Call::post(path, vec![b'i'; 200_000]).id(id);
        client.send([call("/none", 1).opening(), call("/some", 2).opening()].concat());
        client.send([call("/none", 1).bodies(), Call::get("/none").id(3).bytes()].concat());
        let answers = client.answers(2);
        answers[&1].assert_ok("ok");
        answers[&3].assert_ok("ok");
        client.assert_silent();
        client.send(call("/some", 2).bodies());
        client.answer(2).assert_ok("ok");
        client.call(&Call::get("/none").id(2)).assert_ended(200, ProtocolStatus::RequestComplete);
    }
}
