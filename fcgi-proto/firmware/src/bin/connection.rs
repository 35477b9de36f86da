//! A connection without a session, on UART0: what `fcgi-proto` takes at least. It is built for its size only, and
//! waits for ever for what a client leaves unsaid.
//!
//! It links only if no panic can be reached.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use fcgi_firmware::responder::Params;
use fcgi_firmware::uart::Uart;
use fcgi_proto::Limits;
use fcgi_proto::server::{Connection, Event, Refusal};
use panic_never as _;

/// Before the first byte.
const NEW: Connection<1> = Connection::new(Limits::new());
const HEAD: &[u8] = b"Content-Type: text/plain\r\n\r\n";

#[entry]
fn main() -> ! {
    static mut PARAMETERS: Params = Params::new();
    static mut BUFFER: [u8; 256] = [0; 256];
    static mut STATE: Connection<1> = NEW;

    let mut uart = Uart::new();
    let connection = STATE;
    loop {
        let mut input = uart.receive(BUFFER).unwrap_or_default();
        while let Ok(Some(event)) = connection.next_event(&mut input) {
            let answer = match event {
                Event::Begin { .. } => {
                    PARAMETERS.clear();
                    continue;
                }
                Event::Params { id, data } if PARAMETERS.push(data).is_err() => {
                    connection.reject(id, Refusal::Overloaded)
                }
                Event::ParamsEnd { id } if PARAMETERS.finish().is_err() => {
                    connection.reject(id, Refusal::Malformed)
                }
                Event::StdinEnd { id } => {
                    let uri = PARAMETERS.get(b"REQUEST_URI").unwrap_or_default();
                    for answer in [HEAD, uri] {
                        if let Ok((record, _)) = connection.stdout(id, answer) {
                            record.slices().into_iter().for_each(|slice| uart.send(slice));
                        }
                    }
                    connection.finish(id, 0)
                }
                Event::Abort { id } => connection.finish(id, 0),
                _ => continue,
            };
            if let Ok(answer) = answer {
                uart.send(&answer);
            }
        }
        while let Some(reply) = connection.poll_reply() {
            uart.send(&reply);
        }
        if !input.is_empty() || connection.is_finished() {
            *connection = NEW;
        }
    }
}
