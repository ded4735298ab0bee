//! The networks of trusted proxies.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

/// From this length on, an IPv6 network of mapped addresses is one of IPv4 (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// Networks by address and prefix length. Both forms of an IPv4 address are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Networks(Arc<[IpNet]>);

impl Networks {
    /// `10.0.0.0/8`, `fd00::/8`; a single address is a network of its own.
    ///
    /// # Errors
    /// What is wrong with the first text that is none.
    pub(super) fn parse(texts: &[String]) -> Result<Self, String> {
        texts.iter().map(|text| network(text)).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let wrong = || format!("{text:?} is not a network such as 10.0.0.0/8 or fd00::/8");
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| wrong())?,
    };
    if network != network.trunc() {
        return Err(format!("{text:?} has bits beyond its prefix: is {} meant?", network.trunc()));
    }
    Ok(canonical(network))
}

fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(six) = network else { return network };
    let length = six.prefix_len().checked_sub(MAPPED_BITS);
    let four = six.addr().to_ipv4_mapped().zip(length);
    four.and_then(|(address, length)| Ipv4Net::new(address, length).ok()).map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Result<Networks, String> {
        Networks::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[track_caller]
    fn check(texts: &[&str], address: &str, contained: bool) {
        let networks = networks(texts).unwrap();
        assert_eq!(networks.contains(address.parse().unwrap()), contained, "{texts:?} {address}");
    }

    #[test]
    fn an_address_is_in_the_networks_whose_prefix_it_has() {
        check(&["10.0.0.0/8", "fd00::/8"], "10.255.0.1", true);
        check(&["10.0.0.0/8", "fd00::/8"], "fd12::1", true);
        check(&["10.0.0.0/8", "fd00::/8"], "11.0.0.1", false);
        check(&["192.0.2.7"], "192.0.2.7", true);
        check(&["192.0.2.7"], "192.0.2.8", false);
        check(&["::1"], "::1", true);
        check(&["0.0.0.0/0"], "192.0.2.7", true);
        check(&["0.0.0.0/0"], "2001:db8::1", false);
        check(&["::/0"], "2001:db8::1", true);
        check(&[], "127.0.0.1", false);
    }

    #[test]
    fn both_forms_of_an_ipv4_address_are_the_same() {
        check(&["10.0.0.0/8"], "::ffff:10.1.2.3", true);
        check(&["::ffff:10.0.0.0/104"], "10.1.2.3", true);
        check(&["::ffff:10.0.0.0/104"], "11.1.2.3", false);
        check(&["::/0"], "::ffff:10.1.2.3", false);
    }

    #[test]
    fn what_is_no_network_is_named() {
        for wrong in ["", "10.0.0.0/33", "proxy.example.org", "10.0.0/8", "::1/129", "10.0.0.0/"] {
            let fault = networks(&["127.0.0.1", wrong]).unwrap_err();
            assert_eq!(fault, format!("{wrong:?} is not a network such as 10.0.0.0/8 or fd00::/8"));
        }
        let fault = networks(&["10.1.2.3/8"]).unwrap_err();
        assert_eq!(fault, r#""10.1.2.3/8" has bits beyond its prefix: is 10.0.0.0/8 meant?"#);
    }
}
