//! A connection that is lent to one request.

use std::fmt;
use std::sync::Arc;

use super::applications::Applications;
use super::choice::{After, Place};
use crate::client::link::Link;

/// A connection for one request: given back when dropped.
pub(crate) struct Lease {
    applications: Arc<Applications>,
    held: Place,
    link: Arc<Link>,
    is_kept: bool,
    place: usize,
    /// Whether it was kept and turned out to be dead.
    died: bool,
}

impl Lease {
    /// Of a request that began at this place of the connection.
    pub(super) fn new(
        applications: &Arc<Applications>,
        held: Place,
        link: Arc<Link>,
        is_kept: bool,
        place: usize,
    ) -> Self {
        Self { applications: Arc::clone(applications), held, link, is_kept, place, died: false }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// The request's place among those of its connection.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// Which of the applications it is.
    pub(crate) fn application(&self) -> usize {
        self.held.application
    }

    /// Whether the connection carried a request before.
    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// The answer has begun.
    pub(crate) fn answered(&self) {
        self.applications.answered(self.held);
    }

    /// It was kept and turned out to be dead.
    pub(crate) fn died(&mut self) {
        self.died = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.link.leave(self.place);
        let after = match self.died {
            true => After::Ended,
            false if self.link.is_settled() => After::Settled,
            false => After::Spent,
        };
        self.applications.give_back(self.held, after);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("application", &self.application()).finish_non_exhaustive()
    }
}
