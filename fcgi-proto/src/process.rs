//! The initial process state (FastCGI 1.0, section 2): which peers an application lets in.

use core::fmt;
use core::net::IpAddr;

use crate::address::Address;

/// The environment variable that holds the list (section 2.3).
pub const WEB_SERVER_ADDRS: &str = "FCGI_WEB_SERVER_ADDRS";

/// A valid value of FCGI_WEB_SERVER_ADDRS: IP addresses with commas between (section 3.2).
///
/// The specification knows IPv4 dotted quads only. IPv6 addresses and spaces around the commas are taken
/// too. There are no prefixes and no names: an address is let in if it is in the list, whole.
///
/// ```
/// use fcgi_proto::process::WebServerAddrs;
///
/// let addrs = WebServerAddrs::parse("199.170.183.28,199.170.183.71")?;
/// assert!(addrs.allows(Some("199.170.183.71".parse()?)));
/// assert!(!addrs.allows(Some("199.170.183.7".parse()?)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WebServerAddrs<'a> {
    list: &'a str,
}

/// A value of FCGI_WEB_SERVER_ADDRS that is no list of addresses.
///
/// The application must not start then (section 7): to ignore the value would be to let everyone in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WebServerAddrsError {
    /// Which item of the list, from 0.
    pub index: usize,
}

impl fmt::Display for WebServerAddrsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{WEB_SERVER_ADDRS}: item {} is not an IP address", self.index)
    }
}

impl core::error::Error for WebServerAddrsError {}

impl<'a> WebServerAddrs<'a> {
    /// Checks the variable's value.
    ///
    /// # Errors
    /// [`WebServerAddrsError`] for the first item that is not an address; an empty value has one such item.
    pub fn parse(list: &'a str) -> Result<Self, WebServerAddrsError> {
        match items(list).position(|item| item.is_none()) {
            Some(index) => Err(WebServerAddrsError { index }),
            None => Ok(Self { list }),
        }
    }

    /// Whether a peer may connect; to be asked right after each accept (section 3.2).
    ///
    /// `None` is a peer that is not TCP/IP: it is not let in. An IPv4 peer that an IPv6 socket shows as
    /// `::ffff:a.b.c.d` counts as `a.b.c.d`.
    #[must_use]
    pub fn allows(&self, peer: Option<IpAddr>) -> bool {
        peer.is_some_and(|peer| items(self.list).any(|item| item == Some(peer.into())))
    }
}

fn items(list: &str) -> impl Iterator<Item = Option<Address>> {
    list.as_bytes().split(|byte| *byte == b',').map(|mut item| {
        while let [b' ', rest @ ..] | [rest @ .., b' '] = item {
            item = rest;
        }
        Address::parse(item)
    })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    fn allows(list: &str, peer: &str) -> bool {
        let peer = peer.parse().expect("a test's peer is an address");
        WebServerAddrs::parse(list).expect("a test's list is valid").allows(Some(peer))
    }

    #[test]
    fn c2_a_listed_peer_is_let_in_and_no_other() {
        assert!(allows("10.0.0.1,10.0.0.2", "10.0.0.2"));
        assert!(!allows("10.0.0.1,10.0.0.2", "10.0.0.3"));
        assert!(!allows("10.0.0.1", "10.0.0.11"));
        assert!(!allows("10.0.0.11", "10.0.0.1"));
    }

    #[test]
    fn cve_2026_91768_addresses_that_differ_only_in_the_last_byte_are_different() {
        assert!(allows("2001:db8::1", "2001:db8::1"));
        assert!(!allows("2001:db8::1", "2001:db8::2"));
        assert!(!allows("::ffff:10.0.0.1", "10.0.0.2"));
    }

    #[test]
    fn c4_spaces_around_commas_are_tolerated() {
        assert!(allows(" 10.0.0.1 , 10.0.0.2 ", "10.0.0.2"));
    }

    #[test]
    fn an_ipv4_mapped_peer_counts_as_ipv4() {
        assert!(allows("10.0.0.1", "::ffff:10.0.0.1"));
        assert!(allows("::ffff:10.0.0.1", "10.0.0.1"));
        assert!(!allows("10.0.0.1", "::10.0.0.1"));
    }

    #[test]
    fn c3_a_peer_that_is_not_tcp_is_refused() {
        assert!(!WebServerAddrs::parse("10.0.0.1").expect("valid").allows(None));
    }

    #[test]
    fn c4_a_malformed_value_is_an_error_and_never_lets_everyone_in() {
        for (list, index) in [
            ("", 0),
            (" ", 0),
            (",", 0),
            ("10.0.0.1,", 1),
            ("10.0.0.1,,10.0.0.2", 1),
            ("10.0.0.1,10.0.0.256", 1),
            ("10.0.0", 0),
            ("10.0.0.1;10.0.0.2", 0),
            ("10.0.0.0/8", 0),
            ("localhost", 0),
            ("010.0.0.1", 0),
            ("10.0.0.1\n", 0),
        ] {
            assert_eq!(WebServerAddrs::parse(list), Err(WebServerAddrsError { index }), "{list:?}");
        }
    }
}
