//! Futures that are dropped wherever they can wait: the connection is closed or in order, and the next request
//! gets its own answer.

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

#[path = "adapter/client.rs"]
mod adapter;

mod polls;
#[path = "../../fcgi-blocking/tests/client/script.rs"]
mod script;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use fcgi_smol::{Client, Params};
use polls::at_most;
use script::{App, Peer, limits, page};
use smol::block_on;
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// Answers with the target and the length of the body, in many pieces.
fn slowly(peer: &mut Peer) {
    // It fails on a record that is cut and goes on with another request.
    while let Some(asked) = peer.try_request() {
        let target = asked.param("REQUEST_URI").expect("it is always there");
        let answer = page(&format!("{target} {}", asked.stdin.len()));
        if answer.chunks(3).any(|piece| peer.try_send(piece).is_err()) {
            return; // The client has closed.
        }
    }
}

async fn ask(client: &Client, target: &str, size: usize) -> String {
    // From a reader, so that nothing is sent again.
    let request = client.request(Params::post(target)).body(smol::io::repeat(1), size as u64);
    let mut response = request.send().await.expect("an answer");
    let mut text = String::new();
    response.read_to_string(&mut text).await.expect("a whole body");
    text
}

#[test]
fn a_request_dropped_at_any_point_never_meets_the_next_one() {
    for start in [App::unix, App::tcp] {
        let app =
            start(Box::new(|_, peer: &mut Peer| slowly(peer)) as Box<dyn Fn(usize, &mut Peer) + Send + Sync>);
        let client = Client::with_settings(app.endpoint.clone(), limits(|_| ()));
        for size in [0, 10, 1 << 20] {
            // How far a request comes in a poll is a matter of scheduling.
            let (mut dropped, mut round) = (0, 0);
            while dropped < 10 || round < 60 {
                round += 1;
                assert!(round < 10_000, "{dropped} are dropped");
                block_on(async {
                    let asked = at_most(1 + round % 20, ask(&client, "/dropped", size)).await;
                    dropped += usize::from(asked.is_none());
                    let target = format!("/next/{size}/{round}");
                    assert_eq!(ask(&client, &target, 7).await, format!("{target} 7"));
                });
            }
        }
        drop(client);
    }
}

#[test]
fn a_read_that_is_dropped_loses_nothing() {
    let app = App::unix(|_, peer| slowly(peer));
    let client = Client::with_settings(app.endpoint.clone(), limits(|_| ()));
    block_on(async {
        for _ in 0..20 {
            let mut response = client.request(Params::get("/read")).send().await.expect("an answer");
            let mut body = Vec::new();
            loop {
                let mut buffer = [0; 2];
                match at_most(1, response.read(&mut buffer)).await {
                    None => smol::future::yield_now().await,
                    Some(Ok(0)) => break,
                    Some(count) => body.extend_from_slice(&buffer[..count.expect("the body")]),
                }
            }
            assert_eq!(body, b"/read 0");
        }
    });
    assert_eq!(app.connections(), 1);
}

#[test]
fn connecting_that_is_dropped_leaves_nothing_behind() {
    let app = App::unix(|_, peer| slowly(peer));
    let address = app.endpoint.to_string();
    block_on(async {
        for polls in 1..10 {
            drop(at_most(polls, Client::connect(&address)).await);
            let client = Client::connect(&address).await.expect("it listens");
            assert_eq!(ask(&client, "/a", 1).await, "/a 1");
        }
    });
}

#[test]
fn a_request_and_its_response_can_be_spawned() {
    let app = App::unix(|_, peer| slowly(peer));
    let client = Client::with_settings(app.endpoint.clone(), limits(|_| ()));
    let executor = smol::Executor::new();
    let task = executor.spawn({
        let client = client.clone();
        async move { client.request(Params::post("/spawned")).bytes(vec![1, 2, 3]).send().await }
    });
    let response = block_on(executor.run(task)).expect("an answer");
    let text = executor.spawn(async move {
        let (mut response, mut text) = (response, String::new());
        response.read_to_string(&mut text).await.map(|_| text)
    });
    assert_eq!(block_on(executor.run(text)).expect("a whole body"), "/spawned 3");
    drop(client);
}

/// A stream that does one byte at a time, each only when asked twice.
struct Reluctant {
    stream: smol::Async<std::os::unix::net::UnixStream>,
    /// Whether reading, writing and flushing were asked for once.
    asked: [bool; 3],
}

impl Reluctant {
    fn refuses(&mut self, what: usize, cx: &mut Context<'_>) -> bool {
        self.asked[what] = !self.asked[what];
        if self.asked[what] {
            // Woken while the client is at it.
            cx.waker().wake_by_ref();
        }
        self.asked[what]
    }
}

impl AsyncRead for Reluctant {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        if self.refuses(0, cx) {
            return Poll::Pending;
        }
        let most = buffer.len().min(1);
        Pin::new(&mut self.stream).poll_read(cx, &mut buffer[..most])
    }
}

impl AsyncWrite for Reluctant {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if self.refuses(1, cx) {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(cx, &bytes[..bytes.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        if self.refuses(2, cx) { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_client_over_any_stream_asks_until_the_stream_ends() {
    let app = App::unix(|_, peer| {
        for _ in 0..3 {
            peer.serve(page("over"));
        }
    });
    let fcgi_smol::Endpoint::Unix(path) = &app.endpoint else { panic!("it is one") };
    let client = block_on(async {
        let stream = smol::Async::<std::os::unix::net::UnixStream>::connect(path).await.expect("it listens");
        let client = Client::over(Reluctant { stream, asked: [false; 3] }, limits(|_| ()));
        for _ in 0..3 {
            let mut text = String::new();
            let request = client.request(Params::post("/")).bytes(vec![1; 3000]);
            request.send().await.expect("an answer").read_to_string(&mut text).await.expect("a whole body");
            assert_eq!(text, "over");
        }
        client
    });
    block_on(client.request(Params::get("/")).send()).expect_err("it has closed");
    assert_eq!(app.connections(), 1);
}

#[test]
fn a_slow_answer_over_the_only_stream_is_waited_for() {
    let app = App::unix(|_, peer| {
        peer.serve(page("one"));
        peer.request();
        peer.assert_silent();
        peer.send(page("slow"));
    });
    let fcgi_smol::Endpoint::Unix(path) = &app.endpoint else { panic!("it is one") };
    block_on(async {
        let stream = smol::net::unix::UnixStream::connect(path).await.expect("it listens");
        let client =
            Client::over(stream, limits(|settings| settings.kept_first_byte_timeout = Duration::ZERO));
        for expected in ["one", "slow"] {
            let mut text = String::new();
            let mut response = client.request(Params::get("/")).send().await.expect("an answer");
            response.read_to_string(&mut text).await.expect("a whole body");
            assert_eq!(text, expected);
        }
    });
}

#[test]
fn a_large_body_goes_over_a_socket_of_smols_net_which_forgets_a_write_when_it_is_flushed() {
    let app = App::unix(|_, peer| {
        let asked = peer.request();
        peer.send(page(&asked.stdin.len().to_string()));
    });
    let fcgi_smol::Endpoint::Unix(path) = &app.endpoint else { panic!("it is one") };
    block_on(async {
        let stream = smol::net::unix::UnixStream::connect(path).await.expect("it listens");
        let client = Client::over(stream, limits(|_| ()));
        let request = client.request(Params::post("/")).bytes(vec![1; script::MUCH]);
        let mut text = String::new();
        request.send().await.expect("an answer").read_to_string(&mut text).await.expect("a whole body");
        assert_eq!(text, script::MUCH.to_string());
    });
}
