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
//! Bytes on a Cortex-M3, at opt-level z with Rust 1.85: code, without what the library of the language brings; state;
//! the stack that a program which has nothing else takes at most, the few calls of its own included.
//!
//! | a part, alone | code | state | stack | budget of code |
//! |---|---:|---:|---:|---:|
//! | `server::Connection<1>` | 3844 | 96 | 984 | ≤ 4096 |
//! | `server::Session<1>` with its connection | 10820 | 352 | 1240 | ≤ 11776 |
//! | the loop over embedded-io with its session | 14298 |  | 2080 | ≤ 14336 |
//! | `client::Connection<1>` | 2864 | 80 | 920 | ≤ 3072 |
//! | `client::Session<1>` with its connection | 9068 | 440 | 1416 | ≤ 9216 |
//! | `decoder::Decoder`, records read | 510 | 16 | 80 | ≤ 1024 |
//! | `pair`, pairs written, read and looked up | 900 | 12 | 224 | ≤ 1024 |
//! | `cgi::Head`, a head of 256 bytes written | 1346 | 288 | 200 | ≤ 1536 |
//! | `cgi::ResponseHead`, a head of 256 bytes read | 1748 | 280 | 232 | ≤ 2048 |
//! | `cgi::Variables`, a request's variables | 3356 |  | 1216 | ≤ 3584 |
//! | `process::WebServerAddrs`, the peers that are let in | 1132 |  | 192 | ≤ 1536 |
//!
//! - **RAM** is state and stack. The state of a head is its buffer and 32 bytes at most; the loop has its session on the
//!   stack. Parameters and the buffers of the stream come on top, and are yours to choose.
//! - **`N`**, the requests at a time on a connection, is 1 behind nginx, Apache, lighttpd and Caddy. HAProxy sends more if
//!   it is told to. Each further one takes at most 64 bytes, in a client's session at most 160.
//! - **Parameters**: [`Selected`](pair::Selected), whose documentation has a table of what web servers send, keeps what
//!   is asked for by name in 256 to 512 bytes. [`Params`](pair::Params) keeps all, in 2048 bytes and more.
//! - **The buffer for input** may have any size. Every read fills it, so 256 bytes do for a serial line, a packet's 1460
//!   for TCP. With **the one for output** an answer that fits leaves as one record.
//! - **The stack** at opt-level 3, for all calls of a part, is printed by `ci/proof`. The firmware's page shows
//!   how much was ever free.
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
