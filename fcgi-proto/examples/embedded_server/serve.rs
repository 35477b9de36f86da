use core::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use embedded_io_async::{Read, Write};
use fcgi_proto::server::session::{End, Input, Patience, Read as Left, Request, Session, Stream};
use fcgi_proto::{Limits, pair::Selected, record::Role};

const INDEX: &[u8] = b"Content-Type: text/plain\r\n\r\nSee /temperature\n";
const READING: &[u8] = b"Content-Type: text/plain\r\n\r\n23.5\n";

pub(crate) trait Clock {
    /// The time since any fixed moment.
    fn now(&self) -> Duration;
    fn until(&self, at: Option<Duration>) -> impl Future<Output = ()>;
}

/// Serves one connection until it is to be closed; nothing is allocated.
pub(crate) async fn serve<T: Read + Write, C: Clock>(stream: &mut T, clock: &C) -> Result<(), T::Error> {
    let mut session = Session::<1>::new(Limits::new(), &Patience::new());
    let mut params = Selected::<256>::new(&[b"REQUEST_URI"]); // a browser's cookies pass by
    let (mut buffer, mut unread, mut running) = ([0; 1024], 0..0, None::<(Request, &[u8])>);
    loop {
        session.expire(clock.now());
        if let Some(reply) = session.poll_output() {
            send(stream, &mut session, clock, &[&reply]).await?;
            continue;
        }
        if let Some((request, page)) = &mut running {
            // Web servers stop sending what is posted at the first byte of the answer: it is read first.
            if session.read(*request, Stream::Stdin, clock.now()) != Ok(Left::Wait) {
                match session.stdout(*request, page) {
                    Ok(Some((record, rest))) if !page.is_empty() => {
                        send(stream, &mut session, clock, &record.slices()).await?;
                        *page = rest;
                        continue;
                    }
                    Ok(None) => {} // not yet
                    _ => session.finish(*request, clock.now()),
                }
            }
            match session.end(*request, 0) {
                End::Last(end) => {
                    send(stream, &mut session, clock, &[&end]).await?;
                    running = None;
                    continue;
                }
                End::Over => running = None,
                _ => {} // not yet
            }
        }
        let mut input = &buffer[unread.clone()];
        let event = session.receive(&mut input, clock.now());
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
            Some(_) => {} // what is posted is not wanted here
            None => {
                let next = session.next(clock.now());
                if next.close {
                    return Ok(());
                } else if next.shutdown {
                    session.end_of_input(); // it has no direction to end alone: it is closed, and all was read before
                } else if next.read && unread.is_empty() {
                    match before(stream.read(&mut buffer), clock.until(next.at)).await.transpose()? {
                        Some(0) => session.end_of_input(),
                        Some(count) => unread = 0..count,
                        None => {} // that took too long: what it means, the session decides
                    }
                }
            }
        }
    }
}

/// Sends bytes, as long as the session lets the client take them.
async fn send<T: Write, C: Clock>(
    stream: &mut T,
    session: &mut Session<1>,
    clock: &C,
    slices: &[&[u8]],
) -> Result<(), T::Error> {
    for mut slice in slices.iter().copied() {
        while !slice.is_empty() && session.next(clock.now()).write {
            match before(stream.write(slice), clock.until(session.deadline())).await.transpose()? {
                Some(count) => {
                    slice = &slice[count..];
                    session.sent(count, clock.now());
                }
                None => session.expire(clock.now()),
            }
        }
    }
    stream.flush().await
}

async fn before<F: Future>(future: F, timer: impl Future<Output = ()>) -> Option<F::Output> {
    let (mut future, mut timer) = (pin!(future), pin!(timer));
    let poll = poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
    });
    poll.await
}
