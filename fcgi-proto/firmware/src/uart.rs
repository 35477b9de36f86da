//! UART0: 8 data bits, no parity, 1 stop bit, 115200 baud, FIFOs of 16 bytes, no flow control.

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite};
use tock_registers::{register_bitfields, register_structs};

use crate::chip;
use crate::clock::CLOCK_HZ;

const BAUD: u32 = 115_200;

register_structs! {
    Registers {
        (0x000 => data: ReadWrite<u32, DATA::Register>),
        (0x004 => _reserved0),
        (0x018 => flag: ReadOnly<u32, FLAG::Register>),
        (0x01c => _reserved1),
        (0x024 => baud_integer: ReadWrite<u32>),
        (0x028 => baud_fraction: ReadWrite<u32>),
        (0x02c => line_control: ReadWrite<u32, LINE_CONTROL::Register>),
        (0x030 => control: ReadWrite<u32, CONTROL::Register>),
        (0x034 => @END),
    }
}

register_bitfields! {u32,
    DATA [
        VALUE OFFSET(0) NUMBITS(8) [],
        // A framing error, a parity error, a break, an overrun.
        ERRORS OFFSET(8) NUMBITS(4) []
    ],
    FLAG [
        RECEIVE_EMPTY OFFSET(4) NUMBITS(1) [],
        TRANSMIT_FULL OFFSET(5) NUMBITS(1) []
    ],
    LINE_CONTROL [
        FIFOS OFFSET(4) NUMBITS(1) [],
        WORD OFFSET(5) NUMBITS(2) [EightBits = 3]
    ],
    CONTROL [
        ENABLE OFFSET(0) NUMBITS(1) [],
        TRANSMIT OFFSET(8) NUMBITS(1) [],
        RECEIVE OFFSET(9) NUMBITS(1) []
    ],
}

register_structs! {
    Pins {
        (0x000 => _reserved0),
        (0x420 => alternate: ReadWrite<u32>),
        (0x424 => _reserved1),
        (0x51c => digital: ReadWrite<u32>),
        (0x520 => @END),
    }
}

/// A byte came wrong, or bytes were lost: where the next record begins is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// UART0.
pub struct Uart {
    registers: &'static Registers,
}

impl Uart {
    /// Sets it up; may be called again.
    #[must_use]
    pub fn new() -> Self {
        chip::enable_uart();
        // SAFETY: UART0 and port A are at these addresses, always, and are accessed by volatile reads and
        // writes only.
        #[expect(unsafe_code, reason = "the registers' addresses")]
        let (registers, pins) =
            unsafe { (&*(0x4000_c000 as *const Registers), &*(0x4000_4000 as *const Pins)) };
        // PA0 and PA1.
        pins.alternate.set(3);
        pins.digital.set(3);
        // In 64ths: 16 samples a bit.
        let divisor = (CLOCK_HZ * 4 + BAUD / 2) / BAUD;
        registers.control.set(0);
        registers.baud_integer.set(divisor / 64);
        registers.baud_fraction.set(divisor % 64);
        registers.line_control.write(LINE_CONTROL::FIFOS::SET + LINE_CONTROL::WORD::EightBits);
        registers.control.write(CONTROL::ENABLE::SET + CONTROL::TRANSMIT::SET + CONTROL::RECEIVE::SET);
        Self { registers }
    }

    /// Puts what came into `buffer`, as much as fits, and returns that.
    ///
    /// # Errors
    /// [`Damaged`], if some of it was; all of it is dropped.
    pub fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Result<&'b [u8], Damaged> {
        let mut count = 0;
        let mut damaged = false;
        for place in buffer.iter_mut() {
            if self.registers.flag.is_set(FLAG::RECEIVE_EMPTY) {
                break;
            }
            let data = self.registers.data.extract();
            damaged |= data.read(DATA::ERRORS) != 0;
            *place = data.read(DATA::VALUE) as u8;
            count += 1;
        }
        if damaged {
            return Err(Damaged);
        }
        Ok(buffer.get(..count).unwrap_or_default())
    }

    /// Whether nothing came.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.registers.flag.is_set(FLAG::RECEIVE_EMPTY)
    }

    /// Whether the FIFO has no room for a byte to be sent.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.registers.flag.is_set(FLAG::TRANSMIT_FULL)
    }

    /// Sends all of `bytes`, and waits for room in the FIFO where there is none.
    pub fn send(&mut self, bytes: &[u8]) {
        for byte in bytes {
            while self.registers.flag.is_set(FLAG::TRANSMIT_FULL) {}
            self.registers.data.write(DATA::VALUE.val(u32::from(*byte)));
        }
    }
}

impl Default for Uart {
    fn default() -> Self {
        Self::new()
    }
}
