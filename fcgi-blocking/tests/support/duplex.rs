//! A stream in memory that counts what is done with it.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};

/// Gives its chunks, one a read, then the end of input.
#[derive(Debug, Default)]
pub(crate) struct Duplex {
    chunks: VecDeque<Vec<u8>>,
    pub(crate) log: Vec<Done>,
    /// Bytes that a write takes at most; 0 for all.
    pub(crate) takes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// So many bytes; 0 at the end.
    Read(usize),
    Write(Written),
    Flush,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    /// Where each slice lies, and its length.
    pub(crate) slices: Vec<(usize, usize)>,
}

impl Duplex {
    pub(crate) fn new(chunks: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { chunks: chunks.into_iter().collect(), ..Self::default() }
    }

    /// The lengths of all reads.
    pub(crate) fn reads(&self) -> Vec<usize> {
        self.log
            .iter()
            .filter_map(|done| if let Done::Read(count) = done { Some(*count) } else { None })
            .collect()
    }

    pub(crate) fn writes(&self) -> Vec<&Written> {
        self.log
            .iter()
            .filter_map(|done| if let Done::Write(written) = done { Some(written) } else { None })
            .collect()
    }

    /// All that was written.
    pub(crate) fn written(&self) -> Vec<u8> {
        self.writes().iter().flat_map(|written| written.bytes.clone()).collect()
    }
}

impl Read for Duplex {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.chunks.front_mut() {
            None => 0,
            Some(chunk) => {
                let count = chunk.len().min(buffer.len());
                buffer[..count].copy_from_slice(&chunk[..count]);
                chunk.drain(..count);
                if chunk.is_empty() {
                    self.chunks.pop_front();
                }
                count
            }
        };
        self.log.push(Done::Read(count));
        Ok(count)
    }
}

impl Write for Duplex {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let most = if self.takes > 0 { self.takes } else { usize::MAX };
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(most).collect();
        let count = bytes.len();
        let slices = slices.iter().map(|slice| (slice.as_ptr() as usize, slice.len())).collect();
        self.log.push(Done::Write(Written { bytes, slices }));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.log.push(Done::Flush);
        Ok(())
    }
}
