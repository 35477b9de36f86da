//! The server passes the cases of `quiet.rs` that the blocking one passes.

#[path = "../examples/inspect/app.rs"]
mod app;
mod support;

#[path = "../../fcgi-blocking/tests/servers/quiet.rs"]
mod quiet;
