//! What comes on STDOUT, as a response: a CGI head, the body that it leaves, and what the end says about both
//! (RFC 3875, section 6).

use core::fmt;

use super::session::End;
use crate::cgi::{ResponseBody, ResponseHead, ResponseHeadError, ResponseTooLong};
use crate::record::ProtocolStatus;

/// A response on its way. Its head's memory, `B`, is the caller's.
///
/// ```
/// use fcgi_proto::client::Page;
///
/// let mut page = Page::new([0; 512], b"GET");
/// let stdout = b"Content-Length: 4\r\n\r\nbody, and more";
/// assert_eq!(page.skim(stdout), Ok(21)); // the head
/// assert_eq!(page.head().status().code(), 200);
/// assert_eq!(page.wanted(&stdout[21..]), 4);
/// page.take(4);
/// assert_eq!(page.skim(b", and more"), Ok(10)); // nobody wants it
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Page<B> {
    head: ResponseHead<B>,
    /// Once the head is whole.
    body: Option<ResponseBody>,
    is_head: bool,
}

/// Why what came is no whole response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PageError {
    /// It has no CGI head.
    Head(ResponseHeadError),
    /// It went on and on behind the body.
    TooLong(ResponseTooLong),
    /// The request was refused before there was a head.
    Refused(ProtocolStatus),
    /// The body ended before its Content-Length.
    TooShort {
        /// Bytes that it lacks.
        missing: u64,
    },
    /// The application failed half way. It could not close the connection, which carried other requests, and there is
    /// no Content-Length that tells.
    Failed {
        /// What it ended with, not 0.
        app_status: u32,
    },
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Page<B> {
    /// Of the answer to a request of this method, with a head of at most as many bytes as `memory`.
    pub fn new(memory: B, method: &[u8]) -> Self {
        Self { head: ResponseHead::new(memory), body: None, is_head: method == b"HEAD" }
    }

    /// The head, which says whether it [is whole](ResponseHead::is_complete).
    pub const fn head(&self) -> &ResponseHead<B> {
        &self.head
    }

    /// How many bytes at the front of `stdout` are not of the body: of the head, or behind the body. They are
    /// counted, and not to be handed in again.
    ///
    /// # Errors
    /// [`PageError::Head`], [`PageError::TooLong`].
    pub fn skim(&mut self, stdout: &[u8]) -> Result<usize, PageError> {
        if let Some(body) = &mut self.body {
            let count = if body.wanted(stdout.len()) > 0 { 0 } else { stdout.len() };
            return body.skip(count).map(|()| count).map_err(PageError::TooLong);
        }
        let rest = self.head.push(stdout).map_err(PageError::Head)?;
        if rest.is_some() {
            let method: &[u8] = if self.is_head { b"HEAD" } else { b"GET" };
            self.body = Some(ResponseBody::new(&self.head, method).map_err(PageError::Head)?);
        }
        Ok(stdout.len() - rest.map_or(0, <[u8]>::len))
    }

    /// How many bytes at the front of `stdout` are of the body.
    pub fn wanted(&self, stdout: &[u8]) -> usize {
        self.body.as_ref().map_or(0, |body| body.wanted(stdout.len()))
    }

    /// Counts bytes of the body, as many as are [wanted](Self::wanted) or fewer.
    pub fn take(&mut self, count: usize) {
        if let Some(body) = &mut self.body {
            body.take(count);
        }
    }

    /// Whether all of the body was taken, as far as the head tells its length.
    pub fn is_whole(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.wanted(1) == 0)
    }

    /// Checks that the response is whole, when its request has ended like this.
    ///
    /// # Errors
    /// [`PageError`].
    pub fn finish(&self, end: &End) -> Result<(), PageError> {
        match (&self.body, end.refusal) {
            (None, Some(status)) => Err(PageError::Refused(status)),
            (None, None) => self.head.finish().map_err(PageError::Head),
            (Some(body), _) => match body.missing() {
                0 if end.shared && end.app_status != 0 && !body.has_end() => {
                    Err(PageError::Failed { app_status: end.app_status })
                }
                0 => Ok(()),
                missing => Err(PageError::TooShort { missing }),
            },
        }
    }
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => error.fmt(f),
            Self::TooLong(error) => error.fmt(f),
            Self::Refused(status) => write!(f, "the application refused the request: {status}"),
            Self::TooShort { missing } => {
                write!(f, "the answer ended {missing} bytes before its Content-Length")
            }
            Self::Failed { app_status } => {
                write!(f, "the answer was cut: it ended with application status {app_status}")
            }
        }
    }
}

impl core::error::Error for PageError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(stdout: &[u8], app_status: u32, shared: bool) -> Result<(), PageError> {
        let mut page = Page::new([0; 512], b"GET");
        let head = page.skim(stdout).expect("a head");
        page.take(page.wanted(stdout.get(head..).unwrap_or_default()));
        page.finish(&End { app_status, protocol_status: 0, answered: true, refusal: None, shared })
    }

    #[test]
    fn w32_on_a_shared_connection_a_status_is_a_body_cut_that_no_length_shows_and_alone_it_means_nothing() {
        assert_eq!(finished(b"A: b\n\nhalf", 1, true), Err(PageError::Failed { app_status: 1 }));
        assert_eq!(finished(b"A: b\n\nwhole", 0, true), Ok(()));
        assert_eq!(finished(b"A: b\n\nwhole", 1, false), Ok(()));
        assert_eq!(finished(b"Content-Length: 5\n\nwhole", 1, true), Ok(()));
        assert_eq!(finished(b"Content-Length: 5\n\nhal", 1, true), Err(PageError::TooShort { missing: 2 }));
        assert_eq!(finished(b"Status: 304\n\n", 1, true), Ok(()));
    }
}
