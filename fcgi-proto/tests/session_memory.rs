//! What a server's session costs: with an array no allocation, with a growing table one that is given back; how large
//! it is; and that requests that are taken at once are what the events tell.

mod session_support;
mod support;

use std::time::Duration;

use allocation_counter::measure;
use fcgi_proto::Limits;
use fcgi_proto::pair::Params;
use fcgi_proto::record::Role;
use fcgi_proto::server::session::{End, Input, Leave, Life, Patience, Read, Request, Stream};
use fcgi_proto::server::{Connection, Session};
use session_support::*;
use support::*;

/// Serves what comes with answers of a few bytes, all memory being there from the start; how many were answered.
fn serve<const N: usize>(
    session: &mut Session<N>,
    params: &mut Params<1024>,
    mut input: &[u8],
    now: Duration,
) -> usize {
    let mut answered = 0;
    let mut running: [Option<(Request, bool)>; 4] = [None; 4];
    loop {
        let mut goes_on = false;
        while let Some(event) = session.receive(&mut input, now) {
            goes_on = true;
            match event {
                Input::Begin { .. } => params.clear(),
                Input::Params { request, data } if params.push(data).is_err() => session.refuse_full(request),
                Input::Start { request } if params.finish().is_err() => session.refuse_malformed(request),
                Input::Start { request } => running[request.slot()] = Some((request, false)),
                _ => {}
            }
        }
        for place in &mut running {
            let Some((request, done)) = place else { continue };
            let read = session.read(*request, Stream::Stdin, now);
            if !*done && read != Ok(Read::Wait) {
                if let Ok(Some((record, _))) = session.stdout(*request, b"Status: 200 OK\r\n\r\n") {
                    session.sent(record.remaining(), now);
                    session.finish(*request, now);
                    (*done, goes_on) = (true, true);
                }
            }
            match session.end(*request, 0) {
                End::Last(control) => {
                    session.sent(control.len(), now);
                    (*place, answered, goes_on) = (None, answered + 1, true);
                }
                End::Over => *place = None,
                _ => {}
            }
        }
        while let Some(control) = session.poll_output() {
            session.sent(control.len(), now);
            goes_on = true;
        }
        session.poll_report();
        session.next(now);
        session.expire(now);
        if !goes_on {
            return answered;
        }
    }
}

#[test]
fn a_session_with_an_array_allocates_nothing() {
    let client =
        Client::new().request(1, KEEP).head(2, KEEP).get_values(VALUES).begin(3, RESPONDER, KEEP).abort(3);
    let client = client.stdin(2, &[7; 3000]).stdin(2, b"").begin(4, 9, KEEP).begin(4, RESPONDER, KEEP);
    let bytes = client.params(4, &[1; 2000]).record(99, 0, b"?").head(3, KEEP).abort(3).to_vec();
    let mut answered = 0;
    let counted = measure(|| {
        let mut session = Session::<4>::new(Limits::new(), &Patience::new());
        let mut params = Params::<1024>::new();
        for _ in 0..50 {
            answered += serve(&mut session, &mut params, &bytes, secs(1));
        }
        session.leave(Leave::Shutdown, secs(2));
        session.end_of_input();
        let next = session.next(secs(2));
        assert!(next.close, "{next:?} {session:?}");
    });
    assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
    assert_eq!(answered, 150, "two answers and an abort each time");
}

#[test]
fn a_growing_table_holds_what_runs_at_once_and_is_given_back() {
    let mut session = Session::<96, Vec<Life>>::growing(Limits::new(), &Patience::new());
    let counted = measure(|| {
        assert!(session.receive(&mut &b""[..], secs(1)).is_none());
        session.next(secs(1));
    });
    assert_eq!(counted.count_total, 0, "an idle connection has none");
    let requests =
        |ids: &[u16]| ids.iter().fold(Client::new(), |client, id| client.request(*id, KEEP)).to_vec();
    let run = |session: &mut Session<96, Vec<Life>>, bytes: &[u8]| {
        let mut input = bytes;
        let mut started = Vec::new();
        while let Some(event) = session.receive(&mut input, secs(1)) {
            if let Input::Start { request } = event {
                started.push(request);
            }
        }
        started
    };
    let one = requests(&[1]);
    let started = run(&mut session, &one);
    let grown = measure(|| session.shrink());
    assert_eq!(grown.count_current, 0, "while one runs nothing is given back");
    session.finish(started[0], secs(1));
    let End::Last(end) = session.end(started[0], 0) else { panic!() };
    session.sent(end.len(), secs(1));
    let freed = measure(|| session.shrink());
    assert_eq!(freed.bytes_current, -(size_of::<Life>() as i64), "one, as most connections have");
    assert!(!session.is_alive(started[0]));
    // And on.
    let all: Vec<u16> = (1..=96).collect();
    let started = run(&mut session, &requests(&all));
    assert_eq!(started.len(), 96);
    assert!(started.iter().all(|request| session.is_alive(*request)));
}

#[test]
fn a_table_grows_with_requests_and_not_with_the_ids_that_a_client_chooses() {
    let mut session = Session::<65_000, Vec<Life>>::growing(Limits::new(), &Patience::new());
    let ids = Client::new().request(60_000, KEEP).request(30_000, KEEP).request(65_000, KEEP).to_vec();
    let mut input = &ids[..];
    let counted = measure(|| while session.receive(&mut input, secs(1)).is_some() {});
    assert_eq!(session.requests(), 3);
    assert!(counted.bytes_max <= 16 * size_of::<Life>() as u64, "{} bytes", counted.bytes_max);
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_session_of_one_request_is_at_most_352_bytes_of_which_its_own_are_256() {
    let (session, connection) = (size_of::<Session<1>>(), size_of::<Connection<1>>());
    println!("Session<1>: {session}, Connection<1>: {connection}, Life: {}", size_of::<Life>());
    assert!(session <= 352, "{session} bytes");
    assert!(session - connection <= 256, "{} bytes", session - connection);
}

#[cfg(target_pointer_width = "64")]
#[test]
fn each_further_request_is_at_most_48_bytes() {
    let growth = size_of::<Session<1001>>() - size_of::<Session<1>>();
    assert_eq!(growth, 1000 * size_of::<Life>());
    assert!(size_of::<Life>() <= 48, "{} bytes", size_of::<Life>());
    assert!(size_of::<Input<'_>>() <= 48, "{} bytes", size_of::<Input<'_>>());
    assert!(size_of::<Request>() <= 8, "{} bytes", size_of::<Request>());
}

/// What a session does with these bytes when requests are taken at once where they can be, or never; each handler
/// answers when it is started.
fn transcript(whole: bool, bytes: &[u8], step: usize) -> (Vec<String>, Vec<u8>) {
    let (mut told, mut sent) = (Vec::new(), Vec::new());
    let mut session = Session::<2>::new(Limits::new(), &Patience::new());
    let (mut unread, now) = (Vec::new(), secs(1));
    let (mut params, mut running) = (Vec::new(), Vec::new());
    for chunk in bytes.chunks(step) {
        unread.extend(chunk);
        loop {
            let mut input = &unread[..];
            let mut goes_on = true;
            let taken = if whole { session.receive_whole(&mut input) } else { None };
            if let Some(taken) = taken {
                told.push(format!("{:?} {:?} {:?}", taken.request, taken.keep_conn, taken.params));
                running.push(taken.request);
            } else {
                match session.receive(&mut input, now) {
                    Some(Input::Begin { request, role: Role::Responder, keep_conn }) => {
                        params.clear();
                        told.push(format!("{request:?} {keep_conn:?}"));
                    }
                    Some(Input::Params { data, .. }) => params.extend_from_slice(data),
                    Some(Input::Start { request }) => {
                        told.last_mut().unwrap().push_str(&format!(" {params:?}"));
                        running.push(request);
                    }
                    event => goes_on = event.is_some(),
                }
            }
            unread = input.to_vec();
            while let Some(control) = session.poll_output() {
                sent.extend_from_slice(&control);
                session.sent(control.len(), now);
                goes_on = true;
            }
            running.retain(|request| {
                let reads = session.read(*request, Stream::Stdin, now) == Ok(Read::Wait);
                // Beside others it gives way once.
                let written = if reads { None } else { session.stdout(*request, PAGE).unwrap() };
                let Some((record, _)) = written else { return true };
                sent.extend(record.slices().concat());
                session.sent(record.remaining(), now);
                session.finish(*request, now);
                let End::Last(end) = session.end(*request, 0) else { panic!("its input is in") };
                sent.extend_from_slice(&end);
                session.sent(end.len(), now);
                goes_on = true;
                false
            });
            if !goes_on {
                break;
            }
        }
    }
    // What was due meanwhile is looked at once.
    let later = now + secs(1);
    session.next(now);
    session.expire(later + secs(30));
    let next = session.next(later);
    told.push(format!("{next:?} {:?} {:?} {}", session.waiting(), session.poll_report(), session.requests()));
    (told, sent)
}

#[test]
fn a_request_that_is_taken_at_once_is_what_the_events_tell() {
    let ask = Client::new().get_values(VALUES);
    for bytes in [
        Client::new().request(1, KEEP).request(1, KEEP).request(2, KEEP).request(1, CLOSE),
        Client::new().request(9, KEEP).raw(&ask).request(1, KEEP).begin(3, 9, KEEP).request(2, KEEP),
        Client::new().padding(&[0; 3]).request(1, KEEP).padding(b"").request(2, CLOSE).request(3, KEEP),
        Client::new().request(1, KEEP).record(99, 0, b"?").request(1, KEEP).raw(b"garbage!"),
        Client::new().request(1, KEEP).head(2, KEEP).stdin(2, b"").request(1, KEEP),
    ] {
        let events = transcript(false, &bytes, usize::MAX);
        for step in [usize::MAX, 300, 64, 59] {
            assert_eq!(transcript(true, &bytes, step), events);
            assert_eq!(transcript(false, &bytes, step), events);
        }
    }
}

#[test]
fn no_request_is_taken_at_once_while_something_comes_first() {
    let request = Client::new().request(1, KEEP).to_vec();
    let taken = |session: &mut Session<2>| {
        let mut input = &request[..];
        let taken = session.receive_whole(&mut input).is_some();
        assert_eq!(input.len(), if taken { 0 } else { request.len() });
        taken
    };
    let session = |bytes: &[u8]| {
        let mut session = Session::<2>::new(Limits::new(), &Patience::new());
        let mut input = bytes;
        while let Some(event) = session.receive(&mut input, secs(1)) {
            if let Input::Body { .. } = event {
                session.took(0);
            }
        }
        session
    };
    assert!(taken(&mut session(b"")));
    assert!(taken(&mut session(&Client::new().head(2, KEEP))), "beside another");
    assert!(
        !taken(&mut session(&Client::new().head(2, KEEP).stdin(2, b"unread"))),
        "a body that has no room"
    );
    assert!(!taken(&mut session(&Client::new().get_values(VALUES))), "a reply that is owed");
    assert!(!taken(&mut session(&request[..10])), "half a record");
    assert!(!taken(&mut session(&Client::new().request(1, KEEP))), "the id is active");
    assert!(!taken(&mut session(&Client::new().request(2, KEEP).request(3, KEEP))), "the table is full");
    assert!(!taken(&mut session(b"garbage!")), "an error");
    let mut ended = session(b"");
    ended.end_of_input();
    assert!(!taken(&mut ended));
    let mut called = session(&Client::new().head(2, KEEP));
    called.unwritable();
    assert!(!taken(&mut called), "somebody is to look");
}
