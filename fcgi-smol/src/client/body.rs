//! What a request sends after its parameters, STDIN of a known length, for a Filter DATA; and who listens to what
//! comes on STDERR.

use std::io::{self, Seek, SeekFrom, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use smol::Unblock;
use smol::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, Cursor};
use tempfile::SpooledData;

use super::ClientError;
use crate::net::sync::unblock;

/// Memory for a body that is read first; a longer one goes to a temporary file.
const MEMORY_LIMIT: usize = 256 * 1024;

/// Bytes that are read or written at a time.
const PIECE: usize = 64 * 1024;

/// One of the streams: as many bytes of a reader as were promised.
pub(crate) struct Source<'b> {
    reader: Reader<'b>,
    length: u64,
    left: u64,
}

enum Reader<'b> {
    Once(Pin<Box<dyn AsyncRead + Send + 'b>>),
    Again(Pin<Box<dyn ReadSeek + 'b>>),
}

trait ReadSeek: AsyncRead + AsyncSeek + Send {}

impl<R: AsyncRead + AsyncSeek + Send> ReadSeek for R {}

impl<'b> Source<'b> {
    pub(crate) fn once(reader: impl AsyncRead + Send + 'b, length: u64) -> Self {
        Self { reader: Reader::Once(Box::pin(reader)), length, left: length }
    }

    fn again(reader: impl ReadSeek + 'b, length: u64) -> Self {
        Self { reader: Reader::Again(Box::pin(reader)), length, left: length }
    }

    pub(crate) fn bytes(bytes: impl AsRef<[u8]> + Send + Unpin + 'b) -> Self {
        let length = bytes.as_ref().len() as u64;
        Self::again(Cursor::new(bytes), length)
    }

    /// Reads all of `reader`, up to `limit` bytes, so that its length is known.
    pub(crate) async fn spooled(reader: impl AsyncRead + Send, limit: u64) -> Result<Self, ClientError> {
        let mut reader = std::pin::pin!(reader);
        let mut spool = tempfile::spooled_tempfile(MEMORY_LIMIT);
        let (mut piece, mut length) = (vec![0; PIECE], 0);
        loop {
            let count = match reader.read(&mut piece).await {
                Ok(0) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result.map_err(ClientError::Body)?,
            };
            length += count as u64;
            if length > limit {
                return Err(ClientError::Body(io::ErrorKind::FileTooLarge.into()));
            }
            let write = move || spool.write_all(&piece[..count]).map(|()| (spool, piece));
            let written = if length > MEMORY_LIMIT as u64 { unblock(write).await } else { write() };
            (spool, piece) = written.map_err(ClientError::spool)?;
        }
        spool.rewind().map_err(ClientError::spool)?;
        Ok(match spool.into_inner() {
            SpooledData::InMemory(bytes) => Self::bytes(bytes.into_inner()),
            SpooledData::OnDisk(file) => Self::again(Unblock::with_capacity(PIECE, file), length),
        })
    }
}

/// Who is told what comes on STDERR.
type Listener<'b> = Box<dyn FnMut(&[u8]) + Send + 'b>;

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

    /// Whether nothing of it is left. No read may find that out: it might wait for what comes after the body.
    pub(crate) fn is_read(&self) -> bool {
        self.streams.iter().flatten().all(|source| source.left == 0)
    }

    pub(crate) fn is_repeatable(&self) -> bool {
        let mut sources = self.streams.iter().flatten();
        sources.all(|source| source.length == 0 || matches!(source.reader, Reader::Again(_)))
    }

    /// Brings it back to its start, if it can be: whether it is there.
    pub(crate) async fn rewind(&mut self) -> bool {
        for source in self.streams.iter_mut().flatten() {
            source.left = source.length;
            let is_there = match &mut source.reader {
                Reader::Once(_) => source.length == 0,
                Reader::Again(reader) => reader.seek(SeekFrom::Start(0)).await.is_ok(),
            };
            if !is_there {
                return false;
            }
        }
        true
    }

    /// Some of the next bytes, of which there are some; none when it was interrupted.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, ClientError>> {
        let next = self.streams.iter_mut().flatten().find(|source| source.left > 0);
        let Some(Source { reader, left, .. }) = next else { return Poll::Ready(Ok(0)) };
        let wanted = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..wanted];
        let (result, failure): (_, fn(_) -> _) = match reader {
            Reader::Once(reader) => (ready!(reader.as_mut().poll_read(cx, buffer)), ClientError::Body),
            Reader::Again(reader) => (ready!(reader.as_mut().poll_read(cx, buffer)), ClientError::spool),
        };
        let count = match result {
            Ok(0) => return Poll::Ready(Err(ClientError::BodyTooShort { missing: *left })),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            result => result.map_err(failure)?,
        };
        *left -= count as u64;
        Poll::Ready(Ok(count))
    }
}
