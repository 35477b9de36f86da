//! The peers of connections: how they are named, who is let in.

use std::net::IpAddr;
use std::{env, fmt, io};

use fcgi_proto::process::{WEB_SERVER_ADDRS, WebServerAddrs};

/// A connection's peer.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub Option<IpAddr>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("peer on a Unix socket"),
        }
    }
}

/// Those that `FCGI_WEB_SERVER_ADDRS` lists, or all (FastCGI 1.0, sections 2.3 and 3.2).
#[derive(Debug)]
pub struct Peers {
    list: Option<String>,
}

impl Peers {
    /// As the environment has it.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a value that is no list of addresses.
    pub fn from_env() -> io::Result<Self> {
        let list = env::var_os(WEB_SERVER_ADDRS).map(|value| value.to_string_lossy().into_owned());
        if let Some(Err(error)) = list.as_deref().map(WebServerAddrs::parse) {
            let list = list.unwrap_or_default();
            let why = format!("{error} in {list:?}, which is to be addresses with commas between");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(Self { list })
    }

    /// Whether it is let in; if not, a line in the log says so.
    #[must_use]
    pub fn let_in(&self, peer: Peer) -> bool {
        let addrs = self.list.as_deref().map(WebServerAddrs::parse);
        let let_in = addrs.is_none_or(|addrs| addrs.is_ok_and(|addrs| addrs.allows(peer.0)));
        if !let_in {
            log::warn!("{peer}: refused, not in {WEB_SERVER_ADDRS}");
        }
        let_in
    }
}
