//! The pool as a service of `http` requests (RFC 3875, sections 4 and 6).

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use fcgi_proto::http::response_parts;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame};
use smol::io::AsyncRead;
use tower_service::Service;

use super::stderr::Lines;
use crate::server::BoxError;
use crate::{ClientError, Params, Pool, Response};

/// Asks the applications.
///
/// # The request
///
/// The variables are those of [`Params::from_parts`], unless the request has an extension [`Params`]: who knows
/// more than HTTP tells (which script it is, what address it came to) makes them and puts them there.
///
/// A body of a length that is known is sent as it comes. Any other is [spooled](crate::Outgoing::spooled) first.
/// If it fails, or ends short of its length, the connection is closed: no application takes a part for the
/// whole.
///
/// # The response
///
/// Fields that are about one connection are dropped. A `Location` without a `Status` is a 302 for the HTTP
/// client, as in nginx, HAProxy and lighttpd, also a local one, which RFC 3875, section 6.2.2, would have
/// answered without asking it: only a web server knows what another path of its own is.
///
/// What comes on STDERR goes to the log, as warnings for the target `fcgi_smol::stderr`, a line each, with
/// control characters escaped.
///
/// # Errors
/// [`ClientError::status`] says what to answer to the HTTP client. `poll_ready` is always ready: requests wait
/// for a connection when they are made, within the pool's limits.
impl<B> Service<http::Request<B>> for Pool
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<ResponseBody>;
    type Error = ClientError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ClientError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Box::pin(ask(self.clone(), request))
    }
}

async fn ask<B>(pool: Pool, request: http::Request<B>) -> Result<http::Response<ResponseBody>, ClientError>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (mut parts, body) = request.into_parts();
    let params = parts.extensions.remove::<Params>().unwrap_or_else(|| Params::from_parts(&parts));
    let length = body.size_hint().exact();
    let reader = Reader { body: Box::pin(body), data: None };
    let request = pool.request(params);
    let request = match length {
        Some(0) if !parts.headers.contains_key(CONTENT_LENGTH) => request,
        Some(length) => request.body(reader, length),
        None => request.spooled(reader).await?,
    };
    let result = request.send().await;
    let mut stderr = Lines::default();
    stderr.push(&pool.take_stderr());
    let response = result?;
    let parts = response_parts(response.head()).map_err(ClientError::Response)?;
    let mut body = ResponseBody { response: Some(response), stderr };
    poll_fn(|cx| {
        body.look_for_end(cx);
        Poll::Ready(())
    })
    .await;
    Ok(http::Response::from_parts(parts, body))
}

/// The body of an application's answer, as it comes.
///
/// One that is dropped before its end closes its connection, or aborts the request where others share it.
///
/// # Errors
/// [`ClientError`], also if it is shorter than its `Content-Length`; what is beyond that is dropped.
pub struct ResponseBody {
    /// Until its end, or until it failed.
    response: Option<Response<'static>>,
    stderr: Lines,
}

impl ResponseBody {
    /// Takes the end if it is there, when all of the body was taken. Who knows the length does not ask for it,
    /// and without it the connection cannot be kept.
    fn look_for_end(&mut self, cx: &mut Context<'_>) {
        if self.response.as_ref().is_some_and(Response::is_whole) {
            let _ = self.poll_data(cx);
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ClientError>>> {
        let Some(response) = &mut self.response else { return Poll::Ready(None) };
        let result = response.poll_chunk(cx);
        self.stderr.push(&response.take_stderr());
        Poll::Ready(match ready!(result) {
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

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        let data = ready!(self.poll_data(cx));
        self.look_for_end(cx);
        Poll::Ready(data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.response.is_none()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("response", &self.response).finish_non_exhaustive()
    }
}

/// A body as bytes to be read.
struct Reader<B: Body> {
    body: Pin<Box<B>>,
    /// What of the last frame was not read.
    data: Option<B::Data>,
}

/// The body is in a place of its own, and its data is not pinned.
impl<B: Body> Unpin for Reader<B> {}

impl<B> AsyncRead for Reader<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(data) = self.data.as_mut().filter(|data| data.has_remaining()) {
                let count = data.remaining().min(buffer.len());
                data.copy_to_slice(&mut buffer[..count]);
                return Poll::Ready(Ok(count));
            }
            match ready!(self.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => self.data = frame.into_data().ok(),
                Some(Err(error)) => {
                    let error = error.into().downcast::<io::Error>();
                    return Poll::Ready(Err(error.map_or_else(io::Error::other, |error| *error)));
                }
                None => return Poll::Ready(Ok(0)),
            }
        }
    }
}
