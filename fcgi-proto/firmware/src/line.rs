//! UART0 as a stream of embedded-io, on which silence is the end of a connection.

use core::fmt::{self, Display};
use core::time::Duration;

use cortex_m::asm::wfi;
use embedded_io_07::{Error, ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use fcgi_proto::embedded_io_07::Platform;

use crate::clock::Clock;
use crate::uart::{Damaged, Uart};

/// The stream has no close. After so much silence a request or a record that is cut is forgotten, and what comes next
/// is the beginning of a record.
const SILENCE: Duration = Duration::from_secs(1);

/// The line, and a clock for its silence.
pub struct Line<'c> {
    uart: Uart,
    clock: &'c Clock,
    last_byte: Duration,
}

impl<'c> Line<'c> {
    /// The line at the beginning of a record.
    pub fn new(uart: Uart, clock: &'c Clock) -> Self {
        Self { uart, clock, last_byte: clock.now() }
    }

    /// A connection begins. After one that was broken what comes is dropped until there is silence: where a record begins
    /// is not known.
    pub fn restart(&mut self, after_silence: bool) {
        while after_silence && !self.is_silent() {
            if self.uart.receive(&mut [0; 16]).map_or(true, |bytes| !bytes.is_empty()) {
                self.last_byte = self.clock.now();
            }
            wfi();
        }
        self.last_byte = self.clock.now();
    }

    fn is_silent(&self) -> bool {
        self.clock.now() > self.last_byte.saturating_add(SILENCE)
    }
}

impl Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a damaged byte")
    }
}

impl core::error::Error for Damaged {}

impl Error for Damaged {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidData
    }
}

impl ErrorType for Line<'_> {
    type Error = Damaged;
}

impl ReadReady for Line<'_> {
    fn read_ready(&mut self) -> Result<bool, Damaged> {
        Ok(!self.uart.is_empty() || self.is_silent())
    }
}

impl Read for Line<'_> {
    /// Reads what came. Silence is the end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Damaged> {
        let received = self.uart.receive(buffer).map(|bytes| bytes.len());
        if received != Ok(0) {
            self.last_byte = self.clock.now();
        }
        received
    }
}

impl WriteReady for Line<'_> {
    fn write_ready(&mut self) -> Result<bool, Damaged> {
        Ok(!self.uart.is_full())
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Damaged> {
        self.uart.send(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Damaged> {
        Ok(())
    }
}

impl Platform<Line<'_>> for Clock {
    fn now(&self) -> Duration {
        Self::now(self)
    }

    /// Until the next tick: the FIFO holds more than comes in a millisecond.
    fn wait(&self, _: Option<Duration>) {
        wfi();
    }

    fn shut_down(&self, _: &mut Line<'_>) -> Result<bool, Damaged> {
        Ok(false)
    }
}
