//! A head's lines: what is refused of them, and the fields that they are.

use nom::bytes::complete::take_till;
use nom::character::complete::char;
use nom::sequence::terminated;
use nom::{IResult, Parser};

use super::error::ResponseHeadError;
use crate::cgi::field::{Field, is_token, split_field};

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

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A line without its end, in a head whose lines all have one.
fn line(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let (rest, line) = terminated(take_till(|byte| byte == b'\n'), char('\n')).parse(input)?;
    Ok((rest, without_end(line)))
}

/// The fields of checked lines.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Lines<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (rest, line) = line(self.0).ok()?;
        self.0 = rest;
        split_field(line)
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
