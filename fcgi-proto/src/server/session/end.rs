//! How a request ends.

#[cfg(feature = "alloc")]
use core::task::Poll;
use core::time::Duration;

use super::life::{Life, Phase, Request, Stop};
use super::patience::PAUSE;
use super::report::Stopped;
use super::{OUT_ROOM, Session};
#[cfg(feature = "alloc")]
use crate::cgi::{Answer, HeadError};
use crate::life::{Level, Time};
use crate::record::Control;
use crate::server::slots::Slots;
use crate::server::{Refusal, SendError};

/// What a request ends with.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum End<T> {
    /// Not yet: ask again after [`Look`](super::Input::Look).
    Wait,
    /// To be sent now, and [`Answer::sent`](crate::cgi::Answer::sent) to be called; the request is not over, ask
    /// again.
    Part(T),
    /// To be sent; the request is over.
    Last(T),
    /// The request is over, and nothing is to be sent.
    Over,
}

/// What may be done about the end of a request.
enum Step {
    Wait,
    /// What its answer holds may leave before its end.
    Part,
    Finish,
    /// Only its end: nobody waits for its answer.
    Abort,
    /// What its answer holds, and the end of the connection instead of its own.
    Cut,
    Reject,
    Over,
}

impl<const N: usize, S: Slots<Entry = Life>> Session<N, S> {
    /// The handler is done: what is left of the request's input is not wanted.
    #[inline]
    pub fn finish(&mut self, request: Request, now: Duration) {
        let now = Time::new(now);
        let stopped = self.input.is_some() || self.cut.is_some();
        let id = request.id();
        let drains = self.connection.drains_before_end(id) || !self.connection.may_finish(id);
        let spans = self.spans;
        let Some(life) = self.life_mut(request).filter(|life| matches!(life.phase, Phase::Running)) else {
            return;
        };
        if drains && life.stop.is_none() && !stopped {
            (life.phase, life.since, life.due) = (Phase::Draining, now, spans.drain.from(now));
            let due = life.due.min(PAUSE.from(now));
            self.is_due(due);
        } else {
            (life.phase, life.due) = (Phase::Ending, Time::NEVER);
        }
    }

    /// The handler failed when a part of its answer had left, and there is no Content-Length: if that is ended, web
    /// servers take it for the whole. So the connection closes, and the request has no end. If the connection carries
    /// other requests, the request ends with the application status 1. In all else it is as [`finish`](Self::finish).
    pub fn fail(&mut self, request: Request, now: Duration) {
        if let Some(life) = self.life_mut(request).filter(|life| matches!(life.phase, Phase::Running)) {
            life.set(Life::FAILED);
        }
        self.finish(request, now);
    }

    /// The handler is done. `failed` is the text of its error, if it failed: its answer becomes a 500 then, if nothing
    /// of it has left, or is [cut](Self::fail) where its end would be taken for the end of its body. An answer that
    /// cannot be ended has failed too.
    ///
    /// # Errors
    /// [`HeadError`], for an answer that has no head or one that cannot be sent: it became a 500, or is sent as it is
    /// where the web server [wants that](crate::cgi::Front::errors_first).
    #[cfg(feature = "alloc")]
    pub fn finish_answer(
        &mut self,
        request: Request,
        answer: &mut Answer,
        failed: Option<&str>,
        now: Duration,
    ) -> Result<(), HeadError> {
        let aborted = |life: &Life| matches!(life.stop, Some(Stop::Aborted | Stop::Refused(_)));
        let result = if self.life(request).is_none_or(aborted) || self.cut.is_some() {
            Ok(())
        } else if let Some(why) = failed {
            answer.fail(why)
        } else if let Err(error) = answer.end_as_it_is() {
            if answer.head_is_whole() {
                Err(error)
            } else {
                answer.fail(&alloc::string::ToString::to_string(&error)).and(Err(error))
            }
        } else {
            Ok(())
        };
        if failed.is_some() && answer.is_cut_by_close(!self.connection.table.closing) {
            self.fail(request, now);
        } else {
            self.finish(request, now);
        }
        result
    }

    /// What ends the request, once its handler is done and its input is read.
    pub fn end(&mut self, request: Request, app_status: u32) -> End<Control> {
        match self.end_step(request, false) {
            Step::Wait | Step::Part => End::Wait,
            Step::Over => End::Over,
            Step::Reject => self.end_rejected(request),
            Step::Cut => {
                self.cut_short(request);
                End::Over
            }
            Step::Finish | Step::Abort => self.end_finished(request, app_status),
        }
    }

    /// What ends the request, with what its answer holds. If the answer has begun to leave, what it holds leaves at
    /// once, even if its end has to wait.
    #[cfg(feature = "alloc")]
    pub fn end_answer<'a>(
        &mut self,
        request: Request,
        answer: &'a mut Answer,
        app_status: u32,
    ) -> End<&'a [u8]> {
        let (id, status) = (request.id(), self.status(request, app_status));
        let step = self.end_step(request, answer.has_begun() && !answer.stdout().is_empty());
        let bytes = match step {
            Step::Wait => return End::Wait,
            Step::Over => return End::Over,
            Step::Abort | Step::Reject => {
                let ended = match step {
                    Step::Abort => self.end_finished(request, app_status),
                    _ => self.end_rejected(request),
                };
                return match ended {
                    End::Last(control) => End::Last(answer.replace(&control)),
                    _ => End::Over,
                };
            }
            Step::Part | Step::Cut => answer.part(&mut self.connection, id),
            Step::Finish => answer.finish(&mut self.connection, id, status),
        };
        let is_part = matches!(step, Step::Part);
        match step {
            Step::Part => {}
            Step::Cut => self.cut_short(request),
            _ => self.free(request.slot()),
        }
        match bytes {
            Ok(bytes) => {
                self.hand_out(bytes.len());
                if is_part { End::Part(bytes) } else { End::Last(bytes) }
            }
            Err(_) => End::Over,
        }
    }

    /// Puts what ends the request behind the records in `out`, which the caller sends: as
    /// [`end_answer`](Self::end_answer), for those who write from a buffer of their own. `Pending`: ask again after
    /// [`Look`](super::Input::Look). Else the request is over.
    #[cfg(feature = "alloc")]
    pub fn end_into(
        &mut self,
        request: Request,
        answer: &mut Answer,
        app_status: u32,
        out: &mut alloc::vec::Vec<u8>,
    ) -> Poll<()> {
        loop {
            let (bytes, is_over) = match self.end_answer(request, answer, app_status) {
                End::Wait => return Poll::Pending,
                End::Over => return Poll::Ready(()),
                End::Part(bytes) => (bytes, false),
                End::Last(bytes) => (bytes, true),
            };
            out.extend_from_slice(bytes);
            answer.sent();
            if is_over {
                return Poll::Ready(());
            }
        }
    }

    /// The level at which to log an error of the request's handler: [`Level::Debug`], if the client was gone.
    #[must_use]
    pub fn failure_level(&self, request: Request) -> Level {
        let stopped = match (self.life(request), self.cut) {
            (_, Some(_)) | (None, _) => return Level::Debug,
            (Some(life), None) => self.stopped(life),
        };
        stopped.map_or(Level::Warn, Stopped::level)
    }

    #[inline]
    fn end_step(&mut self, request: Request, has_part: bool) -> Step {
        let (cut, full, unsent) = (self.cut.is_some(), self.unsent >= OUT_ROOM, self.unsent);
        let alone = self.lives == 1;
        let may_finish = self.connection.may_finish(request.id());
        let Some(life) = self.life_mut(request) else { return Step::Over };
        let refused = matches!(life.stop, Some(Stop::Refused(_)));
        match life.phase {
            Phase::Draining if cut || refused => {}
            Phase::Draining if has_part && unsent == 0 && life.wire.stage.may_write() => return Step::Part,
            Phase::Ending => {}
            _ => return Step::Wait,
        }
        if cut || refused {
            self.free(request.slot());
            return Step::Over;
        }
        if full {
            return Step::Wait;
        }
        match life.stop {
            Some(Stop::Aborted) => Step::Abort,
            _ if life.has(Life::FAILED) && alone => Step::Cut,
            _ if may_finish => Step::Finish,
            // Nothing may be answered before its input has come that far, but for the end itself.
            _ => Step::Reject,
        }
    }

    fn end_rejected(&mut self, request: Request) -> End<Control> {
        let control = self.connection.reject(request.id(), Refusal::Malformed);
        self.end_as(request, control)
    }

    fn end_finished(&mut self, request: Request, app_status: u32) -> End<Control> {
        let control = self.connection.finish(request.id(), self.status(request, app_status));
        self.end_as(request, control)
    }

    /// The application status that tells how the request ended.
    fn status(&self, request: Request, app_status: u32) -> u32 {
        let failed = self.life(request).is_some_and(|life| life.has(Life::FAILED));
        if failed { app_status.max(1) } else { app_status }
    }

    /// The request ends with its connection.
    fn cut_short(&mut self, request: Request) {
        self.connection.table.end(request.id());
        self.connection.table.closing = true;
        self.free(request.slot());
    }

    fn end_as(&mut self, request: Request, control: Result<Control, SendError>) -> End<Control> {
        self.free(request.slot());
        control.map_or(End::Over, |control| {
            self.hand_out(control.len());
            End::Last(control)
        })
    }
}
