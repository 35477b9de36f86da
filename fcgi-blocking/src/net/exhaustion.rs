//! Descriptors that run out, as the log has it.

use std::io;
use std::time::Duration;

/// How long descriptors have to last until that is over.
const CALM: Duration = Duration::from_secs(10);

/// Tells when descriptors or memory run out while connections are accepted, and when that is over: a line each, and
/// no more however often it happens between. Times are since any moment, always the same.
#[derive(Debug, Default)]
pub struct Exhaustion {
    /// When it happened last, and how often.
    last: Option<(Duration, u64)>,
}

impl Exhaustion {
    /// A connection could not be accepted.
    pub fn met(&mut self, error: &io::Error, now: Duration) {
        self.accepted(now);
        let (_, times) = self.last.unwrap_or_default();
        if times == 0 {
            log::warn!("accept: {error}; connections that wait for a request make room");
        }
        self.last = Some((now, times + 1));
    }

    /// One was accepted.
    pub fn accepted(&mut self, now: Duration) {
        if let Some((_, times)) = self.last.take_if(|(last, _)| now.saturating_sub(*last) >= CALM) {
            log::warn!("accept: there is room again; {times} times a connection had to wait for it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_descriptors_have_lasted_for_a_while() {
        let (mut exhaustion, second) = (Exhaustion::default(), Duration::from_secs(1));
        let none = io::Error::other("none is left");
        for time in 1..=5 {
            exhaustion.met(&none, time * second);
            exhaustion.accepted(time * second);
        }
        assert_eq!(exhaustion.last, Some((5 * second, 5)));
        exhaustion.accepted(14 * second);
        assert_eq!(exhaustion.last, Some((5 * second, 5)));
        exhaustion.accepted(15 * second);
        assert_eq!(exhaustion.last, None);
        exhaustion.met(&none, 16 * second);
        assert_eq!(exhaustion.last, Some((16 * second, 1)));
    }
}
