//! Does for one connection what its session asks: moves bytes between the transport, the session and the handler
//! of its request. One request at a time: while a handler runs, input is read only as it is needed.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fcgi_proto::Level;
use fcgi_proto::pair::ParamsBuf;
use fcgi_proto::server::Session;
use fcgi_proto::server::session::{
    Begin, End, Exchange, Input, Name, Output, Read, Request, Stopped, Stream, Write, WriteError,
};

use super::places::Place;
use super::request;
use super::settings::Settings;
use crate::net::clock;
use crate::net::ends::Ends;
use crate::net::log::log_level;
use crate::net::peer::Peer;
use crate::net::spool::Spool;
use crate::net::transport::{Transport, read_some, write_some};

/// Room for one read: a whole request as web servers send it, and two whole records of a large body: with
/// one, 1 GiB took nearly twice as long.
const READ_ROOM: usize = 128 * 1024 + 512;

/// Shares in a place, at most: the connection's, its thread's, who counts them, and those of 8 handlers that go on by
/// themselves.
const SHARES: usize = 3 + 8;

/// Memory for input that waits for a handler.
const BODY_ROOM: usize = 64 * 1024;

/// What a connection is served for.
pub(crate) struct Context<'t> {
    pub(crate) settings: &'t Settings,
    pub(crate) peer: Peer,
    pub(crate) ends: &'t Ends,
    /// Its place, and what serves it there. Each thread at it has a share in the place.
    pub(crate) place: Option<(Arc<Place<'t>>, Serve<'t>)>,
}

/// Serves a connection, beside others.
pub(crate) type Serve<'t> = Arc<dyn Fn(Box<Connection<'t>>) -> io::Result<()> + Send + Sync + 't>;

pub(crate) struct Connection<'t> {
    transport: Box<dyn Transport + 't>,
    pub(crate) context: Context<'t>,
    session: Session<1>,
    pub(crate) buffer: Box<[u8]>,
    /// What of `buffer` the session has not taken; nothing, while a handler has it.
    unread: Range<usize>,
    pub(crate) exchange: Exchange,
    /// Input that waits for the handler.
    kept: [Spool; 2],
    /// What the transport failed with, or the connection ended with.
    pub(crate) failure: Option<(Level, io::Error)>,
    /// The time when it was last looked at.
    now: Duration,
}

impl<'t> Connection<'t> {
    pub(crate) fn new(transport: Box<dyn Transport + 't>, context: Context<'t>) -> Self {
        let settings = context.settings;
        let mut limits = settings.limits;
        limits.max_conns = u32::try_from(settings.max_connections).unwrap_or(u32::MAX);
        // Without limits a stream is waited for as long as it lets its caller wait.
        let _ = transport.set_write_timeout(settings.write_timeout);
        Self {
            transport,
            context,
            session: Session::new(limits, &settings.patience()),
            buffer: vec![0; READ_ROOM].into_boxed_slice(),
            unread: 0..0,
            exchange: Exchange::new(&limits, settings.head_limit, settings.front)
                .watched(settings.watcher.is_some())
                .in_place(),
            kept: Default::default(),
            failure: None,
            now: clock::now(),
        }
    }

    /// Goes on up to the end of the next request's parameters; `None` once the connection is over.
    pub(crate) fn next_request(&mut self) -> Option<(Begin, ParamsBuf)> {
        loop {
            let from = self.unread.start;
            let mut input = self.buffer.get(self.unread.clone()).unwrap_or_default();
            let event = self.session.take_in(&mut self.exchange, &mut input, self.now);
            self.unread.start = self.unread.end - input.len();
            match event {
                Some(Input::Start { .. }) => {
                    let params = self.exchange.take_params_from(&mut self.buffer, from);
                    return Some((self.exchange.begin?, params));
                }
                Some(Input::Over { request }) => {
                    let account = || self.session.account(request, &self.exchange, self.now);
                    self.context.ends.note(&Default::default(), account);
                }
                Some(_) => {}
                None => self.turn().then_some(())?,
            }
        }
    }

    /// Ends the request with what its handler ended or failed with.
    pub(crate) fn end_request(&mut self, of: &request::Request<'_>, outcome: Result<u32, String>) {
        let request = of.begin.request;
        self.now = clock::now();
        if let Some((level, why)) = self.session.complete(request, &mut self.exchange, outcome, self.now) {
            log::log!(log_level(level), "{}: {}: {why}", self.context.peer, Name(of.params.iter()));
        }
        while self.end(request) || (self.session.is_alive(request) && self.go_on(None).is_some()) {}
        self.context.ends.note(&of.span, || self.session.account(request, &self.exchange, self.now));
        self.kept.iter_mut().for_each(Spool::clear);
    }

    /// Goes on in another thread, without the handler of a request that has ended; if that cannot be, or 8
    /// handlers go on already, the connection is returned and waits for this one.
    pub(crate) fn leave_behind(mut self: Box<Self>) -> Option<Box<Self>> {
        let Some((_, serve)) =
            self.context.place.clone().filter(|(place, _)| Arc::strong_count(place) < SHARES)
        else {
            // The client may wait for this.
            while self.session.next(self.now).shutdown && self.turn() {}
            return Some(self);
        };
        if let Err(error) = serve(self) {
            log::warn!("a connection was dropped, no thread: {error}");
        }
        None
    }

    /// Sends what there is of the request's end; whether there may be more at once.
    fn end(&mut self, request: Request) -> bool {
        let Self { session, transport, exchange, now, .. } = self;
        let (bytes, more) = match session.end_exchange(request, exchange) {
            End::Part(bytes) => (bytes, true),
            End::Last(bytes) => (bytes, false),
            End::Wait | End::Over => return false,
        };
        // What is taken at once took no time.
        let taken = transport.write_now(bytes);
        session.sent(taken, *now);
        if taken < bytes.len() {
            let result = send(&mut **transport, session, now, &mut [IoSlice::new(&bytes[taken..])]);
            self.note(result);
        }
        self.exchange.answer.sent();
        more
    }

    /// Reads the next bytes of one of the request's bodies; 0 at its end.
    pub(crate) fn read_body(
        &mut self,
        request: Request,
        stream: Stream,
        into: &mut [u8],
    ) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            let count = self.kept[stream as usize].take(into)?;
            if count > 0 {
                return Ok(count);
            }
            self.now = clock::now();
            match self.session.read(request, stream, self.now).map_err(|stopped| self.error(stopped))? {
                Read::End => return Ok(0),
                Read::Wait => {}
            }
            match self.go_on(Some((stream, into))) {
                None => return Err(self.error(Stopped::Broken)),
                Some(0) => {}
                Some(count) => return Ok(count),
            }
        }
    }

    /// Writes, or flushes, until something was taken or all has left.
    pub(crate) fn write(&mut self, request: Request, what: Output<'_>) -> io::Result<usize> {
        self.now = if self.exchange.keeps(what) { self.now } else { clock::now() };
        loop {
            let Self { session, transport, exchange: Exchange { answer, .. }, now, .. } = self;
            let taken = match session.output(request, answer, what, *now) {
                Ok(Write::Taken(count)) => return Ok(count),
                Ok(Write::Send(batch)) => {
                    let result = send(&mut **transport, session, now, &mut batch.slices().map(IoSlice::new));
                    let taken = batch.taken;
                    self.exchange.answer.sent();
                    self.note(result);
                    taken
                }
                Ok(Write::Wait) => {
                    self.go_on(None).ok_or_else(|| self.error(Stopped::Broken))?;
                    0
                }
                Err(WriteError::Stopped(stopped)) => return Err(self.error(stopped)),
                Err(error) => return Err(error.into()),
            };
            if taken > 0 {
                return Ok(taken);
            }
        }
    }

    /// Takes in what comes next, or does what the session wants: how many bytes the reader of a body got, if there is
    /// one; `None` once the connection is over.
    fn go_on(&mut self, reader: Option<(Stream, &mut [u8])>) -> Option<usize> {
        let mut input = self.buffer.get(self.unread.clone()).unwrap_or_default();
        let event = self.session.receive(&mut input, self.now);
        self.unread.start = self.unread.end - input.len();
        let Some(Input::Body { stream, data, spool, .. }) = event else {
            return (event.is_some() || self.turn()).then_some(0);
        };
        let (read, kept) = match reader {
            Some((of, into)) if of == stream => {
                let count = data.len().min(into.len());
                into[..count].copy_from_slice(&data[..count]);
                (count, 0)
            }
            _ => {
                let on_disk = if spool { self.context.settings.spool } else { 0 };
                (0, self.kept[stream as usize].keep(data, BODY_ROOM, on_disk))
            }
        };
        self.session.took(read + kept);
        self.exchange.took(read + kept);
        self.unread.start -= data.len() - read - kept;
        Some(read)
    }

    /// Does what the session wants of the transport first; `false` once the connection is over.
    fn turn(&mut self) -> bool {
        self.report();
        let now = self.now;
        let next = self.session.next(now);
        if next.close {
            return false;
        }
        if next.write {
            while let Some(control) = self.session.poll_output() {
                let slices = &mut [IoSlice::new(&control)];
                let result = send(&mut *self.transport, &mut self.session, &mut self.now, slices);
                self.note(result);
            }
        } else if next.shutdown {
            self.session.shut(now);
            if self.transport.shutdown_write().is_err() {
                self.session.end_of_input();
            }
        } else if self.session.expire(now) {
            // What came in time was taken in before.
        } else if next.read {
            self.fill(now, next.at.map(|at| at.saturating_sub(now)));
        } else {
            let Some(at) = next.at else { return false };
            thread::sleep(at.saturating_sub(now));
        }
        self.now = clock::now();
        true
    }

    /// Reads into the buffer, which is used up.
    fn fill(&mut self, now: Duration, limit: Option<Duration>) {
        let place = self.context.place.as_ref().map(|(place, _)| place).zip(self.session.waiting());
        if let Some(why) = place.and_then(|(place, waiting)| place.waits(Some(waiting))) {
            return self.session.leave(why, now);
        }
        // Whoever accepts looks after those that are idle: a limit costs the system a timer for each read.
        let limit = limit.filter(|_| place.is_none_or(|(_, waiting)| waiting.until.is_none()));
        if self.buffer.is_empty() {
            // A handler that goes on by itself has it.
            self.buffer = vec![0; READ_ROOM].into_boxed_slice();
        }
        let result = read_some(&mut *self.transport, &mut self.buffer, limit);
        // One that has ended waits until it is gone: no other needs to make room in its stead.
        if let (Some((place, _)), Ok(Some(1..))) = (place, &result) {
            place.waits(None);
        }
        match result {
            Ok(None) => {}
            Ok(Some(0)) => {
                if let Some(why) = place.and_then(|(place, _)| place.leaves()) {
                    self.session.leave(why, clock::now());
                }
                self.session.end_of_input();
            }
            Ok(Some(count)) => self.unread = 0..count,
            Err(error) => {
                self.failure.get_or_insert((Level::Debug, error));
                self.session.broken();
            }
        }
    }

    /// A write has failed, perhaps.
    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.failure.get_or_insert((Level::Debug, error));
            self.session.unwritable();
        }
    }

    /// Tells a log what the session has to say; what ends the connection is told at its end.
    fn report(&mut self) {
        let Some(report) = self.session.poll_report() else { return };
        if report.id.is_some() {
            let (peer, name) = (self.context.peer, Name(self.exchange.params.iter()));
            log::log!(log_level(report.level), "{peer}: {name}: {report}");
        } else {
            self.failure.get_or_insert((report.level, report.what.into()));
        }
    }

    /// Why the request goes on no further, to its handler.
    fn error(&self, stopped: Stopped) -> io::Error {
        match (stopped, &self.failure) {
            (Stopped::Broken, Some((_, error))) => io::Error::new(error.kind(), error.to_string()),
            _ => stopped.into(),
        }
    }
}

/// Sends bytes that the session handed out, as long as it lets the client take.
fn send(
    transport: &mut dyn Transport,
    session: &mut Session<1>,
    now: &mut Duration,
    mut slices: &mut [IoSlice<'_>],
) -> io::Result<()> {
    let began = *now;
    while !slices.is_empty() {
        let count = write_some(transport, slices)?;
        IoSlice::advance_slices(&mut slices, count);
        *now = clock::now();
        session.sent_since(began, count, *now);
        if slices.is_empty() {
            break;
        }
        let next = session.next(*now);
        if !next.write {
            return Ok(());
        }
        if let Some(at) = next.at.filter(|_| count == 0) {
            transport.set_write_timeout(at.saturating_sub(*now))?;
        }
    }
    transport.flush()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::server::places::{Place, Places};

    /// A request with the parameter `A`, in two parts.
    const HALF: &[u8] = &[1, 1, 0, 1];
    const REST: &[u8] =
        b"\0\x08\0\0\0\x01\x01\0\0\0\0\0\x01\x04\0\x01\0\x04\0\0\x01\x01A1\x01\x04\0\x01\0\0\0\0";

    /// A transport whose reads are these.
    struct Reads<F>(F);

    impl<'r, F: FnMut() -> &'r [u8] + Send> Transport for Reads<F> {
        fn read(&mut self, buffer: &mut [u8], _: Option<Duration>) -> io::Result<Option<usize>> {
            let bytes = self.0();
            buffer[..bytes.len()].copy_from_slice(bytes);
            Ok(Some(bytes.len()))
        }

        fn write_vectored(&mut self, _: &[IoSlice<'_>]) -> io::Result<usize> {
            unreachable!("nothing is answered")
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn set_write_timeout(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        fn shutdown_write(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a connection at a place ends with that reads this.
    fn ends_with<'r>(
        settings: &Settings,
        places: &Places,
        read: impl FnMut(&Place<'_>) -> &'r [u8] + Send,
    ) -> Option<(Level, io::Error)> {
        let ends = Ends::new(None, None, || {});
        let (stream, _peer) = UnixStream::pair().unwrap();
        let place = Arc::new(places.take(Arc::new(stream.into()), || false).unwrap());
        let serve: Serve<'_> = Arc::new(|_| unreachable!("no handler goes on"));
        let (here, mut read) = (Arc::clone(&place), read);
        let context = Context { settings, peer: Peer(None), ends: &ends, place: Some((place, serve)) };
        let mut connection = Connection::new(Box::new(Reads(move || read(&here))), context);
        assert!(connection.next_request().is_none());
        connection.failure
    }

    #[test]
    fn a_connection_that_is_closed_as_something_comes_reads_on_to_the_end() {
        let settings = Settings { idle_timeout: Duration::from_millis(1), ..Settings::default() };
        let (places, mut reads) = (Places::new(1), [HALF, b""].into_iter());
        let failure = ends_with(&settings, &places, |_| {
            thread::sleep(settings.idle_timeout * 2);
            places.close_idle(Duration::MAX);
            reads.next().unwrap_or_default()
        });
        let (level, error) = failure.unwrap();
        assert_eq!((level, error.kind()), (Level::Debug, io::ErrorKind::UnexpectedEof), "{error}");
    }

    #[test]
    fn a_connection_that_was_idle_for_longer_than_a_shutdown_may_last_is_not_late() {
        let settings = Settings { shutdown_timeout: Duration::from_millis(1), ..Settings::default() };
        let places = Places::new(1);
        thread::scope(|scope| {
            let failure = ends_with(&settings, &places, |place| {
                if place.leaves().is_none() {
                    thread::sleep(settings.shutdown_timeout * 2);
                    scope.spawn(|| places.stop(Duration::MAX));
                }
                while place.leaves().is_none() {
                    thread::yield_now();
                }
                b""
            });
            assert!(failure.is_none(), "{failure:?}");
        });
    }

    #[test]
    fn what_came_in_time_is_not_late_because_its_thread_was() {
        const LIMIT: Duration = Duration::from_millis(1);
        let settings = Settings { params_timeout: LIMIT, ..Settings::default() };
        let ends = Ends::new(None, None, || {});
        let context = Context { settings: &settings, peer: Peer(None), ends: &ends, place: None };
        let mut reads = [HALF, REST, b""].into_iter();
        let transport = Reads(move || {
            thread::sleep(LIMIT * 2);
            reads.next().unwrap_or_default()
        });
        let mut connection = Connection::new(Box::new(transport), context);
        let (_, params) = connection.next_request().expect("a request");
        assert_eq!(params.get(b"A"), Some(&b"1"[..]));
    }
}
