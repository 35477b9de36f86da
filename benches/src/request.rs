//! Requests as nginx sends them, and the answer of 1 KiB that every server here gives.

use fcgi_proto::pair;
use fcgi_proto::record::{
    BeginRequest, EndRequest, Flags, HEADER_LEN, Header, KEEP_CONN, MAX_LENGTH, RecordType, RequestId, Role,
};

/// What nginx 1.22 sent for a browser's GET with KEEP_CONN: 27 pairs in one PARAMS record, no body.
pub const REQUEST: &[u8] = include_bytes!("../fixtures/request.bin");

/// Bytes of STDIN in a record of nginx.
const STDIN_RECORD: usize = 32 * 1024;

/// The pairs of [`REQUEST`].
///
/// # Panics
/// Never: the fixture is whole.
#[must_use]
pub fn params() -> &'static [u8] {
    let (header, content) =
        REQUEST[2 * HEADER_LEN..].split_first_chunk().expect("PARAMS follow BEGIN_REQUEST");
    let length = Header::parse(header).expect("of version 1").content_length;
    &content[..usize::from(length)]
}

/// `count` pairs in the manner of a browser's headers, 41 bytes each.
///
/// # Panics
/// Never: names and values are short.
#[must_use]
pub fn pairs(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count * 64];
    let mut len = 0;
    for number in 0..count {
        let name = format!("HTTP_X_FIELD_{number:04}");
        pair::encode(name.as_bytes(), b"a value of 22 bytes ok", &mut bytes, &mut len)
            .expect("there is room");
    }
    bytes.truncate(len);
    bytes
}

/// A request with these pairs and a body of so many bytes, in records as nginx cuts them.
#[must_use]
pub fn request(pairs: &[u8], body: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(pairs.len() + body + body / 1024 + 64);
    let begin = BeginRequest { role: Role::Responder as u16, flags: Flags(KEEP_CONN) };
    record(&mut bytes, RecordType::BeginRequest, &begin.encode());
    for part in pairs.chunks(MAX_LENGTH) {
        record(&mut bytes, RecordType::Params, part);
    }
    record(&mut bytes, RecordType::Params, &[]);
    let data = vec![b'b'; STDIN_RECORD.min(body)];
    for start in (0..body).step_by(STDIN_RECORD) {
        record(&mut bytes, RecordType::Stdin, &data[..data.len().min(body - start)]);
    }
    record(&mut bytes, RecordType::Stdin, &[]);
    bytes
}

/// The head that every server sends.
pub const HEAD: &[u8] = b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n";

/// The body that every server sends.
pub static BODY: [u8; 1024] = [b'x'; 1024];

/// The whole answer, in as few records as can be.
#[must_use]
pub fn answer() -> Vec<u8> {
    let mut bytes = Vec::new();
    record(&mut bytes, RecordType::Stdout, &[HEAD, &BODY].concat());
    record(&mut bytes, RecordType::Stdout, &[]);
    record(&mut bytes, RecordType::EndRequest, &EndRequest { app_status: 0, protocol_status: 0 }.encode());
    bytes
}

/// Gives every one of some whole records this id.
pub fn stamp(records: &mut [u8], id: RequestId) {
    let mut rest = records;
    while let Some((header, content)) = rest.split_first_chunk_mut::<HEADER_LEN>() {
        header[2..4].copy_from_slice(&id.get().to_be_bytes());
        let length = usize::from(u16::from_be_bytes([header[4], header[5]])) + usize::from(header[6]);
        rest = &mut content[length..];
    }
}

fn record(bytes: &mut Vec<u8>, record_type: RecordType, content: &[u8]) {
    // Of at most MAX_LENGTH bytes, as every caller cuts them.
    let header = Header::new(record_type, RequestId::ONE.get(), content.len() as u16);
    bytes.extend_from_slice(&header.encode());
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len() + usize::from(header.padding_length), 0);
}

#[cfg(test)]
mod tests {
    use fcgi_proto::Limits;
    use fcgi_proto::pair::Pairs;
    use fcgi_proto::server::{Connection, Event};

    use super::*;

    #[test]
    fn the_fixture_is_one_request_of_27_pairs() {
        assert_eq!(Pairs::new(params()).count(), 27);
        assert_eq!(Pairs::new(params()).get(b"REQUEST_METHOD"), Some(&b"GET"[..]));
        assert_eq!(request(params(), 0), REQUEST);
    }

    #[test]
    fn a_stamped_request_with_a_body_is_whole() {
        let mut bytes = request(&pairs(3), 100_000);
        let id = RequestId::new(258).expect("not 0");
        stamp(&mut bytes, id);
        let mut connection = Connection::<1>::new(Limits::default());
        let (mut input, mut body, mut ended) = (&bytes[..], 0, false);
        while let Some(event) = connection.next_event(&mut input).expect("no error") {
            match event {
                Event::Stdin { data, .. } => body += data.len(),
                Event::StdinEnd { id: found } => ended = found == id,
                _ => {}
            }
        }
        assert!(ended);
        assert_eq!(body, 100_000);
    }
}
