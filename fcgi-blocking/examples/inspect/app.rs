//! What `inspect` answers. The first segment of the path in REQUEST_URI that is one of its words decides;
//! without one it is a page that shows the request.

use std::io::{self, BufReader, Read, Write};
use std::thread;
use std::time::Duration;

use fcgi_blocking::{AppStatus, BoxError, Request, ResponseWriter, Role, Status};
use percent_encoding::percent_decode_str;

/// Bytes that are read or written at a time where much is.
const CHUNK: usize = 64 * 1024;

pub(crate) fn handle(request: &mut Request) -> Result<AppStatus, BoxError> {
    match request.role() {
        Role::Authorizer => authorize(request),
        Role::Filter => filter(request),
        Role::Responder => respond(request),
    }
}

fn text<'r, 'c>(request: &'r Request<'c>, status: Status) -> Result<ResponseWriter<'r, 'c>, BoxError> {
    Ok(request.respond(status).header("Content-Type", "text/plain")?)
}

fn respond(request: &Request) -> Result<AppStatus, BoxError> {
    let uri = request.param_str("REQUEST_URI").unwrap_or_default();
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let mut segments = path.split('/');
    while let Some(word) = segments.next() {
        let mut number = || segments.next().and_then(|number| number.parse::<u64>().ok());
        let done = match word {
            "env" => env(request),
            "echo" => echo(request),
            "sum" => sum(request),
            "bytes" => number().map_or_else(|| bad(request), |count| bytes(request, count)),
            "stream" => match (number(), number()) {
                (Some(count), Some(pause)) => stream(request, count, Duration::from_millis(pause)),
                _ => bad(request),
            },
            "sleep" => number().map_or_else(
                || bad(request),
                |pause| {
                    thread::sleep(Duration::from_millis(pause));
                    ok(request)
                },
            ),
            "status" => {
                let status = number().and_then(|code| Status::new(u16::try_from(code).ok()?));
                status.map_or_else(|| bad(request), |status| answer_status(request, status))
            }
            "stderr" => {
                let line = percent_decode_str(segments.next().unwrap_or_default());
                request.stderr().write_all(&line.chain(Some(b'\n')).collect::<Vec<_>>())?;
                ok(request)
            }
            "exit" => match number().and_then(|code| u32::try_from(code).ok()) {
                Some(code) => {
                    ok(request)?;
                    return Ok(AppStatus(code));
                }
                None => bad(request),
            },
            "ignore" => ok(request),
            "early" => early(request),
            "fail" => match number().and_then(|count| usize::try_from(count).ok()) {
                Some(count) => fail(request, count, segments.next()),
                None => bad(request),
            },
            "later" => {
                number().map_or_else(|| bad(request), |pause| later(request, Duration::from_millis(pause)))
            }
            "panic" => panic!("as asked for"),
            _ => continue,
        };
        return done.map(AppStatus::from);
    }
    page(request).map(AppStatus::from)
}

fn ok(request: &Request) -> Result<(), BoxError> {
    Ok(text(request, Status::OK)?.write_all(b"ok")?)
}

fn bad(request: &Request) -> Result<(), BoxError> {
    Ok(text(request, Status::BAD_REQUEST)?.write_all(b"not a number that makes sense here\n")?)
}

fn env(request: &Request) -> Result<(), BoxError> {
    let mut lines = text(request, Status::OK)?;
    for (name, value) in request.params() {
        lines.write_all(&[name, b"=", value, b"\n"].concat())?;
    }
    Ok(())
}

fn echo(request: &Request) -> Result<(), BoxError> {
    let content_type = request.param("CONTENT_TYPE").filter(|value| !value.is_empty());
    let content_type = content_type.unwrap_or(b"application/octet-stream");
    let mut body = request.respond(Status::OK).header("Content-Type", content_type)?;
    io::copy(&mut BufReader::with_capacity(CHUNK, request.stdin()), &mut body)?;
    Ok(())
}

/// Half an answer, with a length or without.
fn fail(request: &Request, count: usize, length: Option<&str>) -> Result<(), BoxError> {
    let mut body = text(request, Status::OK)?;
    if let Some(length) = length {
        body = body.header("Content-Length", length)?;
    }
    body.write_all(&vec![b'x'; count])?;
    body.flush()?;
    Err("failed, as asked for".into())
}

/// The answer at once, and some work after it.
fn later(request: &Request, pause: Duration) -> Result<(), BoxError> {
    ok(request)?;
    request.finish();
    thread::sleep(pause);
    log::warn!("{} ms later", pause.as_millis());
    Ok(())
}

/// The length and the CRC-32 of what comes.
fn checksum(mut input: impl Read) -> io::Result<String> {
    let mut crc = crc32fast::Hasher::new();
    let mut bytes = 0;
    let mut buffer = vec![0; CHUNK];
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(format!("{bytes} {:08x}\n", crc.finalize())),
            count => {
                crc.update(&buffer[..count]);
                bytes += count;
            }
        }
    }
}

fn sum(request: &Request) -> Result<(), BoxError> {
    let sum = checksum(request.stdin())?;
    Ok(text(request, Status::OK)?.write_all(sum.as_bytes())?)
}

fn early(request: &Request) -> Result<(), BoxError> {
    let mut lines = text(request, Status::OK)?;
    lines.write_all(b"early\n")?;
    lines.flush()?;
    Ok(lines.write_all(checksum(request.stdin())?.as_bytes())?)
}

fn bytes(request: &Request, count: u64) -> Result<(), BoxError> {
    let mut body = text(request, Status::OK)?.header("Content-Length", count.to_string())?;
    let xs = [b'x'; CHUNK];
    let mut left = count;
    while left > 0 {
        let chunk = &xs[..usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK))];
        body.write_all(chunk)?;
        left -= chunk.len() as u64;
    }
    Ok(())
}

fn stream(request: &Request, count: u64, pause: Duration) -> Result<(), BoxError> {
    let mut lines = text(request, Status::OK)?;
    for number in 1..=count {
        writeln!(lines, "{number}")?;
        lines.flush()?;
        if number < count {
            thread::sleep(pause);
        }
    }
    Ok(())
}

fn answer_status(request: &Request, status: Status) -> Result<(), BoxError> {
    let mut answer = text(request, status)?;
    if (300..400).contains(&status.code()) && status != Status::NOT_MODIFIED {
        answer = answer.header("Location", "/env")?;
    }
    Ok(writeln!(answer, "{status}")?)
}

fn authorize(request: &Request) -> Result<AppStatus, BoxError> {
    if request.param("HTTP_X_TOKEN") == Some(b"let-me-in") {
        text(request, Status::OK)?.header("Variable-AUTH_USER", "inspect")?.flush()?;
    } else {
        text(request, Status::FORBIDDEN)?.write_all(b"No entry without the token.\n")?;
    }
    Ok(AppStatus(0))
}

fn filter(request: &Request) -> Result<AppStatus, BoxError> {
    let mut data = Vec::new();
    request.data().read_to_end(&mut data)?;
    data.make_ascii_uppercase();
    let mut answer = text(request, Status::OK)?;
    let claimed = request.param_str("FCGI_DATA_LENGTH").and_then(|length| length.parse().ok());
    if claimed != Some(data.len()) {
        answer.write_all(b"data missing\n")?;
    }
    answer.write_all(&data)?;
    Ok(AppStatus(0))
}

fn page(request: &Request) -> Result<(), BoxError> {
    let mut rows = String::new();
    for (name, value) in request.params() {
        let [name, value] = [name, value].map(String::from_utf8_lossy);
        let [name, value] = [&name, &value].map(|text| html_escape::encode_text(text));
        rows += &format!("<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>\n");
    }
    let kept = if request.keep_conn() { "kept" } else { "closed" };
    let html = include_str!("page.html")
        .replace("{role}", &request.role().to_string())
        .replace("{id}", &request.id().to_string())
        .replace("{kept}", kept)
        .replace("{rows}", &rows);
    let mut page = request.respond(Status::OK).header("Content-Type", "text/html; charset=utf-8")?;
    Ok(page.write_all(html.as_bytes())?)
}
