//! Why a response head cannot be taken.

use core::fmt;

use crate::cgi::field::Quoted;

/// A response head that cannot be taken: the HTTP client gets 502, the connection need not be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResponseHeadError {
    /// The response ended without one byte of output.
    Empty,
    /// The response ended before its head did: no blank line.
    Unfinished {
        /// Bytes that came.
        len: usize,
    },
    /// More head than there is room for.
    TooLong {
        /// The room, in bytes.
        limit: usize,
    },
    /// A line of HTTP, `HTTP/1.1 200 OK`: non-parsed heads are not for FastCGI (FastCGI 1.0, section 6.1).
    StatusLine,
    /// A `Status` that is not a code of 200 to 999, alone or with a space and a reason after it.
    Status,
    /// A second `Status` or `Location` (RFC 3875, section 6.3): which one holds is anybody's guess.
    Repeated,
    /// A line that begins with a space or a tab: it goes on with the one before, or is not quite blank.
    Folded,
    /// A line without a colon: not a field.
    NoColon,
    /// A field name that is empty or has a byte that is no token character (RFC 9110, section 5.6.2).
    Name {
        /// The byte, or the `:` that came too early.
        byte: u8,
    },
    /// A field value with NUL, or with a CR that ends no line.
    Value {
        /// The byte.
        byte: u8,
    },
    /// A `Content-Length` that is no number of 64 bits, or two that differ.
    ContentLength,
}

impl fmt::Display for ResponseHeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("response without any output"),
            Self::Unfinished { len } => write!(f, "response head: no blank line in {len} bytes"),
            Self::TooLong { limit } => write!(f, "response head: longer than {limit} bytes"),
            Self::StatusLine => f.write_str("response head: HTTP status line"),
            Self::Status => f.write_str("response head: no status of 200 to 999"),
            Self::Repeated => f.write_str("response head: second Status or Location"),
            Self::Folded => f.write_str("response head: line begins with a space or tab"),
            Self::NoColon => f.write_str("response head: line without a colon"),
            Self::Name { byte } => write!(f, "response head: field name with {}", Quoted(byte)),
            Self::Value { byte } => write!(f, "response head: field value with {}", Quoted(byte)),
            Self::ContentLength => f.write_str("response head: no one Content-Length"),
        }
    }
}

impl core::error::Error for ResponseHeadError {}
