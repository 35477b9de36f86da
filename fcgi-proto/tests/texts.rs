//! What errors and names say to people: one line each, with the number that was wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fcgi_proto::cgi::{HeadError, PathError, ResponseHeadError, ResponseTooLong, Status, VariablesError};
use fcgi_proto::pair::{Params, TruncatedPair};
use fcgi_proto::process::WebServerAddrs;
use fcgi_proto::record::{Header, ProtocolStatus, RecordType, RequestId, Role};
use fcgi_proto::server::Refusal;
use fcgi_proto::{ConnectionError, client, server};

const ID: RequestId = RequestId::ONE;

fn say<const M: usize>(expected: [(&dyn std::fmt::Display, &str); M]) {
    for (value, text) in expected {
        assert_eq!(value.to_string(), text);
    }
}

#[test]
fn errors_of_a_connection_tell_the_number_that_was_wrong() {
    use ConnectionError as E;
    say([
        (&E::Version { found: 2 }, "record of protocol version 2, not 1"),
        (&E::NullRequestId { record_type: 5 }, "application record of type 5 with request id 0"),
        (&E::BodyLength { record_type: 1, found: 7 }, "record of type 1 with 7 bytes of content, not 8"),
        (&E::RequestActive { id: ID }, "request 1 begins while it is active"),
        (&E::UnexpectedEof { missing: 9 }, "end of input inside a record, 9 bytes before its end"),
        (
            &E::IgnoredTooMuch { limit: 99 },
            "more than 99 bytes of records that are empty, unknown or for no active request",
        ),
    ]);
    let header = Header::parse(&[3, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(header.unwrap_err().to_string(), "record of protocol version 3, not 1");
}

#[test]
fn misuse_tells_the_request_and_the_stream() {
    say([
        (&server::SendError::Inactive { id: ID }, "request 1 is not active"),
        (&server::SendError::TooEarly { id: ID }, "request 1 is answered before its input allows it"),
        (&client::SendError::Full { capacity: 4 }, "4 requests are active, the connection is full"),
        (&client::SendError::NotReusable, "the connection takes no further request"),
        (&client::SendError::Inactive { id: ID }, "request 1 is not active"),
        (
            &client::SendError::OutOfOrder { id: ID, stream: RecordType::Data },
            "request 1 does not take Data now",
        ),
        (
            &client::SendError::TooLong { needed: 65_536 },
            "65536 bytes of parameters do not fit one record of 65535",
        ),
        (
            &client::SendError::HalfPair(TruncatedPair { whole: 5, left: 1 }),
            "pairs end inside one: 1 bytes after 5 bytes of whole pairs",
        ),
        (&client::SendError::Over, "the request is over"),
    ]);
}

#[test]
fn failures_tell_what_the_application_did() {
    use ConnectionError as E;
    use client::{Failure as F, Wait};
    let header = [1, 6, 0, 0, 0, 1, 0, 0];
    let limit = Duration::from_millis(2500);
    let timed_out = |wait| F::TimedOut { wait, limit };
    say([
        (
            &F::Protocol { error: E::NullRequestId { record_type: 6 }, header },
            "not FastCGI: application record of type 6 with request id 0, [01, 06, 00, 00, 00, 01, 00, 00]",
        ),
        (
            &F::Protocol { error: E::UnexpectedEof { missing: 9 }, header },
            "not FastCGI: end of input inside a record, 9 bytes before its end",
        ),
        (&F::Closed, "the application closed before the end of its answer"),
        (&F::Broken, "the connection failed before the end of the answer"),
        (&F::Cut { protocol_status: 2 }, "the answer was cut: it ended with protocol status 2"),
        (&timed_out(Wait::Write), "the application did not take the request within 2.5 s"),
        (&timed_out(Wait::FirstByte), "the application did not answer within 2.5 s"),
        (&timed_out(Wait::Kept), "the application did not answer within 2.5 s"),
        (&timed_out(Wait::Read), "the application did not go on answering within 2.5 s"),
        (&timed_out(Wait::Total), "the application did not end its answer within 2.5 s"),
        (&timed_out(Wait::Input), "the application did not get the request's body within 2.5 s"),
        (&F::Unread { limit }, "the answer held up others for 2.5 s, since nobody took it"),
        (&F::Over, "the request is over"),
        (
            &F::from(client::SendError::TooLong { needed: 65_536 }),
            "65536 bytes of parameters do not fit one record of 65535",
        ),
        (&F::from(client::SendError::NotReusable), "the connection takes no further request"),
    ]);
}

#[test]
fn errors_of_pairs_and_of_the_list_of_peers_tell_the_place() {
    let full = Params::<10>::new().push(&[0; 11]).unwrap_err();
    let addrs = WebServerAddrs::parse("10.0.0.1,x").unwrap_err();
    say([
        (&TruncatedPair { whole: 5, left: 2 }, "pairs end inside one: 2 bytes after 5 bytes of whole pairs"),
        (&full, "11 bytes do not fit 10"),
        (&addrs, "FCGI_WEB_SERVER_ADDRS: item 1 is not an IP address"),
    ]);
}

#[test]
fn errors_of_heads_variables_and_paths_tell_the_byte() {
    use ResponseHeadError as R;
    say([
        (&HeadError::Status, "response head: not one status of 200 to 999"),
        (&HeadError::Name { byte: b' ' }, "response head: field name with ' '"),
        (&HeadError::Value { byte: 0 }, r"response head: field value with '\0'"),
        (&HeadError::Name { byte: 0xef }, r"response head: field name with '\xef'"),
        (&HeadError::NoColon, "response head: line without a colon"),
        (&HeadError::TooLong { limit: 8 }, "response head: longer than 8 bytes"),
        (&HeadError::Repeated, "response head: second Location"),
        (&HeadError::ContentLength, "response head: no one Content-Length"),
        (&HeadError::Begun, "response head: already begun"),
        (&HeadError::Unfinished, "response head: not there, or without a blank line"),
        (&R::Empty, "response without any output"),
        (&R::Unfinished { len: 3 }, "response head: no blank line in 3 bytes"),
        (&R::TooLong { limit: 8 }, "response head: longer than 8 bytes"),
        (&R::StatusLine, "response head: HTTP status line"),
        (&R::Status, "response head: no status of 200 to 999"),
        (&R::Repeated, "response head: second Status or Location"),
        (&R::Folded, "response head: line begins with a space or tab"),
        (&R::NoColon, "response head: line without a colon"),
        (&R::Name { byte: b':' }, "response head: field name with ':'"),
        (&R::Value { byte: b'\r' }, r"response head: field value with '\r'"),
        (&R::ContentLength, "response head: no one Content-Length"),
        (&ResponseTooLong { limit: 9 }, "the answer went on for more than 9 bytes after its end"),
        (&VariablesError::NameTooLong { len: 300 }, "header name of 300 bytes, not 256 at most"),
        (&VariablesError::Value { byte: b'\n' }, r"variable's value with '\n'"),
        (&VariablesError::ExtraName, "variable's name empty or with NUL or ="),
        (&VariablesError::Host, "more than one Host"),
        (&PathError::NoPath, "request target without a path"),
        (&PathError::Escape { at: 4 }, "path: no two hexadecimal digits after % at 4"),
        (&PathError::Byte { byte: 0, at: 2 }, r"path: '\0' at 2"),
        (&PathError::TooLong { limit: 64 }, "path: longer than 64 bytes"),
    ]);
}

/// The public types of a folder's files, and of those below it: the file, the line, the attributes above it.
fn public_types(folder: &Path, found: &mut Vec<(PathBuf, String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            public_types(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let mut attributes = String::new();
            for line in text.lines().filter(|line| !line.starts_with("//")) {
                if line.starts_with("pub struct") || line.starts_with("pub enum") {
                    found.push((path.clone(), line.to_owned(), attributes.clone()));
                }
                attributes = if line.starts_with("#[") { attributes + line } else { String::new() };
            }
        }
    }
}

fn all_public_types() -> Vec<(PathBuf, String, String)> {
    let mut found = Vec::new();
    public_types(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 90, "{}", found.len());
    found
}

#[test]
fn defmt_formats_every_public_type_but_those_of_http() {
    for (path, line, attributes) in all_public_types() {
        let of_http = path.components().any(|part| part.as_os_str() == "http");
        assert!(of_http || attributes.contains("defmt::Format"), "{}: {line}", path.display());
    }
}

#[test]
fn every_public_enum_may_grow_but_those_that_a_caller_has_to_know_whole() {
    // What section 8 numbers, and what a caller does one of, or is to do.
    const WHOLE: [&str; 11] = [
        "RecordType",
        "Role",
        "ProtocolStatus",
        "Level",
        "Stream",
        "Read",
        "End<T>",
        "Write<'a>",
        "Output<'d>",
        "Leave",
        "Again",
    ];
    let mut whole = Vec::new();
    for (path, line, attributes) in all_public_types() {
        let Some(name) = line.strip_prefix("pub enum ").and_then(|line| line.split(" {").next()) else {
            continue;
        };
        if !attributes.contains("#[non_exhaustive]") {
            assert!(WHOLE.contains(&name), "{}: {name}", path.display());
            whole.push(name.to_owned());
        }
    }
    assert_eq!(whole.len(), WHOLE.len(), "{whole:?}");
    for name in ["Whole<'i>", "Target<'a>", "CapacityError", "Next", "Report", "Begin"] {
        let line = format!("pub struct {name} {{");
        let found = all_public_types().into_iter().find(|(_, found, _)| *found == line);
        assert!(found.is_some_and(|(.., attributes)| attributes.contains("#[non_exhaustive]")), "{name}");
    }
}

#[test]
fn what_is_logged_has_a_name() {
    say([
        (&ID, "1"),
        (&Role::Responder, "Responder"),
        (&Role::Authorizer, "Authorizer"),
        (&Role::Filter, "Filter"),
        (&ProtocolStatus::RequestComplete, "request complete"),
        (&ProtocolStatus::CantMpxConn, "cannot multiplex connections"),
        (&ProtocolStatus::Overloaded, "overloaded"),
        (&ProtocolStatus::UnknownRole, "unknown role"),
        (&Refusal::CantMpxConn, "one request at a time on this connection"),
        (&Refusal::Overloaded, "overloaded"),
        (&Refusal::UnknownRole, "unknown role"),
        (&Refusal::Malformed, "malformed request"),
        (&Status::NOT_FOUND, "404 Not Found"),
    ]);
    assert_eq!(
        format!("{:>9}|{:<7}|{:03}", Role::Filter, Refusal::Overloaded, ID),
        "   Filter|overloaded|001"
    );
}
