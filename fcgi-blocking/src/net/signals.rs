//! The signals that ask a process to end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_default};
use signal_hook::iterator;

const SIGNALS: [i32; 3] = [SIGTERM, SIGINT, SIGHUP];

/// Until this is dropped, the first SIGTERM, SIGINT or SIGHUP is a call, and not the end of the process. A second
/// one, or one that comes later, is that.
#[derive(Debug)]
pub struct Signals {
    asked: Arc<AtomicBool>,
    waiting: iterator::Handle,
}

impl Signals {
    /// Calls `stop`, in a thread of its own, at the first signal.
    ///
    /// # Errors
    /// Those of registering signals and of starting a thread.
    pub fn call(stop: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in SIGNALS {
            register_conditional_default(signal, Arc::clone(&asked))?;
            register(signal, Arc::clone(&asked))?;
        }
        let mut signals = iterator::Signals::new(SIGNALS)?;
        let waiting = signals.handle();
        thread::Builder::new().name("signals".into()).spawn(move || {
            if signals.forever().next().is_some() {
                stop();
            }
        })?;
        Ok(Self { asked, waiting })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.asked.store(true, Ordering::SeqCst);
        self.waiting.close();
    }
}
