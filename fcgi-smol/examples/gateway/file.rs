//! A file as an answer: its type, whether the browser has it already, the part that it asks for (RFC 9110, sections
//! 13 and 14).

use std::fs::{File, Metadata};
use std::io;
use std::ops::{Range, RangeInclusive};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use headers::{
    AcceptRanges, ContentLength, ContentRange, ContentType, ETag, HeaderMapExt, IfMatch, IfModifiedSince,
    IfNoneMatch, IfRange, IfUnmodifiedSince, LastModified,
};
use http_range_header::{RangeUnsatisfiableError, parse_range_header};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::RANGE;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Response, StatusCode};
use smol::Task;

/// Bytes that are read at a time.
const PIECE: u64 = 64 * 1024;
/// Seconds since 1970 that the date in a header field can tell, up to the year 9999.
const DATES: RangeInclusive<i64> = 0..=253_402_300_799;

/// What of a file is sent.
enum Part {
    Whole,
    Range(Range<u64>),
    /// Nothing of it, with 304, 412 or 416.
    Nothing(StatusCode),
}

/// The answer to a GET or HEAD: 200, 206, or without a body 304, 412 or 416.
///
/// # Errors
/// The file cannot be opened.
pub(crate) async fn answer(path: &Path, asked: &Parts) -> io::Result<Response<Content>> {
    let opened = path.to_owned();
    let (file, metadata) = smol::unblock(move || {
        let file = File::open(opened)?;
        file.metadata().map(|metadata| (file, metadata))
    })
    .await?;
    let (version, length) = (Version::of(&metadata), metadata.len());
    let part = version.part(asked, length);
    let (status, range) = match &part {
        Part::Whole => (StatusCode::OK, 0..length),
        Part::Range(range) => (StatusCode::PARTIAL_CONTENT, range.clone()),
        Part::Nothing(status) => (*status, 0..0),
    };

    let mut answer = Response::new(Content::new(file, range.clone()));
    *answer.status_mut() = status;
    let fields = answer.headers_mut();
    fields.typed_insert(version.tag);
    fields.typed_insert(LastModified::from(version.modified));
    fields.typed_insert(AcceptRanges::bytes());
    match part {
        Part::Nothing(StatusCode::RANGE_NOT_SATISFIABLE) => {
            fields.typed_insert(ContentRange::unsatisfied_bytes(length));
        }
        Part::Nothing(_) => {}
        Part::Whole | Part::Range(_) => {
            fields.typed_insert(ContentType::from(mime_guess::from_path(path).first_or_octet_stream()));
            fields.typed_insert(ContentLength(range.end - range.start));
            if let Part::Range(range) = part {
                let range = ContentRange::bytes(range, length).map_err(io::Error::other)?;
                fields.typed_insert(range);
            }
        }
    }
    Ok(answer)
}

/// By what a browser knows whether it has this file already.
struct Version {
    tag: ETag,
    /// In whole seconds, as header fields have it.
    modified: SystemTime,
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
        let tag = format!("\"{seconds:x}-{nanoseconds:x}-{:x}\"", metadata.len());
        let since = seconds.clamp(*DATES.start(), *DATES.end()).unsigned_abs();
        Self {
            tag: tag.parse().expect("letters and digits in quotes"),
            modified: SystemTime::UNIX_EPOCH + Duration::from_secs(since),
        }
    }

    /// What is sent, in the order of section 13.2.2.
    fn part(&self, request: &Parts, length: u64) -> Part {
        let (tag, modified, asked) = (&self.tag, self.modified, &request.headers);
        let holds = match asked.typed_get::<IfMatch>() {
            Some(tags) => tags.precondition_passes(tag),
            None => {
                asked.typed_get().is_none_or(|date: IfUnmodifiedSince| date.precondition_passes(modified))
            }
        };
        if !holds {
            return Part::Nothing(StatusCode::PRECONDITION_FAILED);
        }
        let is_new = match asked.typed_get::<IfNoneMatch>() {
            Some(tags) => tags.precondition_passes(tag),
            None => asked.typed_get().is_none_or(|date: IfModifiedSince| date.is_modified(modified)),
        };
        if !is_new {
            return Part::Nothing(StatusCode::NOT_MODIFIED);
        }
        // Of a range section 14.2 speaks for GET alone.
        if request.method != Method::GET {
            return Part::Whole;
        }
        let known: Option<IfRange> = asked.typed_get();
        if known.is_some_and(|known| known.is_modified(Some(tag), Some(&modified.into()))) {
            return Part::Whole;
        }
        range(asked, length)
    }
}

/// The range that is asked for. Of several, as of what is no range of bytes, the whole file is the answer, as section
/// 14.2 allows.
fn range(asked: &HeaderMap, length: u64) -> Part {
    let value = asked.get(RANGE).and_then(|value| value.to_str().ok());
    let Some(Ok(ranges)) = value.map(parse_range_header) else { return Part::Whole };
    match ranges.validate(length).as_deref() {
        Ok([range]) => Part::Range(*range.start()..range.end() + 1),
        Err(RangeUnsatisfiableError::Unsatisfiable) => Part::Nothing(StatusCode::RANGE_NOT_SATISFIABLE),
        Ok(_) | Err(_) => Part::Whole,
    }
}

/// A part of a file, read as it is sent.
pub(crate) struct Content {
    file: Arc<File>,
    left: Range<u64>,
    reading: Option<Task<io::Result<Vec<u8>>>>,
}

impl Content {
    fn new(file: File, range: Range<u64>) -> Self {
        Self { file: Arc::new(file), left: range, reading: None }
    }

    fn read(&self) -> Task<io::Result<Vec<u8>>> {
        let (file, Range { start, end }) = (Arc::clone(&self.file), self.left.clone());
        smol::unblock(move || {
            let mut piece = vec![0; (end - start).min(PIECE) as usize];
            file.read_exact_at(&mut piece, start)?;
            Ok(piece)
        })
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let mut reading = self.reading.take().unwrap_or_else(|| self.read());
        let Poll::Ready(piece) = Pin::new(&mut reading).poll(cx) else {
            self.reading = Some(reading);
            return Poll::Pending;
        };
        let piece = piece?;
        self.left.start += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.end - self.left.start)
    }
}
