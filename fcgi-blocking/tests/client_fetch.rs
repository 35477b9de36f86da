//! The example `fetch`.

mod support;

mod adapter {
    pub(crate) use fcgi_blocking::{Client, Response};
}

#[path = "client/fetch.rs"]
mod fetch;
#[path = "client/script.rs"]
mod script;
