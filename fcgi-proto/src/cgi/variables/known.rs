//! The variables of a request but for its header fields (RFC 3875, section 4.1; FastCGI 1.0, section 6.4).

use core::net::SocketAddr;
use core::ops::Range;

use super::names::is_host;
use super::request::Variables;
use crate::address::Address;
use crate::bytes::Bytes;
use crate::cgi::field::Field;
use crate::cgi::target::Target;
use crate::digits;

/// Room for an IPv6 address of 39 bytes in brackets, or a number.
pub(super) type Text = Bytes<41>;

/// How many there are.
pub(super) const COUNT: usize = 26;

/// Their names, with a space between: an array of names would be a third larger.
pub(super) const NAMES: &[u8] = b"GATEWAY_INTERFACE SERVER_SOFTWARE SERVER_NAME SERVER_PORT SERVER_PROTOCOL \
    REQUEST_METHOD REQUEST_SCHEME REQUEST_URI SCRIPT_NAME QUERY_STRING REMOTE_ADDR FCGI_DATA_LAST_MOD \
    FCGI_DATA_LENGTH SCRIPT_FILENAME DOCUMENT_ROOT PATH_INFO PATH_TRANSLATED AUTH_TYPE REMOTE_USER REDIRECT_STATUS \
    HTTPS REMOTE_PORT SERVER_ADDR CONTENT_LENGTH HTTP_CONTENT_LENGTH HTTP_HOST";

/// Which of them are left out if they are empty.
const OPTIONAL: Range<usize> = 13..25;

impl Variables<'_> {
    /// The value of the variable with this number, which may be made in `text`. `None` if there is none.
    pub(super) fn known<'s>(
        &'s self,
        number: usize,
        headers: &'s [Field<'s>],
        text: &'s mut Text,
    ) -> Option<&'s [u8]> {
        text.clear();
        let (scheme, port, https): (&[u8], _, &[u8]) =
            if self.https { (b"https", 443, b"on") } else { (b"http", 80, b"") };
        let value: &[u8] = match number {
            0 => b"CGI/1.1",
            1 => self.server_software,
            2 => self.server_name(text),
            3 => decimal(self.server.map_or(port, |server| server.port()).into(), text),
            4 => self.protocol,
            5 => self.method,
            6 => scheme,
            7 => self.target,
            8 => self.script_name,
            9 => Target::parse(self.target).query.unwrap_or(b""),
            10 => self.peer.as_ref().map_or(b"unix:", |peer| address(peer, text)),
            11 => decimal(self.data_last_mod, text),
            12 => decimal(self.data_length, text),
            13 => self.script_filename,
            14 => self.document_root,
            15 => self.path_info,
            16 => self.path_translated,
            17 => self.auth_type,
            18 => self.remote_user,
            19 => self.redirect_status,
            20 => https,
            21 => self.peer.map_or(b"", |peer| decimal(peer.port().into(), text)),
            22 => self.server.as_ref().map_or(b"", |server| address(server, text)),
            23 | 24 => self.content_length.map_or(b"", |length| decimal(length, text)),
            25 => {
                let host = || headers.iter().find(|(name, _)| is_host(name)).map(|(_, value)| *value);
                self.authority.or_else(|| Target::parse(self.target).authority).or_else(host)?
            }
            _ => b"",
        };
        (!OPTIONAL.contains(&number) || !value.is_empty()).then_some(value)
    }

    fn server_name<'s>(&'s self, text: &'s mut Text) -> &'s [u8] {
        if !self.server_name.is_empty() {
            return self.server_name;
        }
        let Some(server) = &self.server else { return b"localhost" };
        text.push(b"[");
        address(server, text);
        text.push(b"]");
        match &**text {
            [b'[', quad @ .., b']'] if !quad.iter().any(|byte| matches!(byte, b':')) => quad,
            name => name,
        }
    }
}

fn decimal(number: u64, text: &mut Text) -> &[u8] {
    text.push(digits::decimal(number, &mut [0; 20]));
    text
}

fn address<'s>(address: &SocketAddr, text: &'s mut Text) -> &'s [u8] {
    Address::from(address).write(text);
    text
}
