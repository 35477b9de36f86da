//! Numbers as text, without `core`'s formatting and parsing, which would be most of a small program.

/// A hexadecimal digit's value.
pub(crate) const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The number of 64 bits that digits, at least one, are.
pub(crate) fn parse(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// A number in decimal, in `room`.
pub(crate) fn decimal(number: u64, room: &mut [u8; 20]) -> &[u8] {
    // In quarters, since dividing 64 bits at once is a function of its own where registers have 32.
    let mut quarters = [number >> 48, number >> 32, number >> 16, number].map(|part| part as u32 & 0xffff);
    let mut start = room.len();
    for digit in room.iter_mut().rev() {
        let mut rest = 0;
        for quarter in &mut quarters {
            let part = rest << 16 | *quarter;
            (*quarter, rest) = (part / 10, part % 10);
        }
        // A digit is below 10.
        *digit = b'0' + rest as u8;
        start -= 1;
        if quarters.iter().all(|quarter| *quarter == 0) {
            break;
        }
    }
    room.get(start..).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    #[test]
    fn a_number_has_the_digits_that_core_gives_it() {
        let powers = (0..20).map(|power| 10_u64.pow(power)).flat_map(|power| [power - 1, power, power + 1]);
        for number in powers.chain((0..64).map(|bit| 1 << bit)).chain([u64::MAX]) {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }

    #[test]
    fn a_hexadecimal_digit_is_what_core_takes_for_one() {
        for byte in 0..=u8::MAX {
            assert_eq!(hex(byte).map(u32::from), char::from(byte).to_digit(16));
        }
    }
}
