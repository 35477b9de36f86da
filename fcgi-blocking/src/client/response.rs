use std::fmt;
use std::io::{self, Read};

use fcgi_proto::cgi::{ResponseBody, ResponseHead, Status};
use fcgi_proto::record::{ProtocolStatus, RequestId};

use super::body::Body;
use super::link::{Got, Link, Request};
use super::{Client, ClientError, ClientSettings};

/// How an application ended a request (FastCGI 1.0, section 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// What it passed to `exit`; it means little with real applications.
    pub app_status: u32,
    /// The protocol status's number; see [`ProtocolStatus::from_wire`].
    pub protocol_status: u8,
    /// Whether anything came on STDOUT.
    pub answered: bool,
}

impl End {
    /// Why the request was refused, if it was: no output came, and the status says that it was not executed.
    #[must_use]
    pub fn refusal(&self) -> Option<ProtocolStatus> {
        let status = ProtocolStatus::from_wire(self.protocol_status);
        status.filter(|status| *status != ProtocolStatus::RequestComplete && !self.answered)
    }
}

/// A request whose answer's head came.
pub(crate) struct Started {
    id: RequestId,
    head: ResponseHead<Box<[u8]>>,
    body: ResponseBody,
    end: Option<End>,
}

impl Started {
    /// Sends a request until the head of its answer is there.
    pub(crate) fn read(
        link: &mut Link,
        body: &mut Body<'_>,
        request: &Request<'_>,
        settings: &ClientSettings,
    ) -> Result<Self, ClientError> {
        let id = link.begin(request)?;
        let mut head = ResponseHead::new(vec![0; settings.head_limit].into_boxed_slice());
        loop {
            match link.next(body, Some(id), settings)? {
                Got::Stdout => {
                    let chunk = link.chunk();
                    if let Some(rest) = head.push(chunk)? {
                        let used = chunk.len() - rest.len();
                        link.take_chunk(used);
                        break;
                    }
                }
                Got::End(got) => {
                    return Err(match (got.refusal(), head.finish()) {
                        (Some(status), _) => ClientError::Refused(status),
                        (None, Err(error)) => error.into(),
                        (None, Ok(())) => ClientError::Truncated,
                    });
                }
                Got::Values { .. } | Got::UnknownType => {}
            }
        }
        let body = ResponseBody::new(&head, request.method)?;
        Ok(Self { id, head, body, end: None })
    }
}

/// An application's answer: its head, and its body to be read.
///
/// One that is dropped before its end closes its connection, so that what is left of it never meets the next
/// request.
pub struct Response<'c> {
    client: &'c mut Client,
    /// Until the end.
    link: Option<Link>,
    body: Body<'c>,
    started: Started,
}

impl<'c> Response<'c> {
    pub(crate) fn new(client: &'c mut Client, link: Link, body: Body<'c>, started: Started) -> Self {
        Self { client, link: Some(link), body, started }
    }

    /// The status: `Status`, or 302 with a `Location`, or 200 (RFC 3875, section 6).
    #[must_use]
    pub fn status(&self) -> Status {
        self.started.head.status()
    }

    /// The head's fields `(name, value)` in their order, without `Status`; equal names are all there.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.started.head.fields()
    }

    /// The value of the first field with this name, in upper or lower case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.started.head.get(name.as_bytes())
    }

    /// The head as it was read.
    #[must_use]
    pub fn head(&self) -> &ResponseHead<Box<[u8]>> {
        &self.started.head
    }

    /// What came on STDERR since this was last asked; of more than 64 KiB that nobody takes, the rest is
    /// dropped.
    pub fn take_stderr(&mut self) -> Vec<u8> {
        let link = self.link.as_mut().map(|link| &mut link.stderr);
        std::mem::take(link.unwrap_or(&mut self.client.stderr))
    }

    /// How the application ended the request, once all of the body was read.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.started.end
    }

    /// Reads the next bytes of the body; 0 at its end, once END_REQUEST came.
    fn read_body(&mut self, buffer: &mut [u8]) -> Result<usize, ClientError> {
        loop {
            let Started { id, body, end, .. } = &mut self.started;
            let Some(link) = &mut self.link else {
                return match body.missing() {
                    // It failed before: that is no end.
                    _ if end.is_none() => Err(ClientError::Truncated),
                    0 => Ok(0),
                    missing => Err(ClientError::ContentTooShort { missing }),
                };
            };
            let chunk = link.chunk();
            let wanted = body.wanted(chunk.len());
            if wanted > 0 {
                let count = wanted.min(buffer.len());
                buffer[..count].copy_from_slice(&chunk[..count]);
                link.take_chunk(count);
                body.take(count);
                return Ok(count);
            }
            // What is left of the chunk is more than Content-Length says, or than there is to be at all.
            body.skip(chunk.len())?;
            link.take_chunk(usize::MAX);
            match link.next(&mut self.body, Some(*id), &self.client.settings)? {
                Got::Stdout | Got::Values { .. } | Got::UnknownType => {}
                Got::End(got) => {
                    *end = Some(got);
                    self.release();
                }
            }
        }
    }

    /// The end came: the connection is kept if it can be.
    fn release(&mut self) {
        if let Some(mut link) = self.link.take() {
            self.client.stderr = std::mem::take(&mut link.stderr);
            link.settle();
            if link.is_reusable() {
                self.client.kept = Some(link);
            }
        }
    }
}

impl Read for Response<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.read_body(buffer).map_err(|error| {
            // What failed once cannot go on: the connection is closed, and the end stays unknown.
            if let Some(mut link) = self.link.take() {
                self.client.stderr = std::mem::take(&mut link.stderr);
            }
            error.into()
        })
    }
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status()).finish_non_exhaustive()
    }
}
