//! Who sends a request.

use std::net::{IpAddr, Ipv6Addr};

/// An IPv6 subscriber has at least this network to itself (RFC 6177), and 2^64 addresses in it.
const SUBSCRIBER_BITS: u32 = 64;

/// In the extensions of each request: its client, as far as trusted proxies tell; otherwise the peer of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    address: IpAddr,
    is_tls: bool,
}

impl Client {
    /// A mapped IPv4 address is taken as the IPv4 address that it is.
    pub(super) fn new(address: IpAddr, is_tls: bool) -> Self {
        Self { address: address.to_canonical(), is_tls }
    }

    /// Its address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The scheme of what it requests from this port; a proxy before it may have spoken another with its client.
    pub fn scheme(self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    /// What limits for each address count it by: an IPv4 address as it is, an IPv6 address by the first of its /64.
    pub fn counted_as(self) -> IpAddr {
        match self.address {
            IpAddr::V4(_) => self.address,
            IpAddr::V6(six) => {
                Ipv6Addr::from_bits(six.to_bits() >> SUBSCRIBER_BITS << SUBSCRIBER_BITS).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, shown: &str, counted_as: &str) {
        let client = Client::new(address.parse().unwrap(), false);
        assert_eq!(
            (client.address().to_string().as_str(), client.counted_as().to_string().as_str()),
            (shown, counted_as)
        );
    }

    #[test]
    fn an_ipv6_client_is_counted_by_its_64_and_an_ipv4_client_by_itself() {
        check("192.0.2.7", "192.0.2.7", "192.0.2.7");
        check("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
        check("::1", "::1", "::");
    }
}
