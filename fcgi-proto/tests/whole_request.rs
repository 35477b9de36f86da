//! `whole_request` takes what it says it takes, and nothing else. That what it takes is what `next_event` would
//! have made of it, the support code checks with every input of every test.

mod support;

use fcgi_proto::Limits;
use fcgi_proto::record::RequestId;
use fcgi_proto::server::Connection;
use support::*;

/// How many requests were taken at once, one after the other answered.
fn taken<const N: usize>(limits: Limits, app: App<N>, chunks: &[&[u8]]) -> usize {
    feed(limits, app, Asked::WholeRequests, chunks).whole_requests
}

/// The same, of a connection of one request at a time with the default limits.
fn taken_of(bytes: &[u8]) -> usize {
    taken::<1>(Limits::default(), App::Complete, &[bytes])
}

/// The begin of request 1.
fn responder() -> Client {
    Client::new().begin(1, RESPONDER, KEEP)
}

#[test]
fn requests_without_a_body_are_taken_at_once_one_after_the_other() {
    let three =
        Client::new().request(1, KEEP).padding(b"pad").request(7, KEEP).padding(b"").request(0xffff, 0);
    // A record's padding at its end belongs to it, so that the next one begins at a boundary.
    assert_eq!(taken_of(&three), 3);
    assert_eq!(check(&three).answers(), [answered(1), answered(7), answered(0xffff)].join(" "));
    assert_eq!(taken::<4>(Limits::default(), App::Silent, &[&three]), 3);
}

#[test]
fn what_it_hands_out_lies_in_the_input_and_the_rest_is_left() {
    let bytes = Client::new().request(3, KEEP).raw(b"\x01\x09");
    let mut connection = Connection::<1>::new(Limits::default());
    let mut input = &bytes[..];
    let whole = connection.whole_request(&mut input).unwrap();
    assert_eq!((whole.id.get(), whole.keep_conn, input), (3, true, &b"\x01\x09"[..]));
    assert_eq!(whole.params, get());
    assert!(bytes.as_ptr_range().contains(&whole.params.as_ptr()));
    let id = RequestId::new(3).unwrap();
    assert!(connection.is_active(id) && connection.may_finish(id) && !connection.drains_before_end(id));
    assert!(connection.stdout(id, b"x").is_ok() && connection.finish(id, 0).is_ok());
    assert!(!connection.is_finished() && connection.is_idle());
}

#[test]
fn any_other_request_is_left_to_the_events() {
    for (bytes, why) in [
        (Client::new().head(1, KEEP).stdin(1, b"x").stdin(1, b""), "a body"),
        (Client::new().begin(1, AUTHORIZER, KEEP).params(1, &get()).params(1, b""), "an Authorizer"),
        (Client::new().begin(1, FILTER, KEEP).params(1, &get()).params(1, b"").stdin(1, b""), "a Filter"),
        (Client::new().begin(1, 9, KEEP).params(1, &get()).params(1, b"").stdin(1, b""), "an unknown role"),
        (responder().params(1, b"").stdin(1, b""), "no parameters"),
        (responder().params(1, b"").params(1, b"").stdin(1, b""), "two ends of PARAMS"),
        (responder().params(1, &get()).params(1, &get()).params(1, b"").stdin(1, b""), "two records"),
        (responder().params(1, &get()).params(1, &get()).stdin(1, b""), "no end of PARAMS"),
        (responder().params(2, &get()).params(1, b"").stdin(1, b""), "another id"),
        (responder().params(1, &get()).params(2, b"").stdin(1, b""), "another id"),
        (Client::new().head(1, KEEP).stdin(2, b""), "another id"),
        (Client::new().head(1, KEEP).data(1, b""), "no STDIN"),
        (Client::new().head(1, KEEP).abort(1), "aborted"),
        (Client::new().request(0, KEEP), "id 0"),
        (Client::new().get_values(&["FCGI_MAX_REQS"]), "a management record"),
    ] {
        assert_eq!(taken_of(&bytes), 0, "{why}");
    }
    let request = Client::new().request(1, KEEP);
    for cut in 0..request.len() {
        assert_eq!(taken_of(&request[..cut]), 0, "cut at {cut}");
        let (before, after) = request.split_at(cut);
        let taken = taken::<1>(Limits::default(), App::Complete, &[before, after]);
        assert_eq!(taken, usize::from(cut == 0), "cut at {cut}");
    }
    let mut version = request.to_vec();
    version[request.len() - 8] = 2;
    assert_eq!(taken_of(&version), 0, "another version");
}

#[test]
fn the_end_of_padding_that_is_still_to_come_is_waited_for() {
    let padded = Client::new().padding(b"pad").request(1, KEEP);
    assert_eq!(taken_of(&padded[..padded.len() - 1]), 0);
    // Event by event, the padding is skipped with what comes next.
    let (before, after) = padded.split_at(padded.len() - 1);
    let next = [after, &Client::new().request(2, KEEP)].concat();
    assert_eq!(taken::<1>(Limits::default(), App::Complete, &[before, &next]), 0);
}

#[test]
fn a_request_inside_a_body_is_none() {
    let inner = Client::new().request(2, KEEP);
    let upload = Client::new().head(1, KEEP).stdin(1, &inner).stdin(1, b"");
    let start = upload.len() - 8 - inner.len();
    let chunks = [&upload[..start], &upload[start..]];
    assert_eq!(taken::<2>(Limits::default(), App::Silent, &chunks), 0);
}

#[test]
fn bytes_are_ignored_since_the_last_request_only() {
    let (ignored, request) = (Client::new().data(9, b"").data(9, b""), Client::new().request(1, KEEP));
    let limits = limits(|limits| limits.ignored = 16);
    let chunks = [&ignored[..], &request, &ignored];
    let t = feed::<1>(limits, App::Complete, Asked::WholeRequests, &chunks);
    assert_eq!((t.whole_requests, t.error), (1, None));
}

#[test]
fn limits_hold_for_it() {
    let request = Client::new().request(1, KEEP);
    let length = get().len() as u32;
    for (params, expected) in [(length, 1), (length - 1, 0)] {
        let limits = limits(|limits| limits.params = params);
        assert_eq!(taken::<1>(limits, App::Complete, &[&request]), expected);
    }
    let full = Client::new().request(1, KEEP).request(2, KEEP);
    assert_eq!(taken::<1>(Limits::default(), App::Silent, &[&full]), 1, "no slot is free");
    let twice = Client::new().request(1, KEEP).request(1, KEEP);
    assert_eq!(taken::<2>(Limits::default(), App::Silent, &[&twice]), 1, "the id is active");
}

#[test]
fn after_a_request_that_closes_the_connection_none_is_taken() {
    let bytes = Client::new().request(1, 0).request(2, KEEP);
    assert_eq!(taken_of(&bytes), 1);
    assert_eq!(check(&bytes).answers(), answered(1));
}

#[test]
fn replies_and_errors_come_first() {
    let mut connection = Connection::<1>::new(Limits::default());
    eat(&mut connection, &Client::new().get_values(&["FCGI_MAX_REQS"]));
    let request = Client::new().request(1, KEEP);
    let mut input = &request[..];
    assert_eq!(connection.whole_request(&mut input), None);
    assert!(connection.poll_reply().is_some() && connection.poll_reply().is_none());
    assert!(connection.whole_request(&mut input).is_some());

    let mut connection = Connection::<1>::new(Limits::default());
    assert!(connection.next_event(&mut &b"\x02\0\0\0\0\0\0\0"[..]).is_err());
    assert_eq!(connection.whole_request(&mut &request[..]), None);
}
