//! A request as variables.
//!
//! It is built for its size only, and links only if no panic can be reached.
#![no_std]
#![no_main]

use core::hint::black_box as any;

use cortex_m_rt::entry;
use fcgi_proto::cgi::{Variables, VariablesError};
use panic_never as _;

#[entry]
fn main() -> ! {
    loop {
        let text = any::<&[u8]>(&[]);
        let mut request = any(Variables::new(text, text));
        (request.peer, request.server) = any((None, None));
        let sent = request.emit(any(fcgi_proto::record::Role::Responder), any(&[]), |name, value| {
            any(name);
            value.parts().for_each(|part| _ = any(part));
            Ok::<(), VariablesError>(())
        });
        let _ = any(sent);
    }
}
