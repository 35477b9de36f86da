//! A connection that is lent to one request.

use std::sync::Arc;

use fcgi_blocking::{ClientError, log_level};
use fcgi_proto::client::{Request, Session};

use super::applications::Applications;
use super::choice::Place;
use crate::client::link::{CAPACITY, Link};
use crate::net::clock;

/// A connection for one request: given back when dropped.
pub(crate) struct Lease {
    pub(super) applications: Arc<Applications>,
    pub(crate) place: Place,
    pub(crate) link: Arc<Link>,
    pub(crate) request: Request,
    /// The application and the request, for the log.
    pub(super) name: String,
}

impl Lease {
    /// Lets something be done with the session.
    pub(crate) fn session<T>(&self, work: impl FnOnce(&mut Session<CAPACITY>, Request) -> T) -> T {
        self.link.with(|state, _| work(&mut state.session, self.request))
    }

    /// A line in the log for a request that failed with this, unless its body or a refusal is all that it is.
    pub(crate) fn log_failure(&self, error: &ClientError) {
        use ClientError as E;
        match (self.session(|session, request| session.poll(request, clock::now())), error) {
            (Err(failure), _) => log::log!(log_level(failure.level()), "{}: {failure}", self.name),
            (Ok(_), E::Body(_) | E::BodyTooShort { .. } | E::Spool(_) | E::Refused(_)) => {}
            (Ok(_), _) => log::warn!("{}: {error}", self.name),
        }
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
        let is_reusable = self.link.leave(self.request, &self.applications.manners[self.place.application]);
        self.applications.decide(|choices, now| choices.give_back(self.place, is_reusable, now));
    }
}
