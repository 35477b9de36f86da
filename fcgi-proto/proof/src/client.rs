//! The client's side.

use core::hint::black_box as any;

use fcgi_proto::record::Role;
use fcgi_proto::{Limits, client};

use crate::wire::{write_control, write_pair, write_record};
use crate::{bytes, id, text};

#[inline(never)]
pub fn connection<const N: usize>() {
    let mut connection = any(client::Connection::<N>::new(any(Limits::new())));
    if let Ok((id, mut made)) = client::Connection::begin(&mut connection, any(Role::Responder), any(true)) {
        write_control(any(&mut made));
        any(id);
    }
    if let Ok(mut made) = client::Connection::params(&mut connection, id(), bytes()) {
        write_record(any(&mut made));
    }
    if let Ok(mut made) = client::Connection::param(&mut connection, id(), bytes(), bytes()) {
        write_pair(any(&mut made));
    }
    for input in [client::Connection::stdin, client::Connection::data] {
        if let Ok((mut made, rest)) = input(&mut connection, id(), bytes()) {
            write_record(any(&mut made));
            any(rest);
        }
    }
    for other in [
        client::Connection::params_end,
        client::Connection::stdin_end,
        client::Connection::data_end,
        client::Connection::abort,
    ] {
        if let Ok(mut made) = other(&mut connection, id()) {
            write_control(any(&mut made));
        }
    }
    write_control(any(&mut client::Connection::get_values(&mut connection)));
    let mut input = bytes();
    while let Ok(Some(event)) = client::Connection::next_event(&mut connection, &mut input) {
        any(event);
    }
    any((client::Connection::is_active(&connection, id()), client::Connection::is_reusable(&connection)));
    let _ = any(client::Connection::eof(&mut connection));
    if let Some(odd) = client::Connection::take_odd(&mut connection) {
        any(odd);
    }
    text::<client::SendError>(client::SendError::Full { capacity: any(0) });
}
