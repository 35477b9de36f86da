//! Bytes that wait for a reader: in memory, and beyond that in an unnamed temporary file.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Memory that is kept when all bytes were read.
const KEPT: usize = 16 * 1024;

/// A queue of bytes that goes to disk when it is long.
#[derive(Debug, Default)]
pub struct Spool {
    memory: VecDeque<u8>,
    file: Option<File>,
    /// Where the next byte is read from the file, and written to it.
    read_at: u64,
    write_at: u64,
}

impl Spool {
    /// Bytes in memory.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        self.memory.len()
    }

    /// Bytes on disk.
    #[must_use]
    pub fn on_disk(&self) -> u64 {
        self.write_at - self.read_at
    }

    /// Keeps bytes: at most `room` in memory, then at most `on_disk` in a file in the folder for temporary files. How
    /// many have room; where the file fails, those beyond memory have none, and a line in the log says why.
    pub fn keep(&mut self, data: &[u8], room: usize, on_disk: u64) -> usize {
        // What is on disk is before them.
        let room = if self.on_disk() > 0 { 0 } else { room.saturating_sub(self.memory.len()) };
        let (in_memory, more) = data.split_at(data.len().min(room));
        self.memory.extend(in_memory);
        let kept = self.keep_on_disk(more, on_disk);
        let more = kept.inspect_err(|error| log::warn!("a request's input is not kept on disk: {error}"));
        in_memory.len() + more.unwrap_or(0)
    }

    fn keep_on_disk(&mut self, data: &[u8], limit: u64) -> io::Result<usize> {
        let room = limit.saturating_sub(self.on_disk());
        let count = data.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        if count > 0 {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(tempfile::tempfile()?),
            };
            file.write_all_at(&data[..count], self.write_at)?;
            self.write_at += count as u64;
        }
        Ok(count)
    }

    /// Takes bytes from the front; 0 if there are none.
    ///
    /// # Errors
    /// Those of the file.
    pub fn take(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (front, _) = self.memory.as_slices();
        let count = front.len().min(into.len());
        if count > 0 {
            into[..count].copy_from_slice(&front[..count]);
            self.memory.drain(..count);
            return Ok(count);
        }
        let Some(file) = self.file.as_ref().filter(|_| self.read_at < self.write_at) else { return Ok(0) };
        let count = into.len().min(usize::try_from(self.on_disk()).unwrap_or(usize::MAX));
        let count = file.read_at(&mut into[..count], self.read_at)?;
        self.read_at += count as u64;
        if self.read_at == self.write_at {
            self.clear();
        }
        Ok(count)
    }

    /// Forgets all bytes, and all memory but a little.
    pub fn clear(&mut self) {
        self.memory.clear();
        self.memory.shrink_to(KEPT);
        (self.file, self.read_at, self.write_at) = (None, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_in_the_order_in_which_they_were_kept() {
        let mut spool = Spool::default();
        assert_eq!(spool.keep(b"abcdefgh", 4, 3), 7);
        assert_eq!(spool.keep(b"x", 100, 3), 0, "bytes on disk are before it");
        assert_eq!((spool.in_memory(), spool.on_disk()), (4, 3));
        let mut all = Vec::new();
        let mut piece = [0; 2];
        loop {
            match spool.take(&mut piece).unwrap() {
                0 => break,
                count => all.extend_from_slice(&piece[..count]),
            }
        }
        assert_eq!(all, b"abcdefg");
        assert_eq!((spool.keep(b"h", 4, 0), spool.on_disk()), (1, 0));
    }
}
