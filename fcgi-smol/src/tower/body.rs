//! A request's STDIN as the body of an `http` request (FastCGI 1.0, section 6.2).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use smol::io::AsyncRead;

use crate::server::request::Input;

/// Bytes of a frame, at most.
const CHUNK: usize = 16 * 1024;

/// The body of a request: its STDIN, as it comes, in frames of up to 16 KiB.
///
/// The length of a body with a CONTENT_LENGTH is known: what comes is as long, or ends with an error.
///
/// # Errors
/// Those of [`Request::stdin`](crate::Request::stdin); [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if STDIN
/// ends short of CONTENT_LENGTH, and [`InvalidData`](io::ErrorKind::InvalidData) if it goes on beyond.
pub struct Body {
    /// Until it has ended or failed.
    input: Option<Input>,
    /// Where the next frames are read into.
    buffer: BytesMut,
    /// Bytes still to come, if CONTENT_LENGTH told.
    left: Option<u64>,
}

impl Body {
    pub(super) fn new(input: Input, length: Option<u64>) -> Self {
        Self { input: Some(input), buffer: BytesMut::new(), left: length }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let Some(input) = &mut self.input else { return Poll::Ready(Ok(Bytes::new())) };
        // One byte more than is to come, to see the end.
        let room = self.left.and_then(|left| usize::try_from(left).ok()?.checked_add(1));
        let room = room.map_or(CHUNK, |room| room.min(CHUNK));
        if self.buffer.len() < room.min(CHUNK / 8) {
            self.buffer = BytesMut::zeroed(room);
        }
        let count = ready!(Pin::new(input).poll_read(cx, &mut self.buffer))?;
        if let Some(left) = &mut self.left {
            let longer = || io::Error::new(io::ErrorKind::InvalidData, "STDIN is longer than CONTENT_LENGTH");
            *left = left.checked_sub(count as u64).ok_or_else(longer)?;
            if count == 0 && *left > 0 {
                let text = "STDIN ended short of CONTENT_LENGTH";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, text)));
            }
        }
        Poll::Ready(Ok(self.buffer.split_to(count).freeze()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let read = ready!(self.poll_read(cx));
        if read.as_ref().is_ok_and(|data| !data.is_empty()) {
            return Poll::Ready(Some(read.map(Frame::data)));
        }
        (self.input, self.buffer) = (None, BytesMut::new());
        Poll::Ready(read.err().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.input.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.input, self.left) {
            (None, _) => SizeHint::with_exact(0),
            (_, Some(left)) => SizeHint::with_exact(left),
            _ => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("left", &self.left).finish_non_exhaustive()
    }
}
