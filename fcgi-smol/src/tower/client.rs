//! The pool as a service of `http` requests (RFC 3875, sections 4 and 6).

use std::io;
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use fcgi_proto::http::response_parts;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use smol::io::AsyncRead;
use tower_service::Service;

use super::Peer;
use super::response::{Answer, ResponseBody};
use super::stderr::Lines;
use super::store::Store;
use crate::server::BoxError;
use crate::server::spawn::Spawn;
use crate::{ClientError, Params, Pool};

/// A request with this in its extensions is sent as its body comes, if the length of that is known: it holds a
/// connection, and the worker behind that, for as long as whoever sends it likes, but sends at least as fast as
/// [`body_timeout`](crate::ClientSettings::body_timeout) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsItComes;

/// Asks the applications.
///
/// # The request
///
/// The variables are those of [`Params::from_parts`], unless the request has an extension [`Params`]: who knows
/// more than HTTP tells (which script it is, what address it came to) makes them and puts them there. The browser's
/// address is that of a [`Peer`] in the extensions. Without one, the first request is a warning in the log, and
/// REMOTE_ADDR is `unix:`, as it is behind a web server that browsers reach by a Unix socket.
///
/// A body is taken in first, in memory and beyond 256 KiB in an unnamed temporary file, up to
/// [`spool_limit`](crate::ClientSettings::spool_limit): a request takes a connection once it is there, so that
/// who sends slowly holds none. See [`AsItComes`] for another way. A body that fails, or ends short of its
/// length, reaches no application.
///
/// # The response
///
/// Fields that are about one connection are dropped. A `Location` without a `Status` is a 302 for the HTTP
/// client, as in nginx, HAProxy and lighttpd, also a local one, which RFC 3875, section 6.2.2, would have
/// answered without asking it: only a web server knows what another path of its own is.
///
/// It is handed on as it comes. Who reads it slowly holds the connection meanwhile; [`Buffered`] takes it in.
///
/// What comes on STDERR goes to the log as it comes, as warnings for the target `fcgi_smol::stderr`, a line each,
/// with control characters escaped. So does what an application does wrong, in one line that names it, the request
/// and the bytes.
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
        let pool = self.clone();
        Box::pin(async move {
            let (parts, answer) = ask(pool, request).await?;
            Ok(http::Response::from_parts(parts, ResponseBody::direct(answer)))
        })
    }
}

/// A pool as a service that takes answers in, so that a connection, and the worker behind it, is free once an
/// application is done, however slowly the answer is read: in memory and beyond that in an unnamed temporary
/// file. For the rest it is as the pool's own service.
///
/// Where the file cannot be written, a line in the log says so, and the application waits for the reader.
#[derive(Clone, Debug)]
pub struct Buffered<E> {
    pool: Pool,
    executor: E,
    /// Bytes of an answer in memory that nobody has read. Default: 64 KiB.
    pub memory: usize,
    /// Bytes in its file, before the application waits for the reader. Default: 1 GiB.
    pub file: u64,
}

impl<E> Buffered<E> {
    /// A service over `pool`; `executor` runs a task for each answer that takes a while.
    pub fn new(pool: Pool, executor: E) -> Self {
        Self { pool, executor, memory: 64 * 1024, file: 1 << 30 }
    }
}

/// A task that takes in an answer.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<B, E> Service<http::Request<B>> for Buffered<E>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    E: Spawn<Task> + Clone + Send + 'static,
{
    type Response = http::Response<ResponseBody>;
    type Error = ClientError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ClientError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let Self { pool, executor, memory, file } = self.clone();
        Box::pin(async move {
            let (parts, answer) = ask(pool, request).await?;
            if answer.is_over() {
                return Ok(http::Response::from_parts(parts, ResponseBody::direct(answer)));
            }
            let (writer, reader) = Store::new(memory, file);
            executor.spawn_detached(Box::pin(writer.take_in(answer)));
            Ok(http::Response::from_parts(parts, ResponseBody::taken_in(reader)))
        })
    }
}

async fn ask<B>(pool: Pool, request: http::Request<B>) -> Result<(http::response::Parts, Answer), ClientError>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (mut parts, body) = request.into_parts();
    let params = parts.extensions.remove::<Params>().unwrap_or_else(|| params_of(&parts));
    let length = body.size_hint().exact();
    let reader = Reader { body: Box::pin(body), data: None, missing: length.unwrap_or(0) };
    let mut lines = Lines::default();
    let request = pool.request(params).stderr(move |bytes| lines.push(bytes));
    let request = match length {
        Some(0) if !parts.headers.contains_key(CONTENT_LENGTH) => request,
        Some(length) if parts.extensions.get() == Some(&AsItComes) => request.body(reader, length),
        _ => request.spooled(reader).await?,
    };
    let mut response = request.send().await?;
    let parts = response_parts(response.head()).map_err(ClientError::Response);
    let parts = parts.inspect_err(|error| response.give_up(error))?;
    Ok((parts, Answer::look(response).await?))
}

/// What HTTP tells of a request.
fn params_of(parts: &http::request::Parts) -> Params {
    static TOLD: Once = Once::new();
    if parts.extensions.get::<Peer>().is_none() {
        TOLD.call_once(|| {
            log::warn!(
                "requests have no Peer in their extensions: REMOTE_ADDR is \"unix:\" and tells no address"
            );
        });
    }
    Params::from_parts(parts)
}

/// A body as bytes to be read.
struct Reader<B: Body> {
    body: Pin<Box<B>>,
    /// What of the last frame was not read.
    data: Option<B::Data>,
    /// Bytes that are still to come, as far as it was told.
    missing: u64,
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
                self.missing = self.missing.saturating_sub(count as u64);
                return Poll::Ready(Ok(count));
            }
            match ready!(self.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => self.data = frame.into_data().ok(),
                Some(Err(error)) => {
                    let error = error.into().downcast::<io::Error>();
                    return Poll::Ready(Err(error.map_or_else(io::Error::other, |error| *error)));
                }
                None if self.missing > 0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                None => return Poll::Ready(Ok(0)),
            }
        }
    }
}
