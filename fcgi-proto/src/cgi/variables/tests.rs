//! What becomes of a request, one decision a test.

extern crate std;

use std::collections::HashMap;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use super::*;
use crate::record::Role;

type Made = Result<HashMap<String, String>, VariablesError>;

/// All variables, each name once, with no byte that must not be there.
fn make(request: &Variables<'_>, role: Role, headers: &[(&str, &str)]) -> Made {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let mut made = HashMap::new();
    request.emit(role, &headers, |name, value| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let parts: Vec<&[u8]> = value.parts().collect();
        let joined = parts.concat();
        assert_eq!((value.len(), value.is_empty()), (joined.len(), joined.is_empty()));
        assert_eq!(value.whole(&mut vec![0; joined.len()]), Some(joined.as_slice()));
        assert_eq!(value.whole(&mut []).is_some(), parts.len() == 1 || joined.is_empty());
        let twice = made.insert(text(name), text(&joined));
        assert_eq!(twice, None, "{} twice", text(name));
        Ok::<(), VariablesError>(())
    })?;
    Ok(made)
}

fn of_headers(headers: &[(&str, &str)]) -> HashMap<String, String> {
    let bare = make(&Variables::new(b"GET", b"/"), Role::Responder, &[]).unwrap();
    let mut made = make(&Variables::new(b"GET", b"/"), Role::Responder, headers).unwrap();
    for (name, value) in bare {
        assert_eq!(made.remove(&name), Some(value), "{name} is the web server's");
    }
    made
}

fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn full() -> Variables<'static> {
    Variables {
        protocol: b"HTTP/1.0",
        content_length: Some(u64::MAX),
        https: true,
        peer: Some(([192, 0, 2, 1], 65_535).into()),
        server: Some(([192, 0, 2, 2], 8443).into()),
        server_name: b"example.org",
        server_software: b"test/1",
        script_name: b"/a b.php",
        path_info: b"/c",
        path_translated: b"/srv/c",
        script_filename: b"/srv/a b.php",
        document_root: b"/srv",
        auth_type: b"Basic",
        remote_user: b"somebody",
        data_last_mod: 822_956_400,
        data_length: 9,
        ..Variables::new(b"POST", b"/a%20b.php/c?d=%20e&f")
    }
}

const FULL: [(&str, &str); 23] = [
    ("GATEWAY_INTERFACE", "CGI/1.1"),
    ("SERVER_SOFTWARE", "test/1"),
    ("SERVER_NAME", "example.org"),
    ("SERVER_ADDR", "192.0.2.2"),
    ("SERVER_PORT", "8443"),
    ("SERVER_PROTOCOL", "HTTP/1.0"),
    ("REQUEST_METHOD", "POST"),
    ("REQUEST_SCHEME", "https"),
    ("REQUEST_URI", "/a%20b.php/c?d=%20e&f"),
    ("SCRIPT_NAME", "/a b.php"),
    ("SCRIPT_FILENAME", "/srv/a b.php"),
    ("PATH_INFO", "/c"),
    ("PATH_TRANSLATED", "/srv/c"),
    ("QUERY_STRING", "d=%20e&f"),
    ("DOCUMENT_ROOT", "/srv"),
    ("REMOTE_ADDR", "192.0.2.1"),
    ("REMOTE_PORT", "65535"),
    ("AUTH_TYPE", "Basic"),
    ("REMOTE_USER", "somebody"),
    ("REDIRECT_STATUS", "200"),
    ("HTTPS", "on"),
    ("CONTENT_LENGTH", "18446744073709551615"),
    ("HTTP_CONTENT_LENGTH", "18446744073709551615"),
];

#[test]
fn e1_a_responder_gets_the_variables_of_cgi_1_1() {
    assert_eq!(make(&full(), Role::Responder, &[]), Ok(map(&FULL)));
}

#[test]
fn e1_what_is_not_known_is_left_out_and_what_must_be_there_is_empty() {
    let bare = [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_SOFTWARE", ""),
        ("SERVER_NAME", "localhost"),
        ("SERVER_PORT", "80"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_SCHEME", "http"),
        ("REQUEST_URI", "/"),
        ("SCRIPT_NAME", ""),
        ("QUERY_STRING", ""),
        ("REMOTE_ADDR", "unix:"),
        ("REDIRECT_STATUS", "200"),
    ];
    assert_eq!(make(&Variables::new(b"GET", b"/"), Role::Responder, &[]), Ok(map(&bare)));
}

#[test]
fn u1_an_authorizer_gets_no_content_length_path_info_path_translated_and_script_name() {
    let without = ["CONTENT_LENGTH", "HTTP_CONTENT_LENGTH", "PATH_INFO", "PATH_TRANSLATED", "SCRIPT_NAME"];
    let mut expected = map(&FULL);
    expected.retain(|name, _| !without.contains(&name.as_str()));
    expected.insert("HTTP_SCRIPT_NAME".into(), "x".into());
    let headers = [("Content-Length", "5"), ("Script-Name", "x")];
    assert_eq!(make(&full(), Role::Authorizer, &headers), Ok(expected.clone()));
    let extra = without.map(|name| (name.as_bytes(), &b"x"[..]));
    assert_eq!(make(&Variables { extra: &extra, ..full() }, Role::Authorizer, &headers), Ok(expected));
}

#[test]
fn f1_a_filter_gets_the_time_and_the_length_of_its_data() {
    let mut expected = map(&FULL);
    expected.insert("FCGI_DATA_LAST_MOD".into(), "822956400".into());
    expected.insert("FCGI_DATA_LENGTH".into(), "9".into());
    assert_eq!(make(&full(), Role::Filter, &[]), Ok(expected));
    for name in [&b"FCGI_DATA_LENGTH"[..], b"FCGI_DATA_LAST_MOD"] {
        let request = Variables { extra: &[(name, b"1")], ..full() };
        assert_eq!(make(&request, Role::Responder, &[]), Ok(map(&FULL)));
    }
}

#[test]
fn cve_2016_5385_proxy_header_in_any_case_is_dropped() {
    let headers = [("Proxy", "a"), ("PROXY", "a"), ("pROxy", "a"), ("Proxy_", "a"), ("_Proxy", "a")];
    assert_eq!(of_headers(&headers), map(&[]));
    assert_eq!(of_headers(&[("HTTP_PROXY", "a"), ("Pro.xy", "a"), ("Proxy ", "a")]), map(&[]));
    let near = of_headers(&[("Proxy-Status", "a"), ("X-Proxy", "b"), ("Http-Proxy", "c")]);
    assert_eq!(near, map(&[("HTTP_PROXY_STATUS", "a"), ("HTTP_X_PROXY", "b"), ("HTTP_HTTP_PROXY", "c")]));
}

#[test]
fn cve_2024_8927_no_header_is_read_as_a_server_variable() {
    assert_eq!(of_headers(&[("Redirect-Status", "200"), ("REDIRECT-STATUS", "1")]), map(&[]));
    for (name, _) in FULL {
        let header = name.replace('_', "-");
        for (made, _) in of_headers(&[(&header, "x"), (name, "y"), (&header.to_lowercase(), "z")]) {
            assert_eq!(made, format!("HTTP_{name}"));
        }
    }
    let headers = [("Script-Filename", "/etc/passwd"), ("Remote-User", "root"), ("PHP-VALUE", "x=y")];
    let expected =
        [("HTTP_SCRIPT_FILENAME", "/etc/passwd"), ("HTTP_REMOTE_USER", "root"), ("HTTP_PHP_VALUE", "x=y")];
    assert_eq!(of_headers(&headers), map(&expected));
}

#[test]
fn lighttpd_2026_05_28_names_that_would_collide_are_dropped() {
    let real = ("X-Forwarded-For", "192.0.2.1");
    for false_name in ["X_Forwarded_For", "X.Forwarded.For", "X-Forwarded_For", "X Forwarded-For", "", "X-É"]
    {
        let expected = map(&[("HTTP_X_FORWARDED_FOR", "192.0.2.1")]);
        assert_eq!(of_headers(&[(false_name, "a"), real, (false_name, "b")]), expected, "{false_name}");
    }
}

#[test]
fn nginx_2022_05_30_repeated_headers_are_joined_in_order() {
    let headers = [
        ("Cookie", "a=1"),
        ("Accept", "x/y"),
        ("COOKIE", "b=2"),
        ("X-A", ""),
        ("accept", "z"),
        ("cookie", "c"),
        ("x-a", ""),
    ];
    let expected = [("HTTP_COOKIE", "a=1; b=2; c"), ("HTTP_ACCEPT", "x/y, z"), ("HTTP_X_A", ", ")];
    assert_eq!(of_headers(&headers), map(&expected));
}

#[test]
fn repeated_headers_are_joined_in_order_however_many_fields_lie_between() {
    let fields = 3 * super::fields::WINDOW + 5;
    for names in [1, 2, fields / 5, fields / 2, fields - 1, fields] {
        let name = |i: usize| format!("{}-{}", if i % 3 == 0 { "X" } else { "x" }, i * 7 % names);
        let headers: Vec<(String, String)> = (0..fields).map(|i| (name(i), i.to_string())).collect();
        let mut expected: Vec<(String, String)> = Vec::new();
        for (name, value) in &headers {
            let name = format!("HTTP_{}", name.to_uppercase().replace('-', "_"));
            match expected.iter_mut().find(|(found, _)| *found == name) {
                Some((_, joined)) => *joined += &format!(", {value}"),
                None => expected.push((name, value.clone())),
            }
        }
        let headers: Vec<(&[u8], &[u8])> =
            headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let mut made = Vec::new();
        let emitted = Variables::new(b"GET", b"/").emit(Role::Responder, &headers, |name, value| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            made.push((text(name), text(&value.parts().collect::<Vec<_>>().concat())));
            Ok::<(), VariablesError>(())
        });
        assert_eq!(emitted, Ok(()));
        made.retain(|(name, _)| name.starts_with("HTTP_"));
        assert_eq!(made, expected, "{names} names");
    }
}

#[test]
fn content_type_has_a_variable_of_its_own_and_content_length_is_the_callers() {
    let headers = [("content-type", "text/plain"), ("Content-Length", "7"), ("CONTENT-LENGTH", "8")];
    assert_eq!(of_headers(&headers), map(&[("CONTENT_TYPE", "text/plain")]));
    let request = Variables { content_length: Some(0), ..Variables::new(b"POST", b"/") };
    let made = make(&request, Role::Responder, &headers).unwrap();
    assert_eq!(made.get("CONTENT_LENGTH").map(String::as_str), Some("0"));
}

#[test]
fn authorization_is_dropped_unless_asked_for() {
    let headers = [("AUTHORIZATION", "Basic eDp5"), ("Proxy-Authorization", "Basic eDp5")];
    assert_eq!(of_headers(&headers), map(&[]));
    let request = Variables { authorization: true, ..Variables::new(b"GET", b"/") };
    let made = make(&request, Role::Responder, &headers).unwrap();
    assert_eq!(made.get("HTTP_AUTHORIZATION").map(String::as_str), Some("Basic eDp5"));
    assert!(!made.contains_key("HTTP_PROXY_AUTHORIZATION"));
}

#[test]
fn fields_of_the_http_connection_are_not_passed_on() {
    let headers = [
        ("Connection", "close, X-Kept"),
        ("keep-alive", "5"),
        ("Transfer-Encoding", "chunked"),
        ("TE", "trailers"),
        ("Trailer", "X"),
        ("Upgrade", "h2c"),
        ("Proxy-Connection", "close"),
        ("X-Kept", "a"),
    ];
    assert_eq!(of_headers(&headers), map(&[("HTTP_X_KEPT", "a")]));
}

#[test]
fn nginx_2026_01_15_http_host_is_the_authority() {
    let host = |target: &[u8], authority: Option<&[u8]>, header: &str| {
        let request = Variables { authority, ..Variables::new(b"GET", target) };
        make(&request, Role::Responder, &[("host", header)]).unwrap().remove("HTTP_HOST")
    };
    assert_eq!(host(b"/", None, "a:81").as_deref(), Some("a:81"));
    assert_eq!(host(b"/", Some(b"b"), "a").as_deref(), Some("b"));
    assert_eq!(host(b"http://c:82/x?y", None, "a").as_deref(), Some("c:82"));
    assert_eq!(host(b"http://c?y", Some(b"b"), "a").as_deref(), Some("b"));
    assert_eq!(host(b"/http://c/", None, "a").as_deref(), Some("a"));
    assert_eq!(make(&full(), Role::Responder, &[]).unwrap().get("HTTP_HOST"), None);
    let twice = make(&full(), Role::Responder, &[("Host", "a"), ("HOST", "a")]);
    assert_eq!(twice, Err(VariablesError::Host));
}

#[test]
fn haproxy_2020_07_23_the_query_string_is_raw() {
    let query = |target: &[u8]| {
        make(&Variables::new(b"GET", target), Role::Responder, &[]).unwrap().remove("QUERY_STRING").unwrap()
    };
    assert_eq!(query(b"/a?b=%0a%00+%zz&c?d#e"), "b=%0a%00+%zz&c?d#e");
    assert_eq!(query(b"/a?"), "");
    assert_eq!(query(b"http://h?a"), "a");
}

#[test]
fn n5_values_with_nul_cr_or_lf_are_refused_before_anything_is_handed_out() {
    let refused = |request: &Variables<'_>, headers: &[(&[u8], &[u8])], byte| {
        let result = request.emit(Role::Responder, headers, |_, _| -> Result<(), VariablesError> {
            panic!("handed out");
        });
        assert_eq!(result, Err(VariablesError::Value { byte }));
    };
    let good = Variables::new(b"GET", b"/");
    for (bad, byte) in [(&b"a\0b"[..], 0), (b"a\r", b'\r'), (b"\nb", b'\n')] {
        refused(&good, &[(b"X-A", b"a"), (b"X-B", bad)], byte);
        refused(&good, &[(b"X-A", b"a"), (b"X-A", bad)], byte);
        refused(&good, &[(b"Host", bad)], byte);
        refused(&Variables::new(bad, b"/"), &[], byte);
        refused(&Variables::new(b"GET", bad), &[], byte);
        refused(&Variables { path_info: bad, ..good }, &[], byte);
        refused(&Variables { script_filename: bad, ..good }, &[], byte);
        refused(&Variables { authority: Some(bad), ..good }, &[], byte);
        refused(&Variables { remote_user: bad, ..good }, &[], byte);
    }
    refused(&Variables { extra: &[(b"A", b"b\0c")], ..good }, &[], 0);
}

#[test]
fn names_of_headers_have_a_limit() {
    let [fits, long] = [NAME_LIMIT, NAME_LIMIT + 1].map(|len| "a".repeat(len));
    assert_eq!(of_headers(&[(&fits, "x")]), map(&[(&format!("HTTP_{}", fits.to_uppercase()), "x")]));
    let refused = make(&full(), Role::Responder, &[(&long, "x")]);
    assert_eq!(refused, Err(VariablesError::NameTooLong { len: NAME_LIMIT + 1 }));
    assert_eq!(of_headers(&[(&format!("_{long}"), "x")]), map(&[]));
}

#[test]
fn extra_variables_take_the_place_of_others_but_for_lengths() {
    let extra: [(&[u8], &[u8]); 7] = [
        (b"SERVER_NAME", b"first"),
        (b"HTTP_CONTENT_LENGTH", b"1"),
        (b"HTTP_X_USER", b"somebody"),
        (b"SERVER_NAME", b"last"),
        (b"PHP_VALUE", b"a=1\nb=2"),
        (b"CONTENT_LENGTH", b"1"),
        (b"FCGI_DATA_LENGTH", b"1"),
    ];
    let request = Variables { extra: &extra, ..full() };
    let made = make(&request, Role::Filter, &[("X-User", "root"), ("x-user", "root")]).unwrap();
    let expected = [
        ("SERVER_NAME", "last"),
        ("HTTP_X_USER", "somebody"),
        ("PHP_VALUE", "a=1\nb=2"),
        ("CONTENT_LENGTH", "18446744073709551615"),
        ("HTTP_CONTENT_LENGTH", "18446744073709551615"),
        ("FCGI_DATA_LENGTH", "9"),
    ];
    for (name, value) in expected {
        assert_eq!(made.get(name).map(String::as_str), Some(value), "{name}");
    }
    let request = Variables { content_length: None, extra: &extra, ..full() };
    assert_eq!(make(&request, Role::Responder, &[]).unwrap().get("CONTENT_LENGTH"), None);
    for name in [&b""[..], b"A\0", b"A=b"] {
        let request = Variables { extra: &[(name, b"x")], ..full() };
        assert_eq!(make(&request, Role::Responder, &[]), Err(VariablesError::ExtraName));
    }
}

#[test]
fn addresses_are_ipv4_where_they_can_be_and_names_of_ipv6_have_brackets() {
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let request = Variables {
        peer: Some("[::ffff:192.0.2.1]:1".parse().unwrap()),
        server: Some(format!("[{longest}]:443").parse().unwrap()),
        ..Variables::new(b"GET", b"/")
    };
    let made = make(&request, Role::Responder, &[]).unwrap();
    assert_eq!(made["REMOTE_ADDR"], "192.0.2.1");
    assert_eq!(made["SERVER_ADDR"], longest);
    assert_eq!(made["SERVER_NAME"], format!("[{longest}]"));
    let request = Variables { https: true, ..Variables::new(b"GET", b"/") };
    assert_eq!(make(&request, Role::Responder, &[]).unwrap()["SERVER_PORT"], "443");
}

#[test]
fn the_first_error_of_the_sink_ends_it() {
    #[derive(Debug, PartialEq)]
    struct Full;
    impl From<VariablesError> for Full {
        fn from(_: VariablesError) -> Self {
            Self
        }
    }
    let mut calls = 0;
    let result = full().emit(Role::Responder, &[], |_, _| {
        calls += 1;
        if calls == 3 { Err(Full) } else { Ok(()) }
    });
    assert_eq!((result, calls), (Err(Full), 3));
}

#[test]
fn cve_2019_11043_path_info_is_what_it_is_or_not_there() {
    for (path_info, expected) in [(&b""[..], None), (b"/", Some("/")), (b"/longer/than/the/script", None)] {
        let request = Variables { script_name: b"/x.php", path_info, ..Variables::new(b"GET", b"/x.php") };
        let made = make(&request, Role::Responder, &[]).unwrap();
        let expected = expected.or(std::str::from_utf8(path_info).ok().filter(|path| !path.is_empty()));
        assert_eq!(made.get("PATH_INFO").map(String::as_str), expected);
    }
}
