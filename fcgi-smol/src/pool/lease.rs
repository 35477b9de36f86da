//! A connection that is lent to one request.

use std::fmt;
use std::sync::Arc;

use fcgi_proto::client::SendError;
use fcgi_proto::record::Role;

use super::applications::Applications;
use crate::client::link::Link;
use crate::{ClientError, Value};

/// A connection for one request: given back when dropped.
pub(crate) struct Lease {
    applications: Arc<Applications>,
    application: usize,
    link: Arc<Link>,
    is_kept: bool,
    place: Option<usize>,
}

impl Lease {
    pub(super) fn new(
        applications: &Arc<Applications>,
        application: usize,
        link: Arc<Link>,
        is_kept: bool,
    ) -> Self {
        Self { applications: Arc::clone(applications), application, link, is_kept, place: None }
    }

    pub(crate) fn begin(
        &mut self,
        role: Role,
        keep_conn: bool,
        variables: &[Value],
    ) -> Result<(), SendError> {
        self.place = Some(self.link.begin(role, keep_conn, variables)?);
        Ok(())
    }

    /// Asks for the application's values instead.
    pub(crate) fn get_values(&mut self) {
        self.place = Some(self.link.get_values());
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// The request's place among those of its connection.
    pub(crate) fn place(&self) -> usize {
        self.place.unwrap_or(usize::MAX)
    }

    /// Which of the applications it is.
    pub(crate) fn application(&self) -> usize {
        self.application
    }

    /// Whether the connection carried a request before.
    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.link.leave(place);
        }
        self.applications.take_back(self.application, &self.link);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("application", &self.application).finish_non_exhaustive()
    }
}

/// What a request asks of a connection.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Applications that are not to be asked: they could not be connected to, or refused.
    pub(crate) tried: Vec<usize>,
    /// Why not; the error when there is nobody else.
    pub(crate) error: Option<ClientError>,
    /// Not one that was kept: those may be dead.
    pub(crate) fresh: bool,
    /// Without other requests: it is the connection's last.
    pub(crate) alone: bool,
}
