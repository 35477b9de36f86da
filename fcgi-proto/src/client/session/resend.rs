//! Whether a request is sent again, and over which connection; what is learned of connections that are kept.

use core::time::Duration;

use super::Session;
use super::request::{Ask, End, Failure, Phase, RawEnd, Request, Slot, Wait};
use super::settings::Settings;
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
    fn of_end(raw: RawEnd, status: u16) -> Self {
        match End::new(raw, status).and_then(|end| end.refusal) {
            // Where there was no other request, it is the success of one that counts from 1.
            Some(ProtocolStatus::CantMpxConn) if raw.answered && !raw.shared => Self::Other,
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
            | Failure::Over
            | Failure::TooLong { .. }
            | Failure::Misuse(_) => Self::Other,
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
            (Phase::Ended(raw), _) => Fate::of_end(raw, slot.status),
            (Phase::Failed(failure), _) | (Phase::Active, Some(failure)) => Fate::of_failure(failure),
            (Phase::Active | Phase::Free | Phase::Left, _) => Fate::Other,
        }
    }
}

/// How long a connection must have stayed open to show that its application keeps connections: those that do
/// not close with the END_REQUEST.
const STAYED_OPEN: Duration = Duration::from_millis(200);

/// After a kept connection stayed silent: for how long none is used.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// What was learned of the connections that an application is asked to keep.
///
/// Some work on after END_REQUEST (PHP's `fastcgi_finish_request`) and read the next request when they are done.
/// One that may be sent twice leaves such a connection after [`Settings::kept_first_byte`], and none that was kept
/// is used for a minute then. One that must not be sent twice could not leave it, so it goes on a fresh one: unless
/// [`Settings::kept_first_byte`] says, with a time that is as long as for any other, that the application does not
/// do so.
///
/// Others close after every END_REQUEST although they were asked to keep (Ruby, uWSGI, node, gevent). A request
/// that must not be sent twice would be lost on such a connection, so it goes on one that was kept only if the
/// application has shown, too, that it keeps them: one carried a second request, or stayed open for 200
/// milliseconds. After one closed under a request or sooner than that, it has to show it again before any goes on
/// one.
///
/// [`Settings::kept_first_byte`]: super::Settings::kept_first_byte
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Manners {
    keeps: Keeps,
    /// Until when no kept connection is used.
    silent_until: Option<Duration>,
}

/// Whether an application keeps its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Keeps {
    #[default]
    Unknown,
    Yes,
    No,
}

impl Manners {
    /// Learns from a request that ended or failed; to be called before it is left.
    pub fn learn<const N: usize>(&mut self, session: &Session<N>, request: Request, now: Duration) {
        let Some(slot) = session.slot(request).filter(|slot| !slot.fresh) else { return };
        match session.fate(slot) {
            _ if session.came(slot) => self.keeps = Keeps::Yes,
            Fate::Lost => self.keeps = Keeps::No,
            Fate::Silent => self.silent_until = now.checked_add(SILENT_FOR),
            Fate::Refused | Fate::Other => {}
        }
    }

    /// Whether a request goes on a connection that was kept, has been idle for so long, and was just looked at.
    pub fn may_use<const N: usize>(
        &mut self,
        session: &Session<N>,
        ask: &Ask<'_>,
        idle: Duration,
        now: Duration,
    ) -> bool {
        let is_open = session.is_reusable();
        match (is_open, idle >= STAYED_OPEN) {
            (true, true) => self.keeps = Keeps::Yes,
            (false, false) => self.keeps = Keeps::No,
            (true, false) | (false, true) => {}
        }
        let Settings { resend, .. } = session.settings;
        let may_leave = ask.repeatable && resend.allows(Kind::of(ask.method));
        let may_wait = self.keeps == Keeps::Yes && !session.settings.is_impatient();
        let keeps = self.keeps != Keeps::No && (may_leave || may_wait);
        is_open && keeps && self.silent_until.is_none_or(|until| until <= now)
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
