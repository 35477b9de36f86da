//! The cases of `servers/life.rs`, which every adapter's server passes.

#[path = "../examples/inspect/app.rs"]
mod app;
mod support;

#[path = "servers/life.rs"]
mod life;
