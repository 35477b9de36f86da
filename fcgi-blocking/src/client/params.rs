use fcgi_proto::{cgi, pair};
use fcgi_proto::record::Role;

/// A request's parameters: CGI/1.1 variables (RFC 3875, section 4.1), each name once.
///
/// ```
/// let params = fcgi_blocking::Params::get("/index.php?page=1").script("/srv/www/index.php");
/// assert_eq!(params.value("QUERY_STRING"), Some(&b"page=1"[..]));
/// assert_eq!(params.value("SCRIPT_NAME"), Some(&b"/index.php"[..]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Params {
    /// The variables of a request with this method for this target, a path and perhaps a query. Who asks and
    /// who is asked is `localhost`, until it is [set](Self::set).
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self::default()
            .set("GATEWAY_INTERFACE", "CGI/1.1")
            .set("SERVER_SOFTWARE", concat!("fcgi-blocking/", env!("CARGO_PKG_VERSION")))
            .set("SERVER_PROTOCOL", "HTTP/1.1")
            .set("SERVER_NAME", "localhost")
            .set("SERVER_ADDR", "127.0.0.1")
            .set("SERVER_PORT", "80")
            .set("REMOTE_ADDR", "127.0.0.1")
            .set("REMOTE_PORT", "0")
            .set("REQUEST_METHOD", method)
            .set("REQUEST_URI", target)
            .set("SCRIPT_NAME", path)
            .set("QUERY_STRING", query)
            .set("HTTP_HOST", "localhost")
            // php-cgi runs nothing without.
            .set("REDIRECT_STATUS", "200")
    }

    /// Those of a GET request.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Those of a POST request.
    #[must_use]
    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// Sets a variable, instead of what it was.
    #[must_use]
    pub fn set(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.replace(name.as_ref(), value.as_ref());
        self
    }

    /// Sets SCRIPT_FILENAME: the file that PHP runs.
    #[must_use]
    pub fn script(self, filename: impl AsRef<[u8]>) -> Self {
        self.set("SCRIPT_FILENAME", filename)
    }

    /// A variable's value.
    #[must_use]
    pub fn value(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = name.as_ref();
        self.iter().find(|&(other, _)| other == name).map(|(_, value)| value)
    }

    /// The variables `(name, value)` in the order set.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.pairs.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    /// Bytes of all of them, encoded.
    pub(crate) fn encoded_len(&self) -> usize {
        self.iter().filter_map(|(name, value)| pair::encoded_len(name, value)).sum()
    }

    /// Adds what the input's lengths, in bytes, and the role ask for, unless it was set.
    pub(crate) fn complete(&mut self, role: Role, stdin: Option<u64>, data: Option<u64>) {
        let lengths = [("CONTENT_LENGTH", stdin), ("FCGI_DATA_LENGTH", data), ("FCGI_DATA_LAST_MOD", data.map(|_| 0))];
        for (name, length) in lengths {
            if let (Some(length), None) = (length, self.value(name)) {
                self.replace(name.as_bytes(), length.to_string().as_bytes());
            }
        }
        self.pairs.retain(|(name, _)| cgi::is_variable_of(role, name));
    }

    fn replace(&mut self, name: &[u8], value: &[u8]) {
        match self.pairs.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = value.to_vec(),
            None => self.pairs.push((name.to_vec(), value.to_vec())),
        }
    }
}
