//! A connection with one request at a time, between its session, its handler and its stream: what both loops have in
//! common. It does no I/O.

use core::ops::Range;
use core::time::Duration;

use super::settings::{Buffers, Parameters, Settings};
use crate::bytes::copy;
use crate::life::Time;
use crate::record::{Control, HEADER_LEN, MAX_CONTENT, Role};
use crate::server::Session;
use crate::server::session::{End, Input, Leave, Read, Report, Request, Stopped, Stream, Waiting};

/// Room for a record's header and its padding.
const FRAME: usize = HEADER_LEN + 7;

/// What the stream is to do, and until when.
pub(crate) enum Turn {
    /// Write [`Driver::leaving`].
    Write(Option<Duration>),
    /// Have what was written leave, before anything is waited for; then [`Driver::flushed`].
    Flush(Option<Duration>),
    /// Read to [`Driver::room`].
    Read(Option<Duration>),
    /// End its direction to the client.
    ShutDown,
    /// Nothing, until then.
    Wait(Duration),
    Close,
}

/// See the [module](self).
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Driver<'m> {
    session: Session<1>,
    input: &'m mut [u8],
    unread: Range<usize>,
    /// A record: room for its header, the page so far, and room for padding.
    output: &'m mut [u8],
    /// Bytes of page that wait in it.
    held: usize,
    /// What of it is on its way.
    record: Range<usize>,
    control: Option<Control>,
    /// Bytes were written since the last flush, which is to be done by then.
    unflushed: Option<Time>,
    role: Role,
    /// Whose handler runs or has run.
    request: Option<Request>,
    /// The page leaves before what is posted was read.
    flushed: bool,
}

impl<'m> Driver<'m> {
    pub(crate) fn new<const INPUT: usize, const OUTPUT: usize>(
        settings: &Settings<'_>,
        buffers: &'m mut Buffers<INPUT, OUTPUT>,
    ) -> Self {
        Self {
            session: Session::new(settings.limits, &settings.patience),
            input: &mut buffers.input,
            unread: 0..0,
            output: &mut buffers.output,
            held: 0,
            record: 0..0,
            control: None,
            unflushed: None,
            role: Role::Responder,
            request: None,
            flushed: false,
        }
    }

    /// The role of the request.
    pub(crate) const fn role(&self) -> Role {
        self.role
    }

    /// Takes in what came up to the start of a request; whether there is one.
    pub(crate) fn starts<S: Parameters>(&mut self, params: &mut S, roles: &[Role], now: Duration) -> bool {
        loop {
            let (session, event) = self.receive(usize::MAX, now);
            match event {
                Some(Input::Begin { role, .. }) if roles.contains(&role) => {
                    params.clear();
                    self.role = role;
                }
                Some(Input::Begin { request, .. }) => session.refuse_role(request),
                Some(Input::Params { request, data }) if !params.push(data) => session.refuse_full(request),
                Some(Input::Start { request }) if !params.finish() => session.refuse_malformed(request),
                Some(Input::Start { request }) => {
                    self.request = Some(request);
                    (self.held, self.flushed) = (0, false);
                    return true;
                }
                Some(_) => {}
                None if session.expire(now) => {}
                None => return false,
            }
        }
    }

    /// Takes in the next thing that came, of so many bytes at most.
    fn receive(&mut self, most: usize, now: Duration) -> (&mut Session<1>, Option<Input<'_>>) {
        let Self { session, input, unread, .. } = self;
        let mut rest = input.get(unread.clone()).unwrap_or_default();
        rest = rest.get(..most).unwrap_or(rest);
        let len = rest.len();
        let event = session.receive(&mut rest, now);
        unread.start += len - rest.len();
        (session, event)
    }

    /// Where in the input the next piece of what is posted is, of so many bytes at most: nothing at the end. `None`: it
    /// has to come first.
    fn posted(&mut self, most: usize, now: Duration) -> Result<Option<Range<usize>>, Stopped> {
        let request = self.request.ok_or(Stopped::Over)?;
        while self.session.read(request, Stream::Stdin, now)? == Read::Wait {
            let start = self.unread.start;
            let Some(event) = self.receive(most, now).1 else {
                if self.unread.start == start {
                    return Ok(None);
                }
                continue;
            };
            // It may also have been the end.
            if let Input::Body { data, .. } = event {
                let len = data.len();
                return Ok(Some(self.unread.start - len..self.unread.start));
            }
        }
        Ok(Some(0..0))
    }

    /// Puts what is posted into `buffer`, and returns how many bytes that were: none at the end. `None`: it has to come
    /// first.
    pub(crate) fn read(&mut self, buffer: &mut [u8], now: Duration) -> Result<Option<usize>, Stopped> {
        if buffer.is_empty() {
            return Ok(Some(0));
        }
        let posted = match self.posted(buffer.len(), now)? {
            None if self.session.expire(now) => self.posted(buffer.len(), now)?,
            posted => posted,
        };
        Ok(posted.map(|posted| copy(buffer, self.input.get(posted).unwrap_or_default())))
    }

    /// Takes the front of `data`, and returns how many bytes that were. `None`: what was written before has to leave
    /// first.
    pub(crate) fn write(&mut self, data: &[u8], now: Duration) -> Result<Option<usize>, Stopped> {
        self.session.expire(now);
        self.session.may_answer(self.request.ok_or(Stopped::Over)?)?;
        if !self.record.is_empty() {
            return Ok(None);
        }
        let most = self.output.len().saturating_sub(FRAME).min(MAX_CONTENT);
        let free = self.output.get_mut(HEADER_LEN + self.held..HEADER_LEN + most).unwrap_or_default();
        if free.is_empty() && !data.is_empty() {
            self.leave()?;
            return Ok(None);
        }
        let count = copy(free, data);
        self.held += count;
        Ok(Some(count))
    }

    /// Whether all that was written has left.
    pub(crate) fn flush(&mut self, now: Duration) -> Result<bool, Stopped> {
        self.session.expire(now);
        self.session.may_answer(self.request.ok_or(Stopped::Over)?)?;
        self.flushed = true;
        if self.held > 0 && self.record.is_empty() {
            self.leave()?;
        }
        Ok(self.held == 0 && self.leaving().is_empty() && self.unflushed.is_none())
    }

    /// Its handler is done; nothing is sent instead of what is missing if it failed. Whether the request is over.
    pub(crate) fn end(&mut self, failed: bool, now: Duration) -> bool {
        let Some(request) = self.request else { return true };
        self.session.expire(now);
        if failed {
            self.held = 0;
            self.session.fail(request, now);
        }
        // Web servers stop sending what is posted at the first byte of the answer: it is read first.
        while self.held > 0 && !self.flushed {
            match self.posted(usize::MAX, now) {
                Ok(None) => return false,
                Ok(Some(posted)) if !posted.is_empty() => {}
                _ => break,
            }
        }
        if self.held > 0 && self.record.is_empty() && self.leave().is_err() {
            self.held = 0;
        }
        if self.held > 0 || !self.leaving().is_empty() {
            return false;
        }
        self.session.finish(request, now);
        loop {
            match self.session.end(request, 0) {
                End::Last(control) => self.control = Some(control),
                End::Over => {}
                End::Wait | End::Part(_) if self.receive(usize::MAX, now).1.is_some() => continue,
                End::Wait | End::Part(_) => return false,
            }
            self.request = None;
            return true;
        }
    }

    /// Makes a record of the page so far, if one may leave now.
    fn leave(&mut self) -> Result<(), Stopped> {
        let Some(request) = self.request else { return Ok(()) };
        let page = self.output.get(HEADER_LEN..HEADER_LEN + self.held).unwrap_or_default();
        let Some((record, _)) = self.session.stdout(request, page)? else { return Ok(()) };
        self.record = 0..record.remaining();
        let (header, padding) = record.frame();
        copy(self.output, &header);
        copy(self.output.get_mut(HEADER_LEN + self.held..).unwrap_or_default(), padding);
        (self.held, self.flushed) = (0, true);
        Ok(())
    }

    /// What the stream is to do next. Where it waits for a request, it may give way to another connection.
    pub(crate) fn turn(&mut self, gives_way: impl FnOnce(Waiting) -> bool, now: Duration) -> Turn {
        if self.leaving().is_empty() {
            self.control = self.session.poll_output();
        }
        let mut next = self.session.next(now);
        if self.session.waiting().is_some_and(gives_way) {
            self.session.leave(Leave::Crowded, now);
            next = self.session.next(now);
        }
        if !next.write {
            // It has left, or nothing may any more.
            (self.control, self.record) = (None, 0..0);
        }
        match (next.at, self.unflushed) {
            (at, _) if next.write => Turn::Write(at),
            (_, Some(until)) => Turn::Flush(until.told()),
            _ if next.close => Turn::Close,
            _ if next.shutdown => Turn::ShutDown,
            (at, None) if next.read && self.unread.is_empty() => Turn::Read(at),
            (Some(at), None) => Turn::Wait(at),
            (None, None) => Turn::Close,
        }
    }

    /// The stream was flushed, or that was not `done` in time.
    pub(crate) fn flushed(&mut self, done: bool, now: Duration) {
        let late = self.unflushed.is_some_and(|until| until <= Time::new(now));
        if done || late {
            self.unflushed = None;
        }
        if !done && late {
            self.session.unwritable();
        }
    }

    /// The bytes that are to be written.
    pub(crate) fn leaving(&self) -> &[u8] {
        match &self.control {
            Some(control) => control,
            None => self.output.get(self.record.clone()).unwrap_or_default(),
        }
    }

    /// So many of them were; a stream that takes none is broken.
    pub(crate) fn sent(&mut self, count: usize, now: Duration) {
        self.unflushed = Some(self.session.write_limit(now));
        if count == 0 {
            self.session.unwritable();
        }
        match &mut self.control {
            Some(control) => control.advance(count),
            None => self.record.start = self.record.end.min(self.record.start.saturating_add(count)),
        }
        // A record of the page may be made next.
        self.control = self.control.take().filter(|control| !control.is_empty());
        self.session.sent(count, now);
    }

    /// Where bytes are to be read to.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.input
    }

    /// So many were; none is the end.
    pub(crate) fn came(&mut self, count: usize) {
        self.unread = 0..count.min(self.input.len());
        if self.unread.is_empty() {
            self.session.end_of_input();
        }
    }

    /// The direction to the client was ended, or there is none that can be.
    pub(crate) fn shut(&mut self, can_be: bool, now: Duration) {
        if can_be {
            self.session.shut(now);
        } else {
            self.session.end_of_input();
        }
    }

    /// What is worth a line in the log.
    pub(crate) fn report(&mut self) -> Option<Report> {
        self.session.poll_report()
    }
}
