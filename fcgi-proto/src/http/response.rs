//! The parts of an HTTP response as a CGI response head, and back (RFC 3875, section 6).

use core::fmt;

use ::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use ::http::{Response, StatusCode, response};

use super::{HeaderError, append};
use crate::cgi::{Head, HeadError, ResponseHead, ResponseHeadError, Status, is_hop_by_hop};

/// Starts `head` over with the status and the header fields of `parts`, for the caller to
/// [finish](Head::finish). Repeated fields, such as `Set-Cookie`, stay as many.
///
/// # Errors
/// [`HeadError`]; the head is then to be started anew: [`HeadError::Status`] for an informational status
/// (100 to 199: FastCGI has no way to switch protocols, and most web servers mangle what comes before the
/// real head) and for a field named `Status`; [`HeadError::TooLong`].
///
/// ```
/// use fcgi_proto::cgi::Head;
/// use fcgi_proto::http::write_head;
///
/// let (parts, ()) = http::Response::builder()
///     .status(404)
///     .header("Content-Type", "text/plain")
///     .header("Transfer-Encoding", "chunked")
///     .body(())?
///     .into_parts();
/// let mut head = Head::new([0; 256]);
/// write_head(&parts, &mut head)?;
/// assert_eq!(head.finish()?, b"Status: 404 Not Found\r\ncontent-type: text/plain\r\n\r\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_head<B: AsRef<[u8]> + AsMut<[u8]>>(
    parts: &response::Parts,
    head: &mut Head<B>,
) -> Result<(), HeadError> {
    head.start(Status::new(parts.status.as_u16()).ok_or(HeadError::Status)?)?;
    for (name, value) in &parts.headers {
        let name = name.as_str().as_bytes();
        if !is_hop_by_hop(name) {
            head.field(name, value.as_bytes())?;
        }
    }
    Ok(())
}

/// A response head that makes no HTTP response: 502 for the HTTP client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseError {
    /// It is not complete, was refused, or has no one `Content-Length`.
    Head(ResponseHeadError),
    /// A field that `http` does not take.
    Header(HeaderError),
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => error.fmt(f),
            Self::Header(error) => write!(f, "response head: {error}"),
        }
    }
}

impl core::error::Error for ResponseError {}

impl From<ResponseHeadError> for ResponseError {
    fn from(error: ResponseHeadError) -> Self {
        Self::Head(error)
    }
}

impl From<HeaderError> for ResponseError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

/// Makes the parts of an HTTP response of a head that is [complete](ResponseHead::is_complete): its
/// [status](ResponseHead::status), which is 302 for a `Location` alone, and its fields, but for those that
/// `Connection` names. Repeated ones stay as many, but for `Content-Length`, and for `Content-Type`, of which the last
/// one counts. With 204 there is no length (RFC 9110, section 8.6).
///
/// # Errors
/// [`ResponseError`].
///
/// ```
/// use fcgi_proto::cgi::ResponseHead;
/// use fcgi_proto::http::response_parts;
///
/// let mut head = ResponseHead::new([0; 8192]);
/// head.push(b"Location: https://example.org/\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n")?;
/// let parts = response_parts(&head)?;
/// assert_eq!(parts.status, http::StatusCode::FOUND);
/// assert_eq!(parts.headers["location"], "https://example.org/");
/// assert_eq!(parts.headers.get_all("set-cookie").iter().count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn response_parts<B: AsRef<[u8]> + AsMut<[u8]>>(
    head: &ResponseHead<B>,
) -> Result<response::Parts, ResponseError> {
    head.finish()?;
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = StatusCode::from_u16(head.status().code()).map_err(|_| ResponseHeadError::Status)?;
    for (name, value) in head.fields().filter(|(name, _)| !is_hop_by_hop(name)) {
        if name.eq_ignore_ascii_case(b"Content-Type") {
            parts.headers.remove(CONTENT_TYPE);
        }
        append(&mut parts.headers, name, value)?;
    }
    let connection = head.fields().filter(|(name, _)| name.eq_ignore_ascii_case(b"Connection"));
    for named in connection.flat_map(|(_, value)| value.split(|byte| *byte == b',')) {
        if let Ok(name) = HeaderName::from_bytes(named.trim_ascii()) {
            parts.headers.remove(name);
        }
    }
    parts.headers.remove(CONTENT_LENGTH);
    if let Some(length) = head.content_length()?.filter(|_| parts.status != StatusCode::NO_CONTENT) {
        let length = parts.headers.try_insert(CONTENT_LENGTH, HeaderValue::from(length));
        length.map_err(|_| HeaderError::TooMany)?;
    }
    Ok(parts)
}
