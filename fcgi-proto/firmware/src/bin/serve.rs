//! The loop over embedded-io, with a handler that reads and writes.
//!
//! It is built for its size only, and links only if no panic can be reached.
#![no_std]
#![no_main]

use core::convert::Infallible;
use core::hint::black_box as any;
use core::time::Duration;

use cortex_m_rt::entry;
use embedded_io_07::{ErrorType, Read, ReadReady, Write, WriteReady};
use fcgi_proto::embedded_io_07::{Buffers, Platform, Settings, serve};
use fcgi_proto::pair::Selected;
use panic_never as _;

struct Stream;

impl ErrorType for Stream {
    type Error = Infallible;
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        Ok(any(any(buffer).len()))
    }
}

impl ReadReady for Stream {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(any(true))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(any(any(bytes).len()))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl WriteReady for Stream {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(any(true))
    }
}

struct Clock;

impl Platform<Stream> for Clock {
    fn now(&self) -> Duration {
        any(Duration::ZERO)
    }

    fn shut_down(&self, _: &mut Stream) -> Result<bool, Infallible> {
        Ok(any(true))
    }
}

const SETTINGS: &Settings<'_> = &Settings::new();

#[entry]
fn main() -> ! {
    static mut PARAMETERS: Selected<'static, 256> = Selected::new(&[b"REQUEST_URI"]);
    static mut BUFFERS: Buffers<256, 528> = Buffers::new();

    loop {
        let served = serve(&mut Stream, &Clock, SETTINGS, PARAMETERS, BUFFERS, |request| {
            any(request.params());
            while request.read(any(&mut []))? > 0 {}
            request.write_all(any(&[]))
        });
        let _ = any(served);
    }
}
