//! Response heads as real web servers need them, through a whole server. The tests are named after the
//! observations (w22 to w26) that they answer.

mod support;

use std::io::ErrorKind;

use fcgi_proto::record::ProtocolStatus;
use fcgi_smol::{HeadError, Request, Status};
use smol::io::AsyncWriteExt;
use support::{Answer, Call, Running, Settings, settings};

/// What the client gets when a handler writes the request's body to STDOUT as it is.
fn raw(calls: impl IntoIterator<Item = Call>) -> Vec<Answer> {
    let server = Running::unix(Settings::default(), |request: Request| async move {
        smol::io::copy(request.stdin(), &mut request.stdout()).await?;
        Ok(())
    });
    let mut client = server.connect();
    calls.into_iter().map(|call| client.call(&call)).collect()
}

fn written(text: &str) -> Answer {
    raw([Call::post("/", text)]).remove(0)
}

#[test]
fn w22_status_is_always_written_and_first() {
    for (text, head) in [
        ("Content-Type: a/b\n\nx", "Status: 200 OK\r\nContent-Type: a/b\r\n\r\n"),
        (
            "Content-Type: a/b\r\nStatus: 404 Gone away\r\n\r\nx",
            "Status: 404 Gone away\r\nContent-Type: a/b\r\n\r\n",
        ),
        ("status:201\nContent-Type: a/b\n\nx", "Status: 201 Created\r\nContent-Type: a/b\r\n\r\n"),
        ("Location: /x\n\n", "Status: 302 Found\r\nLocation: /x\r\n\r\n"),
    ] {
        assert_eq!(written(text).head(), head, "{text:?}");
    }
    let server = Running::unix(Settings::default(), |request: Request| async move {
        request.respond(Status::NOT_FOUND).header("Content-Type", "a/b")?.write_all(b"x").await?;
        Ok(())
    });
    let answer = server.connect().call(&Call::get("/"));
    assert_eq!(answer.head(), "Status: 404 Not Found\r\nContent-Type: a/b\r\n\r\n");
}

#[test]
fn w23_head_204_and_304_carry_no_body_whatever_is_written() {
    let bodies = ["", "a body", &"a large body".repeat(10_000)];
    for body in bodies {
        for (status, kept) in [("200 OK", true), ("204 No Content", false), ("304 Not Modified", false)] {
            let text = format!("Status: {status}\r\nContent-Type: a/b\r\n\r\n{body}");
            let get = Call::post("/", &*text);
            let mut head = get.clone();
            head.params[0].1 = b"HEAD".to_vec();
            let [answer, nothing] = &raw([get, head])[..] else { panic!("two answers") };
            assert_eq!(answer.body(), if kept { body.as_bytes() } else { b"" }, "{status}");
            assert_eq!(nothing.body(), b"", "{status} to HEAD");
            assert_eq!(nothing.head(), answer.head());
        }
    }
}

#[test]
fn w23_a_handler_that_fields_its_answer_writes_no_body_either() {
    let server = Running::unix(Settings::default(), |request: Request| async move {
        let code = request.param_str("REQUEST_URI").unwrap_or_default().parse()?;
        let status = Status::new(code).ok_or("no status")?;
        let mut page = request.respond(status).header("Content-Length", "100000")?;
        page.write_all(&[b'b'; 50_000]).await?;
        page.flush().await?;
        page.write_all(&[b'b'; 50_000]).await?;
        Ok(())
    });
    let mut client = server.connect();
    for (method, code, length) in
        [("GET", 200, 100_000), ("HEAD", 200, 0), ("GET", 204, 0), ("POST", 304, 0), ("HEAD", 404, 0)]
    {
        let mut call = Call::get(&code.to_string());
        call.params[0].1 = method.into();
        let answer = client.call(&call);
        answer.assert_ended(code, ProtocolStatus::RequestComplete);
        assert_eq!(answer.body().len(), length, "{method} {code}");
        assert!(answer.head().contains("Content-Length: 100000\r\n"));
    }
}

#[test]
fn w24_a_body_always_has_a_type() {
    let typed = "Status: 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n";
    assert_eq!(written("Status: 200 OK\n\n<html>").head(), typed);
    assert_eq!(written("\nonly a body").head(), typed);
    let server = Running::unix(Settings::default(), |request: Request| async move {
        request.respond(Status::OK).write_all(b"<html>").await?;
        Ok(())
    });
    assert_eq!(server.connect().call(&Call::get("/")).head(), typed);
}

#[test]
fn w25_a_head_beyond_8_kib_fails_the_write_and_becomes_a_500() {
    for length in [8 * 1024, 16 * 1024, 100_000] {
        let answer = written(&format!("Status: 200 OK\r\nX-Long: {}\r\n\r\nbody", "l".repeat(length)));
        answer.assert_ended(500, ProtocolStatus::RequestComplete);
        assert_eq!(answer.log(), "response head: longer than 8192 bytes\n");
    }
    let text = format!("Status: 200 OK\r\nX-Long: {}\r\n\r\nbody", "l".repeat(8000));
    assert_eq!(written(&text).body(), b"body");
}

#[test]
fn w25_the_head_limit_is_the_setting() {
    let long = |request: Request| async move {
        let length = request.param_str("REQUEST_URI").unwrap_or_default().parse()?;
        let field = request.respond(Status::OK).header("X-Long", vec![b'l'; length]);
        if let Err(error) = &field {
            assert!(matches!(error, HeadError::TooLong { .. }), "{error}");
        }
        Ok(field?.write_all(b"body").await?)
    };
    let large = settings(|settings| settings.head_limit = 20_000);
    for (change, fits, too_long) in [(Settings::default(), 8000, 8192), (large, 19_800, 20_000)] {
        let server = Running::unix(change, long);
        let mut client = server.connect();
        let answer = client.call(&Call::get(&fits.to_string()));
        assert_eq!((answer.status(), answer.body()), (200, &b"body"[..]));
        let answer = client.call(&Call::get(&too_long.to_string()));
        answer.assert_ended(500, ProtocolStatus::RequestComplete);
        assert!(answer.log().contains("longer than"), "{}", answer.log());
    }
}

#[test]
fn w26_a_103_is_not_sent() {
    let answer = written("Status: 103 Early Hints\r\nLink: </x>\r\n\r\nStatus: 200 OK\r\n\r\n");
    answer.assert_ended(500, ProtocolStatus::RequestComplete);
    assert!(!String::from_utf8_lossy(&answer.stdout).contains("103"));
    assert_eq!(Status::new(103), None);
}

#[test]
fn fields_that_would_split_the_head_are_refused() {
    let server = Running::unix(Settings::default(), |request: Request| async move {
        let page = request.respond(Status::OK);
        page.header("X-Name", "a\r\nSet-Cookie: stolen=1")?.write_all(b"body").await?;
        Ok(())
    });
    let answer = server.connect().call(&Call::get("/"));
    answer.assert_ended(500, ProtocolStatus::RequestComplete);
    assert!(!answer.head().contains("Set-Cookie"));
}

#[test]
fn equal_fields_are_all_sent() {
    let server = Running::unix(Settings::default(), |request: Request| async move {
        let page = request.respond(Status::OK).header("Set-Cookie", "a=1")?;
        page.header("Set-Cookie", "b=2")?.write_all(b"body").await?;
        Ok(())
    });
    let answer = server.connect().call(&Call::get("/"));
    assert!(answer.head().contains("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"), "{}", answer.head());
}

#[test]
fn an_answer_is_begun_once() {
    let server = Running::unix(Settings::default(), |request: Request| async move {
        request.respond(Status::OK).write_all(b"first").await?;
        let mut second = request.respond(Status::NOT_FOUND);
        let error = second.write_all(b"second").await.expect_err("it was answered");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(second.header("X", "y").err(), Some(HeadError::Begun));
        request.stdout().write_all(b", and more").await?;
        Ok(())
    });
    let answer = server.connect().call(&Call::get("/"));
    answer.assert_ok("first, and more");
}
