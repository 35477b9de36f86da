//! FastCGI on UART0, one connection after the other, in frames.
//!
//! It links only if no panic can be reached.
#![no_std]
#![no_main]

use core::time::Duration;

use cortex_m_rt::{entry, exception};
use fcgi_firmware::clock::{self, Clock, free_stack};
use fcgi_firmware::handler::handle;
use fcgi_firmware::line::Line;
use fcgi_firmware::page::Board;
use fcgi_firmware::responder::{Params, ROOM};
use fcgi_firmware::uart::Uart;
use fcgi_proto::embedded_io_07::{Buffers, Settings, serve};
use panic_never as _;

const INPUT: usize = 256;
const OUTPUT: usize = ROOM;
/// A constant: its limits are taken over without code.
const SETTINGS: &Settings<'_> = &{
    let mut settings = Settings::new();
    // Others wait for the line.
    settings.patience.idle = Duration::from_secs(5);
    settings
};

#[entry]
fn main() -> ! {
    static mut PARAMETERS: Params = Params::new();
    static mut BUFFERS: Buffers<INPUT, OUTPUT> = Buffers::new();

    let clock = Clock::start();
    let mut line = Line::new(Uart::new(), &clock);
    let mut served = 0;
    loop {
        // Whatever has ended the last one, a reset too, the other end of the line is told.
        line.end();
        line.begin();
        let _ = serve(&mut line, &clock, SETTINGS, PARAMETERS, BUFFERS, |request| {
            served += 1;
            let board = Board { name: "UART0", uptime: clock.now(), served, free_stack: free_stack() };
            handle(request, board)
        });
    }
}

#[exception]
fn SysTick() {
    clock::tick();
}
