//! What a life is made of: a row of bytes, each a choice. A seed gives a row without end, a fuzzer one that is at
//! hand. After its last byte every choice is 0, the plain one, so that a row can be cut short anywhere.

/// Choices of one life, after which all are plain.
const MOST: usize = 4096;

/// Where choices come from, and those that were made.
#[derive(Clone, Debug)]
pub(super) struct Choices {
    made: Vec<u8>,
    next: usize,
    random: Option<Random>,
}

impl Choices {
    pub(super) fn of_seed(seed: u64) -> Self {
        Self { made: Vec::new(), next: 0, random: Some(Random { state: seed, word: 0, left: 0 }) }
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Self { made: bytes[..bytes.len().min(MOST)].to_vec(), next: 0, random: None }
    }

    /// Those that were made so far.
    pub(super) fn made(&self) -> &[u8] {
        &self.made[..self.next.min(self.made.len())]
    }

    /// Whether all further ones are plain.
    pub(super) fn are_over(&self) -> bool {
        self.next >= if self.random.is_some() { MOST } else { self.made.len() }
    }

    fn byte(&mut self) -> u8 {
        if self.next == self.made.len() && self.next < MOST {
            if let Some(random) = &mut self.random {
                self.made.push(random.byte());
            }
        }
        let byte = self.made.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        byte
    }

    /// One of so many, at most 256.
    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// Yes once in so many times.
    pub(super) fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    pub(super) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// SplitMix64, byte by byte.
#[derive(Clone, Debug)]
struct Random {
    state: u64,
    word: u64,
    left: u8,
}

impl Random {
    fn byte(&mut self) -> u8 {
        if self.left == 0 {
            self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = self.state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (self.word, self.left) = (word ^ (word >> 31), 8);
        }
        let byte = self.word as u8;
        self.word >>= 8;
        self.left -= 1;
        byte
    }
}
