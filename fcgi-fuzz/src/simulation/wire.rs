//! Records as the specification has them (sections 3.3 and 8), read piece by piece, with no code of the core.

pub(super) const BEGIN: u8 = 1;
pub(super) const ABORT: u8 = 2;
pub(super) const END: u8 = 3;
pub(super) const PARAMS: u8 = 4;
pub(super) const STDIN: u8 = 5;
pub(super) const STDOUT: u8 = 6;
pub(super) const STDERR: u8 = 7;
pub(super) const DATA: u8 = 8;
pub(super) const GET_VALUES: u8 = 9;
pub(super) const GET_VALUES_RESULT: u8 = 10;
pub(super) const UNKNOWN_TYPE: u8 = 11;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: u8,
    pub(super) kind: u8,
    pub(super) id: u16,
    pub(super) content: usize,
    pub(super) padding: usize,
    pub(super) reserved: u8,
}

/// What came of a record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'b> {
    Header,
    /// At least one byte, and whether they are its last.
    Content(&'b [u8], bool),
    Padding(&'b [u8]),
}

/// A reader of one direction.
#[derive(Debug, Default)]
pub(super) struct Reader {
    header: Vec<u8>,
    at: Header,
    content: usize,
    padding: usize,
}

impl Reader {
    /// Whether a part of a header came.
    pub(super) fn is_amid_header(&self) -> bool {
        !self.header.is_empty()
    }

    pub(super) fn read(&mut self, mut bytes: &[u8], mut each: impl FnMut(Header, Part<'_>)) {
        while !bytes.is_empty() {
            if self.content > 0 {
                let (content, rest) = bytes.split_at(self.content.min(bytes.len()));
                self.content -= content.len();
                each(self.at, Part::Content(content, self.content == 0));
                bytes = rest;
            } else if self.padding > 0 {
                let (padding, rest) = bytes.split_at(self.padding.min(bytes.len()));
                self.padding -= padding.len();
                each(self.at, Part::Padding(padding));
                bytes = rest;
            } else {
                let (header, rest) = bytes.split_at((8 - self.header.len()).min(bytes.len()));
                self.header.extend(header);
                bytes = rest;
                if let [version, kind, id1, id0, content1, content0, padding, reserved] = self.header[..] {
                    self.at = Header {
                        version,
                        kind,
                        id: u16::from_be_bytes([id1, id0]),
                        content: u16::from_be_bytes([content1, content0]).into(),
                        padding: padding.into(),
                        reserved,
                    };
                    (self.content, self.padding) = (self.at.content, self.at.padding);
                    self.header.clear();
                    each(self.at, Part::Header);
                }
            }
        }
    }
}

/// A record that is made by hand, with this much padding.
pub(super) fn record(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
    let [id1, id0] = id.to_be_bytes();
    let [content1, content0] = (content.len() as u16).to_be_bytes();
    let mut record = vec![1, kind, id1, id0, content1, content0, padding, 0];
    record.extend(content);
    record.resize(record.len() + usize::from(padding), 0);
    record
}

/// Bytes that tell whose they are: `len` of them from the place `from` on, of the stream with this number.
pub(super) fn pattern(stream: u8, from: usize, len: usize) -> Vec<u8> {
    let first = stream.wrapping_mul(41);
    (from..from + len).map(|at| ((at % 251) as u8).wrapping_add(first)).collect()
}

/// Whether these are [such](pattern) bytes.
pub(super) fn is_pattern(stream: u8, from: usize, bytes: &[u8]) -> bool {
    let first = stream.wrapping_mul(41);
    bytes.iter().zip(from..).all(|(byte, at)| *byte == ((at % 251) as u8).wrapping_add(first))
}

/// The numbers of a request's streams: of its STDIN, its DATA, its answer.
pub(super) fn stdin_of(tag: u8) -> u8 {
    tag.wrapping_mul(3)
}

pub(super) fn data_of(tag: u8) -> u8 {
    tag.wrapping_mul(3).wrapping_add(1)
}

pub(super) fn answer_of(tag: u8) -> u8 {
    tag.wrapping_mul(3).wrapping_add(2)
}

/// The head of a request's answer.
pub(super) fn head_of(tag: u8) -> Vec<u8> {
    format!("Status: 200 OK\r\nContent-Type: t/{tag:03}\r\n\r\n").into_bytes()
}

/// Bytes of every [head](head_of).
pub(super) const HEAD: usize = 39;

/// Bytes of an answer as its handler wrote it, head and all.
pub(super) fn answer(tag: u8, from: usize, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    if from < HEAD {
        bytes.extend(&head_of(tag)[from..HEAD.min(from + len)]);
    }
    let done = bytes.len();
    bytes.extend(pattern(answer_of(tag), (from + done).saturating_sub(HEAD), len - done));
    bytes
}

/// Whether these are bytes of such an answer.
pub(super) fn is_answer(tag: u8, from: usize, bytes: &[u8]) -> bool {
    let (head, body) = bytes.split_at(HEAD.saturating_sub(from).min(bytes.len()));
    (head.is_empty() || head_of(tag)[from..].starts_with(head))
        && is_pattern(answer_of(tag), (from + head.len()).saturating_sub(HEAD), body)
}
