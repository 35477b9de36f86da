//! What the client decides about a connection's life: the cases of the blocking one.

#[path = "../../fcgi-blocking/tests/support/mod.rs"]
mod support;

#[path = "adapter/client.rs"]
mod adapter;

#[path = "../../fcgi-blocking/tests/client/any.rs"]
mod any;
#[path = "../../fcgi-blocking/tests/client/anything.rs"]
mod anything;
#[path = "../../fcgi-blocking/tests/client/kept.rs"]
mod kept;
#[path = "../../fcgi-blocking/tests/client/late.rs"]
mod late;
#[path = "../../fcgi-blocking/tests/client/lines.rs"]
mod lines;
#[path = "../../fcgi-blocking/tests/client/script.rs"]
mod script;
