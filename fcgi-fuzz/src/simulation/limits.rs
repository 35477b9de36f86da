//! How long anything was waited for, reckoned once more: no limit passes before its time.

use std::collections::HashMap;
use std::time::Duration;

use fcgi_proto::server::session::Request;

use super::model::hold;
use super::plan::Plan;

/// What is rounded is rounded by a millisecond each time.
const ROUNDING: Duration = Duration::from_millis(1);

/// A wait that uses up patience, and what gives it back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    left: Duration,
    most: Duration,
    since: Option<Duration>,
    roundings: u32,
}

impl Spent {
    pub(super) fn new(most: Duration) -> Self {
        Self { left: most, most, since: None, roundings: 1 }
    }

    /// It waits, and began to before or does so now; nothing of what was before `anew` counts.
    pub(super) fn waits(&mut self, now: Duration, anew: Duration) {
        self.since = Some(self.since.filter(|since| *since > anew).unwrap_or(now));
    }

    pub(super) fn stops(&mut self) {
        self.since = None;
    }

    /// So many bytes came or went.
    pub(super) fn moved(&mut self, bytes: usize, least_rate: u32, now: Duration) {
        let used = self.since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        let back = Duration::from_millis(
            (bytes as u64 * 1000).checked_div(least_rate.into()).unwrap_or(u64::MAX / 1000),
        );
        self.left = self.left.saturating_sub(used).saturating_add(back).min(self.most);
        self.since = None;
        self.roundings += 2;
    }

    /// A limit that passes now has used all of it, and not much more if it was looked at in time.
    pub(super) fn passes(&self, punctual: bool, now: Duration, what: &str) {
        let Some(since) = self.since else { panic!("[limits] {what} was not waited for, and took too long") };
        let (waited, rounding) = (now.saturating_sub(since), ROUNDING * self.roundings);
        hold(waited + rounding >= self.left, "limits", || {
            format!("{what} took too long after {waited:?} of {:?}", self.left)
        });
        let late = punctual && waited > self.left + rounding;
        hold(!late, "limits", || format!("{what} took {waited:?} of {:?} before it was too long", self.left));
    }

    /// Whether a wait, that began again at `again` perhaps, has lasted longer than it may.
    pub(super) fn is_overdue(&self, again: Duration, now: Duration) -> bool {
        self.since.is_some_and(|since| {
            since > again && now.saturating_sub(since) > self.left + ROUNDING * self.roundings
        })
    }
}

/// What a connection waits for.
#[derive(Debug)]
pub(super) struct Waits {
    /// When each request began whose parameters are not in; since when part of a record is, at least.
    begun: HashMap<Request, Duration>,
    write: Spent,
    idle_since: Option<Duration>,
    pub(super) shut_at: Option<Duration>,
}

impl Waits {
    pub(super) fn new(plan: &Plan, now: Duration) -> Self {
        let write = Spent::new(plan.patience.write);
        Self { begun: HashMap::new(), write, idle_since: Some(now), shut_at: None }
    }

    pub(super) fn begins(&mut self, request: Request, now: Duration) {
        self.begun.insert(request, now);
    }

    pub(super) fn starts(&mut self, request: Request) {
        self.begun.remove(&request);
    }

    /// Parameters, or the rest of a record, took too long.
    pub(super) fn params_are_late(&self, plan: &Plan, now: Duration, left: bool) {
        let since = self.begun.values().copied().chain(self.idle_since).min().unwrap_or(now);
        let limit =
            if left { plan.patience.params.min(Duration::from_millis(250)) } else { plan.patience.params };
        hold(now.saturating_sub(since) + ROUNDING >= limit, "limits", || {
            format!("parameters took too long after {:?}", now - since)
        });
    }

    /// Whether something is to be written, as of now.
    pub(super) fn write(&mut self, waits: bool, now: Duration) {
        if waits {
            self.write.waits(now, Duration::ZERO);
        }
    }

    pub(super) fn sent(&mut self, plan: &Plan, bytes: usize, all: bool, alone: bool, now: Duration) {
        let rate = plan.patience.least_rate;
        let write = &mut self.write;
        write.moved(bytes, rate, now);
        if !all {
            write.waits(now, Duration::ZERO);
        } else if alone {
            *write = Spent::new(plan.patience.write);
        }
    }

    pub(super) fn write_is_late(&mut self, plan: &Plan, now: Duration) {
        self.write.passes(plan.punctual, now, "a write");
    }

    /// Whether nothing is asked, and all answers have left.
    pub(super) fn idle(&mut self, is_idle: bool, has_left: bool, now: Duration) {
        if !is_idle {
            self.idle_since = None;
        }
        if is_idle && has_left {
            self.idle_since.get_or_insert(now);
        }
    }

    /// Whether it has been idle for as long as it may.
    pub(super) fn is_idle(&self, plan: &Plan, now: Duration) -> bool {
        self.idle_since.is_some_and(|since| now.saturating_sub(since) + ROUNDING >= plan.patience.idle)
    }
}
