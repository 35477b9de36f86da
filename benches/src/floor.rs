//! What both floors do: the least that an answer to a request can cost.

use std::io;

use fcgi_proto::record::{HEADER_LEN, RecordType, RequestId};

use crate::request::stamp;

/// Walks the headers of the records in `input` only to see where the empty STDIN of a request is, and puts `answer`
/// behind what is in `out` for each. Returns how many bytes the whole records took.
///
/// # Errors
/// [`InvalidData`](io::ErrorKind::InvalidData) for an id of 0.
pub fn answers(input: &[u8], answer: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
    let mut at = 0;
    while let Some((header, _)) = input[at..].split_first_chunk::<HEADER_LEN>() {
        let [_, record_type, id1, id0, length1, length0, padding, _] = *header;
        let length = usize::from(u16::from_be_bytes([length1, length0]));
        let all = HEADER_LEN + length + usize::from(padding);
        if at + all > input.len() {
            break;
        }
        at += all;
        if record_type == RecordType::Stdin as u8 && length == 0 {
            let id = RequestId::new(u16::from_be_bytes([id1, id0])).ok_or(io::ErrorKind::InvalidData)?;
            let begin = out.len();
            out.extend_from_slice(answer);
            stamp(&mut out[begin..], id);
        }
    }
    Ok(at)
}
