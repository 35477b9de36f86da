//! What a request gets: an application's answer, or a page that says why not.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use fcgi_smol::tower::{Peer, ResponseBody};
use fcgi_smol::{Params, Pool};
use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Version};
use tower_service::Service;

use crate::patience::Patient;
use crate::site::{Found, Site};

/// Bytes of a request's body; a larger one is answered with 413.
pub(crate) const BODY_LIMIT: u64 = 1 << 30;

/// How long the next bytes of a body may take; a late one is answered with 408.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Seconds after which a browser may ask again when the applications have too much to do.
const RETRY: HeaderValue = HeaderValue::from_static("1");

pub(crate) type Answer = Response<Either<ResponseBody, Full<Bytes>>>;

pub(crate) struct Gateway {
    pub(crate) pool: Pool,
    pub(crate) site: Option<Site>,
}

impl Gateway {
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        server: SocketAddr,
    ) -> Answer {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(Peer(peer));
        if parts.version >= Version::HTTP_11 && !parts.headers.contains_key(HOST) {
            return page(StatusCode::BAD_REQUEST);
        }
        if body.size_hint().lower() > BODY_LIMIT {
            return page(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let params = match self.params(&parts).await {
            Ok(params) => params.server(server),
            Err(answer) => return *answer,
        };
        parts.extensions.insert(params);
        let line = format!("{} {}", parts.method, parts.uri);
        let request = Request::from_parts(parts, Patient::new(body, BODY_TIMEOUT));
        match self.pool.clone().call(request).await {
            Ok(response) => response.map(Either::Left),
            Err(error) => {
                log::warn!("{peer}: {line}: {error}");
                let status = StatusCode::from_u16(error.status().code());
                page(status.unwrap_or(StatusCode::BAD_GATEWAY))
            }
        }
    }

    /// The variables, or what is answered without asking an application.
    async fn params(&self, parts: &Parts) -> Result<Params, Box<Answer>> {
        let mut params = Params::from_parts(parts).set("SERVER_SOFTWARE", "fcgi-smol-gateway");
        // Applications look at passwords themselves, as behind nginx.
        if let Some(value) = parts.headers.get(AUTHORIZATION) {
            params = params.set("HTTP_AUTHORIZATION", value);
        }
        let Some(site) = &self.site else { return Ok(params) };
        params = params.set("DOCUMENT_ROOT", site.root().as_os_str().as_bytes());
        match site.find(parts.uri.path()).await {
            Ok(Found::Script { filename, name, path_info }) => {
                params = params.script(filename.as_os_str().as_bytes()).set("SCRIPT_NAME", name);
                Ok(if path_info.is_empty() { params } else { params.set("PATH_INFO", path_info) })
            }
            Ok(Found::Folder) => {
                let path = parts.uri.path().trim_matches('/');
                let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                let to = HeaderValue::try_from(format!("/{path}/{query}"));
                let to = to.map_err(|_| page(StatusCode::BAD_REQUEST))?;
                Err(Box::new(with(page(StatusCode::MOVED_PERMANENTLY), LOCATION, to)))
            }
            Ok(Found::Nothing) => Err(Box::new(page(StatusCode::NOT_FOUND))),
            Err(_) => Err(Box::new(page(StatusCode::BAD_REQUEST))),
        }
    }
}

fn page(status: StatusCode) -> Answer {
    let mut answer = Response::new(Either::Right(Full::from(format!("{status}\n"))));
    *answer.status_mut() = status;
    let answer = with(answer, CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    match status {
        StatusCode::SERVICE_UNAVAILABLE => with(answer, RETRY_AFTER, RETRY),
        _ => answer,
    }
}

fn with(mut answer: Answer, name: HeaderName, value: HeaderValue) -> Answer {
    answer.headers_mut().insert(name, value);
    answer
}
