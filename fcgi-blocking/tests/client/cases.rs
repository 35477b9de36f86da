//! What applications send and what becomes of it: the cases of `fixtures/applications.txt`.

use std::io::Read;

use crate::script::{App, Peer, page, text};
use crate::support::fixture::{cases, other_record, unescape};
use crate::support::record;
use fcgi_blocking::Params;
use fcgi_proto::record::RecordType;

const CASES: &str = include_str!("../fixtures/applications.txt");

/// Sends what the application of a case sends; whether its connection goes on.
fn play(peer: &mut Peer, sent: &str) -> bool {
    let mut all = Vec::new();
    for step in sent.split("; ") {
        let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
        let rest = unescape(&rest.replace("{H}", "Content-Type: text/plain\\r\\n\\r\\n"));
        match word {
            "out" => all.extend(record(RecordType::Stdout, 1, &rest)),
            "err" => all.extend(record(RecordType::Stderr, 1, &rest)),
            "end" => {
                let [app, protocol] = [0, 1].map(|at| step.split(' ').nth(at + 1).expect("two numbers"));
                let [app, protocol] = [app, protocol].map(|number| number.parse().expect("a number"));
                all.extend(record(RecordType::EndRequest, 1, &[0, 0, 0, app, protocol, 0, 0, 0]));
            }
            "raw" => all.extend(rest),
            "close" => {
                peer.send(&all);
                return false;
            }
            _ => all.extend(other_record(step)),
        }
    }
    peer.send(&all);
    true
}

#[test]
fn what_odd_applications_send_becomes_what_the_table_says() {
    let (mut count, mut wrong) = (0, Vec::new());
    for [name, sent, expected] in cases(CASES) {
        let app = App::unix(move |number, peer| {
            let mut odd = number == 1;
            while peer.try_request().is_some() {
                if !odd {
                    peer.send(page("next"));
                } else if !play(peer, sent) {
                    return;
                }
                odd = false;
            }
        });
        let mut client = app.client();
        let got = match client.request(Params::get("/")).send() {
            Err(_) => "error".to_owned(),
            Ok(mut response) => {
                let mut body = Vec::new();
                let end = if response.read_to_end(&mut body).is_ok() { "whole" } else { "cut" };
                format!("{end} {}", String::from_utf8(body).expect("text"))
            }
        };
        let mut next =
            client.request(Params::get("/next")).send().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(text(&mut next), "next", "{name}");
        drop(next);
        let connection = if app.connections() == 1 { "kept" } else { "new" };
        // Where either will do the table does not say.
        let got = format!("{got} {connection}");
        if !got.starts_with(expected) {
            wrong.push(format!("{name}: {got}, not {expected}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 25, "{count} cases");
}
