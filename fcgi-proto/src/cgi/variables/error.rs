//! Why a request cannot be passed on.

use core::fmt;

use super::names::NAME_LIMIT;
use crate::cgi::field::Quoted;

/// A request that cannot be passed on; nothing was handed out then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum VariablesError {
    /// A header field's name that is too long: 431 for the HTTP client.
    NameTooLong {
        /// Its length in bytes; [`NAME_LIMIT`] is the longest.
        len: usize,
    },
    /// A value with NUL, CR or LF; in [`Variables::extra`](crate::cgi::Variables::extra) with NUL: 400 for the HTTP client. NUL ends values
    /// early in many applications (FastCGI 1.0, section 6.1).
    Value {
        /// The byte.
        byte: u8,
    },
    /// A name in [`Variables::extra`](crate::cgi::Variables::extra) that is empty or has NUL or `=`.
    ExtraName,
    /// More than one `Host`: 400 for the HTTP client (RFC 9112, section 3.2).
    Host,
}

impl fmt::Display for VariablesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NameTooLong { len } => write!(f, "header name of {len} bytes, not {NAME_LIMIT} at most"),
            Self::Value { byte } => write!(f, "variable's value with {}", Quoted(byte)),
            Self::ExtraName => f.write_str("variable's name empty or with NUL or ="),
            Self::Host => f.write_str("more than one Host"),
        }
    }
}

impl core::error::Error for VariablesError {}
