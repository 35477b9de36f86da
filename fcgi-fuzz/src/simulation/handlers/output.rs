//! Handlers that write and flush.

use super::*;

impl Handler {
    /// Bytes of its answer from where it is on.
    fn next_bytes(&self, taken: &Taken, count: usize) -> Vec<u8> {
        wire::answer(self.tag.unwrap_or(0), self.written(taken), count)
    }

    fn written(&self, taken: &Taken) -> usize {
        if self.is_head && !self.is_plain { taken.wrote_of_head } else { taken.wrote.len() }
    }

    fn wrote(&mut self, taken: &mut Taken, bytes: &[u8]) {
        if self.is_head && !self.is_plain {
            // No body follows the head.
            taken.wrote_of_head += bytes.len();
            let head = wire::HEAD.saturating_sub(taken.wrote.len()).min(bytes.len());
            taken.wrote.extend(&bytes[..head]);
        } else {
            taken.wrote.extend(bytes);
        }
        self.left = self.left.saturating_sub(bytes.len());
    }

    /// Writes some of so many bytes that are left, to STDOUT or to STDERR; whether it is still at it.
    pub(super) fn writes(
        &mut self,
        at: fn(usize) -> At,
        left: usize,
        session: &mut dyn ServerSession,
        taken: &mut Taken,
        out: &mut VecDeque<u8>,
        world: &mut World,
    ) -> bool {
        let is_stderr = at(0) == At::Stderr(0);
        if is_stderr && self.is_plain && taken.wrote.len() < wire::HEAD {
            return false;
        }
        let bytes = if is_stderr { vec![b'e'; left] } else { self.next_bytes(taken, left) };
        let is_aborted = taken.aborted && world.plan.mode == Mode::Pair;
        let count = if self.is_plain {
            let record = if is_stderr {
                session.stderr(self.request, &bytes)
            } else {
                session.stdout(self.request, &bytes)
            };
            match record {
                Ok(None) => {
                    world.note(Decision::PlainWaits);
                    return self.must_wait();
                }
                Ok(Some((record, rest))) => {
                    world.note(Decision::Plain);
                    hold(!is_aborted || record.remaining() == 0, "nothing after the end", || {
                        "an aborted request is answered".to_owned()
                    });
                    hold(out.is_empty() || record.remaining() == 0, "memory", || {
                        "a record leaves before what was handed out has".to_owned()
                    });
                    record.slices().iter().for_each(|slice| out.extend(*slice));
                    bytes.len() - rest.len()
                }
                Err(stopped) => return self.is_stopped(stopped, world),
            }
        } else {
            let write = if is_stderr {
                session.write_stderr(self.request, &mut self.answer, &bytes, world.now)
            } else {
                session.write(self.request, &mut self.answer, &bytes, world.now)
            };
            match write {
                Ok(Write::Wait) => {
                    world.note(Decision::WriteWaits);
                    if !is_stderr {
                        self.held_since.get_or_insert(world.now);
                    }
                    return self.must_wait();
                }
                Ok(Write::Taken(count)) => {
                    world.note(Decision::Taken);
                    count
                }
                Ok(Write::Send(batch)) => {
                    world.note(Decision::Sent);
                    hold(out.is_empty(), "memory", || {
                        "a record leaves before what was handed out has".to_owned()
                    });
                    hold(!is_aborted, "nothing after the end", || {
                        "an aborted request is answered".to_owned()
                    });
                    let held = self.held_since.map_or(Duration::ZERO, |since| world.now - since);
                    let may_leave = taken.is_complete() || self.let_go || held >= Duration::from_millis(150);
                    hold(may_leave || !world.plan.fair, "held back", || {
                        format!("an answer leaves before its input is in, after {held:?}")
                    });
                    batch.slices().iter().for_each(|slice| out.extend(*slice));
                    let count = batch.taken;
                    self.answer.sent();
                    count
                }
                Err(WriteError::Stopped(stopped)) => return self.is_stopped(stopped, world),
                Err(error) => panic!("[whole bodies] {error:?}"),
            }
        };
        if is_stderr {
            taken.wrote_stderr.extend(&bytes[..count]);
        } else {
            self.wrote(taken, &bytes[..count]);
        }
        self.at = Some(at(left - count));
        left > count
    }

    pub(super) fn flushes(
        &mut self,
        session: &mut dyn ServerSession,
        out: &mut VecDeque<u8>,
        world: &mut World,
    ) -> bool {
        if self.is_plain {
            return false;
        }
        self.let_go = true;
        match session.flush(self.request, &mut self.answer, world.now) {
            Ok(Write::Wait) => {
                world.note(Decision::WriteWaits);
                self.must_wait()
            }
            Ok(Write::Taken(_)) => {
                world.note(Decision::Flushed);
                false
            }
            Ok(Write::Send(batch)) => {
                world.note(Decision::Sent);
                batch.slices().iter().for_each(|slice| out.extend(*slice));
                self.answer.sent();
                true
            }
            Err(WriteError::Stopped(stopped)) => self.is_stopped(stopped, world),
            Err(error) => panic!("[whole bodies] {error:?}"),
        }
    }

    pub(super) fn must_wait(&mut self) -> bool {
        (self.waits, self.held) = (true, true);
        true
    }

    fn is_stopped(&mut self, stopped: Stopped, world: &mut World) -> bool {
        world.note(Decision::WriteStopped);
        let known = world.plan.limits == fcgi_proto::Limits::new() && world.plan.fair;
        hold(!known, "whole bodies", || format!("both sides are in order, and a writer hears {stopped:?}"));
        (self.left, self.steps) = (0, 0);
        self.manner = Manner::Writes;
        false
    }
}
