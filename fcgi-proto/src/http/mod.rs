//! Requests and responses as the types of the crate `http`, for services and gateways that are written for it
//! (feature `http`, which needs std): RFC 3875, sections 4.1 and 6.
//!
//! | side | what | to or from |
//! |---|---|---|
//! | server | [`request_parts`] | parameters to [`request::Parts`](::http::request::Parts) |
//! | server | [`write_head`] | [`response::Parts`](::http::response::Parts) to [`Head`](crate::cgi::Head) |
//! | client | [`CgiRequest`] | [`request::Parts`](::http::request::Parts) to [`Variables`](crate::cgi::Variables) |
//! | client | [`response_parts`] | [`ResponseHead`](crate::cgi::ResponseHead) to [`response::Parts`](::http::response::Parts) |
//!
//! Bodies are STDIN and STDOUT, the adapters' matter. No direction passes on fields that are
//! [hop by hop](crate::cgi::is_hop_by_hop): they are about a connection that the other side of CGI does not
//! have. A `Transfer-Encoding: chunked` passed on would lie about a body that comes without its chunks, and
//! `Upgrade` ask for what FastCGI cannot do.

mod request;
mod response;

use core::fmt;

use ::http::{HeaderMap, HeaderName, HeaderValue};

pub use request::{CgiRequest, Peer, RequestError, request_parts};
pub use response::{ResponseError, response_parts, write_head};

/// A header field that `http` does not take.
///
/// To leave such a field out would be easy, and wrong where its presence decides something (who may, what is
/// cached): the whole message is refused, as HTTP servers and clients in Rust do that read it themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// A name that is no token (RFC 9110, section 5.6.2), or too long.
    Name {
        /// Its length in bytes.
        len: usize,
    },
    /// A value with a control character other than a tab.
    Value {
        /// The field's name.
        name: HeaderName,
    },
    /// More fields than a [`HeaderMap`] holds.
    TooMany,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { len } => write!(f, "header field's name of {len} bytes is not a token"),
            Self::Value { name } => write!(f, "header field {name}: control character in its value"),
            Self::TooMany => f.write_str("too many header fields"),
        }
    }
}

impl core::error::Error for HeaderError {}

/// Adds a field behind those of the same name.
fn append(headers: &mut HeaderMap, name: &[u8], value: &[u8]) -> Result<(), HeaderError> {
    let name = HeaderName::from_bytes(name).map_err(|_| HeaderError::Name { len: name.len() })?;
    match HeaderValue::from_bytes(value) {
        Ok(value) => headers.try_append(name, value).map(drop).map_err(|_| HeaderError::TooMany),
        Err(_) => Err(HeaderError::Value { name }),
    }
}
