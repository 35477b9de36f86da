//! Handlers that read.

use super::*;

impl Handler {
    /// Whether it is still at it.
    pub(super) fn reads(
        &mut self,
        stream: Stream,
        session: &mut dyn ServerSession,
        taken: &Taken,
        world: &mut World,
    ) -> bool {
        let number = number(stream);
        if !self.kept[number].is_empty() {
            let most = if world.choices.below(2) == 0 {
                usize::MAX
            } else {
                1 + world.plan.size(&mut world.choices)
            };
            let count = self.kept[number].len().min(most);
            let bytes: Vec<u8> = self.kept[number].drain(..count).collect();
            self.on_disk[number] = self.on_disk[number].min(self.kept[number].len());
            if let (Some(tag), false) = (self.tag, self.skips || world.plan.mode != Mode::Pair) {
                let pattern = if number == 0 { wire::stdin_of(tag) } else { wire::data_of(tag) };
                hold(wire::is_pattern(pattern, self.read[number], &bytes), "no mixing", || {
                    format!("{stream:?} of another")
                });
            }
            self.read[number] += count;
            if session.room(self.request) {
                world.note(Decision::Room);
            }
            return self.manner != Manner::Mixes;
        }
        if stream == Stream::Data {
            self.skips |= !self.stdin_ended;
            self.kept[0].clear();
            self.on_disk[0] = 0;
        }
        let came = &taken.input[1 + number];
        match session.read(self.request, stream, world.now) {
            Ok(Read::Wait) => {
                world.note(Decision::ReadWaits);
                self.patience
                    .get_or_insert_with(|| Spent::new(world.plan.patience.read))
                    .waits(world.now, taken.stdin_ended);
                self.waits = true;
                true
            }
            Ok(Read::End) => {
                world.note(Decision::ReadEnds);
                self.stopped[number] = true;
                self.stdin_ended |= number == 0;
                if let Some(patience) = self.patience.as_mut().filter(|_| taken.is_complete()) {
                    patience.stops();
                }
                let has = matches!(
                    (self.role, stream),
                    (Role::Responder | Role::Filter, Stream::Stdin) | (Role::Filter, Stream::Data)
                );
                let whole = !has || taken.ended[1 + number] && self.read[number] == came.len();
                hold(whole || self.skips && number == 0, "whole bodies", || {
                    format!(
                        "{stream:?} ends after {} bytes of {}, ended {:?}",
                        self.read[number],
                        came.len(),
                        taken.ended
                    )
                });
                if world.plan.mode == Mode::Pair && has && !self.skips {
                    hold(self.read[number] == self.lengths[number], "whole bodies", || {
                        format!("{stream:?} ends after {} bytes of {:?}", self.read[number], self.lengths)
                    });
                }
                false
            }
            Err(stopped) => {
                self.stopped = [true; 2];
                let fits = match stopped {
                    Stopped::Closed => !world.plan.fair,
                    Stopped::Aborted => taken.aborted,
                    Stopped::Protocol(_) => !world.plan.fair,
                    Stopped::TimedOut { wait: Wait::Body, .. } => {
                        if let Some(patience) = self.patience.filter(|_| !self.held) {
                            patience.passes(false, world.now, "a body");
                        }
                        !world.plan.fair
                    }
                    Stopped::TimedOut { .. } | Stopped::Broken => !world.plan.fair,
                    Stopped::Refused(_) => taken.disorder || world.plan.limits != fcgi_proto::Limits::new(),
                    _ => false,
                };
                hold(fits, "whole bodies", || {
                    format!("a reader hears {stopped:?}: {stopped}, aborted {}", taken.aborted)
                });
                world.note(match stopped {
                    Stopped::Closed => Decision::ReadClosed,
                    Stopped::Aborted => Decision::ReadAborted,
                    Stopped::Refused(_) => Decision::ReadRefused,
                    Stopped::Protocol(_) => Decision::ReadProtocol,
                    Stopped::TimedOut { .. } => Decision::ReadLate,
                    _ => Decision::ReadBroken,
                });
                false
            }
        }
    }
}
