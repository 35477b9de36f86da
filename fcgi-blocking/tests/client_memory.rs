//! The client's memory: a program of its own, since it is counted for all of it.

mod support;

mod adapter {
    pub(crate) use fcgi_blocking::{Client, Response};
}

#[path = "client/memory.rs"]
mod memory;
#[path = "client/script.rs"]
mod script;
