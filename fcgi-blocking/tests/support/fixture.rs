//! Cases in files of three columns.

use fcgi_proto::record::Header;

use super::raw_record;

/// The columns of each case.
pub(crate) fn cases(text: &'static str) -> impl Iterator<Item = [&'static str; 3]> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let columns: Vec<_> = line.split(" | ").collect();
        columns.try_into().unwrap_or_else(|_| panic!("not three columns: {line}"))
    })
}

/// The bytes of a text with `\r`, `\n` and `\xNN`.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.as_bytes());
        let (byte, len) = match after.as_bytes()[0] {
            b'r' => (b'\r', 1),
            b'n' => (b'\n', 1),
            _ => (u8::from_str_radix(&after[1..3], 16).expect("two digits"), 3),
        };
        bytes.push(byte);
        rest = &after[len..];
    }
    bytes.extend(rest.as_bytes());
    bytes
}

/// Any record: its type and content in hexadecimal, its id between them.
pub(crate) fn other_record(step: &str) -> Vec<u8> {
    let mut words = step.split(' ');
    let record_type = u8::from_str_radix(words.next().expect("a type"), 16).expect("two digits");
    let request_id = words.next().and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no id: {step}"));
    let digits = words.next().unwrap_or_default().as_bytes();
    let byte =
        |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16).expect("digits");
    let content: Vec<u8> = digits.chunks(2).map(byte).collect();
    let content_length = content.len().try_into().expect("one record's");
    raw_record(Header { record_type, padding_length: 0, request_id, content_length }, &content)
}
