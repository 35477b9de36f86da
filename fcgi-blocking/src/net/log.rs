//! What the lines in the log have in common.

use std::any::Any;

use fcgi_proto::Level;

/// A session's level as the log's.
#[must_use]
pub fn log_level(level: Level) -> log::Level {
    match level {
        Level::Debug => log::Level::Debug,
        Level::Warn => log::Level::Warn,
    }
}

/// What a handler panicked with.
#[must_use]
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the handler panicked: {}", text.unwrap_or("no text"))
}
