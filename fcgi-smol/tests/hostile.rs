//! The cases of `fcgi-blocking/tests/hostile/`: peers that lie, flood, dawdle and hoard. What they meet stays within its limits,
//! says what happened, and serves others. Every adapter's server passes them.

#[path = "../examples/inspect/app.rs"]
mod app;
mod support;

#[path = "../../fcgi-blocking/tests/hostile/connections.rs"]
mod connections;
#[path = "../../fcgi-blocking/tests/hostile/limits.rs"]
mod limits;
#[path = "../../fcgi-blocking/tests/hostile/records.rs"]
mod records;
#[path = "../../fcgi-blocking/tests/hostile/victim.rs"]
mod victim;

/// Whether a connection carries several requests.
pub(crate) const MULTIPLEXES: bool = true;
