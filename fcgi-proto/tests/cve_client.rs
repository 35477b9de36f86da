//! The vulnerabilities and bugs of web servers' FastCGI sides that the connection or the writer of records
//! decides, one by one, named by their number or by the web server and the date of its fix.

mod support;
#[path = "support/client.rs"]
mod web_server;

use fcgi_proto::ConnectionError;
use fcgi_proto::cgi::{PathError, Variables, VariablesError, decode_path};
use fcgi_proto::client::{Connection, Event, SendError};
use fcgi_proto::pair::{Packer, Pairs};
use fcgi_proto::record::{RequestId, Role};
use support::{
    ABORT, BEGIN, DATA, END, GET_VALUES, GET_VALUES_RESULT, PARAMS, STDERR, STDIN, STDOUT, UNKNOWN_TYPE,
    Wire, walk,
};
use web_server::*;

/// Feeds the bytes in two pieces, cut there, to a connection that sends GETs in turn.
fn feed_in_two(bytes: &[u8], cut: usize) -> Transcript {
    let (front, back) = bytes.split_at(cut);
    let again = |connection: &mut Connection<1>, event: &Event<'_>| {
        if matches!(event, Event::End { .. }) && connection.is_reusable() {
            GET.send(connection);
        }
    };
    feed(fcgi_proto::Limits::default(), &|connection| drop(GET.send(connection)), &again, &[front, back])
}

/// Every cut of the bytes in two gives the same as any other.
fn check_every_cut(bytes: &[u8]) -> Transcript {
    let whole = check_in_turn(bytes);
    for cut in 0..=bytes.len() {
        assert_eq!(feed_in_two(bytes, cut), whole, "cut at {cut}");
    }
    whole
}

#[test]
fn cve_2026_55203_65535_bytes_of_content_and_padding_do_not_wrap() {
    let content = [1; 65_535];
    for kind in [BEGIN, ABORT, PARAMS, STDIN, STDOUT, STDERR, DATA, 0, 12, 255] {
        for padding in [1, 2, 7, 8, 254, 255] {
            let server = Server::new().padding(&vec![1; padding]).record(kind, 1, &content).padding(b"");
            let bytes = server.answer(1);
            let t = check(&bytes);
            t.assert_sound();
            let data = match kind {
                STDOUT => "STDOUT#1:65558 STDOUT#1:0 END#1(0,0)".to_owned(),
                STDERR => format!("STDERR#1:65535 {}", answered(1)),
                _ => answered(1),
            };
            assert_eq!(t.story(), data);
        }
    }
    for kind in [GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE, 12, 255] {
        for asked in [false, true] {
            let bytes = Server::new().padding(&[1; 255]).record(kind, 0, &content).padding(b"").answer(1);
            let start = |connection: &mut Connection<1>| {
                if asked {
                    let _ = connection.get_values();
                }
                GET.send(connection);
            };
            let t = check_after(start, &bytes);
            t.assert_sound();
            let values = if asked && kind == GET_VALUES_RESULT { "VALUES:65535 " } else { "" };
            assert_eq!(t.story(), format!("{values}{}", answered(1)));
        }
    }
}

#[test]
fn cve_2026_55203_split_at_every_byte() {
    let content = [1; 65_535];
    for kind in [STDOUT, STDERR, 12] {
        let bytes = Server::new().padding(&[1]).record(kind, 1, &content).padding(b"").answer(1);
        let whole = feed_in_two(&bytes, 0);
        assert_eq!((whole.error, &whole.eof), (None, &Ok(())));
        // All cuts in and around the headers and the padding, and some in the content.
        let cuts = (0..40).chain((40..bytes.len()).step_by(997)).chain(bytes.len() - 100..bytes.len());
        for cut in cuts {
            assert!(feed_in_two(&bytes, cut) == whole, "type {kind}, cut at {cut}");
        }
    }
}

#[test]
fn haproxy_2026_04_10_a_body_is_the_sum_of_its_records() {
    for length in [65_535, 65_536, 65_544, 99_000, 131_072] {
        let body: Vec<u8> = (0..length).map(|at: usize| (at / 3) as u8).collect();
        let sent = Ask { stdin: &body, ..GET }.bytes();
        assert!(content(&sent, STDIN, 1) == body, "{length}");
        let sent = Ask { role: Role::Filter, stdin: &body, data: &body, ..GET }.bytes();
        assert!(content(&sent, STDIN, 1) == body && content(&sent, DATA, 1) == body, "{length}");
        assert_eq!(request_records(&sent).last().map(|last| last.content.len()), Some(0));
    }
}

#[test]
fn haproxy_2026_03_05_get_values_result_with_lying_lengths() {
    let lies: [&[u8]; 8] = [
        b"\x0f",
        b"\x0f\x01FCGI_MPXS_CONNS",
        b"\xff\xff\xff\xff\xff\xff\xff\xffFCGI",
        b"\x80\0\0",
        b"\xff\xff\xff\xf0\x00A",
        b"\x01\x80",
        b"\x01\x01A1\x01\x7fB2",
        b"\xff",
    ];
    for lie in lies {
        let start = |connection: &mut Connection<1>| {
            let _ = connection.get_values();
            GET.send(connection);
        };
        let t = check_after(start, &Server::new().values(lie).answer(1));
        t.assert_sound();
        assert_eq!(t.story(), format!("VALUES:{} {}", lie.len(), answered(1)));
        let Some(Seen::Values { data, whole: true }) = t.events.first() else { panic!("{}", t.story()) };
        assert_eq!(data, lie);
        assert!(Pairs::new(data).check().is_err());
        let found: usize = Pairs::new(data).map(|(name, value)| name.len() + value.len()).sum();
        assert!(found <= data.len());
    }
}

#[test]
fn haproxy_2026_05_26_answers_with_id_0_are_an_error() {
    for kind in [STDOUT, STDERR, END] {
        for content in [&b""[..], b"x", &[0; 8]] {
            let bytes = Server::new().record(kind, 0, content).answer(1);
            let error = Some(ConnectionError::NullRequestId { record_type: kind });
            assert_eq!(check(&bytes).error, error);
            assert_eq!(check_after::<1>(|_| {}, &bytes).error, error, "without a request");
        }
    }
}

#[test]
fn haproxy_2026_08_07_stderr_is_handed_over_byte_by_byte_as_it_came() {
    let log = b"\r\nFAKE\x1b[31m\0\t\x7f\xff%s%n";
    let t = check(&Server::new().stderr(1, log).answer(1));
    assert_eq!(t.stderr(1), log);
    assert_eq!(t.stdout(1), ANSWER);
}

#[test]
fn cve_2023_0836_reserved_bytes_and_padding_are_zero() {
    // `request_records` checks them.
    let mut connection = fresh::<1>();
    let mut sent = connection.get_values().bytes();
    for length in 1..20 {
        let body = vec![0xff; length];
        let ask = Ask { role: Role::Filter, params: &[(&body, &body)], stdin: &body, data: &body, ..GET };
        let (id, bytes) = ask.send(&mut connection);
        sent.extend(bytes);
        let mut answer = &Server::new().answer(id.get())[..];
        while connection.next_event(&mut answer).unwrap().is_some() {}
    }
    GET.send(&mut connection);
    request_records(&sent);
    let begins = request_records(&sent).into_iter().filter(|record| record.kind == BEGIN);
    assert!(begins.map(|begin| begin.content).all(|content| content == [0, 3, 1, 0, 0, 0, 0, 0]));
}

#[test]
fn haproxy_2020_07_15_empty_stderr_and_padding_do_not_block_a_kept_connection() {
    for padding in [&b""[..], b"\x01", &[6; 8], &[0xff; 255]] {
        let padded = |server: Server| server.padding(padding);
        let bytes = padded(Server::new())
            .stderr(1, b"")
            .stdout(1, ANSWER)
            .stdout(1, b"")
            .stderr(1, b"")
            .end(1, 0, 0)
            .padding(b"")
            .answer(2);
        let t = check_every_cut(&bytes);
        assert_eq!(
            t.story(),
            format!("STDERR#1:0 STDOUT#1:23 STDOUT#1:0 STDERR#1:0 END#1(0,0) {}", answered(2))
        );
        assert_eq!((t.error, t.is_reusable), (None, true));
    }
}

#[test]
fn nginx_2012_05_11_and_2013_02_01_padding_is_received_in_full() {
    for padding in 1..=255 {
        let bytes = Server::new().padding(&vec![1; padding]).answer(1).answer(2);
        let t = check_in_turn(&bytes);
        assert_eq!(t.story(), format!("{} {}", answered(1), answered(2)));
        assert_eq!((t.error, t.is_reusable), (None, true));
    }
}

#[test]
fn haproxy_2020_10_09_a_close_right_behind_end_request_takes_nothing_away() {
    let bytes = Server::new().answer(1);
    for cut in 0..=bytes.len() {
        let t = feed_in_two(&bytes, cut);
        assert_eq!((t.story(), t.eof), (answered(1), Ok(())), "in two segments cut at {cut}");
    }
}

#[test]
fn haproxy_2025_02_03_a_close_in_a_header_in_content_and_in_padding_is_an_error() {
    let bytes = Server::new().padding(b"pad").stdout(1, b"hello").end(1, 0, 0);
    // Bytes that the record's header, or its content and padding, lack at each place.
    let missing = |at: usize| match at {
        0 | 16 => 0,
        1..8 => 8 - at,
        8..16 => 16 - at,
        17..24 => 24 - at,
        _ => 35 - at,
    };
    for at in 0..=bytes.len() {
        let t = check(&bytes[..at]);
        let expected = match missing(at) as u32 {
            0 => Ok(()),
            missing => Err(ConnectionError::UnexpectedEof { missing }),
        };
        assert_eq!((t.error, t.eof), (None, expected), "closed at {at}");
    }
}

#[test]
fn haproxy_2022_11_16_an_empty_body_is_one_empty_stdin_record() {
    for (method, body) in [("GET", ""), ("HEAD", ""), ("POST", ""), ("POST", "x"), ("PUT", ""), ("TRACE", "")]
    {
        let params: &[(&[u8], &[u8])] = &[(b"REQUEST_METHOD", method.as_bytes())];
        let sent = Ask { params, stdin: body.as_bytes(), ..GET }.bytes();
        let stdin: Vec<_> = walk(&sent).0.into_iter().filter(|record| record.kind == STDIN).collect();
        assert_eq!(stdin.iter().filter(|record| record.content.is_empty()).count(), 1);
        assert!(stdin.last().unwrap().content.is_empty());
    }
}

#[test]
fn nginx_2016_04_11_never_two_empty_stdin_records() {
    let mut connection = fresh::<1>();
    let (id, sent) = Ask { stdin: b"body", ..GET }.send(&mut connection);
    assert!(matches!(connection.stdin_end(id), Err(SendError::OutOfOrder { .. })));
    assert!(matches!(connection.stdin(id, b""), Err(SendError::OutOfOrder { .. })));
    let empty = |record: &&Wire| record.kind == STDIN && record.content.is_empty();
    assert_eq!(walk(&sent).0.iter().filter(empty).count(), 1);
}

/// Drains the cursor one buffer of `size` bytes after the other.
macro_rules! drain {
    ($cursor:expr, $size:expr, $sent:expr) => {{
        let mut cursor = $cursor;
        let mut buffer = vec![0xaa; $size];
        while cursor.remaining() > 0 {
            let before = cursor.remaining();
            let copied = cursor.copy_to(&mut buffer);
            assert_eq!((copied, cursor.remaining()), (before.min($size), before - copied));
            $sent.extend_from_slice(&buffer[..copied]);
            assert_eq!(cursor.copy_to(&mut []), 0, "a full buffer is no error");
        }
        assert_eq!(cursor.copy_to(&mut buffer), 0);
    }};
}

#[test]
fn haproxy_2026_04_29_a_send_buffer_smaller_than_the_request() {
    let (name, value, body) = (vec![b'n'; 300], vec![b'v'; 2_000], vec![b'b'; 70_000]);
    let ask = Ask { params: &[(&name, &value)], stdin: &body, ..GET };
    let expected = ask.bytes();
    for size in [1, 2, 7, 8, 9, 1_000, 65_535] {
        let mut connection = fresh::<1>();
        let mut sent = Vec::new();
        let (id, begin) = connection.begin(Role::Responder, true).unwrap();
        drain!(begin, size, sent);
        drain!(connection.param(id, &name, &value).unwrap(), size, sent);
        drain!(connection.params_end(id).unwrap(), size, sent);
        let mut rest = &body[..];
        while !rest.is_empty() {
            let (record, after) = connection.stdin(id, rest).unwrap();
            drain!(record, size, sent);
            rest = after;
        }
        drain!(connection.stdin_end(id).unwrap(), size, sent);
        assert!(sent == expected, "buffer of {size} bytes");
    }
}

#[test]
fn haproxy_2020_05_02_without_keep_conn_never_used_again_and_with_it_used_again() {
    let t = check_after::<1>(|connection| drop(LAST.send(connection)), &Server::new().answer(1));
    assert!(!t.is_reusable && t.active.is_empty());
    check(&Server::new().answer(1)).assert_sound();

    let mut connection = fresh::<4>();
    LAST.send(&mut connection);
    for keep_conn in [false, true] {
        let error = connection.begin(Role::Responder, keep_conn).unwrap_err();
        assert_eq!(error, SendError::NotReusable);
    }
}

#[test]
fn nginx_2009_08_and_2014_03_17_a_header_over_several_records_and_a_record_over_several_reads() {
    for cut in 0..=ANSWER.len() {
        let (front, back) = ANSWER.split_at(cut);
        let bytes = Server::new().stdout(1, front).stdout(1, back).end(1, 0, 0);
        assert_eq!(check_every_cut(&bytes).stdout(1), ANSWER);
    }
}

#[test]
fn nginx_2026_08_19_names_and_values_of_127_128_and_65535_bytes() {
    let bytes = vec![b'x'; 65_535];
    for (name, value) in [
        (127, 127),
        (127, 128),
        (128, 127),
        (128, 128),
        (65_526, 0),
        (65_525, 1),
        (0, 65_526),
        (30_000, 30_000),
    ] {
        let (name, value) = (&bytes[..name], &bytes[..value]);
        let sent = Ask { params: &[(name, value)], ..GET }.bytes();
        let params = content(&sent, PARAMS, 1);
        let long = |length: usize| if length < 128 { 1 } else { 4 };
        let lengths = long(name.len()) + long(value.len());
        assert_eq!(params.len(), lengths + name.len() + value.len());
        assert!(params[0] < 0x80 || name.len() > 127, "a length of 128 and more has its top bit set");
        assert_eq!(Pairs::new(&params).collect::<Vec<_>>(), [(name, value)]);
        let mut packer = Packer::new(vec![0; 65_535]);
        if packer.push(name, value).is_ok() {
            assert_eq!(packer.bytes(), params);
        }
    }
    for (name, value) in [(65_535, 0), (0, 65_535), (65_531, 0), (65_535, 65_535)] {
        let mut connection = fresh::<1>();
        let (id, _) = connection.begin(Role::Responder, true).unwrap();
        let error = connection.param(id, &bytes[..name], &bytes[..value]).unwrap_err();
        assert!(
            matches!(error, SendError::TooLong { needed } if needed > 65_535 && needed <= 2 * 65_535 + 8)
        );
    }
}

#[test]
fn lighttpd_2018_09_23_oversized_parameters_are_a_clean_error() {
    let mut connection = fresh::<1>();
    let (id, _) = connection.begin(Role::Responder, true).unwrap();
    let huge = vec![0; 1 << 20];
    let error = connection.param(id, b"HTTP_COOKIE", &huge).unwrap_err();
    assert_eq!(error, SendError::TooLong { needed: (1 << 20) + 11 + 5 });
    assert_eq!(connection.params(id, &huge).unwrap_err(), SendError::TooLong { needed: 1 << 20 });
    let _ = connection.param(id, b"A", b"1").unwrap();
    let _ = connection.params_end(id).unwrap();
}

#[test]
fn lighttpd_3272_no_body_goes_to_an_authorizer() {
    let mut connection = fresh::<1>();
    let (id, _) = connection.begin(Role::Authorizer, true).unwrap();
    let _ = connection.params_end(id).unwrap();
    assert!(matches!(connection.stdin(id, b"body"), Err(SendError::OutOfOrder { .. })));
    assert_eq!(connection.stdin_end(id).unwrap().bytes(), b"\x01\x05\0\x01\0\0\0\0");
}

#[test]
fn cve_2013_4365_and_cve_2010_3872_lying_and_huge_records() {
    // Lengths of what never comes.
    let t = check(b"\x01\x06\0\x01\xff\xff\xff\0few");
    let error = ConnectionError::UnexpectedEof { missing: 65_535 + 255 - 3 };
    assert_eq!((t.story(), t.eof), ("STDOUT#1:3".to_owned(), Err(error)));
    // What is inside a record is not read as one.
    let inner = Server::new().stdout(1, b"evil").end(1, 0, 0);
    for kind in [STDOUT, STDERR, 12, STDIN] {
        let t = check(&Server::new().record(kind, 1, &inner).answer(1));
        t.assert_sound();
        assert_eq!(t.events.iter().filter(|event| matches!(event, Seen::End { .. })).count(), 1);
    }
    let t = check(&Server::new().padding(&inner).stdout(1, b"x").padding(b"").answer(1));
    assert_eq!(t.stdout(1), [b"x", ANSWER].concat());
}

#[test]
fn mod_fcgid_2_3_6_no_output_at_all_is_told_apart() {
    for server in [Server::new(), Server::new().stdout(1, b""), Server::new().stderr(1, b"oops")] {
        let t = check(&server.end(1, 0, 0));
        let end = Seen::End { id: 1, app_status: 0, protocol_status: 0, answered: false };
        assert_eq!(t.events.last(), Some(&end));
    }
}

#[test]
fn cve_2014_3583_heads_of_8191_8192_8193_and_65536_bytes_without_an_end() {
    for length in [8_191, 8_192, 8_193, 65_536] {
        let head = vec![b'h'; length];
        let pieces = head.chunks(65_535).fold(Server::new(), |server, piece| server.stdout(1, piece));
        let t = check(&pieces.end(1, 0, 0));
        t.assert_sound();
        assert_eq!(t.stdout(1).len(), length);
    }
}

#[test]
fn apache_2016_06_27_an_answer_on_an_idle_connection_retires_it() {
    for late in [
        Server::new().stdout(1, b"late"),
        Server::new().stdout(1, b""),
        Server::new().stderr(1, b"late"),
        Server::new().end(1, 0, 0),
        Server::new().answer(1),
    ] {
        let t = check(&Server::new().answer(1).raw(&late));
        assert_eq!((t.story(), t.error, t.is_reusable), (answered(1), None, false));
        let before = check_after::<1>(|_| {}, &late);
        assert_eq!((before.story(), before.is_reusable), (String::new(), false), "before the first request");
    }
}

#[test]
fn openbsd_7_3_errata_020_end_before_stdout_end_twice_and_stdout_after_end() {
    for (server, story) in [
        (Server::new().end(1, 0, 0).stdout(1, ANSWER), "-END#1(0,0)".to_owned()),
        (Server::new().answer(1).end(1, 0, 0), answered(1)),
        (Server::new().answer(1).stdout(1, b"more").stdout(1, b""), answered(1)),
        (Server::new().end(1, 0, 0).end(1, 0, 0), "-END#1(0,0)".to_owned()),
    ] {
        let t = check(&server);
        assert_eq!((t.story(), t.error, t.is_reusable), (story, None, false));
        assert!(t.active.is_empty());
    }
}

#[test]
fn openbsd_7_3_errata_020_answers_without_a_request() {
    for server in [Server::new().answer(1), Server::new().end(1, 0, 0), Server::new().stderr(7, b"x")] {
        let t = check_after::<1>(|_| {}, &server);
        assert_eq!((t.story(), t.error, t.is_reusable), (String::new(), None, false));
    }
}

#[test]
fn go_measured_an_aborted_requests_late_answer_never_meets_the_next_request() {
    let start = |connection: &mut Connection<1>| {
        let (id, _) = connection.begin(Role::Responder, true).unwrap();
        let _ = connection.params_end(id).unwrap();
        let _ = connection.abort(id).unwrap();
    };
    // END at once, the aborted request's answer later, a second END.
    let bytes = Server::new().end(1, 0, 0).answer(1);
    let t = check_all(
        fcgi_proto::Limits::default(),
        &start,
        &|connection, event| {
            assert!(matches!(event, Event::End { .. }));
            assert_eq!(GET.try_send(connection).unwrap_err(), SendError::NotReusable);
        },
        &bytes,
    );
    assert_eq!((t.story(), t.is_reusable), ("-END#1(0,0)".to_owned(), false));
}

#[test]
fn go_measured_a_second_end_of_a_request_meets_no_other_and_retires_the_connection() {
    // The second END comes before the next request, or after it began: it is nobody's.
    let bytes = Server::new().answer(1).end(1, 0, 0).answer(2);
    let t = check_in_turn(&bytes);
    assert_eq!(t.story(), format!("{} {}", answered(1), answered(2)));
    assert!(!t.is_reusable && t.error.is_none());
    // Without a second request its answer is nobody's as well.
    let t = check(&bytes);
    assert_eq!(t.story(), answered(1));
    assert!(!t.is_reusable && t.error.is_none());
}

#[test]
fn cgi_fcgi_13_sizes_around_8184_8192_and_65535() {
    for length in [8_183, 8_184, 8_185, 8_191, 8_192, 8_193, 65_534, 65_535, 65_536] {
        let body = vec![b'b'; length];
        let value = &body[..length.min(65_518)];
        let sent = Ask { params: &[(b"LONG", value)], stdin: &body, ..GET }.bytes();
        request_records(&sent);
        assert_eq!(content(&sent, STDIN, 1).len(), length);
        assert_eq!(Pairs::new(&content(&sent, PARAMS, 1)).get(b"LONG"), Some(value));
        let pieces = body.chunks(65_535).fold(Server::new(), |server, piece| server.stdout(1, piece));
        assert_eq!(check(&pieces.end(1, 0, 0)).stdout(1).len(), length);
    }
}

#[test]
fn haproxy_2020_07_15_a_flood_of_nothing_is_bounded() {
    let limits = support::limits(|limits| limits.ignored = 1_000);
    for (record_type, id, content, most) in
        [(99, 1, &b""[..], 125), (STDOUT, 1, b"", 125), (STDERR, 1, b"", 125), (UNKNOWN_TYPE, 0, &[9; 8], 62)]
    {
        let mut connection = Connection::<1>::new(limits);
        GET.send(&mut connection);
        let bytes = Server::new().record(record_type, id, content);
        let mut count = 0;
        let error = 'flood: loop {
            let mut input = &bytes[..];
            while !input.is_empty() {
                if let Err(error) = connection.next_event(&mut input) {
                    break 'flood error;
                }
            }
            count += 1;
        };
        assert_eq!((count, error), (most, ConnectionError::IgnoredTooMuch { limit: 1_000 }));
        assert!(connection.is_active(RequestId::ONE) && !connection.is_reusable());
    }
}

#[test]
fn cve_2008_3660_odd_script_names_are_handed_on_as_they_are() {
    for (target, path) in [
        (&b"/a..php"[..], &b"/a..php"[..]),
        (b"/a.php.", b"/a.php."),
        (b"/a.php%20", b"/a.php "),
        (b"/.php/../.", b"/.php/../."),
        (b"/a.PHP%2e/b", b"/a.PHP./b"),
    ] {
        assert_eq!(decode_path(target, &mut [0; 20]), Ok(path));
        let mut request = Variables::new(b"GET", target);
        request.script_name = path;
        let mut made = Vec::new();
        let emitted = request.emit(Role::Responder, &[], |name, value| -> Result<(), VariablesError> {
            if name == b"SCRIPT_NAME" {
                made.extend(value.parts().collect::<Vec<_>>().concat());
            }
            Ok(())
        });
        assert_eq!((emitted, &made[..]), (Ok(()), path));
    }
    assert_eq!(decode_path(b"/a.jpg%00.php", &mut [0; 20]), Err(PathError::Byte { byte: 0, at: 6 }));
}
