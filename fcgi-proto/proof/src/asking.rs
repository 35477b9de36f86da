//! The life of a client's connection.

use core::hint::black_box as any;
use core::time::Duration;

use fcgi_proto::client;
use fcgi_proto::record::Role;

use crate::wire::{write_control, write_pair, write_record};
use crate::{bytes, text};

fn now() -> Duration {
    any(Duration::ZERO)
}

#[inline(never)]
pub fn session<const N: usize>() {
    let session = &mut any(client::session::Session::<N>::new(any([
        client::session::Settings::default(),
        client::session::Settings::new(),
    ][0])));
    let mut ask = client::session::Ask::new(bytes());
    (ask.role, ask.keep_conn) = any((Role::Responder, true));
    (ask.stdin, ask.data, ask.repeatable) = any((0, 0, true));
    let ask = client::session::Ask::with(ask, bytes(), any([None, Some(1)]), any(true));
    let Ok((request, mut made)) = client::session::Session::begin(session, ask, now()) else { return };
    write_control(any(&mut made));
    if let Ok((request, mut made)) = client::session::Session::get_values(session, now()) {
        write_control(any(&mut made));
        any(client::session::Request::place(&request));
    }
    let request = any(request);
    if let Ok(mut made) = client::session::Session::params(session, request, bytes()) {
        write_record(any(&mut made));
    }
    if let Ok(mut made) = client::session::Session::param(session, request, bytes(), bytes()) {
        write_pair(any(&mut made));
    }
    if let Ok(mut made) = client::session::Session::params_end(session, request) {
        write_control(any(&mut made));
    }
    any(client::session::Session::wants(session, request));
    if let Ok((piece, rest)) = client::session::Session::write(session, request, bytes(), now()) {
        any((client::session::Piece::slices(&piece), client::session::Piece::remaining(&piece), rest));
    }
    client::session::Session::sent(session, any(0), now());
    client::session::Session::unwritable(session, now());
    let mut input = bytes();
    while let Some(came) = client::session::Session::receive(session, &mut input, now()) {
        any(came);
    }
    client::session::Session::took(session, request, any(0), now());
    client::session::Session::head(session, request, any(0));
    let _ = any((
        client::session::Session::poll(session, request, now()),
        client::session::Session::may_be_refused(session, request),
        client::session::Session::again(session, request),
    ));
    any((
        client::session::Session::expire(session, now()),
        client::session::Session::next(session),
        client::session::Session::is_reusable(session),
        client::session::Session::open(session),
    ));
    if let Some(odd) = client::session::Session::take_odd(session) {
        text::<client::Odd>(odd);
    }
    if let Err(failure) = client::session::Session::poll(session, request, now()) {
        any(client::session::Failure::level(&failure));
        text::<client::session::Failure>(failure);
        if let client::session::Failure::TimedOut { wait, .. } = failure {
            any(client::session::Wait::what(wait));
        }
    }
    let mut manners = any(client::session::Manners::default());
    client::session::Manners::learn(&mut manners, session, request, now());
    any(client::session::Manners::may_use(&mut manners, session, &ask, now(), now()));
    write_control(any(&mut client::session::Session::leave(session, request, now())));
    client::session::Session::waited(session);
    client::session::Session::end_of_input(session);
    client::session::Session::broken(session);
}

#[inline(never)]
pub fn pages() {
    let mut page = any(client::Page::new([0; 100], bytes()));
    let _ = any((
        client::Page::skim(&mut page, bytes()),
        client::Page::wanted(&page, bytes()),
        client::Page::is_whole(&page),
    ));
    client::Page::take(&mut page, any(0));
    any(client::Page::head(&page).is_complete());
    if let Ok(Some(end)) = any(None::<Result<client::session::End, ()>>).transpose() {
        if let Err(error) = client::Page::finish(&page, &end) {
            text::<client::PageError>(error);
        }
    }
}
