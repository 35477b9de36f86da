//! FastCGI 1.0 as a sans-IO protocol core: no I/O, no allocation, no unsafe code, no panic.
//!
//! That no call can panic is proved by a linker, at the levels of optimisation 1, 2, 3, s and z, for all of it but what
//! needs the feature `alloc`: memory that cannot be had ends a program.
//!
//! This crate parses and emits every record type of the [FastCGI specification][spec], keeps the state of one
//! connection, and decides what is to happen on it and until when. It never touches a socket or a clock: bytes that
//! arrived and the time go in; what concerns a request and what is to be sent come out, the latter as records that
//! borrow the caller's data.
//!
//! The specification says "Web server" and "application". Here, as in every Rust crate of the field, the
//! **client** is the side that issues requests (the web server) and the **server** the side that answers them
//! (your application). Sections are those of the specification; CGI's variables and response heads are those
//! of RFC 3875.
//!
//! Whoever builds a server of their own starts with the [guide].
//!
//! # Map
//!
//! | module | what | section |
//! |---|---|---|
//! | [`record`] | headers, types, ids, fixed bodies, constants, outgoing records | 3.3, 5, 8 |
//! | [`pair`] | name-value pairs: parse, look up, encode | 3.4 |
//! | [`decoder`] | bytes in any chunks to record parts | 3.3 |
//! | [`server`] | the application's side of one connection: [records](server::Connection), and [its life](server::session) | 3 to 7 |
//! | [`client`] | the web server's side of one connection | 3 to 7 |
//! | [`cgi`] | response heads, written and read; a request's variables | RFC 3875, 4 and 6 |
//! | [`http`] | requests and responses as the types of the crate of that name (feature `http`) | RFC 3875, 4 and 6 |
//! | [`process`] | FCGI_WEB_SERVER_ADDRS: which peers are let in | 2.3, 3.2 |
//! | `embedded_io_07`, `embedded_io_async_07` | a loop over streams of embedded-io 0.7, with the features of these names | |
//!
//! # Driving it
//!
//! Any stream of bytes, any clock, nothing allocated: this loop serves one connection on a microcontroller or
//! anywhere else. A [`Session`](server::Session) decides what is answered, refused, waited for and given up, and when the
//! connection ends; [its module](server::session) says what to do for each thing it asks. As the example `loop` in the
//! crate's repository it runs over TCP.
//!
//! ```
#![doc = include_str!("../examples/loop/serve.rs")]
//! ```
//!
//! # A loop that is ready
//!
//! Over a stream of embedded-io or embedded-io-async the loop is there, one request at a time, with a handler that reads
//! and writes: `embedded_io_07::serve` and `embedded_io_async_07::serve`, with the features of these names. As the example
//! `embedded_server` in the crate's repository this runs over TCP.
//!
//! ```
#![doc = include_str!("../examples/embedded_server/serve.rs")]
//! ```
//!
//! With these features a record also writes itself to an `embedded_io::Write`; `defmt` formats all public types but those
//! of [`http`].
//!
//! # Sizes
//!
//! Bytes of code on a Cortex-M3, at opt-level z with Rust 1.85, without what the library of the language brings:
//!
//! | a part, alone | bytes | budget |
//! |---|---:|---:|
//! | `server::Connection<1>` | 3688 | ≤ 4096 |
//! | `server::Session<1>` on a connection | 11624 |  |
//! | the loop over embedded-io on a session | 2282 |  |
//! | the loop over embedded-io-async on a session | 4048 |  |
//! | `client::Session<1>` with a `client::Page`, and the texts of failures | 13274 | ≤ 13824 |
//! | `cgi::Variables`, a request's variables | 3356 | ≤ 3584 |
//! | `process::WebServerAddrs`, the peers that are let in | 1132 | ≤ 1536 |
//! | `cgi::ResponseHead`, a head read | 1784 | ≤ 2048 |
//!
//! - **RAM.** A [`Connection`](server::Connection) with one request at a time has 96 bytes there, a
//!   [`Session`](server::Session) 352. Parameters, buffers and the stack come on top, and are yours to choose.
//! - **`N`**, the requests at a time on a connection, is 1 behind nginx, Apache, lighttpd and Caddy. HAProxy sends more if
//!   it is told to. Each further one takes at most 64 bytes.
//! - **Parameters**: [`Selected`](pair::Selected), whose documentation has a table of what web servers send, keeps what
//!   is asked for by name in 256 to 512 bytes. [`Params`](pair::Params) keeps all, in 2048 bytes and more.
//! - **The buffer for input** may have any size. Every read fills it, so 256 bytes do for a serial line, a packet's 1460
//!   for TCP. With **the one for output** an answer that fits leaves as one record.
//! - **The stack** that each part takes at most is printed by `ci/proof`: the loop 2.7 KiB at opt-level 3. The firmware's
//!   page shows how much was ever free.
//!
//! Whole programs stand in the folder `firmware` of the crate's repository: responders on Ethernet, with smoltcp and with
//! embassy-net, and on a serial line, and a sensor that asks an application.
//!
//! [spec]: https://fastcgi-archives.github.io/FastCGI_Specification.html
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod address;
mod bytes;
pub mod cgi;
pub mod client;
pub mod decoder;
mod digits;
#[cfg(feature = "embedded-io-07")]
pub mod embedded_io_07;
#[cfg(feature = "embedded-io-async-07")]
pub mod embedded_io_async_07;
mod error;
pub mod guide;
#[cfg(feature = "http")]
pub mod http;
mod life;
mod limits;
pub mod pair;
pub mod process;
pub mod record;
pub mod server;
mod values;

pub use error::ConnectionError;
pub use life::{Level, Next};
pub use limits::Limits;

/// The README's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
