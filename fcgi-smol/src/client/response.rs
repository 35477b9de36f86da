//! An application's answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{fmt, io};

use fcgi_proto::cgi::{ResponseBody, ResponseHead, Status};
use fcgi_proto::client::Again;
use smol::io::AsyncRead;

use super::body::Body;
use super::exchange::Exchange;
use super::{ClientError, End};

/// An application's answer: its head, and its body to be read.
///
/// One that is dropped before its end closes its connection, or aborts the request where others share it, so
/// that what is left of it never meets the next request.
pub struct Response<'b> {
    /// Until the end.
    exchange: Option<Exchange<'b>>,
    /// What came of STDOUT, from `taken` on.
    chunk: Vec<u8>,
    taken: usize,
    head: ResponseHead<Box<[u8]>>,
    body: ResponseBody,
    end: Option<End>,
    /// What came on STDERR, once the exchange is over.
    stderr: Vec<u8>,
}

impl<'b> Response<'b> {
    /// Reads up to the head's end; a request that failed before is given back.
    pub(crate) async fn read(
        mut exchange: Exchange<'b>,
        method: &[u8],
        head_limit: usize,
    ) -> Result<Self, (Exchange<'b>, ClientError)> {
        let mut head = ResponseHead::new(vec![0; head_limit].into_boxed_slice());
        let mut chunk = Vec::new();
        let result = loop {
            match exchange.more(&mut chunk).await {
                Ok(None) => {}
                Ok(Some(end)) => {
                    break Err(match (end.refusal(), head.finish()) {
                        (Some(status), _) => ClientError::Refused(status),
                        (None, Err(error)) => error.into(),
                        (None, Ok(())) => ClientError::Truncated,
                    });
                }
                Err(error) => break Err(error),
            }
            match head.push(&chunk) {
                Ok(None) => {}
                Ok(Some(rest)) => break Ok(chunk.len() - rest.len()),
                Err(error) => break Err(error.into()),
            }
        };
        let started = result.and_then(|taken| Ok((taken, ResponseBody::new(&head, method)?)));
        match started {
            Ok((taken, body)) => {
                exchange.lease().answered(head.status().code());
                let exchange = Some(exchange);
                Ok(Self { exchange, chunk, taken, head, body, end: None, stderr: Vec::new() })
            }
            Err(error) => Err((exchange, error)),
        }
    }

    /// The request's body, if the answer turns out to be a refusal, which only its end tells: the request may go
    /// elsewhere then. What comes until the end is kept.
    pub(crate) async fn refusal(&mut self) -> Option<Body<'b>> {
        while self.exchange.as_ref()?.may_be_refused() {
            let mut more = Vec::new();
            // A failure comes again when the body is read.
            match self.exchange.as_mut()?.more(&mut more).await.ok()? {
                None => self.chunk.extend(more),
                Some(end) => {
                    self.end = Some(end);
                    let again = self.exchange.as_ref()?.again();
                    return self.release().filter(|_| again == Again::Elsewhere);
                }
            }
        }
        None
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
            let rest = self.chunk.len() - self.taken;
            let wanted = self.body.wanted(rest);
            if wanted > 0 {
                return Poll::Ready(Ok(wanted));
            }
            // What is left of the chunk is more than Content-Length says, or than there is to be at all.
            self.body.skip(rest)?;
            self.taken = self.chunk.len();
            let Some(exchange) = &mut self.exchange else {
                return Poll::Ready(match self.body.missing() {
                    // It failed before: that is no end.
                    _ if self.end.is_none() => Err(ClientError::Truncated),
                    0 => Ok(0),
                    missing => Err(ClientError::ContentTooShort { missing }),
                });
            };
            let end = ready!(exchange.poll_more(cx, &mut self.chunk))?;
            match end {
                None => self.taken = 0,
                Some(end) => {
                    self.end = Some(end);
                    self.release();
                }
            }
        }
    }

    /// What came of STDOUT that was not taken.
    pub(crate) fn chunk(&self) -> &[u8] {
        &self.chunk[self.taken..]
    }

    /// Takes bytes of the body off the [chunk](Self::chunk).
    pub(crate) fn take_chunk(&mut self, count: usize) {
        self.body.take(count);
        self.taken += count;
    }

    /// Whether all of the body was taken that there is to be, as far as the head tells.
    #[cfg(feature = "tower")]
    pub(crate) fn is_whole(&self) -> bool {
        self.body.wanted(1) == 0
    }

    /// The exchange is over, well or not.
    fn release(&mut self) -> Option<Body<'b>> {
        let exchange = self.exchange.take()?;
        self.stderr = exchange.take_stderr();
        Some(exchange.into_body())
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
