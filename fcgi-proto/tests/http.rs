//! Requests and responses as the types of the crate `http`, in four directions (RFC 3875, sections 4.1 and 6;
//! w14, w15 and w22 of the survey of web servers): what real web servers sent, by the rules and there and back.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fcgi_proto::cgi::{
    Head, HeadError, ResponseHead, ResponseHeadError, VariablesError, decode_path, is_hop_by_hop,
};
use fcgi_proto::http::{
    CgiRequest, HeaderError, Peer, RequestError, ResponseError, request_parts, response_parts, write_head,
};
use fcgi_proto::pair::{Packer, Pairs};
use fcgi_proto::record::Role;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version, request, response};
use percent_encoding::percent_decode_str;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;
use support::{BEGIN, PARAMS, pairs, walk};

/// The same cases at every run.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(1996), failure_persistence: None, ..Default::default() }
}

/// The parts of a GET of `/`, unless `params` say otherwise.
fn parts(params: &[(&str, &str)]) -> Result<request::Parts, RequestError> {
    let has = |name| params.iter().any(|(found, _)| *found == name);
    let defaults = [("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/")];
    let all = defaults.iter().filter(|(name, _)| !has(*name)).chain(params);
    request_parts(all.map(|(name, value)| (name.as_bytes(), value.as_bytes())))
}

type Fields = BTreeMap<String, Vec<Vec<u8>>>;

fn fields(headers: &HeaderMap) -> Fields {
    let values = |name| headers.get_all(name).iter().map(|value| value.as_bytes().to_vec()).collect();
    headers.keys().map(|name| (name.as_str().to_owned(), values(name))).collect()
}

fn fields_of(params: &[(&str, &str)]) -> Fields {
    fields(&parts(params).unwrap().headers)
}

fn expected(list: &[(&str, &[&str])]) -> Fields {
    let values = |values: &[&str]| values.iter().map(|value| value.as_bytes().to_vec()).collect();
    list.iter().map(|(name, list)| ((*name).to_owned(), values(list))).collect()
}

fn name(name: &str) -> HeaderName {
    HeaderName::try_from(name).unwrap()
}

// Captures of real web servers.

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/clients")
}

/// The parameters of every request of a capture whose PARAMS came whole.
fn captured(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut running, mut whole) = (BTreeMap::new(), Vec::new());
    for record in walk(&bytes).0 {
        match record.kind {
            BEGIN => assert_eq!(running.insert(record.id, Vec::new()), None),
            PARAMS if record.content.is_empty() => whole.extend(running.remove(&record.id)),
            PARAMS => running.get_mut(&record.id).unwrap().extend(record.content),
            _ => {}
        }
    }
    whole
}

/// The header fields by a plain reading of the parameters.
fn plain_fields(params: &[u8]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in Pairs::new(params) {
        let name = std::str::from_utf8(name).unwrap();
        let field = match (name, name.strip_prefix("HTTP_")) {
            ("CONTENT_TYPE", _) if value.is_empty() => continue,
            ("CONTENT_LENGTH", _) if matches!(value, b"" | b"-1") => continue,
            ("CONTENT_TYPE" | "CONTENT_LENGTH", _) => name,
            (_, None | Some("PROXY" | "CONTENT_LENGTH" | "CONTENT_TYPE" | "CONNECTION")) => continue,
            (_, Some(field)) => field,
        };
        fields.entry(field.replace('_', "-").to_lowercase()).or_default().push(value.to_vec());
    }
    fields
}

#[test]
fn every_request_of_every_web_server_has_its_method_uri_version_headers_and_peer() {
    let mut requests = 0;
    for server in fs::read_dir(folder()).unwrap() {
        for file in fs::read_dir(server.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            for params in captured(&path) {
                let get = |name: &str| Pairs::new(&params).get(name.as_bytes());
                let parts = request_parts(Pairs::new(&params)).unwrap();
                let name = path.display();
                assert_eq!(Some(parts.method.as_str().as_bytes()), get("REQUEST_METHOD"), "{name}");
                assert_eq!(Some(parts.uri.to_string().as_bytes()), get("REQUEST_URI"), "{name}");
                // Where the web server redirected within, REQUEST_URI is the HTTP client's even so.
                let query = parts.uri.query().unwrap_or("").as_bytes();
                let redirected = get("REDIRECT_REQUEST_URI").is_some();
                assert_eq!(Some(query) != get("QUERY_STRING"), redirected, "{name}");
                assert!(parts.uri.path().starts_with('/'), "{name}");
                assert_eq!(Some(format!("{:?}", parts.version).as_bytes()), get("SERVER_PROTOCOL"));
                assert_eq!(fields(&parts.headers), plain_fields(&params), "{name}");
                let Peer(peer) = parts.extensions.get().unwrap();
                assert_eq!(Some(peer.ip().to_string().as_bytes()), get("REMOTE_ADDR"), "{name}");
                assert_eq!(peer.port().to_string().as_bytes(), get("REMOTE_PORT").unwrap_or(b"0"), "{name}");
                requests += 1;
            }
        }
    }
    assert!(requests > 1_000, "{requests} requests");
}

/// The URI of a captured request with REQUEST_URI and without.
fn uris(server: &str, case: &str) -> (String, String) {
    let params = captured(&folder().join(format!("{server}/{case}.to-app.bin"))).remove(0);
    let without = Pairs::new(&params).filter(|(name, _)| *name != b"REQUEST_URI");
    let uri = |parts: Result<request::Parts, _>| parts.unwrap().uri.to_string();
    (uri(request_parts(Pairs::new(&params))), uri(request_parts(without)))
}

#[test]
fn every_web_server_tells_path_and_query_without_request_uri_too() {
    for (server, path) in [
        ("apache-fcgid", "/app/hdrs/a%20b/e"),
        ("apache-proxy-fcgi", "/app/hdrs/a%20b/e"),
        ("caddy", "/app/hdrs/a%20b/c/d/../e"),
        ("haproxy", "/app/hdrs/a%20b/c/d/../e"),
        ("nginx", "/app/hdrs/a%20b/c/e"),
    ] {
        let query = "b=normal&q=%41+b&r=%ff";
        let (with, without) = uris(server, "hdrs");
        assert_eq!(with, format!("/app/h%64rs/a%20b/c%2Fd/../e?{query}"), "{server}");
        assert_eq!(without, format!("{path}?{query}"), "{server}");
    }
    let (with, without) = uris("lighttpd", "get");
    assert_eq!((&with[..], &without[..]), ("/app/get?b=normal&x=1", "/app/get?b=normal&x=1"));
}

#[test]
fn odd_headers_through_every_web_server_are_as_it_passed_them_on() {
    let common: &[(&str, &[&str])] = &[
        ("accept", &["*/*"]),
        ("content-type", &["text/x"]),
        ("user-agent", &["rec-client/1"]),
        ("x-empty", &[""]),
        ("x-utf", &["caf\u{e9}"]),
    ];
    let joined: &[(&str, &[&str])] = &[("cookie", &["a=1, b=2"]), ("x-dup", &["one, two"])];
    let apart: &[(&str, &[&str])] = &[("cookie", &["a=1", "b=2"]), ("x-dup", &["one", "two"])];
    for (server, port, repeated, more) in [
        ("apache-fcgid", "18005", joined, &[("content-length", &["0"][..])][..]),
        ("apache-proxy-fcgi", "18003", joined, &[]),
        ("haproxy", "18011", apart, &[("content-length", &["0"])]),
        ("nginx", "18001", apart, &[("authorization", &["Basic dTpw"])]),
        (
            "caddy",
            "18015",
            joined,
            &[
                ("authorization", &["Basic dTpw"]),
                ("content-length", &["0"]),
                ("x-forwarded-for", &["127.0.0.1"]),
                ("x-forwarded-host", &["localhost:18015"]),
                ("x-forwarded-proto", &["http"]),
            ],
        ),
    ] {
        let params = captured(&folder().join(server).join("hdrs2.to-app.bin")).remove(0);
        let mut all = expected(&[common, repeated, more].concat());
        all.insert("host".into(), vec![format!("localhost:{port}").into_bytes()]);
        all.insert("x-latin".into(), vec![b"caf\xe9 \xff".to_vec()]);
        assert_eq!(fields(&request_parts(Pairs::new(&params)).unwrap().headers), all, "{server}");
    }
}

#[test]
fn an_authorizer_has_no_length_of_a_body_that_it_does_not_get() {
    let params = captured(&folder().join("lighttpd/authorizer_post.to-app.bin")).remove(0);
    assert_eq!(Pairs::new(&params).get(b"HTTP_CONTENT_LENGTH"), Some(&b"10"[..]));
    let parts = request_parts(Pairs::new(&params)).unwrap();
    assert_eq!((parts.method.as_str(), parts.headers.get("content-length")), ("POST", None));
}

// Parameters to request parts.

#[test]
fn w14_content_length_is_a_header_if_it_is_a_number() {
    for (value, field) in [
        ("0", Some("0")),
        ("5", Some("5")),
        ("007", Some("7")),
        ("18446744073709551615", Some("18446744073709551615")),
        ("18446744073709551616", None),
        ("", None),
        ("-1", None),
        ("+5", None),
        (" 5", None),
        ("5, 5", None),
        ("0x5", None),
        ("five", None),
    ] {
        let parts = parts(&[("CONTENT_LENGTH", value), ("HTTP_CONTENT_LENGTH", "9")]).unwrap();
        let lengths: Vec<_> = parts.headers.get_all("content-length").iter().collect();
        assert_eq!(lengths, Vec::from_iter(field), "{value:?}");
    }
    assert_eq!(fields_of(&[("HTTP_CONTENT_LENGTH", "9")]), Fields::new());
}

#[test]
fn content_type_is_content_type_alone_and_a_header_unless_empty() {
    for (params, field) in [
        (&[("CONTENT_TYPE", "a/b"), ("HTTP_CONTENT_TYPE", "c/d")][..], Some("a/b")),
        (&[("HTTP_CONTENT_TYPE", "c/d"), ("CONTENT_TYPE", "a/b")], Some("a/b")),
        (&[("CONTENT_TYPE", "a/b"), ("CONTENT_TYPE", "c/d")], Some("c/d")),
        (&[("HTTP_CONTENT_TYPE", "c/d"), ("CONTENT_TYPE", "")], None),
        (&[("HTTP_CONTENT_TYPE", "c/d")], None),
    ] {
        let types = parts(params).unwrap().headers;
        let types: Vec<_> = types.get_all("content-type").iter().collect();
        assert_eq!(types, Vec::from_iter(field), "{params:?}");
    }
}

#[test]
fn w15_equal_names_are_kept_in_their_order_and_empty_values_stay() {
    let params = [("HTTP_COOKIE", "a=1"), ("HTTP_X_A", ""), ("HTTP_COOKIE", ""), ("HTTP_COOKIE", "c=3")];
    assert_eq!(fields_of(&params), expected(&[("cookie", &["a=1", "", "c=3"]), ("x-a", &[""])]));
}

#[test]
fn of_a_parameter_that_is_overridden_the_last_one_counts() {
    let params = [("REQUEST_METHOD", "GET"), ("REMOTE_ADDR", "10.0.0.1"), ("REMOTE_ADDR", "192.0.2.7")];
    let peer: Peer = *parts(&params).unwrap().extensions.get().unwrap();
    assert_eq!(peer.0.ip().to_string(), "192.0.2.7");
}

#[test]
fn http_proxy_is_no_header_in_any_case_of_letters() {
    let params = [("HTTP_PROXY", "http://evil/"), ("HTTP_Proxy", "http://evil/"), ("HTTP_X_PROXY", "fine")];
    assert_eq!(fields_of(&params), expected(&[("x-proxy", &["fine"])]));
}

#[test]
fn what_is_about_one_connection_is_no_header() {
    for name in [
        "HTTP_CONNECTION",
        "HTTP_KEEP_ALIVE",
        "HTTP_PROXY_AUTHENTICATE",
        "HTTP_PROXY_AUTHENTICATION_INFO",
        "HTTP_PROXY_AUTHORIZATION",
        "HTTP_PROXY_CONNECTION",
        "HTTP_TE",
        "HTTP_TRAILER",
        "HTTP_TRANSFER_ENCODING",
        "HTTP_UPGRADE",
    ] {
        assert_eq!(fields_of(&[(name, "chunked")]), Fields::new(), "{name}");
    }
    let kept = [("HTTP_EXPECT", "100-continue"), ("HTTP_UPGRADE_INSECURE_REQUESTS", "1")];
    let fields = [("expect", &["100-continue"][..]), ("upgrade-insecure-requests", &["1"])];
    assert_eq!(fields_of(&kept), expected(&fields));
}

#[test]
fn no_other_variable_is_a_header() {
    let others =
        ["DOCUMENT_ROOT", "http_accept", "HTTP", "HTTPS", "XHTTP_A", "REDIRECT_HTTP_HOST", "", "A\0B"];
    assert_eq!(fields_of(&others.map(|name| (name, "x"))), Fields::new());
}

#[test]
fn names_are_lower_case_with_dashes_whatever_else_is_in_them() {
    for (variable, field) in
        [("HTTP_X_A1", "x-a1"), ("HTTP_X.A", "x.a"), ("HTTP__A", "-a"), ("HTTP_Accept", "accept")]
    {
        assert_eq!(fields_of(&[(variable, "1")]), expected(&[(field, &["1"])]), "{variable}");
    }
}

#[test]
fn a_name_that_is_no_token_is_an_error() {
    for variable in ["HTTP_", "HTTP_A B", "HTTP_A:", "HTTP_\u{e9}", "HTTP_A\r\n", "HTTP_A\0"] {
        let error = RequestError::Header(HeaderError::Name { len: variable.len() - 5 });
        assert_eq!(parts(&[(variable, "1")]).unwrap_err(), error, "{variable:?}");
    }
}

#[test]
fn a_value_with_a_control_character_is_an_error_that_names_the_field() {
    for byte in (0..0x20).chain([0x7f]).filter(|byte| *byte != b'\t') {
        let value = format!("a{}b", char::from(byte));
        for (variable, field) in [("HTTP_X_A", "x-a"), ("CONTENT_TYPE", "content-type")] {
            let error = RequestError::Header(HeaderError::Value { name: name(field) });
            assert_eq!(parts(&[(variable, &value)]).unwrap_err(), error);
            assert_eq!(error.to_string(), format!("header field {field}: control character in its value"));
        }
    }
    assert_eq!(fields_of(&[("HTTP_X_A", "a\tb")]), expected(&[("x-a", &["a\tb"])]));
}

#[test]
fn more_headers_than_a_header_map_holds_are_an_error() {
    let names: Vec<_> = (0..40_000).map(|number| format!("HTTP_X{number}")).collect();
    let params: Vec<_> = names.iter().map(|name| (&name[..], "1")).collect();
    assert_eq!(parts(&params).unwrap_err(), RequestError::Header(HeaderError::TooMany));
    assert_eq!(parts(&params[..20_000]).unwrap().headers.len(), 20_000);
}

#[test]
fn the_method_is_request_method_any_token_in_its_case() {
    for method in ["GET", "HEAD", "PROPFIND", "FOO", "get", "M-SEARCH"] {
        assert_eq!(parts(&[("REQUEST_METHOD", method)]).unwrap().method.as_str(), method);
    }
    for method in ["", "GET ", "G\u{e9}T", "GET / HTTP/1.1"] {
        assert_eq!(parts(&[("REQUEST_METHOD", method)]).unwrap_err(), RequestError::Method, "{method:?}");
    }
    assert_eq!(request_parts([(&b"REQUEST_URI"[..], &b"/"[..])]).unwrap_err(), RequestError::Method);
}

#[test]
fn the_uri_is_request_uri_as_it_was_sent() {
    for (uri, authority, path, query) in [
        ("/", None, "/", None),
        ("/a%2Fb/../%zz?c?d=%20", None, "/a%2Fb/../%zz", Some("c?d=%20")),
        ("//host/a", None, "//host/a", None),
        ("/a?", None, "/a", Some("")),
        ("http://example.org:81/a?b", Some("example.org:81"), "/a", Some("b")),
        ("https://[2001:db8::1]", Some("[2001:db8::1]"), "/", None),
        ("*", None, "*", None),
    ] {
        let found = parts(&[("REQUEST_URI", uri), ("SCRIPT_NAME", "/no")]).unwrap().uri;
        let authority_found = found.authority().map(|authority| authority.as_str());
        assert_eq!((authority_found, found.path(), found.query()), (authority, path, query), "{uri}");
    }
    for uri in ["a", "a/b", "example.org:80", "/a b", "/a\tb", "/\0", "/<script>", "http:///a", "?a"] {
        assert_eq!(parts(&[("REQUEST_URI", uri)]).unwrap_err(), RequestError::Uri, "{uri:?}");
    }
}

#[test]
fn without_request_uri_the_uri_is_script_name_and_path_info_encoded_and_the_raw_query() {
    for (script_name, path_info, query, uri) in [
        ("", "", "", "/"),
        ("", "", "a=%20", "/?a=%20"),
        ("/app", "", "", "/app"),
        ("/app", "/a b/50%/c?d#e", "f?g", "/app/a%20b/50%25/c%3Fd%23e?f?g"),
        ("", "/caf\u{e9}/\"<>[]\\^`{|}\u{7f}", "", "/caf%C3%A9/%22%3C%3E%5B%5D%5C%5E%60%7B%7C%7D%7F"),
        ("/-._~!$&'()*+,;=:@", "", "", "/-._~!$&'()*+,;=:@"),
        ("//host", "/a", "", "//host/a"),
    ] {
        for request_uri in [None, Some("")] {
            let params = [("SCRIPT_NAME", script_name), ("PATH_INFO", path_info), ("QUERY_STRING", query)];
            let params = params.into_iter().chain(request_uri.map(|uri| ("REQUEST_URI", uri)));
            let params = params.chain([("REQUEST_METHOD", "GET")]);
            let parts = request_parts(params.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
            assert_eq!(parts.unwrap().uri.to_string(), uri);
        }
    }
    for (path, query) in
        [(&b"app"[..], &b""[..]), (b"*", b""), (b"/", b"a b"), (b"/", b"\xff"), (&[b'/'; 70_000], b"")]
    {
        let params = [(&b"REQUEST_METHOD"[..], &b"GET"[..]), (b"PATH_INFO", path), (b"QUERY_STRING", query)];
        assert_eq!(request_parts(params).unwrap_err(), RequestError::Path);
    }
}

#[test]
fn the_version_is_server_protocol_or_1_1() {
    for (protocol, version) in [
        ("HTTP/0.9", Version::HTTP_09),
        ("HTTP/1.0", Version::HTTP_10),
        ("HTTP/1.1", Version::HTTP_11),
        ("HTTP/2.0", Version::HTTP_2),
        ("HTTP/2", Version::HTTP_2),
        ("HTTP/3.0", Version::HTTP_3),
        ("HTTP/3", Version::HTTP_3),
        ("INCLUDED", Version::HTTP_11),
        ("", Version::HTTP_11),
    ] {
        assert_eq!(parts(&[("SERVER_PROTOCOL", protocol)]).unwrap().version, version, "{protocol}");
    }
    assert_eq!(parts(&[]).unwrap().version, Version::HTTP_11);
}

#[test]
fn the_peer_is_there_if_remote_addr_is_an_ip_address() {
    for (addr, port, peer) in [
        ("192.0.2.1", "50000", Some("192.0.2.1:50000")),
        ("2001:db8::1", "1", Some("[2001:db8::1]:1")),
        ("192.0.2.1", "", Some("192.0.2.1:0")),
        ("192.0.2.1", "65536", Some("192.0.2.1:0")),
        ("unix:", "", None),
        ("", "80", None),
    ] {
        let parts = parts(&[("REMOTE_ADDR", addr), ("REMOTE_PORT", port)]).unwrap();
        assert_eq!(
            parts.extensions.get().map(|Peer(peer)| peer.to_string()).as_deref(),
            peer,
            "{addr} {port}"
        );
    }
}

// Request parts to variables.

fn get(uri: &str) -> request::Parts {
    Request::get(uri).body(()).unwrap().into_parts().0
}

/// The pairs that the parts become.
fn sent(parts: &request::Parts, length: Option<u64>) -> Result<Vec<u8>, VariablesError> {
    let request = CgiRequest::new(parts);
    let mut variables = request.variables();
    variables.content_length = length;
    variables.authorization = true;
    let mut packer = Packer::new(vec![0; 65_535]);
    variables.emit(Role::Responder, request.headers(), |name, value| {
        packer.push(name, value.whole(&mut [0; 8_192]).unwrap()).unwrap();
        Ok::<(), VariablesError>(())
    })?;
    Ok(packer.bytes().to_vec())
}

#[test]
fn the_target_is_path_and_query_and_the_authority_stands_for_host() {
    for (uri, target, authority) in [
        ("/a%2fb?c", "/a%2fb?c", None),
        ("*", "*", None),
        ("http://example.org:81/a?b", "/a?b", Some("example.org:81")),
        ("https://example.org", "/", Some("example.org")),
        ("https://example.org?a", "/?a", Some("example.org")),
        ("http://user:password@example.org/", "/", Some("example.org")),
        ("example.org:443", "example.org:443", Some("example.org:443")),
    ] {
        let parts = get(uri);
        let request = CgiRequest::new(&parts);
        let variables = request.variables();
        assert_eq!(variables.target, target.as_bytes(), "{uri}");
        assert_eq!(variables.authority, authority.map(str::as_bytes), "{uri}");
        assert!(!variables.https, "{uri} only claims it");
    }
}

#[test]
fn the_authority_wins_over_host_and_two_hosts_are_refused() {
    let mut parts = get("https://example.org/");
    parts.headers.append("host", HeaderValue::from_static("other"));
    let host = |pairs: &[u8]| Pairs::new(pairs).get(b"HTTP_HOST").map(<[u8]>::to_vec);
    assert_eq!(host(&sent(&parts, None).unwrap()), Some(b"example.org".to_vec()));
    parts.uri = "/".parse().unwrap();
    assert_eq!(host(&sent(&parts, None).unwrap()), Some(b"other".to_vec()));
    parts.headers.append("host", HeaderValue::from_static("third"));
    assert_eq!(sent(&parts, None), Err(VariablesError::Host));
}

#[test]
fn every_version_is_a_protocol_that_is_the_version_again() {
    for version in [Version::HTTP_09, Version::HTTP_10, Version::HTTP_11, Version::HTTP_2, Version::HTTP_3] {
        let mut parts = get("/");
        parts.version = version;
        assert_eq!(CgiRequest::new(&parts).variables().protocol, format!("{version:?}").as_bytes());
        assert_eq!(request_parts(Pairs::new(&sent(&parts, None).unwrap())).unwrap().version, version);
    }
}

#[test]
fn a_path_with_no_script_is_the_client_s_to_decode() {
    let parts = get("http://example.org/caf%C3%A9");
    let request = CgiRequest::new(&parts);
    assert_eq!(decode_path(request.variables().target, &mut [0; 64]), Ok("/caf\u{e9}".as_bytes()));
    let parts = get("example.org:443");
    assert!(decode_path(CgiRequest::new(&parts).variables().target, &mut [0; 64]).is_err());
}

// Response parts to a head, and back.

fn answer(status: u16, fields: &[(&str, &str)]) -> response::Parts {
    let (mut parts, ()) = Response::builder().status(status).body(()).unwrap().into_parts();
    for (field, value) in fields {
        parts.headers.append(name(field), HeaderValue::from_str(value).unwrap());
    }
    parts
}

fn written(parts: &response::Parts) -> Result<String, HeadError> {
    let mut head = Head::new([b'#'; 256]);
    write_head(parts, &mut head)?;
    Ok(String::from_utf8(head.finish()?.to_vec()).unwrap())
}

fn read(stdout: &[u8]) -> Result<response::Parts, ResponseError> {
    let mut head = ResponseHead::new(vec![0; 70_000]);
    head.push(stdout)?;
    response_parts(&head)
}

#[test]
fn w22_status_is_first_and_each_set_cookie_stays() {
    let parts = answer(201, &[("set-cookie", "a=1"), ("content-type", "a/b"), ("set-cookie", "b=2; Secure")]);
    let head = written(&parts).unwrap();
    assert!(head.starts_with("Status: 201 Created\r\n"));
    let cookies: Vec<_> = head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")).collect();
    assert_eq!(cookies, ["a=1", "b=2; Secure"]);
    assert!(head.contains("\r\ncontent-type: a/b\r\n") && head.ends_with("\r\n\r\n"));
}

#[test]
fn hop_by_hop_fields_are_not_passed_on_in_either_direction() {
    let fields = [("transfer-encoding", "chunked"), ("connection", "close"), ("upgrade", "h2c"), ("te", "a")];
    let head = "Status: 204 No Content\r\n";
    assert_eq!(written(&answer(204, &fields)).unwrap(), format!("{head}\r\n"));
    let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    assert!(read(format!("{head}{lines}\r\n").as_bytes()).unwrap().headers.is_empty());
}

#[test]
fn fields_that_connection_names_are_not_passed_on_by_a_client() {
    let stdout = b"Connection: close, X-A ,,@\nX-A: 1\nX-B: 2\nCONNECTION: x-c\nX-C: 3\nx-a: 4\n\n";
    assert_eq!(fields(&read(stdout).unwrap().headers), expected(&[("x-b", &["2"])]));
    // But for what says where the answer ends.
    let parts = read(b"Connection: Content-Length\nContent-Length: 5\n\n").unwrap();
    assert_eq!(fields(&parts.headers), expected(&[("content-length", &["5"])]));
}

#[test]
fn of_a_type_said_twice_the_last_one_counts() {
    let parts = read(b"Content-Type: a/b\nX: 1\ncontent-type: c/d\nX: 2\n\n").unwrap();
    assert_eq!(fields(&parts.headers), expected(&[("content-type", &["c/d"]), ("x", &["1", "2"])]));
}

#[test]
fn a_204_has_no_length() {
    let parts = read(b"Status: 204\nContent-Length: 4\n\n").unwrap();
    assert!(parts.headers.is_empty());
    let parts = read(b"Status: 304\nContent-Length: 4\n\n").unwrap();
    assert_eq!(fields(&parts.headers), expected(&[("content-length", &["4"])]));
}

#[test]
fn w26_an_informational_status_is_refused() {
    for status in [100, 101, 103, 199] {
        assert_eq!(written(&answer(status, &[])), Err(HeadError::Status), "{status}");
    }
    assert!(written(&answer(200, &[])).is_ok() && written(&answer(999, &[])).is_ok());
}

#[test]
fn a_field_named_status_and_too_much_head_are_refused() {
    assert_eq!(written(&answer(200, &[("status", "500")])), Err(HeadError::Status));
    let long = answer(200, &[("x", &"x".repeat(256))]);
    assert_eq!(written(&long), Err(HeadError::TooLong { limit: 256 }));
}

#[test]
fn a_head_is_started_over_by_each_response() {
    let mut head = Head::new([0; 256]);
    assert!(write_head(&answer(200, &[("a", "1"), ("status", "2")]), &mut head).is_err());
    write_head(&answer(302, &[("location", "/a")]), &mut head).unwrap();
    assert_eq!(head.finish(), Ok(&b"Status: 302 Found\r\nlocation: /a\r\n\r\n"[..]));
}

#[test]
fn the_status_of_a_location_alone_is_302_and_of_nothing_200() {
    for (stdout, status) in [
        ("Location: /a\r\n\r\n", 302),
        ("Status: 201 Created\r\nLocation: /a\r\n\r\n", 201),
        ("X: y\n\n", 200),
        ("\n", 200),
        ("Status: 999\n\n", 999),
    ] {
        assert_eq!(read(stdout.as_bytes()).unwrap().status.as_u16(), status, "{stdout:?}");
    }
}

#[test]
fn a_response_s_fields_are_all_there_and_status_is_none() {
    let stdout = b"Status: 404\nX-A: 1\nSet-Cookie: a\nset-cookie:  b \nX-Latin: \xe9\nX-Empty:\n\n";
    let mut all = expected(&[("x-a", &["1"]), ("set-cookie", &["a", "b"]), ("x-empty", &[""])]);
    all.insert("x-latin".into(), vec![b"\xe9".to_vec()]);
    assert_eq!(fields(&read(stdout).unwrap().headers), all);
}

#[test]
fn a_length_said_twice_is_said_once_and_two_lengths_are_an_error() {
    let parts = read(b"Content-Length: 05\nX: y\nContent-Length: 5\n\n").unwrap();
    assert_eq!(fields(&parts.headers), expected(&[("content-length", &["5"]), ("x", &["y"])]));
    for lengths in
        ["Content-Length: 5\nContent-Length: 6\n\n", "Content-Length: -1\n\n", "Content-Length:\n\n"]
    {
        let error = ResponseError::Head(ResponseHeadError::ContentLength);
        assert_eq!(read(lengths.as_bytes()).unwrap_err(), error, "{lengths:?}");
    }
}

#[test]
fn a_head_that_is_not_complete_is_an_error() {
    for (stdout, error) in [
        (&b""[..], ResponseHeadError::Empty),
        (b"X: y\n", ResponseHeadError::Unfinished { len: 5 }),
        (b"X\n\n", ResponseHeadError::NoColon),
    ] {
        let mut head = ResponseHead::new([0; 64]);
        let _ = head.push(stdout);
        assert_eq!(response_parts(&head).unwrap_err(), ResponseError::Head(error));
    }
}

#[test]
fn a_field_that_http_refuses_is_an_error_that_says_which() {
    let error = read(b"X-A: 1\nX-B: a\x01b\n\n").unwrap_err();
    assert_eq!(error, ResponseError::Header(HeaderError::Value { name: name("x-b") }));
    assert_eq!(error.to_string(), "response head: header field x-b: control character in its value");
    let long = format!("{}: 1\n\n", "x".repeat(65_536));
    let error = ResponseError::Header(HeaderError::Name { len: 65_536 });
    assert_eq!(read(long.as_bytes()).unwrap_err(), error);
}

// For all inputs.

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}"
}

/// A field's name: common ones, those with a meaning here, others.
fn field_name() -> impl Strategy<Value = String> {
    let known = [
        "accept",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "proxy",
        "redirect-status",
        "set-cookie",
        "transfer-encoding",
        "x_forwarded_for",
    ];
    prop_oneof![select(known.to_vec()).prop_map(str::to_owned), token()]
}

fn field_value() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(b'\t'), 0x20..0x7f_u8, 0x80..=0xff_u8], 0..20)
}

fn header_map() -> impl Strategy<Value = HeaderMap> {
    let append = |list: Vec<(String, Vec<u8>)>| {
        let mut map = HeaderMap::new();
        for (field, value) in list {
            map.append(name(&field), HeaderValue::from_bytes(&value).unwrap());
        }
        map
    };
    vec((field_name(), field_value()), 0..12).prop_map(append)
}

fn request() -> impl Strategy<Value = request::Parts> {
    let authority = select(&["http://example.org", "https://example.org:8443", "http://u@[::1]"][..]);
    let path = "(/[A-Za-z0-9._~!$&'()*+,;=:@|%-]{0,8}){1,4}";
    let query = option::of("[A-Za-z0-9?/=&%+_-]{0,12}");
    (token(), option::of(authority), path, query, option::of(Just("example.net")), header_map()).prop_map(
        |(method, authority, path, query, host, headers)| {
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            let uri = format!("{}{path}{query}", authority.unwrap_or_default());
            let (mut parts, ()) =
                Request::builder().method(&method[..]).uri(uri).body(()).unwrap().into_parts();
            parts.headers = headers;
            parts.headers.remove("host");
            parts.headers.extend(host.map(|host| (http::header::HOST, HeaderValue::from_static(host))));
            parts
        },
    )
}

fn trim(value: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = value.iter().position(is_text).unwrap_or(value.len());
    let end = value.iter().rposition(is_text).map_or(start, |last| last + 1);
    &value[start..end]
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn a_request_arrives_with_its_method_uri_and_headers(request in request(), length in option::of(any::<u64>())) {
        let arrived = request_parts(Pairs::new(&sent(&request, length).unwrap())).unwrap();
        prop_assert_eq!(&arrived.method, &request.method);
        prop_assert_eq!(arrived.uri.to_string(), request.uri.path_and_query().unwrap().as_str());
        prop_assert_eq!(arrived.version, request.version);

        // Repeated fields are one, some do not go, and the authority and the length are the request's.
        let mut expected = Fields::new();
        for (field, values) in fields(&request.headers) {
            let is_plain = field.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let left_out = ["proxy", "redirect-status", "content-length"].contains(&&field[..]);
            if is_plain && !left_out && !is_hop_by_hop(field.as_bytes()) {
                let joined = values.join(if field == "cookie" { &b"; "[..] } else { b", " });
                if field != "content-type" || !joined.is_empty() {
                    expected.insert(field, vec![joined]);
                }
            }
        }
        if let Some(authority) = request.uri.authority() {
            let host = authority.as_str().trim_start_matches("u@").as_bytes();
            expected.insert("host".into(), vec![host.to_vec()]);
        }
        expected.extend(length.map(|length| ("content-length".into(), vec![length.to_string().into_bytes()])));
        prop_assert_eq!(fields(&arrived.headers), expected);
    }

    #[test]
    fn a_response_arrives_with_its_status_and_fields(status in 200..=999_u16, headers in header_map(), location: bool) {
        let mut response = answer(status, &[]);
        response.headers = headers;
        for field in ["content-length", "location", "status"] {
            response.headers.remove(field);
        }
        if location {
            response.headers.insert("location", HeaderValue::from_static("/a"));
        }
        let mut head = Head::new(vec![0; 8_192]);
        write_head(&response, &mut head).unwrap();
        let arrived = read(head.finish().unwrap()).unwrap();
        prop_assert_eq!(arrived.status, response.status);

        // Without spaces around values, without what is hop by hop, and with one type.
        let mut expected = fields(&response.headers);
        if let Some(types) = expected.get_mut("content-type") {
            types.drain(..types.len() - 1);
        }
        expected.retain(|field, _| !is_hop_by_hop(field.as_bytes()));
        for value in expected.values_mut().flatten() {
            *value = trim(value).to_vec();
        }
        if !location && ![204, 304].contains(&status) {
            let octets = || vec![b"application/octet-stream".to_vec()];
            expected.entry("content-type".into()).or_insert_with(octets);
        }
        prop_assert_eq!(fields(&arrived.headers), expected);
    }

    #[test]
    fn a_path_without_request_uri_is_encoded_to_what_decodes_to_it(path in vec(any::<u8>(), 0..40)) {
        let path = [b"/", &path[..]].concat();
        let params = [(&b"REQUEST_METHOD"[..], &b"GET"[..]), (b"SCRIPT_NAME", &path)];
        let uri = request_parts(params).unwrap().uri;
        prop_assert_eq!(uri.query(), None);
        prop_assert_eq!(percent_decode_str(uri.path()).collect::<Vec<u8>>(), path);
    }

    #[test]
    fn any_parameters_make_a_request_with_a_path_and_no_header_that_must_not_be_there_or_none(
        method in prop_oneof![Just(b"GET".to_vec()), vec(any::<u8>(), 0..4)],
        uri in option::of(prop_oneof![Just(b"/".to_vec()), vec(any::<u8>(), 0..8)]),
        params in vec((prop_oneof![
            field_name().prop_map(|name| format!("HTTP_{}", name.replace('-', "_").to_uppercase())),
            "(HTTP_|CONTENT_LENGTH|CONTENT_TYPE|PATH_INFO|QUERY_STRING|REMOTE_ADDR)?",
        ], prop_oneof![field_value(), vec(any::<u8>(), 0..8)]), 0..8),
    ) {
        let params: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
        let mut all = vec![("REQUEST_METHOD", &method[..])];
        all.extend(uri.as_deref().map(|uri| ("REQUEST_URI", uri)));
        let bytes = pairs(&[all, params].concat().iter().map(|(n, v)| (n.as_bytes(), *v)).collect::<Vec<_>>());
        if let Ok(parts) = request_parts(Pairs::new(&bytes)) {
            prop_assert!(parts.uri.path().starts_with('/') || parts.uri.path() == "*");
            for field in parts.headers.keys() {
                prop_assert!(field != "proxy" && !is_hop_by_hop(field.as_str().as_bytes()), "{}", field);
            }
        }
    }
}
