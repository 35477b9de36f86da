//! How targets read their plans.

use std::fmt::Display;

use arbitrary::{Result, Unstructured};

/// A limit in bytes: none, or a small one.
pub(crate) fn limit(u: &mut Unstructured<'_>) -> Result<u32> {
    Ok(match u.arbitrary::<u8>()? {
        0 => u32::MAX,
        limit => (u32::from(limit) - 1) * 4,
    })
}

/// Where bytes are cut: the lengths of the pieces, over and over. All of length 0 are one piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cuts {
    lengths: [u8; 4],
    next: usize,
}

impl Cuts {
    pub(crate) fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        Ok(Self { lengths: u.arbitrary()?, next: 0 })
    }

    /// The length of the next piece: exact if it is small, or up to 50 KB.
    pub(crate) fn next(&mut self) -> usize {
        if self.lengths == [0; 4] {
            return usize::MAX;
        }
        let length = usize::from(self.lengths[self.next]);
        self.next = (self.next + 1) % self.lengths.len();
        if length < 32 { length } else { (length - 31).pow(2) }
    }

    /// The pieces, some of them empty.
    pub(crate) fn pieces(mut self, mut bytes: &[u8]) -> Vec<&[u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(self.next().min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}

/// What the caller of a connection does, step by step, over and over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    steps: [u8; 8],
    next: usize,
}

impl Script {
    pub(crate) fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        Ok(Self { steps: u.arbitrary()?, next: 0 })
    }

    /// The next step, a number below 8, and a further one below 32.
    pub(crate) fn next(&mut self) -> (u8, u8) {
        let step = self.steps[self.next];
        self.next = (self.next + 1) % self.steps.len();
        (step % 8, step / 8)
    }
}

/// An error's text is a line for a log: there, and nothing in it ends the line or hides the rest.
pub(crate) fn is_a_log_line(error: &dyn Display) {
    let text = error.to_string();
    assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
}
