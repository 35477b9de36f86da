//! One request on its way: its body goes out, its answer comes in.

use std::future::poll_fn;
use std::task::{Context, Poll};

use fcgi_proto::client::Again;

use super::body::Body;
use super::{ClientError, End};
use crate::pool::lease::Lease;

/// Bytes of the body in a record.
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
    pub(crate) async fn more(&mut self, chunk: &mut Vec<u8>) -> Result<Option<End>, ClientError> {
        poll_fn(|cx| self.poll_more(cx, chunk)).await
    }

    pub(crate) fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Vec<u8>,
    ) -> Poll<Result<Option<End>, ClientError>> {
        let (link, request) = self.lease.asked();
        if let Some(got) = link.take(request, chunk) {
            return Poll::Ready(got);
        }
        loop {
            let filled = self.poll_fill(cx)?;
            let (link, request) = self.lease.asked();
            if let Poll::Ready(got) = link.poll(request, cx, chunk) {
                return Poll::Ready(got);
            }
            if filled.is_pending() || self.body.is_read() || link.wants(request) == 0 {
                return Poll::Pending;
            }
        }
    }

    /// Makes records of the body while there is room: small ones leave with their parameters.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, ClientError> {
        let (link, request) = self.lease.asked();
        let mut piece = [0; PIECE];
        while !self.body.is_read() {
            let wanted = link.wants(request).min(PIECE);
            if wanted == 0 {
                break;
            }
            match self.body.poll_read(cx, &mut piece[..wanted])? {
                Poll::Ready(count) => link.send(request, &piece[..count])?,
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        Ok(Poll::Ready(()))
    }

    /// Whether and where the request is to be sent again, after it failed or was refused.
    pub(crate) fn again(&self) -> Again {
        let (link, request) = self.lease.asked();
        self.lease.teach();
        link.again(request)
    }

    /// Whether the answer may turn out to be a refusal, and there is someone else to ask.
    pub(crate) fn may_be_refused(&self) -> bool {
        let (link, request) = self.lease.asked();
        self.lease.has_others() && link.may_be_refused(request)
    }

    /// What came on STDERR since this was last asked.
    pub(crate) fn take_stderr(&self) -> Vec<u8> {
        let (link, request) = self.lease.asked();
        link.take_stderr(request)
    }
}
