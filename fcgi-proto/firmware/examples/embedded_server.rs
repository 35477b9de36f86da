//! `fcgi-proto/examples/embedded_server`, compiled for a microcontroller: a UART or a socket of any crate that has the
//! traits of embedded-io-async.
#![no_std]

#[path = "../../examples/embedded_server/serve.rs"]
mod serve;

use core::time::Duration;

use embedded_io_async::{Read, Write};

/// A clock that ticks once a millisecond, and a wait for its next tick.
pub struct Ticks<N, W>(pub N, pub W);

impl<N: Fn() -> u64, W: AsyncFn()> serve::Clock for Ticks<N, W> {
    fn now(&self) -> Duration {
        Duration::from_millis((self.0)())
    }

    async fn until(&self, at: Option<Duration>) {
        while at.is_none_or(|at| self.now() < at) {
            (self.1)().await;
        }
    }
}

/// Serves one connection, from its first byte to its last.
///
/// # Errors
/// Those of the stream.
pub async fn serve<T: Read + Write>(
    stream: &mut T,
    now: impl Fn() -> u64,
    tick: impl AsyncFn(),
) -> Result<(), T::Error> {
    serve::serve(stream, &Ticks(now, tick)).await
}
