//! The session of a server's connection.
//!
//! It is built for its size only, and links only if no panic can be reached.
#![no_std]
#![no_main]

use core::hint::black_box as any;
use core::time::Duration;

use cortex_m_rt::entry;
use fcgi_proto::Limits;
use fcgi_proto::server::Session;
use fcgi_proto::server::session::{End, Input, Patience, Stream};
use panic_never as _;

#[entry]
fn main() -> ! {
    static mut STATE: Session<1> = Session::new(Limits::new(), &Patience::new());

    let session = any(STATE);
    loop {
        let (now, input) = (any(Duration::ZERO), &mut any::<&[u8]>(&[]));
        session.expire(now);
        if let Some(reply) = session.poll_output() {
            any(&*reply);
            session.sent(reply.len(), now);
        }
        match session.receive(input, now) {
            Some(Input::Begin { request, .. }) => session.refuse_role(request),
            Some(Input::Params { request, .. }) => session.refuse_full(request),
            Some(Input::Start { request }) => {
                if any(false) {
                    session.refuse_malformed(request);
                }
                let _ = any(session.read(request, Stream::Stdin, now));
                if let Ok(Some((record, rest))) = session.stdout(request, any(&[])) {
                    any((record.slices(), rest));
                }
                session.finish(request, now);
                if let End::Last(end) = session.end(request, 0) {
                    any(&*end);
                }
            }
            other => _ = any(other),
        }
        if any(session.next(now)).shutdown {
            session.shut(now);
        }
        session.end_of_input();
    }
}
