//! The cases of `servers/`, which every adapter's server passes: they know it by the names in `support`.

#[path = "../examples/inspect/app.rs"]
mod app;
mod support;

#[path = "servers/cases.rs"]
mod cases;
#[path = "servers/conformance.rs"]
mod conformance;
#[path = "servers/connections.rs"]
mod connections;
#[path = "servers/examples.rs"]
mod examples;
#[path = "servers/limits.rs"]
mod limits;
#[path = "servers/peers.rs"]
mod peers;
#[path = "servers/webservers.rs"]
mod webservers;
