//! A request on its way: its body goes out, its answer comes in.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{fmt, io, mem};

use fcgi_proto::cgi::{ResponseHead, Status};
use fcgi_proto::client::{Again, Page, Session, Stderr};
use smol::io::AsyncRead;

use super::body::Body;
use super::link::CAPACITY;
use super::{ClientError, End};
use crate::pool::lease::Lease;

/// Bytes of the request's body that are read at a time.
const PIECE: usize = 32 * 1024;

/// An application's answer: its head, and its body to be read.
///
/// One that is dropped before its end closes its connection, or aborts the request where others share it, so
/// that what is left of it never meets the next request.
pub struct Response<'b> {
    /// Until the end.
    lease: Option<Lease>,
    /// What is still to be sent, and what of it was read.
    body: Body<'b>,
    piece: Vec<u8>,
    /// What came of STDOUT, from `taken` on.
    chunk: Vec<u8>,
    taken: usize,
    page: Page<Box<[u8]>>,
    end: Option<End>,
    /// What came on STDERR, once the exchange is over.
    pub(super) stderr: Stderr,
}

impl<'b> Response<'b> {
    /// To a request that began, with its body.
    pub(crate) fn new(lease: Lease, body: Body<'b>, page: Page<Box<[u8]>>) -> Self {
        let (piece, chunk, taken, end, stderr) = Default::default();
        Self { lease: Some(lease), body, piece, chunk, taken, page, end, stderr }
    }

    /// Sends the request until the head of its answer is there.
    pub(crate) async fn read_head(&mut self) -> Result<(), ClientError> {
        while !self.head().is_complete() {
            poll_fn(|cx| self.poll_more(cx)).await?;
            self.end.iter().try_for_each(|end| self.page.finish(end))?;
        }
        self.lease.iter().for_each(|lease| lease.answered(self.status().code()));
        Ok(())
    }

    /// Whether the answer is a refusal, which only its end tells, and another application can be asked. What
    /// comes until then is kept.
    pub(crate) async fn is_refusal(&mut self) -> bool {
        let may_be = |session: &mut Session<CAPACITY>, request| {
            session.may_be_refused(request) || session.again(request) == Again::Elsewhere
        };
        let waits = |lease: &Lease| lease.has_others() && lease.session(may_be);
        while self.end.is_none() && self.lease.as_ref().is_some_and(waits) {
            let before = mem::take(&mut self.chunk);
            // A failure comes again when the body is read.
            let result = poll_fn(|cx| self.poll_next(cx)).await;
            self.chunk.splice(..0, before);
            if result.is_err() {
                return false;
            }
        }
        self.end.is_some() && self.again() == Again::Elsewhere
    }

    /// Whether and where the request is to be sent again, after it failed or was refused.
    pub(crate) fn again(&self) -> Again {
        let again = |lease: &Lease| lease.session(|session, request| session.again(request));
        self.lease.as_ref().map_or(Again::No, again)
    }

    /// The status: `Status`, or 302 with a `Location`, or 200 (RFC 3875, section 6).
    #[must_use]
    pub fn status(&self) -> Status {
        self.head().status()
    }

    /// The head's fields `(name, value)` in their order, without `Status`; equal names are all there.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.head().fields()
    }

    /// The value of the first field with this name, in upper or lower case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.head().get(name.as_bytes())
    }

    /// The head as it was read.
    #[must_use]
    pub fn head(&self) -> &ResponseHead<Box<[u8]>> {
        self.page.head()
    }

    /// What came on STDERR since this was last asked: of more than 64 KiB that nobody takes, a beginning and an
    /// end, with a line between them that says how much was left out.
    pub fn take_stderr(&mut self) -> Vec<u8> {
        let stderr = self.lease.as_ref().map(|lease| lease.link.take_stderr(lease.request));
        stderr.unwrap_or_else(|| mem::take(&mut self.stderr)).take()
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
        if let Err(error) = &result {
            // What failed once cannot go on, and the end stays unknown.
            self.give_up(error);
        }
        Poll::Ready(result)
    }

    fn poll_wanted(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ClientError>> {
        loop {
            let wanted = self.page.wanted(self.chunk());
            if wanted > 0 {
                return Poll::Ready(Ok(wanted));
            }
            // What is left of the chunk is more than Content-Length says, or than there is to be at all.
            self.taken += self.page.skim(&self.chunk[self.taken..])?;
            if let Some(end) = &self.end {
                self.page.finish(end)?;
                drop(self.release());
                return Poll::Ready(Ok(0));
            }
            ready!(self.poll_more(cx))?;
        }
    }

    /// Sends and receives until something came: a part of the head or the next chunk of the body, or the end.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        ready!(self.poll_next(cx))?;
        if self.end.is_none() {
            self.taken = self.page.skim(&self.chunk)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        let result = self.poll_link(cx);
        self.hand_on_stderr();
        result
    }

    /// Hands on what came on STDERR, if someone listens.
    fn hand_on_stderr(&mut self) {
        if let (Some(lease), Some(listener)) = (&self.lease, &mut self.body.listener) {
            lease.link.take_stderr(lease.request).hand_on(Some(listener));
        }
    }

    fn poll_link(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        // It failed before: that is no end.
        let Some(lease) = &self.lease else { return Poll::Ready(Err(ClientError::Truncated)) };
        let (link, request) = (&lease.link, lease.request);
        loop {
            // Small bodies leave with their parameters.
            let mut waits = self.body.is_read() && self.piece.is_empty();
            while !waits {
                if self.piece.is_empty() {
                    self.piece.resize(link.wants(request).min(PIECE), 0);
                    if self.piece.is_empty() {
                        break;
                    }
                    let read = self.body.poll_read(cx, &mut self.piece)?;
                    waits = read.is_pending();
                    self.piece.truncate(if let Poll::Ready(count) = read { count } else { 0 });
                }
                if !link.send(request, &mut self.piece)? {
                    break;
                }
                waits |= self.body.is_read();
            }
            if let Poll::Ready(end) = link.poll(request, cx, &mut self.chunk) {
                return Poll::Ready(end.map(|end| self.end = end));
            }
            if waits || link.wants(request) == 0 {
                return Poll::Pending;
            }
        }
    }

    /// What came of STDOUT that was not taken.
    pub(crate) fn chunk(&self) -> &[u8] {
        &self.chunk[self.taken..]
    }

    /// Takes bytes of the body off the [chunk](Self::chunk).
    pub(crate) fn take_chunk(&mut self, count: usize) {
        self.page.take(count);
        self.taken += count;
    }

    /// Whether all of the body was taken that there is to be, as far as the head tells.
    #[cfg(feature = "tower")]
    pub(crate) fn is_whole(&self) -> bool {
        self.page.is_whole()
    }

    /// The request is over, well or not; its body may be sent again.
    pub(crate) fn release(&mut self) -> Body<'b> {
        self.hand_on_stderr();
        if let Some(lease) = self.lease.take() {
            self.stderr = lease.link.take_stderr(lease.request);
        }
        mem::take(&mut self.body)
    }

    /// The request failed with this, and that is its answer.
    pub(crate) fn give_up(&mut self, error: &ClientError) {
        self.lease.iter().for_each(|lease| lease.log_failure(error));
        drop(self.release());
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
