//! What the benches share: requests as nginx sends them, and the load that keeps a server busy.

#![forbid(unsafe_code)]

pub mod floor;
pub mod load;
pub mod request;
