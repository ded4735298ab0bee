//! What a request's head may look like.

use http::header::HOST;
use http::{HeaderMap, Version};

use crate::problem::Refusal;

/// Browsers send about 20.
pub(super) const MAX_HEADERS: usize = 64;
/// Names and values, in bytes. Long cookies and tokens are 4 to 8 KiB.
pub(super) const MAX_HEADER_BYTES: usize = 16 * 1024;

/// # Errors
/// The refusal, when the head is too large or does not say which host it is for.
pub(super) fn check(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(Refusal::HeadersTooLarge);
    }
    // Two hosts are how a proxy and a server come to disagree about whose request it is. HTTP/1.0 may have none;
    // in HTTP/2 the `:authority` says it.
    let hosts = headers.get_all(HOST).iter().count();
    match version {
        Version::HTTP_11 if hosts != 1 => Err(Refusal::HostHeader),
        _ if hosts > 1 => Err(Refusal::HostHeader),
        _ => Ok(()),
    }
}
