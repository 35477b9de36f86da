//! A request target's parts (RFC 9112, section 3.2), and its path, decoded.

use core::fmt;

use super::field::Quoted;
use crate::digits::hex;

/// The parts of a request target, raw (RFC 9112, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Target<'a> {
    /// Host and port, if the target is an absolute one; without what stands before an `@`.
    pub authority: Option<&'a [u8]>,
    /// The path up to `?`; of an absolute target without one `/`.
    pub path: &'a [u8],
    /// What comes after the first `?`, if there is one.
    pub query: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    /// Takes a target to its parts.
    ///
    /// ```
    /// use fcgi_proto::cgi::Target;
    ///
    /// let target = Target::parse(b"http://example.org:81/a%2fb?c?d");
    /// assert_eq!(target.authority, Some(&b"example.org:81"[..]));
    /// assert_eq!(target.path, b"/a%2fb");
    /// assert_eq!(target.query, Some(&b"c?d"[..]));
    /// assert_eq!(Target::parse(b"/a").query, None);
    /// ```
    #[must_use]
    pub fn parse(target: &'a [u8]) -> Self {
        let absolute = absolute(target);
        let (path, query) = split_before(absolute.map_or(target, |(_, rest)| rest), |byte| byte == b'?');
        let path = if absolute.is_some() && path.is_empty() { b"/" } else { path };
        Self { authority: absolute.map(|(authority, _)| authority), path, query: query.get(1..) }
    }
}

/// The authority of an absolute target, and what follows.
fn absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let (scheme, rest) =
        split_before(target, |byte| !byte.is_ascii_alphanumeric() && !b"+-.".contains(&byte));
    let rest = rest.strip_prefix(b"://").filter(|_| !scheme.is_empty())?;
    let (authority, rest) = split_before(rest, |byte| matches!(byte, b'/' | b'?' | b'#'));
    Some((authority.rsplit(|&byte| byte == b'@').next().unwrap_or(authority), rest))
}

fn split_before(bytes: &[u8], stop: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let at = bytes.iter().position(|&byte| stop(byte)).unwrap_or(bytes.len());
    bytes.split_at_checked(at).unwrap_or((bytes, b""))
}

/// A target whose path cannot be decoded: 400 for the HTTP client, 414 if it is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PathError {
    /// The target has no path that begins with `/`: `*`, `host:port`.
    NoPath,
    /// A `%` that is not followed by two hexadecimal digits.
    Escape {
        /// Its place in the path.
        at: usize,
    },
    /// A control character, encoded or not, NUL among them; or a space or `#` that is not encoded.
    Byte {
        /// The byte, decoded.
        byte: u8,
        /// Its place in the path.
        at: usize,
    },
    /// A decoded path longer than the buffer.
    TooLong {
        /// The buffer's length in bytes.
        limit: usize,
    },
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoPath => f.write_str("request target without a path"),
            Self::Escape { at } => write!(f, "path: no two hexadecimal digits after % at {at}"),
            Self::Byte { byte, at } => write!(f, "path: {} at {at}", Quoted(byte)),
            Self::TooLong { limit } => write!(f, "path: longer than {limit} bytes"),
        }
    }
}

impl core::error::Error for PathError {}

/// Decodes the path of a raw request target, once, into `buffer`: what SCRIPT_NAME and PATH_INFO are parts
/// of.
///
/// `%2F` becomes `/` as any other; segments of `.` and `..` stay: who maps paths to files looks for them in
/// what this returns, and decodes no second time.
///
/// # Errors
/// [`PathError`].
///
/// ```
/// use fcgi_proto::cgi::decode_path;
///
/// assert_eq!(decode_path(b"/caf%C3%A9/a%2520b?c=%20", &mut [0; 64])?, "/café/a%20b".as_bytes());
/// assert!(decode_path(b"/x.jpg%00.php", &mut [0; 64]).is_err());
/// # Ok::<(), fcgi_proto::cgi::PathError>(())
/// ```
pub fn decode_path<'b>(target: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8], PathError> {
    let path = Target::parse(target).path;
    if !path.starts_with(b"/") {
        return Err(PathError::NoPath);
    }
    let limit = buffer.len();
    let (mut rest, mut len) = (path, 0);
    while let [first, after @ ..] = rest {
        let at = path.len() - rest.len();
        let byte = if *first == b'%' {
            let [high, low, after @ ..] = after else { return Err(PathError::Escape { at }) };
            rest = after;
            match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(PathError::Escape { at }),
            }
        } else {
            rest = after;
            *first
        };
        if byte.is_ascii_control() || matches!(first, b' ' | b'#') {
            return Err(PathError::Byte { byte, at });
        }
        *buffer.get_mut(len).ok_or(PathError::TooLong { limit })? = byte;
        len += 1;
    }
    buffer.get(..len).ok_or(PathError::TooLong { limit })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::String;

    use super::*;

    #[test]
    fn targets_are_taken_apart() {
        let parse = |target: &'static str| {
            let Target { authority, path, query } = Target::parse(target.as_bytes());
            [authority, Some(path), query].map(|part| part.map(|part| std::str::from_utf8(part).unwrap()))
        };
        assert_eq!(parse("/a?b?c"), [None, Some("/a"), Some("b?c")]);
        assert_eq!(parse("/a?"), [None, Some("/a"), Some("")]);
        assert_eq!(parse("https://u:p@h:1/a"), [Some("h:1"), Some("/a"), None]);
        assert_eq!(parse("http://h"), [Some("h"), Some("/"), None]);
        assert_eq!(parse("http://h?a"), [Some("h"), Some("/"), Some("a")]);
        assert_eq!(parse("http://h/?http://x/"), [Some("h"), Some("/"), Some("http://x/")]);
        assert_eq!(parse("//h/a"), [None, Some("//h/a"), None]);
        assert_eq!(parse("://h/a"), [None, Some("://h/a"), None]);
        assert_eq!(parse("*"), [None, Some("*"), None]);
        assert_eq!(parse("h:443"), [None, Some("h:443"), None]);
        assert_eq!(parse(""), [None, Some(""), None]);
    }

    fn decode(target: &str) -> Result<String, PathError> {
        decode_path(target.as_bytes(), &mut [0; 32]).map(|path| String::from_utf8(path.to_vec()).unwrap())
    }

    #[test]
    fn apache_2024_08_a_path_is_decoded_exactly_once() {
        assert_eq!(decode("/a%20b%2Fc%2fd?e%00").as_deref(), Ok("/a b/c/d"));
        assert_eq!(decode("/%2500%252e%25zz").as_deref(), Ok("/%00%2e%zz"));
        assert_eq!(decode("/caf%c3%A9+é").as_deref(), Ok("/café+é"));
        assert_eq!(decode("http://h%zz/a%62").as_deref(), Ok("/ab"));
        assert_eq!(decode("http://h?%00").as_deref(), Ok("/"));
        assert_eq!(decode("/%23%3F%20").as_deref(), Ok("/#? "));
    }

    #[test]
    fn haproxy_2020_02_14_caddy_2022_03_07_controls_in_a_path_are_refused() {
        for byte in (0..0x20).chain([0x7f]) {
            assert_eq!(decode(&format!("/a%{byte:02x}")), Err(PathError::Byte { byte, at: 2 }));
            assert_eq!(decode(&format!("/a{}", char::from(byte))), Err(PathError::Byte { byte, at: 2 }));
        }
        assert_eq!(decode("/a b"), Err(PathError::Byte { byte: b' ', at: 2 }));
        assert_eq!(decode("/a#b"), Err(PathError::Byte { byte: b'#', at: 2 }));
    }

    #[test]
    fn a_path_with_bad_escapes_none_or_too_long_is_refused() {
        for target in ["/a%", "/a%2", "/a%2?0", "/a%zz", "/a%+1", "/a%2g", "/a%%20", "/a%u00e9"] {
            assert_eq!(decode(target), Err(PathError::Escape { at: 2 }), "{target}");
        }
        for target in ["", "*", "h:443", "?a", "a/b", "%2fa"] {
            assert_eq!(decode(target), Err(PathError::NoPath), "{target}");
        }
        assert_eq!(decode(&format!("/{}", "%61".repeat(31))), Ok(format!("/{}", "a".repeat(31))));
        assert_eq!(decode(&format!("/{}", "a".repeat(32))), Err(PathError::TooLong { limit: 32 }));
        assert_eq!(decode_path(b"/", &mut []), Err(PathError::TooLong { limit: 0 }));
    }
}
