//! Outgoing records, written as little at a time as a socket may take.

use fcgi_proto::record::{Control, PairRecord, Record};

/// What is its own cursor over the bytes that are still to be sent.
pub(super) trait Cursor {
    fn left(&self) -> Vec<u8>;
    fn remaining(&self) -> usize;
    fn advance(&mut self, count: usize);
    fn copy_to(&mut self, buffer: &mut [u8]) -> usize;
}

macro_rules! cursor {
    ($outgoing:ty, $left:expr) => {
        impl Cursor for $outgoing {
            fn left(&self) -> Vec<u8> {
                $left(self)
            }

            fn remaining(&self) -> usize {
                self.remaining()
            }

            fn advance(&mut self, count: usize) {
                self.advance(count);
            }

            fn copy_to(&mut self, buffer: &mut [u8]) -> usize {
                self.copy_to(buffer)
            }
        }
    };
}

cursor!(Record<'_>, |record: &Self| record.slices().concat());
cursor!(PairRecord<'_>, |record: &Self| record.slices().concat());
cursor!(Control, |control: &Self| control.to_vec());

/// All of its bytes: at most so many at a time (0 for all), by turns from where they lie and as a copy.
pub(super) fn written(mut outgoing: impl Cursor, most: usize) -> Vec<u8> {
    let whole = outgoing.left();
    let most = if most == 0 || whole.len() > 1000 { whole.len() } else { most };
    let (mut written, mut buffer) = (Vec::new(), vec![0; most]);
    for turn in 0.. {
        let left = outgoing.left();
        assert!(left.len() == outgoing.remaining() && whole.ends_with(&left));
        if left.is_empty() {
            break;
        }
        if turn % 2 == 0 {
            let count = most.min(left.len());
            written.extend_from_slice(&left[..count]);
            outgoing.advance(count);
        } else {
            let count = outgoing.copy_to(&mut buffer);
            written.extend_from_slice(&buffer[..count]);
        }
    }
    // More than is left counts as all.
    outgoing.advance(1);
    assert!(outgoing.remaining() == 0 && written == whole);
    written
}
