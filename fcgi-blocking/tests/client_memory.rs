//! The client's memory: a program of its own, since it is counted for all of it.
#![allow(unused_mut, reason = "the cases are also those of clients that need it")]

mod support;

mod adapter {
    pub(crate) use fcgi_blocking::{Client, Response};
}

#[path = "client/memory.rs"]
mod memory;
#[path = "client/script.rs"]
mod script;
