//! The client: the cases of `client/`, which know it by the names in `adapter`.
#![allow(unused_mut, reason = "the cases are also those of clients that need it")]

mod support;

mod adapter {
    pub(crate) use fcgi_blocking::{Client, Response};
}

#[path = "client/answers.rs"]
mod answers;
#[path = "client/cases.rs"]
mod cases;
#[path = "client/closing.rs"]
mod closing;
#[path = "client/faults.rs"]
mod faults;
#[path = "client/script.rs"]
mod script;
#[path = "client/session.rs"]
mod session;
