//! The cases of `hostile/`: peers that lie, flood, dawdle and hoard. What they meet stays within its limits,
//! says what happened, and serves others. Every adapter's server passes them.

#[path = "../examples/inspect/app.rs"]
mod app;
mod support;

#[path = "hostile/connections.rs"]
mod connections;
#[path = "hostile/limits.rs"]
mod limits;
#[path = "hostile/records.rs"]
mod records;
#[path = "hostile/victim.rs"]
mod victim;

/// Whether a connection carries several requests.
pub(crate) const MULTIPLEXES: bool = false;
