//! Field names and lines (RFC 9110, section 5).

use core::fmt;

/// A token character of RFC 9110, section 5.6.2.
#[inline]
pub(super) fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// Whether two field names are the same, in any case of letters; quicker if the case is the same.
#[inline]
pub(super) fn is_same_name(name: &[u8], known: &[u8]) -> bool {
    name == known || name.eq_ignore_ascii_case(known)
}

/// A name and a value.
pub(super) type Field<'a> = (&'a [u8], &'a [u8]);

/// A line's name and value, without the spaces and tabs around the value (RFC 9110, section 5.5); `None`
/// without a colon.
pub(super) fn split_field(line: &[u8]) -> Option<Field<'_>> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    Some((name, trim(value.get(1..)?)))
}

/// A field's value without the spaces and tabs around it.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Takes the next line, without its LF or CRLF, off the front of `lines`; `None` if no LF is left.
pub(super) fn take_line<'a>(lines: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = lines.iter().position(|&byte| byte == b'\n')?;
    let (line, rest) = lines.split_at_checked(end + 1)?;
    *lines = rest;
    Some(without_end(line))
}

pub(super) fn without_end(line: &[u8]) -> &[u8] {
    match line {
        [line @ .., b'\r', b'\n'] | [line @ .., b'\r' | b'\n'] => line,
        line => line,
    }
}

/// A byte of what was refused, as text: quoted, and escaped if it is no printable ASCII.
pub(super) struct Quoted(pub(super) u8);

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str(r"'\0'"),
            byte => write!(f, "'{}'", byte.escape_ascii()),
        }
    }
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
    is_one_of(&NAMES, name)
}

/// Whether a name is one of these, in any case of letters.
pub(super) fn is_one_of(names: &[&[u8]], name: &[u8]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}
