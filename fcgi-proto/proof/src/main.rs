//! A program for a Cortex-M3 that calls all of fcgi-proto, and whose panic handler cannot be linked: it links
//! only if the compiler finds that no panic can be reached from these calls, whatever the bytes that arrive,
//! whatever the arguments, and whatever state a connection is in. It is never run.
//!
//! Left out is what `core` does with branches to a panic that no input reaches: the text of IP addresses
//! (`process`, and the addresses among the CGI variables), and of a `char` in an error of a head.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::fmt::{self, Write};
use core::hint::black_box as any;
use core::time::Duration;

use cortex_m_rt::entry;
use fcgi_proto::cgi::{
    self, Head, HeadEnd, ResponseBody, ResponseHead, Status, Target, Value, Variables, VariablesError,
};
use fcgi_proto::pair::{self, Packer, Pairs, Params};
use fcgi_proto::record::{
    BeginRequest, Control, EndRequest, Header, PairRecord, ProtocolStatus, Record, RecordType, RequestId,
    Role, UnknownType,
};
use fcgi_proto::{ConnectionError, Limits, client, decoder, server};
use panic_never as _;

// `any` hands a value to the optimiser's blind spot and takes it back: nothing is known of it then, neither of
// bytes nor of lengths nor of what a connection or a decoder has been through.

#[entry]
fn main() -> ! {
    loop {
        records();
        pairs();
        decoders();
        server(&mut any(server::Connection::<1>::new(Limits::default())));
        server(&mut any(server::Connection::<4>::new(Limits::default())));
        client(&mut any(client::Connection::<1>::new(Limits::default())));
        client(&mut any(client::Connection::<4>::new(Limits::default())));
        asking(&mut any(client::Session::<1>::new(client::Settings::default())));
        asking(&mut any(client::Session::<4>::new(client::Settings::default())));
        pages();
        heads();
        response_heads();
        targets();
        texts();
        #[cfg(feature = "panic")]
        any(bytes()[any(0)]);
    }
}

fn bytes() -> &'static [u8] {
    any::<&[u8]>(&[])
}

fn buffer() -> &'static mut [u8] {
    any::<&mut [u8]>(&mut [])
}

fn id() -> RequestId {
    any(RequestId::ONE)
}

#[inline(never)]
fn records() {
    let _ = any((RecordType::from_wire(any(0)), Role::from_wire(any(0)), ProtocolStatus::from_wire(any(0))));
    let _ = any(RequestId::new(any(0)));
    let _ = any(Header::new(any(RecordType::Stdin), any(0), any(0)).encode());
    let _ = any(Header::parse(&any([0; 8])));
    let _ = any((BeginRequest::parse(&any([0; 8])).encode(), EndRequest::parse(&any([0; 8])).encode()));
    let _ = any(UnknownType::parse(&any([0; 8])).encode());
    let (made, rest) = Record::stream(any(RecordType::Stdout), id(), bytes());
    any(rest);
    record(&mut any(made));
}

#[inline(never)]
fn record(record: &mut Record<'_>) {
    record.advance(any(0));
    any(record.copy_to(buffer()));
    any((record.slices(), record.remaining()));
}

#[inline(never)]
fn pair_record(record: &mut PairRecord<'_>) {
    record.advance(any(0));
    any(record.copy_to(buffer()));
    any((record.slices(), record.remaining()));
}

#[inline(never)]
fn control(control: &mut Control) {
    control.advance(any(0));
    any(control.copy_to(buffer()));
    any((control.remaining(), &**control));
}

#[inline(never)]
fn pairs() {
    any(Pairs::new(bytes()).get(bytes()));
    let _ = any(Pairs::new(bytes()).check());
    any(pair::encoded_len(bytes(), bytes()));
    let _ = any(pair::encode(bytes(), bytes(), buffer(), &mut any(0)));
    let mut packer = any(Packer::new([0; 100]));
    let _ = any(packer.push(bytes(), bytes()));
    any(packer.bytes());
    packer.clear();
    let mut params = any(Params::<100>::new());
    let _ = any((params.push(bytes()), params.finish()));
    any((params.get(bytes()), params.iter()));
    params.clear();
}

#[inline(never)]
fn decoders() {
    let mut records = any(decoder::Decoder::new());
    let _ = any(records.next(&mut bytes()));
    any((records.at_boundary(), records.missing()));
    let mut pairs = any(pair::Decoder::new());
    any(pairs.next(&mut bytes()));
    any(pairs.at_boundary());
}

#[inline(never)]
fn server<const N: usize>(connection: &mut server::Connection<N>) {
    use server::Connection;
    let mut input = bytes();
    any(connection.whole_request(&mut input));
    while let Ok(Some(event)) = connection.next_event(&mut input) {
        any(event);
    }
    any((connection.refusal(), connection.has_reply()));
    while let Some(mut reply) = connection.poll_reply() {
        control(any(&mut reply));
    }
    for output in [Connection::stdout, Connection::stderr] {
        if let Ok((mut made, rest)) = output(connection, id(), bytes()) {
            record(any(&mut made));
            any(rest);
        }
    }
    if let Ok(mut made) = connection.finish(id(), any(0)) {
        control(any(&mut made));
    }
    if let Ok(mut made) = connection.reject(id(), any(server::Refusal::Overloaded)) {
        control(any(&mut made));
    }
    any((connection.may_finish(id()), connection.is_active(id()), connection.drains_before_end(id())));
    any((connection.is_idle(), connection.is_finished()));
    let _ = any(connection.eof());
}

#[inline(never)]
fn client<const N: usize>(connection: &mut client::Connection<N>) {
    use client::Connection;
    if let Ok((id, mut made)) = connection.begin(any(Role::Responder), any(true)) {
        control(any(&mut made));
        any(id);
    }
    if let Ok(mut made) = connection.params(id(), bytes()) {
        record(any(&mut made));
    }
    if let Ok(mut made) = connection.param(id(), bytes(), bytes()) {
        pair_record(any(&mut made));
    }
    for input in [Connection::stdin, Connection::data] {
        if let Ok((mut made, rest)) = input(connection, id(), bytes()) {
            record(any(&mut made));
            any(rest);
        }
    }
    for other in [Connection::params_end, Connection::stdin_end, Connection::data_end, Connection::abort] {
        if let Ok(mut made) = other(connection, id()) {
            control(any(&mut made));
        }
    }
    control(any(&mut connection.get_values()));
    let mut input = bytes();
    while let Ok(Some(event)) = connection.next_event(&mut input) {
        any(event);
    }
    let _ = any((connection.eof(), connection.is_active(id()), connection.is_reusable()));
    connection.active().for_each(|id| _ = any(id));
    any(connection.take_odd());
}

fn now() -> Duration {
    any(Duration::ZERO)
}

#[inline(never)]
fn asking<const N: usize>(session: &mut client::Session<N>) {
    let mut ask = client::Ask::new(bytes());
    (ask.role, ask.keep_conn, ask.repeatable) = any((Role::Responder, true, true));
    (ask.stdin, ask.data) = any((0, 0));
    let Ok((request, mut made)) = session.begin(ask, now()) else { return };
    control(any(&mut made));
    if let Ok((request, mut made)) = session.get_values(now()) {
        control(any(&mut made));
        any(request.place());
    }
    let request = any(request);
    if let Ok(mut made) = session.params(request, bytes()) {
        record(any(&mut made));
    }
    if let Ok(mut made) = session.param(request, bytes(), bytes()) {
        pair_record(any(&mut made));
    }
    if let Ok(mut made) = session.params_end(request) {
        control(any(&mut made));
    }
    any(session.wants(request));
    if let Ok((piece, rest)) = session.write(request, bytes(), now()) {
        any((piece.slices(), piece.remaining(), rest));
    }
    session.sent(any(0), now());
    session.unwritable(now());
    let mut input = bytes();
    while let Some(came) = session.receive(&mut input, now()) {
        any(came);
    }
    session.took(request, any(0), now());
    session.head(request, any(0));
    let _ = any((session.poll(request, now()), session.may_be_refused(request), session.again(request)));
    any((session.expire(now()), session.next(), session.is_reusable(), session.open()));
    any((session.is_answered(), session.take_odd()));
    let mut manners = any(client::Manners::default());
    manners.learn(session, request, now());
    any(manners.may_use(session, &ask, now(), now()));
    control(any(&mut session.leave(request, now())));
    session.waited();
    session.end_of_input();
    session.broken();
}

#[inline(never)]
fn pages() {
    let mut page = any(client::Page::new([0; 100], bytes()));
    let _ = any((page.skim(bytes()), page.wanted(bytes()), page.is_whole()));
    page.take(any(0));
    any(page.head().is_complete());
}

#[inline(never)]
fn heads() {
    let mut head = any(Head::new([0; 100]));
    let status = any(Status::OK);
    let _ = any((head.start(status), head.field(bytes(), bytes()), head.adopt(bytes())));
    let _ = any((head.status(), head.bytes()));
    let _ = any(head.finish());
    any(any(HeadEnd::default()).find(bytes()));
    any((Status::new(any(0)), status.reason(), status.has_body(any(None)), cgi::is_hop_by_hop(bytes())));
}

#[inline(never)]
fn response_heads() {
    let mut head = any(ResponseHead::new([0; 100]));
    let _ = any((head.push(bytes()), head.finish()));
    any((head.is_complete(), head.status(), head.reason(), head.get(bytes())));
    any((head.location(), head.local_redirect(), head.has_body(bytes())));
    let _ = any(head.content_length());
    if let Ok(mut body) = ResponseBody::new(&head, bytes()) {
        any(body.wanted(any(0)));
        body.take(any(0));
        let _ = any((body.skip(any(0)), body.missing()));
    }
    head.fields().for_each(|field| _ = any(field));
    if let Ok(cgi::Decision::Allowed(variables)) = head.decision() {
        variables.for_each(|variable| _ = any(variable));
    }
    head.clear();
}

#[inline(never)]
fn targets() {
    any(Target::parse(bytes()));
    let _ = any(cgi::decode_path(bytes(), buffer()));
    let mut request = Variables::new(bytes(), bytes());
    for field in [
        &mut request.protocol,
        &mut request.server_name,
        &mut request.server_software,
        &mut request.script_name,
        &mut request.path_info,
        &mut request.path_translated,
        &mut request.script_filename,
        &mut request.document_root,
        &mut request.auth_type,
        &mut request.remote_user,
        &mut request.redirect_status,
    ] {
        *field = bytes();
    }
    (request.authority, request.content_length) = any((None, None));
    (request.https, request.authorization) = any((false, false));
    (request.data_last_mod, request.data_length) = any((0, 0));
    request.extra = any::<&[_]>(&[]);
    let sink = |name: &[u8], value: Value<'_>| -> Result<(), VariablesError> {
        any((name, value.len(), value.is_empty()));
        any(value.whole(buffer()));
        any(Ok(()))
    };
    let _ = any(request.emit(any(Role::Responder), any::<&[_]>(&[]), sink));
}

/// Where texts go.
struct Nowhere;

impl Write for Nowhere {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        any(text);
        any(Ok(()))
    }
}

#[inline(never)]
fn texts() {
    let version = ConnectionError::Version { found: any(0) };
    let inactive = server::SendError::Inactive { id: id() };
    let full = client::SendError::Full { capacity: any(0) };
    let _ = any(write!(Nowhere, "{} {} {}", any(version), any(inactive), any(full)));
    let _ = any(write!(Nowhere, "{} {}", any(Role::Responder), any(Status::OK)));
}
