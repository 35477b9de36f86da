//! The response head as a server writes it: field by field, or made of what an application wrote itself.
//!
//! Either way what real web servers need holds: `Status` is there and first, no field carries CR, LF or NUL,
//! a body has a type, and the whole is in one piece, for one record. Only a `Location` comes before a
//! `Status` other than 302: HAProxy 2.6 takes the later of the two, and makes 302 of a Location.

use core::fmt;

use super::field::{Field, Quoted, is_same_name, is_token, split_field, take_line, trim};
use super::status::{Status, parse_status};
use crate::bytes::{append, move_to_front};
use crate::digits;

/// Bytes of head that every web server takes; six of them fail at 16 KiB.
pub const HEAD_LIMIT: usize = 8 * 1024;

/// A response head that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HeadError {
    /// A status that is not a code of 200 to 999, or a second one.
    Status,
    /// A field name that is empty or has a byte that is no token character (RFC 9110, section 5.6.2).
    Name {
        /// The byte, or the `:` that came too early.
        byte: u8,
    },
    /// A field value with CR, LF or NUL.
    Value {
        /// The byte.
        byte: u8,
    },
    /// A line without a colon: not a field. Heads that begin with an HTTP status line are not CGI
    /// (FastCGI 1.0, section 6.1).
    NoColon,
    /// More head than there is room for.
    TooLong {
        /// The room, in bytes; [`HEAD_LIMIT`] unless the application chose another.
        limit: usize,
    },
    /// A second `Location` (RFC 3875, section 6.3.2): which one holds is anybody's guess.
    Repeated,
    /// A `Content-Length` that is no number of 64 bits, or two that differ.
    ContentLength,
    /// The head is already under way, or the body.
    Begun,
    /// The response ended before its head did, or the head was never started: no status, or no blank line.
    Unfinished,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Status => f.write_str("response head: not one status of 200 to 999"),
            Self::Name { byte } => {
                write!(f, "response head: field name with {}", Quoted(byte))
            }
            Self::Value { byte } => {
                write!(f, "response head: field value with {}", Quoted(byte))
            }
            Self::NoColon => f.write_str("response head: line without a colon"),
            Self::TooLong { limit } => write!(f, "response head: longer than {limit} bytes"),
            Self::Repeated => f.write_str("response head: second Location"),
            Self::ContentLength => f.write_str("response head: no one Content-Length"),
            Self::Begun => f.write_str("response head: already begun"),
            Self::Unfinished => f.write_str("response head: not there, or without a blank line"),
        }
    }
}

impl core::error::Error for HeadError {}

/// How far a head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Stage {
    NotStarted,
    Fields,
    Whole,
}

/// A field's name, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ContentType,
    ContentLength,
    Location,
    Other,
}

impl Kind {
    /// What a name says. In line, so that one that is known when a program is built is looked at then.
    #[inline]
    fn of(name: &[u8]) -> Result<Self, HeadError> {
        if name.eq_ignore_ascii_case(b"Status") {
            return Err(HeadError::Status);
        }
        if let Some(&byte) =
            if name.is_empty() { Some(&b':') } else { name.iter().find(|byte| !is_token(byte)) }
        {
            return Err(HeadError::Name { byte });
        }
        Ok(if is_same_name(name, b"Content-Type") {
            Self::ContentType
        } else if is_same_name(name, b"Content-Length") {
            Self::ContentLength
        } else if is_same_name(name, b"Location") {
            Self::Location
        } else {
            Self::Other
        })
    }
}

/// A response head in the caller's memory, `B`: an array, a slice, a box.
///
/// ```
/// use fcgi_proto::cgi::{Head, Status};
///
/// let mut head = Head::new([0; 256]);
/// head.start(Status::NOT_FOUND)?;
/// head.field(b"Content-Type", b"text/plain")?;
/// assert!(head.field(b"X-Name", b"a\r\nSet-Cookie: b").is_err());
/// assert_eq!(head.finish()?, b"Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\n");
/// # Ok::<(), fcgi_proto::cgi::HeadError>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Head<B> {
    buffer: B,
    len: usize,
    stage: Stage,
    status: Status,
    typed: bool,
    located: bool,
    content_length: Option<u64>,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Head<B> {
    /// An empty head, as long as `buffer` at most.
    pub const fn new(buffer: B) -> Self {
        let (stage, status) = (Stage::NotStarted, Status::OK);
        Self { buffer, len: 0, stage, status, typed: false, located: false, content_length: None }
    }

    /// Forgets everything, for the next response.
    pub(super) fn clear(&mut self) {
        (self.len, self.stage, self.status) = (0, Stage::NotStarted, Status::OK);
        (self.typed, self.located, self.content_length) = (false, false, None);
    }

    /// Starts over with the status line.
    ///
    /// # Errors
    /// [`HeadError::TooLong`].
    #[inline]
    pub fn start(&mut self, status: Status) -> Result<(), HeadError> {
        self.start_with(status, status.reason().as_bytes())
    }

    /// Adds a field. Equal names may be added again, but for what a [`ResponseHead`](super::ResponseHead) would
    /// refuse: a second `Location`, a second `Content-Length` that says something else.
    ///
    /// # Errors
    /// [`HeadError`], with the head as it was: [`HeadError::Unfinished`] before [`start`](Self::start),
    /// [`HeadError::Begun`] after [`finish`](Self::finish), [`HeadError::Status`] for the name `Status`,
    /// [`HeadError::Name`], [`HeadError::Value`], [`HeadError::Repeated`], [`HeadError::ContentLength`],
    /// [`HeadError::TooLong`].
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        self.add(Kind::of(name), name, value)
    }

    fn add(&mut self, kind: Result<Kind, HeadError>, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        match self.stage {
            Stage::NotStarted => return Err(HeadError::Unfinished),
            Stage::Fields => {}
            Stage::Whole => return Err(HeadError::Begun),
        }
        let kind = kind?;
        let location = kind == Kind::Location;
        if location && self.located {
            return Err(HeadError::Repeated);
        }
        let mut content_length = self.content_length;
        if kind == Kind::ContentLength {
            let length = digits::parse(trim(value)).ok_or(HeadError::ContentLength)?;
            if content_length.replace(length).is_some_and(|before| before != length) {
                return Err(HeadError::ContentLength);
            }
        }
        let before = self.len;
        self.push(&[name, b": ", check_value(value)?, b"\r\n"])?;
        if location && self.status != Status::FOUND {
            move_to_front(self.buffer.as_mut().get_mut(..self.len).unwrap_or_default(), before);
        }
        self.content_length = content_length;
        self.located |= location;
        self.typed |= kind == Kind::ContentType;
        Ok(())
    }

    /// Makes the head of what an application wrote: lines of `name: value` that end with LF or CRLF, up to
    /// the blank line that [`HeadEnd`] found.
    ///
    /// Without a `Status` it is 302 with a `Location` and 200 else (RFC 3875, sections 6.2 and 6.3.3).
    ///
    /// # Errors
    /// [`HeadError`], [`HeadError::Unfinished`] if there is no blank line; the head is then to be started anew.
    pub fn adopt(&mut self, written: &[u8]) -> Result<(), HeadError> {
        let mut status = None;
        let mut located = false;
        for field in Fields(written) {
            let (name, value) = field?;
            if name.eq_ignore_ascii_case(b"Status")
                && status.replace(parse_status(value).ok_or(HeadError::Status)?).is_some()
            {
                return Err(HeadError::Status);
            }
            located |= name.eq_ignore_ascii_case(b"Location");
        }
        match status {
            Some((status, b"")) => self.start(status)?,
            Some((status, reason)) => self.start_with(status, check_value(reason)?)?,
            None => self.start(if located { Status::FOUND } else { Status::OK })?,
        }
        for field in Fields(written) {
            let (name, value) = field?;
            if !name.eq_ignore_ascii_case(b"Status") {
                self.field(name, value)?;
            }
        }
        Ok(())
    }

    /// Ends the head and returns all of it, to be sent in one record before anything else.
    ///
    /// A response that may have a body and says neither `Content-Type` nor `Location` gets the type
    /// `application/octet-stream`: some web servers drop a body without, and a guess of HTML is a hole.
    ///
    /// # Errors
    /// [`HeadError::Unfinished`] if it was not started, [`HeadError::TooLong`].
    #[inline]
    pub fn finish(&mut self) -> Result<&[u8], HeadError> {
        match self.stage {
            Stage::NotStarted => return Err(HeadError::Unfinished),
            Stage::Fields => {
                let described = self.typed || self.located || !self.status.has_body(None);
                let missing: &[u8] =
                    if described { b"" } else { b"Content-Type: application/octet-stream\r\n" };
                self.push(&[missing, b"\r\n"])?;
                self.stage = Stage::Whole;
            }
            Stage::Whole => {}
        }
        Ok(self.bytes())
    }

    /// The status that the head was started with.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The value of the field `Content-Length`, if there is one.
    #[cfg(feature = "alloc")]
    pub(super) fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// What was written so far.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.as_ref().get(..self.len).unwrap_or(&[])
    }

    #[inline]
    fn start_with(&mut self, status: Status, reason: &[u8]) -> Result<(), HeadError> {
        self.clear();
        let digit = |unit| b'0' + (status.0 / unit % 10) as u8;
        self.push(&[b"Status: ", &[digit(100), digit(10), digit(1)], b" ", reason, b"\r\n"])?;
        (self.stage, self.status) = (Stage::Fields, status);
        Ok(())
    }

    /// Appends all parts or none.
    #[inline]
    fn push(&mut self, parts: &[&[u8]]) -> Result<(), HeadError> {
        let buffer = self.buffer.as_mut();
        let too_long = HeadError::TooLong { limit: buffer.len() };
        let mut len = self.len;
        for part in parts {
            if !append(buffer, &mut len, part) {
                return Err(too_long);
            }
        }
        self.len = len;
        Ok(())
    }
}

fn check_value(value: &[u8]) -> Result<&[u8], HeadError> {
    // One comparison for most bytes.
    match value.iter().find(|byte| **byte <= b'\r' && matches!(byte, b'\r' | b'\n' | 0)) {
        Some(&byte) => Err(HeadError::Value { byte }),
        None => Ok(value),
    }
}

/// Iterates over the fields `(name, value)` of a head up to its blank line, without the spaces and tabs around values.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, HeadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match take_line(&mut self.0) {
            None => Some(Err(HeadError::Unfinished)),
            Some(b"") => None,
            Some(line) => Some(split_field(line).ok_or(HeadError::NoColon)),
        }
    }
}

/// Finds the blank line that ends a head, in any chunks.
///
/// ```
/// let mut end = fcgi_proto::cgi::HeadEnd::default();
/// assert_eq!(end.find(b"Content-Type: text/plain\r\n\r"), None);
/// assert_eq!(end.find(b"\nbody"), Some(1));
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HeadEnd {
    /// No byte but CR came since the last LF.
    line_is_empty: bool,
}

impl Default for HeadEnd {
    fn default() -> Self {
        Self { line_is_empty: true }
    }
}

impl HeadEnd {
    /// Bytes of `chunk` up to the end of the blank line, if that lies in this chunk.
    pub fn find(&mut self, chunk: &[u8]) -> Option<usize> {
        for (i, byte) in chunk.iter().enumerate() {
            match byte {
                b'\n' if self.line_is_empty => return Some(i + 1),
                b'\n' => self.line_is_empty = true,
                b'\r' => {}
                _ => self.line_is_empty = false,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    fn adopt(written: &[u8]) -> Result<Vec<u8>, HeadError> {
        let mut head = Head::new([0; 512]);
        head.adopt(written)?;
        head.finish().map(<[u8]>::to_vec)
    }

    #[test]
    fn w22_status_is_written_and_first() -> Result<(), HeadError> {
        let head = adopt(b"Content-Type: text/plain\nStatus: 404 Nobody here\nX: y\n\n")?;
        assert_eq!(head.as_slice(), b"Status: 404 Nobody here\r\nContent-Type: text/plain\r\nX: y\r\n\r\n");
        let head = adopt(b"Content-Type: text/plain\r\n\r\n")?;
        assert_eq!(head.as_slice(), b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n");
        let head = adopt(b"Location: /elsewhere\r\n\r\n")?;
        assert_eq!(head.as_slice(), b"Status: 302 Found\r\nLocation: /elsewhere\r\n\r\n");
        let head = adopt(b"Status: 200\r\nContent-Type: a/b\r\n\r\n")?;
        assert_eq!(head.as_slice(), b"Status: 200 OK\r\nContent-Type: a/b\r\n\r\n");
        Ok(())
    }

    #[test]
    fn only_spaces_and_tabs_are_taken_off_a_value() -> Result<(), HeadError> {
        let head = adopt(b"Content-Type: \t a/b\x0c \n\n")?;
        assert_eq!(head.as_slice(), b"Status: 200 OK\r\nContent-Type: a/b\x0c\r\n\r\n");
        Ok(())
    }

    #[test]
    fn a_location_comes_before_a_status_other_than_302() -> Result<(), HeadError> {
        let head = adopt(b"Status: 301 Moved\nContent-Type: a/b\nLocation: /x\n\n")?;
        assert_eq!(head.as_slice(), b"Location: /x\r\nStatus: 301 Moved\r\nContent-Type: a/b\r\n\r\n");
        let head = adopt(b"Status: 302 Found\nLocation: /x\n\n")?;
        assert_eq!(head.as_slice(), b"Status: 302 Found\r\nLocation: /x\r\n\r\n");
        Ok(())
    }

    #[test]
    fn w24_a_response_without_a_type_gets_one_that_is_not_html() -> Result<(), HeadError> {
        let typed = b"Status: 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n";
        assert_eq!(adopt(b"Status: 200 OK\n\n")?.as_slice(), typed);
        assert_eq!(adopt(b"\n")?.as_slice(), typed);
        assert_eq!(adopt(b"Status: 304 Not Modified\n\n")?.as_slice(), b"Status: 304 Not Modified\r\n\r\n");
        Ok(())
    }

    #[test]
    fn w25_a_head_beyond_its_room_is_refused_and_nothing_half_written() -> Result<(), HeadError> {
        let mut head = Head::new([0; 64]);
        head.start(Status::OK)?;
        head.field(b"X", &[b'a'; 30])?;
        let before = head.bytes().len();
        assert_eq!(head.field(b"Y", &[b'b'; 30]), Err(HeadError::TooLong { limit: 64 }));
        assert_eq!(head.bytes().len(), before);
        assert_eq!(HEAD_LIMIT, 8192);
        Ok(())
    }

    #[test]
    fn w26_informational_statuses_are_not_sent() {
        assert_eq!(Status::new(103), None);
        assert!(matches!(adopt(b"Status: 103 Early Hints\nLink: x\n\n"), Err(HeadError::Status)));
    }

    #[test]
    fn w23_head_204_and_304_have_no_body() {
        assert!(Status::OK.has_body(Some(b"GET")));
        assert!(Status::OK.has_body(None));
        assert!(!Status::OK.has_body(Some(b"HEAD")));
        assert!(!Status::NO_CONTENT.has_body(Some(b"GET")));
        assert!(!Status::NOT_MODIFIED.has_body(Some(b"POST")));
    }

    #[test]
    fn a_head_that_was_not_started_takes_no_field_and_has_no_end() {
        let mut head = Head::new([0; 64]);
        assert_eq!(head.field(b"A", b"b"), Err(HeadError::Unfinished));
        assert_eq!(head.finish(), Err(HeadError::Unfinished));
        assert_eq!(head.bytes(), b"");
        let mut small = Head::new([0; 8]);
        assert_eq!(small.start(Status::OK), Err(HeadError::TooLong { limit: 8 }));
        assert_eq!(small.finish(), Err(HeadError::Unfinished));
    }

    #[test]
    fn after_its_end_a_head_takes_no_field_and_stays_as_it_is() -> Result<(), HeadError> {
        let mut head = Head::new([0; 128]);
        head.start(Status::OK)?;
        let whole = head.finish()?.to_vec();
        assert_eq!(head.field(b"Set-Cookie", b"a"), Err(HeadError::Begun));
        assert_eq!(head.finish(), Ok(&whole[..]));
        head.start(Status::NOT_FOUND)?;
        assert_eq!(head.field(b"Set-Cookie", b"a"), Ok(()));
        Ok(())
    }

    #[test]
    fn a_written_head_without_its_blank_line_is_refused() {
        for written in [&b""[..], b"A: b", b"A: b\r\nC: d", b"A: b\n", b"A: b\r\n\r"] {
            assert_eq!(adopt(written).err(), Some(HeadError::Unfinished), "{written:?}");
        }
    }

    #[test]
    fn what_is_said_twice_in_two_ways_is_refused_and_the_head_as_it_was() -> Result<(), HeadError> {
        let mut head = Head::new([0; 512]);
        head.start(Status::MOVED_PERMANENTLY)?;
        head.field(b"Location", b"/a")?;
        head.field(b"Content-Length", b" 5\t")?;
        head.field(b"content-length", b"05")?;
        let before = head.bytes().to_vec();
        assert_eq!(head.field(b"LOCATION", b"/a"), Err(HeadError::Repeated));
        for other in [&b"6"[..], b"", b"-5", b"+5", b"5 5", b"5, 5", b"0x5", b"18446744073709551616"] {
            assert_eq!(head.field(b"Content-Length", other), Err(HeadError::ContentLength));
        }
        assert_eq!(head.bytes(), before);
        assert_eq!(adopt(b"Location: /a\nlocation: /b\n\n").err(), Some(HeadError::Repeated));
        assert_eq!(adopt(b"Content-Length: x\n\n").err(), Some(HeadError::ContentLength));
        assert_eq!(adopt(b"Content-Length: 1\nContent-Length: 2\n\n").err(), Some(HeadError::ContentLength));
        head.start(Status::OK)?;
        assert_eq!((head.field(b"Location", b"/b"), head.field(b"Content-Length", b"6")), (Ok(()), Ok(())));
        Ok(())
    }

    #[test]
    fn fields_refuse_cr_lf_and_nul_and_names_that_are_no_tokens() -> Result<(), HeadError> {
        let mut head = Head::new([0; 512]);
        head.start(Status::OK)?;
        for byte in [b'\r', b'\n', 0] {
            assert_eq!(head.field(b"X", &[b'a', byte, b'b']), Err(HeadError::Value { byte }));
            assert_eq!(head.field(&[b'a', byte], b"v"), Err(HeadError::Name { byte }));
        }
        assert_eq!(head.field(b"", b"v"), Err(HeadError::Name { byte: b':' }));
        assert_eq!(head.field(b"a b", b"v"), Err(HeadError::Name { byte: b' ' }));
        assert_eq!(head.field(b"status", b"200"), Err(HeadError::Status));
        assert_eq!(head.bytes(), b"Status: 200 OK\r\n");
        Ok(())
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let refused = |written: &[u8]| adopt(written).err();
        assert_eq!(refused(b"HTTP/1.1 200 OK\r\n\r\n"), Some(HeadError::NoColon));
        assert_eq!(refused(b"Status: 2000\n\n"), Some(HeadError::Status));
        assert_eq!(refused(b"Status: OK\n\n"), Some(HeadError::Status));
        assert_eq!(refused(b"Status: 200 OK\nStatus: 404 No\n\n"), Some(HeadError::Status));
        assert_eq!(refused(b"Status: 200 OK\nX: a\rb\n\n"), Some(HeadError::Value { byte: b'\r' }));
        assert_eq!(refused(b"X: a\r\r\n\n"), Some(HeadError::Value { byte: b'\r' }));
        assert_eq!(refused(b"X: a\0b\n\n"), Some(HeadError::Value { byte: 0 }));
        assert_eq!(refused(b" folded: a\n\n"), Some(HeadError::Name { byte: b' ' }));
    }

    #[test]
    fn the_end_of_a_head_is_found_in_any_cut() {
        for head in [&b"A: b\r\nC: d\r\n\r\n"[..], b"A: b\n\n", b"\n", b"A: b\n\r\n", b"\r\n"] {
            for cut in 0..head.len() {
                let (before, after) = head.split_at(cut);
                let mut end = HeadEnd::default();
                assert_eq!(end.find(before), None, "{head:?} at {cut}");
                assert_eq!(end.find(&[after, b"body\n\n"].concat()), Some(after.len()));
            }
        }
    }
}
