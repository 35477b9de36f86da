//! Browsers that neither go on nor leave, and the limits that the example `gateway` has for them.
#![cfg(unix)]

#[path = "../examples/gateway/patience.rs"]
mod patience;
#[allow(dead_code)] // Only what has no other test.
#[path = "../examples/gateway/places.rs"]
mod places;

use std::convert::Infallible;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use patience::Patient;
use places::Crowd;
use smol::future::{or, zip};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::stream::{self, StreamExt};
use smol::{Async, block_on};

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_body_that_does_not_go_on_is_too_late() {
    let frame = Ok::<_, Infallible>(Frame::data(&b"first"[..]));
    let frames = stream::once(frame).chain(stream::pending());
    let mut body = Patient::new(StreamBody::new(frames), SHORT);
    let first = block_on(body.frame()).expect("a frame").expect("in time");
    assert_eq!(first.into_data().expect("data"), b"first");
    let late = block_on(body.frame()).expect("no end").expect_err("too late");
    let late = late.downcast::<std::io::Error>().expect("an error of the kind that becomes a 408");
    assert_eq!(late.kind(), ErrorKind::TimedOut);
}

/// A browser, and the gateway's end.
fn connection(limit: Duration) -> (Async<UnixStream>, Patient<Async<UnixStream>>) {
    let (browser, stream) = UnixStream::pair().expect("a pair of sockets");
    let [browser, stream] = [browser, stream].map(|stream| Async::new(stream).expect("a socket"));
    (browser, Patient::new(stream, limit))
}

/// More than a socket holds.
const MUCH: usize = 16 << 20;

#[test]
fn an_answer_that_is_not_taken_is_given_up() {
    let (browser, mut stream) = connection(SHORT);
    let late = block_on(stream.write_all(&vec![0; MUCH])).expect_err("too late");
    assert_eq!(late.kind(), ErrorKind::TimedOut);
    drop(browser);
}

#[test]
fn an_answer_that_is_taken_goes_on() {
    let (mut browser, mut stream) = connection(LONG);
    let (much, mut taken) = (vec![1; MUCH], vec![0; MUCH]);
    let (written, read) = block_on(zip(stream.write_all(&much), browser.read_exact(&mut taken)));
    written.expect("it is taken");
    read.expect("it comes");
    assert!(taken == much);
}

#[test]
fn a_connection_may_wait_for_its_answer_for_longer_than_for_who_takes_it() {
    let (browser, mut stream) = connection(SHORT);
    let mut buffer = [0];
    let read = async { Some(stream.read(&mut buffer).await) };
    // The same limit passes for those who take nothing, one after the other.
    let others = [(); 3].map(|()| connection(SHORT));
    let waited = async {
        for (_browser, mut stream) in others {
            stream.write_all(&vec![0; MUCH]).await.expect_err("too late");
        }
        None
    };
    let result = block_on(or(read, waited));
    assert!(result.is_none(), "{result:?}");
    drop(browser);
}

#[test]
fn a_crowd_is_told_once_and_its_end_when_there_was_room_for_a_while() {
    let (mut crowd, begin) = (Crowd::default(), Instant::now());
    let at = |seconds| begin + Duration::from_secs(seconds);
    assert_eq!(crowd.end(at(0)), None);
    assert_eq!([1, 2, 5].map(|second| crowd.begin(at(second))), [true, false, false]);
    (0..3).for_each(|_| crowd.turn_away());
    assert_eq!([14, 15, 16].map(|second| crowd.end(at(second))), [None, Some(3), None]);
    assert!(crowd.begin(at(17)));
    assert_eq!(crowd.end(at(30)), Some(0));
}
