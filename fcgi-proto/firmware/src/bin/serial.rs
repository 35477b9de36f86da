//! FastCGI on UART0, one stream for all connections.
//!
//! It links only if no panic can be reached.
#![no_std]
#![no_main]

use core::time::Duration;

use cortex_m::asm;
use cortex_m_rt::entry;
use fcgi_firmware::clock::{Clock, free_stack};
use fcgi_firmware::page::Board;
use fcgi_firmware::responder::{Params, Peer, ROOM};
use fcgi_firmware::uart::Uart;
use fcgi_proto::server::session::{Patience, Stopped};
use panic_never as _;

/// The stream has no close. After so much silence a request or a record that is cut is forgotten, and what comes
/// next is the beginning of a record.
const SILENCE: Duration = Duration::from_secs(1);

const INPUT: usize = 256;
const OUTPUT: usize = 2 * ROOM;

/// Before the first byte. The line is one connection.
const NEW: Peer = Peer::new(1, &Patience::new());

#[entry]
fn main() -> ! {
    static mut PEER: Peer = NEW;
    static mut PARAMETERS: Params = Params::new();
    static mut INPUT_BUFFER: [u8; INPUT] = [0; INPUT];
    static mut OUTPUT_BUFFER: [u8; OUTPUT] = [0; OUTPUT];

    let mut clock = Clock::start();
    let mut uart = Uart::new();
    let mut board = Board { name: "UART0", uptime: Duration::ZERO, served: 0, free_stack: 0 };
    let mut last_byte = Duration::ZERO;
    let mut trusted = true;
    loop {
        board.uptime = clock.now();
        board.free_stack = free_stack();
        let received = uart.receive(INPUT_BUFFER);
        if received.is_err() {
            // Nothing is answered any more: it may be to a request that was never asked.
            PEER.session.unwritable();
            last_byte = board.uptime;
        }
        let mut input = received.unwrap_or_default();
        if input.is_empty() {
            if board.uptime > last_byte.saturating_add(SILENCE) {
                (*PEER, trusted) = (NEW, true);
            }
            // Until the next tick: the FIFO holds more than comes in a millisecond.
            asm::wfi();
            continue;
        }
        last_byte = board.uptime;
        let next = loop {
            let mut room = &mut OUTPUT_BUFFER[..];
            let (taken, next) = PEER.serve(PARAMETERS, input, &mut room, &mut board);
            input = input.get(taken..).unwrap_or_default();
            let made = OUTPUT - room.len();
            uart.send(OUTPUT_BUFFER.get(..made).unwrap_or_default());
            if taken + made == 0 {
                break next;
            }
        };
        // What is broken stays so until the silence.
        let report = PEER.session.poll_report();
        trusted &= report.is_none_or(|report| matches!(report.what, Stopped::Refused(_)));
        if next.shutdown && trusted {
            // As if the client had closed.
            *PEER = NEW;
        }
    }
}
