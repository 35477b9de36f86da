//! What a request sends after its parameters, STDIN of a known length, for a Filter DATA; and who listens to what
//! comes on STDERR.

use std::io::{self, Read, Seek, Write};

use super::{ClientError, Result};

/// Memory for a body that is read first; a longer one goes to a temporary file.
const MEMORY_LIMIT: usize = 1024 * 1024;

/// One of the streams: as many bytes of a reader as were promised.
pub(crate) struct Source<'b> {
    reader: Reader<'b>,
    length: u64,
    left: u64,
}

enum Reader<'b> {
    Once(Box<dyn Read + 'b>),
    Again(Box<dyn ReadSeek + 'b>),
}

pub(crate) trait ReadSeek: Read + Seek {}

impl<R: Read + Seek> ReadSeek for R {}

impl<'b> Source<'b> {
    pub(crate) fn once(reader: impl Read + 'b, length: u64) -> Self {
        Self { reader: Reader::Once(Box::new(reader)), length, left: length }
    }

    fn again(reader: impl ReadSeek + 'b, length: u64) -> Self {
        Self { reader: Reader::Again(Box::new(reader)), length, left: length }
    }

    pub(crate) fn bytes(bytes: &'b [u8]) -> Self {
        Self::again(io::Cursor::new(bytes), bytes.len() as u64)
    }

    /// Reads all of `reader`, up to `limit` bytes, so that its length is known.
    pub(crate) fn spooled(mut reader: impl Read, limit: u64) -> Result<Self> {
        let mut spool = tempfile::spooled_tempfile(MEMORY_LIMIT);
        let (mut piece, mut length) = (vec![0; 64 * 1024], 0);
        loop {
            let count = match reader.read(&mut piece) {
                Ok(0) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result.map_err(ClientError::Body)?,
            };
            length += count as u64;
            if length > limit {
                return Err(ClientError::Body(io::ErrorKind::FileTooLarge.into()));
            }
            spool.write_all(&piece[..count]).map_err(ClientError::spool)?;
        }
        spool.rewind().map_err(ClientError::spool)?;
        Ok(Self::again(spool, length))
    }

    /// Brings it back to its start, if it can be: whether it is there.
    fn rewind(&mut self) -> bool {
        self.left = self.length;
        match &mut self.reader {
            Reader::Once(_) => self.length == 0,
            Reader::Again(reader) => reader.rewind().is_ok(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let (reader, failure): (&mut dyn Read, fn(_) -> _) = match &mut self.reader {
            Reader::Once(reader) => (reader, ClientError::Body),
            Reader::Again(reader) => (reader, ClientError::spool),
        };
        let count = match reader.read(&mut buffer[..wanted]) {
            Ok(0) => return Err(ClientError::BodyTooShort { missing: self.left }),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            result => result.map_err(failure)?,
        };
        self.left -= count as u64;
        Ok(count)
    }
}

/// Who is told what comes on STDERR.
type Listener<'b> = Box<dyn FnMut(&[u8]) + 'b>;

/// A request's input streams, in their order, STDIN and DATA, and who listens to its STDERR.
#[derive(Default)]
pub(crate) struct Body<'b> {
    pub(crate) streams: [Option<Source<'b>>; 2],
    pub(crate) listener: Option<Listener<'b>>,
}

impl Body<'_> {
    pub(crate) fn lengths(&self) -> [Option<u64>; 2] {
        self.streams.each_ref().map(|source| source.as_ref().map(|source| source.length))
    }

    pub(crate) fn is_repeatable(&self) -> bool {
        let mut sources = self.streams.iter().flatten();
        sources.all(|source| source.length == 0 || matches!(source.reader, Reader::Again(_)))
    }

    pub(crate) fn rewind(&mut self) -> bool {
        self.streams.iter_mut().flatten().all(Source::rewind)
    }

    /// Some of the next bytes, of which there are some; none when it was interrupted.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let source = self.streams.iter_mut().flatten().find(|source| source.left > 0);
        source.map_or(Ok(0), |source| source.read(buffer))
    }
}
