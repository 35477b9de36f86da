//! A program for a microcontroller that calls all of fcgi-proto, and whose panic handler cannot be linked: it links
//! only if the compiler finds that no panic can be reached from these calls, whatever the bytes that arrive,
//! whatever the arguments, and whatever state a connection is in. It is never run.
//!
//! A future can panic for one reason that no linker knows to be impossible: it is polled again after it has ended, which
//! no executor does. So the async loop is in a second program, with the feature `asynchronous`, and `resumed.py` sees that
//! this is its only panic.
//!
//! `public.py` sees that every public function is called, by its path. Not called are what needs the feature
//! `alloc` (`cgi::Answer` and what a session does with it, `pair::ParamsBuf`, `client::Connection::begin_with`, `http`),
//! since memory that cannot be had ends a program, and what derives make (`Debug`, comparisons).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod asking;
#[cfg(feature = "asynchronous")]
mod asynchronous;
mod cgi;
mod client;
mod process;
mod serve;
mod server;
mod session;
mod wire;

use core::convert::Infallible;
use core::fmt::{self, Display, Write};
use core::hint::black_box as any;

use cortex_m_rt::entry;
use fcgi_proto::record::RequestId;
use fcgi_proto::{ConnectionError, Limits};
#[cfg(not(feature = "asynchronous"))]
use panic_never as _;

// `any` hands a value to the optimiser's blind spot and takes it back: nothing is known of it then, neither of
// bytes nor of lengths nor of what a connection or a decoder has been through.

#[entry]
fn main() -> ! {
    loop {
        wire::records();
        wire::pairs();
        wire::decoders();
        any((Limits::new(), Limits::default()));
        text::<ConnectionError>(ConnectionError::Version { found: any(0) });
        server::connection::<1>();
        server::connection::<4>();
        serve::blocking();
        #[cfg(feature = "asynchronous")]
        asynchronous::serve();
        session::session::<1>();
        session::session::<4>();
        client::connection::<1>();
        client::connection::<4>();
        asking::session::<1>();
        asking::session::<4>();
        asking::pages();
        cgi::heads();
        cgi::response_heads();
        cgi::variables();
        process::peers();
        #[cfg(feature = "panic")]
        any(bytes()[any(0)]);
    }
}

/// Where what can panic is linked, to be looked at.
#[cfg(feature = "asynchronous")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        any(());
    }
}

fn bytes() -> &'static [u8] {
    any::<&[u8]>(&[])
}

fn buffer() -> &'static mut [u8] {
    any::<&mut [u8]>(&mut [])
}

fn id() -> RequestId {
    any(RequestId::ONE)
}

/// Writes a value as text.
#[inline(never)]
fn text<T: Display>(value: T) {
    let value = any(value);
    let _ = any(write!(Nowhere, "{value}"));
}

/// Where texts and records go.
struct Nowhere;

impl Write for Nowhere {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        any(text);
        any(Ok(()))
    }
}

impl embedded_io::ErrorType for Nowhere {
    type Error = Infallible;
}

impl embedded_io::Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        any(bytes);
        any(Ok(0))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        any(Ok(()))
    }
}
