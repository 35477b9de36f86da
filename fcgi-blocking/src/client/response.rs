use std::fmt;
use std::io::{self, Read};

use fcgi_proto::cgi::{ResponseHead, Status};
use fcgi_proto::client::{End, Page, Request, Stderr};

use super::body::Body;
use super::link::Link;
use super::{Client, ClientError, Result};
use crate::net::lock;

/// An application's answer: its head, and its body to be read.
///
/// One that is dropped before its end closes its connection, so that what is left of it never meets the next
/// request.
pub struct Response<'c> {
    pub(super) client: &'c Client,
    /// Until the end.
    pub(super) link: Option<Link>,
    pub(super) request: Request,
    pub(super) input: Body<'c>,
    pub(super) page: Page<Box<[u8]>>,
    pub(super) end: Option<End>,
    /// What came on STDERR, once the connection is not its any more.
    pub(super) stderr: Stderr,
}

impl Response<'_> {
    /// Sends the request, which began, until the head of its answer is there.
    pub(crate) fn read_head(&mut self) -> Result<()> {
        while !self.head().is_complete() {
            self.read_more()?;
            self.end.iter().try_for_each(|end| self.page.finish(end))?;
        }
        Ok(())
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
        self.link.as_mut().map_or(&mut self.stderr, |link| &mut link.stderr).take()
    }

    /// How the application ended the request, once all of the body was read.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Sends and receives until something came: the next bytes of the body, or the end, or a part of the head.
    fn read_more(&mut self) -> Result<()> {
        // It failed before: that is no end.
        let Some(link) = &mut self.link else { return Err(ClientError::Truncated) };
        self.end = link.next(self.request, &mut self.input)?;
        if self.end.is_none() {
            let count = self.page.skim(link.chunk())?;
            link.take_chunk(self.request, count);
            link.session.head(self.request, self.page.head().status().code());
        } else if self.page.head().is_complete() {
            self.stderr = std::mem::take(&mut link.stderr);
            let state = &mut *lock(&self.client.state);
            let link = self.link.take();
            state.kept = link.and_then(|link| link.finish(self.request, &mut state.manners));
        }
        Ok(())
    }

    /// What failed once cannot go on: the connection is closed, and the end stays unknown.
    pub(crate) fn give_up(&mut self) {
        if let Some(mut link) = self.link.take() {
            link.log_failure(self.request);
            self.stderr = std::mem::take(&mut link.stderr);
        }
    }

    /// Reads the next bytes of the body; 0 at its end, once END_REQUEST came.
    fn read_body(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            if let Some(end) = &self.end {
                return Ok(self.page.finish(end).map(|()| 0)?);
            }
            let chunk = self.link.as_ref().map_or(&[][..], Link::chunk);
            let count = self.page.wanted(chunk).min(buffer.len());
            if let Some(link) = self.link.as_mut().filter(|_| count > 0) {
                buffer[..count].copy_from_slice(&link.chunk()[..count]);
                link.take_chunk(self.request, count);
                self.page.take(count);
                return Ok(count);
            }
            self.read_more()?;
        }
    }
}

impl Read for Response<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.read_body(buffer).map_err(|error| {
            self.give_up();
            error.into()
        })
    }
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status()).finish_non_exhaustive()
    }
}
