//! Handlers that are done.

use super::*;

impl Handler {
    pub(super) fn ends(
        &mut self,
        session: &mut dyn ServerSession,
        taken: &mut Taken,
        out: &mut VecDeque<u8>,
        closes: bool,
        world: &mut World,
    ) -> bool {
        let status = match taken.done {
            Some(Done::With(status)) => status,
            Some(Done::Failed) => 0,
            None => {
                let fails = world.choices.once_in(6) || !self.is_plain && taken.wrote.len() < wire::HEAD;
                let status = if fails { 0 } else { world.choices.one_of(&[0, 1, 7, u32::MAX]) };
                if self.is_plain {
                    session.finish(self.request, world.now);
                    taken.done = Some(Done::With(status));
                } else {
                    let failed = fails.then_some("it failed");
                    let result = session.finish_answer(self.request, &mut self.answer, failed, world.now);
                    hold(result.is_ok(), "one end", || format!("{result:?}"));
                    taken.done = Some(if fails { Done::Failed } else { Done::With(status) });
                    if fails {
                        world.note(if taken.stdout.is_empty() {
                            Decision::Fails
                        } else {
                            Decision::FailsCut
                        });
                        // It may be cut by the end of the connection, which others on it share.
                        world.left = true;
                    }
                }
                self.finished_at = world.now;
                if !taken.is_complete() && !closes && !taken.aborted {
                    world.note(Decision::Drained);
                }
                status
            }
        };
        loop {
            let (bytes, last) = if self.is_plain {
                match session.end(self.request, status) {
                    End::Wait => break,
                    End::Last(control) => (control.to_vec(), true),
                    End::Over => return self.is_over(world),
                    End::Part(_) => panic!("[one end] a part of no answer"),
                }
            } else {
                match session.end_answer(self.request, &mut self.answer, status) {
                    End::Wait => break,
                    End::Last(bytes) => (bytes.to_vec(), true),
                    End::Over => return self.is_over(world),
                    End::Part(bytes) => (bytes.to_vec(), false),
                }
            };
            let failed = taken.done == Some(Done::Failed);
            hold(failed || !bytes.is_empty(), "one end", || "an end of no bytes".to_owned());
            out.extend(bytes);
            if last {
                taken.cut_short = !taken.is_complete();
                world.note(if taken.aborted { Decision::EndAborted } else { Decision::EndLast });
                if !closes {
                    self.check_end(taken, world);
                }
                self.is_gone = true;
                return false;
            }
            world.note(Decision::EndPart);
            self.answer.sent();
        }
        world.note(Decision::EndWaits);
        self.must_wait()
    }

    fn is_over(&mut self, world: &mut World) -> bool {
        world.note(Decision::EndNothing);
        hold(!world.plan.fair || world.left, "one end", || {
            "both sides are in order, and a request has no end".to_owned()
        });
        self.is_gone = true;
        false
    }

    /// A request whose input is not in ends on a kept connection after it was read within bounds.
    fn check_end(&self, taken: &Taken, world: &mut World) {
        let waited = world.now - self.finished_at;
        let drain = world.plan.patience.drain;
        let is_open = !taken.is_complete() && !taken.aborted;
        if is_open && waited < drain && world.plan.fair {
            world.note(Decision::Pause);
            let paused = world.now - taken.last_input.max(self.finished_at);
            hold(paused >= Duration::from_millis(150), "limits", || {
                format!("its input was read for {waited:?} only, and paused for {paused:?}")
            });
        }
    }
}
