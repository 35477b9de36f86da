//! The session of a client's connection.
//!
//! It is built for its size only, and links only if no panic can be reached.
#![no_std]
#![no_main]

use core::hint::black_box as any;
use core::time::Duration;

use cortex_m_rt::entry;
use fcgi_proto::client::{Ask, Session, Settings};
use panic_never as _;

#[entry]
fn main() -> ! {
    static mut STATE: Option<Session<1>> = None;

    let session = any(STATE.insert(Session::new(Settings::new())));
    loop {
        let (now, input, bytes) = (any(Duration::ZERO), &mut any::<&[u8]>(&[]), any::<&[u8]>(&[]));
        if let Ok((request, begin)) = session.begin(any(Ask::new(bytes)), now) {
            any(&*begin);
            if let Ok(pair) = session.param(request, bytes, bytes) {
                any(pair.slices());
            }
            if let Ok(end) = session.params_end(request) {
                any(&*end);
            }
            if any(session.wants(request)) > 0 {
                if let Ok((piece, rest)) = session.write(request, bytes, now) {
                    any((piece.slices(), rest));
                }
            }
            session.sent(any(0), now);
            let _ = any(session.receive(input, now));
            session.took(request, any(0), now);
            let _ = any(session.poll(request, now));
            any(&*session.leave(request, now));
        }
        any((session.expire(now), session.next(), session.is_reusable()));
        session.end_of_input();
        session.broken();
    }
}
