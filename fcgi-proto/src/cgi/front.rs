//! Where web servers want answers to differ, and which one asks (RFC 3875, section 4.1.17).

/// How an answer is made for the web server that asks.
///
/// | | nginx | others, HAProxy and h2o among them |
/// |---|---|---|
/// | the body of an answer to HEAD | wanted: with `fastcgi_cache` it is kept for GET, and nginx drops it itself | taken for the next answer, or a 502 |
/// | STDERR, and an answer without a head | looked at before the head only: `fastcgi_catch_stderr`, `fastcgi_next_upstream invalid_header` | HAProxy 2.6 crashes; an answer without a head is an empty 200 or a long wait |
///
/// ```
/// use fcgi_proto::cgi::Front;
///
/// assert!(Front::of(Some(b"nginx/1.22.1")).head_body);
/// assert_eq!(Front::of(None), Front::UNKNOWN);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Front {
    /// The answer to HEAD has its body.
    pub head_body: bool,
    /// STDERR leaves before the head rather than behind it, and what a handler wrote without a head leaves as it is
    /// rather than becoming a 500: the web server has its own rules for both.
    pub errors_first: bool,
    /// How a body that is shorter than its Content-Length is cut.
    pub(super) cut: Cut,
}

/// What shows a web server that a body is shorter than its Content-Length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Cut {
    /// END_REQUEST: the length tells.
    End,
    /// The end of a connection that is kept; else END_REQUEST. nginx waits for more in the two other cases.
    KeptClose,
    /// The end of the connection. HAProxy and lighttpd wait for more behind END_REQUEST, Apache ends the body.
    Close,
}

impl Front {
    /// nginx.
    pub const NGINX: Self = Self { head_body: true, errors_first: true, cut: Cut::KeptClose };
    /// Any other.
    pub const OTHER: Self = Self { head_body: false, errors_first: false, cut: Cut::Close };
    /// One that does not say what it is: what all of them take.
    pub const UNKNOWN: Self = Self { head_body: false, errors_first: false, cut: Cut::End };

    /// By the request's SERVER_SOFTWARE.
    #[must_use]
    pub fn of(server_software: Option<&[u8]>) -> Self {
        match server_software {
            None | Some(b"") => Self::UNKNOWN,
            Some([b'n', b'g', b'i', b'n', b'x', ..]) => Self::NGINX,
            Some(_) => Self::OTHER,
        }
    }
}
