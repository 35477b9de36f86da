//! A server's session for those who keep what is to be sent in a buffer of their own: the same bytes as the other
//! calls make, and the same waits.

mod support;

use std::task::Poll;
use std::time::Duration;

use fcgi_proto::Limits;
use fcgi_proto::cgi::Answer;
use fcgi_proto::server::session::{
    End, Exchange, Input, Patience, Request, Session, Stopped, Stream, Write, WriteError,
};
use support::*;

const NOW: Duration = Duration::ZERO;
const HEAD: &[u8] = b"Status: 200 OK\r\nContent-Type: a/b\r\n\r\n";

fn session() -> Session<1> {
    Session::new(Limits::new(), &Patience::new())
}

/// A request that starts, and what it asks and is answered with.
fn started(session: &mut Session<1>, mut input: &[u8]) -> Option<(Request, Exchange)> {
    let (mut exchanges, mut started) = (Vec::new(), None);
    while let Some(came) = session.take_in(&mut exchanges, &mut input, NOW) {
        match came {
            Input::Start { request } => {
                assert_eq!(request, came.request());
                started = exchanges[request.slot()].take().map(|exchange| (request, exchange));
            }
            other => assert_eq!(other, Input::Over { request: other.request() }),
        }
    }
    started
}

#[test]
fn a_request_of_a_table_of_exchanges_starts_with_all_its_parameters() {
    let (request, exchange) = started(&mut session(), &Client::new().request(1, KEEP)).expect("it starts");
    assert_eq!(request.id().get(), 1);
    assert!(exchange.params.iter().eq(fcgi_proto::pair::Pairs::new(&get())));
}

#[test]
fn a_table_of_exchanges_has_no_room_for_other_roles() {
    for role in [FILTER, AUTHORIZER] {
        let (mut session, mut out) = (session(), Vec::new());
        let bytes = Client::new().begin(1, role, KEEP).params(1, &get()).params(1, b"");
        assert!(started(&mut session, &bytes).is_none());
        session.output_into(&mut out);
        let text = String::from_utf8_lossy(&out);
        assert!(text.contains("503"), "{text}");
        assert!(session.poll_output().is_none(), "all of it is there");
    }
}

#[test]
fn an_answer_is_the_same_in_a_buffer_as_in_parts() {
    let page = [HEAD, &[b'x'; 100_000]].concat();
    let mut outs = [Vec::new(), Vec::new()];
    for (out, into) in outs.iter_mut().zip([false, true]) {
        let mut session = session();
        let begun = started(&mut session, &Client::new().request(1, KEEP)).expect("it starts");
        let (request, Exchange { mut answer, .. }) = begun;
        let mut rest = &page[..];
        while !rest.is_empty() {
            let before = out.len();
            if into {
                let poll = session.write_into(request, &mut answer, &mut rest, out, NOW);
                assert_eq!(poll, if rest.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending });
            } else {
                match session.write(request, &mut answer, rest, NOW).expect("it may be written") {
                    Write::Taken(count) => rest = &rest[count..],
                    Write::Send(batch) => {
                        out.extend(batch.slices().concat());
                        rest = &rest[batch.taken..];
                        answer.sent();
                    }
                    Write::Wait => panic!("nothing waits"),
                }
            }
            session.sent(out.len() - before, NOW);
        }
        assert_eq!(session.finish_answer(request, &mut answer, None, NOW), Ok(()));
        if into {
            assert_eq!(session.end_into(request, &mut answer, 3, out), Poll::Ready(()));
            assert_eq!(session.end_into(request, &mut answer, 3, out), Poll::Ready(()), "it is over");
        } else {
            let End::Last(end) = session.end_answer(request, &mut answer, 3) else { panic!("it may end") };
            out.extend_from_slice(end);
        }
    }
    let [parts, buffer] = outs;
    assert!(buffer.len() > page.len());
    assert_eq!(parts, buffer);
}

#[test]
fn a_write_that_cannot_leave_takes_what_it_can_and_an_error_is_told() {
    let (mut session, mut out) = (session(), Vec::new());
    let begun = started(&mut session, &Client::new().head(1, KEEP)).expect("it starts");
    let (request, Exchange { mut answer, .. }) = begun;
    let page = [HEAD, &[b'x'; 100_000]].concat();
    let mut rest = &page[..];
    assert!(session.write_into(request, &mut answer, &mut rest, &mut out, NOW).is_pending());
    assert!(out.is_empty() && rest.len() == 100_000, "its input is to be read first");
    assert!(session.end_into(request, &mut answer, 0, &mut out).is_pending(), "its handler is not done");
    session.unwritable();
    let stopped = Err(WriteError::Stopped(Stopped::Broken));
    assert_eq!(session.write_into(request, &mut answer, &mut rest, &mut out, NOW), Poll::Ready(stopped));
    assert_eq!(WriteError::Stopped(Stopped::Broken).to_string(), Stopped::Broken.to_string());
}

#[test]
fn a_body_is_kept_up_to_its_room_and_what_has_none_comes_again() {
    let (mut session, mut kept) = (session(), Vec::new());
    let (request, _) = started(&mut session, &Client::new().head(1, KEEP)).expect("it starts");
    let bytes = Client::new().stdin(1, b"0123456789").stdin(1, b"");
    let mut input = &bytes[..];
    assert!(session.read_from(request, Stream::Stdin, &mut kept, NOW).is_pending());
    let Some(Input::Body { data, .. }) = session.receive(&mut input, NOW) else { panic!("a body came") };
    let over = session.keep_into(data, &mut kept, 4);
    assert_eq!((over, &kept[..]), (6, &b"0123"[..]));
    input = &bytes[bytes.len() - input.len() - over..];
    assert_eq!(session.receive(&mut input, NOW), None, "there is no room");
    let read = session.read_from(request, Stream::Stdin, &mut kept, NOW);
    assert_eq!(read, Poll::Ready(Ok(b"0123".to_vec())));
    assert!(matches!(session.receive(&mut input, NOW), Some(Input::Body { data: b"456789", .. })));
    assert_eq!(session.keep_into(b"456789", &mut kept, 64), 0);
    while session.receive(&mut input, NOW).is_some() {}
    let read = session.read_from(request, Stream::Stdin, &mut kept, NOW);
    assert_eq!(read, Poll::Ready(Ok(b"456789".to_vec())));
    assert_eq!(session.read_from(request, Stream::Stdin, &mut kept, NOW), Poll::Ready(Ok(Vec::new())));
    session.unwritable();
    assert_eq!(session.end_into(request, &mut Answer::new(128), 0, &mut Vec::new()), Poll::Pending);
}
