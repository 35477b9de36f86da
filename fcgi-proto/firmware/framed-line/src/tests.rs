//! Bytes that are lost, damaged or added anywhere.

extern crate std;

use std::vec::Vec;

use super::*;

/// Connections with so many frames of data each.
fn sent(counts: &[usize]) -> (Vec<u8>, Vec<(Kind, Vec<u8>)>) {
    let long: Vec<u8> = (0..PAYLOAD as u16 * 2).map(|byte| byte as u8).collect();
    let mut sender = Sender::new();
    let (mut bytes, mut frames) = (Vec::new(), Vec::new());
    for count in counts.iter().copied() {
        let data = (0..count).map(|at| if at == 1 { &long[7..7 + PAYLOAD] } else { &long[..at % 3] });
        let data = data.map(|payload| (Kind::Data, payload));
        for (kind, payload) in [(Kind::Begin, &[][..])].into_iter().chain(data).chain([(Kind::End, &[][..])])
        {
            bytes.extend_from_slice(sender.frame(kind, payload));
            frames.push((kind, payload.to_vec()));
        }
    }
    (bytes, frames)
}

fn received(bytes: &[u8]) -> Vec<Result<(Kind, Vec<u8>), Wrong>> {
    let mut receiver = Receiver::new();
    let mut next = |byte: &u8| {
        let kind = receiver.push(*byte).transpose()?;
        Some(kind.map(|kind| (kind, receiver.payload().to_vec())))
    };
    bytes.iter().filter_map(&mut next).collect()
}

#[test]
fn frames_come_as_they_were_sent() {
    // The second has more than there are numbers.
    let (bytes, frames) = sent(&[2, 600, 2]);
    assert!(received(&bytes).into_iter().map(Result::unwrap).eq(frames));
}

/// Whether nothing came but frames that were sent, in their order, and where one is missing something wrong.
fn is_honest(bytes: &[u8], frames: &[(Kind, Vec<u8>)]) -> bool {
    let mut left = frames.iter();
    let mut is_known = true;
    let honest = received(bytes).into_iter().all(|came| match came {
        Ok(frame) if is_known && frame.0 != Kind::Begin => left.next() == Some(&frame),
        Ok(frame) => {
            is_known = true;
            left.any(|sent| *sent == frame)
        }
        Err(Wrong) => {
            is_known = false;
            true
        }
    });
    // Of the very last that is missing nothing is known.
    honest && (!is_known || left.len() <= 1)
}

#[test]
fn a_byte_that_is_lost_is_noticed() {
    let (bytes, frames) = sent(&[2, 4, 2]);
    for at in 0..bytes.len() {
        let lost = [&bytes[..at], &bytes[at + 1..]].concat();
        assert!(is_honest(&lost, &frames), "byte {at}");
    }
}

#[test]
fn a_bit_that_is_flipped_is_noticed() {
    let (mut bytes, frames) = sent(&[2, 4, 2]);
    for at in 0..8 * bytes.len() {
        bytes[at / 8] ^= 1 << (at % 8);
        assert!(is_honest(&bytes, &frames), "bit {at}");
        bytes[at / 8] ^= 1 << (at % 8);
    }
}

#[test]
fn frames_that_are_lost_whole_are_noticed() {
    let (bytes, frames) = sent(&[2, 4, 2]);
    let ends: Vec<usize> = (1..bytes.len()).filter(|at| bytes[at - 1..=*at] == [0, 0]).collect();
    assert_eq!(ends.len() + 1, frames.len());
    for (from, to) in ends.iter().zip(&ends[1..]) {
        let lost = [&bytes[..*from], &bytes[*to..]].concat();
        assert!(is_honest(&lost, &frames), "bytes {from} to {to}");
    }
}

#[test]
fn noise_between_frames_costs_none() {
    let (bytes, frames) = sent(&[2, 4, 2]);
    for noise in [&[1][..], &[0], &[255; 1000], &[3, 0, 9, 9]] {
        let whole = received(&[noise, &bytes].concat()).into_iter().flatten();
        assert!(whole.eq(frames.iter().cloned()), "{noise:?}");
    }
}
