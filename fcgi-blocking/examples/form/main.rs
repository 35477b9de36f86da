//! `form [ADDR]`: an application with a form, an upload and a cookie, as an author writes it: method, path and header
//! fields are of the crate `http`, the rest is read by crates for it.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::iter;
use std::process::ExitCode;

use bytes::Bytes;
use cookie::Cookie;
use fcgi_blocking::{BoxError, Request, Server, Status};
use futures_lite::{future, stream};
use http::header::{CONTENT_TYPE, COOKIE};
use http::request::Parts;
use http::{HeaderName, Method};
use multer::Multipart;

#[path = "../common/mod.rs"]
mod common;

/// Bytes of a form without files, at most.
const FORM_LIMIT: u64 = 64 * 1024;

/// Bytes of an upload that are read at a time.
const CHUNK: usize = 64 * 1024;

fn main() -> ExitCode {
    common::run("form [ADDR]", common::Address::alone, |address| {
        Ok(Server::new(address.listen()?).serve_until_signal(handle)?)
    })
}

fn handle(request: &mut Request<'_>) -> Result<(), BoxError> {
    let Ok(parts) = request.parts() else { return text(request, Status::BAD_REQUEST, "not of HTTP\n") };
    match (&parts.method, parts.uri.path()) {
        (&Method::GET, "/") => page(request, &parts),
        (&Method::GET, "/search") => search(request, &parts),
        (&Method::POST, "/name") => name(request),
        (&Method::POST, "/upload") => upload(request, &parts),
        _ => text(request, Status::NOT_FOUND, "nothing here\n"),
    }
}

fn text(request: &Request<'_>, status: Status, text: &str) -> Result<(), BoxError> {
    Ok(request.respond(status).header("Content-Type", "text/plain")?.write_all(text.as_bytes())?)
}

fn field(parts: &Parts, name: HeaderName) -> &str {
    parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Greets whom the cookie names.
fn page(request: &Request<'_>, parts: &Parts) -> Result<(), BoxError> {
    let cookies = Cookie::split_parse_encoded(field(parts, COOKIE)).flatten();
    let name = cookies.filter(|cookie| cookie.name() == "name").last();
    let name = name.as_ref().map_or("stranger", Cookie::value);
    let html = include_str!("page.html").replace("{name}", &html_escape::encode_text(name));
    let mut page = request.respond(Status::OK).header("Content-Type", "text/html; charset=utf-8")?;
    Ok(page.write_all(html.as_bytes())?)
}

/// The fields of the query.
fn search(request: &Request<'_>, parts: &Parts) -> Result<(), BoxError> {
    let fields = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let lines: String = fields.map(|(name, value)| format!("{name}: {value}\n")).collect();
    text(request, Status::OK, &lines)
}

/// Takes a form's field into a cookie, and has the browser ask for the page again.
fn name(request: &Request<'_>) -> Result<(), BoxError> {
    let mut form = Vec::new();
    request.stdin().take(FORM_LIMIT).read_to_end(&mut form)?;
    let name = form_urlencoded::parse(&form).find(|(name, _)| name == "name");
    let Some((_, name)) = name else { return text(request, Status::BAD_REQUEST, "no name\n") };
    let cookie = Cookie::build(("name", name)).path("/").http_only(true).build();
    let answer = request.respond(Status::SEE_OTHER).header("Location", "/")?;
    Ok(answer.header("Set-Cookie", cookie.encoded().to_string())?.flush()?)
}

/// The length and the CRC-32 of each file, of any size: it is on disk, and never in memory as a whole.
fn upload(request: &Request<'_>, parts: &Parts) -> Result<(), BoxError> {
    let Ok(boundary) = multer::parse_boundary(field(parts, CONTENT_TYPE)) else {
        return text(request, Status::BAD_REQUEST, "no upload\n");
    };
    // What reads uploads wants bytes that may move between threads, as a request may not.
    let mut body = tempfile::tempfile()?;
    io::copy(&mut request.stdin(), &mut body)?;
    body.rewind()?;
    match future::block_on(sums(Multipart::new(stream::iter(chunks(body)), boundary))) {
        Ok(lines) => text(request, Status::OK, &lines),
        Err(error) => text(request, Status::BAD_REQUEST, &format!("{error}\n")),
    }
}

async fn sums(mut form: Multipart<'_>) -> Result<String, Box<dyn Error>> {
    let mut lines = String::new();
    while let Some(mut field) = form.next_field().await? {
        let (mut bytes, mut crc) = (0, crc32fast::Hasher::new());
        while let Some(chunk) = field.chunk().await? {
            bytes += chunk.len();
            crc.update(&chunk);
        }
        let name = field.file_name().or(field.name()).unwrap_or_default();
        lines += &format!("{name}: {bytes} bytes, {:08x}\n", crc.finalize());
    }
    Ok(lines)
}

fn chunks(mut file: File) -> impl Iterator<Item = io::Result<Bytes>> {
    iter::from_fn(move || {
        let mut chunk = vec![0; CHUNK];
        match file.read(&mut chunk) {
            Ok(0) => None,
            read => Some(read.map(|count| {
                chunk.truncate(count);
                chunk.into()
            })),
        }
    })
}
