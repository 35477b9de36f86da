//! FastCGI 1.0 as the web server's side has to follow it, rule by rule, through `client::Connection`.
//!
//! A test's name begins with the rule it proves: c, r, i, n, g, b, s, e, u, f are the sections on
//! connections, records, ids, pairs, management, requests, streams, Responder, Authorizer and Filter; z are
//! the open points that `fcgi_proto::server` lists.

mod support;
#[path = "support/client.rs"]
mod web_server;

use fcgi_proto::client::{Connection, Event, SendError};
use fcgi_proto::pair::{self, Packer, Pairs};
use fcgi_proto::record::{ProtocolStatus, RecordType, RequestId, Role};
use fcgi_proto::{ConnectionError, Limits};
use support::{
    ABORT, AUTHORIZER, BEGIN, DATA, END, FILTER, GET_VALUES, GET_VALUES_RESULT, PARAMS, RESPONDER, STDERR,
    STDIN, STDOUT, UNKNOWN_TYPE, Wire, id,
};
use web_server::*;

/// The records of a request as the first of a connection.
fn records(ask: &Ask<'_>) -> Vec<Wire> {
    request_records(&ask.bytes())
}

/// A Filter's request with all its streams.
const FILTERED: Ask<'static> = Ask { role: Role::Filter, stdin: b"body", data: b"a file", ..GET };

fn out_of_order(stream: RecordType) -> SendError {
    SendError::OutOfOrder { id: RequestId::ONE, stream }
}

// Connections.

#[test]
fn c10_only_the_keep_conn_bit_is_ever_sent() {
    for role in [Role::Responder, Role::Authorizer, Role::Filter] {
        for keep_conn in [false, true] {
            let begin = &records(&Ask { role, keep_conn, ..GET })[0];
            assert_eq!(begin.content[2], u8::from(keep_conn));
        }
    }
}

// Records.

#[test]
fn r1_everything_sent_and_read_is_records() {
    request_records(&FILTERED.bytes());
    let mut bytes = Server::new().answer(1).to_vec();
    check(&bytes).assert_sound();
    bytes.extend(b"\n");
    assert_eq!(check(&bytes).eof, Err(ConnectionError::UnexpectedEof { missing: 7 }));
}

#[test]
fn r2_numbers_are_sent_and_read_most_significant_byte_first() {
    let mut connection = Connection::<300>::new(fcgi_proto::Limits::default());
    for _ in 0..257 {
        GET.send(&mut connection);
    }
    let (last, sent) = Ask { stdin: &[b'x'; 0x0102], ..GET }.send(&mut connection);
    assert_eq!(last.get(), 0x0102);
    assert_eq!(sent[..8], *b"\x01\x01\x01\x02\0\x08\0\0");
    let stdin = sent.windows(8).find(|header| header[..2] == [1, STDIN]).unwrap();
    assert_eq!(stdin, b"\x01\x05\x01\x02\x01\x02\x06\0");

    let bytes = b"\x01\x03\0\x01\0\x08\0\0\x01\x02\x03\x04\x02\0\0\0";
    assert_eq!(check(bytes).story(), "-END#1(16909060,2)");
}

#[test]
fn r3_every_header_sent_is_version_1_with_a_zero_reserved_byte() {
    for Wire { version, reserved, .. } in records(&FILTERED) {
        assert_eq!((version, reserved), (1, 0));
    }
    for reserved in [1, 0xff] {
        check(&Server::new().reserved(reserved).answer(1)).assert_sound();
    }
}

#[test]
fn r4_content_is_0_to_65535_bytes_and_padding_0_to_255() {
    for length in [1, 2, 127, 128, 8184, 65528, 65534, 65535] {
        for padding in [0, 1, 7, 8, 254, 255] {
            let bytes = vec![b'o'; length];
            let t = check(&Server::new().padding(&vec![0xa5; padding]).stdout(1, &bytes).end(1, 0, 0));
            t.assert_sound();
            assert_eq!(t.story(), format!("STDOUT#1:{length} END#1(0,0)"));
        }
    }
}

#[test]
fn r4_what_is_sent_with_its_padding_never_passes_65535_bytes() {
    let value = [b'v'; 65_600];
    for length in 65_480..65_535 {
        let mut connection = fresh::<1>();
        let (id, _) = connection.begin(Role::Responder, true).unwrap();
        let Ok(record) = connection.param(id, b"NAME", &value[..length]) else { continue };
        let [Wire { content, padding, .. }] = &request_record(&record.bytes())[..] else { panic!() };
        assert!(content.len() + padding.len() <= 65535);
    }
}

/// The records in the bytes, which are not a whole request.
fn request_record(bytes: &[u8]) -> Vec<Wire> {
    let (records, rest) = support::walk(bytes);
    assert!(rest.is_empty());
    records
}

#[test]
fn r5_padding_is_skipped_whatever_its_bytes_and_the_records_type() {
    for padding in [&[0][..], &[1, 3, 0, 1, 0, 8, 0, 0], &[0xff; 7], &[1; 255]] {
        let server = Server::new().padding(padding);
        let server = server.values(b"").unknown_type(9).stderr(1, b"oops").stderr(1, b"");
        let t = check(&server.answer(1));
        t.assert_sound();
        assert_eq!(t.story(), format!("UNKNOWN_TYPE(9) STDERR#1:4 STDERR#1:0 {}", answered(1)));
    }
}

#[test]
fn r6_every_record_sent_starts_on_a_multiple_of_8_bytes() {
    for length in 0..20 {
        let body = vec![b'x'; length];
        let sent = Ask { stdin: &body, data: &body, ..FILTERED }.bytes();
        assert_eq!(sent.len() % 8, 0);
        let mut at = 0;
        for Wire { content, padding, .. } in request_records(&sent) {
            assert_eq!(at % 8, 0);
            at += 8 + content.len() + padding.len();
        }
    }
}

#[test]
fn r7_a_header_of_8_bytes_is_read_before_its_version_is_judged() {
    let t = check(b"\x02\x06\0\x01\0\0\0");
    assert_eq!((t.error, t.eof), (None, Err(ConnectionError::UnexpectedEof { missing: 1 })));
    assert_eq!(check(b"\x02\x06\0\x01\0\0\0\0").error, Some(ConnectionError::Version { found: 2 }));
}

#[test]
fn r8_management_records_are_sent_with_id_0_and_all_others_with_another() {
    let mut connection = fresh::<1>();
    let mut sent = connection.get_values().bytes();
    sent.extend(FILTERED.send(&mut connection).1);
    sent.extend(connection.abort(RequestId::ONE).unwrap().bytes());
    for Wire { kind, id, .. } in request_records(&sent) {
        assert_eq!(id == 0, kind == GET_VALUES, "type {kind}");
    }
}

#[test]
fn r8_an_application_record_with_id_0_is_an_error() {
    for kind in [BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA] {
        for content in [&b""[..], &[0; 8], b"x"] {
            let t = check(&Server::new().record(kind, 0, content).answer(1));
            assert_eq!(t.error, Some(ConnectionError::NullRequestId { record_type: kind }));
            assert!(t.events.is_empty());
        }
    }
}

#[test]
fn r8_a_management_record_with_another_id_is_ignored() {
    for kind in [GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE] {
        let t = check(&Server::new().record(kind, 1, &[0; 8]).answer(1));
        t.assert_sound();
        assert_eq!(t.story(), answered(1));
    }
}

#[test]
fn r9_a_stream_sent_is_non_empty_records_and_one_empty_one() {
    let sent = Ask { stdin: &[b'x'; 70_000], data: &[b'y'; 65_528], ..FILTERED }.bytes();
    assert_eq!(
        summary(&sent),
        "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:65528 STDIN#1:4472 STDIN#1:0 DATA#1:65528 DATA#1:0"
    );
}

#[test]
fn r9_writing_nothing_does_not_end_a_stream() {
    let mut connection = fresh::<1>();
    let (id, _) = connection.begin(Role::Filter, true).unwrap();
    assert_eq!(connection.params(id, b"").unwrap().remaining(), 0);
    let _ = connection.params_end(id).unwrap();
    assert_eq!(connection.stdin(id, b"").unwrap().0.remaining(), 0);
    let _ = connection.stdin_end(id).unwrap();
    assert_eq!(connection.data(id, b"").unwrap().0.remaining(), 0);
    assert_eq!(connection.data_end(id).unwrap().bytes(), b"\x01\x08\0\x01\0\0\0\0");
}

#[test]
fn r10_how_an_answer_is_cut_into_records_has_no_meaning() {
    for most in 1..=ANSWER.len() {
        let mut server = Server::new();
        for piece in ANSWER.chunks(most) {
            server = server.stdout(1, piece);
        }
        let t = check(&server.stdout(1, b"").end(1, 0, 0));
        t.assert_sound();
        assert_eq!(t.story(), answered(1));
        assert_eq!(t.stdout(1), ANSWER);
    }
}

#[test]
fn r11_the_types_of_a_client_are_sent_and_no_other() {
    let mut connection = fresh::<1>();
    let mut sent = connection.get_values().bytes();
    sent.extend(FILTERED.send(&mut connection).1);
    sent.extend(connection.abort(RequestId::ONE).unwrap().bytes());
    let kinds: Vec<_> = request_records(&sent).iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [GET_VALUES, BEGIN, PARAMS, PARAMS, STDIN, STDIN, DATA, DATA, ABORT]);
}

#[test]
fn r12_stdout_and_stderr_are_streams_and_the_rest_discrete() {
    let t = check(
        &Server::new()
            .unknown_type(1)
            .unknown_type(1)
            .stdout(1, b"a")
            .stdout(1, b"b")
            .stderr(1, b"c")
            .stderr(1, b"d")
            .end(1, 0, 0),
    );
    t.assert_sound();
    assert_eq!(t.story(), "UNKNOWN_TYPE(1) UNKNOWN_TYPE(1) STDOUT#1:2 STDERR#1:2 END#1(0,0)");
}

// Ids.

#[test]
fn i1_ids_are_reused() {
    let bytes = Server::new().answer(1).answer(1).answer(1);
    let t = check_in_turn(&bytes);
    assert_eq!(t.story(), [answered(1), answered(1), answered(1)].join(" "));
    assert!(t.is_reusable);
}

#[test]
fn i2_an_id_is_the_smallest_that_is_free() {
    let mut connection = fresh::<4>();
    let ids: Vec<_> = (0..4).map(|_| GET.send(&mut connection).0.get()).collect();
    assert_eq!(ids, [1, 2, 3, 4]);
    for (ended, next) in [(&[3][..], &[3][..]), (&[4, 2], &[2, 4]), (&[1], &[1])] {
        for id in ended {
            eat(&mut connection, &Server::new().answer(*id));
        }
        let ids: Vec<_> = next.iter().map(|_| GET.send(&mut connection).0.get()).collect();
        assert_eq!(ids, next);
    }
}

/// Feeds all of the bytes.
fn eat<const N: usize>(connection: &mut Connection<N>, mut bytes: &[u8]) {
    while connection.next_event(&mut bytes).unwrap().is_some() {}
}

#[test]
fn i2_no_more_requests_than_slots() {
    let mut connection = fresh::<3>();
    for _ in 0..3 {
        GET.send(&mut connection);
    }
    assert_eq!(connection.begin(Role::Responder, true).unwrap_err(), SendError::Full { capacity: 3 });
    eat(&mut connection, &Server::new().answer(2));
    assert_eq!(connection.begin(Role::Responder, true).unwrap().0, id(2));
}

#[test]
fn i4_an_id_is_active_from_begin_to_end_request() {
    let mut connection = fresh::<2>();
    assert!(!connection.is_active(id(1)));
    GET.send(&mut connection);
    assert!(connection.is_active(id(1)) && !connection.is_active(id(2)));
    let bytes = Server::new().answer(1);
    eat(&mut connection, &bytes[..bytes.len() - 1]);
    assert!(connection.is_active(id(1)));
    eat(&mut connection, &bytes[bytes.len() - 1..]);
    assert!(!connection.is_active(id(1)));
    for number in [3, 255, 256, 65535] {
        assert!(!connection.is_active(id(number)));
    }
}

// Pairs.

/// The lengths at which the encoding changes.
const LENGTHS: [usize; 8] = [0, 1, 126, 127, 128, 129, 255, 256];

#[test]
fn n1_n2_each_length_takes_one_byte_up_to_127_and_four_above() {
    for name in LENGTHS {
        for value in LENGTHS {
            let (name, value) = (vec![b'n'; name], vec![b'v'; value]);
            let expected = support::pairs(&[(&name, &value)]);
            let ask = Ask { params: &[(&name, &value)], ..GET };
            assert_eq!(content(&ask.bytes(), PARAMS, 1), expected);
            let mut packer = Packer::new([0; 600]);
            packer.push(&name, &value).unwrap();
            assert_eq!(packer.bytes(), expected);
            assert_eq!(pair::encoded_len(&name, &value), Some(expected.len()));
        }
    }
}

#[test]
fn n3_four_byte_lengths_of_small_values_are_read_in_get_values_result() {
    let content = b"\x80\0\0\x0eFCGI_MAX_CONNS".to_vec();
    let content = [&content[..4], b"\x80\0\0\x01", &content[4..], b"1"].concat();
    let t = check_after::<1>(|connection| drop(connection.get_values()), &Server::new().values(&content));
    let [Seen::Values { data, whole: true }] = &t.events[..] else { panic!("{}", t.story()) };
    assert_eq!(Pairs::new(data).collect::<Vec<_>>(), [(&b"FCGI_MAX_CONNS"[..], &b"1"[..])]);
}

#[test]
fn n4_names_and_values_are_binary_and_may_be_empty() {
    let all: Vec<u8> = (0..=255).collect();
    let params: &[(&[u8], &[u8])] = &[(b"", b""), (b"", b"v"), (b"n", b""), (&all, &all), (b"a=b", b"\0\n")];
    let ask = Ask { params, ..GET };
    let sent = content(&ask.bytes(), PARAMS, 1);
    assert_eq!(sent, support::pairs(params));
    assert_eq!(Pairs::new(&sent).collect::<Vec<_>>(), params);
}

#[test]
fn n5_a_value_is_sent_as_it_is_without_a_nul() {
    let sent = content(&GET.bytes(), PARAMS, 1);
    assert_eq!(sent, b"\x0e\x03REQUEST_METHODGET");
}

#[test]
fn n7_pairs_are_sent_in_the_callers_order() {
    let params: &[(&[u8], &[u8])] = &[(b"Z", b"1"), (b"A", b"2"), (b"M", b"3"), (b"A", b"4")];
    let sent = content(&Ask { params, ..GET }.bytes(), PARAMS, 1);
    assert_eq!(Pairs::new(&sent).collect::<Vec<_>>(), params);
}

// Management.

#[test]
fn g1_get_values_has_id_0_and_the_three_names_without_values() {
    let mut connection = fresh::<1>();
    let sent = connection.get_values().bytes();
    let [Wire { kind: GET_VALUES, id: 0, content, padding, .. }] = &request_records(&sent)[..] else {
        panic!("{sent:?}")
    };
    let names: &[(&[u8], &[u8])] =
        &[(b"FCGI_MAX_CONNS", b""), (b"FCGI_MAX_REQS", b""), (b"FCGI_MPXS_CONNS", b"")];
    assert_eq!(Pairs::new(content).collect::<Vec<_>>(), names);
    assert_eq!(padding.len(), 8, "libfcgi answers one without padding only when the next record comes");
}

#[test]
fn g2_each_get_values_has_one_answer() {
    let values = support::pairs(&[("FCGI_MAX_CONNS", "10"), ("FCGI_MPXS_CONNS", "1")]);
    let bytes = Server::new().values(&values).values(b"").values(&values);
    for (asked, story) in
        [(0, ""), (1, "VALUES:48"), (2, "VALUES:48 VALUES:0"), (3, "VALUES:48 VALUES:0 VALUES:48")]
    {
        let t = check_after::<1>(
            |connection| {
                for _ in 0..asked {
                    let _ = connection.get_values();
                }
            },
            &bytes,
        );
        assert_eq!(t.story(), story.replace("48", &values.len().to_string()));
        t.assert_sound();
    }
}

#[test]
fn g3_names_may_be_missing_from_the_answer() {
    let t = check_after::<1>(|connection| drop(connection.get_values()), &Server::new().values(b""));
    assert_eq!(t.events, [Seen::Values { data: Vec::new(), whole: true }]);
}

#[test]
fn g5_values_are_asked_for_and_answered_before_between_and_during_requests() {
    let values = support::pairs(&[("FCGI_MAX_REQS", "1")]);
    let start = |connection: &mut Connection<2>| {
        let _ = connection.get_values();
        let (id, _) = connection.begin(Role::Responder, true).unwrap();
        let _ = connection.get_values();
        let _ = connection.params_end(id).unwrap();
        let _ = connection.get_values();
        let _ = connection.stdin_end(id).unwrap();
    };
    let bytes = Server::new().values(&values).stdout(1, b"a").values(&values).stdout(1, b"b").end(1, 0, 0);
    let t = check_after(start, &bytes.values(&values));
    t.assert_sound();
    let length = values.len();
    let story = format!("VALUES:{length} STDOUT#1:1 VALUES:{length} STDOUT#1:1 END#1(0,0) VALUES:{length}");
    assert_eq!(t.story(), story);
}

#[test]
fn g7_nothing_is_asked_unless_the_caller_asks() {
    assert_eq!(summary(&GET.bytes()), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:0");
}

#[test]
fn g8_g9_unknown_type_names_the_type_and_the_connection_goes_on() {
    let t = check(&Server::new().unknown_type(12).unknown_type(255).answer(1));
    t.assert_sound();
    assert_eq!(t.story(), format!("UNKNOWN_TYPE(12) UNKNOWN_TYPE(255) {}", answered(1)));
    let limits = Limits { ignored: 16, ..Limits::default() };
    let t = check_all::<1>(limits, &|_| {}, &|_, _| {}, &Server::new().unknown_type(12).unknown_type(13));
    let too_much = ConnectionError::IgnoredTooMuch { limit: 16 };
    assert_eq!((t.story(), t.error), ("UNKNOWN_TYPE(12)".to_owned(), Some(too_much)));
}

#[test]
fn g8_an_unknown_type_of_another_length_is_ignored() {
    for content in [&b""[..], &[9], &[9; 7], &[9; 9], &[9; 300]] {
        let t = check(&Server::new().record(UNKNOWN_TYPE, 0, content).answer(1));
        t.assert_sound();
        assert_eq!(t.story(), answered(1));
    }
}

// BEGIN_REQUEST, END_REQUEST, ABORT_REQUEST.

#[test]
fn b1_begin_is_the_role_the_flags_and_five_zero_bytes() {
    for (role, number) in
        [(Role::Responder, RESPONDER), (Role::Authorizer, AUTHORIZER), (Role::Filter, FILTER)]
    {
        let begin = fresh::<1>().begin(role, true).unwrap().1.bytes();
        assert_eq!(begin, [1, 1, 0, 1, 0, 8, 0, 0, 0, number as u8, 1, 0, 0, 0, 0, 0]);
    }
}

#[test]
fn b2_the_roles_are_1_2_and_3() {
    assert_eq!([Role::Responder, Role::Authorizer, Role::Filter].map(|role| role as u16), [1, 2, 3]);
}

#[test]
fn b3_end_is_the_application_status_the_protocol_status_and_three_bytes() {
    for app_status in [0, 1, 42, 0x0102_0304, u32::MAX] {
        for protocol_status in [0, 1, 2, 3, 4, 255] {
            let t = check(&Server::new().end(1, app_status, protocol_status));
            assert_eq!(t.events, [Seen::End { id: 1, app_status, protocol_status, answered: false }]);
        }
    }
    for length in [0, 1, 7, 9, 16, 65535] {
        let error = ConnectionError::BodyLength { record_type: END, found: length };
        let bytes = Server::new().record(END, 1, &vec![0; usize::from(length)]);
        assert_eq!(check(&bytes).error, Some(error));
    }
}

#[test]
fn b4_status_0_leaves_the_connection_fit_for_the_next() {
    check(&Server::new().stdout(1, ANSWER).end(1, 42, 0)).assert_sound();
}

#[test]
fn b5_b6_b7_b8_a_rejection_is_told_apart_and_nothing_follows_it() {
    let statuses = [ProtocolStatus::CantMpxConn, ProtocolStatus::Overloaded, ProtocolStatus::UnknownRole];
    for status in statuses {
        let t = check(&Server::new().end(1, 0, status as u8));
        let [Seen::End { protocol_status, answered: false, .. }] = t.events[..] else {
            panic!("{}", t.story())
        };
        assert_eq!(ProtocolStatus::from_wire(protocol_status), Some(status));
        assert!(t.active.is_empty() && !t.is_reusable);
    }
}

#[test]
fn b8_a_rejection_with_an_answer_says_so() {
    let t = check(&Server::new().stdout(1, ANSWER).stdout(1, b"").end(1, 0, 2));
    assert_eq!(t.story(), "STDOUT#1:23 STDOUT#1:0 END#1(0,2)");
}

#[test]
fn b8_a_rejection_leaves_the_other_requests_running() {
    let t = check_many::<2>(&Server::new().end(2, 0, 2).answer(1));
    assert_eq!(t.story(), format!("-END#2(0,2) {}", answered(1)));
    assert!(t.error.is_none() && t.active.is_empty());
}

#[test]
fn b9_an_abort_is_an_empty_record_with_the_requests_id_in_every_phase() {
    let mut connection = fresh::<5>();
    for phase in 0..5 {
        let (id, _) = connection.begin(Role::Filter, true).unwrap();
        let steps: [&dyn Fn(&mut Connection<5>); 4] = [
            &|c| drop(c.param(id, b"A", b"1").unwrap()),
            &|c| drop(c.params_end(id).unwrap()),
            &|c| drop(c.stdin_end(id).unwrap()),
            &|c| drop(c.data_end(id).unwrap()),
        ];
        steps.iter().take(phase).for_each(|step| step(&mut connection));
    }
    for number in 1..=5 {
        let abort = connection.abort(id(number)).unwrap().bytes();
        assert_eq!(abort, [1, ABORT, 0, number as u8, 0, 0, 0, 0]);
    }
}

#[test]
fn b9_only_an_active_request_is_aborted() {
    let mut connection = fresh::<1>();
    let inactive = SendError::Inactive { id: RequestId::ONE };
    assert_eq!(connection.abort(RequestId::ONE).unwrap_err(), inactive);
    GET.send(&mut connection);
    eat(&mut connection, &Server::new().answer(1));
    assert_eq!(connection.abort(RequestId::ONE).unwrap_err(), inactive);
    assert!(connection.is_reusable(), "a call that is refused changes nothing");
}

#[test]
fn b10_b13_after_an_abort_the_id_is_active_until_end_request() {
    let start = |connection: &mut Connection<2>| {
        GET.send(connection);
        let _ = connection.abort(RequestId::ONE).unwrap();
        assert!(connection.is_active(RequestId::ONE));
    };
    let t = check_after(start, b"");
    assert_eq!((t.active, t.eof), (vec![1], Ok(())));
    let t = check_after(start, &Server::new().stdout(1, b"late").end(1, 7, 0));
    assert_eq!(t.story(), "STDOUT#1:4 END#1(7,0)");
    assert!(t.active.is_empty());
}

#[test]
fn b13_an_aborted_request_is_sent_nothing_more() {
    let mut connection = fresh::<1>();
    let (id, _) = connection.begin(Role::Filter, true).unwrap();
    let _ = connection.abort(id).unwrap();
    assert_eq!(connection.param(id, b"A", b"1").unwrap_err(), out_of_order(RecordType::Params));
    assert_eq!(connection.params_end(id).unwrap_err(), out_of_order(RecordType::Params));
    assert_eq!(connection.stdin_end(id).unwrap_err(), out_of_order(RecordType::Stdin));
    assert_eq!(connection.data_end(id).unwrap_err(), out_of_order(RecordType::Data));
}

#[test]
fn b11_b12_a_close_cuts_every_request_short() {
    let t = check_many::<3>(&Server::new().answer(2).stdout(1, b"half"));
    assert_eq!((t.eof, t.active), (Ok(()), vec![1, 3]));
}

// Streams of all roles.

#[test]
fn s1_a_request_is_application_records_only() {
    assert!(records(&FILTERED).iter().all(|record| (BEGIN..=DATA).contains(&record.kind) && record.id == 1));
}

#[test]
fn s2_inputs_come_one_after_another() {
    use RecordType::{Data, Params, Stdin};
    // What a Filter may be sent after so many ends, and how each of the others is refused.
    for (ended, now) in [(0, Some(Params)), (1, Some(Stdin)), (2, Some(Data)), (3, None)] {
        let begun = || {
            let mut connection = fresh::<1>();
            let (id, _) = connection.begin(Role::Filter, true).unwrap();
            for step in
                [Connection::<1>::params_end, Connection::stdin_end, Connection::data_end].iter().take(ended)
            {
                let _ = step(&mut connection, id).unwrap();
            }
            (connection, id)
        };
        for stream in [Params, Stdin, Data] {
            let expected = if now == Some(stream) { Ok(()) } else { Err(out_of_order(stream)) };
            let (mut connection, id) = begun();
            let written = match stream {
                Params => connection.params(id, b"\0\0").map(drop),
                Stdin => connection.stdin(id, b"x").map(drop),
                _ => connection.data(id, b"x").map(drop),
            };
            assert_eq!(written, expected, "{stream:?} after {ended} ends");
            if stream == Params {
                assert_eq!(connection.param(id, b"", b"").map(drop), expected);
            }
            let ended_now = match stream {
                Params => connection.params_end(id),
                Stdin => connection.stdin_end(id),
                _ => connection.data_end(id),
            };
            assert_eq!(ended_now.map(drop), expected, "the end of {stream:?} after {ended} ends");
            assert!(connection.is_reusable() && connection.is_active(id), "misuse changes nothing");
        }
    }
}

#[test]
fn s2_requests_are_interleaved_but_each_ones_streams_are_in_order() {
    let mut connection = fresh::<2>();
    let (one, begin_one) = connection.begin(Role::Responder, true).unwrap();
    let (two, begin_two) = connection.begin(Role::Filter, true).unwrap();
    let mut sent = [begin_one.bytes(), begin_two.bytes()].concat();
    sent.extend(connection.params_end(two).unwrap().bytes());
    sent.extend(connection.param(one, b"A", b"1").unwrap().bytes());
    sent.extend(connection.stdin(two, b"two").unwrap().0.bytes());
    sent.extend(connection.params_end(one).unwrap().bytes());
    sent.extend(connection.stdin_end(two).unwrap().bytes());
    sent.extend(connection.stdin_end(one).unwrap().bytes());
    sent.extend(connection.data_end(two).unwrap().bytes());
    request_records(&sent);
}

#[test]
fn s3_stdout_and_stderr_may_be_interleaved() {
    let server = Server::new().stdout(1, b"ab").stderr(1, b"x").stdout(1, b"c").stderr(1, b"yz");
    let t = check(&server.stdout(1, b"").stderr(1, b"").end(1, 0, 0));
    t.assert_sound();
    assert_eq!((t.stdout(1), t.stderr(1)), (b"abc".to_vec(), b"xyz".to_vec()));
}

#[test]
fn s4_stderr_may_be_missing_empty_or_without_an_end() {
    for (server, story) in [
        (Server::new(), ""),
        (Server::new().stderr(1, b""), "STDERR#1:0 "),
        (Server::new().stderr(1, b"x"), "STDERR#1:1 "),
        (Server::new().stderr(1, b"x").stderr(1, b""), "STDERR#1:1 STDERR#1:0 "),
    ] {
        let t = check(&server.answer(1));
        t.assert_sound();
        assert_eq!(t.story(), format!("{story}{}", answered(1)));
    }
}

#[test]
fn s5_an_empty_stream_is_one_empty_record() {
    for (role, summary_) in [
        (Role::Responder, "BEGIN#1 PARAMS#1:0 STDIN#1:0"),
        (Role::Authorizer, "BEGIN#1 PARAMS#1:0 STDIN#1:0"),
        (Role::Filter, "BEGIN#1 PARAMS#1:0 STDIN#1:0 DATA#1:0"),
    ] {
        assert_eq!(summary(&Ask { role, params: &[], ..GET }.bytes()), summary_);
    }
}

#[test]
fn s6_output_may_begin_before_the_last_input_has_ended() {
    let start = |connection: &mut Connection<1>| {
        let (id, _) = connection.begin(Role::Responder, true).unwrap();
        let _ = connection.params_end(id).unwrap();
    };
    let t = check_after(start, &Server::new().stdout(1, b"early").stderr(1, b"too"));
    assert_eq!((t.story(), t.is_reusable), ("STDOUT#1:5 STDERR#1:3".to_owned(), true));
    assert_eq!(t.active, [1]);
}

// Responder.

#[test]
fn e1_parameters_come_over_params_and_then_the_body_over_stdin() {
    let params: &[(&[u8], &[u8])] = &[(b"REQUEST_METHOD", b"POST"), (b"CONTENT_LENGTH", b"5")];
    let sent = Ask { params, stdin: b"hello", ..GET }.bytes();
    assert_eq!(summary(&sent), "BEGIN#1 PARAMS#1:20 PARAMS#1:17 PARAMS#1:0 STDIN#1:5 STDIN#1:0");
    assert_eq!(content(&sent, PARAMS, 1), support::pairs(params));
    assert_eq!(content(&sent, STDIN, 1), b"hello");
}

#[test]
fn e2_exactly_the_bytes_given_come_over_stdin() {
    for length in [0, 1, 7, 8, 9, 65_527, 65_528, 65_529, 65_535, 65_536, 131_072, 200_000] {
        let body: Vec<u8> = (0..length).map(|at: usize| at as u8).collect();
        assert_eq!(content(&Ask { stdin: &body, ..GET }.bytes(), STDIN, 1), body);
    }
}

#[test]
fn e3_a_body_cut_short_still_has_its_end() {
    let mut connection = fresh::<1>();
    let (id, begin) = connection.begin(Role::Responder, true).unwrap();
    let mut sent = begin.bytes();
    sent.extend(connection.param(id, b"CONTENT_LENGTH", b"10").unwrap().bytes());
    sent.extend(connection.params_end(id).unwrap().bytes());
    sent.extend(connection.stdin(id, b"half").unwrap().0.bytes());
    sent.extend(connection.stdin_end(id).unwrap().bytes());
    assert!(summary(&sent).ends_with("STDIN#1:4 STDIN#1:0"));
}

#[test]
fn e4_stderr_is_handed_over_as_it_comes() {
    let t = check(&Server::new().stderr(1, b"first").answer(1));
    assert_eq!(t.events[0], Seen::Bytes { kind: STDERR, id: 1, data: b"first".to_vec() });
}

#[test]
fn e6_the_application_status_is_handed_over() {
    let t = check(&Server::new().stdout(1, ANSWER).end(1, 3, 0));
    assert_eq!(t.events[1], Seen::End { id: 1, app_status: 3, protocol_status: 0, answered: true });
}

// Authorizer and Filter.

#[test]
fn u1_an_authorizer_gets_parameters_and_no_body() {
    let mut connection = fresh::<1>();
    let (id, begin) = connection.begin(Role::Authorizer, true).unwrap();
    let mut sent = begin.bytes();
    sent.extend(connection.param(id, b"REQUEST_METHOD", b"POST").unwrap().bytes());
    sent.extend(connection.params_end(id).unwrap().bytes());
    assert_eq!(connection.stdin(id, b"body").unwrap_err(), out_of_order(RecordType::Stdin));
    sent.extend(connection.stdin_end(id).unwrap().bytes());
    assert_eq!(connection.data(id, b"file").unwrap_err(), out_of_order(RecordType::Data));
    assert_eq!(summary(&sent), "BEGIN#1 PARAMS#1:20 PARAMS#1:0 STDIN#1:0");
}

#[test]
fn f2_a_filter_gets_stdin_then_data_each_with_its_end() {
    let sent = FILTERED.bytes();
    assert_eq!(summary(&sent), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:4 STDIN#1:0 DATA#1:6 DATA#1:0");
    assert_eq!(content(&sent, DATA, 1), b"a file");
}

#[test]
fn f3_an_answer_before_data_was_sent_is_an_answer_and_the_last() {
    let start = |connection: &mut Connection<1>| {
        let (id, _) = connection.begin(Role::Filter, true).unwrap();
        let _ = connection.params_end(id).unwrap();
        let _ = connection.stdin_end(id).unwrap();
    };
    let t = check_after(start, &Server::new().answer(1));
    assert_eq!((t.story(), t.error, t.is_reusable), (answered(1), None, false));
}

// Open points.

#[test]
fn z1_another_version_is_fatal() {
    for version in [0, 2, 3, 0x80, 255] {
        for before in [Server::new(), Server::new().stdout(1, b"x"), Server::new().answer(1)] {
            let story = check(&before).story();
            let t = check(&before.raw(&[version, STDOUT, 0, 1, 0, 1, 0, 0, b'x']));
            assert_eq!((t.error, t.story()), (Some(ConnectionError::Version { found: version }), story));
        }
    }
}

#[test]
fn z2_an_id_in_use_is_never_begun_again() {
    let mut connection = fresh::<1>();
    GET.send(&mut connection);
    assert_eq!(connection.begin(Role::Responder, true).unwrap_err(), SendError::Full { capacity: 1 });
}

#[test]
fn z2_an_end_request_that_refuses_another_request_ends_the_one_it_names() {
    let t = check(&Server::new().stdout(1, b"half").end(1, 0, 1).stdout(1, b"rest"));
    assert_eq!((t.story(), t.is_reusable), ("STDOUT#1:4 END#1(0,1)".to_owned(), false));
}

#[test]
fn z3_an_answer_with_id_0_is_fatal() {
    let t = check(&Server::new().stdout(0, ANSWER).stdout(0, b"").end(0, 0, 0));
    assert_eq!(t.error, Some(ConnectionError::NullRequestId { record_type: STDOUT }));
}

#[test]
fn z4_unknown_types_are_ignored_with_any_id() {
    for kind in [0, 12, 99, 255] {
        for id in [0, 1, 2, 65535] {
            let server = Server::new().record(kind, id, b"").stdout(1, b"a").record(kind, id, &[6; 20]);
            let t = check(&server.record(kind, id, &[1; 8]).stdout(1, b"b").end(1, 0, 0));
            t.assert_sound();
            assert_eq!((t.story(), t.stdout(1)), ("STDOUT#1:2 END#1(0,0)".to_owned(), b"ab".to_vec()));
        }
    }
}

#[test]
fn z5_types_of_the_wrong_direction_are_ignored() {
    for kind in [BEGIN, ABORT, PARAMS, STDIN, DATA] {
        for id in [1, 2] {
            for content in [&b""[..], &[0; 8], b"x"] {
                let t = check(&Server::new().record(kind, id, content).answer(1));
                t.assert_sound();
                assert_eq!(t.story(), answered(1));
            }
        }
    }
    let t = check(&Server::new().record(GET_VALUES, 0, &support::get()).answer(1));
    assert_eq!(t.story(), answered(1));
}

#[test]
fn z4_z5_what_is_ignored_has_a_budget_of_its_own_between_two_requests() {
    let limits = support::limits(|limits| limits.ignored = 110);
    let ignored = |count| (0..count).fold(Server::new(), |server, _| server.record(99, 1, &[0; 12]));
    let run = |bytes: &[u8]| {
        let send = |connection: &mut Connection<1>| drop(GET.send(connection));
        check_all(
            limits,
            &send,
            &|c, event| {
                if matches!(event, Event::End { .. }) {
                    send(c)
                }
            },
            bytes,
        )
    };
    assert_eq!(run(&ignored(5)).error, None);
    assert_eq!(run(&ignored(6)).error, Some(ConnectionError::IgnoredTooMuch { limit: 110 }));
    // With the empty record that ends an answer.
    assert_eq!(run(&ignored(5).answer(1).raw(&ignored(5))).error, None);
    // Whatever it is that is ignored.
    for (kind, id) in [(STDIN, 1), (STDOUT, 2), (UNKNOWN_TYPE, 0), (GET_VALUES_RESULT, 0), (GET_VALUES, 0)] {
        let ignored = |count| (0..count).fold(Server::new(), |server, _| server.record(kind, id, &[0; 12]));
        assert_eq!(run(&ignored(5)).error, None);
        assert_eq!(run(&ignored(6)).error, Some(ConnectionError::IgnoredTooMuch { limit: 110 }));
    }
}

#[test]
fn z6_stdout_after_its_end_and_a_second_end_are_part_of_the_answer() {
    let server = Server::new().stdout(1, b"a").stdout(1, b"").stdout(1, b"b").stdout(1, b"").stdout(1, b"");
    let t = check(&server.end(1, 0, 0));
    t.assert_sound();
    assert_eq!(t.stdout(1), b"ab");
    assert_eq!(t.story(), "STDOUT#1:1 STDOUT#1:0 STDOUT#1:1 STDOUT#1:0 STDOUT#1:0 END#1(0,0)");
}

#[test]
fn z7_whole_pairs_only_can_be_packed() {
    let mut packer = Packer::new([0; 10]);
    packer.push(b"A", b"12").unwrap();
    assert!(packer.push(b"B", b"1234").is_err());
    assert_eq!(packer.bytes(), b"\x01\x02A12");
}

#[test]
fn z9_an_authorizer_gets_the_end_of_stdin() {
    let sent = Ask { role: Role::Authorizer, ..GET }.bytes();
    assert!(summary(&sent).ends_with("PARAMS#1:0 STDIN#1:0"));
}

#[test]
fn z10_an_unknown_role_is_told_at_begin_or_later() {
    let at_begin = |connection: &mut Connection<1>| drop(connection.begin(Role::Filter, true).unwrap());
    let later = |connection: &mut Connection<1>| drop(FILTERED.send(connection));
    for start in [&at_begin as &dyn Fn(&mut Connection<1>), &later] {
        let t = check_after(start, &Server::new().end(1, 0, 3));
        assert_eq!((t.story(), t.is_reusable), ("-END#1(0,3)".to_owned(), false));
    }
}

#[test]
fn z11_a_rejected_request_is_a_connections_last_whatever_keep_conn_says() {
    for ask in [GET, LAST] {
        let t = check_after::<1>(|connection| drop(ask.send(connection)), &Server::new().end(1, 0, 2));
        assert!(!t.is_reusable && t.active.is_empty());
    }
}

#[test]
fn z12_reserved_bytes_are_ignored_and_sent_as_zero() {
    let server = Server::new().reserved(0xff).record(UNKNOWN_TYPE, 0, &[9, 1, 2, 3, 4, 5, 6, 7]);
    let t = check(&server.stdout(1, b"x").record(END, 1, &[0, 0, 0, 7, 0, 0xaa, 0xbb, 0xcc]));
    t.assert_sound();
    assert_eq!(t.story(), "UNKNOWN_TYPE(9) STDOUT#1:1 END#1(7,0)");
    request_records(&FILTERED.bytes());
}

#[test]
fn z13_no_request_begins_after_one_that_does_not_keep_the_connection() {
    let mut connection = fresh::<3>();
    GET.send(&mut connection);
    LAST.send(&mut connection);
    assert!(!connection.is_reusable());
    assert_eq!(connection.begin(Role::Responder, true).unwrap_err(), SendError::NotReusable);
    let start = |connection: &mut Connection<3>| {
        GET.send(connection);
        LAST.send(connection);
    };
    let t = check_after(start, &Server::new().answer(2).answer(1));
    assert_eq!(t.story(), format!("{} {}", answered(2), answered(1)));
    let t = check_after(start, &Server::new().answer(2));
    assert_eq!(t.active, [1], "the server closed under the other request");
}

#[test]
fn z14_end_request_alone_ends_the_answer() {
    let t = check(&Server::new().stdout(1, ANSWER).end(1, 0, 0));
    t.assert_sound();
    assert_eq!(t.story(), "STDOUT#1:23 END#1(0,0)");
    let t = check(&Server::new().stdout(1, ANSWER).stdout(1, b""));
    assert_eq!((t.story(), t.active), ("STDOUT#1:23 STDOUT#1:0".to_owned(), vec![1]));
}

#[test]
fn every_server_record_of_a_plain_answer_is_an_event() {
    let t = check(&Server::new().answer(1));
    let end = Seen::End { id: 1, app_status: 0, protocol_status: 0, answered: true };
    let stdout = Seen::Bytes { kind: STDOUT, id: 1, data: ANSWER.to_vec() };
    assert_eq!(t.events, [stdout, Seen::Ended { kind: STDOUT, id: 1 }, end]);
    t.assert_sound();
}

#[test]
fn i1_an_id_is_not_used_again_while_a_record_begins_that_nobody_asked_for() {
    let mut connection = Connection::<1>::new(fcgi_proto::Limits::default());
    let (id, _) = connection.begin(Role::Responder, true).expect("a free id");
    let _ = connection.params_end(id).expect("in order");
    let _ = connection.stdin_end(id).expect("in order");
    let mut input = &b"\x01\x03\0\x01\0\x08\0\0\0\0\0\0\0\0\0\0\x01\x06\0\x01"[..];
    assert!(matches!(connection.next_event(&mut input), Ok(Some(Event::End { .. }))));
    assert!(connection.is_reusable());
    assert_eq!(connection.next_event(&mut input), Ok(None));
    assert!(!connection.is_reusable());
    assert_eq!(connection.begin(Role::Responder, true).err(), Some(SendError::NotReusable));
}

#[test]
fn g2_an_answer_that_began_before_it_was_asked_for_is_ignored() {
    let mut connection = Connection::<1>::new(fcgi_proto::Limits::default());
    assert_eq!(connection.next_event(&mut &b"\x01\x0a\0\0\0\x02\0\0"[..]), Ok(None));
    let _ = connection.get_values();
    assert_eq!(connection.next_event(&mut &b"\0\0"[..]), Ok(None));
    let mut answer = &b"\x01\x0a\0\0\0\0\0\0"[..];
    assert_eq!(connection.next_event(&mut answer), Ok(Some(Event::Values { data: &[], last: true })));
}

#[test]
fn b9_a_request_is_aborted_once() {
    let mut connection = Connection::<1>::new(fcgi_proto::Limits::default());
    let (id, _) = connection.begin(Role::Responder, true).expect("a free id");
    let _ = connection.abort(id).expect("it is active");
    let stream = RecordType::AbortRequest;
    assert_eq!(connection.abort(id).err(), Some(SendError::OutOfOrder { id, stream }));
}
