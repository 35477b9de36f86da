//! The request's side of CGI: variables made of a target and of header fields (RFC 3875, section 4.1), the path
//! of a target, and FCGI_WEB_SERVER_ADDRS (FastCGI 1.0, section 3.2). No request makes a variable that is not
//! its own, none comes twice, and none holds what its receivers would misread.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use arbitrary::{Result, Unstructured};
use fcgi_proto::cgi::{NAME_LIMIT, PathError, Target, Variables, VariablesError, decode_path, is_hop_by_hop};
use fcgi_proto::process::WebServerAddrs;
use fcgi_proto::record::Role;

use crate::plan::is_a_log_line;

/// Makes a request of the input: its lines are the target, FCGI_WEB_SERVER_ADDRS, then header fields and,
/// with `=`, further variables.
pub fn cgi_request(input: &[u8]) {
    run(Unstructured::new(input)).expect("a plan that is cut reads as zeros");
}

fn run(mut u: Unstructured<'_>) -> Result<()> {
    let flags: [bool; 6] = u.arbitrary()?;
    let role = *u.choose(&[Role::Responder, Role::Authorizer, Role::Filter])?;
    let (address, port): ([u8; 4], u16) = u.arbitrary()?;
    let length: u64 = u.arbitrary()?;
    let mut lines = u.take_rest().split(|byte| *byte == b'\n');
    let target = lines.next().unwrap_or(b"");
    let addrs = lines.next().unwrap_or(b"");
    let (mut headers, mut extra) = (Vec::new(), Vec::new());
    for line in lines.take(40) {
        let is_name = |byte: &u8| !matches!(byte, b':' | b'=');
        let (name, value) = line.split_at(line.iter().position(|byte| !is_name(byte)).unwrap_or(line.len()));
        if value.starts_with(b"=") {
            extra.push((name, &value[1..]));
        } else {
            headers.push((name, value.get(1..).unwrap_or(b"")));
        }
    }
    let (peer, server) = (SocketAddr::from((address, port)), Ipv4Addr::from(address).to_ipv6_mapped());
    peers(addrs, peer.ip());
    path(target, address[0].into());

    let [https, authorization, has_peer, has_server, has_length, known] = flags;
    let mut request = Variables::new(b"GET", target);
    (request.https, request.authorization, request.extra) = (https, authorization, &extra);
    request.peer = has_peer.then_some(peer);
    request.server = has_server.then_some(SocketAddr::from((server, port)));
    request.content_length = has_length.then_some(length);
    (request.data_length, request.data_last_mod) = (length, length);
    if known {
        (request.script_name, request.path_info) = (b"/script", target);
        (request.authority, request.server_name) = (Some(&b"an.authority"[..]), b"a.name");
    }
    variables(&request, role, &headers);
    Ok(())
}

/// A list of addresses lets in who is in it, and is refused if one of its items is something else.
fn peers(list: &[u8], peer: IpAddr) {
    let Ok(list) = std::str::from_utf8(list) else { return };
    let items: Vec<Option<IpAddr>> =
        list.split(',').map(|item| item.trim_matches(' ').parse().ok()).collect();
    match WebServerAddrs::parse(list) {
        Ok(addrs) => {
            assert!(!addrs.allows(None));
            let allowed = items.iter().any(|item| item.expect("an address").to_canonical() == peer);
            assert_eq!(addrs.allows(Some(peer)), allowed);
            assert!(items.into_iter().all(|item| addrs.allows(item)));
        }
        Err(error) => {
            assert_eq!(items.iter().position(Option::is_none), Some(error.index));
            is_a_log_line(&error);
        }
    }
}

/// The parts of a target are parts of it, and its path is decoded once.
fn path(target: &[u8], room: usize) {
    let Target { authority, path, query, .. } = Target::parse(target);
    let rest = [path, if query.is_some() { b"?" } else { b"" }, query.unwrap_or(b"")].concat();
    match authority {
        None => assert_eq!(rest, target),
        Some(authority) => {
            assert!(target.ends_with(&rest) || path == b"/");
            assert!(!authority.iter().any(|byte| b"/?#@".contains(byte)));
        }
    }

    let mut buffer = vec![0; room];
    match decode_path(target, &mut buffer) {
        Ok(decoded) => {
            assert_eq!(plain_path(path).as_deref(), Some(decoded));
            assert!(decoded.starts_with(b"/") && !decoded.iter().any(u8::is_ascii_control));
        }
        Err(error) => {
            is_a_log_line(&error);
            match (error, plain_path(path)) {
                (PathError::TooLong { limit }, Some(decoded)) => {
                    assert!(limit == room && decoded.len() > room)
                }
                (_, Some(decoded)) => panic!("{error}, and not {decoded:?}"),
                (_, None) => {}
            }
        }
    }
}

fn plain_path(path: &[u8]) -> Option<Vec<u8>> {
    let (mut decoded, mut at) = (Vec::new(), 0);
    while let Some(&byte) = path.get(at) {
        let escape = path.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let escape = escape.map(|digits| std::str::from_utf8(digits).expect("digits"));
        decoded.push(if byte == b'%' { u8::from_str_radix(escape?, 16).ok()? } else { byte });
        at += if byte == b'%' { 3 } else { 1 };
        if matches!(byte, b' ' | b'#') || decoded.last().is_some_and(u8::is_ascii_control) {
            return None;
        }
    }
    // An encoded slash does not make it a path.
    path.starts_with(b"/").then_some(decoded)
}

type Field<'a> = (&'a [u8], &'a [u8]);

fn variables(request: &Variables<'_>, role: Role, headers: &[Field<'_>]) {
    let (mut made, mut scratch) = (HashMap::new(), [0; 4096]);
    let result = request.emit(role, headers, |name, value| {
        let joined = value.parts().collect::<Vec<_>>().concat();
        assert_eq!((value.len(), value.is_empty()), (joined.len(), joined.is_empty()));
        if let Some(whole) = value.whole(&mut scratch) {
            assert_eq!(whole, joined);
        }
        assert!(made.insert(name.to_vec(), joined).is_none(), "{name:?} comes twice");
        Ok::<(), VariablesError>(())
    });

    let passing: Vec<_> = headers.iter().filter(|(name, _)| passes(request, name)).collect();
    let hosts = passing.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"Host"));
    let is_bad = |value: &[u8]| value.iter().any(|byte| b"\r\0".contains(byte));
    let refused =
        request.extra.iter().any(|(name, value)| name.is_empty() || name.contains(&0) || value.contains(&0))
            || is_bad(request.target)
            || passing.iter().any(|(name, value)| name.len() > NAME_LIMIT || is_bad(value))
            || hosts.clone().count() > 1;
    assert_eq!(result.is_err(), refused, "{result:?}");
    if let Err(error) = result {
        is_a_log_line(&error);
        assert!(made.is_empty(), "an error comes before the first variable");
        return;
    }

    let mut expected: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    for (name, value) in &passing {
        let variable = variable(name);
        let separator: &[u8] = if variable == b"HTTP_COOKIE" { b"; " } else { b", " };
        let joined =
            expected.get(&variable).map_or(value.to_vec(), |before| [before, separator, value].concat());
        expected.insert(variable, joined);
    }
    if let Some(authority) = request.authority.or(Target::parse(request.target).authority) {
        expected.insert(b"HTTP_HOST".to_vec(), authority.to_vec());
    }
    let query = Target::parse(request.target).query.unwrap_or(b"");
    expected.insert(b"QUERY_STRING".to_vec(), query.to_vec());
    expected.insert(b"REQUEST_URI".to_vec(), request.target.to_vec());
    if let Some(length) = request.content_length {
        for name in [&b"CONTENT_LENGTH"[..], b"HTTP_CONTENT_LENGTH"] {
            expected.insert(name.to_vec(), length.to_string().into_bytes());
        }
    }
    expected.insert(b"FCGI_DATA_LENGTH".to_vec(), request.data_length.to_string().into_bytes());
    for (name, value) in request.extra {
        if !matches!(*name, b"CONTENT_LENGTH" | b"HTTP_CONTENT_LENGTH" | b"FCGI_DATA_LENGTH") {
            expected.insert(name.to_vec(), value.to_vec());
        }
    }
    expected.retain(|name, _| is_for(role, name));
    for (name, value) in &made {
        assert!(is_for(role, name), "{name:?} for {role}");
        let from_outside =
            name.starts_with(b"HTTP_") || matches!(&name[..], b"CONTENT_TYPE" | b"CONTENT_LENGTH");
        assert!(!from_outside || expected.get(name) == Some(value), "{name:?}: {value:?}");
    }
    for (name, value) in &expected {
        assert_eq!(made.get(name), Some(value), "{name:?}");
    }
}

/// Whether a header field becomes a variable.
fn passes(request: &Variables<'_>, name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let dropped = matches!(&name[..], b"" | b"proxy" | b"redirect-status" | b"content-length")
        || name == b"authorization" && !request.authorization;
    !dropped && !is_hop_by_hop(&name) && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

fn variable(name: &[u8]) -> Vec<u8> {
    let upper: Vec<u8> =
        name.iter().map(|byte| if *byte == b'-' { b'_' } else { byte.to_ascii_uppercase() }).collect();
    if upper == b"CONTENT_TYPE" { upper } else { [b"HTTP_", &upper[..]].concat() }
}

/// Whether a request of this role has the variable (sections 6.2 to 6.4).
fn is_for(role: Role, name: &[u8]) -> bool {
    match name {
        b"CONTENT_LENGTH" | b"HTTP_CONTENT_LENGTH" | b"PATH_INFO" | b"PATH_TRANSLATED" | b"SCRIPT_NAME" => {
            role != Role::Authorizer
        }
        b"FCGI_DATA_LAST_MOD" | b"FCGI_DATA_LENGTH" => role == Role::Filter,
        _ => true,
    }
}
