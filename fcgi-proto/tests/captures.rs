//! What real web servers sent (`captures/clients`) and what was sent to real applications to try them
//! (`captures/cases`), every file whole, byte by byte and in random cuts, against a plain reading of the
//! same bytes (sections 3.3, 3.4 and 6).

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use fcgi_proto::ConnectionError;
use fcgi_proto::record::Role;
use support::*;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(name)
}

/// A capture's bytes, by its path without the ending.
fn capture(name: &str) -> Vec<u8> {
    let path = folder(&format!("{name}.to-app.bin"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of all captures in a folder, its subfolders included.
fn captures(name: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder(name)).unwrap().map(Result::unwrap) {
        let file_name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            names.extend(captures(&format!("{name}/{file_name}")));
        } else {
            names.push(format!("{name}/{}", file_name.strip_suffix(".to-app.bin").unwrap()));
        }
    }
    names.sort();
    names
}

/// A request, as the plain reading finds it.
#[derive(Debug, Default, PartialEq)]
struct Request {
    id: u16,
    role: u16,
    keep_conn: bool,
    params: Vec<u8>,
    stdin: Vec<u8>,
    /// The types of the streams that ended.
    ended: Vec<u8>,
}

impl Request {
    fn is_complete(&self) -> bool {
        self.ended.contains(&if self.role == AUTHORIZER { PARAMS } else { STDIN })
    }

    fn param(&self, name: &str) -> Option<String> {
        let (_, value) = read_pairs(&self.params).into_iter().find(|(found, _)| found == name.as_bytes())?;
        Some(String::from_utf8(value).unwrap())
    }
}

/// Ten lines that read pairs.
fn read_pairs(mut bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    fn length(bytes: &mut &[u8]) -> usize {
        let wide = bytes[0] >> 7 == 1;
        let (length, rest) = bytes.split_at(if wide { 4 } else { 1 });
        *bytes = rest;
        let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        if wide { length & 0x7fff_ffff } else { length }
    }
    let mut pairs = Vec::new();
    while !bytes.is_empty() {
        let (name, value) = (length(&mut bytes), length(&mut bytes));
        pairs.push((bytes[..name].to_vec(), bytes[name..name + value].to_vec()));
        bytes = &bytes[name + value..];
    }
    pairs
}

/// The requests of a well-behaved client, by joining what its records hold.
fn plain_reading(bytes: &[u8]) -> Vec<Request> {
    let (records, rest) = walk(bytes);
    assert!(rest.is_empty());
    let mut requests: Vec<Request> = Vec::new();
    let mut running = HashMap::new();
    for Wire { kind, id, content, .. } in records {
        if kind == BEGIN {
            let (role, keep_conn) = (u16::from_be_bytes([content[0], content[1]]), content[2] & 1 == 1);
            running.insert(id, requests.len());
            requests.push(Request { id, role, keep_conn, ..Request::default() });
        } else if id != 0 {
            let request = &mut requests[running[&id]];
            match kind {
                // Authorizers have no STDIN (section 6.3); lighttpd sends its end all the same.
                STDIN if request.role == AUTHORIZER => assert!(content.is_empty()),
                _ if content.is_empty() => request.ended.push(kind),
                PARAMS => request.params.extend(content),
                STDIN => request.stdin.extend(content),
                kind => panic!("type {kind}"),
            }
        }
    }
    requests
}

/// The requests that the connection's events make.
fn requests(t: &Transcript) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    for event in &t.events {
        let of = |id: &u16| requests.iter().rposition(|request| request.id == *id).unwrap();
        match event {
            Seen::Begin { id, role, keep_conn } => {
                let (id, role, keep_conn) = (*id, *role as u16, *keep_conn);
                requests.push(Request { id, role, keep_conn, ..Request::default() });
            }
            Seen::Bytes { kind: PARAMS, id, data } => {
                let of = of(id);
                requests[of].params.extend(data);
            }
            Seen::Bytes { id, data, .. } => {
                let of = of(id);
                requests[of].stdin.extend(data);
            }
            Seen::End { kind, id } => {
                let of = of(id);
                requests[of].ended.push(*kind);
            }
            other => panic!("{other:?}"),
        }
    }
    requests
}

/// The driver's view of a capture of `clients`, and its requests.
fn client(name: &str) -> (Transcript, Vec<Request>) {
    let t = check_with::<16>(App::Complete, &capture(&format!("clients/{name}")));
    let requests = requests(&t);
    (t, requests)
}

/// The web servers whose captures have the plain cases, with the SCRIPT_NAME, SERVER_SOFTWARE and KEEP_CONN
/// that they send.
const SERVERS: [(&str, &str, &str, bool); 10] = [
    ("apache-fcgid", "/app", "Apache/2.4.71 (Debian) mod_fcgid/2.3.9", false),
    ("apache-proxy-fcgi", "/app/<case>", "Apache/2.4.71 (Debian)", false),
    ("apache-proxy-fcgi-reuse", "/app/<case>", "Apache/2.4.71 (Debian)", true),
    ("caddy", "", "Caddy/2.6.2", false),
    ("haproxy", "/app", "HAProxy 2.6.12-1+deb12u4", true),
    ("haproxy-mpxs", "/app", "HAProxy 2.6.12-1+deb12u4", true),
    ("lighttpd", "/app", "lighttpd/1.4.69", false),
    ("lighttpd-stream", "/app", "lighttpd/1.4.69", false),
    ("nginx", "/app/<case>", "nginx/1.22.1", false),
    ("nginx-keepalive", "/app/<case>", "nginx/1.22.1", true),
];

/// Bodies repeat this.
const PATTERN: &[u8; 64] = b"The quick brown fox jumps over the lazy dog. 0123456789 abcdefg\n";

fn body(length: usize) -> Vec<u8> {
    PATTERN.iter().copied().cycle().take(length).collect()
}

#[test]
fn every_request_of_every_web_server_is_read_as_it_was_sent_and_answered() {
    let names = captures("clients");
    assert!(names.len() > 1_000, "{} captures", names.len());
    for name in names {
        let bytes = capture(&name);
        let t = check_with::<16>(App::Complete, &bytes);
        let expected = plain_reading(&bytes);
        assert!(requests(&t) == expected, "{name}: {}", t.story());
        assert_eq!((t.error, t.eof), (None, Ok(())), "{name}");
        let answers: Vec<_> = expected.iter().filter(|r| r.is_complete()).map(|r| answered(r.id)).collect();
        let sent = t.answers();
        assert_eq!(sent.strip_prefix("GET_VALUES_RESULT#0:35").unwrap_or(&sent).trim(), answers.join(" "));
        let closes = expected.iter().any(|r| !r.keep_conn) && expected.iter().all(Request::is_complete);
        assert_eq!(t.is_finished, closes, "{name}");
    }
}

#[test]
fn every_body_is_the_pattern_and_as_long_as_content_length_says() {
    for name in captures("clients") {
        for request in plain_reading(&capture(&name)) {
            assert!(request.stdin == body(request.stdin.len()), "{name}");
            let length = request.param("CONTENT_LENGTH").and_then(|value| value.parse().ok()).unwrap_or(0);
            if request.ended.contains(&STDIN) {
                assert_eq!(request.stdin.len(), length, "{name}");
            }
        }
    }
}

#[test]
fn a_get_has_its_method_script_name_query_and_no_body() {
    for (server, script_name, software, keep_conn) in SERVERS {
        let (t, requests) = client(&format!("{server}/get"));
        let [get] = &requests[..] else { panic!("{server}: {}", t.story()) };
        assert_eq!((get.id, get.role, get.keep_conn), (1, RESPONDER, keep_conn), "{server}");
        let param = |name| get.param(name).unwrap();
        assert_eq!(param("REQUEST_METHOD"), "GET");
        assert_eq!(param("SCRIPT_NAME"), script_name.replace("<case>", "get"), "{server}");
        assert_eq!(param("SERVER_SOFTWARE"), software);
        assert_eq!(param("REQUEST_URI"), "/app/get?b=normal&x=1");
        assert_eq!(param("QUERY_STRING"), "b=normal&x=1");
        assert_eq!((&get.stdin[..], &get.ended[..]), (&b""[..], &[PARAMS, STDIN][..]));
        assert_eq!(t.is_finished, !keep_conn);
    }
}

#[test]
fn a_head_and_a_post_have_their_method() {
    for (server, ..) in SERVERS {
        for (case, method) in [("head", "HEAD"), ("post10", "POST"), ("oneshot", "GET")] {
            let (_, requests) = client(&format!("{server}/{case}"));
            assert_eq!(requests.len(), 1);
            assert_eq!(requests[0].param("REQUEST_METHOD").unwrap(), method, "{server}/{case}");
        }
    }
}

#[test]
fn a_post_has_its_body_of_10_0_or_3000_bytes() {
    for (server, script_name, ..) in SERVERS {
        for (case, length) in [("post10", 10), ("post0", 0), ("slowpost", 3_000)] {
            let (_, requests) = client(&format!("{server}/{case}"));
            assert_eq!(requests.len(), 1);
            assert_eq!(requests[0].param("SCRIPT_NAME").unwrap(), script_name.replace("<case>", case));
            assert_eq!(requests[0].param("CONTENT_LENGTH").unwrap(), length.to_string());
            assert_eq!(requests[0].stdin, body(length), "{server}/{case}");
        }
    }
}

#[test]
fn a_post_of_a_mebibyte_arrives_whole() {
    for server in ["nginx", "apache-proxy-fcgi", "haproxy-mpxs"] {
        let (t, requests) = client(&format!("{server}/post1m"));
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].param("CONTENT_LENGTH").unwrap(), "1048576");
        assert!(requests[0].stdin == body(1_048_576), "{server}");
        assert!(t.answers().ends_with(&answered(1)));
    }
}

#[test]
fn a_cookie_of_8190_bytes_is_one_parameter() {
    for (server, ..) in SERVERS {
        let (_, requests) = client(&format!("{server}/cookie8k"));
        let cookie = requests[0].param("HTTP_COOKIE").unwrap();
        assert_eq!(cookie, format!("c={}", "k".repeat(8_190)), "{server}");
    }
}

#[test]
fn equal_names_empty_and_non_utf8_values_arrive_as_they_are() {
    let (_, requests) = client("nginx/hdrs2");
    let pairs = read_pairs(&requests[0].params);
    let values = |name: &str| -> Vec<_> {
        pairs.iter().filter(|(found, _)| found == name.as_bytes()).map(|(_, value)| &value[..]).collect()
    };
    assert_eq!(values("HTTP_COOKIE"), [b"a=1", b"b=2"]);
    assert_eq!(values("HTTP_X_DUP"), [b"one", b"two"]);
    assert_eq!(values("HTTP_X_EMPTY"), [b""]);
    assert_eq!(values("HTTP_X_LATIN"), [b"caf\xe9 \xff"]);
    assert_eq!(values("HTTP_PROXY"), [b"http://evil/"]);
}

#[test]
fn a_kept_connection_carries_its_requests_one_after_another() {
    for (name, ids) in [
        ("nginx-keepalive/ka2", &[1, 1, 1][..]),
        ("nginx-keepalive/kapost", &[1, 1]),
        ("nginx-keepalive/methods", &[1, 1, 1, 1]),
        ("apache-proxy-fcgi-reuse/ka2", &[1, 1, 1]),
        ("apache-proxy-fcgi-reuse/methods", &[1, 1, 1, 1]),
        ("haproxy/ka2", &[1, 3]),
        ("haproxy/kapost", &[1, 3]),
        ("haproxy-mpxs/ka2", &[1, 3, 5]),
        ("haproxy-mpxs/methods", &[1, 3, 5, 7]),
    ] {
        let (t, requests) = client(name);
        assert_eq!(requests.iter().map(|request| request.id).collect::<Vec<_>>(), ids, "{name}");
        assert!(requests.iter().all(|request| request.keep_conn) && !t.is_finished && t.is_idle);
    }
    let (_, requests) = client("haproxy-mpxs/methods");
    let methods: Vec<_> = requests.iter().map(|request| request.param("REQUEST_METHOD").unwrap()).collect();
    assert_eq!(methods, ["OPTIONS", "DELETE", "PROPFIND", "FOO"]);
    let (_, requests) = client("nginx-keepalive/kapost");
    assert_eq!((requests[0].stdin.len(), requests[1].stdin.len()), (100, 5));
}

#[test]
fn concurrent_requests_of_haproxy_share_a_connection() {
    let (t, requests) = client("haproxy-mpxs/conc4");
    assert_eq!(requests.iter().map(|request| request.id).collect::<Vec<_>>(), [1, 3, 5, 7]);
    assert_eq!(t.values(0), ["FCGI_MAX_REQS=16", "FCGI_MPXS_CONNS=1"]);
    let silent = check_with::<16>(App::Silent, &capture("clients/haproxy-mpxs/conc4"));
    assert_eq!(silent.begins().len(), 4, "no answer is needed for the next to begin");
    let one = check_with::<1>(App::Silent, &capture("clients/haproxy-mpxs/conc4"));
    assert_eq!(one.values(0), ["FCGI_MAX_REQS=1", "FCGI_MPXS_CONNS=0"]);
    assert_eq!(one.answers()[23..], [refused(3, 1), refused(5, 1), refused(7, 1)].join(" "));
}

#[test]
fn haproxy_asks_for_two_values_before_its_first_request() {
    for name in ["haproxy-getvalues/get", "haproxy-mpxs/chunk1m", "haproxy-mpxs/abort_chunked"] {
        let t = check(&capture(&format!("clients/{name}")));
        assert_eq!(t.values(0), ["FCGI_MAX_REQS=1", "FCGI_MPXS_CONNS=0"], "{name}");
        assert_eq!(t.records()[0].kind, GET_VALUES_RESULT);
    }
}

#[test]
fn authorizers_of_lighttpd_and_mod_fcgid_are_answered_with_and_without_stdin() {
    for (name, stdin_ends) in [
        ("lighttpd/authorizer_auth200", true),
        ("lighttpd/authorizer_head", true),
        ("lighttpd/authorizer_post", false),
        ("lighttpd/authorizer_post1m", false),
        ("apache-fcgid/access_auth401", false),
        ("apache-fcgid/authn_auth200", false),
        ("apache-fcgid/authz_auth403", false),
        ("apache-fcgid/access_post", false),
    ] {
        let bytes = capture(&format!("clients/{name}"));
        let t = check(&bytes);
        assert_eq!(t.begins(), [(1, Role::Authorizer, false)]);
        assert_eq!(walk(&bytes).0.iter().any(|record| record.kind == STDIN), stdin_ends, "{name}");
        assert_eq!(t.answers(), answered(1));
        assert!(t.is_finished);
    }
}

#[test]
fn no_case_panics_and_every_cut_of_it_is_the_same() {
    let names = captures("cases");
    assert!(names.len() >= 100, "{} captures", names.len());
    for name in names {
        let bytes = capture(&name);
        for app in [App::Complete, App::Early, App::Silent] {
            check_with::<1>(app, &bytes);
        }
        check_with::<3>(App::Complete, &bytes);
        check_with::<3>(App::Silent, &bytes);
    }
}

/// What a case leads to on a connection of one request: its events, what is sent, and whether the connection
/// is to be closed. See [`expand`] for the words.
const CASES: &[(&str, &str, &str, bool)] = &[
    ("abort_after_end", "get#1:354 get#1:354", "200#1 200#1", KEEPS),
    ("abort_before_params", "BEGIN#1 ABORT#1 get#2:354", "end#1 200#2", KEEPS),
    (
        "abort_before_stdin_end",
        "BEGIN#1 PARAMS#1:411 PARAMS#1:0 STDIN#1:4 ABORT#1 get#2:354",
        "end#1 200#2",
        KEEPS,
    ),
    ("abort_inactive_id", "get#1:354", "200#1", KEEPS),
    ("abort_mid_params", "BEGIN#1 PARAMS#1:50 ABORT#1 get#2:354", "end#1 200#2", KEEPS),
    ("abort_reuse_id", "BEGIN#1 PARAMS#1:426 PARAMS#1:0 STDIN#1:4 ABORT#1 get#1:371", "end#1 200#1", KEEPS),
    ("abort_running", "get#1:373 get#2:354", "200#1 200#2", KEEPS),
    ("abort_running_keep0", "get#1:373", "200#1", CLOSES),
    ("bytes_one_by_one", "post#1:410+5", "200#1", CLOSES),
    ("cl_empty", "get#1:384", "200#1", KEEPS),
    ("cl_garbage", "post#1:412+5", "200#1", KEEPS),
    ("cl_huge", "post#1:431+5", "200#1", KEEPS),
    ("cl_negative", "post#1:411+5", "200#1", KEEPS),
    ("data_to_responder", "post#1:410+5", "200#1", KEEPS),
    ("filter_data_before_stdin", "BEGIN#1 PARAMS#1:460 PARAMS#1:0 REJECTED#1(Malformed)", "400#1", KEEPS),
    ("fin_mid_params", "BEGIN#1 PARAMS#1:50", "", KEEPS),
    ("fin_without_bytes", "", "", KEEPS),
    ("flags_02", "get#1:354", "200#1", CLOSES),
    ("flags_ff", "get#1:354", "200#1", KEEPS),
    ("get_keep0", "get#1:354", "200#1", CLOSES),
    ("get_keep1_twice", "get#1:354 get#1:354 get#1:354", "200#1 200#1 200#1", CLOSES),
    ("get_no_stdin_record", "BEGIN#1 PARAMS#1:354 PARAMS#1:0", "", KEEPS),
    ("getvalues", "", "GET_VALUES_RESULT#0:51", KEEPS),
    ("getvalues_empty", "", "GET_VALUES_RESULT#0:0", KEEPS),
    ("getvalues_malformed", "", "GET_VALUES_RESULT#0:0", KEEPS),
    ("getvalues_mid_params", "get#1:354", "GET_VALUES_RESULT#0:51 200#1", KEEPS),
    ("getvalues_mid_stdin", "post#1:410+8", "GET_VALUES_RESULT#0:51 200#1", KEEPS),
    ("getvalues_nonempty_value", "", "GET_VALUES_RESULT#0:17", KEEPS),
    ("getvalues_padded", "", "GET_VALUES_RESULT#0:51", KEEPS),
    ("getvalues_then_request", "get#1:354", "GET_VALUES_RESULT#0:51 200#1", KEEPS),
    ("getvalues_twice", "", "GET_VALUES_RESULT#0:51 GET_VALUES_RESULT#0:51", KEEPS),
    ("getvalues_unknown_name", "", "GET_VALUES_RESULT#0:18", KEEPS),
    ("getvalues_with_request_pipelined", "get#1:354", "GET_VALUES_RESULT#0:51 200#1", KEEPS),
    ("header_split_pause", "post#1:410+5", "200#1", CLOSES),
    ("inactive_id_before_begin_only", "get#1:354", "200#1", KEEPS),
    ("inactive_id_records", "post#1:410+5", "200#1", KEEPS),
    (
        "keep_ids_1_2_258_65535",
        "get#1:354 get#2:354 get#258:354 get#65535:354",
        "200#1 200#2 200#258 200#65535",
        KEEPS,
    ),
    ("mpx_interleaved_params", "get#1:361", "503#2(1) 200#1", KEEPS),
    ("mpx_mixed_keep", "get#1:373 get#2:354", "200#1 200#2", CLOSES),
    ("mpx_second_begin_params_open", "post#1:410+5", "503#2(1) 200#1", KEEPS),
    ("mpx_while_running", "get#1:373 get#2:354", "200#1 200#2", KEEPS),
    ("pad_begin_only", "post#1:410+5 get#1:354", "200#1 200#1", KEEPS),
    ("pad_params_end_only", "post#1:410+5 get#1:354", "200#1 200#1", KEEPS),
    ("pad_params_only", "post#1:410+5 get#1:354", "200#1 200#1", KEEPS),
    ("pad_stdin_end_only", "post#1:410+5 get#1:354", "200#1 200#1", KEEPS),
    ("pad_stdin_only", "post#1:410+5 get#1:354", "200#1 200#1", KEEPS),
    ("padding_1", "post#1:410+5", "200#1", CLOSES),
    ("padding_255", "post#1:410+5", "200#1", CLOSES),
    ("params_1byte_records", "get#1:354", "200#1", CLOSES),
    ("params_after_end", "get#1:354", "200#1", KEEPS),
    ("params_empty_name_value", "get#1:387", "200#1", CLOSES),
    ("params_empty_stream", "BEGIN#1 PARAMS#1:0 STDIN#1:0", "200#1", KEEPS),
    ("params_httpoxy", "get#1:385", "200#1", CLOSES),
    ("params_lie_both_2g", "BEGIN#1 PARAMS#1:4008 PARAMS#1:0", "400#1", KEEPS),
    ("params_lie_name_2g", "BEGIN#1 PARAMS#1:362 PARAMS#1:0", "400#1", KEEPS),
    ("params_lie_value_2g", "BEGIN#1 PARAMS#1:372 PARAMS#1:0", "400#1", KEEPS),
    ("params_no_end", "BEGIN#1 PARAMS#1:354 REJECTED#1(Malformed)", "400#1", KEEPS),
    ("params_nonminimal_4byte", "get#1:456", "200#1", CLOSES),
    ("params_odd_bytes", "get#1:393", "200#1", CLOSES),
    ("params_pair_per_record", "get#1:354", "200#1", CLOSES),
    ("params_split_mid_length", "get#1:662", "200#1", CLOSES),
    ("params_truncated_length", "BEGIN#1 PARAMS#1:357 PARAMS#1:0", "400#1", KEEPS),
    ("params_truncated_pair", "BEGIN#1 PARAMS#1:371 PARAMS#1:0", "400#1", KEEPS),
    ("params_two_ends", "get#1:354", "200#1", KEEPS),
    ("pipelined_ids_1_2", "get#1:354 get#2:354", "200#1 200#2", KEEPS),
    ("pipelined_same_id", "get#1:361 get#1:361", "200#1 200#1", KEEPS),
    ("post_100", "post#1:412+100", "200#1", CLOSES),
    ("post_cl_0", "get#1:410", "200#1", KEEPS),
    ("reserved_nonzero", "get#1:354", "200#1", CLOSES),
    ("role_0", "", "503#1(3)", KEEPS),
    ("role_authorizer", "BEGIN#1 PARAMS#1:354 PARAMS#1:0", "200#1", KEEPS),
    ("role_authorizer_nostdin", "BEGIN#1 PARAMS#1:354 PARAMS#1:0", "200#1", KEEPS),
    ("role_filter", "post#1:460+5 DATA#1:11 DATA#1:0", "200#1", KEEPS),
    ("role_unknown", "get#2:354", "503#1(3) 200#2", KEEPS),
    ("role_unknown_begin_only", "", "503#1(3)", KEEPS),
    ("role_unknown_keep0", "", "503#1(3)", CLOSES),
    ("server_type_from_client", "get#1:354", "200#1", KEEPS),
    ("stdin_1byte_records", "post#1:412+300", "200#1", CLOSES),
    ("stdin_8k_then_slow_end", "post#1:413+8192", "200#1", KEEPS),
    ("stdin_after_end", "get#1:354 get#1:354", "200#1 200#1", KEEPS),
    ("stdin_before_params_end", "BEGIN#1 PARAMS#1:410 REJECTED#1(Malformed)", "400#1", KEEPS),
    ("stdin_longer", "post#1:411+50 get#1:354", "200#1 200#1", KEEPS),
    ("stdin_no_end", "BEGIN#1 PARAMS#1:410 PARAMS#1:0 STDIN#1:5", "", KEEPS),
    ("stdin_short_then_fin", "BEGIN#1 PARAMS#1:412 PARAMS#1:0 STDIN#1:40", "", KEEPS),
    ("stdin_shorter", "post#1:412+40", "200#1", KEEPS),
    ("stdin_without_cl", "post#1:393+50", "200#1", KEEPS),
    ("unknown_app_type", "get#1:354", "200#1", KEEPS),
    ("unknown_mgmt_12", "", "UNKNOWN_TYPE(12)", KEEPS),
    ("unknown_mgmt_200_then_request", "get#1:354", "UNKNOWN_TYPE(200) 200#1", KEEPS),
    ("unknown_mgmt_mid_request", "get#1:354", "UNKNOWN_TYPE(99) 200#1", KEEPS),
];

const CLOSES: bool = true;
const KEEPS: bool = false;

/// Spells the words of [`CASES`] out: `get#1:354` is a request without a body and with 354 bytes of PARAMS,
/// `post#1:410+5` one with a body of 5 bytes; `200#1`, `400#1` and `503#1(2)` are whole answers, `end#1` an
/// empty one.
fn expand(words: &str) -> String {
    let word = |word: &str| {
        let (kind, rest) = word.split_once('#').unwrap_or((word, ""));
        let (id, rest) = rest.split_once([':', '(']).unwrap_or((rest, ""));
        let number = || id.parse().unwrap();
        match (kind, rest.split_once('+')) {
            ("get", _) => format!("BEGIN#{id} PARAMS#{id}:{rest} PARAMS#{id}:0 STDIN#{id}:0"),
            ("post", Some((params, body))) => {
                format!("BEGIN#{id} PARAMS#{id}:{params} PARAMS#{id}:0 STDIN#{id}:{body} STDIN#{id}:0")
            }
            ("200", _) => answered(number()),
            ("400", _) => malformed(number()),
            ("503", _) => refused(number(), rest.trim_end_matches(')').parse().unwrap()),
            ("end", _) => format!("STDOUT#{id}:0 END#{id}(0,0)"),
            _ => word.to_owned(),
        }
    };
    words.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_case_has_the_outcome_that_it_should_have() {
    for (name, story, answers, closes) in CASES {
        let t = check(&capture(&format!("cases/{name}")));
        assert_eq!(t.story(), expand(story), "{name}");
        assert_eq!(t.answers(), expand(answers), "{name}");
        assert_eq!((t.error, t.eof), (None, Ok(())), "{name}");
        assert_eq!(t.is_finished, *closes, "{name}");
    }
}

#[test]
fn each_broken_case_is_fatal_with_its_error() {
    for (name, story, error) in [
        ("begin_content_long", "", ConnectionError::BodyLength { record_type: 1, found: 16 }),
        ("begin_content_short", "", ConnectionError::BodyLength { record_type: 1, found: 3 }),
        ("begin_id_0", "", ConnectionError::NullRequestId { record_type: 1 }),
        (
            "begin_same_id_active",
            "BEGIN#1 PARAMS#1:410 PARAMS#1:0",
            ConnectionError::RequestActive { id: id(1) },
        ),
        ("garbage_http", "", ConnectionError::Version { found: b'G' }),
        ("version_0_first", "", ConnectionError::Version { found: 0 }),
        ("version_2_first", "", ConnectionError::Version { found: 2 }),
        ("version_2_stdin", "BEGIN#1 PARAMS#1:410 PARAMS#1:0", ConnectionError::Version { found: 2 }),
    ] {
        let t = check(&capture(&format!("cases/{name}")));
        assert_eq!((t.story(), t.error), (story.to_owned(), Some(error)), "{name}");
        assert!(t.sent.is_empty());
    }
}

#[test]
fn a_case_that_ends_inside_a_header_says_how_much_is_missing() {
    let t = check(&capture("cases/fin_mid_header"));
    assert_eq!((t.error, t.eof), (None, Err(ConnectionError::UnexpectedEof { missing: 5 })));
}

#[test]
fn cases_of_several_requests_are_multiplexed_on_a_connection_of_several() {
    for (name, story, answers) in [
        (
            "mpx_interleaved_params",
            "BEGIN#1 PARAMS#1:60 BEGIN#2 PARAMS#2:40 PARAMS#1:301 PARAMS#1:0 PARAMS#2:321 PARAMS#2:0 STDIN#2:0 \
             STDIN#1:0",
            "200#2 200#1",
        ),
        (
            "mpx_second_begin_params_open",
            "BEGIN#1 PARAMS#1:410 PARAMS#1:0 get#2:354 STDIN#1:5 STDIN#1:0",
            "200#2 200#1",
        ),
        ("pipelined_ids_1_2", "get#1:354 get#2:354", "200#1 200#2"),
    ] {
        let t = check_with::<2>(App::Complete, &capture(&format!("cases/{name}")));
        assert_eq!((t.story(), t.answers()), (expand(story), expand(answers)), "{name}");
    }
}

#[test]
fn an_answer_in_progress_outlives_what_other_requests_do() {
    for (name, story) in [
        ("mpx_while_running", "get#1:373 get#2:354"),
        ("mpx_mixed_keep", "get#1:373 get#2:354"),
        ("abort_running", "get#1:373 ABORT#1 get#2:354"),
        ("abort_running_keep0", "get#1:373 ABORT#1"),
    ] {
        let t = check_with::<2>(App::Silent, &capture(&format!("cases/{name}")));
        assert_eq!((t.story(), t.error, t.is_finished), (expand(story), None, false), "{name}");
    }
}

#[test]
fn the_values_that_cases_ask_for_are_answered() {
    for (name, values) in [
        ("getvalues", &["FCGI_MAX_CONNS=1", "FCGI_MAX_REQS=1", "FCGI_MPXS_CONNS=0"][..]),
        ("getvalues_padded", &["FCGI_MAX_CONNS=1", "FCGI_MAX_REQS=1", "FCGI_MPXS_CONNS=0"]),
        ("getvalues_unknown_name", &["FCGI_MPXS_CONNS=0"]),
        ("getvalues_nonempty_value", &["FCGI_MAX_CONNS=1"]),
        ("getvalues_empty", &[]),
        ("getvalues_malformed", &[]),
    ] {
        assert_eq!(check(&capture(&format!("cases/{name}"))).values(0), values, "{name}");
    }
}

#[test]
fn parameters_of_odd_shapes_are_read() {
    let params = |name: &str| {
        let t = check(&capture(&format!("cases/{name}")));
        read_pairs(&t.params(1))
    };
    let plain = params("get_keep0");
    for name in ["params_1byte_records", "params_pair_per_record", "params_nonminimal_4byte"] {
        let pairs = params(name);
        assert_eq!(pairs.len(), plain.len(), "{name}");
        assert!(pairs.iter().zip(&plain).all(|((name, _), (expected, _))| name == expected));
    }
    let has = |case: &str, name: &[u8], value: &[u8]| {
        assert!(params(case).contains(&(name.to_vec(), value.to_vec())), "{case}: {name:?}");
    };
    for (name, value) in [("", "noname"), ("EMPTY", ""), ("", ""), ("DUP", "one"), ("DUP", "two")] {
        has("params_empty_name_value", name.as_bytes(), value.as_bytes());
    }
    has("params_odd_bytes", b"NULV", b"a\0b");
    has("params_odd_bytes", b"NLV", b"a\nb");
    has("params_odd_bytes", b"HIV", b"\xff\xfe");
    has("params_odd_bytes", b"EQ=N", b"c");
    assert!(params("params_httpoxy").iter().any(|(name, _)| name == b"HTTP_PROXY"));
}
