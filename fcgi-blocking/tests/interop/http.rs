//! The browser's side.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

/// Longer than the servers' own time limits, so that their answer is seen rather than a client's error.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long a browser that looks at an answer waits for more of it.
const PATIENCE: Duration = Duration::from_secs(15);

/// A client that keeps its connection, as browsers do.
pub(crate) struct Browser {
    agent: Agent,
    address: SocketAddr,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Browser {
    pub(crate) fn new(address: SocketAddr) -> Browser {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .max_idle_connections_per_host(1)
            .timeout_global(Some(TIMEOUT))
            .build();
        Browser { agent: config.into(), address }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = self.agent.get(self.url(path));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        answer("GET", path, request.call())
    }

    pub(crate) fn head(&self, path: &str) -> Answer {
        answer("HEAD", path, self.agent.head(self.url(path)).call())
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.post_as(path, "text/x-test", body)
    }

    pub(crate) fn post_as(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        answer("POST", path, self.agent.post(self.url(path)).content_type(content_type).send(body))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Empty if the header is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("headers are ASCII"))
    }
}

/// Sends `request`, in one write, and leaves the rest of the connection's life to the caller.
pub(crate) fn begin(address: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(request).expect("the web server reads");
    stream
}

/// Sends a request after which the server closes, and returns the status and the body of the answer.
pub(crate) fn ask(address: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut stream = connect(address);
    let mut answer = Vec::new();
    // A server that refuses may close before it has read everything, so neither direction need end
    // well: the answer counts.
    let ends = (stream.write_all(request), stream.read_to_end(&mut answer));
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{ends:?}: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {head}")), body.to_owned())
}

/// How an answer looks to a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Its end came.
    Whole,
    /// The connection ended before it did, or an error came in its stead.
    Cut,
    /// Neither: the browser waits for more.
    Waits,
}

/// Asks as a browser does, and looks at the end of the answer for itself.
pub(crate) fn look(address: SocketAddr, path: &str) -> Seen {
    let mut stream = begin(address, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let mut answer = Vec::new();
    let mut piece = [0; 64 * 1024];
    loop {
        let result = stream.read(&mut piece);
        answer.extend_from_slice(&piece[..*result.as_ref().unwrap_or(&0)]);
        let text = String::from_utf8_lossy(&answer).to_lowercase();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let chunked = head.contains("transfer-encoding: chunked");
        let ended = length.is_some_and(|length: usize| body.len() >= length)
            || chunked && body.ends_with("\r\n0\r\n\r\n");
        let is_error = head.starts_with("http/1.1 5");
        match result {
            _ if ended && is_error => return Seen::Cut,
            _ if ended => return Seen::Whole,
            Ok(0) if head.starts_with("http/1.1 200") && length.is_none() && !chunked => return Seen::Whole,
            Ok(0) => return Seen::Cut,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Seen::Waits;
            }
            // A socket with a time limit is interrupted when other tests start children.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Seen::Cut,
        }
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the web server accepts");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a time limit");
    stream.set_write_timeout(Some(TIMEOUT)).expect("a time limit");
    stream
}

fn answer(method: &str, path: &str, response: Result<Response<Body>, ureq::Error>) -> Answer {
    let fail = |error: ureq::Error| -> ! { panic!("{method} {path}: {error}") };
    let (parts, mut body) = response.unwrap_or_else(|error| fail(error)).into_parts();
    let body = body.with_config().limit(u64::MAX).read_to_vec().unwrap_or_else(|error| fail(error));
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}
