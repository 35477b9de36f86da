//! The example `fetch`.
#![allow(unused_mut, reason = "the cases are also those of clients that need it")]

mod support;

mod adapter {
    pub(crate) use fcgi_blocking::{Client, Response};
}

#[path = "client/fetch.rs"]
mod fetch;
#[path = "client/script.rs"]
mod script;
