//! Whose pages may connect: a browser names the page's origin (RFC 6454), and no page can name another's.

use std::{fmt, str::FromStr, sync::Arc};

use chassis::Problem;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// One that the configuration lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Every page.
    Any,
    /// `scheme://host[:port]`, as browsers write it.
    Exact(String),
}

/// Text that no browser would send as an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadOrigin;

impl fmt::Display for BadOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is no origin (https://host or https://host:port, or *)")
    }
}

impl FromStr for Origin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (scheme, host) = text.split_once("://").ok_or(BadOrigin)?;
        let host_fits = !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
        if !matches!(scheme, "http" | "https") || !host_fits {
            return Err(BadOrigin);
        }
        Ok(Self::Exact(text.to_ascii_lowercase()))
    }
}

/// All that are let in.
#[derive(Debug, Clone)]
pub(crate) struct Origins {
    listed: Arc<[Origin]>,
}

impl Origins {
    /// These, beside the pages of the gateway's own host.
    pub(crate) fn new(listed: Vec<Origin>) -> Self {
        Self { listed: listed.into() }
    }

    /// What the answer must say for a page of another host to read it: nothing where it is the same host, or where
    /// no page asks.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<Option<(HeaderName, HeaderValue)>, Problem> {
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
        let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if text.split_once("://").is_some_and(|(_, own)| own.eq_ignore_ascii_case(host)) {
            return Ok(None);
        }
        let listed = |own: &Origin| matches!(own, Origin::Any) || *own == Origin::Exact(text.clone());
        if self.listed.iter().any(listed) {
            return Ok(Some((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())));
        }
        let detail = "pages of this origin may not connect here";
        Err(Problem::new(StatusCode::FORBIDDEN, "foreign-origin", detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listed: &[&str], origin: Option<&str>, host: &str, passes: bool) {
        let origins = Origins::new(listed.iter().map(|text| text.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        assert_eq!(origins.check(&headers).is_ok(), passes, "{listed:?} {origin:?} {host}");
    }

    #[test]
    fn the_same_host_and_listed_origins_pass_and_no_others() {
        check(&[], None, "a.org", true);
        check(&[], Some("https://a.org"), "a.org", true);
        check(&[], Some("http://a.org:8080"), "a.org:8080", true);
        check(&[], Some("https://a.org:8443"), "a.org", false);
        check(&[], Some("https://b.org"), "a.org", false);
        check(&[], Some("null"), "a.org", false);
        check(&["https://b.org"], Some("https://b.org"), "a.org", true);
        check(&["https://b.org"], Some("http://b.org"), "a.org", false);
        check(&["https://b.org"], Some("https://b.org.evil.org"), "a.org", false);
        check(&["*"], Some("null"), "a.org", true);
    }

    #[test]
    fn what_no_browser_would_send_is_a_fault_of_the_configuration() {
        for text in ["b.org", "ftp://b.org", "https://", "https://b.org/", "https://u@b.org"] {
            assert_eq!(text.parse::<Origin>(), Err(BadOrigin), "{text}");
        }
    }
}
