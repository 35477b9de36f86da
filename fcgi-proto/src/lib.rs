//! FastCGI 1.0 as a sans-IO protocol core: no I/O, no allocation, no unsafe code, no panic.
//!
//! This crate parses and emits every record type of the [FastCGI specification][spec] and keeps the state of
//! one connection. It never touches a socket: bytes that arrived go in, [events](server::Event) come out;
//! what is to be sent comes out as records that borrow the caller's data.
//!
//! The specification says "Web server" and "application". Here, as in every Rust crate of the field, the
//! **client** is the side that issues requests (the web server) and the **server** the side that answers them
//! (your application). Sections are those of the specification; CGI's variables and response heads are those
//! of RFC 3875.
//!
//! # Map
//!
//! | module | what | section |
//! |---|---|---|
//! | [`record`] | headers, types, ids, fixed bodies, constants, outgoing records | 3.3, 5, 8 |
//! | [`pair`] | name-value pairs: parse, look up, encode | 3.4 |
//! | [`decoder`] | bytes in any chunks to record parts | 3.3 |
//! | [`server`] | the application's side of one connection | 3 to 7 |
//! | [`client`] | the web server's side of one connection | 3 to 7 |
//! | [`cgi`] | response heads, written and read; a request's variables | RFC 3875, 4 and 6 |
//! | [`process`] | FCGI_WEB_SERVER_ADDRS: which peers are let in | 2.3, 3.2 |
//!
//! [spec]: https://fastcgi-archives.github.io/FastCGI_Specification.html
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod cgi;
pub mod client;
pub mod decoder;
mod error;
mod limits;
pub mod pair;
pub mod process;
pub mod record;
pub mod server;
mod values;

pub use error::ConnectionError;
pub use limits::Limits;
