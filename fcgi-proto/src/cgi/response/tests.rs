//! What is read of STDOUT, one decision a test.

extern crate std;

use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use ResponseHeadError as E;

use super::*;
use crate::cgi::Status;

type Reading = Result<(ResponseHead<Vec<u8>>, Vec<u8>), ResponseHeadError>;

/// The head, and the body, of STDOUT in these chunks.
fn read_in(chunks: &[&[u8]], limit: usize) -> Reading {
    let mut head = ResponseHead::new(vec![0; limit]);
    let mut body = Vec::new();
    for chunk in chunks {
        match head.push(chunk) {
            Ok(Some(rest)) => {
                assert!(head.is_complete());
                body.extend_from_slice(rest);
            }
            Ok(None) => assert!(!head.is_complete() && body.is_empty()),
            Err(error) => {
                assert_eq!(head.push(b"\n\n"), Err(error), "sticky");
                assert_eq!(head.finish(), Err(error));
                return Err(error);
            }
        }
    }
    head.finish().map(|()| (head, body))
}

/// Everything that a reading says.
fn summary(reading: &Reading) -> Result<String, ResponseHeadError> {
    let (head, body) = reading.as_ref().map_err(|error| *error)?;
    let text = |bytes: &[u8]| format!("{}", bytes.escape_ascii());
    let mut all = format!("{} {}", head.status().code(), text(head.reason()));
    for (name, value) in head.fields() {
        all += &format!("|{}={}", text(name), text(value));
    }
    Ok(all + "||" + &text(body))
}

/// Read whole, at every split point and byte by byte.
fn read_within(stdout: &[u8], limit: usize) -> Reading {
    let whole = read_in(&[stdout], limit);
    let expected = summary(&whole);
    for cut in 0..=stdout.len() {
        let (before, after) = stdout.split_at(cut);
        assert_eq!(summary(&read_in(&[before, after], limit)), expected, "{stdout:?} at {cut}");
        assert_eq!(summary(&read_in(&[before, b"", after], limit)), expected);
    }
    let single: Vec<&[u8]> = stdout.chunks(1).collect();
    assert_eq!(summary(&read_in(&single, limit)), expected, "{stdout:?} byte by byte");
    whole
}

fn read(stdout: &[u8]) -> Reading {
    read_within(stdout, 512)
}

fn says(stdout: &str) -> String {
    summary(&read(stdout.as_bytes())).unwrap_or_else(|error| format!("{error:?}"))
}

#[test]
fn a_head_is_read_in_any_cut_and_the_rest_is_body() {
    assert_eq!(
        says("Status: 404 Not Found\r\nContent-Type: text/plain\r\nX:\r\n\r\nbody\r\n\r\nmore"),
        "404 Not Found|Content-Type=text/plain|X=||body\\r\\n\\r\\nmore"
    );
    assert_eq!(says("Content-Type: a/b\n\n"), "200 OK|Content-Type=a/b||");
    assert_eq!(says("\r\nbody"), "200 OK||body");
    assert_eq!(says("\n"), "200 OK||");
}

#[test]
fn lines_end_with_crlf_or_lf_also_mixed() {
    let expected = "200 OK|A=b|C=d||\\r\\n";
    for stdout in ["A: b\r\nC: d\r\n\r\n\r\n", "A: b\nC: d\n\n\r\n", "A: b\r\nC: d\n\r\n\r\n"] {
        assert_eq!(says(stdout), expected);
    }
    assert_eq!(says("A: b\nC: d\r\n\n\r\n"), expected);
}

#[test]
fn the_status_is_given_with_or_without_a_reason_or_200_or_302() {
    assert_eq!(says("Status: 404 Nobody  here \n\n"), "404 Nobody  here||");
    assert_eq!(says("status:404\n\n"), "404 Not Found||");
    assert_eq!(says("STATUS: \t599 \n\n"), "599 Unassigned||");
    assert_eq!(says("X: y\nStatus: 201 Made\n\n"), "201 Made|X=y||");
    assert_eq!(says("Location: /a\n\n"), "302 Found|Location=/a||");
    assert_eq!(says("location: http://h/\nStatus: 301 M\n\n"), "301 M|location=http://h/||");
    assert_eq!(says("Status: 200 OK\nLocation: /a\n\n"), "200 OK|Location=/a||");
}

#[test]
fn a_status_that_is_none_or_informational_or_said_twice_is_refused() {
    for wrong in ["", "OK", "20", "2000", "200OK", "+20 x", "-20", "099 x", "100 Continue", "103", "199"] {
        assert_eq!(read(format!("Status: {wrong}\n\n").as_bytes()).err(), Some(E::Status), "{wrong}");
    }
    assert_eq!(read(b"Status: 200 OK\nStatus: 200 OK\n\n").err(), Some(E::Repeated));
    assert_eq!(read(b"Location: /a\nX: y\nlocation: /b\n\n").err(), Some(E::Repeated));
}

#[test]
fn s7_a_status_line_of_http_is_refused_by_its_name() {
    for stdout in ["HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.0 404 a: b\n\n", "A: b\nHTTP/2 200\n\n"] {
        assert_eq!(read(stdout.as_bytes()).err(), Some(E::StatusLine), "{stdout}");
    }
}

#[test]
fn cve_2012_1180_nul_and_bare_cr_are_refused_and_a_bare_lf_ends_the_line() {
    assert_eq!(read(b"X: a\0b\r\n\r\n").err(), Some(E::Value { byte: 0 }));
    assert_eq!(read(b"X: \0\r\n\r\n").err(), Some(E::Value { byte: 0 }));
    assert_eq!(read(b"X\0Y: a\r\n\r\n").err(), Some(E::Name { byte: 0 }));
    assert_eq!(read(b"X: a\rSet-Cookie: b\r\n\r\n").err(), Some(E::Value { byte: b'\r' }));
    assert_eq!(read(b"X: a\r\r\n\r\n").err(), Some(E::Value { byte: b'\r' }));
    assert_eq!(read(b"X: \r \n\r\n").err(), Some(E::Value { byte: b'\r' }));
    assert_eq!(read(b"X\r: a\r\n\r\n").err(), Some(E::Name { byte: b'\r' }));
    assert_eq!(read(b"A: b\r\n\r\r\n").err(), Some(E::NoColon));
    assert_eq!(read(b"Status: 200 O\0K\n\n").err(), Some(E::Value { byte: 0 }));
    assert_eq!(says("X: a\nSet-Cookie: b\r\n\r\n"), "200 OK|X=a|Set-Cookie=b||");
}

#[test]
fn lines_that_are_no_fields_are_refused_with_the_byte() {
    assert_eq!(read(b": a\n\n").err(), Some(E::Name { byte: b':' }));
    assert_eq!(read(b"a b: c\n\n").err(), Some(E::Name { byte: b' ' }));
    assert_eq!(read(b"Name : c\n\n").err(), Some(E::Name { byte: b' ' }));
    assert_eq!(read(b"\xef\xbb\xbfName: c\n\n").err(), Some(E::Name { byte: 0xef }));
    assert_eq!(read(b"{\"json\": 1}\n\n").err(), Some(E::Name { byte: b'{' }));
    assert_eq!(read(b"Hello\n\n").err(), Some(E::NoColon));
    assert_eq!(read(b"A: b\n folded\n\n").err(), Some(E::Folded));
    assert_eq!(read(b"\tA: b\n\n").err(), Some(E::Folded));
    assert_eq!(read(b"A: b\n \n\n").err(), Some(E::Folded));
}

#[test]
fn equal_names_are_all_kept_in_order_and_values_are_trimmed() {
    assert_eq!(
        says("Set-Cookie: a=1\r\nX: \t y z\t \r\nset-cookie: b=2; c: d\r\n\r\n"),
        "200 OK|Set-Cookie=a=1|X=y z|set-cookie=b=2; c: d||"
    );
    let (head, _) = read(b"Set-Cookie: a\nset-cookie: b\nStatus: 200 OK\n\n").unwrap();
    assert_eq!(head.get(b"SET-COOKIE"), Some(&b"a"[..]));
    assert_eq!((head.get(b"Status"), head.get(b"X")), (None, None));
}

#[test]
fn cve_2014_3583_heads_of_8191_8192_8193_and_65536_bytes_and_one_that_never_ends() {
    for (size, fits) in [(8191, true), (8192, true), (8193, false), (65_536, false)] {
        let mut stdout = vec![b'a'; size - 7];
        stdout.splice(..0, *b"X: ");
        stdout.extend_from_slice(b"\r\n\r\n");
        assert_eq!(stdout.len(), size);
        stdout.extend_from_slice(b"body");
        for most in [1, 2, 7, 4096, 8191, 8192, 8193, 100_000] {
            let chunks: Vec<&[u8]> = stdout.chunks(most).collect();
            match read_in(&chunks, 8192) {
                Ok((head, body)) => {
                    assert!(fits && body == b"body");
                    assert_eq!(head.get(b"x").map(<[u8]>::len), Some(size - 7));
                }
                Err(error) => assert!(!fits && error == E::TooLong { limit: 8192 }),
            }
        }
    }
    for line in [&b"a"[..], b"X: y\r\n", b"\r", b"\0"] {
        let mut head = ResponseHead::new([0; 8192]);
        let endless = (0..10_000).find_map(|_| head.push(line).err());
        assert_eq!(endless, Some(E::TooLong { limit: 8192 }), "{line:?}");
    }
}

#[test]
fn a_head_as_long_as_the_room_is_taken_and_one_byte_more_is_not() {
    let stdout = b"A: b\r\nCc: d\n\r\nbody";
    assert_eq!(summary(&read_within(stdout, 14)), Ok("200 OK|A=b|Cc=d||body".into()));
    for limit in 0..14 {
        assert_eq!(read_within(stdout, limit).err(), Some(E::TooLong { limit }));
    }
}

#[test]
fn mod_fcgid_2_3_6_a_response_without_any_output_is_an_error_of_its_own() {
    assert_eq!(read(b"").err(), Some(E::Empty));
    assert_eq!(ResponseHead::new([0; 16]).finish(), Err(E::Empty));
}

#[test]
fn a_response_that_ends_inside_its_head_is_unfinished() {
    let whole = b"Status: 200 OK\r\nA: b\r\n\r\n";
    for len in 1..whole.len() {
        assert_eq!(read(&whole[..len]).err(), Some(E::Unfinished { len }));
    }
}

#[test]
fn a_location_is_local_with_one_slash_and_absolute_else() {
    let cases = [
        ("/a?b", Some(Location::Local(&b"/a?b"[..]))),
        ("/", Some(Location::Local(b"/"))),
        ("//evil.example/a", Some(Location::Absolute(b"//evil.example/a"))),
        ("http://h/a", Some(Location::Absolute(b"http://h/a"))),
        ("other.html", Some(Location::Absolute(b"other.html"))),
        ("", Some(Location::Absolute(b""))),
    ];
    for (value, expected) in cases {
        let (head, _) = read(format!("LOCATION: {value}\n\n").as_bytes()).unwrap();
        assert_eq!(head.location(), expected, "{value}");
    }
    assert_eq!(read(b"X: /a\n\n").unwrap().0.location(), None);
}

#[test]
fn a_local_redirect_has_no_status_and_no_fragment() {
    let redirect = |stdout: &[u8]| read(stdout).unwrap().0.local_redirect().map(<[u8]>::to_vec);
    assert_eq!(redirect(b"Location: /a?b\n\n"), Some(b"/a?b".to_vec()));
    assert_eq!(redirect(b"Status: 302 Found\nLocation: /a?b\n\n"), None);
    assert_eq!(redirect(b"Location: /a#b\n\n"), None);
    assert_eq!(redirect(b"Location: //h/a\n\n"), None);
    assert_eq!(redirect(b"X: /a\n\n"), None);
}

#[test]
fn w23_haproxy_2022_04_07_head_204_and_304_have_no_body() {
    let has = |status: &str, method: &[u8]| {
        let (head, _) = read(format!("Status: {status}\nContent-Length: 5\n\n").as_bytes()).unwrap();
        head.has_body(method)
    };
    assert!(has("200", b"GET") && has("404", b"POST") && has("200", b"head"));
    assert!(!has("200", b"HEAD") && !has("204", b"GET") && !has("304", b"GET"));
}

#[test]
fn a_content_length_is_one_number_of_64_bits() {
    let length = |fields: &str| read(format!("X: y\n{fields}\n").as_bytes()).unwrap().0.content_length();
    assert_eq!(length(""), Ok(None));
    assert_eq!(length("content-length: 0\n"), Ok(Some(0)));
    assert_eq!(length("Content-Length: 18446744073709551615\n"), Ok(Some(u64::MAX)));
    assert_eq!(length("Content-Length: 5\nX: z\nCONTENT-LENGTH: 05\n"), Ok(Some(5)));
    for wrong in ["", "-1", "+5", "5 5", "5, 5", "0x5", "5a", "18446744073709551616", "99999999999999999999"]
    {
        assert_eq!(length(&format!("Content-Length: {wrong}\n")), Err(E::ContentLength), "{wrong}");
    }
    assert_eq!(length("Content-Length: 5\nContent-Length: 6\n"), Err(E::ContentLength));
    assert_eq!(length("Content-Length: 5\nContent-Length: x\n"), Err(E::ContentLength));
}

#[test]
fn cve_2020_24553_no_content_type_is_guessed() {
    assert_eq!(read(b"Status: 200 OK\n\n<html>").unwrap().0.get(b"Content-Type"), None);
}

#[test]
fn cve_2011_2766_nothing_of_one_response_is_seen_in_the_next() {
    let mut head = ResponseHead::new([0; 128]);
    head.push(b"Status: 404 No\nLocation: /a\nX: y\n\n").unwrap();
    head.clear();
    assert_eq!(head.finish(), Err(E::Empty));
    assert_eq!((head.status(), head.location(), head.fields().count()), (Status::OK, None, 0));
    assert_eq!(head.push(b"Hello\n"), Err(E::NoColon));
    head.clear();
    assert_eq!(head.push(b"A: b\n\nbody"), Ok(Some(&b"body"[..])));
    assert_eq!((head.reason(), head.fields().count()), (&b"OK"[..], 1));
}

#[test]
fn fields_of_one_connection_are_hop_by_hop_and_others_are_not() {
    for name in ["connection", "Transfer-Encoding", "KEEP-ALIVE", "Upgrade", "TE", "Proxy-Connection"] {
        assert!(crate::cgi::is_hop_by_hop(name.as_bytes()), "{name}");
    }
    for name in ["Content-Length", "Proxy-Status", "Proxy", "X-Upgrade", "", "Status"] {
        assert!(!crate::cgi::is_hop_by_hop(name.as_bytes()), "{name}");
    }
}

/// The variables of an Authorizer that allows; `None` if it denies.
fn allowed(stdout: &str) -> Option<String> {
    let (head, _) = read(stdout.as_bytes()).unwrap();
    match head.decision().unwrap() {
        Decision::Denied => None,
        Decision::Allowed(variables) => Some(
            variables
                .map(|(name, value)| format!("{}={};", name.escape_ascii(), value.escape_ascii()))
                .collect(),
        ),
    }
}

#[test]
fn u3_an_authorizer_allows_with_200_alone() {
    assert_eq!(allowed("Status: 200 OK\n\n").as_deref(), Some(""));
    assert_eq!(allowed("Content-Type: text/html\n\n").as_deref(), Some(""));
    for status in ["201", "204", "206", "302", "401", "403", "500", "999"] {
        assert_eq!(allowed(&format!("Status: {status}\n\n")), None, "{status}");
    }
}

#[test]
fn u4_variable_fields_of_a_200_answer_give_names_and_values() {
    let stdout = "Status: 200 OK\nVariable-AUTH_METHOD: database lookup\nvariable-user:\nVARIABLE-X-Y: z\n\n";
    assert_eq!(allowed(stdout).as_deref(), Some("AUTH_METHOD=database lookup;user=;X-Y=z;"));
}

#[test]
fn u5_other_fields_and_the_body_of_a_200_answer_are_ignored() {
    let stdout = "Status: 200\nVariable-: a\nVariable: b\nX-Variable-A: c\nLocation: /d\n\nVariable-B: e\n\n";
    assert_eq!(allowed(stdout).as_deref(), Some(""));
}

#[test]
fn u6_any_other_status_denies_and_keeps_the_response_for_the_http_client() {
    let (head, body) = read(b"Status: 401 Who?\nWWW-Authenticate: Basic\nVariable-A: b\n\nGo away").unwrap();
    assert!(matches!(head.decision(), Ok(Decision::Denied)));
    assert_eq!((head.status(), head.reason()), (Status::UNAUTHORIZED, &b"Who?"[..]));
    assert_eq!((head.fields().count(), body.as_slice()), (2, &b"Go away"[..]));
}

#[test]
fn mod_fcgid_2_3_8_an_authorizer_with_a_location_denies() {
    assert_eq!(allowed("Location: /login\n\n"), None);
    assert_eq!(allowed("Location: https://h/login\n\n"), None);
}

#[test]
fn lighttpd_3106_a_decision_is_not_there_before_the_head_is_whole() {
    let mut head = ResponseHead::new([0; 128]);
    assert_eq!(head.decision().err(), Some(E::Empty));
    head.push(b"Status: 200 OK\r\nVariable-A: b\r\n").unwrap();
    assert_eq!(head.decision().err(), Some(E::Unfinished { len: 31 }));
    assert!(head.push(b"Hello\r\n\r\n").is_err());
    assert_eq!(head.decision().err(), Some(E::NoColon));
}
