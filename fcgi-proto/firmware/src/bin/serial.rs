//! FastCGI on UART0, one stream for all connections.
//!
//! It links only if no panic can be reached.
#![no_std]
#![no_main]

use cortex_m_rt::{entry, exception};
use fcgi_firmware::clock::{self, Clock, free_stack};
use fcgi_firmware::handler::handle;
use fcgi_firmware::line::Line;
use fcgi_firmware::page::Board;
use fcgi_firmware::responder::{Params, ROOM};
use fcgi_firmware::uart::Uart;
use fcgi_proto::embedded_io_07::{Buffers, Settings, serve};
use fcgi_proto::server::session::Stopped;
use panic_never as _;

const INPUT: usize = 256;
const OUTPUT: usize = ROOM;
/// A constant: its limits are taken over without code.
const SETTINGS: &Settings<'_> = &Settings::new();

#[entry]
fn main() -> ! {
    static mut PARAMETERS: Params = Params::new();
    static mut BUFFERS: Buffers<INPUT, OUTPUT> = Buffers::new();

    let clock = Clock::start();
    let mut line = Line::new(Uart::new(), &clock);
    let mut served = 0;
    loop {
        // Each ends as if the client had closed: at a silence, or where it asks for a close.
        let ended = serve(&mut line, &clock, SETTINGS, PARAMETERS, BUFFERS, |request| {
            served += 1;
            let board = Board { name: "UART0", uptime: clock.now(), served, free_stack: free_stack() };
            handle(request, board)
        });
        let is_whole = |report: Option<_>| report.is_none_or(|what| matches!(what, Stopped::Refused(_)));
        line.restart(!ended.is_ok_and(|report| is_whole(report.map(|report| report.what))));
    }
}

#[exception]
fn SysTick() {
    clock::tick();
}
