//! The network and the time of the tests that run under shuttle: streams in memory, a clock that goes on when a test
//! says so. Compiled into the library in the place of sockets and timers.
#![allow(missing_docs)]

pub(crate) mod listener;
mod pipe;
pub(crate) mod socket;
pub(crate) mod time;

pub use listener::{Listening, listen};
pub use pipe::{End, pipe, slow_pipe};
pub use socket::dial;
pub use time::{call, go_on, pass};

use shuttle::future::{spawn, yield_now};

/// Does work that would block, in a task of its own.
pub(crate) async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let work = spawn(async {
        yield_now().await;
        work()
    });
    work.await.expect("it runs to its end")
}
