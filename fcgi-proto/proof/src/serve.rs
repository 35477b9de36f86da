//! The loops over a stream, with a handler that reads and writes.

use core::convert::Infallible;
use core::fmt::{self, Display};
use core::hint::black_box as any;
use core::time::Duration;

use embedded_io::{Error as _, ErrorType, Read, ReadReady, Write, WriteReady};
use fcgi_proto::embedded_io_07::{self, Parameters};
use fcgi_proto::pair::{Params, Selected};
use fcgi_proto::server::session::{Stopped, Waiting};

use crate::{Nowhere, buffer, bytes, text};

impl Read for Nowhere {
    fn read(&mut self, _: &mut [u8]) -> Result<usize, Infallible> {
        any(Ok(0))
    }
}

impl ReadReady for Nowhere {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        any(Ok(true))
    }
}

impl WriteReady for Nowhere {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        any(Ok(true))
    }
}

pub struct Ground;

impl<T: ErrorType> embedded_io_07::Platform<T> for Ground {
    fn now(&self) -> Duration {
        any(Duration::ZERO)
    }

    fn shut_down(&self, _: &mut T) -> Result<bool, T::Error> {
        Ok(any(true))
    }

    fn gives_way(&self, waiting: Waiting) -> bool {
        any(waiting);
        any(true)
    }
}

#[inline(never)]
pub fn blocking() {
    parameters(&mut any(Params::<64>::new()));
    parameters(&mut any(Selected::<64>::new(any(&[b"REQUEST_URI"]))));
    let settings = any((embedded_io_07::Settings::new(), embedded_io_07::Settings::default()).0);
    let mut memory = embedded_io_07::Buffers::<64, 64>::new();
    any(embedded_io_07::Buffers::<64, 64>::default());
    let mut params = Params::<64>::new();
    let ground = any(Ground);
    let mut stream = any(Nowhere);
    any(embedded_io_07::Platform::<Nowhere>::now(&ground));
    embedded_io_07::Platform::<Nowhere>::wait(&ground, any(None));
    let _ = any(embedded_io_07::Platform::<Nowhere>::shut_down(&ground, &mut stream));
    any(embedded_io_07::Platform::<Nowhere>::gives_way(&ground, WAITING));
    let served =
        embedded_io_07::serve(&mut stream, &ground, &settings, &mut params, &mut memory, |request| {
            any((embedded_io_07::Request::params(request), embedded_io_07::Request::role(request)));
            let _ = any(Read::read(request, buffer())?);
            let _ = any(Write::write(request, bytes())?);
            Write::write_all(request, bytes())?;
            Write::flush(request)
        });
    let _ = any(served);
    let error = any(embedded_io_07::Error::<Stop>::Stopped(Stopped::Over));
    any(error.kind());
    text::<embedded_io_07::Error<Stop>>(error);
}

fn parameters<S: Parameters>(params: &mut S) {
    embedded_io_07::Parameters::clear(params);
    any((embedded_io_07::Parameters::push(params, bytes()), embedded_io_07::Parameters::finish(params)));
    any(embedded_io_07::Parameters::pairs(params));
}

/// A connection that waits.
pub const WAITING: Waiting =
    Waiting { since: Duration::ZERO, comes: true, begun: true, leaving: true, until: None };

/// The error of a stream.
#[derive(Debug)]
struct Stop;

impl Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(any("stop"))
    }
}

impl core::error::Error for Stop {}

impl embedded_io::Error for Stop {
    fn kind(&self) -> embedded_io::ErrorKind {
        any(embedded_io::ErrorKind::Other)
    }
}
