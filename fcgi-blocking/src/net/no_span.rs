//! Without the feature `tracing` there are no spans: what `span.rs` has, of nothing.

use fcgi_proto::pair::ParamsBuf;
use fcgi_proto::server::session::{Account, Begin};

use crate::net::peer::Peer;

/// No span.
#[derive(Clone, Debug, Default)]
pub struct Span(());

impl Span {
    /// None.
    #[must_use]
    pub fn new(_: Peer, _: Begin, _: &ParamsBuf) -> Self {
        Self(())
    }

    /// Runs a handler, or polls its future.
    pub fn in_scope<T>(&self, run: impl FnOnce() -> T) -> T {
        run()
    }

    /// Nobody is told anything.
    #[must_use]
    pub fn listens(&self) -> bool {
        false
    }

    /// The request is over.
    pub fn record(&self, _: &Account<'_>) {}
}
