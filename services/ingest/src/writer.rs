//! Who writes, as the queue and the keys of readings and requests tell writers apart.

use std::{net::IpAddr, sync::Arc};

use chassis::Client;
use http::Extensions;

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
    /// An open door: those of an address, as limits for each address count it.
    Address(Option<IpAddr>),
}

impl Writer {
    /// The writer of a request at an open door.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        let client = extensions.get::<Client>();
        Self { scope: ANONYMOUS.into(), flow: Flow::Address(client.map(|client| client.counted_as())) }
    }
}
