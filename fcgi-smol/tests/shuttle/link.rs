//! A link of a client: requests that share a connection, of which whoever is polled reads and writes for all.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use fcgi_proto::record::{EndRequest, Header, RecordType};
use fcgi_smol::memory::{End, Listening, call, go_on, listen, pass, pipe};
use fcgi_smol::{Client, ClientError, ClientSettings, Params};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use shuttle::thread;
use smol::channel;
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::polls::at_most;
use crate::wire::{raw_record, read_record, record};
use crate::{Clock, endpoint, orders, random_orders};

/// An application that answers each request of a connection with its body, as it becomes whole.
pub(crate) fn application(end: &End) -> io::Result<()> {
    let mut bodies = BTreeMap::<u16, Vec<u8>>::new();
    while let Some(came) = read_record(end)? {
        match came.record_type {
            RecordType::Stdin if came.content.is_empty() => {
                let body = bodies.remove(&came.id).unwrap_or_default();
                write(end, &answer(came.id, &body))?;
            }
            RecordType::Stdin => bodies.entry(came.id).or_default().extend(came.content),
            RecordType::AbortRequest => write(end, &ended(came.id))?,
            _ => {}
        }
    }
    Ok(())
}

fn write(mut end: &End, bytes: &[u8]) -> io::Result<()> {
    end.write_all(bytes)
}

pub(crate) fn head(id: u16) -> Vec<u8> {
    record(RecordType::Stdout, id, b"Content-Type: text/plain\r\n\r\n")
}

fn ended(id: u16) -> Vec<u8> {
    record(RecordType::EndRequest, id, &EndRequest { app_status: 0, protocol_status: 0 }.encode())
}

pub(crate) fn answer(id: u16, body: &[u8]) -> Vec<u8> {
    let parts = body.chunks(200).flat_map(|part| record(RecordType::Stdout, id, part));
    [head(id), parts.collect(), record(RecordType::Stdout, id, b""), ended(id)].concat()
}

/// Accepts connections, and does this on each, until the test ends.
pub(crate) fn applications(listening: Listening, application: fn(&End) -> io::Result<()>) {
    // Tasks, since shuttle waits for all threads.
    drop(spawn(async move {
        loop {
            let end = listening.accept();
            drop(spawn(async move { application(&end) }));
        }
    }));
}

pub(crate) fn body(of: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * (of + 1)) as u8).collect()
}

pub(crate) async fn ask(client: Client, body: Vec<u8>) -> Result<Vec<u8>, ClientError> {
    let mut response = client.request(Params::post("/")).bytes(body).send().await?;
    let mut answer = Vec::new();
    response.read_to_end(&mut answer).await.map_err(|error| ClientError::Io(error))?;
    Ok(answer)
}

/// A client whose requests share a connection, with so much room, to this application, which answers a first request by itself.
fn shared(room: usize, application: fn(&End) -> io::Result<()>) -> Client {
    shared_with(ClientSettings::default(), room, application)
}

fn shared_with(settings: ClientSettings, room: usize, application: fn(&End) -> io::Result<()>) -> Client {
    applications(listen(&endpoint("application"), room), application);
    let client = Client::multiplexed(endpoint("application"), settings, 4);
    assert_eq!(block_on(ask(client.clone(), body(7, 5))).expect("it is answered"), body(7, 5));
    // The connection has shown that it is kept: any request goes on it.
    pass(Duration::from_secs(1));
    client
}

/// Answers the request that comes first.
fn first(end: &End) -> io::Result<()> {
    let Some(began) = read_record(end)? else { return Ok(()) };
    let mut body = Vec::new();
    while let Some(came) = read_record(end)? {
        match came.record_type {
            RecordType::Stdin if came.id == began.id && came.content.is_empty() => break,
            RecordType::Stdin if came.id == began.id => body.extend(came.content),
            _ => {}
        }
    }
    write(end, &answer(began.id, &body))
}

fn asks(client: &Client, count: usize, length: usize) -> Vec<JoinHandle<Result<Vec<u8>, ClientError>>> {
    (0..count).map(|of| spawn(ask(client.clone(), body(of, length)))).collect()
}

#[test]
fn requests_that_share_a_connection_get_what_is_theirs() {
    orders(|| {
        let client = shared(700, application);
        for (of, asked) in asks(&client, 3, 500).into_iter().enumerate() {
            let answer = block_on(asked).expect("it runs to its end").expect("it is answered");
            assert_eq!(answer, body(of, 500));
        }
    });
}

#[test]
fn a_request_that_is_dropped_holds_up_no_other() {
    orders(|| {
        let client = shared(700, application);
        let dropped = spawn({
            let client = client.clone();
            async move { drop(at_most(2, ask(client, body(9, 800))).await) }
        });
        for (of, asked) in asks(&client, 2, 500).into_iter().enumerate() {
            let answer = block_on(asked).expect("it runs to its end").expect("it is answered");
            assert_eq!(answer, body(of, 500));
        }
        block_on(dropped).expect("it runs to its end");
    });
}

/// Answers one request, and returns as the next one begins.
fn one(end: &End) -> io::Result<()> {
    let (mut began, mut body) = (false, Vec::new());
    while let Some(came) = read_record(end)? {
        match came.record_type {
            RecordType::BeginRequest if began => break,
            RecordType::BeginRequest => began = true,
            RecordType::Stdin if came.content.is_empty() => write(end, &answer(came.id, &body))?,
            RecordType::Stdin => body.extend(came.content),
            _ => {}
        }
    }
    Ok(())
}

fn fails_its_requests(client: &Client) {
    let mut failed = 0;
    for (of, asked) in asks(client, 3, 300).into_iter().enumerate() {
        // Who comes when it has ended gets another one.
        match block_on(asked).expect("it runs to its end") {
            Ok(answer) => assert_eq!(answer, body(of, 300)),
            Err(_) => failed += 1,
        }
    }
    assert!(failed > 0, "a request that may have been read was sent again");
}

#[test]
fn a_connection_that_ends_fails_its_requests() {
    orders(|| fails_its_requests(&shared(700, one)));
}

#[test]
fn a_connection_that_breaks_the_protocol_fails_its_requests() {
    orders(|| {
        let client = shared(700, |mut end| {
            one(end)?;
            write(end, &[9; 8])?;
            io::copy(&mut end, &mut io::sink()).map(drop)
        });
        fails_its_requests(&client);
    });
}

/// Answers a first request, and reads the others.
fn silent(mut end: &End) -> io::Result<()> {
    first(end)?;
    io::copy(&mut end, &mut io::sink()).map(drop)
}

#[test]
fn an_application_that_is_silent_is_given_up_by_all() {
    orders(|| {
        let client = shared(700, silent);
        let asked = asks(&client, 2, 100);
        let clock = Clock::run(Duration::from_secs(1));
        for asked in asked {
            let error = block_on(asked).expect("it runs to its end").expect_err("nobody answers");
            assert!(!matches!(error, ClientError::Truncated), "{error}");
        }
        drop(clock);
    });
}

/// More than is kept of a response.
const LARGE: usize = 300 * 1024;

/// Answers a first request, then two of which the one that came first has a large answer, before all of the other's.
fn one_large(end: &End) -> io::Result<()> {
    first(end)?;
    let mut ids = Vec::new();
    while ids.len() < 2 {
        let came = read_record(end)?.expect("two requests");
        if came.record_type == RecordType::Stdin && came.content.is_empty() {
            ids.push(came.id);
        }
    }
    let large = vec![b'x'; 60_000];
    write(end, &ids.iter().flat_map(|id| head(*id)).collect::<Vec<_>>())?;
    for _ in 0..LARGE / large.len() {
        write(end, &record(RecordType::Stdout, ids[0], &large))?;
    }
    for id in ids {
        let rest = [record(RecordType::Stdout, id, b"end"), record(RecordType::Stdout, id, b""), ended(id)];
        write(end, &rest.concat())?;
    }
    Ok(())
}

async fn length(client: Client) -> Result<usize, ClientError> {
    let mut response = pin!(client.request(Params::get("/")).send().await?);
    let (mut length, mut buffer) = (0, vec![0; 64 * 1024]);
    loop {
        match response.read(&mut buffer).await.map_err(ClientError::Io)? {
            0 => return Ok(length),
            count => length += count,
        }
    }
}

#[test]
fn a_response_that_is_not_read_holds_up_others_until_it_is() {
    orders(|| {
        let client = shared(100_000, one_large);
        let asked = [spawn(length(client.clone())), spawn(length(client))];
        let lengths =
            asked.map(|asked| block_on(asked).expect("it runs to its end").expect("it is answered"));
        assert_eq!(lengths.iter().sum::<usize>(), LARGE / 60_000 * 60_000 + 6);
    });
}

#[test]
fn a_response_that_is_not_read_holds_up_others_until_it_is_dropped() {
    orders(|| {
        let client = shared(100_000, one_large);
        let dropped = spawn({
            let client = client.clone();
            async move {
                let response = client.request(Params::get("/")).send().await.expect("a head");
                for _ in 0..20 {
                    yield_now().await;
                }
                drop(response);
            }
        });
        block_on(length(client)).expect("it is answered");
        block_on(dropped).expect("it runs to its end");
    });
}

/// Answers a request without a body when another one sends some of its own, and that when it has sent all.
fn beside(end: &End) -> io::Result<()> {
    first(end)?;
    let (mut waits, mut sends) = (None, None);
    while let Some(came) = read_record(end)? {
        match came.record_type {
            RecordType::Stdin if !came.content.is_empty() => sends = Some(came.id),
            RecordType::Stdin if sends == Some(came.id) => write(end, &answer(came.id, b"sent"))?,
            RecordType::Stdin => waits = Some(came.id),
            _ => {}
        }
        if let Some(id) = waits.take_if(|_| sends.is_some()) {
            write(end, &answer(id, b"got"))?;
        }
    }
    Ok(())
}

#[test]
fn what_comes_for_a_request_while_another_sends_wakes_it() {
    orders(|| {
        let client = shared(700, beside);
        let asked = spawn(ask(client.clone(), Vec::new()));
        let (body, feed) = pipe(700);
        let sends = spawn(async move {
            let mut response = client.request(Params::post("/")).body(body, 20).send().await.expect("a head");
            response.read_to_end(&mut Vec::new()).await.expect("no failure");
        });
        for _ in 0..10 {
            write(&feed, b"x").expect("it is read");
            thread::yield_now();
        }
        // The other one is answered before all is sent.
        block_on(asked).expect("it runs to its end").expect("it is answered");
        write(&feed, &[b'x'; 10]).expect("it is read");
        block_on(sends).expect("it runs to its end");
    });
}

/// Begins to answer a request when it sends some of its body and another one was sent, and breaks the protocol.
fn begins(mut end: &End) -> io::Result<()> {
    first(end)?;
    let (mut waits, mut sends) = (false, None);
    while let Some(came) = read_record(end)? {
        match came.record_type {
            RecordType::Stdin if came.content.is_empty() => waits = true,
            RecordType::Stdin => sends = Some(came.id),
            _ => {}
        }
        if let Some(id) = sends.filter(|_| waits) {
            write(end, &[head(id), vec![9; 8]].concat())?;
            break;
        }
    }
    io::copy(&mut end, &mut io::sink()).map(drop)
}

#[test]
fn who_finds_that_the_connection_is_over_and_has_an_answer_to_read_wakes_the_others() {
    orders(|| {
        let client = shared(700, begins);
        let asked = spawn(ask(client.clone(), Vec::new()));
        let (body, feed) = pipe(700);
        let (failed, has_failed) = channel::bounded::<()>(1);
        let holds = spawn(async move {
            let response = client.request(Params::post("/")).body(body, 20).send().await.expect("a head");
            has_failed.recv().await.expect("it is told");
            drop(response);
        });
        for _ in 0..10 {
            write(&feed, b"x").expect("it is kept");
            thread::yield_now();
        }
        block_on(asked).expect("it runs to its end").expect_err("nobody answers");
        failed.try_send(()).expect("it waits");
        block_on(holds).expect("it runs to its end");
    });
}

#[test]
fn who_finds_that_the_limit_of_another_has_passed_wakes_it() {
    random_orders(|| {
        let mut settings = ClientSettings::default();
        (settings.write_timeout, settings.body_timeout) = (Duration::MAX, Duration::MAX);
        let client = shared_with(settings, 700, silent);
        let (body, feed) = pipe(1);
        let sends = spawn({
            let client = client.clone();
            async move {
                let sent = client.request(Params::post("/")).body(body, 100).send().await;
                sent.expect_err("the body is short");
            }
        });
        let asked = spawn(ask(client, Vec::new()));
        for _ in 0..20 {
            go_on(Duration::from_secs(30));
            // Who sends finds that it is later, before anybody is called for that.
            write(&feed, b"xxx").expect("it is read");
            call();
        }
        let clock = Clock::run(Duration::from_secs(30));
        block_on(asked).expect("it runs to its end").expect_err("nobody answers");
        drop(clock);
        drop(feed);
        block_on(sends).expect("it runs to its end");
    });
}

#[test]
fn a_response_may_go_on_in_another_task() {
    orders(|| {
        let (ours, theirs) = pipe(200);
        let application = thread::spawn(move || application(&theirs));
        let client = Client::over(ours, ClientSettings::default());
        let asked = spawn(async move {
            let sent = body(1, 900);
            let mut response = client.request(Params::post("/")).bytes(sent).send().await.expect("a head");
            let mut first = [0; 100];
            let count = at_most(1, response.read(&mut first)).await;
            let count = count.transpose().expect("no failure").unwrap_or(0);
            let rest = spawn(async move {
                let mut rest = Vec::new();
                response.read_to_end(&mut rest).await.map(|_| rest)
            });
            let rest = rest.await.expect("it runs to its end").expect("no failure");
            assert_eq!([&first[..count], &rest].concat(), body(1, 900));
        });
        block_on(asked).expect("it runs to its end");
        application.join().expect("it runs to its end").expect("it is read");
    });
}

#[test]
fn a_body_is_sent_as_it_comes() {
    orders(|| {
        let (ours, theirs) = pipe(700);
        let (body, feed) = pipe(700);
        let application = thread::spawn(move || {
            let mut parts = 0;
            while let Some(came) = read_record(&theirs)? {
                match came.record_type {
                    RecordType::Stdin if came.content.is_empty() => {
                        write(&theirs, &answer(came.id, b"whole"))?
                    }
                    RecordType::Stdin => {
                        parts += came.content.len();
                        // The next part comes when this one has.
                        if parts < 30 {
                            write(&feed, &[b'x'; 10][..10 - parts % 10])?;
                        }
                    }
                    RecordType::Params if came.content.is_empty() => write(&feed, &[b'x'; 10])?,
                    _ => {}
                }
            }
            io::Result::Ok(())
        });
        let client = Client::over(ours, ClientSettings::default());
        let asked = spawn(async move {
            let mut response = client.request(Params::post("/")).body(body, 30).send().await.expect("a head");
            let mut answer = String::new();
            response.read_to_string(&mut answer).await.expect("no failure");
            assert_eq!(answer, "whole");
        });
        block_on(asked).expect("it runs to its end");
        application.join().expect("it runs to its end").expect("it is read");
    });
}

/// Gives this answer a byte at a time, once something was sent.
struct Trickle(VecDeque<u8>, bool);

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self(answer, true) = &mut *self else { return Poll::Pending };
        let Some(byte) = answer.pop_front() else { return Poll::Pending };
        buffer[0] = byte;
        Poll::Ready(Ok(1))
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.1 = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn an_answer_that_comes_a_byte_at_a_time_is_read_to_its_end() {
    // One task alone: the other scheduler wants more.
    random_orders(|| {
        let part = b"Content-Type: text/plain\r\n\r\nwhole";
        let header = Header { padding_length: 255, ..Header::new(RecordType::Stdout, 1, part.len() as u16) };
        let bytes = [raw_record(header, part), record(RecordType::Stdout, 1, b""), ended(1)].concat();
        let client = Client::over(Trickle(bytes.into(), false), ClientSettings::default());
        assert_eq!(block_on(ask(client, Vec::new())).expect("it is answered"), b"whole");
    });
}
