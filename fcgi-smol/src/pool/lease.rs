//! A connection that is lent to one request.

use std::sync::Arc;

use fcgi_proto::client::{Request, Session, Stderr};

use super::applications::Applications;
use super::choice::Place;
use crate::client::link::{CAPACITY, Link};

/// A connection for one request: given back when dropped.
pub(crate) struct Lease {
    applications: Arc<Applications>,
    place: Place,
    link: Arc<Link>,
    request: Request,
}

impl Lease {
    /// Of a request that began on the connection.
    pub(super) fn new(
        applications: &Arc<Applications>,
        place: Place,
        link: Arc<Link>,
        request: Request,
    ) -> Self {
        Self { applications: Arc::clone(applications), place, link, request }
    }

    /// The request, and its connection.
    pub(crate) fn asked(&self) -> (&Link, Request) {
        (&self.link, self.request)
    }

    /// Lets something be done with the session.
    pub(crate) fn session<T>(&self, work: impl FnOnce(&mut Session<CAPACITY>, Request) -> T) -> T {
        self.link.with(|state, _| work(&mut state.session, self.request))
    }

    /// What came on STDERR since this was last asked.
    pub(crate) fn take_stderr(&self) -> Stderr {
        self.link.take_stderr(self.request)
    }

    /// Which of the applications it is.
    pub(crate) fn application(&self) -> usize {
        self.place.application
    }

    /// Whether there are others.
    pub(crate) fn has_others(&self) -> bool {
        self.applications.count() > 1
    }

    /// The head of the answer is whole, and has this status.
    pub(crate) fn answered(&self, status: u16) {
        self.session(|session, request| session.head(request, status));
        self.applications.decide(|choices, now| choices.answered(self.place, now));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let is_reusable = self.link.leave(self.request, self.applications.manners(self.place.application));
        self.applications.decide(|choices, now| choices.give_back(self.place, is_reusable, now));
    }
}
