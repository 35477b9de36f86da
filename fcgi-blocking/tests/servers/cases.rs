//! What clients send and what comes back: the cases of `fixtures/requests.txt`.

use std::collections::BTreeMap;

use fcgi_proto::record::{EndRequest, RecordType};

use crate::app::handle;
use crate::support::fixture::{cases, other_record};
use crate::support::{Answer, Call, Client, Running, abort, read_record, record, settings};

const CASES: &str = include_str!("../fixtures/requests.txt");

/// The bytes of a step of a case.
fn bytes(step: &str) -> Vec<u8> {
    let mut words = step.splitn(4, ' ');
    let word = words.next().expect("a word");
    let id = words.next().and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no id: {step}"));
    let (path, text) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match word {
        "get" => Call::get(path).id(id).bytes(),
        "last" => Call::get(path).id(id).closing().bytes(),
        "post" => Call::post(path, text).id(id).bytes(),
        "open" => Call::post(path, "").id(id).opening(),
        "stdin" => record(RecordType::Stdin, id, path.as_bytes()),
        "abort" => abort(id),
        "begin" => {
            let mut call = Call::get("/").id(id);
            call.role = path.parse().expect("a role");
            call.opening()
        }
        "cookie" => {
            Call::get("/").param("HTTP_COOKIE", vec![b'c'; path.parse().expect("a number")]).id(id).bytes()
        }
        _ => other_record(step),
    }
}

/// What comes, as the table has it; read until as many things came, or the end.
fn comes(client: &mut Client, count: usize) -> String {
    let mut open = BTreeMap::<u16, Answer>::new();
    let mut came = Vec::new();
    while came.len() < count {
        let Some(record) = read_record(&mut client.stream).expect("a record in time") else {
            let cut = open.iter().map(|(id, answer)| format!("{id} {} cut", answer.status()));
            let closed = if open.is_empty() { vec!["closed".to_owned()] } else { cut.collect() };
            came.extend(closed);
            break;
        };
        let answer = open.entry(record.id);
        match record.record_type {
            RecordType::Stdout => answer.or_default().stdout.extend(record.content),
            RecordType::Stderr => answer.or_default().stderr.extend(record.content),
            RecordType::GetValuesResult => came.push("values".to_owned()),
            RecordType::UnknownType => came.push(format!("unknown {}", record.content[0])),
            RecordType::EndRequest => {
                let answer = open.remove(&record.id).unwrap_or_default();
                let body = record.content.as_slice().try_into().expect("8 bytes of END_REQUEST");
                let EndRequest { app_status, protocol_status } = EndRequest::parse(body);
                let status =
                    if answer.stdout.is_empty() { "bare".into() } else { answer.status().to_string() };
                came.push(format!("{} {status} ({app_status},{protocol_status})", record.id));
            }
            other => panic!("{other:?}"),
        }
    }
    came.join("; ")
}

#[test]
fn what_clients_send_is_answered_as_the_table_says() {
    let (mut count, mut wrong) = (0, Vec::new());
    for server in Running::both(settings(|settings| settings.limits.params = 1000), handle) {
        for [name, sent, expected] in cases(CASES) {
            let mut client = server.connect();
            client.send(sent.split("; ").flat_map(bytes).collect::<Vec<_>>());
            let came = comes(&mut client, expected.split("; ").count());
            if came != expected {
                wrong.push(format!("{name}: {came}, not {expected}"));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 30, "{count} cases");
}
