//! A head's lines: what is refused of them, and the fields that they are.

use super::error::ResponseHeadError;
use crate::cgi::field::{Field, is_token, split_field, take_line, without_end};

pub(super) fn is_status(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"Status")
}

/// A line's field, or `None` of the blank line.
pub(super) fn check_line(line: &[u8]) -> Result<Option<Field<'_>>, ResponseHeadError> {
    let line = without_end(line);
    if line.is_empty() {
        return Ok(None);
    }
    if line.starts_with(b"HTTP/") {
        return Err(ResponseHeadError::StatusLine);
    }
    if matches!(line, [b' ' | b'\t', ..]) {
        return Err(ResponseHeadError::Folded);
    }
    let (name, value) = split_field(line).ok_or(ResponseHeadError::NoColon)?;
    if let Some(&byte) = if name.is_empty() { Some(&b':') } else { name.iter().find(|byte| !is_token(byte)) }
    {
        return Err(ResponseHeadError::Name { byte });
    }
    match value.iter().find(|byte| matches!(byte, b'\r' | 0)) {
        Some(&byte) => Err(ResponseHeadError::Value { byte }),
        None => Ok(Some((name, value))),
    }
}

/// The fields of checked lines.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Lines<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        split_field(take_line(&mut self.0)?)
    }
}

/// Iterates over the fields `(name, value)` of a response head, all but `Status`.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResponseFields<'a>(pub(super) Lines<'a>);

impl<'a> Iterator for ResponseFields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.find(|(name, _)| !is_status(name))
    }
}
