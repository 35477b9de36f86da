//! The server's side.

use core::hint::black_box as any;

use fcgi_proto::{Limits, server};

use crate::wire::{write_control, write_record};
use crate::{bytes, id, text};

#[inline(never)]
pub fn connection<const N: usize>() {
    let mut connection = any(server::Connection::<N>::new(any(Limits::new())));
    let mut input = bytes();
    any(server::Connection::whole_request(&mut connection, &mut input));
    while let Ok(Some(event)) = server::Connection::next_event(&mut connection, &mut input) {
        any(event);
    }
    any(server::Connection::refusal(&connection));
    while let Some(mut reply) = server::Connection::poll_reply(&mut connection) {
        write_control(any(&mut reply));
    }
    for output in [server::Connection::stdout, server::Connection::stderr] {
        if let Ok((mut made, rest)) = output(&mut connection, id(), bytes()) {
            write_record(any(&mut made));
            any(rest);
        }
    }
    if let Ok(mut made) = server::Connection::finish(&mut connection, id(), any(0)) {
        write_control(any(&mut made));
    }
    let why = any(server::Refusal::Overloaded);
    if let Ok(mut made) = server::Connection::reject(&mut connection, id(), why) {
        write_control(any(&mut made));
    }
    any((
        server::Connection::may_finish(&connection, id()),
        server::Connection::is_active(&connection, id()),
        server::Connection::is_complete(&connection, id()),
    ));
    any(server::Connection::drains_before_end(&connection, id()));
    any((server::Connection::is_idle(&connection), server::Connection::is_finished(&connection)));
    let _ = any(server::Connection::eof(&mut connection));
    any(server::Refusal::protocol_status(why));
    any(server::Refusal::status(why));
    text::<server::Refusal>(why);
    text::<server::SendError>(server::SendError::Inactive { id: id() });
}
