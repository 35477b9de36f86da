//! A stream in memory that gives and takes as little as it is told, and breaks where it is told.

use std::io::{self, ErrorKind, IoSlice, Read, Write};

use arbitrary::{Result, Unstructured};

use crate::plan::Cuts;

/// How input or output ends.
const ERRORS: [ErrorKind; 5] = [
    ErrorKind::ConnectionReset,
    ErrorKind::TimedOut,
    ErrorKind::WouldBlock,
    ErrorKind::BrokenPipe,
    ErrorKind::Other,
];

pub(super) struct Stream {
    input: Vec<u8>,
    /// Bytes of `input` that were read.
    read: usize,
    reads: Cuts,
    /// Bytes of input before its end, 0 for all of it, and the error that it is; `None` if none.
    input_end: (u16, Option<ErrorKind>),
    /// How often the reader was told of the end.
    ends_told: usize,
    pub(super) written: Vec<u8>,
    writes: Cuts,
    /// Bytes of output before it fails, 0 for never, and the error; `None` if it only takes no more.
    output_end: (u16, Option<ErrorKind>),
    pub(super) output_failed: bool,
    /// Every so many calls are interrupted; 0 for none.
    interrupts: u32,
    calls: u32,
}

impl Stream {
    pub(super) fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let (reads, writes) = (Cuts::new(u)?, Cuts::new(u)?);
        let end = |u: &mut Unstructured<'_>| -> Result<_> {
            Ok((u.arbitrary()?, ERRORS.get(usize::from(u.arbitrary::<u8>()? % 8)).copied()))
        };
        Ok(Self {
            input: Vec::new(),
            read: 0,
            reads,
            input_end: end(u)?,
            ends_told: 0,
            written: Vec::new(),
            writes,
            output_end: end(u)?,
            output_failed: false,
            interrupts: match u.arbitrary::<u8>()? % 8 {
                0 => 0,
                period => u32::from(period) + 1,
            },
            calls: 0,
        })
    }

    /// Gives it its input.
    pub(super) fn input(&mut self, mut bytes: Vec<u8>) {
        if self.input_end.0 > 0 {
            bytes.truncate(self.input_end.0.into());
        }
        self.input = bytes;
    }

    /// Bytes of input, up to its end.
    pub(super) fn input_len(&self) -> usize {
        self.input.len()
    }

    /// Bytes of input that were read.
    pub(super) fn read_len(&self) -> usize {
        self.read
    }

    /// The client sends no more than was read.
    pub(super) fn end_input(&mut self) {
        self.read = self.input.len();
    }

    /// Whether input ends as a client that closes ends it.
    pub(super) fn closes(&self) -> bool {
        self.input_end.1.is_none()
    }

    /// Bytes that a call gives or takes at least: one, and when there were many calls more, to come to an end.
    fn least(&self) -> usize {
        if self.calls < 1000 { 1 } else { 512 }
    }

    fn interrupted(&mut self) -> io::Result<()> {
        self.calls += 1;
        let interrupts = self.interrupts > 0 && self.calls % self.interrupts == 0;
        if interrupts { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!buffer.is_empty());
        assert!(self.ends_told < 8, "nobody reads behind the end for ever");
        self.interrupted()?;
        let left = &self.input[self.read..];
        let count = self.reads.next().max(self.least()).min(left.len()).min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.read += count;
        self.ends_told += usize::from(count == 0);
        match self.input_end.1 {
            Some(error) if count == 0 => Err(error.into()),
            _ => Ok(count),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        assert!(!self.output_failed, "a write after one that failed: it is taken for the rest of a record");
        self.interrupted()?;
        let room = match self.output_end.0 {
            0 => usize::MAX,
            end => usize::from(end) - self.written.len(),
        };
        let most = self.writes.next().max(self.least()).min(room);
        let before = self.written.len();
        for slice in slices {
            let left = most - (self.written.len() - before);
            self.written.extend_from_slice(&slice[..slice.len().min(left)]);
        }
        self.output_failed = room == 0;
        match self.output_end.1 {
            Some(error) if room == 0 => Err(error.into()),
            _ => Ok(self.written.len() - before),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
