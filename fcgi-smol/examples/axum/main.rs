//! `axum ADDR`: an axum `Router` served over FastCGI. `GET /` shows what there is to try.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Form, Path, Query};
use axum::http::{StatusCode, Uri, header};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use axum::{Json, Router};
use fcgi_smol::tower::{self, Params, Peer};
use smol::Timer;
use smol::stream::{self, StreamExt};

#[path = "../common/mod.rs"]
mod common;

fn main() -> ExitCode {
    common::run("axum [ADDR]", common::Address::alone, |address| {
        let app = app();
        common::serve(address.listen()?, move |request| tower::answer(app.clone(), request))
    })
}

fn app() -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/hello/{name}", get(hello))
        .route("/form", post(form))
        .route("/json", post(async |Json(value): Json<serde_json::Value>| Json(value)))
        .route("/sum", post(sum))
        .route("/count/{lines}", get(count))
        .route("/events", get(events))
        .route("/whoami", get(whoami))
        .fallback(async |uri: Uri| (StatusCode::NOT_FOUND, format!("nothing at {}\n", uri.path())))
}

/// Path and query.
async fn hello(Path(name): Path<String>, Query(query): Query<BTreeMap<String, String>>) -> String {
    let greeting = query.get("greeting").map_or("Hello", String::as_str);
    format!("{greeting}, {name}\n")
}

/// A form's fields.
async fn form(Form(fields): Form<BTreeMap<String, String>>) -> String {
    fields.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// The length and the CRC-32 of an upload of any size, which is never in memory as a whole.
async fn sum(body: Body) -> Result<String, (StatusCode, String)> {
    let (mut bytes, mut crc) = (0, crc32fast::Hasher::new());
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")))?;
        bytes += chunk.len();
        crc.update(&chunk);
    }
    Ok(format!("{bytes} {:08x}\n", crc.finalize()))
}

/// A body that is made as it is sent.
async fn count(Path(lines): Path<u64>) -> impl IntoResponse {
    let lines = stream::iter(1..=lines).map(|line| Ok::<_, Infallible>(Bytes::from(format!("{line}\n"))));
    ([(header::CONTENT_TYPE, "text/plain")], Body::from_stream(lines))
}

/// Events without end. nginx would gather them, if it were not told.
async fn events() -> impl IntoResponse {
    let seconds = Timer::interval(Duration::from_secs(1)).enumerate();
    let events =
        seconds.map(|(number, _)| Ok::<_, Infallible>(Event::default().data(format!("event {number}"))));
    ([("X-Accel-Buffering", "no")], Sse::new(events))
}

/// What FastCGI tells besides the HTTP request.
async fn whoami(Extension(params): Extension<Params>, peer: Option<Extension<Peer>>) -> String {
    let software = params.get_str("SERVER_SOFTWARE").unwrap_or("a web server without a name");
    match peer {
        Some(Extension(Peer(address))) => format!("{} by way of {software}\n", address.ip()),
        None => format!("somebody by way of {software}\n"),
    }
}
