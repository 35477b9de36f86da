//! One request that is active on a connection: its parameters as they come, its input that waits for the
//! handler, its answer on the way out.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use fcgi_proto::cgi::Answer;
use fcgi_proto::pair::ParamsBuf;
use fcgi_proto::record::{RequestId, Role};

use crate::AppStatus;
use crate::server::settings::Settings;
use crate::server::stop::Stop;

/// Memory for parameters and for input that is kept from request to request.
const KEPT: usize = 16 * 1024;

/// The streams that a handler reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Stdin,
    Data,
}

/// Who is to be woken.
#[derive(Default)]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(crate) fn register(&mut self, waker: &Waker) {
        if !self.0.iter().any(|known| known.will_wake(waker)) {
            self.0.push(waker.clone());
        }
    }

    pub(crate) fn wake(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One stream's bytes that wait for the handler.
#[derive(Default)]
struct Queue {
    bytes: VecDeque<u8>,
    ended: bool,
    /// The handler has passed it by.
    skipped: bool,
}

/// What a request begins with.
#[derive(Clone, Copy)]
pub(crate) struct Begin {
    /// Tells it from every other request of the connection, also of the same id.
    pub(crate) key: u64,
    pub(crate) id: RequestId,
    pub(crate) role: Role,
    pub(crate) keep_conn: bool,
}

/// Storage for parameters, empty.
pub(crate) fn params(settings: &Settings) -> ParamsBuf {
    ParamsBuf::new(usize::try_from(settings.limits.params).unwrap_or(usize::MAX))
}

pub(crate) struct Active {
    pub(crate) begin: Begin,
    begun: Instant,
    pub(crate) params: ParamsBuf,
    /// All parameters are there.
    pub(crate) ready: bool,
    /// Its handler was started.
    pub(crate) started: bool,
    /// Why it ends before its input does.
    pub(crate) stop: Option<Stop>,
    stdin: Queue,
    data: Queue,
    /// What the reader waits for, and since when.
    reading: Option<(Body, Instant)>,
    pub(crate) reader: Wakers,
    pub(crate) writer: Wakers,
    pub(crate) aborted: Wakers,
    pub(crate) answer: Answer,
    /// Since when it waits to write a record, in the order of all that do.
    pub(crate) turn: Option<u64>,
    /// It was woken to write that.
    pub(crate) called: bool,
    /// It let one write that has waited for longer.
    pub(crate) gave_way: bool,
    /// What the handler ended with.
    pub(crate) outcome: Option<Result<AppStatus, String>>,
    /// Bytes of input that nobody wanted, and until when more are read.
    pub(crate) drained: u64,
    pub(crate) drain_until: Option<Instant>,
}

impl Active {
    pub(crate) fn new(begin: Begin, settings: &Settings) -> Self {
        let mut request = Self {
            begin,
            begun: Instant::now(),
            params: params(settings),
            ready: false,
            started: false,
            stop: None,
            stdin: Queue::default(),
            data: Queue::default(),
            reading: None,
            reader: Wakers::default(),
            writer: Wakers::default(),
            aborted: Wakers::default(),
            answer: Answer::new(settings.head_limit),
            turn: None,
            called: false,
            gave_way: false,
            outcome: None,
            drained: 0,
            drain_until: None,
        };
        request.begin(begin);
        request
    }

    /// Becomes a request that begins, after [`clear`](Self::clear).
    pub(crate) fn begin(&mut self, begin: Begin) {
        self.begin = begin;
        self.begun = Instant::now();
        self.stdin.ended = !begin.role.has_stdin();
        self.data.ended = !begin.role.has_data();
    }

    /// Forgets everything, and all memory but a little.
    pub(crate) fn clear(&mut self) {
        // Whoever still waits finds the request over.
        self.wake_all();
        self.params.clear(KEPT);
        self.answer.reset(None);
        (self.ready, self.started, self.called, self.gave_way) = (false, false, false, false);
        self.turn = None;
        (self.stop, self.reading, self.outcome, self.drain_until, self.drained) = (None, None, None, None, 0);
        for queue in [&mut self.stdin, &mut self.data] {
            queue.bytes.clear();
            queue.bytes.shrink_to(KEPT);
            (queue.ended, queue.skipped) = (false, false);
        }
    }

    fn queue(&mut self, body: Body) -> &mut Queue {
        match body {
            Body::Stdin => &mut self.stdin,
            Body::Data => &mut self.data,
        }
    }

    /// Whether the handler may still read this stream.
    pub(crate) fn wants(&mut self, body: Body) -> bool {
        self.outcome.is_none() && !self.queue(body).skipped
    }

    /// Whether the handler waits for bytes of this stream.
    pub(crate) fn is_reading(&self, body: Body) -> bool {
        !self.reader.is_empty() && self.reading.is_some_and(|(reading, _)| reading == body)
    }

    /// The handler reads this stream now: the ones before it are not wanted any more.
    pub(crate) fn turn_to(&mut self, body: Body) {
        if body == Body::Data && !self.stdin.skipped {
            self.stdin.skipped = true;
            self.drained += self.stdin.bytes.len() as u64;
            self.stdin.bytes.clear();
        }
    }

    /// The handler has to wait for bytes of this stream.
    pub(crate) fn wait_for(&mut self, body: Body, waker: &Waker) {
        self.reader.register(waker);
        if self.reading.is_none_or(|(reading, _)| reading != body) {
            self.reading = Some((body, Instant::now()));
        }
    }

    pub(crate) fn wake_reader(&mut self) {
        self.reading = None;
        self.reader.wake();
    }

    pub(crate) fn wake_all(&mut self) {
        self.wake_reader();
        self.writer.wake();
        self.aborted.wake();
    }

    pub(crate) fn stop(&mut self, stop: Stop) {
        self.stop.get_or_insert(stop);
        self.wake_all();
    }

    /// Whether the protocol has ended it already.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.stop, Some(Stop::Refused(_)))
    }

    /// Bytes that wait for the handler.
    pub(crate) fn queued(&self) -> usize {
        self.stdin.bytes.len() + self.data.bytes.len()
    }

    /// Keeps bytes for the handler.
    pub(crate) fn keep(&mut self, body: Body, bytes: &[u8]) {
        self.queue(body).bytes.extend(bytes);
        self.wake_reader();
    }

    /// Takes bytes that were kept.
    pub(crate) fn take(&mut self, body: Body, into: &mut [u8]) -> usize {
        let bytes = &mut self.queue(body).bytes;
        let (front, _) = bytes.as_slices();
        let count = front.len().min(into.len());
        into[..count].copy_from_slice(&front[..count]);
        bytes.drain(..count);
        count
    }

    pub(crate) fn end_body(&mut self, body: Body) {
        self.queue(body).ended = true;
        self.wake_reader();
    }

    pub(crate) fn has_ended(&mut self, body: Body) -> bool {
        self.queue(body).ended
    }

    /// When what it waits for will have taken too long.
    pub(crate) fn deadline(&self, settings: &Settings) -> Option<Instant> {
        if self.outcome.is_some() {
            return self.drain_until;
        }
        if !self.ready {
            return Some(self.begun + settings.params_timeout);
        }
        self.reading.filter(|_| !self.reader.is_empty()).map(|(_, since)| since + settings.read_timeout)
    }

    /// Ends the wait for input, if it took too long.
    pub(crate) fn expire(&mut self, settings: &Settings, now: Instant) {
        if self.outcome.is_none() && self.ready && self.deadline(settings).is_some_and(|at| at <= now) {
            self.stop(Stop::TimedOut("body", settings.read_timeout));
        }
    }
}
