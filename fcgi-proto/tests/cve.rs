//! Known vulnerabilities and bugs of FastCGI applications and their libraries, each a test named after the
//! advisory or the program, as far as bytes show it in the core.

mod support;

use fcgi_proto::pair::{Decoder, Pairs, Params, ParamsBuf, Part};
use fcgi_proto::record::{self, ProtocolStatus, RecordType, Role};
use fcgi_proto::server::{Connection, Event, SendError};
use fcgi_proto::{ConnectionError, Limits};
use support::*;

#[test]
fn cve_2025_23016_sums_of_lengths_do_not_overflow() {
    let lengths = [
        (0x7fff_ffff_u32, 0x7fff_ffff_u32),
        (0x7fff_fffe, 1),
        (0x7fff_ffff, 0),
        (0, 0x7fff_ffff),
        (0x0100_0000, 0),
        (1, 0x0200_0001),
    ];
    for (name_len, value_len) in lengths {
        let wide = |length: u32| (length | 0x8000_0000).to_be_bytes();
        // Room for the two lengths that the first two bytes would be, taken for themselves.
        let bytes = [&wide(name_len)[..], &wide(value_len), &[b'x'; 600]].concat();
        let pairs = Pairs::new(&bytes);
        assert_eq!((pairs.clone().count(), pairs.rest().len()), (0, bytes.len()));
        let mut params = ParamsBuf::new(10_000);
        params.push(&bytes).unwrap();
        assert!(params.finish().is_err());
        let mut decoder = Decoder::new();
        let mut chunk = &bytes[..];
        assert_eq!(decoder.next(&mut chunk), Some(Part::Sizes { name_len, value_len }));
        while decoder.next(&mut chunk).is_some() {}
        assert!(chunk.is_empty() && !decoder.at_boundary());
        let client = Client::new().begin(1, RESPONDER, KEEP).params(1, &bytes).params(1, b"");
        assert_eq!(check(&client).answers(), malformed(1));
    }
}

#[test]
fn cve_2011_2766_a_request_does_not_see_the_parameters_of_the_one_before() {
    let mut fixed = Params::<64>::new();
    let mut growing = ParamsBuf::new(64);
    fixed.push(&pairs(&[("X", "1")])).unwrap();
    growing.push(&pairs(&[("X", "1"), ("Y", "")])).unwrap();
    fixed.clear();
    growing.clear(16);
    for params in [fixed.iter(), growing.iter()] {
        assert_eq!((params.clone().count(), params.get(b"X")), (0, None));
    }
    fixed.push(&pairs(&[("Y", "2")])).unwrap();
    assert_eq!((fixed.get(b"X"), fixed.get(b"Y")), (None, Some(&b"2"[..])));
}

#[test]
fn cve_2011_2766_params_after_an_abort_are_a_new_stream() {
    let client = Client::new().begin(1, RESPONDER, KEEP).params(1, &pairs(&[("X", "1")])).abort(1);
    let t = check(&client.begin(1, RESPONDER, KEEP).params(1, &get()).params(1, b"").stdin(1, b""));
    assert!(t.story().ends_with("ABORT#1 BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:0"));
    assert!(t.params(1).ends_with(&get()));
}

#[test]
fn cve_2026_55203_65535_bytes_of_content_and_padding_are_skipped_whole() {
    let content = Client::new().request(9, CLOSE).repeat(1_300);
    for padding in [1, 2, 8, 254, 255] {
        for kind in [ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES_RESULT, UNKNOWN_TYPE, 200] {
            let number = if matches!(kind, GET_VALUES_RESULT | UNKNOWN_TYPE) { 0 } else { 3 };
            let client = Client::new().padding(&content[..padding]);
            let client = client.record(kind, number, &content[..65_535]).padding(b"").request(1, KEEP);
            let t = feed::<1>(Limits::default(), App::Complete, Asked::Events, &[&client]);
            assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:0", "type {kind}, {padding}");
            assert_eq!(
                t,
                feed::<1>(Limits::default(), App::Complete, Asked::Events, &cut(&client, 9_000, 1))
            );
        }
    }
}

#[test]
fn libfcgi_content_of_management_records_does_not_leak_into_a_stream() {
    let noise = |client: Client| {
        let client = client.record(GET_VALUES, 0, b"LEAK").get_values(VALUES).record(12, 0, b"LEAK");
        client.record(255, 0, &b"LEAK".repeat(4_000)).record(99, 1, b"LEAK").record(UNKNOWN_TYPE, 0, b"LEAK")
    };
    let client = noise(Client::new().begin(1, FILTER, KEEP)).params(1, &get()[..3]);
    let client = noise(noise(client).params(1, &get()[3..])).params(1, b"");
    let client = noise(noise(client).stdin(1, b"std")).stdin(1, b"in").stdin(1, b"");
    let client = noise(noise(client).data(1, b"da")).data(1, b"ta").data(1, b"");
    let t = check(&client);
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:5 STDIN#1:0 DATA#1:4 DATA#1:0");
    assert_eq!((t.params(1), t.stdin(1)), (get(), b"stdin".to_vec()));
    assert_eq!(t.stream(DATA, 1), b"data");
}

#[test]
fn libfcgi_padding_is_skipped_on_every_record_empty_ones_included() {
    let junk: Vec<u8> = Client::new().raw(&[1, 5, 0, 1, 0, 4, 0, 0]).raw(b"LEAK").repeat(30);
    for length in [0, 1, 7, 8, 255] {
        let client = Client::new().padding(&junk[..length]).get_values(VALUES).begin(1, FILTER, KEEP);
        let client = client.params(1, &get()).params(1, b"").stdin(1, b"in").stdin(1, b"");
        let client = client.data(1, b"file").record(77, 0, b"").data(1, b"").abort(1).request(2, KEEP);
        let t = check(&client);
        let filter = "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:2 STDIN#1:0 DATA#1:4 DATA#1:0";
        assert_eq!(t.story(), format!("{filter} BEGIN#2 PARAMS#2:19 PARAMS#2:0 STDIN#2:0"), "{length}");
        assert_eq!(t.records().len(), 8, "one of values, one of an unknown type, two answers");
    }
}

#[test]
fn libfcgi_empty_records_of_inactive_ids_do_not_drop_those_of_an_active_one() {
    for kind in [ABORT, PARAMS, STDIN, DATA, 99] {
        for content in [&b""[..], b"x"] {
            let noise = |client: Client| client.record(kind, 9, content);
            let client = noise(noise(Client::new()).begin(1, RESPONDER, KEEP)).params(1, &get());
            let client = noise(noise(client).params(1, b"")).stdin(1, b"body");
            let t = check(&noise(noise(client).stdin(1, b"")));
            assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:4 STDIN#1:0");
            assert_eq!(t.answers(), answered(1));
        }
    }
}

#[test]
fn libfcgi_two_requests_in_one_write_are_both_answered() {
    let t = check(&Client::new().request(1, KEEP).request(1, KEEP));
    assert_eq!(t.answers(), format!("{} {}", answered(1), answered(1)));
}

#[test]
fn libfcgi_an_application_status_does_not_stay_for_the_next_request() {
    let t = check_with::<1>(
        App::Script(|connection, event, sent| {
            if let Event::StdinEnd { id } = *event {
                let status = if id.get() == 1 { 42 } else { 0 };
                sent.extend_from_slice(&connection.finish(id, status).unwrap());
            }
        }),
        &Client::new().request(1, KEEP).request(2, KEEP),
    );
    assert_eq!(t.answers(), "STDOUT#1:0 END#1(42,0) STDOUT#2:0 END#2(0,0)");
}

#[test]
fn go_issue_81548_65535_begin_requests_are_bounded() {
    let mut client = Client::new();
    for number in 1..=65_535 {
        client = client.begin(number, RESPONDER, KEEP);
    }
    for t in [
        feed::<8>(Limits::default(), App::Complete, Asked::Events, &[&client]),
        feed::<8>(Limits::default(), App::Complete, Asked::Events, &cut(&client, 100, 7)),
    ] {
        assert_eq!(t.begins().len(), 8);
        let ends = t.records().into_iter().filter(|record| record.kind == END);
        assert!(ends.clone().all(|end| end.content == [0, 0, 0, 0, 2, 0, 0, 0]));
        assert_eq!(ends.count(), 65_527);
        assert_eq!(t.error, None);
    }
}

#[test]
fn go_after_an_abort_and_its_end_nothing_more_is_sent_for_that_id() {
    check_with::<1>(
        App::Script(|connection, event, sent| {
            if let Event::Abort { id } = *event {
                sent.extend_from_slice(&connection.finish(id, 0).unwrap());
                let inactive = SendError::Inactive { id };
                assert_eq!(connection.stdout(id, b"late").unwrap_err(), inactive);
                assert_eq!(connection.stderr(id, b"late").unwrap_err(), inactive);
                assert_eq!(connection.finish(id, 0).unwrap_err(), inactive);
            }
        }),
        &Client::new().request(1, KEEP).abort(1),
    );
}

#[test]
fn node_fastcgi_issue_1_a_parameter_with_an_empty_value_is_not_lost() {
    let list = [("EMPTY", ""), ("", ""), ("", "nameless"), ("LAST", "")];
    let client = Client::new().begin(1, RESPONDER, KEEP).params(1, &pairs(&list)).params(1, b"");
    let params = check_with::<1>(App::Early, &client).params(1);
    assert!(Pairs::new(&params).eq(list.map(|(name, value)| (name.as_bytes(), value.as_bytes()))));
    assert_eq!(Pairs::new(&params).get(b"EMPTY"), Some(&b""[..]));
}

#[test]
fn node_fastcgi_unknown_types_0_and_12_to_255_are_survived() {
    for kind in (12..=255).chain([0]) {
        let client = Client::new().record(kind, 0, b"x").head(1, KEEP).record(kind, 1, b"x");
        let t = check(&client.stdin(1, b""));
        assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:0");
        assert_eq!(t.answers(), format!("UNKNOWN_TYPE({kind}) {}", answered(1)));
    }
}

#[test]
fn pypi_fastcgi_the_wire_constants_have_the_numbers_of_section_8() {
    let types = [
        RecordType::BeginRequest,
        RecordType::AbortRequest,
        RecordType::EndRequest,
        RecordType::Params,
        RecordType::Stdin,
        RecordType::Stdout,
        RecordType::Stderr,
        RecordType::Data,
        RecordType::GetValues,
        RecordType::GetValuesResult,
        RecordType::UnknownType,
    ];
    for (record_type, number) in types.into_iter().zip(1..) {
        assert_eq!((record_type as u8, RecordType::from_wire(number)), (number, Some(record_type)));
    }
    assert!((12..=255).chain([0]).all(|number| RecordType::from_wire(number).is_none()));
    assert_eq!([Role::Responder as u16, Role::Authorizer as u16, Role::Filter as u16], [1, 2, 3]);
    let statuses = [
        ProtocolStatus::RequestComplete,
        ProtocolStatus::CantMpxConn,
        ProtocolStatus::Overloaded,
        ProtocolStatus::UnknownRole,
    ];
    for (status, number) in statuses.into_iter().zip(0..) {
        assert_eq!((status as u8, ProtocolStatus::from_wire(number)), (number, Some(status)));
    }
    assert_eq!((record::VERSION_1, record::MAXTYPE, record::KEEP_CONN), (1, 11, 1));
    assert_eq!((record::NULL_REQUEST_ID, record::HEADER_LEN, record::MAX_LENGTH), (0, 8, 65_535));
    assert_eq!(record::LISTENSOCK_FILENO, 0);
    let names = [record::MAX_CONNS, record::MAX_REQS, record::MPXS_CONNS];
    assert_eq!(names, [b"FCGI_MAX_CONNS", &b"FCGI_MAX_REQS"[..], b"FCGI_MPXS_CONNS"]);
}

#[test]
fn gevent_fastcgi_an_unknown_name_is_left_out_of_the_values() {
    let t = check(&Client::new().get_values(&["FCGI_NO_SUCH", "FCGI_MAX_REQS"]));
    assert_eq!(t.values(0), ["FCGI_MAX_REQS=1"]);
}

#[test]
fn nginx_names_and_values_around_128_and_65535_bytes_are_read() {
    for length in [127, 128, 129, 65_534, 65_535, 65_536] {
        let text = "n".repeat(length);
        let stream = pairs(&[(&*text, "short"), ("short", &*text)]);
        let mut client = Client::new().begin(1, RESPONDER, KEEP);
        for chunk in stream.chunks(65_535) {
            client = client.params(1, chunk);
        }
        let params = check_with::<1>(App::Early, &client.params(1, b"")).params(1);
        assert_eq!(Pairs::new(&params).get(text.as_bytes()), Some(&b"short"[..]));
        assert_eq!(Pairs::new(&params).get(b"short"), Some(text.as_bytes()));
    }
}

#[test]
fn a_flood_of_get_values_pauses_the_input_until_replies_are_taken() {
    let bytes = Client::new().get_values(VALUES).repeat(1_000);
    let mut connection = Connection::<1>::new(Limits::default());
    let mut input = &bytes[..];
    let mut taken = 0;
    while let Some(event) = connection.next_event(&mut input).unwrap() {
        assert_eq!(event, Event::Paused);
        let left = input.len();
        assert_eq!(connection.next_event(&mut input), Ok(Some(Event::Paused)));
        assert_eq!(input.len(), left, "a paused connection takes nothing");
        let reply = connection.poll_reply().unwrap();
        assert_eq!(answer_records(&reply)[0].kind, GET_VALUES_RESULT);
        taken += 1;
    }
    while connection.poll_reply().is_some() {
        taken += 1;
    }
    assert_eq!(taken, 1_000);
    assert!(input.is_empty() && connection.is_idle());
}

#[test]
fn a_flood_of_refusals_pauses_the_input_too() {
    for kind in [BEGIN, 99] {
        let record = match kind {
            BEGIN => Client::new().begin(1, 99, KEEP),
            kind => Client::new().record(kind, 0, &[0; 100]),
        };
        let bytes = record.repeat(100);
        let mut connection = Connection::<1>::new(Limits::default());
        let mut input = &bytes[..];
        assert_eq!(connection.next_event(&mut input), Ok(Some(Event::Paused)));
        assert!(bytes.len() - input.len() <= 5 * record.len(), "four replies wait at most");
        let waiting = std::iter::from_fn(|| connection.poll_reply()).count();
        assert_eq!(waiting, 4);
    }
}

#[test]
fn a_paused_connection_owes_its_events_still() {
    let flood = Client::new().get_values(VALUES).repeat(9);
    let bytes = [&flood[..], &Client::new().request(1, KEEP), &flood].concat();
    let t = check(&bytes);
    assert_eq!(t.story(), "BEGIN#1 PARAMS#1:19 PARAMS#1:0 STDIN#1:0");
    assert_eq!(t.records().len(), 9 + 3 + 9);
}

#[test]
fn a_peer_that_only_keeps_the_connection_busy_is_cut_off() {
    let limits = limits(|limits| limits.ignored = 1_000);
    for (record, size) in [
        (Client::new().stdin(9, b""), 8),
        (Client::new().stdin(9, &[0; 92]), 100),
        (Client::new().padding(&[0; 192]).abort(9), 200),
        (Client::new().record(99, 9, &[0; 12]), 20),
        (Client::new().record(UNKNOWN_TYPE, 0, &[0; 8]), 16),
    ] {
        let enough = record.repeat(1_000 / size);
        let t = check_limits::<1>(limits, App::Complete, &enough);
        assert_eq!(t.error, None, "1000 bytes are within the budget");
        let t = check_limits::<1>(limits, App::Complete, &[&enough[..], &record].concat());
        assert_eq!(t.error, Some(ConnectionError::IgnoredTooMuch { limit: 1_000 }));
        let request = Client::new().request(1, KEEP);
        let t =
            check_limits::<1>(limits, App::Complete, &[&enough[..], &request, &enough, &request].concat());
        assert_eq!(t.error, None, "a request that begins renews the budget");
    }
}
