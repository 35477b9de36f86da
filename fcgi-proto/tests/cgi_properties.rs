//! Properties of response heads and of CGI variables that hold for all inputs: the incremental reader agrees
//! with a plain one for any cuts, what it takes is clean, it reads what [`Head`] writes; no request makes a
//! variable that is not its own.

use std::collections::HashSet;

use fcgi_proto::cgi::{
    Decision, Head, HeadEnd, HeadError, ResponseHead, ResponseHeadError, Status, Target, Variables,
    VariablesError, decode_path,
};
use fcgi_proto::record::Role;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

/// The same cases at every run.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(1996), failure_persistence: None, ..Default::default() }
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Debug, PartialEq)]
struct Response {
    status: u16,
    reason: Vec<u8>,
    fields: Fields,
    body: Vec<u8>,
}

fn trim(value: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = value.iter().position(is_text).unwrap_or(value.len());
    let end = value.iter().rposition(is_text).map_or(start, |last| last + 1);
    &value[start..end]
}

fn is(name: &[u8], other: &str) -> bool {
    name.to_ascii_lowercase() == other.to_ascii_lowercase().as_bytes()
}

/// Reads all of STDOUT at once, with all the memory it wants; an error is just one.
fn plain(stdout: &[u8], limit: usize) -> Option<Response> {
    let mut response = Response { status: 0, reason: Vec::new(), fields: Vec::new(), body: Vec::new() };
    let mut at = 0;
    for line in stdout.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let line = line.strip_suffix(b"\n")?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if at > limit {
            return None;
        }
        if line.is_empty() {
            response.body = stdout[at..].to_vec();
            if response.status == 0 {
                let located = response.fields.iter().any(|(name, _)| is(name, "Location"));
                response.status = if located { 302 } else { 200 };
            }
            if response.reason.is_empty() {
                response.reason = Status::new(response.status)?.reason().into();
            }
            return Some(response);
        }
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
        let value = trim(&value[1..]);
        let is_token = |byte: &u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(byte);
        if name.is_empty() || !name.iter().all(is_token) || value.iter().any(|byte| b"\r\0".contains(byte)) {
            return None;
        }
        if is(name, "Status") {
            let (digits, reason) = value.split_at_checked(3)?;
            let is_number = digits.iter().all(u8::is_ascii_digit) && digits[0] >= b'2';
            if response.status != 0 || !is_number || reason.first().is_some_and(|byte| *byte != b' ') {
                return None;
            }
            response.status = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
            response.reason = reason.trim_ascii().to_vec();
            continue;
        }
        if is(name, "Location") && response.fields.iter().any(|(name, _)| is(name, "Location")) {
            return None;
        }
        response.fields.push((name.to_vec(), value.to_vec()));
    }
    None
}

/// Reads STDOUT in these chunks.
fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Result<Response, ResponseHeadError> {
    let mut head = ResponseHead::new(vec![0; limit]);
    let mut body = Vec::new();
    for chunk in chunks {
        if let Some(rest) = head.push(chunk)? {
            body.extend_from_slice(rest);
        }
    }
    head.finish()?;
    let fields = head.fields().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    Ok(Response { status: head.status().code(), reason: head.reason().to_vec(), fields, body })
}

/// Cuts bytes at these places.
fn cut<'a>(bytes: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// Bytes that look like a head, almost: lines, pieces of lines and noise.
fn almost_a_head() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"Status: 404 Not Found\r\n",
        b"status:200\n",
        b"Status: ",
        b"Location: /a\r\n",
        b"Set-Cookie: a=b\r\n",
        b"Content-Length: 5\n",
        b"Variable-A: b\n",
        b"X-Other:\t c d \t\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"X",
        b":",
        b" ",
        b"\t",
        b"\0",
        b"HTTP/1.1 200 OK\r\n",
        b"\r\n\r\n",
    ];
    let lines = select(pieces[..8].to_vec()).prop_map(<[u8]>::to_vec);
    let pieces = select(pieces).prop_map(<[u8]>::to_vec);
    let piece = prop_oneof![8 => lines, 3 => pieces, 1 => vec(any::<u8>(), 1..4)];
    let body = prop_oneof![Just(&b""[..]), Just(&b"\r\n"[..]), Just(&b"\nbody\n\n"[..])];
    (vec(piece, 0..8), body).prop_map(|(pieces, body)| [&pieces.concat()[..], body].concat())
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let token = select(b"abcXYZ019!#$%&'*+-.^_`|~".to_vec());
    let known = select(vec!["Content-Type", "set-cookie", "X", "Variable-A", "Content-Length", "LOCATION"]);
    prop_oneof![vec(token, 1..12), known.prop_map(|name| name.into())]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>().prop_filter("no CR, LF, NUL", |byte| !b"\r\n\0".contains(byte)), 0..20)
}

fn header_name() -> impl Strategy<Value = Vec<u8>> {
    let known = select(vec![
        "Host",
        "Cookie",
        "cookie",
        "Proxy",
        "PROXY",
        "Content-Length",
        "Content-Type",
        "content-type",
        "X_Forwarded_For",
        "X-Forwarded-For",
        "x-forwarded-for",
        "X.Forwarded.For",
        "TE",
        "Connection",
        "Redirect-Status",
        "Authorization",
        "HTTP_PROXY",
        "",
    ]);
    prop_oneof![3 => known.prop_map(|name| name.into()), 1 => vec(select(b"abAB-_".to_vec()), 1..4)]
}

proptest! {
    #![proptest_config(config(6_000))]

    #[test]
    fn the_incremental_reader_agrees_with_a_plain_one_for_any_cut(
        stdout in almost_a_head(),
        places in vec(any::<usize>(), 0..6),
        limit in prop_oneof![Just(1000_usize), 0..100_usize],
    ) {
        let expected = plain(&stdout, limit);
        let whole = read([&stdout[..]], limit);
        prop_assert_eq!(whole.as_ref().ok(), expected.as_ref());
        prop_assert_eq!(&read(cut(&stdout, &places), limit), &whole);
        prop_assert_eq!(&read(stdout.chunks(1), limit), &whole);
    }

    #[test]
    fn what_is_taken_is_free_of_cr_lf_and_nul(stdout in almost_a_head()) {
        let mut head = ResponseHead::new([0; 1000]);
        if let Ok(Some(body)) = head.push(&stdout) {
            let mut texts = vec![head.reason()];
            texts.extend(head.fields().flat_map(|(name, value)| [name, value]));
            texts.extend(head.get(b"Location"));
            if let Ok(Decision::Allowed(variables)) = head.decision() {
                texts.extend(variables.flat_map(|(name, value)| [name, value]));
            }
            for text in texts {
                prop_assert!(!text.iter().any(|byte| b"\r\n\0".contains(byte)), "{:?}", text);
            }
            prop_assert!(head.fields().all(|(name, _)| !name.is_empty() && !is(name, "Status")));
            prop_assert_eq!(HeadEnd::default().find(&stdout), Some(stdout.len() - body.len()));
        } else {
            prop_assert!(!head.is_complete() && head.decision().is_err());
        }
    }

    #[test]
    fn what_a_head_says_is_read_back_equal(
        code in 200..=999_u16,
        fields in vec((name(), prop_oneof![3 => value(), 1 => select(vec![b"5".to_vec(), b" 05".to_vec()])]), 0..8),
        places in vec(any::<usize>(), 0..6),
    ) {
        let (mut fields, mut located) = (fields, false);
        let status = Status::new(code).unwrap();
        let mut head = Head::new([0; 2000]);
        head.start(status).unwrap();
        fields.retain(|(name, value)| {
            let again = is(name, "Location") && std::mem::replace(&mut located, true);
            let number = trim(value);
            let is_number = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
            let expected = match () {
                () if is(name, "Status") => Err(HeadError::Status),
                () if again => Err(HeadError::Repeated),
                () if is(name, "Content-Length") && !is_number => Err(HeadError::ContentLength),
                () => Ok(()),
            };
            let taken = head.field(name, value);
            // Two lengths may differ.
            assert!(taken == expected || is(name, "Content-Length") && taken == Err(HeadError::ContentLength));
            taken.is_ok()
        });
        let written = [head.finish().unwrap(), b"body"].concat();

        let described = fields.iter().any(|(name, _)| is(name, "Content-Type") || is(name, "Location"));
        if !described && status.has_body(None) {
            fields.push((b"Content-Type".to_vec(), b"application/octet-stream".to_vec()));
        }
        if code != 302 {
            fields.sort_by_key(|(name, _)| !is(name, "Location"));
        }
        for (_, value) in &mut fields {
            *value = trim(value).to_vec();
        }
        let (reason, body) = (status.reason().into(), b"body".to_vec());
        let expected = Response { status: code, reason, fields, body };
        prop_assert_eq!(read(cut(&written, &places), written.len() - 4), Ok(expected));
        let mut read = ResponseHead::new([0; 2000]);
        prop_assert!(read.push(&written).is_ok() && read.content_length().is_ok());
    }

    #[test]
    fn what_a_head_adopts_is_read_as_it_was(stdout in almost_a_head()) {
        let Some(end) = HeadEnd::default().find(&stdout) else { return Ok(()) };
        let Ok(read_before) = read([&stdout[..end]], 1000) else { return Ok(()) };
        let mut head = Head::new([0; 2000]);
        prop_assert_eq!(head.adopt(&stdout[..end]), Ok(()));
        let read_after = read([head.finish().unwrap()], 2000).unwrap();
        prop_assert_eq!(read_after.status, read_before.status);
        prop_assert_eq!(read_after.reason, read_before.reason);
        let missing = read_before.fields.iter().find(|field| !read_after.fields.contains(field));
        prop_assert!(missing.is_none(), "{:?}", missing);
    }

    #[test]
    fn headers_make_no_variable_but_their_own_and_none_twice(
        headers in vec((header_name(), prop_oneof![8 => value(), 1 => Just(b"a\0b".to_vec())]), 0..8),
        authorization in any::<bool>(),
    ) {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let mut request = Variables::new(b"GET", b"/a?b");
        request.authorization = authorization;
        let made = |headers: &[(&[u8], &[u8])]| {
            let mut made = Vec::new();
            let result = request.emit(Role::Responder, headers, |name, value| -> Result<(), VariablesError> {
                made.push((name.to_vec(), value.parts().collect::<Vec<_>>().concat()));
                Ok(())
            });
            (made, result)
        };
        let (bare, _) = made(&[]);
        let (all, result) = made(&headers);
        let passes = |name: &[u8]| {
            let dropped = ["", "proxy", "redirect-status", "content-length", "te", "connection"];
            name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
                && !dropped.iter().any(|dropped| is(name, dropped))
                && (authorization || !is(name, "authorization"))
        };
        let variable = |name: &[u8]| {
            let upper = String::from_utf8(name.to_ascii_uppercase()).unwrap().replace('-', "_");
            if upper == "CONTENT_TYPE" { upper } else { format!("HTTP_{upper}") }.into_bytes()
        };
        let hosts = headers.iter().filter(|(name, _)| is(name, "host")).count();
        if hosts > 1 || headers.iter().any(|(name, value)| passes(name) && value.contains(&0)) {
            prop_assert!(result.is_err() && all.is_empty());
            return Ok(());
        }
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(&all[..bare.len()], &bare[..]);
        let names: HashSet<_> = all.iter().map(|(name, _)| name).collect();
        prop_assert_eq!(names.len(), all.len());
        let mut expected: Fields = Vec::new();
        for (name, value) in headers.iter().filter(|(name, _)| passes(name)) {
            let name = variable(name);
            let separator: &[u8] = if name == b"HTTP_COOKIE" { b"; " } else { b", " };
            match expected.iter_mut().find(|(other, _)| *other == name) {
                Some((_, joined)) => joined.extend_from_slice(&[separator, value].concat()),
                None => expected.push((name, value.to_vec())),
            }
        }
        expected.sort_by_key(|(name, _)| name != b"HTTP_HOST");
        prop_assert_eq!(&all[bare.len()..], &expected[..]);
    }

    #[test]
    fn a_path_decodes_to_what_was_encoded(
        path in vec(any::<u8>().prop_filter("no control", |byte| !byte.is_ascii_control()), 0..30),
        plain in any::<bool>(),
    ) {
        let mut encoded = String::from("/");
        for byte in &path {
            let simple = plain && byte.is_ascii_alphanumeric();
            encoded += &if simple { char::from(*byte).to_string() } else { format!("%{byte:02x}") };
        }
        let decoded = [b"/", &path[..]].concat();
        let mut buffer = [0; 31];
        prop_assert_eq!(decode_path(encoded.as_bytes(), &mut buffer), Ok(&decoded[..]));
        encoded += "?%zz";
        prop_assert_eq!(decode_path(encoded.as_bytes(), &mut buffer), Ok(&decoded[..]));
    }

    #[test]
    fn the_parts_of_a_target_join_to_it(target in "(http://|https://|x:)?[/?#@:a-c]{0,12}") {
        let Target { authority, path, query, .. } = Target::parse(target.as_bytes());
        let tail = query.map_or(path.to_vec(), |query| [path, b"?", query].concat());
        match authority {
            None => prop_assert_eq!(&tail[..], target.as_bytes()),
            Some(authority) => {
                // A path that was not there is `/`.
                let [with, without] = [&tail[..], &tail[1..]].map(|tail| [authority, tail].concat());
                let target = target.as_bytes();
                prop_assert!(target.ends_with(&with) || path == b"/" && target.ends_with(&without));
                prop_assert!(!authority.iter().any(|byte| b"/?#@".contains(byte)));
            }
        }
        prop_assert!(!path.contains(&b'?'));
    }

    #[test]
    fn any_target_is_decoded_to_a_path_without_controls_or_refused(
        target in "/?[%/a-f0-9?#: @é]{0,20}",
        raw in vec(any::<u8>(), 0..20),
    ) {
        for target in [target.as_bytes(), &raw, &[b"/", &raw[..]].concat()] {
            let mut buffer = [0; 100];
            if let Ok(path) = decode_path(target, &mut buffer) {
                prop_assert!(path.starts_with(b"/") && !path.iter().any(u8::is_ascii_control));
                prop_assert!(path.len() <= target.len().max(1));
            }
        }
    }
}
