//! The parameters that are asked for, and no others.

use super::{CapacityError, Decoder, Pairs, Part, TruncatedPair, encode_length};
use crate::bytes::Bytes;

/// One request's parameters of the given names, in `N` bytes; all others pass by, however long.
///
/// A pair takes the bytes of its name and value, and a byte for the length of each, or four from 128 bytes on. What web
/// servers send is more, and much of it is the browser's; bytes of PARAMS behind nginx:
///
/// | | bytes |
/// |---|---:|
/// | nginx's `fastcgi_params` for a short path | 412 |
/// | the same, asked by curl | 456 |
/// | the same, asked by Chrome without a cookie | 1119 |
/// | cookies, at most (`large_client_header_buffers`) | 8192 |
/// | REQUEST_METHOD, REQUEST_URI and CONTENT_LENGTH alone | 64 |
///
/// So [`Params`](super::Params) of 2048 bytes keep all of a browser's first visit but not of a later one, and 512 bytes
/// are enough for the parameters that an application reads. A web server can also be told to send fewer: nginx by
/// `fastcgi_pass_request_headers off` and by naming each `fastcgi_param` instead of including `fastcgi_params`.
///
/// ```
/// let mut params = fcgi_proto::pair::Selected::<64>::new(&[b"REQUEST_METHOD", b"REQUEST_URI"]);
/// params.push(b"\x0b\x01REQUEST_URI/\x0b\x80\x00\x20\x00HTTP_COOKIE")?;   // cut anywhere
/// params.push(&[b'x'; 8192])?;
/// params.finish()?;
/// assert_eq!(params.get(b"REQUEST_URI"), Some(&b"/"[..]));
/// assert_eq!(params.get(b"HTTP_COOKIE"), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Selected<'n, const N: usize> {
    names: &'n [&'n [u8]],
    decoder: Decoder,
    bytes: Bytes<N>,
    /// Of the pair that is cut: its sizes, the first name that may be its, and how many bytes of its name came.
    name_len: u32,
    value_len: u32,
    candidate: Option<&'n [u8]>,
    matched: usize,
    /// Bytes that came, and how many of them are whole pairs.
    came: usize,
    whole: usize,
}

impl<'n, const N: usize> Selected<'n, N> {
    /// No parameters yet, and later those of these names only.
    #[must_use]
    pub const fn new(names: &'n [&'n [u8]]) -> Self {
        Self {
            names,
            decoder: Decoder::new(),
            bytes: Bytes::new(),
            name_len: 0,
            value_len: 0,
            candidate: None,
            matched: 0,
            came: 0,
            whole: 0,
        }
    }

    /// Takes the next bytes of the stream, cut anywhere.
    ///
    /// # Errors
    /// [`CapacityError`] if a parameter that is asked for does not fit: the request cannot be run.
    pub fn push(&mut self, mut data: &[u8]) -> Result<(), CapacityError> {
        self.came = self.came.saturating_add(data.len());
        while let Some(part) = self.decoder.next(&mut data) {
            match part {
                Part::Pair { name, value } => {
                    if self.names.contains(&name) {
                        self.begin(name, value.len())?;
                        self.bytes.push(value);
                    }
                }
                Part::Sizes { name_len, value_len } => {
                    (self.name_len, self.value_len) = (name_len, value_len);
                    (self.candidate, self.matched) = (None, 0);
                    self.name(&[], name_len == 0)?;
                }
                Part::Name { data, last } => self.name(data, last)?,
                Part::Value { data, .. } => {
                    if self.candidate.is_some() {
                        self.bytes.push(data);
                    }
                }
            }
            if self.decoder.at_boundary() {
                self.whole = self.came.saturating_sub(data.len());
            }
        }
        Ok(())
    }

    /// Forgets everything but the names, for the next request.
    pub fn clear(&mut self) {
        (self.decoder, self.came, self.whole) = (Decoder::new(), 0, 0);
        self.bytes.clear();
    }

    /// Checks, at the end of the stream, that all pairs are whole, kept or not.
    ///
    /// # Errors
    /// [`TruncatedPair`]: the request must not be run (open point Z7).
    pub fn finish(&self) -> Result<(), TruncatedPair> {
        match self.came.saturating_sub(self.whole) {
            0 => Ok(()),
            left => Err(TruncatedPair { whole: self.whole, left }),
        }
    }

    /// The value of the last parameter with this name, if it is one that was asked for.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().get(name)
    }

    /// The parameters `(name, value)` that were kept, in the order received.
    #[must_use]
    pub fn iter(&self) -> Pairs<'_> {
        Pairs::new(&self.bytes)
    }

    /// Takes the next bytes of a name that is cut.
    fn name(&mut self, data: &[u8], last: bool) -> Result<(), CapacityError> {
        let (before, to) = (self.matched, self.matched.saturating_add(data.len()));
        let begins = |name: &[u8]| match self.candidate {
            Some(candidate) => name.get(..before) == candidate.get(..before),
            None => before == 0,
        };
        let is_it = |name: &&&[u8]| {
            u32::try_from(name.len()) == Ok(self.name_len)
                && begins(name)
                && name.get(before..to) == Some(data)
        };
        self.candidate = self.names.iter().find(is_it).copied();
        self.matched = to;
        match self.candidate {
            Some(name) if last => self.begin(name, usize::try_from(self.value_len).unwrap_or(usize::MAX)),
            _ => Ok(()),
        }
    }

    /// Keeps the lengths and the name of a pair whose value fits too.
    fn begin(&mut self, name: &[u8], value_len: usize) -> Result<(), CapacityError> {
        let lengths = encode_length(name.len()).zip(encode_length(value_len));
        let size = lengths.as_ref().map_or(usize::MAX, |(of_name, of_value)| of_name.len() + of_value.len());
        let needed =
            self.bytes.len().saturating_add(size).saturating_add(name.len()).saturating_add(value_len);
        match lengths {
            Some((of_name, of_value)) if needed <= N => {
                for part in [&of_name, &of_value, name] {
                    self.bytes.push(part);
                }
                Ok(())
            }
            _ => Err(CapacityError { capacity: N, needed }),
        }
    }
}

impl<'a, const N: usize> IntoIterator for &'a Selected<'_, N> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Pairs<'a>;

    fn into_iter(self) -> Pairs<'a> {
        self.iter()
    }
}
