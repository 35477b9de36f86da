//! A response head that arrives on STDOUT, cut anywhere.

use super::error::ResponseHeadError;
use super::fields::{Lines, ResponseFields, check_line, is_status};
use crate::bytes::append;
use crate::cgi::status::{Status, parse_status};
use crate::digits;

/// Where a `Location` field points to (RFC 3875, section 6.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
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
    /// Who passes them on leaves out those that are [hop by hop](crate::cgi::is_hop_by_hop).
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
            let number = digits::parse(value).ok_or(ResponseHeadError::ContentLength)?;
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

    fn append(&mut self, part: &[u8], ends_line: bool) -> Result<(), ResponseHeadError> {
        let buffer = self.buffer.as_mut();
        let too_long = ResponseHeadError::TooLong { limit: buffer.len() };
        if !append(buffer, &mut self.len, part) {
            return Err(too_long);
        }
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
