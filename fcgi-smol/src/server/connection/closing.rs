//! How a connection waits and how it ends: what is idle, what is late, what is over.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use smol::io::AsyncRead;

use super::{Common, State};
use crate::server::active::Active;
use crate::server::settings::Settings;
use crate::server::stop::Stop;

/// What still comes after the last answer is read, within a bound.
pub(super) struct Linger {
    until: Instant,
    /// Writing was shut down.
    shut: bool,
    bytes: u64,
}

impl State {
    /// Whether the connection is over, and how: nothing is asked any more, all is answered, and what still
    /// came was read. To close with input unread would reset the connection, with what was just sent on it.
    pub(super) fn over(&mut self, cx: &mut Context<'_>, common: &Common) -> Option<io::Result<()>> {
        if self.killed {
            return Some(Ok(()));
        }
        if !self.requests.is_empty() {
            return None;
        }
        let input_ended = matches!(self.input_stop, Some(Stop::Eof | Stop::Io(..)));
        if self.write_failed || (input_ended && self.out.is_empty() && !self.unflushed) {
            return Some(self.failure.take().map_or(Ok(()), Err));
        }
        if !self.out.is_empty() || self.unflushed {
            return None;
        }
        if self.protocol.is_finished() || self.input_stop.is_some() {
            return self.linger(cx, common).then(|| self.failure.take().map_or(Ok(()), Err));
        }
        // What the client had sent was read.
        let waits = self.fresh && self.last_call.is_some_and(|until| Instant::now() < until);
        (self.leaving && !waits && !self.again && self.is_idle()).then_some(Ok(()))
    }

    fn is_idle(&self) -> bool {
        self.protocol.is_idle() && self.unread.is_empty()
    }

    /// Shuts down writing, and reads what still comes, within a bound. Whether that is done.
    fn linger(&mut self, cx: &mut Context<'_>, common: &Common) -> bool {
        let limits = &common.settings;
        let linger = self.linger.get_or_insert_with(|| Linger {
            until: Instant::now() + limits.drain_timeout,
            shut: false,
            bytes: 0,
        });
        if !linger.shut {
            match self.transport.poll_shutdown(cx) {
                Poll::Ready(Ok(())) => linger.shut = true,
                Poll::Ready(Err(_)) => return true,
                Poll::Pending => return Instant::now() >= linger.until,
            }
        }
        let mut input = common.spares.input();
        let over = loop {
            match Pin::new(&mut self.transport).poll_read(cx, &mut input) {
                Poll::Ready(Ok(count @ 1..)) if linger.bytes < limits.drain_limit => {
                    linger.bytes += count as u64;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(_) => break true,
                Poll::Pending => break Instant::now() >= linger.until,
            }
        };
        common.spares.put_input(input);
        over
    }

    /// The task has nothing to do.
    pub(super) fn rest(&mut self) {
        self.running = false;
        let waits =
            self.requests.is_empty() && self.out.is_empty() && !self.unflushed && self.linger.is_none();
        if waits && self.is_idle() {
            self.idle_since.get_or_insert_with(Instant::now);
            self.cut_since = None;
            self.requests = Vec::new();
        } else {
            self.idle_since = None;
            self.cut_since = waits.then(|| self.cut_since.unwrap_or_else(Instant::now));
        }
    }

    pub(super) fn deadlines(&self, limits: &Settings) -> impl Iterator<Item = Instant> {
        let idle = self.idle_since.map(|since| since + limits.idle_timeout);
        let last_call = self.last_call.filter(|_| self.fresh);
        let cut = self.cut_since.map(|since| since + limits.params_timeout);
        let write = self.write_since.map(|since| since + limits.write_timeout);
        let linger = self.linger.as_ref().map(|linger| linger.until);
        // What a handler left is settled when there is room, and not before.
        let room = self.has_room();
        let waiting = self.requests.iter().filter(move |request| room || request.outcome.is_none());
        let requests = waiting.filter_map(|request| request.deadline(limits));
        [idle, last_call, cut, write, linger].into_iter().flatten().chain(requests)
    }

    pub(super) fn expire(&mut self, now: Instant, common: &Common) {
        let limits = &common.settings;
        if self.deadlines(limits).all(|at| at > now) {
            return;
        }
        let passed = |since: Option<Instant>, limit| since.is_some_and(|since| since + limit <= now);
        self.leaving |= passed(self.idle_since, limits.idle_timeout);
        let late = |request: &Active| !request.ready && request.deadline(limits).is_some_and(|at| at <= now);
        if passed(self.cut_since, limits.params_timeout) || self.requests.iter().any(|request| late(request))
        {
            // Nothing of this client is waited for any more.
            self.stop_input(Stop::TimedOut("whole parameters", limits.params_timeout), common);
        }
        if passed(self.write_since, limits.write_timeout) {
            let limit = limits.write_timeout.as_secs_f32();
            let text = format!("the client took no byte of the answer for {limit} s");
            self.fail_writes(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        for request in &mut self.requests {
            request.expire(limits, now);
        }
        self.call();
    }
}
