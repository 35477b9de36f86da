//! ABORT_REQUEST (section 5.4), and clients that leave: how handlers learn of it, and what they may do then.

mod support;

use std::io::ErrorKind;

use fcgi_proto::record::RecordType;
use fcgi_smol::{AppStatus, Request, Status};
use smol::channel;
use smol::future::FutureExt;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use support::{Call, PATIENCE, Running, Settings, abort, answer, in_time, record, settings};

#[test]
fn an_abort_of_one_among_others_resolves_aborted_and_its_status_is_passed_on() {
    let (started, has_started) = channel::unbounded();
    for server in Running::both(Settings::default(), move |request: Request| {
        let started = started.clone();
        async move {
            started.send(()).await?;
            if request.param("REQUEST_URI") == Some(b"/abort") {
                request.aborted().await;
                request.respond(Status::OK).write_all(b"not wanted any more").await?;
                return Ok(AppStatus(77));
            }
            let mut body = Vec::new();
            request.stdin().read_to_end(&mut body).await?;
            answer(&request, body).await?;
            Ok(AppStatus(0))
        }
    }) {
        let mut client = server.connect();
        let others: Vec<_> = (1..=8).map(|id| Call::post("/", id.to_string()).id(id)).collect();
        client.send(others.iter().flat_map(Call::opening).collect::<Vec<_>>());
        (0..8).for_each(|_| in_time(has_started.recv()).expect("the handlers run"));
        for call in [Call::get("/abort").id(20), Call::post("/abort", "half").id(20)] {
            client.send(call.opening());
            in_time(has_started.recv()).expect("the handler runs");
            client.send(abort(20));
            let answer = client.answer(20);
            assert_eq!((answer.app_status, answer.protocol_status, answer.stdout.len()), (77, 0, 0));
        }
        client.send(others.iter().flat_map(Call::bodies).collect::<Vec<_>>());
        for (id, answer) in client.answers(8) {
            answer.assert_ok(id.to_string());
        }
    }
}

#[test]
fn an_abort_fails_the_read_of_a_body_after_what_came_of_it() {
    let (started, has_started) = channel::unbounded();
    let (read, was_read) = channel::unbounded();
    for server in Running::both(Settings::default(), move |request: Request| {
        let (started, read) = (started.clone(), read.clone());
        async move {
            started.send(()).await?;
            let mut body = Vec::new();
            let error = request.stdin().read_to_end(&mut body).await.err();
            read.send((error.map(|error| error.kind()), body)).await?;
            Ok(AppStatus(7))
        }
    }) {
        let mut client = server.connect();
        client.send([Call::post("/", "").id(2).opening(), Call::post("/", "").opening()].concat());
        (0..2).for_each(|_| in_time(has_started.recv()).expect("the handlers run"));
        client.send([record(RecordType::Stdin, 1, b"some"), abort(1)].concat());
        let answer = client.answer(1);
        assert_eq!((answer.app_status, answer.protocol_status, answer.stdout.len()), (7, 0, 0));
        let found = in_time(was_read.recv()).expect("the handler ran");
        assert_eq!(found, (Some(ErrorKind::ConnectionAborted), b"some".to_vec()));
        client.send(record(RecordType::Stdin, 2, b""));
        assert_eq!(client.answer(2).status(), 500, "it has no head");
        in_time(was_read.recv()).expect("the handler ran");
    }
}

#[test]
fn an_abort_before_the_handler_runs_is_answered_without_it() {
    for server in Running::both(Settings::default(), |request: Request| async move {
        assert_ne!(request.id().get(), 5, "it was aborted before its parameters ended");
        answer(&request, "fine").await
    }) {
        let mut client = server.connect();
        client.send(Call::post("/", "").id(1).opening());
        let call = Call::get("/").id(5);
        for sent in [call.begin(), call.opening()[..call.opening().len() - 8].to_vec()] {
            client.send([sent, abort(5)].concat());
            let answer = client.answer(5);
            assert_eq!((answer.app_status, answer.protocol_status, answer.stdout.len()), (0, 0, 0));
        }
        client.send(Call::post("/", "").id(1).bodies());
        client.answer(1).assert_ok("fine");
    }
}

#[test]
fn an_abort_while_a_body_is_drained_ends_the_request_at_once() {
    let change = settings(|settings| settings.drain_timeout = PATIENCE * 10);
    for server in Running::both(change, |request: Request| async move { answer(&request, "ok").await }) {
        let mut client = server.connect();
        for id in [1, 2] {
            // The second one is on a connection that has been multiplexed.
            client.send(Call::post("/", "").id(id).opening());
            client.send(Call::post("/", "").id(9).opening());
            client.assert_silent();
            client.send([record(RecordType::Stdin, id, b"some"), abort(id)].concat());
            let answer = client.answer(id);
            assert_eq!((answer.app_status, answer.protocol_status), (0, 0));
            client.send(record(RecordType::Stdin, 9, b""));
            client.answer(9).assert_ok("ok");
        }
    }
}

#[test]
fn a_client_that_leaves_resolves_aborted_of_all_its_requests() {
    let (started, has_started) = channel::unbounded();
    let (gone, has_gone) = channel::unbounded();
    for server in Running::both(Settings::default(), move |request: Request| {
        let (started, gone) = (started.clone(), gone.clone());
        async move {
            started.send(()).await?;
            request.aborted().await;
            gone.send(request.id().get()).await?;
            answer(&request, "nobody reads it").await
        }
    }) {
        let parts: [&dyn Fn(u16) -> Vec<u8>; 4] = [
            &|id| Call::get("/").id(id).bytes(),
            &|id| Call::get("/").id(id).closing().bytes(),
            &|id| Call::post("/", "").id(id).opening(),
            // Inside a record.
            &|id| [Call::post("/", "").id(id).opening(), vec![1, 5, 0, 1]].concat(),
        ];
        for part in parts {
            for count in [1, 3] {
                let mut client = server.connect();
                let last = part(count);
                let others = (1..count).flat_map(|id| Call::post("/", "").id(id).opening());
                client.send(others.chain(last).collect::<Vec<_>>());
                (0..count).for_each(|_| in_time(has_started.recv()).expect("the handlers run"));
                drop(client);
                let mut ids: Vec<_> = (0..count).map(|_| in_time(has_gone.recv()).expect("told")).collect();
                ids.sort_unstable();
                assert_eq!(ids, (1..=count).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn a_body_that_is_late_is_no_abort() {
    let change = settings(|settings| {
        settings.read_timeout = std::time::Duration::from_millis(50);
        settings.drain_timeout = std::time::Duration::from_millis(50);
    });
    for server in Running::both(change, |request: Request| async move {
        let late = request.stdin().read(&mut [0]).await.err().map(|error| error.kind());
        assert_eq!(late, Some(ErrorKind::TimedOut));
        let aborted = async {
            request.aborted().await;
            true
        };
        let aborted = aborted.or(async { false }).await;
        answer(&request, format!("{aborted}")).await
    }) {
        let mut client = server.connect();
        client.send(Call::post("/", "").opening());
        client.answer(1).assert_ok("false");
    }
}

#[test]
fn a_second_abort_and_one_of_nobody_are_ignored() {
    for server in Running::both(Settings::default(), |request: Request| async move {
        request.aborted().await;
        Ok(())
    }) {
        let mut client = server.connect();
        for id in [1, 4, 1] {
            client.send([Call::get("/").id(id).bytes(), abort(77), abort(id), abort(id), abort(id)].concat());
            assert_eq!(client.answer(id).protocol_status, 0);
        }
        client.assert_silent();
    }
}
