//! Where a FastCGI application is reached: a TCP address, a Unix socket, or
//! the inherited descriptor 0 (FastCGI 1.0 sections 2.2 and 3.2).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// The address of a FastCGI application.
///
/// These are all the transports that FastCGI 1.0 knows (section 2.2). As text:
///
/// | text | means |
/// |---|---|
/// | `127.0.0.1:9000`, `[::1]:9000` | [`Tcp`](Endpoint::Tcp); names are not looked up |
/// | `unix:/run/app.sock`, `unix:app.sock` | [`Unix`](Endpoint::Unix) |
/// | `/run/app.sock`, `./app.sock` | the same: a bare path must hold a `/` |
/// | `unix:@app` | [`Abstract`](Endpoint::Abstract); `unix:./@app` is a file |
/// | `fd:0` | [`Inherited`](Endpoint::Inherited) |
///
/// ```
/// use fcgi_blocking::Endpoint;
///
/// let endpoint: Endpoint = "/run/app.sock".parse()?;
/// assert_eq!(endpoint, Endpoint::Unix("/run/app.sock".into()));
/// assert_eq!(endpoint.to_string(), "unix:/run/app.sock");
///
/// let error = "localhost:9000".parse::<Endpoint>().unwrap_err();
/// assert!(error.to_string().contains("\"localhost\" is not an IP address"));
/// # Ok::<(), fcgi_blocking::ParseEndpointError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A TCP address. Port 0 lets the system choose one when binding.
    Tcp(SocketAddr),
    /// The path of a Unix stream socket.
    Unix(PathBuf),
    /// The name of a Unix stream socket without a file, which only Linux has. It ends with whoever listens on it, and
    /// has no permissions: every user of the machine may connect.
    Abstract(String),
    /// The listening socket that the process was started with on descriptor 0,
    /// `FCGI_LISTENSOCK_FILENO` (section 2.2).
    Inherited,
}

impl fmt::Display for Endpoint {
    /// Writes the text form, which parses to the same endpoint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{name}"),
            Self::Inherited => f.write_str("fd:0"),
        }
    }
}

impl FromStr for Endpoint {
    type Err = ParseEndpointError;

    /// Parses one of the forms in the table of [`Endpoint`].
    ///
    /// # Errors
    ///
    /// [`ParseEndpointError`], whose text says what to write instead.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|problem| ParseEndpointError { text: text.into(), problem })
    }
}

fn parse(text: &str) -> Result<Endpoint, Problem> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    if text.contains('\0') {
        return Err(Problem::Nul);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return match path {
            "" | "@" => Err(Problem::NoPath),
            path if path.starts_with('@') => Ok(Endpoint::Abstract(path[1..].into())),
            path => Ok(Endpoint::Unix(path.into())),
        };
    }
    match text.strip_prefix("fd:") {
        Some("0") => return Ok(Endpoint::Inherited),
        Some(_) => return Err(Problem::Descriptor),
        None => {}
    }
    if text.contains("://") {
        return Err(Problem::Scheme);
    }
    if text.contains('/') {
        return Ok(Endpoint::Unix(text.into()));
    }
    text.parse().map(Endpoint::Tcp).map_err(|_| why_not_tcp(text))
}

/// Finds what to tell about a text that is no TCP address and no path.
fn why_not_tcp(text: &str) -> Problem {
    // Before the split at the last colon, because `::1` has colons of its own.
    if is_ip(text) {
        return Problem::NoPort;
    }
    match text.rsplit_once(':') {
        Some((host, "")) if is_ip(host) => Problem::NoPort,
        Some((host, _)) if is_ip(host) => Problem::Port,
        Some((host, _)) => Problem::Host(host.into()),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => Problem::NoHost,
        None => Problem::Name,
    }
}

/// Whether `host` is an IP address, in brackets or not.
fn is_ip(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(host).parse::<IpAddr>().is_ok()
}

/// A text that is not an [`Endpoint`]; displays as one line that shows the
/// text, what is wrong with it and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseEndpointError {
    text: Box<str>,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    Empty,
    Nul,
    NoPath,
    Descriptor,
    Scheme,
    NoHost,
    Host(Box<str>),
    NoPort,
    Port,
    Name,
}

impl fmt::Display for ParseEndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Debug puts quotes around the text and keeps it on one line.
        write!(f, "bad address {:?}: ", self.text)?;
        match &self.problem {
            Problem::Empty => {
                f.write_str("write 127.0.0.1:9000, [::1]:9000, unix:/path/to/socket or fd:0")
            }
            Problem::Nul => f.write_str("it holds a NUL byte"),
            Problem::NoPath => f.write_str("there is no path after unix:, and no name after unix:@"),
            Problem::Descriptor => {
                f.write_str("only descriptor 0 can be a listening socket (write fd:0)")
            }
            Problem::Scheme => {
                f.write_str("it is a URL; write IP:PORT for TCP, or unix:PATH for a Unix socket")
            }
            Problem::NoHost => f.write_str("the IP address is missing (write 127.0.0.1:PORT)"),
            Problem::Host(host) => write!(
                f,
                "{host:?} is not an IP address, and names are not looked up"
            ),
            Problem::NoPort => {
                f.write_str("the port is missing (write 127.0.0.1:9000 or [::1]:9000)")
            }
            Problem::Port => {
                f.write_str("the address must end in a port, a number from 0 to 65535 (write 127.0.0.1:9000 or [::1]:9000)")
            }
            Problem::Name => f.write_str(
                "it is neither IP:PORT nor a path with a '/' (write ./NAME or unix:NAME for a Unix socket)",
            ),
        }
    }
}

impl std::error::Error for ParseEndpointError {}

impl From<ParseEndpointError> for io::Error {
    /// An [`io::ErrorKind::InvalidInput`] with the same text.
    fn from(error: ParseEndpointError) -> Self {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_parses_and_displays_as_one_that_parses_back() {
        let tcp = |text: &str| Endpoint::Tcp(text.parse().unwrap());
        let unix = |path: &str| Endpoint::Unix(path.into());
        let cases = [
            ("127.0.0.1:9000", tcp("127.0.0.1:9000")),
            ("0.0.0.0:0", tcp("0.0.0.0:0")),
            ("[::1]:9000", tcp("[::1]:9000")),
            ("unix:/run/app.sock", unix("/run/app.sock")),
            ("unix:app.sock", unix("app.sock")),
            ("unix:fd:0", unix("fd:0")),
            ("/run/app.sock", unix("/run/app.sock")),
            ("./app.sock", unix("./app.sock")),
            ("dir/127.0.0.1:9000", unix("dir/127.0.0.1:9000")),
            ("unix:@app", Endpoint::Abstract("app".into())),
            ("unix:@/run/@", Endpoint::Abstract("/run/@".into())),
            ("unix:./@app", unix("./@app")),
            ("./@app", unix("./@app")),
            ("fd:0", Endpoint::Inherited),
        ];
        for (text, endpoint) in cases {
            assert_eq!(text.parse().as_ref(), Ok(&endpoint), "{text}");
            assert_eq!(endpoint.to_string().parse(), Ok(endpoint), "{text}");
        }
    }

    #[test]
    fn every_error_shows_the_text_and_says_what_is_wrong_on_one_line() {
        let cases = [
            ("", "write 127.0.0.1:9000"),
            ("/run/a\0b", "NUL"),
            ("unix:", "no path after unix:"),
            ("unix:@", "no name after unix:@"),
            ("fd:3", "only descriptor 0"),
            ("fd:", "only descriptor 0"),
            ("tcp://127.0.0.1:9000", "it is a URL"),
            ("9000", "127.0.0.1:PORT"),
            ("localhost:9000", "\"localhost\" is not an IP address"),
            (":9000", "\"\" is not an IP address"),
            ("127.0.0.1:9000\n", "from 0 to 65535"),
            ("127.0.0.1:99999", "from 0 to 65535"),
            ("127.0.0.1:http", "from 0 to 65535"),
            ("[::1]:-1", "from 0 to 65535"),
            ("127.0.0.1", "port is missing"),
            ("127.0.0.1:", "port is missing"),
            ("[::1]", "port is missing"),
            ("::1", "port is missing"),
            ("app.sock", "./NAME or unix:NAME"),
        ];
        for (text, hint) in cases {
            let error = text.parse::<Endpoint>().expect_err(text);
            let line = error.to_string();
            assert!(line.contains(&format!("{text:?}")), "{line}");
            assert!(line.contains(hint), "{text:?}: {line}");
            assert!(!line.contains(char::is_control), "{line:?}");
            assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidInput, "{text:?}");
        }
    }
}
