use std::fmt;
use std::net::SocketAddr;

use fcgi_proto::cgi::{Variables, decode_path};
#[cfg(feature = "http")]
use fcgi_proto::http::{CgiRequest, Peer};
use fcgi_proto::record::Role;

use super::{ClientError, Result, Value};

/// Who asks, as far as the application is told.
const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A request as it becomes parameters: CGI/1.1 variables (RFC 3875, section 4.1), each name once.
///
/// Method, target and what is [set](Self::set) are the caller's; the rest is what a web server on this
/// machine would say. CONTENT_LENGTH, and for a Filter FCGI_DATA_LENGTH, are always those of what is sent.
///
/// ```
/// use fcgi_blocking::Params;
///
/// let params = Params::get("/index.php?page=1").script("/srv/www/index.php").set("HTTP_COOKIE", "a=b");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Params {
    method: Vec<u8>,
    target: Vec<u8>,
    protocol: Vec<u8>,
    authority: Option<Vec<u8>>,
    headers: Vec<Value>,
    peer: Option<SocketAddr>,
    server: Option<SocketAddr>,
    https: bool,
    set: Vec<Value>,
}

impl Params {
    /// Of a request with this method for this target, a path, percent-encoded, and perhaps a query.
    /// SCRIPT_NAME is the path decoded.
    pub fn new(method: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            method: method.into().into_bytes(),
            target: target.into().into_bytes(),
            protocol: b"HTTP/1.1".to_vec(),
            authority: Some(b"localhost".to_vec()),
            headers: Vec::new(),
            peer: Some(LOCAL),
            server: None,
            https: false,
            set: Vec::new(),
        }
    }

    /// Of an HTTP request with these parts (feature `http`), and from the [`Peer`] in their extensions.
    ///
    /// Header fields become variables as [`Variables::emit`] says. `Authorization` does not: who leaves it to
    /// the application to look at passwords [sets](Self::set) HTTP_AUTHORIZATION.
    #[cfg(feature = "http")]
    pub fn from_parts(parts: &http::request::Parts) -> Self {
        let request = CgiRequest::new(parts);
        let variables = request.variables();
        let headers = request.headers().iter();
        Self {
            method: variables.method.to_vec(),
            target: variables.target.to_vec(),
            protocol: variables.protocol.to_vec(),
            authority: variables.authority.map(<[u8]>::to_vec),
            headers: headers.map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
            peer: parts.extensions.get().map(|Peer(peer)| *peer),
            ..Self::get("")
        }
    }

    /// Of a GET request.
    pub fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    /// Of a POST request.
    pub fn post(target: impl Into<String>) -> Self {
        Self::new("POST", target)
    }

    /// The address that the request came to: SERVER_ADDR and SERVER_PORT, and SERVER_NAME unless that is
    /// [set](Self::set).
    pub fn server(mut self, server: SocketAddr) -> Self {
        self.server = Some(server);
        self
    }

    /// Whether the request came over TLS: HTTPS, REQUEST_SCHEME, and SERVER_PORT without a
    /// [server](Self::server).
    pub fn https(mut self, https: bool) -> Self {
        self.https = https;
        self
    }

    /// Sets a variable, instead of what it was.
    pub fn set(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.set.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Sets SCRIPT_FILENAME: the file that PHP runs.
    pub fn script(self, filename: impl AsRef<[u8]>) -> Self {
        self.set("SCRIPT_FILENAME", filename)
    }

    /// The method, also one that was [set](Self::set) as REQUEST_METHOD: it decides whether the answer has a
    /// body.
    pub fn method(&self) -> &[u8] {
        let set = self.set.iter().rfind(|(name, _)| name == b"REQUEST_METHOD");
        set.map_or(&self.method, |(_, method)| method)
    }

    /// The variables of a request with this role and input of these lengths, in bytes; they are what
    /// [`Client`](super::Client) sends.
    ///
    /// # Errors
    /// [`ClientError::Target`], [`ClientError::Variables`].
    pub fn variables(&self, role: Role, stdin: Option<u64>, data: Option<u64>) -> Result<Vec<Value>> {
        let [headers, extra] = [&self.headers, &self.set]
            .map(|pairs| pairs.iter().map(|(name, value)| (&name[..], &value[..])).collect::<Vec<_>>());
        let mut variables = Variables::new(&self.method, &self.target);
        let mut path = vec![0; self.target.len()];
        variables.script_name = decode_path(&self.target, &mut path).map_err(ClientError::Target)?;
        variables.protocol = &self.protocol;
        variables.authority = self.authority.as_deref();
        variables.peer = self.peer;
        variables.server = self.server;
        variables.https = self.https;
        variables.server_software = concat!("fcgi-blocking/", env!("CARGO_PKG_VERSION")).as_bytes();
        variables.content_length = stdin;
        variables.data_length = data.unwrap_or(0);
        variables.extra = &extra;
        let mut pairs = Vec::new();
        variables.emit(role, &headers, |name, value| {
            pairs.push((name.to_vec(), value.parts().collect::<Vec<_>>().concat()));
            Ok::<(), ClientError>(())
        })?;
        Ok(pairs)
    }
}

impl fmt::Display for Params {
    /// Method and target, for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method().escape_ascii(), self.target.escape_ascii())
    }
}
