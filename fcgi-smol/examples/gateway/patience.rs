//! Limits for browsers that neither go on nor leave, where hyper has none: while a request's body comes, and
//! while an answer is taken.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use smol::Timer;
use smol::io::{AsyncRead, AsyncWrite};

/// A request's body, or a connection.
pub(crate) struct Patient<T> {
    inner: T,
    /// How long the next bytes may take.
    limit: Duration,
    /// While it is waited for.
    timer: Option<Timer>,
}

impl<T> Patient<T> {
    pub(crate) fn new(inner: T, limit: Duration) -> Self {
        Self { inner, limit, timer: None }
    }

    /// Polls what has a limit.
    fn poll<O>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut T, &mut Context<'_>) -> Poll<O>,
    ) -> Poll<io::Result<O>> {
        if let Poll::Ready(output) = poll(&mut self.inner, cx) {
            self.timer = None;
            return Poll::Ready(Ok(output));
        }
        let timer = self.timer.get_or_insert_with(|| Timer::after(self.limit));
        Pin::new(timer).poll(cx).map(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<B> Body for Patient<B>
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    type Data = B::Data;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.poll(cx, |body, cx| Pin::new(body).poll_frame(cx)) {
            Poll::Ready(Ok(frame)) => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Poll::Ready(Err(late)) => Poll::Ready(Some(Err(late.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Reading has other limits: hyper's for heads, the body's; and a connection may wait for its answer.
impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(cx, |stream, cx| Pin::new(stream).poll_write(cx, bytes))
            .map(|result| result.and_then(|written| written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.poll(cx, |stream, cx| Pin::new(stream).poll_write_vectored(cx, slices));
        written.map(|result| result.and_then(|written| written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}
