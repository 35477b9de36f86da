//! The responder as an async function, a handler of [`fcgi_proto::embedded_io_async_07::serve`].

use embedded_io_async_07::{Read, Write};
use fcgi_proto::embedded_io_async_07::{Error, Platform, Request};

use crate::answer::{Answer, has_body};
use crate::page::{Board, Window};
use crate::responder::{PIECE, Params};

/// Reads and answers a request.
///
/// # Errors
/// Those of the request.
pub async fn handle<T: Read + Write, P: Platform<T>>(
    request: &mut Request<'_, T, P, Params>,
    board: Board,
) -> Result<(), Error<T::Error>> {
    // It is held while others are served.
    let mut memory = [0; PIECE / 4];
    let mut answer = Answer::to(request.params().get(b"REQUEST_URI").unwrap_or_default(), &board);
    let echoes = matches!(answer, Answer::Echo);
    if !echoes {
        loop {
            let count = request.read(&mut memory).await?;
            match memory.get(..count).unwrap_or_default() {
                [] => break,
                posted => answer.take_in(posted),
            }
        }
    }
    let has_body = has_body(request.params());
    let mut written = 0;
    loop {
        let mut window = Window::new(written, &mut memory);
        answer.write(&mut window, request.params(), has_body);
        match window.into_piece() {
            [] => break,
            piece => {
                request.write_all(piece).await?;
                written += piece.len();
            }
        }
    }
    if echoes && has_body {
        loop {
            let count = request.read(&mut memory).await?;
            match memory.get(..count).unwrap_or_default() {
                [] => break,
                posted => request.write_all(posted).await?,
            }
        }
    }
    Ok(())
}
