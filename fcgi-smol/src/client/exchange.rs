//! One request on its way: its body goes out, its answer comes in, and every wait has a limit.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::body::Body;
use super::patience::Patience;
use super::{ClientError, ClientSettings, End};
use crate::pool::lease::Lease;

/// Bytes of the body in a record.
const PIECE: usize = 32 * 1024;

pub(crate) struct Exchange<'b> {
    lease: Lease,
    body: Body<'b>,
    /// What came of STDOUT, from `taken` on.
    chunk: Vec<u8>,
    taken: usize,
    patience: Patience,
    settings: ClientSettings,
}

impl<'b> Exchange<'b> {
    /// Of a request that began on this connection.
    pub(crate) fn new(lease: Lease, body: Body<'b>, settings: ClientSettings) -> Self {
        Self { lease, body, chunk: Vec::new(), taken: 0, patience: Patience::new(), settings }
    }

    pub(crate) fn head_limit(&self) -> usize {
        self.settings.head_limit
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    pub(crate) fn lease_mut(&mut self) -> &mut Lease {
        &mut self.lease
    }

    /// Gives up the request; its body may be sent again.
    pub(crate) fn into_body(self) -> Body<'b> {
        self.body
    }

    /// The bytes of STDOUT that came, less those that were taken.
    pub(crate) fn chunk(&self) -> &[u8] {
        &self.chunk[self.taken..]
    }

    pub(crate) fn take_chunk(&mut self, count: usize) {
        self.taken += count.min(self.chunk().len());
    }

    /// Sends and receives until there are further bytes in the [chunk](Self::chunk), or the end came.
    pub(crate) async fn more(&mut self) -> Result<Option<End>, ClientError> {
        poll_fn(|cx| self.poll_more(cx)).await
    }

    pub(crate) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<End>, ClientError>> {
        self.taken = 0;
        self.chunk.clear();
        if let Some(got) = self.lease.link().take(self.lease.place(), &mut self.chunk) {
            return Poll::Ready(got);
        }
        loop {
            let filled = self.poll_fill(cx)?;
            if let Poll::Ready(got) = self.lease.link().poll(self.lease.place(), cx, &mut self.chunk) {
                return Poll::Ready(got);
            }
            if filled.is_pending() {
                // Who sends the body is waited for, not the application.
                self.patience.rest();
                return Poll::Pending;
            }
            if self.body.is_sent() || !self.lease.link().has_room(self.lease.place()) {
                break;
            }
        }
        let progress = self.lease.link().progress(self.lease.place());
        let (what, limit) = if progress.sending {
            ("take the request", self.settings.write_timeout)
        } else if progress.answered {
            ("go on answering", self.settings.read_timeout)
        } else {
            ("answer", self.settings.first_byte_timeout)
        };
        self.patience.poll(cx, what, progress.mark, limit).map(Err)
    }

    /// Makes records of the body while there is room: small ones leave with their parameters.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, ClientError> {
        while !self.body.is_sent() && self.lease.link().has_room(self.lease.place()) {
            let mut piece = [0; PIECE];
            let Poll::Ready(result) = self.body.poll_read(cx, &mut piece) else { return Ok(Poll::Pending) };
            let (stream, count) = result?;
            self.lease.link().send(self.lease.place(), stream, &piece[..count])?;
        }
        Ok(Poll::Ready(()))
    }

    /// What came on STDERR since this was last asked.
    pub(crate) fn take_stderr(&self) -> Vec<u8> {
        self.lease.link().take_stderr(self.lease.place())
    }
}
