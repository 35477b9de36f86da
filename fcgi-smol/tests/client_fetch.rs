//! The example `fetch`.

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

#[path = "adapter/client.rs"]
mod adapter;

#[path = "../../fcgi-blocking/tests/client/fetch.rs"]
mod fetch;
#[path = "../../fcgi-blocking/tests/client/script.rs"]
mod script;
