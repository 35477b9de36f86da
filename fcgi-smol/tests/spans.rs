//! A handler's future is polled within the span of its request, each time.

mod support;

#[path = "../../fcgi-blocking/tests/servers/spans.rs"]
mod spans;

use fcgi_smol::Request;
use smol::future::yield_now;

async fn handler(request: Request) -> support::Outcome {
    yield_now().await;
    tracing::info!("in the handler");
    match request.param_str("REQUEST_URI") {
        Some("/fail") => Err("as asked for".into()),
        _ => support::answer(&request, "ok").await,
    }
}
