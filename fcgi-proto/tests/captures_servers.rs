//! What real applications answered (`captures/servers`), every file whole, byte by byte and in random cuts,
//! to a connection that has sent the same requests (`captures/cases`), against a plain reading of the records.

mod support;
#[path = "support/client.rs"]
mod web_server;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use fcgi_proto::client::{Connection, Event};
use fcgi_proto::record::{RequestId, Role};
use fcgi_proto::{ConnectionError, Limits};
use support::{ABORT, BEGIN, END, GET_VALUES, GET_VALUES_RESULT, STDERR, STDOUT, UNKNOWN_TYPE, Wire, walk};
use web_server::*;

const SERVERS: [&str; 7] = ["fcgiwrap", "flup6", "go", "libfcgi-fcgx", "node", "perl-fcgi", "php-fpm"];

/// As many slots as the largest id that is worth it. In one case requests come with the ids 1, 2, 258 and
/// 65535; a client that takes its ids in turn would need 65535 requests at once for the last, so here that one
/// is an answer that nobody asked for.
const SLOTS: usize = 258;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures")
}

fn answer_bytes(server: &str, case: &str) -> Vec<u8> {
    let path = folder().join(format!("servers/{server}/{case}.from-app.bin"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cases that the application answered with at least a byte.
fn cases(server: &str) -> Vec<String> {
    let entries = fs::read_dir(folder().join("servers").join(server)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut cases: Vec<_> =
        names.filter_map(|name| name.strip_suffix(".from-app.bin").map(str::to_owned)).collect();
    cases.sort();
    cases
}

/// What the client of a case did, as far as a client of this crate can do it.
#[derive(Clone, Debug, Default)]
struct Case {
    /// KEEP_CONN and the role of each request, by its id; the ones after the first are sent when the one
    /// before has ended.
    requests: BTreeMap<u16, VecDeque<(bool, Role)>>,
    aborts: Vec<u16>,
    /// GET_VALUES records.
    asked: usize,
    /// The ids that the connection takes for those of the case, which are taken again at once there.
    taken: BTreeMap<u16, u16>,
    /// The other way round.
    meant: BTreeMap<u16, u16>,
}

impl Case {
    /// Reads the case. Roles that there are not are sent as a Responder's, and requests with id 0 with id 1.
    fn read(name: &str) -> Self {
        let Ok(bytes) = fs::read(folder().join(format!("cases/{name}.to-app.bin"))) else {
            // The cases of more than 100 KB are not kept. One request each, but for one.
            let count = if name == "noread_stdin_500k" { 2 } else { 1 };
            let requests = BTreeMap::from([(1, VecDeque::from(vec![(true, Role::Responder); count]))]);
            return Self { requests, ..Self::default() };
        };
        let mut case = Self::default();
        for Wire { kind, id, content, .. } in walk(&bytes).0 {
            let id = id.max(1);
            match (kind, &content[..]) {
                (BEGIN, [role1, role0, flags, ..]) => {
                    let role = Role::from_wire(u16::from_be_bytes([*role1, *role0]));
                    let request = (flags & 1 == 1, role.unwrap_or(Role::Responder));
                    case.requests.entry(id).or_default().push_back(request);
                }
                (ABORT, _) if case.requests.contains_key(&id) => case.aborts.push(id),
                (GET_VALUES, _) => case.asked += 1,
                _ => {}
            }
        }
        case
    }

    /// Sends each id's first request. For ids that the case leaves out there are requests that nobody answers.
    fn start(&mut self, connection: &mut Connection<SLOTS>) {
        for _ in 0..self.asked {
            let _ = connection.get_values();
        }
        let largest = self.requests.keys().copied().filter(|id| usize::from(*id) <= SLOTS).max().unwrap_or(0);
        for number in 1..=largest {
            let request = self.requests.get_mut(&number).and_then(VecDeque::pop_front);
            self.send(connection, number, request.unwrap_or((true, Role::Responder)));
        }
        for number in &self.aborts {
            let _ = connection.abort(RequestId::new(*number).unwrap()).unwrap();
        }
    }

    /// Sends the next request with the id, if there is one and the connection takes it.
    fn after(&mut self, connection: &mut Connection<SLOTS>, event: &Event<'_>) {
        let Event::End { id, .. } = event else { return };
        let number = self.meant[&id.get()];
        if connection.is_reusable() {
            if let Some(request) = self.requests.get_mut(&number).and_then(VecDeque::pop_front) {
                self.send(connection, number, request);
            }
        }
    }

    fn send(&mut self, connection: &mut Connection<SLOTS>, number: u16, (keep_conn, role): (bool, Role)) {
        let (id, _) = Ask { keep_conn, role, ..GET }.send(connection);
        self.taken.insert(number, id.get());
        self.meant.insert(id.get(), number);
    }

    /// The answers to the case, with the ids that the connection takes in turn.
    fn renumber(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut connection = Connection::new(Limits::default());
        self.start(&mut connection);
        let (records, rest) = walk(bytes);
        let mut renumbered = Vec::new();
        for Wire { version, kind, id, content, padding, reserved } in records {
            let [id1, id0] = self.taken.get(&id).unwrap_or(&id).to_be_bytes();
            let [length1, length0] = u16::try_from(content.len()).unwrap().to_be_bytes();
            let header = [version, kind, id1, id0, length1, length0, padding.len() as u8, reserved];
            let record = [&header, &content[..], &padding].concat();
            let mut input = &record[..];
            while let Ok(Some(event)) = connection.next_event(&mut input) {
                self.after(&mut connection, &event);
            }
            renumbered.extend(record);
        }
        renumbered.extend(rest);
        renumbered
    }
}

/// The driver's view of a file.
fn replay(server: &str, case: &str) -> Transcript {
    let read = Case::read(case);
    let mut renumbering = read.clone();
    let bytes = renumbering.renumber(&answer_bytes(server, case));
    let now = RefCell::new(read.clone());
    let mut t = check_all(
        Limits::default(),
        &|connection| {
            *now.borrow_mut() = read.clone();
            now.borrow_mut().start(connection);
        },
        &|connection, event| now.borrow_mut().after(connection, event),
        &bytes,
    );
    for event in &mut t.events {
        if let Seen::Bytes { id, .. } | Seen::Ended { id, .. } | Seen::End { id, .. } = event {
            *id = renumbering.meant[id];
        }
    }
    t.active.iter_mut().for_each(|id| *id = renumbering.meant[id]);
    t
}

/// What is to be seen of a file, from whole records and the rules alone.
fn plain_reading(server: &str, case: &str) -> (Vec<Seen>, Option<ConnectionError>, bool) {
    let Case { mut requests, aborts, mut asked, .. } = Case::read(case);
    let bytes = answer_bytes(server, case);
    let (records, rest) = walk(&bytes);
    assert!(rest.is_empty(), "{server}/{case} ends inside a record");
    let largest = requests.keys().copied().filter(|id| usize::from(*id) <= SLOTS).max().unwrap_or(0);
    // Whether something came on STDOUT, of the active ones.
    let mut active = BTreeMap::new();
    let mut kept = aborts.is_empty();
    for id in 1..=largest {
        active.insert(id, false);
        kept &= requests.get_mut(&id).and_then(VecDeque::pop_front).is_none_or(|(keep, _)| keep);
    }
    let mut seen = Vec::new();
    for Wire { version, kind, id, content, .. } in records {
        assert_eq!(version, 1, "{server}/{case}");
        // Nothing may come while nothing is asked.
        kept &= !active.is_empty() || asked > 0;
        match kind {
            STDOUT | STDERR | END if id == 0 => {
                return (seen, Some(ConnectionError::NullRequestId { record_type: kind }), false);
            }
            STDOUT | STDERR | END if !active.contains_key(&id) => kept = false,
            STDOUT | STDERR if content.is_empty() => seen.push(Seen::Ended { kind, id }),
            STDOUT | STDERR => {
                if kind == STDOUT {
                    active.insert(id, true);
                }
                match seen.last_mut() {
                    Some(Seen::Bytes { kind: before, id: of, data }) if (*before, *of) == (kind, id) => {
                        data.extend(content);
                    }
                    _ => seen.push(Seen::Bytes { kind, id, data: content }),
                }
            }
            END => {
                let answered = active.remove(&id).unwrap();
                let app_status = u32::from_be_bytes(*content.first_chunk().unwrap());
                seen.push(Seen::End { id, app_status, protocol_status: content[4], answered });
                kept &= content[4] == 0;
                if let Some((keep, _)) = requests.get_mut(&id).filter(|_| kept).and_then(VecDeque::pop_front)
                {
                    active.insert(id, false);
                    kept &= keep;
                }
            }
            GET_VALUES_RESULT if asked > 0 => {
                asked -= 1;
                seen.push(Seen::Values { data: content, whole: true });
            }
            UNKNOWN_TYPE => seen.push(Seen::UnknownType(content[0])),
            GET_VALUES_RESULT => {}
            kind => panic!("{server}/{case}: type {kind}"),
        }
    }
    (seen, None, kept)
}

/// A head, as its lines, and a body.
fn split(answer: &[u8]) -> (Vec<String>, Vec<u8>) {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head's end");
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    (head.split("\r\n").map(str::to_owned).collect(), answer[end + 4..].to_vec())
}

/// The head lines that an application's answers begin with.
fn head_lines(server: &str) -> &'static [&'static str] {
    match server {
        "go" => &["Status: 200 OK", "Content-Type: text/plain; charset=utf-8", "Date: "],
        "node" => &["Status: 200 OK", "Content-Type: text/plain", "Date: ", "Connection: "],
        "flup6" => &["Status: 200 OK", "Content-Type: text/plain"],
        "php-fpm" => &["X-Powered-By: PHP/8.2.35", "Content-type: text/plain;charset=UTF-8"],
        _ => &["Content-Type: text/plain"],
    }
}

/// The body of the only request of a case, after its head was checked.
fn body(server: &str, case: &str) -> String {
    let t = replay(server, case);
    assert_eq!((t.error, t.eof), (None, Ok(())), "{server}/{case}");
    assert!(t.active.is_empty(), "{server}/{case}: {}", t.story());
    let (head, body) = split(&t.stdout(1));
    let expected = head_lines(server);
    assert!(
        head.iter().zip(expected).all(|(line, start)| line.starts_with(start)),
        "{server}/{case}: {head:?}"
    );
    assert!(head.len() >= expected.len());
    String::from_utf8(body).unwrap()
}

/// The application and protocol statuses of all END_REQUEST, each of an answered request.
fn ends(t: &Transcript) -> Vec<(u16, u32, u8)> {
    let end = |event: &Seen| match *event {
        Seen::End { id, app_status, protocol_status, answered } => {
            assert!(answered);
            Some((id, app_status, protocol_status))
        }
        _ => None,
    };
    t.events.iter().filter_map(end).collect()
}

fn every_answer_is_read_as_it_was_sent(server: &str) {
    let cases = cases(server);
    assert!(cases.len() > 80, "{server}: {} files", cases.len());
    for case in cases {
        let t = replay(server, &case);
        let (events, error, kept) = plain_reading(server, &case);
        assert!(t.events == events, "{server}/{case}: {}", t.story());
        assert_eq!((t.error, t.eof), (error, error.map_or(Ok(()), Err)), "{server}/{case}");
        assert_eq!(t.is_reusable, kept, "{server}/{case}: {}", t.story());
    }
}

#[test]
fn every_answer_of_fcgiwrap_is_read_as_it_was_sent() {
    every_answer_is_read_as_it_was_sent("fcgiwrap");
}

#[test]
fn every_answer_of_flup_is_read_as_it_was_sent() {
    every_answer_is_read_as_it_was_sent("flup6");
}

#[test]
fn every_answer_of_go_is_read_as_it_was_sent() {
    every_answer_is_read_as_it_was_sent("go");
}

#[test]
fn every_answer_of_libfcgi_is_read_as_it_was_sent() {
    every_answer_is_read_as_it_was_sent("libfcgi-fcgx");
}

#[test]
fn every_answer_of_node_is_read_as_it_was_sent() {
    every_answer_is_read_as_it_was_sent("node");
}

#[test]
fn every_answer_of_perl_is_read_as_it_was_sent() {
    every_answer_is_read_as_it_was_sent("perl-fcgi");
}

#[test]
fn every_answer_of_php_fpm_is_read_as_it_was_sent() {
    every_answer_is_read_as_it_was_sent("php-fpm");
}

#[test]
fn a_get_on_a_connection_that_is_not_kept() {
    let lengths = [650, 463, 286, 481, 456, 462, 520];
    for (server, length) in SERVERS.into_iter().zip(lengths) {
        let t = replay(server, "get_keep0");
        assert_eq!(ends(&t), [(1, 0, 0)], "{server}");
        assert!(!t.is_reusable);
        let body = body(server, "get_keep0");
        assert_eq!(body.len(), length, "{server}");
        assert!(body.contains("SERVER_SOFTWARE=lab/1\n") && body.contains("\nSTDIN 0 "), "{server}: {body}");
    }
}

#[test]
fn three_gets_on_a_kept_connection_with_one_id() {
    let get_length = |server: &str| replay(server, "get_keep0").stdout(1).len();
    for server in SERVERS {
        let t = replay(server, "get_keep1_twice");
        // node closes after the first, whatever KEEP_CONN says.
        let count = if server == "node" { 1 } else { 3 };
        assert_eq!(ends(&t), vec![(1, 0, 0); count], "{server}");
        let answers = t.stdout(1);
        assert_eq!(answers.len(), count * get_length(server), "{server}");
        if server != "go" {
            let (first, _) = answers.split_at(get_length(server));
            assert_eq!(answers, first.repeat(count), "{server}");
        }
        assert_eq!(t.is_reusable, server == "node", "the third was the last");
    }
}

#[test]
fn a_post_of_100_bytes_is_counted_and_its_first_60_echoed() {
    for server in SERVERS {
        assert_eq!(ends(&replay(server, "post_100")), [(1, 0, 0)], "{server}");
        let body = body(server, "post_100");
        assert!(body.contains(&format!("\nSTDIN 100 {}", "b".repeat(60))), "{server}: {body}");
        assert!(server == "go" || body.contains("CONTENT_LENGTH=100\n"));
    }
}

#[test]
fn a_post_of_three_full_records_is_counted() {
    for server in SERVERS {
        let body = body(server, "stdin_65535_records");
        assert!(body.contains("\nSTDIN 196605 qqqqq"), "{server}: {body}");
    }
}

#[test]
fn stderr_in_the_midst_of_20000_bytes() {
    for server in SERVERS {
        // Its log goes elsewhere, and the answer ends there without END_REQUEST.
        if server == "flup6" {
            let t = replay(server, "stderr_interleaved");
            assert_eq!((t.active, t.eof), (vec![1], Ok(())));
            continue;
        }
        let t = replay(server, "stderr_interleaved");
        let app_status = if server == "libfcgi-fcgx" { 42 } else { 0 };
        assert_eq!(ends(&t), [(1, app_status, 0)], "{server}");
        let body = body(server, "stderr_interleaved");
        let (dump, output) = body.split_at(body.len() - 20_000);
        assert!(dump.contains("\nSTDIN 0 ") && output.bytes().all(|byte| byte == b'x'), "{server}");
        let stderr = String::from_utf8(t.stderr(1)).unwrap();
        match server {
            "fcgiwrap" | "go" => assert!(stderr.is_empty()),
            "php-fpm" => assert_eq!(stderr, format!("PHP message: {}", "E".repeat(300))),
            "libfcgi-fcgx" => assert_eq!(stderr, "x".repeat(300)),
            _ => assert_eq!(stderr, "E".repeat(300), "{server}"),
        }
    }
}

#[test]
fn answers_to_130_and_300_kilobytes_of_parameters() {
    let lengths = [10_140, 9_953, 9_136, 11_361, 9_946, 9_952, 10_010];
    for (server, length) in SERVERS.into_iter().zip(lengths) {
        assert_eq!(body(server, "params_record_65528_pad0").len(), length, "{server}");
    }
    for (server, length) in [("fcgiwrap", 23_040), ("go", 21_176), ("perl-fcgi", 22_852)] {
        let t = replay(server, "params_300k");
        assert_eq!(ends(&t), [(1, 0, 0)]);
        assert_eq!(body(server, "params_300k").len(), length, "{server}");
    }
}

#[test]
fn requests_one_after_another_with_the_ids_1_2_and_258() {
    for server in SERVERS {
        let t = replay(server, "keep_ids_1_2_258_65535");
        if server == "node" {
            assert_eq!(ends(&t), [(1, 0, 0)]);
            continue;
        }
        assert_eq!(ends(&t), [(1, 0, 0), (2, 0, 0), (258, 0, 0)], "{server}");
        let answers = [1, 2, 258].map(|id| t.stdout(id).len());
        assert!(answers.iter().all(|length| *length == answers[0] && *length > 300), "{answers:?}");
        assert!(!t.is_reusable, "the answer to 65535 is nobody's");
    }
}

#[test]
fn an_exit_status_where_there_is_one() {
    for server in SERVERS {
        let app_status = if server == "libfcgi-fcgx" { 42 } else { 0 };
        assert_eq!(ends(&replay(server, "exit_status")), [(1, app_status, 0)], "{server}");
    }
}

#[test]
fn a_refused_role_is_told_apart() {
    for (server, app_status) in [("flup6", 0), ("go", 0), ("node", 1)] {
        let t = replay(server, "role_unknown");
        let end = Seen::End { id: 1, app_status, protocol_status: 3, answered: false };
        assert_eq!((&t.events[0], t.is_reusable), (&end, false), "{server}");
    }
}

#[test]
fn go_answers_two_requests_at_once_in_any_order() {
    let t = replay("go", "pipelined_ids_1_2");
    assert_eq!(ends(&t), [(2, 0, 0), (1, 0, 0)]);
    assert_eq!(t.stdout(1).len(), t.stdout(2).len());
    assert!(t.is_reusable);
}

#[test]
fn go_answers_get_values_twice() {
    let t = replay("go", "getvalues_then_request");
    let values = Seen::Values { data: b"\x0f\x01FCGI_MPXS_CONNS1".to_vec(), whole: true };
    assert_eq!(t.events[0], values);
    assert_eq!(t.events.iter().filter(|event| matches!(event, Seen::Values { .. })).count(), 1);
    assert_eq!(ends(&t), [(1, 0, 0)]);
    assert!(t.is_reusable);
}

#[test]
fn an_aborted_requests_answers_never_meet_the_next() {
    for server in SERVERS {
        let t = replay(server, "abort_reuse_id");
        let ends = t.events.iter().filter(|event| matches!(event, Seen::End { .. })).count();
        assert_eq!((ends, t.is_reusable), (1, false), "{server}: {}", t.story());
    }
}
