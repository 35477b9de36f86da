//! A request, as the handlers of both loops see it.

use embedded_io_07::ErrorType;

use super::driver::Driver;
use super::settings::{Error, Parameters};
use crate::pair::Pairs;
use crate::record::Role;

/// A request, to be read and answered by its handler: it is a reader of what is posted and a writer of the answer.
///
/// An answer is what a CGI program writes: header lines, a blank line, a body. See [`cgi::Head`](crate::cgi::Head).
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Request<'m, T, P, S> {
    pub(crate) stream: &'m mut T,
    pub(crate) platform: &'m P,
    pub(crate) params: &'m mut S,
    pub(crate) driver: Driver<'m>,
}

impl<T, P, S: Parameters> Request<'_, T, P, S> {
    /// Its parameters, as far as they are kept.
    #[must_use]
    pub fn params(&self) -> Pairs<'_> {
        self.params.pairs()
    }

    /// What this side is asked to be.
    #[must_use]
    pub fn role(&self) -> Role {
        self.driver.role()
    }
}

impl<T: ErrorType, P, S> ErrorType for Request<'_, T, P, S> {
    type Error = Error<T::Error>;
}
