//! A request, from its making to the head of its answer.

use std::fmt;
use std::sync::Arc;

use fcgi_proto::client::{Again, Ask, Page};
use fcgi_proto::record::Role;
use smol::io::AsyncRead;

use super::body::{Body, Source};
use super::response::Response;
use super::{ClientError, Params};
use crate::pool::applications::Applications;
use crate::pool::choice::Wanted;

/// A request before it is sent. `'b` is how long what its body is read from lives: `'static`, so that it can be
/// spawned, if that is owned.
#[must_use = "nothing is sent before `send`"]
pub struct Outgoing<'b> {
    applications: Arc<Applications>,
    params: Params,
    ask: Ask<'static>,
    body: Body<'b>,
}

impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("params", &self.params).finish_non_exhaustive()
    }
}

impl<'b> Outgoing<'b> {
    pub(crate) fn new(applications: &Arc<Applications>, params: Params) -> Self {
        let applications = Arc::clone(applications);
        Self { applications, params, ask: Ask::new(b""), body: Body::default() }
    }

    /// What the application is asked to be; a Responder by default (section 6).
    pub fn role(mut self, role: Role) -> Self {
        self.ask.role = role;
        self
    }

    /// Whether the connection is kept after the request; it is by default, unless it is of a pool that
    /// [keeps none](crate::PoolSettings::max_idle).
    pub fn keep_conn(mut self, keep_conn: bool) -> Self {
        self.ask.keep_conn = keep_conn;
        self
    }

    /// The body: `length` bytes of `reader`, which is not read further. It is read as the application takes
    /// it, which waits for a slow one as long as [`body_timeout`](crate::ClientSettings::body_timeout) says.
    pub fn body(mut self, reader: impl AsyncRead + Send + 'b, length: u64) -> Self {
        self.body.streams[0] = Some(Source::once(reader, length));
        self
    }

    /// The body, from memory. Other than with [`body`](Self::body), the request can be sent again if a kept
    /// connection turns out to be dead.
    pub fn bytes(mut self, bytes: impl AsRef<[u8]> + Send + Unpin + 'b) -> Self {
        self.body.streams[0] = Some(Source::bytes(bytes));
        self
    }

    /// The body, of a length that only its end tells: it is read first, beyond 256 KiB into a temporary file,
    /// for many applications read no more than CONTENT_LENGTH says, and none at all without. The request can
    /// be sent again as with [`bytes`](Self::bytes).
    ///
    /// # Errors
    /// [`ClientError::Body`] if it cannot be read, or is longer than
    /// [`spool_limit`](crate::ClientSettings::spool_limit); [`ClientError::Spool`] if it cannot be kept.
    pub async fn spooled(mut self, reader: impl AsyncRead + Send) -> Result<Self, ClientError> {
        let limit = self.applications.settings.client.spool_limit;
        self.body.streams[0] = Some(Source::spooled(reader, limit).await?);
        Ok(self)
    }

    /// A Filter's file: `length` bytes of `reader` (section 6.4).
    pub fn data(mut self, reader: impl AsyncRead + Send + 'b, length: u64) -> Self {
        self.body.streams[1] = Some(Source::once(reader, length));
        self
    }

    /// Who is told what comes on STDERR, as it comes: all of it, also of a request that gets no response. Nothing of
    /// it is kept then.
    pub fn stderr(mut self, listener: impl FnMut(&[u8]) + Send + 'b) -> Self {
        self.body.listener = Some(Box::new(listener));
        self
    }

    /// Sends the request and reads up to the end of the answer's head; the body's rest is sent as the answer
    /// is read.
    ///
    /// A request is sent twice only if not one byte of an answer came, on a connection that had been kept and
    /// turned out to be dead or silent, and if it may be executed twice: see
    /// [`resend`](crate::ClientSettings::resend). Or if not one byte of it was sent; by a [`Pool`](crate::Pool) also
    /// elsewhere, as it says. Dropping the future aborts the request.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn send(self) -> Result<Response<'b>, ClientError> {
        let Self { applications, params, ask, mut body } = self;
        body.streams[0].take_if(|_| !ask.role.has_stdin());
        body.streams[1].take_if(|_| !ask.role.has_data());
        let [stdin, data] = body.lengths();
        let variables = params.variables(ask.role, stdin, data)?;
        let mut ask = ask.with(params.method(), [stdin, data], body.is_repeatable());
        ask.keep_conn &= applications.settings.keeps();
        let mut wanted = Wanted { alone: !ask.keep_conn, ..Wanted::default() };
        // What is answered if nobody else can be asked.
        let mut refused = Err(ClientError::Unavailable);
        loop {
            let lease = match applications.lend(&mut wanted, ask, &variables, &params).await {
                Ok(lease) => lease,
                Err(error) if matches!(refused, Err(ClientError::Unavailable)) => return Err(error),
                Err(_) => return refused,
            };
            let application = lease.place.application;
            let head = vec![0; applications.settings.client.head_limit].into_boxed_slice();
            let mut response = Response::new(lease, body, Page::new(head, ask.method));
            let failed = response.read_head().await.err();
            if failed.is_none() && !response.is_refusal().await {
                return Ok(response);
            }
            let again = response.again();
            if let (Again::No, Some(error)) = (again, &failed) {
                response.give_up(error);
            }
            body = response.release();
            refused = match failed {
                None => Ok(response),
                Some(error) => {
                    applications.keep_stderr(response.stderr);
                    Err(error)
                }
            };
            match again {
                Again::Fresh => wanted.fresh = true,
                Again::Elsewhere => wanted.tried.push(application),
                Again::No => return refused,
            }
            if !body.rewind().await {
                return refused;
            }
        }
    }
}
