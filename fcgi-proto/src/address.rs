//! IP addresses as text, both ways, without `core`'s formatting and parsing, which would be most of a small
//! program.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::bytes::Bytes;
use crate::digits::{decimal, hex};

/// An address's 128 bits; of an IPv4 address those of `::ffff:a.b.c.d`, which counts as the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address(u128);

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::of_quad(ip.to_bits()),
            IpAddr::V6(ip) => Self(ip.to_bits()),
        }
    }
}

impl From<&SocketAddr> for Address {
    fn from(address: &SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self::of_quad(address.ip().to_bits()),
            SocketAddr::V6(address) => Self(address.ip().to_bits()),
        }
    }
}

impl Address {
    const fn of_quad(quad: u32) -> Self {
        Self(0xffff << 32 | quad as u128)
    }

    /// The address as IPv4, if it is one.
    const fn quad(self) -> Option<u32> {
        if self.0 >> 32 == 0xffff { Some(self.0 as u32) } else { None }
    }

    /// Reads what `core`'s `IpAddr` reads.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if let Some(quad) = quad(text) {
            return Some(Self::of_quad(quad));
        }
        // What came before `::`, and all groups but that they are not in their places yet.
        let (mut front, mut bits) = (None, 0_u128);
        let (mut count, mut rest) = (0, text);
        if let [b':', b':', after @ ..] = rest {
            front = Some((0, 0));
            rest = after;
        }
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b':').unwrap_or(rest.len());
            let (part, after) = rest.split_at_checked(end)?;
            if part.contains(&b'.') {
                // Nothing comes after a dotted quad, or it is none.
                bits = bits << 32 | u128::from(quad(rest)?);
                count += 2;
                break;
            }
            bits = bits << 16 | u128::from(group(part)?);
            count += 1;
            rest = match after {
                [b':', b':', after @ ..] if front.is_none() => {
                    front = Some((bits, count));
                    bits = 0;
                    after
                }
                [b':', after @ ..] if !after.is_empty() => after,
                [] => after,
                _ => return None,
            };
        }
        match front {
            None => (count == 8).then_some(Self(bits)),
            // `::` stands for at least one group.
            Some((mut front, before)) => {
                for _ in before..8 {
                    front <<= 16;
                }
                (count < 8).then_some(Self(front | bits))
            }
        }
    }

    /// Appends what `core`'s `IpAddr::to_canonical` displays.
    pub(crate) fn write<const N: usize>(self, text: &mut Bytes<N>) {
        if let Some(quad) = self.quad() {
            for (i, octet) in quad.to_be_bytes().into_iter().enumerate() {
                text.push(if i > 0 { b"." } else { b"" });
                text.push(decimal(octet.into(), &mut [0; 20]));
            }
            return;
        }
        let groups = Ipv6Addr::from_bits(self.0).segments();
        let (gap, end) = gap(groups);
        for (i, group) in (0..).zip(groups) {
            if i == gap {
                text.push(b"::");
            }
            if (gap..end).contains(&i) {
                continue;
            }
            if i > 0 && i != end {
                text.push(b":");
            }
            for shift in [12, 8, 4, 0] {
                let digits = group >> shift;
                if digits > 0 || shift == 0 {
                    let digit = (digits & 0xf) as u8;
                    text.push(&[digit + if digit < 10 { b'0' } else { b'a' - 10 }]);
                }
            }
        }
    }
}

/// From where to where `::` stands for groups of 0: the first of the longest runs, if that is two or more.
fn gap(groups: [u16; 8]) -> (u32, u32) {
    // A bit for each group, the first one's highest. With each step a run of one more has a bit, where it begins.
    let mut runs = groups.iter().fold(0_u8, |bits, group| bits << 1 | u8::from(*group == 0));
    let (mut longest, mut len) = (0_u8, 0);
    while runs != 0 {
        longest = runs;
        runs &= runs << 1;
        len += 1;
    }
    let start = longest.leading_zeros();
    if len < 2 { (8, 8) } else { (start, start + len) }
}

/// A dotted quad: four numbers up to 255 without leading zeros.
fn quad(text: &[u8]) -> Option<u32> {
    let (mut quad, mut rest) = (0, text);
    for i in 0..4 {
        let end = rest.iter().position(|byte| *byte == b'.').unwrap_or(rest.len());
        let (part, after) = rest.split_at_checked(end)?;
        if matches!(part, [] | [b'0', _, ..] | [_, _, _, _, ..]) {
            return None;
        }
        let octet = part.iter().try_fold(0_u16, |number, digit| {
            Some(number * 10 + u16::from(digit.checked_sub(b'0').filter(|digit| *digit <= 9)?))
        })?;
        quad = quad << 8 | u32::from(u8::try_from(octet).ok()?);
        rest = match after {
            [] if i == 3 => after,
            [b'.', after @ ..] if i < 3 => after,
            _ => return None,
        };
    }
    Some(quad)
}

/// One to four hexadecimal digits.
fn group(text: &[u8]) -> Option<u16> {
    if matches!(text, [] | [_, _, _, _, _, ..]) {
        return None;
    }
    text.iter().try_fold(0, |group, digit| Some(group << 4 | u16::from(hex(*digit)?)))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::*;

    /// What is close to addresses: pieces of them, one after the other.
    fn near() -> Vec<String> {
        let pieces = [
            "", ":", "::", "0", "1", "00", "0db8", "ffff", "FfFf", "10000", "g", ".", "1.2.3.4", "255",
            "256", "01", " ",
        ];
        let mut state = 1_u32;
        let mut next = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as usize % below
        };
        let mut texts: Vec<String> = (0..200_000)
            .map(|_| {
                let count = next(16);
                (0..count)
                    .map(|i| if i % 2 == 1 && next(4) > 0 { ":" } else { pieces[next(pieces.len())] })
                    .collect()
            })
            .collect();
        texts.extend((0..=9).flat_map(|count| {
            let groups = "1:".repeat(count);
            [
                groups.clone(),
                groups.clone() + ":",
                groups.clone() + "1",
                groups.clone() + "1.2.3.4",
                groups + ":2",
            ]
        }));
        texts
    }

    #[test]
    fn an_address_is_read_as_core_reads_it() {
        let (mut taken, mut refused) = (0, 0);
        for text in near() {
            let expected = text.parse::<IpAddr>().ok();
            assert_eq!(Address::parse(text.as_bytes()), expected.map(Address::from), "{text}");
            *(if expected.is_some() { &mut taken } else { &mut refused }) += 1;
        }
        assert!(taken > 1000 && refused > 1000, "{taken} {refused}");
    }

    #[test]
    fn an_address_is_written_as_core_writes_it() {
        // Which groups are 0, and how long the others are.
        for zeros in 0..=u8::MAX {
            for group in [1, 0x23, 0xa0c, 0xffff] {
                let groups: [u16; 8] = core::array::from_fn(|i| if zeros >> i & 1 == 1 { 0 } else { group });
                let ip = IpAddr::from(groups);
                let mut text = Bytes::<39>::new();
                Address::from(ip).write(&mut text);
                assert_eq!(core::str::from_utf8(&text), Ok(&*ip.to_canonical().to_string()));
            }
        }
        for ip in ["0.0.0.0", "255.255.255.255", "10.0.20.1", "::ffff:192.0.2.1", "::ffff:0:0"] {
            let ip: IpAddr = ip.parse().unwrap();
            let mut text = Bytes::<39>::new();
            Address::from(ip).write(&mut text);
            assert_eq!(core::str::from_utf8(&text), Ok(&*ip.to_canonical().to_string()));
        }
    }
}
