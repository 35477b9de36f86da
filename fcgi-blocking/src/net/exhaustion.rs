//! Descriptors that run out, as the log has it.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use rustix::io::Errno;

use crate::net::lock;

/// How long descriptors have to last until that is over.
const CALM: Duration = Duration::from_secs(10);

/// Tells when descriptors or memory run out while connections are accepted, and when that is over: a line each, and
/// no more however often it happens between. Times are since any moment, always the same.
#[derive(Debug, Default)]
#[doc(hidden)]
pub struct Exhaustion {
    /// When it happened last, and how often.
    last: Mutex<Option<(Duration, u64)>>,
}

impl Exhaustion {
    /// How long who accepts waits for a connection to end, at most.
    pub const PAUSE: Duration = Duration::from_secs(1);

    /// Takes note of whether a connection could be accepted.
    pub fn note<T>(&self, accepted: &io::Result<T>, now: Duration) {
        let mut last = lock(&self.last);
        if let Some((_, times)) = last.take_if(|(last, _)| now.saturating_sub(*last) >= CALM) {
            log::warn!("accept: there is room again; {times} times a connection had to wait for it");
        }
        let Some(error) = accepted.as_ref().err().filter(|error| is_exhaustion(error)) else { return };
        let (_, times) = last.unwrap_or_default();
        if times == 0 {
            log::warn!("accept: {error}; connections that wait for a request make room");
        }
        *last = Some((now, times + 1));
    }
}

/// Whether `error`, from accepting a connection, means that descriptors or
/// memory have run out, of this process or of the system.
///
/// The connection still waits: a server gets it when it tries again after
/// some of its others have ended. To try at once would be a busy loop.
pub fn is_exhaustion(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_descriptors_have_lasted_for_a_while() {
        let (exhaustion, second) = (Exhaustion::default(), Duration::from_secs(1));
        let none: io::Result<()> = Err(Errno::MFILE.into());
        for time in 1..=5 {
            exhaustion.note(&none, time * second);
            exhaustion.note(&Ok(()), time * second);
        }
        assert_eq!(*lock(&exhaustion.last), Some((5 * second, 5)));
        exhaustion.note(&Ok(()), 14 * second);
        assert_eq!(*lock(&exhaustion.last), Some((5 * second, 5)));
        exhaustion.note(&Ok(()), 15 * second);
        assert_eq!(*lock(&exhaustion.last), None);
        exhaustion.note(&none, 16 * second);
        assert_eq!(*lock(&exhaustion.last), Some((16 * second, 1)));
    }
}
