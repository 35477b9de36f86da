//! Connections that are kept although their worker is busy, and applications that trickle.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use crate::script::{App, MUCH, Peer, ask, fail, page, stdout, text};
use crate::support::PATIENCE;
use fcgi_blocking::{ClientError, Params};

/// How long a kept connection may be silent.
const SHORT: Duration = Duration::from_millis(50);

/// Applications whose first connection's worker works on behind the end of its request, as PHP's does after
/// `fastcgi_finish_request`, until the test ends; others are idle.
fn finishing(play: impl Fn(&mut Peer) + Send + Sync + 'static) -> (App, mpsc::Sender<()>) {
    let (done, until) = mpsc::channel();
    let until = Mutex::new(until);
    let app = App::unix(move |number, peer| match number {
        1 => {
            peer.serve(page("finished"));
            let until = until.lock().expect("nobody panics with it");
            until.recv_timeout(PATIENCE).expect("the test ends");
        }
        _ => play(peer),
    });
    (app, done)
}

#[test]
fn a_request_behind_one_that_works_on_after_its_end_is_answered_by_an_idle_worker() {
    let (app, done) = finishing(|peer| drop(peer.serve(page("idle"))));
    let mut client = app.client_with(|settings| settings.kept_first_byte_timeout = SHORT);
    assert_eq!(text(&mut ask(&mut client)), "finished");
    assert_eq!(text(&mut ask(&mut client)), "idle");
    assert_eq!(app.connections(), 2);
    // For a while no connection is used twice.
    assert_eq!(text(&mut ask(&mut client)), "idle");
    assert_eq!(app.connections(), 3);
    done.send(()).expect("the worker waits");
}

#[test]
fn a_post_right_behind_one_that_works_on_after_its_end_is_answered_by_an_idle_worker() {
    let (app, done) = finishing(|peer| drop(peer.serve(page("idle"))));
    let mut client = app.client();
    assert_eq!(text(&mut ask(&mut client)), "finished");
    let mut response = client.request(Params::post("/")).bytes(b"body").send().expect("an answer");
    assert_eq!(text(&mut response), "idle");
    drop(response);
    assert_eq!(app.connections(), 2);
    done.send(()).expect("the worker waits");
}

#[test]
fn a_post_behind_one_that_works_on_after_its_end_is_answered_by_an_idle_worker_whatever_the_application_showed()
 {
    let (done, until) = mpsc::channel();
    let until = Mutex::new(until);
    let app = App::unix(move |number, peer| {
        if number > 1 {
            return drop(peer.serve(page("idle")));
        }
        // It keeps its connections.
        peer.serve(page("one"));
        peer.serve(page("finished"));
        let until = until.lock().expect("nobody panics with it");
        until.recv_timeout(PATIENCE).expect("the test ends");
    });
    // With a limit that only a failure reaches, but lower than for fresh connections.
    let mut client = app.client_with(|settings| settings.kept_first_byte_timeout = PATIENCE / 2);
    assert_eq!(text(&mut ask(&mut client)), "one");
    assert_eq!(text(&mut ask(&mut client)), "finished");
    for body in [Some(b"body"), None] {
        let request = client.request(Params::post("/"));
        let request = if let Some(body) = body { request.bytes(body) } else { request };
        assert_eq!(text(&mut request.send().expect("an answer")), "idle");
    }
    assert_eq!(app.connections(), 3);
    done.send(()).expect("the worker waits");
}

#[test]
fn a_slow_answer_on_a_kept_connection_is_waited_for_where_that_is_asked_for() {
    let app = App::unix(|_, peer| {
        peer.serve(page("one"));
        peer.request();
        peer.assert_silent();
        peer.send(page("slow"));
    });
    let mut client = app.client_with(|settings| settings.kept_first_byte_timeout = Duration::MAX);
    for expected in ["one", "slow"] {
        assert_eq!(text(&mut ask(&mut client)), expected);
    }
    assert_eq!(app.connections(), 1);
}

/// Sends bytes one by one, slowly, until the client closes.
fn trickle(peer: &mut Peer, bytes: &[u8]) {
    for byte in bytes {
        if peer.try_send([*byte]).is_err() || peer.closes_within(SHORT / 5) {
            return;
        }
    }
    panic!("the client reads on");
}

#[test]
fn an_application_that_trickles_its_answer_is_left_at_last() {
    for bytes in [stdout("A: b\r\n".repeat(2000)), stdout(["A: b\r\n\r\n", &"x".repeat(20_000)].concat())] {
        let app = App::unix(move |_, peer| {
            peer.request();
            trickle(peer, &bytes);
        });
        let mut client = app.client_with(|settings| settings.total_timeout = 4 * SHORT);
        let error = match client.request(Params::get("/")).send() {
            Err(error) => error,
            Ok(response) => crate::script::cut(response).1,
        };
        assert!(matches!(error, ClientError::TimedOut { limit, .. } if limit == 4 * SHORT), "{error:?}");
        assert_eq!(error.to_string(), "the application did not end its answer within 0.2 s");
    }
}

#[test]
fn an_application_that_trickles_what_it_takes_is_left_at_last() {
    let (given_up, receiver) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    let app = App::unix(move |_, peer| {
        peer.record();
        let receiver = receiver.lock().expect("nobody panics with it");
        while receiver.recv_timeout(SHORT / 5).is_err() {
            peer.take(1);
        }
    });
    let mut client = app.client_with(|settings| settings.total_timeout = 4 * SHORT);
    let body = vec![0; MUCH];
    let error = client.request(Params::post("/")).bytes(&body).send().expect_err("it is not taken");
    given_up.send(()).expect("the script waits");
    assert!(matches!(error, ClientError::TimedOut { limit, .. } if limit == 4 * SHORT), "{error:?}");
}

#[test]
fn a_mute_application_is_asked_once_on_a_fresh_connection() {
    let app = App::unix(|_, peer| {
        peer.request();
        peer.assert_closed();
    });
    let mut client = app.client_with(|settings| {
        settings.first_byte_timeout = SHORT;
        settings.kept_first_byte_timeout = SHORT / 2;
    });
    let error = fail(&mut client);
    assert!(matches!(error, ClientError::TimedOut { limit: SHORT, .. }), "{error:?}");
    assert_eq!(app.connections(), 1);
}
