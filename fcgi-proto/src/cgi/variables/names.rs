//! Which header fields become variables, of which names, and which variables a role has.

use crate::bytes::Bytes;
use crate::cgi::field::{is_hop_by_hop, is_one_of};
use crate::record::Role;

/// The longest name of a header field that becomes a variable, in bytes.
pub const NAME_LIMIT: usize = 256;

const HTTP: &[u8] = b"HTTP_";

/// Whether a header field of this name becomes a variable.
pub(super) fn passes(name: &[u8], authorization: bool) -> bool {
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        && !is_one_of(&[b"Proxy", b"Redirect-Status", b"Content-Length"], name)
        && !is_hop_by_hop(name)
        && (authorization || !same(name, b"Authorization"))
}

/// Whether a request of this role has the variable, as far as the role decides.
pub(super) fn is_variable_of(role: Role, name: &[u8]) -> bool {
    const UNAUTHORIZED: [&[u8]; 5] =
        [b"CONTENT_LENGTH", b"HTTP_CONTENT_LENGTH", b"PATH_INFO", b"PATH_TRANSLATED", b"SCRIPT_NAME"];
    (role != Role::Authorizer || !is_among(&UNAUTHORIZED, name))
        && (role == Role::Filter || !is_among(&[b"FCGI_DATA_LAST_MOD", b"FCGI_DATA_LENGTH"], name))
}

/// What says how much is sent is not the configuration's to say, nor an Authorizer's.
pub(super) fn may_be_extra(name: &[u8]) -> bool {
    !is_among(&[b"CONTENT_LENGTH", b"HTTP_CONTENT_LENGTH", b"FCGI_DATA_LENGTH"], name)
}

fn is_among(names: &[&[u8]], name: &[u8]) -> bool {
    names.contains(&name)
}

pub(super) fn same(name: &[u8], other: &[u8]) -> bool {
    name.eq_ignore_ascii_case(other)
}

pub(super) fn is_host(name: &[u8]) -> bool {
    same(name, b"Host")
}

/// The variable that the header field becomes, written to `buffer`. Its length was checked.
pub(super) fn variable_name<'b>(
    field: &[u8],
    buffer: &'b mut Bytes<{ HTTP.len() + NAME_LIMIT }>,
) -> &'b [u8] {
    if same(field, b"Content-Type") {
        return b"CONTENT_TYPE";
    }
    buffer.clear();
    buffer.push(HTTP);
    for byte in field {
        buffer.push(&[if *byte == b'-' { b'_' } else { byte.to_ascii_uppercase() }]);
    }
    buffer
}
