//! What a connection runs over: a socket, whose waits have limits, or any `Read + Write` stream.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use crate::net::stream::Stream;

/// The system takes no limit of 0.
const SHORTEST: Duration = Duration::from_millis(1);

pub(crate) trait Transport: Send {
    /// Waits no longer than this, if it can limit its waits: then it has read nothing, `None`.
    fn read(&mut self, buffer: &mut [u8], limit: Option<Duration>) -> io::Result<Option<usize>>;
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Writes what is taken at once: how many bytes. If that fails, the write that follows tells why.
    fn write_now(&mut self, _bytes: &[u8]) -> usize {
        0
    }
    fn flush(&mut self) -> io::Result<()>;
    fn set_write_timeout(&self, limit: Duration) -> io::Result<()>;
    /// Fails where there is no such thing; the stream is then dropped instead.
    fn shutdown_write(&self) -> io::Result<()>;
}

/// Reads what there is, up to the buffer's length; `None`, if the limit has passed.
pub(crate) fn read_some(
    transport: &mut dyn Transport,
    buffer: &mut [u8],
    limit: Option<Duration>,
) -> io::Result<Option<usize>> {
    loop {
        match transport.read(buffer, limit) {
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

/// A socket, which others may shut down.
pub(crate) struct Socket {
    stream: Arc<Stream>,
    /// The limit of a read, as last set; there is none at first, and one that has passed is the longest.
    limit: Option<Duration>,
    /// What a write failed with that does not tell it.
    failed: Option<io::Error>,
}

impl From<Arc<Stream>> for Socket {
    fn from(stream: Arc<Stream>) -> Self {
        Self { stream, limit: None, failed: None }
    }
}

impl Transport for Socket {
    fn read(&mut self, buffer: &mut [u8], limit: Option<Duration>) -> io::Result<Option<usize>> {
        // A shorter limit than this is left, and set anew when it has passed: so most reads set none.
        let serves = self.limit.is_some_and(|set| set < limit.unwrap_or(Duration::MAX));
        if !serves && self.limit != limit {
            let set = self.stream.set_read_timeout(limit.map(|limit| limit.max(SHORTEST)));
            self.limit = if set.is_ok() { limit } else { self.limit };
        }
        match Read::read(&mut &*self.stream, buffer) {
            Err(error) if is_timeout(&error) && self.limit.is_some() => {
                self.limit = Some(Duration::MAX);
                Ok(None)
            }
            result => result.map(Some),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        match slices {
            // A plain write costs the system less.
            [slice] => Write::write(&mut &*self.stream, slice),
            slices => Write::write_vectored(&mut &*self.stream, slices),
        }
    }

    fn write_now(&mut self, bytes: &[u8]) -> usize {
        let written = self.stream.write_now(bytes);
        written.unwrap_or_else(|error| {
            self.failed = Some(error).filter(|error| !is_no_failure(error));
            0
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&self, limit: Duration) -> io::Result<()> {
        self.stream.set_write_timeout(Some(limit.max(SHORTEST)))
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}

/// A stream that knows neither limits nor half-closing.
pub(crate) struct Plain<S>(pub(crate) S);

impl<S: Read + Write + Send> Transport for Plain<S> {
    fn read(&mut self, buffer: &mut [u8], _limit: Option<Duration>) -> io::Result<Option<usize>> {
        self.0.read(buffer).map(Some)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn set_write_timeout(&self, _limit: Duration) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn shutdown_write(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
