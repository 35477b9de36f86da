//! Which variable a header field becomes, and which variables a role has.

use crate::record::Role;

/// The longest name of a header field that becomes a variable, in bytes.
pub const NAME_LIMIT: usize = 256;

pub(super) const HTTP: &[u8] = b"HTTP_";

/// Whether a request of this role has the variable, as far as the role decides.
pub(super) fn is_variable_of(role: Role, name: &[u8]) -> bool {
    match name {
        b"CONTENT_LENGTH" | b"PATH_INFO" | b"PATH_TRANSLATED" | b"SCRIPT_NAME" => role != Role::Authorizer,
        b"FCGI_DATA_LAST_MOD" | b"FCGI_DATA_LENGTH" => role == Role::Filter,
        _ => true,
    }
}

pub(super) fn same(name: &[u8], other: &[u8]) -> bool {
    name.eq_ignore_ascii_case(other)
}

pub(super) fn is_host(name: &[u8]) -> bool {
    same(name, b"Host")
}

/// What says how much is sent is not the configuration's to say, nor an Authorizer's.
pub(super) fn may_be_extra(name: &[u8]) -> bool {
    !matches!(name, b"CONTENT_LENGTH" | b"FCGI_DATA_LENGTH")
}

/// The variable that the header field becomes, written to `buffer`. Its length was checked.
pub(super) fn variable_name<'b>(name: &[u8], buffer: &'b mut [u8; HTTP.len() + NAME_LIMIT]) -> &'b [u8] {
    if same(name, b"Content-Type") {
        return b"CONTENT_TYPE";
    }
    let mut len = 0;
    let upper = name.iter().map(|byte| if *byte == b'-' { b'_' } else { byte.to_ascii_uppercase() });
    for (to, byte) in buffer.iter_mut().zip(HTTP.iter().copied().chain(upper)) {
        *to = byte;
        len += 1;
    }
    buffer.get(..len).unwrap_or(&[])
}
