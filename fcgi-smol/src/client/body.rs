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

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Whether it can be had again.
    fn is_repeatable(&self) -> bool {
        self.length == 0 || matches!(self.reader, Reader::Again(_))
    }

    /// Whether it is at its start, after having been brought there if that can be done.
    async fn rewind(&mut self) -> bool {
        if self.left == self.length {
            return true;
        }
        let Reader::Again(reader) = &mut self.reader else { return false };
        self.left = self.length;
        poll_fn(|cx| reader.as_mut().poll_seek(cx, SeekFrom::Start(0))).await.is_ok()
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, ClientError>> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
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
    pub(crate) data: Source<'b>,
}

impl Body<'_> {
    /// Whether there is nothing more to read of either. No read may find that out: it might wait for what comes
    /// after the body.
    pub(crate) fn is_read(&self) -> bool {
        self.stdin.left + self.data.left == 0
    }

    pub(crate) fn is_repeatable(&self) -> bool {
        self.stdin.is_repeatable() && self.data.is_repeatable()
    }

    pub(crate) async fn rewind(&mut self) -> bool {
        self.stdin.rewind().await && self.data.rewind().await
    }

    /// The next bytes, at least one of a body that is not [read](Self::is_read), and of one stream only.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Result<Poll<usize>, ClientError> {
        let source = if self.stdin.left > 0 { &mut self.stdin } else { &mut self.data };
        match source.poll_read(cx, buffer) {
            Poll::Ready(result) => result.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }
}
