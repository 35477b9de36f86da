//! The loop over an async stream.

use core::convert::Infallible;
use core::hint::black_box as any;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use embedded_io::ErrorType;
use fcgi_proto::embedded_io_07;
use fcgi_proto::embedded_io_async_07;
use fcgi_proto::pair::Params;
use fcgi_proto::record::{Record, RecordType};
use fcgi_proto::server::session::Waiting;

use crate::serve::{Ground, WAITING};
use crate::{Nowhere, buffer, bytes, id};

impl embedded_io_async::Read for Nowhere {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        embedded_io::Read::read(self, buffer)
    }
}

impl embedded_io_async::Write for Nowhere {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        embedded_io::Write::write(self, bytes)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        any(Ok(()))
    }
}

impl<T: ErrorType> embedded_io_async_07::Platform<T> for Ground {
    fn now(&self) -> Duration {
        any(Duration::ZERO)
    }

    async fn wait(&self, until: Option<Duration>) {
        any(until);
    }

    async fn shut_down(&self, _: &mut T) -> Result<bool, T::Error> {
        Ok(any(true))
    }

    fn gives_way(&self, waiting: Waiting) -> bool {
        any(waiting);
        any(true)
    }
}

#[inline(never)]
pub fn serve() {
    let settings = any(embedded_io_07::Settings::new());
    let mut memory = embedded_io_07::Buffers::<64, 64>::new();
    let mut params = Params::<64>::new();
    let ground = any(Ground);
    let mut stream = any(Nowhere);
    any(embedded_io_async_07::Platform::<Nowhere>::now(&ground));
    ends(embedded_io_async_07::Platform::<Nowhere>::wait(&ground, any(None)));
    ends(embedded_io_async_07::Platform::<Nowhere>::shut_down(&ground, &mut stream));
    any(embedded_io_async_07::Platform::<Nowhere>::gives_way(&ground, WAITING));
    let (mut record, _) = Record::stream(any(RecordType::Stdout), id(), bytes());
    ends(embedded_io_async_07::WriteTo::write_to(&mut record, &mut stream));
    let handler = async |request: &mut embedded_io_async_07::Request<'_, _, _, _>| {
        any((embedded_io_async_07::Request::params(request), embedded_io_async_07::Request::role(request)));
        let _ = any(embedded_io_async::Read::read(request, buffer()).await?);
        let _ = any(embedded_io_async::Write::write(request, bytes()).await?);
        embedded_io_async::Write::write_all(request, bytes()).await?;
        embedded_io_async::Write::flush(request).await
    };
    ends(embedded_io_async_07::serve(&mut stream, &ground, &settings, &mut params, &mut memory, handler));
}

/// Polls a future to its end, as every executor does.
fn ends<F: Future>(future: F) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            any(output);
            return;
        }
    }
}
