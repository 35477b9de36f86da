//! Whether a request is sent again, and over which connection; what is learned of connections that are kept.

use core::time::Duration;

use super::Session;
use super::request::{End, Failure, Phase, Request, Slot, Wait};
use crate::record::ProtocolStatus;

/// Which requests may be sent a second time when the application may have read the first.
///
/// It is about connections that were kept: one may close at the moment at which a request is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Resend {
    /// None.
    Never,
    /// GET, HEAD, OPTIONS and TRACE, which change nothing (RFC 9110, section 9.2.1).
    #[default]
    Safe,
    /// PUT and DELETE as well, which are the same done twice (RFC 9110, section 9.2.2).
    Idempotent,
    /// All, POST as well, which may be executed twice then.
    All,
}

/// What a method says about doing it twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Kind {
    Safe,
    Idempotent,
    Other,
}

impl Kind {
    pub(super) fn of(method: &[u8]) -> Self {
        match method {
            b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" => Self::Safe,
            b"PUT" | b"DELETE" => Self::Idempotent,
            _ => Self::Other,
        }
    }
}

impl Resend {
    /// Whether a request of this kind may be executed twice.
    pub(super) fn allows(self, kind: Kind) -> bool {
        match self {
            Self::Never => false,
            Self::Safe => kind <= Kind::Safe,
            Self::Idempotent => kind <= Kind::Idempotent,
            Self::All => true,
        }
    }
}

/// Where a request that failed is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Again {
    /// Nowhere: the failure is the answer.
    No,
    /// To the same application, over a connection that was not kept.
    Fresh,
    /// To another application, if there is one.
    Elsewhere,
}

/// What became of a request, as far as sending it again goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It was refused, and so not executed (section 5.5).
    Refused,
    /// The connection ended or failed.
    Lost,
    /// A kept connection stayed silent.
    Silent,
    /// Anything else.
    Other,
}

impl Fate {
    fn of_end(end: Option<End>) -> Self {
        match end.and_then(|end| end.refusal) {
            Some(ProtocolStatus::Overloaded | ProtocolStatus::CantMpxConn) => Self::Refused,
            // The other applications of a pool have the same roles.
            Some(ProtocolStatus::UnknownRole | ProtocolStatus::RequestComplete) | None => Self::Other,
        }
    }

    fn of_failure(failure: Failure) -> Self {
        match failure {
            Failure::Closed | Failure::Broken => Self::Lost,
            Failure::TimedOut { wait: Wait::Kept, .. } => Self::Silent,
            Failure::Protocol { .. }
            | Failure::Cut { .. }
            | Failure::TimedOut { .. }
            | Failure::Unread { .. }
            | Failure::Over => Self::Other,
        }
    }
}

/// The table. `sent`: whether any byte of it was sent; `fresh`: whether it was the connection's first request;
/// `came`: whether any byte of an answer came; `allowed`: whether it may be executed twice.
fn again(fate: Fate, sent: bool, fresh: bool, came: bool, allowed: bool) -> Again {
    match (fate, sent, fresh, came, allowed) {
        (Fate::Refused, _, _, _, _) => Again::Elsewhere,
        // Nobody can have read it.
        (Fate::Lost, false, true, _, _) => Again::Elsewhere,
        (Fate::Lost, false, false, _, _) => Again::Fresh,
        // The connection had ended while it was kept, or did as the request came.
        (Fate::Lost, true, false, false, true) => Again::Fresh,
        // Its worker is still at the request before.
        (Fate::Silent, _, false, false, true) => Again::Fresh,
        (Fate::Lost | Fate::Silent | Fate::Other, _, _, _, _) => Again::No,
    }
}

impl<const N: usize> Session<N> {
    /// Where a request that failed, or was refused, is to be sent again; to be asked before it is
    /// [left](Self::leave). It is so only while nothing of an answer was handed on.
    #[must_use]
    pub fn again(&self, request: Request) -> Again {
        let Some(slot) = self.slot(request).filter(|slot| slot.repeatable) else { return Again::No };
        let allowed = self.settings.resend.allows(slot.kind);
        again(self.fate(slot), self.written > slot.first, slot.fresh, self.came(slot), allowed)
    }

    fn fate(&self, slot: &Slot) -> Fate {
        match (slot.phase, self.dead) {
            (Phase::Ended(raw), _) => Fate::of_end(End::new(raw, slot.status)),
            (Phase::Failed(failure), _) | (Phase::Active, Some(failure)) => Fate::of_failure(failure),
            (Phase::Active | Phase::Free | Phase::Left, _) => Fate::Other,
        }
    }
}

/// After a kept connection closed under a request: how long one must have stayed open to be used again.
const STAYED_OPEN: Duration = Duration::from_secs(1);

/// After a kept connection stayed silent: for how long none is used.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// What was learned of the connections that an application is asked to keep.
///
/// Some close after every END_REQUEST although they were asked to keep (Ruby, uWSGI, node, gevent): after that
/// cost a request, a kept connection is used only once it has stayed open for a second, which shows that the
/// application keeps them after all. Others work on after END_REQUEST (PHP's `fastcgi_finish_request`) and read
/// the next request when they are done: after one was silent for [`Settings::kept_first_byte`], none that was
/// kept is used for a minute.
///
/// [`Settings::kept_first_byte`]: super::Settings::kept_first_byte
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Manners {
    closes: bool,
    /// Until when no kept connection is used.
    silent_until: Option<Duration>,
}

impl Manners {
    /// Learns from a request that failed; to be called before it is left.
    pub fn learn<const N: usize>(&mut self, session: &Session<N>, request: Request, now: Duration) {
        let Some(slot) = session.slot(request).filter(|slot| !slot.fresh && !session.came(slot)) else {
            return;
        };
        match session.fate(slot) {
            Fate::Lost => self.closes = true,
            Fate::Silent => self.silent_until = now.checked_add(SILENT_FOR),
            Fate::Refused | Fate::Other => {}
        }
    }

    /// Whether a connection that was kept, has been idle for so long, and was just seen to be open, is used.
    pub fn may_use(&mut self, idle: Duration, now: Duration) -> bool {
        self.closes &= idle < STAYED_OPEN;
        !self.closes && self.silent_until.is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::Again::{Elsewhere, Fresh, No};
    use super::Fate::{Lost, Other, Refused, Silent};
    use super::*;

    #[test]
    fn the_table_of_what_is_sent_again() {
        let (yes, no) = (true, false);
        for (fate, sent, fresh, came, allowed, expected) in [
            // It was not executed.
            (Refused, yes, yes, yes, no, Elsewhere),
            (Refused, yes, no, no, no, Elsewhere),
            // Not one byte left.
            (Lost, no, yes, no, no, Elsewhere),
            (Lost, no, no, no, no, Fresh),
            // A POST whose first byte may have been read.
            (Lost, yes, no, no, no, No),
            (Lost, yes, no, no, yes, Fresh),
            // The application closes on what it does not like, and would the second time.
            (Lost, yes, yes, no, yes, No),
            // A part of an answer came.
            (Lost, yes, no, yes, yes, No),
            (Silent, yes, no, no, yes, Fresh),
            (Silent, yes, no, no, no, No),
            (Other, yes, no, no, yes, No),
            (Other, no, yes, no, yes, No),
        ] {
            let found = again(fate, sent, fresh, came, allowed);
            assert_eq!(found, expected, "{fate:?} sent {sent} fresh {fresh} came {came} allowed {allowed}");
        }
    }

    #[test]
    fn which_methods_may_be_executed_twice() {
        use Resend::{All, Idempotent, Never, Safe};
        for (method, rules) in [
            (&b"GET"[..], &[Safe, Idempotent, All][..]),
            (b"HEAD", &[Safe, Idempotent, All]),
            (b"OPTIONS", &[Safe, Idempotent, All]),
            (b"TRACE", &[Safe, Idempotent, All]),
            (b"PUT", &[Idempotent, All]),
            (b"DELETE", &[Idempotent, All]),
            (b"POST", &[All]),
            (b"PATCH", &[All]),
            (b"get", &[All]),
        ] {
            for rule in [Never, Safe, Idempotent, All] {
                assert_eq!(rule.allows(Kind::of(method)), rules.contains(&rule), "{method:?} {rule:?}");
            }
        }
    }
}
