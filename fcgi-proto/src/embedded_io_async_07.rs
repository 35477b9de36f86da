//! A loop over a stream of embedded-io-async 0.7, and records written to one (feature `embedded-io-async-07`).
//!
//! [`serve`] serves a connection, one request at a time, in memory that the caller hands in.

mod serve;

use embedded_io_async_07::Write;

pub use self::serve::{Platform, serve};
use crate::embedded_io_07::sealed::Cursor;
#[doc(no_inline)]
pub use crate::embedded_io_07::{Buffers, Error, Parameters, Request, Settings};

/// A record that can be written whole.
pub trait WriteTo: Cursor {
    /// Writes what is still to be sent, without flushing the writer.
    ///
    /// # Errors
    /// Those of the writer. The record is then advanced by what was written, and the call may be repeated.
    /// A writer that breaks its contract and takes nothing ends the call, with bytes remaining.
    fn write_to<W: Write + ?Sized>(&mut self, writer: &mut W) -> impl Future<Output = Result<(), W::Error>>;
}

impl<T: Cursor> WriteTo for T {
    async fn write_to<W: Write + ?Sized>(&mut self, writer: &mut W) -> Result<(), W::Error> {
        loop {
            let front = self.front();
            if front.is_empty() {
                return Ok(());
            }
            let written = writer.write(front).await?.min(front.len());
            if written == 0 {
                return Ok(());
            }
            self.advance_by(written);
        }
    }
}
