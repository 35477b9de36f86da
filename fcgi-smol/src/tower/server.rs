//! A request answered by a service (RFC 3875, sections 4 and 6).

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::Buf;
use fcgi_proto::cgi::Status;
use fcgi_proto::http::request_parts;
use fcgi_proto::pair::Pairs;
use fcgi_proto::record::Role;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use smol::future::FutureExt;
use smol::io::{AsyncWrite, AsyncWriteExt};
use tower_service::Service;

use super::Body;
use crate::server::BoxError;
use crate::server::request::Request;

/// All parameters of the request, an extension of the `http` request: also those that are no header fields, such
/// as `DOCUMENT_ROOT` or `SSL_CLIENT_S_DN`.
#[derive(Clone)]
pub struct Params(Arc<[u8]>);

impl Params {
    /// The value of the last parameter with this name, any bytes.
    #[must_use]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.iter().get(name.as_ref())
    }

    /// The value of the last parameter with this name, if it is UTF-8.
    #[must_use]
    pub fn get_str(&self, name: impl AsRef<[u8]>) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All parameters `(name, value)` in the order received.
    #[must_use]
    pub fn iter(&self) -> Pairs<'_> {
        Pairs::new(&self.0)
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the values: there are passwords among them.
        f.debug_list().entries(self.iter().map(|(name, _)| String::from_utf8_lossy(name))).finish()
    }
}

/// Has `service` answer `request`. It is waited for until it is ready, then called once: give each request a
/// clone.
///
/// # The request
///
/// Method, URI and header fields are as [`request_parts`] makes them of the parameters; all parameters are in
/// the extension [`Params`], the HTTP client's address in [`Peer`](super::Peer). The body is STDIN. Parameters
/// that make no HTTP request are answered with 400.
///
/// Requests of other roles than a Responder's are answered with 501, for a service cannot tell them from those
/// of a browser, and its page would let in whom it should have authorized: look at [`Request::role`] before.
///
/// # The response
///
/// The body is read when the client has taken what came before, and what there is of it is sent whenever it has
/// nothing more to give, so that events arrive one by one. Trailers are dropped, and so is the whole body where
/// there is none to be: to HEAD, and with 204 and 304. Informational statuses, `101` above all, are errors.
///
/// When nobody waits for the answer any more, as [`Request::aborted`] says, the service's future and the body
/// are dropped where they are, as by other servers of services. A client that closes only its sending half
/// cannot be told from one that left; it gets 503 if nothing was answered yet.
///
/// # Errors
/// Those of the service, its response and its body, also that of a body that is shorter or longer than its
/// `Content-Length`: of a longer one, no byte more is sent. As any handler's, the error becomes a 500 if nothing
/// was sent yet, and else ends the answer where it is, which FastCGI cannot tell from its end: only STDERR and
/// the log do.
pub async fn answer<S, B>(mut service: S, request: Request) -> Result<(), BoxError>
where
    S: Service<http::Request<Body>, Response = http::Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    if request.role() != Role::Responder {
        return refuse(&request, Status::NOT_IMPLEMENTED, "only Responders are served here").await;
    }
    let mut parts = match request_parts(request.params()) {
        Ok(parts) => parts,
        Err(error) => return refuse(&request, Status::BAD_REQUEST, &error.to_string()).await,
    };
    parts.extensions.insert(Params(request.params().rest().into()));
    let body = Body::new(request.stdin(), content_length(&parts.headers));

    let answered = async {
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
        let response = service.call(http::Request::from_parts(parts, body)).await.map_err(Into::into)?;
        respond(&request, response).await
    };
    let aborted = async {
        request.aborted().await;
        log::debug!("request {}: nobody waits for its answer", request.id());
        // For who closed only its sending half; where an answer has begun, this does nothing.
        drop(request.respond(Status::SERVICE_UNAVAILABLE));
        Ok(())
    };
    answered.or(aborted).await
}

async fn refuse(request: &Request, status: Status, why: &str) -> Result<(), BoxError> {
    let mut page = request.respond(status).header("Content-Type", "text/plain")?;
    Ok(page.write_all(format!("{why}\n").as_bytes()).await?)
}

async fn respond<B>(request: &Request, response: http::Response<B>) -> Result<(), BoxError>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    let (parts, body) = response.into_parts();
    let mut stdout = request.respond_http(&parts)?;
    let status = Status::new(parts.status.as_u16());
    if !status.is_some_and(|status| status.has_body(request.param("REQUEST_METHOD"))) {
        return Ok(());
    }
    let mut left = content_length(&parts.headers);
    let mut body = pin!(body);
    loop {
        let frame = poll_fn(|cx| {
            let frame = body.as_mut().poll_frame(cx);
            if frame.is_pending() {
                // What is there goes out while there is no more.
                if let Poll::Ready(Err(error)) = Pin::new(&mut stdout).poll_flush(cx) {
                    return Poll::Ready(Err(error));
                }
            }
            frame.map(Ok)
        });
        let Some(frame) = frame.await? else { break };
        let Ok(mut data) = frame.map_err(Into::into)?.into_data() else { continue };
        while data.has_remaining() {
            let chunk = data.chunk();
            let room = left.map_or(chunk.len(), |left| usize::try_from(left).unwrap_or(usize::MAX));
            let chunk = &chunk[..chunk.len().min(room)];
            if chunk.is_empty() {
                return Err(wrong_length("the body is longer than its Content-Length"));
            }
            let count = stdout.write(chunk).await?;
            data.advance(count);
            left = left.map(|left| left - count as u64);
        }
    }
    match left {
        Some(1..) => Err(wrong_length("the body is shorter than its Content-Length")),
        _ => Ok(()),
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn wrong_length(text: &'static str) -> BoxError {
    io::Error::new(io::ErrorKind::InvalidData, text).into()
}
