//! CGI/1.1 on top of the streams (RFC 3875): response heads, as a server writes and a web server reads them,
//! and the variables that a web server makes of an HTTP request.
//!
//! | side | what | section |
//! |---|---|---|
//! | server | [`Head`], [`HeadEnd`]: a response head, written; `Answer` (feature `alloc`): with its body | 6 |
//! | client | [`ResponseHead`], [`Decision`]: a response head, read from STDOUT in any chunks | 6 |
//! | client | [`ResponseBody`]: what of the rest is body | 6.3.4 |
//! | client | [`Variables`], [`Target`], [`decode_path`]: what goes into PARAMS | 4.1 |
//! | both | [`Status`], [`is_hop_by_hop`] | |
//!
//! A response head that cannot be sent is a [`HeadError`], one that cannot be taken a [`ResponseHeadError`],
//! a request that cannot be passed on a [`VariablesError`] or a [`PathError`].

#[cfg(feature = "alloc")]
mod answer;
mod body;
mod head;
mod response;
mod variables;

use core::fmt;

#[cfg(feature = "alloc")]
pub use answer::Answer;
pub use body::{ResponseBody, ResponseTooLong};
pub use head::{HEAD_LIMIT, Head, HeadEnd, HeadError};
pub use response::{
    AuthorizerVariables, Decision, Location, ResponseFields, ResponseHead, ResponseHeadError,
};
pub use variables::{NAME_LIMIT, PathError, Target, Value, Variables, VariablesError, decode_path};

/// An HTTP status code of three digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status(u16);

macro_rules! statuses {
    ($($code:literal $name:ident $reason:literal)*) => {
        impl Status {
            $(#[doc = concat!("`", $code, " ", $reason, "`")] pub const $name: Self = Self($code);)*

            /// The reason phrase that RFC 9110 and the registry give the code, or a general one.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    _ => "Unassigned",
                }
            }
        }
    };
}

statuses! {
    200 OK "OK"
    201 CREATED "Created"
    202 ACCEPTED "Accepted"
    203 NON_AUTHORITATIVE "Non-Authoritative Information"
    204 NO_CONTENT "No Content"
    205 RESET_CONTENT "Reset Content"
    206 PARTIAL_CONTENT "Partial Content"
    300 MULTIPLE_CHOICES "Multiple Choices"
    301 MOVED_PERMANENTLY "Moved Permanently"
    302 FOUND "Found"
    303 SEE_OTHER "See Other"
    304 NOT_MODIFIED "Not Modified"
    307 TEMPORARY_REDIRECT "Temporary Redirect"
    308 PERMANENT_REDIRECT "Permanent Redirect"
    400 BAD_REQUEST "Bad Request"
    401 UNAUTHORIZED "Unauthorized"
    402 PAYMENT_REQUIRED "Payment Required"
    403 FORBIDDEN "Forbidden"
    404 NOT_FOUND "Not Found"
    405 METHOD_NOT_ALLOWED "Method Not Allowed"
    406 NOT_ACCEPTABLE "Not Acceptable"
    407 PROXY_AUTHENTICATION_REQUIRED "Proxy Authentication Required"
    408 REQUEST_TIMEOUT "Request Timeout"
    409 CONFLICT "Conflict"
    410 GONE "Gone"
    411 LENGTH_REQUIRED "Length Required"
    412 PRECONDITION_FAILED "Precondition Failed"
    413 CONTENT_TOO_LARGE "Content Too Large"
    414 URI_TOO_LONG "URI Too Long"
    415 UNSUPPORTED_MEDIA_TYPE "Unsupported Media Type"
    416 RANGE_NOT_SATISFIABLE "Range Not Satisfiable"
    417 EXPECTATION_FAILED "Expectation Failed"
    418 IM_A_TEAPOT "I'm a teapot"
    421 MISDIRECTED_REQUEST "Misdirected Request"
    422 UNPROCESSABLE_CONTENT "Unprocessable Content"
    424 FAILED_DEPENDENCY "Failed Dependency"
    426 UPGRADE_REQUIRED "Upgrade Required"
    428 PRECONDITION_REQUIRED "Precondition Required"
    429 TOO_MANY_REQUESTS "Too Many Requests"
    431 REQUEST_HEADER_FIELDS_TOO_LARGE "Request Header Fields Too Large"
    451 UNAVAILABLE_FOR_LEGAL_REASONS "Unavailable For Legal Reasons"
    500 INTERNAL_SERVER_ERROR "Internal Server Error"
    501 NOT_IMPLEMENTED "Not Implemented"
    502 BAD_GATEWAY "Bad Gateway"
    503 SERVICE_UNAVAILABLE "Service Unavailable"
    504 GATEWAY_TIMEOUT "Gateway Timeout"
    505 HTTP_VERSION_NOT_SUPPORTED "HTTP Version Not Supported"
    507 INSUFFICIENT_STORAGE "Insufficient Storage"
    511 NETWORK_AUTHENTICATION_REQUIRED "Network Authentication Required"
}

impl Status {
    /// The status with this code, if it is one of a final response: 200 to 999.
    ///
    /// Informational ones (100 to 199) cannot be sent: almost every web server mangles a head that comes
    /// before the real one.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 200 && code <= 999 { Some(Self(code)) } else { None }
    }

    /// The code.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Whether an answer with this status to a request of this method carries a body: not to HEAD, not with
    /// 204 or 304 (RFC 9110, section 6.4.1). h2o would pass the body on, HAProxy answer 502.
    #[must_use]
    pub fn has_body(self, method: Option<&[u8]>) -> bool {
        method != Some(b"HEAD") && !matches!(self, Self::NO_CONTENT | Self::NOT_MODIFIED)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}

/// A token character of RFC 9110, section 5.6.2.
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// Whether two field names are the same, in any case of letters; quicker if the case is the same.
#[inline]
fn is_same_name(name: &[u8], known: &[u8]) -> bool {
    name == known || name.eq_ignore_ascii_case(known)
}

/// A name and a value.
type Field<'a> = (&'a [u8], &'a [u8]);

/// A line's name and value, without the spaces and tabs around the value (RFC 9110, section 5.5); `None`
/// without a colon.
fn split_field(line: &[u8]) -> Option<Field<'_>> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    let mut value = value.get(1..)?;
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    Some((name, value))
}

/// The code and the reason, possibly empty, of a `Status` field's value (RFC 3875, section 6.3.3).
fn parse_status(value: &[u8]) -> Option<(Status, &[u8])> {
    let (digits, reason) = value.split_at_checked(3)?;
    if !matches!(reason, [] | [b' ', ..]) {
        return None;
    }
    let code = core::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((Status::new(code)?, reason.trim_ascii()))
}

/// Whether a field of this name is about one HTTP connection and not to be passed on, in any case of letters:
/// `Connection`, `Keep-Alive`, `Proxy-Authenticate`, `Proxy-Authentication-Info`, `Proxy-Authorization`,
/// `Proxy-Connection`, `TE`, `Trailer`, `Transfer-Encoding`, `Upgrade` (RFC 9110, section 7.6.1).
///
/// A CGI response has no business with them (RFC 3875, section 6.3.4): its body is never chunked, so that a
/// `Transfer-Encoding` passed on would be a lie, and with a `Content-Length` a hole.
#[must_use]
pub fn is_hop_by_hop(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 10] = [
        b"Connection",
        b"Keep-Alive",
        b"Proxy-Authenticate",
        b"Proxy-Authentication-Info",
        b"Proxy-Authorization",
        b"Proxy-Connection",
        b"TE",
        b"Trailer",
        b"Transfer-Encoding",
        b"Upgrade",
    ];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}
