//! The access log: a line for each request when it is over, in the combined format that nginx and Apache have, and
//! behind it the seconds that it took.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use hyper::StatusCode;
use hyper::header::{HeaderName, REFERER, USER_AGENT};
use hyper::http::request::Parts;

use crate::listen::Browser;
use crate::params::user;

/// What nginx writes where the browser left before there was an answer.
const LEFT: u16 = 499;

#[derive(Clone)]
pub(crate) struct AccessLog(Arc<Mutex<dyn Write + Send>>);

impl AccessLog {
    /// Behind what is in this file; `-` is stdout.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self(Arc::new(Mutex::new(io::stdout()))));
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// A request's line, written when it is dropped.
    pub(crate) fn begin(&self, browser: &Browser, parts: &Parts) -> Line {
        let field = |name: &HeaderName| {
            let value = parts.headers.get(name).map_or(&b"-"[..], |value| value.as_bytes());
            value.escape_ascii().to_string()
        };
        let Parts { method, uri, version, .. } = parts;
        let user =
            user(parts).map_or("-".into(), |user| user.escape_default().to_string().replace(' ', "\\x20"));
        Line {
            log: self.clone(),
            who: format!("{} - {user}", browser.peer.map_or("-".into(), |peer| peer.ip().to_string())),
            request: format!("{method} {uri} {version:?}").as_bytes().escape_ascii().to_string(),
            fields: [REFERER, USER_AGENT].map(|name| field(&name)),
            began: Instant::now(),
            status: LEFT,
            sent: 0,
        }
    }
}

pub(crate) struct Line {
    log: AccessLog,
    who: String,
    request: String,
    /// Referer and User-Agent.
    fields: [String; 2],
    began: Instant,
    status: u16,
    /// Bytes of the body.
    sent: u64,
}

impl Line {
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Self { log, who, request, fields: [referer, agent], began, status, sent } = self;
        let (date, took) = (date(SystemTime::now()), began.elapsed().as_secs_f64());
        let line =
            format!("{who} [{date}] \"{request}\" {status} {sent} \"{referer}\" \"{agent}\" {took:.3}\n");
        let written = log.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
        if let Err(error) = written {
            log::warn!("access log: {error}");
        }
    }
}

/// The time as this format has it, `27/Nov/2026:08:27:52 +0000`.
fn date(now: SystemTime) -> String {
    let date = httpdate::fmt_http_date(now);
    match date.split(' ').collect::<Vec<_>>()[..] {
        [_, day, month, year, time, _] => format!("{day}/{month}/{year}:{time} +0000"),
        _ => date,
    }
}
