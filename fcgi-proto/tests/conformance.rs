//! A test for every rule of the FastCGI specification that binds the application's side and that bytes can
//! show, named after the rule's number in the project's checklist (sections 2 to 6 and 8), and for the points
//! that the specification leaves open as `server` decides them (z1 to z14). What only a socket or a process can
//! show (c1, c5, c9, p6, p7, x1 to x4) is in the adapter's tests of the same names.

mod support;

use fcgi_proto::cgi::{Head, HeadError};
use fcgi_proto::pair::{Pairs, Params};
use fcgi_proto::process::WebServerAddrs;
use fcgi_proto::record::{HEADER_LEN, Record, RecordType, RequestId, Role};
use fcgi_proto::server::{Connection, Event, Refusal, SendError};
use fcgi_proto::{ConnectionError, Limits, decoder};
use support::*;

/// What a plain request looks like to the application.
fn plain(id: u16) -> String {
    format!("BEGIN#{id} PARAMS#{id}:19 PARAMS#{id}:0 STDIN#{id}:0")
}

fn two(first: &str, second: &str) -> String {
    format!("{first} {second}")
}

// The start of the process, and peers (2.2, 2.3, 3.2)

#[test]
fn z1_after_another_version_a_decoder_stays_failed_and_takes_nothing_more() {
    let record = b"\x01\x05\0\x01\0\0\0\0";
    let stream = [&record[..], b"\x02\x05\0\x01\0\x01\0\0", record, record].concat();
    for most in 1..=stream.len() {
        let (mut decoder, mut taken, mut failed) = (decoder::Decoder::new(), 0, 0);
        for mut chunk in stream.chunks(most) {
            let before = chunk.len();
            while let Some(part) = decoder.next(&mut chunk).unwrap_or_else(|error| {
                assert_eq!(error, ConnectionError::Version { found: 2 });
                failed += 1;
                None
            }) {
                assert!(matches!(part, decoder::Part::Header(_)) && failed == 0);
            }
            taken += before - chunk.len();
        }
        assert_eq!(decoder.next(&mut &record[..]), Err(ConnectionError::Version { found: 2 }));
        assert_eq!(taken, 16, "in chunks of {most}");
        assert!(failed > 0);
    }
}

#[test]
fn p4_the_listening_socket_is_descriptor_0() {
    assert_eq!(fcgi_proto::record::LISTENSOCK_FILENO, 0);
}

fn lets_in(list: &str, peer: Option<&str>) -> bool {
    let addrs = WebServerAddrs::parse(list).expect("a list of addresses");
    addrs.allows(peer.map(|peer| peer.parse().expect("an address")))
}

#[test]
fn c2_a_peer_is_looked_up_in_the_list() {
    assert!(lets_in("199.170.183.28,199.170.183.71", Some("199.170.183.28")));
    assert!(lets_in("199.170.183.28,199.170.183.71", Some("199.170.183.71")));
    assert!(!lets_in("199.170.183.28,199.170.183.71", Some("199.170.183.7")));
}

#[test]
fn c3_a_peer_that_is_not_in_the_list_or_not_tcp_is_not_let_in() {
    assert!(!lets_in("127.0.0.1", Some("127.0.0.2")));
    assert!(!lets_in("127.0.0.1", Some("::1")));
    assert!(!lets_in("127.0.0.1", None));
}

#[test]
fn c4_the_list_is_dotted_quads_with_commas_between() {
    for list in ["0.0.0.0", "255.255.255.255", "1.2.3.4,5.6.7.8,9.10.11.12"] {
        assert!(WebServerAddrs::parse(list).is_ok(), "{list}");
    }
    for (list, index) in [("", 0), ("1.2.3.256", 0), ("1.2.3", 0), ("1.2.3.4,", 1), ("1.2.3.4;5.6.7.8", 0)] {
        assert_eq!(WebServerAddrs::parse(list).expect_err("no list").index, index, "{list:?}");
    }
}

// Closing (3.5, 5.1)

#[test]
fn c7_keep_conn_clear_closes_after_the_response() {
    let t = check(&Client::new().request(1, CLOSE));
    assert_eq!(t.answers(), answered(1));
    assert!(t.is_finished);
}

#[test]
fn c7_keep_conn_clear_does_not_close_before_the_response() {
    let t = check_with::<1>(App::Silent, &Client::new().request(1, CLOSE));
    assert!(!t.is_finished && !t.is_idle);
}

#[test]
fn c7_a_refusal_is_a_response_after_which_the_connection_closes() {
    let t = check(&Client::new().begin(1, 9, CLOSE));
    assert_eq!(t.answers(), refused(1, 3));
    assert!(t.is_finished);
}

#[test]
fn c8_keep_conn_set_leaves_closing_to_the_client() {
    let t = check(&Client::new().request(1, KEEP).request(1, KEEP).request(2, KEEP));
    assert_eq!(t.answers(), [answered(1), answered(1), answered(2)].join(" "));
    assert!(!t.is_finished && t.is_idle);
}

#[test]
fn c8_the_last_request_of_a_kept_connection_can_close_it() {
    let t = check(&Client::new().request(1, KEEP).request(1, CLOSE));
    assert_eq!(t.begins(), [(1, Role::Responder, true), (1, Role::Responder, false)]);
    assert!(t.is_finished);
}

#[test]
fn c10_only_bit_0_of_the_flags_means_anything() {
    for flags in 0..=255 {
        let t = check(&Client::new().request(1, flags));
        assert_eq!(t.begins(), [(1, Role::Responder, flags % 2 == 1)]);
        assert_eq!(t.is_finished, flags % 2 == 0);
    }
}

// Records (3.1, 3.3, 8)

#[test]
fn r1_records_follow_each_other_with_nothing_in_between() {
    let t = check(&Client::new().request(1, KEEP).raw(b"\n").request(2, KEEP));
    assert_eq!(t.story(), plain(1));
    assert_eq!(t.error, Some(ConnectionError::Version { found: b'\n' }));
}

#[test]
fn r2_numbers_are_big_endian_when_they_arrive() {
    let t = check(&Client::new().request(0x0102, KEEP).head(0x0201, KEEP).stdin(0x0201, &[7; 0x0103]));
    assert_eq!(t.story(), two(&plain(258), "BEGIN#513 PARAMS#513:19 PARAMS#513:0 STDIN#513:259"));
}

#[test]
fn r2_numbers_are_big_endian_when_they_are_sent() {
    let t = check_with::<1>(
        App::Script(|connection, event, sent| {
            if let Event::StdinEnd { id } = *event {
                let (record, _) = connection.stdout(id, &[b'x'; 0x0201]).unwrap();
                send(&record, sent);
                sent.extend_from_slice(&connection.finish(id, 0x0102_0304).unwrap());
            }
        }),
        &Client::new().request(0x0506, KEEP),
    );
    assert_eq!(t.sent[..8], [1, STDOUT, 5, 6, 2, 1, 7, 0]);
    assert_eq!(t.sent[t.sent.len() - 16..], [1, END, 5, 6, 0, 8, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0]);
}

#[test]
fn r3_the_header_is_version_type_id_content_length_padding_length_reserved() {
    let request = [
        &[1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0][..],
        &[1, 4, 0, 1, 0, 4, 4, 0, 1, 1, b'a', b'b', 0, 0, 0, 0],
        &[1, 4, 0, 1, 0, 0, 0, 0],
        &[1, 5, 0, 1, 0, 0, 0, 0],
    ];
    let t = check(&request.concat());
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:4 PARAMS#1:0 STDIN#1:0");
    assert_eq!(t.params(1), b"\x01\x01ab");
    assert_eq!(t.sent[..8], [1, 6, 0, 1, 0, 23, 1, 0]);
}

#[test]
fn r3_the_reserved_byte_is_ignored() {
    let mut bytes = Client::new().request(1, KEEP).to_vec();
    bytes[7] = 0xff;
    assert_eq!(check(&bytes).story(), plain(1));
}

#[test]
fn r4_65535_bytes_of_content_and_255_of_padding_are_one_record() {
    let body: Vec<u8> = (0..65_535_u32).map(|i| i as u8).collect();
    let junk = [0xa5; 255];
    let bytes = Client::new().head(1, KEEP).padding(&junk).stdin(1, &body).stdin(1, b"").request(1, CLOSE);
    let t = check(&bytes);
    assert_eq!(t.story(), two("BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:65535 STDIN#1:0", &plain(1)));
    assert_eq!(t.stdin(1), body);
    assert_eq!(t.error, None);
}

#[test]
fn r4_an_ignored_record_of_65535_and_255_bytes_is_skipped_whole() {
    for kind in [PARAMS, STDIN, DATA, STDOUT, STDERR, GET_VALUES, UNKNOWN_TYPE, 99] {
        let bytes = Client::new().padding(&[1; 255]).record(kind, 3, &[1; 65_535]).request(1, KEEP);
        assert_eq!(check(&bytes).story(), plain(1), "type {kind}");
    }
}

#[test]
fn r5_padding_is_skipped_whatever_its_length_and_bytes() {
    for length in [1, 2, 5, 7, 8, 9, 16, 127, 128, 255] {
        let junk = Client::new().request(9, CLOSE).repeat(5);
        let bytes = Client::new().padding(&junk[..length]).request(1, KEEP).request(2, KEEP);
        let t = check(&bytes);
        assert_eq!(t.story(), two(&plain(1), &plain(2)), "padding of {length} bytes");
        assert_eq!(t.answers(), two(&answered(1), &answered(2)));
    }
}

#[test]
fn r5_padding_is_skipped_on_each_kind_of_record() {
    let record = |client: Client, kind| match kind {
        BEGIN => client.begin(1, RESPONDER, KEEP),
        ABORT => client.abort(1),
        GET_VALUES => client.get_values(VALUES),
        kind => client.record(kind, if kind < 12 { 1 } else { 0 }, b"abc"),
    };
    for kind in (1..=12).chain([255]) {
        // The padding would be a header of a foreign version, or a BEGIN_REQUEST, if it were read.
        for junk in [&[9; 8][..], &Client::new().begin(1, RESPONDER, KEEP)] {
            let client = if kind == BEGIN { Client::new() } else { Client::new().head(1, KEEP) };
            let padded = record(client.padding(junk), kind).padding(b"").request(2, KEEP);
            let t = check_with::<2>(App::Silent, &padded);
            assert_eq!(t.error, None, "type {kind}");
            assert!(t.story().ends_with(&plain(2)), "type {kind}: {}", t.story());
        }
    }
}

#[test]
fn r6_every_record_sent_ends_on_a_multiple_of_8_bytes() {
    for length in 1..=64 {
        let data = vec![b'x'; length];
        let (record, rest) = Record::stream(RecordType::Stdout, RequestId::ONE, &data);
        assert!(rest.is_empty());
        let bytes = record.slices().concat();
        assert_eq!(bytes.len(), 8 + length.next_multiple_of(8));
        assert_eq!(answer_records(&bytes)[0].content, data);
    }
}

#[test]
fn r7_a_header_of_any_version_is_8_bytes_long() {
    assert_eq!(HEADER_LEN, 8);
    let t = check(&[2, 1, 0, 1, 0, 8, 0]);
    assert_eq!((t.error, t.eof), (None, Err(ConnectionError::UnexpectedEof { missing: 1 })));
    assert_eq!(check(&[2, 1, 0, 1, 0, 8, 0, 0]).error, Some(ConnectionError::Version { found: 2 }));
}

#[test]
fn r8_an_application_record_with_id_0_is_an_error() {
    for kind in [BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA] {
        let t = check(&Client::new().request(1, KEEP).record(kind, 0, &[0; 8]).request(1, KEEP));
        assert_eq!(t.story(), plain(1));
        assert_eq!(t.error, Some(ConnectionError::NullRequestId { record_type: kind }));
    }
}

#[test]
fn r8_what_is_sent_of_management_carries_id_0() {
    let t = check(&Client::new().get_values(VALUES).record(77, 0, b"?"));
    assert_eq!(t.records().iter().map(|record| record.id).collect::<Vec<_>>(), [0, 0]);
}

#[test]
fn r9_an_empty_record_ends_a_stream_and_nothing_else_does() {
    let bytes = Client::new().head(1, KEEP).stdin(1, b"one").stdin(1, b"two").stdin(1, &[b'3'; 70]);
    let t = check(&bytes);
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:76");
    assert_eq!(check(&bytes.stdin(1, b"")).answers(), answered(1));
}

#[test]
fn r9_what_is_sent_ends_with_an_empty_record_and_has_none_before() {
    let t = check_with::<1>(
        App::Script(|connection, event, sent| {
            if let Event::StdinEnd { id } = *event {
                for text in [&b""[..], b"head", b"", b"body", b""] {
                    send(&connection.stdout(id, text).unwrap().0, sent);
                    send(&connection.stderr(id, text).unwrap().0, sent);
                }
                sent.extend_from_slice(&connection.finish(id, 0).unwrap());
            }
        }),
        &Client::new().request(1, KEEP),
    );
    let expected = "STDOUT#1:4 STDERR#1:4 STDOUT#1:4 STDERR#1:4 STDERR#1:0 STDOUT#1:0 END#1(0,0)";
    assert_eq!(t.answers(), expected);
}

#[test]
fn r10_a_stream_is_its_joined_content_however_it_is_cut_into_records() {
    let body: Vec<u8> = (0..500_u32).map(|i| i as u8).collect();
    let params = pairs(&[("A", &*"1".repeat(200)), ("B", "")]);
    for most in [1, 2, 7, 100, 1_000] {
        let mut client = Client::new().begin(1, RESPONDER, KEEP);
        for chunk in cut(&params, most, 1) {
            client = client.params(1, chunk);
        }
        client = client.params(1, b"");
        for chunk in cut(&body, most, 2) {
            client = client.stdin(1, chunk);
        }
        let t = check(&client.stdin(1, b""));
        assert_eq!(t.params(1), params);
        assert_eq!(t.stdin(1), body);
        assert_eq!(t.answers(), answered(1));
    }
}

#[test]
fn r10_params_may_be_cut_at_every_byte_also_inside_a_length() {
    let params = pairs(&[("NAME", &*"v".repeat(300)), (&*"n".repeat(130), ""), ("A", "b")]);
    for at in 1..params.len() {
        let (front, back) = params.split_at(at);
        let bytes = Client::new().begin(1, RESPONDER, KEEP).params(1, front).params(1, back).params(1, b"");
        let t = check_with::<1>(App::Early, &bytes);
        assert_eq!(t.params(1), params);
        assert_eq!(t.answers(), answered(1), "cut at {at}");
    }
}

#[test]
fn r11_records_of_the_servers_direction_change_nothing() {
    let mut client = Client::new().head(1, KEEP);
    for kind in [END, STDOUT, STDERR, GET_VALUES_RESULT, UNKNOWN_TYPE] {
        client = client.record(kind, 1, &[0; 8]).record(kind, 1, b"").record(kind, 2, b"x");
    }
    for kind in [GET_VALUES_RESULT, UNKNOWN_TYPE] {
        client = client.record(kind, 0, &[0; 8]).record(kind, 0, b"");
    }
    let t = check(&client.stdin(1, b""));
    assert_eq!((t.story(), t.answers()), (plain(1), answered(1)));
}

#[test]
fn r12_a_discrete_record_is_whole_and_needs_no_end() {
    let bytes = Client::new().head(1, KEEP).record(ABORT, 1, b"content that nobody defined").request(2, KEEP);
    let t = check(&bytes);
    assert_eq!(t.story(), two("BEGIN#1 PARAMS#1:19 PARAMS#1:0 ABORT#1", &plain(2)));
    assert_eq!(t.answers(), two("STDOUT#1:0 END#1(0,0)", &answered(2)));
}

// Request ids (3.3)

#[test]
fn i3_the_same_id_on_two_connections_is_two_requests() {
    let mut connections = [Connection::<1>::new(Limits::default()), Connection::new(Limits::default())];
    for connection in &mut connections {
        let bytes = Client::new().begin(1, RESPONDER, KEEP);
        let mut input = &bytes[..];
        assert!(matches!(connection.next_event(&mut input), Ok(Some(Event::Begin { .. }))));
    }
    let [one, two] = &mut connections;
    let _ = one.reject(id(1), Refusal::Overloaded).unwrap();
    assert!(!one.is_active(id(1)) && two.is_active(id(1)));
}

#[test]
fn i4_an_id_is_active_from_begin_to_end() {
    check_with::<3>(
        App::Script(|connection, event, sent| match *event {
            Event::Begin { id, .. } | Event::ParamsEnd { id } => assert!(connection.is_active(id)),
            Event::StdinEnd { id } => {
                assert!(connection.is_active(id));
                answer(connection, id, sent);
                assert!(!connection.is_active(id));
                assert_eq!(connection.finish(id, 0).unwrap_err(), SendError::Inactive { id });
                assert_eq!(connection.stdout(id, b"x").unwrap_err(), SendError::Inactive { id });
                assert_eq!(connection.stderr(id, b"x").unwrap_err(), SendError::Inactive { id });
            }
            _ => {}
        }),
        &Client::new().head(1, KEEP).head(65_535, KEEP).stdin(65_535, b"").stdin(1, b"").request(1, KEEP),
    );
}

#[test]
fn i4_an_id_is_inactive_after_a_refusal() {
    let t = check(&Client::new().begin(1, 9, KEEP).request(1, KEEP));
    assert_eq!(t.story(), plain(1));
    assert_eq!(t.answers(), two(&refused(1, 3), &answered(1)));
}

#[test]
fn i5_late_stdin_for_an_inactive_id_is_ignored() {
    let bytes = Client::new().request(1, KEEP).stdin(1, b"late").stdin(1, b"").request(2, KEEP);
    let t = check(&bytes);
    assert_eq!(t.story(), two(&plain(1), &plain(2)));
    assert_eq!(t.answers(), two(&answered(1), &answered(2)));
}

#[test]
fn i5_late_params_and_data_for_an_inactive_id_are_ignored() {
    let client = Client::new().request(1, KEEP).params(1, b"\x01\x01ab").params(1, b"");
    let t = check(&client.data(1, b"late").data(1, b"").request(1, KEEP));
    assert_eq!(t.story(), two(&plain(1), &plain(1)));
}

#[test]
fn i5_a_late_abort_is_ignored_and_not_answered() {
    let t = check(&Client::new().request(1, KEEP).abort(1).abort(1).request(1, KEEP));
    assert_eq!(t.story(), two(&plain(1), &plain(1)));
    assert_eq!(t.answers(), two(&answered(1), &answered(1)));
}

#[test]
fn i5_records_of_an_id_that_never_began_are_ignored() {
    let mut client = Client::new();
    for kind in [ABORT, PARAMS, STDIN, DATA, 99] {
        client = client.record(kind, 9, b"").record(kind, 9, b"content");
    }
    assert_eq!(check(&client.request(1, KEEP)).story(), plain(1));
}

#[test]
fn i5_records_of_an_inactive_id_do_not_disturb_an_active_request() {
    let noise = |client: Client| client.params(9, b"x").stdin(9, b"").stdin(9, b"yy").data(9, b"").abort(9);
    let client = noise(Client::new().begin(1, RESPONDER, KEEP)).params(1, &get());
    let client = noise(noise(client).params(1, b"")).stdin(1, b"body");
    let t = check(&noise(client).stdin(1, b""));
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:4 STDIN#1:0");
    assert_eq!(t.answers(), answered(1));
}

#[test]
fn i5_begin_makes_an_inactive_id_active_again() {
    let t = check(&Client::new().stdin(1, b"early").request(1, KEEP));
    assert_eq!(t.story(), plain(1));
}

#[test]
fn i6_one_request_at_a_time_is_enough() {
    let bytes = Client::new().head(5, KEEP).request(6, KEEP).stdin(5, b"").request(6, KEEP);
    let t = check(&bytes);
    assert_eq!(t.story(), two(&plain(5), &plain(6)));
    assert_eq!(t.answers(), [refused(6, 1), answered(5), answered(6)].join(" "));
}

// Name-value pairs (3.4)

/// The parameters that a request with this PARAMS stream has.
fn parameters(stream: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut client = Client::new().begin(1, RESPONDER, KEEP);
    for chunk in stream.chunks(60_000) {
        client = client.params(1, chunk);
    }
    let t = check_with::<1>(App::Early, &client.params(1, b""));
    assert_eq!(t.answers(), answered(1));
    let params = t.params(1);
    Pairs::new(&params).map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

#[test]
fn n1_the_two_lengths_are_encoded_independently() {
    let (short, long) = ("s".repeat(3), "l".repeat(128));
    for (name, value) in [(&short, &short), (&short, &long), (&long, &short), (&long, &long)] {
        let expected = [(name.clone().into_bytes(), value.clone().into_bytes())];
        assert_eq!(parameters(&pairs(&[(name, value)])), expected);
    }
}

#[test]
fn n2_lengths_at_the_border_of_one_and_four_bytes() {
    for length in [0, 1, 126, 127, 128, 129, 255, 256, 65_535, 65_536, 100_000] {
        let text = "x".repeat(length);
        let stream = pairs(&[("A", &*text), (&*text, "b"), ("Z", "z")]);
        let found = parameters(&stream);
        let lengths: Vec<_> = found.iter().map(|(name, value)| (name.len(), value.len())).collect();
        assert_eq!(lengths, [(1, length), (length, 1), (1, 1)]);
    }
}

#[test]
fn n2_a_length_above_127_is_sent_in_four_bytes_and_no_other() {
    for length in [0, 1, 127, 128, 129, 300] {
        let (text, mut buffer, mut len) = ("x".repeat(length), [0; 400], 0);
        fcgi_proto::pair::encode(b"A", text.as_bytes(), &mut buffer, &mut len).unwrap();
        assert_eq!(buffer[..len], pairs(&[("A", &*text)]));
    }
}

#[test]
fn n3_a_small_length_in_four_bytes_is_read() {
    let stream = b"\x80\0\0\x01\x80\0\0\x02ab2\x01\x80\0\0\0c\x80\0\0\0\x01d";
    let pair = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
    assert_eq!(parameters(stream), [pair(b"a", b"b2"), pair(b"c", b""), pair(b"", b"d")]);
}

#[test]
fn n4_names_and_values_are_binary_and_may_be_empty() {
    let every_byte: Vec<u8> = (0..=255).collect();
    let list = [
        (every_byte.clone(), every_byte.clone()),
        (vec![], b"value".to_vec()),
        (b"NAME=".to_vec(), vec![]),
        (vec![], vec![]),
        (vec![0xff, 0], vec![b'\n', 0]),
    ];
    assert_eq!(parameters(&pairs(&list)), list);
}

#[test]
fn n6_no_terminator_is_added_to_a_value() {
    assert_eq!(parameters(&pairs(&[("A", "b")])), [(b"A".to_vec(), b"b".to_vec())]);
}

#[test]
fn n7_pairs_come_in_any_order_and_are_found_by_name() {
    let list = [("REQUEST_METHOD", "GET"), ("CONTENT_LENGTH", ""), ("SCRIPT_NAME", "/a")];
    for rotation in 0..list.len() {
        let mut rotated = list;
        rotated.rotate_left(rotation);
        let mut params = Params::<256>::new();
        params.push(&pairs(&rotated)).unwrap();
        params.finish().unwrap();
        for (name, value) in list {
            assert_eq!(params.get(name.as_bytes()), Some(value.as_bytes()));
        }
    }
}

// Management (4)

#[test]
fn g2_get_values_is_answered_with_one_result() {
    let t = check(&Client::new().get_values(VALUES));
    assert_eq!(t.records().len(), 1);
    assert_eq!((t.records()[0].kind, t.records()[0].id), (GET_VALUES_RESULT, 0));
    assert!(t.is_idle && t.events.is_empty());
}

#[test]
fn g2_every_get_values_has_its_own_answer() {
    let client = Client::new().get_values(&["FCGI_MAX_REQS"]).get_values(&["FCGI_MAX_CONNS"]);
    let t = check(&client.get_values(&[]));
    assert_eq!(t.values(0), ["FCGI_MAX_REQS=1"]);
    assert_eq!(t.values(1), ["FCGI_MAX_CONNS=1"]);
    assert!(t.values(2).is_empty());
}

#[test]
fn g2_only_what_is_asked_for_is_answered() {
    for (i, name) in VALUES.iter().enumerate() {
        let t = check(&Client::new().get_values(&[name]));
        assert_eq!(t.values(0), [format!("{name}={}", [1, 1, 0][i])]);
    }
}

#[test]
fn g3_unknown_names_are_left_out() {
    let names =
        ["", "FCGI_MAX_CONN", "FCGI_MAX_CONNSX", "XCGI_MAX_CONNS", "fcgi_max_conns", "FCGI_MPXS_CONNS", "X"];
    let t = check(&Client::new().get_values(&names));
    assert_eq!(t.values(0), ["FCGI_MPXS_CONNS=0"]);
    let long = "FCGI_MAX_REQS".repeat(30);
    assert!(check(&Client::new().get_values(&[&long])).values(0).is_empty());
    assert_eq!(check(&Client::new().get_values(&["X"])).answers(), "GET_VALUES_RESULT#0:0");
}

#[test]
fn g4_the_values_are_decimal_text_of_the_limits() {
    let limits = limits(|limits| (limits.max_conns, limits.max_reqs) = (1_000, 4_294_967_295));
    let ask = Client::new().get_values(VALUES);
    let t = check_limits::<7>(limits, App::Silent, &ask);
    assert_eq!(t.values(0), ["FCGI_MAX_CONNS=1000", "FCGI_MAX_REQS=7000", "FCGI_MPXS_CONNS=1"]);
    let t = check_limits::<1>(limits, App::Silent, &ask);
    assert_eq!(t.values(0), ["FCGI_MAX_CONNS=1000", "FCGI_MAX_REQS=1000", "FCGI_MPXS_CONNS=0"]);
}

#[test]
fn g4_no_more_requests_are_promised_than_the_caller_takes() {
    let limits = limits(|limits| (limits.max_conns, limits.max_reqs) = (u32::MAX, 20));
    let t = check_limits::<7>(limits, App::Silent, &Client::new().get_values(VALUES));
    assert_eq!(t.values(0), ["FCGI_MAX_CONNS=4294967295", "FCGI_MAX_REQS=20", "FCGI_MPXS_CONNS=1"]);
}

#[test]
fn g5_get_values_may_come_before_between_and_during_requests() {
    let ask = |client: Client| client.get_values(VALUES);
    let client = ask(ask(Client::new()).begin(1, RESPONDER, KEEP)).params(1, &get()[..7]);
    let client = ask(ask(client).params(1, &get()[7..])).params(1, b"");
    let client = ask(ask(client).stdin(1, b"bo")).stdin(1, b"dy");
    let t = check(&ask(ask(client).stdin(1, b"")).request(1, KEEP));
    assert_eq!(t.story(), two("BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:4 STDIN#1:0", &plain(1)));
    assert_eq!(t.params(1), get().repeat(2));
    for nth in 0..8 {
        assert_eq!(t.values(nth).len(), 3);
    }
}

#[test]
fn g6_get_values_is_answered_while_the_application_is_busy() {
    let t = check_with::<1>(App::Silent, &Client::new().request(1, KEEP).get_values(VALUES));
    assert_eq!((t.story(), t.values(0).len()), (plain(1), 3));
}

#[test]
fn g8_an_unknown_management_type_is_answered_with_its_number() {
    for kind in [0, 12, 13, 99, 128, 255] {
        for content in [&b""[..], b"x", &[1; 8], &[9; 300]] {
            let t = check(&Client::new().record(kind, 0, content));
            assert_eq!(t.sent, [1, UNKNOWN_TYPE, 0, 0, 0, 8, 0, 0, kind, 0, 0, 0, 0, 0, 0, 0]);
        }
    }
}

#[test]
fn g9_an_unknown_management_type_does_not_end_the_connection_or_a_request() {
    let client = Client::new().record(12, 0, b"x").head(1, KEEP).record(200, 0, b"content");
    let t = check(&client.stdin(1, b"body").record(13, 0, b"").stdin(1, b"").request(1, KEEP));
    let first = "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:4 STDIN#1:0";
    assert_eq!((t.story(), t.error), (two(first, &plain(1)), None));
    let unknown = "UNKNOWN_TYPE(12) UNKNOWN_TYPE(200) UNKNOWN_TYPE(13)";
    assert_eq!(t.answers(), [unknown, &answered(1), &answered(1)].join(" "));
}

// BEGIN, END, ABORT (5.1, 5.4, 5.5)

#[test]
fn b1_a_begin_request_whose_content_is_not_8_bytes_is_an_error() {
    for found in [0, 1, 2, 3, 7, 9, 16, 65_535] {
        let t = check(&Client::new().record(BEGIN, 1, &vec![0; usize::from(found)]));
        assert_eq!(t.error, Some(ConnectionError::BodyLength { record_type: BEGIN, found }));
        assert!(t.events.is_empty() && t.sent.is_empty());
    }
}

#[test]
fn b2_the_three_roles_have_their_numbers() {
    for (number, role) in [(1, Role::Responder), (2, Role::Authorizer), (3, Role::Filter)] {
        let t = check(&Client::new().begin(1, number, KEEP));
        assert_eq!(t.begins(), [(1, role, true)]);
    }
}

#[test]
fn b3_end_requests_content_is_8_bytes_application_status_first() {
    let t = check_with::<1>(
        App::Script(|connection, event, sent| {
            if let Event::StdinEnd { id } = *event {
                sent.extend_from_slice(&connection.finish(id, 0xfedc_ba98).unwrap());
            }
        }),
        &Client::new().request(1, KEEP),
    );
    assert_eq!(t.records().last().unwrap().content, [0xfe, 0xdc, 0xba, 0x98, 0, 0, 0, 0]);
}

#[test]
fn b4_a_request_that_was_executed_ends_with_request_complete() {
    assert_eq!(check(&Client::new().request(1, KEEP)).answers(), "STDOUT#1:23 STDOUT#1:0 END#1(0,0)");
}

#[test]
fn b5_a_second_request_on_a_connection_of_one_cannot_be_multiplexed() {
    let t = check_with::<1>(App::Silent, &Client::new().head(1, KEEP).begin(2, RESPONDER, KEEP));
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0");
    assert_eq!(t.answers(), refused(2, 1));
}

#[test]
fn b5_the_running_request_is_untouched() {
    let client = Client::new().begin(1, RESPONDER, KEEP).params(1, &get()).request(2, KEEP);
    let t = check(&client.params(1, b"").request(3, KEEP).stdin(1, b"body").stdin(1, b""));
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:4 STDIN#1:0");
    assert_eq!(t.answers(), [refused(2, 1), refused(3, 1), answered(1)].join(" "));
}

#[test]
fn b6_a_request_beyond_the_slots_is_refused_as_overloaded() {
    let client = Client::new().head(1, KEEP).head(2, KEEP).head(3, KEEP).request(4, KEEP);
    let t = check_with::<3>(App::Complete, &client.stdin(2, b"").request(4, KEEP));
    assert_eq!(t.answers(), [refused(4, 2), answered(2), answered(4)].join(" "));
}

#[test]
fn b6_a_request_whose_body_passes_a_limit_is_refused_as_overloaded_and_too_many_parameters_with_431() {
    let limits = limits(|limits| (limits.params, limits.stdin, limits.data) = (20, 4, 4));
    let fits = Client::new().begin(1, FILTER, KEEP).params(1, &get()).params(1, b"").stdin(1, b"four");
    let fits = fits.stdin(1, b"").data(1, b"123").data(1, b"4");
    let t = check_limits::<1>(limits, App::Complete, &fits);
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:4 STDIN#1:0 DATA#1:4");
    for (too_much, story, why, answer) in [
        (
            Client::new().begin(1, FILTER, KEEP).params(1, &get()).params(1, b"xx"),
            "BEGIN#1 PARAMS#1:19",
            "ParamsTooLong",
            too_large(1),
        ),
        (
            Client::new().head(1, KEEP).stdin(1, b"fi").stdin(1, b"ve!"),
            "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:2",
            "Overloaded",
            refused(1, 2),
        ),
        (fits.data(1, b"5"), &t.story(), "Overloaded", refused(1, 2)),
    ] {
        let t = check_limits::<1>(limits, App::Complete, &too_much);
        assert_eq!(t.story(), two(story, &format!("REJECTED#1({why})")));
        assert_eq!(t.answers(), answer);
        let t = check_limits::<1>(limits, App::Complete, &too_much.stdin(1, b"late").request(1, KEEP));
        assert_eq!(t.answers(), two(&answer, &answered(1)));
    }
}

#[test]
fn b6_the_caller_can_refuse_a_request_that_it_has_no_room_for() {
    let t = check_with::<1>(
        App::Script(|connection, event, sent| {
            if let Event::ParamsEnd { id } = *event {
                sent.extend_from_slice(&connection.reject(id, Refusal::Overloaded).unwrap());
            }
        }),
        &Client::new().request(1, KEEP).begin(1, RESPONDER, KEEP),
    );
    assert_eq!(t.answers(), refused(1, 2));
    assert!(t.story().ends_with(" BEGIN#1"));
}

#[test]
fn b7_an_unknown_role_is_refused() {
    for role in [0, 4, 99, 256, 257, 0x0101, 65_535] {
        let t = check(&Client::new().begin(1, role, KEEP).params(1, b"x").params(1, b"").request(2, KEEP));
        assert_eq!(t.story(), plain(2));
        assert_eq!(t.answers(), two(&refused(1, 3), &answered(2)));
    }
}

#[test]
fn b8_a_refused_request_never_reaches_the_application() {
    let t = check_with::<1>(App::Silent, &Client::new().head(1, KEEP).request(2, KEEP).begin(3, 9, KEEP));
    assert_eq!(t.begins().len(), 1);
}

#[test]
fn b10_an_abort_is_an_event_and_not_answered_by_the_library() {
    let t = check_with::<1>(App::Silent, &Client::new().head(1, KEEP).abort(1));
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 ABORT#1");
    assert!(t.sent.is_empty());
}

#[test]
fn b10_an_aborted_request_can_be_ended_at_any_stage_with_the_applications_status() {
    let begin = Client::new().begin(1, RESPONDER, KEEP);
    let params = begin.clone().params(1, b"\x05");
    let filter = Client::new().begin(1, FILTER, KEEP).params(1, b"").stdin(1, b"x");
    for bytes in [begin, params, Client::new().head(1, KEEP), Client::new().request(1, KEEP), filter] {
        let t = check_with::<1>(
            App::Script(|connection, event, sent| {
                if let Event::Abort { id } = *event {
                    sent.extend_from_slice(&connection.finish(id, 9).unwrap());
                }
            }),
            &bytes.abort(1).stdin(1, b"late").stdin(1, b""),
        );
        assert!(t.story().ends_with("ABORT#1"));
        assert_eq!(t.answers(), "STDOUT#1:0 END#1(9,0)");
        assert!(t.is_idle);
    }
}

#[test]
fn b10_an_abort_in_the_middle_of_the_answer_ends_it() {
    let t = check_with::<1>(
        App::Script(|connection, event, sent| match *event {
            Event::ParamsEnd { id } => send(&connection.stdout(id, ANSWER).unwrap().0, sent),
            Event::Abort { id } => sent.extend_from_slice(&connection.finish(id, 1).unwrap()),
            _ => {}
        }),
        &Client::new().request(1, KEEP).abort(1),
    );
    assert_eq!(t.answers(), "STDOUT#1:23 STDOUT#1:0 END#1(1,0)");
}

#[test]
fn b10_a_second_abort_is_no_second_event() {
    let t = check_with::<1>(App::Silent, &Client::new().head(1, KEEP).abort(1).abort(1));
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 ABORT#1");
}

#[test]
fn b13_an_aborted_id_stays_active_until_its_end() {
    let client = Client::new().head(1, KEEP).abort(1);
    let t = check_with::<1>(App::Silent, &client.clone().request(2, KEEP));
    assert_eq!(t.answers(), refused(2, 1));
    let t = check_with::<2>(App::Silent, &client.request(1, KEEP));
    assert_eq!(t.error, Some(ConnectionError::RequestActive { id: id(1) }));
}

// Streams in all roles (6.1)

#[test]
fn s1_management_records_within_a_request_are_none_of_its_streams() {
    let client = Client::new().begin(1, RESPONDER, KEEP).params(1, &get()).record(GET_VALUES, 0, b"\x01\0X");
    let t = check(&client.record(99, 0, b"stdin?").params(1, b"").record(99, 0, b"stdin?").stdin(1, b""));
    assert_eq!(t.story(), plain(1));
}

#[test]
fn s2_stdin_before_the_end_of_params_costs_that_request() {
    for stdin in [&b"body"[..], b""] {
        let client = Client::new().begin(1, RESPONDER, KEEP).params(1, &get()).stdin(1, stdin);
        let t = check(&client.params(1, b"").stdin(1, b"").request(1, KEEP));
        assert_eq!(t.story(), two("BEGIN#1 PARAMS#1:19 REJECTED#1(Malformed)", &plain(1)));
        assert_eq!(t.answers(), two(&malformed(1), &answered(1)));
    }
}

#[test]
fn s2_a_filters_data_before_the_end_of_stdin_costs_that_request() {
    let begin = |client: Client| client.begin(1, FILTER, KEEP).params(1, &get());
    let before_params_end = begin(Client::new()).data(1, b"x");
    assert_eq!(check(&before_params_end).story(), "BEGIN#1 PARAMS#1:19 REJECTED#1(Malformed)");
    let client = begin(Client::new()).params(1, b"").stdin(1, b"a").data(1, b"x").data(1, b"").stdin(1, b"");
    let t = check(&client.request(2, KEEP));
    let first = "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:1 REJECTED#1(Malformed)";
    assert_eq!(t.story(), two(first, &plain(2)));
    assert_eq!(t.answers(), two(&malformed(1), &answered(2)));
}

#[test]
fn s3_stdout_and_stderr_may_be_interleaved() {
    let t = check_with::<1>(
        App::Script(|connection, event, sent| {
            if let Event::StdinEnd { id } = *event {
                for _ in 0..3 {
                    send(&connection.stdout(id, b"out").unwrap().0, sent);
                    send(&connection.stderr(id, b"err").unwrap().0, sent);
                }
                sent.extend_from_slice(&connection.finish(id, 0).unwrap());
            }
        }),
        &Client::new().request(1, KEEP),
    );
    assert_eq!(t.output(STDOUT, 1), b"outoutout");
    assert_eq!(t.output(STDERR, 1), b"errerrerr");
    assert!(t.answers().ends_with("STDERR#1:3 STDERR#1:0 STDOUT#1:0 END#1(0,0)"));
}

#[test]
fn s4_without_errors_no_stderr_record_is_sent() {
    assert!(!check(&Client::new().request(1, KEEP)).answers().contains("STDERR"));
}

#[test]
fn s4_an_empty_write_is_no_output() {
    for is_refused in [false, true] {
        let mut connection = Connection::<1>::new(Limits::default());
        let bytes = Client::new().request(1, KEEP);
        eat(&mut connection, &bytes);
        assert_eq!(connection.stdout(id(1), b"").unwrap().0.remaining(), 0);
        assert_eq!(connection.stderr(id(1), b"").unwrap().0.remaining(), 0);
        let end = match is_refused {
            true => connection.reject(id(1), Refusal::Overloaded),
            false => connection.finish(id(1), 0),
        };
        let kinds: Vec<_> = answer_records(&end.unwrap()).iter().map(|record| record.kind).collect();
        assert_eq!(kinds, if is_refused { &[STDOUT, STDOUT, END][..] } else { &[STDOUT, END] });
    }
}

#[test]
fn a_refusal_is_answered_with_its_status() {
    use Refusal::{CantMpxConn, Malformed, Overloaded, ParamsTooLong, UnknownRole};
    for why in [CantMpxConn, Overloaded, UnknownRole, ParamsTooLong, Malformed] {
        let mut connection = Connection::<1>::new(Limits::default());
        eat(&mut connection, &Client::new().request(1, KEEP));
        let records = answer_records(&connection.reject(id(1), why).unwrap());
        let head = format!("Status: {}\r\n", why.status());
        assert!(records[0].content.starts_with(head.as_bytes()), "{why:?}");
    }
}

#[test]
fn s5_an_empty_answer_still_ends_stdout() {
    let t = check_with::<1>(
        App::Script(|connection, event, sent| {
            if let Event::StdinEnd { id } = *event {
                sent.extend_from_slice(&connection.finish(id, 0).unwrap());
            }
        }),
        &Client::new().request(1, KEEP),
    );
    assert_eq!(t.answers(), "STDOUT#1:0 END#1(0,0)");
}

#[test]
fn s5_empty_input_streams_are_one_empty_record_each() {
    let client = Client::new().begin(1, FILTER, KEEP).params(1, b"").stdin(1, b"").data(1, b"");
    let t = check(&client);
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:0 STDIN#1:0 DATA#1:0");
    assert_eq!(t.answers(), answered(1));
}

/// Writes at every event and checks that it is too early for all but those that `may`.
fn too_early(role: u16, may: fn(&Event<'_>) -> bool) {
    let client = Client::new().begin(1, role, KEEP).params(1, b"\x01\x01ab").params(1, b"");
    let client = client.stdin(1, b"body").stdin(1, b"").data(1, b"file").data(1, b"");
    let mut connection = Connection::<1>::new(Limits::default());
    let mut input = &client[..];
    while let Some(event) = connection.next_event(&mut input).unwrap() {
        let expected = if may(&event) { Ok(()) } else { Err(SendError::TooEarly { id: id(1) }) };
        assert_eq!(connection.stdout(id(1), b"x").map(drop), expected, "{event:?}");
        assert_eq!(connection.stderr(id(1), b"x").map(drop), expected, "{event:?}");
        if expected.is_err() {
            assert_eq!(connection.finish(id(1), 0).map(drop), expected);
        }
    }
    let _ = connection.finish(id(1), 0).unwrap();
}

#[test]
fn s6_output_may_begin_once_every_input_but_the_last_has_been_received() {
    too_early(RESPONDER, |event| !matches!(event, Event::Begin { .. } | Event::Params { .. }));
    too_early(AUTHORIZER, |event| !matches!(event, Event::Begin { .. } | Event::Params { .. }));
    too_early(FILTER, |event| {
        matches!(event, Event::StdinEnd { .. } | Event::Data { .. } | Event::DataEnd { .. })
    });
}

#[test]
fn s6_an_authorizer_has_its_last_input_at_the_end_of_params() {
    let client = Client::new().begin(1, AUTHORIZER, CLOSE).params(1, &get()).params(1, b"");
    let t = check(&client);
    assert_eq!(t.answers(), answered(1));
    assert!(t.is_finished);
}

// Roles (6.2 to 6.4)

#[test]
fn e4_stderr_does_not_wait_for_the_end_of_stdout() {
    let t = check_with::<1>(
        App::Script(|connection, event, sent| match *event {
            Event::ParamsEnd { id } => send(&connection.stdout(id, b"out").unwrap().0, sent),
            Event::Stdin { id, .. } => send(&connection.stderr(id, b"err").unwrap().0, sent),
            Event::StdinEnd { id } => {
                send(&connection.stdout(id, b"more").unwrap().0, sent);
                sent.extend_from_slice(&connection.finish(id, 0).unwrap());
            }
            _ => {}
        }),
        &Client::new().head(1, KEEP).stdin(1, b"!").stdin(1, b""),
    );
    assert_eq!(t.answers(), "STDOUT#1:3 STDERR#1:3 STDOUT#1:4 STDERR#1:0 STDOUT#1:0 END#1(0,0)");
}

#[test]
fn e5_a_responder_may_answer_before_it_has_its_body() {
    let t = check_with::<1>(App::Early, &Client::new().head(1, KEEP).stdin(1, b"unread").stdin(1, b""));
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0");
    assert_eq!(t.answers(), answered(1));
}

#[test]
fn e6_end_request_carries_the_application_status_and_comes_after_all_output() {
    let t = check_with::<1>(
        App::Script(|connection, event, sent| {
            if let Event::StdinEnd { id } = *event {
                send(&connection.stdout(id, ANSWER).unwrap().0, sent);
                sent.extend_from_slice(&connection.finish(id, u32::MAX).unwrap());
            }
        }),
        &Client::new().request(1, KEEP),
    );
    assert_eq!(t.answers(), "STDOUT#1:23 STDOUT#1:0 END#1(4294967295,0)");
}

#[test]
fn e7_a_body_short_of_content_length_is_handed_over_as_it_is() {
    let params = pairs(&[("CONTENT_LENGTH", "100")]);
    let client = Client::new().begin(1, RESPONDER, KEEP).params(1, &params).params(1, b"");
    let t = check(&client.stdin(1, b"short").stdin(1, b""));
    assert_eq!(t.stdin(1), b"short");
    assert!(t.story().ends_with("STDIN#1:5 STDIN#1:0"));
}

#[test]
fn u2_an_authorizer_answers_as_a_responder_does() {
    let authorizer = Client::new().begin(1, AUTHORIZER, KEEP).params(1, &get()).params(1, b"");
    assert_eq!(check(&authorizer).sent, check(&Client::new().request(1, KEEP)).sent);
}

#[test]
fn f2_a_filter_gets_params_then_stdin_then_data() {
    let params = pairs(&[("FCGI_DATA_LAST_MOD", "1"), ("FCGI_DATA_LENGTH", "11")]);
    let client = Client::new().begin(1, FILTER, KEEP).params(1, &params).params(1, b"");
    let client = client.stdin(1, b"que").stdin(1, b"ry").stdin(1, b"").data(1, b"the f").data(1, b"ile");
    let t = check(&client.data(1, b""));
    assert!(t.story().ends_with("PARAMS#1:0 STDIN#1:5 STDIN#1:0 DATA#1:8 DATA#1:0"));
    assert_eq!((t.stdin(1), t.stream(DATA, 1)), (b"query".to_vec(), b"the file".to_vec()));
    assert_eq!(t.answers(), answered(1));
}

#[test]
fn f3_a_filter_may_answer_without_reading_its_data() {
    let client = Client::new().begin(1, FILTER, KEEP).params(1, &get()).params(1, b"").stdin(1, b"");
    let t = check_with::<1>(App::Early, &client.data(1, b"unread").data(1, b"").request(2, KEEP));
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:0 BEGIN#2 PARAMS#2:19 PARAMS#2:0");
    assert_eq!(t.answers(), two(&answered(1), &answered(2)));
}

#[test]
fn f4_a_filter_writes_nothing_before_the_end_of_stdin() {
    check_with::<1>(
        App::Script(|connection, event, _| {
            if let Event::ParamsEnd { id } | Event::Stdin { id, .. } = *event {
                assert_eq!(connection.stdout(id, b"x").unwrap_err(), SendError::TooEarly { id });
                assert_eq!(connection.finish(id, 0).unwrap_err(), SendError::TooEarly { id });
            }
        }),
        &Client::new().begin(1, FILTER, KEEP).params(1, b"").stdin(1, b"x"),
    );
}

#[test]
fn f5_a_filter_ends_as_a_responder_does() {
    let client = Client::new().begin(1, FILTER, KEEP).params(1, b"").stdin(1, b"").data(1, b"");
    assert_eq!(check(&client).answers(), answered(1));
}

#[test]
fn f6_data_of_another_length_than_announced_is_handed_over_as_it_is() {
    let params = pairs(&[("FCGI_DATA_LENGTH", "2"), ("CONTENT_LENGTH", "9")]);
    let client = Client::new().begin(1, FILTER, KEEP).params(1, &params).params(1, b"").stdin(1, b"1234");
    let t = check(&client.stdin(1, b"").data(1, b"longer").data(1, b""));
    assert_eq!((t.stdin(1).len(), t.stream(DATA, 1).len()), (4, 6));
}

// Where the text is silent

#[test]
fn z1_another_version_is_fatal_wherever_it_comes() {
    for found in [0, 2, 3, b'G', 255] {
        let mut bytes = Client::new().request(1, KEEP).to_vec();
        bytes[0] = found;
        assert_eq!(check(&bytes).error, Some(ConnectionError::Version { found }));
        let foreign = [found, STDIN, 0, 1, 0, 0, 0, 0];
        let t = check(&Client::new().head(1, CLOSE).raw(&foreign).stdin(1, b""));
        assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0");
        assert_eq!(t.error, Some(ConnectionError::Version { found }));
    }
}

#[test]
fn z1_an_error_of_the_input_does_not_cost_the_answers_in_progress() {
    let bytes = Client::new().request(1, KEEP).raw(b"garbage!");
    let mut connection = Connection::<1>::new(Limits::default());
    let mut input = &bytes[..];
    while let Ok(Some(_)) = connection.next_event(&mut input) {}
    assert_eq!(connection.eof(), Err(ConnectionError::Version { found: b'g' }));
    let mut sent = Vec::new();
    answer(&mut connection, id(1), &mut sent);
    assert_eq!(answer_records(&sent).len(), 3);
}

#[test]
fn z2_begin_for_an_active_id_is_fatal() {
    for at in [Client::new().begin(1, RESPONDER, KEEP), Client::new().head(1, KEEP)] {
        let t = check_with::<2>(App::Complete, &at.begin(1, RESPONDER, KEEP));
        assert_eq!(t.error, Some(ConnectionError::RequestActive { id: id(1) }));
        assert!(t.sent.is_empty());
    }
    let t = check_with::<2>(App::Silent, &Client::new().request(1, KEEP).begin(1, 9, CLOSE));
    assert_eq!(t.error, Some(ConnectionError::RequestActive { id: id(1) }));
}

#[test]
fn z3_a_whole_request_with_id_0_is_fatal_at_its_first_record() {
    let t = check(&Client::new().request(0, KEEP));
    assert_eq!(t.error, Some(ConnectionError::NullRequestId { record_type: BEGIN }));
    assert!(t.events.is_empty() && t.sent.is_empty());
}

#[test]
fn z3_a_management_type_with_another_id_is_ignored() {
    let client = Client::new().record(GET_VALUES, 1, b"\x0e\0FCGI_MAX_CONNS").head(1, KEEP);
    let t = check(&client.record(GET_VALUES, 1, b"\x0e\0FCGI_MAX_CONNS").stdin(1, b""));
    assert_eq!((t.story(), t.answers()), (plain(1), answered(1)));
}

#[test]
fn z4_an_unknown_type_with_a_requests_id_is_ignored() {
    for kind in [0, 12, 99, 255] {
        let client =
            Client::new().record(kind, 1, b"before").begin(1, RESPONDER, KEEP).record(kind, 1, b"in");
        let client = client.params(1, &get()).record(kind, 1, b"").params(1, b"").record(kind, 1, &[0; 8]);
        let t = check(&client.stdin(1, b""));
        assert_eq!((t.story(), t.answers()), (plain(1), answered(1)));
    }
}

#[test]
fn z5_a_type_of_the_wrong_direction_is_ignored() {
    for kind in [END, STDOUT, STDERR] {
        let client = Client::new().head(1, KEEP).record(kind, 1, &[0; 8]).record(kind, 1, b"");
        let t = check(&client.stdin(1, b""));
        assert_eq!((t.story(), t.answers()), (plain(1), answered(1)));
    }
}

#[test]
fn z6_content_after_a_streams_end_and_a_second_end_are_ignored() {
    let client = Client::new().head(1, KEEP).params(1, b"\x01\x01ab").params(1, b"").stdin(1, b"body");
    let client = client.params(1, b"").stdin(1, b"").stdin(1, b"more").stdin(1, b"").params(1, b"x");
    let t = check_with::<1>(App::Silent, &client);
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:4 STDIN#1:0");
    let filter = Client::new().begin(1, FILTER, KEEP).params(1, b"").stdin(1, b"").stdin(1, b"x");
    let t = check_with::<1>(App::Silent, &filter.data(1, b"").data(1, b"y").stdin(1, b"").data(1, b""));
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:0 STDIN#1:0 DATA#1:0");
}

#[test]
fn z6_streams_that_the_role_does_not_have_are_ignored() {
    let client = Client::new().begin(1, RESPONDER, KEEP).data(1, b"x").params(1, &get()).params(1, b"");
    let t = check(&client.data(1, b"file").data(1, b"").stdin(1, b""));
    assert_eq!((t.story(), t.answers()), (plain(1), answered(1)));
}

#[test]
fn z7_params_that_end_inside_a_pair_are_never_run() {
    for stream in [&b"\x01"[..], b"\x01\x02a", b"\x80\0\0", b"\x01\x01ab\x05", b"\xff\xff\xff\xff\0x"] {
        let client = Client::new().begin(1, RESPONDER, KEEP).params(1, stream).params(1, b"").stdin(1, b"");
        let t = check(&client.request(1, KEEP));
        assert_eq!(t.answers(), two(&malformed(1), &answered(1)));
    }
}

#[test]
fn z8_stdin_beyond_content_length_is_handed_over() {
    let params = pairs(&[("CONTENT_LENGTH", "3")]);
    let client = Client::new().begin(1, RESPONDER, KEEP).params(1, &params).params(1, b"");
    assert_eq!(check(&client.stdin(1, b"longer").stdin(1, b"")).stdin(1), b"longer");
}

#[test]
fn z8_the_limit_of_stdin_bounds_it() {
    let limits = limits(|limits| limits.stdin = 5);
    let t = check_limits::<1>(limits, App::Complete, &Client::new().head(1, KEEP).stdin(1, b"longer"));
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 REJECTED#1(Overloaded)");
    assert_eq!(t.answers(), refused(1, 2));
}

#[test]
fn z8_an_answer_that_had_begun_is_only_ended() {
    let t = check_limits::<1>(
        limits(|limits| limits.stdin = 5),
        App::Script(|connection, event, sent| {
            if let Event::ParamsEnd { id } = *event {
                send(&connection.stdout(id, ANSWER).unwrap().0, sent);
            }
        }),
        &Client::new().head(1, KEEP).stdin(1, b"longer"),
    );
    assert_eq!(t.answers(), "STDOUT#1:23 STDOUT#1:0 END#1(0,2)");
}

#[test]
fn z9_stdin_is_not_waited_for_by_an_authorizer_and_ignored_if_it_comes() {
    let client = Client::new().begin(1, AUTHORIZER, KEEP).stdin(1, b"x").params(1, &get()).params(1, b"");
    let t = check_with::<1>(App::Silent, &client.stdin(1, b"body").stdin(1, b""));
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0");
    let t = check(&Client::new().begin(1, AUTHORIZER, KEEP).params(1, b"").stdin(1, b"").request(1, KEEP));
    assert_eq!(t.answers(), two(&answered(1), &answered(1)));
}

#[test]
fn z10_an_unknown_role_is_refused_at_once() {
    assert_eq!(check(&Client::new().begin(1, 99, KEEP)).answers(), refused(1, 3));
}

#[test]
fn z11_keep_conn_of_a_refused_request_counts_like_any_others() {
    let t = check(&Client::new().begin(1, 99, KEEP));
    assert!(!t.is_finished && t.is_idle);
    let t = check(&Client::new().begin(1, 99, CLOSE).params(1, b"never read").request(2, KEEP));
    assert_eq!((t.answers(), t.story()), (refused(1, 3), String::new()));
    assert!(t.is_finished);
}

#[test]
fn z11_a_refused_request_that_closes_lets_the_running_one_finish() {
    let client = Client::new().head(1, KEEP).begin(2, RESPONDER, CLOSE);
    let t = check(&client.clone().stdin(1, b"bo"));
    assert!(!t.is_finished);
    let t = check(&client.stdin(1, b"body").stdin(1, b"").request(3, KEEP));
    assert_eq!(t.stdin(1), b"body");
    assert_eq!(t.answers(), two(&refused(2, 1), &answered(1)));
    assert!(t.is_finished);
}

#[test]
fn z12_reserved_bytes_are_ignored() {
    let mut client = Client::new().record(BEGIN, 1, &[0, 1, 0xff, 1, 2, 3, 4, 5]);
    client = client.params(1, &get()).params(1, b"").stdin(1, b"");
    let mut bytes = client.to_vec();
    for header in [0, 16, 43, 51] {
        bytes[header + 7] = 0xaa;
    }
    let t = check(&bytes);
    assert_eq!((t.story(), t.answers()), (plain(1), answered(1)));
}

#[test]
fn z13_a_request_that_closes_waits_for_the_others_on_its_connection() {
    let client = Client::new().head(1, KEEP).request(2, CLOSE);
    let t = check_with::<2>(App::Complete, &client);
    assert_eq!(t.answers(), answered(2));
    assert!(!t.is_finished, "request 1 is running");
    let t = check_with::<2>(App::Complete, &client.stdin(1, b"body").stdin(1, b""));
    assert_eq!(t.answers(), two(&answered(2), &answered(1)));
    assert!(t.is_finished);
}

#[test]
fn z13_a_request_may_begin_while_another_that_closes_is_running() {
    let client = Client::new().head(1, CLOSE).request(2, KEEP).stdin(1, b"");
    let t = check_with::<2>(App::Complete, &client);
    assert_eq!(t.answers(), two(&answered(2), &answered(1)));
    assert!(t.is_finished);
}

#[test]
fn z13_nothing_begins_after_all_input_of_a_closing_connection() {
    let client = Client::new().request(1, CLOSE).request(2, KEEP);
    let t = check_with::<2>(App::Silent, &client);
    assert_eq!((t.story(), t.answers()), (plain(1), String::new()));
    assert_eq!(t.error, None);
}

#[test]
fn z14_the_end_of_stdout_always_comes_before_end_request() {
    let t = check_with::<2>(App::Complete, &Client::new().request(1, KEEP).head(2, KEEP).abort(2));
    assert_eq!(t.answers(), two(&answered(1), "STDOUT#2:0 END#2(0,0)"));
}

// The response head (6.1)

#[test]
fn s7_the_status_is_set_with_cgi_fields_and_a_head_of_http_is_refused() {
    let mut head = Head::new([0; 256]);
    assert_eq!(head.adopt(b"HTTP/1.1 404 Not Found\r\nContent-Type: a/b\r\n\r\n"), Err(HeadError::NoColon));
    head.adopt(b"Content-Type: a/b\r\nStatus: 404 Not Found\r\n\r\n").expect("a CGI head");
    assert_eq!(head.finish(), Ok(&b"Status: 404 Not Found\r\nContent-Type: a/b\r\n\r\n"[..]));
    head.adopt(b"Location: http://localhost/\r\n\r\n").expect("a CGI head");
    assert_eq!(head.status().code(), 302);
}
