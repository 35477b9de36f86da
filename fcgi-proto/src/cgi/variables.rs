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
//! - `Content-Length`, since CONTENT_LENGTH is the true length that the caller knows, and fields that are
//!   [hop by hop](super::is_hop_by_hop): the body comes without its transfer coding. Names that `Connection`
//!   lists stay, as in other web servers: else a client could take fields away that a proxy before it added;
//! - `Authorization`, unless [asked for](Variables::authorization) (RFC 3875, section 4.1.18);
//! - `Host`: HTTP_HOST is the request's authority, wherever that stood.

use core::fmt::{self, Write};
use core::iter;
use core::net::{IpAddr, SocketAddr};

use super::is_hop_by_hop;
use crate::record::Role;

/// The longest name of a header field that becomes a variable, in bytes.
pub const NAME_LIMIT: usize = 256;

const HTTP: &[u8] = b"HTTP_";

/// An IPv6 address in brackets, or a number.
type Text = heapless::String<48>;

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
    /// A value with NUL, CR or LF; in [`Variables::extra`] with NUL: 400 for the HTTP client. NUL ends values
    /// early in many applications (FastCGI 1.0, section 6.1).
    Value {
        /// The byte.
        byte: u8,
    },
    /// A name in [`Variables::extra`] that is empty or has NUL or `=`.
    ExtraName,
    /// More than one `Host`: 400 for the HTTP client (RFC 9112, section 3.2).
    Host,
}

impl fmt::Display for VariablesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NameTooLong { len } => write!(f, "header name of {len} bytes, not {NAME_LIMIT} at most"),
            Self::Value { byte } => write!(f, "variable's value with {:?}", char::from(byte)),
            Self::ExtraName => f.write_str("variable's name empty or with NUL or ="),
            Self::Host => f.write_str("more than one Host"),
        }
    }
}

impl core::error::Error for VariablesError {}

/// A request as a web server sees it, to be made into variables.
///
/// What is empty is not known; REQUEST_METHOD, SCRIPT_NAME, QUERY_STRING, SERVER_NAME, SERVER_PORT,
/// SERVER_PROTOCOL, SERVER_SOFTWARE, REMOTE_ADDR, REQUEST_URI and REQUEST_SCHEME are there even so.
///
/// ```
/// use fcgi_proto::{cgi::Variables, pair, record::Role};
///
/// let mut request = Variables::new(b"GET", b"/index.php?a=%20b");
/// request.script_name = b"/index.php";
/// request.script_filename = b"/srv/www/index.php";
/// request.peer = Some(([192, 0, 2, 1], 50_000).into());
/// let headers = [(&b"Host"[..], &b"example.org"[..]), (b"Cookie", b"a=1"), (b"cookie", b"b=2")];
///
/// let (mut packer, mut joined) = (pair::Packer::new([0; 4096]), [0; 1024]);
/// request.emit(Role::Responder, &headers, |name, value| {
///     let value = value.whole(&mut joined).ok_or("value too long")?;
///     Ok::<(), Box<dyn std::error::Error>>(packer.push(name, value)?)
/// })?;
/// let pairs = pair::Pairs::new(packer.bytes());
/// assert_eq!(pairs.clone().get(b"QUERY_STRING"), Some(&b"a=%20b"[..]));
/// assert_eq!(pairs.clone().get(b"HTTP_HOST"), Some(&b"example.org"[..]));
/// assert_eq!(pairs.clone().get(b"HTTP_COOKIE"), Some(&b"a=1; b=2"[..]));
/// assert_eq!(pairs.clone().get(b"REMOTE_ADDR"), Some(&b"192.0.2.1"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Variables<'a> {
    /// REQUEST_METHOD.
    pub method: &'a [u8],
    /// The request target as it came: REQUEST_URI, and QUERY_STRING behind its `?`, both raw.
    pub target: &'a [u8],
    /// SERVER_PROTOCOL; `HTTP/1.1` at first.
    pub protocol: &'a [u8],
    /// HTTP_HOST, from `:authority` in HTTP/2 and 3. `None`: an absolute target has it, or `Host`.
    pub authority: Option<&'a [u8]>,
    /// CONTENT_LENGTH: bytes that STDIN is going to have, with no transfer coding. `None`: there is no body.
    pub content_length: Option<u64>,
    /// HTTPS (`on`, or not there), REQUEST_SCHEME, and SERVER_PORT if `server` has none.
    pub https: bool,
    /// REMOTE_ADDR and REMOTE_PORT. `None`: REMOTE_ADDR is `unix:`, since applications take an empty one for
    /// a call from the command line.
    pub peer: Option<SocketAddr>,
    /// SERVER_ADDR and SERVER_PORT. `None`: no SERVER_ADDR, and the scheme's port.
    pub server: Option<SocketAddr>,
    /// SERVER_NAME, best from the configuration. Empty: `server`'s address, or `localhost`.
    pub server_name: &'a [u8],
    /// SERVER_SOFTWARE.
    pub server_software: &'a [u8],
    /// SCRIPT_NAME: what of the [decoded path](decode_path) names the script.
    pub script_name: &'a [u8],
    /// PATH_INFO: what comes after that.
    pub path_info: &'a [u8],
    /// PATH_TRANSLATED: the file that PATH_INFO would be, by the web server's own check.
    pub path_translated: &'a [u8],
    /// SCRIPT_FILENAME: a file that is there, by the web server's own check.
    pub script_filename: &'a [u8],
    /// DOCUMENT_ROOT.
    pub document_root: &'a [u8],
    /// AUTH_TYPE.
    pub auth_type: &'a [u8],
    /// REMOTE_USER.
    pub remote_user: &'a [u8],
    /// REDIRECT_STATUS, which php-cgi wants to see; `200` at first.
    pub redirect_status: &'a [u8],
    /// Whether `Authorization` becomes HTTP_AUTHORIZATION: the application sees passwords.
    pub authorization: bool,
    /// FCGI_DATA_LAST_MOD, for a Filter: seconds since 1970-01-01 UTC.
    pub data_last_mod: u64,
    /// FCGI_DATA_LENGTH, for a Filter: bytes that DATA is going to have.
    pub data_length: u64,
    /// Further variables, of the configuration or of an [Authorizer](super::AuthorizerVariables). They take
    /// the place of those of the same name made here, the last of equal ones that of the others.
    /// CONTENT_LENGTH and FCGI_DATA_LENGTH, which say how much is sent, are left out.
    pub extra: &'a [(&'a [u8], &'a [u8])],
}

impl<'a> Variables<'a> {
    /// Of a request with this method and this raw target, and nothing else known.
    #[must_use]
    pub const fn new(method: &'a [u8], target: &'a [u8]) -> Self {
        Self {
            method,
            target,
            protocol: b"HTTP/1.1",
            authority: None,
            content_length: None,
            https: false,
            peer: None,
            server: None,
            server_name: b"",
            server_software: b"",
            script_name: b"",
            path_info: b"",
            path_translated: b"",
            script_filename: b"",
            document_root: b"",
            auth_type: b"",
            remote_user: b"",
            redirect_status: b"200",
            authorization: false,
            data_last_mod: 0,
            data_length: 0,
            extra: &[],
        }
    }

    /// Hands every variable to `sink`, name and value, each name once: first those of the request, then those
    /// of `headers` (a field's name and value, in their order), then those of `extra`. Repeated fields become
    /// one value, joined with `, `, cookies with `; `.
    ///
    /// An Authorizer gets no CONTENT_LENGTH, PATH_INFO, PATH_TRANSLATED and SCRIPT_NAME (section 6.3), only a
    /// Filter FCGI_DATA_LAST_MOD and FCGI_DATA_LENGTH (section 6.4).
    ///
    /// Every header is compared with those before it: limit their number.
    ///
    /// # Errors
    /// [`VariablesError`] before the first call of `sink`; the first error that `sink` returns.
    pub fn emit<E: From<VariablesError>>(
        &self,
        role: Role,
        headers: &[(&[u8], &[u8])],
        mut sink: impl FnMut(&[u8], Value<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.check(headers)?;
        let is_extra = |name: &[u8]| may_be_extra(name) && self.extra.iter().any(|(extra, _)| *extra == name);
        let mut put = |name: &[u8], value: Value<'_>| {
            if is_variable_of(role, name) && !is_extra(name) { sink(name, value) } else { Ok(()) }
        };

        let target = Target::parse(self.target);
        let scheme: (&[u8], u16) = if self.https { (b"https", 443) } else { (b"http", 80) };
        let server_ip = self.server.map(|server| server.ip().to_canonical());
        let server_name = match server_ip {
            Some(IpAddr::V6(ip)) => text(format_args!("[{ip}]")),
            Some(IpAddr::V4(ip)) => text(format_args!("{ip}")),
            None => text(format_args!("localhost")),
        };
        let server_name = if self.server_name.is_empty() { server_name.as_bytes() } else { self.server_name };
        let remote_addr = match self.peer {
            Some(peer) => text(format_args!("{}", peer.ip().to_canonical())),
            None => text(format_args!("unix:")),
        };
        let server_port = number(self.server.map_or(scheme.1, |server| server.port()).into());

        for (name, value) in [
            (&b"GATEWAY_INTERFACE"[..], &b"CGI/1.1"[..]),
            (b"SERVER_SOFTWARE", self.server_software),
            (b"SERVER_NAME", server_name),
            (b"SERVER_PORT", server_port.as_bytes()),
            (b"SERVER_PROTOCOL", self.protocol),
            (b"REQUEST_METHOD", self.method),
            (b"REQUEST_SCHEME", scheme.0),
            (b"REQUEST_URI", self.target),
            (b"SCRIPT_NAME", self.script_name),
            (b"QUERY_STRING", target.query.unwrap_or(b"")),
            (b"REMOTE_ADDR", remote_addr.as_bytes()),
        ] {
            put(name, Value::one(value))?;
        }
        for (name, value) in [
            (&b"SCRIPT_FILENAME"[..], self.script_filename),
            (b"DOCUMENT_ROOT", self.document_root),
            (b"PATH_INFO", self.path_info),
            (b"PATH_TRANSLATED", self.path_translated),
            (b"AUTH_TYPE", self.auth_type),
            (b"REMOTE_USER", self.remote_user),
            (b"REDIRECT_STATUS", self.redirect_status),
            (b"HTTPS", if self.https { b"on" } else { b"" }),
        ] {
            if !value.is_empty() {
                put(name, Value::one(value))?;
            }
        }
        if let Some(peer) = self.peer {
            put(b"REMOTE_PORT", Value::one(number(peer.port().into()).as_bytes()))?;
        }
        if let Some(ip) = server_ip {
            put(b"SERVER_ADDR", Value::one(text(format_args!("{ip}")).as_bytes()))?;
        }
        if let Some(length) = self.content_length {
            put(b"CONTENT_LENGTH", Value::one(number(length).as_bytes()))?;
        }
        put(b"FCGI_DATA_LAST_MOD", Value::one(number(self.data_last_mod).as_bytes()))?;
        put(b"FCGI_DATA_LENGTH", Value::one(number(self.data_length).as_bytes()))?;
        let host = || headers.iter().find(|(name, _)| is_host(name)).map(|(_, value)| *value);
        if let Some(host) = self.authority.or(target.authority).or_else(host) {
            put(b"HTTP_HOST", Value::one(host))?;
        }

        let mut variable = [0; HTTP.len() + NAME_LIMIT];
        for (at, &(name, first)) in headers.iter().enumerate() {
            let earlier = headers.get(..at).unwrap_or(&[]);
            if !self.passes(name) || is_host(name) || earlier.iter().any(|(name_2, _)| same(name, name_2)) {
                continue;
            }
            let separator: &[u8] = if same(name, b"Cookie") { b"; " } else { b", " };
            let value = Value { first, name, more: headers.get(at + 1..).unwrap_or(&[]), separator };
            put(variable_name(name, &mut variable), value)?;
        }

        for (at, &(name, value)) in self.extra.iter().enumerate() {
            let later = self.extra.get(at + 1..).unwrap_or(&[]);
            if may_be_extra(name)
                && is_variable_of(role, name)
                && !later.iter().any(|(name_2, _)| *name_2 == name)
            {
                sink(name, Value::one(value))?;
            }
        }
        Ok(())
    }

    fn check(&self, headers: &[(&[u8], &[u8])]) -> Result<(), VariablesError> {
        for (name, value) in self.extra {
            if name.is_empty() || name.iter().any(|byte| matches!(byte, 0 | b'=')) {
                return Err(VariablesError::ExtraName);
            }
            if value.contains(&0) {
                return Err(VariablesError::Value { byte: 0 });
            }
        }
        for value in [
            self.method,
            self.target,
            self.protocol,
            self.authority.unwrap_or(b""),
            self.server_name,
            self.server_software,
            self.script_name,
            self.path_info,
            self.path_translated,
            self.script_filename,
            self.document_root,
            self.auth_type,
            self.remote_user,
            self.redirect_status,
        ] {
            check_value(value)?;
        }
        let mut hosts = 0_u8;
        for (name, value) in headers.iter().filter(|(name, _)| self.passes(name)) {
            if name.len() > NAME_LIMIT {
                return Err(VariablesError::NameTooLong { len: name.len() });
            }
            check_value(value)?;
            hosts = hosts.saturating_add(is_host(name).into());
        }
        if hosts > 1 { Err(VariablesError::Host) } else { Ok(()) }
    }

    /// Whether a header field of this name becomes a variable.
    fn passes(&self, name: &[u8]) -> bool {
        !name.is_empty()
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            && ![&b"Proxy"[..], b"Redirect-Status", b"Content-Length"].iter().any(|known| same(known, name))
            && !is_hop_by_hop(name)
            && (self.authorization || !same(name, b"Authorization"))
    }
}

/// Whether a request of this role has the variable, as far as the role decides.
fn is_variable_of(role: Role, name: &[u8]) -> bool {
    match name {
        b"CONTENT_LENGTH" | b"PATH_INFO" | b"PATH_TRANSLATED" | b"SCRIPT_NAME" => role != Role::Authorizer,
        b"FCGI_DATA_LAST_MOD" | b"FCGI_DATA_LENGTH" => role == Role::Filter,
        _ => true,
    }
}

fn same(name: &[u8], other: &[u8]) -> bool {
    name.eq_ignore_ascii_case(other)
}

fn is_host(name: &[u8]) -> bool {
    same(name, b"Host")
}

/// What says how much is sent is not the configuration's to say, nor an Authorizer's.
fn may_be_extra(name: &[u8]) -> bool {
    !matches!(name, b"CONTENT_LENGTH" | b"FCGI_DATA_LENGTH")
}

fn check_value(value: &[u8]) -> Result<(), VariablesError> {
    match value.iter().find(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        Some(&byte) => Err(VariablesError::Value { byte }),
        None => Ok(()),
    }
}

/// The variable that the header field becomes, written to `buffer`. Its length was checked.
fn variable_name<'b>(name: &[u8], buffer: &'b mut [u8; HTTP.len() + NAME_LIMIT]) -> &'b [u8] {
    if same(name, b"Content-Type") {
        return b"CONTENT_TYPE";
    }
    let mut len = 0;
    let upper = name.iter().map(|byte| if *byte == b'-' { b'_' } else { byte.to_ascii_uppercase() });
    for (to, byte) in buffer.iter_mut().zip(HTTP.iter().copied().chain(upper)) {
        *to = byte;
        len += 1;
    }
    buffer.get(..len).unwrap_or(&[])
}

/// What is written here has room: the longest is an IPv6 address of 39 bytes in brackets.
fn text(arguments: fmt::Arguments<'_>) -> Text {
    let mut text = Text::new();
    let _ = text.write_fmt(arguments);
    text
}

fn number(number: u64) -> Text {
    text(format_args!("{number}"))
}

/// A variable's value: one piece, or those of repeated header fields with what joins them.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Value<'v> {
    first: &'v [u8],
    /// Header fields, among them further ones of `name`.
    more: &'v [(&'v [u8], &'v [u8])],
    name: &'v [u8],
    separator: &'v [u8],
}

impl<'v> Value<'v> {
    const fn one(value: &'v [u8]) -> Self {
        Self { first: value, more: &[], name: b"", separator: b"" }
    }

    /// The pieces, which follow each other without anything between: for a vectored write, or a copy.
    pub fn parts(&self) -> impl Iterator<Item = &'v [u8]> + Clone + use<'v> {
        let Self { first, more, name, separator } = *self;
        let more = more.iter().filter(move |(other, _)| same(other, name));
        iter::once(first).chain(more.flat_map(move |&(_, value)| [separator, value]))
    }

    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts().fold(0, |len: usize, part| len.saturating_add(part.len()))
    }

    /// Whether there is no byte in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value in one piece: itself, or joined in `scratch`; `None` if it does not fit that.
    #[must_use]
    pub fn whole<'s>(&self, scratch: &'s mut [u8]) -> Option<&'s [u8]>
    where
        'v: 's,
    {
        if self.parts().nth(1).is_none() {
            return Some(self.first);
        }
        let (to, _) = scratch.split_at_mut_checked(self.len())?;
        let mut free = &mut *to;
        for part in self.parts() {
            let (here, rest) = free.split_at_mut_checked(part.len())?;
            here.copy_from_slice(part);
            free = rest;
        }
        Some(to)
    }
}

/// The parts of a request target, raw (RFC 9112, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
            Self::Byte { byte, at } => write!(f, "path: {:?} at {at}", char::from(byte)),
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
            match (digit(*high), digit(*low)) {
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

/// A hexadecimal digit's value.
fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashMap;
    use std::string::String;
    use std::vec::Vec;
    use std::{format, vec};

    use super::*;

    type Made = Result<HashMap<String, String>, VariablesError>;

    /// All variables, each name once, with no byte that must not be there.
    fn make(request: &Variables<'_>, role: Role, headers: &[(&str, &str)]) -> Made {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let mut made = HashMap::new();
        request.emit(role, &headers, |name, value| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let parts: Vec<&[u8]> = value.parts().collect();
            let joined = parts.concat();
            assert_eq!((value.len(), value.is_empty()), (joined.len(), joined.is_empty()));
            assert_eq!(value.whole(&mut vec![0; joined.len()]), Some(joined.as_slice()));
            assert_eq!(value.whole(&mut []).is_some(), parts.len() == 1 || joined.is_empty());
            let twice = made.insert(text(name), text(&joined));
            assert_eq!(twice, None, "{} twice", text(name));
            Ok::<(), VariablesError>(())
        })?;
        Ok(made)
    }

    fn of_headers(headers: &[(&str, &str)]) -> HashMap<String, String> {
        let bare = make(&Variables::new(b"GET", b"/"), Role::Responder, &[]).unwrap();
        let mut made = make(&Variables::new(b"GET", b"/"), Role::Responder, headers).unwrap();
        for (name, value) in bare {
            assert_eq!(made.remove(&name), Some(value), "{name} is the web server's");
        }
        made
    }

    fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn full() -> Variables<'static> {
        Variables {
            protocol: b"HTTP/1.0",
            content_length: Some(u64::MAX),
            https: true,
            peer: Some(([192, 0, 2, 1], 65_535).into()),
            server: Some(([192, 0, 2, 2], 8443).into()),
            server_name: b"example.org",
            server_software: b"test/1",
            script_name: b"/a b.php",
            path_info: b"/c",
            path_translated: b"/srv/c",
            script_filename: b"/srv/a b.php",
            document_root: b"/srv",
            auth_type: b"Basic",
            remote_user: b"somebody",
            data_last_mod: 822_956_400,
            data_length: 9,
            ..Variables::new(b"POST", b"/a%20b.php/c?d=%20e&f")
        }
    }

    const FULL: [(&str, &str); 22] = [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_SOFTWARE", "test/1"),
        ("SERVER_NAME", "example.org"),
        ("SERVER_ADDR", "192.0.2.2"),
        ("SERVER_PORT", "8443"),
        ("SERVER_PROTOCOL", "HTTP/1.0"),
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_SCHEME", "https"),
        ("REQUEST_URI", "/a%20b.php/c?d=%20e&f"),
        ("SCRIPT_NAME", "/a b.php"),
        ("SCRIPT_FILENAME", "/srv/a b.php"),
        ("PATH_INFO", "/c"),
        ("PATH_TRANSLATED", "/srv/c"),
        ("QUERY_STRING", "d=%20e&f"),
        ("DOCUMENT_ROOT", "/srv"),
        ("REMOTE_ADDR", "192.0.2.1"),
        ("REMOTE_PORT", "65535"),
        ("AUTH_TYPE", "Basic"),
        ("REMOTE_USER", "somebody"),
        ("REDIRECT_STATUS", "200"),
        ("HTTPS", "on"),
        ("CONTENT_LENGTH", "18446744073709551615"),
    ];

    #[test]
    fn e1_a_responder_gets_the_variables_of_cgi_1_1() {
        assert_eq!(make(&full(), Role::Responder, &[]), Ok(map(&FULL)));
    }

    #[test]
    fn e1_what_is_not_known_is_left_out_and_what_must_be_there_is_empty() {
        let bare = [
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("SERVER_SOFTWARE", ""),
            ("SERVER_NAME", "localhost"),
            ("SERVER_PORT", "80"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_SCHEME", "http"),
            ("REQUEST_URI", "/"),
            ("SCRIPT_NAME", ""),
            ("QUERY_STRING", ""),
            ("REMOTE_ADDR", "unix:"),
            ("REDIRECT_STATUS", "200"),
        ];
        assert_eq!(make(&Variables::new(b"GET", b"/"), Role::Responder, &[]), Ok(map(&bare)));
    }

    #[test]
    fn u1_an_authorizer_gets_no_content_length_path_info_path_translated_and_script_name() {
        let without = ["CONTENT_LENGTH", "PATH_INFO", "PATH_TRANSLATED", "SCRIPT_NAME"];
        let mut expected = map(&FULL);
        expected.retain(|name, _| !without.contains(&name.as_str()));
        expected.insert("HTTP_SCRIPT_NAME".into(), "x".into());
        let headers = [("Content-Length", "5"), ("Script-Name", "x")];
        assert_eq!(make(&full(), Role::Authorizer, &headers), Ok(expected.clone()));
        let extra = without.map(|name| (name.as_bytes(), &b"x"[..]));
        assert_eq!(make(&Variables { extra: &extra, ..full() }, Role::Authorizer, &headers), Ok(expected));
    }

    #[test]
    fn f1_a_filter_gets_the_time_and_the_length_of_its_data() {
        let mut expected = map(&FULL);
        expected.insert("FCGI_DATA_LAST_MOD".into(), "822956400".into());
        expected.insert("FCGI_DATA_LENGTH".into(), "9".into());
        assert_eq!(make(&full(), Role::Filter, &[]), Ok(expected));
        for name in [&b"FCGI_DATA_LENGTH"[..], b"FCGI_DATA_LAST_MOD"] {
            let request = Variables { extra: &[(name, b"1")], ..full() };
            assert_eq!(make(&request, Role::Responder, &[]), Ok(map(&FULL)));
        }
    }

    #[test]
    fn cve_2016_5385_proxy_header_in_any_case_is_dropped() {
        let headers = [("Proxy", "a"), ("PROXY", "a"), ("pROxy", "a"), ("Proxy_", "a"), ("_Proxy", "a")];
        assert_eq!(of_headers(&headers), map(&[]));
        assert_eq!(of_headers(&[("HTTP_PROXY", "a"), ("Pro.xy", "a"), ("Proxy ", "a")]), map(&[]));
        let near = of_headers(&[("Proxy-Status", "a"), ("X-Proxy", "b"), ("Http-Proxy", "c")]);
        assert_eq!(near, map(&[("HTTP_PROXY_STATUS", "a"), ("HTTP_X_PROXY", "b"), ("HTTP_HTTP_PROXY", "c")]));
    }

    #[test]
    fn cve_2024_8927_no_header_is_read_as_a_server_variable() {
        assert_eq!(of_headers(&[("Redirect-Status", "200"), ("REDIRECT-STATUS", "1")]), map(&[]));
        for (name, _) in FULL {
            let header = name.replace('_', "-");
            for (made, _) in of_headers(&[(&header, "x"), (name, "y"), (&header.to_lowercase(), "z")]) {
                assert_eq!(made, format!("HTTP_{name}"));
            }
        }
        let headers = [("Script-Filename", "/etc/passwd"), ("Remote-User", "root"), ("PHP-VALUE", "x=y")];
        let expected = [
            ("HTTP_SCRIPT_FILENAME", "/etc/passwd"),
            ("HTTP_REMOTE_USER", "root"),
            ("HTTP_PHP_VALUE", "x=y"),
        ];
        assert_eq!(of_headers(&headers), map(&expected));
    }

    #[test]
    fn lighttpd_2026_05_28_names_that_would_collide_are_dropped() {
        let real = ("X-Forwarded-For", "192.0.2.1");
        for false_name in
            ["X_Forwarded_For", "X.Forwarded.For", "X-Forwarded_For", "X Forwarded-For", "", "X-É"]
        {
            let expected = map(&[("HTTP_X_FORWARDED_FOR", "192.0.2.1")]);
            assert_eq!(of_headers(&[(false_name, "a"), real, (false_name, "b")]), expected, "{false_name}");
        }
    }

    #[test]
    fn nginx_2022_05_30_repeated_headers_are_joined_in_order() {
        let headers = [
            ("Cookie", "a=1"),
            ("Accept", "x/y"),
            ("COOKIE", "b=2"),
            ("X-A", ""),
            ("accept", "z"),
            ("cookie", "c"),
            ("x-a", ""),
        ];
        let expected = [("HTTP_COOKIE", "a=1; b=2; c"), ("HTTP_ACCEPT", "x/y, z"), ("HTTP_X_A", ", ")];
        assert_eq!(of_headers(&headers), map(&expected));
    }

    #[test]
    fn content_type_has_a_variable_of_its_own_and_content_length_is_the_callers() {
        let headers = [("content-type", "text/plain"), ("Content-Length", "7"), ("CONTENT-LENGTH", "8")];
        assert_eq!(of_headers(&headers), map(&[("CONTENT_TYPE", "text/plain")]));
        let request = Variables { content_length: Some(0), ..Variables::new(b"POST", b"/") };
        let made = make(&request, Role::Responder, &headers).unwrap();
        assert_eq!(made.get("CONTENT_LENGTH").map(String::as_str), Some("0"));
    }

    #[test]
    fn authorization_is_dropped_unless_asked_for() {
        let headers = [("AUTHORIZATION", "Basic eDp5"), ("Proxy-Authorization", "Basic eDp5")];
        assert_eq!(of_headers(&headers), map(&[]));
        let request = Variables { authorization: true, ..Variables::new(b"GET", b"/") };
        let made = make(&request, Role::Responder, &headers).unwrap();
        assert_eq!(made.get("HTTP_AUTHORIZATION").map(String::as_str), Some("Basic eDp5"));
        assert!(!made.contains_key("HTTP_PROXY_AUTHORIZATION"));
    }

    #[test]
    fn fields_of_the_http_connection_are_not_passed_on() {
        let headers = [
            ("Connection", "close, X-Kept"),
            ("keep-alive", "5"),
            ("Transfer-Encoding", "chunked"),
            ("TE", "trailers"),
            ("Trailer", "X"),
            ("Upgrade", "h2c"),
            ("Proxy-Connection", "close"),
            ("X-Kept", "a"),
        ];
        assert_eq!(of_headers(&headers), map(&[("HTTP_X_KEPT", "a")]));
    }

    #[test]
    fn nginx_2026_01_15_http_host_is_the_authority() {
        let host = |target: &[u8], authority: Option<&[u8]>, header: &str| {
            let request = Variables { authority, ..Variables::new(b"GET", target) };
            make(&request, Role::Responder, &[("host", header)]).unwrap().remove("HTTP_HOST")
        };
        assert_eq!(host(b"/", None, "a:81").as_deref(), Some("a:81"));
        assert_eq!(host(b"/", Some(b"b"), "a").as_deref(), Some("b"));
        assert_eq!(host(b"http://c:82/x?y", None, "a").as_deref(), Some("c:82"));
        assert_eq!(host(b"http://c?y", Some(b"b"), "a").as_deref(), Some("b"));
        assert_eq!(host(b"/http://c/", None, "a").as_deref(), Some("a"));
        assert_eq!(make(&full(), Role::Responder, &[]).unwrap().get("HTTP_HOST"), None);
        let twice = make(&full(), Role::Responder, &[("Host", "a"), ("HOST", "a")]);
        assert_eq!(twice, Err(VariablesError::Host));
    }

    #[test]
    fn haproxy_2020_07_23_the_query_string_is_raw() {
        let query = |target: &[u8]| {
            make(&Variables::new(b"GET", target), Role::Responder, &[])
                .unwrap()
                .remove("QUERY_STRING")
                .unwrap()
        };
        assert_eq!(query(b"/a?b=%0a%00+%zz&c?d#e"), "b=%0a%00+%zz&c?d#e");
        assert_eq!(query(b"/a?"), "");
        assert_eq!(query(b"http://h?a"), "a");
    }

    #[test]
    fn n5_values_with_nul_cr_or_lf_are_refused_before_anything_is_handed_out() {
        let refused = |request: &Variables<'_>, headers: &[(&[u8], &[u8])], byte| {
            let result = request.emit(Role::Responder, headers, |_, _| -> Result<(), VariablesError> {
                panic!("handed out");
            });
            assert_eq!(result, Err(VariablesError::Value { byte }));
        };
        let good = Variables::new(b"GET", b"/");
        for (bad, byte) in [(&b"a\0b"[..], 0), (b"a\r", b'\r'), (b"\nb", b'\n')] {
            refused(&good, &[(b"X-A", b"a"), (b"X-B", bad)], byte);
            refused(&good, &[(b"X-A", b"a"), (b"X-A", bad)], byte);
            refused(&good, &[(b"Host", bad)], byte);
            refused(&Variables::new(bad, b"/"), &[], byte);
            refused(&Variables::new(b"GET", bad), &[], byte);
            refused(&Variables { path_info: bad, ..good }, &[], byte);
            refused(&Variables { script_filename: bad, ..good }, &[], byte);
            refused(&Variables { authority: Some(bad), ..good }, &[], byte);
            refused(&Variables { remote_user: bad, ..good }, &[], byte);
        }
        refused(&Variables { extra: &[(b"A", b"b\0c")], ..good }, &[], 0);
    }

    #[test]
    fn names_of_headers_have_a_limit() {
        let [fits, long] = [NAME_LIMIT, NAME_LIMIT + 1].map(|len| "a".repeat(len));
        assert_eq!(of_headers(&[(&fits, "x")]), map(&[(&format!("HTTP_{}", fits.to_uppercase()), "x")]));
        let refused = make(&full(), Role::Responder, &[(&long, "x")]);
        assert_eq!(refused, Err(VariablesError::NameTooLong { len: NAME_LIMIT + 1 }));
        assert_eq!(of_headers(&[(&format!("_{long}"), "x")]), map(&[]));
    }

    #[test]
    fn extra_variables_take_the_place_of_others_but_for_lengths() {
        let extra: [(&[u8], &[u8]); 6] = [
            (b"SERVER_NAME", b"first"),
            (b"HTTP_X_USER", b"somebody"),
            (b"SERVER_NAME", b"last"),
            (b"PHP_VALUE", b"a=1\nb=2"),
            (b"CONTENT_LENGTH", b"1"),
            (b"FCGI_DATA_LENGTH", b"1"),
        ];
        let request = Variables { extra: &extra, ..full() };
        let made = make(&request, Role::Filter, &[("X-User", "root"), ("x-user", "root")]).unwrap();
        let expected = [
            ("SERVER_NAME", "last"),
            ("HTTP_X_USER", "somebody"),
            ("PHP_VALUE", "a=1\nb=2"),
            ("CONTENT_LENGTH", "18446744073709551615"),
            ("FCGI_DATA_LENGTH", "9"),
        ];
        for (name, value) in expected {
            assert_eq!(made.get(name).map(String::as_str), Some(value), "{name}");
        }
        let request = Variables { content_length: None, extra: &extra, ..full() };
        assert_eq!(make(&request, Role::Responder, &[]).unwrap().get("CONTENT_LENGTH"), None);
        for name in [&b""[..], b"A\0", b"A=b"] {
            let request = Variables { extra: &[(name, b"x")], ..full() };
            assert_eq!(make(&request, Role::Responder, &[]), Err(VariablesError::ExtraName));
        }
    }

    #[test]
    fn addresses_are_ipv4_where_they_can_be_and_names_of_ipv6_have_brackets() {
        let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let request = Variables {
            peer: Some("[::ffff:192.0.2.1]:1".parse().unwrap()),
            server: Some(format!("[{longest}]:443").parse().unwrap()),
            ..Variables::new(b"GET", b"/")
        };
        let made = make(&request, Role::Responder, &[]).unwrap();
        assert_eq!(made["REMOTE_ADDR"], "192.0.2.1");
        assert_eq!(made["SERVER_ADDR"], longest);
        assert_eq!(made["SERVER_NAME"], format!("[{longest}]"));
        let request = Variables { https: true, ..Variables::new(b"GET", b"/") };
        assert_eq!(make(&request, Role::Responder, &[]).unwrap()["SERVER_PORT"], "443");
    }

    #[test]
    fn the_first_error_of_the_sink_ends_it() {
        #[derive(Debug, PartialEq)]
        struct Full;
        impl From<VariablesError> for Full {
            fn from(_: VariablesError) -> Self {
                Self
            }
        }
        let mut calls = 0;
        let result = full().emit(Role::Responder, &[], |_, _| {
            calls += 1;
            if calls == 3 { Err(Full) } else { Ok(()) }
        });
        assert_eq!((result, calls), (Err(Full), 3));
    }

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

    #[test]
    fn cve_2019_11043_path_info_is_what_it_is_or_not_there() {
        for (path_info, expected) in [(&b""[..], None), (b"/", Some("/")), (b"/longer/than/the/script", None)]
        {
            let request =
                Variables { script_name: b"/x.php", path_info, ..Variables::new(b"GET", b"/x.php") };
            let made = make(&request, Role::Responder, &[]).unwrap();
            let expected = expected.or(std::str::from_utf8(path_info).ok().filter(|path| !path.is_empty()));
            assert_eq!(made.get("PATH_INFO").map(String::as_str), expected);
        }
    }
}
