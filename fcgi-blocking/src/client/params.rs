use std::net::SocketAddr;

use fcgi_proto::cgi::{Variables, decode_path};
use fcgi_proto::pair;
use fcgi_proto::record::Role;

use super::ClientError;

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
pub struct Params {
    method: String,
    target: String,
    set: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Params {
    /// Of a request with this method for this target, a path, percent-encoded, and perhaps a query.
    /// SCRIPT_NAME is the path decoded.
    #[must_use]
    pub fn new(method: impl Into<String>, target: impl Into<String>) -> Self {
        Self { method: method.into(), target: target.into(), set: Vec::new() }
    }

    /// Of a GET request.
    #[must_use]
    pub fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    /// Of a POST request.
    #[must_use]
    pub fn post(target: impl Into<String>) -> Self {
        Self::new("POST", target)
    }

    /// Sets a variable, instead of what it was.
    #[must_use]
    pub fn set(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.set.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Sets SCRIPT_FILENAME: the file that PHP runs.
    #[must_use]
    pub fn script(self, filename: impl AsRef<[u8]>) -> Self {
        self.set("SCRIPT_FILENAME", filename)
    }

    pub(crate) fn method(&self) -> &[u8] {
        let set = self.set.iter().rfind(|(name, _)| name == b"REQUEST_METHOD");
        set.map_or(self.method.as_bytes(), |(_, method)| method)
    }

    /// The pairs of a request with this role and input of these lengths, in bytes.
    pub(crate) fn pairs(
        &self,
        role: Role,
        stdin: Option<u64>,
        data: Option<u64>,
    ) -> Result<Pairs, ClientError> {
        let extra: Vec<_> = self.set.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let mut variables = Variables::new(self.method.as_bytes(), self.target.as_bytes());
        let mut path = vec![0; self.target.len()];
        variables.script_name = decode_path(self.target.as_bytes(), &mut path)?;
        variables.authority = Some(b"localhost");
        variables.peer = Some(LOCAL);
        variables.server_software = concat!("fcgi-blocking/", env!("CARGO_PKG_VERSION")).as_bytes();
        variables.content_length = stdin;
        variables.data_length = data.unwrap_or(0);
        variables.extra = &extra;
        let mut pairs = Pairs::default();
        variables.emit(role, &[], |name, value| {
            pairs.pairs.push((name.to_vec(), value.parts().collect::<Vec<_>>().concat()));
            Ok::<(), ClientError>(())
        })?;
        Ok(pairs)
    }
}

/// Names and values, not encoded yet.
#[derive(Default)]
pub(crate) struct Pairs {
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Pairs {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.pairs.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    /// Bytes of all of them, encoded.
    pub(crate) fn encoded_len(&self) -> usize {
        self.iter().filter_map(|(name, value)| pair::encoded_len(name, value)).sum()
    }
}
