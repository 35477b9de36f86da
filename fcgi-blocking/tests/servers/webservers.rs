//! What real web servers force, as far as a socket decides it. Each test is named after the observation (w3 to
//! w30) that it answers; w13 is with the examples.

use std::io::Read;
use std::time::Duration;

use fcgi_proto::record::{Header, ProtocolStatus, RecordType};

use crate::app::handle;
use crate::support::{Answer, Call, Running, Settings, abort, pairs, raw_record, record, settings, stream};

const SHORT: Duration = Duration::from_millis(100);

/// `inspect`, which reads and drains for a short time only.
fn impatient() -> [Running; 2] {
    let change = settings(|settings| {
        settings.read_timeout = SHORT;
        settings.drain_timeout = SHORT;
        settings.params_timeout = SHORT;
    });
    Running::both(change, handle)
}

fn inspect() -> [Running; 2] {
    Running::both(Settings::default(), handle)
}

#[test]
fn w3_an_id_begins_again_after_an_early_answer_whose_stdin_never_ended() {
    for server in impatient() {
        let mut client = server.connect();
        let call = Call::post("/ignore", "");
        for sent in [Vec::new(), record(RecordType::Stdin, 1, b"some")] {
            client.send([call.opening(), sent].concat());
            client.answer(1).assert_ok("ok");
        }
        client.call(&Call::post("/echo", "the next")).assert_ok("the next");
    }
}

#[test]
fn w4_stdin_for_an_id_that_has_ended_is_ignored() {
    for server in impatient() {
        let mut client = server.connect();
        for (late, id) in [
            (record(RecordType::Stdin, 1, &[b'l'; 60_000]), 1),
            (stream(RecordType::Stdin, 1, &[b'l'; 60_000]), 1),
            (record(RecordType::Stdin, 1, b""), 3),
        ] {
            client.send(Call::post("/ignore", "").opening());
            client.answer(1).assert_ok("ok");
            client.send(late);
            client.call(&Call::post("/echo", "the next").id(id)).assert_ok("the next");
        }
    }
}

#[test]
fn w5_the_end_of_input_inside_a_record_ends_the_connection_and_no_other() {
    for server in inspect() {
        let mut other = server.connect();
        other.send(Call::post("/echo", "").opening());
        let bytes = Call::post("/echo", "body").bytes();
        // After END_REQUEST would come, a whole request is answered: these are all cut before.
        for cut in [1, 7, 8, 12, 16, 17, 24, 30, bytes.len() - 9, bytes.len() - 1] {
            let mut client = server.connect();
            client.send(&bytes[..cut]);
            client.end_sending();
            let mut rest = Vec::new();
            client.stream.read_to_end(&mut rest).expect("the end of the connection in time");
            if !rest.is_empty() {
                // The parameters were whole, so a handler ran.
                Answer::read(&*rest, 1)
                    .expect("a whole answer")
                    .assert_ended(500, ProtocolStatus::RequestComplete);
            }
        }
        other.send(stream(RecordType::Stdin, 1, b"untouched"));
        other.answer(1).assert_ok("untouched");
    }
}

#[test]
fn w6_an_authorizer_is_answered_without_a_stdin_record_and_with_one() {
    for server in inspect() {
        let mut client = server.connect();
        let mut call = Call::get("/").authorizer().param("HTTP_X_TOKEN", "let-me-in");
        for stdin in [None, Some(Vec::new()), None, Some(b"unasked".to_vec()), None] {
            call.stdin = stdin;
            client.call(&call).assert_ok("");
        }
        client.call(&call.closing()).assert_ok("");
        client.assert_closed();
    }
}

#[test]
fn w7_what_follows_a_complete_request_that_closes_cannot_cost_its_answer() {
    let garbage = b"GET / HTTP/1.1\r\n\r\n".repeat(1000);
    for server in inspect() {
        for rest in [&[0; 8][..], &record(RecordType::Stdin, 1, b""), &[0xff; 3], &garbage] {
            for path in ["/echo", "/ignore", "/bytes/100000"] {
                // Together with the request.
                let mut client = server.connect();
                client.send([&Call::get(path).closing().bytes(), rest].concat());
                let answer = client.answer(1);
                answer.assert_ended(200, ProtocolStatus::RequestComplete);
                client.assert_closed();
                // After it.
                let mut client = server.connect();
                client.send(Call::get(path).closing().bytes());
                client.send(rest);
                assert_eq!(client.answer(1).stdout, answer.stdout);
                client.assert_closed();
            }
        }
    }
}

#[test]
fn w9_broken_framing_ends_the_connection_and_never_hangs() {
    let header = |record_type, request_id, content_length| Header {
        record_type,
        padding_length: 0,
        request_id,
        content_length,
    };
    let short_begin = raw_record(header(1, 1, 7), &[0; 7]);
    let null_id = raw_record(header(4, 0, 0), &[]);
    let twice = [Call::post("/echo", "").opening(), Call::get("/").begin()].concat();
    for server in inspect() {
        for bytes in
            [&[0; 8][..], b"GET / HTTP/1.1\r\n\r\n", &[2, 1, 0, 1, 0, 8, 0, 0], &short_begin, &null_id]
        {
            let mut client = server.connect();
            client.send(bytes);
            client.assert_closed();
            // While a handler reads: it fails, and that is the answer.
            let mut client = server.connect();
            client.send([&Call::post("/echo", "").opening(), bytes].concat());
            client.answer(1).assert_ended(500, ProtocolStatus::RequestComplete);
            client.assert_closed();
        }
        let mut client = server.connect();
        client.send(&twice);
        client.answer(1).assert_ended(500, ProtocolStatus::RequestComplete);
        client.assert_closed();
    }
}

#[test]
fn w10_an_abort_concerns_its_request_only() {
    for server in inspect() {
        let mut other = server.connect();
        other.send(Call::post("/echo", "").opening());
        let mut client = server.connect();
        client.send([Call::post("/echo", "").opening(), abort(2)].concat());
        client.send(stream(RecordType::Stdin, 1, b"not aborted"));
        client.answer(1).assert_ok("not aborted");
        client.send([Call::post("/echo", "").opening(), abort(1)].concat());
        assert_eq!(client.answer(1).protocol_status, ProtocolStatus::RequestComplete as u8);
        other.send(stream(RecordType::Stdin, 1, b"nor this"));
        other.answer(1).assert_ok("nor this");
    }
}

#[test]
fn w11_an_abort_straight_after_begin_is_answered() {
    for server in inspect() {
        let mut client = server.connect();
        for call in [Call::get("/"), Call::get("/").id(9), Call::get("/").closing()] {
            client.send([call.begin(), abort(call.id)].concat());
            let answer = client.answer(call.id);
            assert_eq!((answer.stdout.len(), answer.app_status, answer.protocol_status), (0, 0, 0));
            if call.keep_conn {
                client.call(&Call::post("/echo", "next").id(call.id)).assert_ok("next");
            }
        }
        client.assert_closed();
    }
}

#[test]
fn w12_requests_that_stay_half_sent_do_not_stay_for_ever() {
    for server in impatient() {
        let call = Call::post("/echo", "");
        let mut client = server.connect();
        client.send(call.begin());
        client.assert_closed();
        let mut client = server.connect();
        client.send(call.opening());
        client.answer(1).assert_ended(500, ProtocolStatus::RequestComplete);
    }
}

#[test]
fn w14_content_length_may_be_anything() {
    for server in inspect() {
        let mut client = server.connect();
        for body in ["", "four"] {
            let sum = format!("{} {:08x}\n", body.len(), crc32fast::hash(body.as_bytes()));
            for length in
                [None, Some(""), Some("-1"), Some("0"), Some("4"), Some("99999999999999999999"), Some("x")]
            {
                let mut call = Call::get("/sum");
                call.stdin = Some(body.into());
                call.params.extend(length.map(|length| (b"CONTENT_LENGTH".to_vec(), length.into())));
                client.call(&call).assert_ok(&sum);
            }
        }
    }
}

#[test]
fn w15_parameters_are_passed_on_as_they_come() {
    let params: [(&[u8], &[u8]); 9] = [
        (b"REQUEST_URI", b"/env"),
        (b"HTTP_COOKIE", b"a=1"),
        (b"HTTP_COOKIE", b"b=2"),
        (b"QUERY_STRING", b""),
        (b"SCRIPT_NAME", b""),
        (b"HTTP_X_BYTES", b"\xff\xfe\x80"),
        (b"HTTP_PROXY", b"evil:1"),
        (b"SCRIPT_FILENAME", b"proxy:fcgi://127.0.0.1:9000/srv/app"),
        (b"", b"no name"),
    ];
    let mut call = Call::get("");
    call.params = params.map(|(name, value)| (name.into(), value.into())).into();
    let lines = params.map(|(name, value)| [name, b"=", value, b"\n"].concat()).concat();
    for server in inspect() {
        let mut client = server.connect();
        client.call(&call).assert_ok(&lines);
        // One record a pair (w2), and pairs cut anywhere (w1).
        for cut in [1, 2, 7, 10_000] {
            let records =
                pairs(params).chunks(cut).map(|part| record(RecordType::Params, 1, part)).collect::<Vec<_>>();
            client.send(
                [call.begin(), records.concat(), record(RecordType::Params, 1, b""), call.bodies()].concat(),
            );
            client.answer(1).assert_ok(&lines);
        }
    }
}

#[test]
fn w17_a_client_that_never_ends_stdin_gets_its_answer_all_the_same() {
    for server in impatient() {
        let mut client = server.connect();
        client.send([Call::post("/ignore", "").opening(), record(RecordType::Stdin, 1, b"and")].concat());
        client.answer(1).assert_ok("ok");
        client.call(&Call::post("/echo", "next")).assert_ok("next");
    }
}

#[test]
fn w18_the_connection_is_closed_after_a_request_with_keep_conn_clear() {
    for server in inspect() {
        for path in ["/", "/echo", "/ignore", "/panic", "/status/204", "/exit/3", "/bytes/200000"] {
            let mut client = server.connect();
            client.call(&Call::get("/ignore")).assert_ok("ok");
            client.call(&Call::get(path).closing());
            client.assert_closed();
        }
    }
}

#[test]
fn w19_an_answer_survives_input_that_still_comes_on_a_connection_that_closes() {
    for server in inspect() {
        for path in ["/ignore", "/bytes/1000000", "/panic"] {
            let mut client = server.connect();
            let call = Call::post(path, vec![b'u'; 4 * 1024 * 1024]).closing();
            client.send(call.opening());
            // END_REQUEST and the end of the connection come before a byte of the body was sent...
            let status = client.answer(1).status();
            assert_eq!(status, if path == "/panic" { 500 } else { 200 });
            client.assert_closed();
            // ...and then the body is taken, without a reset.
            client.send(call.bodies());
            client.assert_closed();
            // The same for a client that reads only when it has sent everything.
            let mut client = server.connect();
            let call =
                if path == "/ignore" { call } else { Call::post("/ignore", vec![0; 1 << 22]).closing() };
            client.send(call.bytes());
            client.answer(1).assert_ok("ok");
            client.assert_closed();
        }
    }
}

#[test]
fn w21_the_application_status_is_0_after_an_error_page_too() {
    for server in inspect() {
        let mut client = server.connect();
        for (path, status) in [("/panic", 500), ("/status/404", 404), ("/status/503", 503), ("/bytes/x", 400)]
        {
            client.call(&Call::get(path)).assert_ended(status, ProtocolStatus::RequestComplete);
        }
    }
}

#[test]
fn w29_nothing_unasked_is_ever_sent() {
    for server in inspect() {
        let mut client = server.connect();
        let odd = [
            raw_record(Header { record_type: 99, padding_length: 7, request_id: 1, content_length: 1 }, b"?"),
            record(RecordType::Stdout, 1, b"the wrong way"),
            record(RecordType::EndRequest, 1, &[0; 8]),
            record(RecordType::Data, 1, b"no Filter"),
            record(RecordType::GetValuesResult, 0, b""),
            record(RecordType::UnknownType, 0, &[9; 8]),
            abort(77),
        ]
        .concat();
        for path in ["/ignore", "/echo", "/stderr/x", "/panic", "/status/204"] {
            // Answer::read takes no record but those of the request's answer.
            let call = Call::post(path, "body");
            client.send([&*odd, &*call.opening(), &*odd, &*call.bodies(), &*odd].concat());
            assert_eq!(client.answer(1).protocol_status, 0);
        }
        client.send(Call::get("/ignore").closing().bytes());
        client.answer(1).assert_ok("ok");
        client.assert_closed();
    }
}

#[test]
fn w30_a_handler_may_answer_before_stdin_comes() {
    for server in inspect() {
        let mut client = server.connect();
        let call = Call::post("/early", "after the answer").param("HTTP_EXPECT", "100-continue");
        for call in [call.clone(), call.closing()] {
            client.send(call.opening());
            let first = client.record();
            assert_eq!(first.record_type, RecordType::Stdout);
            assert!(first.content.starts_with(b"Status: 200 OK\r\n"), "{first:?}");
            assert!(first.content.ends_with(b"early\n"), "{first:?}");
            client.send(call.bodies());
            let rest = client.answer(1);
            assert!(rest.stdout.starts_with(b"16 "), "{rest:?}");
        }
        client.assert_closed();
    }
}

#[test]
fn w28_the_default_idle_time_is_minutes() {
    assert!(Settings::default().idle_timeout >= Duration::from_secs(120));
}
