//! What an application is told of a request besides its header fields: what nginx tells with Debian's
//! `fastcgi.conf`.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use fcgi_smol::Params;
use headers::HeaderMapExt;
use headers::authorization::{Authorization, Basic};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;

use crate::listen::Browser;

/// The variables of a request.
pub(crate) fn of(parts: &Parts, browser: &Browser) -> Params {
    let mut params = Params::from_parts(parts).set("SERVER_SOFTWARE", "fcgi-smol-gateway");
    if let Some(server) = browser.server {
        params = params.server(server);
    }
    // Applications look at passwords themselves, as behind nginx: nobody has checked that of REMOTE_USER.
    if let Some(value) = parts.headers.get(AUTHORIZATION) {
        params = params.set("HTTP_AUTHORIZATION", value);
    }
    if let Some(user) = user(parts) {
        params = params.set("REMOTE_USER", user);
    }
    if !parts.headers.contains_key(CONTENT_TYPE) {
        params = params.set("CONTENT_TYPE", "");
    }
    match server_name(parts) {
        Some(name) => params.set("SERVER_NAME", name),
        None => params,
    }
}

/// The same for a script.
pub(crate) fn script(
    params: Params,
    root: &Path,
    filename: &Path,
    name: Vec<u8>,
    path_info: Vec<u8>,
) -> Params {
    let params = params
        .set("DOCUMENT_ROOT", root.as_os_str().as_bytes())
        .script(filename.as_os_str().as_bytes())
        .set("DOCUMENT_URI", [&name[..], &path_info].concat())
        .set("SCRIPT_NAME", name);
    if path_info.is_empty() { params } else { params.set("PATH_INFO", path_info) }
}

/// The name that the browser gives with a password (RFC 7617).
pub(crate) fn user(parts: &Parts) -> Option<String> {
    let Authorization(basic) = parts.headers.typed_get::<Authorization<Basic>>()?;
    Some(basic.username().to_owned()).filter(|name| !name.is_empty())
}

/// The name or address by which the browser calls this server, without the port (RFC 3875, section 4.1.14).
fn server_name(parts: &Parts) -> Option<String> {
    let host = || parts.headers.get(HOST)?.to_str().ok()?.parse().ok();
    let authority: Authority = parts.uri.authority().cloned().or_else(host)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    let name = authority.host();
    (!name.is_empty() && name.bytes().all(is_plain)).then(|| name.to_owned())
}
