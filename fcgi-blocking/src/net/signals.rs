//! The signals that ask a process to end, and a server that does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_default};
use signal_hook::iterator;

use crate::server::request::{AppStatus, Request};
use crate::server::{BoxError, Server};

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

impl Server {
    /// [Serves](Self::serve) until the process is asked to end by SIGTERM, SIGINT or SIGHUP, which shuts the server
    /// down within [`Settings::shutdown_timeout`]; a second signal ends the process at once.
    ///
    /// # Errors
    /// Those of `serve`, and of registering signals.
    pub fn serve_until_signal<H, T>(self, handler: H) -> io::Result<()>
    where
        H: Fn(&mut Request<'_>) -> Result<T, BoxError> + Sync,
        T: Into<AppStatus>,
    {
        let handle = self.handle();
        let _signals = Signals::call(move || handle.shutdown())?;
        self.serve(handler)
    }
}
