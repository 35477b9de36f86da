//! The variables that a web server makes of an HTTP request (RFC 3875, section 4.1; FastCGI 1.0, sections 6.2
//! to 6.4), handed out one by one: nothing is stored.
//!
//! What a header field can become is `CONTENT_TYPE` and `HTTP_…`, no other name, and no name comes twice.
//! Left out are, in any case of letters:
//!
//! - `Proxy`: programs take HTTP_PROXY for the proxy to use (CVE-2016-5385 and its family), and
//!   `Redirect-Status`: php-cgi takes HTTP_REDIRECT_STATUS for its web server's word (CVE-2024-8927);
//! - names with anything but ASCII letters, digits and `-`: `X_Forwarded_For` and `X.Forwarded.For` would
//!   become the variable of `X-Forwarded-For`;
//! - `Content-Length`, since CONTENT_LENGTH is the true length that the caller knows, and HTTP_CONTENT_LENGTH the
//!   same: PyPI's fastcgi reads no other, since nginx sends it. And fields that are
//!   [hop by hop](super::is_hop_by_hop): the body comes without its transfer coding. Names that `Connection`
//!   lists stay, as in other web servers: else a client could take fields away that a proxy before it added;
//! - `Authorization`, unless [asked for](Variables::authorization) (RFC 3875, section 4.1.18);
//! - `Host`: HTTP_HOST is the request's authority, wherever that stood.

mod emit;
mod error;
mod fields;
mod known;
mod names;
mod request;
#[cfg(test)]
mod tests;
mod value;

pub use error::VariablesError;
pub use names::NAME_LIMIT;
pub use request::Variables;
pub use value::Value;
