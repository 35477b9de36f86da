//! What a request sends after its parameters: STDIN of a known length, for a Filter DATA.

use std::future::poll_fn;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use smol::Unblock;
use smol::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncWriteExt, Cursor};

use super::ClientError;

/// Memory for a body of unknown length; a longer one goes to a temporary file.
const MEMORY_LIMIT: u64 = 1024 * 1024;

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
    Once(Pin<Box<dyn AsyncRead + Send + 'b>>),
    Again(Pin<Box<dyn ReadSeek + 'b>>),
}

trait ReadSeek: AsyncRead + AsyncSeek + Send {}

impl<R: AsyncRead + AsyncSeek + Send> ReadSeek for R {}

impl<'b> Source<'b> {
    pub(crate) fn once(reader: impl AsyncRead + Send + 'b, length: u64) -> Self {
        Self { reader: Reader::Once(Box::pin(reader)), length, left: length, ended: false }
    }

    fn again(reader: impl ReadSeek + 'b, length: u64) -> Self {
        Self { reader: Reader::Again(Box::pin(reader)), length, left: length, ended: false }
    }

    pub(crate) fn bytes(bytes: impl AsRef<[u8]> + Send + Unpin + 'b) -> Self {
        let length = bytes.as_ref().len() as u64;
        Self::again(Cursor::new(bytes), length)
    }

    /// Reads all of `reader`, up to `limit` bytes, so that its length is known.
    pub(crate) async fn spooled(reader: impl AsyncRead + Send, limit: u64) -> io::Result<Self> {
        let mut reader = std::pin::pin!(reader.take(limit.saturating_add(1)));
        let mut start = Vec::new();
        (&mut reader).take(MEMORY_LIMIT + 1).read_to_end(&mut start).await?;
        let too_large = |length| {
            if length > limit { Err(io::Error::from(io::ErrorKind::FileTooLarge)) } else { Ok(length) }
        };
        if too_large(start.len() as u64)? <= MEMORY_LIMIT {
            return Ok(Self::bytes(start));
        }
        let mut file = Unblock::new(smol::unblock(tempfile::tempfile).await?);
        file.write_all(&start).await?;
        let length = too_large(start.len() as u64 + smol::io::copy(reader, &mut file).await?)?;
        file.flush().await?;
        let mut source = Self::again(file, length);
        // It is at its end, from which it is taken back.
        source.left = 0;
        if source.rewind().await { Ok(source) } else { Err(io::ErrorKind::NotSeekable.into()) }
    }

    /// Sends not even its end.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Whether it is at its start, after having been brought there if that can be done.
    async fn rewind(&mut self) -> bool {
        self.ended = false;
        if self.left == self.length {
            return true;
        }
        let Reader::Again(reader) = &mut self.reader else { return false };
        self.left = self.length;
        poll_fn(|cx| reader.as_mut().poll_seek(cx, SeekFrom::Start(0))).await.is_ok()
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, ClientError>> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            // Not even a read of no bytes: it may wait for what comes after the body.
            self.ended = true;
            return Poll::Ready(Ok(0));
        }
        loop {
            let result = match &mut self.reader {
                Reader::Once(reader) => ready!(reader.as_mut().poll_read(cx, &mut buffer[..wanted])),
                Reader::Again(reader) => ready!(reader.as_mut().poll_read(cx, &mut buffer[..wanted])),
            };
            return Poll::Ready(match result {
                Ok(0) => Err(ClientError::BodyTooShort { missing: self.left }),
                Ok(count) => {
                    self.left -= count as u64;
                    Ok(count)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(ClientError::Body(error)),
            });
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

    pub(crate) async fn rewind(&mut self) -> bool {
        if !self.stdin.rewind().await {
            return false;
        }
        match &mut self.data {
            Some(data) => data.rewind().await,
            None => true,
        }
    }

    /// The next bytes and of which stream; 0 at its end.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<(Stream, usize), ClientError>> {
        let (stream, source) = match &mut self.data {
            Some(data) if self.stdin.ended => (Stream::Data, data),
            _ => (Stream::Stdin, &mut self.stdin),
        };
        source.poll_read(cx, buffer).map_ok(|count| (stream, count))
    }
}
