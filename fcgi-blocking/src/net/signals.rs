//! The signals that ask a process to end.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_default};
use signal_hook::iterator;

use crate::net::lock;

const SIGNALS: [i32; 3] = [SIGTERM, SIGINT, SIGHUP];

/// Who is called in this process.
static CALLED: Mutex<Called> = Mutex::new(Called { ends: None, count: 0 });

struct Called {
    /// Whether a signal ends the process; there once signals were registered, which is for good.
    ends: Option<Arc<AtomicBool>>,
    count: usize,
}

impl Called {
    /// Whether a signal ends the process, from now on.
    fn end(&mut self, ends: bool) -> io::Result<()> {
        if let Some(flag) = &self.ends {
            flag.store(ends, Ordering::SeqCst);
            return Ok(());
        }
        let flag = Arc::new(AtomicBool::new(ends));
        for signal in SIGNALS {
            register_conditional_default(signal, Arc::clone(&flag))?;
            register(signal, Arc::clone(&flag))?;
        }
        self.ends = Some(flag);
        Ok(())
    }
}

/// Until this is dropped, the first SIGTERM, SIGINT or SIGHUP is a call, and not the end of the process. A second
/// one, or one that comes when nobody is to be called any more, is that.
#[derive(Debug)]
pub struct Signals {
    waiting: iterator::Handle,
}

impl Signals {
    /// Calls `stop`, in a thread of its own, at the first signal.
    ///
    /// # Errors
    /// Those of registering signals and of starting a thread.
    pub fn call(stop: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let mut signals = iterator::Signals::new(SIGNALS)?;
        let mut called = lock(&CALLED);
        if called.count == 0 {
            called.end(false)?;
        }
        called.count += 1;
        drop(called);
        let calls = Self { waiting: signals.handle() };
        thread::Builder::new().name("signals".into()).spawn(move || {
            if signals.forever().next().is_some() {
                stop();
            }
        })?;
        Ok(calls)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let mut called = lock(&CALLED);
        called.count -= 1;
        if called.count == 0 {
            // They were registered before.
            let _ = called.end(true);
        }
        self.waiting.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn who_is_called_after_another_or_beside_one_that_ended_is_called_at_the_first_signal() {
        for _ in 0..3 {
            let (tell, told) = mpsc::channel();
            let (waits, waiting) = mpsc::channel::<()>();
            let before = Signals::call(move || drop(waits)).unwrap();
            let _calls = Signals::call(move || tell.send(()).unwrap()).unwrap();
            drop(before);
            assert_eq!(waiting.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
            signal_hook::low_level::raise(SIGHUP).unwrap();
            told.recv_timeout(PATIENCE).unwrap();
        }
    }
}
