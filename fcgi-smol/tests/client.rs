//! The client passes the tests of the blocking one.

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

#[path = "adapter/client.rs"]
mod adapter;

#[path = "../../fcgi-blocking/tests/client/answers.rs"]
mod answers;
#[path = "../../fcgi-blocking/tests/client/cases.rs"]
mod cases;
#[path = "../../fcgi-blocking/tests/client/closing.rs"]
mod closing;
#[path = "../../fcgi-blocking/tests/client/faults.rs"]
mod faults;
#[path = "../../fcgi-blocking/tests/client/script.rs"]
mod script;
#[path = "../../fcgi-blocking/tests/client/session.rs"]
mod session;
