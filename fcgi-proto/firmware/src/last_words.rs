//! What a program does that panics.

use core::panic::PanicInfo;

use cortex_m::peripheral::SCB;

use crate::uart::Uart;

/// Tells where on the UART, and starts anew.
pub fn tell(info: &PanicInfo<'_>) -> ! {
    let mut uart = Uart::new();
    uart.send(b"panic");
    if let Some(location) = info.location() {
        uart.send(b" in ");
        uart.send(location.file().as_bytes());
    }
    uart.send(b"\n");
    SCB::sys_reset()
}
