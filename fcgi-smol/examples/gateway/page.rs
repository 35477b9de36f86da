//! What a browser shows when there is no answer.

use hyper::StatusCode;

/// The page for a status, in HTML.
pub(crate) fn page(status: StatusCode) -> String {
    include_str!("page.html").replace("{status}", &status.to_string()).replace("{text}", text(status))
}

/// What it means, for whoever looks at the page; the log has the rest.
fn text(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "This server does not understand what it was asked.",
        StatusCode::FORBIDDEN => "This server may not read what is at this address.",
        StatusCode::NOT_FOUND => "There is nothing at this address.",
        StatusCode::METHOD_NOT_ALLOWED => "What is at this address can only be looked at.",
        StatusCode::REQUEST_TIMEOUT => "The request took too long to arrive.",
        StatusCode::PAYLOAD_TOO_LARGE => "What was sent is larger than this server takes.",
        StatusCode::BAD_GATEWAY => "The application behind this server did not answer as it should.",
        StatusCode::SERVICE_UNAVAILABLE => "The application has too much to do. Try again in a moment.",
        StatusCode::GATEWAY_TIMEOUT => "The application did not answer in time.",
        StatusCode::INSUFFICIENT_STORAGE => "There is no room for what was sent.",
        StatusCode::MOVED_PERMANENTLY => "It is at another address.",
        _ => "This server has no answer to that.",
    }
}
