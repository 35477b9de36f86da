//! A request's variables, one by one (RFC 3875, section 4.1; FastCGI 1.0, sections 6.2 to 6.4).

use core::fmt::{self, Write};
use core::net::IpAddr;

use super::error::VariablesError;
use super::names::{HTTP, NAME_LIMIT, is_host, is_variable_of, may_be_extra, same, variable_name};
use super::request::Variables;
use super::value::Value;
use crate::cgi::field::is_hop_by_hop;
use crate::cgi::target::Target;
use crate::record::Role;

/// An IPv6 address in brackets, or a number.
type Text = heapless::String<48>;

impl Variables<'_> {
    /// Hands every variable to `sink`, name and value, each name once: first those of the request, then those
    /// of `headers` (a field's name and value, in their order), then those of `extra`. Repeated fields become
    /// one value, joined with `, `, cookies with `; `.
    ///
    /// An Authorizer gets no CONTENT_LENGTH, PATH_INFO, PATH_TRANSLATED and SCRIPT_NAME (section 6.3), only a
    /// Filter FCGI_DATA_LAST_MOD and FCGI_DATA_LENGTH (section 6.4).
    ///
    /// Every header is compared with those before it: limit their number.
    ///
    /// # Errors
    /// [`VariablesError`] before the first call of `sink`; the first error that `sink` returns.
    pub fn emit<E: From<VariablesError>>(
        &self,
        role: Role,
        headers: &[(&[u8], &[u8])],
        mut sink: impl FnMut(&[u8], Value<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.check(headers)?;
        let is_extra = |name: &[u8]| may_be_extra(name) && self.extra.iter().any(|(extra, _)| *extra == name);
        let mut put = |name: &[u8], value: Value<'_>| {
            if is_variable_of(role, name) && !is_extra(name) { sink(name, value) } else { Ok(()) }
        };

        let target = Target::parse(self.target);
        let scheme: (&[u8], u16) = if self.https { (b"https", 443) } else { (b"http", 80) };
        let server_ip = self.server.map(|server| server.ip().to_canonical());
        let server_name = match server_ip {
            Some(IpAddr::V6(ip)) => text(format_args!("[{ip}]")),
            Some(IpAddr::V4(ip)) => text(format_args!("{ip}")),
            None => text(format_args!("localhost")),
        };
        let server_name = if self.server_name.is_empty() { server_name.as_bytes() } else { self.server_name };
        let remote_addr = match self.peer {
            Some(peer) => text(format_args!("{}", peer.ip().to_canonical())),
            None => text(format_args!("unix:")),
        };
        let server_port = number(self.server.map_or(scheme.1, |server| server.port()).into());

        for (name, value) in [
            (&b"GATEWAY_INTERFACE"[..], &b"CGI/1.1"[..]),
            (b"SERVER_SOFTWARE", self.server_software),
            (b"SERVER_NAME", server_name),
            (b"SERVER_PORT", server_port.as_bytes()),
            (b"SERVER_PROTOCOL", self.protocol),
            (b"REQUEST_METHOD", self.method),
            (b"REQUEST_SCHEME", scheme.0),
            (b"REQUEST_URI", self.target),
            (b"SCRIPT_NAME", self.script_name),
            (b"QUERY_STRING", target.query.unwrap_or(b"")),
            (b"REMOTE_ADDR", remote_addr.as_bytes()),
        ] {
            put(name, Value::one(value))?;
        }
        for (name, value) in [
            (&b"SCRIPT_FILENAME"[..], self.script_filename),
            (b"DOCUMENT_ROOT", self.document_root),
            (b"PATH_INFO", self.path_info),
            (b"PATH_TRANSLATED", self.path_translated),
            (b"AUTH_TYPE", self.auth_type),
            (b"REMOTE_USER", self.remote_user),
            (b"REDIRECT_STATUS", self.redirect_status),
            (b"HTTPS", if self.https { b"on" } else { b"" }),
        ] {
            if !value.is_empty() {
                put(name, Value::one(value))?;
            }
        }
        if let Some(peer) = self.peer {
            put(b"REMOTE_PORT", Value::one(number(peer.port().into()).as_bytes()))?;
        }
        if let Some(ip) = server_ip {
            put(b"SERVER_ADDR", Value::one(text(format_args!("{ip}")).as_bytes()))?;
        }
        if let Some(length) = self.content_length {
            put(b"CONTENT_LENGTH", Value::one(number(length).as_bytes()))?;
        }
        put(b"FCGI_DATA_LAST_MOD", Value::one(number(self.data_last_mod).as_bytes()))?;
        put(b"FCGI_DATA_LENGTH", Value::one(number(self.data_length).as_bytes()))?;
        let host = || headers.iter().find(|(name, _)| is_host(name)).map(|(_, value)| *value);
        if let Some(host) = self.authority.or(target.authority).or_else(host) {
            put(b"HTTP_HOST", Value::one(host))?;
        }

        let mut variable = [0; HTTP.len() + NAME_LIMIT];
        for (at, &(name, first)) in headers.iter().enumerate() {
            let earlier = headers.get(..at).unwrap_or(&[]);
            if !self.passes(name) || is_host(name) || earlier.iter().any(|(name_2, _)| same(name, name_2)) {
                continue;
            }
            let separator: &[u8] = if same(name, b"Cookie") { b"; " } else { b", " };
            let value = Value { first, name, more: headers.get(at + 1..).unwrap_or(&[]), separator };
            put(variable_name(name, &mut variable), value)?;
        }

        for (at, &(name, value)) in self.extra.iter().enumerate() {
            let later = self.extra.get(at + 1..).unwrap_or(&[]);
            if may_be_extra(name)
                && is_variable_of(role, name)
                && !later.iter().any(|(name_2, _)| *name_2 == name)
            {
                sink(name, Value::one(value))?;
            }
        }
        Ok(())
    }

    fn check(&self, headers: &[(&[u8], &[u8])]) -> Result<(), VariablesError> {
        for (name, value) in self.extra {
            if name.is_empty() || name.iter().any(|byte| matches!(byte, 0 | b'=')) {
                return Err(VariablesError::ExtraName);
            }
            if value.contains(&0) {
                return Err(VariablesError::Value { byte: 0 });
            }
        }
        for value in [
            self.method,
            self.target,
            self.protocol,
            self.authority.unwrap_or(b""),
            self.server_name,
            self.server_software,
            self.script_name,
            self.path_info,
            self.path_translated,
            self.script_filename,
            self.document_root,
            self.auth_type,
            self.remote_user,
            self.redirect_status,
        ] {
            check_value(value)?;
        }
        let mut hosts = 0_u8;
        for (name, value) in headers.iter().filter(|(name, _)| self.passes(name)) {
            if name.len() > NAME_LIMIT {
                return Err(VariablesError::NameTooLong { len: name.len() });
            }
            check_value(value)?;
            hosts = hosts.saturating_add(is_host(name).into());
        }
        if hosts > 1 { Err(VariablesError::Host) } else { Ok(()) }
    }

    /// Whether a header field of this name becomes a variable.
    fn passes(&self, name: &[u8]) -> bool {
        !name.is_empty()
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            && ![&b"Proxy"[..], b"Redirect-Status", b"Content-Length"].iter().any(|known| same(known, name))
            && !is_hop_by_hop(name)
            && (self.authorization || !same(name, b"Authorization"))
    }
}

fn check_value(value: &[u8]) -> Result<(), VariablesError> {
    match value.iter().find(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        Some(&byte) => Err(VariablesError::Value { byte }),
        None => Ok(()),
    }
}

/// What is written here has room: the longest is an IPv6 address of 39 bytes in brackets.
fn text(arguments: fmt::Arguments<'_>) -> Text {
    let mut text = Text::new();
    let _ = text.write_fmt(arguments);
    text
}

fn number(number: u64) -> Text {
    text(format_args!("{number}"))
}
