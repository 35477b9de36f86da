//! The response head as a web server reads it from STDOUT, cut anywhere, in the caller's memory; and an
//! Authorizer's decision (FastCGI 1.0, section 6.3).
//!
//! What is lenient: lines end with CRLF or LF, `Status` and its reason may be missing, a head may have no
//! field at all. What is not: whatever two readers could take for two things is refused, since the head goes
//! on into an HTTP response.

mod authorizer;
mod error;
mod fields;
mod head;
#[cfg(test)]
mod tests;

pub use authorizer::{AuthorizerVariables, Decision};
pub use error::ResponseHeadError;
pub use fields::ResponseFields;
pub use head::{Location, ResponseHead};
