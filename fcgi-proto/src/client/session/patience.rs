//! What an active request waits for, for how long, and what the end of that time means.

use core::time::Duration;

use super::Session;
use super::request::{Failure, Phase, Slot, Wait};
use crate::life::Time;

impl<const N: usize> Session<N> {
    /// Ends the waits whose time has come; whether there was one. Poll all requests then.
    pub fn expire(&mut self, now: Duration) -> bool {
        let now = Time::new(now);
        if now < self.earliest {
            return false;
        }
        let mut expired = false;
        self.earliest = Time::NEVER;
        for place in 0..N {
            self.note_sent(place);
            let Some(slot) = self.slots.get(place).filter(|slot| slot.is_active()) else { continue };
            let (until, wait) = self.until(slot);
            if until > now {
                self.come_back(until);
                continue;
            }
            expired = true;
            let limit = self.settings.limit(wait);
            let holds_up = self.full > 0;
            if let Some(slot) = self.slots.get_mut(place) {
                slot.phase = Phase::Failed(match holds_up {
                    true => Failure::Unread { limit },
                    false => Failure::TimedOut { wait, limit },
                });
            }
            self.connection.retire();
            self.close(place, now);
        }
        expired
    }

    /// What an active request waits for.
    fn wait(&self, slot: &Slot) -> Wait {
        let is_complete = slot.id.is_none_or(|id| self.connection.is_complete(id));
        if !is_complete && self.has_room() {
            Wait::Input
        } else if !self.deaf && (!is_complete || self.written < slot.last) {
            Wait::Write
        } else if self.came(slot) {
            Wait::Read
        } else if self.may_be_impatient(slot) {
            Wait::Kept
        } else {
            Wait::FirstByte
        }
    }

    /// Whether a request that gets no byte is soon sent again, over a fresh connection.
    fn may_be_impatient(&self, slot: &Slot) -> bool {
        let may_be_sent_again = slot.repeatable && self.settings.resend.allows(slot.kind);
        may_be_sent_again && !slot.fresh && !self.shared && self.settings.is_impatient()
    }

    /// When the wait of an active request ends, and what for.
    fn until(&self, slot: &Slot) -> (Time, Wait) {
        if self.full > 0 {
            let holds_up = slot.kept >= self.share() && self.open > 1;
            let until = if holds_up { slot.kept_since.after(self.settings.read) } else { Time::NEVER };
            return (until, Wait::Read);
        }
        if slot.waiting == Time::NEVER {
            return (Time::NEVER, Wait::Total);
        }
        let wait = self.wait(slot);
        let since = slot.waiting.max(self.listening);
        let begun = match wait {
            Wait::Write => since.max(self.wrote),
            Wait::FirstByte | Wait::Kept if slot.sent != Time::NEVER => since.max(slot.sent),
            Wait::Read if !self.shared => since.max(self.heard),
            _ => since,
        };
        let own = begun.after(self.settings.limit(wait));
        if wait == Wait::Input {
            return (own.min(since.after(slot.lent)), wait);
        }
        let all = since.after(slot.patience).after(Duration::from_millis(self.earned(slot)));
        if all < own { (all, Wait::Total) } else { (own, wait) }
    }

    /// What the bytes of a request that were written since it was last reckoned earn, in milliseconds.
    fn earned(&self, slot: &Slot) -> u64 {
        self.written.min(slot.last).saturating_sub(slot.paid)
    }

    /// Something came for the request or from its caller: reckons how long was waited for it.
    pub(super) fn pay(&mut self, place: usize, bytes: usize, now: Time) {
        let Some(slot) = self.slots.get(place).filter(|slot| slot.is_active()) else { return };
        let is_input = self.wait(slot) == Wait::Input;
        // Of the caller's input its bytes count, not what they take on the wire.
        let sent = if is_input { 0 } else { self.earned(slot) };
        let earned = Duration::from_millis(sent.saturating_add(bytes as u64));
        let waited = now.since(slot.waiting.max(self.listening));
        let (written, total, input) = (self.written, self.settings.total, self.settings.input);
        let Some(slot) = self.slots.get_mut(place) else { return };
        let (left, most) = if is_input { (&mut slot.lent, input) } else { (&mut slot.patience, total) };
        // Times, since the arithmetic of durations can panic as far as a compiler sees.
        let spent = Time::new(Time::new(*left).since(Time::new(waited)));
        *left = spent.after(earned).min(Time::new(most)).since(Time::new(Duration::ZERO));
        slot.paid = slot.paid.max(written.min(slot.last));
        if slot.waiting != Time::NEVER {
            slot.waiting = now;
        }
    }

    /// Reckons again when the wait of a request ends.
    pub(super) fn rearm(&mut self, place: usize) {
        self.note_sent(place);
        if let Some(slot) = self.slots.get(place).filter(|slot| slot.is_active()) {
            self.come_back(self.until(slot).0);
        }
    }

    /// Notes when the last byte of a request left, if it did.
    fn note_sent(&mut self, place: usize) {
        let (written, wrote, deaf) = (self.written, self.wrote, self.deaf);
        let Some(slot) = self.slots.get(place).filter(|slot| slot.is_active()) else { return };
        let is_complete = slot.id.is_none_or(|id| self.connection.is_complete(id));
        if let Some(slot) = self.slots.get_mut(place) {
            if slot.sent == Time::NEVER && (deaf || (is_complete && written >= slot.last)) {
                slot.sent = wrote;
            }
        }
    }
}
