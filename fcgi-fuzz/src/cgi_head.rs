//! Response heads (RFC 3875, section 6): the reader agrees with a plain one, in any cuts; nothing that it takes
//! holds CR, LF or NUL; the writer takes what the reader does, and what it writes is read as it was.

use arbitrary::{Result, Unstructured};
use fcgi_proto::cgi::{
    Decision, Head, HeadEnd, HeadError, Location, ResponseHead, ResponseHeadError, Status, is_hop_by_hop,
};

use crate::plan::{Cuts, is_a_log_line};

/// Reads the input as an application's STDOUT.
pub fn cgi_head(input: &[u8]) {
    run(Unstructured::new(input)).expect("a plan that is cut reads as zeros");
}

fn run(mut u: Unstructured<'_>) -> Result<()> {
    let room = match u.arbitrary::<u8>()? {
        0 => 4096,
        room => usize::from(room),
    };
    let cuts = Cuts::new(&mut u)?;
    let stdout = u.take_rest();
    let (whole, head) = read([stdout], room);
    for pieces in [cuts.pieces(stdout), stdout.chunks(1).collect()] {
        assert_eq!(read(pieces, room).0, whole);
    }
    assert_eq!(whole.as_ref().ok(), plain(stdout, room).as_ref());
    match &whole {
        Ok(response) => taken(response, &head, stdout),
        Err(error) => {
            is_a_log_line(error);
            assert!(!head.is_complete() && head.decision().err() == Some(*error));
        }
    }
    write(stdout, room, cuts, whole.is_ok());
    Ok(())
}

/// A name and a value.
type Field = (Vec<u8>, Vec<u8>);

#[derive(Debug, PartialEq)]
struct Response {
    status: u16,
    reason: Vec<u8>,
    fields: Vec<Field>,
    body: Vec<u8>,
}

/// The response that comes in these pieces.
fn read<'i>(
    pieces: impl IntoIterator<Item = &'i [u8]>,
    room: usize,
) -> (std::result::Result<Response, ResponseHeadError>, ResponseHead<Vec<u8>>) {
    let mut head = ResponseHead::new(vec![0; room]);
    let mut body = Vec::new();
    for piece in pieces {
        match head.push(piece) {
            Ok(Some(rest)) => body.extend_from_slice(rest),
            Ok(None) => assert!(!head.is_complete() && body.is_empty()),
            Err(error) => {
                assert_eq!(head.push(b"\n\n"), Err(error), "an error is sticky");
                break;
            }
        }
    }
    let response = head.finish().map(|()| Response {
        status: head.status().code(),
        reason: head.reason().to_vec(),
        fields: head.fields().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
        body,
    });
    (response, head)
}

fn is(name: &[u8], other: &str) -> bool {
    name.eq_ignore_ascii_case(other.as_bytes())
}

/// Reads all at once, line by line; an error is just one.
fn plain(stdout: &[u8], room: usize) -> Option<Response> {
    let (mut status, mut reason, mut fields): (_, &[u8], Vec<Field>) = (None, b"", Vec::new());
    let mut at = 0;
    for line in stdout.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let line = line.strip_suffix(b"\n").filter(|_| at <= room)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let located = fields.iter().any(|(name, _)| is(name, "Location"));
        if line.is_empty() {
            let status = status.unwrap_or(if located { 302 } else { 200 });
            let usual = Status::new(status)?.reason().as_bytes();
            let reason = if reason.is_empty() { usual } else { reason }.to_vec();
            return Some(Response { status, reason, fields, body: stdout[at..].to_vec() });
        }
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
        let is_token = |byte: &u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(byte);
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let start = value.iter().skip(1).position(|byte| !blank(byte)).map_or(value.len(), |at| at + 1);
        let end = value.iter().rposition(|byte| !blank(byte)).map_or(0, |at| at + 1).max(start);
        let value = &value[start..end];
        if name.is_empty() || !name.iter().all(is_token) || value.iter().any(|byte| b"\r\0".contains(byte)) {
            return None;
        }
        if is(name, "Status") {
            let (digits, text) = value.split_at_checked(3)?;
            let is_number = matches!(digits, [b'2'..=b'9', b'0'..=b'9', b'0'..=b'9']);
            if status.is_some() || !is_number || !matches!(text, [] | [b' ', ..]) {
                return None;
            }
            status = Some(digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0')));
            reason = text.trim_ascii();
        } else if is(name, "Location") && located {
            return None;
        } else {
            fields.push((name.to_vec(), value.to_vec()));
        }
    }
    None
}

/// What holds of a head that was taken.
fn taken(response: &Response, head: &ResponseHead<Vec<u8>>, stdout: &[u8]) {
    assert!(head.is_complete());
    assert_eq!(HeadEnd::default().find(stdout), Some(stdout.len() - response.body.len()));
    let mut texts = vec![&response.reason];
    texts.extend(response.fields.iter().flat_map(|(name, value)| [name, value]));
    for text in texts {
        assert!(!text.iter().any(|byte| b"\r\n\0".contains(byte)), "{text:?}");
    }

    let find =
        |wanted| response.fields.iter().find(|(name, _)| is(name, wanted)).map(|(_, value)| &value[..]);
    for name in ["Location", "Content-Type", "Set-Cookie"] {
        assert_eq!(head.get(name.to_lowercase().as_bytes()), find(name));
    }
    assert_eq!(head.get(b"Status"), None);
    let local = |path: &&[u8]| path.starts_with(b"/") && !path.starts_with(b"//");
    match (head.location(), find("Location")) {
        (None, None) => assert_eq!(head.local_redirect(), None),
        (Some(Location::Local(path)), Some(value)) => assert!(path == value && local(&value)),
        (Some(Location::Absolute(to)), Some(value)) => assert!(to == value && !local(&value)),
        (found, value) => panic!("{found:?} of {value:?}"),
    }
    if let Some(path) = head.local_redirect() {
        assert!(local(&path) && !path.contains(&b'#') && response.status == 302);
    }

    let mut lengths: Vec<Option<u64>> = Vec::new();
    for (_, value) in response.fields.iter().filter(|(name, _)| is(name, "Content-Length")) {
        let digits = std::str::from_utf8(value).ok().filter(|value| !value.starts_with('+'));
        lengths.push(digits.and_then(|digits| digits.parse().ok()));
    }
    match head.content_length() {
        Ok(length) => {
            assert!(lengths.iter().all(|each| *each == length) && lengths.is_empty() == length.is_none())
        }
        Err(error) => {
            assert_eq!(error, ResponseHeadError::ContentLength);
            is_a_log_line(&error);
            assert!(lengths.iter().any(|each| each.is_none() || *each != lengths[0]));
        }
    }
    let bodiless = matches!(response.status, 204 | 304);
    assert!(head.has_body(b"GET") != bodiless && !head.has_body(b"HEAD"));
    is_a_log_line(&head.status());

    let (code, prefix) = (response.status, "Variable-");
    let variables = response.fields.iter().filter_map(|(name, value)| {
        let (front, name) = name.split_at_checked(prefix.len())?;
        (is(front, prefix) && !name.is_empty()).then_some((name, &value[..]))
    });
    match head.decision() {
        Ok(Decision::Allowed(allowed)) => assert!(code == 200 && allowed.eq(variables)),
        Ok(Decision::Denied) => assert_ne!(code, 200),
        other => panic!("{other:?}"),
    }
    let mut again = head.clone();
    again.clear();
    assert_eq!(again.finish(), Err(ResponseHeadError::Empty));
}

/// The writer's side: it adopts what the reader takes, and what it makes of it says the same. Fields that it
/// is given one by one are there, or refused for a reason.
fn write(stdout: &[u8], room: usize, cuts: Cuts, is_taken: bool) {
    let mut finder = HeadEnd::default();
    let mut before = 0;
    let end = cuts.pieces(stdout).into_iter().find_map(|piece| {
        let found = finder.find(piece).map(|end| before + end);
        before += piece.len();
        found
    });
    assert_eq!(end, HeadEnd::default().find(stdout), "the same for every cut");
    let Some(written) = end.map(|end| &stdout[..end]) else { return };

    // LF becomes CRLF, a colon a colon and a space.
    let room_enough = 3 * stdout.len() + 100;
    let mut head = Head::new(vec![0; room_enough]);
    match head.adopt(written) {
        Ok(()) => {
            let (response, _) = read([head.finish().expect("room for a type and a blank line")], room_enough);
            let response = response.expect("a reader takes what was adopted");
            assert!(response.body.is_empty());
            if let Some(plain) = plain(written, written.len()) {
                assert_eq!((response.status, &response.reason), (plain.status, &plain.reason));
                assert!(plain.fields.iter().all(|field| response.fields.contains(field)));
                // A type may be added, and nothing else.
                assert!(response.fields.len() <= plain.fields.len() + 1);
            }
        }
        Err(error) => {
            is_a_log_line(&error);
            // A reader refuses a Content-Length only when it is asked for it.
            assert!(!is_taken || error == HeadError::ContentLength, "{error}");
        }
    }

    let mut head = Head::new(vec![0; room]);
    let Ok(()) = head.start(Status::new(200 + written.len() as u16 % 800).expect("200 to 999")) else {
        assert!(room < 64);
        return;
    };
    for line in written.split(|byte| *byte == b'\n') {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let before = head.bytes().to_vec();
        match head.field(name, value) {
            Ok(()) => assert!(!is(name, "Status") && !value.iter().any(|byte| b"\r\n\0".contains(byte))),
            Err(error) => {
                is_a_log_line(&error);
                assert_eq!(head.bytes(), before, "the head is as it was");
                match error {
                    HeadError::Status => assert!(is(name, "Status")),
                    HeadError::Name { byte } => assert!(name.contains(&byte) || name.is_empty()),
                    HeadError::Value { byte } => assert!(b"\r\0".contains(&byte) && value.contains(&byte)),
                    HeadError::Repeated => assert!(is(name, "Location")),
                    HeadError::ContentLength => assert!(is(name, "Content-Length")),
                    HeadError::TooLong { limit } => assert!(limit == room),
                    other => panic!("{other:?}"),
                }
            }
        }
        assert!(head.bytes().len() <= room);
        let hop =
            ["connection", "upgrade", "te", "trailer", "transfer-encoding"].iter().any(|hop| is(name, hop));
        assert!(!hop || is_hop_by_hop(name));
    }
    if let Ok(whole) = head.finish() {
        let (response, _) = read([whole], room);
        assert!(response.is_ok(), "{response:?}");
    }
}
