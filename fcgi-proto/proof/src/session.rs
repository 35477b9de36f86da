//! The life of a server's connection.

use core::hint::black_box as any;
use core::time::Duration;

use fcgi_proto::record::{Control, Record};
use fcgi_proto::{Limits, server};

use crate::wire::{write_control, write_record};
use crate::{bytes, text};

fn now() -> Duration {
    any(Duration::ZERO)
}

#[inline(never)]
pub fn session<const N: usize>() {
    let patience = any([server::session::Patience::new(), server::session::Patience::default()][0]);
    let mut session = any(server::session::Session::<N>::new(any(Limits::new()), &patience));
    let mut input = bytes();
    if let Some(started) = server::session::Session::receive_whole(&mut session, &mut input) {
        any(started.params);
        calls(&mut session, started.request);
    }
    while let Some(event) = server::session::Session::receive(&mut session, &mut input, now()) {
        let request = server::session::Input::request(any(&event));
        calls(&mut session, request);
    }
    while let Some(mut reply) = server::session::Session::poll_output(&mut session) {
        write_control(any(&mut reply));
    }
    server::session::Session::took(&mut session, any(0));
    server::session::Session::sent(&mut session, any(0), now());
    server::session::Session::sent_since(&mut session, now(), any(0), now());
    server::session::Session::shut(&mut session, now());
    server::session::Session::expire(&mut session, now());
    server::session::Session::leave(&mut session, any(server::session::Leave::Crowded), now());
    server::session::Session::end_of_input(&mut session);
    server::session::Session::broken(&mut session);
    server::session::Session::unwritable(&mut session);
    any((server::session::Session::next(&mut session, now()), server::session::Session::deadline(&session)));
    any((server::session::Session::requests(&session), server::session::Session::alive(&session).count()));
    if let Some(waiting) = server::session::Session::waiting(&session) {
        any(server::session::Waiting::may_close_at(waiting, any(server::session::Leave::Shutdown), now()));
    }
    if let Some(report) = server::session::Session::poll_report(&mut session) {
        any((server::session::Stopped::is_gone(report.what), server::session::Stopped::level(report.what)));
        text::<server::session::Report>(report);
        text::<server::session::Stopped>(report.what);
        text::<server::session::Wait>(any(server::session::Wait::Params));
    }
}

/// The calls for one request.
#[inline(never)]
fn calls<const N: usize>(session: &mut server::Session<N>, request: server::session::Request) {
    let request = any(request);
    any((server::session::Request::id(request), server::session::Request::slot(request)));
    let stream = any(server::session::Stream::Stdin);
    let _ = any(server::session::Session::read(session, request, stream, now()));
    any((
        server::session::Session::room(session, request),
        server::session::Session::is_gone(session, request),
    ));
    any((
        server::session::Session::is_alive(session, request),
        server::session::Session::failure_level(session, request),
    ));
    let _ = any(server::session::Session::may_answer(session, request));
    for refuse in [
        server::session::Session::refuse_full,
        server::session::Session::refuse_malformed,
        server::session::Session::refuse_role,
    ] {
        refuse(session, request);
    }
    made(server::session::Session::stdout(session, request, bytes()));
    made(server::session::Session::stderr(session, request, bytes()));
    server::session::Session::fail(session, request, now());
    server::session::Session::finish(session, request, now());
    if let server::session::End::Part(mut end) | server::session::End::Last(mut end) =
        server::session::Session::end(session, request, any(0))
    {
        write_control(any::<&mut Control>(&mut end));
    }
}

type Made = Result<Option<(Record<'static>, &'static [u8])>, server::session::Stopped>;

fn made(made: Made) {
    if let Ok(Some((mut record, rest))) = made {
        write_record(any(&mut record));
        any(rest);
    }
}
