//! What errors and names say to people: one line each, with the number that was wrong.

use std::fs;
use std::path::Path;

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
        (&E::IgnoredTooMuch { limit: 99 }, "more than 99 bytes for no active request"),
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

#[test]
fn defmt_formats_every_public_type_but_those_of_http() {
    fn read(folder: &Path, seen: &mut usize) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("http") {
                read(&path, seen);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let mut attributes = String::new();
                for line in text.lines().filter(|line| !line.starts_with("//")) {
                    if line.starts_with("pub struct") || line.starts_with("pub enum") {
                        assert!(attributes.contains("defmt::Format"), "{}: {line}", path.display());
                        *seen += 1;
                    }
                    attributes = if line.starts_with("#[") { attributes + line } else { String::new() };
                }
            }
        }
    }
    let mut seen = 0;
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut seen);
    assert!(seen > 40, "{seen}");
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
