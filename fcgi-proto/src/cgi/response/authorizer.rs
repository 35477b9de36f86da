//! An Authorizer's decision (FastCGI 1.0, section 6.3).

use super::error::ResponseHeadError;
use super::fields::ResponseFields;
use super::head::ResponseHead;
use crate::cgi::status::Status;

impl<B: AsRef<[u8]> + AsMut<[u8]>> ResponseHead<B> {
    /// What the head says as an Authorizer's (FastCGI 1.0, section 6.3).
    ///
    /// Ask after END_REQUEST: before that access is not to be given, nor anything passed on.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish): without a head there is no decision, and so no access.
    ///
    /// ```
    /// use fcgi_proto::cgi::{Decision, ResponseHead};
    ///
    /// let mut head = ResponseHead::new([0; 512]);
    /// head.push(b"Status: 200 OK\r\nVariable-AUTH_METHOD: database\r\nX-Other: a\r\n\r\n")?;
    /// let Decision::Allowed(mut variables) = head.decision()? else { panic!() };
    /// assert_eq!(variables.next(), Some((&b"AUTH_METHOD"[..], &b"database"[..])));
    /// assert_eq!(variables.next(), None);
    /// # Ok::<(), fcgi_proto::cgi::ResponseHeadError>(())
    /// ```
    pub fn decision(&self) -> Result<Decision<'_>, ResponseHeadError> {
        self.finish()?;
        Ok(match self.status() {
            Status::OK => Decision::Allowed(AuthorizerVariables(self.fields())),
            _ => Decision::Denied,
        })
    }
}

/// What an Authorizer decided.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Decision<'a> {
    /// 200: access is allowed, as far as this Authorizer goes. The variables are to be kept with the HTTP
    /// request and given to the requests made for it later ([`Variables::extra`](crate::cgi::Variables::extra));
    /// other fields and the body are to be ignored.
    Allowed(AuthorizerVariables<'a>),
    /// Any other status: access is denied, and status, fields and body go to the HTTP client. A local
    /// `Location` is not to be followed.
    Denied,
}

/// Iterates over the variables `(NAME, value)` of an Authorizer's fields `Variable-NAME`; empty names are
/// left out.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AuthorizerVariables<'a>(ResponseFields<'a>);

impl<'a> Iterator for AuthorizerVariables<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        const PREFIX: &[u8] = b"Variable-";
        self.0.find_map(|(name, value)| {
            let (prefix, name) = name.split_at_checked(PREFIX.len())?;
            (prefix.eq_ignore_ascii_case(PREFIX) && !name.is_empty()).then_some((name, value))
        })
    }
}
