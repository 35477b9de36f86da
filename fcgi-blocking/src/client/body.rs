//! What a request sends after its parameters: STDIN of a known length, for a Filter DATA.

use std::io::{self, Read, Seek, SeekFrom};

use super::ClientError;

/// Memory for a body of unknown length; a longer one goes to a temporary file.
const MEMORY_LIMIT: usize = 1024 * 1024;

/// The stream that a piece belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdin,
    Data,
}

/// One of the streams: as many bytes of a reader as were promised.
pub(crate) struct Source<'b> {
    reader: Reader<'b>,
    length: u64,
    left: u64,
    ended: bool,
}

enum Reader<'b> {
    Once(Box<dyn Read + 'b>),
    Again(Box<dyn ReadSeek + 'b>),
}

pub(crate) trait ReadSeek: Read + Seek {}

impl<R: Read + Seek> ReadSeek for R {}

impl<'b> Source<'b> {
    pub(crate) fn once(reader: impl Read + 'b, length: u64) -> Self {
        Self { reader: Reader::Once(Box::new(reader)), length, left: length, ended: false }
    }

    pub(crate) fn bytes(bytes: &'b [u8]) -> Self {
        let length = bytes.len() as u64;
        let reader = Reader::Again(Box::new(io::Cursor::new(bytes)));
        Self { reader, length, left: length, ended: false }
    }

    /// Reads all of `reader`, up to `limit` bytes, so that its length is known.
    pub(crate) fn spooled(reader: impl Read, limit: u64) -> io::Result<Self> {
        let mut spool = tempfile::spooled_tempfile(MEMORY_LIMIT);
        let length = io::copy(&mut reader.take(limit.saturating_add(1)), &mut spool)?;
        if length > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        spool.seek(SeekFrom::Start(0))?;
        Ok(Self { reader: Reader::Again(Box::new(spool)), length, left: length, ended: false })
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Whether it is at its start, after having been brought there if that can be done.
    fn rewind(&mut self) -> bool {
        self.ended = false;
        if self.left == self.length {
            return true;
        }
        let Reader::Again(reader) = &mut self.reader else { return false };
        self.left = self.length;
        reader.seek(SeekFrom::Start(0)).is_ok()
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ClientError> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            // Not even a read of no bytes: it may wait for what comes after the body.
            self.ended = true;
            return Ok(0);
        }
        let reader: &mut dyn Read = match &mut self.reader {
            Reader::Once(reader) => reader,
            Reader::Again(reader) => reader,
        };
        loop {
            match reader.read(&mut buffer[..wanted]) {
                Ok(0) => return Err(ClientError::BodyTooShort { missing: self.left }),
                Ok(count) => {
                    self.left -= count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ClientError::Body(error)),
            }
        }
    }
}

/// A request's input streams, in their order.
pub(crate) struct Body<'b> {
    pub(crate) stdin: Source<'b>,
    pub(crate) data: Option<Source<'b>>,
}

impl Body<'_> {
    /// Whether the ends of all streams were read.
    pub(crate) fn is_sent(&self) -> bool {
        self.stdin.ended && self.data.as_ref().is_none_or(|data| data.ended)
    }

    pub(crate) fn rewind(&mut self) -> bool {
        self.stdin.rewind() && self.data.as_mut().is_none_or(Source::rewind)
    }

    /// The next bytes and of which stream; 0 at its end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<(Stream, usize), ClientError> {
        match &mut self.data {
            Some(data) if self.stdin.ended => Ok((Stream::Data, data.read(buffer)?)),
            _ => Ok((Stream::Stdin, self.stdin.read(buffer)?)),
        }
    }
}
