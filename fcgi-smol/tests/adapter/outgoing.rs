//! Requests and responses with the names and the shape of the blocking ones: each call runs to its end.

use std::io::{self, Read};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use fcgi_smol::{ClientError, Role};
use smol::future::FutureExt;
use smol::io::{AssertAsync, AsyncReadExt};
use smol::{LocalExecutor, Timer};

/// Longer than a call takes in any test.
const PATIENCE: Duration = Duration::from_secs(60);

/// What this comes to, in time.
pub(crate) fn block_on<'w, T: 'w>(work: impl Future<Output = T> + 'w) -> T {
    let executor = LocalExecutor::new();
    let late = async {
        Timer::after(PATIENCE).await;
        panic!("it still waits after {PATIENCE:?}")
    };
    // A task is polled when it is woken, and not when time is looked at.
    smol::block_on(executor.run(executor.spawn(work).or(late)))
}

pub(crate) struct Outgoing<'c>(fcgi_smol::Outgoing<'c>);

impl<'c> From<fcgi_smol::Outgoing<'c>> for Outgoing<'c> {
    fn from(outgoing: fcgi_smol::Outgoing<'c>) -> Self {
        Self(outgoing)
    }
}

impl<'c> Outgoing<'c> {
    pub(crate) fn role(self, role: Role) -> Self {
        Self(self.0.role(role))
    }

    pub(crate) fn keep_conn(self, keep_conn: bool) -> Self {
        Self(self.0.keep_conn(keep_conn))
    }

    pub(crate) fn body(self, reader: impl Read + Send + Unpin + 'c, length: u64) -> Self {
        Self(self.0.body(AssertAsync::new(reader), length))
    }

    pub(crate) fn bytes(self, bytes: &'c [u8]) -> Self {
        Self(self.0.bytes(bytes))
    }

    pub(crate) fn spooled(self, reader: impl Read + Send + Unpin) -> Result<Self, ClientError> {
        block_on(self.0.spooled(AssertAsync::new(reader))).map(Self)
    }

    pub(crate) fn data(self, reader: impl Read + Send + Unpin + 'c, length: u64) -> Self {
        Self(self.0.data(AssertAsync::new(reader), length))
    }

    pub(crate) fn stderr(self, listener: impl FnMut(&[u8]) + Send + 'c) -> Self {
        Self(self.0.stderr(listener))
    }

    pub(crate) fn send(self) -> Result<Response<'c>, ClientError> {
        block_on(self.0.send()).map(Response)
    }
}

#[derive(Debug)]
pub(crate) struct Response<'c>(fcgi_smol::Response<'c>);

impl Read for Response<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        block_on(self.0.read(buffer))
    }
}

impl<'c> Deref for Response<'c> {
    type Target = fcgi_smol::Response<'c>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Response<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
