//! The pages that may connect: a browser sends the page's origin (RFC 6454), which a page cannot change.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use url::{Host, Url};

use crate::problem::Problem;

/// An origin in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Listed {
    /// Every page.
    Any,
    /// An opaque origin, or one with a scheme other than http or https: exactly this text.
    Text(String),
    /// `scheme://host[:port]`.
    Web(Web),
    /// `scheme://*.host[:port]`: every subdomain of this host.
    Below(Web),
}

/// An origin of http or https; the port is always there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Web {
    scheme: String,
    host: Host<String>,
    port: u16,
}

/// Text that no browser would send as an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadOrigin;

impl fmt::Display for BadOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "is not an origin (https://host, https://host:port, https://*.host, app://host, null or *)",
        )
    }
}

impl Web {
    /// Parses what a browser sends: scheme, host, a port that is not the scheme's own, and nothing else.
    fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let bare = url.username().is_empty() && url.password().is_none() && !text.contains('*');
        let whole =
            url.path() == "/" && !text.ends_with('/') && url.query().is_none() && url.fragment().is_none();
        if !bare || !whole {
            return None;
        }
        let port = url.port_or_known_default()?;
        Some(Self { scheme: url.scheme().to_owned(), host: url.host()?.to_owned(), port })
    }

    fn is_subdomain_of(&self, parent: &Self) -> bool {
        let (Host::Domain(own), Host::Domain(parent_host)) = (&self.host, &parent.host) else { return false };
        let below =
            own.strip_suffix(parent_host.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'));
        below && self.scheme == parent.scheme && self.port == parent.port
    }
}

impl FromStr for Listed {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let text = text.to_ascii_lowercase();
        match text.split_once("://") {
            None if text == "*" => Ok(Self::Any),
            None if text == "null" => Ok(Self::Text(text)),
            None => Err(BadOrigin),
            Some((scheme @ ("http" | "https"), host)) => match host.strip_prefix("*.") {
                Some(parent) => Web::parse(&format!("{scheme}://{parent}")).map(Self::Below),
                None => Web::parse(&text).map(Self::Web),
            }
            .ok_or(BadOrigin),
            Some((scheme, host)) => {
                let scheme_fits = scheme.starts_with(|first: char| first.is_ascii_lowercase())
                    && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
                let host_fits = !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ', '*']);
                if scheme_fits && host_fits { Ok(Self::Text(text)) } else { Err(BadOrigin) }
            }
        }
    }
}

/// The permitted origins: that of the requested host, those that are listed, and on a loopback host those of every other
/// port.
#[derive(Debug, Clone)]
pub struct Origins {
    listed: Arc<[Listed]>,
    /// The service's own host names; if empty, whatever host a request names.
    hosts: Arc<[String]>,
}

impl Origins {
    /// These, beside the pages of the service's own host. With `hosts`, only these names are the service's own: a page of
    /// another name that resolves to this service is foreign (DNS rebinding).
    ///
    /// # Errors
    /// The first text that is not an origin.
    pub fn new(listed: &[String], hosts: &[String]) -> Result<Self, String> {
        let parse = |text: &String| text.parse::<Listed>().map_err(|error| format!("{text:?} {error}"));
        let listed = listed.iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { listed, hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect() })
    }

    /// The header that lets a page of another host read the response; `None` where it is the same host, or where the
    /// request is not from a page.
    ///
    /// # Errors
    /// The refusal of a foreign page.
    pub fn check(&self, headers: &HeaderMap) -> Result<Option<(HeaderName, HeaderValue)>, Problem> {
        let foreign = || {
            let detail = "origin not allowed";
            Problem::new(StatusCode::FORBIDDEN, "foreign-origin", detail)
        };
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(None) };
        if origins.next().is_some() {
            return Err(foreign());
        }
        let text = origin.to_str().map_err(|_| foreign())?.to_ascii_lowercase();
        let web = Web::parse(&text);
        if web.as_ref().is_some_and(|web| self.is_own(web, headers)) {
            return Ok(None);
        }
        let listed = self.listed.iter().any(|listed| match (listed, &web) {
            (Listed::Any, _) => true,
            (Listed::Text(own), _) => *own == text,
            (Listed::Web(own), Some(web)) => own == web,
            (Listed::Below(parent), Some(web)) => web.is_subdomain_of(parent),
            (Listed::Web(_) | Listed::Below(_), None) => false,
        });
        if listed || web.as_ref().is_some_and(|web| is_neighbour(web, headers)) {
            return Ok(Some((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())));
        }
        Err(foreign())
    }

    /// Whether the page is of the requested host, and that host is the service's own.
    fn is_own(&self, web: &Web, headers: &HeaderMap) -> bool {
        let Some(authority) = authority(headers) else { return false };
        let named = self.hosts.is_empty()
            || self.hosts.iter().any(|own| own == authority.host() || *own == authority.as_str());
        // behind a proxy that terminates TLS the header has no port: the scheme's default is meant
        let default = if web.scheme == "https" { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(default);
        named && port == web.port && Host::parse(authority.host()).is_ok_and(|host| host == web.host)
    }
}

/// The requested host, which the port writes into `Host` for HTTP/2 too.
fn authority(headers: &HeaderMap) -> Option<Authority> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    host.to_ascii_lowercase().parse().ok()
}

/// Whether page and service are both on this machine: a page under development, on a port of its own.
fn is_neighbour(web: &Web, headers: &HeaderMap) -> bool {
    let own = authority(headers).and_then(|own| Host::parse(own.host()).ok());
    is_loopback(&web.host) && own.is_some_and(|own| is_loopback(&own))
}

fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(ip) => IpAddr::from(*ip).is_loopback(),
        Host::Ipv6(ip) => IpAddr::from(*ip).is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(listed: &[&str], hosts: &[&str]) -> Origins {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Origins::new(&owned(listed), &owned(hosts)).unwrap()
    }

    #[track_caller]
    fn check(listed: &[&str], sent: &[&str], host: &str, passes: bool) {
        check_named(listed, &[], sent, host, passes);
    }

    #[track_caller]
    fn check_named(listed: &[&str], hosts: &[&str], sent: &[&str], host: &str, passes: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        for origin in sent {
            headers.append(header::ORIGIN, origin.parse().unwrap());
        }
        let passed = origins(listed, hosts).check(&headers).is_ok();
        assert_eq!(passed, passes, "{listed:?} {hosts:?} {sent:?} {host}");
    }

    #[test]
    fn the_same_host_and_listed_origins_pass_and_no_others() {
        check(&[], &[], "a.org", true);
        check(&[], &["https://a.org"], "a.org", true);
        check(&[], &["https://A.org"], "a.ORG", true);
        check(&[], &["http://a.org:8080"], "a.org:8080", true);
        check(&[], &["https://a.org:8443"], "a.org", false);
        check(&[], &["https://b.org"], "a.org", false);
        check(&[], &["null"], "a.org", false);
        check(&["https://b.org"], &["https://b.org"], "a.org", true);
        check(&["https://b.org"], &["http://b.org"], "a.org", false);
        check(&["https://b.org"], &["https://b.org.evil.org"], "a.org", false);
        check(&["*"], &["null"], "a.org", true);
    }

    #[test]
    fn a_scheme_s_default_port_is_the_same_as_none() {
        for (origin, host) in [
            ("https://a.org", "a.org:443"),
            ("https://a.org:443", "a.org"),
            ("http://a.org", "a.org:80"),
            ("http://[::1]:80", "[::1]"),
        ] {
            check(&[], &[origin], host, true);
        }
        check(&["https://b.org:443"], &["https://b.org"], "a.org", true);
        check(&[], &["https://a.org"], "a.org:80", false);
    }

    #[test]
    fn origins_of_other_schemes_pass_only_if_listed_exactly() {
        for origin in
            ["chrome-extension://a.org", "javascript://a.org", "file://a.org", "capacitor://localhost"]
        {
            check(&[], &[origin], "a.org", false);
            check(&[], &[origin], "localhost", false);
            check(&[origin], &[origin], "a.org", true);
        }
        check(&["null"], &["null"], "a.org", true);
        check(&[], &["https://a.org", "https://a.org"], "a.org", false);
        for origin in ["https://a.org/", "https://u@a.org", "https://a.org?x", "https://", "a.org", ""] {
            check(&[], &[origin], "a.org", false);
        }
    }

    #[test]
    fn a_wildcard_matches_every_subdomain() {
        check(&["https://*.b.org"], &["https://x.b.org"], "a.org", true);
        check(&["https://*.b.org"], &["https://x.y.b.org"], "a.org", true);
        for origin in
            ["https://b.org", "https://.b.org", "https://xb.org", "http://x.b.org", "https://x.b.org:8443"]
        {
            check(&["https://*.b.org"], &[origin], "a.org", false);
        }
    }

    #[test]
    fn loopback_pages_pass_on_a_loopback_host() {
        check(&[], &["http://localhost:3000"], "localhost:8000", true);
        check(&[], &["http://127.0.0.1:3000"], "localhost:8000", true);
        check(&[], &["http://[::1]:3000"], "127.0.0.1:8000", true);
        check(&[], &["http://localhost:3000"], "a.org", false);
        check(&[], &["http://a.org:3000"], "localhost:8000", false);
    }

    #[test]
    fn with_configured_hosts_a_rebound_name_is_foreign() {
        check_named(&[], &["a.org"], &["https://a.org"], "a.org", true);
        check_named(&[], &["a.org"], &["http://evil.org"], "evil.org", false);
        check_named(&[], &["a.org:8443"], &["https://a.org:8443"], "a.org:8443", true);
        check_named(&["https://b.org"], &["a.org"], &["https://b.org"], "a.org", true);
    }

    #[test]
    fn an_invalid_origin_is_a_fault_of_the_configuration() {
        for text in [
            "b.org",
            "https://",
            "https://b.org/",
            "https://u@b.org",
            "https://*",
            "https://*b.org",
            "://x",
            "1x://y",
        ] {
            assert_eq!(text.parse::<Listed>(), Err(BadOrigin), "{text}");
        }
    }
}
