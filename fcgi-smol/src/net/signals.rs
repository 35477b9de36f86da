//! A server that ends when its process is asked to.

use std::io;

use fcgi_blocking::Signals;

use crate::AppStatus;
use crate::server::request::Request;
use crate::server::spawn::Spawn;
use crate::server::task::{ConnectionTask, RequestTask};
use crate::server::{BoxError, Server};

impl Server {
    /// [Serves](Self::serve) until the process is asked to end by SIGTERM, SIGINT or SIGHUP, which shuts the server
    /// down within [`Settings::shutdown_timeout`]; a second signal ends the process at once.
    ///
    /// # Errors
    /// Those of `serve`, and of registering signals.
    pub async fn serve_until_signal<E, H, F, T>(self, executor: E, handler: H) -> io::Result<()>
    where
        E: Spawn<RequestTask<F>> + Spawn<ConnectionTask<H, F>>,
        H: Fn(Request) -> F,
        F: Future<Output = Result<T, BoxError>>,
        T: Into<AppStatus>,
    {
        let handle = self.handle();
        let _signals = Signals::call(move || handle.shutdown())?;
        self.serve(executor, handler).await
    }
}
