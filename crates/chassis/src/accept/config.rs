//! The section `http`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::limits::Limits;
use super::networks::Networks;
use super::tls::TlsConfig;
use crate::chain::chain;
use crate::faults::Faults;
use crate::prefix::Prefix;

/// The section `http`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Where it listens.
    #[schemars(with = "String", extend("format" = "socket-address"))]
    pub addr: SocketAddr,
    /// The path prefix under which a proxy that does not rewrite paths exposes the service.
    pub prefix: Prefix,
    /// Open connections at most, upgraded ones included while they hold their [`Permit`](crate::Permit); each costs a descriptor.
    pub max_connections: usize,
    /// How long a connection may be without a request. Above the 60 s of most balancers, so that they close first.
    #[serde(with = "crate::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub idle_timeout: Duration,
    /// Bytes of answers that may wait for their clients, all together; with more, a request is answered by 503.
    pub answer_bytes: usize,
    /// The networks of proxies that are believed about their clients' addresses: `10.0.0.0/8`, `fd00::/8`.
    pub trusted_proxies: Vec<String>,
    /// Whether every connection begins with a header of the PROXY protocol, version 2, from one of these proxies.
    pub proxy_protocol: bool,
    /// TLS on this port.
    pub tls: TlsConfig,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            addr: (Ipv4Addr::UNSPECIFIED, 8080).into(),
            prefix: Prefix::default(),
            max_connections: 20_000,
            idle_timeout: Duration::from_secs(75),
            answer_bytes: 64 << 20,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            tls: TlsConfig::default(),
        }
    }
}

impl HttpConfig {
    pub(super) fn limits(&self) -> Limits {
        Limits { idle: self.idle_timeout, ..Limits::default() }
    }

    pub(super) fn trusted_proxies(&self) -> Result<Networks, String> {
        Networks::parse(&self.trusted_proxies)
    }

    /// What is wrong with it. `own` are the first segments of the paths that are served.
    pub fn validate(&self, own: &[&str], faults: &mut Faults) {
        if let Some(fault) = self.prefix.fault(own) {
            faults.add("http.prefix", fault);
        }
        if self.max_connections == 0 {
            faults.add("http.max_connections", "must be at least 1");
        }
        if self.idle_timeout < Duration::from_secs(1) {
            faults.add("http.idle_timeout", "must be at least 1s");
        }
        if self.answer_bytes < 1 << 20 {
            faults.add("http.answer_bytes", "must be at least 1048576");
        }
        if let Err(fault) = self.trusted_proxies() {
            faults.add("http.trusted_proxies", fault);
        }
        if self.proxy_protocol && self.trusted_proxies.is_empty() {
            let fault = "needs http.trusted_proxies, the networks from which its headers are believed";
            faults.add("http.proxy_protocol", fault);
        }
        if let Err(fault) = self.tls.check() {
            faults.add(fault.key(), chain(&fault).to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(config: &HttpConfig, faults: &str) {
        let mut found = Faults::default();
        config.validate(&[], &mut found);
        assert_eq!(found.to_string(), faults);
    }

    #[test]
    fn the_proxy_protocol_needs_networks_to_believe() {
        let mut config = HttpConfig { proxy_protocol: true, ..HttpConfig::default() };
        check(
            &config,
            "http.proxy_protocol: needs http.trusted_proxies, the networks from which its headers are believed\n",
        );
        config.trusted_proxies = vec!["10.0.0.0/8".to_owned()];
        check(&config, "");
        config.trusted_proxies.push("proxy".to_owned());
        check(&config, "http.trusted_proxies: \"proxy\" is not a network such as 10.0.0.0/8 or fd00::/8\n");
    }
}
