//! The server passes the cases that the blocking one passes.

#[path = "../examples/inspect/app.rs"]
mod app;
mod support;

#[path = "../../fcgi-blocking/tests/servers/cases.rs"]
mod cases;
#[path = "../../fcgi-blocking/tests/servers/conformance.rs"]
mod conformance;
#[path = "../../fcgi-blocking/tests/servers/connections.rs"]
mod connections;
#[path = "../../fcgi-blocking/tests/servers/examples.rs"]
mod examples;
#[path = "../../fcgi-blocking/tests/servers/limits.rs"]
mod limits;
#[path = "../../fcgi-blocking/tests/servers/peers.rs"]
mod peers;
#[path = "../../fcgi-blocking/tests/servers/webservers.rs"]
mod webservers;
