//! The loop that serves one connection.

use core::time::Duration;

use embedded_io_07::{ErrorType, Read, ReadReady, Write, WriteReady};

use super::driver::{Driver, Turn};
use super::request::Request;
use super::settings::{Buffers, Error, Parameters, Settings};
use crate::server::session::{Report, Stopped, Waiting};

/// What the loop cannot do by itself with a stream of the type `T`.
pub trait Platform<T: ErrorType> {
    /// The time since any fixed moment; it must not go back.
    fn now(&self) -> Duration;

    /// Waits until the stream may be ready again, an interrupt came, or `until` has passed; it may end early. Without
    /// one the processor waits by asking the stream again and again.
    fn wait(&self, until: Option<Duration>) {
        let _ = until;
    }

    /// Ends the stream's direction to the client and leaves the other one open, TCP's FIN: else the end of an answer is
    /// lost where the client is still sending. `false`: this stream has no such end, and is over.
    ///
    /// # Errors
    /// Those of the stream.
    fn shut_down(&self, stream: &mut T) -> Result<bool, T::Error>;

    /// Whether this connection, which waits for a request, is to close because others need the place. It is asked
    /// again and again while it waits, and has a moment if a request may be on its way.
    fn gives_way(&self, waiting: Waiting) -> bool {
        let _ = waiting;
        false
    }
}

/// Serves one connection until it is to be closed: `handler` is called for every request, with what it needs to read
/// and to answer. Nothing is allocated.
///
/// The stream is never read or written before it is ready, so that every limit of [`Settings`] is kept. Told is what is
/// worth a line in a log, if anything is. After that, or after an error, close the stream.
///
/// # Errors
/// Those of the stream.
///
/// ```
/// use core::time::Duration;
/// use embedded_io_07::{ErrorType, Read, ReadReady, Write, WriteReady};
/// use fcgi_proto::embedded_io_07::{Buffers, Platform, Settings, serve};
/// use fcgi_proto::pair::Selected;
///
/// struct Board { /* a timer */ }
///
/// impl<T: ErrorType> Platform<T> for Board {
///     fn now(&self) -> Duration {
///         Duration::ZERO // the timer's
///     }
///
///     fn shut_down(&self, _uart: &mut T) -> Result<bool, T::Error> {
///         Ok(false)
///     }
/// }
///
/// fn connection<T: Read + ReadReady + Write + WriteReady>(uart: &mut T, board: &Board) -> Result<(), T::Error> {
///     let mut params = Selected::<256>::new(&[b"REQUEST_URI"]);
///     let mut buffers = Buffers::<256, 512>::new();
///     let _report = serve(uart, board, &Settings::new(), &mut params, &mut buffers, |request| {
///         let reads = request.params().get(b"REQUEST_URI") == Some(b"/temperature");
///         request.write_all(b"Content-Type: text/plain\r\n\r\n")?;
///         request.write_all(if reads { b"23.5\n" } else { b"See /temperature\n" })
///     })?;
///     Ok(())
/// }
/// ```
pub fn serve<'m, T, P, S, const INPUT: usize, const OUTPUT: usize>(
    stream: &'m mut T,
    platform: &'m P,
    settings: &Settings<'_>,
    params: &'m mut S,
    buffers: &'m mut Buffers<INPUT, OUTPUT>,
    mut handler: impl FnMut(&mut Request<'m, T, P, S>) -> Result<(), Error<T::Error>>,
) -> Result<Option<Report>, T::Error>
where
    T: Read + ReadReady + Write + WriteReady,
    P: Platform<T>,
    S: Parameters,
{
    let mut request = Request { stream, platform, params, driver: Driver::new(settings, buffers) };
    loop {
        if request.driver.starts(request.params, settings.roles, platform.now()) {
            let failed = Error::fails(handler(&mut request))?;
            while !request.driver.end(failed, platform.now()) {
                turn(&mut request)?;
            }
            continue;
        }
        if !turn(&mut request)? {
            return Ok(request.driver.report());
        }
    }
}

/// Does one thing that the connection wants; whether it goes on.
fn turn<T: Read + ReadReady + Write + WriteReady, P: Platform<T>, S>(
    request: &mut Request<'_, T, P, S>,
) -> Result<bool, T::Error> {
    let Request { stream, platform, driver, .. } = request;
    match driver.turn(|waiting| platform.gives_way(waiting), platform.now()) {
        Turn::Close => return Ok(false),
        Turn::ShutDown => {
            let can_be = platform.shut_down(stream)?;
            driver.shut(can_be, platform.now());
        }
        Turn::Write(at) => match stream.write_ready()? {
            true => {
                let count = stream.write(driver.leaving())?;
                driver.sent(count, platform.now());
            }
            false => platform.wait(at),
        },
        Turn::Flush(_) => {
            stream.flush()?;
            driver.flushed(true, platform.now());
        }
        Turn::Read(at) => {
            let mut ready = stream.read_ready()?;
            if !ready {
                platform.wait(at);
                // What came in time is read before it is late.
                ready = stream.read_ready()?;
            }
            if ready {
                let count = stream.read(driver.room())?;
                driver.came(count);
            }
        }
        Turn::Wait(at) => platform.wait(Some(at)),
    }
    Ok(true)
}

/// Goes on with the connection while `step` says that something has to come or to leave first.
fn until<T: Read + ReadReady + Write + WriteReady, P: Platform<T>, S, R>(
    request: &mut Request<'_, T, P, S>,
    mut step: impl FnMut(&mut Driver<'_>, Duration) -> Result<Option<R>, Stopped>,
) -> Result<R, Error<T::Error>> {
    loop {
        if let Some(result) = step(&mut request.driver, request.platform.now())? {
            return Ok(result);
        }
        if !turn(request).map_err(Error::Stream)? {
            return Err(Error::Stopped(Stopped::Over));
        }
    }
}

impl<T: Read + ReadReady + Write + WriteReady, P: Platform<T>, S> Read for Request<'_, T, P, S> {
    /// Reads what is posted: nothing at its end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        until(self, |driver, now| driver.read(buffer, now))
    }
}

impl<T: Read + ReadReady + Write + WriteReady, P: Platform<T>, S> Write for Request<'_, T, P, S> {
    /// Writes to the answer. What has no room in [`Buffers`] leaves, whether what is posted was read or not: some web
    /// servers, nginx among them, send no more of that then. So read first.
    fn write(&mut self, data: &[u8]) -> Result<usize, Self::Error> {
        until(self, |driver, now| driver.write(data, now))
    }

    /// Writes all of `data`.
    fn write_all(&mut self, mut data: &[u8]) -> Result<(), Self::Error> {
        while !data.is_empty() {
            let count = self.write(data)?;
            data = data.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// What was written leaves now.
    fn flush(&mut self) -> Result<(), Self::Error> {
        until(self, |driver, now| Ok(driver.flush(now)?.then_some(())))
    }
}
