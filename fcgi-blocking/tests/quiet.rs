//! The cases of `servers/quiet.rs`, which every adapter's server passes.

#[path = "../examples/inspect/app.rs"]
mod app;
mod support;

#[path = "servers/quiet.rs"]
mod quiet;
