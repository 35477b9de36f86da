//! What a request gets: an application's answer, or a page that says why not.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fcgi_smol::tower::{AsItComes, Buffered, Peer, ResponseBody};
use fcgi_smol::{ClientError, Params};
use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::ext::ReasonPhrase;
use hyper::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Request, Response, StatusCode, Version};
use smol::Executor;
use tower_service::Service;

use crate::patience::Patient;
use crate::places::{Busy, Place};
use crate::site::{Found, Site};

/// Bytes of a request's body; a larger one is answered with 413.
pub(crate) const BODY_LIMIT: u64 = 1 << 30;

/// How long the next bytes of a body may take; a late one is answered with 408.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Seconds after which a browser may ask again when the applications have too much to do.
const RETRY: HeaderValue = HeaderValue::from_static("1");

pub(crate) type Answer = Response<Watched>;

pub(crate) struct Gateway {
    pub(crate) pool: Buffered<Arc<Executor<'static>>>,
    pub(crate) site: Option<Site>,
    /// Whether bodies are sent as they come.
    pub(crate) streams: bool,
}

/// Who asks.
pub(crate) struct Browser {
    pub(crate) peer: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) place: Arc<Place>,
}

impl Gateway {
    pub(crate) async fn answer(&self, request: Request<Incoming>, browser: &Browser) -> Answer {
        let name = format!("{}: {} {}", browser.peer, request.method(), request.uri());
        let version = request.version();
        let busy = browser.place.busy();
        let mut answer = self.ask(request, browser).await.unwrap_or_else(|error| match error {
            Refusal::Page(page) => *page,
            Refusal::Failed(error) => {
                tell(&name, &error);
                let status = StatusCode::from_u16(error.status().code());
                page(status.unwrap_or(StatusCode::BAD_GATEWAY))
            }
        });
        // Hyper would invent one.
        if answer.status().canonical_reason().is_none() {
            answer.extensions_mut().insert(ReasonPhrase::from_static(b""));
        }
        let ends_with_close = version < Version::HTTP_11 && !answer.headers().contains_key(CONTENT_LENGTH);
        answer.map(|body| Watched { body, name, busy, ends_with_close })
    }

    async fn ask(&self, request: Request<Incoming>, browser: &Browser) -> Result<Unwatched, Refusal> {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(Peer(browser.peer));
        if parts.version >= Version::HTTP_11 && !parts.headers.contains_key(HOST) {
            return Err(page(StatusCode::BAD_REQUEST).into());
        }
        if body.size_hint().lower() > BODY_LIMIT {
            return Err(page(StatusCode::PAYLOAD_TOO_LARGE).into());
        }
        let params = self.params(&parts).await?.server(browser.server);
        parts.extensions.insert(params);
        if self.streams {
            parts.extensions.insert(AsItComes);
        }
        let request = Request::from_parts(parts, Patient::new(body, BODY_TIMEOUT));
        let answer = self.pool.clone().call(request).await.map_err(Refusal::Failed)?;
        Ok(answer.map(Either::Left))
    }

    /// The variables, or what is answered without asking an application.
    async fn params(&self, parts: &Parts) -> Result<Params, Refusal> {
        let mut params = Params::from_parts(parts).set("SERVER_SOFTWARE", "fcgi-smol-gateway");
        // Applications look at passwords themselves, as behind nginx.
        if let Some(value) = parts.headers.get(AUTHORIZATION) {
            params = params.set("HTTP_AUTHORIZATION", value);
        }
        if let Some(name) = server_name(parts) {
            params = params.set("SERVER_NAME", name);
        }
        let Some(site) = &self.site else { return Ok(params) };
        params = params.set("DOCUMENT_ROOT", site.root().as_os_str().as_bytes());
        match site.find(parts.uri.path()).await {
            Ok(Found::Script { filename, name, path_info }) => {
                params = params.script(filename.as_os_str().as_bytes());
                params =
                    params.set("DOCUMENT_URI", [&name[..], &path_info].concat()).set("SCRIPT_NAME", name);
                Ok(if path_info.is_empty() { params } else { params.set("PATH_INFO", path_info) })
            }
            Ok(Found::Folder) => {
                let path = parts.uri.path().trim_matches('/');
                let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                let to = HeaderValue::try_from(format!("/{path}/{query}"));
                let to = to.map_err(|_| page(StatusCode::BAD_REQUEST))?;
                Err(with(page(StatusCode::MOVED_PERMANENTLY), LOCATION, to).into())
            }
            Ok(Found::Nothing) => Err(page(StatusCode::NOT_FOUND).into()),
            Err(_) => Err(page(StatusCode::BAD_REQUEST).into()),
        }
    }
}

/// The name or address by which the browser calls this server, without the port (RFC 3875, section 4.1.14).
fn server_name(parts: &Parts) -> Option<String> {
    let host = || parts.headers.get(HOST)?.to_str().ok()?.parse().ok();
    let authority: Authority = parts.uri.authority().cloned().or_else(host)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    let name = authority.host();
    (!name.is_empty() && name.bytes().all(is_plain)).then(|| name.to_owned())
}

type Unwatched = Response<Either<ResponseBody, Full<Bytes>>>;

/// Why there is no answer of an application.
enum Refusal {
    Page(Box<Unwatched>),
    Failed(ClientError),
}

impl From<Unwatched> for Refusal {
    fn from(page: Unwatched) -> Self {
        Self::Page(Box::new(page))
    }
}

/// A line in the log; a warning for what the browser has no part in, and the library has not told: of an answer that
/// is wrong it has, with the application's name.
fn tell(name: &str, error: &ClientError) {
    let level = match error {
        ClientError::Connect(_)
        | ClientError::Refused(_)
        | ClientError::PoolFull { .. }
        | ClientError::PoolTimedOut { .. }
        | ClientError::Unavailable
        | ClientError::Spool(_) => log::Level::Warn,
        _ => log::Level::Debug,
    };
    log::log!(level, "{name}: {error}");
}

/// The body of an answer, until it is written: a failure is told, and the browser can tell it from an end.
pub(crate) struct Watched {
    body: Either<ResponseBody, Full<Bytes>>,
    /// Browser and request, for the log.
    name: String,
    busy: Busy,
    /// Whether only the connection's close tells its end.
    ends_with_close: bool,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Self { body, name, busy, ends_with_close } = &mut *self;
        match body {
            Either::Left(body) => Pin::new(body).poll_frame(cx).map_err(|error| {
                tell(name, &error);
                if *ends_with_close {
                    busy.cut();
                }
                error.into()
            }),
            Either::Right(page) => Pin::new(page).poll_frame(cx).map_err(|error| match error {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn page(status: StatusCode) -> Unwatched {
    let mut answer = Response::new(Either::Right(Full::from(format!("{status}\n"))));
    *answer.status_mut() = status;
    let answer = with(answer, CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    match status {
        StatusCode::SERVICE_UNAVAILABLE => with(answer, RETRY_AFTER, RETRY),
        _ => answer,
    }
}

fn with(mut answer: Unwatched, name: HeaderName, value: HeaderValue) -> Unwatched {
    answer.headers_mut().insert(name, value);
    answer
}
