//! A request's variables, one by one (RFC 3875, section 4.1; FastCGI 1.0, sections 6.2 to 6.4).

use core::slice;

use super::error::VariablesError;
use super::fields::{WINDOW, find_ends};
use super::known::{COUNT, NAMES, Text};
use super::names::{NAME_LIMIT, is_host, is_variable_of, may_be_extra, passes, variable_name};
use super::request::Variables;
use super::value::Value;
use crate::bytes::Bytes;
use crate::cgi::field::Field;
use crate::record::Role;

impl Variables<'_> {
    /// Hands every variable to `sink`, name and value, each name once: first those of the request, then those
    /// of `headers` (a field's name and value, in their order), then those of `extra`. Repeated fields become
    /// one value, joined with `, `, cookies with `; `.
    ///
    /// An Authorizer gets no CONTENT_LENGTH, PATH_INFO, PATH_TRANSLATED and SCRIPT_NAME (section 6.3), only a
    /// Filter FCGI_DATA_LAST_MOD and FCGI_DATA_LENGTH (section 6.4).
    ///
    /// Nothing is allocated, so equal names of very many fields are found in several passes, one for every 512 of
    /// them (32 where `usize` has less than 64 bits): limit their number.
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
        // What is behind in `extra` takes its place.
        let mut put = |name: &[u8], fields: &[Field<'_>], extra: &[Field<'_>]| {
            let replaced = may_be_extra(name) && extra.iter().any(|(other, _)| *other == name);
            if replaced || !is_variable_of(role, name) { Ok(()) } else { sink(name, Value { fields }) }
        };

        let mut text = Text::new();
        for (number, name) in NAMES.split(|byte| *byte == b' ').enumerate() {
            if let Some(value) = self.known(number, headers, &mut text) {
                put(name, &[(name, value)], self.extra)?;
            }
        }
        let mut ends = [0; WINDOW];
        let mut variable = Bytes::new();
        let mut start = 0;
        while start < headers.len() {
            find_ends(headers, start, &mut ends);
            for (at, &end) in (start..).zip(&ends) {
                if let Some(fields @ [(name, _), ..]) = headers.get(at..end) {
                    if passes(name, self.authorization) && !is_host(name) {
                        put(variable_name(name, &mut variable), fields, self.extra)?;
                    }
                }
            }
            start += WINDOW;
        }
        let mut extra = self.extra;
        while let [field @ (name, _), later @ ..] = extra {
            if may_be_extra(name) {
                put(name, slice::from_ref(field), later)?;
            }
            extra = later;
        }
        Ok(())
    }

    fn check(&self, headers: &[Field<'_>]) -> Result<(), VariablesError> {
        for (name, value) in self.extra {
            if name.is_empty() || name.iter().any(|byte| matches!(byte, 0 | b'=')) {
                return Err(VariablesError::ExtraName);
            }
            if value.iter().any(|byte| matches!(byte, 0)) {
                return Err(VariablesError::Value { byte: 0 });
            }
        }
        let mut text = Text::new();
        for number in 0..COUNT {
            if let Some(value) = self.known(number, headers, &mut text) {
                check_value(value)?;
            }
        }
        let mut hosts = 0_u8;
        for (name, value) in headers {
            if passes(name, self.authorization) {
                if name.len() > NAME_LIMIT {
                    return Err(VariablesError::NameTooLong { len: name.len() });
                }
                check_value(value)?;
                hosts = hosts.saturating_add(is_host(name).into());
            }
        }
        if hosts > 1 { Err(VariablesError::Host) } else { Ok(()) }
    }
}

fn check_value(value: &[u8]) -> Result<(), VariablesError> {
    match value.iter().find(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        Some(&byte) => Err(VariablesError::Value { byte }),
        None => Ok(()),
    }
}
