//! What one client may use of a server's memory and handlers, whatever it sends.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use fcgi_proto::record::{ProtocolStatus, RecordType};
use fcgi_smol::Request;
use smol::channel;
use support::{Call, Client, Running, Settings, abort, answer, in_time, record, settings, unprintable, uri};

/// Reads what comes until the client's question is answered: all before it is taken in.
fn taken_in(client: &mut Client) {
    client.send(record(RecordType::GetValues, 0, &[]));
    while client.record().record_type != RecordType::GetValuesResult {}
}

#[test]
fn a_refused_request_counts_while_its_handler_runs() {
    const MOST: usize = 4;
    let (go_on, may_go_on) = channel::bounded::<()>(1);
    let runs = Arc::new(AtomicUsize::new(0));
    let handler = {
        let runs = Arc::clone(&runs);
        move |request: Request| {
            let (runs, may_go_on) = (Arc::clone(&runs), may_go_on.clone());
            async move {
                if request.param("REQUEST_URI") == Some(b"/wait") {
                    runs.fetch_add(1, Ordering::SeqCst);
                    let _ = may_go_on.recv().await;
                    runs.fetch_sub(1, Ordering::SeqCst);
                }
                answer(&request, "fine").await
            }
        }
    };
    let server = Running::unix(settings(|settings| settings.max_requests = MOST), handler);
    let mut client = server.connect();
    for id in 1..=60 {
        client.send(Call::get("/wait").id(id).filter(b"").opening());
        taken_in(&mut client);
        client.send(record(RecordType::Data, id, b"early"));
        taken_in(&mut client);
        assert!(runs.load(Ordering::SeqCst) <= MOST, "request {id} runs");
    }
    assert!(runs.load(Ordering::SeqCst) > 0, "none ever ran");
    go_on.close();
    // Then all is free again.
    let mut next = server.connect();
    loop {
        let answer = next.call(&Call::get("/"));
        if answer.protocol_status == 0 {
            return answer.assert_ok("fine");
        }
    }
}

#[test]
fn an_abort_behind_a_body_that_nobody_reads_is_told_at_once() {
    let (started, has_started) = channel::unbounded();
    let (told, was_told) = channel::unbounded();
    for server in Running::both(Settings::default(), move |request: Request| {
        let (started, told) = (started.clone(), told.clone());
        async move {
            started.send(()).await?;
            request.aborted().await;
            told.send(()).await?;
            Ok(())
        }
    }) {
        let mut client = server.connect();
        client.send(Call::post("/", "").opening());
        in_time(has_started.recv()).expect("the handler runs");
        client.send(record(RecordType::Stdin, 1, &[b'x'; 32 * 1024]).repeat(5));
        client.send(abort(1));
        drop(client);
        in_time(was_told.recv()).expect("the handler is told");
    }
}

#[test]
fn an_error_whose_text_panics_frees_its_slot() {
    for server in Running::both(settings(|settings| settings.max_requests = 1), unprintable) {
        let mut client = server.connect();
        for _ in 0..5 {
            client.call(&Call::get("/")).assert_ended(500, ProtocolStatus::RequestComplete);
        }
    }
}

#[test]
fn parameters_beyond_the_memory_of_all_are_refused_and_memory_comes_back() {
    for server in Running::both(settings(|settings| settings.memory = 100_000), uri) {
        let call = Call::get("/").param("HTTP_COOKIE", [b'c'; 60_000]);
        let half = call.opening().len() - 8;
        for _ in 0..3 {
            let [mut first, mut second] = [(); 2].map(|()| server.connect());
            first.send(&call.opening()[..half]);
            taken_in(&mut first);
            second.call(&call).assert_ended(503, ProtocolStatus::Overloaded);
            first.send([&call.opening()[half..], &call.bodies()].concat());
            first.answer(1).assert_ok("/");
            second.call(&call).assert_ok("/");
        }
    }
}

/// A waker of its own, which is counted.
struct Counted(Arc<AtomicUsize>);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn futures_that_waited_for_an_abort_and_were_dropped_pile_nothing_up() {
    let server = Running::unix(Settings::default(), |request: Request| async move {
        let alive = Arc::new(AtomicUsize::new(0));
        let mut most = 0;
        for _ in 0..40_000 {
            let count = alive.fetch_add(1, Ordering::SeqCst);
            most = most.max(count);
            let waker = Waker::from(Arc::new(Counted(Arc::clone(&alive))));
            let mut aborted = Box::pin(request.aborted());
            assert_eq!(aborted.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
        }
        answer(&request, if most <= 2048 { "few".to_owned() } else { most.to_string() }).await
    });
    server.connect().call(&Call::get("/")).assert_ok("few");
}
