//! The body of an answer, until it is written.

use std::pin::Pin;
use std::task::{Context, Poll};

use fcgi_smol::ClientError;
use fcgi_smol::tower::ResponseBody;
use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};

use crate::access::Line;
use crate::file;
use crate::places::Busy;

/// What it is made of.
pub(crate) enum Content {
    Application(ResponseBody),
    File(file::Content),
    Page(Full<Bytes>),
}

/// A failure is told, and the browser can tell it from an end.
pub(crate) struct Watched {
    pub(crate) content: Content,
    /// Browser and request, for the log.
    pub(crate) name: String,
    pub(crate) line: Option<Line>,
    pub(crate) busy: Busy,
    /// Whether only the connection's close tells its end.
    pub(crate) ends_with_close: bool,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Self { content, name, line, busy, ends_with_close } = &mut *self;
        let frame = match content {
            Content::Application(body) => Pin::new(body).poll_frame(cx).map_err(|error| {
                tell(name, &error);
                if *ends_with_close {
                    busy.cut();
                }
                error.into()
            }),
            Content::File(file) => Pin::new(file).poll_frame(cx).map_err(|error| {
                log::warn!("{name}: {error}");
                error.into()
            }),
            Content::Page(page) => Pin::new(page).poll_frame(cx).map_err(|error| match error {}),
        };
        if let (Some(line), Poll::Ready(Some(Ok(frame)))) = (line, &frame) {
            line.sent(frame.data_ref().map_or(0, Bytes::len));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Application(body) => body.is_end_stream(),
            Content::File(file) => file.is_end_stream(),
            Content::Page(page) => page.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Application(body) => body.size_hint(),
            Content::File(file) => file.size_hint(),
            Content::Page(page) => page.size_hint(),
        }
    }
}

/// A line in the log; a warning for what the browser has no part in, and the library has not told: of an answer that
/// is wrong it has, with the application's name.
pub(crate) fn tell(name: &str, error: &ClientError) {
    let level = match error {
        ClientError::Connect(_)
        | ClientError::Refused(_)
        | ClientError::PoolFull { .. }
        | ClientError::PoolTimedOut { .. }
        | ClientError::Unavailable
        | ClientError::Spool(_) => log::Level::Warn,
        _ => log::Level::Debug,
    };
    log::log!(level, "{name}: {error}");
}
