//! What the programs answer: a page, what was posted, or its checksum.

use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};
use fcgi_proto::cgi::Status;
use fcgi_proto::pair::Pairs;

use crate::page::{self, Board, Window};

static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// What a request gets.
pub(crate) enum Answer {
    /// The page; how the board was when the request came.
    Page(Board),
    /// STDIN as it comes.
    Echo,
    /// STDIN's length in bytes and its CRC-32.
    Sum(u32, Digest<'static, u32, Table<1>>),
    /// That many bytes.
    Bytes(u32),
    NotFound,
}

/// Whether the answer to the request with these parameters has a body.
pub(crate) fn has_body(params: Pairs<'_>) -> bool {
    Status::OK.has_body(params.get(b"REQUEST_METHOD"))
}

impl Answer {
    /// The first segment of the path that is a word known here decides.
    pub(crate) fn to(uri: &[u8], board: &Board) -> Self {
        let path = uri.split(|byte| *byte == b'?').next().unwrap_or_default();
        let mut segments = path.split(|byte| *byte == b'/');
        while let Some(segment) = segments.next() {
            match segment {
                b"echo" => return Self::Echo,
                b"sum" => return Self::Sum(0, CRC.digest()),
                b"bytes" => return segments.next().and_then(number).map_or(Self::NotFound, Self::Bytes),
                _ => {}
            }
        }
        Self::Page(*board)
    }

    /// Takes in what is posted.
    pub(crate) fn take_in(&mut self, posted: &[u8]) {
        if let Self::Sum(bytes, crc) = self {
            *bytes = bytes.wrapping_add(posted.len() as u32);
            crc.update(posted);
        }
    }

    /// Writes head and body, but for the body that is STDIN.
    pub(crate) fn write(&self, window: &mut Window<'_>, params: Pairs<'_>, has_body: bool) {
        window.text(match self {
            Self::Page(_) => page::HTML,
            Self::Echo | Self::Bytes(_) => page::BYTES,
            Self::Sum(..) => page::TEXT,
            Self::NotFound => page::NOT_FOUND,
        });
        if let Self::Bytes(count) = self {
            window.text(b"Content-Length: ");
            window.decimal(*count);
            window.text(b"\r\n");
        }
        window.text(b"\r\n");
        if !has_body {
            return;
        }
        match self {
            Self::Page(board) => page::dashboard(window, board, params),
            Self::Echo => {}
            Self::Sum(bytes, crc) => {
                window.decimal(*bytes);
                window.text(b" ");
                window.hexadecimal(crc.clone().finalize());
                window.text(b"\n");
            }
            Self::Bytes(count) => window.repeat(b'x', *count),
            Self::NotFound => window.text(b"Not Found\n"),
        }
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    core::str::from_utf8(digits).ok()?.parse().ok()
}
