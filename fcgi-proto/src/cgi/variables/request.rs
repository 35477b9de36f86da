//! A request as a web server sees it, before it is variables (RFC 3875, section 4.1).

use core::net::SocketAddr;

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
    /// SCRIPT_NAME: what of the [decoded path](crate::cgi::decode_path) names the script.
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
    /// Further variables, of the configuration or of an [Authorizer](crate::cgi::AuthorizerVariables). They take
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
}
