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
//! | [`http`] | requests and responses as the types of the crate of that name (feature `http`) | RFC 3875, 4 and 6 |
//! | [`process`] | FCGI_WEB_SERVER_ADDRS: which peers are let in | 2.3, 3.2 |
//! | `embedded_io_07` | records to a writer of embedded-io 0.7, with the feature of that name | |
//!
//! # Driving it
//!
//! A microcontroller on a serial line, or any loop of one's own; nothing is allocated. With the feature
//! `embedded-io-07` a record writes itself to an `embedded_io::Write`; `defmt` formats all public types.
//!
//! ```
//! use fcgi_proto::pair::Params;
//! use fcgi_proto::server::{Connection, Event, Refusal};
//!
//! # use std::io::{Read, Write};
//! # struct Uart<'a>(&'a [u8], Vec<u8>);
//! # impl Uart<'_> {
//! #     fn read<'b>(&mut self, chunk: &'b mut [u8]) -> std::io::Result<&'b [u8]> {
//! #         let count = self.0.read(chunk)?;
//! #         Ok(&chunk[..count])
//! #     }
//! #     fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> { self.1.write_all(bytes) }
//! # }
//! # let mut uart = Uart(b"\x01\x01\0\x01\0\x08\0\0\0\x01\x01\0\0\0\0\0\x01\x04\0\x01\0\x19\0\0\
//! # \x0b\x0cREQUEST_URI/temperature\x01\x04\0\x01\0\0\0\0\x01\x05\0\x01\0\0\0\0", Vec::new());
//! # let reading = b"Content-Type: text/plain\r\n\r\n23.5\n";
//! # const INDEX: &[u8] = b"Content-Type: text/plain\r\n\r\nSee /temperature\n";
//! let mut connection = Connection::<1>::new(fcgi_proto::Limits::default());
//! let mut params = Params::<1024>::new();
//! let mut chunk = [0; 64];
//! loop {
//!     let mut input = uart.read(&mut chunk)?; // &[u8], cut anywhere
//! #   if input.is_empty() { break }
//!     while let Some(event) = connection.next_event(&mut input)? {
//!         match event {
//!             Event::Begin { .. } => params.clear(),
//!             Event::Params { id, data } if params.push(data).is_err() => {
//!                 uart.write(&connection.reject(id, Refusal::Overloaded)?)?;
//!             }
//!             Event::ParamsEnd { id } if params.finish().is_err() => {
//!                 uart.write(&connection.reject(id, Refusal::Malformed)?)?;
//!             }
//!             Event::StdinEnd { id } => {
//!                 let uri = params.get(b"REQUEST_URI");
//!                 let page = if uri == Some(b"/temperature") { &reading[..] } else { INDEX };
//!                 let (record, _rest) = connection.stdout(id, page)?; // pages of one record, 65528 bytes
//!                 for slice in record.slices() {
//!                     uart.write(slice)?;
//!                 }
//!                 uart.write(&connection.finish(id, 0)?)?;
//!             }
//!             Event::Abort { id } => uart.write(&connection.finish(id, 0)?)?,
//!             _ => {}
//!         }
//!         while let Some(reply) = connection.poll_reply() {
//!             uart.write(&reply)?;
//!         }
//!     }
//! }
//! # assert!(uart.1.windows(reading.len()).any(|window| window == reading));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A whole firmware, on Ethernet and on a serial line, stands in the folder `firmware` of the crate's
//! repository.
//!
//! [spec]: https://fastcgi-archives.github.io/FastCGI_Specification.html
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod bytes;
pub mod cgi;
pub mod client;
pub mod decoder;
#[cfg(feature = "embedded-io-07")]
pub mod embedded_io_07;
mod error;
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
