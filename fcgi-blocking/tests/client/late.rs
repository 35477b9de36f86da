//! What an application sends behind the end of a request, and ends that are none: nothing of it reaches the next
//! request.

use std::io::Write;
use std::sync::mpsc;

use crate::adapter::{Client, Response};
use crate::lines::of;
use crate::script::{App, Peer, answer, ask, cut, end, page, stdout, text};
use crate::support::said::listen;
use crate::support::{PATIENCE, record};
use fcgi_blocking::{ClientError, Params, Status};
use fcgi_proto::client::Failure;
use fcgi_proto::record::{ProtocolStatus, RecordType};

const COOKIE: &str =
    "Set-Cookie: session=of-the-first-user\r\nContent-Type: text/plain\r\n\r\nof the first user";

/// What comes late, for the first request of a connection.
fn late() -> [Vec<u8>; 3] {
    [
        answer(COOKIE),
        [record(RecordType::Stderr, 1, b"late"), stdout("LATE OUTPUT")].concat(),
        [stdout(COOKIE), end(0, 0), end(0, 0)].concat(),
    ]
}

/// It is the second request's own answer.
#[track_caller]
fn assert_own(mut response: Response<'_>) {
    assert_eq!((text(&mut response), response.field("Set-Cookie")), ("ok".to_owned(), None));
    assert_eq!(response.take_stderr(), b"");
}

#[test]
fn a_late_record_before_the_next_request_costs_the_connection_and_a_line_in_the_log() {
    listen();
    for late in late() {
        let (sender, sent) = mpsc::channel();
        let play = move |number, peer: &mut Peer| match number {
            1 => {
                peer.serve(page("one"));
                peer.send(&late);
                sender.send(()).expect("the test waits");
                peer.assert_closed();
            }
            _ => drop(peer.serve(page("ok"))),
        };
        for app in [App::unix(play.clone()), App::tcp(play.clone())] {
            let mut client = app.client();
            assert_eq!(text(&mut ask(&mut client)), "one");
            sent.recv_timeout(PATIENCE).expect("it is sent");
            assert_own(ask(&mut client));
            assert_eq!(app.connections(), 2);
            let said = of(&app);
            assert!(said.len() == 1 && said[0].contains("the connection is not used again"), "{said:?}");
            assert!(said[0].contains("GET /"), "{said:?}");
        }
    }
}

#[test]
fn a_late_record_after_the_next_request_began_reaches_nobody() {
    listen();
    for late in late() {
        let play = move |number, peer: &mut Peer| match number {
            1 => {
                peer.serve(page("one"));
                peer.request();
                // With the first request's id.
                peer.stream.write_all(&late).expect("it is read");
                peer.send(stdout("A: b\r\n\r\no"));
                peer.stream.write_all(&late).expect("it is read");
                peer.send([stdout("k"), end(0, 0)].concat());
                peer.assert_closed();
            }
            _ => drop(peer.serve(page("next"))),
        };
        for app in [App::unix(play.clone()), App::tcp(play)] {
            let mut client = app.client();
            assert_eq!(text(&mut ask(&mut client)), "one");
            assert_own(ask(&mut client));
            assert_eq!(text(&mut ask(&mut client)), "next");
            assert_eq!(app.connections(), 2, "more may come on the first");
            let said = of(&app);
            assert_eq!(said.len(), 1, "{said:?}");
        }
    }
}

#[test]
fn an_end_of_0_2_or_16_bytes_behind_a_whole_answer_costs_the_connection_and_not_the_answer() {
    let lengths = [0, 2, 16];
    for app in App::both(move |number, peer| {
        let last = record(RecordType::EndRequest, 1, &vec![0; lengths[(number - 1) % 3]]);
        peer.serve([stdout("Content-Length: 5\r\n\r\nwhole"), last].concat());
        peer.assert_closed();
    }) {
        let mut client = app.client();
        for number in 1..=6 {
            let mut response = ask(&mut client);
            assert_eq!(text(&mut response), "whole");
            assert!(response.end().is_some());
            drop(response);
            assert_eq!(app.connections(), number);
        }
    }
}

#[test]
fn status_2_3_or_99_behind_a_part_of_an_answer_is_a_cut_one_and_1_behind_a_whole_one_success() {
    listen();
    let app = App::unix(|number, peer| {
        let status = [2, 3, 99, 1][number - 1];
        peer.serve([stdout("A: b\r\n\r\npart"), end(0, status)].concat());
    });
    let mut client = app.client();
    for status in [2, 3, 99] {
        let (body, error) = cut(ask(&mut client));
        assert_eq!(body, "part");
        let expected = Failure::Cut { protocol_status: status };
        assert!(matches!(error, ClientError::Failed(found) if found == expected), "{error:?}");
        assert_eq!(error.status(), Status::BAD_GATEWAY);
    }
    let mut response = ask(&mut client);
    assert_eq!(text(&mut response), "part");
    assert_eq!(response.end().and_then(|end| end.refusal), None);
    let said = of(&app);
    assert!(said.len() == 3 && said.iter().all(|line| line.contains("protocol status")), "{said:?}");
}

#[test]
fn a_refusal_with_an_answer_beside_it_is_one() {
    let busy = "Status: 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\nbusy";
    let app = App::unix(move |_, peer| drop(peer.serve([stdout(busy), end(0, 2)].concat())));
    let mut client: Client = app.client();
    let mut response = client.request(Params::get("/")).send().expect("the answer");
    assert_eq!((response.status(), text(&mut response)), (Status::SERVICE_UNAVAILABLE, "busy".to_owned()));
    assert_eq!(response.end().and_then(|end| end.refusal), Some(ProtocolStatus::Overloaded));
}
