//! What a client connects to: what [listens](super::listen) by that name.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::time::Duration;

use fcgi_blocking::Endpoint;
use smol::io::{AsyncRead, AsyncWrite};

use super::listener::LISTENING;
use super::{End, pipe};

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

pub(crate) enum Socket {
    Other(Pin<Box<dyn Stream>>),
}

impl Socket {
    pub(crate) async fn connect(endpoint: &Endpoint, _limit: Duration) -> io::Result<Self> {
        // Others run meanwhile.
        smol::future::yield_now().await;
        dial(endpoint).map(|stream| Self::Other(Box::pin(stream)))
    }

    pub(crate) fn stream(&mut self) -> Pin<&mut dyn Stream> {
        let Self::Other(stream) = self;
        stream.as_mut()
    }
}

/// Connects to what listens at this endpoint.
pub fn dial(endpoint: &Endpoint) -> io::Result<End> {
    let queue = LISTENING.lock().expect("it is not poisoned").get(&endpoint.to_string()).cloned();
    let queue = queue.ok_or(ErrorKind::ConnectionRefused)?;
    let (ours, theirs) = pipe(queue.room);
    queue.push(theirs);
    Ok(ours)
}
