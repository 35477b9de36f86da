//! The system control unit: peripherals have no clock after reset.

use tock_registers::interfaces::ReadWriteable;
use tock_registers::registers::ReadWrite;
use tock_registers::{register_bitfields, register_structs};

register_structs! {
    Registers {
        (0x000 => _reserved0),
        (0x104 => rcgc1: ReadWrite<u32, RCGC1::Register>),
        (0x108 => rcgc2: ReadWrite<u32, RCGC2::Register>),
        (0x10c => @END),
    }
}

register_bitfields! {u32,
    RCGC1 [UART0 OFFSET(0) NUMBITS(1) []],
    RCGC2 [
        GPIOA OFFSET(0) NUMBITS(1) [],
        EMAC0 OFFSET(28) NUMBITS(1) [],
        EPHY0 OFFSET(30) NUMBITS(1) []
    ],
}

fn registers() -> &'static Registers {
    // SAFETY: the system control unit is at this address, always, and is accessed by volatile reads and writes
    // only.
    #[expect(unsafe_code, reason = "the registers' address")]
    unsafe {
        &*(0x400f_e000 as *const Registers)
    }
}

/// Gives UART0 and its pins their clock.
pub(crate) fn enable_uart() {
    registers().rcgc1.modify(RCGC1::UART0::SET);
    registers().rcgc2.modify(RCGC2::GPIOA::SET);
}

/// Gives the Ethernet controller and its transceiver their clock.
pub(crate) fn enable_ethernet() {
    registers().rcgc2.modify(RCGC2::EMAC0::SET + RCGC2::EPHY0::SET);
}
