//! The ready loops over embedded-io and embedded-io-async: what a handler reads and writes, and what becomes of a
//! client that is slow, leaves, or stands in the way. On what web servers begin with, `front_page.rs` runs them.

mod support;

#[path = "support/line.rs"]
mod line;

use core::time::Duration;

use embedded_io_07 as blocking_io;
use embedded_io_async_07 as async_io;
use fcgi_proto::ConnectionError;
use fcgi_proto::embedded_io_07::{self as blocking, Buffers, Error, Settings};
use fcgi_proto::embedded_io_async_07 as asynchronous;
use fcgi_proto::pair::Params;
use fcgi_proto::record::Role;
use fcgi_proto::server::session::{Stopped, Wait};
use line::{Line, Then, World, now};
use support::*;

/// What the handler does.
#[derive(Clone, Copy, Debug)]
enum App {
    /// Writes `h`, then so many bytes, and reads nothing.
    Page(usize),
    /// The same, but `h` is flushed.
    Flushes(usize),
    /// Writes back what it reads, a few bytes at a time.
    Echo,
    /// Reads all, and answers what the role is.
    Role,
}

type Outcome = Result<(), Error<core::convert::Infallible>>;

fn handle(request: &mut blocking::Request<'_, Line<'_>, World, Params<64>>, app: App) -> Outcome {
    use blocking_io::{Read, Write};
    let mut buffer = [0; 5];
    match app {
        App::Page(count) | App::Flushes(count) => {
            request.write_all(b"h")?;
            if matches!(app, App::Flushes(_)) {
                request.flush()?;
            }
            request.write_all(&vec![b'x'; count])
        }
        App::Echo => loop {
            match request.read(&mut buffer)? {
                0 => return Ok(()),
                count => request.write_all(&buffer[..count])?,
            }
        },
        App::Role => {
            while request.read(&mut buffer)? > 0 {}
            let role = format!("{:?}", request.role());
            request.write_all(role.as_bytes())
        }
    }
}

async fn handle_async(
    request: &mut asynchronous::Request<'_, Line<'_>, World, Params<64>>,
    app: App,
) -> Outcome {
    use async_io::{Read, Write};
    let mut buffer = [0; 5];
    match app {
        App::Page(count) | App::Flushes(count) => {
            request.write_all(b"h").await?;
            if matches!(app, App::Flushes(_)) {
                request.flush().await?;
            }
            request.write_all(&vec![b'x'; count]).await
        }
        App::Echo => loop {
            match request.read(&mut buffer).await? {
                0 => return Ok(()),
                count => request.write_all(&buffer[..count]).await?,
            }
        },
        App::Role => {
            while request.read(&mut buffer).await? > 0 {}
            let role = format!("{:?}", request.role());
            request.write_all(role.as_bytes()).await
        }
    }
}

/// What became of a connection.
#[derive(Clone, Debug, PartialEq)]
struct Served {
    sent: Vec<u8>,
    took: Duration,
    outcomes: Vec<Outcome>,
    report: Option<Stopped>,
}

/// Serves the line with both loops, and in pieces of 7 bytes, which changes nothing but records.
fn served(app: App, line: Line<'_>, world: impl Fn() -> World) -> Served {
    let mut settings = Settings::new();
    settings.roles = &[Role::Responder, Role::Authorizer];
    let mut results = Vec::new();
    for step in [usize::MAX, 7] {
        for is_async in [false, true] {
            let (world, mut line) = (world(), Line { step, ..line.clone() });
            let (mut params, mut buffers) = (Params::<64>::new(), Buffers::<64, 64>::new());
            let mut outcomes = Vec::new();
            let Ok(report) = if is_async {
                let handler = async |request: &mut asynchronous::Request<'_, _, _, _>| {
                    let outcome = handle_async(request, app).await;
                    outcomes.push(outcome);
                    outcome
                };
                now(asynchronous::serve(&mut line, &world, &settings, &mut params, &mut buffers, handler))
            } else {
                blocking::serve(&mut line, &world, &settings, &mut params, &mut buffers, |request| {
                    outcomes.push(handle(request, app));
                    outcomes[outcomes.len() - 1]
                })
            };
            let (took, report) = (world.now.get(), report.map(|report| report.what));
            results.push(Served { sent: line.sent, took, outcomes, report });
        }
    }
    for result in &results {
        assert_eq!(result, &results[0]);
    }
    results.swap_remove(0)
}

/// Contents and kinds of the records of a whole answer to request 1.
fn page(served: &Served) -> Vec<u8> {
    let records = answer_records(&served.sent);
    let [pages @ .., end_of_page, end] = &records[..] else { panic!("no answer: {records:?}") };
    assert_eq!((end_of_page.kind, end_of_page.content.len()), (STDOUT, 0));
    assert_eq!((end.kind, &end.content[..]), (END, &[0; 8][..]));
    assert!(pages.iter().all(|record| record.kind == STDOUT && !record.content.is_empty()));
    pages.iter().flat_map(|record| record.content.clone()).collect()
}

fn posted(flags: u8, length: usize) -> Client {
    Client::new().head(1, flags).stdin(1, &vec![b'p'; length]).stdin(1, b"")
}

#[test]
fn an_answer_of_any_length_leaves_whole() {
    for length in [0, 1, 47, 48, 49, 50, 1000, 70_000] {
        let served = served(App::Page(length), Line::new(&posted(CLOSE, 0), Then::Waits), World::new);
        assert_eq!(page(&served), [b"h".to_vec(), b"x".repeat(length)].concat(), "{length}");
        assert_eq!((served.outcomes, served.took), (vec![Ok(())], Duration::ZERO));
    }
}

#[test]
fn what_is_posted_is_read_in_order_whatever_room_there_is() {
    for length in [0, 1, 5, 63, 64, 65, 5000] {
        for flags in [KEEP, CLOSE] {
            let then = if flags == KEEP { Then::Closes } else { Then::Waits };
            let served = served(App::Echo, Line::new(&posted(flags, length), then), World::new);
            assert_eq!(page(&served), b"p".repeat(length), "{length}, flags {flags}");
            assert_eq!(served.took, Duration::ZERO);
        }
    }
}

/// As web servers do: the rest of the body is kept back.
#[test]
fn an_answer_that_fits_leaves_after_what_is_posted_was_read_one_that_is_flushed_or_does_not_before() {
    let bytes = Client::new().head(1, KEEP).stdin(1, &[b'p'; 500]);
    for (app, waits) in
        [(App::Page(47), true), (App::Page(48), true), (App::Page(49), false), (App::Flushes(0), false)]
    {
        let served = served(app, Line::new(&bytes, Then::IsSilent), World::new);
        let first = answer_records(&served.sent).first().map_or(0, |record| record.content.len());
        assert!(first > 0, "{app:?}");
        // Patience for the body, the drain's pause, and the kept connection's until it is given up.
        let body = if waits { 30_000 } else { 150 };
        assert_eq!(served.took.as_millis() / 1000, (body + 300_000) / 1000, "{app:?}: {served:?}");
    }
}

#[test]
fn an_authorizer_has_nothing_to_read() {
    let bytes = Client::new().begin(1, AUTHORIZER, CLOSE).params(1, &get()).params(1, b"");
    let served = served(App::Role, Line::new(&bytes, Then::Waits), World::new);
    assert_eq!(page(&served), b"Authorizer");
    let filter = Client::new().begin(1, FILTER, CLOSE).params(1, &get()).params(1, b"").stdin(1, b"");
    let refused = answer_records(&self::served(App::Role, Line::new(&filter, Then::Waits), World::new).sent);
    assert!(refused[0].content.starts_with(b"Status: 503 "), "{refused:?}");
}

#[test]
fn a_handler_is_told_of_an_abort_and_the_request_is_ended() {
    let bytes = Client::new().head(1, KEEP).stdin(1, b"half").abort(1).request(2, KEEP);
    let served = served(App::Role, Line::new(&bytes, Then::Closes), World::new);
    assert_eq!(served.outcomes, [Err(Error::Stopped(Stopped::Aborted)), Ok(())]);
    let records = answer_records(&served.sent);
    let seen: Vec<_> = records.iter().map(|record| (record.kind, record.id, record.content.len())).collect();
    assert_eq!(seen, [(STDOUT, 1, 0), (END, 1, 8), (STDOUT, 2, 9), (STDOUT, 2, 0), (END, 2, 8)]);
}

#[test]
fn a_handler_whose_client_leaves_or_is_silent_fails_and_nothing_is_sent() {
    let bytes = Client::new().head(1, CLOSE).stdin(1, b"half");
    let left = served(App::Role, Line::new(&bytes, Then::Closes), World::new);
    assert_eq!(left.outcomes, [Err(Error::Stopped(Stopped::Closed))]);
    assert_eq!((left.sent, left.took), (vec![], Duration::ZERO));
    let silent = served(App::Role, Line::new(&bytes, Then::IsSilent), World::new);
    let limit = Duration::from_secs(30);
    assert_eq!(silent.outcomes, [Err(Error::Stopped(Stopped::TimedOut { wait: Wait::Body, limit }))]);
    assert_eq!(silent.sent, []);
    assert!(silent.took <= Duration::from_secs(36), "{silent:?}");
}

#[test]
fn a_client_that_takes_no_more_is_left_and_told_of() {
    let bytes = posted(KEEP, 0);
    let served = served(App::Page(1000), Line { room: 100, ..Line::new(&bytes, Then::IsSilent) }, World::new);
    let late = Stopped::TimedOut { wait: Wait::Write, limit: Duration::from_secs(30) };
    assert_eq!((&served.outcomes[..], served.report), (&[Err(Error::Stopped(late))][..], Some(late)));
    assert_eq!((served.sent.len(), served.took), (100, Duration::from_secs(30)));
}

#[test]
fn a_writer_that_takes_nothing_is_broken() {
    let bytes = posted(KEEP, 0);
    for is_async in [false, true] {
        // It takes pieces of no bytes.
        let (world, mut params, mut buffers) = (World::new(), Params::<64>::new(), Buffers::<64, 64>::new());
        let mut line = Nothing(Line::new(&bytes, Then::IsSilent));
        let settings = Settings::new();
        let Ok(report) = if is_async {
            let handler = async |request: &mut asynchronous::Request<'_, _, _, _>| {
                async_io::Write::write_all(request, b"page").await
            };
            now(asynchronous::serve(&mut line, &world, &settings, &mut params, &mut buffers, handler))
        } else {
            blocking::serve(&mut line, &world, &settings, &mut params, &mut buffers, |request| {
                blocking_io::Write::write_all(request, b"page")
            })
        };
        assert_eq!(report.map(|report| report.what), Some(Stopped::Broken));
    }
}

#[test]
fn a_flush_that_waits_for_the_client_is_given_up_as_a_write_is() {
    let bytes = posted(KEEP, 0);
    let (world, mut params, mut buffers) = (World::new(), Params::<64>::new(), Buffers::<64, 64>::new());
    let mut line = Line { holds: true, ..Line::new(&bytes, Then::IsSilent) };
    let handler = async |request: &mut asynchronous::Request<'_, _, _, _>| {
        async_io::Write::write_all(request, b"page").await
    };
    let mut settings = Settings::new();
    settings.patience.write = Duration::from_secs(10);
    let Ok(report) =
        now(asynchronous::serve(&mut line, &world, &settings, &mut params, &mut buffers, handler));
    assert_eq!(report.map(|report| report.what), Some(Stopped::Broken));
    assert_eq!(world.now.get(), settings.patience.write);
    assert_eq!(answer_records(&line.sent).len(), 3);
}

#[test]
fn a_line_without_a_half_close_is_over_when_the_answer_has_left() {
    let bytes = posted(CLOSE, 0);
    let world = || World { half_closes: false, ..World::new() };
    let served = served(App::Page(9), Line::new(&bytes, Then::IsSilent), world);
    assert_eq!((page(&served).len(), served.took), (10, Duration::ZERO));
    // Nothing that still comes is waited for, where it is no FastCGI either.
    let garbage = self::served(App::Page(9), Line::new(b"GET / HTTP/1.1\r\n", Then::IsSilent), world);
    assert_eq!((garbage.sent, garbage.took), (vec![], Duration::ZERO));
    let protocol = Stopped::Protocol(ConnectionError::Version { found: b'G' });
    assert_eq!(garbage.report, Some(protocol));
}

#[test]
fn a_connection_that_waits_gives_way_to_others_and_none_that_is_served() {
    let world = || World { is_crowded: true, ..World::new() };
    let whole = posted(KEEP, 20);
    for length in 0..whole.len() {
        let silent = served(App::Role, Line::new(&whole[..length], Then::IsSilent), world);
        let runs = !silent.outcomes.is_empty();
        let most = if runs { Duration::from_secs(36) } else { Duration::from_millis(400) };
        assert!(silent.took <= most, "{length}: {silent:?}");
    }
    let kept = served(App::Role, Line::new(&whole, Then::IsSilent), world);
    assert_eq!((page(&kept), kept.took), (b"Responder".to_vec(), Duration::ZERO));
}

#[test]
fn replies_that_are_owed_while_a_handler_reads_leave_between() {
    let bytes = Client::new().head(1, KEEP).stdin(1, b"ab").get_values(VALUES).record(99, 0, b"");
    let bytes = bytes.begin(2, RESPONDER, KEEP).stdin(1, b"cd").stdin(1, b"");
    let served = served(App::Echo, Line::new(&bytes, Then::Closes), World::new);
    let records = answer_records(&served.sent);
    let kinds: Vec<_> = records.iter().map(|record| (record.kind, record.id)).collect();
    let ends = [(STDOUT, 2), (STDOUT, 2), (END, 2), (STDOUT, 1), (STDOUT, 1), (END, 1)];
    assert_eq!(kinds, [&[(GET_VALUES_RESULT, 0), (UNKNOWN_TYPE, 0)], &ends[..]].concat());
    assert_eq!(records[5].content, b"abcd");
}

/// A line that takes no byte.
struct Nothing<'a>(Line<'a>);

impl blocking_io::ErrorType for Nothing<'_> {
    type Error = core::convert::Infallible;
}

impl blocking_io::Read for Nothing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        Ok(self.0.take(buffer))
    }
}

impl blocking_io::ReadReady for Nothing<'_> {
    fn read_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(self.0.is_ready())
    }
}

impl blocking_io::Write for Nothing<'_> {
    fn write(&mut self, _: &[u8]) -> Result<usize, Self::Error> {
        Ok(0)
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl blocking_io::WriteReady for Nothing<'_> {
    fn write_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

impl async_io::Read for Nothing<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        async_io::Read::read(&mut self.0, buffer).await
    }
}

impl async_io::Write for Nothing<'_> {
    async fn write(&mut self, _: &[u8]) -> Result<usize, Self::Error> {
        Ok(0)
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl<'a> blocking::Platform<Nothing<'a>> for World {
    fn now(&self) -> Duration {
        self.now.get()
    }

    fn shut_down(&self, _: &mut Nothing<'a>) -> Result<bool, core::convert::Infallible> {
        Ok(true)
    }
}

impl<'a> asynchronous::Platform<Nothing<'a>> for World {
    fn now(&self) -> Duration {
        self.now.get()
    }

    async fn wait(&self, _: Option<Duration>) {
        core::future::pending().await
    }

    async fn shut_down(&self, _: &mut Nothing<'a>) -> Result<bool, core::convert::Infallible> {
        Ok(true)
    }
}
