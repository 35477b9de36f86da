//! Which of the bytes behind a response's head are its body (RFC 3875, section 6.3.4 and 6.4): all of them,
//! those of its Content-Length, or none. What else comes is read and dropped, up to a limit.

use core::fmt;

use super::response::{ResponseHead, ResponseHeadError};

/// Bytes behind the body that are dropped while END_REQUEST is waited for, at most.
const EXCESS_LIMIT: u64 = 16 * 1024 * 1024;

/// How far a response's body has come.
///
/// ```
/// use fcgi_proto::cgi::{ResponseBody, ResponseHead};
///
/// let mut head = ResponseHead::new([0; 512]);
/// let stdout = head.push(b"Content-Length: 4\r\n\r\nbody, and more")?.unwrap();
/// let mut body = ResponseBody::new(&head, b"GET")?;
/// let (now, rest) = stdout.split_at(body.wanted(stdout.len()));
/// assert_eq!(now, b"body");
/// body.take(now.len());
/// body.skip(rest.len())?;
/// assert_eq!(body.missing(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResponseBody {
    /// Bytes that are to come; `None` without limit.
    left: Option<u64>,
    excess: u64,
}

impl ResponseBody {
    /// Of a response with this head, which is complete, to a request of this method.
    ///
    /// # Errors
    /// [`ResponseHeadError::ContentLength`].
    pub fn new<B: AsRef<[u8]> + AsMut<[u8]>>(
        head: &ResponseHead<B>,
        method: &[u8],
    ) -> Result<Self, ResponseHeadError> {
        let left = if head.has_body(method) { head.content_length()? } else { Some(0) };
        Ok(Self { left, excess: 0 })
    }

    /// How many of the next `available` bytes are body.
    #[must_use]
    pub fn wanted(&self, available: usize) -> usize {
        self.left.map_or(available, |left| usize::try_from(left).unwrap_or(usize::MAX).min(available))
    }

    /// Counts bytes of the body, as many as are [wanted](Self::wanted) or fewer.
    pub fn take(&mut self, count: usize) {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(count as u64);
        }
    }

    /// Counts bytes that are not wanted.
    ///
    /// # Errors
    /// [`ResponseTooLong`], beyond 16 MiB.
    pub fn skip(&mut self, count: usize) -> Result<(), ResponseTooLong> {
        self.excess = self.excess.saturating_add(count as u64);
        if self.excess > EXCESS_LIMIT { Err(ResponseTooLong { limit: EXCESS_LIMIT }) } else { Ok(()) }
    }

    /// Bytes that Content-Length promises and that have not come: other than 0 at the response's end, it was
    /// cut short.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.left.unwrap_or(0)
    }

    /// Whether its head says how much there is of it.
    pub(crate) fn has_end(&self) -> bool {
        self.left.is_some()
    }
}

/// The response goes on and on behind its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResponseTooLong {
    /// Bytes that were dropped.
    pub limit: u64,
}

impl fmt::Display for ResponseTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer went on for more than {} bytes after its end", self.limit)
    }
}

impl core::error::Error for ResponseTooLong {}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;

    use super::*;

    fn body(head: &[u8], method: &[u8]) -> Result<ResponseBody, ResponseHeadError> {
        let mut read = ResponseHead::new(vec![0; 512]);
        assert_eq!(read.push(head), Ok(Some(&b""[..])));
        ResponseBody::new(&read, method)
    }

    #[test]
    fn without_a_content_length_all_bytes_are_body_and_none_is_missing() {
        let mut body = body(b"A: b\n\n", b"GET").unwrap();
        for available in [0, 1, usize::MAX] {
            assert_eq!(body.wanted(available), available);
            body.take(available);
        }
        assert_eq!(body.missing(), 0);
    }

    #[test]
    fn nginx_2020_07_06_a_content_length_is_as_much_as_is_wanted_and_what_lacks_is_told() {
        let mut body = body(b"Content-Length: 10\n\n", b"POST").unwrap();
        assert_eq!((body.wanted(4), body.wanted(11)), (4, 10));
        body.take(4);
        assert_eq!((body.wanted(11), body.missing()), (6, 6));
        body.take(6);
        assert_eq!((body.wanted(11), body.missing()), (0, 0));
    }

    #[test]
    fn where_there_is_no_body_no_byte_is_wanted_whatever_content_length_says() {
        for (head, method) in [
            (&b"Content-Length: 10\n\n"[..], &b"HEAD"[..]),
            (b"Status: 204\nContent-Length: 10\n\n", b"GET"),
            (b"Status: 304\nContent-Length: x\n\n", b"GET"),
        ] {
            let body = body(head, method).unwrap();
            assert_eq!((body.wanted(10), body.missing()), (0, 0));
        }
        assert_eq!(body(b"Content-Length: x\n\n", b"GET").err(), Some(ResponseHeadError::ContentLength));
    }

    #[test]
    fn what_comes_behind_the_body_is_dropped_up_to_16_mib() {
        let mut body = body(b"Content-Length: 0\n\n", b"GET").unwrap();
        assert_eq!(body.skip(16 << 20), Ok(()));
        assert_eq!(body.skip(1), Err(ResponseTooLong { limit: 16 << 20 }));
        assert_eq!(body.skip(usize::MAX), Err(ResponseTooLong { limit: 16 << 20 }));
    }
}
