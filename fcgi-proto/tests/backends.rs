//! What real applications force on a web server's side, as far as bytes decide it: what may be sent to them,
//! and what comes from them. Measured on php-fpm, libfcgi and its family, Go, node, flup, uWSGI, gevent,
//! OCaml, mono, Free Pascal, AnyEvent and others; a test's number is that of the observation.

mod support;
#[path = "support/client.rs"]
mod web_server;

use fcgi_proto::ConnectionError;
use fcgi_proto::cgi::{Variables, VariablesError};
use fcgi_proto::client::{Connection, SendError};
use fcgi_proto::pair::{Packer, Pairs};
use fcgi_proto::record::{MAX_LENGTH, RecordType, RequestId, Role};
use support::{AUTHORIZER, BEGIN, END, FILTER, GET_VALUES, PARAMS, RESPONDER, STDIN, STDOUT, Wire, id, walk};
use web_server::*;

const ROLES: [Role; 3] = [Role::Responder, Role::Authorizer, Role::Filter];

/// The methods that web servers pass on, one of them with a body.
const METHODS: [(&[u8], &[u8]); 6] =
    [(b"GET", b""), (b"HEAD", b""), (b"POST", b""), (b"POST", b"a=b"), (b"OPTIONS", b""), (b"DELETE", b"")];

/// Packs the pairs into PARAMS records of at most `capacity` bytes, as many to a record as fit.
fn packed(capacity: usize, pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut connection = fresh::<1>();
    let (id, begin) = connection.begin(Role::Responder, true).unwrap();
    let mut sent = begin.bytes();
    let mut packer = Packer::new(vec![0; capacity]);
    for (name, value) in pairs {
        if packer.push(name, value).is_err() {
            sent.extend(connection.params(id, packer.bytes()).unwrap().bytes());
            packer.clear();
            if packer.push(name, value).is_err() {
                sent.extend(connection.param(id, name, value).unwrap().bytes());
            }
        }
    }
    sent.extend(connection.params(id, packer.bytes()).unwrap().bytes());
    sent.extend(connection.params_end(id).unwrap().bytes());
    sent.extend(connection.stdin_end(id).unwrap().bytes());
    sent
}

/// The content of each PARAMS record but the last, the empty one.
fn params_records(sent: &[u8]) -> Vec<Vec<u8>> {
    let records = request_records(sent).into_iter().filter(|record| record.kind == PARAMS);
    let mut contents: Vec<_> = records.map(|record| record.content).collect();
    assert_eq!(contents.pop(), Some(Vec::new()));
    contents
}

// Sending.

#[test]
fn b1_no_pair_is_split_over_two_records() {
    let pairs: Vec<_> =
        (0..300).map(|at: usize| (format!("NAME_{at}").into_bytes(), vec![b'v'; at * 37 % 1_500])).collect();
    for capacity in [64, 1_000, 4_096, 65_528, 65_535, 100_000] {
        let contents = params_records(&packed(capacity, &pairs));
        let mut found = Vec::new();
        for content in &contents {
            assert!(!content.is_empty(), "an empty record in the midst would end the stream");
            Pairs::new(content).check().unwrap();
            found.extend(Pairs::new(content).map(|(name, value)| (name.to_vec(), value.to_vec())));
        }
        assert_eq!(found, pairs, "{capacity}");
    }
}

#[test]
fn b1_as_many_pairs_go_into_a_record_as_fit() {
    let pairs = vec![(b"ABCD".to_vec(), b"1234".to_vec()); 25];
    for (capacity, lengths) in [
        (10, vec![10; 25]),
        (19, vec![10; 25]),
        (20, [vec![20; 12], vec![10]].concat()),
        (100, vec![100, 100, 50]),
        (65_535, vec![250]),
    ] {
        let found: Vec<_> = params_records(&packed(capacity, &pairs)).iter().map(Vec::len).collect();
        assert_eq!(found, lengths, "{capacity}");
    }
}

#[test]
fn b1_130_kilobytes_go_into_two_full_records() {
    let pairs = vec![(b"NAME".to_vec(), vec![b'v'; 1_000]); 129];
    let contents = params_records(&packed(MAX_LENGTH, &pairs));
    assert_eq!(contents.iter().map(Vec::len).collect::<Vec<_>>(), [65_585 - 1_009, 65_585 - 1_009, 1_009]);
}

#[test]
fn b1_a_pair_that_fits_no_record_is_an_error_and_not_split() {
    let value = vec![b'v'; 70_000];
    // 1 byte of name length, 4 of value length.
    let longest = MAX_LENGTH - 5 - 4;
    let mut connection = fresh::<1>();
    let (id, _) = connection.begin(Role::Responder, true).unwrap();
    for length in [longest + 1, 65_535, 65_536, 70_000] {
        let needed = length + 9;
        let error = connection.param(id, b"NAME", &value[..length]).unwrap_err();
        assert_eq!(error, SendError::TooLong { needed });
        assert_eq!(error.to_string(), format!("{needed} bytes of parameters do not fit one record of 65535"));
        let mut packer = Packer::new(vec![0; 100_000]);
        let error = packer.push(b"NAME", &value[..length]).unwrap_err();
        assert_eq!((error.capacity, error.needed), (MAX_LENGTH, needed));
        assert!(packer.bytes().is_empty());
    }
    assert!(connection.is_reusable() && connection.is_active(id), "nothing was sent");
    let record = connection.param(id, b"NAME", &value[..longest]).unwrap().bytes();
    assert_eq!(record.len(), 8 + MAX_LENGTH);
    let _ = connection.params_end(id).unwrap();
}

#[test]
fn b1_packed_bytes_that_fit_no_record_are_an_error() {
    let mut connection = fresh::<1>();
    let (id, _) = connection.begin(Role::Responder, true).unwrap();
    for needed in [65_536, 65_537, 131_072] {
        let error = connection.params(id, &vec![0; needed]).unwrap_err();
        assert_eq!(error, SendError::TooLong { needed });
    }
}

#[test]
fn b1_a_record_of_65535_bytes_is_sent_without_padding() {
    let mut packer = Packer::new(vec![0; 70_000]);
    packer.push(b"NAME", &[b'v'; 65_526]).unwrap();
    let mut connection = fresh::<1>();
    let (id, _) = connection.begin(Role::Responder, true).unwrap();
    let record = connection.params(id, packer.bytes()).unwrap().bytes();
    let (records, rest) = walk(&record);
    assert!(rest.is_empty());
    assert_eq!((records[0].content.len(), records[0].padding.len()), (65_535, 0));
    assert_eq!(record, connection.param(id, b"NAME", &[b'v'; 65_526]).unwrap().bytes());
}

#[test]
fn b2_begin_and_the_ends_of_streams_are_never_padded() {
    let mut connection = fresh::<1>();
    let mut sent = connection.get_values().bytes();
    for role in ROLES {
        let stdin: &[u8] = if role == Role::Authorizer { b"" } else { b"12345" };
        sent.extend(Ask { role, stdin, data: b"1", ..GET }.send(&mut connection).1);
        let mut answer = &Server::new().answer(1)[..];
        while connection.next_event(&mut answer).unwrap().is_some() {}
    }
    GET.send(&mut connection);
    sent.extend(connection.abort(RequestId::ONE).unwrap().bytes());
    for Wire { kind, content, padding, .. } in walk(&sent).0 {
        // libfcgi answers a GET_VALUES without padding only when the next record comes.
        let padded = kind == GET_VALUES || (!content.is_empty() && content.len() % 8 != 0);
        assert_eq!(!padding.is_empty(), padded, "type {kind}, {} bytes", content.len());
        assert!(!padded || kind != BEGIN);
    }
}

#[test]
fn b3_content_and_padding_stay_within_65535_bytes() {
    for length in (65_500..65_560).chain([131_050, 131_056, 131_057, 131_070, 131_071]) {
        let body = vec![b'x'; length];
        // `request_records` checks every record.
        let sent = Ask { role: Role::Filter, stdin: &body, data: &body, ..GET }.bytes();
        assert_eq!(content(&sent, STDIN, 1).len(), length);
    }
}

#[test]
fn b4_exactly_one_empty_stdin_record_for_every_role_and_method() {
    for role in ROLES {
        for (method, stdin) in METHODS {
            let stdin = if role == Role::Authorizer { b"" } else { stdin };
            let sent = Ask { role, params: &[(b"REQUEST_METHOD", method)], stdin, ..GET }.bytes();
            let empty = |record: &Wire| record.kind == STDIN && record.content.is_empty();
            assert_eq!(request_records(&sent).iter().filter(|record| empty(record)).count(), 1);
        }
    }
}

#[test]
fn b4_a_second_end_of_stdin_or_data_after_it_is_refused() {
    let mut connection = fresh::<1>();
    let (id, _) = GET.send(&mut connection);
    let error = SendError::OutOfOrder { id, stream: RecordType::Stdin };
    assert_eq!(connection.stdin_end(id).unwrap_err(), error);
    assert_eq!(connection.stdin(id, b"more").unwrap_err(), error);
    assert_eq!(connection.stdin(id, b"").unwrap_err(), error);
}

#[test]
fn b6_one_request_at_a_time_unless_told_otherwise() {
    let mut connection = fresh::<1>();
    let (id, _) = connection.begin(Role::Responder, true).unwrap();
    let full = SendError::Full { capacity: 1 };
    let steps: [&dyn Fn(&mut Connection<1>); 4] =
        [&|_| {}, &|c| drop(c.param(id, b"A", b"1").unwrap()), &|c| drop(c.params_end(id).unwrap()), &|c| {
            drop(c.stdin_end(id).unwrap())
        }];
    for step in steps {
        step(&mut connection);
        assert_eq!(connection.begin(Role::Responder, true).unwrap_err(), full);
    }
    let answer = Server::new().answer(1);
    for byte in answer.chunks(1) {
        assert_eq!(connection.begin(Role::Responder, true).unwrap_err(), full);
        let mut input = byte;
        let _ = connection.next_event(&mut input).unwrap();
    }
    assert_eq!(connection.begin(Role::Responder, true).unwrap().0, id);
}

#[test]
fn b7_an_abort_retires_the_connection() {
    let start = |connection: &mut Connection<2>| {
        GET.send(connection);
        let _ = connection.abort(RequestId::ONE).unwrap();
        assert_eq!(connection.begin(Role::Responder, true).unwrap_err(), SendError::NotReusable);
    };
    for (bytes, story) in [
        (Server::new(), String::new()),
        (Server::new().end(1, 0, 0), "-END#1(0,0)".to_owned()),
        (Server::new().answer(1), answered(1)),
        // Go ends it at once, and answers it later.
        (Server::new().end(1, 0, 0).answer(1), "-END#1(0,0)".to_owned()),
    ] {
        let t = check_after(start, &bytes);
        assert_eq!((t.story(), t.error, t.is_reusable), (story, None, false));
    }
}

#[test]
fn b7_an_abort_leaves_the_other_requests_running() {
    let t = check_after::<2>(
        |connection| {
            GET.send(connection);
            GET.send(connection);
            let _ = connection.abort(id(1)).unwrap();
        },
        &Server::new().answer(2).end(1, 0, 0),
    );
    assert_eq!(t.story(), format!("{} -END#1(0,0)", answered(2)));
}

#[test]
fn b9_no_management_record_unless_asked_for() {
    let mut connection = fresh::<2>();
    let mut sent = Vec::new();
    for role in ROLES {
        sent.extend(Ask { role, ..GET }.send(&mut connection).1);
        let mut bytes = &Server::new().unknown_type(9).values(b"").answer(1)[..];
        while connection.next_event(&mut bytes).unwrap().is_some() {}
    }
    assert!(request_records(&sent).iter().all(|record| record.id == 1));
}

#[test]
fn b9_begin_does_not_wait_for_values() {
    let start = |connection: &mut Connection<1>| {
        let _ = connection.get_values();
        GET.send(connection);
    };
    let t = check_after(start, &Server::new().answer(1));
    t.assert_sound();
    assert_eq!(t.story(), answered(1));
}

#[test]
fn b10_nothing_is_sent_for_an_id_that_is_not_active() {
    let ended = |connection: &mut Connection<2>| {
        let (id, _) = Ask { role: Role::Filter, ..GET }.send(connection);
        let mut answer = &Server::new().answer(1)[..];
        while connection.next_event(&mut answer).unwrap().is_some() {}
        id
    };
    let mut connection = fresh::<2>();
    let ended = ended(&mut connection);
    for id in [ended, id(2), id(3), id(65535)] {
        let inactive = Err(SendError::Inactive { id });
        assert_eq!(connection.params(id, b"").map(drop), inactive);
        assert_eq!(connection.param(id, b"A", b"1").map(drop), inactive);
        assert_eq!(connection.params_end(id).map(drop), inactive);
        assert_eq!(connection.stdin(id, b"x").map(drop), inactive);
        assert_eq!(connection.stdin_end(id).map(drop), inactive);
        assert_eq!(connection.data(id, b"x").map(drop), inactive);
        assert_eq!(connection.data_end(id).map(drop), inactive);
        assert_eq!(connection.abort(id).map(drop), inactive);
    }
    assert!(connection.is_reusable());
}

#[test]
fn b10_the_rest_of_a_body_is_refused_once_the_answer_has_ended() {
    let mut connection = fresh::<1>();
    let (id, _) = connection.begin(Role::Responder, true).unwrap();
    let _ = connection.params_end(id).unwrap();
    let (_, rest) = connection.stdin(id, &[b'x'; 70_000]).unwrap();
    let mut answer = &Server::new().answer(1)[..];
    while connection.next_event(&mut answer).unwrap().is_some() {}
    assert_eq!(connection.stdin(id, rest).unwrap_err(), SendError::Inactive { id });
    assert!(!connection.is_reusable(), "the application is owed the rest");
}

#[test]
fn b10_data_is_for_a_filter_only() {
    for role in [Role::Responder, Role::Authorizer] {
        let mut connection = fresh::<1>();
        let (id, _) = connection.begin(role, true).unwrap();
        let error = SendError::OutOfOrder { id, stream: RecordType::Data };
        assert_eq!(connection.data(id, b"x").unwrap_err(), error);
        let _ = connection.params_end(id).unwrap();
        assert_eq!(connection.data(id, b"x").unwrap_err(), error);
        let _ = connection.stdin_end(id).unwrap();
        assert_eq!(connection.data(id, b"x").unwrap_err(), error);
        assert_eq!(connection.data_end(id).unwrap_err(), error);
    }
}

#[test]
fn b12_small_ids_1_only_without_multiplexing() {
    let mut connection = fresh::<1>();
    for _ in 0..1_000 {
        let (id, sent) = GET.send(&mut connection);
        assert_eq!(id, RequestId::ONE);
        assert!(walk(&sent).0.iter().all(|record| record.id == 1));
        let mut answer = &Server::new().answer(1)[..];
        while connection.next_event(&mut answer).unwrap().is_some() {}
    }
}

#[test]
fn b12_small_ids_from_1_to_the_number_of_slots_with_it() {
    let mut connection = fresh::<8>();
    let mut random = support::Random::new(12);
    let mut active = Vec::new();
    for _ in 0..2_000 {
        if active.len() < 8 && random.below(2) == 0 {
            let (id, _) = GET.send(&mut connection);
            let smallest = (1..).find(|number| !active.contains(number)).unwrap();
            assert_eq!(id.get(), smallest);
            active.push(smallest);
        } else if !active.is_empty() {
            let ended = active.swap_remove(random.below(active.len()));
            let bytes = Server::new().answer(ended);
            let mut input = &bytes[..];
            while connection.next_event(&mut input).unwrap().is_some() {}
        }
    }
}

// Receiving.

#[test]
fn b15_end_request_is_the_end_and_nothing_else() {
    for (server, story) in [
        // PHP, Free Pascal and fastcgi of PyPI send no empty STDOUT.
        (Server::new().stdout(1, ANSWER), "STDOUT#1:23"),
        (Server::new().stdout(1, b""), "STDOUT#1:0"),
        (Server::new(), ""),
        (Server::new().stderr(1, b"dead"), "STDERR#1:4"),
        (Server::new().stdout(1, ANSWER).stdout(1, b""), "STDOUT#1:23 STDOUT#1:0"),
    ] {
        let open = check(&server);
        assert_eq!((open.story(), open.active), (story.to_owned(), vec![1]));
        let answered = story.contains(":23");
        let t = check(&server.end(1, 0, 0));
        t.assert_sound();
        assert_eq!(t.events.last(), Some(&Seen::End { id: 1, app_status: 0, protocol_status: 0, answered }));
    }
}

#[test]
fn b15_an_empty_stdout_record_in_mid_answer_does_not_end_it() {
    let server = Server::new().stdout(1, b"").stdout(1, b"Status: 200 OK\r\n\r\n").stdout(1, b"");
    let t = check(&server.stdout(1, b"hello").end(1, 0, 0));
    t.assert_sound();
    assert_eq!(t.stdout(1), ANSWER);
    assert_eq!(t.story(), "STDOUT#1:0 STDOUT#1:18 STDOUT#1:0 STDOUT#1:5 END#1(0,0)");
}

#[test]
fn b15_stderr_ends_or_not_before_or_after_stdout() {
    let out = |server: Server| server.stdout(1, ANSWER).stdout(1, b"");
    for (server, stderr) in [
        // gevent and ocamlnet always send an empty one.
        (out(Server::new().stderr(1, b"")), ""),
        (out(Server::new()).stderr(1, b""), ""),
        (out(Server::new().stderr(1, b"e")), "e"),
        (out(Server::new()).stderr(1, b"e"), "e"),
        (out(Server::new().stderr(1, b"e").stderr(1, b"")), "e"),
        (out(Server::new().stderr(1, b"e")).stderr(1, b""), "e"),
        (out(Server::new().stderr(1, b"").stderr(1, b"e")), "e"),
    ] {
        let t = check(&server.end(1, 0, 0));
        t.assert_sound();
        assert_eq!((t.stdout(1), t.stderr(1)), (ANSWER.to_vec(), stderr.as_bytes().to_vec()));
    }
}

#[test]
fn b16_status_1_behind_a_full_answer_is_an_answer() {
    // fastcgi of PyPI counts its statuses from 1.
    let t = check(&Server::new().stdout(1, ANSWER).end(1, 0, 1));
    assert_eq!(t.stdout(1), ANSWER);
    let end = Seen::End { id: 1, app_status: 0, protocol_status: 1, answered: true };
    assert_eq!((t.events.last(), t.error, t.is_reusable), (Some(&end), None, false));
}

#[test]
fn b16_a_refusal_without_output_is_none() {
    for (server, app_status, protocol_status) in [
        (Server::new().end(1, 0, 1), 0, 1),
        (Server::new().stdout(1, b"").stderr(1, b"why").end(1, 0, 1), 0, 1),
        // node, and mono.
        (Server::new().end(1, 1, 3), 1, 3),
        (Server::new().end(1, u32::MAX, 0), u32::MAX, 0),
    ] {
        let t = check(&server);
        let end = Seen::End { id: 1, app_status, protocol_status, answered: false };
        assert_eq!((t.events.last(), t.error), (Some(&end), None));
    }
}

#[test]
fn b16_four_end_requests_for_one_request_are_one() {
    let ends = Server::new().end(1, 0, 1).end(1, 0, 1).end(1, 0, 1).end(1, 0, 1);
    let t = check(&ends);
    assert_eq!((t.story(), t.error, t.is_reusable), ("-END#1(0,1)".to_owned(), None, false));
}

#[test]
fn b16_a_refusal_with_the_id_of_the_running_request_ends_that_one() {
    // flup and libfcgi, and then the running request's answer comes.
    let t = check_many::<2>(&Server::new().end(1, 0, 1).answer(1));
    assert_eq!((t.story(), t.error), ("-END#1(0,1)".to_owned(), None));
    assert_eq!((t.active, t.is_reusable), (vec![2], false));
}

#[test]
fn b17_any_application_status_leaves_the_connection_as_it_is() {
    for app_status in [0, 1, 42, 255, 256, u32::MAX] {
        check(&Server::new().stdout(1, ANSWER).end(1, app_status, 0)).assert_sound();
    }
}

#[test]
fn b18_an_unsolicited_get_values_result_is_ignored() {
    let values = support::pairs(&[("FCGI_MPXS_CONNS", "1")]);
    for server in [Server::new().values(b""), Server::new().values(&values)] {
        let t = check(&server.clone().raw(&Server::new().answer(1)).raw(&server));
        t.assert_sound();
        assert_eq!(t.story(), answered(1));
    }
    // Go answers twice, the second time with nothing.
    let asked = |connection: &mut Connection<1>| {
        let _ = connection.get_values();
        GET.send(connection);
    };
    let t = check_after(asked, &Server::new().values(&values).values(b"").answer(1));
    t.assert_sound();
    assert_eq!(t.story(), format!("VALUES:{} {}", values.len(), answered(1)));
}

#[test]
fn b18_unknown_type_during_a_request_leaves_it_running() {
    let server = Server::new().stdout(1, b"one").unknown_type(99).stdout(1, b"two").unknown_type(9);
    let t = check(&server.end(1, 0, 0));
    t.assert_sound();
    assert_eq!(t.story(), "STDOUT#1:3 UNKNOWN_TYPE(99) STDOUT#1:3 UNKNOWN_TYPE(9) END#1(0,0)");
}

#[test]
fn b18_an_answer_with_id_0_is_an_error_with_and_without_a_request() {
    let bytes = Server::new().stdout(0, b"x").end(0, 0, 0);
    let error = Some(ConnectionError::NullRequestId { record_type: STDOUT });
    assert_eq!(check(&bytes).error, error);
    assert_eq!(check_after::<1>(|_| {}, &bytes).error, error);
    let end = check_after::<1>(|_| {}, &Server::new().end(0, 0, 0));
    assert_eq!(end.error, Some(ConnectionError::NullRequestId { record_type: END }));
}

#[test]
fn b18_an_answer_under_another_id_is_nobodys() {
    for other in [2, 9, 65535] {
        let t = check(&Server::new().answer(other).stderr(other, b"x").answer(1));
        assert_eq!((t.story(), t.error, t.is_reusable), (answered(1), None, false));
    }
}

#[test]
fn b18_padding_of_1_to_7_bytes_at_any_size_and_unaligned() {
    for padding in 0..8 {
        for length in [1, 2, 7, 8, 9, 96, 8_184, 16_384] {
            let server = Server::new().padding(&vec![0xee; padding]);
            let t = check(&server.stdout(1, &vec![b'o'; length]).stdout(1, b"").end(1, 0, 0));
            t.assert_sound();
            assert_eq!(t.story(), format!("STDOUT#1:{length} STDOUT#1:0 END#1(0,0)"));
        }
    }
}

#[test]
fn b19_records_of_all_sizes_that_were_seen() {
    let sizes = [8_184, 8_192, 16_384, 32_767, 32_768, 61_439, 64_000, 65_528, 65_529, 65_534, 65_535, 1, 24];
    let bytes: Vec<u8> = (0..65_535).map(|at: u32| (at * 7 / 3) as u8).collect();
    for size in sizes {
        for padding in [0, 1, 7, 255] {
            let padded = Server::new().padding(&vec![3; padding]);
            let t = check_in_turn(&padded.stdout(1, &bytes[..size]).stdout(1, b"").end(1, 0, 0).answer(1));
            assert_eq!((t.error, t.is_reusable), (None, true));
            assert!(t.stdout(1) == [&bytes[..size], ANSWER].concat(), "{size} + {padding}");
        }
    }
}

#[test]
fn b19_a_header_block_cut_anywhere_and_one_record_a_write() {
    for at in 0..=ANSWER.len() {
        let (front, back) = ANSWER.split_at(at);
        let t = check(&Server::new().stdout(1, front).stdout(1, back).end(1, 0, 0));
        t.assert_sound();
        assert_eq!(t.stdout(1), ANSWER);
    }
}

#[test]
fn b20_a_close_without_end_request_leaves_the_request_active() {
    for (server, story) in [
        (Server::new(), ""),
        (Server::new().stdout(1, b"half"), "STDOUT#1:4"),
        (Server::new().stdout(1, b"half").stdout(1, b""), "STDOUT#1:4 STDOUT#1:0"),
        (Server::new().stderr(1, b"bad parameters"), "STDERR#1:14"),
    ] {
        let t = check(&server);
        assert_eq!((t.story(), t.error, t.eof, t.active), (story.to_owned(), None, Ok(()), vec![1]));
    }
}

#[test]
fn b20_a_close_inside_a_record_is_an_error() {
    let bytes = Server::new().padding(b"pad").stdout(1, b"hello").end(1, 0, 0);
    for cut in 1..bytes.len() {
        let t = check(&bytes[..cut]);
        assert_eq!(t.error, None);
        assert_eq!(t.eof.is_ok(), cut == 16, "{cut}");
    }
}

#[test]
fn b20_a_close_after_end_request_with_keep_conn_ends_the_connection_only() {
    let mut connection = asked::<1>();
    let bytes = Server::new().answer(1);
    let mut input = &bytes[..];
    while connection.next_event(&mut input).unwrap().is_some() {}
    assert!(connection.is_reusable());
    assert_eq!(connection.eof(), Ok(()));
    assert!(!connection.is_reusable() && !connection.is_active(RequestId::ONE));
    assert_eq!(connection.begin(Role::Responder, true).unwrap_err(), SendError::NotReusable);
}

#[test]
fn b20_without_keep_conn_the_connection_is_over_after_end_request_closed_or_not() {
    for server in [Server::new().answer(1), Server::new().end(1, 0, 3), Server::new().end(1, 0, 2)] {
        let t = check_after::<1>(|connection| drop(LAST.send(connection)), &server);
        assert!(t.active.is_empty() && !t.is_reusable && t.error.is_none());
    }
}

#[test]
fn b11_no_nul_no_repeated_name_and_no_http_proxy_becomes_a_variable() {
    let request = Variables::new(b"GET", b"/");
    let headers: &[(&[u8], &[u8])] =
        &[(b"Cookie", b"a=1"), (b"Proxy", b"http://evil"), (b"cookie", b"b=2"), (b"PROXY", b"x")];
    let mut names = Vec::new();
    let emitted = request.emit(Role::Responder, headers, |name, value| {
        assert!(!value.parts().any(|part| part.contains(&0)));
        names.push(name.to_vec());
        Ok::<(), VariablesError>(())
    });
    assert_eq!(emitted, Ok(()));
    assert!(names.contains(&b"HTTP_COOKIE".to_vec()) && !names.contains(&b"HTTP_PROXY".to_vec()));
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);

    let nul: &[(&[u8], &[u8])] = &[(b"X", b"a\0b")];
    let refused = request.emit(Role::Responder, nul, |_, _| Ok::<(), VariablesError>(()));
    assert_eq!(refused, Err(VariablesError::Value { byte: 0 }));
}

#[test]
fn roles_are_the_numbers_of_the_specification_and_have_its_streams() {
    assert_eq!(ROLES.map(|role| role as u16), [RESPONDER, AUTHORIZER, FILTER]);
    assert_eq!(ROLES.map(Role::has_stdin), [true, false, true]);
    assert_eq!(ROLES.map(Role::has_data), [false, false, true]);
}
