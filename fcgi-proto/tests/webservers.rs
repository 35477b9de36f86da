//! What real web servers do to an application (numbers as in the project's survey of them, w1 to w30), as far
//! as bytes decide it in the core; sockets and response heads are the adapters' and `cgi`'s.

mod support;

use fcgi_proto::record::Role;
use fcgi_proto::server::{Connection, Event, Refusal, SendError};
use fcgi_proto::{ConnectionError, Limits};
use support::*;

/// Feeds all of `bytes` to a connection whose application does nothing.
fn fed<const N: usize>(bytes: &[u8]) -> Connection<N> {
    let mut connection = Connection::new(Limits::default());
    eat(&mut connection, bytes);
    connection
}

#[test]
fn w1_a_pair_may_be_split_at_any_byte_over_params_records() {
    let params = pairs(&[("HTTP_COOKIE", &*"c".repeat(200)), ("REQUEST_METHOD", "GET"), ("X", "")]);
    for at in 1..params.len() - 1 {
        let (one, rest) = params.split_at(at);
        let (two, three) = rest.split_at(1);
        let client = Client::new().begin(1, RESPONDER, KEEP).params(1, one).params(1, two).params(1, three);
        let t = check(&client.params(1, b"").stdin(1, b""));
        assert_eq!((t.params(1), t.answers()), (params.clone(), answered(1)), "cut at {at}");
    }
}

#[test]
fn w2_every_pair_may_have_a_params_record_of_its_own() {
    let mut client = Client::new().begin(1, RESPONDER, CLOSE);
    let list = [("REQUEST_METHOD", "GET"), ("QUERY_STRING", ""), ("HTTP_HOST", "localhost")];
    for pair in list {
        client = client.params(1, &pairs(&[pair]));
    }
    let t = check(&client.params(1, b"").stdin(1, b""));
    assert_eq!((t.params(1), t.answers()), (pairs(&list), answered(1)));
}

#[test]
fn w3_the_id_of_a_request_answered_early_begins_again_though_its_stdin_never_ended() {
    let client = Client::new().head(1, KEEP).stdin(1, b"the old request's body").head(1, KEEP);
    let t = check_with::<1>(App::Early, &client);
    assert_eq!(t.answers(), format!("{} {}", answered(1), answered(1)));
    assert_eq!(t.error, None);
    // What is still to come of the old body is taken for the new request's, had it not been answered too.
    let t = check_with::<1>(App::Early, &client.stdin(1, b"more").stdin(1, b"").request(1, KEEP));
    assert_eq!((t.begins().len(), t.stdin(1)), (3, vec![]));
}

#[test]
fn w4_stdin_for_an_id_already_ended_may_come_before_the_next_id() {
    for end in [true, false] {
        let mut client = Client::new().head(1, KEEP).stdin(1, b"late").stdin(1, &[0; 5_000]);
        if end {
            client = client.stdin(1, b"");
        }
        let t = check_with::<1>(App::Early, &client.head(3, KEEP));
        assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 BEGIN#3 PARAMS#3:19 PARAMS#3:0");
        assert_eq!(t.answers(), format!("{} {}", answered(1), answered(3)));
    }
}

#[test]
fn w5_the_end_of_input_inside_a_record_is_an_error_wherever_it_is() {
    let bytes = Client::new().padding(&[0; 3]).head(1, KEEP).stdin(1, b"body");
    let mut borders = vec![0];
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let length = 8 + usize::from(u16::from_be_bytes([rest[4], rest[5]])) + usize::from(rest[6]);
        borders.push(borders.last().unwrap() + length);
        rest = &rest[length..];
    }
    for end in 0..bytes.len() {
        let eof = check(&bytes[..end]).eof;
        match borders.contains(&end) {
            true => assert_eq!(eof, Ok(()), "{end} bytes"),
            false => assert!(matches!(eof, Err(ConnectionError::UnexpectedEof { .. })), "{end} bytes"),
        }
    }
}

#[test]
fn w5_the_error_tells_how_many_bytes_are_missing_as_far_as_known() {
    let bytes = Client::new().padding(&[0; 2]).begin(1, RESPONDER, KEEP).stdin(1, b"abcdef");
    for (end, missing) in
        [(1, 7), (7, 1), (8, 10), (9, 9), (15, 3), (16, 2), (17, 1), (26, 8), (30, 4), (33, 1)]
    {
        assert_eq!(check(&bytes[..end]).eof, Err(ConnectionError::UnexpectedEof { missing }), "{end} bytes");
    }
}

#[test]
fn w6_an_authorizer_is_answered_without_any_stdin_record() {
    let t = check(&Client::new().begin(1, AUTHORIZER, CLOSE).params(1, &get()).params(1, b""));
    assert_eq!(t.answers(), answered(1));
    assert!(t.is_finished);
}

/// What comes on a connection of which nothing more is wanted.
fn leftovers() -> [Vec<u8>; 6] {
    [
        vec![0; 8],
        Client::new().stdin(1, b"").to_vec(),
        Client::new().stdin(1, b"").raw(&[0; 8]).to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        Client::new().begin(1, RESPONDER, KEEP).to_vec(),
        Client::new().record(BEGIN, 2, b"short").record(PARAMS, 0, b"x").to_vec(),
    ]
}

#[test]
fn w7_what_comes_after_a_complete_request_cannot_cost_its_answer() {
    for leftover in leftovers() {
        let bytes = Client::new().request(1, CLOSE).raw(&leftover);
        let t = check_with::<1>(App::Silent, &bytes);
        assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:0");
        assert_eq!((t.error, t.eof, t.answers()), (None, Ok(()), String::new()), "{leftover:?}");
        let mut connection = fed::<1>(&bytes);
        answer(&mut connection, id(1), &mut Vec::new());
        assert!(connection.is_finished());
        assert_eq!(connection.eof(), Ok(()));
    }
}

#[test]
fn w7_what_comes_after_the_answer_is_discarded_unread() {
    for leftover in leftovers() {
        let t = check(&Client::new().request(1, CLOSE).raw(&leftover));
        assert_eq!((t.answers(), t.error, t.eof), (answered(1), None, Ok(())), "{leftover:?}");
        assert!(t.is_finished);
    }
}

#[test]
fn w7_an_abort_is_still_heard_while_the_answer_is_made() {
    let t = check_with::<1>(App::Silent, &Client::new().request(1, CLOSE).abort(1).raw(&[0; 8]).abort(1));
    assert!(t.story().ends_with("STDIN#1:0 ABORT#1"));
    assert_eq!(t.error, None);
}

#[test]
fn w7_a_begin_request_that_comes_too_late_hides_no_abort() {
    for late in [&[0; 8][..], b"short", b""] {
        let client = Client::new().request(1, CLOSE).record(BEGIN, 2, late).abort(1);
        let t = check_with::<2>(App::Silent, &client);
        assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:0 ABORT#1");
    }
}

#[test]
fn w7_after_the_answer_not_even_management_records_are_answered() {
    let t = check(&Client::new().request(1, CLOSE).get_values(VALUES).record(99, 0, b""));
    assert_eq!(t.answers(), answered(1));
    assert!(t.is_finished);
}

#[test]
fn w7_on_a_kept_connection_garbage_is_an_error_all_the_same() {
    let t = check(&Client::new().request(1, KEEP).raw(&[0; 8]));
    assert_eq!(t.error, Some(ConnectionError::Version { found: 0 }));
}

#[test]
fn w8_data_after_the_end_of_stdin_is_ignored() {
    let client = Client::new().request(1, KEEP).stdin(1, b"after the end").stdin(1, b"");
    for app in [App::Complete, App::Silent] {
        let t = check_with::<1>(app, &client);
        assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:0");
        assert_eq!((t.error, t.eof), (None, Ok(())));
    }
}

#[test]
fn w9_broken_framing_is_refused() {
    // mod_fastcgi writes the low 16 bits of a longer content's length.
    let client = Client::new().begin(1, RESPONDER, KEEP).params(1, &[b'x'; 4]).raw(&[b'x'; 65_536]);
    let t = check(&client);
    assert_eq!(t.error, Some(ConnectionError::Version { found: b'x' }));
    assert!(t.sent.is_empty());
}

#[test]
fn w10_the_abort_of_one_request_leaves_the_others() {
    let client = Client::new().head(1, KEEP).head(3, KEEP).stdin(3, b"up").head(5, KEEP).abort(3);
    let t =
        check_with::<4>(App::Complete, &client.stdin(5, b"").stdin(3, b"late").stdin(1, b"1").stdin(1, b""));
    assert_eq!(t.answers(), format!("STDOUT#3:0 END#3(0,0) {} {}", answered(5), answered(1)));
    assert_eq!((t.stdin(1), t.stdin(3)), (b"1".to_vec(), b"up".to_vec()));
}

#[test]
fn w11_an_abort_may_come_straight_after_begin() {
    for role in [RESPONDER, AUTHORIZER, FILTER] {
        let t = check(&Client::new().begin(1, role, KEEP).abort(1).request(2, KEEP));
        assert_eq!(t.story(), "BEGIN#1 ABORT#1 BEGIN#2 PARAMS#2:19 PARAMS#2:0 STDIN#2:0");
        assert_eq!(t.answers(), format!("STDOUT#1:0 END#1(0,0) {}", answered(2)));
    }
}

#[test]
fn w12_a_half_sent_request_is_neither_idle_nor_an_error() {
    for bytes in [
        Client::new().begin(1, RESPONDER, CLOSE),
        Client::new().begin(1, RESPONDER, CLOSE).params(1, &get()),
        Client::new().head(1, CLOSE).stdin(1, b"half of the bo"),
    ] {
        let t = check(&bytes);
        assert!(!t.is_idle && !t.is_finished);
        assert_eq!((t.error, t.eof), (None, Ok(())));
    }
}

#[test]
fn w13_a_connection_without_a_byte_is_idle_and_no_error() {
    let t = check(b"");
    assert_eq!((t.error, t.eof, t.is_idle, t.is_finished), (None, Ok(()), true, false));
    assert!(t.events.is_empty() && t.sent.is_empty());
}

#[test]
fn w14_stdin_is_what_comes_whatever_content_length_says() {
    for length in ["", "-1", "abc", "3", "9999999999999999999999"] {
        for body in [&b""[..], b"12345"] {
            let params = pairs(&[("CONTENT_LENGTH", length)]);
            let mut client = Client::new().begin(1, RESPONDER, KEEP).params(1, &params).params(1, b"");
            if !body.is_empty() {
                client = client.stdin(1, body);
            }
            let t = check(&client.stdin(1, b""));
            assert_eq!((t.stdin(1), t.answers()), (body.to_vec(), answered(1)));
        }
    }
}

#[test]
fn w15_names_and_values_arrive_as_the_web_server_sent_them() {
    let list: [(&[u8], &[u8]); 7] = [
        (b"HTTP_COOKIE", b"a=1"),
        (b"HTTP_COOKIE", b"b=2"),
        (b"HTTP_X_EMPTY", b""),
        (b"HTTP_X_LATIN", b"caf\xe9 \xff"),
        (b"HTTP_PROXY", b"http://evil/"),
        (b"SCRIPT_NAME", b""),
        (b"SCRIPT_FILENAME", b"proxy:fcgi://localhost/app"),
    ];
    let client = Client::new().begin(1, RESPONDER, KEEP).params(1, &pairs(&list)).params(1, b"");
    let params = check_with::<1>(App::Early, &client).params(1);
    assert!(fcgi_proto::pair::Pairs::new(&params).eq(list));
    assert_eq!(fcgi_proto::pair::Pairs::new(&params).get(b"HTTP_COOKIE"), Some(&b"b=2"[..]));
}

#[test]
fn w17_stdin_is_to_be_drained_before_the_end_on_a_kept_connection() {
    let kept = Client::new().head(1, KEEP).stdin(1, b"some");
    assert!(fed::<1>(&kept).drains_before_end(id(1)));
    assert!(!fed::<1>(&kept.stdin(1, b"")).drains_before_end(id(1)), "all of it came");
    assert!(!fed::<1>(&Client::new().head(1, CLOSE)).drains_before_end(id(1)), "it is drained after the end");
    assert!(!fed::<1>(&Client::new().head(1, KEEP).abort(1)).drains_before_end(id(1)), "nobody wants it");
    assert!(!fed::<1>(&Client::new().head(1, KEEP)).drains_before_end(id(2)), "no such request");
    let authorizer = Client::new().begin(1, AUTHORIZER, KEEP).params(1, b"");
    assert!(!fed::<1>(&authorizer).drains_before_end(id(1)), "an Authorizer has none");
}

#[test]
fn w18_the_application_is_told_to_close_once_all_is_answered() {
    let mut connection = fed::<1>(&Client::new().request(1, CLOSE));
    assert!(!connection.is_finished());
    answer(&mut connection, id(1), &mut Vec::new());
    assert!(connection.is_finished());
    let mut refused = fed::<1>(&Client::new().begin(1, 77, CLOSE));
    assert!(!refused.is_finished(), "the refusal is still to be sent");
    let _ = refused.poll_reply().unwrap();
    assert!(refused.is_finished());
}

#[test]
fn w19_after_an_early_answer_the_rest_of_the_input_costs_nothing() {
    let mut connection = fed::<1>(&Client::new().head(1, CLOSE).stdin(1, b"beginning"));
    answer(&mut connection, id(1), &mut Vec::new());
    let record = Client::new().stdin(1, &[b'x'; 65_535]);
    for _ in 0..400 {
        let mut input = &record[..];
        assert_eq!(connection.next_event(&mut input), Ok(None));
        assert!(input.is_empty());
    }
    assert!(connection.is_finished(), "26 MB are beyond the budget for ignored records");
}

#[test]
fn w20_no_refusal_is_end_request_alone() {
    let second = Client::new().head(1, KEEP).begin(2, RESPONDER, KEEP);
    let one = check_with::<1>(App::Silent, &second);
    let several = check_with::<2>(App::Silent, &second.begin(3, RESPONDER, KEEP));
    let role = check(&Client::new().begin(1, 9, KEEP));
    for (t, id, status) in [(one, 2, 1), (several, 3, 2), (role, 1, 3)] {
        assert_eq!(t.answers(), refused(id, status));
        let page = t.output(STDOUT, id);
        assert!(page.starts_with(b"Status: 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\n"));
    }
}

#[test]
fn w20_a_refusal_of_the_callers_is_a_whole_answer_too() {
    for (why, status, page) in [
        (Refusal::Overloaded, 2, "Status: 503 "),
        (Refusal::CantMpxConn, 1, "Status: 503 "),
        (Refusal::UnknownRole, 3, "Status: 503 "),
        (Refusal::Malformed, 0, "Status: 400 "),
    ] {
        assert_eq!(why.protocol_status() as u8, status);
        let mut connection = fed::<1>(&Client::new().begin(1, RESPONDER, KEEP).params(1, b"\x09"));
        let sent = connection.reject(id(1), why).unwrap();
        let records = answer_records(&sent);
        assert_eq!(records.iter().map(|record| record.kind).collect::<Vec<_>>(), [STDOUT, STDOUT, END]);
        assert!(records[0].content.starts_with(page.as_bytes()));
        assert_eq!(records[2].content, [0, 0, 0, 0, status, 0, 0, 0]);
        assert_eq!(connection.reject(id(1), why).unwrap_err(), SendError::Inactive { id: id(1) });
    }
}

#[test]
fn w20_a_refusal_after_the_answer_began_adds_nothing_to_it() {
    let mut connection = fed::<1>(&Client::new().head(1, KEEP));
    let mut sent = Vec::new();
    send(&connection.stdout(id(1), ANSWER).unwrap().0, &mut sent);
    sent.extend_from_slice(&connection.reject(id(1), Refusal::Overloaded).unwrap());
    let records = answer_records(&sent);
    assert_eq!(records.iter().map(|record| record.content.len()).collect::<Vec<_>>(), [23, 0, 8]);
    assert_eq!(records[2].content, [0, 0, 0, 0, 2, 0, 0, 0]);
}

#[test]
fn w21_the_application_status_of_what_the_library_answers_is_0() {
    let client = Client::new().head(1, KEEP).begin(2, RESPONDER, KEEP).begin(3, 9, KEEP).params(1, b"");
    let ends: Vec<_> = check(&client).records().into_iter().filter(|record| record.kind == END).collect();
    assert_eq!(ends.len(), 2);
    assert!(ends.iter().all(|end| end.content[..4] == [0; 4]));
}

#[test]
fn w27_every_way_out_of_a_request_sends_its_end() {
    let complete = check(&Client::new().request(1, KEEP));
    let aborted = check(&Client::new().begin(1, RESPONDER, KEEP).abort(1));
    let broken = check(&Client::new().begin(1, RESPONDER, KEEP).params(1, b"\x01").params(1, b""));
    let out_of_order = check(&Client::new().begin(1, RESPONDER, KEEP).stdin(1, b""));
    let role = check(&Client::new().begin(1, 0, KEEP));
    let few = limits(|limits| limits.params = 1);
    let limit = check_limits::<1>(few, App::Complete, &Client::new().head(1, KEEP));
    for t in [complete, aborted, broken, out_of_order, role, limit] {
        let records = t.records();
        assert_eq!(records.iter().filter(|record| record.kind == END).count(), 1);
        assert_eq!(records.last().unwrap().kind, END);
        assert!(t.is_idle);
    }
}

#[test]
fn w28_a_connection_is_idle_only_while_nothing_has_begun_to_arrive() {
    let bytes = Client::new().request(1, KEEP).request(1, KEEP);
    let first = bytes.len() / 2;
    assert!(check(&bytes[..first]).is_idle);
    for end in first + 1..bytes.len() {
        assert!(!check(&bytes[..end]).is_idle, "{end} bytes");
    }
    let mut asked = fed::<1>(&Client::new().get_values(VALUES));
    assert!(!asked.is_idle(), "an answer is owed");
    let _ = asked.poll_reply().unwrap();
    assert!(asked.is_idle());
}

#[test]
fn w29_unknown_and_management_records_are_never_sent_unasked() {
    let mut client = Client::new().padding(&[0xff; 9]);
    for number in 1..50 {
        client = client.request(number, KEEP).abort(number).begin(number, 99, KEEP).stdin(number, b"late");
    }
    let t = check(&client);
    assert!(t.records().iter().all(|record| matches!(record.kind, STDOUT | STDERR | END)));
}

#[test]
fn w30_an_answer_may_begin_before_any_stdin_and_go_on_after_it() {
    let t = check_with::<1>(
        App::Script(|connection, event, sent| match *event {
            Event::ParamsEnd { id } => send(&connection.stdout(id, ANSWER).unwrap().0, sent),
            Event::StdinEnd { id } => {
                send(&connection.stdout(id, b" and more").unwrap().0, sent);
                sent.extend_from_slice(&connection.finish(id, 0).unwrap());
            }
            _ => {}
        }),
        &Client::new().head(1, KEEP).stdin(1, b"body").stdin(1, b""),
    );
    assert_eq!(t.begins(), [(1, Role::Responder, true)]);
    assert_eq!(t.answers(), "STDOUT#1:23 STDOUT#1:9 STDOUT#1:0 END#1(0,0)");
}
