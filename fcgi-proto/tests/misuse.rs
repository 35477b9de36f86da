//! What a caller gets wrong easily: it is an error, does nothing, or cannot be written.

mod support;

use std::time::Duration;

use fcgi_proto::cgi::{HeadError, Status};
use fcgi_proto::client;
use fcgi_proto::decoder::Decoder;
use fcgi_proto::pair::TruncatedPair;
use fcgi_proto::record::{Control, ProtocolStatus, Record, RecordType, RequestId, Role, UnknownNumber};
use fcgi_proto::server::session::{Batch, Exchange, Life, Patience, Session};
use fcgi_proto::server::{Connection, Refusal, SendError};
use fcgi_proto::{ConnectionError, Limits};
use support::*;

// What a runtime moves between threads may go there.
const _: () = {
    const fn goes_anywhere<T: Send + Sync>() {}
    goes_anywhere::<Connection<1>>();
    goes_anywhere::<Session<1>>();
    goes_anywhere::<Session<1, Vec<Life>>>();
    goes_anywhere::<Exchange>();
    goes_anywhere::<client::Connection<1>>();
    goes_anywhere::<client::Session<1>>();
    goes_anywhere::<Record<'static>>();
    goes_anywhere::<Control>();
    goes_anywhere::<Batch<'static>>();
};

/// A connection on which all of `bytes` came.
fn connection<const N: usize>(limits: Limits, mut bytes: &[u8]) -> Connection<N> {
    let mut connection = Connection::new(limits);
    while connection.next_event(&mut bytes).expect("it is FastCGI").is_some() {}
    connection
}

fn types(bytes: &[u8]) -> Vec<(u8, bool)> {
    let (records, rest) = walk(bytes);
    assert!(rest.is_empty());
    records.iter().map(|record| (record.kind, record.content.is_empty())).collect()
}

#[test]
fn a_request_that_is_rejected_or_passes_a_limit_after_it_wrote_stderr_has_the_end_of_that_too() {
    let ends = [(STDOUT, false), (STDERR, true), (STDOUT, true), (END, false)];
    let mut rejected = connection::<1>(Limits::new(), &Client::new().head(1, KEEP));
    let (record, _) = rejected.stderr(RequestId::ONE, b"why").expect("it may write");
    assert_eq!(types(&record.slices().concat()), [(STDERR, false)]);
    let control = rejected.reject(RequestId::ONE, Refusal::Overloaded).expect("it is active");
    assert_eq!(types(&control), ends);

    let limits = Limits { stdin: 3, ..Limits::new() };
    let mut limited = connection::<1>(limits, &Client::new().head(1, KEEP));
    let _ = limited.stderr(RequestId::ONE, b"why").expect("it may write");
    let more = Client::new().stdin(1, b"more");
    let mut input = &more[..];
    while limited.next_event(&mut input).expect("it is FastCGI").is_some() {}
    assert_eq!(types(&limited.poll_reply().expect("a refusal")), ends);
}

#[test]
fn a_record_that_began_before_a_request_is_nothing_for_it() {
    let mut connection = client::Connection::<2>::new(Limits::new());
    let (first, _) = connection.begin(Role::Responder, true).expect("there is room");
    let mut cut = &b"\x01\x06\0\x02\0\x04"[..];
    assert_eq!(connection.next_event(&mut cut), Ok(None));
    let (second, _) = connection.begin(Role::Responder, true).expect("there is room");
    let mut rest = &b"\0\0late\x01\x06\0\x01\0\x04\0\0page"[..];
    let event = connection.next_event(&mut rest).expect("it is FastCGI");
    assert_eq!(event, Some(client::Event::Stdout { id: first, data: b"page" }), "{second}");
}

#[test]
fn whether_all_of_a_requests_input_came_can_be_asked_when_there_is_no_more() {
    let mut cut = connection::<1>(Limits::new(), &Client::new().head(1, 0).stdin(1, b"half"));
    assert_eq!((cut.eof(), cut.is_complete(RequestId::ONE)), (Ok(()), false));
    let mut whole = connection::<1>(Limits::new(), &Client::new().request(1, 0));
    assert_eq!((whole.eof(), whole.is_complete(RequestId::ONE)), (Ok(()), true));
}

#[test]
fn no_record_can_be_made_of_another_type_than_a_streams_or_of_half_a_pair() {
    for kind in [RecordType::BeginRequest, RecordType::AbortRequest, RecordType::EndRequest] {
        let (record, rest) = Record::stream(kind, RequestId::ONE, b"abc");
        assert_eq!((record.remaining(), rest), (0, &b"abc"[..]), "{kind:?}");
    }
    let mut connection = client::Connection::<1>::new(Limits::new());
    let (id, _) = connection.begin(Role::Responder, true).expect("there is room");
    let half = client::SendError::HalfPair(TruncatedPair { whole: 0, left: 1 });
    assert_eq!(connection.params(id, b"\x7f").map(|_| ()), Err(half));
}

#[test]
fn replies_that_are_polled_for_come_to_an_end() {
    let mut connection = connection::<1>(Limits::new(), &Client::new().get_values(&["FCGI_MAX_CONNS"]));
    assert!(connection.poll_reply().is_some());
    assert!(connection.poll_reply().is_none());
}

#[test]
fn a_request_that_is_over_is_told_from_the_next_of_its_id() {
    let mut session = Session::<1>::new(Limits::new(), &Patience::new());
    let now = Duration::ZERO;
    let mut requests = Vec::new();
    for _ in 0..2 {
        let bytes = Client::new().request(1, KEEP);
        let mut input = &bytes[..];
        while session.receive(&mut input, now).is_some() {}
        let alive: Vec<_> = session.alive().collect();
        assert_eq!((alive.len(), session.requests()), (1, 1));
        requests.extend(alive);
        if requests.len() == 1 {
            session.finish(requests[0], now);
            let _ = session.end(requests[0], 0);
            assert_eq!(session.alive().count(), 0);
        }
    }
    assert_eq!(requests[0].id(), requests[1].id());
    assert!(session.stdout(requests[0], b"late").is_err());
    assert!(session.stdout(requests[1], b"page").is_ok());
    let id = RequestId::new(9).expect("it is not 0");
    let mut connection = connection::<1>(Limits::new(), &Client::new().request(1, KEEP));
    assert_eq!(connection.stdout(id, b"page").map(|_| ()), Err(SendError::Inactive { id }));
}

#[test]
fn a_decoder_stays_failed_after_another_version() {
    let mut decoder = Decoder::new();
    let mut input = &b"\x02\x05\0\x01\0\0\0\0\x01\x05\0\x01\0\0\0\0"[..];
    for _ in 0..3 {
        assert_eq!(decoder.next(&mut input), Err(ConnectionError::Version { found: 2 }));
    }
}

#[test]
fn after_an_error_or_the_end_of_input_with_all_answered_the_session_says_to_close() {
    let now = Duration::ZERO;
    for ends in [
        |session: &mut Session<1>| session.end_of_input(),
        |session: &mut Session<1>| {
            let mut input = &b"\x02\0\0\0\0\0\0\0"[..];
            while session.receive(&mut input, Duration::ZERO).is_some() {}
            assert!(session.next(Duration::ZERO).shutdown, "what comes is read for a while");
            session.end_of_input();
            session.shut(Duration::ZERO);
            session.end_of_input();
        },
    ] {
        let mut session = Session::new(Limits::new(), &Patience::new());
        ends(&mut session);
        assert!(session.next(now).close);
    }
}

#[test]
fn numbers_become_names_and_names_numbers() {
    assert_eq!(RequestId::try_from(7).map(u16::from), Ok(7));
    assert_eq!(RequestId::try_from(0), Err(UnknownNumber(0)));
    assert_eq!((Role::try_from(3), Role::try_from(4)), (Ok(Role::Filter), Err(UnknownNumber(4))));
    assert_eq!(u16::from(Role::Authorizer), 2);
    assert_eq!(RecordType::try_from(11), Ok(RecordType::UnknownType));
    assert_eq!(u8::from(RecordType::EndRequest), 3);
    assert_eq!(ProtocolStatus::try_from(4), Err(UnknownNumber(4)));
    assert_eq!(u8::from(ProtocolStatus::Overloaded), 2);
    assert_eq!(UnknownNumber(4).to_string(), "the number 4 is not defined");
    assert_eq!(
        (Status::try_from(404), Status::try_from(99)),
        (Ok(Status::NOT_FOUND), Err(HeadError::Status))
    );
    assert_eq!(u16::from(Status::OK), 200);
}
