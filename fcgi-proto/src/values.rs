//! GET_VALUES: which of the three defined names were asked for, and the answer (section 4.1).
//!
//! Names are matched as they come, so that nothing is stored of them. Unknown names, names that are cut and
//! the values that came are left out of the answer.

use crate::bytes::Bytes;
use crate::digits::decimal;
use crate::limits::Limits;
use crate::pair::{Decoder, Part};
use crate::record::{Control, MAX_CONNS, MAX_REQS, MPXS_CONNS, NULL_REQUEST_ID, RecordType};

/// The defined names; bit `i` of a set stands for the `i`th.
const NAMES: [&[u8]; 3] = [MAX_CONNS, MAX_REQS, MPXS_CONNS];

/// A set of the defined names.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Asked(u8);

impl Asked {
    /// Appends GET_VALUES_RESULT with the values asked for, on connections of `slots` requests.
    pub(crate) fn answer(self, control: &mut Control, limits: &Limits, slots: usize) {
        let slots = u32::try_from(slots).unwrap_or(u32::MAX);
        let requests = limits.max_reqs.min(limits.max_conns.saturating_mul(slots));
        let values = [limits.max_conns, requests, u32::from(slots > 1)];
        let mut content = Bytes::<80>::new();
        for (i, (name, value)) in NAMES.iter().zip(&values).enumerate() {
            if self.0 & (1 << i) != 0 {
                let mut room = [0; 20];
                let digits = decimal((*value).into(), &mut room);
                // Lengths below 128 are one byte.
                for part in [&[name.len() as u8, digits.len() as u8], *name, digits] {
                    let fits = content.push(part);
                    debug_assert!(fits, "80 bytes hold three names, their lengths and digits");
                }
            }
        }
        control.push(RecordType::GetValuesResult, NULL_REQUEST_ID, &content);
    }
}

/// Reads the content of one GET_VALUES record.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Values {
    pairs: Decoder,
    asked: u8,
    /// Names that begin with what came of the current one, as a set.
    candidates: u8,
    /// Bytes of the current name that came.
    matched: u8,
}

impl Values {
    pub(crate) const fn new() -> Self {
        Self { pairs: Decoder::new(), asked: 0, candidates: u8::MAX, matched: 0 }
    }

    /// Takes the next bytes of the content, cut anywhere.
    pub(crate) fn push(&mut self, mut data: &[u8]) {
        while let Some(part) = self.pairs.next(&mut data) {
            match part {
                Part::Pair { name, .. } => self.name(name, true),
                Part::Name { data, last } => self.name(data, last),
                Part::Sizes { .. } | Part::Value { .. } => {}
            }
        }
    }

    /// The names that came so far.
    pub(crate) fn asked(&self) -> Asked {
        Asked(self.asked)
    }

    fn name(&mut self, data: &[u8], last: bool) {
        let from = usize::from(self.matched);
        let to = from.saturating_add(data.len());
        for (i, name) in NAMES.iter().enumerate() {
            let bit = 1 << i;
            if name.get(from..to) != Some(data) {
                self.candidates &= !bit;
            } else if last && to == name.len() {
                self.asked |= self.candidates & bit;
            }
        }
        if last {
            (self.candidates, self.matched) = (u8::MAX, 0);
        } else {
            self.matched = u8::try_from(to).unwrap_or(u8::MAX);
        }
    }
}
