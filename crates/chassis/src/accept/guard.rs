//! Checks of a request's head.

use http::header::{HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Version};

use crate::problem::Refusal;

/// Browsers send about 20.
pub(super) const MAX_HEADERS: usize = 64;
/// Names and values, in bytes. Long cookies and tokens are 4 to 8 KiB.
pub(super) const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Checks a request's head, and writes its host into `Host`, wherever the request named it.
///
/// # Errors
/// The refusal, when the head is too large or does not name exactly one host.
pub(super) fn check<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    let headers = request.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(Refusal::HeadersTooLarge);
    }
    // The same of lengths (RFC 9112 §6.1). A length beside `chunked` does not count, and hyper leaves it out.
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !chunked || codings.next().is_some() {
            return Err(Refusal::Framing);
        }
    }
    // With two hosts a proxy and a server may disagree about the target of the request. HTTP/1.0 may have none; HTTP/2
    // has it in `:authority` (RFC 9113 §8.3.1), HTTP/1.1 to a proxy has it in the target (RFC 9112 §3.2.2).
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next(), request.uri().authority()) {
        (_, Some(_), _) => Err(Refusal::HostHeader),
        (None, None, None) if request.version() == Version::HTTP_11 => Err(Refusal::HostHeader),
        (Some(host), None, Some(authority)) => {
            let same = host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
            if same { Ok(()) } else { Err(Refusal::HostHeader) }
        }
        (None, None, Some(authority)) => {
            let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::HostHeader)?;
            request.headers_mut().insert(HOST, host);
            Ok(())
        }
        (Some(_), None, None) | (None, None, None) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_hosts(version: Version, target: &str, hosts: &[&str], expected: Result<Option<&str>, Refusal>) {
        let mut request = Request::builder().version(version).uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let mut request = request.body(()).unwrap();
        let checked =
            check(&mut request).map(|()| request.headers().get(HOST).map(|host| host.to_str().unwrap()));
        assert_eq!(checked, expected, "{version:?} {target} {hosts:?}");
    }

    #[test]
    fn a_request_has_one_host_wherever_it_is_named() {
        let refused = Err(Refusal::HostHeader);
        check_hosts(Version::HTTP_11, "/", &["a"], Ok(Some("a")));
        check_hosts(Version::HTTP_11, "/", &[], refused);
        check_hosts(Version::HTTP_11, "/", &["a", "a"], refused);
        check_hosts(Version::HTTP_11, "http://A/", &["a"], Ok(Some("a")));
        check_hosts(Version::HTTP_11, "http://b/", &["a"], refused);
        check_hosts(Version::HTTP_10, "/", &[], Ok(None));
        check_hosts(Version::HTTP_2, "https://a/", &[], Ok(Some("a")));
        check_hosts(Version::HTTP_2, "https://a/", &["b"], refused);
    }
}
