//! Who writes, as the queue and the keys of readings and requests tell writers apart.

use std::{net::IpAddr, sync::Arc};

use access::Caller;
use auth::Subject;
use chassis::Client;
use http::Extensions;
use store::readings::once::digest;

/// The scope of writers without a credential, which they share.
const ANONYMOUS: &str = "anonymous";

/// Whose readings these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Writer {
    /// In which keys of readings and requests are unique.
    pub(crate) scope: Arc<str>,
    /// By which what waits is queued fairly.
    pub(crate) flow: Flow,
}

/// Whose requests share one place in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Flow {
    /// Without a credential: those of an address, as limits for each address count it.
    Address(Option<IpAddr>),
    /// Those of a key, or of a token's subject.
    Subject(Arc<str>),
}

impl Writer {
    /// The writer of a request.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        let subject = extensions.get::<Caller>().map_or(&Subject::Anonymous, |caller| &caller.grant.subject);
        let scope: Arc<str> = match subject {
            Subject::Anonymous => return Self::anonymous(extensions),
            Subject::Key(id) => format!("key:{id}").into(),
            Subject::Viewer { issuer, subject } => format!("token:{}", name(issuer, subject)).into(),
        };
        Self { flow: Flow::Subject(scope.clone()), scope }
    }

    fn anonymous(extensions: &Extensions) -> Self {
        let client = extensions.get::<Client>();
        Self { scope: ANONYMOUS.into(), flow: Flow::Address(client.map(|client| client.counted_as())) }
    }
}

/// A name of bounded length, which no other subject has.
fn name(issuer: &str, subject: &str) -> String {
    digest([issuer.as_bytes(), subject.as_bytes()]).iter().map(|byte| format!("{byte:02x}")).collect()
}
