//! Events as values that do not depend on cuts: the bytes of neighbouring events of one stream are joined.

use fcgi_proto::{client, server};

use crate::support::{DATA, PARAMS, STDERR, STDIN, STDOUT, Seen};
use crate::web_server::Seen as Answered;

/// Appends what the server's side saw.
pub(crate) fn see(events: &mut Vec<Seen>, event: &server::Event<'_>) {
    use server::Event;
    events.push(match *event {
        Event::Begin { id, role, keep_conn } => Seen::Begin { id: id.get(), role, keep_conn },
        Event::Params { id, data } => return see_bytes(events, PARAMS, id.get(), data),
        Event::Stdin { id, data } => return see_bytes(events, STDIN, id.get(), data),
        Event::Data { id, data } => return see_bytes(events, DATA, id.get(), data),
        Event::ParamsEnd { id } => Seen::End { kind: PARAMS, id: id.get() },
        Event::StdinEnd { id } => Seen::End { kind: STDIN, id: id.get() },
        Event::DataEnd { id } => Seen::End { kind: DATA, id: id.get() },
        Event::Abort { id } => Seen::Abort { id: id.get() },
        Event::Rejected { id, why } => Seen::Rejected { id: id.get(), why },
        ref other => panic!("{other:?} is no event of a request"),
    });
}

/// Appends bytes of a stream of this type.
pub(crate) fn see_bytes(events: &mut Vec<Seen>, kind: u8, id: u16, data: &[u8]) {
    assert!(!data.is_empty(), "an event without bytes");
    match events.last_mut() {
        Some(Seen::Bytes { kind: last_kind, id: last_id, data: before })
            if (*last_kind, *last_id) == (kind, id) =>
        {
            before.extend(data);
        }
        _ => events.push(Seen::Bytes { kind, id, data: data.to_vec() }),
    }
}

/// Appends what the client's side saw.
pub(crate) fn see_answer(events: &mut Vec<Answered>, event: &client::Event<'_>) {
    use client::Event;
    events.push(match *event {
        Event::Stdout { id, data } => return see_answer_bytes(events, STDOUT, id.get(), data),
        Event::Stderr { id, data } => return see_answer_bytes(events, STDERR, id.get(), data),
        Event::StdoutEnd { id } => Answered::Ended { kind: STDOUT, id: id.get() },
        Event::StderrEnd { id } => Answered::Ended { kind: STDERR, id: id.get() },
        Event::End { id, app_status, protocol_status, answered } => {
            Answered::End { id: id.get(), app_status, protocol_status, answered }
        }
        Event::Values { data, last } => return see_values(events, data, last),
        Event::UnknownType { record_type } => Answered::UnknownType(record_type),
        ref other => panic!("{other:?} is new"),
    });
}

/// Appends bytes of STDOUT or STDERR.
pub(crate) fn see_answer_bytes(events: &mut Vec<Answered>, kind: u8, id: u16, data: &[u8]) {
    assert!(!data.is_empty(), "an event without bytes");
    match events.last_mut() {
        Some(Answered::Bytes { kind: last_kind, id: last_id, data: before })
            if (*last_kind, *last_id) == (kind, id) =>
        {
            before.extend(data);
        }
        _ => events.push(Answered::Bytes { kind, id, data: data.to_vec() }),
    }
}

/// Appends some of an answer to GET_VALUES.
pub(crate) fn see_values(events: &mut Vec<Answered>, data: &[u8], last: bool) {
    if let Some(Answered::Values { data: before, whole: whole @ false }) = events.last_mut() {
        before.extend(data);
        *whole = last;
    } else {
        events.push(Answered::Values { data: data.to_vec(), whole: last });
    }
}
