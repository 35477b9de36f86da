//! An application's answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{fmt, io};

use fcgi_proto::cgi::{ResponseBody, ResponseHead, Status};
use smol::io::AsyncRead;

use super::exchange::Exchange;
use super::{ClientError, End};

/// An application's answer: its head, and its body to be read.
///
/// One that is dropped before its end closes its connection, or aborts the request where others share it, so
/// that what is left of it never meets the next request.
pub struct Response<'b> {
    /// Until the end.
    exchange: Option<Exchange<'b>>,
    head: ResponseHead<Box<[u8]>>,
    body: ResponseBody,
    end: Option<End>,
    /// What came on STDERR, once the exchange is over.
    stderr: Vec<u8>,
}

/// What is known once the head came.
pub(crate) struct Started {
    head: ResponseHead<Box<[u8]>>,
    body: ResponseBody,
}

impl<'b> Response<'b> {
    /// Reads up to the head's end.
    pub(crate) async fn read(exchange: &mut Exchange<'b>, method: &[u8]) -> Result<Started, ClientError> {
        let limit = exchange.head_limit();
        let mut head = ResponseHead::new(vec![0; limit].into_boxed_slice());
        loop {
            if let Some(end) = exchange.more().await? {
                return Err(match (end.refusal(), head.finish()) {
                    (Some(status), _) => ClientError::Refused(status),
                    (None, Err(error)) => ClientError::Head(error),
                    (None, Ok(())) => ClientError::Truncated,
                });
            }
            let chunk = exchange.chunk();
            if let Some(rest) = head.push(chunk).map_err(ClientError::Head)? {
                let used = chunk.len() - rest.len();
                exchange.take_chunk(used);
                let body = ResponseBody::new(&head, method).map_err(ClientError::Head)?;
                return Ok(Started { head, body });
            }
        }
    }

    pub(crate) fn new(exchange: Exchange<'b>, started: Started) -> Self {
        let Started { head, body } = started;
        Self { exchange: Some(exchange), head, body, end: None, stderr: Vec::new() }
    }

    /// The status: `Status`, or 302 with a `Location`, or 200 (RFC 3875, section 6).
    #[must_use]
    pub fn status(&self) -> Status {
        self.head.status()
    }

    /// The head's fields `(name, value)` in their order, without `Status`; equal names are all there.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.head.fields()
    }

    /// The value of the first field with this name, in upper or lower case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.head.get(name.as_bytes())
    }

    /// The head as it was read.
    #[must_use]
    pub fn head(&self) -> &ResponseHead<Box<[u8]>> {
        &self.head
    }

    /// What came on STDERR since this was last asked; of more than 64 KiB that nobody takes, the rest is
    /// dropped.
    pub fn take_stderr(&mut self) -> Vec<u8> {
        match &self.exchange {
            Some(exchange) => exchange.take_stderr(),
            None => std::mem::take(&mut self.stderr),
        }
    }

    /// How the application ended the request, once all of the body was read.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// How many bytes of the body are at the front of the [chunk](Self::chunk), once there is one; 0 at its end,
    /// once END_REQUEST came.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ClientError>> {
        let result = ready!(self.poll_wanted(cx));
        if result.is_err() {
            // What failed once cannot go on, and the end stays unknown.
            self.release();
        }
        Poll::Ready(result)
    }

    fn poll_wanted(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ClientError>> {
        loop {
            let Some(exchange) = &mut self.exchange else {
                return Poll::Ready(match self.body.missing() {
                    // It failed before: that is no end.
                    _ if self.end.is_none() => Err(ClientError::Truncated),
                    0 => Ok(0),
                    missing => Err(ClientError::ContentTooShort { missing }),
                });
            };
            let chunk = exchange.chunk();
            let wanted = self.body.wanted(chunk.len());
            if wanted > 0 {
                return Poll::Ready(Ok(wanted));
            }
            // What is left of the chunk is more than Content-Length says, or than there is to be at all.
            self.body.skip(chunk.len()).map_err(ClientError::ContentTooLong)?;
            exchange.take_chunk(usize::MAX);
            if let Some(end) = ready!(exchange.poll_more(cx))? {
                self.end = Some(end);
                self.release();
            }
        }
    }

    /// What came of STDOUT that was not taken.
    pub(crate) fn chunk(&self) -> &[u8] {
        self.exchange.as_ref().map_or(&[], Exchange::chunk)
    }

    /// Takes bytes of the body off the [chunk](Self::chunk).
    pub(crate) fn take_chunk(&mut self, count: usize) {
        self.body.take(count);
        if let Some(exchange) = &mut self.exchange {
            exchange.take_chunk(count);
        }
    }

    /// Whether all of the body was taken that there is to be, as far as the head tells.
    #[cfg(feature = "tower")]
    pub(crate) fn is_whole(&self) -> bool {
        self.body.wanted(1) == 0
    }

    /// The exchange is over, well or not.
    fn release(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            self.stderr = exchange.take_stderr();
        }
    }
}

impl AsyncRead for Response<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let count = ready!(self.poll_chunk(cx))?.min(buffer.len());
        buffer[..count].copy_from_slice(&self.chunk()[..count]);
        self.take_chunk(count);
        Poll::Ready(Ok(count))
    }
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status()).finish_non_exhaustive()
    }
}
