//! One request on its way: its body goes out, its answer comes in.

use std::task::{Context, Poll};

use fcgi_proto::client::{Again, Stderr};

use super::body::Body;
use super::{ClientError, End};
use crate::pool::lease::Lease;

/// Bytes of the body that are read at a time.
const PIECE: usize = 32 * 1024;

pub(crate) struct Exchange<'b> {
    lease: Lease,
    body: Body<'b>,
}

impl<'b> Exchange<'b> {
    /// Of a request that began on this connection.
    pub(crate) fn new(lease: Lease, body: Body<'b>) -> Self {
        Self { lease, body }
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Gives up the request; its body may be sent again.
    pub(crate) fn into_body(self) -> Body<'b> {
        self.body
    }

    /// Sends and receives until there are bytes in `chunk`, in place of what was there, or the end came.
    pub(crate) fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Vec<u8>,
    ) -> Poll<Result<Option<End>, ClientError>> {
        loop {
            let is_filled = self.poll_fill(cx)?.is_ready();
            let (link, request) = self.lease.asked();
            if let Poll::Ready(got) = link.poll(request, cx, chunk) {
                return Poll::Ready(got);
            }
            if !is_filled || self.body.is_read() || link.wants(request) == 0 {
                return Poll::Pending;
            }
        }
    }

    /// Makes records of the body while there is room: small ones leave with their parameters.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, ClientError> {
        let (link, request) = self.lease.asked();
        while !self.body.is_read() {
            let wanted = link.wants(request).min(PIECE);
            if wanted == 0 {
                break;
            }
            match self.body.poll_read(cx, &mut [0; PIECE][..wanted], |piece| link.send(request, piece)) {
                Poll::Ready(result) => result?,
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        Ok(Poll::Ready(()))
    }

    /// Whether the answer may turn out to be a refusal.
    pub(crate) fn may_be_refused(&self) -> bool {
        let (link, request) = self.lease.asked();
        link.may_be_refused(request)
    }

    /// Whether and where the request is to be sent again, after it failed or was refused.
    pub(crate) fn again(&self) -> Again {
        let (link, request) = self.lease.asked();
        link.again(request)
    }

    /// The request failed, and that is its answer: a line in the log.
    pub(crate) fn log_failure(&self) {
        let (link, request) = self.lease.asked();
        link.log_failure(request);
    }

    /// What came on STDERR since this was last asked.
    pub(crate) fn take_stderr(&self) -> Stderr {
        let (link, request) = self.lease.asked();
        link.take_stderr(request)
    }
}
