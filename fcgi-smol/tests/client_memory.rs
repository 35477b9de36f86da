//! The client's memory: a program of its own, since it is counted for all of it.

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

#[path = "adapter/client.rs"]
mod adapter;

#[path = "../../fcgi-blocking/tests/client/memory.rs"]
mod memory;
#[path = "../../fcgi-blocking/tests/client/script.rs"]
mod script;
