//! Header fields of equal names, found without a comparison of each with every other.

use super::names::same;
use crate::cgi::field::Field;

/// Fields whose equals are looked for together, with 12 bytes of stack for each: fewer where memory is short.
pub(super) const WINDOW: usize = if usize::BITS < 64 { 32 } else { 512 };

/// Places for twice as many, so that most names have one of their own.
const PLACES: usize = 2 * WINDOW;

/// Sets, for each of the fields from `start` on that the window has, behind which field there is none of its name:
/// 0 for one that is not the first of its name.
pub(super) fn find_ends(headers: &[Field<'_>], start: usize, ends: &mut [usize; WINDOW]) {
    let (earlier, fields) = headers.split_at_checked(start).unwrap_or_default();
    ends.fill(0);
    // By a hash of the name one more than the number of the first field that has it; 0 is a free place.
    let mut places = [0_u16; PLACES];
    for (i, (name, _)) in fields.iter().chain(earlier).enumerate() {
        // FNV-1a.
        let hash = name.iter().fold(0x811c_9dc5, |hash: u32, byte| {
            (hash ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
        });
        let mut steps = (0..PLACES).map(|step| (hash as usize).wrapping_add(step) % PLACES);
        let place = steps.find(|place| {
            let first = places.get(*place).map_or(0, |first| usize::from(*first));
            fields.get(first.wrapping_sub(1)).is_none_or(|(other, _)| same(name, other))
        });
        let Some(first) = place.and_then(|place| places.get_mut(place)) else { continue };
        let is_later = i < fields.len();
        if *first == 0 && is_later && i < WINDOW {
            // WINDOW fits 16 bits.
            *first = i as u16 + 1;
        }
        if let Some(end) = ends.get_mut(usize::from(*first).wrapping_sub(1)) {
            *end = if is_later { start + i + 1 } else { 0 };
        }
    }
}
