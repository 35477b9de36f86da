//! An answer that is taken in faster than it is read: the first of it in memory, what does not fit there in an
//! unnamed temporary file.

use std::collections::VecDeque;
use std::fs::File;
use std::future::poll_fn;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::{env, io, mem};

use bytes::Bytes;
use smol::future::FutureExt;

use super::response::Answer;
use crate::ClientError;
use crate::net::sync::{Arc, Mutex, lock, unblock};

/// Bytes that are read from the file at a time.
const PIECE: u64 = 64 * 1024;

pub(super) struct Store {
    memory_limit: usize,
    /// 0 once the file could not be written.
    file_limit: u64,
    memory: VecDeque<Bytes>,
    /// Bytes in `memory`.
    kept: usize,
    /// What comes after those in memory: its bytes from the first to the second.
    file: Option<Arc<File>>,
    read: u64,
    written: u64,
    end: Option<Result<(), ClientError>>,
    /// Whether nobody reads any more.
    left: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Store {
    /// With so many bytes in memory and in a file.
    #[expect(clippy::new_ret_no_self, reason = "it is for the two")]
    pub(super) fn new(memory_limit: usize, file_limit: u64) -> (Writer, Reader) {
        let (memory, kept, file, read, written, end, left, reader, writer) = Default::default();
        let store =
            Self { memory_limit, file_limit, memory, kept, file, read, written, end, left, reader, writer };
        let store = Arc::new(Mutex::new(store));
        (Writer(Arc::clone(&store)), Reader { store, reading: None })
    }
}

/// What becomes of the next bytes.
enum Place {
    /// They are kept, or nobody wants them.
    Done,
    /// They go to this place of the file, which may be yet to be made.
    File(Option<Arc<File>>, u64),
}

/// Who takes the answer in. Dropped before the end, it is cut.
pub(super) struct Writer(Arc<Mutex<Store>>);

impl Writer {
    /// Takes the answer in, until its end or until nobody reads it any more.
    pub(super) async fn take_in(self, mut answer: Answer) {
        let left = poll_fn(|cx| self.poll_store(cx, |store| store.left.then_some(())));
        let take = async {
            loop {
                match poll_fn(|cx| answer.poll_data(cx)).await {
                    Some(Ok(data)) => self.push(data).await,
                    Some(Err(error)) => return self.end(Err(error)),
                    None => return self.end(Ok(())),
                }
            }
        };
        take.or(left).await;
    }

    async fn push(&self, data: Bytes) {
        loop {
            let (file, at) = match poll_fn(|cx| self.poll_store(cx, |store| store.place(&data))).await {
                Place::Done => return,
                Place::File(file, at) => (file, at),
            };
            let bytes = data.clone();
            let written = unblock(move || {
                let file = file.map_or_else(|| tempfile::tempfile().map(Arc::new), Ok)?;
                file.write_all_at(&bytes, at)?;
                Ok::<_, io::Error>(file)
            });
            if self.is_written(written.await, data.len()) {
                return;
            }
        }
    }

    /// Notes what became of bytes that were to be written.
    fn is_written(&self, written: io::Result<Arc<File>>, count: usize) -> bool {
        let mut store = lock(&self.0);
        let is_written = written.is_ok();
        match written {
            Ok(file) => {
                store.file = Some(file);
                store.written += count as u64;
            }
            Err(error) => {
                store.file_limit = 0;
                log::warn!("an answer is not taken in: {}: {error}", env::temp_dir().display());
            }
        }
        let woken = store.reader.take();
        drop(store);
        woken.into_iter().for_each(Waker::wake);
        is_written
    }

    fn end(&self, end: Result<(), ClientError>) {
        let mut store = lock(&self.0);
        store.end.get_or_insert(end);
        let woken = store.reader.take();
        drop(store);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Waits until there is something, which may be of use to the reader.
    fn poll_store<T>(&self, cx: &mut Context<'_>, look: impl Fn(&mut Store) -> Option<T>) -> Poll<T> {
        let waker = cx.waker().clone();
        let mut store = lock(&self.0);
        let found = look(&mut store);
        let (woken, before) = match found {
            Some(_) => (store.reader.take(), None),
            None => (None, store.writer.replace(waker)),
        };
        drop(store);
        drop(before);
        woken.into_iter().for_each(Waker::wake);
        found.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end(Err(ClientError::Truncated));
    }
}

impl Store {
    /// Where the next bytes go; `None` while there is no room for them.
    fn place(&mut self, data: &Bytes) -> Option<Place> {
        if self.left {
            return Some(Place::Done);
        }
        if self.read == self.written {
            (self.read, self.written) = (0, 0);
            if self.kept == 0 || self.kept + data.len() <= self.memory_limit {
                self.kept += data.len();
                self.memory.push_back(data.clone());
                return Some(Place::Done);
            }
        }
        let fits = self.written + data.len() as u64 <= self.file_limit;
        fits.then(|| Place::File(self.file.clone(), self.written))
    }
}

/// Who reads it, or does so no more when dropped.
pub(super) struct Reader {
    store: Arc<Mutex<Store>>,
    /// From the file.
    reading: Option<Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>>>,
}

impl Reader {
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ClientError>>> {
        let waker = cx.waker().clone();
        loop {
            let read = match &mut self.reading {
                Some(reading) => Some(ready!(reading.as_mut().poll(cx))),
                None => None,
            };
            self.reading = None;
            let mut store = lock(&self.store);
            let got = match read {
                Some(Ok(data)) => {
                    store.read += data.len() as u64;
                    Some(Ok(data))
                }
                Some(Err(error)) => Some(Err(ClientError::spool(error))),
                None => store.memory.pop_front().map(Ok),
            };
            if let Some(got) = got {
                store.kept = store.memory.iter().map(Bytes::len).sum();
                let woken = store.writer.take();
                drop(store);
                woken.into_iter().for_each(Waker::wake);
                return Poll::Ready(Some(got));
            }
            let (at, left) = (store.read, store.written - store.read);
            if let Some(file) = store.file.clone().filter(|_| left > 0) {
                self.reading = Some(Box::pin(unblock(move || {
                    let mut piece = vec![0; left.min(PIECE) as usize];
                    file.read_exact_at(&mut piece, at)?;
                    Ok(piece.into())
                })));
                continue;
            }
            if let Some(end) = &mut store.end {
                return Poll::Ready(mem::replace(end, Ok(())).err().map(Err));
            }
            let before = store.reader.replace(waker);
            drop(store);
            drop(before);
            return Poll::Pending;
        }
    }

    /// Whether it was read to its end.
    pub(super) fn is_over(&self) -> bool {
        let store = lock(&self.store);
        self.reading.is_none()
            && store.memory.is_empty()
            && store.read == store.written
            && matches!(store.end, Some(Ok(())))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut store = lock(&self.store);
        store.left = true;
        let woken = store.writer.take();
        drop(store);
        woken.into_iter().for_each(Waker::wake);
    }
}
