//! FastCGI on UART0, one stream for all connections.
//!
//! It links only if no panic can be reached.
#![no_std]
#![no_main]

use cortex_m::asm;
use cortex_m_rt::entry;
use fcgi_firmware::clock::{Clock, free_stack};
use fcgi_firmware::page::Board;
use fcgi_firmware::responder::{CONNECTION, Output, PARAMS, Peer, ROOM, handle};
use fcgi_firmware::uart::Uart;
use fcgi_proto::pair::Params;
use panic_never as _;

/// The stream has no close. After so many milliseconds of silence a request or a record that is cut is
/// forgotten, and what comes next is the beginning of a record.
const SILENCE: u64 = 1000;

const INPUT: usize = 256;
const OUTPUT: usize = 2 * ROOM;

/// Before the first byte. The line is one connection.
const NEW: Peer = Peer::new(1);

#[entry]
fn main() -> ! {
    static mut PEER: Peer = NEW;
    static mut PARAMETERS: Params<PARAMS> = Params::new();
    static mut INPUT_BUFFER: [u8; INPUT] = [0; INPUT];
    static mut OUTPUT_BUFFER: [u8; OUTPUT] = [0; OUTPUT];

    let mut clock = Clock::start();
    let mut uart = Uart::new();
    let mut board =
        Board { name: "UART0", uptime: 0, served: 0, free_stack: 0, connection: CONNECTION as u32 };
    let mut last_byte = 0;
    loop {
        board.uptime = clock.now();
        board.free_stack = free_stack();
        let mut input = uart.receive(INPUT_BUFFER);
        if input.is_empty() {
            if board.uptime - last_byte > SILENCE {
                *PEER = NEW;
            }
            // Until the next tick: the FIFO holds more than comes in a millisecond.
            asm::wfi();
            continue;
        }
        last_byte = board.uptime;
        loop {
            let mut output = Output::new(OUTPUT_BUFFER);
            let result = handle(PEER, PARAMETERS, &mut input, &mut output, &mut board);
            uart.send(output.bytes());
            // What is broken stays so until the silence.
            if result.is_err() || output.bytes().is_empty() {
                break;
            }
        }
        if PEER.is_finished() {
            // As if the client had closed.
            *PEER = NEW;
        }
    }
}
