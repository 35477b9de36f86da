//! The example `gateway` among slow browsers, busy applications and those that fail: nobody waits for somebody
//! else's fault.
//!
//! Without php-fpm its tests are skipped with a line on stderr, or fail if `FCGI_REQUIRE_INTEROP=1`.
#![cfg(unix)]

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

#[path = "adapter/client.rs"]
mod adapter;

#[path = "../../fcgi-blocking/tests/client/script.rs"]
mod script;

mod web;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use script::{App, answer, end, page, stdout};
use support::disk::Small;
use support::skipped::skipped;
use support::{PATIENCE, executable};
use web::http::{ask, begin};
use web::process::wait_until;
use web::{Fpm, Gateway, folder, skip};

/// The whole answer to a GET, on a connection of its own.
fn get(gateway: &Gateway, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    ask(gateway.address, request.as_bytes())
}

/// What an answer that is sent over this connection is, up to its end or what comes instead.
fn read_all(stream: &mut TcpStream) -> (String, io::Result<()>) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit can be set");
    let mut bytes = Vec::new();
    let result = stream.read_to_end(&mut bytes).map(drop);
    (String::from_utf8_lossy(&bytes).into_owned(), result)
}

const SUM: &str = "<?php echo strlen(file_get_contents('php://input')), \" bytes\\n\";";

#[test]
fn a_slow_browser_holds_no_worker() {
    let fpm = match Fpm::with_children(4, &[("sum.php", SUM)]) {
        Ok(fpm) => fpm,
        Err(reason) => return skip(&reason),
    };
    let gateway = fpm.gateway();
    let lengths = ["Content-Length: 6\r\n\r\nab", "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"];
    let rests = ["cdef", "4\r\ncdef\r\n0\r\n\r\n"];
    let mut slow: Vec<_> = (0..8)
        .map(|number| {
            let head = "POST /sum.php HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
            begin(gateway.address, format!("{head}{}", lengths[number % 2]).as_bytes())
        })
        .collect();
    for _ in 0..8 {
        let (status, body) = get(&gateway, "/sum.php");
        assert!(status == 200 && body.contains("0 bytes"), "{status} {body}");
    }
    for (number, stream) in slow.iter_mut().enumerate() {
        stream.write_all(rests[number % 2].as_bytes()).expect("it is read");
        let (answer, _) = read_all(stream);
        assert!(answer.contains("6 bytes"), "{answer}");
    }
}

#[test]
fn a_full_disk_is_500_and_not_the_browsers_fault_and_the_log_names_the_folder() {
    let app = App::tcp(|_, _| panic!("nobody is asked"));
    let gateway = Gateway::with_folder("/nonexistent/folder", &["--app", &app.endpoint.to_string()]);
    let answer = gateway.browser().post("/", &vec![b'x'; 1_000_000]);
    assert_eq!(answer.status, 500);
    assert!(gateway.log().contains("POST /: "), "{}", gateway.log());
    assert!(gateway.log().contains("/nonexistent/folder"), "{}", gateway.log());
    assert_eq!(app.connections(), 0);
}

/// A gateway in front of the application that makes its temporary files where there is no room for many; or why
/// there can be none here.
fn on_a_full_disk(app: &App) -> Result<(Small, Gateway), String> {
    let small = Small::new()?;
    let folder = small.path().to_str().expect("temporary paths are UTF-8");
    let gateway = Gateway::with_folder(folder, &["--app", &app.endpoint.to_string()]);
    Ok((small, gateway))
}

#[test]
fn a_full_disk_is_507_for_an_upload_and_the_next_one_that_fits_is_taken() {
    let app = App::tcp(|_, peer| {
        let asked = peer.request();
        peer.send(page(&asked.stdin.len().to_string()));
    });
    let (small, gateway) = match on_a_full_disk(&app) {
        Ok(both) => both,
        Err(reason) => return skipped(reason),
    };
    for size in [1_000_000, 300_000] {
        let answer = gateway.browser().post("/", &vec![b'x'; size]);
        assert_eq!(answer.status, 507);
        assert_eq!(app.connections(), 0);
    }
    let said = format!("POST /: request body, kept in {}: No space left", small.path().display());
    assert_eq!(gateway.log().matches(&said).count(), 2, "{}", gateway.log());
    assert_eq!(gateway.browser().post("/", &vec![b'x'; 200_000]).text(), "200000");
    drop(gateway);
}

#[test]
fn an_answer_that_a_full_disk_does_not_take_waits_for_its_reader() {
    let app = App::tcp(|_, peer| {
        peer.request();
        much(peer, MUCH);
    });
    let (small, gateway) = match on_a_full_disk(&app) {
        Ok(both) => both,
        Err(reason) => return skipped(reason),
    };
    let mut stream = begin(gateway.address, b"GET / HTTP/1.0\r\n\r\n");
    let said = format!("an answer is not taken in: {}: No space left", small.path().display());
    assert!(wait_until(|| gateway.log().contains(&said)), "{}", gateway.log());
    let (answer, end) = read_all(&mut stream);
    end.expect("a whole answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(body.len() == MUCH && body.bytes().all(|byte| byte == b'x'), "{} bytes", body.len());
    drop(gateway);
}

/// Ends its answer, and works on until there is a file.
const FINISH: &str = "<?php
    echo 'finished';
    fastcgi_finish_request();
    for ($i = 0; $i < 1500 && !file_exists(dirname(__DIR__) . '/go'); $i++) usleep(10000);
    touch(dirname(__DIR__) . '/done');
";

/// Ends its answer, and asks the site that it is of.
const ITSELF: &str = "<?php
    echo 'finished';
    fastcgi_finish_request();
    $page = file_get_contents('http://' . $_SERVER['HTTP_HOST'] . '/sum.php');
    file_put_contents(dirname(__DIR__) . '/itself', $page);
";

#[test]
fn an_application_that_works_on_after_its_end_request_holds_up_nobody() {
    let fpm = match Fpm::with_children(4, &[("sum.php", SUM), ("finish.php", FINISH), ("itself.php", ITSELF)])
    {
        Ok(fpm) => fpm,
        Err(reason) => return skip(&reason),
    };
    let file = |name: &str| fpm.root().parent().expect("a folder").join(name);
    let gateway = fpm.gateway();
    let browser = gateway.browser();
    assert_eq!(browser.get("/sum.php").text(), "0 bytes\n");
    assert_eq!(browser.get("/finish.php").text(), "finished");
    for _ in 0..4 {
        assert_eq!(browser.get("/sum.php").text(), "0 bytes\n");
        assert_eq!(browser.post("/sum.php", b"body").text(), "4 bytes\n");
    }
    assert!(!file("done").exists(), "it is still at work");
    fs::write(file("go"), "").expect("it can be written");
    assert!(wait_until(|| file("done").exists()));
    assert_eq!(browser.get("/itself.php").text(), "finished");
    assert!(wait_until(|| fs::read_to_string(file("itself")).is_ok_and(|page| page == "0 bytes\n")));
}

#[test]
fn where_connections_are_kept_one_that_works_on_costs_a_get_a_moment() {
    let fpm = match Fpm::with_children(4, &[("sum.php", SUM), ("finish.php", FINISH)]) {
        Ok(fpm) => fpm,
        Err(reason) => return skip(&reason),
    };
    let file = |name: &str| fpm.root().parent().expect("a folder").join(name);
    let gateway = fpm.gateway_with(&["--keep", "2"]);
    let browser = gateway.browser();
    assert_eq!(browser.get("/finish.php").text(), "finished");
    for _ in 0..4 {
        assert_eq!(browser.get("/sum.php").text(), "0 bytes\n");
        assert_eq!(browser.post("/sum.php", b"body").text(), "4 bytes\n");
    }
    assert!(!file("done").exists(), "it is still at work");
    fs::write(file("go"), "").expect("it can be written");
}

#[test]
fn a_post_in_chunks_is_not_executed_twice() {
    let posts = Arc::new(AtomicUsize::new(0));
    let app = App::tcp({
        let posts = Arc::clone(&posts);
        move |_, peer| {
            while let Some(asked) = peer.try_request() {
                if asked.param("REQUEST_METHOD") == Some("POST") {
                    posts.fetch_add(1, Ordering::SeqCst);
                    return; // Its first byte may have been read.
                }
                peer.send(page("ok"));
            }
        }
    });
    let gateway = Gateway::start(&["--app", &app.endpoint.to_string(), "--keep", "1"]);
    // Two show that connections are kept.
    assert_eq!([get(&gateway, "/").0, get(&gateway, "/").0], [200, 200]);
    let request = "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(ask(gateway.address, request.as_bytes()).0, 502);
    assert_eq!(posts.load(Ordering::SeqCst), 1);
    drop(gateway);
}

/// More than all sockets between an application and a browser hold.
const MUCH: usize = 24 << 20;

/// Sends a page of so many bytes, in records of 32 KiB.
fn much(peer: &mut script::Peer, size: usize) {
    peer.send(stdout("Content-Type: text/plain\r\n\r\n"));
    let piece = stdout(vec![b'x'; size.min(32 * 1024)]);
    (0..size.div_ceil(32 * 1024)).for_each(|_| peer.send(&piece));
    peer.send(end(0, 0));
}

#[test]
fn an_answer_is_taken_in_for_browsers_that_read_slowly() {
    let app = App::tcp(|_, peer| {
        let asked = peer.request();
        much(peer, if asked.param("REQUEST_URI") == Some("/much") { MUCH } else { 1 });
    });
    let gateway = Gateway::start(&["--app", &app.endpoint.to_string(), "--connections", "1"]);
    let mut slow: Vec<_> = (0..4).map(|_| begin(gateway.address, b"GET /much HTTP/1.0\r\n\r\n")).collect();
    let (status, body) = get(&gateway, "/");
    assert!(status == 200 && body.contains('x'), "{status}: {}", gateway.log());
    for stream in &mut slow {
        let (answer, end) = read_all(stream);
        end.expect("a whole answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(body.len() == MUCH && body.bytes().all(|byte| byte == b'x'), "{} bytes", body.len());
    }
    drop(gateway);
}

#[test]
fn what_is_taken_in_waits_for_its_reader_where_there_is_no_place_for_it() {
    let app = App::tcp(|_, peer| {
        peer.request();
        much(peer, MUCH);
    });
    let gateway = Gateway::with_folder("/nonexistent/folder", &["--app", &app.endpoint.to_string()]);
    let mut stream = begin(gateway.address, b"GET / HTTP/1.0\r\n\r\n");
    assert!(wait_until(|| gateway.log().contains("an answer is not taken in: /nonexistent/folder")));
    let (answer, end) = read_all(&mut stream);
    end.expect("a whole answer");
    assert_eq!(answer.split_once("\r\n\r\n").expect("a head").1.len(), MUCH);
    drop(gateway);
}

#[test]
fn eight_streams_of_events_leave_room_for_everybody_else() {
    let gateway = Gateway::start(&[]);
    let request = b"GET /stream/2/600000 HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut streams: Vec<_> = (0..8).map(|_| begin(gateway.address, request)).collect();
    for stream in &mut streams {
        let mut answer = String::new();
        while !answer.ends_with("\r\n1\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("it begins");
            answer.push(byte[0].into());
        }
    }
    assert_eq!(get(&gateway, "/bytes/1").0, 200);
}

#[test]
fn a_queue_is_told_apart_from_a_failure() {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let app = App::tcp(move |_, peer| {
        peer.request();
        told.lock().expect("nobody panics with it").recv_timeout(PATIENCE).expect("the test goes on");
        peer.send(page("ok"));
    });
    let address = app.endpoint.to_string();
    let limits = ["--connections", "1", "--queue", "1", "--wait", "1"];
    let gateway = Gateway::start(&[&["--app", &address], &limits[..]].concat());
    let request = b"GET /first HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let mut first = begin(gateway.address, request);
    assert!(wait_until(|| app.connections() == 1));
    // One of these has the place in the queue until it has waited for long enough, the other one has none.
    for mut other in [(); 2].map(|()| begin(gateway.address, request)) {
        let (answer, _) = read_all(&mut other);
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"), "{answer}");
    }
    let full = "GET /first: all connections are taken, and 1 requests wait for one";
    let late = "GET /first: no connection became free within 1 s";
    assert!(gateway.log().contains(full) && gateway.log().contains(late), "{}", gateway.log());
    tell.send(()).expect("it waits");
    assert!(read_all(&mut first).0.starts_with("HTTP/1.1 200"));
    drop(gateway);
}

#[test]
fn an_answer_to_an_upload_that_nobody_reads_arrives_whole() {
    let gateway = Gateway::start(&["--stream"]);
    let upload = |head: &str, size: usize| {
        let mut stream = begin(gateway.address, head.as_bytes());
        let mut sending = stream.try_clone().expect("a descriptor");
        let sender = thread::spawn(move || {
            let piece = vec![0; 64 * 1024];
            (0..size / piece.len()).all(|_| sending.write_all(&piece).is_ok())
        });
        let (answer, end) = read_all(&mut stream);
        end.expect("no reset before the end of the answer");
        sender.join().expect("it sends");
        answer
    };
    for _ in 0..5 {
        let head =
            "POST /ignore HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 31457280\r\n\r\n";
        let answer = upload(head, 31_457_280);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("ok"), "{answer}");
        let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741825\r\n\r\n";
        let answer = upload(head, 8 << 20);
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }
}

/// An application that sends a head and this part of each body, and closes when it is told to.
fn closing_when_told(part: &str) -> (App, mpsc::Sender<()>) {
    let (closes, told) = mpsc::channel();
    let (told, part) = (Mutex::new(told), part.to_owned());
    let app = App::tcp(move |_, peer| {
        peer.request();
        peer.send(stdout(format!("Content-Type: text/plain\r\n\r\n{part}")));
        let told = told.lock().expect("nobody panics with it");
        told.recv_timeout(PATIENCE).expect("the browser has the part");
    });
    (app, closes)
}

/// Reads until what came ends with this.
#[track_caller]
fn read_up_to(stream: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("more comes");
        bytes.extend(byte);
    }
    String::from_utf8(bytes).expect("text")
}

#[test]
fn a_cut_answer_that_only_the_close_ends_is_a_reset() {
    let (app, closes) = closing_when_told("part");
    let gateway = Gateway::start(&["--app", &app.endpoint.to_string()]);
    let mut browser = begin(gateway.address, b"GET / HTTP/1.0\r\n\r\n");
    let answer = read_up_to(&mut browser, "part");
    closes.send(()).expect("it waits");
    let (rest, end) = read_all(&mut browser);
    assert!(answer.starts_with("HTTP/1.") && rest.is_empty(), "{answer}, then {rest}");
    assert_eq!(end.expect_err("no end").kind(), ErrorKind::ConnectionReset);
    // Where the framing tells, it is a plain end.
    let mut browser = begin(gateway.address, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = read_up_to(&mut browser, "4\r\npart\r\n");
    closes.send(()).expect("it waits");
    let (rest, end) = read_all(&mut browser);
    end.expect("a plain end");
    assert!(rest.is_empty(), "{answer}, then {rest}");
    drop(gateway);
}

#[test]
fn of_browsers_that_ask_for_nothing_the_oldest_makes_room() {
    let gateway = Gateway::start(&[]);
    let mut idle: Vec<_> =
        (0..512).map(|_| TcpStream::connect(gateway.address).expect("it accepts")).collect();
    for _ in 0..3 {
        assert_eq!(get(&gateway, "/bytes/1").0, 200);
    }
    let (left, _) = read_all(&mut idle[0]);
    assert_eq!(left, "", "the first one was closed");
    idle[511].set_read_timeout(Some(PATIENCE / 400)).expect("a limit can be set");
    let still = idle[511].read(&mut [0]).expect_err("the last one was not");
    assert_eq!(still.kind(), ErrorKind::WouldBlock);
}

/// The lines of the log that name the application.
fn lines(gateway: &Gateway, app: &App) -> Vec<String> {
    let name = app.endpoint.to_string();
    gateway.log().lines().filter(|line| line.contains(&name)).map(str::to_owned).collect()
}

#[test]
fn a_protocol_error_is_a_502_and_one_line_that_names_application_request_and_bytes() {
    for played in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        [&stdout("A: b\r\n\r\nabc")[..], b"\x06\x06garbage bytes here"].concat(),
    ] {
        let bytes = if played[0] == b'H' { "[48, 54, 54, 50, 2f, 31, 2e, 31]" } else { "[06, 06, 67, 61" };
        let app = App::tcp(move |_, peer| drop(peer.serve(&played)));
        let gateway = Gateway::start(&["--app", &app.endpoint.to_string()]);
        let (status, _) = get(&gateway, "/page?a=b");
        assert_eq!(status, 502);
        assert!(wait_until(|| !lines(&gateway, &app).is_empty()), "{}", gateway.log());
        let said = lines(&gateway, &app);
        assert!(said.len() == 1 && said[0].contains("GET /page?a=b") && said[0].contains(bytes), "{said:?}");
        assert_eq!(gateway.log().lines().count(), 2, "and where it is: {}", gateway.log());
        drop(gateway);
    }
}

#[test]
fn an_answer_that_is_none_or_half_of_one_is_one_line_that_names_application_and_request() {
    for (played, says) in [
        ("no head at all\r\n\r\n", "line without a colon"),
        ("A: b\r\n", "head"),
        ("Status: 200\r\nX-Name: \x7f\r\n\r\n", "x-name"),
        ("Content-Length: 5\r\n\r\nabc", "2 bytes before its Content-Length"),
    ] {
        let app = App::tcp(move |_, peer| {
            peer.request();
            peer.send(answer(played));
        });
        let gateway = Gateway::start(&["--app", &app.endpoint.to_string()]);
        let request = b"GET /page?a=b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        let (answer, _) = read_all(&mut begin(gateway.address, request));
        let status = if played.starts_with("Content") { 200 } else { 502 };
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(wait_until(|| !lines(&gateway, &app).is_empty()), "{}", gateway.log());
        let said = lines(&gateway, &app);
        assert!(said.len() == 1 && said[0].contains("GET /page?a=b") && said[0].contains(says), "{said:?}");
        assert_eq!(gateway.log().lines().count(), 2, "and where it is: {}", gateway.log());
        drop(gateway);
    }
}

#[test]
fn an_application_that_dies_in_its_answer_cuts_the_body_and_is_a_line() {
    let (app, closes) = closing_when_told(&"x".repeat(20_000));
    let gateway = Gateway::start(&["--app", &app.endpoint.to_string()]);
    let mut browser = begin(gateway.address, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut answer = read_up_to(&mut browser, "xxx");
    closes.send(()).expect("it waits");
    answer.push_str(&read_all(&mut browser).0);
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.ends_with("0\r\n\r\n"), "{}", answer.len());
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert_eq!(body.matches('x').count(), 20_000);
    let said = lines(&gateway, &app);
    assert!(said.len() == 1 && said[0].contains("closed before the end of its answer"), "{said:?}");
    drop(gateway);
}

#[test]
fn an_application_that_comes_back_is_used_at_once() {
    let dir = folder();
    let socket = dir.path().join("socket");
    let path = socket.to_str().expect("UTF-8");
    let gateway = Gateway::start(&["--app", path]);
    for _ in 0..20 {
        assert_eq!(get(&gateway, "/").0, 502);
    }
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("the path is free");
    fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("it is ours");
    let app = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("it is asked");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit can be set");
        script::Peer::new(stream.into()).serve(answer("A: b\r\n\r\nback"));
    });
    assert_eq!(get(&gateway, "/").0, 200);
    app.join().expect("it was asked");
}

#[test]
fn two_fronts_with_kept_connections_do_not_wait_for_each_other() {
    let fpm = match Fpm::with_children(2, &[("sum.php", SUM)]) {
        Ok(fpm) => fpm,
        Err(reason) => return skip(&reason),
    };
    let fronts = [fpm.gateway_with(&["--keep", "2"]), fpm.gateway_with(&["--keep", "2"])];
    for _ in 0..3 {
        for front in &fronts {
            let asked = std::time::Instant::now();
            let request = b"GET /sum.php HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
            for mut request in [(); 2].map(|()| begin(front.address, request)) {
                assert!(read_all(&mut request).0.contains("0 bytes"));
            }
            assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        }
    }
}
