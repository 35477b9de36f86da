//! STDERR that nobody has taken yet.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;

/// Bytes of a beginning, and of an end.
const SHARE: usize = 32 * 1024;

/// What came on a request's STDERR: its first 32 KiB and its last, and between them how much was left out. The
/// end is what a person needs: the error that a program died of comes behind all of its warnings.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stderr {
    beginning: Vec<u8>,
    #[cfg_attr(feature = "defmt", defmt(Debug2Format))]
    end: VecDeque<u8>,
    left_out: u64,
}

impl Stderr {
    /// Keeps what came.
    pub fn push(&mut self, data: &[u8]) {
        let (first, rest) = data.split_at(data.len().min(SHARE.saturating_sub(self.beginning.len())));
        self.beginning.extend_from_slice(first);
        self.end.extend(rest);
        let excess = self.end.len().saturating_sub(SHARE);
        self.end.drain(..excess);
        self.left_out += excess as u64;
    }

    /// Keeps what another kept, behind what came before.
    pub fn append(&mut self, mut other: Self) {
        if self.beginning.is_empty() {
            *self = other;
        } else {
            self.push(&other.take());
        }
    }

    /// Takes what was kept for who listens, if anyone does and there is anything.
    pub fn hand_on<L: FnMut(&[u8]) + ?Sized>(&mut self, listener: Option<&mut L>) {
        if let Some(listener) = listener.filter(|_| !self.beginning.is_empty()) {
            listener(&self.take());
        }
    }

    /// All that was kept, with a line in the place of what was left out. Nothing is kept then.
    pub fn take(&mut self) -> Vec<u8> {
        let Self { mut beginning, mut end, left_out } = core::mem::take(self);
        if left_out > 0 {
            beginning.extend_from_slice(format!("\n[{left_out} bytes of STDERR left out]\n").as_bytes());
        }
        beginning.extend_from_slice(end.make_contiguous());
        beginning
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_beginning_and_an_end_are_kept_and_how_much_lies_between() {
        let (beginning, end) = (vec![b'b'; SHARE], vec![b'e'; SHARE]);
        for left_out in [0, 1, 1_000, 100_000] {
            for step in [1, 7, SHARE, usize::MAX] {
                let all = [&beginning[..], &vec![b'-'; left_out], &end].concat();
                let mut stderr = Stderr::default();
                all.chunks(step.min(all.len())).for_each(|chunk| stderr.push(chunk));
                let line = format!("\n[{left_out} bytes of STDERR left out]\n");
                let line = if left_out == 0 { &[][..] } else { line.as_bytes() };
                assert!(stderr.take() == [&beginning, line, &end].concat());
                assert!(stderr.take().is_empty());
            }
        }
    }

    #[test]
    fn what_another_kept_is_as_it_was_kept() {
        let mut long = Stderr::default();
        long.push(&[b'x'; 3 * SHARE]);
        let (mut one, all) = (Stderr::default(), long.clone().take());
        one.append(long.clone());
        assert!(one.take() == all);
        let mut two = Stderr::default();
        two.push(b"first ");
        let mut short = Stderr::default();
        short.push(b"second");
        two.append(short);
        assert_eq!(two.take(), b"first second");
    }

    #[test]
    fn what_is_taken_as_it_comes_is_not_cut() {
        let mut stderr = Stderr::default();
        for _ in 0..10 {
            stderr.push(&[b'x'; SHARE]);
            assert_eq!(stderr.take().len(), SHARE);
        }
    }

    #[test]
    fn who_listens_is_told_all_that_came_and_nothing_twice() {
        let (mut stderr, mut heard) = (Stderr::default(), Vec::new());
        for piece in [&b"one"[..], b"", b"two"] {
            stderr.push(piece);
            stderr.hand_on(Some(&mut |came: &[u8]| heard.push(came.to_vec())));
            assert!(stderr.take().is_empty());
        }
        assert_eq!(heard, [b"one", b"two"]);
        stderr.push(b"three");
        stderr.hand_on(None::<&mut fn(&[u8])>);
        assert_eq!(stderr.take(), b"three", "it is kept where nobody listens");
    }
}
