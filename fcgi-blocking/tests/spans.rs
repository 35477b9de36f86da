//! A thread's handler runs within the span of its request.

mod support;

#[path = "servers/spans.rs"]
mod spans;

use fcgi_blocking::{BoxError, Request};

fn handler(request: &mut Request<'_>) -> Result<(), BoxError> {
    tracing::info!("in the handler");
    match request.param_str("REQUEST_URI") {
        Some("/fail") => Err("as asked for".into()),
        _ => support::say("ok")(request),
    }
}
