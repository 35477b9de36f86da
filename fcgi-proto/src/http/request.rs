//! Parameters as the parts of an HTTP request, and the parts of an HTTP request as what [`Variables`] take
//! (RFC 3875, section 4.1).

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::str;

use ::http::header::{CONTENT_LENGTH, HeaderValue};
use ::http::{HeaderMap, Method, Request, Uri, Version, request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::{HeaderError, append};
use crate::cgi::{Variables, is_hop_by_hop};

/// Parameters that make no HTTP request: 400 for the HTTP client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// REQUEST_METHOD is not there, or no token.
    Method,
    /// REQUEST_URI is no path, absolute URI or `*`, or has bytes that are to be percent-encoded.
    Uri,
    /// There is no REQUEST_URI, and SCRIPT_NAME, PATH_INFO and QUERY_STRING make no path and query.
    Path,
    /// CONTENT_TYPE or an `HTTP_…` variable is no header field.
    Header(HeaderError),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("REQUEST_METHOD is no method"),
            Self::Uri => f.write_str("REQUEST_URI is no request target"),
            Self::Path => f.write_str("SCRIPT_NAME, PATH_INFO and QUERY_STRING are no path and query"),
            Self::Header(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for RequestError {}

impl From<HeaderError> for RequestError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

/// The HTTP client's address, an extension of the parts that [`request_parts`] makes.
///
/// It is REMOTE_ADDR and REMOTE_PORT; the port is 0 where the web server does not tell it. It is not there if
/// REMOTE_ADDR is no IP address, as of clients on a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(pub SocketAddr);

/// The variables that become something else than a header field, as they came; of equal names the last, as
/// [`Pairs::get`](crate::pair::Pairs::get) has it.
#[derive(Default)]
struct Known<'a> {
    method: Option<&'a [u8]>,
    uri: Option<&'a [u8]>,
    script_name: Option<&'a [u8]>,
    path_info: Option<&'a [u8]>,
    query: Option<&'a [u8]>,
    protocol: Option<&'a [u8]>,
    content_type: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    remote_addr: Option<&'a [u8]>,
    remote_port: Option<&'a [u8]>,
}

impl<'a> Known<'a> {
    fn slot(&mut self, name: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        Some(match name {
            b"REQUEST_METHOD" => &mut self.method,
            b"REQUEST_URI" => &mut self.uri,
            b"SCRIPT_NAME" => &mut self.script_name,
            b"PATH_INFO" => &mut self.path_info,
            b"QUERY_STRING" => &mut self.query,
            b"SERVER_PROTOCOL" => &mut self.protocol,
            b"CONTENT_TYPE" => &mut self.content_type,
            b"CONTENT_LENGTH" => &mut self.content_length,
            b"REMOTE_ADDR" => &mut self.remote_addr,
            b"REMOTE_PORT" => &mut self.remote_port,
            _ => return None,
        })
    }
}

/// Makes the parts of an HTTP request of a request's parameters, `(name, value)`: a
/// [`ParamsBuf`](crate::pair::ParamsBuf), [`Params`](crate::pair::Params), or any others.
///
/// - The method is REQUEST_METHOD.
/// - The URI is REQUEST_URI, as the HTTP client sent it, whatever the web server rewrote: mostly path and
///   query, where the path begins with what the application is mounted at. Without REQUEST_URI, which RFC 3875
///   does not know, it is SCRIPT_NAME and PATH_INFO, percent-encoded again, and QUERY_STRING.
/// - The version is SERVER_PROTOCOL, and HTTP/1.1 if that is none that `http` knows.
/// - Header fields are CONTENT_TYPE unless it is empty, CONTENT_LENGTH if it is a number (web servers send it
///   empty, or `-1`, too; how long the body is STDIN alone tells), and all of `HTTP_…`, in lower case, with
///   `-` for `_`. Equal names are all kept, in their order.
/// - The extensions hold the [`Peer`].
///
/// Left out are HTTP_CONTENT_TYPE and HTTP_CONTENT_LENGTH, which web servers send besides the true ones, or
/// to an Authorizer, who gets no body; HTTP_PROXY, which programs take for the proxy to use (CVE-2016-5385 and
/// its family); and what is [hop by hop](super).
///
/// Who needs another variable has the parameters: an adapter adds them to the extensions, as a type of its
/// own.
///
/// # Errors
/// [`RequestError`].
///
/// ```
/// use fcgi_proto::http::{Peer, request_parts};
/// use fcgi_proto::pair::Pairs;
///
/// let params = Pairs::new(
///     b"\x0e\x04REQUEST_METHODPOST\x0b\x07REQUEST_URI/a%20?b\
///       \x09\x0bHTTP_HOSTexample.org\x0e\x01CONTENT_LENGTH5\x0b\x09REMOTE_ADDR192.0.2.1",
/// );
/// let parts = request_parts(params)?;
/// assert_eq!((parts.method.as_str(), parts.uri.path(), parts.uri.query()), ("POST", "/a%20", Some("b")));
/// assert_eq!(parts.headers["host"], "example.org");
/// assert_eq!(parts.headers["content-length"], "5");
/// assert_eq!(parts.extensions.get(), Some(&Peer(([192, 0, 2, 1], 0).into())));
/// # Ok::<(), fcgi_proto::http::RequestError>(())
/// ```
pub fn request_parts<'a>(
    params: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<request::Parts, RequestError> {
    let mut known = Known::default();
    let mut headers = HeaderMap::new();
    let mut field = Vec::new();
    for (name, value) in params {
        if let Some(slot) = known.slot(name) {
            *slot = Some(value);
        } else if let Some(name) = name.strip_prefix(b"HTTP_") {
            field.clear();
            field.extend(name.iter().map(|byte| if *byte == b'_' { b'-' } else { *byte }));
            if is_passed_on(&field) {
                append(&mut headers, &field, value)?;
            }
        }
    }
    if let Some(content_type) = known.content_type.filter(|value| !value.is_empty()) {
        append(&mut headers, b"content-type", content_type)?;
    }
    if let Some(length) = known.content_length.and_then(number::<u64>) {
        let length = headers.try_insert(CONTENT_LENGTH, HeaderValue::from(length));
        length.map_err(|_| HeaderError::TooMany)?;
    }

    let (mut parts, ()) = Request::new(()).into_parts();
    let method = known.method.and_then(|method| Method::from_bytes(method).ok());
    parts.method = method.ok_or(RequestError::Method)?;
    parts.uri = uri(&known)?;
    parts.version = version(known.protocol);
    parts.headers = headers;
    if let Some(peer) = peer(&known) {
        parts.extensions.insert(peer);
    }
    Ok(parts)
}

/// Whether `HTTP_…` becomes a header field of this name, in any case of letters.
fn is_passed_on(name: &[u8]) -> bool {
    const NOT: [&[u8]; 3] = [b"content-length", b"content-type", b"proxy"];
    !NOT.iter().any(|known| known.eq_ignore_ascii_case(name)) && !is_hop_by_hop(name)
}

fn uri(known: &Known<'_>) -> Result<Uri, RequestError> {
    match known.uri {
        // A target without a path, `host:port`, is CONNECT's alone (RFC 9112, section 3.2.3): no CGI request.
        Some(uri @ [_, ..]) => {
            let uri = Uri::try_from(uri).ok().filter(|uri| uri.path_and_query().is_some());
            uri.ok_or(RequestError::Uri)
        }
        _ => {
            let mut uri = String::new();
            for part in [known.script_name, known.path_info] {
                uri.extend(percent_encode(part.unwrap_or(b""), ENCODED));
            }
            if uri.is_empty() {
                uri.push('/');
            }
            let query = str::from_utf8(known.query.unwrap_or(b"")).map_err(|_| RequestError::Path)?;
            if !query.is_empty() {
                uri.extend(["?", query]);
            }
            if !uri.starts_with('/') {
                return Err(RequestError::Path);
            }
            Uri::try_from(uri).map_err(|_| RequestError::Path)
        }
    }
}

/// All but what a path has as it is: `/` and `pchar` (RFC 3986, section 3.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

fn version(protocol: Option<&[u8]>) -> Version {
    match protocol {
        Some(b"HTTP/0.9") => Version::HTTP_09,
        Some(b"HTTP/1.0") => Version::HTTP_10,
        Some(b"HTTP/2.0" | b"HTTP/2") => Version::HTTP_2,
        Some(b"HTTP/3.0" | b"HTTP/3") => Version::HTTP_3,
        _ => Version::HTTP_11,
    }
}

fn protocol(version: Version) -> &'static [u8] {
    match version {
        Version::HTTP_09 => b"HTTP/0.9",
        Version::HTTP_10 => b"HTTP/1.0",
        Version::HTTP_2 => b"HTTP/2.0",
        Version::HTTP_3 => b"HTTP/3.0",
        _ => b"HTTP/1.1",
    }
}

fn peer(known: &Known<'_>) -> Option<Peer> {
    let ip: IpAddr = str::from_utf8(known.remote_addr?).ok()?.parse().ok()?;
    Some(Peer((ip, known.remote_port.and_then(number).unwrap_or(0)).into()))
}

/// A number of nothing but digits.
fn number<T: str::FromStr>(digits: &[u8]) -> Option<T> {
    let digits = str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

/// An HTTP request on its way to an application: what of it goes into [`Variables`].
///
/// REQUEST_URI is path and query, of an absolute URI and in HTTP/2 too; HTTP_HOST the URI's authority, or
/// else `Host`. Repeated fields become one, and some are left out: see [`Variables::emit`].
///
/// ```
/// use fcgi_proto::{cgi::decode_path, http::CgiRequest, pair, record::Role};
///
/// let (parts, body) = http::Request::get("https://example.org/app/caf%C3%A9?a")
///     .header("Accept", "text/html")
///     .body("")?
///     .into_parts();
/// let request = CgiRequest::new(&parts);
///
/// let (mut path, mut variables) = ([0; 1024], request.variables());
/// variables.script_name = decode_path(variables.target, &mut path)?;
/// variables.content_length = Some(body.len() as u64);     // what the connection knows, the URI does not
/// variables.peer = Some(([192, 0, 2, 1], 50_000).into());
/// variables.https = true;
///
/// let (mut packer, mut joined) = (pair::Packer::new([0; 4096]), [0; 1024]);
/// variables.emit(Role::Responder, request.headers(), |name, value| {
///     let value = value.whole(&mut joined).ok_or("value too long")?;
///     Ok::<(), Box<dyn std::error::Error>>(packer.push(name, value)?)
/// })?;
/// let pairs = pair::Pairs::new(packer.bytes());
/// assert_eq!(pairs.clone().get(b"REQUEST_URI"), Some(&b"/app/caf%C3%A9?a"[..]));
/// assert_eq!(pairs.clone().get(b"HTTP_HOST"), Some(&b"example.org"[..]));
/// assert_eq!(pairs.clone().get(b"HTTP_ACCEPT"), Some(&b"text/html"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CgiRequest<'a> {
    parts: &'a request::Parts,
    target: Cow<'a, str>,
    headers: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> CgiRequest<'a> {
    /// Of a request with these parts.
    #[must_use]
    pub fn new(parts: &'a request::Parts) -> Self {
        let target = match parts.uri.path_and_query().map(|target| target.as_str()) {
            // `http` has no path for `http://host?query`.
            Some(query) if query.starts_with('?') => Cow::Owned(["/", query].concat()),
            Some(target) => Cow::Borrowed(target),
            None => Cow::Borrowed(parts.uri.authority().map_or("", |authority| authority.as_str())),
        };
        let headers = parts.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())).collect();
        Self { parts, target, headers }
    }

    /// The method, the target, the protocol and the authority. The rest is the caller's to fill in: what the
    /// connection knows (peer, server, whether it is HTTPS: a URI only claims so), how long the body is, which
    /// script it is.
    #[must_use]
    pub fn variables(&self) -> Variables<'_> {
        let mut variables = Variables::new(self.parts.method.as_str().as_bytes(), self.target.as_bytes());
        variables.protocol = protocol(self.parts.version);
        // Without what stands before an `@`: names and passwords.
        let authority =
            self.parts.uri.authority().and_then(|authority| authority.as_str().rsplit('@').next());
        variables.authority = authority.map(str::as_bytes);
        variables
    }

    /// The header fields, as [`Variables::emit`] takes them.
    #[must_use]
    pub fn headers(&self) -> &[(&'a [u8], &'a [u8])] {
        &self.headers
    }
}
