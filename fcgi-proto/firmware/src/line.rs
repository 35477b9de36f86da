//! UART0 as a stream of embedded-io: connections, one after the other, in the frames of [`framed_line`].

use core::fmt::{self, Display};
use core::time::Duration;

use cortex_m::asm::wfi;
use embedded_io_07::{Error, ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use fcgi_proto::embedded_io_07::Platform;
use framed_line::{Kind, PAYLOAD, Receiver, Sender, Wrong};

use crate::clock::Clock;
use crate::uart::Uart;

/// A frame that is not whole after so much silence is wrong.
const SILENCE: Duration = Duration::from_secs(1);

/// What came and was not taken yet: nothing more is received before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    Nothing,
    /// A frame's payload from this byte on.
    Data(usize),
    /// A connection begins.
    Begin,
    /// The client has closed.
    End,
    Wrong,
}

/// The line, and a clock for its silence.
pub struct Line<'c> {
    uart: Uart,
    clock: &'c Clock,
    last_byte: Duration,
    receiver: Receiver,
    sender: Sender,
    came: Came,
}

impl<'c> Line<'c> {
    /// The line before its first connection.
    pub fn new(uart: Uart, clock: &'c Clock) -> Self {
        let (receiver, sender) = (Receiver::new(), Sender::new());
        Self { uart, clock, last_byte: clock.now(), receiver, sender, came: Came::Nothing }
    }

    /// Waits until a connection begins, and drops what comes before that.
    pub fn begin(&mut self) {
        while self.came != Came::Begin {
            self.came = Came::Nothing;
            if !self.receive() {
                wfi();
            }
        }
        self.came = Came::Nothing;
        self.uart.send(self.sender.frame(Kind::Begin, &[]));
    }

    /// Ends the connection, if it is not over because the next one begins.
    pub fn end(&mut self) {
        if self.came != Came::Begin {
            self.uart.send(self.sender.frame(Kind::End, &[]));
        }
    }

    /// Takes from the UART up to the end of a frame; whether there is something to be taken.
    fn receive(&mut self) -> bool {
        while self.came == Came::Nothing {
            let mut byte = [0];
            let received = match self.uart.receive(&mut byte) {
                Ok(&[byte]) => {
                    self.last_byte = self.clock.now();
                    self.receiver.push(byte)
                }
                Ok(_) if !self.receiver.is_amid() => return false,
                Ok(_) if self.clock.now() <= self.last_byte.saturating_add(SILENCE) => return false,
                _ => Err(self.receiver.reset()),
            };
            self.came = match received {
                Ok(Some(Kind::Data)) if !self.receiver.payload().is_empty() => Came::Data(0),
                Ok(Some(Kind::Data) | None) => Came::Nothing,
                Ok(Some(Kind::Begin)) => Came::Begin,
                Ok(Some(Kind::End)) => Came::End,
                Err(Wrong) => Came::Wrong,
            };
        }
        true
    }
}

/// Why a connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A frame was wrong.
    Wrong,
    /// The client has closed.
    Closed,
}

impl Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wrong => "a frame was wrong",
            Self::Closed => "the client has closed",
        })
    }
}

impl core::error::Error for Broken {}

impl Error for Broken {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Wrong => ErrorKind::InvalidData,
            Self::Closed => ErrorKind::BrokenPipe,
        }
    }
}

impl ErrorType for Line<'_> {
    type Error = Broken;
}

impl ReadReady for Line<'_> {
    fn read_ready(&mut self) -> Result<bool, Broken> {
        Ok(self.receive())
    }
}

impl Read for Line<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Broken> {
        while !self.receive() {
            wfi();
        }
        match self.came {
            Came::Data(start) => {
                let unread = self.receiver.payload().get(start..).unwrap_or_default();
                for (place, byte) in buffer.iter_mut().zip(unread) {
                    *place = *byte;
                }
                let count = unread.len().min(buffer.len());
                self.came = if count < unread.len() { Came::Data(start + count) } else { Came::Nothing };
                Ok(count)
            }
            Came::Wrong => Err(Broken::Wrong),
            Came::Begin | Came::End | Came::Nothing => Ok(0),
        }
    }
}

impl WriteReady for Line<'_> {
    fn write_ready(&mut self) -> Result<bool, Broken> {
        Ok(!self.uart.is_full())
    }
}

impl Write for Line<'_> {
    /// Sends a frame, if the client has not closed.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        self.receive();
        match self.came {
            Came::Wrong => Err(Broken::Wrong),
            Came::Begin | Came::End => Err(Broken::Closed),
            Came::Data(_) | Came::Nothing => {
                self.uart.send(self.sender.frame(Kind::Data, bytes));
                Ok(bytes.len().min(PAYLOAD))
            }
        }
    }

    fn flush(&mut self) -> Result<(), Broken> {
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

    /// The end that a frame tells is that of both directions.
    fn shut_down(&self, _: &mut Line<'_>) -> Result<bool, Broken> {
        Ok(false)
    }
}
