use core::time::Duration;

use fcgi_proto::Limits;
use fcgi_proto::pair::Selected;
use fcgi_proto::record::Role;
use fcgi_proto::server::Session;
use fcgi_proto::server::session::{End, Input, Patience, Read, Request, Stream};

const INDEX: &[u8] = b"Content-Type: text/plain\r\n\r\nSee /temperature\n";
const READING: &[u8] = b"Content-Type: text/plain\r\n\r\n23.5\n";

/// A socket, a serial line, …, and a clock.
pub(crate) trait Transport {
    type Error;
    /// Reads what comes first, and returns how many bytes that are: none at the end. `None` once `until` has passed.
    fn read(&mut self, buffer: &mut [u8], until: Option<Duration>) -> Result<Option<usize>, Self::Error>;
    fn write(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
    /// Ends the direction to the client, if it can be ended alone.
    fn shut_down(&mut self) -> Result<(), Self::Error>;
    /// The time since any fixed moment.
    fn now(&self) -> Duration;
}

/// Serves one connection until it is to be closed.
pub(crate) fn serve<T: Transport>(transport: &mut T) -> Result<(), T::Error> {
    let mut session = Session::<1>::new(Limits::new(), &Patience::new());
    let mut params = Selected::<512>::new(&[b"REQUEST_URI"]); // a browser's cookies pass by
    let (mut buffer, mut unread) = ([0; 512], 0..0);
    let mut running: Option<(Request, &[u8])> = None; // whose handler runs, and what is left of its page
    loop {
        let now = transport.now();
        if let Some(reply) = session.poll_output() {
            transport.write(&reply)?;
            session.sent(reply.len(), now);
            continue;
        }
        if let Some((request, page)) = &mut running {
            // Web servers stop sending what is posted at the first byte of the answer: it is read first.
            if session.read(*request, Stream::Stdin, now) != Ok(Read::Wait) {
                match session.stdout(*request, page) {
                    Ok(Some((record, rest))) if !page.is_empty() => {
                        for slice in record.slices() {
                            transport.write(slice)?;
                        }
                        session.sent(record.remaining(), now);
                        *page = rest;
                        continue;
                    }
                    Ok(None) => {} // not yet
                    _ => session.finish(*request, now),
                }
            }
            match session.end(*request, 0) {
                End::Last(end) => {
                    transport.write(&end)?;
                    session.sent(end.len(), now);
                    running = None;
                    continue;
                }
                End::Over => running = None,
                _ => {} // not yet
            }
        }
        let mut input = &buffer[unread.clone()];
        let event = session.receive(&mut input, now);
        unread.start = unread.end - input.len();
        match event {
            Some(Input::Begin { role: Role::Responder, .. }) => params.clear(),
            Some(Input::Begin { request, .. }) => session.refuse_role(request),
            Some(Input::Params { request, data }) if params.push(data).is_err() => {
                session.refuse_full(request)
            }
            Some(Input::Start { request }) if params.finish().is_err() => session.refuse_malformed(request),
            Some(Input::Start { request }) => {
                let reads = params.get(b"REQUEST_URI") == Some(b"/temperature");
                running = Some((request, if reads { READING } else { INDEX }));
            }
            Some(_) => {}                     // what is posted is not wanted here
            None if session.expire(now) => {} // what came in time was taken in before
            None => {
                let next = session.next(now);
                if next.close {
                    return Ok(());
                } else if next.write {
                    continue; // what was taken in is answered by the session
                } else if next.shutdown {
                    transport.shut_down()?;
                    session.shut(now);
                } else if next.read && unread.is_empty() {
                    match transport.read(&mut buffer, next.at)? {
                        Some(0) => session.end_of_input(),
                        Some(count) => unread = 0..count,
                        None => {} // that took too long: what it means, the session decides
                    }
                }
            }
        }
    }
}
