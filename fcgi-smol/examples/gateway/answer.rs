//! What a request gets: an application's answer, a file, or a page that says why neither.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fcgi_smol::tower::{AsItComes, Buffered, Peer};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::header::{
    ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Version};
use smol::Executor;
use tower_service::Service;

use crate::access::AccessLog;
use crate::body::{Content, Watched, tell};
use crate::listen::Browser;
use crate::patience::Patient;
use crate::places::Place;
use crate::site::{Found, Site};
use crate::{file, page, params};

/// Bytes of a request's body; a larger one is answered with 413.
pub(crate) const BODY_LIMIT: u64 = 1 << 30;

/// How long the next bytes of a body may take; a late one is answered with 408.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Seconds after which a browser may ask again when the applications have too much to do.
const RETRY: HeaderValue = HeaderValue::from_static("1");

pub(crate) struct Gateway {
    pub(crate) pool: Buffered<Arc<Executor<'static>>>,
    pub(crate) site: Option<Site>,
    /// Whether bodies are sent as they come.
    pub(crate) streams: bool,
    pub(crate) access_log: Option<AccessLog>,
}

impl Gateway {
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        browser: &Browser,
        place: &Arc<Place>,
    ) -> Response<Watched> {
        let (parts, body) = request.into_parts();
        let name = format!("{browser}: {} {}", parts.method, parts.uri);
        let mut line = self.access_log.as_ref().map(|log| log.begin(browser, &parts));
        let (version, busy) = (parts.version, place.busy());
        let mut answer = match self.ask(parts, body, browser, &name).await {
            Ok(answer) => answer,
            Err(refusal) => refusal.page(),
        };
        if let Some(line) = &mut line {
            line.answered(answer.status());
        }
        // Hyper would invent one.
        if answer.status().canonical_reason().is_none() {
            answer.extensions_mut().insert(ReasonPhrase::from_static(b""));
        }
        let ends_with_close = version < Version::HTTP_11 && !answer.headers().contains_key(CONTENT_LENGTH);
        answer.map(|content| Watched { content, name, line, busy, ends_with_close })
    }

    async fn ask(
        &self,
        mut parts: Parts,
        body: Incoming,
        browser: &Browser,
        name: &str,
    ) -> Result<Response<Content>, Refusal> {
        if parts.version >= Version::HTTP_11 && !parts.headers.contains_key(HOST) {
            return Err(StatusCode::BAD_REQUEST.into());
        }
        if body.size_hint().lower() > BODY_LIMIT {
            return Err(StatusCode::PAYLOAD_TOO_LARGE.into());
        }
        if let Some(peer) = browser.peer {
            parts.extensions.insert(Peer(peer));
        }
        let mut params = params::of(&parts, browser);
        if let Some(site) = &self.site {
            match site.find(parts.uri.path()).await {
                Ok(Found::Script { filename, name, path_info }) => {
                    params = params::script(params, site.root(), &filename, name, path_info);
                }
                Ok(Found::File(path)) => return show(&path, &parts, name).await,
                Ok(Found::Folder) => return Err(to_folder(&parts)),
                Ok(Found::Nothing) => return Err(StatusCode::NOT_FOUND.into()),
                Err(_) => return Err(StatusCode::BAD_REQUEST.into()),
            }
        }
        parts.extensions.insert(params);
        if self.streams {
            parts.extensions.insert(AsItComes);
        }
        let request = Request::from_parts(parts, Patient::new(body, BODY_TIMEOUT));
        match self.pool.clone().call(request).await {
            Ok(answer) => Ok(answer.map(Content::Application)),
            Err(error) => {
                tell(name, &error);
                let status = StatusCode::from_u16(error.status().code());
                Err(status.unwrap_or(StatusCode::BAD_GATEWAY).into())
            }
        }
    }
}

/// A file, to who looks at it.
async fn show(path: &Path, parts: &Parts, name: &str) -> Result<Response<Content>, Refusal> {
    if ![Method::GET, Method::HEAD].contains(&parts.method) {
        return Err(
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED).with(ALLOW, HeaderValue::from_static("GET, HEAD"))
        );
    }
    match file::answer(path, parts).await {
        Ok(answer) if answer.status().is_client_error() => Err(Refusal(Box::new(answer.map(drop)))),
        Ok(answer) => Ok(answer.map(Content::File)),
        Err(error) => {
            log::warn!("{name}: {}: {error}", path.display());
            let is_forbidden = error.kind() == ErrorKind::PermissionDenied;
            Err(if is_forbidden { StatusCode::FORBIDDEN } else { StatusCode::INTERNAL_SERVER_ERROR }.into())
        }
    }
}

/// The same address with a slash behind it.
fn to_folder(parts: &Parts) -> Refusal {
    let path = parts.uri.path().trim_matches('/');
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    match HeaderValue::try_from(format!("/{path}/{query}")) {
        Ok(address) => Refusal::new(StatusCode::MOVED_PERMANENTLY).with(LOCATION, address),
        Err(_) => StatusCode::BAD_REQUEST.into(),
    }
}

/// The head of an answer whose body is this server's own page.
struct Refusal(Box<Response<()>>);

impl Refusal {
    fn new(status: StatusCode) -> Self {
        let mut head = Response::new(());
        *head.status_mut() = status;
        Self(Box::new(head))
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().insert(name, value);
        self
    }

    fn page(self) -> Response<Content> {
        let status = self.0.status();
        let page = match status {
            StatusCode::SERVICE_UNAVAILABLE => self.with(RETRY_AFTER, RETRY),
            _ => self,
        };
        let page = page.with(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        page.0.map(|()| Content::Page(Full::from(page::page(status))))
    }
}

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Self {
        Self::new(status)
    }
}
