//! What a connection takes from its peer, and what each limit guards against.

/// Limits of one connection.
///
/// A limit of `u32::MAX` is no limit. Nothing here is memory that the core holds: the caller's storage has
/// limits of its own, and these keep a peer from making it do unbounded work. More may be added: set those that
/// matter, and take the defaults for the others.
///
/// ```
/// use fcgi_proto::Limits;
///
/// const LIMITS: Limits = Limits { params: 16 * 1024, stdin: 1024 * 1024, ..Limits::new() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// Bytes of one request's PARAMS stream. Guards the caller's storage for parameters against a peer that
    /// never ends them. Default: 512 KiB, eight times what the largest web server default lets through.
    pub params: u32,
    /// Bytes of one request's STDIN stream. Guards a handler that reads whole bodies. Default: no limit, for
    /// bodies are streamed and the web server has a limit of its own.
    pub stdin: u32,
    /// Bytes of one request's DATA stream. Default: no limit.
    pub data: u32,
    /// Bytes of records, headers and padding included, that are ignored in a row, until the next request
    /// begins: late input of ended requests, unknown types. Guards against a peer that only keeps the
    /// connection busy. Default: 16 MiB, several uploads whose answer came early.
    pub ignored: u32,
    /// `FCGI_MAX_CONNS`, what the caller answers GET_VALUES with: connections it takes at once
    /// (section 4.1). Default: 1.
    pub max_conns: u32,
    /// `FCGI_MAX_REQS`: requests that the caller takes at once over all connections. What is answered is at
    /// most `max_conns` times the requests that one connection carries. Default: no limit but that.
    pub max_reqs: u32,
}

impl Limits {
    /// The defaults, where a constant is needed: a connection in a `static`.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            params: 512 * 1024,
            stdin: u32::MAX,
            data: u32::MAX,
            ignored: 16 * 1024 * 1024,
            max_conns: 1,
            max_reqs: u32::MAX,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
