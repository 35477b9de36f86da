//! What a connection runs over: a socket, whose waits have limits, or any `Read + Write` stream.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use crate::net::stream::Stream;

/// The system takes no limit of 0.
const SHORTEST: Duration = Duration::from_millis(1);

pub(crate) trait Transport: Send {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    fn flush(&mut self) -> io::Result<()>;
    /// `None` is no limit.
    fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()>;
    fn set_write_timeout(&self, limit: Duration) -> io::Result<()>;
    /// Fails where there is no such thing; the stream is then dropped instead.
    fn shutdown_write(&self) -> io::Result<()>;
}

/// Reads what there is, up to the buffer's length.
pub(crate) fn read_some(transport: &mut dyn Transport, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match transport.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Writes what the stream takes: how many bytes, 0 if the limit has passed.
pub(crate) fn write_some(transport: &mut dyn Transport, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        match transport.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_timeout(&error) => return Ok(0),
            result => return result,
        }
    }
}

/// Whether a socket that never blocks is to be asked again, rather than broken.
pub(crate) fn is_no_failure(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Whether a stream's time limit has passed, which shows as either.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

impl Transport for Arc<Stream> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut &**self, buffer)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            // A plain write costs the system less.
            [slice] => Write::write(&mut &**self, slice),
            slices => Write::write_vectored(&mut &**self, slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        Stream::set_read_timeout(self, limit.map(|limit| limit.max(SHORTEST)))
    }

    fn set_write_timeout(&self, limit: Duration) -> io::Result<()> {
        Stream::set_write_timeout(self, Some(limit.max(SHORTEST)))
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// A stream that knows neither limits nor half-closing.
pub(crate) struct Plain<S>(pub(crate) S);

impl<S: Read + Write + Send> Transport for Plain<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn set_read_timeout(&self, _limit: Option<Duration>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_write_timeout(&self, _limit: Duration) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn shutdown_write(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
