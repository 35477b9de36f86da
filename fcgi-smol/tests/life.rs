//! The server passes the cases of `life.rs` and `ends.rs` that the blocking one passes.

#[path = "../examples/inspect/app.rs"]
mod app;
mod support;

#[path = "../../fcgi-blocking/tests/servers/ends.rs"]
mod ends;
#[path = "../../fcgi-blocking/tests/servers/life.rs"]
mod life;
