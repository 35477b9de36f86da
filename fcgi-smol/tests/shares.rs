//! Requests that share a connection, on one thread: none keeps the others from going on.
#![cfg(unix)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use fcgi_proto::pair::Packer;
use fcgi_proto::record::{BeginRequest, Flags, Header, RecordType, Role};
use fcgi_smol::{Request, Settings, Status, serve_stream};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, LocalExecutor};

/// More than one request may keep waiting, and than sockets hold.
const LARGE: usize = 4 << 20;

const LONG: Duration = Duration::from_secs(3600);

/// Serves one connection on one thread: each request is answered with the length of its body.
fn connect() -> UnixStream {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    std::thread::spawn(move || {
        let (executor, mut settings) = (LocalExecutor::new(), Settings::default());
        // No limit that passes has the connection go on.
        (settings.params_timeout, settings.read_timeout) = (LONG, LONG);
        (settings.write_timeout, settings.drain_timeout) = (LONG, LONG);
        let stream = Async::new(theirs).expect("a socket");
        let serve = serve_stream(stream, &settings, &executor, |request: Request| async move {
            let mut body = request.respond(Status::OK);
            body.write_all(b"begun, ").await?;
            body.flush().await?;
            let (mut length, mut buffer) = (0, vec![0; 1024]);
            while let count @ 1.. = request.stdin().read(&mut buffer).await? {
                length += count;
            }
            Ok(body.write_all(format!("{length} bytes").as_bytes()).await?)
        });
        // Whatever becomes of the connection, the test sees its end.
        let _ = smol::block_on(executor.run(serve));
    });
    ours.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
    ours.set_write_timeout(Some(Duration::from_secs(20))).expect("a time limit");
    ours
}

fn record(record_type: RecordType, id: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("it fits a record");
    let mut header = Header::new(record_type, id, length);
    header.padding_length = 0;
    [&header.encode(), content].concat()
}

fn begin(id: u16) -> Vec<u8> {
    let begin = BeginRequest { role: Role::Responder as u16, flags: Flags(1) };
    let mut pairs = Packer::new([0; 64]);
    pairs.push(b"REQUEST_METHOD", b"POST").expect("there is room");
    [
        record(RecordType::BeginRequest, id, &begin.encode()),
        record(RecordType::Params, id, pairs.bytes()),
        record(RecordType::Params, id, &[]),
    ]
    .concat()
}

/// Reads until `text` was there.
fn read_until(mut stream: &UnixStream, text: &str) {
    let (mut seen, mut buffer) = (Vec::new(), [0; 64 << 10]);
    while !seen.windows(text.len()).any(|part| part == text.as_bytes()) {
        let count = stream.read(&mut buffer).unwrap_or_else(|error| panic!("no {text:?}: {error}"));
        assert_ne!(count, 0, "the end before {text:?}");
        seen.extend_from_slice(&buffer[..count]);
    }
}

#[test]
fn a_request_that_waits_for_its_body_lets_another_one_read_a_large_one() {
    let mut stream = connect();
    // It came alone.
    stream.write_all(&begin(1)).expect("it reads");
    read_until(&stream, "begun");
    stream.write_all(&begin(3)).expect("it reads");
    for _ in 0..LARGE / 0x8000 {
        stream.write_all(&record(RecordType::Stdin, 3, &[b'x'; 0x8000])).expect("it reads");
    }
    stream.write_all(&record(RecordType::Stdin, 3, &[])).expect("it reads");
    read_until(&stream, &format!("{LARGE} bytes"));
    stream.write_all(&record(RecordType::Stdin, 1, &[])).expect("it reads");
    read_until(&stream, "0 bytes");
}

#[test]
fn more_replies_than_are_written_at_once_keep_no_request_waiting() {
    let mut stream = connect();
    // A reply is twice as long as what it answers.
    let unknown = Header { record_type: 99, padding_length: 0, request_id: 0, content_length: 0 };
    stream.write_all(&unknown.encode().repeat(8 << 10)).expect("it reads");
    stream.write_all(&[begin(1), record(RecordType::Stdin, 1, &[])].concat()).expect("it reads");
    read_until(&stream, "0 bytes");
}
