//! The span of a request, with the feature `tracing`.

use std::sync::Arc;

use fcgi_proto::pair::ParamsBuf;
use fcgi_proto::server::session::{Account, Begin};
use tracing::field::{Empty, display};

use crate::net::peer::Peer;

/// From the start of a request's handler until the request is over and its handler is done. The default is none, and so
/// is one that nobody listens to.
#[derive(Clone, Debug, Default)]
pub struct Span(Option<Arc<tracing::Span>>);

impl Span {
    /// Of a request whose handler starts.
    #[must_use]
    pub fn new(peer: Peer, begin: Begin, params: &ParamsBuf) -> Self {
        let param = |name: &str| display(params.get(name.as_bytes()).unwrap_or_default().escape_ascii());
        let span = tracing::info_span!(
            target: "fastcgi",
            "fastcgi_request",
            method = param("REQUEST_METHOD"),
            uri = param("REQUEST_URI"),
            id = begin.request.id().get(),
            peer = %peer,
            role = %begin.role,
            status = Empty,
            received = Empty,
            sent = Empty,
            outcome = Empty,
        );
        Self(if span.is_disabled() { None } else { Some(Arc::new(span)) })
    }

    /// Runs a handler, or polls its future.
    pub fn in_scope<T>(&self, run: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(span) => span.in_scope(run),
            None => run(),
        }
    }

    /// Whether anybody is to be told what became of the request.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.0.is_some()
    }

    /// The request is over.
    pub fn record(&self, account: &Account<'_>) {
        let Some(span) = &self.0 else { return };
        if let Some(status) = account.status {
            span.record("status", status.code());
        }
        span.record("received", account.received).record("sent", account.sent);
        span.record("outcome", display(account.outcome));
    }
}
