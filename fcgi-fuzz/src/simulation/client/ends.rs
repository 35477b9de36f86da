//! Requests that end, fail, are sent again, and are left.

use super::*;

impl Client {
    pub(super) fn ended(&mut self, place: usize, end: End, world: &mut World) {
        let caller = &self.callers[place];
        let asked = &self.model.asked[caller.asked];
        world.note(if end.answered { Decision::Ends } else { Decision::EndsUnanswered });
        if caller.is_values {
            world.note(if caller.got.is_empty() { Decision::Unknown } else { Decision::Values });
            return self.leave(place, world);
        }
        let Some((app, protocol)) = asked.end else { panic!("[one end] {end:?} of a request that has none") };
        hold((end.app_status, end.protocol_status) == (app, protocol), "one end", || {
            format!("{end:?}, {app} and {protocol} came")
        });
        let answered = end.answered != asked.stdout.is_empty();
        hold(answered || world.plan.mode != Mode::Pair, "one end", || {
            format!("{end:?} with {} bytes", asked.stdout.len())
        });
        if end.refusal.is_some() {
            world.note(Decision::EndsRefused);
        }
        if world.plan.mode == Mode::Pair {
            let own = wire::is_answer(asked.tag, 0, &caller.got);
            let library = caller.got.starts_with(b"Status: ")
                && status_of(&caller.got).is_some_and(|status| status >= 400);
            hold(own || library, "no mixing", || "an answer to another request".to_owned());
            hold(caller.got.len() == asked.stdout.len(), "whole bodies", || {
                "an answer that is not whole".to_owned()
            });
        }
        self.check_again(place, end.refusal.is_some(), world);
        self.leave(place, world);
    }

    pub(super) fn failed(&mut self, place: usize, failure: Failure, world: &mut World) {
        let caller = &self.callers[place];
        let settings = world.plan.settings;
        world.note(match failure {
            Failure::Protocol { .. } => Decision::FailsProtocol,
            Failure::Closed => Decision::FailsClosed,
            Failure::Broken => Decision::FailsBroken,
            Failure::Cut { .. } => Decision::FailsCutAnswer,
            Failure::TimedOut { wait: Wait::Write, .. } => Decision::LateWriteClient,
            Failure::TimedOut { wait: Wait::FirstByte, .. } => Decision::LateFirstByte,
            Failure::TimedOut { wait: Wait::Kept, .. } => Decision::LateKept,
            Failure::TimedOut { wait: Wait::Read, .. } => Decision::LateRead,
            Failure::TimedOut { wait: Wait::Input, .. } => Decision::LateInput,
            Failure::TimedOut { .. } => Decision::LateTotal,
            Failure::Unread { .. } => Decision::Unread,
            failure => panic!("[one end] {failure:?}"),
        });
        // A connection that is given up may close as a request comes, which resets it.
        hold(!world.plan.fair || world.left, "one end", || {
            format!("both sides are in order, and {failure:?}")
        });
        let ended = matches!(failure, Failure::Closed | Failure::Broken | Failure::Protocol { .. });
        hold(!ended || self.broken || world.plan.mode != Mode::Pair, "one end", || {
            format!("the transport works, and {failure:?}")
        });
        if let Failure::TimedOut { wait, .. } = failure {
            let (expired, sent, came) = caller.expired;
            let (since, limit) = match wait {
                Wait::Write => (sent, settings.write),
                // Another request's bytes may have left since.
                _ if self.capacity > 1 => (Duration::ZERO, Duration::ZERO),
                Wait::FirstByte => (sent, settings.first_byte),
                Wait::Kept => (sent, settings.kept_first_byte),
                Wait::Read => (came, settings.read),
                _ => (Duration::ZERO, Duration::ZERO),
            };
            let waited = expired - since;
            hold(waited >= limit, "limits", || format!("{failure:?} after {waited:?}"));
        }
        self.check_again(place, false, world);
        self.leave(place, world);
    }

    /// No request is sent again that may not be executed twice, if the application may have read it.
    fn check_again(&mut self, place: usize, refused: bool, world: &mut World) {
        let caller = &self.callers[place];
        let again = self.session.again(caller.request);
        world.note(match again {
            Again::No => Decision::AgainNo,
            Again::Fresh => Decision::AgainFresh,
            Again::Elsewhere => Decision::AgainElsewhere,
        });
        let allowed = match world.plan.settings.resend {
            Resend::All => true,
            Resend::Idempotent => !matches!(caller.method, b"POST" | b"PATCH"),
            Resend::Safe => matches!(caller.method, b"GET" | b"HEAD"),
            _ => false,
        };
        let unread = self.sent <= caller.sent_before;
        let may = refused || unread || allowed && caller.got.is_empty() && caller.is_kept;
        hold(again == Again::No || may, "resend", || {
            format!(
                "{again:?}, sent {}, before it {}, got {}",
                self.sent,
                caller.sent_before,
                caller.got.len()
            )
        });
        self.session.learns(&mut self.manners, caller.request, world.now);
    }

    /// A caller is done, or gives up.
    pub(super) fn leave(&mut self, place: usize, world: &mut World) {
        let caller = &mut self.callers[place];
        let ended = caller.is_values || self.model.asked[caller.asked].end.is_some();
        let abort = self.session.leave(caller.request, world.now);
        caller.is_gone = true;
        if !ended {
            world.note(if abort.is_empty() { Decision::LeftCloses } else { Decision::LeftAborts });
        }
        hold(abort.is_empty() || !ended, "nothing after the end", || {
            "a request that ended is aborted".to_owned()
        });
        let goes_on = self.session.open() > 0 && !self.deaf && !self.session.next().close;
        let is_told = !abort.is_empty() || ended || !goes_on;
        hold(is_told, "one end", || "a request is left beside others, and not aborted".to_owned());
        self.out.extend(&abort[..]);
        let over = self.session.poll(caller.request, world.now);
        hold(over == Err(Failure::Over), "no mixing", || format!("a request that was left: {over:?}"));
        hold(self.session.wants(caller.request) == 0, "no mixing", || {
            "a request that was left wants input".to_owned()
        });
        (self.idle_since, self.last, self.told) = (world.now, world.now, true);
    }
}
