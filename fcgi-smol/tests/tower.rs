//! The feature `tower`: services written by hand, asked by a FastCGI client, record by record.

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

use std::convert::Infallible;
use std::future::{self, Future, poll_fn};
use std::io;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use fcgi_proto::record::{ProtocolStatus, RecordType};
use fcgi_smol::tower::{self, Body, Params, Peer};
use fcgi_smol::{BoxError, Settings, serve_stream};
use http::{Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use smol::stream::{self, Stream, StreamExt};
use smol::{Async, Executor, LocalExecutor};
use support::{Call, Client, PATIENCE, abort, record};
use tower_service::Service;

/// A service of a function.
#[derive(Clone)]
struct Fun<F>(F);

impl<F, R, B, E> Service<Request<Body>> for Fun<F>
where
    F: FnMut(Request<Body>) -> R,
    R: Future<Output = Result<Response<B>, E>>,
{
    type Response = Response<B>;
    type Error = E;
    type Future = R;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> R {
        (self.0)(request)
    }
}

type Answered<B = Full<Bytes>> = Result<Response<B>, BoxError>;

fn text(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::new(Full::new(body.into()))
}

/// A response whose body is `frames`.
fn streamed<T>(frames: T) -> Response<StreamBody<impl Stream<Item = T::Item>>>
where
    T: Stream<Item = Result<Frame<Bytes>, BoxError>>,
{
    Response::new(StreamBody::new(frames))
}

fn frame(data: impl Into<Bytes>) -> Result<Frame<Bytes>, BoxError> {
    Ok(Frame::data(data.into()))
}

/// A connection to a thread that serves it, and ends when it is dropped.
fn connect<S, B>(service: S) -> Client
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    connect_with(Settings::default(), service)
}

fn connect_with<S, B>(settings: Settings, service: S) -> Client
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    thread::spawn(move || {
        let executor = Executor::new();
        let stream = Async::new(theirs).expect("a socket that async-io takes");
        let handler = move |request| tower::answer(service.clone(), request);
        smol::block_on(executor.run(serve_stream(stream, &settings, &executor, handler)))
    });
    Client::from(ours.into())
}

/// What `f` is told of one request.
fn connect_fn<F, R, B>(f: F) -> Client
where
    F: Fn(Request<Body>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answered<B>> + Send + 'static,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    connect(Fun(f))
}

/// Tells when it is made, and when it is dropped.
struct Guard(Sender<&'static str>);

impl Guard {
    fn new(sender: &Mutex<Sender<&'static str>>) -> Self {
        let sender = sender.lock().expect("no thread panics with it").clone();
        sender.send("made").expect("the test waits");
        Self(sender)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The test may be over.
        let _ = self.0.send("dropped");
    }
}

/// Makes guards, and what is told of them.
fn guards() -> (impl Fn() -> Guard + Clone + Send + Sync + 'static, Receiver<&'static str>) {
    let (sender, receiver) = mpsc::channel();
    let sender = Arc::new(Mutex::new(sender));
    (move || Guard::new(&sender), receiver)
}

#[track_caller]
fn assert_told(receiver: &Receiver<&'static str>, what: &str) {
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok(what));
}

fn stdin(content: &[u8]) -> Vec<u8> {
    record(RecordType::Stdin, 1, content)
}

#[test]
fn a_request_comes_with_its_parts_and_all_parameters() {
    let mut client = connect_fn(async |request: Request<Body>| {
        let (parts, body) = request.into_parts();
        let params: &Params = parts.extensions.get().expect("parameters");
        let peer: &Peer = parts.extensions.get().expect("a peer");
        let lines = [
            format!("{} {} {:?}", parts.method, parts.uri, parts.version),
            format!("{:?}", parts.headers["x-thing"]),
            format!("{:?} {:?}", params.get_str("SSL_CLIENT_S_DN"), params.get(b"X")),
            format!("{} {:?}", params.iter().count(), params.get("ABSENT")),
            format!("{}", peer.0),
            format!("{:?}", body.collect().await?.to_bytes()),
        ];
        Ok::<_, BoxError>(text(lines.join("\n")))
    });
    let call = Call::post("/a%20b?c=d", "a body")
        .param("SERVER_PROTOCOL", "HTTP/1.0")
        .param("HTTP_X_THING", "thing")
        .param("SSL_CLIENT_S_DN", "CN=me")
        .param("X", b"\xff".as_slice())
        .param("REMOTE_ADDR", "192.0.2.1")
        .param("REMOTE_PORT", "4711");
    let lines = [
        "POST /a%20b?c=d HTTP/1.0",
        r#""thing""#,
        r#"Some("CN=me") Some([255])"#,
        "9 None",
        "192.0.2.1:4711",
        r#"b"a body""#,
    ];
    client.call(&call).assert_ok(lines.join("\n"));
}

#[test]
fn parameters_are_shown_without_their_values() {
    let mut client = connect_fn(async |request: Request<Body>| {
        Ok::<_, BoxError>(text(format!("{:?}", request.extensions().get::<Params>())))
    });
    let answer = client.call(&Call::get("/").param("HTTP_AUTHORIZATION", "secret"));
    answer.assert_ok(r#"Some(["REQUEST_METHOD", "REQUEST_URI", "HTTP_AUTHORIZATION"])"#);
}

#[test]
fn bodies_stream_both_ways_frame_by_frame() {
    let mut client = connect_fn(async |request: Request<Body>| {
        let frames = stream::unfold(request.into_body(), async |mut body| {
            Some((body.frame().await?.map_err(BoxError::from), body))
        });
        Ok::<_, BoxError>(streamed(frames))
    });
    let call = Call::get("/");
    for _ in 0..2 {
        client.send(call.opening());
        let head = client.record();
        assert_eq!(head.record_type, RecordType::Stdout, "the head comes before there is any body");
        assert!(head.content.starts_with(b"Status: 200 OK\r\n") && head.content.ends_with(b"\r\n\r\n"));
        for word in ["one", "two", "three"] {
            client.send(stdin(word.as_bytes()));
            assert_eq!(client.record().content, word.as_bytes());
        }
        client.send(stdin(b""));
        assert_eq!(client.record().record_type, RecordType::Stdout);
        assert_eq!(client.record().record_type, RecordType::EndRequest);
    }
}

#[test]
fn a_large_body_comes_back_whole() {
    let mut client =
        connect_fn(async |request: Request<Body>| Ok::<_, BoxError>(Response::new(request.into_body())));
    let body: Vec<u8> = (0..3_000_000u32).map(|number| (number % 251) as u8).collect();
    for _ in 0..2 {
        let sent = client.send_meanwhile(Call::post("/", body.clone()).bytes());
        client.answer(1).assert_ok(&body);
        sent.join().expect("no panic").expect("all was taken");
    }
}

/// The exact size, and whether the body has ended: before it is read, and after.
async fn sizes(request: Request<Body>) -> Answered {
    let mut body = request.into_body();
    let mut sizes = format!("{:?} {}", body.size_hint().exact(), body.is_end_stream());
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    sizes += &format!(", {bytes}, {:?} {}", body.size_hint().exact(), body.is_end_stream());
    assert!(body.frame().await.is_none(), "it stays ended");
    Ok(text(sizes))
}

#[test]
fn the_size_of_a_body_is_known_if_content_length_tells_it() {
    let mut client = connect_fn(sizes);
    let unknown = |length: &str| {
        let mut call = Call::get("/").param("CONTENT_LENGTH", length);
        call.stdin = Some(b"hello".to_vec());
        call
    };
    client.call(&Call::post("/", "hello")).assert_ok("Some(5) false, 5, Some(0) true");
    client.call(&Call::post("/", vec![b'x'; 100_000])).assert_ok("Some(100000) false, 100000, Some(0) true");
    client.call(&Call::post("/", "")).assert_ok("Some(0) false, 0, Some(0) true");
    client.call(&Call::get("/")).assert_ok("None false, 0, Some(0) true");
    for length in ["", "-1", "many"] {
        client.call(&unknown(length)).assert_ok("None false, 5, Some(0) true");
    }
}

/// Answers how reading the body failed.
async fn fails(request: Request<Body>) -> Answered {
    let mut body = request.into_body();
    loop {
        match body.frame().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                assert!(body.frame().await.is_none(), "after an error nothing comes");
                // As if it took a while to answer.
                smol::future::yield_now().await;
                return Ok(text(format!("{:?}: {error}", error.kind())));
            }
            None => return Ok(text("it ended")),
        }
    }
}

#[test]
fn e7_a_body_that_is_not_as_long_as_content_length_is_an_error() {
    let mut client = connect_fn(fails);
    for (length, expected) in [
        (4, "InvalidData: STDIN is longer than CONTENT_LENGTH"),
        (5, "it ended"),
        (6, "UnexpectedEof: STDIN ended short of CONTENT_LENGTH"),
        (u64::MAX, "UnexpectedEof: STDIN ended short of CONTENT_LENGTH"),
    ] {
        let mut call = Call::get("/").param("CONTENT_LENGTH", length.to_string());
        call.stdin = Some(b"hello".to_vec());
        client.call(&call).assert_ok(expected);
    }
}

#[test]
fn a_body_that_stops_coming_is_an_error_that_can_be_answered() {
    let mut settings = Settings::default();
    settings.read_timeout = Duration::from_millis(50);
    let mut client = connect_with(settings, Fun(fails));
    client.send([Call::post("/", "hello").closing().opening(), stdin(b"hel")].concat());
    client.answer(1).assert_ok("TimedOut: the client sent no body within 0.05 s");
}

/// Never ready at first.
#[derive(Clone)]
struct Shy(Option<u32>);

impl Service<Request<Body>> for Shy {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        let polls = self.0.get_or_insert(0);
        *polls += 1;
        if *polls < 3 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<Body>) -> Self::Future {
        let polls = self.0.take();
        future::ready(Ok(text(format!("{polls:?}"))))
    }
}

#[test]
fn a_service_is_called_when_it_is_ready() {
    let mut client = connect(Shy(None));
    for _ in 0..3 {
        client.call(&Call::get("/")).assert_ok("Some(3)");
    }
}

#[test]
fn a_service_that_fails_is_a_500_and_a_line_on_stderr() {
    let mut client = connect_fn(async |_| Err::<Response<Full<Bytes>>, BoxError>("no luck".into()));
    for _ in 0..2 {
        let answer = client.call(&Call::get("/"));
        answer.assert_ended(500, ProtocolStatus::RequestComplete);
        assert_eq!(answer.log(), "no luck\n");
    }
}

#[test]
fn a_service_that_is_never_ready_for_an_error_is_a_500() {
    #[derive(Clone)]
    struct Broken;

    impl Service<Request<Body>> for Broken {
        type Response = Response<Full<Bytes>>;
        type Error = BoxError;
        type Future = future::Ready<Answered>;

        fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Err("broken".into()))
        }

        fn call(&mut self, _request: Request<Body>) -> Self::Future {
            panic!("it is not ready");
        }
    }

    let answer = connect(Broken).call(&Call::get("/"));
    answer.assert_ended(500, ProtocolStatus::RequestComplete);
    assert_eq!(answer.log(), "broken\n");
}

#[test]
fn parameters_that_make_no_request_are_answered_400_without_the_service() {
    let mut client = connect_fn(async |_| -> Answered { panic!("not called") });
    for (call, why) in [
        (Call::get("no path"), "REQUEST_URI is no request target\n"),
        (Call::get("/").param("HTTP_X", "a\nb"), "header field x: control character in its value\n"),
    ] {
        let answer = client.call(&call);
        answer.assert_ended(400, ProtocolStatus::RequestComplete);
        assert_eq!(answer.text(), why);
    }
}

#[test]
fn authorizers_and_filters_are_answered_501_without_the_service() {
    let mut client = connect_fn(async |_| -> Answered { panic!("not called") });
    for call in [Call::get("/").authorizer(), Call::get("/").filter(b"data")] {
        let answer = client.call(&call);
        answer.assert_ended(501, ProtocolStatus::RequestComplete);
        assert_eq!(answer.text(), "only Responders are served here\n");
    }
}

#[test]
fn the_head_has_the_fields_of_the_response_but_those_that_are_hop_by_hop() {
    let mut client = connect_fn(async |_| {
        let response = Response::builder()
            .status(404)
            .header("Content-Type", "text/plain")
            .header("Transfer-Encoding", "chunked")
            .header("Set-Cookie", "a=1")
            .header("Set-Cookie", "b=2");
        Ok::<_, BoxError>(response.body(Full::new(Bytes::from("x")))?)
    });
    let answer = client.call(&Call::get("/"));
    let head =
        "Status: 404 Not Found\r\ncontent-type: text/plain\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\n";
    assert_eq!((answer.head(), answer.text()), (head, "x"));
}

#[test]
fn a_head_that_cannot_be_sent_is_a_500() {
    let mut client = connect_fn(async |request: Request<Body>| {
        let response = match request.uri().path() {
            "/101" => Response::builder().status(101),
            _ => Response::builder().header("X-Long", "x".repeat(10_000)),
        };
        Ok::<_, BoxError>(response.body(Full::new(Bytes::from("x")))?)
    });
    for (uri, log) in [
        ("/101", "response head: not one status of 200 to 999\n"),
        ("/long", "response head: longer than 8192 bytes\n"),
    ] {
        let answer = client.call(&Call::get(uri));
        answer.assert_ended(500, ProtocolStatus::RequestComplete);
        assert_eq!(answer.log(), log);
    }
}

#[test]
fn w23_where_no_body_is_to_be_none_is_read() {
    let mut client = connect_fn(async |request: Request<Body>| {
        let status: u16 = request.uri().path()[1..].parse()?;
        let unread = stream::poll_fn(|_| -> Poll<Option<Result<Frame<Bytes>, BoxError>>> { panic!("read") });
        let response = Response::builder().status(status).header("Content-Length", 3);
        Ok::<_, BoxError>(response.body(StreamBody::new(unread))?)
    });
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        let mut call = Call::get(&format!("/{status}"));
        call.params[0].1 = method.into();
        let answer = client.call(&call);
        answer.assert_ended(status, ProtocolStatus::RequestComplete);
        assert!(answer.head().contains("\r\ncontent-length: 3\r\n"), "{answer:?}");
        assert_eq!((answer.text(), answer.log()), ("", ""));
    }
}

#[test]
fn trailers_are_dropped() {
    let mut client = connect_fn(async |_| {
        let trailers = Frame::trailers([(http::header::ETAG, "x".parse()?)].into_iter().collect());
        Ok::<_, BoxError>(streamed(stream::iter([frame("all"), Ok(trailers)])))
    });
    client.call(&Call::get("/")).assert_ok("all");
}

#[test]
fn w32_a_body_that_fails_is_a_500_if_nothing_was_sent_and_is_cut_else() {
    let mut client = connect_fn(async |request: Request<Body>| {
        let size: usize = request.uri().path()[1..].parse()?;
        let frames = [frame(vec![b'x'; size]), Err("out of paper".into()), frame("never sent")];
        Ok::<_, BoxError>(streamed(stream::iter(frames)))
    });
    let answer = client.call(&Call::get("/10"));
    answer.assert_ended(500, ProtocolStatus::RequestComplete);
    assert_eq!(answer.log(), "out of paper\n");
    client.send(Call::get("/100000").bytes());
    let answer = client.cut_answer();
    assert!(answer.body() == vec![b'x'; 100_000], "{answer:?}");
    assert_eq!(answer.log(), "out of paper\n");
}

#[test]
fn a_body_that_is_not_as_long_as_its_content_length_is_an_error_and_never_longer() {
    const SIZE: usize = 100_000;
    let mut client = connect_fn(async |request: Request<Body>| {
        let length: usize = request.uri().path()[1..].parse()?;
        let frames = stream::iter([frame(vec![b'x'; SIZE - 10]), frame(vec![b'x'; 10])]);
        let mut response = streamed(frames);
        response.headers_mut().insert("Content-Length", length.into());
        Ok::<_, BoxError>(response)
    });
    for (length, log) in [
        (SIZE - 10, "the body is longer than its Content-Length\n"),
        (SIZE - 1, "the body is longer than its Content-Length\n"),
        (SIZE, ""),
        (SIZE + 1, "the body is shorter than its Content-Length\n"),
    ] {
        let answer = client.call(&Call::get(&format!("/{length}")));
        answer.assert_ok(vec![b'x'; length.min(SIZE)]);
        assert_eq!(answer.log(), log, "{length}");
    }
    let answer = client.call(&Call::get("/0"));
    answer.assert_ended(500, ProtocolStatus::RequestComplete);
}

#[test]
fn the_body_is_read_no_faster_than_the_client_takes_it() {
    const FRAME: usize = 10_000;
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let mut client = connect_fn(move |_| {
        let counted = Arc::clone(&counted);
        // Without an end.
        let frames = stream::repeat_with(move || {
            counted.fetch_add(FRAME, Ordering::SeqCst);
            frame(vec![b'x'; FRAME])
        });
        future::ready(Ok::<_, BoxError>(streamed(frames)))
    });
    client.send(Call::get("/").bytes());
    let mut taken = 0;
    while taken < 10_000_000 {
        taken += client.record().content.len();
        let ahead = read.load(Ordering::SeqCst).saturating_sub(taken);
        assert!(ahead < 2_000_000, "{ahead} bytes ahead of the client");
    }
}

#[test]
fn when_a_request_is_aborted_the_service_is_dropped_and_the_connection_goes_on() {
    let (guard, told) = guards();
    let mut client = connect_fn(move |request: Request<Body>| {
        let guard = guard();
        async move {
            if request.uri() == "/wait" {
                future::pending::<()>().await;
            }
            drop(guard);
            Ok::<_, BoxError>(text("ok"))
        }
    });
    for _ in 0..3 {
        client.send(Call::get("/wait").bytes());
        assert_told(&told, "made");
        client.send(abort(1));
        let answer = client.answer(1);
        assert_eq!((answer.app_status, answer.protocol_status), (0, 0), "{answer:?}");
        assert_told(&told, "dropped");
        client.call(&Call::get("/")).assert_ok("ok");
        assert_told(&told, "made");
        assert_told(&told, "dropped");
    }
}

#[test]
fn when_a_request_is_aborted_the_body_of_its_response_is_dropped() {
    let (guard, told) = guards();
    let mut client = connect_fn(move |_| {
        let guard = guard();
        let frames = stream::once(frame("first")).chain(stream::pending()).inspect(move |_| {
            let _kept = &guard;
        });
        future::ready(Ok::<_, BoxError>(streamed(frames)))
    });
    client.send(Call::get("/").bytes());
    assert!(client.record().content.ends_with(b"first"));
    assert_told(&told, "made");
    assert_eq!(told.try_recv(), Err(TryRecvError::Empty));
    client.send(abort(1));
    assert_eq!(client.answer(1).app_status, 0);
    assert_told(&told, "dropped");
}

#[test]
fn when_the_client_leaves_the_service_is_dropped() {
    let (guard, told) = guards();
    let mut client = connect_fn(move |_| {
        let guard = guard();
        async move {
            future::pending::<()>().await;
            drop(guard);
            Ok::<_, BoxError>(text("never"))
        }
    });
    client.send(Call::get("/").bytes());
    assert_told(&told, "made");
    drop(client);
    assert_told(&told, "dropped");
}

#[test]
fn who_closes_only_its_sending_half_is_told_503() {
    let mut client = connect_fn(async |_| future::pending::<Answered>().await);
    client.send(Call::get("/").bytes());
    client.end_sending();
    client.answer(1).assert_ended(503, ProtocolStatus::RequestComplete);
}

#[test]
fn requests_of_one_connection_do_not_wait_for_each_other() {
    let (sender, receiver) = smol::channel::bounded::<()>(1);
    let mut client = connect_fn(move |request: Request<Body>| {
        let (sender, receiver) = (sender.clone(), receiver.clone());
        async move {
            match request.uri().path() {
                "/waits" => receiver.recv().await?,
                _ => sender.send(()).await?,
            }
            Ok::<_, BoxError>(text(request.uri().path().to_owned()))
        }
    });
    client.send([Call::get("/waits").bytes(), Call::get("/wakes").id(2).bytes()].concat());
    let mut ended = Vec::new();
    while ended.len() < 2 {
        let record = client.record();
        if record.record_type == RecordType::EndRequest {
            ended.push(record.id);
        }
    }
    ended.sort_unstable();
    assert_eq!(ended, [1, 2]);
}

#[test]
fn a_service_that_stays_on_its_thread_runs_on_a_local_executor() {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let server = thread::spawn(move || {
        let greeting = Rc::new("from one thread");
        let executor = LocalExecutor::new();
        let stream = Async::new(theirs).expect("a socket that async-io takes");
        let service = Fun(move |_| {
            let greeting = Rc::clone(&greeting);
            async move { Ok::<_, Infallible>(text(*greeting)) }
        });
        let handler = |request| tower::answer(service.clone(), request);
        smol::block_on(executor.run(serve_stream(stream, &Settings::default(), &executor, handler)))
    });
    let mut client = Client::from(ours.into());
    client.call(&Call::get("/")).assert_ok("from one thread");
    drop(client);
    server.join().expect("no panic").expect("the connection ends in good order");
}

#[test]
fn a_body_can_be_moved_to_any_thread_and_outlive_its_request() {
    let (sender, receiver) = mpsc::channel::<Body>();
    let sender = Arc::new(Mutex::new(sender));
    let mut client = connect_fn(move |request: Request<Body>| {
        let sent = sender.lock().expect("no thread panics with it").send(request.into_body());
        future::ready(sent.map(|()| text("ok")).map_err(BoxError::from))
    });
    client.call(&Call::post("/", "unread")).assert_ok("ok");
    let mut body = receiver.recv_timeout(PATIENCE).expect("a body");
    let frame = smol::block_on(poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)));
    let error = frame.expect("not the end").expect_err("the request is over");
    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
}
