//! A loop over a stream of embedded-io 0.7, and records written to one (feature `embedded-io-07`).
//!
//! [`serve`] serves a connection, one request at a time, in memory that the caller hands in. Its twin for embedded-io-async
//! is in `embedded_io_async_07`, with the same [`Settings`], [`Buffers`], [`Parameters`] and [`Request`].

pub(crate) mod driver;
mod request;
mod serve;
mod settings;

use embedded_io_07::Write;

pub use self::request::Request;
pub use self::serve::{Platform, serve};
pub use self::settings::{Buffers, Error, Parameters, Settings};

use crate::record::{Control, PairRecord, Record};

/// A record that can be written whole.
///
/// ```
/// use fcgi_proto::embedded_io_07::WriteTo;
/// use fcgi_proto::record::{Record, RecordType, RequestId};
///
/// let mut memory = [0; 32];
/// let mut writer = &mut memory[..]; // or an UART, a socket, …
/// let (mut record, rest) = Record::stream(RecordType::Stdout, RequestId::ONE, b"hello");
/// record.write_to(&mut writer)?;
/// assert_eq!(&memory[..16], b"\x01\x06\0\x01\0\x05\x03\0hello\0\0\0");
/// # assert!(rest.is_empty());
/// # Ok::<(), embedded_io_07::SliceWriteError>(())
/// ```
pub trait WriteTo: Cursor {
    /// Writes what is still to be sent, without flushing the writer.
    ///
    /// # Errors
    /// Those of the writer. The record is then advanced by what was written, and the call may be repeated.
    /// A writer that breaks its contract and takes nothing ends the call, with bytes remaining.
    fn write_to<W: Write + ?Sized>(&mut self, writer: &mut W) -> Result<(), W::Error> {
        loop {
            let front = self.front();
            if front.is_empty() {
                return Ok(());
            }
            let written = writer.write(front)?.min(front.len());
            if written == 0 {
                return Ok(());
            }
            self.advance_by(written);
        }
    }
}

impl<T: Cursor> WriteTo for T {}

pub(crate) mod sealed {
    /// What is its own cursor over the bytes that are still to be sent.
    pub trait Cursor {
        /// The next of them in one piece, none at the end.
        fn front(&self) -> &[u8];

        /// Notes that so many of them were sent.
        fn advance_by(&mut self, count: usize);
    }
}
use sealed::Cursor;

fn first<const N: usize>(slices: [&[u8]; N]) -> &[u8] {
    slices.into_iter().find(|slice| !slice.is_empty()).unwrap_or(&[])
}

impl Cursor for Record<'_> {
    fn front(&self) -> &[u8] {
        first(self.slices())
    }

    fn advance_by(&mut self, count: usize) {
        self.advance(count);
    }
}

impl Cursor for PairRecord<'_> {
    fn front(&self) -> &[u8] {
        first(self.slices())
    }

    fn advance_by(&mut self, count: usize) {
        self.advance(count);
    }
}

impl Cursor for Control {
    fn front(&self) -> &[u8] {
        self
    }

    fn advance_by(&mut self, count: usize) {
        self.advance(count);
    }
}
