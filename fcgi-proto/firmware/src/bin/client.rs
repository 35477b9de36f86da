//! A client's connection, without a session.
//!
//! It is built for its size only, and links only if no panic can be reached.
#![no_std]
#![no_main]

use core::hint::black_box as any;

use cortex_m_rt::entry;
use fcgi_proto::Limits;
use fcgi_proto::client::Connection;
use fcgi_proto::record::Role;
use panic_never as _;

#[entry]
fn main() -> ! {
    static mut STATE: Connection<1> = Connection::new(Limits::new());

    let connection = any(STATE);
    loop {
        let (input, bytes) = (&mut any::<&[u8]>(&[]), any::<&[u8]>(&[]));
        if let Ok((id, begin)) = connection.begin(any(Role::Responder), any(true)) {
            any(&*begin);
            if let Ok(pair) = connection.param(id, bytes, bytes) {
                any(pair.slices());
            }
            if let Ok((record, rest)) = connection.stdin(id, bytes) {
                any((record.slices(), rest));
            }
            for end in [Connection::params_end, Connection::stdin_end, Connection::abort] {
                if let Ok(control) = end(connection, id) {
                    any(&*control);
                }
            }
        }
        let _ = any(connection.next_event(input));
        let _ = any((connection.is_reusable(), connection.eof()));
    }
}
