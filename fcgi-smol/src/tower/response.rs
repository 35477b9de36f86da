//! An application's answer as the body of an `http` response.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::store::Reader;
use crate::{ClientError, Response};

/// Bytes of an answer that are looked at before its head is handed on.
const AHEAD: usize = 64 * 1024;

/// An answer on its way.
pub(super) struct Answer {
    /// What came already.
    ahead: VecDeque<Bytes>,
    /// Until its end, or until it failed.
    response: Option<Response<'static>>,
    /// Why, behind what came already.
    failed: Option<ClientError>,
}

impl Answer {
    /// Takes in what is there of the body, so that one that has already failed is an error and not a part of a
    /// page. One that is short of its length is handed on as far as it goes.
    pub(super) async fn look(response: Response<'static>) -> Result<Self, ClientError> {
        let mut answer = Self { ahead: VecDeque::new(), response: Some(response), failed: None };
        let mut count = 0;
        poll_fn(|cx| {
            while count < AHEAD {
                match answer.poll_response(cx) {
                    Poll::Ready(Some(Ok(data))) => {
                        count += data.len();
                        answer.ahead.push_back(data);
                    }
                    Poll::Ready(Some(Err(error))) => answer.failed = Some(error),
                    Poll::Ready(None) | Poll::Pending => break,
                }
            }
            Poll::Ready(())
        })
        .await;
        match answer.failed {
            None | Some(ClientError::ContentTooShort { .. }) => Ok(answer),
            Some(error) => Err(error),
        }
    }

    /// Whether all is there that will ever be.
    pub(super) fn is_over(&self) -> bool {
        self.response.is_none()
    }

    /// The next bytes of the body.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ClientError>>> {
        if let Some(data) = self.ahead.pop_front() {
            return Poll::Ready(Some(Ok(data)));
        }
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let data = ready!(self.poll_response(cx));
        // Who knows the length does not ask for the end, and without it the connection cannot be kept.
        if self.response.as_ref().is_some_and(Response::is_whole) {
            let _ = self.poll_response(cx);
        }
        Poll::Ready(data)
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ClientError>>> {
        let Some(response) = &mut self.response else { return Poll::Ready(None) };
        Poll::Ready(match ready!(response.poll_chunk(cx)) {
            Ok(0) => {
                self.response = None;
                None
            }
            Ok(count) => {
                let data = Bytes::copy_from_slice(&response.chunk()[..count]);
                response.take_chunk(count);
                Some(Ok(data))
            }
            Err(error) => {
                self.response = None;
                Some(Err(error))
            }
        })
    }
}

/// The body of an application's answer.
///
/// One that is dropped before its end closes its connection, or aborts the request where others share it.
///
/// # Errors
/// [`ClientError`], also if it is shorter than its `Content-Length`; what is beyond that is dropped. An error
/// comes one poll later than what was before it, so that whoever writes the body has written that.
pub struct ResponseBody {
    source: Source,
    failed: Option<ClientError>,
}

enum Source {
    Direct(Box<Answer>),
    TakenIn(Reader),
}

impl ResponseBody {
    pub(super) fn direct(answer: Answer) -> Self {
        Self { source: Source::Direct(Box::new(answer)), failed: None }
    }

    pub(super) fn taken_in(reader: Reader) -> Self {
        Self { source: Source::TakenIn(reader), failed: None }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let data = ready!(match &mut self.source {
            Source::Direct(answer) => answer.poll_data(cx),
            Source::TakenIn(reader) => reader.poll_data(cx),
        });
        match data {
            None => Poll::Ready(None),
            Some(Ok(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Err(error)) => {
                self.failed = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let is_over = match &self.source {
            Source::Direct(answer) => answer.is_over() && answer.ahead.is_empty() && answer.failed.is_none(),
            Source::TakenIn(reader) => reader.is_over(),
        };
        is_over && self.failed.is_none()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("is_end_stream", &self.is_end_stream()).finish_non_exhaustive()
    }
}
