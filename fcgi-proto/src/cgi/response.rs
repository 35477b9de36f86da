//! The response head as a web server reads it from STDOUT, cut anywhere, in the caller's memory; and an
//! Authorizer's decision (FastCGI 1.0, section 6.3).
//!
//! What is lenient: lines end with CRLF or LF, `Status` and its reason may be missing, a head may have no
//! field at all. What is not: whatever two readers could take for two things is refused, since the head goes
//! on into an HTTP response.

use core::fmt;

use nom::bytes::complete::take_till;
use nom::character::complete::char;
use nom::sequence::terminated;
use nom::{IResult, Parser};

use super::{Field, Status, is_token, parse_status, split_field};

/// A response head that cannot be taken: the HTTP client gets 502, the connection need not be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResponseHeadError {
    /// The response ended without one byte of output.
    Empty,
    /// The response ended before its head did: no blank line.
    Unfinished {
        /// Bytes that came.
        len: usize,
    },
    /// More head than there is room for.
    TooLong {
        /// The room, in bytes.
        limit: usize,
    },
    /// A line of HTTP, `HTTP/1.1 200 OK`: non-parsed heads are not for FastCGI (FastCGI 1.0, section 6.1).
    StatusLine,
    /// A `Status` that is not a code of 200 to 999, alone or with a space and a reason after it.
    Status,
    /// A second `Status` or `Location` (RFC 3875, section 6.3): which one holds is anybody's guess.
    Repeated,
    /// A line that begins with a space or a tab: it goes on with the one before, or is not quite blank.
    Folded,
    /// A line without a colon: not a field.
    NoColon,
    /// A field name that is empty or has a byte that is no token character (RFC 9110, section 5.6.2).
    Name {
        /// The byte, or the `:` that came too early.
        byte: u8,
    },
    /// A field value with NUL, or with a CR that ends no line.
    Value {
        /// The byte.
        byte: u8,
    },
    /// A `Content-Length` that is no number of 64 bits, or two that differ.
    ContentLength,
}

impl fmt::Display for ResponseHeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("response without any output"),
            Self::Unfinished { len } => write!(f, "response head: no blank line in {len} bytes"),
            Self::TooLong { limit } => write!(f, "response head: longer than {limit} bytes"),
            Self::StatusLine => f.write_str("response head: HTTP status line"),
            Self::Status => f.write_str("response head: no status of 200 to 999"),
            Self::Repeated => f.write_str("response head: second Status or Location"),
            Self::Folded => f.write_str("response head: line begins with a space or tab"),
            Self::NoColon => f.write_str("response head: line without a colon"),
            Self::Name { byte } => write!(f, "response head: field name with {:?}", char::from(byte)),
            Self::Value { byte } => write!(f, "response head: field value with {:?}", char::from(byte)),
            Self::ContentLength => f.write_str("response head: no one Content-Length"),
        }
    }
}

impl core::error::Error for ResponseHeadError {}

/// Where a `Location` field points to (RFC 3875, section 6.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Location<'a> {
    /// A path on this server, perhaps with a query: it begins with one `/`.
    Local(&'a [u8]),
    /// Anything else, for the HTTP client to go to: `https://host/path`, `//host/path`, `other.html`.
    Absolute(&'a [u8]),
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    Reading,
    Complete,
    Refused(ResponseHeadError),
}

/// A response head that arrives on STDOUT, in the caller's memory, `B`: an array, a slice, a box. It may be
/// as long as that, blank line included.
///
/// Feed it with [`push`](Self::push) until that gives the body, and ask it then.
///
/// ```
/// use fcgi_proto::cgi::ResponseHead;
///
/// let mut head = ResponseHead::new([0; 8192]);
/// assert_eq!(head.push(b"Content-Type: text/plain\r\nSta")?, None);      // cut anywhere
/// assert_eq!(head.push(b"tus: 404 Not Found\r\n\r\nnobody")?, Some(&b"nobody"[..]));
/// assert_eq!(head.status().code(), 404);
/// assert_eq!(head.get(b"content-type"), Some(&b"text/plain"[..]));
/// # Ok::<(), fcgi_proto::cgi::ResponseHeadError>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResponseHead<B> {
    buffer: B,
    /// Bytes of the head that came.
    len: usize,
    /// Bytes of them that are whole lines, and good.
    checked: usize,
    status: Option<Status>,
    located: bool,
    state: State,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> ResponseHead<B> {
    /// Nothing came yet.
    pub const fn new(buffer: B) -> Self {
        Self { buffer, len: 0, checked: 0, status: None, located: false, state: State::Reading }
    }

    /// Forgets everything, for the next response.
    pub fn clear(&mut self) {
        (self.len, self.checked, self.status, self.located) = (0, 0, None, false);
        self.state = State::Reading;
    }

    /// Takes the next bytes of STDOUT. Once the head is complete it returns what of `chunk` is body, all of
    /// it in later calls; before that `None`.
    ///
    /// # Errors
    /// [`ResponseHeadError`] for the first line that is wrong, wherever the chunks are cut, and again in
    /// every later call.
    pub fn push<'i>(&mut self, chunk: &'i [u8]) -> Result<Option<&'i [u8]>, ResponseHeadError> {
        let mut rest = chunk;
        while matches!(self.state, State::Reading) && !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'\n');
            let cut = end.map_or(rest.len(), |end| end + 1);
            let (line, after) = rest.split_at_checked(cut).unwrap_or((rest, &[]));
            rest = after;
            if let Err(error) = self.append(line, end.is_some()) {
                self.state = State::Refused(error);
            }
        }
        match self.state {
            State::Reading => Ok(None),
            State::Complete => Ok(Some(rest)),
            State::Refused(error) => Err(error),
        }
    }

    /// Whether there was a head, to be asked when the response ends.
    ///
    /// # Errors
    /// [`ResponseHeadError::Empty`], [`ResponseHeadError::Unfinished`], or the error of [`push`](Self::push).
    pub fn finish(&self) -> Result<(), ResponseHeadError> {
        match self.state {
            State::Complete => Ok(()),
            State::Reading if self.len == 0 => Err(ResponseHeadError::Empty),
            State::Reading => Err(ResponseHeadError::Unfinished { len: self.len }),
            State::Refused(error) => Err(error),
        }
    }

    /// Whether the blank line came.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    /// The status; without a `Status` 302 if there is a `Location`, 200 else (RFC 3875, 6.2.3 and 6.3.3).
    pub fn status(&self) -> Status {
        self.status.unwrap_or(if self.located { Status::FOUND } else { Status::OK })
    }

    /// The reason phrase as written, or [`Status::reason`] if there is none.
    pub fn reason(&self) -> &[u8] {
        let written = self.lines().find(|(name, _)| is_status(name));
        match written.and_then(|(_, value)| parse_status(value)) {
            Some((_, reason @ [_, ..])) => reason,
            _ => self.status().reason().as_bytes(),
        }
    }

    /// The fields `(name, value)` in their order, equal names each for itself (two `Set-Cookie`), values
    /// without the spaces around them. `Status` is not among them.
    ///
    /// Who passes them on leaves out those that are [hop by hop](super::is_hop_by_hop).
    pub fn fields(&self) -> ResponseFields<'_> {
        ResponseFields(self.lines())
    }

    /// The value of the first field of this name, in any case of letters; none for `Status`.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Where `Location` points to, if it is there.
    ///
    /// Web applications write a path and mean the HTTP client to go there; see
    /// [`local_redirect`](Self::local_redirect) for the other meaning.
    pub fn location(&self) -> Option<Location<'_>> {
        self.get(b"Location").map(|value| match value {
            [b'/', b'/', ..] => Location::Absolute(value),
            [b'/', ..] => Location::Local(value),
            _ => Location::Absolute(value),
        })
    }

    /// The path and query that are to be answered in place of this response, if it is a local redirect: it
    /// has a local `Location`, and no `Status` (RFC 3875, section 6.2.2).
    ///
    /// To follow it is a choice (many web servers send the 302 of [`status`](Self::status) instead). Who
    /// follows counts: an application can point at itself for ever.
    pub fn local_redirect(&self) -> Option<&[u8]> {
        match self.location() {
            Some(Location::Local(path)) if self.status.is_none() && !path.contains(&b'#') => Some(path),
            _ => None,
        }
    }

    /// What `Content-Length` says, if it is there. It may be said again, not otherwise.
    ///
    /// # Errors
    /// [`ResponseHeadError::ContentLength`]: no number of 64 bits, or two that differ. Where the body ends is
    /// then nobody's knowledge but the stream's; the field must not be passed on.
    pub fn content_length(&self) -> Result<Option<u64>, ResponseHeadError> {
        let mut length = None;
        for (_, value) in self.fields().filter(|(name, _)| name.eq_ignore_ascii_case(b"Content-Length")) {
            let number = decimal(value).ok_or(ResponseHeadError::ContentLength)?;
            if length.replace(number).is_some_and(|before| before != number) {
                return Err(ResponseHeadError::ContentLength);
            }
        }
        Ok(length)
    }

    /// Whether the HTTP response to a request of this method has a body: not to HEAD, not with 204 or 304.
    /// What comes on STDOUT nevertheless is to be read and dropped.
    pub fn has_body(&self, method: &[u8]) -> bool {
        self.status().has_body(Some(method))
    }

    /// What the head says as an Authorizer's (FastCGI 1.0, section 6.3).
    ///
    /// Ask after END_REQUEST: before that access is not to be given, nor anything passed on.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish): without a head there is no decision, and so no access.
    ///
    /// ```
    /// use fcgi_proto::cgi::{Decision, ResponseHead};
    ///
    /// let mut head = ResponseHead::new([0; 512]);
    /// head.push(b"Status: 200 OK\r\nVariable-AUTH_METHOD: database\r\nX-Other: a\r\n\r\n")?;
    /// let Decision::Allowed(mut variables) = head.decision()? else { panic!() };
    /// assert_eq!(variables.next(), Some((&b"AUTH_METHOD"[..], &b"database"[..])));
    /// assert_eq!(variables.next(), None);
    /// # Ok::<(), fcgi_proto::cgi::ResponseHeadError>(())
    /// ```
    pub fn decision(&self) -> Result<Decision<'_>, ResponseHeadError> {
        self.finish()?;
        Ok(match self.status() {
            Status::OK => Decision::Allowed(AuthorizerVariables(self.fields())),
            _ => Decision::Denied,
        })
    }

    fn append(&mut self, part: &[u8], ends_line: bool) -> Result<(), ResponseHeadError> {
        let buffer = self.buffer.as_mut();
        let too_long = ResponseHeadError::TooLong { limit: buffer.len() };
        let free = buffer.get_mut(self.len..).ok_or(too_long)?;
        let (to, _) = free.split_at_mut_checked(part.len()).ok_or(too_long)?;
        to.copy_from_slice(part);
        self.len += part.len();
        if ends_line {
            let line = self.buffer.as_ref().get(self.checked..self.len).unwrap_or(&[]);
            match check_line(line)? {
                None => self.state = State::Complete,
                Some((name, value)) if is_status(name) => {
                    let (status, _) = parse_status(value).ok_or(ResponseHeadError::Status)?;
                    if self.status.replace(status).is_some() {
                        return Err(ResponseHeadError::Repeated);
                    }
                }
                Some((name, _)) if name.eq_ignore_ascii_case(b"Location") => {
                    if self.located {
                        return Err(ResponseHeadError::Repeated);
                    }
                    self.located = true;
                }
                Some(_) => {}
            }
            self.checked = self.len;
        }
        Ok(())
    }

    fn lines(&self) -> Lines<'_> {
        Lines(self.buffer.as_ref().get(..self.checked).unwrap_or(&[]))
    }
}

fn is_status(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"Status")
}

/// A line's field, or `None` of the blank line.
fn check_line(line: &[u8]) -> Result<Option<Field<'_>>, ResponseHeadError> {
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

/// Digits, at least one, of a number of 64 bits.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// A line without its end, in a head whose lines all have one.
fn line(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let (rest, line) = terminated(take_till(|byte| byte == b'\n'), char('\n')).parse(input)?;
    Ok((rest, without_end(line)))
}

/// The fields of checked lines.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Lines<'a>(&'a [u8]);

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
pub struct ResponseFields<'a>(Lines<'a>);

impl<'a> Iterator for ResponseFields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.find(|(name, _)| !is_status(name))
    }
}

/// What an Authorizer decided.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Decision<'a> {
    /// 200: access is allowed, as far as this Authorizer goes. The variables are to be kept with the HTTP
    /// request and given to the requests made for it later ([`Variables::extra`](super::Variables::extra));
    /// other fields and the body are to be ignored.
    Allowed(AuthorizerVariables<'a>),
    /// Any other status: access is denied, and status, fields and body go to the HTTP client. A local
    /// `Location` is not to be followed.
    Denied,
}

/// Iterates over the variables `(NAME, value)` of an Authorizer's fields `Variable-NAME`; empty names are
/// left out.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AuthorizerVariables<'a>(ResponseFields<'a>);

impl<'a> Iterator for AuthorizerVariables<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        const PREFIX: &[u8] = b"Variable-";
        self.0.find_map(|(name, value)| {
            let (prefix, name) = name.split_at_checked(PREFIX.len())?;
            (prefix.eq_ignore_ascii_case(PREFIX) && !name.is_empty()).then_some((name, value))
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;
    use std::vec::Vec;
    use std::{format, vec};

    use ResponseHeadError as E;

    use super::*;

    type Reading = Result<(ResponseHead<Vec<u8>>, Vec<u8>), ResponseHeadError>;

    /// The head, and the body, of STDOUT in these chunks.
    fn read_in(chunks: &[&[u8]], limit: usize) -> Reading {
        let mut head = ResponseHead::new(vec![0; limit]);
        let mut body = Vec::new();
        for chunk in chunks {
            match head.push(chunk) {
                Ok(Some(rest)) => {
                    assert!(head.is_complete());
                    body.extend_from_slice(rest);
                }
                Ok(None) => assert!(!head.is_complete() && body.is_empty()),
                Err(error) => {
                    assert_eq!(head.push(b"\n\n"), Err(error), "sticky");
                    assert_eq!(head.finish(), Err(error));
                    return Err(error);
                }
            }
        }
        head.finish().map(|()| (head, body))
    }

    /// Everything that a reading says.
    fn summary(reading: &Reading) -> Result<String, ResponseHeadError> {
        let (head, body) = reading.as_ref().map_err(|error| *error)?;
        let text = |bytes: &[u8]| format!("{}", bytes.escape_ascii());
        let mut all = format!("{} {}", head.status().code(), text(head.reason()));
        for (name, value) in head.fields() {
            all += &format!("|{}={}", text(name), text(value));
        }
        Ok(all + "||" + &text(body))
    }

    /// Read whole, at every split point and byte by byte.
    fn read_within(stdout: &[u8], limit: usize) -> Reading {
        let whole = read_in(&[stdout], limit);
        let expected = summary(&whole);
        for cut in 0..=stdout.len() {
            let (before, after) = stdout.split_at(cut);
            assert_eq!(summary(&read_in(&[before, after], limit)), expected, "{stdout:?} at {cut}");
            assert_eq!(summary(&read_in(&[before, b"", after], limit)), expected);
        }
        let single: Vec<&[u8]> = stdout.chunks(1).collect();
        assert_eq!(summary(&read_in(&single, limit)), expected, "{stdout:?} byte by byte");
        whole
    }

    fn read(stdout: &[u8]) -> Reading {
        read_within(stdout, 512)
    }

    fn says(stdout: &str) -> String {
        summary(&read(stdout.as_bytes())).unwrap_or_else(|error| format!("{error:?}"))
    }

    #[test]
    fn a_head_is_read_in_any_cut_and_the_rest_is_body() {
        assert_eq!(
            says("Status: 404 Not Found\r\nContent-Type: text/plain\r\nX:\r\n\r\nbody\r\n\r\nmore"),
            "404 Not Found|Content-Type=text/plain|X=||body\\r\\n\\r\\nmore"
        );
        assert_eq!(says("Content-Type: a/b\n\n"), "200 OK|Content-Type=a/b||");
        assert_eq!(says("\r\nbody"), "200 OK||body");
        assert_eq!(says("\n"), "200 OK||");
    }

    #[test]
    fn lines_end_with_crlf_or_lf_also_mixed() {
        let expected = "200 OK|A=b|C=d||\\r\\n";
        for stdout in ["A: b\r\nC: d\r\n\r\n\r\n", "A: b\nC: d\n\n\r\n", "A: b\r\nC: d\n\r\n\r\n"] {
            assert_eq!(says(stdout), expected);
        }
        assert_eq!(says("A: b\nC: d\r\n\n\r\n"), expected);
    }

    #[test]
    fn the_status_is_given_with_or_without_a_reason_or_200_or_302() {
        assert_eq!(says("Status: 404 Nobody  here \n\n"), "404 Nobody  here||");
        assert_eq!(says("status:404\n\n"), "404 Not Found||");
        assert_eq!(says("STATUS: \t599 \n\n"), "599 Unassigned||");
        assert_eq!(says("X: y\nStatus: 201 Made\n\n"), "201 Made|X=y||");
        assert_eq!(says("Location: /a\n\n"), "302 Found|Location=/a||");
        assert_eq!(says("location: http://h/\nStatus: 301 M\n\n"), "301 M|location=http://h/||");
        assert_eq!(says("Status: 200 OK\nLocation: /a\n\n"), "200 OK|Location=/a||");
    }

    #[test]
    fn a_status_that_is_none_or_informational_or_said_twice_is_refused() {
        for wrong in ["", "OK", "20", "2000", "200OK", "+20 x", "-20", "099 x", "100 Continue", "103", "199"]
        {
            assert_eq!(read(format!("Status: {wrong}\n\n").as_bytes()).err(), Some(E::Status), "{wrong}");
        }
        assert_eq!(read(b"Status: 200 OK\nStatus: 200 OK\n\n").err(), Some(E::Repeated));
        assert_eq!(read(b"Location: /a\nX: y\nlocation: /b\n\n").err(), Some(E::Repeated));
    }

    #[test]
    fn s7_a_status_line_of_http_is_refused_by_its_name() {
        for stdout in ["HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.0 404 a: b\n\n", "A: b\nHTTP/2 200\n\n"] {
            assert_eq!(read(stdout.as_bytes()).err(), Some(E::StatusLine), "{stdout}");
        }
    }

    #[test]
    fn cve_2012_1180_nul_and_bare_cr_are_refused_and_a_bare_lf_ends_the_line() {
        assert_eq!(read(b"X: a\0b\r\n\r\n").err(), Some(E::Value { byte: 0 }));
        assert_eq!(read(b"X: \0\r\n\r\n").err(), Some(E::Value { byte: 0 }));
        assert_eq!(read(b"X\0Y: a\r\n\r\n").err(), Some(E::Name { byte: 0 }));
        assert_eq!(read(b"X: a\rSet-Cookie: b\r\n\r\n").err(), Some(E::Value { byte: b'\r' }));
        assert_eq!(read(b"X: a\r\r\n\r\n").err(), Some(E::Value { byte: b'\r' }));
        assert_eq!(read(b"X: \r \n\r\n").err(), Some(E::Value { byte: b'\r' }));
        assert_eq!(read(b"X\r: a\r\n\r\n").err(), Some(E::Name { byte: b'\r' }));
        assert_eq!(read(b"A: b\r\n\r\r\n").err(), Some(E::NoColon));
        assert_eq!(read(b"Status: 200 O\0K\n\n").err(), Some(E::Value { byte: 0 }));
        assert_eq!(says("X: a\nSet-Cookie: b\r\n\r\n"), "200 OK|X=a|Set-Cookie=b||");
    }

    #[test]
    fn lines_that_are_no_fields_are_refused_with_the_byte() {
        assert_eq!(read(b": a\n\n").err(), Some(E::Name { byte: b':' }));
        assert_eq!(read(b"a b: c\n\n").err(), Some(E::Name { byte: b' ' }));
        assert_eq!(read(b"Name : c\n\n").err(), Some(E::Name { byte: b' ' }));
        assert_eq!(read(b"\xef\xbb\xbfName: c\n\n").err(), Some(E::Name { byte: 0xef }));
        assert_eq!(read(b"{\"json\": 1}\n\n").err(), Some(E::Name { byte: b'{' }));
        assert_eq!(read(b"Hello\n\n").err(), Some(E::NoColon));
        assert_eq!(read(b"A: b\n folded\n\n").err(), Some(E::Folded));
        assert_eq!(read(b"\tA: b\n\n").err(), Some(E::Folded));
        assert_eq!(read(b"A: b\n \n\n").err(), Some(E::Folded));
    }

    #[test]
    fn equal_names_are_all_kept_in_order_and_values_are_trimmed() {
        assert_eq!(
            says("Set-Cookie: a=1\r\nX: \t y z\t \r\nset-cookie: b=2; c: d\r\n\r\n"),
            "200 OK|Set-Cookie=a=1|X=y z|set-cookie=b=2; c: d||"
        );
        let (head, _) = read(b"Set-Cookie: a\nset-cookie: b\nStatus: 200 OK\n\n").unwrap();
        assert_eq!(head.get(b"SET-COOKIE"), Some(&b"a"[..]));
        assert_eq!((head.get(b"Status"), head.get(b"X")), (None, None));
    }

    #[test]
    fn cve_2014_3583_heads_of_8191_8192_8193_and_65536_bytes_and_one_that_never_ends() {
        for (size, fits) in [(8191, true), (8192, true), (8193, false), (65_536, false)] {
            let mut stdout = vec![b'a'; size - 7];
            stdout.splice(..0, *b"X: ");
            stdout.extend_from_slice(b"\r\n\r\n");
            assert_eq!(stdout.len(), size);
            stdout.extend_from_slice(b"body");
            for most in [1, 2, 7, 4096, 8191, 8192, 8193, 100_000] {
                let chunks: Vec<&[u8]> = stdout.chunks(most).collect();
                match read_in(&chunks, 8192) {
                    Ok((head, body)) => {
                        assert!(fits && body == b"body");
                        assert_eq!(head.get(b"x").map(<[u8]>::len), Some(size - 7));
                    }
                    Err(error) => assert!(!fits && error == E::TooLong { limit: 8192 }),
                }
            }
        }
        for line in [&b"a"[..], b"X: y\r\n", b"\r", b"\0"] {
            let mut head = ResponseHead::new([0; 8192]);
            let endless = (0..10_000).find_map(|_| head.push(line).err());
            assert_eq!(endless, Some(E::TooLong { limit: 8192 }), "{line:?}");
        }
    }

    #[test]
    fn a_head_as_long_as_the_room_is_taken_and_one_byte_more_is_not() {
        let stdout = b"A: b\r\nCc: d\n\r\nbody";
        assert_eq!(summary(&read_within(stdout, 14)), Ok("200 OK|A=b|Cc=d||body".into()));
        for limit in 0..14 {
            assert_eq!(read_within(stdout, limit).err(), Some(E::TooLong { limit }));
        }
    }

    #[test]
    fn mod_fcgid_2_3_6_a_response_without_any_output_is_an_error_of_its_own() {
        assert_eq!(read(b"").err(), Some(E::Empty));
        assert_eq!(ResponseHead::new([0; 16]).finish(), Err(E::Empty));
    }

    #[test]
    fn a_response_that_ends_inside_its_head_is_unfinished() {
        let whole = b"Status: 200 OK\r\nA: b\r\n\r\n";
        for len in 1..whole.len() {
            assert_eq!(read(&whole[..len]).err(), Some(E::Unfinished { len }));
        }
    }

    #[test]
    fn a_location_is_local_with_one_slash_and_absolute_else() {
        let cases = [
            ("/a?b", Some(Location::Local(&b"/a?b"[..]))),
            ("/", Some(Location::Local(b"/"))),
            ("//evil.example/a", Some(Location::Absolute(b"//evil.example/a"))),
            ("http://h/a", Some(Location::Absolute(b"http://h/a"))),
            ("other.html", Some(Location::Absolute(b"other.html"))),
            ("", Some(Location::Absolute(b""))),
        ];
        for (value, expected) in cases {
            let (head, _) = read(format!("LOCATION: {value}\n\n").as_bytes()).unwrap();
            assert_eq!(head.location(), expected, "{value}");
        }
        assert_eq!(read(b"X: /a\n\n").unwrap().0.location(), None);
    }

    #[test]
    fn a_local_redirect_has_no_status_and_no_fragment() {
        let redirect = |stdout: &[u8]| read(stdout).unwrap().0.local_redirect().map(<[u8]>::to_vec);
        assert_eq!(redirect(b"Location: /a?b\n\n"), Some(b"/a?b".to_vec()));
        assert_eq!(redirect(b"Status: 302 Found\nLocation: /a?b\n\n"), None);
        assert_eq!(redirect(b"Location: /a#b\n\n"), None);
        assert_eq!(redirect(b"Location: //h/a\n\n"), None);
        assert_eq!(redirect(b"X: /a\n\n"), None);
    }

    #[test]
    fn w23_haproxy_2022_04_07_head_204_and_304_have_no_body() {
        let has = |status: &str, method: &[u8]| {
            let (head, _) = read(format!("Status: {status}\nContent-Length: 5\n\n").as_bytes()).unwrap();
            head.has_body(method)
        };
        assert!(has("200", b"GET") && has("404", b"POST") && has("200", b"head"));
        assert!(!has("200", b"HEAD") && !has("204", b"GET") && !has("304", b"GET"));
    }

    #[test]
    fn a_content_length_is_one_number_of_64_bits() {
        let length = |fields: &str| read(format!("X: y\n{fields}\n").as_bytes()).unwrap().0.content_length();
        assert_eq!(length(""), Ok(None));
        assert_eq!(length("content-length: 0\n"), Ok(Some(0)));
        assert_eq!(length("Content-Length: 18446744073709551615\n"), Ok(Some(u64::MAX)));
        assert_eq!(length("Content-Length: 5\nX: z\nCONTENT-LENGTH: 05\n"), Ok(Some(5)));
        for wrong in
            ["", "-1", "+5", "5 5", "5, 5", "0x5", "5a", "18446744073709551616", "99999999999999999999"]
        {
            assert_eq!(length(&format!("Content-Length: {wrong}\n")), Err(E::ContentLength), "{wrong}");
        }
        assert_eq!(length("Content-Length: 5\nContent-Length: 6\n"), Err(E::ContentLength));
        assert_eq!(length("Content-Length: 5\nContent-Length: x\n"), Err(E::ContentLength));
    }

    #[test]
    fn cve_2020_24553_no_content_type_is_guessed() {
        assert_eq!(read(b"Status: 200 OK\n\n<html>").unwrap().0.get(b"Content-Type"), None);
    }

    #[test]
    fn cve_2011_2766_nothing_of_one_response_is_seen_in_the_next() {
        let mut head = ResponseHead::new([0; 128]);
        head.push(b"Status: 404 No\nLocation: /a\nX: y\n\n").unwrap();
        head.clear();
        assert_eq!(head.finish(), Err(E::Empty));
        assert_eq!((head.status(), head.location(), head.fields().count()), (Status::OK, None, 0));
        assert_eq!(head.push(b"Hello\n"), Err(E::NoColon));
        head.clear();
        assert_eq!(head.push(b"A: b\n\nbody"), Ok(Some(&b"body"[..])));
        assert_eq!((head.reason(), head.fields().count()), (&b"OK"[..], 1));
    }

    #[test]
    fn fields_of_one_connection_are_hop_by_hop_and_others_are_not() {
        for name in ["connection", "Transfer-Encoding", "KEEP-ALIVE", "Upgrade", "TE", "Proxy-Connection"] {
            assert!(crate::cgi::is_hop_by_hop(name.as_bytes()), "{name}");
        }
        for name in ["Content-Length", "Proxy-Status", "Proxy", "X-Upgrade", "", "Status"] {
            assert!(!crate::cgi::is_hop_by_hop(name.as_bytes()), "{name}");
        }
    }

    /// The variables of an Authorizer that allows; `None` if it denies.
    fn allowed(stdout: &str) -> Option<String> {
        let (head, _) = read(stdout.as_bytes()).unwrap();
        match head.decision().unwrap() {
            Decision::Denied => None,
            Decision::Allowed(variables) => Some(
                variables
                    .map(|(name, value)| format!("{}={};", name.escape_ascii(), value.escape_ascii()))
                    .collect(),
            ),
        }
    }

    #[test]
    fn u3_an_authorizer_allows_with_200_alone() {
        assert_eq!(allowed("Status: 200 OK\n\n").as_deref(), Some(""));
        assert_eq!(allowed("Content-Type: text/html\n\n").as_deref(), Some(""));
        for status in ["201", "204", "206", "302", "401", "403", "500", "999"] {
            assert_eq!(allowed(&format!("Status: {status}\n\n")), None, "{status}");
        }
    }

    #[test]
    fn u4_variable_fields_of_a_200_answer_give_names_and_values() {
        let stdout =
            "Status: 200 OK\nVariable-AUTH_METHOD: database lookup\nvariable-user:\nVARIABLE-X-Y: z\n\n";
        assert_eq!(allowed(stdout).as_deref(), Some("AUTH_METHOD=database lookup;user=;X-Y=z;"));
    }

    #[test]
    fn u5_other_fields_and_the_body_of_a_200_answer_are_ignored() {
        let stdout =
            "Status: 200\nVariable-: a\nVariable: b\nX-Variable-A: c\nLocation: /d\n\nVariable-B: e\n\n";
        assert_eq!(allowed(stdout).as_deref(), Some(""));
    }

    #[test]
    fn u6_any_other_status_denies_and_keeps_the_response_for_the_http_client() {
        let (head, body) =
            read(b"Status: 401 Who?\nWWW-Authenticate: Basic\nVariable-A: b\n\nGo away").unwrap();
        assert!(matches!(head.decision(), Ok(Decision::Denied)));
        assert_eq!((head.status(), head.reason()), (Status::UNAUTHORIZED, &b"Who?"[..]));
        assert_eq!((head.fields().count(), body.as_slice()), (2, &b"Go away"[..]));
    }

    #[test]
    fn mod_fcgid_2_3_8_an_authorizer_with_a_location_denies() {
        assert_eq!(allowed("Location: /login\n\n"), None);
        assert_eq!(allowed("Location: https://h/login\n\n"), None);
    }

    #[test]
    fn lighttpd_3106_a_decision_is_not_there_before_the_head_is_whole() {
        let mut head = ResponseHead::new([0; 128]);
        assert_eq!(head.decision().err(), Some(E::Empty));
        head.push(b"Status: 200 OK\r\nVariable-A: b\r\n").unwrap();
        assert_eq!(head.decision().err(), Some(E::Unfinished { len: 31 }));
        assert!(head.push(b"Hello\r\n\r\n").is_err());
        assert_eq!(head.decision().err(), Some(E::NoColon));
    }
}
