//! What lines in the log are about.

use std::any::Any;
use std::fmt;

use fcgi_proto::Level;
use fcgi_proto::pair::Pairs;

/// A request, by its method and URI; what is no text in them is escaped.
#[derive(Clone, Debug)]
pub struct Name<'p>(pub Pairs<'p>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |name: &[u8]| self.0.clone().get(name).unwrap_or(b"-").escape_ascii();
        write!(f, "{} {}", text(b"REQUEST_METHOD"), text(b"REQUEST_URI"))
    }
}

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
