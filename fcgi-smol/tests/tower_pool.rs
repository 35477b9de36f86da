//! The feature `tower`: the pool as a service, asking applications that play a script.

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

#[path = "adapter/client.rs"]
mod adapter;

#[path = "../../fcgi-blocking/tests/client/script.rs"]
mod script;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use adapter::block_on;
use bytes::Bytes;
use fcgi_blocking::Endpoint;
use fcgi_proto::record::{ProtocolStatus, RecordType};
use fcgi_smol::tower::{AsItComes, Peer as Browser, ResponseBody};
use fcgi_smol::{BoxError, ClientError, Params, Pool, PoolSettings, Status};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use script::{App, Asked, Peer, answer, end, limits, page, stdout};
use smol::channel::{Receiver, Sender, bounded, unbounded};
use support::PATIENCE;
use tower_service::Service;

fn pool(app: &App, change: impl FnOnce(&mut PoolSettings)) -> Pool {
    let mut settings = PoolSettings::default();
    settings.client = limits(|_| ());
    settings.wait_timeout = PATIENCE;
    change(&mut settings);
    Pool::new([app.endpoint.clone()], settings)
}

fn call<B>(pool: &Pool, request: Request<B>) -> Result<Response<ResponseBody>, ClientError>
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let mut pool = pool.clone();
    block_on(async {
        poll_fn(|cx| Service::<Request<B>>::poll_ready(&mut pool, cx)).await?;
        pool.call(request).await
    })
}

fn get(uri: &str) -> Request<Empty<Bytes>> {
    Request::get(uri).header("Host", "example.org").body(Empty::new()).expect("a request")
}

/// All of the body, or why it is not.
fn text(body: ResponseBody) -> Result<String, ClientError> {
    let body = block_on(body.collect())?.to_bytes();
    Ok(String::from_utf8(body.to_vec()).expect("text"))
}

/// What an application was asked, and the answer that it gave.
fn asked<B>(output: &'static str, request: Request<B>) -> (Asked, Result<Response<ResponseBody>, ClientError>)
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let seen = Arc::new(Mutex::new(None));
    let app = App::unix({
        let seen = seen.clone();
        move |_, peer| *seen.lock().expect("nobody panics with it") = Some(peer.serve(answer(output)))
    });
    let result = call(&pool(&app, |_| ()), request);
    drop(app);
    let asked = seen.lock().expect("nobody panics with it").take().expect("a request came");
    (asked, result)
}

fn answered(output: &'static str, request: Request<Empty<Bytes>>) -> Response<ResponseBody> {
    asked(output, request).1.expect("an answer")
}

/// A body whose frames the test sends; its length is told, or not.
struct Fed {
    frames: Pin<Box<Receiver<Result<&'static str, io::Error>>>>,
    length: Option<u64>,
}

fn fed(length: Option<u64>) -> (Sender<Result<&'static str, io::Error>>, Fed) {
    let (sender, frames) = unbounded();
    (sender, Fed { frames: Box::pin(frames), length })
}

impl Body for Fed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = smol::stream::Stream::poll_next(self.frames.as_mut(), cx);
        next.map(|next| next.map(|frame| frame.map(|data| Frame::data(data.into()))))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn post<B>(body: B) -> Request<B> {
    Request::post("/").header("Host", "example.org").body(body).expect("a request")
}

const OK: &str = "Content-Type: text/plain\r\n\r\nok";

#[test]
fn the_variables_are_those_of_the_request_and_of_whom_it_came_from() {
    let mut request = Request::get("/caf%C3%A9/a%2fb?x=%20y&z=%0a")
        .header("Host", "example.org:8080")
        .header("Accept", "a/b")
        .header("Accept", "c/d")
        .header("Cookie", "a=1")
        .header("Cookie", "b=2")
        .header("X-Forwarded-For", "192.0.2.7")
        .header("X_Forwarded_For", "forged")
        .header("X.Forwarded.For", "forged")
        .header("Proxy", "http://evil.example")
        .header("Authorization", "Basic eDp5")
        .header("Connection", "keep-alive, X-Kept")
        .header("Upgrade", "websocket")
        .body(Empty::<Bytes>::new())
        .expect("a request");
    request.extensions_mut().insert(Browser(([192, 0, 2, 9], 50_000).into()));
    let (asked, _) = asked(OK, request);
    for (name, value) in [
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/caf%C3%A9/a%2fb?x=%20y&z=%0a"),
        ("SCRIPT_NAME", "/café/a/b"),
        ("QUERY_STRING", "x=%20y&z=%0a"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REMOTE_ADDR", "192.0.2.9"),
        ("REMOTE_PORT", "50000"),
        ("HTTP_HOST", "example.org:8080"),
        ("HTTP_ACCEPT", "a/b, c/d"),
        ("HTTP_COOKIE", "a=1; b=2"),
        ("HTTP_X_FORWARDED_FOR", "192.0.2.7"),
    ] {
        assert_eq!(asked.param(name), Some(value), "{name}");
    }
    for name in ["HTTP_PROXY", "HTTP_AUTHORIZATION", "HTTP_CONNECTION", "HTTP_UPGRADE", "CONTENT_LENGTH"] {
        assert_eq!(asked.param(name), None, "{name}");
    }
}

#[test]
fn nginx_2026_01_15_the_authority_of_the_uri_is_http_host_and_the_target_a_path() {
    let request = Request::get("http://user:secret@example.org:81/a?b").header("Host", "other.example");
    let (asked, _) = asked(OK, request.body(Empty::<Bytes>::new()).expect("a request"));
    assert_eq!(asked.param("HTTP_HOST"), Some("example.org:81"));
    assert_eq!(asked.param("REQUEST_URI"), Some("/a?b"));
    assert!(!asked.params.iter().any(|(_, value)| value.windows(6).any(|part| part == b"secret")));
}

#[test]
fn parameters_in_the_extensions_take_the_place_of_those_of_the_request() {
    let mut request = get("/a");
    let params = Params::get("/b").script("/srv/b.php").server(([192, 0, 2, 1], 443).into()).https(true);
    request.extensions_mut().insert(params);
    let (asked, _) = asked(OK, request);
    for (name, value) in [
        ("REQUEST_URI", "/b"),
        ("SCRIPT_FILENAME", "/srv/b.php"),
        ("SERVER_ADDR", "192.0.2.1"),
        ("SERVER_NAME", "192.0.2.1"),
        ("SERVER_PORT", "443"),
        ("HTTPS", "on"),
        ("REQUEST_SCHEME", "https"),
    ] {
        assert_eq!(asked.param(name), Some(value), "{name}");
    }
}

#[test]
fn a_body_of_a_known_length_is_sent_as_it_comes_where_that_is_asked_for() {
    let (frames, body) = fed(Some(6));
    let got_first = bounded(1);
    let app = App::unix({
        let got_first = got_first.0.clone();
        move |_, peer| {
            let (mut stdin, mut length) = (Vec::new(), Vec::new());
            while stdin.len() < 6 {
                match peer.record().expect("the request goes on") {
                    (RecordType::Params, content) => length.extend(content),
                    (RecordType::Stdin, content) => {
                        stdin.extend(content);
                        if stdin == b"one" {
                            got_first.send_blocking(()).expect("the test waits");
                        }
                    }
                    _ => {}
                }
            }
            assert_eq!(stdin, b"onetwo");
            assert!(length.windows(15).any(|part| part == b"CONTENT_LENGTH6"));
            assert_eq!(peer.record(), Some((RecordType::Stdin, Vec::new())));
            peer.send(answer(OK));
        }
    });
    let mut pool = pool(&app, |_| ());
    let mut request = post(body);
    request.extensions_mut().insert(AsItComes);
    let response = pool.call(request);
    let feed = async {
        frames.send(Ok("one")).await.expect("it is read");
        got_first.1.recv().await.expect("the application has it");
        frames.send(Ok("two")).await.expect("it is read");
    };
    let (response, ()) = block_on(together(response, feed));
    assert_eq!(text(response.expect("an answer").into_body()).expect("a body"), "ok");
}

/// Both, in one task.
async fn together<A: Future + Unpin, B: Future>(mut a: A, b: B) -> (A::Output, B::Output) {
    let mut b = Box::pin(b);
    let (mut output, mut done) = (None, None);
    poll_fn(|cx| {
        if output.is_none() {
            output = match Pin::new(&mut a).poll(cx) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            };
        }
        if done.is_none() {
            done = match b.as_mut().poll(cx) {
                Poll::Ready(done) => Some(done),
                Poll::Pending => None,
            };
        }
        if output.is_some() && done.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    (output.expect("both are there"), done.expect("both are there"))
}

#[test]
fn a_body_of_unknown_length_is_read_first_and_its_length_told() {
    let (frames, body) = fed(None);
    for frame in ["one", "", "two"] {
        frames.send_blocking(Ok(frame)).expect("it is kept");
    }
    drop(frames);
    let (asked, _) = asked(OK, post(body));
    assert_eq!((asked.param("CONTENT_LENGTH"), &asked.stdin[..]), (Some("6"), &b"onetwo"[..]));
}

#[test]
fn an_empty_body_with_a_content_length_is_told_and_none_is_not() {
    let length =
        |request: Request<Full<Bytes>>| asked(OK, request).0.param("CONTENT_LENGTH").map(str::to_owned);
    let mut request = post(Full::default());
    assert_eq!(length(request.clone()), None);
    request.headers_mut().insert("Content-Length", 0.into());
    assert_eq!(length(request).as_deref(), Some("0"));
}

#[test]
fn a_body_of_unknown_length_beyond_the_limit_is_413_and_nobody_is_asked() {
    let app = App::unix(|_, _| panic!("nobody is asked"));
    let pool = pool(&app, |settings| settings.client.spool_limit = 5);
    let (frames, body) = fed(None);
    for frame in ["abc", "def"] {
        frames.send_blocking(Ok(frame)).expect("it is kept");
    }
    let error = call(&pool, post(body)).expect_err("too long");
    assert_eq!(error.status(), Status::CONTENT_TOO_LARGE, "{error}");
    assert_eq!(app.connections(), 0);
}

#[test]
fn b5_a_body_that_fails_or_ends_early_closes_and_never_ends_stdin_short() {
    for (fails, as_it_comes) in [(true, true), (true, false), (false, true), (false, false)] {
        let app = App::unix(|_, peer| assert!(peer.try_request().is_none(), "the request has no end"));
        let (frames, body) = fed(Some(6));
        frames.send_blocking(Ok("one")).expect("it is kept");
        if fails {
            frames.send_blocking(Err(io::ErrorKind::ConnectionReset.into())).expect("it is kept");
        }
        drop(frames);
        let mut request = post(body);
        if as_it_comes {
            request.extensions_mut().insert(AsItComes);
        }
        let error = call(&pool(&app, |_| ()), request).expect_err("no whole request");
        assert_eq!(error.status(), Status::BAD_REQUEST, "{error}");
        assert!(as_it_comes || app.connections() == 0, "it takes a connection once it is there");
    }
}

#[test]
fn a_late_body_is_408() {
    let app = App::unix(|_, peer| assert!(peer.try_request().is_none()));
    let (frames, body) = fed(Some(6));
    frames.send_blocking(Err(io::ErrorKind::TimedOut.into())).expect("it is kept");
    let error = call(&pool(&app, |_| ()), post(body)).expect_err("no whole request");
    assert_eq!(error.status(), Status::REQUEST_TIMEOUT, "{error}");
}

#[test]
fn a_body_that_is_sent_as_it_comes_and_trickles_is_408_and_frees_the_application() {
    let app = App::unix(|_, peer| assert!(peer.try_request().is_none(), "it is never whole"));
    let (frames, body) = fed(Some(1000));
    let trickle = thread::spawn(move || {
        while frames.send_blocking(Ok("x")).is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let mut request = post(body);
    request.extensions_mut().insert(AsItComes);
    let pool = pool(&app, |settings| settings.client.body_timeout = Duration::from_millis(100));
    let error = call(&pool, request).expect_err("too slow");
    assert_eq!(error.status(), Status::REQUEST_TIMEOUT, "{error}");
    trickle.join().expect("its body is dropped");
}

#[test]
fn fields_of_one_connection_are_dropped_and_others_are_all_there() {
    let response = answered(
        "Status: 201 Made\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\nContent-Length: 2\r\n\r\nok",
        get("/"),
    );
    assert_eq!(response.status(), 201);
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert_eq!(response.headers()["content-length"], "2");
    assert_eq!(response.headers().len(), 3, "{:?}", response.headers());
    assert_eq!(text(response.into_body()).expect("a body"), "ok");
}

#[test]
fn fields_that_connection_names_are_dropped_and_what_may_come_once_is_the_last_one() {
    let response = answered(
        "Connection: X-Priv, close\r\nX-Priv: secret\r\nconnection: \"x\", x-other\r\nX-Other: a\r\nX-Other: b\r\n\
         Content-Type: text/html\r\ncontent-type: text/plain\r\nX-Kept: c\r\nX-Kept: d\r\n\r\nok",
        get("/"),
    );
    let mut fields: Vec<_> =
        response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    fields.sort();
    assert_eq!(fields, [("content-type", &b"text/plain"[..]), ("x-kept", b"c"), ("x-kept", b"d")]);
}

#[test]
fn a_location_without_a_status_is_a_302_also_a_local_one() {
    for location in ["Location: /elsewhere?a=b\r\n\r\n", "Location: https://example.org/\r\n\r\n"] {
        let response = answered(location, get("/"));
        assert_eq!(response.status(), 302);
        assert!(location.contains(response.headers()["location"].to_str().expect("text")));
    }
}

#[test]
fn answers_to_head_and_with_204_and_304_have_no_body_and_no_length_of_ours() {
    for (method, output, length) in [
        ("HEAD", "Content-Type: text/plain\r\n\r\nbody", None),
        ("HEAD", "Content-Length: 4\r\n\r\nbody", Some("4")),
        ("GET", "Status: 204 No Content\r\n\r\nbody", None),
        ("GET", "Status: 204 No Content\r\nContent-Length: 4\r\n\r\nbody", None),
        ("HEAD", "Status: 204 No Content\r\nContent-Length: 4\r\n\r\n", None),
        ("GET", "Status: 304 Not Modified\r\n\r\nbody", None),
    ] {
        let mut request = get("/");
        *request.method_mut() = method.parse().expect("a method");
        let response = answered(output, request);
        let found = response.headers().get("content-length").map(|value| value.to_str().expect("text"));
        assert_eq!(found, length, "{output}");
        assert_eq!(text(response.into_body()).expect("no body"), "");
    }
}

#[test]
fn nginx_2020_07_06_a_body_beyond_its_length_is_cut_and_a_short_one_an_error() {
    let response = answered("Content-Length: 2\r\n\r\nok, and more", get("/"));
    assert_eq!(text(response.into_body()).expect("a body"), "ok");
    let response = answered("Content-Length: 9\r\n\r\nshort", get("/"));
    let error = text(response.into_body()).expect_err("cut short");
    assert!(matches!(error, ClientError::ContentTooShort { missing: 4 }), "{error:?}");
}

/// Answers all requests of a connection.
fn answers(output: &'static str) -> impl Fn(usize, &mut Peer) + Send + Sync + 'static {
    move |_, peer| {
        while peer.try_request().is_some() {
            peer.send(answer(output));
        }
    }
}

#[test]
fn a_connection_is_kept_although_who_knows_the_length_does_not_ask_for_the_end() {
    for output in ["Content-Length: 2\r\n\r\nok", "Status: 204 No Content\r\n\r\n"] {
        let app = App::unix(answers(output));
        let pool = pool(&app, |settings| settings.max_idle = 1);
        for _ in 0..3 {
            let mut body = call(&pool, get("/")).expect("an answer").into_body();
            if !output.starts_with("Status") {
                let frame = block_on(body.frame()).expect("a frame").expect("data");
                assert_eq!(frame.into_data().expect("data"), "ok");
            }
            assert!(body.is_end_stream());
        }
        assert_eq!(app.connections(), 1, "{output}");
    }
}

#[test]
fn a_body_that_is_dropped_half_read_closes_the_connection() {
    let app = App::unix(|_, peer| {
        peer.serve(stdout("Content-Type: text/plain\r\n\r\nfirst"));
        peer.assert_closed();
    });
    let mut body = call(&pool(&app, |_| ()), get("/")).expect("an answer").into_body();
    let frame = block_on(body.frame()).expect("a frame").expect("data");
    assert_eq!(frame.into_data().expect("data"), "first");
    drop(body);
}

#[test]
fn what_cannot_be_passed_on_is_400_or_431_and_no_request_begins() {
    let app = App::unix(|_, peer| assert!(peer.record().is_none()));
    let pool = pool(&app, |_| ());
    let status = |request| call(&pool, request).expect_err("not passed on").status();
    for path in ["/a%00b", "/a%0ab", "/a%7f", "/a%zz", "*"] {
        assert_eq!(status(get(path)), Status::BAD_REQUEST, "{path}");
    }
    let mut twice = get("/");
    twice.headers_mut().append("Host", "other.example".parse().expect("a value"));
    assert_eq!(status(twice), Status::BAD_REQUEST);
    let mut long = get("/");
    long.headers_mut().insert("x-long", "x".repeat(65_536).parse().expect("a value"));
    assert_eq!(status(long), Status::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[test]
fn nobody_there_is_502_too_much_to_do_503_and_too_slow_504() {
    let status = |pool: &Pool| call(pool, get("/")).expect_err("no answer").status();
    let nobody = Endpoint::Unix("/nonexistent/socket".into());
    assert_eq!(status(&Pool::new([nobody], PoolSettings::default())), Status::BAD_GATEWAY);

    for (played, expected) in [
        (end(0, ProtocolStatus::Overloaded as u8), Status::SERVICE_UNAVAILABLE),
        (end(0, ProtocolStatus::UnknownRole as u8), Status::BAD_GATEWAY),
        (stdout("not a head\r\n"), Status::BAD_GATEWAY),
        (answer("X-Control: a\x01b\r\n\r\n"), Status::BAD_GATEWAY),
        (answer(""), Status::BAD_GATEWAY),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), Status::BAD_GATEWAY),
    ] {
        let app = App::unix(move |_, peer| {
            peer.serve(&played);
        });
        assert_eq!(status(&pool(&app, |_| ())), expected);
    }

    let silent = App::unix(|_, peer| assert!(peer.try_request().is_some() && peer.try_request().is_none()));
    let late = pool(&silent, |settings| settings.client.first_byte_timeout = PATIENCE / 400);
    assert_eq!(status(&late), Status::GATEWAY_TIMEOUT);

    let busy = App::unix(|_, peer| {
        peer.serve(stdout("Content-Type: text/plain\r\n\r\nheld"));
        peer.assert_closed();
    });
    for max_waiting in [0, 1] {
        let full = pool(&busy, |settings| {
            settings.max_connections = 1;
            settings.max_waiting = max_waiting;
            settings.wait_timeout = PATIENCE / 400;
        });
        let held = call(&full, get("/")).expect("an answer");
        assert_eq!(status(&full), Status::SERVICE_UNAVAILABLE);
        drop(held);
    }
}

#[test]
fn answers_behind_each_other_are_each_their_own() {
    let app = App::unix(|_, peer| {
        for text in ["one", "two", "three"] {
            peer.serve(page(text));
        }
    });
    let pool = pool(&app, |settings| settings.max_idle = 1);
    let texts =
        [(); 3].map(|()| text(call(&pool, get("/")).expect("an answer").into_body()).expect("a body"));
    assert_eq!(texts, ["one", "two", "three"]);
    assert_eq!(app.connections(), 1);
}
