//! Frames on a serial line: where they begin is known, and a byte that is lost or damaged on the way is noticed.
//!
//! A frame is a zero, the COBS encoding of its content, and a zero. The content is its [`Kind`], its number, at most
//! [`PAYLOAD`] bytes of the stream, and the CRC-32 of all that, the low byte first. In each direction a connection is a
//! [`Kind::Begin`], which has the number 0, then [`Kind::Data`] with the numbers that follow, and a [`Kind::End`]. After
//! 255 comes 0.
//!
//! The end that asks begins a connection, and the other one answers with a beginning of its own. Each says once that it
//! ends: it sends nothing more then, and takes nothing. It ends too at a frame that is [`Wrong`], and drops what comes
//! until the next beginning. A frame that is not whole after a second of silence is wrong.
#![no_std]

use cobs::{CobsEncoder, DecodeResult, DecoderState, DestBufTooSmallError};
use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// Bytes of the stream in a frame, at most.
pub const PAYLOAD: usize = 240;
/// Kind and number.
const HEAD: usize = 2;
const CHECKSUM: usize = 4;
const CONTENT: usize = HEAD + PAYLOAD + CHECKSUM;
/// Two zeros, and one byte more: the encoding has another only for 254 bytes.
const FRAME: usize = CONTENT + 3;

static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first of a connection.
    Begin = 1,
    /// Bytes of the stream.
    Data = 2,
    /// The last of a connection.
    End = 3,
}

impl Kind {
    fn from_wire(kind: u8) -> Option<Self> {
        [Self::Begin, Self::Data, Self::End].into_iter().find(|known| *known as u8 == kind)
    }
}

/// A frame came damaged, or those before it did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong;

/// Makes the frames of one direction.
pub struct Sender {
    number: u8,
    frame: [u8; FRAME],
}

impl Sender {
    /// Before the first of them.
    #[must_use]
    pub const fn new() -> Self {
        Self { number: 0, frame: [0; FRAME] }
    }

    /// Makes the next frame, with [`PAYLOAD`] bytes of `payload` at most.
    pub fn frame(&mut self, kind: Kind, payload: &[u8]) -> &[u8] {
        if kind == Kind::Begin {
            self.number = 0;
        }
        let head = [kind as u8, self.number];
        self.number = self.number.wrapping_add(1);
        let payload = payload.get(..PAYLOAD).unwrap_or(payload);
        self.frame.fill(0);
        // It has room for every content.
        let len = self.frame.get_mut(1..).map_or(Ok(0), |room| encode(head, payload, room)).unwrap_or(0);
        self.frame.get(..len + 2).unwrap_or_default()
    }
}

impl Default for Sender {
    fn default() -> Self {
        Self::new()
    }
}

fn encode(head: [u8; HEAD], payload: &[u8], room: &mut [u8]) -> Result<usize, DestBufTooSmallError> {
    let mut checksum = CRC.digest();
    checksum.update(&head);
    checksum.update(payload);
    let mut encoder = CobsEncoder::new(room);
    encoder.push(&head)?;
    encoder.push(payload)?;
    encoder.push(&checksum.finalize().to_le_bytes())?;
    Ok(encoder.finalize())
}

/// Takes the frames of one direction.
pub struct Receiver {
    state: DecoderState,
    content: [u8; CONTENT],
    len: usize,
    /// The next number, where it is known.
    next: Option<u8>,
}

impl Receiver {
    /// Between frames.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: DecoderState::Idle, content: [0; CONTENT], len: 0, next: None }
    }

    /// Takes a byte, which may be the last of a frame.
    ///
    /// # Errors
    /// [`Wrong`], once for all frames that are missing or damaged in a row.
    pub fn push(&mut self, byte: u8) -> Result<Option<Kind>, Wrong> {
        match self.state.feed(byte) {
            Ok(DecodeResult::NoData) => Ok(None),
            Ok(DecodeResult::DataStart) => {
                self.len = 0;
                Ok(None)
            }
            Ok(DecodeResult::DataContinue(byte)) => {
                if let Some(place) = self.content.get_mut(self.len) {
                    *place = byte;
                }
                self.len = self.len.saturating_add(1);
                Ok(None)
            }
            Ok(DecodeResult::DataComplete) => match self.head() {
                Some((kind, number)) => {
                    let expected = if kind == Kind::Begin { 0 } else { self.next.unwrap_or(number) };
                    self.next = Some(number.wrapping_add(1));
                    if number == expected { Ok(Some(kind)) } else { Err(Wrong) }
                }
                None => Err(self.reset()),
            },
            Err(_) => Err(self.reset()),
        }
    }

    /// Kind and number of a frame that is whole.
    fn head(&self) -> Option<(Kind, u8)> {
        let (content, checksum) = self.content.get(..self.len)?.split_last_chunk()?;
        let (&[kind, number], _) = content.split_first_chunk()?;
        if CRC.checksum(content) != u32::from_le_bytes(*checksum) {
            return None;
        }
        Some((Kind::from_wire(kind)?, number))
    }

    /// The bytes of the stream in the frame whose last byte was pushed last.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.content.get(HEAD..self.len.saturating_sub(CHECKSUM)).unwrap_or_default()
    }

    /// Whether a frame has begun to come.
    #[must_use]
    pub const fn is_amid(&self) -> bool {
        !matches!(self.state, DecoderState::Idle)
    }

    /// Forgets a frame that has begun to come, whose rest does not.
    pub fn reset(&mut self) -> Wrong {
        (self.state, self.next) = (DecoderState::Idle, None);
        Wrong
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
