//! The loop that serves one connection.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use embedded_io_async_07::{ErrorType, Read, Write};

use crate::embedded_io_07::driver::{Driver, Turn};
use crate::embedded_io_07::{Buffers, Error, Parameters, Request, Settings};
use crate::server::session::{Report, Stopped, Waiting};

/// What the loop cannot do by itself with a stream of the type `T`.
pub trait Platform<T: ErrorType> {
    /// The time since any fixed moment; it must not go back.
    fn now(&self) -> Duration;

    /// Waits until `until` has passed, for ever without one; it may end early.
    fn wait(&self, until: Option<Duration>) -> impl Future<Output = ()>;

    /// Ends the stream's direction to the client and leaves the other one open, TCP's FIN: else the end of an answer is
    /// lost where the client is still sending. `false`: this stream has no such end, and is over.
    ///
    /// # Errors
    /// Those of the stream.
    fn shut_down(&self, stream: &mut T) -> impl Future<Output = Result<bool, T::Error>>;

    /// Whether this connection, which waits for a request, is to close because others need the place. It is asked
    /// when it begins to wait and after each [`wait`](Self::wait), and has a moment if a request may be on its way.
    fn gives_way(&self, waiting: Waiting) -> bool {
        let _ = waiting;
        false
    }
}

/// Serves one connection until it is to be closed: `handler` is called for every request, with what it needs to read
/// and to answer. Nothing is allocated.
///
/// A read, a write or a flush that is not done when [`Platform::wait`] ends is dropped, and begun again if there is
/// still time, so that every limit of [`Settings`] is kept. So the stream has to be what embedded-io-async calls
/// side-effect-free on cancel. A flush may wait for the client, as that of embassy-net's sockets does, for as long as a
/// write may. Told is what is worth a line in a log, if anything is. After that, or after an error, close the stream.
///
/// # Errors
/// Those of the stream.
///
/// ```
/// use core::time::Duration;
/// use embedded_io_async_07::{Read, Write};
/// use fcgi_proto::embedded_io_async_07::{Buffers, Error, Platform, Request, Settings, serve};
/// use fcgi_proto::pair::Selected;
///
/// async fn page<T: Read + Write, P: Platform<T>>(
///     request: &mut Request<'_, T, P, Selected<'_, 256>>,
/// ) -> Result<(), Error<T::Error>> {
///     let mut posted = 0;
///     let mut buffer = [0; 64];
///     loop {
///         match request.read(&mut buffer).await? {
///             0 => break,
///             count => posted += count,
///         }
///     }
///     request.write_all(b"Content-Type: text/plain\r\n\r\n").await?;
///     request.write_all(if posted > 0 { b"Thank you\n" } else { b"23.5\n" }).await
/// }
///
/// async fn connection<T: Read + Write>(socket: &mut T, board: &impl Platform<T>) -> Result<(), T::Error> {
///     let mut params = Selected::<256>::new(&[b"REQUEST_URI"]);
///     let mut buffers = Buffers::<512, 512>::new();
///     let _report = serve(socket, board, &Settings::new(), &mut params, &mut buffers, page).await?;
///     Ok(())
/// }
/// ```
pub async fn serve<'m, T, P, S, const INPUT: usize, const OUTPUT: usize>(
    stream: &'m mut T,
    platform: &'m P,
    settings: &Settings<'_>,
    params: &'m mut S,
    buffers: &'m mut Buffers<INPUT, OUTPUT>,
    mut handler: impl AsyncFnMut(&mut Request<'m, T, P, S>) -> Result<(), Error<T::Error>>,
) -> Result<Option<Report>, T::Error>
where
    T: Read + Write,
    P: Platform<T>,
    S: Parameters,
{
    let mut request = Request { stream, platform, params, driver: Driver::new(settings, buffers) };
    loop {
        if request.driver.starts(request.params, settings.roles, platform.now()) {
            let failed = Error::fails(handler(&mut request).await)?;
            while !request.driver.end(failed, platform.now()) {
                turn(&mut request).await?;
            }
            continue;
        }
        if !turn(&mut request).await? {
            return Ok(request.driver.report());
        }
    }
}

/// Does one thing that the connection wants; whether it goes on.
async fn turn<T: Read + Write, P: Platform<T>, S>(
    request: &mut Request<'_, T, P, S>,
) -> Result<bool, T::Error> {
    let Request { stream, platform, driver, .. } = request;
    match driver.turn(|waiting| platform.gives_way(waiting), platform.now()) {
        Turn::Close => return Ok(false),
        Turn::ShutDown => {
            let can_be = platform.shut_down(stream).await?;
            driver.shut(can_be, platform.now());
        }
        Turn::Write(at) => {
            if let Some(count) = before(stream.write(driver.leaving()), platform.wait(at)).await {
                driver.sent(count?, platform.now());
            }
        }
        Turn::Flush(until) => {
            let done = before(stream.flush(), platform.wait(until)).await.transpose()?;
            driver.flushed(done.is_some(), platform.now());
        }
        Turn::Read(at) => {
            if let Some(count) = before(stream.read(driver.room()), platform.wait(at)).await {
                driver.came(count?);
            }
        }
        Turn::Wait(at) => platform.wait(Some(at)).await,
    }
    Ok(true)
}

/// Goes on with the connection while `step` says that something has to come or to leave first.
async fn until<T: Read + Write, P: Platform<T>, S, R>(
    request: &mut Request<'_, T, P, S>,
    mut step: impl FnMut(&mut Driver<'_>, Duration) -> Result<Option<R>, Stopped>,
) -> Result<R, Error<T::Error>> {
    loop {
        if let Some(result) = step(&mut request.driver, request.platform.now())? {
            return Ok(result);
        }
        if !turn(request).await.map_err(Error::Stream)? {
            return Err(Error::Stopped(Stopped::Over));
        }
    }
}

/// What comes of `future`, unless the timer ends before it.
async fn before<F: Future>(future: F, timer: impl Future<Output = ()>) -> Option<F::Output> {
    let (mut future, mut timer) = (pin!(future), pin!(timer));
    let poll = poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
    });
    poll.await
}

impl<T: Read + Write, P: Platform<T>, S> Read for Request<'_, T, P, S> {
    /// Reads what is posted: nothing at its end.
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        until(self, |driver, now| driver.read(buffer, now)).await
    }
}

impl<T: Read + Write, P: Platform<T>, S> Write for Request<'_, T, P, S> {
    /// Writes to the answer. What has no room in [`Buffers`] leaves, whether what is posted was read or not: some web
    /// servers, nginx among them, send no more of that then. So read first.
    async fn write(&mut self, data: &[u8]) -> Result<usize, Self::Error> {
        until(self, |driver, now| driver.write(data, now)).await
    }

    /// Writes all of `data`.
    async fn write_all(&mut self, mut data: &[u8]) -> Result<(), Self::Error> {
        while !data.is_empty() {
            let count = self.write(data).await?;
            data = data.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// What was written leaves now.
    async fn flush(&mut self) -> Result<(), Self::Error> {
        until(self, |driver, now| Ok(driver.flush(now)?.then_some(()))).await
    }
}
