//! `fcgi-proto/examples/embedded_server`, compiled for a microcontroller: a UART or a socket of any crate that has the
//! traits of embedded-io-async.
#![no_std]

#[path = "../../examples/embedded_server/serve.rs"]
mod serve;

use core::time::Duration;

use embedded_io_async_07::{ErrorType, Read, Write};
use fcgi_proto::embedded_io_async_07::Platform;

/// A clock that ticks once a millisecond, and a wait for its next tick.
pub struct Ticks<N, W>(pub N, pub W);

impl<T: ErrorType, N: Fn() -> u64, W: AsyncFn()> Platform<T> for Ticks<N, W> {
    fn now(&self) -> Duration {
        Duration::from_millis((self.0)())
    }

    async fn wait(&self, until: Option<Duration>) {
        while until.is_none_or(|until| Duration::from_millis((self.0)()) < until) {
            (self.1)().await;
        }
    }

    async fn shut_down(&self, _stream: &mut T) -> Result<bool, T::Error> {
        Ok(false)
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
    serve::connection(stream, &Ticks(now, tick)).await
}
