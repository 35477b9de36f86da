//! The examples that show an author and an operator around: `form` and `watched`.

mod support;

use support::child::{Serving, example};
use support::{Call, wait_until};

/// An upload of these files, as browsers send it.
fn upload(files: &[(&str, &[u8])]) -> Call {
    let mut body = Vec::new();
    for (name, content) in files {
        let head = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"";
        body.extend([head.as_bytes(), name.as_bytes(), b"\"\r\n\r\n", content, b"\r\n"].concat());
    }
    body.extend(b"--edge--\r\n");
    Call::post("/upload", body).param("CONTENT_TYPE", "multipart/form-data; boundary=edge")
}

#[test]
fn form_reads_queries_forms_cookies_and_uploads() {
    let server = Serving::unix(&mut example("form"));
    let mut client = server.connect();
    assert!(client.call(&Call::get("/")).text().contains("<h1>Hello, stranger</h1>"));
    client.call(&Call::get("/search?word=caf%C3%A9+au+lait&n=1")).assert_ok("word: café au lait\nn: 1\n");

    let form = Call::post("/name", "name=J%C3%BCrgen+%3Cb%3E");
    let answer = client.call(&form.param("CONTENT_TYPE", "application/x-www-form-urlencoded"));
    assert!(answer.head().contains("Status: 303 See Other\r\n"), "{}", answer.head());
    let cookie = answer.head().lines().find_map(|line| line.strip_prefix("Set-Cookie: "));
    let cookie = cookie.and_then(|cookie| cookie.split(';').next()).expect("a cookie");
    let page = client.call(&Call::get("/").param("HTTP_COOKIE", format!("a=b; {cookie}")));
    assert!(page.text().contains("<h1>Hello, Jürgen &lt;b&gt;</h1>"), "{}", page.text());
    assert_eq!(client.call(&Call::post("/name", "")).status(), 400);

    let large: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let call = upload(&[("a.txt", b"hello"), ("b", &large)]);
    let writer = client.send_meanwhile(call.bytes());
    let sums = format!(
        "a.txt: 5 bytes, {:08x}\nb: 3000000 bytes, {:08x}\n",
        crc32fast::hash(b"hello"),
        crc32fast::hash(&large)
    );
    client.answer(1).assert_ok(sums);
    writer.join().expect("the writer ends").expect("everything is read");
    for call in [Call::post("/upload", "no form"), upload(&[]).param("CONTENT_TYPE", "multipart/form-data")] {
        assert_eq!(client.call(&call).status(), 400);
    }
    let mut cut = upload(&[("a.txt", b"hello")]);
    cut.stdin.as_mut().expect("a body").truncate(60);
    assert_eq!(client.call(&cut).status(), 400);
    assert_eq!(client.call(&Call::get("/elsewhere")).status(), 404);
    drop(client);
    assert_eq!(server.finish(), "");
}

#[test]
fn watched_counts_for_a_person_and_for_prometheus() {
    let server = Serving::unix(&mut example("watched"));
    let mut client = server.connect();
    client.call(&Call::post("/0", "four")).assert_ok("ok\n");
    client.call(&Call::get("/")).assert_ok("ok\n");
    let status = client.call(&Call::get("/status?full"));
    for line in ["requests:             2", "active requests:      1", "bytes in:             4"] {
        assert!(status.text().lines().any(|found| found == line), "{line}: {}", status.text());
    }
    let metrics = client.call(&Call::get("/metrics"));
    assert!(metrics.head().contains("text/plain; version=0.0.4"), "{}", metrics.head());
    for line in [
        "# TYPE fastcgi_requests_total counter",
        "fastcgi_requests_total{status=\"2xx\"} 3",
        "fastcgi_requests_active 1",
        "fastcgi_received_bytes_total 4",
    ] {
        assert!(metrics.text().lines().any(|found| found == line), "{line}: {}", metrics.text());
    }
}

#[test]
fn watched_takes_a_request_for_active_while_its_handler_runs() {
    let server = Serving::unix(&mut example("watched"));
    // It is refused before it has a handler.
    let large = Call::get("/").param("HTTP_X", "x".repeat(2 << 20));
    assert_eq!(server.connect().call(&large).status(), 431);
    let mut client = server.connect();
    let mut shows = |active: &str| {
        let line = format!("active requests:      {active}");
        wait_until(|| client.call(&Call::get("/status")).text().lines().any(|found| found == line))
    };
    assert!(shows("1"), "this one");
    let mut sleepers = [server.connect(), server.connect()];
    sleepers.iter_mut().for_each(|sleeper| sleeper.send(Call::get("/5000").bytes()));
    assert!(shows("3"));
    sleepers.iter_mut().for_each(|sleeper| sleeper.answer(1).assert_ok("ok\n"));
    assert!(shows("1"));
}

#[test]
fn watched_has_a_line_for_a_slow_request() {
    let server = Serving::unix(&mut example("watched"));
    server.connect().call(&Call::get("/1050")).assert_ok("ok\n");
    let log = server.finish();
    assert!(log.lines().count() == 1 && log.contains("slow: GET /1050 200, 0 bytes in, "), "{log}");
}
